/* measure.c - times single kernels (see measure.h). */
#include "cost/measure.h"

#include "cost/operands.h"

#include <math.h>
#include <stdlib.h>

const char *celslm_measure_isa(void) {
  return celslm_isa_name(celslm_isa_get());
}

void celslm_measure_threads(int threads) {
  celslm_threads_set(threads);
}

void celslm_measure_start(void) {
  float w[64 * 64] = {0}, x[16 * 64] = {0}, y[16 * 64];
  celslm_packed *p = celslm_pack(CELSLM_K_F32, 64, 64, w, 64, 0);
  if (!p) return;
  for (int i = 0; i < 3; i++) celslm_gemm(p, 16, x, 64, y, 64, NULL);
  celslm_packed_free(p);
}

double celslm_measure_best(celslm_once *once, void *self, int i) {
  double best = INFINITY;
  bool again = true;
  for (int tries = 0; again && tries < CELSLM_TRIES; tries++) {
    bool worthless = false;
    double seconds = once(self, i, &worthless);
    best = fmin(best, seconds);
    again = worthless && seconds < 0.02; /* longer ones fare no better */
  }
  return best;
}

int celslm_measure_several(celslm_once *once, void *self, int i, double *to) {
  int n = 0, all = 1;
  for (; n < all; n++) {
    to[n] = celslm_measure_best(once, self, i);
    all = to[n] < 0.015 ? CELSLM_IN_ROUND : 1;
  }
  return n;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double celslm_median(double *values, int n) {
  qsort(values, (size_t)n, sizeof *values, by_value);
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double celslm_middle_spread(double *values, int n, double *spread) {
  int cut = (n + 1) / 4;
  double median = celslm_median(values, n), sum = 0;
  for (int i = cut; i < n - cut; i++) sum += values[i];
  for (int i = 0; i < n; i++) values[i] = fabs(values[i] - median);
  *spread = celslm_median(values, n) / median;
  return sum / (n - 2 * cut);
}

void celslm_measure_types(celslm_operands *o, double *bf16, double *int8) {
  enum { M = 128, N = 1024, K = 1024, REPEATS = 15, TYPES = 3 };
  static const enum celslm_kdtype types[TYPES] = {CELSLM_K_F32, CELSLM_K_BF16, CELSLM_K_I8};
  celslm_packed *w[TYPES];
  double best[TYPES] = {INFINITY, INFINITY, INFINITY};
  float *y = celslm_alloc(M * N, sizeof *y);
  for (int t = 0; t < TYPES; t++) w[t] = celslm_pack(types[t], N, K, o->random, K, 0);
  for (int i = 0; i < REPEATS; i++)
    for (int t = 0; t < TYPES && w[0] && w[1] && w[2]; t++) {
      double from = celslm_machine_now();
      celslm_gemm(w[t], M, o->random, K, y, N, NULL);
      best[t] = fmin(best[t], celslm_machine_now() - from);
    }
  *bf16 = isfinite(best[1]) ? best[0] / best[1] : 1;
  *int8 = isfinite(best[2]) ? best[0] / best[2] : 1;
  for (int t = 0; t < TYPES; t++) celslm_packed_free(w[t]);
  free(y);
}

/* ---- operands of the points ------------------------------------------------------------------ */

/* What is timed at one point. Matrices are shared by the points of a shape. */
typedef struct operand {
  celslm_packed *matrix;
  celslm_kv **kv; /* prefill 1, decode m */
  int64_t n_kv;
  double *last; /* when the weights or keys and values were last used */
  double own_last;
  float *rows; /* norm: in and out, [2][m][n] */
} operand;

struct celslm_measurement {
  celslm_operands *operands;
  celslm_point *points;
  operand *operand;
  int n;
  float *y;            /* output of any product or attention; inputs are random numbers */
  celslm_packed *tiny; /* a product that wakes the threads */
  double *times;       /* [n][CELSLM_MOST_REPEATS] */
  int repeats;         /* -1: not warm yet */
};

static int64_t largest(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Input and output floats of a point. */
static void sizes(const celslm_point *p, int64_t *in, int64_t *out, int64_t *random) {
  int64_t heads = (int64_t)p->q_heads * p->head_dim, kv = (int64_t)p->kv_heads * p->head_dim;
  switch (p->kind) {
  case CELSLM_TIMED_GEMM:
    *in = p->m * p->k;
    *out = p->m * p->n;
    *random = p->n * p->k;
    return;
  case CELSLM_TIMED_NORM:
    *in = *out = *random = p->n;
    return;
  default:
    *in = p->m * (heads + 2 * kv);
    *out = p->m * heads;
    *random = 2 * 1024 * kv;
  }
}

static bool prepare(celslm_measurement *s, int i, double **matrix_last, celslm_packed **matrices) {
  celslm_point *p = &s->points[i];
  operand *o = &s->operand[i];
  o->last = &o->own_last;
  switch (p->kind) {
  case CELSLM_TIMED_GEMM:
    if (!matrices[p->timing.shape]) {
      matrices[p->timing.shape] = celslm_operands_matrix(s->operands, p->n, p->k);
      matrix_last[p->timing.shape] = &o->own_last;
    }
    o->matrix = matrices[p->timing.shape];
    o->last = matrix_last[p->timing.shape];
    return o->matrix;
  case CELSLM_TIMED_NORM:
    o->rows = celslm_machine_block((size_t)(2 * p->m * p->n) * sizeof *o->rows);
    for (int64_t r = 0; o->rows && r < 2 * p->m; r++)
      for (int64_t j = 0; j < p->n; j++) o->rows[r * p->n + j] = s->operands->random[j];
    return o->rows;
  default:
    o->n_kv = p->kind == CELSLM_TIMED_DECODE ? p->m : 1;
    o->kv = celslm_alloc((unsigned long)o->n_kv, sizeof(celslm_kv *));
    for (int64_t j = 0; j < o->n_kv; j++) {
      int64_t room = p->kind == CELSLM_TIMED_DECODE ? 1 : p->m;
      o->kv[j] = celslm_operands_kv(s->operands, p->kv_heads, p->head_dim, p->past, room);
      if (!o->kv[j]) return false;
    }
    return true;
  }
}

int64_t celslm_measurement_needs(const celslm_point *points, int n) {
  int64_t most = 1 << 20; /* also for celslm_measure_types */
  for (int i = 0; i < n; i++) {
    int64_t in, out, random;
    sizes(&points[i], &in, &out, &random);
    most = largest(most, largest(in, random));
  }
  return most;
}

static bool prepare_all(celslm_measurement *s) {
  int64_t most = 4096;
  int shapes = 1;
  for (int i = 0; i < s->n; i++) {
    int64_t in, out, random;
    sizes(&s->points[i], &in, &out, &random);
    most = largest(most, out);
    if (s->points[i].timing.shape >= shapes) shapes = s->points[i].timing.shape + 1;
  }
  s->operand = celslm_alloc((unsigned long)s->n, sizeof *s->operand);
  s->times = celslm_alloc((unsigned long)s->n * CELSLM_MOST_REPEATS, sizeof *s->times);
  s->y = celslm_machine_block((size_t)most * sizeof *s->y);
  s->tiny = celslm_operands_matrix(s->operands, 64, 64);
  double **last = celslm_alloc((unsigned long)shapes, sizeof(double *));
  celslm_packed **matrices = celslm_alloc((unsigned long)shapes, sizeof(celslm_packed *));
  bool ok = s->y && s->tiny;
  for (int i = 0; ok && i < s->n; i++) ok = prepare(s, i, last, matrices);
  free(last);
  free(matrices);
  return ok;
}

/* ---- one timing ------------------------------------------------------------------------------ */

static double run(const celslm_measurement *s, const celslm_point *p, const operand *o,
                  bool *worthless) {
  const float *x = s->operands->random;
  int64_t kv = (int64_t)p->kv_heads * p->head_dim;
  celslm_watch watch = celslm_watch_start();
  switch (p->kind) {
  case CELSLM_TIMED_GEMM:
    celslm_gemm(o->matrix, p->m, x, p->k, s->y, p->n, NULL);
    break;
  case CELSLM_TIMED_NORM:
    celslm_rmsnorm(p->m, p->n, o->rows, x, 1e-6f, o->rows + p->m * p->n);
    break;
  case CELSLM_TIMED_PREFILL:
    celslm_kv_append(o->kv[0], p->m, x, kv, x + p->m * kv, kv);
    celslm_attention_prefill(o->kv[0], p->q_heads, p->m, true, x + 2 * p->m * kv, s->y, NULL);
    break;
  case CELSLM_TIMED_DECODE:
    for (int64_t j = 0; j < p->m; j++)
      celslm_kv_append(o->kv[j], 1, x + 2 * j * kv, kv, x + (2 * j + 1) * kv, kv);
    celslm_attention_decode((const celslm_kv *const *)o->kv, p->m, p->q_heads, x + 2 * p->m * kv,
                            s->y, NULL);
    break;
  }
  double seconds = celslm_watch_stop(&watch, celslm_threads_get(), worthless);
  for (int64_t j = 0; j < o->n_kv; j++) celslm_kv_truncate(o->kv[j], p->past);
  return seconds;
}

static double time_once(void *self, int i, bool *worthless) {
  celslm_measurement *s = self;
  const celslm_point *p = &s->points[i];
  operand *o = &s->operand[i];
  int64_t in, out, random;
  sizes(p, &in, &out, &random);
  celslm_operands_cool(s->operands, *o->last);
  celslm_operands_warm(s->operands, s->operands->random, in);
  celslm_gemm(s->tiny, 8, s->operands->random, 64, s->y, 64, NULL); /* wakes the threads */
  double seconds = run(s, p, o, worthless);
  s->operands->touched += p->timing.bytes;
  *o->last = s->operands->touched;
  return seconds;
}

/* ---- a measurement --------------------------------------------------------------------------- */

celslm_measurement *celslm_measurement_new(celslm_point *points, int n, celslm_operands *operands,
                                           celslm_error *err) {
  celslm_measurement *s = celslm_alloc(1, sizeof *s);
  *s = (celslm_measurement){.points = points, .n = n, .operands = operands, .repeats = -1};
  if (prepare_all(s)) return s;
  celslm_fail(err, NULL, 0, "not enough memory to calibrate");
  celslm_measurement_free(s);
  return NULL;
}

void celslm_measurement_round(celslm_measurement *s) {
  if (s->repeats == CELSLM_MOST_REPEATS) return;
  for (int i = 0; i < s->n; i++) {
    double t = celslm_measure_best(time_once, s, i);
    if (s->repeats >= 0) s->times[i * CELSLM_MOST_REPEATS + s->repeats] = t;
  }
  s->repeats++;
}

int celslm_measurement_finish(celslm_measurement *s) {
  for (int i = 0; i < s->n; i++)
    s->points[i].timing.seconds =
        celslm_middle_spread(s->times + i * CELSLM_MOST_REPEATS, s->repeats, &s->points[i].spread);
  return s->repeats;
}

void celslm_measurement_free(celslm_measurement *s) {
  if (!s) return;
  for (int i = 0; s->operand && i < s->n; i++) {
    operand *o = &s->operand[i];
    if (o->last == &o->own_last) celslm_packed_free(o->matrix);
    for (int64_t j = 0; j < o->n_kv; j++) celslm_kv_free(o->kv[j]);
    free(o->kv);
    free(o->rows);
  }
  celslm_packed_free(s->tiny);
  free(s->operand);
  free(s->times);
  free(s->y);
  free(s);
}
