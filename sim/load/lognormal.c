/* lognormal.c - lengths of many a real load: given by mean and coefficient of variation of the
 * whole distribution, then clipped to [min, max]. */
#include "load/load.h"

#include <gsl/gsl_randist.h>
#include <math.h>

static bool configure(celslm_lengths *l, const celslm_element *e, celslm_error *err) {
  double *p = l->parameters;
  double mean, cv;
  int64_t low, high;
  if (!celslm_element_quantity(e, "mean", CELSLM_UNIT_NUMBER, 1, 1e7, NAN, &mean, err) ||
      !celslm_element_quantity(e, "cv", CELSLM_UNIT_NUMBER, 1e-6, 100, NAN, &cv, err) ||
      !celslm_element_integer(e, "min", 1, 1 << 24, 1, &low, err) ||
      !celslm_element_integer(e, "max", low, 1 << 24, 1 << 24, &high, err))
    return false;
  double variance = log1p(cv * cv);
  p[0] = log(mean) - variance / 2;
  p[1] = sqrt(variance);
  p[2] = (double)low;
  p[3] = (double)high;
  return true;
}

static double draw(celslm_lengths *l, gsl_rng *r) {
  const double *p = l->parameters;
  return fmin(fmax(gsl_ran_lognormal(r, p[0], p[1]), p[2]), p[3]);
}

const celslm_distribution celslm_distribution_lognormal = {
    "lognormal", "by mean and cv, then moved into [min, max]", configure, draw};
