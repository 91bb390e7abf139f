/* table.h - kernel times as measured: exact where there is a measurement, linear between them.
 *
 * A table holds three kinds of kernels of 16-bit elements:
 *   gemm     of a matrix n x k, over m rows
 *   prefill  causal attention of a batch of sequences of so many tokens, by heads and KV heads
 *   decode   attention of one query per sequence over a context (the new token included)
 * with heads of 128 elements. What holds of every time in it, and of what is interpolated:
 *   - it is never below the time to read the weights (gemm) or keys and values (decode) from memory
 *     once;
 *   - it does not fall with m, tokens, context or batch.
 * cost/table_build.h makes tables so. Interpolation is linear in the sizes themselves, not in their
 * logs, which is biased upwards: between matrices along k and n, where missing ones are estimated
 * first (nodes.h); between head counts along heads, then KV heads. Beyond the largest m, tokens,
 * context or batch the last slope goes on; beyond the largest n, k or heads the time grows in
 * proportion; below the smallest the smallest stands.
 *
 * In a file (HDF5, through record.h) each kind is a table of rows: the key, `seconds` as smoothed
 * and `measured` as merged; the bandwidth and the source are its provenance. */
#ifndef CELSLM_SCENARIO_TABLE_H
#define CELSLM_SCENARIO_TABLE_H

#include "base/error.h"

#include <stdbool.h>

typedef enum celslm_table_kind {
  CELSLM_TABLE_GEMM,
  CELSLM_TABLE_PREFILL,
  CELSLM_TABLE_DECODE,
  CELSLM_TABLE_KINDS
} celslm_table_kind;
const char *celslm_table_name(celslm_table_kind k);
enum { CELSLM_TABLE_HEAD_SIZE = 128, CELSLM_TABLE_ELEMENT = 2 /* bytes */ };

/* A kind is a set of shapes (a, b) - (n, k) or (KV heads, heads) - in order, each with its points
 * (c, d) in order: c is 0 for gemm and the batch for attention, d is m, tokens or context. */
typedef struct celslm_table_point {
  double a, b, c, d; /* shape and place in it */
  double seconds, measured;
} celslm_table_point;

typedef struct celslm_points { /* of points with one (a, b, c), or of runs with one (a, b) */
  int first, n;
} celslm_points;

typedef struct celslm_grid {
  celslm_table_point *points;
  int n;
  celslm_points *lines; /* of points along d */
  int n_lines;
  celslm_points *shapes; /* of lines */
  int n_shapes;
  double *places; /* the values of d, each once, in order */
  int n_places;
  /* of matrices (nodes.h): each a with each b, and at each of them the seconds at each place */
  double *a, *b, *nodes;
  int n_a, n_b;
  bool *is_measured;
} celslm_grid;

typedef struct celslm_table_profile {
  celslm_grid grids[CELSLM_TABLE_KINDS];
  double bandwidth; /* B/s */
} celslm_table_profile;

/* `notes`: one line on each kind. */
bool celslm_table_save(const celslm_table_profile *t, const char *file, const char *name,
                       const char *source, char *const notes[CELSLM_TABLE_KINDS],
                       celslm_error *err);
celslm_table_profile *celslm_table_load(const char *file, celslm_error *err);
void celslm_table_free(celslm_table_profile *t); /* NULL is allowed */

/* Whether it has kernels of this kind; the lookups below need some. */
bool celslm_table_has(const celslm_table_profile *t, celslm_table_kind k);
double celslm_table_gemm(const celslm_table_profile *t, double m, double n, double k); /* s */
double celslm_table_prefill(const celslm_table_profile *t, double batch, double tokens,
                            double heads, double kv_heads);
double celslm_table_decode(const celslm_table_profile *t, double batch, double context,
                           double heads, double kv_heads);

/* ---- for those who build tables -------------------------------------------------------------- */

/* Sorts the points and finds lines, shapes and places. */
void celslm_grid_order(celslm_grid *g);
void celslm_grid_clear(celslm_grid *g);
/* Seconds along a line at place d: linear, the last slope beyond its end, level before its start.
 */
double celslm_grid_along(const celslm_grid *g, int line, double d);
double celslm_grid_a(const celslm_grid *g, int shape);
double celslm_grid_b(const celslm_grid *g, int shape);
/* The time to read the operands that are cold in a served model: weights, keys and values. */
double celslm_table_cold(const celslm_table_profile *t, celslm_table_kind k,
                         const celslm_table_point *p);
/* What the table says at a point's place. */
double celslm_table_at(const celslm_table_profile *t, celslm_table_kind k,
                       const celslm_table_point *p);

#endif
