/* sma.c - suburban macro: 3GPP TR 38.901 version 19, tables 7.4.1-1, 7.4.2-1 and 7.5-6. */
#include "net/radio/rural.h"

/* Unlike elsewhere the loss without line of sight is not bounded below by that with it. */
static double loss(const celslm_geometry *g, bool los) {
  double h = g->building_height > 0 ? g->building_height : 10;
  double w = g->street_width > 0 ? g->street_width : 10;
  return los ? celslm_rural_los(g, h) : celslm_rural_nlos(g, h, w);
}

/* Three kinds of obstacles, each with its height in m and the share of the ground that it covers.
 */
static double los_probability(const celslm_geometry *g) {
  if (g->distance <= 10) return 1;
  const struct { double height, share; } kinds[] = {{20, 0.02}, {8, 0.18}, {15, g->vegetation}};
  double exponent = 0;
  for (int i = 0; i < 3; i++)
    exponent +=
        log1p(-kinds[i].share) / 30 * fmax(kinds[i].height - g->h_ut, 0) / (g->h_bs - g->h_ut);
  return fmin(1, exp(g->distance * exponent));
}

const celslm_channel celslm_channel_sma = {
    .name = "sma",
    .summary = "suburban macro, TR 38.901 version 19 table 7.4.1-1, 0.5-30 GHz",
    .loss = loss,
    .los_probability = los_probability,
    .shadow_std = celslm_rural_shadow_std,
    .min_distance = 10,
    .max_distance = 5000,
    .min_carrier = 0.5e9,
    .max_carrier = 30e9,
    .h_bs = 35,
    .h_ut = 1.5,
    .decorrelation = {40, 50, 50},
    .los_correlation = 50,
    .rician_mean = 9,
    .rician_std = 7,
};
