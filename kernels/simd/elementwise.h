/* elementwise.h - epilogues and what else works element by element. */
#ifndef CELSLM_KERNELS_SIMD_ELEMENTWISE_H
#define CELSLM_KERNELS_SIMD_ELEMENTWISE_H

#include <string.h>

#include "kernels/isa.h"
#include "kernels/simd/vec.h"

INLINE vf v_silu(vf x) {
  vf e = v_exp2(v_mul(x, v_set1(-1.44269504f)));
  return v_div(x, v_add(e, v_set1(1.0f)));
}

/* Tanh form: x/2 * (1 + tanh(u)) = x * (1 - 1/(exp(2u) + 1)), u = sqrt(2/pi) (x + 0.044715 x^3). */
INLINE vf v_gelu(vf x) {
  vf u = v_mul(x, v_fma(v_mul(x, x), v_set1(0.044715f), v_set1(1.0f)));
  vf e = v_exp2(v_mul(u, v_set1(2.0f * 0.797884561f * 1.44269504f)));
  return v_sub(x, v_div(x, v_add(e, v_set1(1.0f))));
}

INLINE vf v_act(vf x, enum celslm_activation act) {
  switch (act) {
  case CELSLM_ACT_RELU:
    return v_max(x, v_zero());
  case CELSLM_ACT_SILU:
    return v_silu(x);
  case CELSLM_ACT_GELU:
    return v_gelu(x);
  case CELSLM_ACT_NONE:
    break;
  }
  return x;
}

INLINE vf v_epilogue(vf x, const float *bias, enum celslm_activation act, const float *gate,
                     const float *residual) {
  if (bias) x = v_add(x, v_load(bias));
  x = v_act(x, act);
  if (gate) x = v_mul(x, v_silu(v_load(gate)));
  if (residual) x = v_add(x, v_load(residual));
  return x;
}

/* `n` < VW elements in a whole vector, the rest zero. */
INLINE const float *widen(const float *p, int n, float *buffer) {
  if (!p) return NULL;
  memset(buffer, 0, VW * sizeof *buffer);
  memcpy(buffer, p, (size_t)n * sizeof *buffer);
  return buffer;
}

static void simd_epilogue(int rows, int cols, float *c, int64_t ldc, const float *bias,
                          enum celslm_activation act, const float *gate, int64_t ldg,
                          const float *residual, int64_t ldr) {
  for (int i = 0; i < rows; i++) {
    float *y = c + i * ldc;
    const float *g = gate ? gate + i * ldg : NULL, *r = residual ? residual + i * ldr : NULL;
    int j = 0;
    for (; j + VW <= cols; j += VW)
      v_store(y + j, v_epilogue(v_load(y + j), bias ? bias + j : NULL, act, g ? g + j : NULL,
                                r ? r + j : NULL));
    if (j < cols) {
      float t[4][VW];
      int n = cols - j;
      widen(y + j, n, t[0]);
      v_store(t[0], v_epilogue(v_load(t[0]), bias ? widen(bias + j, n, t[1]) : NULL, act,
                               g ? widen(g + j, n, t[2]) : NULL, r ? widen(r + j, n, t[3]) : NULL));
      memcpy(y + j, t[0], (size_t)n * sizeof(float));
    }
  }
}

/* The sum of f over a row, f(x) = x or (x - shift)^2: four vectors of partial sums, then the tail.
 */
INLINE float row_sum(int64_t n, const float *x, const bool square, float shift) {
  vf acc[4], m = v_set1(shift);
  for (int j = 0; j < 4; j++) acc[j] = v_zero();
  int64_t i = 0;
  for (; i + 4 * VW <= n; i += 4 * VW)
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      vf v = v_sub(v_load(x + i + j * VW), m);
      acc[j] = square ? v_fma(v, v, acc[j]) : v_add(acc[j], v);
    }
  float s = v_sum(v_add(v_add(acc[0], acc[1]), v_add(acc[2], acc[3])));
  for (; i < n; i++) s += square ? (x[i] - shift) * (x[i] - shift) : x[i] - shift;
  return s;
}

/* y = (x - shift) * scale * weight + bias (NULL: none). */
INLINE void row_affine(int64_t n, const float *x, float shift, float scale, const float *weight,
                       const float *bias, float *y) {
  vf m = v_set1(shift), f = v_set1(scale);
  int64_t i = 0;
  for (; i + VW <= n; i += VW) {
    vf v = v_mul(v_mul(v_sub(v_load(x + i), m), f), v_load(weight + i));
    v_store(y + i, bias ? v_add(v, v_load(bias + i)) : v);
  }
  for (; i < n; i++) y[i] = (x[i] - shift) * scale * weight[i] + (bias ? bias[i] : 0.0f);
}

static void simd_rmsnorm(int64_t n, const float *x, const float *weight, float eps, float *y) {
  float mean = row_sum(n, x, true, 0.0f) / (float)n;
  row_affine(n, x, 0.0f, 1.0f / __builtin_sqrtf(mean + eps), weight, NULL, y);
}

static void simd_layernorm(int64_t n, const float *x, const float *weight, const float *bias,
                           float eps, float *y) {
  float mean = row_sum(n, x, false, 0.0f) / (float)n;
  float var = row_sum(n, x, true, mean) / (float)n;
  row_affine(n, x, mean, 1.0f / __builtin_sqrtf(var + eps), weight, bias, y);
}

static void simd_silu_gate(int64_t n, const float *gate, const float *up, float *y) {
  int64_t i = 0;
  for (; i + VW <= n; i += VW) v_store(y + i, v_mul(v_silu(v_load(gate + i)), v_load(up + i)));
  if (i < n) {
    float t[2][VW];
    widen(gate + i, (int)(n - i), t[0]);
    widen(up + i, (int)(n - i), t[1]);
    v_store(t[0], v_mul(v_silu(v_load(t[0])), v_load(t[1])));
    memcpy(y + i, t[0], (size_t)(n - i) * sizeof *y);
  }
}

#endif
