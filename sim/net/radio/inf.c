/* inf.c - indoor factory: 3GPP TR 38.901 tables 7.4.1-1, 7.4.2-1, 7.5-6 and, for the
 * clutter, 7.8-7.
 *
 * Sparse or dense clutter (S, D), base station below or above it (L, H); HH: both ends above it. */
#include "net/radio/channel.h"

static double in_sight(const celslm_geometry *g) {
  return 31.84 + 21.50 * log10(celslm_distance_3d(g)) + 19.00 * log10(g->carrier * 1e-9);
}

/* At least the loss in line of sight. */
static double hidden(const celslm_geometry *g, double at_one_metre, double slope) {
  double f = g->carrier * 1e-9;
  return fmax(in_sight(g), at_one_metre + slope * log10(celslm_distance_3d(g)) + 20 * log10(f));
}

static double loss_sl(const celslm_geometry *g, bool los) {
  return los ? in_sight(g) : hidden(g, 33, 25.5);
}

static double loss_dl(const celslm_geometry *g, bool los) {
  return los ? in_sight(g) : fmax(hidden(g, 18.6, 35.7), hidden(g, 33, 25.5));
}

static double loss_sh(const celslm_geometry *g, bool los) {
  return los ? in_sight(g) : hidden(g, 32.4, 23);
}

static double loss_dh(const celslm_geometry *g, bool los) {
  return los ? in_sight(g) : hidden(g, 33.63, 21.9);
}

static double loss_hh(const celslm_geometry *g, bool los) {
  (void)los; /* always */
  return in_sight(g);
}

/* exp(-d/k) with k = -size/ln(1 - density), for high base stations times (hBS - hUT)/(hc - hUT).
 * A user above the clutter is never hidden by it. */
static double probability(const celslm_geometry *g, const celslm_channel *c, bool high) {
  double size = g->clutter_size > 0 ? g->clutter_size : c->clutter_size;
  double density = g->clutter_density > 0 ? g->clutter_density : c->clutter_density;
  double height = g->clutter_height > 0 ? g->clutter_height : c->clutter_height;
  double exponent = g->distance * log1p(-density) / size;
  if (high) exponent *= fmax(height - g->h_ut, 0) / (g->h_bs - g->h_ut);
  return fmin(1, exp(exponent));
}

static double probability_sl(const celslm_geometry *g) {
  return probability(g, &celslm_channel_inf_sl, false);
}

static double probability_dl(const celslm_geometry *g) {
  return probability(g, &celslm_channel_inf_dl, false);
}

static double probability_sh(const celslm_geometry *g) {
  return probability(g, &celslm_channel_inf_sh, true);
}

static double probability_dh(const celslm_geometry *g) {
  return probability(g, &celslm_channel_inf_dh, true);
}

static double probability_hh(const celslm_geometry *g) {
  (void)g;
  return 1;
}

static double shadow(celslm_link_state state, double nlos) {
  return state == CELSLM_O2I ? NAN : state == CELSLM_LOS ? 4.3 : nlos;
}

static double shadow_sl(const celslm_geometry *g, celslm_link_state state) {
  (void)g;
  return shadow(state, 5.7);
}

static double shadow_dl(const celslm_geometry *g, celslm_link_state state) {
  (void)g;
  return shadow(state, 7.2);
}

static double shadow_sh(const celslm_geometry *g, celslm_link_state state) {
  (void)g;
  return shadow(state, 5.9);
}

static double shadow_dh(const celslm_geometry *g, celslm_link_state state) {
  (void)g;
  return shadow(state, 4.0);
}

static double shadow_hh(const celslm_geometry *g, celslm_link_state state) {
  (void)g;
  return shadow(state, 4.3);
}

#define FACTORY                                                                                    \
  .min_distance = 1, .max_distance = 600, .min_carrier = 0.5e9, .max_carrier = 100e9, .h_ut = 1.5, \
  .decorrelation = {10, 10, 0}, .rician_mean = 7, .rician_std = 8
#define SPARSE .clutter_size = 10, .clutter_density = 0.2, .clutter_height = 2
#define DENSE  .clutter_size = 2, .clutter_density = 0.6, .clutter_height = 6

const celslm_channel celslm_channel_inf_sl = {
    .name = "inf-sl",
    .summary = "factory, sparse clutter, low base station, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss_sl,
    .los_probability = probability_sl,
    .shadow_std = shadow_sl,
    .h_bs = 1.5,
    SPARSE,
    FACTORY,
};

const celslm_channel celslm_channel_inf_dl = {
    .name = "inf-dl",
    .summary = "factory, dense clutter, low base station, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss_dl,
    .los_probability = probability_dl,
    .shadow_std = shadow_dl,
    .h_bs = 1.5,
    DENSE,
    FACTORY,
};

const celslm_channel celslm_channel_inf_sh = {
    .name = "inf-sh",
    .summary = "factory, sparse clutter, high base station, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss_sh,
    .los_probability = probability_sh,
    .shadow_std = shadow_sh,
    .h_bs = 8,
    SPARSE,
    FACTORY,
};

const celslm_channel celslm_channel_inf_dh = {
    .name = "inf-dh",
    .summary = "factory, dense clutter, high base station, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss_dh,
    .los_probability = probability_dh,
    .shadow_std = shadow_dh,
    .h_bs = 8,
    DENSE,
    FACTORY,
};

const celslm_channel celslm_channel_inf_hh = {
    .name = "inf-hh",
    .summary = "factory, both ends above the clutter, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss_hh,
    .los_probability = probability_hh,
    .shadow_std = shadow_hh,
    .h_bs = 8,
    SPARSE,
    FACTORY,
};
