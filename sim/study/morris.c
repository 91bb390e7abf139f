#include "study/morris.h"

#include "base/error.h"
#include "base/rng.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

static const double step = 2.0 / 3;

void celslm_morris_places(size_t k, size_t r, uint64_t seed, double *places) {
  gsl_rng *rng = celslm_rng(seed, "morris");
  size_t *order = celslm_alloc(k, sizeof *order), n = r * (k + 1);
  double *at = celslm_alloc(k, sizeof *at);
  for (size_t t = 0; t < r; t++) {
    for (size_t i = 0; i < k; i++) {
      order[i] = i;
      at[i] = (double)gsl_rng_uniform_int(rng, 4) / 3;
    }
    gsl_ran_shuffle(rng, order, k, sizeof *order);
    for (size_t s = 0; s <= k; s++) {
      if (s) { /* the way that stays inside */
        double *x = &at[order[s - 1]];
        *x += *x < 0.5 ? step : -step;
      }
      for (size_t i = 0; i < k; i++) places[i * n + t * (k + 1) + s] = fmin(1, fmax(0, at[i]));
    }
  }
  free(at);
  free(order);
  gsl_rng_free(rng);
}

void celslm_morris_effects(size_t k, size_t r, const double *places, const double *results,
                           celslm_effect *effects) {
  size_t n = r * (k + 1);
  double *values = celslm_alloc(r, sizeof *values);
  for (size_t i = 0; i < k; i++) {
    size_t known = 0;
    double sum = 0;
    for (size_t p = 0; p + 1 < n; p++) {
      if (p % (k + 1) == k) continue; /* the next point begins another trajectory */
      double change = places[i * n + p + 1] - places[i * n + p];
      double effect = (results[p + 1] - results[p]) / change;
      if (fabs(change) < step / 2 || !isfinite(effect)) continue;
      values[known++] = effect;
      sum += fabs(effect);
    }
    effects[i].mu_star = known ? sum / (double)known : NAN;
    effects[i].sigma = known > 1 ? gsl_stats_sd(values, 1, known) : NAN;
  }
  free(values);
}
