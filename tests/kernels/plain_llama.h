/* plain_llama.h - a Llama in double as plain as it can be written, straight from a llama2.c
 * checkpoint: what the kernels' model is compared with. */
#ifndef CELSLM_TESTS_PLAIN_LLAMA_H
#define CELSLM_TESTS_PLAIN_LLAMA_H

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct plain {
  int dim, hidden, layers, heads, kv_heads, vocabulary, max;
  float *emb, *norm1, *wq, *wk, *wv, *wo, *norm2, *w1, *w2, *w3, *norm;
} plain;

static inline float *plain_floats(FILE *f, int n) {
  float *w = calloc((size_t)n, sizeof *w);
  ck_assert_uint_eq(fread(w, sizeof *w, (size_t)n, f), (size_t)n);
  return w;
}

/* `count` matrices of n weights; group 0: f32. */
static inline float *plain_matrices(FILE *f, int count, int n, int group) {
  if (group == 0) return plain_floats(f, count * n);
  float *w = calloc((size_t)(count * n), sizeof *w);
  signed char *q = malloc((size_t)n);
  for (int i = 0; i < count; i++) {
    ck_assert_uint_eq(fread(q, 1, (size_t)n, f), (size_t)n);
    float *scale = plain_floats(f, n / group);
    for (int j = 0; j < n; j++) w[i * n + j] = (float)q[j] * scale[j / group];
    free(scale);
  }
  free(q);
  return w;
}

/* A checkpoint of format version 0 or 2 whose head is its embedding. */
static inline plain plain_load(const char *path) {
  FILE *f = fopen(path, "rb");
  ck_assert_msg(f != NULL, "%s", path);
  int32_t h[9] = {0};
  int group = 0;
  ck_assert_uint_eq(fread(h, sizeof *h, 2, f), 2);
  bool old = h[0] != 0x616b3432;
  if (old) {
    ck_assert_uint_eq(fread(h + 2, sizeof *h, 5, f), 5);
  } else {
    ck_assert_int_eq(h[1], 2);
    ck_assert_uint_eq(fread(h, sizeof *h, 7, f), 7);
    ck_assert_int_eq(fgetc(f), 1);
    ck_assert_uint_eq(fread(&group, sizeof group, 1, f), 1);
    fseek(f, 256, SEEK_SET);
  }
  plain p = {.dim = h[0],
             .hidden = h[1],
             .layers = h[2],
             .heads = h[3],
             .kv_heads = h[4],
             .vocabulary = h[5],
             .max = h[6]};
  int d = p.dim, kv = d / p.heads * p.kv_heads, l = p.layers;
  if (!old)
    p.norm1 = plain_floats(f, l * d), p.norm2 = plain_floats(f, l * d), p.norm = plain_floats(f, d);
  p.emb = plain_matrices(f, 1, p.vocabulary * d, group);
  if (old) p.norm1 = plain_floats(f, l * d);
  p.wq = plain_matrices(f, l, d * d, group);
  p.wk = plain_matrices(f, l, kv * d, group);
  p.wv = plain_matrices(f, l, kv * d, group);
  p.wo = plain_matrices(f, l, d * d, group);
  if (old) p.norm2 = plain_floats(f, l * d);
  p.w1 = plain_matrices(f, l, p.hidden * d, group);
  p.w2 = plain_matrices(f, l, p.hidden * d, group);
  p.w3 = plain_matrices(f, l, p.hidden * d, group);
  if (old) p.norm = plain_floats(f, d);
  fclose(f);
  return p;
}

static inline void plain_free(plain *p) {
  free(p->emb), free(p->norm1), free(p->wq), free(p->wk), free(p->wv), free(p->wo);
  free(p->norm2), free(p->w1), free(p->w2), free(p->w3), free(p->norm);
}

static inline void multiply(double *y, const double *x, const float *w, int n, int k) {
  for (int i = 0; i < n; i++) {
    y[i] = 0;
    for (int j = 0; j < k; j++) y[i] += (double)w[i * k + j] * x[j];
  }
}

static inline void rms(double *y, const double *x, const float *w, int n) {
  double s = 0;
  for (int i = 0; i < n; i++) s += x[i] * x[i];
  for (int i = 0; i < n; i++) y[i] = x[i] / sqrt(s / n + 1e-5) * (double)w[i];
}

/* Logits after the last of n tokens; kc, vc [layers][n][kv]. */
static inline void plain_forward(const plain *p, const int32_t *token, int n, double *logits,
                                 double *kc, double *vc) {
  int d = p->dim, hd = d / p->heads, kv = hd * p->kv_heads, f = p->hidden;
  double *x = calloc((size_t)(6 * d + 2 * f + n), sizeof *x), *y = x + d, *q = y + d, *o = q + d,
         *t = o + d, *a = t + d, *b = a + f, *s = b + f;
  for (int pos = 0; pos < n; pos++) {
    for (int i = 0; i < d; i++) x[i] = (double)p->emb[token[pos] * d + i];
    for (int l = 0; l < p->layers; l++) {
      double *k = kc + (l * n + pos) * kv, *v = vc + (l * n + pos) * kv;
      rms(y, x, p->norm1 + l * d, d);
      multiply(q, y, p->wq + l * d * d, d, d);
      multiply(k, y, p->wk + l * kv * d, kv, d);
      multiply(v, y, p->wv + l * kv * d, kv, d);
      for (int i = 0; i < d; i += 2) {
        double angle = pos * pow(10000, -(double)(i % hd) / hd), c = cos(angle), e = sin(angle);
        double *rows[] = {q, k};
        for (int r = 0; r < (i < kv ? 2 : 1); r++) {
          double u = rows[r][i], w = rows[r][i + 1];
          rows[r][i] = u * c - w * e;
          rows[r][i + 1] = u * e + w * c;
        }
      }
      for (int h = 0; h < p->heads; h++) {
        int at = h / (p->heads / p->kv_heads) * hd;
        double sum = 0;
        for (int j = 0; j <= pos; j++) {
          s[j] = 0;
          for (int i = 0; i < hd; i++) s[j] += q[h * hd + i] * kc[(l * n + j) * kv + at + i];
          sum += s[j] = exp(s[j] / sqrt(hd));
        }
        for (int i = 0; i < hd; i++) {
          o[h * hd + i] = 0;
          for (int j = 0; j <= pos; j++)
            o[h * hd + i] += s[j] / sum * vc[(l * n + j) * kv + at + i];
        }
      }
      multiply(t, o, p->wo + l * d * d, d, d);
      for (int i = 0; i < d; i++) x[i] += t[i];
      rms(y, x, p->norm2 + l * d, d);
      multiply(a, y, p->w1 + l * f * d, f, d);
      multiply(b, y, p->w3 + l * f * d, f, d);
      for (int i = 0; i < f; i++) a[i] = a[i] / (1 + exp(-a[i])) * b[i];
      multiply(t, a, p->w2 + l * d * f, d, f);
      for (int i = 0; i < d; i++) x[i] += t[i];
    }
  }
  rms(y, x, p->norm, d);
  multiply(logits, y, p->emb, p->vocabulary, d);
  free(x);
}

#endif
