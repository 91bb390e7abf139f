/* model.c - makes transformers: from a llama2.c checkpoint or from random numbers. Owns the
 * weights. */
#include "kernels/model.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/mem.h"

/* Where weights come from, in the order they are asked for. */
typedef struct source {
  FILE *file; /* NULL: random */
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

/* n floats: read, or base + scale * random. Free with free(). */
static float *take(source *s, int64_t n, float base, float scale) {
  float *p = celslm_mem_big((size_t)n * sizeof *p);
  if (!p) {
    s->failed = true;
    return NULL;
  }
  if (s->file)
    s->failed |= fread(p, sizeof *p, (size_t)n, s->file) != (size_t)n;
  else
    for (int64_t i = 0; i < n; i++) p[i] = base + scale * random_value(s);
  return p;
}

static celslm_packed *pack(source *s, enum celslm_kdtype t, int64_t n, int64_t k, const float *w) {
  celslm_packed *p = w ? celslm_pack(t, n, k, w, k, 0) : NULL;
  s->failed |= !p;
  return p;
}

static int kv_width(const celslm_transformer_shape *s) {
  return s->dim / s->q_heads * s->kv_heads;
}

static const char *senseless(const celslm_transformer_shape *s) {
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

/* The checkpoint has one tensor of all layers after the other; q, k and v of a layer become one
 * matrix. */
static void read_layers(celslm_transformer *t, source *s, enum celslm_kdtype type) {
  const celslm_transformer_shape *h = &t->shape;
  int64_t d = h->dim, f = h->hidden, kv = kv_width(h), n = h->layers, rows = d + 2 * kv;
  float *norm1 = take(s, n * d, 1, 0), *q = take(s, n * d * d, 0, 0),
        *k = take(s, n * kv * d, 0, 0), *v = take(s, n * kv * d, 0, 0),
        *out = take(s, n * d * d, 0, 0), *norm2 = take(s, n * d, 1, 0),
        *gate = take(s, n * f * d, 0, 0), *down = take(s, n * d * f, 0, 0),
        *up = take(s, n * f * d, 0, 0), *joined = celslm_mem_big((size_t)(rows * d) * sizeof *q);
  for (int64_t i = 0; i < n && !s->failed && joined; i++) {
    layer *l = &t->layers[i];
    memcpy(joined, q + i * d * d, (size_t)(d * d) * sizeof *q);
    memcpy(joined + d * d, k + i * kv * d, (size_t)(kv * d) * sizeof *q);
    memcpy(joined + (d + kv) * d, v + i * kv * d, (size_t)(kv * d) * sizeof *q);
    l->qkv = pack(s, type, rows, d, joined);
    l->out = pack(s, type, d, d, out + i * d * d);
    l->gate = pack(s, type, f, d, gate + i * f * d);
    l->down = pack(s, type, d, f, down + i * d * f);
    l->up = pack(s, type, f, d, up + i * f * d);
    l->norm1 = celslm_mem_scratch((size_t)d * sizeof *q);
    l->norm2 = celslm_mem_scratch((size_t)d * sizeof *q);
    memcpy(l->norm1, norm1 + i * d, (size_t)d * sizeof *q);
    memcpy(l->norm2, norm2 + i * d, (size_t)d * sizeof *q);
  }
  s->failed |= !joined;
  free(norm1), free(q), free(k), free(v), free(out), free(norm2), free(gate), free(down), free(up);
  free(joined);
}

__attribute__((format(printf, 3, 4))) static void say(char *why, size_t size, const char *format,
                                                      ...) {
  if (!why) return;
  va_list args;
  va_start(args, format);
  vsnprintf(why, size, format, args);
  va_end(args);
}

celslm_transformer *celslm_transformer_load(const char *path, enum celslm_kdtype weights, char *why,
                                            size_t size) {
  source s = {.file = fopen(path, "rb")};
  int32_t h[7];
  celslm_transformer *t = NULL;
  if (!s.file) {
    say(why, size, "%s: %s", path, strerror(errno));
    return NULL;
  }
  if (fread(h, sizeof *h, 7, s.file) != 7) {
    say(why, size, "%s: shorter than a llama2.c header", path);
    goto done;
  }
  bool tied = h[5] > 0;
  celslm_transformer_shape shape = {.family = CELSLM_FAMILY_LLAMA,
                                    .dim = h[0],
                                    .hidden = h[1],
                                    .layers = h[2],
                                    .q_heads = h[3],
                                    .kv_heads = h[4],
                                    .vocabulary = h[5] < 0 && h[5] > INT32_MIN ? -h[5] : h[5],
                                    .max_tokens = h[6],
                                    .eps = 1e-5f,
                                    .rope_base = 10000,
                                    .rope_style = CELSLM_ROPE_INTERLEAVED};
  const char *wrong = senseless(&shape);
  if (wrong || !(t = blank(&shape))) {
    say(why, size, "%s: %s", path, wrong ? wrong : "out of memory");
    goto done;
  }
  int64_t d = shape.dim, table = (int64_t)shape.vocabulary * d;
  t->embedding = take(&s, table, 0, 0);
  if (!s.failed) read_layers(t, &s, weights);
  if (!s.failed) t->norm = take(&s, d, 1, 0);
  if (!s.failed && !tied) {
    /* Two tables of rotation angles stand before the head; we compute them. */
    float *skipped = take(&s, (int64_t)shape.max_tokens * (d / shape.q_heads), 0, 0);
    float *head = take(&s, table, 0, 0);
    if (!s.failed) t->head = pack(&s, weights, shape.vocabulary, d, head);
    free(skipped), free(head);
  } else if (!s.failed) {
    t->head = pack(&s, weights, shape.vocabulary, d, t->embedding);
  }
  if (s.failed) {
    say(why, size, "%s: shorter than its header says, or out of memory", path);
    celslm_transformer_free(t);
    t = NULL;
  }
done:
  fclose(s.file);
  return t;
}

static celslm_packed *random_packed(source *s, enum celslm_kdtype t, int64_t n, int64_t k) {
  float *w = take(s, n * k, 0, 1.0f / sqrtf((float)k));
  celslm_packed *p = pack(s, t, n, k, w);
  free(w);
  return p;
}

celslm_transformer *celslm_transformer_random(const celslm_transformer_shape *shape,
                                              enum celslm_kdtype weights, uint64_t seed) {
  source s = {.state = seed * 0x9E3779B97F4A7C15u + 1};
  celslm_transformer *t = senseless(shape) ? NULL : blank(shape);
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
