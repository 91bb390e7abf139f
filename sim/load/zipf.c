/* zipf.c - lengths k from min to max in proportion to 1/k^s, by Walker's alias method (GSL). */
#include "load/load.h"

#include <math.h>
#include <stdlib.h>

enum { MOST = 1 << 20 }; /* values: 24 bytes each */

static bool configure(celslm_lengths *l, const celslm_element *e, celslm_error *err) {
  int64_t low, high;
  double s;
  if (!celslm_element_quantity(e, "s", CELSLM_UNIT_NUMBER, 0, 100, NAN, &s, err) ||
      !celslm_element_integer(e, "min", 1, 1 << 24, 1, &low, err) ||
      !celslm_element_integer(e, "max", low, low + MOST - 1, INT64_MIN, &high, err))
    return false;
  size_t n = (size_t)(high - low) + 1;
  double *weights = celslm_alloc(n, sizeof *weights);
  for (size_t i = 0; i < n; i++) weights[i] = pow(1 + (double)i / (double)low, -s);
  l->choice = gsl_ran_discrete_preproc(n, weights);
  l->parameters[0] = (double)low;
  free(weights);
  return true;
}

static double draw(celslm_lengths *l, gsl_rng *r) {
  return l->parameters[0] + (double)gsl_ran_discrete(r, l->choice);
}

const celslm_distribution celslm_distribution_zipf = {
    "zipf", "k from min to max in proportion to 1/k^s", configure, draw};
