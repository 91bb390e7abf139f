#include "share/states.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const celslm_source_names[] = {"kv", "residual", "normed", NULL};

celslm_states celslm_states_read(const celslm_transformer *t, int64_t n, const int32_t *tokens) {
  const celslm_transformer_shape *h = celslm_transformer_shape_of(t);
  celslm_states s = {.tokens = n,
                     .layers = h->layers,
                     .dim = h->dim,
                     .kv_width = h->dim / h->q_heads * h->kv_heads};
  unsigned long rows = (unsigned long)(s.layers * n);
  s.residual = celslm_alloc(rows * (unsigned long)s.dim, sizeof *s.residual);
  s.keys = celslm_alloc(rows * (unsigned long)s.kv_width, sizeof *s.keys);
  s.values = celslm_alloc(rows * (unsigned long)s.kv_width, sizeof *s.values);
  celslm_session *session = celslm_session_create(t, CELSLM_K_F32, n, NULL);
  celslm_trace trace = {.residual = s.residual, .keys = s.keys, .values = s.values};
  celslm_transformer_trace(t, 1, &session, &n, tokens, NULL, &trace);
  celslm_session_free(session);
  return s;
}

void celslm_states_free(celslm_states *s) {
  free(s->residual), free(s->keys), free(s->values), free(s->attended), free(s->logits);
  *s = (celslm_states){0};
}

int celslm_source_width(celslm_source source, const celslm_transformer_shape *h) {
  return source == CELSLM_SOURCE_KV ? 2 * (h->dim / h->q_heads * h->kv_heads) : h->dim;
}

void celslm_states_source(const celslm_states *s, celslm_source source, int layer, float *x,
                          int64_t ld) {
  size_t p = (size_t)s->kv_width, d = (size_t)s->dim;
  for (int64_t i = 0; i < s->tokens; i++, x += ld) {
    size_t row = (size_t)(layer * s->tokens + i);
    if (source == CELSLM_SOURCE_KV) {
      memcpy(x, s->keys + row * p, p * sizeof *x);
      memcpy(x + p, s->values + row * p, p * sizeof *x);
      continue;
    }
    const float *r = s->residual + row * d;
    double square = 0;
    for (size_t j = 0; j < d; j++) square += (double)r[j] * (double)r[j];
    float scale = source == CELSLM_SOURCE_NORMED ? (float)(1 / sqrt(square / (double)d + 1e-5)) : 1;
    for (size_t j = 0; j < d; j++) x[j] = r[j] * scale;
  }
}

celslm_transformer *celslm_load_checkpoint(const char *path, celslm_error *err) {
  char why[512];
  celslm_transformer *t = celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why);
  if (!t) celslm_fail(err, NULL, 0, "%s; a llama2.c checkpoint is needed", why);
  return t;
}
