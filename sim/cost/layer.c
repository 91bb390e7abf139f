/* layer.c - times a whole layer (see layer.h). */
#include "cost/layer.h"

#include "cost/operands.h"

#include <math.h>
#include <stdlib.h>

struct celslm_layer {
  celslm_layer_shape shape;
  celslm_layer_case *cases;
  int n;
  celslm_operands *operands;
  celslm_packed *qkv, *output, *gate, *up, *down; /* gate: NULL if there is none */
  celslm_kv ***kv;                                /* [n][sequences] */
  /* activations; q: the queries, dense; position: of each token */
  float *scale; /* [hidden], the norms': with it random weights give numbers of order one */
  float *x, *norm, *wide, *q, *attended, *gated, *ffn;
  int32_t *position;
  celslm_packed *tiny; /* a product that wakes the threads */
  double last;         /* when the weights were last used */
  double *times;       /* [n][CELSLM_MOST_TIMES], of which `taken` [n] are filled */
  int *taken;
  int repeats; /* -1: not warm yet */
};

static int64_t largest(int64_t a, int64_t b) {
  return a > b ? a : b;
}

static int64_t query_width(const celslm_layer_shape *h) {
  return (int64_t)h->q_heads * h->head_dim;
}

static int64_t qkv_width(const celslm_layer_shape *h) {
  return query_width(h) + 2 * (int64_t)h->kv_heads * h->head_dim;
}

static int64_t sequences(const celslm_layer_case *c) {
  return c->decode ? c->tokens : 1;
}

static int64_t most_tokens(const celslm_layer_case *cases, int n) {
  int64_t most = 8; /* rows of the product that wakes the threads */
  for (int i = 0; i < n; i++) most = largest(most, cases[i].tokens);
  return most;
}

int64_t celslm_layer_needs(const celslm_layer_shape *h, const celslm_layer_case *cases, int n) {
  int64_t widest = largest(h->ffn, largest(qkv_width(h), h->hidden));
  return widest * largest(widest == h->hidden ? widest : h->hidden, most_tokens(cases, n));
}

/* ---- one run --------------------------------------------------------------------------------- */

/* Rotates queries and keys, appends, attends. The products wrote q, k, v side by side. */
static void attend(celslm_layer *l, int i) {
  const celslm_layer_case *c = &l->cases[i];
  const celslm_layer_shape *h = &l->shape;
  int64_t w = qkv_width(h), queries = query_width(h), n = c->tokens;
  float *k = l->wide + queries, *v = k + (int64_t)h->kv_heads * h->head_dim;
  celslm_rope(n, h->q_heads + h->kv_heads, h->head_dim, l->wide, w, l->position, 1e6,
              CELSLM_ROPE_HALF, false);
  for (int64_t t = 0; t < n; t++)
    for (int64_t j = 0; j < queries; j++) l->q[t * queries + j] = l->wide[t * w + j];
  if (c->decode) {
    for (int64_t j = 0; j < n; j++) celslm_kv_append(l->kv[i][j], 1, k + j * w, w, v + j * w, w);
    celslm_attention_decode((const celslm_kv *const *)l->kv[i], n, h->q_heads, l->q, l->attended,
                            NULL);
  } else {
    celslm_kv_append(l->kv[i][0], n, k, w, v, w);
    celslm_attention_prefill(l->kv[i][0], h->q_heads, n, true, l->q, l->attended, NULL);
  }
}

static double run(celslm_layer *l, int i, bool *worthless) {
  const celslm_layer_case *c = &l->cases[i];
  const celslm_layer_shape *h = &l->shape;
  const float *weight = l->scale;
  int64_t m = c->tokens, d = h->hidden, f = h->ffn;
  celslm_epilogue add = {.residual = l->x, .ldr = d};
  celslm_epilogue times_gate = {.gate = l->gated, .ldg = f}, relu = {.act = CELSLM_ACT_RELU};
  celslm_watch watch = celslm_watch_start();
  celslm_rmsnorm(m, d, l->x, weight, 1e-6f, l->norm);
  celslm_gemm(l->qkv, m, l->norm, d, l->wide, qkv_width(h), NULL);
  attend(l, i);
  celslm_gemm(l->output, m, l->attended, query_width(h), l->x, d, &add);
  celslm_rmsnorm(m, d, l->x, weight, 1e-6f, l->norm);
  if (l->gate) celslm_gemm(l->gate, m, l->norm, d, l->gated, f, NULL);
  celslm_gemm(l->up, m, l->norm, d, l->ffn, f, l->gate ? &times_gate : &relu);
  celslm_gemm(l->down, m, l->ffn, f, l->x, d, &add);
  double seconds = celslm_watch_stop(&watch, celslm_threads_get(), worthless);
  for (int64_t j = 0; j < sequences(c); j++) celslm_kv_truncate(l->kv[i][j], c->past);
  return seconds;
}

static double time_once(void *self, int i, bool *worthless) {
  celslm_layer *l = self;
  const celslm_layer_case *c = &l->cases[i];
  celslm_operands_cool(l->operands, l->last);
  /* Fresh inputs: hot, as from the layer before, and of the same size in every round. */
  for (int64_t j = 0; j < c->tokens * l->shape.hidden; j++) l->x[j] = l->operands->random[j];
  for (int64_t j = 0; j < c->tokens; j++) l->position[j] = (int32_t)(c->past + (c->decode ? 0 : j));
  celslm_gemm(l->tiny, 8, l->operands->random, 64, l->norm, 64, NULL);
  double seconds = run(l, i, worthless);
  l->last = l->operands->touched;
  return seconds;
}

void celslm_layer_round(celslm_layer *l) {
  if (l->repeats == CELSLM_MOST_REPEATS) return;
  for (int i = 0; i < l->n; i++) {
    double *to = l->times + i * CELSLM_MOST_TIMES + l->taken[i];
    if (l->repeats < 0)
      celslm_measure_best(time_once, l, i);
    else
      l->taken[i] += celslm_measure_several(time_once, l, i, to);
  }
  l->repeats++;
}

/* ---- making and ending ----------------------------------------------------------------------- */

static float *room(int64_t rows, int64_t width) {
  return celslm_machine_block((size_t)rows * (size_t)(width > 64 ? width : 64) * sizeof(float));
}

static bool make_caches(celslm_layer *l) {
  const celslm_layer_shape *h = &l->shape;
  l->kv = celslm_alloc((unsigned long)l->n, sizeof(celslm_kv **));
  for (int i = 0; i < l->n; i++) {
    const celslm_layer_case *c = &l->cases[i];
    l->kv[i] = celslm_alloc((unsigned long)sequences(c), sizeof(celslm_kv *));
    for (int64_t j = 0; j < sequences(c); j++) {
      l->kv[i][j] = celslm_operands_kv(l->operands, h->kv_heads, h->head_dim, c->past,
                                       c->decode ? 1 : c->tokens);
      if (!l->kv[i][j]) return false;
    }
  }
  return true;
}

static bool prepare(celslm_layer *l) {
  const celslm_layer_shape *h = &l->shape;
  const celslm_operands *o = l->operands;
  int64_t rows = most_tokens(l->cases, l->n);
  l->qkv = celslm_operands_matrix(o, qkv_width(h), h->hidden);
  l->output = celslm_operands_matrix(o, h->hidden, query_width(h));
  l->gate = h->gated ? celslm_operands_matrix(o, h->ffn, h->hidden) : NULL;
  l->up = celslm_operands_matrix(o, h->ffn, h->hidden);
  l->down = celslm_operands_matrix(o, h->hidden, h->ffn);
  l->tiny = celslm_operands_matrix(o, 64, 64);
  l->x = room(rows, h->hidden);
  l->scale = room(1, h->hidden);
  for (int64_t i = 0; l->scale && i < h->hidden; i++) l->scale[i] = 1 / sqrtf((float)h->hidden);
  l->norm = room(rows, h->hidden);
  l->wide = room(rows, qkv_width(h));
  l->q = room(rows, query_width(h));
  l->attended = room(rows, query_width(h));
  l->gated = room(rows, h->ffn);
  l->ffn = room(rows, h->ffn);
  l->position = celslm_alloc((unsigned long)rows, sizeof *l->position);
  l->times = celslm_alloc((unsigned long)l->n * CELSLM_MOST_TIMES, sizeof *l->times);
  l->taken = celslm_alloc((unsigned long)l->n, sizeof *l->taken);
  return l->qkv && l->output && (l->gate || !h->gated) && l->up && l->down && l->tiny && l->x &&
         l->scale && l->norm && l->wide && l->q && l->attended && l->gated && l->ffn &&
         make_caches(l);
}

celslm_layer *celslm_layer_new(const celslm_layer_shape *shape, celslm_layer_case *cases, int n,
                               celslm_operands *operands, celslm_error *err) {
  celslm_layer *l = celslm_alloc(1, sizeof *l);
  *l = (celslm_layer){.shape = *shape, .cases = cases, .n = n, .operands = operands, .repeats = -1};
  if (prepare(l)) return l;
  celslm_fail(err, NULL, 0,
              "not enough memory for a layer of the model that is checked; give a "
              "smaller one first (--model)");
  celslm_layer_free(l);
  return NULL;
}

int celslm_layer_finish(celslm_layer *l) {
  for (int i = 0; i < l->n; i++)
    l->cases[i].seconds =
        celslm_middle_spread(l->times + i * CELSLM_MOST_TIMES, l->taken[i], &l->cases[i].spread);
  return l->repeats;
}

void celslm_layer_free(celslm_layer *l) {
  if (!l) return;
  for (int i = 0; l->kv && i < l->n; i++) {
    for (int64_t j = 0; l->kv[i] && j < sequences(&l->cases[i]); j++) celslm_kv_free(l->kv[i][j]);
    free(l->kv[i]);
  }
  free(l->kv);
  celslm_packed *matrices[] = {l->qkv, l->output, l->gate, l->up, l->down, l->tiny};
  for (int i = 0; i < 6; i++) celslm_packed_free(matrices[i]);
  float *activations[] = {l->x, l->scale, l->norm, l->wide, l->q, l->attended, l->gated, l->ffn};
  for (int i = 0; i < 8; i++) free(activations[i]);
  free(l->position);
  free(l->times);
  free(l->taken);
  free(l);
}
