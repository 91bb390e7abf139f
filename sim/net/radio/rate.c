#include "net/radio/rate.h"

#include "net/radio/budget.h"
#include "net/radio/mcs.h"

#include <assert.h>
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

double celslm_snr(double power_dbm, double gains_db, double loss_db, double bandwidth,
                  double noise_figure) {
  return power_dbm + gains_db - loss_db - celslm_noise(bandwidth, noise_figure);
}

/* ---- the rate of a link ---------------------------------------------------------------------- */

double celslm_link_bler(const celslm_radio_config *c) {
  bool of_table = c->curve == CELSLM_RATE_MCS_AWGN || c->curve == CELSLM_RATE_MCS_PRACTICAL;
  return isnan(c->bler) ? (of_table ? 0.1 : 0) : c->bler;
}

/* Mean over Rayleigh fading, at the middles of equally likely parts of it: for any curve. */
static double faded(celslm_rate_curve curve, double sinr_db, int layers) {
  enum { PARTS = 64 };
  double sum = 0;
  for (int i = 0; i < PARTS; i++) {
    double power = -log1p(-(i + 0.5) / PARTS);
    sum += celslm_layered_efficiency(curve, sinr_db + celslm_to_db(power), layers);
  }
  return sum / PARTS;
}

double celslm_link_rate(const celslm_cell *cell, const celslm_radio_config *config, double share,
                        double sinr_db, bool uplink, int *layers) {
  celslm_rate_curve curve = (celslm_rate_curve)config->curve;
  int v = uplink ? cell->ul_layers : cell->dl_layers;
  if (config->adapt_layers) v = celslm_best_layers(curve, sinr_db, v);
  double efficiency = config->fading == CELSLM_FADING_ERGODIC
                          ? faded(curve, sinr_db, v)
                          : celslm_layered_efficiency(curve, sinr_db, v);
  double bler = celslm_link_bler(config);
  if (bler > 0) efficiency *= celslm_harq_of(bler, config->harq_factor, 0).efficiency;
  double bound = v * log2(1 + celslm_from_db(sinr_db) / v);
  if (config->proportional_fair) /* the gain may not lead beyond it either */
    efficiency = fmin(efficiency, bound / CELSLM_FAIR_GAIN_MOST);
  assert(efficiency <= bound * (1 + 1e-12));
  if (layers) *layers = v;
  return efficiency * cell->bandwidth * share * (1 - celslm_overhead(cell->carrier, uplink)) / 8;
}

double celslm_fair_gain(int active) {
  static const double h_8 = 2.717857142857143; /* 1 + 1/2 + ... + 1/8 */
  if (active >= 8) return CELSLM_FAIR_GAIN_MOST;
  double h = 0;
  for (int k = 1; k <= active; k++) h += 1.0 / k;
  return active < 1 ? 1 : 1 + (CELSLM_FAIR_GAIN_MOST - 1) * (h - 1) / (h_8 - 1);
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
