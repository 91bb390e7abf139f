/* uniform.c - every length from min to max is as likely. */
#include "load/load.h"

#include <math.h>

static bool configure(celslm_lengths *l, const celslm_element *e, celslm_error *err) {
  double *p = l->parameters;
  int64_t low, high;
  if (!celslm_element_integer(e, "min", 1, 1 << 24, INT64_MIN, &low, err) ||
      !celslm_element_integer(e, "max", low, 1 << 24, INT64_MIN, &high, err))
    return false;
  p[0] = (double)low;
  p[1] = (double)high;
  return true;
}

static double draw(celslm_lengths *l, gsl_rng *r) {
  const double *p = l->parameters;
  return p[0] + floor(gsl_rng_uniform(r) * (p[1] - p[0] + 1));
}

const celslm_distribution celslm_distribution_uniform = {
    "uniform", "every whole number from min to max as often", configure, draw};
