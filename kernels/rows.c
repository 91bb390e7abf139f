/* rows.c - what lies between the products and works row by row: norms, rotary positions, gate,
 * embedding, sampling. Rows are shared out among threads; a row is one thread's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/isa.h"
#include "kernels/mem.h"
#include "kernels/ref/naive.h"

/* Threads for work of so many elements: starting them costs more than small rows are worth. */
static int threads_for(int64_t elements) {
  return elements < (1 << 15) ? 1 : celslm_threads_get();
}

void celslm_rmsnorm(int64_t m, int64_t n, const float *x, const float *weight, float eps,
                    float *y) {
  celslm_span span = celslm_span_begin();
  celslm_work w = {0};
  if (celslm_counting()) {
    w = celslm_naive_rmsnorm(m, n, x, weight, eps, y);
  } else {
    const celslm_isa *isa = celslm_isa_current();
    int threads = threads_for(m * n);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < m; i++) isa->rmsnorm(n, x + i * n, weight, eps, y + i * n);
    w.flops = 4 * (uint64_t)(m * n);
    w.weight_bytes = 4 * (uint64_t)n;
    w.activation_bytes = 8 * (uint64_t)(m * n);
  }
  celslm_span_report(span, CELSLM_KOP_RMSNORM, m, n, 0, w);
}

void celslm_layernorm(int64_t m, int64_t n, const float *x, const float *weight, const float *bias,
                      float eps, float *y) {
  celslm_span span = celslm_span_begin();
  celslm_work w = {0};
  if (celslm_counting()) {
    w = celslm_naive_layernorm(m, n, x, weight, bias, eps, y);
  } else {
    const celslm_isa *isa = celslm_isa_current();
    int threads = threads_for(m * n);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < m; i++) isa->layernorm(n, x + i * n, weight, bias, eps, y + i * n);
    w.flops = 7 * (uint64_t)(m * n);
    w.weight_bytes = 8 * (uint64_t)n;
    w.activation_bytes = 8 * (uint64_t)(m * n);
  }
  celslm_span_report(span, CELSLM_KOP_LAYERNORM, m, n, 0, w);
}

/* Angles in double: positions reach 10^5, where f32 would lose the fast-turning pairs. */
static void rope_angles(int pairs, int32_t position, const double *frequency, bool inverse,
                        float *c, float *s) {
  for (int i = 0; i < pairs; i++) {
    double angle = position * frequency[i], sine, cosine;
    sincos(angle, &sine, &cosine);
    c[i] = (float)cosine;
    s[i] = (float)(inverse ? -sine : sine);
  }
}

/* One head: element i turns with element i + apart, `step` from pair to pair. */
static void rope_head(int pairs, int step, int apart, float *x, const float *c, const float *s) {
  for (int i = 0; i < pairs; i++) {
    float *a = x + i * step, *b = a + apart;
    float u = *a * c[i] - *b * s[i], v = *a * s[i] + *b * c[i];
    *a = u;
    *b = v;
  }
}

void celslm_rope(int64_t m, int heads, int head_dim, float *x, int64_t ldx, const int32_t *position,
                 double base, enum celslm_rope_style style, bool inverse) {
  if (head_dim < 2 || head_dim % 2 || head_dim > CELSLM_MAX_HEAD)
    celslm_misuse("rope", "head size must be even");
  celslm_span span = celslm_span_begin();
  bool counting = celslm_counting(), half = style == CELSLM_ROPE_HALF;
  celslm_work w = {0};
  int threads = counting ? 1 : threads_for(m * heads * head_dim), pairs = head_dim / 2;
  double frequency[CELSLM_MAX_HEAD / 2];
  for (int i = 0; i < pairs; i++) frequency[i] = pow(base, -2.0 * i / head_dim);
#pragma omp parallel for num_threads(threads) if (threads > 1)
  for (int64_t t = 0; t < m; t++) {
    float c[CELSLM_MAX_HEAD / 2], s[CELSLM_MAX_HEAD / 2];
    rope_angles(pairs, position[t], frequency, inverse, c, s);
    for (int h = 0; h < heads; h++) {
      float *row = x + t * ldx + h * head_dim;
      if (half) /* two calls, so that each is compiled for its strides */
        rope_head(pairs, 1, pairs, row, c, s);
      else
        rope_head(pairs, 2, 1, row, c, s);
      for (int i = 0; counting && i < pairs; i++) {
        w.flops += 6;
        w.activation_bytes += 4 * sizeof(float);
      }
    }
  }
  if (!counting) {
    w.flops = 3 * (uint64_t)(m * heads * head_dim);
    w.activation_bytes = 8 * (uint64_t)(m * heads * head_dim);
  }
  celslm_span_report(span, CELSLM_KOP_ROPE, m, heads, head_dim, w);
}

void celslm_silu_gate(int64_t m, int64_t n, const float *gate, int64_t ldg, const float *up,
                      int64_t ldu, float *y, int64_t ldy) {
  celslm_span span = celslm_span_begin();
  celslm_work w = {0};
  if (celslm_counting()) {
    w = celslm_naive_silu_gate(m, n, gate, ldg, up, ldu, y, ldy);
  } else {
    const celslm_isa *isa = celslm_isa_current();
    int threads = threads_for(m * n);
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < m; i++) isa->silu_gate(n, gate + i * ldg, up + i * ldu, y + i * ldy);
    w.flops = 4 * (uint64_t)(m * n);
    w.activation_bytes = 12 * (uint64_t)(m * n);
  }
  celslm_span_report(span, CELSLM_KOP_SILU_GATE, m, n, 0, w);
}

void celslm_embed(int64_t m, int64_t n, const float *table, const int32_t *token, float *y) {
  celslm_span span = celslm_span_begin();
  celslm_work w = {0};
  bool counting = celslm_counting();
  for (int64_t i = 0; i < m; i++) {
    memcpy(y + i * n, table + token[i] * n, (size_t)n * sizeof *y);
    for (int64_t j = 0; counting && j < n; j++) {
      w.weight_bytes += sizeof *table;
      w.activation_bytes += sizeof *y;
    }
  }
  if (!counting) w.weight_bytes = w.activation_bytes = 4 * (uint64_t)(m * n);
  celslm_span_report(span, CELSLM_KOP_EMBED, m, n, 0, w);
}

typedef struct candidate {
  double weight;
  int32_t token;
} candidate;

/* Larger weight first; of equal ones the smaller token, so that the choice is the same everywhere.
 */
static int by_weight(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->weight != y->weight) return x->weight < y->weight ? 1 : -1;
  return (x->token > y->token) - (x->token < y->token);
}

static int32_t draw(int64_t n, const float *logits, float temperature, int top_k, double u,
                    float top) {
  candidate *c = celslm_mem_scratch((size_t)n * sizeof *c);
  for (int64_t i = 0; i < n; i++)
    c[i] = (candidate){exp(((double)logits[i] - (double)top) / (double)temperature), (int32_t)i};
  int64_t kept = top_k > 0 && top_k < n ? top_k : n;
  if (kept < n) qsort(c, (size_t)n, sizeof *c, by_weight);
  double sum = 0, at = 0;
  for (int64_t i = 0; i < kept; i++) sum += c[i].weight;
  int32_t token = c[kept - 1].token;
  for (int64_t i = 0; i < kept; i++) {
    at += c[i].weight;
    if (u * sum < at) {
      token = c[i].token;
      break;
    }
  }
  celslm_mem_scratch_free(c);
  return token;
}

int32_t celslm_sample(int64_t n, const float *logits, float temperature, int top_k, double u) {
  celslm_span span = celslm_span_begin();
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++)
    if (logits[i] > logits[best]) best = i;
  int32_t token = (int32_t)best;
  if (temperature > 0) token = draw(n, logits, temperature, top_k, u, logits[best]);
  celslm_work w = {.activation_bytes = 4 * (uint64_t)n};
  celslm_span_report(span, CELSLM_KOP_SAMPLE, 1, n, 0, w);
  return token;
}
