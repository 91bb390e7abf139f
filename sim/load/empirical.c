/* empirical.c - lengths as they stand in a column of a file: rows at random, or one by one. */
#include "load/parts.h"

static bool configure(celslm_lengths *l, const celslm_element *e, celslm_error *err) {
  return celslm_lengths_column(l, e, "column", err);
}

static double draw(celslm_lengths *l, gsl_rng *r) {
  if (l->row < 0) return l->rows[gsl_rng_uniform_int(r, (unsigned long)l->n_rows)];
  return l->rows[l->row++ % l->n_rows];
}

const celslm_distribution celslm_distribution_empirical = {
    "empirical", "column of a CSV file: rows at random, or in order", configure, draw};
