#include "net/radio/field.h"

#include "base/error.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

double celslm_walk_step(celslm_walk *w, double moved, double correlation, gsl_rng *r) {
  double fresh = gsl_ran_gaussian(r, 1);
  double rho = w->begun ? exp(-fabs(moved) / correlation) : 0;
  w->begun = true;
  return w->value = rho * w->value + sqrt(1 - rho * rho) * fresh;
}

/* A sum of plane waves of random direction, phase and wave number. The power spectrum of
 * exp(-x/d) in the plane is that of wave numbers k with P(k < K) = 1 - 1/sqrt(1 + (K d)^2); it is
 * drawn by inversion. Each realisation is stationary; over realisations the correlation is exact
 * for any number of waves, and the values are normal in the limit of many. */
enum { WAVES = 256 };

struct celslm_field { /* turns/m, turns/m, turns */
  double x[WAVES], y[WAVES], phase[WAVES];
};

celslm_field *celslm_field_new(double correlation, gsl_rng *r) {
  celslm_field *f = celslm_alloc(1, sizeof *f);
  const double turn = 2 * 3.14159265358979323846;
  for (int i = 0; i < WAVES; i++) {
    double tail = gsl_rng_uniform_pos(r); /* P(k > K) */
    double k = sqrt(1 / (tail * tail) - 1) / correlation;
    double direction = turn * gsl_rng_uniform(r);
    f->x[i] = k * cos(direction) / turn;
    f->y[i] = k * sin(direction) / turn;
    f->phase[i] = gsl_rng_uniform(r);
  }
  return f;
}

void celslm_field_free(celslm_field *f) {
  free(f);
}

/* cos of so many turns, |turns| < 2^50, good to 2e-11; without branches, so that compilers make
 * vectors of it: users who move ask often. 1 - 2 sin^2 of half the angle, its Taylor series. */
static inline double cos_turns(double turns) {
  const double round = 0x1.8p52, pi = 3.14159265358979323846;
  double x = pi * (turns - ((turns + round) - round)), q = x * x;
  double series = 1 - q / 156 * (1 - q / 210);
  series = 1 - q / 42 * (1 - q / 72 * (1 - q / 110 * series));
  double s = x * (1 - q / 6 * (1 - q / 20 * series));
  return 1 - 2 * s * s;
}

double celslm_field_at(const celslm_field *f, double x, double y) {
  double sum = 0;
  for (int i = 0; i < WAVES; i++) sum += cos_turns(f->x[i] * x + f->y[i] * y + f->phase[i]);
  return sum * sqrt(2.0 / WAVES);
}

double celslm_uniform_of(double normal) {
  return gsl_cdf_ugaussian_P(normal);
}

bool celslm_in_sight(double normal, double los_probability) {
  return celslm_uniform_of(normal) < los_probability;
}

double celslm_between_sites(double common, double own, double correlation) {
  return sqrt(correlation) * common + sqrt(1 - correlation) * own;
}
