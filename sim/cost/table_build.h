/* table_build.h - from measured kernels to a table of times (scenario/table.h).
 *
 * Two repairs make of measurements what the table promises:
 *   - those that found their weights, keys or values in a cache are raised to the time of reading
 *     them from memory;
 *   - noise that falls with m, tokens, context or batch is smoothed by isotonic regression, pooling
 *     adjacent violators (M. Ayer et al., Ann. Math. Stat. 26, 1955).
 * Building reports how many points each of them moved. */
#ifndef CELSLM_COST_TABLE_BUILD_H
#define CELSLM_COST_TABLE_BUILD_H

#include "cost/measured.h"
#include "scenario/table.h"

typedef struct celslm_table_report { /* of one kind */
  int points, shapes;
  int repeated;      /* measurements merged into others by their median */
  int raised;        /* points raised to the memory's time */
  int smoothed;      /* points moved by isotonic regression */
  double moved_most; /* the largest relative change by it */
  /* every fourth inner shape (matrix, head count) predicted from the others */
  int held_shapes, held_points;
  double held_median, held_p95; /* against the point as the table would hold it */
  double held_large_median;     /* of matrices with n and k of at least 512; NaN: none */
  double held_raw_median;       /* against the measurement, raised but not smoothed */
} celslm_table_report;

/* A table of all that was measured; `report` has one entry for each kind. `bandwidth`: B/s. */
celslm_table_profile *celslm_table_build(const celslm_measured *m, double bandwidth,
                                         celslm_table_report report[CELSLM_TABLE_KINDS],
                                         celslm_error *err);

/* Isotonic regression of n values with weights: the nearest non-decreasing ones by least squares,
 * in place. Returns how many moved. */
int celslm_isotonic(double *values, const double *weights, int n);

#endif
