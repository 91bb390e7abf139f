/* naive.h - the naive twins of the row operations: double precision, work counted in their loops.
 */
#ifndef CELSLM_KERNELS_REF_NAIVE_H
#define CELSLM_KERNELS_REF_NAIVE_H

#include "kernels/kernels.h"

celslm_work celslm_naive_rmsnorm(int64_t m, int64_t n, const float *x, const float *weight,
                                 float eps, float *y);
celslm_work celslm_naive_layernorm(int64_t m, int64_t n, const float *x, const float *weight,
                                   const float *bias, float eps, float *y);
celslm_work celslm_naive_silu_gate(int64_t m, int64_t n, const float *gate, int64_t ldg,
                                   const float *up, int64_t ldu, float *y, int64_t ldy);

#endif
