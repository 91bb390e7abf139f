/* table.h - kernel times as measured: exact where there is a measurement, linear between them.
 *
 * A table holds three kinds of kernels of 16-bit elements:
 *   gemm     of a matrix n x k, over m rows
 *   prefill  causal attention of a batch of sequences of so many tokens, by heads and KV heads
 *   decode   attention of one query per sequence over a context (the new token included)
 * What holds of every time in it, and of what is interpolated (but not extrapolated in n, k,
 * heads):
 *   - it is never below the time to read the weights (gemm) or keys and values (decode) from memory
 *     once: measurements that found them in a cache are raised to it;
 *   - it does not fall with m, tokens, context or batch: noise that does is smoothed by isotonic
 *     regression, pooling adjacent violators (M. Ayer et al., Ann. Math. Stat. 26, 1955).
 * Building reports how many points each of these moved. Interpolation is linear in the sizes
 * themselves, not in their logs, which is biased upwards: between matrices first along k, in which
 * time is nearly affine, then along n; between head counts along heads, then KV heads. Beyond the
 * largest m, tokens, context or batch the last slope goes on; beyond the largest n, k or heads the
 * time grows in proportion; below the smallest the smallest stands.
 *
 * In a file (HDF5, through record.h) each kind is a table of rows: the key, `seconds` as smoothed
 * and `measured` as merged; the bandwidth, the source and the report are its provenance. */
#ifndef CELSLM_COST_TABLE_H
#define CELSLM_COST_TABLE_H

#include "cost/measured.h"

typedef enum celslm_table_kind {
  CELSLM_TABLE_GEMM,
  CELSLM_TABLE_PREFILL,
  CELSLM_TABLE_DECODE,
  CELSLM_TABLE_KINDS
} celslm_table_kind;
const char *celslm_table_name(celslm_table_kind k);

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

typedef struct celslm_table_profile celslm_table_profile;

/* A table of all that was measured; `report` has one entry for each kind. `bandwidth`: B/s. */
celslm_table_profile *celslm_table_build(const celslm_measured *m, double bandwidth,
                                         celslm_table_report report[CELSLM_TABLE_KINDS],
                                         celslm_error *err);
bool celslm_table_save(const celslm_table_profile *t, const char *file, const char *name,
                       const char *source, const celslm_table_report *report, celslm_error *err);
celslm_table_profile *celslm_table_load(const char *file, celslm_error *err);
void celslm_table_free(celslm_table_profile *t); /* NULL is allowed */

/* Whether it has kernels of this kind; the lookups below need some. */
bool celslm_table_has(const celslm_table_profile *t, celslm_table_kind k);
double celslm_table_gemm(const celslm_table_profile *t, double m, double n, double k); /* s */
double celslm_table_prefill(const celslm_table_profile *t, double batch, double tokens,
                            double heads, double kv_heads);
double celslm_table_decode(const celslm_table_profile *t, double batch, double context,
                           double heads, double kv_heads);

/* Isotonic regression of n values with weights: the nearest non-decreasing ones by least squares,
 * in place. Returns how many moved. */
int celslm_isotonic(double *values, const double *weights, int n);

#endif
