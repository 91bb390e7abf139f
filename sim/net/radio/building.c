#include "net/radio/building.h"

#include <gsl/gsl_randist.h>
#include <math.h>

const char *const celslm_wall_names[CELSLM_WALLS + 1] = {"low",    "high",    "high-v19", "low-a",
                                                         "legacy", "nyu-low", "nyu-high", NULL};

/* Two materials, with the losses a and b in dB, side by side; 5 dB for incidence at an angle. */
static double mixed(double share, double a, double b) {
  return 5 - 10 * log10(share * pow(10, -a / 10) + (1 - share) * pow(10, -b / 10));
}

/* Tables 7.4.3-1 and 7.4.3-2; NYU's from the NYUSIM module for ns-3 (a1d4000). */
double celslm_wall_loss(celslm_wall wall, double carrier) {
  double f = carrier * 1e-9;
  double glass = 2 + 0.2 * f, concrete = 5 + 4 * f, plywood = 1.03 + 0.17 * f;
  switch (wall) {
  case CELSLM_WALL_LOW:
    return mixed(0.3, glass, concrete);
  case CELSLM_WALL_HIGH:
    return mixed(0.7, 23 + 0.3 * f, concrete);
  case CELSLM_WALL_HIGH_V19:
    return mixed(0.7, 25.4 + 0.11 * f, concrete);
  case CELSLM_WALL_LOW_A:
    return mixed(0.3, glass, plywood);
  case CELSLM_WALL_LEGACY:
    return 20;
  case CELSLM_WALL_NYU_LOW:
    return 10 * log10(5 + 0.03 * f * f);
  case CELSLM_WALL_NYU_HIGH:
    return 10 * log10(10 + 5 * f * f);
  default:
    return 0;
  }
}

double celslm_wall_std(celslm_wall wall) {
  static const double std[CELSLM_WALLS] = {4.4, 6.5, 6.5, 4.4, 0, 4, 6};
  return std[wall];
}

double celslm_indoor_distance(gsl_rng *r, double depth) {
  double a = gsl_rng_uniform(r), b = gsl_rng_uniform(r);
  return depth * fmin(a, b);
}

double celslm_indoor_loss(double distance) {
  return 0.5 * distance;
}

double celslm_car_loss(bool metallised_windows, gsl_rng *r) {
  return (metallised_windows ? 20 : 9) + gsl_ran_gaussian(r, 5);
}
