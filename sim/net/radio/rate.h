/* rate.h - from signal to noise to bytes per second of air time.
 *
 * A curve turns the SINR of one spatial layer into bit/s/Hz; v layers share the power, so each has
 * 1/v of the SINR. No curve exceeds log2(1 + SINR), hence no rate exceeds v B log2(1 + SINR/v). */
#ifndef CELSLM_NET_RADIO_RATE_H
#define CELSLM_NET_RADIO_RATE_H

#include "scenario/platform.h"
#include "scenario/radio.h"

typedef enum celslm_rate_curve {
  CELSLM_RATE_SHANNON,       /* celslm_spectral_efficiency: the default */
  CELSLM_RATE_LTE,           /* TR 36.942 annex A, downlink: 0.6 log2(1 + sinr), at most 4.4 */
  CELSLM_RATE_MCS_AWGN,      /* MCS table 2 at its AWGN thresholds, see mcs.h */
  CELSLM_RATE_MCS_PRACTICAL, /* MCS table 2 at its practical thresholds */
  CELSLM_RATE_CURVES
} celslm_rate_curve;
extern const char
    *const celslm_rate_curve_names[CELSLM_RATE_CURVES + 1]; /* "shannon" ...; NULL-terminated */

/* bit/s/Hz of one layer; 0: out of reach. The MCS curves count blocks that fail at first (10 %) as
 * sent: see celslm_harq_of. */
double celslm_rate_efficiency(celslm_rate_curve curve, double sinr_db);
/* Of v layers together, at the SINR of all power in one. */
double celslm_layered_efficiency(celslm_rate_curve curve, double sinr_db, int layers);
/* The number of layers, up to `most`, that gives the most. */
int celslm_best_layers(celslm_rate_curve curve, double sinr_db, int most);

/* Attenuated Shannon per spatial layer: min(0.75 log2(1 + sinr), 7.4063) bit/s/Hz, 0 below -10 dB.
 */
double celslm_spectral_efficiency(double sinr_db);

/* The share of air time for control and reference signals, TS 38.306 section 4.1.2. */
double celslm_overhead(double carrier, bool uplink);

typedef struct celslm_radio_link {
  double snr_down, snr_up;         /* dB, all layers' power together; with interference SINR */
  double down, up;                 /* B/s while holding the whole air; 0: out of reach */
  double latency_down, latency_up; /* s, one way, an idle cell */
  int layers_down, layers_up;
} celslm_radio_link;

/* dB: one way through a cell's budget; `gains` of both antennas, loss of isotropic ones. */
double celslm_snr(double power_dbm, double gains_db, double loss_db, double bandwidth,
                  double noise_figure);

/* B/s while holding the whole air, of a cell that has `share` of the time for the direction, with
 * the scenario's curve, layers, fading (ergodic) and repetitions; *layers (may be NULL) is their
 * number. Never more than v B log2(1 + SINR/v) bit/s of v layers. */
double celslm_link_rate(const celslm_cell *cell, const celslm_radio_config *config, double share,
                        double sinr_db, bool uplink, int *layers);
/* Share of first transmissions that fail: the scenario's, or what the curve assumes. */
double celslm_link_bler(const celslm_radio_config *config);

/* How much more than its rate everybody moves when a proportional fair scheduler serves K users at
 * their better moments: 1 + 0.3 (H_K - 1) / (H_8 - 1), at most 1.3. H_K is what i.i.d. Rayleigh
 * fading would give the mean SNR (Viswanath, Tse, Laroia 2002); 1.2 to 1.4 of the efficiency for 8
 * and more users is an assumption for wide bands with several antennas. */
double celslm_fair_gain(int active);
#define CELSLM_FAIR_GAIN_MOST 1.3

/* s, the default: one way through the user plane of an idle cell with 30 kHz subcarriers by the
 * method of TR 37.910, and what uplink besides waits for its part of the DDDSU pattern. timing.h
 * has the arithmetic for other numerologies and patterns. */
#define CELSLM_CONSTANT_LATENCY 1.14e-3
#define CELSLM_CONSTANT_WAIT_UP 1.1e-3

/* TS 38.306 section 4.1.2, one carrier, bit/s: layers, bits per symbol, scaling factor, resource
 * blocks, numerology, overhead; code rate 948/1024. */
double celslm_peak_rate(int layers, int bits, double scaling, int blocks, int mu, double overhead);

/* ---- blocks that fail ------------------------------------------------------------------------ */

typedef struct celslm_harq {
  double attempts;   /* mean per block */
  double efficiency; /* share of the air time that carries delivered blocks */
  double residual;   /* share of blocks that fail for good */
} celslm_harq;

/* First attempts fail with probability `bler` < 1, each next one `factor` times as often: 1 means
 * independent attempts, 0.2 is Simu5G's default, 0 chase combining that gains 3 dB in AWGN. With
 * `most` 0 there is no limit. The mean extra delay is (attempts - 1) round trips. */
celslm_harq celslm_harq_of(double bler, double factor, int most);

/* ---- fading within a transfer ---------------------------------------------------------------- */

/* bit/s/Hz at Shannon's bound, averaged over Rayleigh fading: log2(e) exp(1/G) E1(1/G), G the mean
 * SNR as a ratio. */
double celslm_ergodic_efficiency(double mean_snr);
/* Probability that Rayleigh fading takes the SNR below a threshold, both as ratios. */
double celslm_rayleigh_outage(double threshold, double mean_snr);
/* Probability that shadowing of this standard deviation exceeds a margin, both in dB. */
double celslm_shadow_outage(double margin, double std);

#endif
