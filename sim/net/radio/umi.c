/* umi.c - urban micro, street canyon: 3GPP TR 38.901 tables 7.4.1-1 and 7.4.2-1. */
#include "net/radio/channel.h"

#include <math.h>

static double loss(const celslm_geometry *g, bool los) {
  double f = g->carrier * 1e-9, d3 = hypot(g->distance, g->h_bs - g->h_ut);
  double d_break = 4 * (g->h_bs - 1) * (g->h_ut - 1) * g->carrier / 3.0e8; /* effective heights, c = 3.0e8 */
  double in_sight = g->distance <= d_break
                        ? 32.4 + 21 * log10(d3) + 20 * log10(f)
                        : 32.4 + 40 * log10(d3) + 20 * log10(f) -
                              9.5 * log10(d_break * d_break + (g->h_bs - g->h_ut) * (g->h_bs - g->h_ut));
  if (los) return in_sight;
  double hidden = 35.3 * log10(d3) + 22.4 + 21.3 * log10(f) - 0.3 * (g->h_ut - 1.5);
  return fmax(in_sight, hidden);
}

static double los_probability(const celslm_geometry *g) {
  double d = g->distance;
  return d <= 18 ? 1 : 18 / d + exp(-d / 36) * (1 - 18 / d);
}

const celslm_channel celslm_channel_umi = {
    .name = "umi",
    .summary = "urban micro street canyon, TR 38.901 table 7.4.1-1, 0.5-100 GHz",
    .loss = loss,
    .los_probability = los_probability,
    .min_distance = 10,
    .max_distance = 5000,
};
