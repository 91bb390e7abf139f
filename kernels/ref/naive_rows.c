/* naive_rows.c - norms and gate as their formulas, in double. Work that is done once per row (the
 * division by n, the root) is not counted: it is not per element. Weights are read once per call.
 */
#include <math.h>

#include "kernels/ref/naive.h"

celslm_work celslm_naive_rmsnorm(int64_t m, int64_t n, const float *x, const float *weight,
                                 float eps, float *y) {
  celslm_work c = {0};
  for (int64_t i = 0; i < m; i++) {
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
      sum += (double)x[i * n + j] * (double)x[i * n + j];
      c.flops += 2;
      c.activation_bytes += sizeof *x;
    }
    double scale = 1.0 / sqrt(sum / (double)n + (double)eps);
    for (int64_t j = 0; j < n; j++) {
      y[i * n + j] = (float)((double)x[i * n + j] * scale * (double)weight[j]);
      c.flops += 2;
      c.activation_bytes += sizeof *y;
      if (i == 0) c.weight_bytes += sizeof *weight;
    }
  }
  return c;
}

celslm_work celslm_naive_layernorm(int64_t m, int64_t n, const float *x, const float *weight,
                                   const float *bias, float eps, float *y) {
  celslm_work c = {0};
  for (int64_t i = 0; i < m; i++) {
    double sum = 0, square = 0;
    for (int64_t j = 0; j < n; j++) {
      sum += (double)x[i * n + j];
      c.flops += 1;
      c.activation_bytes += sizeof *x;
    }
    double mean = sum / (double)n;
    for (int64_t j = 0; j < n; j++) {
      double d = (double)x[i * n + j] - mean; /* kept: the last loop does not subtract again */
      square += d * d;
      c.flops += 3;
    }
    double scale = 1.0 / sqrt(square / (double)n + (double)eps);
    for (int64_t j = 0; j < n; j++) {
      double d = (double)x[i * n + j] - mean;
      y[i * n + j] = (float)(d * scale * (double)weight[j] + (double)bias[j]);
      c.flops += 3;
      c.activation_bytes += sizeof *y;
      if (i == 0) c.weight_bytes += sizeof *weight + sizeof *bias;
    }
  }
  return c;
}

celslm_work celslm_naive_silu_gate(int64_t m, int64_t n, const float *gate, int64_t ldg,
                                   const float *up, int64_t ldu, float *y, int64_t ldy) {
  celslm_work c = {0};
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double g = gate[i * ldg + j];
      y[i * ldy + j] = (float)(g / (1.0 + exp(-g)) * (double)up[i * ldu + j]);
      c.flops += 4; /* exp, +, /, * */
      c.activation_bytes += sizeof *gate + sizeof *up + sizeof *y;
    }
  return c;
}
