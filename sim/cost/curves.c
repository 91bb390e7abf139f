/* curves.c - fitting cost curves to kernel tables (see curves.h). */
#include "cost/curves.h"

#include "cost/cost.h"
#include "cost/robust.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>

static const double error_scale = 0.02; /* of log ratios: 2.385 times it halves a weight */

/* Logs; ROWS, SHARP of s, q - 1; APPEND of its inverse. */
enum { RATE, HALF, BYTE, LATENCY, ROWS, APPEND, SHARP, PARAMETERS };

void celslm_spread_of(double *values, int n, double *median, double *p95) {
  gsl_sort(values, 1, (size_t)n);
  *median = gsl_stats_median_from_sorted_data(values, 1, (size_t)n);
  *p95 = gsl_stats_quantile_from_sorted_data(values, 1, (size_t)n, 0.95);
}

typedef struct problem {
  const celslm_kernel *kernels;
  double peak, bandwidth;
  bool flops, round, append;
  double sharpness; /* while it is not fitted */
} problem;

static celslm_curve to_curve(const problem *p, const double *x) {
  celslm_curve c = {.flop_rate = p->flops ? fmin(exp(x[RATE]), p->peak) : p->peak,
                    .half_rows = p->flops ? exp(x[HALF]) : 0,
                    .byte_rate = fmin(exp(x[BYTE]), p->bandwidth),
                    .latency = exp(x[LATENCY]),
                    .append_rate = p->append ? exp(-x[APPEND]) : 0,
                    .rows_sharpness = p->flops ? 1 + exp(x[ROWS]) : 0,
                    .sharpness = p->round ? 1 + exp(x[SHARP]) : p->sharpness,
                    .residual_median = NAN,
                    .residual_p95 = NAN};
  if (c.half_rows < 1e-6) c.half_rows = 0;
  if (c.latency < 1e-12) c.latency = 1e-12;
  if (c.rows_sharpness > 100) c.rows_sharpness = 100;
  if (c.sharpness > 100) c.sharpness = 0; /* as sharp as can be */
  return c;
}

static double time_of(const celslm_curve *c, const celslm_kernel *k) {
  return celslm_curve_time(c, k->flops, k->bytes, k->rows) + celslm_curve_append(c, k->appended);
}

static double residual(const double *x, int i, const void *data) {
  const problem *p = data;
  celslm_curve c = to_curve(p, x);
  const celslm_kernel *k = &p->kernels[i];
  return log(time_of(&c, k) / k->seconds);
}

/* The residual again, with its derivatives by x: the chain rule through celslm_curve_time. On a
 * bound (a rate at its limit) they are those from within. */
static double slopes(const double *x, int i, const void *data, double *to) {
  const problem *p = data;
  celslm_curve c = to_curve(p, x);
  const celslm_kernel *k = &p->kernels[i];
  double s = c.rows_sharpness, q = c.sharpness, u = 0, few = 1;
  if (p->flops && c.half_rows > 0) {
    u = pow(c.half_rows / k->rows, s);
    few = s > 1 ? pow(1 + u, 1 / s) : 1 + u;
  }
  double compute = k->flops > 0 ? k->flops * few / c.flop_rate : 0, memory = k->bytes / c.byte_rate;
  double most = fmax(compute, memory), v = fmin(compute, memory) / most, round = most, by_q = 0;
  double by_compute = compute >= memory, by_memory = !by_compute; /* d round / d them */
  if (q > 0) {
    double vq = pow(v, q);
    round = most * pow(1 + vq, 1 / q);
    by_compute = pow(compute / round, q - 1);
    by_memory = pow(memory / round, q - 1);
    by_q = round * ((v > 0 ? vq * log(v) / (q * (1 + vq)) : 0) - log1p(vq) / (q * q));
  }
  double append = celslm_curve_append(&c, k->appended), seconds = c.latency + round + append;
  double few_by_s = u > 0 ? u * log(c.half_rows / k->rows) / (s * (1 + u)) - log1p(u) / (s * s) : 0;
  const double by[PARAMETERS] = {
      [RATE] = -by_compute * compute,
      [HALF] = by_compute * compute * u / (1 + u),
      [BYTE] = -by_memory * memory,
      [LATENCY] = c.latency,
      [ROWS] = by_compute * compute * few_by_s * (s - 1),
      [APPEND] = append,
      [SHARP] = by_q * (q - 1),
  };
  for (int j = 0; j < (p->round ? PARAMETERS : SHARP); j++) to[j] = by[j] / seconds;
  return log(seconds / k->seconds);
}

static double refine(problem *p, int n, const double *prior, double *x) {
  /* A sharp corner hides from the derivatives on which side a kernel would be: it is sharpened in
   * steps. */
  static const double sharper[] = {4, 32, 0};
  static const double pull[PARAMETERS] = {1e-3, 1e-3, 1e-3, 1e-3, 1e-2, 1e-3, 1e-3};
  const double most[PARAMETERS] = {log(p->peak), INFINITY, log(p->bandwidth), INFINITY,
                                   INFINITY,     INFINITY, INFINITY};
  celslm_robust f = {.residual = residual,
                     .slopes = slopes,
                     .data = p,
                     .most = most,
                     .n = n,
                     .p = p->round ? PARAMETERS : SHARP,
                     .prior = prior,
                     .pull = pull,
                     .scale = error_scale};
  double loss = 0;
  for (int step = p->round || !p->flops ? 2 : 0; step < 3; step++) {
    p->sharpness = sharper[step];
    loss = celslm_robust_solve(&f, x);
  }
  return loss;
}

/* Several starts with every few of the kernels; from the best one with all of them. */
static celslm_curve fit(problem *p, int n) {
  static const double halves[] = {2, 80}, corners[] = {1, 6};
  const celslm_kernel *all = p->kernels;
  const double append = 1e-9; /* s/B: lines of 64 bytes, a value each, from memory */
  double flop_rate = 0, byte_rate = 0, least = INFINITY, lowest = INFINITY, best[PARAMETERS] = {0};
  for (int i = 0; i < n; i++) {
    flop_rate = fmax(flop_rate, all[i].flops / all[i].seconds);
    byte_rate = fmax(byte_rate, all[i].bytes / all[i].seconds);
    least = fmin(least, all[i].seconds);
  }
  int few = 0, every = n / 400 + 1;
  celslm_kernel *some = celslm_alloc((unsigned long)(n / every + 1), sizeof *some);
  for (int i = 0; i < n; i += every) some[few++] = all[i];
  p->kernels = some;
  for (int start = 0; start < 8; start++) {
    if ((!p->round && (start & 2)) || (!p->flops && (start & 1))) continue;
    double share = start & 4 ? 0.6 : 1, x[PARAMETERS], prior[PARAMETERS];
    x[RATE] = log(fmax(fmin(flop_rate, p->peak) * share, 1));
    x[HALF] = log(halves[start & 1]);
    x[BYTE] = log(fmin(byte_rate, p->bandwidth) * share);
    x[LATENCY] = log(least / 2);
    x[ROWS] = log(0.5);
    x[APPEND] = log(append);
    x[SHARP] = log(corners[start >> 1 & 1]);
    for (int i = 0; i < PARAMETERS; i++) prior[i] = x[i];
    double loss = refine(p, few, prior, x);
    if (loss >= lowest) continue;
    lowest = loss;
    for (int i = 0; i < PARAMETERS; i++) best[i] = x[i];
  }
  p->kernels = all;
  double prior[PARAMETERS];
  for (int i = 0; i < PARAMETERS; i++) prior[i] = best[i];
  refine(p, n, prior, best);
  free(some);
  return to_curve(p, best);
}

/* ---- which kernels, which held out ----------------------------------------------------------- */

static bool counts(const celslm_kernel *k, celslm_curve_kind kind, bool one_head_count) {
  switch (kind) {
  case CELSLM_CURVE_GEMM:
    return k->key[0] >= 512 && k->key[1] >= 512;
  case CELSLM_CURVE_PREFILL:
    return k->key[3] >= 16 && k->key[2] <= 8 && (one_head_count || k->key[0] >= 8);
  case CELSLM_CURVE_DECODE:
    return k->key[3] >= 128 && k->key[2] <= 256 && (one_head_count || k->key[0] >= 8);
  default:
    return true;
  }
}

/* The kernels that count, their shapes numbered anew. Returns how many. */
static int choose(const celslm_kernels *list, celslm_curve_kind kind, double peak, double bandwidth,
                  bool all, celslm_kernel *to, celslm_curve_fit *out) {
  int n = 0, last = -1;
  bool one = list->shape_name && list->shape_name[0] != '(' && list->shape_name[0] != 'h';
  for (int i = 0; i < list->n; i++) {
    celslm_kernel k = list->at[i];
    if (!all && !counts(&k, kind, one)) {
      out->outside++;
      continue;
    }
    if (k.seconds <= fmax(k.flops / peak, k.bytes / bandwidth)) {
      out->cached++;
      continue;
    }
    if (k.shape != last) out->shapes++;
    last = k.shape;
    k.shape = out->shapes - 1;
    to[n++] = k;
  }
  return n;
}

static bool is_held(int shape, int turn) {
  return turn < 0 ? shape % 4 == 2 : shape == turn;
}

/* Splits by the rule; returns how many are in the fit, which come first. */
static int split(const celslm_kernel *from, int n, int turn, celslm_kernel *to) {
  int in = 0, out = n;
  for (int i = 0; i < n; i++) {
    if (is_held(from[i].shape, turn))
      to[--out] = from[i];
    else
      to[in++] = from[i];
  }
  return in;
}

static double error_of(const celslm_curve *c, const celslm_kernel *k) {
  return fabs(time_of(c, k) / k->seconds - 1);
}

bool celslm_curve_fit_kernels(const celslm_kernels *list, celslm_curve_kind kind, double peak,
                              double bandwidth, bool all, celslm_curve_fit *out,
                              celslm_error *err) {
  *out = (celslm_curve_fit){0};
  unsigned long room = (unsigned long)list->n + 1;
  celslm_kernel *chosen = celslm_alloc(room, sizeof *chosen);
  celslm_kernel *kernels = celslm_alloc(room, sizeof *kernels);
  double *errors = celslm_alloc(room, sizeof *errors);
  int n = choose(list, kind, peak, bandwidth, all, chosen, out), errors_n = 0;
  problem p = {.kernels = kernels,
               .peak = peak,
               .bandwidth = bandwidth,
               .flops = kind != CELSLM_CURVE_ELEMENTWISE,
               .append = n > 0 && chosen[0].appended > 0,
               .round = kind == CELSLM_CURVE_GEMM || kind == CELSLM_CURVE_PREFILL};
  out->in_turn = out->shapes < 8;
  int turns = out->in_turn ? out->shapes : 1, in = 0;
  bool ok = n >= CELSLM_CURVE_FIT_MIN;
  /* Sizes in order: the first and the last bound the range and stay in the fit. */
  bool bounded = out->in_turn && list->shape_name[0] != '(' && out->shapes > 3;
  for (int t = 0; ok && t < turns; t++) {
    if (bounded && (t == 0 || t == turns - 1)) continue;
    in = split(chosen, n, out->in_turn ? t : -1, kernels);
    if (in < CELSLM_CURVE_FIT_MIN) {
      ok = out->in_turn && out->shapes == 1; /* nothing to hold out */
      break;
    }
    out->curve = fit(&p, in);
    for (int i = in; i < n; i++) errors[errors_n++] = error_of(&out->curve, &kernels[i]);
  }
  if (!ok) {
    celslm_fail(err, list->file, 0,
                "%d measurements in range and above the roofline (%d of them in the fit) are too "
                "few for the %s curve; give at least %d",
                n, in, celslm_curve_name(kind), CELSLM_CURVE_FIT_MIN);
  } else {
    out->held_kernels = errors_n;
    out->held_shapes = out->in_turn ? out->shapes - 2 * bounded : (out->shapes + 1) / 4;
    if (out->in_turn) {
      for (int i = 0; i < n; i++) kernels[i] = chosen[i];
      out->curve = fit(&p, in = n);
    }
    out->kernels = in;
    if (errors_n)
      celslm_spread_of(errors, errors_n, &out->curve.residual_median, &out->curve.residual_p95);
    out->curve.rows_min = INFINITY;
    for (int i = 0; i < n; i++) {
      out->curve.rows_min = fmin(out->curve.rows_min, chosen[i].rows);
      out->curve.rows_max = fmax(out->curve.rows_max, chosen[i].rows);
    }
    for (int i = 0; i < in; i++) errors[i] = error_of(&out->curve, &kernels[i]);
    celslm_spread_of(errors, in, &out->own_median, &out->own_p95);
  }
  free(errors);
  free(kernels);
  free(chosen);
  return ok;
}

/* ---- links ----------------------------------------------------------------------------------- */

double celslm_allreduce_time(double start, double latency, double rate, double devices,
                             double bytes) {
  if (devices <= 1) return 0;
  return start + 2 * (devices - 1) * (latency + bytes / (devices * rate));
}

static double link_residual(const double *x, int i, const void *data) {
  const celslm_allreduce *a = (const celslm_allreduce *)data + i;
  return log(celslm_allreduce_time(exp(x[0]), exp(x[1]), exp(x[2]), a->devices, a->bytes) /
             a->seconds);
}

bool celslm_link_fit_times(const celslm_allreduce *a, int n, celslm_link_fit *out,
                           celslm_error *err) {
  if (n < CELSLM_CURVE_FIT_MIN)
    return celslm_fail(err, NULL, 0, "%d all-reduces are too few to fit a link; give at least %d",
                       n, CELSLM_CURVE_FIT_MIN);
  double x[3] = {log(5e-6), log(5e-7), log(1e11)};
  static const double pull[] = {1e-3, 1e-3, 1e-3};
  const double prior[3] = {x[0], x[1], x[2]};
  celslm_robust f = {.residual = link_residual,
                     .data = a,
                     .n = n,
                     .p = 3,
                     .prior = prior,
                     .pull = pull,
                     .scale = error_scale};
  celslm_robust_solve(&f, x);
  *out = (celslm_link_fit){.start = exp(x[0]), .latency = exp(x[1]), .rate = exp(x[2]), .n = n};
  double *errors = celslm_alloc((unsigned long)n, sizeof *errors);
  for (int i = 0; i < n; i++) errors[i] = fabs(expm1(link_residual(x, i, a)));
  celslm_spread_of(errors, n, &out->median, &out->p95);
  free(errors);
  return true;
}
