/* umi.c - urban micro, street canyon: 3GPP TR 38.901 tables 7.4.1-1, 7.4.2-1 and 7.5-6. */
#include "net/radio/channel.h"

static double loss(const celslm_geometry *g, bool los) {
  double f = g->carrier * 1e-9, d3 = celslm_distance_3d(g);
  /* effective heights, c = 3.0e8 */
  double d_break = 4 * (g->h_bs - 1) * (g->h_ut - 1) * g->carrier / 3.0e8;
  double rise = g->h_bs - g->h_ut;
  double in_sight = g->distance <= d_break ? 32.4 + 21 * log10(d3) + 20 * log10(f)
                                           : 32.4 + 40 * log10(d3) + 20 * log10(f) -
                                                 9.5 * log10(d_break * d_break + rise * rise);
  if (los) return in_sight;
  if (g->optional_nlos) return 32.4 + 20 * log10(f) + 31.9 * log10(d3);
  double hidden = 35.3 * log10(d3) + 22.4 + 21.3 * log10(f) - 0.3 * (g->h_ut - 1.5);
  return fmax(in_sight, hidden);
}

static double los_probability(const celslm_geometry *g) {
  double d = g->distance;
  return d <= 18 ? 1 : 18 / d + exp(-d / 36) * (1 - 18 / d);
}

static double shadow_std(const celslm_geometry *g, celslm_link_state state) {
  if (state == CELSLM_O2I) return 7;
  return state == CELSLM_LOS ? 4 : g->optional_nlos ? 8.2 : 7.82;
}

const celslm_channel celslm_channel_umi = {
    .name = "umi",
    .summary = "urban micro street canyon, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss,
    .los_probability = los_probability,
    .shadow_std = shadow_std,
    .min_distance = 10,
    .max_distance = 5000,
    .min_carrier = 0.5e9,
    .max_carrier = 100e9,
    .h_bs = 10,
    .h_ut = 1.5,
    .decorrelation = {10, 13, 7},
    .los_correlation = 50,
    .rician_mean = 9,
    .rician_std = 5,
};
