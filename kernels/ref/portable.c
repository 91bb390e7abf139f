/* portable.c - the portable level: every inner loop in plain C, slow and right, the twin that the
 * fast levels are tested against. */
#include <math.h>

#include "kernels/codes.h"
#include "kernels/half.h"
#include "kernels/isa.h"
#include "kernels/quantise.h"
#include "kernels/words.h"

enum { PANEL = 16, ROWS = 4 };

static void pack_rows(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  for (int64_t p = 0; p < k; p++)
    for (int i = 0; i < rows; i++) *a++ = x[i * ldx + p];
}

static void gemm_f32(int rows, int64_t k, const float *a, const float *b, float *c, int64_t ldc,
                     bool load, const celslm_ahead *next) {
  (void)next;
  for (int i = 0; i < rows; i++) {
    float sum[PANEL] = {0};
    for (int64_t p = 0; p < k; p++)
      for (int j = 0; j < PANEL; j++) sum[j] += a[p * rows + i] * b[p * PANEL + j];
    for (int j = 0; j < PANEL; j++) c[i * ldc + j] = sum[j] + (load ? c[i * ldc + j] : 0.0f);
  }
}

static void gemv_f32(int64_t panels, int64_t k, const float *x, const float *b, float *y,
                     bool load) {
  for (int64_t i = 0; i < panels; i++)
    gemm_f32(1, k, x, b + i * k * PANEL, y + i * PANEL, PANEL, load, NULL);
}

static void pack_rows_bf16(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  uint32_t *word = (uint32_t *)(void *)a;
  for (int64_t p = 0; p < k; p += 2)
    for (int i = 0; i < rows; i++) {
      uint32_t low = float_bf16(x[i * ldx + p]);
      uint32_t high = p + 1 < k ? float_bf16(x[i * ldx + p + 1]) : 0;
      *word++ = low | high << 16;
    }
}

static float low(float pair) {
  return bits_float(float_bits(pair) << 16);
}
static float high(float pair) {
  return bits_float(float_bits(pair) & 0xffff0000u);
}

static void gemm_bf16(int rows, int64_t steps, const float *a, const float *b, float *c,
                      int64_t ldc, bool load, const celslm_ahead *next) {
  (void)next;
  for (int i = 0; i < rows; i++) {
    float sum[PANEL] = {0};
    for (int64_t p = 0; p < steps; p++)
      for (int j = 0; j < PANEL; j++) {
        float x = a[p * rows + i], w = b[p * PANEL + j];
        sum[j] += low(x) * low(w) + high(x) * high(w);
      }
    for (int j = 0; j < PANEL; j++) c[i * ldc + j] = sum[j] + (load ? c[i * ldc + j] : 0.0f);
  }
}

static void gemv_bf16(int64_t panels, int64_t steps, const float *x, const float *b, float *y,
                      bool load) {
  for (int64_t i = 0; i < panels; i++)
    gemm_bf16(1, steps, x, b + i * steps * PANEL, y + i * PANEL, PANEL, load, NULL);
}

static void quantise(int64_t k, int64_t group, const float *x, uint32_t *words, float *scales) {
  for (int64_t p = 0; p < k; p += group)
    *scales++ = quantise_group(p + group <= k ? group : k - p, group, x + p, words + p / 4);
}

static void gemm_i8(const celslm_i8_tile *t) {
  for (int i = 0; i < t->rows; i++)
    for (int j = 0; j < PANEL; j++) {
      float total = 0;
      for (int64_t g = 0; g < t->groups; g++) {
        int32_t sum = -t->offset[g * PANEL + j];
        for (int p = 0; p < t->steps; p++) {
          uint32_t x = t->a[(g * t->steps + p) * t->rows + i];
          uint32_t w = t->b[(g * t->steps + p) * PANEL + j];
          for (int byte = 0; byte < 32; byte += 8)
            sum += (int32_t)(x >> byte & 255) * (int8_t)(w >> byte & 255);
        }
        total += (float)sum * (t->xs[g * t->rows + i] * t->ws[g * PANEL + j]);
      }
      t->c[i * t->ldc + j] = total;
    }
}

static void widen_f16(int64_t n, const uint16_t *x, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] = f16_float(x[i]);
}

static void narrow_f16(int64_t n, const float *x, uint16_t *y) {
  for (int64_t i = 0; i < n; i++) y[i] = float_f16(x[i]);
}

static void widen_bf16(int64_t n, const uint16_t *x, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] = bf16_float(x[i]);
}

static void narrow_bf16(int64_t n, const float *x, uint16_t *y) {
  for (int64_t i = 0; i < n; i++) y[i] = float_bf16(x[i]);
}

static void narrow_i8(int64_t rows, int64_t cols, const float *x, float *scale, int8_t *y) {
  for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
    float top = 0;
    for (int64_t i = 0; i < cols; i++) top = fmaxf(top, fabsf(x[i]));
    float inverse = top > 0 ? 127.0f / top : 0;
    scale[r] = top / 127.0f;
    for (int64_t i = 0; i < cols; i++) y[i] = (int8_t)lrintf(x[i] * inverse);
  }
}

static void fill_panel(int rows, int cols, const float *x, int64_t ldx, float *y) {
  for (int d = 0; d < cols; d++)
    for (int i = 0; i < rows; i++) y[d * CELSLM_PANEL + i] = x[i * ldx + d];
}

/* Element d of token i of a panel of words; column d of a token's values. */
static float key_of(enum celslm_kdtype type, const void *panel, int d, int i) {
  return type == CELSLM_K_I8 ? (float)word_key(panel, d, i)
                             : stored_float(type, panel, half_key(d, i));
}

static float value_of(enum celslm_kdtype type, const void *row, int columns, int d) {
  return type == CELSLM_K_I8 ? (float)word_value(row, columns, d)
                             : stored_float(type, row, half_value(columns, d));
}

/* Bytes of a panel of words. */
static int64_t panel_bytes(enum celslm_kdtype type, int dims) {
  return (dims + 1) / 2 * 2 * CELSLM_PANEL * (int64_t)celslm_kdtype_size(type);
}

static void widen_keys(enum celslm_kdtype type, int64_t panels, int dims, const void *x,
                       const float *scale, float *y) {
  for (int64_t p = 0; p < panels; p++)
    for (int d = 0; d < dims; d++) {
      float s = type == CELSLM_K_I8 ? scale[p * dims + d] : 1;
      for (int i = 0; i < CELSLM_PANEL; i++)
        y[(p * dims + d) * CELSLM_PANEL + i] =
            key_of(type, (const char *)x + p * panel_bytes(type, dims), d, i) * s;
    }
}

static void widen_values(enum celslm_kdtype type, int64_t tokens, int columns, const void *x,
                         const float *scale, float *y) {
  int64_t row = columns * (int64_t)celslm_kdtype_size(type);
  for (int64_t t = 0; t < tokens; t++)
    for (int d = 0; d < columns; d++)
      y[t * columns + d] = value_of(type, (const char *)x + t * row, columns, d) *
                           (type == CELSLM_K_I8 ? scale[t] : 1);
}

static float silu(float x) {
  return x / (1.0f + expf(-x));
}

static float activate(float x, enum celslm_activation act) {
  switch (act) {
  case CELSLM_ACT_RELU:
    return x > 0.0f ? x : 0.0f;
  case CELSLM_ACT_SILU:
    return silu(x);
  case CELSLM_ACT_GELU:
    return 0.5f * x * (1.0f + tanhf(0.797884561f * (x + 0.044715f * x * x * x)));
  case CELSLM_ACT_NONE:
    break;
  }
  return x;
}

static void epilogue(int rows, int cols, float *c, int64_t ldc, const float *bias,
                     enum celslm_activation act, const float *gate, int64_t ldg,
                     const float *residual, int64_t ldr) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) {
      float y = c[i * ldc + j];
      if (bias) y += bias[j];
      y = activate(y, act);
      if (gate) y *= silu(gate[i * ldg + j]);
      if (residual) y += residual[i * ldr + j];
      c[i * ldc + j] = y;
    }
}

/* Dimension d of token j's key, column d of its value, unscaled. */
static float key(const celslm_attn_tile *t, int j, int d) {
  int panel = j / CELSLM_PANEL, i = j % CELSLM_PANEL;
  if (t->type == CELSLM_K_F32)
    return ((const float *)t->k)[((int64_t)panel * t->head_dim + d) * CELSLM_PANEL + i];
  return key_of(t->type, (const char *)t->k + panel * panel_bytes(t->type, t->head_dim), d, i);
}

static float value(const celslm_attn_tile *t, int j, int d) {
  int64_t at = (int64_t)j * t->value_dim;
  if (t->type == CELSLM_K_F32) return ((const float *)t->v)[at + d];
  return value_of(t->type, (const char *)t->v + at * (int64_t)celslm_kdtype_size(t->type),
                  t->value_dim, d);
}

static void attention(const celslm_attn_tile *t) {
  for (int i = 0; i < t->rows; i++) {
    int limit = t->limit[i] < t->tokens ? t->limit[i] : t->tokens;
    float *s = t->scores + i * CELSLM_CHUNK, *o = t->o + (int64_t)i * t->value_dim, m = t->m[i];
    for (int j = 0; j < limit; j++) {
      int64_t channel = (int64_t)(j / CELSLM_PANEL) * t->head_dim; /* of the panel */
      s[j] = 0.0f;
      for (int d = 0; d < t->head_dim; d++) {
        float k = key(t, j, d);
        if (t->type == CELSLM_K_I8) k *= t->k_scale[channel + d];
        s[j] += t->q[d * t->rows + i] * k;
      }
      if (s[j] > m) m = s[j];
    }
    float scale = exp2f(t->m[i] - m), l = t->l[i] * scale;
    for (int d = 0; d < t->value_dim; d++) o[d] *= scale;
    for (int j = 0; j < limit; j++) {
      float p = exp2f(s[j] - m);
      l += p;
      if (t->type == CELSLM_K_I8) p *= t->v_scale[j];
      for (int d = 0; d < t->value_dim; d++) o[d] += p * value(t, j, d);
    }
    t->m[i] = m;
    t->l[i] = l;
  }
}

static void rmsnorm(int64_t n, const float *x, const float *weight, float eps, float *y) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
  float scale = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
  for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale * weight[i];
}

static void layernorm(int64_t n, const float *x, const float *weight, const float *bias, float eps,
                      float *y) {
  double sum = 0, square = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i];
  double mean = sum / (double)n;
  for (int64_t i = 0; i < n; i++) square += ((double)x[i] - mean) * ((double)x[i] - mean);
  double scale = 1.0 / sqrt(square / (double)n + (double)eps);
  for (int64_t i = 0; i < n; i++)
    y[i] = (float)(((double)x[i] - mean) * scale) * weight[i] + bias[i];
}

static void silu_gate(int64_t n, const float *gate, const float *up, float *y) {
  for (int64_t i = 0; i < n; i++) y[i] = silu(gate[i]) * up[i];
}

const celslm_isa celslm_isa_portable = {
    .name = "portable",
    .panel = PANEL,
    .rows = ROWS,
    .attn_rows = ROWS,
    .narrow_rows = ROWS,
    .pack_rows = pack_rows,
    .gemm_f32 = gemm_f32,
    .gemv_f32 = gemv_f32,
    .pack_rows_bf16 = pack_rows_bf16,
    .words_bf16 = 1,
    .gemm_bf16 = gemm_bf16,
    .gemv_bf16 = gemv_bf16,
    .quantise = quantise,
    .gemm_i8 = gemm_i8,
    .widen_f16 = widen_f16,
    .narrow_f16 = narrow_f16,
    .widen_bf16 = widen_bf16,
    .widen_keys = widen_keys,
    .widen_values = widen_values,
    .narrow_bf16 = narrow_bf16,
    .narrow_i8 = narrow_i8,
    .fill_panel = fill_panel,
    .epilogue = epilogue,
    .attention = attention,
    .rmsnorm = rmsnorm,
    .layernorm = layernorm,
    .silu_gate = silu_gate,
    .codes = CELSLM_CODES,
};
