/* inh.c - indoor office, mixed and open plan: 3GPP TR 38.901 tables 7.4.1-1, 7.4.2-1 and 7.5-6. */
#include "net/radio/channel.h"

static double loss(const celslm_geometry *g, bool los) {
  double f = g->carrier * 1e-9, d3 = celslm_distance_3d(g);
  double in_sight = 32.4 + 17.3 * log10(d3) + 20 * log10(f);
  if (los) return in_sight;
  if (g->optional_nlos) return fmax(in_sight, 32.4 + 20 * log10(f) + 31.9 * log10(d3));
  return fmax(in_sight, 38.3 * log10(d3) + 17.30 + 24.9 * log10(f));
}

static double mixed_office(const celslm_geometry *g) {
  double d = g->distance;
  if (d <= 1.2) return 1;
  return d < 6.5 ? exp(-(d - 1.2) / 4.7) : 0.32 * exp(-(d - 6.5) / 32.6);
}

static double open_office(const celslm_geometry *g) {
  double d = g->distance;
  if (d <= 5) return 1;
  return d <= 49 ? exp(-(d - 5) / 70.8) : 0.54 * exp(-(d - 49) / 211.7);
}

static double shadow_std(const celslm_geometry *g, celslm_link_state state) {
  if (state == CELSLM_O2I) return NAN;
  return state == CELSLM_LOS ? 3 : g->optional_nlos ? 8.29 : 8.03;
}

#define OFFICE                                                                                     \
  .loss = loss, .shadow_std = shadow_std, .min_distance = 1, .max_distance = 150,                  \
  .min_carrier = 0.5e9, .max_carrier = 100e9, .h_bs = 3, .h_ut = 1, .decorrelation = {10, 6, 0},   \
  .los_correlation = 10, .rician_mean = 7, .rician_std = 4

const celslm_channel celslm_channel_inh = {
    .name = "inh",
    .summary = "indoor office, mixed, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .los_probability = mixed_office,
    OFFICE,
};

const celslm_channel celslm_channel_inh_open = {
    .name = "inh-open",
    .summary = "indoor office, open plan, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .los_probability = open_office,
    OFFICE,
};
