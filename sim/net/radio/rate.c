#include "net/radio/rate.h"

#include "net/radio/budget.h"
#include "net/radio/mcs.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_sf_expint.h>
#include <math.h>

const char *const celslm_rate_curve_names[CELSLM_RATE_CURVES + 1] = {"shannon", "lte", "mcs-awgn",
                                                                     "mcs-practical", NULL};

/* Form of TR 36.942 annex A; 0.75 and the cap of 256QAM (7.4063, MCS table 2 of TS 38.214) are our
 * choice between link-level curves with AWGN (alpha 0.79-0.89, Sionna) and large code blocks in
 * practice (0.58-0.77, 5G-LENA). */
double celslm_spectral_efficiency(double sinr_db) {
  if (sinr_db < -10) return 0;
  return fmin(0.75 * log2(1 + pow(10, sinr_db / 10)), 7.4063);
}

static double of_table(celslm_link_level level, double sinr_db) {
  int mcs = celslm_mcs_at(level, 2, sinr_db);
  return mcs < 0 ? 0 : celslm_mcs_efficiency(2, mcs);
}

double celslm_rate_efficiency(celslm_rate_curve curve, double sinr_db) {
  switch (curve) {
  case CELSLM_RATE_LTE:
    return sinr_db < -10 ? 0 : fmin(0.6 * log2(1 + celslm_from_db(sinr_db)), 4.4);
  case CELSLM_RATE_MCS_AWGN:
    return of_table(CELSLM_LINK_AWGN, sinr_db);
  case CELSLM_RATE_MCS_PRACTICAL:
    return of_table(CELSLM_LINK_PRACTICAL, sinr_db);
  default:
    return celslm_spectral_efficiency(sinr_db);
  }
}

double celslm_layered_efficiency(celslm_rate_curve curve, double sinr_db, int layers) {
  return layers * celslm_rate_efficiency(curve, sinr_db - 10 * log10(layers));
}

int celslm_best_layers(celslm_rate_curve curve, double sinr_db, int most) {
  int best = 1;
  for (int v = 2; v <= most; v++)
    if (celslm_layered_efficiency(curve, sinr_db, v) >
        celslm_layered_efficiency(curve, sinr_db, best))
      best = v;
  return best;
}

double celslm_overhead(double carrier, bool uplink) {
  bool fr2 = carrier >= 24.25e9; /* TS 38.104: where frequency range 2 begins */
  return uplink ? (fr2 ? 0.10 : 0.08) : (fr2 ? 0.18 : 0.14);
}

/* One way through the user plane of an idle cell, 30 kHz subcarriers, by the method of TR 37.910:
 * 1.14 ms; uplink besides waits for its part of the DDDSU pattern, 1.1 ms on average. timing.h
 * has the arithmetic for other numerologies and patterns. */
static const double latency = 1.14e-3, wait_up = 1.1e-3;

static double snr(double power_dbm, double gains_db, double loss_db, double bandwidth,
                  double noise_figure) {
  return power_dbm + gains_db - loss_db - celslm_noise(bandwidth, noise_figure);
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
  double overhead_down = celslm_overhead(c->carrier, false);
  double overhead_up = celslm_overhead(c->carrier, true);
  l.down = rate(l.snr_down, c->dl_layers, c->bandwidth, c->dl_share, overhead_down);
  l.up = rate(l.snr_up, c->ul_layers, c->bandwidth, c->ul_share, overhead_up);
  return l;
}

double celslm_peak_rate(int layers, int bits, double scaling, int blocks, int mu, double overhead) {
  double symbols = 12.0 * blocks * 14 * ldexp(1000, mu); /* per second */
  return layers * bits * scaling * (948.0 / 1024) * symbols * (1 - overhead);
}

/* ---- blocks that fail ------------------------------------------------------------------------ */

celslm_harq celslm_harq_of(double bler, double factor, int most) {
  celslm_harq h = {.attempts = 1, .residual = bler};
  if (most == 0 && factor >= 1) { /* a geometric series */
    h.attempts = 1 / (1 - bler);
    h.residual = 0;
  } else {
    double fails = bler;
    for (int i = 1; (most == 0 || i < most) && h.residual > 1e-18; i++) {
      h.attempts += h.residual;
      fails *= factor;
      h.residual *= fails;
    }
    if (most == 0) h.residual = 0;
  }
  h.efficiency = (1 - h.residual) / h.attempts;
  return h;
}

/* ---- fading within a transfer ---------------------------------------------------------------- */

double celslm_ergodic_efficiency(double mean_snr) {
  if (!(mean_snr > 0)) return 0;
  /* of exp(x) E1(x) the factors over- and underflow: their product does not */
  return gsl_sf_expint_E1_scaled(1 / mean_snr) / log(2);
}

double celslm_rayleigh_outage(double threshold, double mean_snr) {
  return -expm1(-threshold / mean_snr);
}

double celslm_shadow_outage(double margin, double std) {
  if (!(std > 0)) return margin < 0;
  return gsl_cdf_ugaussian_Q(margin / std);
}
