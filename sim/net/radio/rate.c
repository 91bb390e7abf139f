#include "net/radio/rate.h"

#include <math.h>

/* Form of TR 36.942 annex A; 0.75 and the cap of 256QAM (7.4063, MCS table 2 of TS 38.214) are our
 * choice between link-level curves with AWGN (alpha 0.79-0.89, Sionna) and large code blocks in
 * practice (0.58-0.77, 5G-LENA). */
double celslm_spectral_efficiency(double sinr_db) {
  if (sinr_db < -10) return 0;
  return fmin(0.75 * log2(1 + pow(10, sinr_db / 10)), 7.4063);
}

/* Overhead of control and reference signals, TS 38.306 section 4.1.2, FR1: 0.14 down, 0.08 up. */
static const double overhead_down = 0.14, overhead_up = 0.08;

/* One way through the user plane of an idle cell, 30 kHz subcarriers, by the method of TR 37.910:
 * 1.14 ms; uplink besides waits for its part of the DDDSU pattern, 1.1 ms on average. */
static const double latency = 1.14e-3, wait_up = 1.1e-3;

static double snr(double power_dbm, double gains_db, double loss_db, double bandwidth, double noise_figure) {
  double noise_dbm = -174 + 10 * log10(bandwidth) + noise_figure;
  return power_dbm + gains_db - loss_db - noise_dbm;
}

/* v layers share the power; a layer then has 1/v of the SNR. */
static double rate(double snr_db, int layers, double bandwidth, double share, double overhead) {
  double per_layer = celslm_spectral_efficiency(snr_db - 10 * log10(layers));
  return per_layer * layers * bandwidth * share * (1 - overhead) / 8;
}

celslm_radio_link celslm_radio_link_of(const celslm_cell *c, double loss_db) {
  double gains = c->antenna_gain + c->ue_antenna_gain;
  celslm_radio_link l = {
      .snr_down = snr(c->tx_power, gains, loss_db, c->bandwidth, c->ue_noise_figure),
      .snr_up = snr(c->ue_tx_power, gains, loss_db, c->bandwidth, c->noise_figure),
      .latency_down = latency,
      .latency_up = latency + wait_up,
  };
  l.down = rate(l.snr_down, c->dl_layers, c->bandwidth, c->dl_share, overhead_down);
  l.up = rate(l.snr_up, c->ul_layers, c->bandwidth, c->ul_share, overhead_up);
  return l;
}
