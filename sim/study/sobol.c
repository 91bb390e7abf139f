#include "study/sobol.h"

#include "base/error.h"

#include <gsl/gsl_qrng.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>

void celslm_sobol_places(size_t k, size_t n, double *places) {
  gsl_qrng *q = gsl_qrng_alloc(gsl_qrng_sobol, (unsigned)(2 * k));
  size_t points = n * (k + 2);
  double ab[2 * CELSLM_SOBOL_MOST];
  for (size_t j = 0; j < n; j++) {
    gsl_qrng_get(q, ab);
    for (size_t i = 0; i < k; i++) {
      double *row = places + i * points + j * (k + 2);
      row[0] = ab[i];
      row[1] = ab[k + i];
      for (size_t m = 0; m < k; m++) row[2 + m] = m == i ? ab[k + i] : ab[i];
    }
  }
  gsl_qrng_free(q);
}

/* Mean of the terms over the divisor, and half of its 95 % interval. */
static double mean_of(const double *terms, size_t n, double divisor, double *half) {
  *half = n > 1 ? 1.959964 * gsl_stats_sd(terms, 1, n) / sqrt((double)n) / divisor : NAN;
  return n ? gsl_stats_mean(terms, 1, n) / divisor : NAN;
}

void celslm_sobol_indices(size_t k, size_t n, const double *results, celslm_index_pair *indices) {
  double *both = celslm_alloc(2 * n, sizeof *both), *alone = celslm_alloc(n, sizeof *alone),
         *part = celslm_alloc(n, sizeof *part);
  size_t *known = celslm_alloc(n, sizeof *known), m = 0;
  for (size_t j = 0; j < n; j++) {
    const double *f = results + j * (k + 2);
    bool all = true;
    for (size_t p = 0; p < k + 2; p++) all = all && isfinite(f[p]);
    if (!all) continue;
    both[2 * m] = f[0];
    both[2 * m + 1] = f[1];
    known[m++] = j;
  }
  double v = m > 1 ? gsl_stats_variance(both, 1, 2 * m) : NAN;
  if (!(v > 0)) v = NAN; /* nothing varies: there are no shares */
  for (size_t i = 0; i < k; i++) {
    for (size_t j = 0; j < m; j++) {
      const double *f = results + known[j] * (k + 2);
      alone[j] = (f[1] - f[2 + i]) * (f[1] - f[2 + i]);
      part[j] = (f[0] - f[2 + i]) * (f[0] - f[2 + i]);
    }
    indices[i].first = 1 - mean_of(alone, m, 2 * v, &indices[i].first_half);
    indices[i].total = mean_of(part, m, 2 * v, &indices[i].total_half);
  }
  free(both), free(alone), free(part), free(known);
}
