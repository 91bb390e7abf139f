/* bench_peers.h - other libraries' matrix products, as far as the benchmark needs them; where a
 * library is not installed, it is left out. */
#ifndef CELSLM_CMD_BENCH_PEERS_H
#define CELSLM_CMD_BENCH_PEERS_H

#include <stdbool.h>
#include <stdint.h>

/* False: not installed. */
bool celslm_dnn_load(void);
bool celslm_blis_load(void);

/* The values of oneDNN's own types. */
enum { CELSLM_DNN_BF16 = 2, CELSLM_DNN_F32 = 3 };

/* Y = X W^T with W in the layout oneDNN asks for. Handles are NULL where it declined. */
typedef struct celslm_dnn_product {
  void *primitive, *src, *weights, *dst;
} celslm_dnn_product;
celslm_dnn_product celslm_dnn_make(int type, int64_t m, int64_t n, int64_t k, float *x, float *w,
                                   float *y);
void celslm_dnn_run(const celslm_dnn_product *p);
void celslm_dnn_drop(celslm_dnn_product *p);

/* BLIS's sgemm with row and column strides; NULL: not loaded. */
typedef void celslm_blis_sgemm(int, int, int64_t, int64_t, int64_t, const float *, const float *,
                               int64_t, int64_t, const float *, int64_t, int64_t, const float *,
                               float *, int64_t, int64_t);
celslm_blis_sgemm *celslm_blis(void);

#endif
