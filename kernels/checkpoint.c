/* checkpoint.c - reads llama2.c checkpoints.
 *
 * Version 0 has seven integers, then all tensors in f32. Versions 1 and 2 begin with the word
 * 0x616b3432 and a header of 256 bytes; 1 has the norms first, then the matrices, in f32; 2 has
 * each matrix as int8 values followed by an f32 scale per group. (export.py and runq.c of
 * github.com/karpathy/llama2.c) */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/model.h"

enum { MAGIC = 0x616b3432, HEADER = 256 };

__attribute__((format(printf, 3, 4))) static void say(char *why, size_t size, const char *format,
                                                      ...) {
  if (!why) return;
  va_list args;
  va_start(args, format);
  vsnprintf(why, size, format, args);
  va_end(args);
}

typedef struct reader {
  FILE *file;
  int group; /* version 2: weights per scale */
  bool failed;
} reader;

/* n floats more of the file. Free with free(). */
static float *take(reader *r, int64_t n) {
  float *p = r->failed ? NULL : calloc((size_t)n, sizeof *p);
  r->failed = r->failed || !p || fread(p, sizeof *p, (size_t)n, r->file) != (size_t)n;
  return p;
}

/* `count` matrices of n weights, as floats; in version 2 each stands as values and scales. */
static float *matrices(reader *r, int64_t count, int64_t n) {
  if (r->group == 0) return take(r, count * n);
  float *p = r->failed ? NULL : calloc((size_t)(count * n), sizeof *p);
  int8_t *q = malloc((size_t)n);
  float *scale = malloc((size_t)(n / r->group + 1) * sizeof *scale);
  r->failed = r->failed || !p || !q || !scale || n % r->group != 0;
  for (int64_t i = 0; i < count && !r->failed; i++) {
    size_t scales = (size_t)(n / r->group);
    r->failed = fread(q, 1, (size_t)n, r->file) != (size_t)n ||
                fread(scale, sizeof *scale, scales, r->file) != scales;
    for (int64_t j = 0; j < n && !r->failed; j++) p[i * n + j] = (float)q[j] * scale[j / r->group];
  }
  free(q), free(scale);
  return p;
}

/* The tensors in the order of the version. */
static celslm_tensors read_tensors(reader *r, const celslm_transformer_shape *h, int version,
                                   bool tied) {
  int64_t d = h->dim, f = h->hidden, hd = d / h->q_heads, kv = hd * h->kv_heads, n = h->layers,
          table = h->vocabulary * d;
  celslm_tensors t = {0};
  if (version > 0) {
    t.norm1 = take(r, n * d);
    t.norm2 = take(r, n * d);
    t.norm = take(r, d);
  }
  t.embedding = matrices(r, 1, table);
  if (version == 0) t.norm1 = take(r, n * d);
  t.q = matrices(r, n, d * d);
  t.k = matrices(r, n, kv * d);
  t.v = matrices(r, n, kv * d);
  t.out = matrices(r, n, d * d);
  if (version == 0) t.norm2 = take(r, n * d);
  t.gate = matrices(r, n, f * d);
  t.down = matrices(r, n, d * f);
  t.up = matrices(r, n, f * d);
  if (version == 0) {
    t.norm = take(r, d);
    /* Two tables of rotation angles stand before the head; we compute them. */
    if (!tied) free(take(r, (int64_t)h->max_tokens * hd));
  }
  if (!tied) t.head = matrices(r, 1, table);
  return t;
}

static void free_tensors(celslm_tensors *t) {
  free(t->embedding), free(t->norm1), free(t->q), free(t->k), free(t->v), free(t->out);
  free(t->norm2), free(t->gate), free(t->down), free(t->up), free(t->norm), free(t->head);
}

/* The seven integers, the version, and whether embedding and head are one. */
static bool read_header(reader *r, int32_t h[7], int *version, bool *tied) {
  unsigned char rest[HEADER] = {0};
  int32_t words[2];
  *version = 0;
  if (fread(words, sizeof *words, 2, r->file) != 2) return false;
  if (words[0] != MAGIC) {
    memcpy(h, words, sizeof words);
    if (fread(h + 2, sizeof *h, 5, r->file) != 5) return false;
    *tied = h[5] > 0;
    if (h[5] < 0 && h[5] > INT32_MIN) h[5] = -h[5];
    return true;
  }
  *version = words[1];
  if (fread(rest, 1, HEADER - sizeof words, r->file) != HEADER - sizeof words) return false;
  memcpy(h, rest, 7 * sizeof *h);
  *tied = rest[7 * sizeof *h] != 0;
  if (*version == 2) memcpy(&r->group, rest + 7 * sizeof *h + 1, sizeof r->group);
  return true;
}

celslm_transformer *celslm_transformer_load(const char *path, enum celslm_kdtype weights, char *why,
                                            size_t size) {
  reader r = {.file = fopen(path, "rb")};
  int32_t h[7];
  int version;
  bool tied = true;
  celslm_transformer *t = NULL;
  if (!r.file) {
    say(why, size, "%s: %s", path, strerror(errno));
    return NULL;
  }
  if (!read_header(&r, h, &version, &tied)) {
    say(why, size, "%s: shorter than a llama2.c header", path);
    goto done;
  }
  if (version < 0 || version > 2) {
    say(why, size, "%s: llama2.c format version %d; versions 0, 1 and 2 can be read", path,
        version);
    goto done;
  }
  if (version == 2 && (r.group < 1 || r.group > 1 << 20)) {
    say(why, size, "%s: %d weights per scale make no sense", path, r.group);
    goto done;
  }
  celslm_transformer_shape shape = {.family = CELSLM_FAMILY_LLAMA,
                                    .dim = h[0],
                                    .hidden = h[1],
                                    .layers = h[2],
                                    .q_heads = h[3],
                                    .kv_heads = h[4],
                                    .vocabulary = h[5],
                                    .max_tokens = h[6],
                                    .eps = 1e-5f,
                                    .rope_base = 10000,
                                    .rope_style = CELSLM_ROPE_INTERLEAVED};
  const char *wrong = celslm_transformer_senseless(&shape);
  if (wrong) {
    say(why, size, "%s: %s", path, wrong);
    goto done;
  }
  celslm_tensors tensors = read_tensors(&r, &shape, version, tied);
  if (!r.failed) t = celslm_transformer_assemble(&shape, weights, &tensors);
  if (!t) say(why, size, "%s: shorter than its header says, or out of memory", path);
  free_tensors(&tensors);
done:
  fclose(r.file);
  return t;
}
