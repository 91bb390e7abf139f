/* plan.c - the shapes that are timed (see plan.h). */
#include "cost/plan.h"

#include "model/ops.h"

#include <gsl/gsl_qrng.h>
#include <math.h>
#include <stdlib.h>

_Static_assert((int)CELSLM_TIMED_GEMM == (int)CELSLM_CURVE_GEMM &&
                   (int)CELSLM_TIMED_PREFILL == (int)CELSLM_CURVE_PREFILL &&
                   (int)CELSLM_TIMED_DECODE == (int)CELSLM_CURVE_DECODE &&
                   (int)CELSLM_TIMED_NORM == (int)CELSLM_CURVE_ELEMENTWISE,
               "kinds in the order of the curves");

enum {
  MOST_ROWS = 512,
  LARGEST_MATRIX = 1 << 24,
  LARGEST_CACHE = 16 << 20 /* B of one point's KV */
};

typedef struct builder {
  celslm_plan plan;
  int room, shape;
  const celslm_plan_options *options;
} builder;

/* The work of a point, counted by the op list: a model with just these dimensions has the op. */
static celslm_timing work(const celslm_point *p, int shape) {
  celslm_model m = {
      .hidden = p->n, .heads = p->q_heads, .kv_heads = p->kv_heads, .head_dim = p->head_dim};
  celslm_op op;
  celslm_shape s;
  if (p->kind == CELSLM_TIMED_GEMM) { /* the output projection: heads * head_dim -> hidden */
    m.heads = 1;
    m.head_dim = p->k;
  }
  s = celslm_shape_of(&m, CELSLM_F32, CELSLM_F32);
  bool appends = p->kind == CELSLM_TIMED_PREFILL || p->kind == CELSLM_TIMED_DECODE;
  switch (p->kind) {
  case CELSLM_TIMED_GEMM:
    op = celslm_op_dense(&s, CELSLM_OP_OUTPUT, (double)p->m);
    break;
  case CELSLM_TIMED_PREFILL:
    op = celslm_op_prefill(&s, (double)p->m, (double)p->past);
    break;
  case CELSLM_TIMED_DECODE: {
    double tokens = (double)(p->m * (p->past + 1));
    op = celslm_op_decode(&s, (double)p->m, tokens, tokens);
    break;
  }
  default:
    op = celslm_op_dense(&s, CELSLM_OP_NORM, (double)p->m);
  }
  return (celslm_timing){
      .flops = op.flops,
      .bytes = op.weight_bytes + op.activation_bytes + op.kv_bytes,
      .rows = op.rows,
      .appended = appends ? op.rows * 2 * (double)(p->kv_heads * p->head_dim) * s.kv_bytes : 0,
      .shape = shape};
}

static void add(builder *b, celslm_point p) {
  const celslm_plan_options *o = b->options;
  p.timing = work(&p, b->shape);
  if (p.timing.flops / (0.7 * o->peak) + p.timing.bytes / (0.7 * o->bandwidth) > o->longest) return;
  if (b->plan.n == b->room) {
    b->room = b->room ? 2 * b->room : 64;
    b->plan.points = celslm_realloc(b->plan.points, (unsigned long)b->room, sizeof *b->plan.points);
  }
  b->plan.points[b->plan.n++] = p;
}

/* 2^(low..high) at the share u, as a multiple of `step`. */
static int64_t between(double u, double low, double high, int64_t step) {
  int64_t x = llround(exp2(low + u * (high - low)) / (double)step) * step;
  return x < step ? step : x;
}

/* ---- matrix products ------------------------------------------------------------------------- */

/* All m of one matrix: a factor `ratio` apart, from `first` on. */
static void add_matrix(builder *b, int64_t n, int64_t k, double first, double ratio) {
  int64_t last = 0;
  if (n * k > LARGEST_MATRIX)
    n = LARGEST_MATRIX / k / 32 * 32; /* a slice of the rows does as well */
  for (double m = first; m < MOST_ROWS * 1.01; m *= ratio) {
    int64_t rows = llround(m);
    if (rows != last) add(b, (celslm_point){.kind = CELSLM_TIMED_GEMM, .m = rows, .n = n, .k = k});
    last = rows;
  }
  if (first == 1 && last < MOST_ROWS) /* the sizes of a model: nothing to extrapolate */
    add(b, (celslm_point){.kind = CELSLM_TIMED_GEMM, .m = MOST_ROWS, .n = n, .k = k});
  b->shape++;
}

static void add_matrices(builder *b) {
  double u[3], ratio = b->options->quick ? 2.5 : 2;
  for (int i = 0; i < b->options->n_models; i++) {
    const celslm_model *m = &b->options->models[i];
    int64_t heads = m->heads * m->head_dim, kv = m->kv_heads * m->head_dim;
    add_matrix(b, heads + 2 * kv, m->hidden, 1, ratio);
    add_matrix(b, m->hidden, heads, 1, ratio);
    add_matrix(b, m->gated ? 2 * m->ffn : m->ffn, m->hidden, 1, ratio);
    add_matrix(b, m->hidden, m->ffn, 1, ratio);
    if (i == 0 && !b->options->quick) add_matrix(b, m->vocabulary, m->hidden, 1, 3);
  }
  gsl_qrng *sobol = gsl_qrng_alloc(gsl_qrng_sobol, 3);
  for (int i = 0; i < (b->options->quick ? 8 : 16); i++) {
    gsl_qrng_get(sobol, u);
    add_matrix(b, between(u[0], 8, 13, 8), between(u[1], 8, 12.5, 8), exp2(u[2]), 2 * ratio - 1);
  }
  gsl_qrng_free(sobol);
}

/* ---- attention ------------------------------------------------------------------------------- */

typedef struct heads {
  int q, kv, dim;
} heads;

static int head_counts(const celslm_plan_options *o, heads *out) {
  static const heads usual[] = {{32, 8, 64}, {32, 8, 128}, {16, 16, 64},
                                {8, 2, 128}, {12, 12, 64}, {28, 4, 128}};
  int n = 0;
  for (int i = 0; i < o->n_models; i++) {
    const celslm_model *m = &o->models[i];
    if (m->head_dim <= 256) out[n++] = (heads){(int)m->heads, (int)m->kv_heads, (int)m->head_dim};
  }
  for (int i = 0; i < (o->quick ? 4 : 6); i++) out[n++] = usual[i];
  return n;
}

static void add_prefill(builder *b, heads h, gsl_qrng *sobol) {
  celslm_point p = {
      .kind = CELSLM_TIMED_PREFILL, .q_heads = h.q, .kv_heads = h.kv, .head_dim = h.dim};
  double u[2];
  for (int i = 0; i < (b->options->quick ? 7 : 12); i++) {
    gsl_qrng_get(sobol, u);
    p.m = between(u[0], 3, 9, 1);
    p.past = u[1] < 0.25 ? 0 : between((u[1] - 0.25) / 0.75, 6, 12, 1); /* a quarter starts anew */
    add(b, p);
  }
  b->shape++;
}

static void add_decode(builder *b, heads h, gsl_qrng *sobol) {
  celslm_point p = {
      .kind = CELSLM_TIMED_DECODE, .q_heads = h.q, .kv_heads = h.kv, .head_dim = h.dim};
  double u[2];
  for (int i = 0; i < (b->options->quick ? 7 : 12); i++) {
    gsl_qrng_get(sobol, u);
    p.m = between(u[0], 0, 6, 1);
    p.past = between(u[1], 5, 13, 1);
    int64_t most = LARGEST_CACHE / (8 * h.kv * h.dim) / p.m;
    if (p.past > most) p.past = most;
    add(b, p);
  }
  b->shape++;
}

/* ---- norms ----------------------------------------------------------------------------------- */

static void add_norms(builder *b) {
  for (int i = 0; i < 8; i++) {
    for (double m = exp2(i % 4 * 0.5); m <= MOST_ROWS; m *= b->options->quick ? 8 : 4)
      add(b, (celslm_point){.kind = CELSLM_TIMED_NORM, .m = llround(m), .n = 512 + 512 * i});
    b->shape++;
  }
}

static int by_kind_and_rows(const void *a, const void *b) {
  const celslm_point *x = a, *y = b;
  if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
  if (x->m != y->m) return x->m < y->m ? -1 : 1;
  return (x->timing.shape > y->timing.shape) - (x->timing.shape < y->timing.shape);
}

celslm_plan celslm_plan_make(const celslm_plan_options *options) {
  builder b = {.options = options};
  heads *h = celslm_alloc((unsigned long)options->n_models + 6, sizeof *h);
  int n = head_counts(options, h);
  add_matrices(&b);
  gsl_qrng *sobol = gsl_qrng_alloc(gsl_qrng_sobol, 2);
  for (int i = 0; i < n; i++) add_prefill(&b, h[i], sobol);
  for (int i = 0; i < n; i++) add_decode(&b, h[i], sobol);
  gsl_qrng_free(sobol);
  free(h);
  add_norms(&b);
  qsort(b.plan.points, (size_t)b.plan.n, sizeof *b.plan.points, by_kind_and_rows);
  return b.plan;
}

void celslm_plan_free(celslm_plan *plan) {
  free(plan->points);
  *plan = (celslm_plan){0};
}
