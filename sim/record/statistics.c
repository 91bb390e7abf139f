/* statistics.c - means with confidence intervals, quantiles and fairness (see statistics.h). */
#include "record/statistics.h"

#include "base/error.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* A copy without the NaN values, in the same order; their number in *n. */
static double *known_values(const double *values, size_t *n) {
  double *known = celslm_alloc(*n, sizeof *known);
  size_t kept = 0;
  for (size_t i = 0; i < *n; i++)
    if (!isnan(values[i])) known[kept++] = values[i];
  *n = kept;
  return known;
}

celslm_estimate celslm_batch_means(const double *values, size_t n, size_t batches, double level) {
  double *known = known_values(values, &n);
  celslm_estimate e = {n ? gsl_stats_mean(known, 1, n) : NAN, NAN, NAN};
  if (batches >= 2 && n / 2 >= batches) {
    double *means = celslm_alloc(batches, sizeof *means);
    size_t length = n / batches, longer = n % batches,
           from = 0; /* the first `longer` have one more */
    for (size_t i = 0; i < batches; i++) {
      size_t own = length + (i < longer);
      means[i] = gsl_stats_mean(known + from, 1, own);
      from += own;
    }
    double error = gsl_stats_sd(means, 1, batches) / sqrt((double)batches);
    double half = gsl_cdf_tdist_Pinv((1 + level) / 2, (double)(batches - 1)) * error;
    e.low = e.mean - half;
    e.high = e.mean + half;
    free(means);
  }
  free(known);
  return e;
}

/* As gsl_stats_quantile_from_sorted_data, without sorting: GSL's sort is a heap sort, and the
 * summary of a short run would spend more time in it than the run. */
static double quantile(double *values, size_t n, double q) {
  double at = q * (double)(n - 1);
  size_t below = (size_t)at;
  double low = gsl_stats_select(values, 1, n, below);
  if (below == n - 1) return low;
  double part = at - (double)below;
  return (1 - part) * low + part * gsl_stats_select(values, 1, n, below + 1);
}

void celslm_quantiles(const double *values, size_t n, const double *q, size_t n_q, double *out) {
  double *known = known_values(values, &n);
  for (size_t i = 0; i < n_q; i++) out[i] = n ? quantile(known, n, q[i]) : NAN;
  free(known);
}

double celslm_quantile(const double *values, size_t n, double q) {
  double out;
  celslm_quantiles(values, n, &q, 1, &out);
  return out;
}

double celslm_jain(const double *values, size_t n) {
  double sum = 0, squares = 0;
  size_t known = 0;
  for (size_t i = 0; i < n; i++) {
    if (isnan(values[i])) continue;
    sum += values[i];
    squares += values[i] * values[i];
    known++;
  }
  if (known == 0) return NAN;
  return squares > 0 ? sum * sum / ((double)known * squares) : 1;
}
