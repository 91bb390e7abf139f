/* naive_gemm.c - the product as three loops, in double, counting each element and operation where
 * the loop touches it. Every weight is read once: the loop over X's rows is the inner one. */
#include <math.h>
#include <stdlib.h>

#include "kernels/gemm.h"
#include "kernels/half.h"
#include "kernels/mem.h"

static double silu(double x, celslm_work *c) {
  c->flops += 3; /* exp, +, / */
  return x / (1.0 + exp(-x));
}

static double activate(double x, enum celslm_activation act, celslm_work *c) {
  switch (act) {
  case CELSLM_ACT_RELU:
    c->flops += 1;
    return x > 0 ? x : 0;
  case CELSLM_ACT_SILU:
    return silu(x, c);
  case CELSLM_ACT_GELU: {
    double cube = x * x * x, u = 0.7978845608028654 * (x + 0.044715 * cube);
    c->flops += 6; /* the four of u's argument, the factor, tanh */
    c->flops += 3; /* 1 +, * x, / 2 */
    return 0.5 * x * (1.0 + tanh(u));
  }
  case CELSLM_ACT_NONE:
    break;
  }
  return x;
}

celslm_work celslm_naive_gemm(const celslm_packed *w, int64_t m, const float *x, int64_t ldx,
                              float *y, int64_t ldy, const celslm_epilogue *e) {
  celslm_work c = {0};
  double *sum = celslm_mem_scratch((size_t)m * sizeof *sum);
  for (int64_t n = 0; n < w->n; n++) {
    for (int64_t i = 0; i < m; i++) sum[i] = 0;
    for (int64_t p = 0; p < w->k; p++) {
      double weight = celslm_packed_at(w, n, p);
      c.weight_bytes += celslm_kdtype_size(w->dtype);
      if (w->dtype == CELSLM_K_I8 && p % w->group == 0) c.weight_bytes += sizeof(float);
      for (int64_t i = 0; i < m; i++) {
        float value = x[i * ldx + p];
        if (w->dtype == CELSLM_K_BF16) value = bf16_float(float_bf16(value));
        sum[i] += weight * (double)value;
        c.flops += 2;
        if (n == 0) c.activation_bytes += sizeof *x;
      }
    }
    if (e->bias) c.weight_bytes += sizeof *e->bias;
    for (int64_t i = 0; i < m; i++) {
      double v = sum[i];
      if (e->bias) {
        v += (double)e->bias[n];
        c.flops += 1;
      }
      v = activate(v, e->act, &c);
      if (e->gate) {
        v *= silu(e->gate[i * e->ldg + n], &c);
        c.flops += 1;
        c.activation_bytes += sizeof *e->gate;
      }
      if (e->residual) {
        v += (double)e->residual[i * e->ldr + n];
        c.flops += 1;
        c.activation_bytes += sizeof *e->residual;
      }
      y[i * ldy + n] = (float)v;
      c.activation_bytes += sizeof *y;
    }
  }
  celslm_mem_scratch_free(sum);
  return c;
}
