/* train.c - trains a small byte-level Llama (RMSNorm, rotary positions, grouped queries, gated MLP,
 * tied embedding) on a text, by AdamW, and writes it as a llama2.c checkpoint (version 2, int8).
 *
 *   celslm_train TEXT OUT [option=value ...]     options and their defaults: struct options
 *   celslm_train_check                           gradients against finite differences, in double
 *
 * One thread, one seed: the same run gives the same weights on the same machine and BLAS. Text is
 * one line per unit, "BOOK<tab>line"; books named in `held_out` are never trained on.
 *
 * The file reads as the computation: parameters, forward, backward, optimiser, text, checkpoint.
 * Matrices are row-major, [rows][columns]; weights [outputs][inputs]; N = sequences * length. */
#include <cblas.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef CELSLM_TRAIN_DOUBLE
typedef double real;
#define GEMM cblas_dgemm
#define EXP  exp
#define SQRT sqrt
#else
typedef float real;
#define GEMM cblas_sgemm
#define EXP  expf
#define SQRT sqrtf
#endif

enum { VOCABULARY = 256, GROUP = 64 };
static const real EPS = (real)1e-5;
static const double ROPE_BASE = 10000;

typedef struct shape {
  int layers, dim, hidden, heads, kv_heads, block; /* block: rows of attention done at once */
} shape;

/* ---- parameters: one array, in the order of a llama2.c checkpoint ---------------------------- */

enum part { EMBED, NORM1, WQ, WK, WV, WO, NORM2, GATE, DOWN, UP, NORM, PARTS };

typedef struct layout {
  size_t at[PARTS], per_layer[PARTS], total;
} layout;

static int kv_width(const shape *s) {
  return s->dim / s->heads * s->kv_heads;
}

static layout lay_out(const shape *s) {
  size_t d = (size_t)s->dim, f = (size_t)s->hidden, p = (size_t)kv_width(s), n = (size_t)s->layers;
  layout l = {
      .per_layer = {VOCABULARY * d, d, d * d, p * d, p * d, d * d, d, f * d, d * f, f * d, d}};
  for (int i = 0; i < PARTS; i++) {
    l.at[i] = l.total;
    l.total += l.per_layer[i] * (i == EMBED || i == NORM ? 1 : n);
  }
  return l;
}

static bool is_norm(int part) {
  return part == NORM1 || part == NORM2 || part == NORM;
}

static void *allocate(size_t n, size_t size) {
  void *p = NULL;
  if (posix_memalign(&p, 64, n * size + 64) != 0) {
    fprintf(stderr, "celslm_train: out of memory\n");
    exit(1);
  }
  memset(p, 0, n * size);
  return p;
}

/* ---- what a pass remembers ------------------------------------------------------------------- */

typedef struct memory {
  int n; /* rows there is room for */
  /* [layers][n][...] */
  real *x, *rstd1, *y1, *q, *k, *v, *attended, *lse, *middle, *rstd2, *y2, *gate, *up, *h;
  real *last, *rstd, *y, *logits; /* [n][...]: into and out of the last norm */
  real *dx, *dy, *dq, *dk, *dv, *da, *dgate, *dup, *dh, *score, *dscore, *delta;
  real *cosine, *sine; /* [length][head/2] */
} memory;

static memory remember(const shape *s, int n, int length) {
  size_t r = (size_t)n, l = (size_t)s->layers, d = (size_t)s->dim, f = (size_t)s->hidden,
         p = (size_t)kv_width(s), h = (size_t)s->heads, b = (size_t)s->block, t = (size_t)length;
  memory m = {.n = n};
  struct {
    real **p;
    size_t n;
  } all[] = {{&m.x, l * r * d},
             {&m.rstd1, l * r},
             {&m.y1, l * r * d},
             {&m.q, l * r * d},
             {&m.k, l * r * p},
             {&m.v, l * r * p},
             {&m.attended, l * r * d},
             {&m.lse, l * r * h},
             {&m.middle, l * r * d},
             {&m.rstd2, l * r},
             {&m.y2, l * r * d},
             {&m.gate, l * r * f},
             {&m.up, l * r * f},
             {&m.h, l * r * f},
             {&m.last, r * d},
             {&m.rstd, r},
             {&m.y, r * d},
             {&m.logits, r * VOCABULARY},
             {&m.dx, r * d},
             {&m.dy, r * d},
             {&m.dq, r * d},
             {&m.dk, r * p},
             {&m.dv, r * p},
             {&m.da, r * d},
             {&m.dgate, r * f},
             {&m.dup, r * f},
             {&m.dh, r * f},
             {&m.score, b * t},
             {&m.dscore, b * t},
             {&m.delta, b},
             {&m.cosine, t * d},
             {&m.sine, t * d}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    *all[i].p = allocate(all[i].n, sizeof(real));
  int pairs = s->dim / s->heads / 2;
  for (int i = 0; i < length; i++)
    for (int j = 0; j < pairs; j++) {
      double angle = i * pow(ROPE_BASE, -(double)j / pairs);
      m.cosine[i * pairs + j] = (real)cos(angle);
      m.sine[i * pairs + j] = (real)sin(angle);
    }
  return m;
}

static void forget(memory *m) {
  real *all[] = {m->x,      m->rstd1,  m->y1, m->q,     m->k,      m->v,     m->attended, m->lse,
                 m->middle, m->rstd2,  m->y2, m->gate,  m->up,     m->h,     m->last,     m->rstd,
                 m->y,      m->logits, m->dx, m->dy,    m->dq,     m->dk,    m->dv,       m->da,
                 m->dgate,  m->dup,    m->dh, m->score, m->dscore, m->delta, m->cosine,   m->sine};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

/* ---- pieces, forward and backward ------------------------------------------------------------ */

/* y [n][out] (+)= x [n][in] w^T */
static void linear(int n, int out, int in, const real *x, const real *w, real *y, real beta) {
  GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, n, out, in, 1, x, in, w, in, beta, y, out);
}

/* dx (+)= dy w; dw += dy^T x */
static void linear_back(int n, int out, int in, const real *dy, const real *x, const real *w,
                        real *dx, real beta, real *dw) {
  GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, in, out, 1, dy, out, w, in, beta, dx, in);
  GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, out, in, n, 1, dy, out, x, in, 1, dw, in);
}

static void rmsnorm(int n, int d, const real *x, const real *w, real *y, real *rstd) {
  for (int i = 0; i < n; i++) {
    const real *xi = x + (size_t)i * (size_t)d;
    real *yi = y + (size_t)i * (size_t)d, sum = 0;
    for (int j = 0; j < d; j++) sum += xi[j] * xi[j];
    real r = rstd[i] = 1 / SQRT(sum / (real)d + EPS);
    for (int j = 0; j < d; j++) yi[j] = xi[j] * r * w[j];
  }
}

/* dx += d(norm)/dx dy; dw += ... */
static void rmsnorm_back(int n, int d, const real *dy, const real *x, const real *w,
                         const real *rstd, real *dx, real *dw) {
  for (int i = 0; i < n; i++) {
    const real *xi = x + (size_t)i * (size_t)d, *g = dy + (size_t)i * (size_t)d;
    real *out = dx + (size_t)i * (size_t)d, r = rstd[i], dot = 0;
    for (int j = 0; j < d; j++) dot += g[j] * w[j] * xi[j];
    dot *= r * r * r / (real)d;
    for (int j = 0; j < d; j++) {
      dw[j] += g[j] * xi[j] * r;
      out[j] += g[j] * w[j] * r - xi[j] * dot;
    }
  }
}

/* Pairs (2i, 2i+1), as llama2.c. sign -1: backwards, which is also the gradient. */
static void rope(const memory *m, int n, int length, int heads, int size, real *x, real sign) {
  int pairs = size / 2;
  for (int i = 0; i < n; i++) {
    const real *c = m->cosine + (i % length) * pairs, *s = m->sine + (i % length) * pairs;
    for (int h = 0; h < heads; h++) {
      real *v = x + ((size_t)i * (size_t)heads + (size_t)h) * (size_t)size;
      for (int j = 0; j < pairs; j++) {
        real a = v[2 * j], b = v[2 * j + 1], t = sign * s[j];
        v[2 * j] = a * c[j] - b * t;
        v[2 * j + 1] = a * t + b * c[j];
      }
    }
  }
}

typedef struct place { /* of one head of one sequence */
  size_t q, kv, lse;
} place;

static place place_of(const shape *s, int layer, const memory *m, int first_row, int head) {
  size_t size = (size_t)(s->dim / s->heads), row = (size_t)layer * (size_t)m->n + (size_t)first_row;
  return (place){.q = row * (size_t)s->dim + (size_t)head * size,
                 .kv = row * (size_t)kv_width(s) + (size_t)(head / (s->heads / s->kv_heads)) * size,
                 .lse = row * (size_t)s->heads + (size_t)head};
}

/* score [rows][columns] = scaled q k^T for rows first..first+rows; columns: all visible to the last
 */
static void scores(const shape *s, const real *q, const real *k, int rows, int columns,
                   real *score) {
  int size = s->dim / s->heads;
  GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, size, 1 / SQRT((real)size), q,
       s->dim, k, kv_width(s), 0, score, columns);
}

static void attention(const shape *s, memory *m, int layer, int sequences, int length) {
  int size = s->dim / s->heads;
  for (int b = 0; b < sequences; b++)
    for (int h = 0; h < s->heads; h++) {
      place p = place_of(s, layer, m, b * length, h);
      for (int first = 0; first < length; first += s->block) {
        int rows = length - first < s->block ? length - first : s->block, columns = first + rows;
        size_t at = p.q + (size_t)first * (size_t)s->dim;
        scores(s, m->q + at, m->k + p.kv, rows, columns, m->score);
        for (int i = 0; i < rows; i++) {
          real *row = m->score + (size_t)i * (size_t)columns, top = row[0], sum = 0;
          int visible = first + i + 1;
          for (int j = 1; j < visible; j++) top = row[j] > top ? row[j] : top;
          for (int j = 0; j < visible; j++) sum += row[j] = EXP(row[j] - top);
          for (int j = 0; j < visible; j++) row[j] *= 1 / sum;
          for (int j = visible; j < columns; j++) row[j] = 0;
          m->lse[p.lse + (size_t)(first + i) * (size_t)s->heads] = top + (real)log((double)sum);
        }
        GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, size, columns, 1, m->score, columns,
             m->v + p.kv, kv_width(s), 0, m->attended + at, s->dim);
      }
    }
}

/* da -> dq, dk, dv; the probabilities are computed again from the stored log-sum-exp. */
static void attention_back(const shape *s, memory *m, int layer, int sequences, int length) {
  int size = s->dim / s->heads, p_width = kv_width(s);
  size_t start = (size_t)layer * (size_t)m->n;
  memset(m->dk, 0, (size_t)(sequences * length * p_width) * sizeof(real));
  memset(m->dv, 0, (size_t)(sequences * length * p_width) * sizeof(real));
  for (int b = 0; b < sequences; b++)
    for (int h = 0; h < s->heads; h++) {
      place p = place_of(s, layer, m, b * length, h);
      size_t grad_q = p.q - start * (size_t)s->dim, grad_kv = p.kv - start * (size_t)p_width;
      for (int first = 0; first < length; first += s->block) {
        int rows = length - first < s->block ? length - first : s->block, columns = first + rows;
        size_t at = (size_t)first * (size_t)s->dim;
        scores(s, m->q + p.q + at, m->k + p.kv, rows, columns, m->score);
        for (int i = 0; i < rows; i++) {
          real *row = m->score + (size_t)i * (size_t)columns;
          real lse = m->lse[p.lse + (size_t)(first + i) * (size_t)s->heads];
          int visible = first + i + 1;
          for (int j = 0; j < visible; j++) row[j] = EXP(row[j] - lse);
          for (int j = visible; j < columns; j++) row[j] = 0;
          const real *o = m->attended + p.q + at + (size_t)i * (size_t)s->dim,
                     *g = m->da + grad_q + at + (size_t)i * (size_t)s->dim;
          m->delta[i] = 0;
          for (int j = 0; j < size; j++) m->delta[i] += o[j] * g[j];
        }
        const real *da = m->da + grad_q + at;
        GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, columns, size, rows, 1, m->score, columns, da,
             s->dim, 1, m->dv + grad_kv, p_width);
        GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, size, 1, da, s->dim,
             m->v + p.kv, p_width, 0, m->dscore, columns);
        for (int i = 0; i < rows; i++) {
          real *row = m->score + (size_t)i * (size_t)columns, d = m->delta[i];
          const real *g = m->dscore + (size_t)i * (size_t)columns;
          for (int j = 0; j < columns; j++) row[j] *= g[j] - d;
        }
        real scale = 1 / SQRT((real)size);
        GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, size, columns, scale, m->score,
             columns, m->k + p.kv, p_width, 0, m->dq + grad_q + at, s->dim);
        GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, columns, size, rows, scale, m->score, columns,
             m->q + p.q + at, s->dim, 1, m->dk + grad_kv, p_width);
      }
    }
}

static void gate_forward(size_t n, const real *gate, const real *up, real *h) {
  for (size_t i = 0; i < n; i++) h[i] = gate[i] / (1 + EXP(-gate[i])) * up[i];
}

static void gate_back(size_t n, const real *dh, const real *gate, const real *up, real *dgate,
                      real *dup) {
  for (size_t i = 0; i < n; i++) {
    real sigma = 1 / (1 + EXP(-gate[i])), silu = gate[i] * sigma;
    dup[i] = dh[i] * silu;
    dgate[i] = dh[i] * up[i] * (sigma + silu * (1 - sigma));
  }
}

/* ---- the model ------------------------------------------------------------------------------- */

typedef struct model {
  shape s;
  layout at;
  real *w, *g; /* parameters, gradients */
} model;

static real *part_of(const model *m, real *base, int part, int layer) {
  return base + m->at.at[part] + (size_t)layer * m->at.per_layer[part];
}

/* Mean loss in nats of predicting token i+1 of each sequence from those up to i; tokens
 * [sequences][length + 1]. `per` [n], if not NULL: the losses one by one. */
static double forward(const model *o, memory *m, int sequences, int length, const uint8_t *tokens,
                      real *per) {
  const shape *s = &o->s;
  int n = sequences * length, d = s->dim, p = kv_width(s), f = s->hidden, size = d / s->heads;
  size_t r = (size_t)m->n, nd = (size_t)n * (size_t)d;
  for (int i = 0; i < n; i++)
    memcpy(m->x + (size_t)i * (size_t)d,
           o->w + (size_t)tokens[i / length * (length + 1) + i % length] * (size_t)d,
           (size_t)d * sizeof(real));
  for (int l = 0; l < s->layers; l++) {
    size_t a = (size_t)l * r, ad = a * (size_t)d, ap = a * (size_t)p, af = a * (size_t)f;
    real *x = m->x + ad, *next = l + 1 < s->layers ? x + r * (size_t)d : m->last;
    rmsnorm(n, d, x, part_of(o, o->w, NORM1, l), m->y1 + ad, m->rstd1 + a);
    linear(n, d, d, m->y1 + ad, part_of(o, o->w, WQ, l), m->q + ad, 0);
    linear(n, p, d, m->y1 + ad, part_of(o, o->w, WK, l), m->k + ap, 0);
    linear(n, p, d, m->y1 + ad, part_of(o, o->w, WV, l), m->v + ap, 0);
    rope(m, n, length, s->heads, size, m->q + ad, 1);
    rope(m, n, length, s->kv_heads, size, m->k + ap, 1);
    attention(s, m, l, sequences, length);
    memcpy(m->middle + ad, x, nd * sizeof(real));
    linear(n, d, d, m->attended + ad, part_of(o, o->w, WO, l), m->middle + ad, 1);
    rmsnorm(n, d, m->middle + ad, part_of(o, o->w, NORM2, l), m->y2 + ad, m->rstd2 + a);
    linear(n, f, d, m->y2 + ad, part_of(o, o->w, GATE, l), m->gate + af, 0);
    linear(n, f, d, m->y2 + ad, part_of(o, o->w, UP, l), m->up + af, 0);
    gate_forward((size_t)n * (size_t)f, m->gate + af, m->up + af, m->h + af);
    memcpy(next, m->middle + ad, nd * sizeof(real));
    linear(n, d, f, m->h + af, part_of(o, o->w, DOWN, l), next, 1);
  }
  rmsnorm(n, d, m->last, part_of(o, o->w, NORM, 0), m->y, m->rstd);
  linear(n, VOCABULARY, d, m->y, o->w, m->logits, 0);
  double loss = 0;
  for (int i = 0; i < n; i++) { /* logits become the gradient of the mean loss */
    real *z = m->logits + (size_t)i * VOCABULARY, top = z[0], sum = 0;
    int target = tokens[i / length * (length + 1) + i % length + 1];
    for (int j = 1; j < VOCABULARY; j++) top = z[j] > top ? z[j] : top;
    real right = z[target] - top;
    for (int j = 0; j < VOCABULARY; j++) sum += z[j] = EXP(z[j] - top);
    double one = log((double)sum) - (double)right;
    for (int j = 0; j < VOCABULARY; j++) z[j] *= 1 / (sum * (real)n);
    z[target] -= 1 / (real)n;
    loss += one;
    if (per) per[i] = (real)one;
  }
  return loss / n;
}

/* Adds to o->g the gradients of the loss of the forward pass before. */
static void backward(const model *o, memory *m, int sequences, int length, const uint8_t *tokens) {
  const shape *s = &o->s;
  int n = sequences * length, d = s->dim, p = kv_width(s), f = s->hidden, size = d / s->heads;
  size_t r = (size_t)m->n, nd = (size_t)n * (size_t)d;
  linear_back(n, VOCABULARY, d, m->logits, m->y, o->w, m->dy, 0, o->g);
  memset(m->dx, 0, nd * sizeof(real));
  rmsnorm_back(n, d, m->dy, m->last, part_of(o, o->w, NORM, 0), m->rstd, m->dx,
               part_of(o, o->g, NORM, 0));
  for (int l = s->layers - 1; l >= 0; l--) {
    size_t a = (size_t)l * r, ad = a * (size_t)d, ap = a * (size_t)p, af = a * (size_t)f;
    linear_back(n, d, f, m->dx, m->h + af, part_of(o, o->w, DOWN, l), m->dh, 0,
                part_of(o, o->g, DOWN, l));
    gate_back((size_t)n * (size_t)f, m->dh, m->gate + af, m->up + af, m->dgate, m->dup);
    linear_back(n, f, d, m->dgate, m->y2 + ad, part_of(o, o->w, GATE, l), m->dy, 0,
                part_of(o, o->g, GATE, l));
    linear_back(n, f, d, m->dup, m->y2 + ad, part_of(o, o->w, UP, l), m->dy, 1,
                part_of(o, o->g, UP, l));
    rmsnorm_back(n, d, m->dy, m->middle + ad, part_of(o, o->w, NORM2, l), m->rstd2 + a, m->dx,
                 part_of(o, o->g, NORM2, l));
    linear_back(n, d, d, m->dx, m->attended + ad, part_of(o, o->w, WO, l), m->da, 0,
                part_of(o, o->g, WO, l));
    attention_back(s, m, l, sequences, length);
    rope(m, n, length, s->heads, size, m->dq, -1);
    rope(m, n, length, s->kv_heads, size, m->dk, -1);
    linear_back(n, d, d, m->dq, m->y1 + ad, part_of(o, o->w, WQ, l), m->dy, 0,
                part_of(o, o->g, WQ, l));
    linear_back(n, p, d, m->dk, m->y1 + ad, part_of(o, o->w, WK, l), m->dy, 1,
                part_of(o, o->g, WK, l));
    linear_back(n, p, d, m->dv, m->y1 + ad, part_of(o, o->w, WV, l), m->dy, 1,
                part_of(o, o->g, WV, l));
    rmsnorm_back(n, d, m->dy, m->x + ad, part_of(o, o->w, NORM1, l), m->rstd1 + a, m->dx,
                 part_of(o, o->g, NORM1, l));
    (void)ap;
  }
  for (int i = 0; i < n; i++) {
    real *g = o->g + (size_t)tokens[i / length * (length + 1) + i % length] * (size_t)d;
    const real *dx = m->dx + (size_t)i * (size_t)d;
    for (int j = 0; j < d; j++) g[j] += dx[j];
  }
}

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t random_next(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

/* About normal: twelve uniforms. */
static real random_normal(uint64_t *state) {
  double sum = -6;
  for (int i = 0; i < 12; i++) sum += (double)(random_next(state) >> 11) * 0x1p-53;
  return (real)sum;
}

/* Weights N(0, 0.02^2)-like as in GPT-2, but wider for narrow layers: 0.5/sqrt(inputs); what adds
 * to the residual stream divided by sqrt(2 layers). */
static model create(const shape *s, uint64_t seed) {
  model o = {.s = *s, .at = lay_out(s)};
  o.w = allocate(o.at.total, sizeof *o.w);
  o.g = allocate(o.at.total, sizeof *o.g);
  for (int part = 0; part < PARTS; part++) {
    size_t end = part + 1 < PARTS ? o.at.at[part + 1] : o.at.total;
    double inputs = part == DOWN ? s->hidden : s->dim, scale = 0.5 / sqrt(inputs);
    if (part == WO || part == DOWN) scale /= sqrt(2.0 * s->layers);
    for (size_t i = o.at.at[part]; i < end; i++)
      o.w[i] = is_norm(part) ? 1 : (real)scale * random_normal(&seed);
  }
  return o;
}

static void destroy(model *o) {
  free(o->w), free(o->g);
}

#ifdef CELSLM_TRAIN_DOUBLE

/* Central differences of the loss at parameters spread over every tensor. */
int main(void) {
  openblas_set_num_threads(1);
  shape s = {.layers = 2, .dim = 24, .hidden = 40, .heads = 6, .kv_heads = 2, .block = 5};
  enum { SEQUENCES = 3, LENGTH = 13, PER_TENSOR = 24 };
  model o = create(&s, 7);
  for (size_t i = 0; i < o.at.total; i++) o.w[i] *= 1.5;
  memory m = remember(&s, SEQUENCES * LENGTH, LENGTH);
  uint8_t tokens[SEQUENCES * (LENGTH + 1)];
  uint64_t state = 3;
  for (size_t i = 0; i < sizeof tokens; i++) tokens[i] = (uint8_t)(random_next(&state) % 11);
  forward(&o, &m, SEQUENCES, LENGTH, tokens, NULL);
  backward(&o, &m, SEQUENCES, LENGTH, tokens);
  double worst = 0;
  int checked = 0;
  for (int part = 0; part < PARTS; part++) {
    size_t end = part + 1 < PARTS ? o.at.at[part + 1] : o.at.total, n = end - o.at.at[part];
    for (int i = 0; i < PER_TENSOR; i++) {
      size_t at = o.at.at[part] + (part == EMBED ? random_next(&state) % (11 * (size_t)s.dim)
                                                 : random_next(&state) % n);
      double w = o.w[at], h = 1e-5;
      o.w[at] = w + h;
      double above = forward(&o, &m, SEQUENCES, LENGTH, tokens, NULL);
      o.w[at] = w - h;
      double below = forward(&o, &m, SEQUENCES, LENGTH, tokens, NULL);
      o.w[at] = w;
      double numeric = (above - below) / (2 * h),
             error = fabs(numeric - o.g[at]) / (fabs(numeric) + fabs(o.g[at]) + 1e-4);
      worst = error > worst ? error : worst;
      checked++;
    }
  }
  printf("%d gradients against central differences: worst relative error %.2g\n", checked, worst);
  forget(&m);
  destroy(&o);
  return worst < 1e-6 ? 0 : 1;
}

#else

/* ---- options --------------------------------------------------------------------------------- */

typedef struct options {
  double layers, dim, hidden, heads, kv_heads;
  double steps, tokens;                  /* tokens per step */
  double length, long_length, long_from; /* sequences are `length`, from that share of the steps on
                                            `long_length` */
  double rate, warmup, decay, seed, report;
  double stop;        /* after this step, whatever the schedule says; 0: at its end */
  double constant_to; /* 0: the rate follows a cosine; else it stays until this step, from where it
                         falls in a line to 0, with long sequences */
  double max_tokens;  /* what the checkpoint claims it can */
  const char *held_out;
} options;

static const char *const fields[] = {
    "layers", "dim",    "hidden",      "heads",     "kv_heads",    "steps",
    "tokens", "length", "long_length", "long_from", "rate",        "warmup",
    "decay",  "seed",   "report",      "stop",      "constant_to", "max_tokens"};

static bool set_option(options *o, const char *text) {
  double *values = &o->layers;
  const char *equal = strchr(text, '=');
  if (!equal) return false;
  size_t n = (size_t)(equal - text);
  if (n == strlen("held_out") && strncmp(text, "held_out", n) == 0) {
    o->held_out = equal + 1;
    return true;
  }
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (strlen(fields[i]) == n && strncmp(fields[i], text, n) == 0) {
      char *end;
      values[i] = strtod(equal + 1, &end);
      return end != equal + 1 && *end == '\0';
    }
  return false;
}

/* ---- text ------------------------------------------------------------------------------------ */

typedef struct text {
  uint8_t *bytes;
  size_t n;
} text;

static void add(text *t, const char *line, size_t n) {
  t->bytes = realloc(t->bytes, t->n + n);
  if (!t->bytes) exit(1);
  memcpy(t->bytes + t->n, line, n);
  t->n += n;
}

/* Is the line's book in the comma-separated list? */
static bool listed(const char *list, const char *book, size_t n) {
  for (const char *p = list; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
    if (strcspn(p, ",") == n && strncmp(p, book, n) == 0) return true;
  return false;
}

static bool read_text(const char *path, const char *held_out, text *train, text *held) {
  FILE *f = fopen(path, "r");
  if (!f) return false;
  char *line = NULL;
  size_t room = 0;
  for (ssize_t n; (n = getline(&line, &room, f)) > 0;) {
    const char *tab = strchr(line, '\t');
    if (!tab) continue;
    size_t book = (size_t)(tab - line);
    add(listed(held_out, line, book) ? held : train, tab + 1, (size_t)n - book - 1);
  }
  free(line);
  fclose(f);
  return true;
}

/* Bits per byte over the text in windows of `length`, each byte but a window's first predicted from
 * those before it in its window. */
static double held_out_bits(const model *o, const text *t, int length, size_t windows) {
  memory m = remember(&o->s, length, length);
  double sum = 0;
  size_t fit = (t->n - 1) / (size_t)length;
  if (windows == 0 || windows > fit) windows = fit;
  for (size_t i = 0; i < windows; i++)
    sum += forward(o, &m, 1, length, t->bytes + i * fit / windows * (size_t)length, NULL);
  forget(&m);
  return sum / (double)windows / log(2);
}

/* ---- checkpoint: llama2.c's export version 2 ------------------------------------------------- */

static bool write_quantised(FILE *f, const real *w, size_t n) {
  int8_t *q = malloc(n);
  float *scale = malloc(n / GROUP * sizeof *scale);
  if (!q || !scale) exit(1);
  for (size_t g = 0; g < n / GROUP; g++) {
    real top = 0;
    for (size_t i = 0; i < GROUP; i++) top = fmaxf(top, fabsf((float)w[g * GROUP + i]));
    scale[g] = top > 0 ? top / 127 : 1;
    for (size_t i = 0; i < GROUP; i++)
      q[g * GROUP + i] = (int8_t)rintf((float)w[g * GROUP + i] / scale[g]);
  }
  bool ok = fwrite(q, 1, n, f) == n && fwrite(scale, sizeof *scale, n / GROUP, f) == n / GROUP;
  free(q), free(scale);
  return ok;
}

/* Header of 256 bytes, norms in f32, then each matrix's int8 values and its f32 scales. */
static bool write_checkpoint(const char *path, const model *o, int max_tokens) {
  char temporary[4096];
  snprintf(temporary, sizeof temporary, "%s.part", path);
  FILE *f = fopen(temporary, "wb");
  if (!f) return false;
  char header[256] = {0};
  int32_t words[9] = {0x616b3432,    2,          o->s.dim,  o->s.hidden, o->s.layers, o->s.heads,
                      o->s.kv_heads, VOCABULARY, max_tokens},
          group = GROUP;
  memcpy(header, words, sizeof words);
  header[sizeof words] = 1; /* the embedding is the head too */
  memcpy(header + sizeof words + 1, &group, sizeof group);
  bool ok = fwrite(header, 1, sizeof header, f) == sizeof header;
  static const int norms[] = {NORM1, NORM2, NORM};
  for (int i = 0; i < 3; i++) {
    size_t n = o->at.per_layer[norms[i]] * (norms[i] == NORM ? 1 : (size_t)o->s.layers);
    ok = ok && fwrite(part_of(o, o->w, norms[i], 0), sizeof(float), n, f) == n;
  }
  ok = ok && write_quantised(f, o->w, o->at.per_layer[EMBED]);
  static const int matrices[] = {WQ, WK, WV, WO, GATE, DOWN, UP};
  for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++)
    for (int l = 0; l < o->s.layers; l++)
      ok = ok && write_quantised(f, part_of(o, o->w, matrices[i], l), o->at.per_layer[matrices[i]]);
  ok = fclose(f) == 0 && ok;
  return ok && rename(temporary, path) == 0;
}

/* ---- optimiser ------------------------------------------------------------------------------- */

/* AdamW (Loshchilov, Hutter 2019): beta 0.9, 0.95; decay on matrices only; gradients clipped to
 * norm 1. */
static void step(model *o, real *first, real *second, int t, double rate, double decay) {
  double square = 0;
  for (size_t i = 0; i < o->at.total; i++) square += (double)(o->g[i] * o->g[i]);
  const real clip = square > 1 ? (real)(1 / sqrt(square)) : 1;
  const real b1 = (real)0.9, b2 = (real)0.95;
  const real lr = (real)(rate * sqrt(1 - pow(0.95, t)) / (1 - pow(0.9, t)));
  const real eps = (real)(1e-8 * sqrt(1 - pow(0.95, t)));
  for (int part = 0; part < PARTS; part++) {
    size_t end = part + 1 < PARTS ? o->at.at[part + 1] : o->at.total;
    const real keep = is_norm(part) ? 1 : (real)(1 - rate * decay);
    for (size_t i = o->at.at[part]; i < end; i++) {
      real g = o->g[i] * clip;
      first[i] = b1 * first[i] + (1 - b1) * g;
      second[i] = b2 * second[i] + (1 - b2) * g * g;
      o->w[i] = keep * o->w[i] - lr * first[i] / (SQRT(second[i]) + eps);
      o->g[i] = 0;
    }
  }
}

/* Cosine (Loshchilov, Hutter 2017) to 2 %, or constant, then linear (warmup-stable-decay: Hu et
 * al., arXiv 2404.06395), which need not know the end before it begins to fall. */
static double rate_at(const options *o, int t) {
  if (t < o->warmup) return o->rate * t / o->warmup;
  if (o->constant_to > 0)
    return t <= o->constant_to ? o->rate
                               : o->rate * (1.0 + o->steps - t) / (1.0 + o->steps - o->constant_to);
  return o->rate * (0.02 + 0.98 * 0.5 * (1 + cos(M_PI * (t - o->warmup) / (o->steps - o->warmup))));
}

/* SIGUSR1 ends a constant rate now: the run then takes two fifths as many steps more. */
static volatile sig_atomic_t hurry;
static void on_signal(int number) {
  (void)number;
  hurry = 1;
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char **argv) {
  options o = {.layers = 4,
               .dim = 128,
               .hidden = 384,
               .heads = 4,
               .kv_heads = 2,
               .steps = 4000,
               .tokens = 2304,
               .length = 256,
               .long_length = 1152,
               .long_from = 0.8,
               .rate = 3e-3,
               .warmup = 100,
               .decay = 0.1,
               .seed = 1,
               .report = 200,
               .max_tokens = 2048,
               .held_out = "Ruth,Est,Eccl,Dan,Jonah,Acts,Jas"};
  bool ok = argc >= 3;
  for (int i = 3; ok && i < argc; i++) ok = set_option(&o, argv[i]);
  if (!ok) {
    fprintf(stderr, "usage: celslm_train TEXT OUT [option=value ...]\noptions: held_out");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) fprintf(stderr, " %s", fields[i]);
    fprintf(stderr, "\n");
    return 2;
  }
  openblas_set_num_threads(1);
  text train = {0}, held = {0};
  if (!read_text(argv[1], o.held_out, &train, &held) || train.n < 1 << 16 || held.n < 1 << 12) {
    fprintf(stderr, "celslm_train: %s: no text, or too little of it\n", argv[1]);
    return 2;
  }
  shape s = {.layers = (int)o.layers,
             .dim = (int)o.dim,
             .hidden = (int)o.hidden,
             .heads = (int)o.heads,
             .kv_heads = (int)o.kv_heads,
             .block = 128};
  model net = create(&s, (uint64_t)o.seed);
  real *first = allocate(net.at.total, sizeof *first),
       *second = allocate(net.at.total, sizeof *second);
  for (int i = 1; i < argc; i++)
    printf("%s%s", i > 1 ? " " : "# ", i < 3 ? (i == 1 ? "TEXT" : "OUT") : argv[i]);
  printf("\n# %zu parameters, %zu bytes to train on, %zu held out (%s)\n", net.at.total, train.n,
         held.n, o.held_out);
  printf("step,tokens,rate,train_bits_per_byte,held_out_bits_per_byte,tokens_per_second\n");
  fflush(stdout);
  uint64_t state = (uint64_t)o.seed + 1000;
  int steps = (int)o.steps, report = (int)o.report, longest = (int)o.long_length;
  int turn = o.constant_to > 0 ? (int)o.constant_to : (int)(o.long_from * steps);
  signal(SIGUSR1, on_signal);
  memory m = remember(&s, (int)o.tokens, longest > (int)o.length ? longest : (int)o.length);
  uint8_t *batch = malloc((size_t)o.tokens * 2);
  double sum = 0, since = seconds(), tokens = 0, tokens_before = 0;
  int counted = 0;
  for (int t = 1; batch && t <= steps && (o.stop < 1 || t <= o.stop); t++) {
    if (hurry && t > o.warmup && t <= turn && o.constant_to > 0) {
      turn = t - 1, steps = turn * 7 / 5;
      o.constant_to = turn, o.steps = steps;
      printf("# the same as: constant_to=%d steps=%d\n", turn, steps);
    }
    int length = t > turn ? longest : (int)o.length, sequences = (int)o.tokens / length;
    for (int b = 0; b < sequences; b++)
      memcpy(batch + (size_t)b * ((size_t)length + 1),
             train.bytes + random_next(&state) % (train.n - (size_t)length - 1),
             (size_t)length + 1);
    sum += forward(&net, &m, sequences, length, batch, NULL);
    backward(&net, &m, sequences, length, batch);
    double rate = rate_at(&o, t);
    step(&net, first, second, t, rate, o.decay);
    tokens += sequences * length;
    counted++;
    if (t % report == 0 || t == steps || t == (int)o.stop) {
      double now = seconds();
      printf("%d,%.0f,%.3g,%.4f,%.4f,%.0f\n", t, tokens, rate, sum / counted / log(2),
             held_out_bits(&net, &held, length, t == steps ? 0 : 24),
             (tokens - tokens_before) / (now - since));
      fflush(stdout);
      sum = 0, counted = 0, since = seconds(), tokens_before = tokens;
      if (!write_checkpoint(argv[2], &net, (int)o.max_tokens)) {
        fprintf(stderr, "celslm_train: %s: cannot write\n", argv[2]);
        return 1;
      }
    }
  }
  printf("# held out, windows of 256: %.4f, of 1024: %.4f bits per byte\n",
         held_out_bits(&net, &held, 256, 0), held_out_bits(&net, &held, 1024, 0));
  forget(&m);
  destroy(&net);
  free(first), free(second), free(batch), free(train.bytes), free(held.bytes);
  return 0;
}

#endif
