/* fixed.c - the same length every time. */
#include "load/load.h"

static bool configure(double p[4], const celslm_element *e, celslm_error *err) {
  int64_t tokens;
  if (!celslm_element_integer(e, "tokens", 1, 1 << 24, INT64_MIN, &tokens, err)) return false;
  p[0] = (double)tokens;
  return true;
}

static double draw(const double p[4], gsl_rng *r) {
  (void)r;
  return p[0];
}

const celslm_distribution celslm_distribution_fixed = {"fixed", configure, draw};
