/* rma.c - rural macro: 3GPP TR 38.901 tables 7.4.1-1, 7.4.2-1 and 7.5-6. */
#include "net/radio/rural.h"

#define PI 3.14159265358979323846

double celslm_rural_breakpoint(const celslm_geometry *g) {
  return 2 * PI * g->h_bs * g->h_ut * g->carrier / 3.0e8; /* c = 3.0e8 */
}

/* PL1 of the table, as a function of the distance between the antennas. */
static double near(double d, double f, double h) {
  double rise = pow(h, 1.72);
  return 20 * log10(40 * PI * d * f / 3) + fmin(0.03 * rise, 10) * log10(d) -
         fmin(0.044 * rise, 14.77) + 0.002 * log10(h) * d;
}

double celslm_rural_los(const celslm_geometry *g, double h) {
  double f = g->carrier * 1e-9, d3 = celslm_distance_3d(g), d_break = celslm_rural_breakpoint(g);
  if (g->distance <= d_break) return near(d3, f, h);
  d_break = fmax(d_break, 1);
  return near(d_break, f, h) + 40 * log10(d3 / d_break);
}

double celslm_rural_nlos(const celslm_geometry *g, double h, double w) {
  double f = g->carrier * 1e-9, d3 = celslm_distance_3d(g);
  double ratio = h / g->h_bs, user = log10(11.75 * g->h_ut);
  return 161.04 - 7.1 * log10(w) + 7.5 * log10(h) - (24.37 - 3.7 * ratio * ratio) * log10(g->h_bs) +
         (43.42 - 3.1 * log10(g->h_bs)) * (log10(d3) - 3) + 20 * log10(f) -
         (3.2 * user * user - 4.97);
}

double celslm_rural_shadow_std(const celslm_geometry *g, celslm_link_state state) {
  if (state != CELSLM_LOS) return 8;
  return g->distance < celslm_rural_breakpoint(g) ? 4 : 6;
}

static double loss(const celslm_geometry *g, bool los) {
  double h = g->building_height > 0 ? g->building_height : 5;
  double w = g->street_width > 0 ? g->street_width : 20;
  double in_sight = celslm_rural_los(g, h);
  return los ? in_sight : fmax(in_sight, celslm_rural_nlos(g, h, w));
}

static double los_probability(const celslm_geometry *g) {
  return g->distance <= 10 ? 1 : exp(-(g->distance - 10) / 1000);
}

const celslm_channel celslm_channel_rma = {
    .name = "rma",
    .summary = "rural macro, TR 38.901 table 7.4.1-1, 0.5-30 GHz",
    .loss = loss,
    .los_probability = los_probability,
    .shadow_std = celslm_rural_shadow_std,
    .min_distance = 10,
    .max_distance = 10000,
    .min_carrier = 0.5e9,
    .max_carrier = 30e9,
    .h_bs = 35,
    .h_ut = 1.5,
    .decorrelation = {37, 120, 120},
    .los_correlation = 60,
    .rician_mean = 7,
    .rician_std = 4,
};
