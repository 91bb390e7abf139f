/* estimate.h - means from independent replications, with 99 % intervals, against what theory says.
 */
#ifndef CELSLM_TESTS_SERVE_ESTIMATE_H
#define CELSLM_TESTS_SERVE_ESTIMATE_H

#include <check.h>
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>

enum { RUNS = 16 };

typedef struct estimate {
  double sum, squares;
} estimate;

static inline void add(estimate *e, double value) {
  e->sum += value;
  e->squares += value * value;
}

/* The expected value lies in the interval, and the interval says something: it is less than `share`
 * of it. */
static inline void must_be(const estimate *e, double expected, double share, const char *what,
                           double at) {
  double mean = e->sum / RUNS, deviation = sqrt(fmax(0, e->squares - e->sum * mean) / (RUNS - 1));
  double half = gsl_cdf_tdist_Pinv(0.995, RUNS - 1) * deviation / sqrt(RUNS);
  ck_assert_msg(fabs(mean - expected) <= half, "%s at %g: %g +-%g (99 %%), theory says %g", what,
                at, mean, half, expected);
  ck_assert_msg(half < share * expected, "%s at %g: the interval is too wide: %g of %g", what, at,
                half, expected);
}

static inline int scale(void) {
  return getenv("CELSLM_FULL") ? 10 : 1;
}

#endif
