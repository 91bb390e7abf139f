/* transformer.c - runs a transformer: the file reads in the order of the computation. */
#include "kernels/transformer.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/mem.h"
#include "kernels/model.h"

celslm_session *celslm_session_create(const celslm_transformer *t, enum celslm_kdtype kv,
                                      int64_t capacity, const celslm_session *context) {
  celslm_session *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->t = t;
  s->context = context;
  s->start = context ? context->start + celslm_session_length(context) : 0;
  s->kv = calloc((size_t)t->shape.layers, sizeof *s->kv);
  bool ok = s->kv != NULL;
  for (int i = 0; ok && i < t->shape.layers; i++) {
    s->kv[i] = celslm_kv_create(kv, t->shape.kv_heads, t->shape.dim / t->shape.q_heads, capacity);
    ok = s->kv[i] != NULL;
  }
  if (ok) return s;
  celslm_session_free(s);
  return NULL;
}

void celslm_session_free(celslm_session *s) {
  if (!s) return;
  for (int i = 0; s->kv && i < s->t->shape.layers; i++) celslm_kv_free(s->kv[i]);
  free(s->kv);
  free(s);
}

int64_t celslm_session_length(const celslm_session *s) {
  return s->tokens + (s->context ? celslm_session_length(s->context) : 0);
}

const celslm_kv *celslm_session_kv(const celslm_session *s, int l) {
  return s->kv[l];
}

void celslm_session_hold(celslm_session *s, int64_t start, int64_t tokens) {
  if (s->context || s->tokens || start < 0 || tokens < 0 ||
      start + tokens > s->t->shape.max_tokens || tokens > celslm_kv_capacity(s->kv[0]))
    celslm_misuse("session_hold", "not an empty session, or no room for so many tokens there");
  s->start = start;
  s->tokens = tokens;
}

void celslm_session_give(celslm_session *s, int l, const float *k, int64_t ldk, const float *v,
                         int64_t ldv) {
  const celslm_transformer_shape *h = &s->t->shape;
  int hd = h->dim / h->q_heads;
  int64_t n = s->tokens, width = (int64_t)hd * h->kv_heads;
  if (l < 0 || l >= h->layers || celslm_kv_length(s->kv[l]) != 0)
    celslm_misuse("session_give", "no such layer, or it has its KV already");
  if (h->family != CELSLM_FAMILY_LLAMA) {
    celslm_kv_append(s->kv[l], n, k, ldk, v, ldv);
    return;
  }
  float *rotated = celslm_mem_scratch((size_t)(n * width + 1) * sizeof *rotated);
  int32_t *position = celslm_mem_scratch((size_t)(n + 1) * sizeof *position);
  for (int64_t i = 0; i < n; i++) {
    memcpy(rotated + i * width, k + i * ldk, (size_t)width * sizeof *rotated);
    position[i] = (int32_t)(s->start + i);
  }
  celslm_rope(n, h->kv_heads, hd, rotated, width, position, h->rope_base, h->rope_style, false);
  celslm_kv_append(s->kv[l], n, rotated, width, v, ldv);
  celslm_mem_scratch_free(rotated), celslm_mem_scratch_free(position);
}

/* A forward pass: `rows` new tokens of n sequences. */
typedef struct pass {
  const celslm_transformer *t;
  int64_t n, rows;
  celslm_session *const *s;
  const int64_t *count;
  int hd, q, kv;                      /* head size; widths of q and of k (and v) */
  int32_t *position;                  /* [rows] */
  float *x;                           /* [rows][dim], the residual stream */
  float *y;                           /* [rows][dim], normed */
  float *qkv;                         /* [rows][q + 2 kv] */
  float *queries;                     /* [rows][q], dense for attention */
  float *attended, *attended_context; /* [rows][q] */
  float *lse, *lse_context;           /* [rows][q_heads] */
  float *up, *gate;                   /* [rows][hidden] */
  const celslm_trace *trace;          /* nothing wanted: all NULL */
} pass;

/* Leaves [rows][width] of x (row distance ld) in `to`, the trace's [layers][rows][width]. */
static void leave(const pass *p, int l, float *to, const float *x, int64_t ld, int64_t width) {
  if (!to) return;
  for (int64_t i = 0; i < p->rows; i++)
    memcpy(to + (l * p->rows + i) * width, x + i * ld, (size_t)width * sizeof *x);
}

static void norm(const pass *p, int64_t rows, const float *x, const float *weight,
                 const float *bias, float *y) {
  const celslm_transformer_shape *h = &p->t->shape;
  if (h->family == CELSLM_FAMILY_OPT)
    celslm_layernorm(rows, h->dim, x, weight, bias, h->eps, y);
  else
    celslm_rmsnorm(rows, h->dim, x, weight, h->eps, y);
}

/* One token each of `n` neighbours from the i-th on, `row` their first: one step. */
static void attend_tokens(const pass *p, int l, int64_t i, int64_t n, int64_t row) {
  int heads = p->t->shape.q_heads;
  float *q = p->queries + row * p->q, *o = p->attended + row * p->q;
  const celslm_session *context = p->s[i]->context;
  const celslm_kv **kvs = celslm_mem_scratch((size_t)n * sizeof *kvs);
  for (int64_t j = 0; j < n; j++) kvs[j] = p->s[i + j]->kv[l];
  if (context)
    celslm_attention_merged(context->kv[l], kvs, n, heads, q, o, NULL);
  else
    celslm_attention_decode(kvs, n, heads, q, o, NULL);
  celslm_mem_scratch_free(kvs);
}

/* Several new tokens of one sequence: over its own keys, over the context's, and the union. */
static void attend_prompt(const pass *p, int l, int64_t i, int64_t row) {
  int heads = p->t->shape.q_heads;
  int64_t rows = p->count[i];
  float *q = p->queries + row * p->q, *o = p->attended + row * p->q, *lse = p->lse + row * heads;
  const celslm_session *context = p->s[i]->context;
  celslm_attention_prefill(p->s[i]->kv[l], heads, rows, true, q, o, context ? lse : NULL);
  if (!context) return;
  float *other = p->attended_context + row * p->q, *other_lse = p->lse_context + row * heads;
  celslm_attention_shared(context->kv[l], rows, heads, q, other, other_lse);
  celslm_attention_merge(rows * heads, p->hd, other, other_lse, o, lse, o, lse);
}

/* Neighbours with one new token and the same context, or none, take a step together: the context is
 * read once. */
static void attend(const pass *p, int l) {
  for (int64_t i = 0, row = 0; i < p->n;) {
    int64_t n = 0;
    while (i + n < p->n && p->count[i + n] == 1 && p->s[i + n]->context == p->s[i]->context) n++;
    if (n) {
      attend_tokens(p, l, i, n, row);
      i += n;
      row += n;
    } else {
      attend_prompt(p, l, i, row);
      row += p->count[i++];
    }
  }
}

static void attention_block(const pass *p, int l) {
  const celslm_transformer_shape *h = &p->t->shape;
  const layer *w = &p->t->layers[l];
  int64_t width = p->q + 2 * p->kv;
  leave(p, l, p->trace->residual, p->x, h->dim, h->dim);
  norm(p, p->rows, p->x, w->norm1, w->norm1_bias, p->y);
  celslm_gemm(w->qkv, p->rows, p->y, h->dim, p->qkv, width,
              &(celslm_epilogue){.bias = w->qkv_bias});
  float *k = p->qkv + p->q, *v = k + p->kv;
  leave(p, l, p->trace->keys, k, width, p->kv);
  leave(p, l, p->trace->values, v, width, p->kv);
  if (h->family == CELSLM_FAMILY_LLAMA) {
    celslm_rope(p->rows, h->q_heads, p->hd, p->qkv, width, p->position, h->rope_base, h->rope_style,
                false);
    celslm_rope(p->rows, h->kv_heads, p->hd, k, width, p->position, h->rope_base, h->rope_style,
                false);
  }
  for (int64_t i = 0; i < p->rows; i++)
    memcpy(p->queries + i * p->q, p->qkv + i * width, (size_t)p->q * sizeof *p->qkv);
  for (int64_t i = 0, row = 0; i < p->n; row += p->count[i++])
    celslm_kv_append(p->s[i]->kv[l], p->count[i], k + row * width, width, v + row * width, width);
  attend(p, l);
  leave(p, l, p->trace->attended, p->attended, p->q, p->q);
  celslm_gemm(w->out, p->rows, p->attended, p->q, p->x, h->dim,
              &(celslm_epilogue){.bias = w->out_bias, .residual = p->x, .ldr = h->dim});
}

static void mlp_block(const pass *p, int l) {
  const celslm_transformer_shape *h = &p->t->shape;
  const layer *w = &p->t->layers[l];
  norm(p, p->rows, p->x, w->norm2, w->norm2_bias, p->y);
  if (w->gate) {
    celslm_gemm(w->gate, p->rows, p->y, h->dim, p->gate, h->hidden, NULL);
    celslm_gemm(w->up, p->rows, p->y, h->dim, p->up, h->hidden,
                &(celslm_epilogue){.gate = p->gate, .ldg = h->hidden});
  } else {
    celslm_gemm(w->up, p->rows, p->y, h->dim, p->up, h->hidden,
                &(celslm_epilogue){.bias = w->up_bias, .act = CELSLM_ACT_RELU});
  }
  celslm_gemm(w->down, p->rows, p->up, h->hidden, p->x, h->dim,
              &(celslm_epilogue){.bias = w->down_bias, .residual = p->x, .ldr = h->dim});
}

/* The last token of each sequence, gathered and turned into logits. */
static void head(const pass *p, float *logits) {
  const celslm_transformer_shape *h = &p->t->shape;
  size_t d = (size_t)h->dim;
  for (int64_t i = 0, row = 0; i < p->n; i++) {
    row += p->count[i];
    memcpy(p->queries + i * h->dim, p->x + (row - 1) * h->dim, d * sizeof *p->x);
  }
  norm(p, p->n, p->queries, p->t->norm, p->t->norm_bias, p->y);
  celslm_gemm(p->t->head, p->n, p->y, h->dim, logits, h->vocabulary, NULL);
}

static void every_head(const pass *p) {
  const celslm_transformer_shape *h = &p->t->shape;
  norm(p, p->rows, p->x, p->t->norm, p->t->norm_bias, p->y);
  celslm_gemm(p->t->head, p->rows, p->y, h->dim, p->trace->logits, h->vocabulary, NULL);
}

static void start(const pass *p, const int32_t *tokens) {
  const celslm_transformer_shape *h = &p->t->shape;
  for (int64_t i = 0, row = 0; i < p->n; i++) {
    int64_t at = p->s[i]->start + p->s[i]->tokens;
    if (p->count[i] < 1 || at + p->count[i] > h->max_tokens)
      celslm_misuse("transformer_forward", "no tokens, or more than the model's context");
    for (int64_t j = 0; j < p->count[i]; j++) p->position[row++] = (int32_t)(at + j);
  }
  for (int64_t i = 0; i < p->rows; i++)
    if (tokens[i] < 0 || tokens[i] >= h->vocabulary)
      celslm_misuse("transformer_forward", "token outside the vocabulary");
  celslm_embed(p->rows, h->dim, p->t->embedding, tokens, p->x);
  if (!p->t->positions) return;
  celslm_embed(p->rows, h->dim, p->t->positions, p->position, p->y);
  for (int64_t i = 0; i < p->rows * h->dim; i++) p->x[i] += p->y[i];
}

void celslm_transformer_forward(const celslm_transformer *t, int64_t n, celslm_session *const *s,
                                const int64_t *count, const int32_t *tokens, float *logits) {
  static const celslm_trace nothing = {0};
  celslm_transformer_trace(t, n, s, count, tokens, logits, &nothing);
}

void celslm_transformer_trace(const celslm_transformer *t, int64_t n, celslm_session *const *s,
                              const int64_t *count, const int32_t *tokens, float *logits,
                              const celslm_trace *trace) {
  const celslm_transformer_shape *h = &t->shape;
  if (n < 1) return;
  pass p = {.t = t,
            .n = n,
            .s = s,
            .count = count,
            .hd = h->dim / h->q_heads,
            .q = h->dim,
            .trace = trace};
  p.kv = p.hd * h->kv_heads;
  for (int64_t i = 0; i < n; i++) p.rows += count[i];
  int64_t per_row = 2 * h->dim + 4 * p.q + 2 * p.kv + 2 * h->q_heads + 2 * h->hidden;
  float *room = celslm_mem_scratch((size_t)(p.rows * per_row) * sizeof *room);
  p.position = celslm_mem_scratch((size_t)p.rows * sizeof *p.position);
  p.x = room;
  p.y = p.x + p.rows * h->dim;
  p.qkv = p.y + p.rows * h->dim;
  p.queries = p.qkv + p.rows * (p.q + 2 * p.kv);
  p.attended = p.queries + p.rows * p.q;
  p.attended_context = p.attended + p.rows * p.q;
  p.lse = p.attended_context + p.rows * p.q;
  p.lse_context = p.lse + p.rows * h->q_heads;
  p.up = p.lse_context + p.rows * h->q_heads;
  p.gate = p.up + p.rows * h->hidden;
  start(&p, tokens);
  for (int l = 0; l < h->layers; l++) {
    attention_block(&p, l);
    mlp_block(&p, l);
  }
  for (int64_t i = 0; i < n; i++) s[i]->tokens += count[i];
  if (trace->logits) every_head(&p);
  if (logits) head(&p, logits);
  celslm_mem_scratch_free(p.position);
  celslm_mem_scratch_free(room);
}
