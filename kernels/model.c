/* model.c - makes transformers out of tensors or of random numbers. Owns the weights. */
#include "kernels/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where random weights come from, in the order they are asked for. */
typedef struct source {
  uint64_t state;
  bool failed;
} source;

/* xorshift64* (Vigna), four uniforms summed: about normal, variance 1. */
static float random_value(source *s) {
  double sum = 0;
  for (int i = 0; i < 4; i++) {
    s->state ^= s->state >> 12;
    s->state ^= s->state << 25;
    s->state ^= s->state >> 27;
    sum += (double)((s->state * 0x2545F4914F6CDD1Du) >> 11) * 0x1p-53 - 0.5;
  }
  return (float)(sum * 1.7320508075688772);
}

/* n floats, base + scale * random. Free with free(). */
static float *take(source *s, int64_t n, float base, float scale) {
  float *p = calloc((size_t)n, sizeof *p);
  if (!p) {
    s->failed = true;
    return NULL;
  }
  for (int64_t i = 0; i < n; i++) p[i] = base + scale * random_value(s);
  return p;
}

static celslm_packed *pack(bool *failed, enum celslm_kdtype t, int64_t n, int64_t k,
                           const float *w) {
  celslm_packed *p = w ? celslm_pack(t, n, k, w, k, 0) : NULL;
  *failed |= !p;
  return p;
}

static int kv_width(const celslm_transformer_shape *s) {
  return s->dim / s->q_heads * s->kv_heads;
}

const char *celslm_transformer_senseless(const celslm_transformer_shape *s) {
  enum { MOST = 1 << 20 };
  if (s->layers < 1 || s->layers > 1024 || s->dim < 1 || s->dim > MOST || s->hidden < 1 ||
      s->hidden > MOST || s->vocabulary < 1 || s->vocabulary > 1 << 22 || s->max_tokens < 1)
    return "a dimension is out of range";
  if (s->q_heads < 1 || s->kv_heads < 1 || s->dim % s->q_heads || s->q_heads % s->kv_heads)
    return "the heads do not divide the width";
  if (s->dim / s->q_heads > 256 || s->dim / s->q_heads % 2) return "the head size is not supported";
  return NULL;
}

static celslm_transformer *blank(const celslm_transformer_shape *shape) {
  celslm_transformer *t = calloc(1, sizeof *t);
  if (t) t->layers = calloc((size_t)shape->layers, sizeof *t->layers);
  if (!t || !t->layers) {
    free(t);
    return NULL;
  }
  t->shape = *shape;
  return t;
}

static float *copy(bool *failed, const float *x, int64_t n) {
  float *p = calloc((size_t)n, sizeof *p);
  if (p)
    memcpy(p, x, (size_t)n * sizeof *p);
  else
    *failed = true;
  return p;
}

/* q, k and v of a layer become one matrix. */
celslm_transformer *celslm_transformer_assemble(const celslm_transformer_shape *h,
                                                enum celslm_kdtype type, const celslm_tensors *x) {
  celslm_transformer *t = blank(h);
  if (!t) return NULL;
  int64_t d = h->dim, f = h->hidden, kv = kv_width(h), rows = d + 2 * kv;
  bool failed = false;
  float *joined = calloc((size_t)(rows * d), sizeof *joined);
  failed = !joined;
  for (int64_t i = 0; i < h->layers && !failed; i++) {
    layer *l = &t->layers[i];
    memcpy(joined, x->q + i * d * d, (size_t)(d * d) * sizeof *joined);
    memcpy(joined + d * d, x->k + i * kv * d, (size_t)(kv * d) * sizeof *joined);
    memcpy(joined + (d + kv) * d, x->v + i * kv * d, (size_t)(kv * d) * sizeof *joined);
    l->qkv = pack(&failed, type, rows, d, joined);
    l->out = pack(&failed, type, d, d, x->out + i * d * d);
    l->gate = pack(&failed, type, f, d, x->gate + i * f * d);
    l->down = pack(&failed, type, d, f, x->down + i * d * f);
    l->up = pack(&failed, type, f, d, x->up + i * f * d);
    l->norm1 = copy(&failed, x->norm1 + i * d, d);
    l->norm2 = copy(&failed, x->norm2 + i * d, d);
  }
  t->embedding = copy(&failed, x->embedding, h->vocabulary * d);
  t->norm = copy(&failed, x->norm, d);
  t->head = pack(&failed, type, h->vocabulary, d, x->head ? x->head : x->embedding);
  free(joined);
  if (!failed) return t;
  celslm_transformer_free(t);
  return NULL;
}

static celslm_packed *random_packed(source *s, enum celslm_kdtype t, int64_t n, int64_t k) {
  float *w = take(s, n * k, 0, 1.0f / sqrtf((float)k));
  celslm_packed *p = pack(&s->failed, t, n, k, w);
  free(w);
  return p;
}

celslm_transformer *celslm_transformer_random(const celslm_transformer_shape *shape,
                                              enum celslm_kdtype weights, uint64_t seed) {
  source s = {.state = seed * 0x9E3779B97F4A7C15u + 1};
  celslm_transformer *t = celslm_transformer_senseless(shape) ? NULL : blank(shape);
  if (!t) return NULL;
  bool opt = shape->family == CELSLM_FAMILY_OPT;
  int64_t d = shape->dim, f = shape->hidden, rows = d + 2 * kv_width(shape);
  t->embedding = take(&s, shape->vocabulary * d, 0, 1);
  t->norm = take(&s, d, 1, 0.1f);
  t->head = random_packed(&s, weights, shape->vocabulary, d);
  if (opt) {
    t->positions = take(&s, shape->max_tokens * d, 0, 0.1f);
    t->norm_bias = take(&s, d, 0, 0.1f);
  }
  for (int i = 0; i < shape->layers; i++) {
    layer *l = &t->layers[i];
    l->qkv = random_packed(&s, weights, rows, d);
    l->out = random_packed(&s, weights, d, d);
    l->up = random_packed(&s, weights, f, d);
    l->down = random_packed(&s, weights, d, f);
    l->norm1 = take(&s, d, 1, 0.1f);
    l->norm2 = take(&s, d, 1, 0.1f);
    if (opt) {
      l->norm1_bias = take(&s, d, 0, 0.1f), l->norm2_bias = take(&s, d, 0, 0.1f);
      l->qkv_bias = take(&s, rows, 0, 0.1f), l->out_bias = take(&s, d, 0, 0.1f);
      l->up_bias = take(&s, f, 0, 0.1f), l->down_bias = take(&s, d, 0, 0.1f);
    } else {
      l->gate = random_packed(&s, weights, f, d);
    }
  }
  if (s.failed) {
    celslm_transformer_free(t);
    return NULL;
  }
  return t;
}

void celslm_transformer_free(celslm_transformer *t) {
  if (!t) return;
  for (int i = 0; i < t->shape.layers; i++) {
    layer *l = &t->layers[i];
    celslm_packed *packed[] = {l->qkv, l->out, l->gate, l->up, l->down};
    float *plain[] = {l->norm1,    l->norm2,    l->norm1_bias, l->norm2_bias,
                      l->qkv_bias, l->out_bias, l->up_bias,    l->down_bias};
    for (size_t j = 0; j < sizeof packed / sizeof *packed; j++) celslm_packed_free(packed[j]);
    for (size_t j = 0; j < sizeof plain / sizeof *plain; j++) free(plain[j]);
  }
  free(t->embedding), free(t->positions), free(t->norm), free(t->norm_bias);
  celslm_packed_free(t->head);
  free(t->layers);
  free(t);
}

const celslm_transformer_shape *celslm_transformer_shape_of(const celslm_transformer *t) {
  return &t->shape;
}
