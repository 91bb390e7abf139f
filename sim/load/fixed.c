/* fixed.c - the same length every time. */
#include "load/load.h"

static bool configure(celslm_lengths *l, const celslm_element *e, celslm_error *err) {
  double *p = l->parameters;
  int64_t tokens;
  if (!celslm_element_integer(e, "tokens", 1, 1 << 24, INT64_MIN, &tokens, err)) return false;
  p[0] = (double)tokens;
  return true;
}

static double draw(celslm_lengths *l, gsl_rng *r) {
  const double *p = l->parameters;
  (void)r;
  return p[0];
}

const celslm_distribution celslm_distribution_fixed = {"fixed", "always the same", configure, draw};
