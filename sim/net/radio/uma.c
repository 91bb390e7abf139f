/* uma.c - urban macro: 3GPP TR 38.901 tables 7.4.1-1, 7.4.2-1 and 7.5-6. */
#include "net/radio/uma.h"

static double breakpoint(const celslm_geometry *g) {
  double h = g->effective_height > 0 ? g->effective_height : 1;
  return 4 * (g->h_bs - h) * (g->h_ut - h) * g->carrier / 3.0e8; /* c = 3.0e8 */
}

static double loss(const celslm_geometry *g, bool los) {
  double f = g->carrier * 1e-9, d3 = celslm_distance_3d(g), d_break = breakpoint(g);
  double rise = g->h_bs - g->h_ut;
  double in_sight = g->distance <= d_break ? 28 + 22 * log10(d3) + 20 * log10(f)
                                           : 28 + 40 * log10(d3) + 20 * log10(f) -
                                                 9 * log10(d_break * d_break + rise * rise);
  if (los) return in_sight;
  if (g->optional_nlos) return 32.4 + 20 * log10(f) + 30 * log10(d3);
  double hidden = 13.54 + 39.08 * log10(d3) + 20 * log10(f) - 0.6 * (g->h_ut - 1.5);
  return fmax(in_sight, hidden);
}

/* What users above 13 m gain, table 7.4.2-1 and note 1 of table 7.4.1-1. */
static double height_term(const celslm_geometry *g) {
  if (g->h_ut <= 13 || g->distance <= 18) return 0;
  double d = g->distance / 100;
  return pow((g->h_ut - 13) / 10, 1.5) * 1.25 * d * d * d * exp(-g->distance / 150);
}

static double los_probability(const celslm_geometry *g) {
  double d = g->distance;
  if (d <= 18) return 1;
  double p = 18 / d + exp(-d / 63) * (1 - 18 / d);
  return fmin(1, p * (1 + height_term(g)));
}

double celslm_uma_effective_height(const celslm_geometry *g, double uniform) {
  double low = 1 / (1 + height_term(g));
  double choices = floor((g->h_ut - 1.5 - 12) / 3) + 1;
  if (uniform < low || choices < 1) return 1;
  double rest = (uniform - low) / (1 - low); /* uniform again */
  return 12 + 3 * fmin(floor(rest * choices), choices - 1);
}

static double shadow_std(const celslm_geometry *g, celslm_link_state state) {
  if (state == CELSLM_O2I) return 7;
  return state == CELSLM_LOS ? 4 : g->optional_nlos ? 7.8 : 6;
}

const celslm_channel celslm_channel_uma = {
    .name = "uma",
    .summary = "urban macro, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss,
    .los_probability = los_probability,
    .shadow_std = shadow_std,
    .min_distance = 10,
    .max_distance = 5000,
    .min_carrier = 0.5e9,
    .max_carrier = 100e9,
    .h_bs = 25,
    .h_ut = 1.5,
    .decorrelation = {37, 50, 7},
    .los_correlation = 50,
    .rician_mean = 9,
    .rician_std = 3.5,
};
