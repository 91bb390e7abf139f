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

/* One more value of a mean, as gsl_stats_mean takes it in: no sum that overflows or loses. */
static inline void take_in(long double *mean, double value, size_t n_before) {
  *mean += (value - *mean) / (long double)(n_before + 1);
}

celslm_estimate celslm_batch_means(const double *values, size_t n, size_t batches, double level) {
  double *known = known_values(values, &n);
  bool enough = batches >= 2 && n / 2 >= batches;
  if (!enough) batches = 1;
  double *means = celslm_alloc(batches, sizeof *means);
  size_t length = n / batches, longer = n % batches; /* the first `longer` have one more */
  long double all = 0;
  for (size_t i = 0, from = 0, own; i < batches; i++, from += own) {
    long double mean = 0;
    own = length + (i < longer);
    for (size_t k = 0; k < own; k++) { /* both divisions at a time */
      take_in(&all, known[from + k], from + k);
      take_in(&mean, known[from + k], k);
    }
    means[i] = (double)mean;
  }
  celslm_estimate e = {n ? (double)all : NAN, NAN, NAN};
  if (enough) {
    double error = gsl_stats_sd(means, 1, batches) / sqrt((double)batches);
    double half = gsl_cdf_tdist_Pinv((1 + level) / 2, (double)(batches - 1)) * error;
    e.low = e.mean - half;
    e.high = e.mean + half;
  }
  free(means);
  free(known);
  return e;
}

/* As gsl_stats_quantile_from_sorted_data, without sorting: GSL's sort is a heap sort, and the
 * summary of a short run would spend more time in it than the run. None before `from` is greater
 * than one from there on, and so it is for the index returned. */
static size_t quantile(double *values, size_t n, size_t from, double q, double *out) {
  double at = q * (double)(n - 1);
  size_t below = (size_t)at;
  if (below < from) from = 0;
  double low = gsl_stats_select(values + from, 1, n - from, below - from);
  *out = low;
  if (below == n - 1) return below;
  double next = gsl_stats_min(values + below + 1, 1, n - below - 1), part = at - (double)below;
  *out = (1 - part) * low + part * next;
  return below;
}

void celslm_quantiles(const double *values, size_t n, const double *q, size_t n_q, double *out) {
  double *known = known_values(values, &n);
  size_t from = 0;
  for (size_t i = 0; i < n_q; i++) {
    out[i] = NAN;
    if (n) from = quantile(known, n, from, q[i], &out[i]);
  }
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
