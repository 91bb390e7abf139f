/* layer.c - times whole layers (see layer.h). */
#include "cost/layer.h"

#include "cost/operands.h"

#include <stdlib.h>

enum { MOST_LAYERS = 64 };

typedef struct layer {
  celslm_packed *qkv, *output, *gate, *up, *down; /* gate: NULL if there is none */
  celslm_kv **prefill; /* one per case that prefills, else NULL */
  celslm_kv ***decode; /* sequences per case that decodes, else NULL */
} layer;

struct celslm_layers {
  celslm_layer_shape shape;
  celslm_layer_case *cases;
  int n_cases, n_layers;
  celslm_operands operands;
  layer *layers;
  float *x, *norm, *qkv, *attended, *gate, *ffn; /* activations */
  celslm_packed *tiny;   /* a product that wakes the threads */
  double *times;         /* [n_cases][CELSLM_MOST_REPEATS] */
  int repeats;           /* -1: not warm yet */
  int next;              /* layer */
};

static int64_t width(const celslm_layer_shape *s) {
  return (int64_t)(s->q_heads + 2 * s->kv_heads) * s->head_dim;
}

static bool make_layer(celslm_layers *s, layer *l) {
  const celslm_layer_shape *h = &s->shape;
  const celslm_operands *o = &s->operands;
  int64_t heads = (int64_t)h->q_heads * h->head_dim;
  l->qkv = celslm_operands_matrix(o, width(h), h->hidden);
  l->output = celslm_operands_matrix(o, h->hidden, heads);
  l->gate = h->gated ? celslm_operands_matrix(o, h->ffn, h->hidden) : NULL;
  l->up = celslm_operands_matrix(o, h->ffn, h->hidden);
  l->down = celslm_operands_matrix(o, h->hidden, h->ffn);
  bool ok = l->qkv && l->output && (l->gate || !h->gated) && l->up && l->down;
  l->prefill = celslm_alloc((unsigned long)s->n_cases, sizeof(celslm_kv *));
  l->decode = celslm_alloc((unsigned long)s->n_cases, sizeof(celslm_kv **));
  for (int i = 0; ok && i < s->n_cases; i++) {
    const celslm_layer_case *c = &s->cases[i];
    if (!c->decode) {
      l->prefill[i] = celslm_operands_kv(o, h->kv_heads, h->head_dim, c->past, c->tokens);
      ok = l->prefill[i];
      continue;
    }
    l->decode[i] = celslm_alloc((unsigned long)c->tokens, sizeof(celslm_kv *));
    for (int64_t j = 0; ok && j < c->tokens; j++) {
      l->decode[i][j] = celslm_operands_kv(o, h->kv_heads, h->head_dim, c->past, 1);
      ok = l->decode[i][j];
    }
  }
  return ok;
}

static void clear_layer(const celslm_layers *s, layer *l) {
  celslm_packed_free(l->qkv);
  celslm_packed_free(l->output);
  celslm_packed_free(l->gate);
  celslm_packed_free(l->up);
  celslm_packed_free(l->down);
  for (int i = 0; l->decode && i < s->n_cases; i++) {
    for (int64_t j = 0; l->decode[i] && j < s->cases[i].tokens; j++)
      celslm_kv_free(l->decode[i][j]);
    free(l->decode[i]);
    celslm_kv_free(l->prefill[i]);
  }
  free(l->prefill);
  free(l->decode);
}

/* ---- one layer ---- */

static void attend(celslm_layers *s, const layer *l, int i) {
  const celslm_layer_case *c = &s->cases[i];
  const celslm_layer_shape *h = &s->shape;
  int64_t w = width(h), heads = (int64_t)h->q_heads * h->head_dim;
  const float *k = s->qkv + heads, *v = k + (int64_t)h->kv_heads * h->head_dim;
  /* Queries lie dense for the kernels: a model's product would write them so. */
  const float *q = s->operands.random;
  if (c->decode) {
    for (int64_t j = 0; j < c->tokens; j++)
      celslm_kv_append(l->decode[i][j], 1, k + j * w, w, v + j * w, w);
    celslm_attention_decode((const celslm_kv *const *)l->decode[i], c->tokens, h->q_heads, q,
                            s->attended, NULL);
  } else {
    celslm_kv_append(l->prefill[i], c->tokens, k, w, v, w);
    celslm_attention_prefill(l->prefill[i], h->q_heads, c->tokens, true, q, s->attended, NULL);
  }
}

static double run_layer(celslm_layers *s, const layer *l, int i) {
  const celslm_layer_case *c = &s->cases[i];
  const celslm_layer_shape *h = &s->shape;
  int64_t m = c->tokens, d = h->hidden, f = h->ffn, heads = (int64_t)h->q_heads * h->head_dim;
  celslm_epilogue add = {.residual = s->x, .ldr = d};
  celslm_epilogue times_gate = {.gate = s->gate, .ldg = f}, relu = {.act = CELSLM_ACT_RELU};
  double begun = celslm_machine_now();
  celslm_operands_norm(m, d, s->x, s->operands.random, s->norm);
  celslm_gemm(l->qkv, m, s->norm, d, s->qkv, width(h), NULL);
  attend(s, l, i);
  celslm_gemm(l->output, m, s->attended, heads, s->x, d, &add);
  celslm_operands_norm(m, d, s->x, s->operands.random, s->norm);
  if (l->gate) celslm_gemm(l->gate, m, s->norm, d, s->gate, f, NULL);
  celslm_gemm(l->up, m, s->norm, d, s->ffn, f, l->gate ? &times_gate : &relu);
  celslm_gemm(l->down, m, s->ffn, f, s->x, d, &add);
  double seconds = celslm_machine_now() - begun;
  if (c->decode)
    for (int64_t j = 0; j < m; j++) celslm_kv_truncate(l->decode[i][j], c->past);
  else
    celslm_kv_truncate(l->prefill[i], c->past);
  return seconds;
}

/* Fresh activations, so that numbers do not grow from layer to layer. */
static void refresh(celslm_layers *s, int64_t tokens) {
  int64_t n = tokens * s->shape.hidden;
  for (int64_t i = 0; i < n; i++) s->x[i] = s->operands.random[i];
}

/* ---- all layers ---- */

static bool prepare(celslm_layers *s, const celslm_machine *machine, celslm_error *err) {
  const celslm_layer_shape *h = &s->shape;
  int64_t heads = (int64_t)h->q_heads * h->head_dim, rows = 1;
  for (int i = 0; i < s->n_cases; i++)
    if (s->cases[i].tokens > rows) rows = s->cases[i].tokens;
  int64_t wide = h->ffn > width(h) ? h->ffn : width(h);
  int64_t random = wide * (h->hidden > rows ? h->hidden : rows);
  if (heads * h->hidden > random) random = heads * h->hidden;
  double weights = 4.0 * (double)(width(h) * h->hidden + heads * h->hidden +
                                  (h->gated ? 3 : 2) * h->hidden * h->ffn);
  double cache = machine->cache ? 1.25 * (double)machine->cache : 64e6;
  s->n_layers = (int)(cache / weights) + 2;
  if (s->n_layers > MOST_LAYERS) s->n_layers = MOST_LAYERS;
  if (!celslm_operands_init(&s->operands, random, 4096, err)) return false;
  size_t floats = (size_t)rows;
  s->x = celslm_machine_block(floats * (size_t)h->hidden * sizeof(float));
  s->norm = celslm_machine_block(floats * (size_t)h->hidden * sizeof(float));
  s->qkv = celslm_machine_block(floats * (size_t)width(h) * sizeof(float));
  s->attended = celslm_machine_block(floats * (size_t)heads * sizeof(float));
  s->gate = celslm_machine_block(floats * (size_t)h->ffn * sizeof(float));
  s->ffn = celslm_machine_block(floats * (size_t)h->ffn * sizeof(float));
  s->layers = celslm_alloc((unsigned long)s->n_layers, sizeof *s->layers);
  s->times = celslm_alloc((unsigned long)s->n_cases * CELSLM_MOST_REPEATS, sizeof *s->times);
  s->tiny = celslm_operands_matrix(&s->operands, 64, 64);
  bool ok = s->tiny && s->x && s->norm && s->qkv && s->attended && s->gate && s->ffn;
  for (int i = 0; ok && i < s->n_layers; i++) ok = make_layer(s, &s->layers[i]);
  return ok || celslm_fail(err, NULL, 0, "not enough memory for %d layers of the model that is "
                           "checked; give a smaller one first (--model)", s->n_layers);
}

celslm_layers *celslm_layers_new(const celslm_layer_shape *shape, celslm_layer_case *cases, int n,
                                 const celslm_machine *machine, celslm_error *err) {
  celslm_layers *s = celslm_alloc(1, sizeof *s);
  *s = (celslm_layers){.shape = *shape, .cases = cases, .n_cases = n, .repeats = -1};
  if (prepare(s, machine, err)) return s;
  celslm_layers_free(s);
  return NULL;
}

void celslm_layers_round(celslm_layers *s) {
  if (s->repeats == CELSLM_MOST_REPEATS) return;
  for (int i = 0; i < s->n_cases; i++) {
    refresh(s, s->cases[i].tokens);
    celslm_gemm(s->tiny, 8, s->operands.random, 64, s->norm, 64, NULL);
    double t = run_layer(s, &s->layers[s->next++ % s->n_layers], i);
    if (s->repeats >= 0) s->times[i * CELSLM_MOST_REPEATS + s->repeats] = t;
  }
  s->repeats++;
}

int celslm_layers_finish(celslm_layers *s) {
  for (int i = 0; i < s->n_cases; i++)
    s->cases[i].seconds =
        celslm_median_spread(s->times + i * CELSLM_MOST_REPEATS, s->repeats, &s->cases[i].spread);
  return s->repeats;
}

void celslm_layers_free(celslm_layers *s) {
  if (!s) return;
  for (int i = 0; s->layers && i < s->n_layers; i++) clear_layer(s, &s->layers[i]);
  celslm_packed_free(s->tiny);
  free(s->times);
  free(s->layers);
  free(s->x);
  free(s->norm);
  free(s->qkv);
  free(s->attended);
  free(s->gate);
  free(s->ffn);
  celslm_operands_clear(&s->operands);
  free(s);
}
