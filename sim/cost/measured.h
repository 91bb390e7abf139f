/* measured.h - kernel times that others measured, read from a folder of CSV tables.
 *
 * Two layouts, told apart by the files; times are in microseconds, elements have 16 bits:
 *   by operation (as NVIDIA AIConfigurator publishes):
 *     gemm.csv               m,n,k,time_us
 *     prefill_attention.csv  batch,tokens,heads,kv_heads,time_us       causal, head size 128
 *     decode_attention.csv   batch,context,heads,kv_heads,time_us      (or as a column head_dim
 * says) allreduce.csv          gpus,bytes_as_published,time_us           16-bit elements by our
 * reading by layer of one model (as the LLMServingSim profiler writes): dense.csv
 * layer,tokens,time_us per_sequence.csv       layer,sequences,time_us                   lm_head
 *     attention.csv          prefill_chunk,kv_prefill,n_decode,kv_decode,time_us
 * Any of the files may be missing, but not all. FLOPs and bytes are counted as model/ops.h does.
 * Repeated measurements of one operation are merged: their median stands (for all-reduces the
 * lowest: one of the two published methods pays an eager launch). */
#ifndef CELSLM_COST_MEASURED_H
#define CELSLM_COST_MEASURED_H

#include "scenario/profile.h"

typedef struct celslm_kernel {
  /* gemm: n k m; attention: heads, KV heads, batch, tokens (prefill) or context with the new token
   * (decode); elementwise: layer, tokens */
  double key[4];
  double past; /* earlier tokens of a prefill */
  double flops, bytes, rows, seconds;
  double appended; /* B of new keys and values, where that is told apart; else 0 */
  int shape;       /* kernels of one shape are held out together */
} celslm_kernel;

typedef struct celslm_kernels {
  celslm_kernel *at; /* ordered by shape, then key */
  int n, shapes;
  int repeated;           /* measurements that were merged into others */
  const char *shape_name; /* what a shape is: "(n,k) shapes" */
  char *file;
} celslm_kernels;

typedef struct celslm_allreduce {
  double devices, bytes, seconds;
} celslm_allreduce;

typedef struct celslm_measured {
  celslm_kernels curves[CELSLM_CURVES];
  celslm_allreduce *allreduce;
  int n_allreduce;
} celslm_measured;

/* `model` gives the sizes of the second layout; it may be NULL if there is none. NULL on failure.
 */
celslm_measured *celslm_measured_open(const char *folder, const celslm_model *model,
                                      celslm_error *err);
void celslm_measured_close(celslm_measured *t); /* NULL is allowed */

#endif
