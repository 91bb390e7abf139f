/* fit.c - robust fit of a cost curve (see fit.h).
 *
 * max(a, b) has a kink where the roofline bends, so each start is first fitted with the smooth
 * (a^q + b^q)^(1/q), q = 8; the best of them end with the true maximum. Weights: Cauchy's
 * 1/(1 + (r/(2.385 s))^2) with s = 1.4826 MAD (P. W. Holland, R. E. Welsch, "Robust regression
 * using iteratively reweighted least-squares", Comm. Stat. A6, 1977). A parameter that ends beyond
 * its limit is put there, and the others are fitted again. A faint pull towards the start keeps
 * parameters that the data do not show where they are. */
#include "cost/fit.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>

enum { RATE, HALF, BYTE, LATENCY, PARAMETERS };

static const double pull = 1e-7;        /* weight of the pull, as a residual per unit of log */
static const double cauchy = 2.385;     /* 95 % efficiency on normal residuals */
static const double least_scale = 1e-6; /* of residuals; below it data are exact */

typedef struct problem {
  const celslm_timing *samples;
  int n;
  double x[PARAMETERS]; /* logs; those not free stay */
  double start[PARAMETERS];
  int free[PARAMETERS], n_free;
  double sharpness; /* q; INFINITY: the true maximum */
} problem;

double celslm_curve_seconds(const celslm_curve *c, const celslm_timing *s) {
  double compute = s->flops > 0 ? s->flops * (1 + c->half_rows / s->rows) / c->flop_rate : 0;
  return c->latency + fmax(compute, s->bytes / c->byte_rate);
}

/* ---- residuals and their derivatives --------------------------------------------------------- */

static double exp_within(double x) {
  return exp(fmin(fmax(x, -60), 60));
}

static celslm_curve curve_at(const double *x) {
  return (celslm_curve){.flop_rate = exp_within(x[RATE]),
                        .half_rows = exp_within(x[HALF]),
                        .byte_rate = exp_within(x[BYTE]),
                        .latency = exp_within(x[LATENCY])};
}

/* ln(predicted/measured) of one sample and its derivatives by the four logs. */
static double residual(const celslm_curve *c, double q, const celslm_timing *s, double *d) {
  double extra = s->flops / c->flop_rate * c->half_rows / s->rows;
  double compute = s->flops / c->flop_rate + extra, memory = s->bytes / c->byte_rate;
  bool computes = compute >= memory;
  double most = computes ? compute : memory, by_compute = computes, by_memory = !computes;
  if (isfinite(q)) {
    double small = pow((computes ? memory : compute) / most, q), sum = pow(1 + small, 1 / q);
    double by_most = sum / (1 + small),
           by_least = small ? small * by_most : 0; /* dS/dln, over most */
    by_compute = (computes ? by_most : by_least) * most / fmax(compute, 1e-300);
    by_memory = (computes ? by_least : by_most) * most / fmax(memory, 1e-300);
    most *= sum;
  }
  double t = c->latency + most;
  d[RATE] = -by_compute * compute / t;
  d[HALF] = by_compute * extra / t;
  d[BYTE] = -by_memory * memory / t;
  d[LATENCY] = c->latency / t;
  return log(t / s->seconds);
}

static void spread_free(const problem *p, const gsl_vector *v, double *x) {
  for (int i = 0; i < PARAMETERS; i++) x[i] = p->x[i];
  for (int i = 0; i < p->n_free; i++) x[p->free[i]] = gsl_vector_get(v, (size_t)i);
}

static int evaluate(const gsl_vector *v, void *data, gsl_vector *f) {
  const problem *p = data;
  double x[PARAMETERS], d[PARAMETERS];
  spread_free(p, v, x);
  celslm_curve c = curve_at(x);
  for (int i = 0; i < p->n; i++)
    gsl_vector_set(f, (size_t)i, residual(&c, p->sharpness, &p->samples[i], d));
  for (int i = 0; i < p->n_free; i++)
    gsl_vector_set(f, (size_t)(p->n + i), pull * (x[p->free[i]] - p->start[p->free[i]]));
  return GSL_SUCCESS;
}

static int differentiate(const gsl_vector *v, void *data, gsl_matrix *j) {
  const problem *p = data;
  double x[PARAMETERS], d[PARAMETERS];
  spread_free(p, v, x);
  celslm_curve c = curve_at(x);
  gsl_matrix_set_zero(j);
  for (int i = 0; i < p->n; i++) {
    residual(&c, p->sharpness, &p->samples[i], d);
    for (int k = 0; k < p->n_free; k++) gsl_matrix_set(j, (size_t)i, (size_t)k, d[p->free[k]]);
  }
  for (int k = 0; k < p->n_free; k++) gsl_matrix_set(j, (size_t)(p->n + k), (size_t)k, pull);
  return GSL_SUCCESS;
}

/* ---- one start ------------------------------------------------------------------------------- */

static double scale_of(const problem *p, double *r) {
  double d[PARAMETERS];
  celslm_curve c = curve_at(p->x);
  for (int i = 0; i < p->n; i++) r[i] = fabs(residual(&c, p->sharpness, &p->samples[i], d));
  gsl_sort(r, 1, (size_t)p->n);
  return fmax(1.4826 * gsl_stats_median_from_sorted_data(r, 1, (size_t)p->n), least_scale);
}

/* Fits the free parameters of p->x, reweighting until nothing moves. */
static void solve(problem *p) {
  size_t n = (size_t)(p->n + p->n_free), k = (size_t)p->n_free;
  if (k == 0) return;
  gsl_multifit_nlinear_parameters options = gsl_multifit_nlinear_default_parameters();
  gsl_multifit_nlinear_workspace *work =
      gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &options, n, k);
  gsl_multifit_nlinear_fdf function = {
      .f = evaluate, .df = differentiate, .n = n, .p = k, .params = p};
  gsl_vector *weights = gsl_vector_alloc(n), *v = gsl_vector_alloc(k);
  double *r = celslm_alloc((unsigned long)p->n, sizeof *r);
  gsl_vector_set_all(weights, 1);
  for (int round = 0; round < (isfinite(p->sharpness) ? 5 : 30); round++) {
    double moved = 0, d[PARAMETERS];
    int info;
    for (size_t i = 0; i < k; i++) gsl_vector_set(v, i, p->x[p->free[i]]);
    gsl_multifit_nlinear_winit(v, weights, &function, work);
    gsl_multifit_nlinear_driver(40, 1e-9, 1e-10, 0, NULL, NULL, &info, work);
    const gsl_vector *now = gsl_multifit_nlinear_position(work);
    for (size_t i = 0; i < k; i++) {
      double x = fmin(fmax(gsl_vector_get(now, i), -60), 60);
      if (!isfinite(x)) x = p->x[p->free[i]];
      moved = fmax(moved, fabs(x - p->x[p->free[i]]));
      p->x[p->free[i]] = x;
    }
    if (round > 0 && moved < 1e-7) break;
    double scale = cauchy * scale_of(p, r);
    celslm_curve c = curve_at(p->x);
    for (int i = 0; i < p->n; i++) {
      double e = residual(&c, p->sharpness, &p->samples[i], d) / scale;
      gsl_vector_set(weights, (size_t)i, 1 / (1 + e * e));
    }
  }
  free(r);
  gsl_vector_free(v);
  gsl_vector_free(weights);
  gsl_multifit_nlinear_free(work);
}

static void fix(problem *p, int parameter, double x) {
  p->x[parameter] = x;
  for (int i = 0; i < p->n_free; i++)
    if (p->free[i] == parameter) {
      for (int j = i + 1; j < p->n_free; j++) p->free[j - 1] = p->free[j];
      p->n_free--;
      return;
    }
}

static void solve_within(problem *p, celslm_fit_limits limits) {
  double most[PARAMETERS] = {[RATE] = log(limits.flop_rate), [BYTE] = log(limits.byte_rate)};
  p->sharpness = INFINITY;
  solve(p);
  for (int again = 0; again < 2; again++) {
    int beyond = p->x[RATE] > most[RATE] ? RATE : p->x[BYTE] > most[BYTE] ? BYTE : -1;
    if (beyond < 0) return;
    fix(p, beyond, most[beyond]);
    solve(p);
  }
}

/* Sum of Cauchy losses at one scale for all starts: 5 %. */
static double loss(const problem *p) {
  double sum = 0, d[PARAMETERS];
  celslm_curve c = curve_at(p->x);
  for (int i = 0; i < p->n; i++)
    sum += log1p(pow(residual(&c, INFINITY, &p->samples[i], d) / 0.05, 2));
  return sum;
}

/* ---- all starts ------------------------------------------------------------------------------ */

enum { STARTS = 12, FINALISTS = 3 };

static void make_starts(problem *starts, const celslm_timing *samples, int n,
                        celslm_fit_limits limits) {
  double flop_rate = 0, byte_rate = 0, least = INFINITY;
  for (int i = 0; i < n; i++) {
    flop_rate = fmax(flop_rate, samples[i].flops / samples[i].seconds);
    byte_rate = fmax(byte_rate, samples[i].bytes / samples[i].seconds);
    least = fmin(least, samples[i].seconds);
  }
  static const double halves[] = {0.5, 5, 50}, shares[] = {1, 0.5}, latencies[] = {0.5, 0.02};
  for (int i = 0; i < STARTS; i++) {
    problem p = {.samples = samples, .n = n, .sharpness = 8};
    p.x[RATE] = log(fmin(fmax(flop_rate, 1), limits.flop_rate));
    p.x[HALF] = log(halves[i % 3]);
    p.x[BYTE] = log(fmin(byte_rate * shares[i / 3 % 2], limits.byte_rate));
    p.x[LATENCY] = log(least * latencies[i / 6]);
    for (int k = 0; k < PARAMETERS; k++) {
      p.start[k] = p.x[k];
      if (flop_rate > 0 || k >= BYTE) p.free[p.n_free++] = k;
    }
    starts[i] = p;
  }
}

/* All starts with the smooth maximum, the best of them with the true one. */
static problem best_of_starts(const celslm_timing *samples, int n, celslm_fit_limits limits) {
  problem starts[STARTS], best = {0};
  double losses[STARTS], lowest = INFINITY;
  make_starts(starts, samples, n, limits);
  for (int i = 0; i < STARTS; i++) {
    solve(&starts[i]);
    losses[i] = loss(&starts[i]);
  }
  for (int k = 0; k < FINALISTS; k++) {
    int next = 0;
    for (int i = 1; i < STARTS; i++)
      if (losses[i] < losses[next]) next = i;
    losses[next] = INFINITY;
    solve_within(&starts[next], limits);
    double l = loss(&starts[next]);
    if (k == 0 || l < lowest) {
      lowest = l;
      best = starts[next];
    }
  }
  return best;
}

/* Which sides of the roofline the samples show under the fitted curve. Returns the fewest rows of a
 * compute-bound one. */
static double see(celslm_fit *fit, const celslm_timing *samples, int n) {
  const celslm_curve *c = &fit->curve;
  int compute = 0, memory = 0;
  double few = INFINITY, many = 0;
  for (int i = 0; i < n; i++) {
    const celslm_timing *s = &samples[i];
    double bytes = s->bytes / c->byte_rate;
    if (s->flops * (1 + c->half_rows / s->rows) / c->flop_rate > bytes) {
      compute++;
      few = fmin(few, s->rows);
      many = fmax(many, s->rows);
    } else
      memory++;
  }
  fit->flop_rate_seen = compute >= 2;
  fit->half_rows_seen = compute >= 3 && many >= 2 * few;
  fit->byte_rate_seen = memory >= 2;
  return few;
}

static void to_curve(celslm_fit *fit, const problem *p, celslm_fit_limits limits) {
  celslm_curve *c = &fit->curve;
  *c = (celslm_curve){.flop_rate = fmin(exp(p->x[RATE]), limits.flop_rate),
                      .half_rows = exp(p->x[HALF]),
                      .byte_rate = fmin(exp(p->x[BYTE]), limits.byte_rate),
                      .latency = exp(p->x[LATENCY])};
  if (c->half_rows < 1e-6) c->half_rows = 0;
  if (c->latency < 1e-12) c->latency = 0;
  double few = see(fit, p->samples, p->n);
  if (!fit->flop_rate_seen) c->flop_rate = limits.flop_rate;
  if (!fit->half_rows_seen) {
    /* What few rows would lose cannot be told from a lower rate: keep the time, drop the split. */
    if (fit->flop_rate_seen) c->flop_rate /= 1 + c->half_rows / few;
    c->half_rows = 0;
  }
  if (!fit->byte_rate_seen) c->byte_rate = limits.byte_rate;
}

/* ---- held-out shapes ------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  return (x > y) - (x < y);
}

/* The shapes, the held-out ones first. Returns how many there are; *held of them are held out. */
static int choose(const celslm_timing *samples, int n, int *shapes, int *held) {
  int count = 0;
  for (int i = 0; i < n; i++) shapes[i] = samples[i].shape;
  qsort(shapes, (size_t)n, sizeof *shapes, by_value);
  for (int i = 0; i < n; i++)
    if (count == 0 || shapes[i] != shapes[count - 1]) shapes[count++] = shapes[i];
  gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
  gsl_rng_set(rng, 1);
  if (count > 1) gsl_ran_shuffle(rng, shapes, (size_t)count, sizeof *shapes);
  gsl_rng_free(rng);
  *held = count / 4;
  return count;
}

static bool is_held(const int *shapes, int held, int shape) {
  for (int i = 0; i < held; i++)
    if (shapes[i] == shape) return true;
  return false;
}

void celslm_fit_residuals(const celslm_curve *c, const celslm_timing *samples, int n,
                          double *median, double *p95) {
  double *r = celslm_alloc((unsigned long)n, sizeof *r);
  for (int i = 0; i < n; i++)
    r[i] = fabs(celslm_curve_seconds(c, &samples[i]) / samples[i].seconds - 1);
  gsl_sort(r, 1, (size_t)n);
  *median = gsl_stats_median_from_sorted_data(r, 1, (size_t)n);
  *p95 = gsl_stats_quantile_from_sorted_data(r, 1, (size_t)n, 0.95);
  free(r);
}

static bool check(const celslm_timing *samples, int n, celslm_fit_limits limits,
                  celslm_error *err) {
  if (!(limits.flop_rate > 0) || !(limits.byte_rate > 0) || isinf(limits.flop_rate) ||
      isinf(limits.byte_rate))
    return celslm_fail(err, NULL, 0, "a fit needs finite, positive peaks as its limits");
  for (int i = 0; i < n; i++) {
    const celslm_timing *s = &samples[i];
    const double positive[] = {s->bytes, s->rows, s->seconds};
    for (int k = 0; k < 3; k++)
      if (!(positive[k] > 0) || isinf(positive[k]))
        return celslm_fail(err, NULL, 0, "sample %d has %s %g; it must be positive", i,
                           (const char *[]){"bytes", "rows", "seconds"}[k], positive[k]);
    if (!(s->flops >= 0) || isinf(s->flops))
      return celslm_fail(err, NULL, 0, "sample %d has flops %g; they must be at least 0", i,
                         s->flops);
  }
  return true;
}

bool celslm_fit_curve(const celslm_timing *samples, int n, celslm_fit_limits limits,
                      celslm_fit *fit, celslm_error *err) {
  *fit = (celslm_fit){0};
  if (!check(samples, n, limits, err)) return false;
  unsigned long room = (unsigned long)(n > 0 ? n : 1);
  int *shapes = celslm_alloc(room, sizeof *shapes), held, count = choose(samples, n, shapes, &held);
  celslm_timing *in = celslm_alloc(room, sizeof *in), *out = celslm_alloc(room, sizeof *out);
  double few = INFINITY, many = 0;
  for (int i = 0; i < n; i++) {
    if (is_held(shapes, held, samples[i].shape))
      out[fit->held_samples++] = samples[i];
    else
      in[fit->samples++] = samples[i];
    few = fmin(few, samples[i].rows);
    many = fmax(many, samples[i].rows);
  }
  fit->shapes = count - held;
  fit->held_shapes = held;
  bool ok = fit->samples >= CELSLM_FIT_MIN;
  if (ok) {
    problem best = best_of_starts(in, fit->samples, limits);
    to_curve(fit, &best, limits);
    fit->curve.rows_min = few;
    fit->curve.rows_max = many;
    celslm_fit_residuals(&fit->curve, held ? out : in, held ? fit->held_samples : fit->samples,
                         &fit->curve.residual_median, &fit->curve.residual_p95);
  } else
    celslm_fail(err, NULL, 0,
                "%d samples outside the held-out shapes are too few to fit a curve; "
                "give at least %d",
                fit->samples, CELSLM_FIT_MIN);
  free(out);
  free(in);
  free(shapes);
  return ok;
}
