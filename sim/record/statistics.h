/* statistics.h - what is said of a sample: mean, quantiles, confidence intervals (GSL). */
#ifndef CELSLM_RECORD_STATISTICS_H
#define CELSLM_RECORD_STATISTICS_H

#include <stddef.h>

typedef struct celslm_estimate {
  double mean, low, high; /* confidence interval of the mean; low = high = NaN if it cannot be had */
} celslm_estimate;

/* Mean with a confidence interval by batch means: `n` values in order of time are cut into
 * `batches` (20 by convention: A. M. Law, "Simulation Modeling and Analysis", section 9.5) of equal
 * length, whose means are taken as independent; Student's t. With fewer than 2 values per batch the
 * interval is NaN. NaN values are left out beforehand. `level` e.g. 0.95. */
celslm_estimate celslm_batch_means(const double *values, size_t n, size_t batches, double level);

/* Sample quantile by linear interpolation (Hyndman and Fan's type 7, as GSL and numpy do). Sorts a copy;
 * ignores NaN; NaN when empty. */
double celslm_quantile(const double *values, size_t n, double q);
/* Several at once from one copy: out[i] for q[i], fastest if these rise. */
void celslm_quantiles(const double *values, size_t n, const double *q, size_t n_q, double *out);

/* Jain's fairness index (sum x)^2 / (n sum x^2) (R. Jain, D. Chiu, W. Hawe, DEC-TR-301, 1984). */
double celslm_jain(const double *values, size_t n);

#endif
