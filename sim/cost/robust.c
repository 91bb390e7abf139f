/* robust.c - iteratively reweighted least squares (see robust.h). */
#include "cost/robust.h"

#include "base/error.h"

#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>

static const double cauchy = 2.385;      /* 95 % efficiency on normal residuals */
static const double common_scale = 0.05; /* of the loss that compares starts */
static const double far = 25;            /* a residual or parameter beyond it tells no more */

static double bounded(double v) {
  return isnan(v) ? far : fmin(fmax(v, -far), far);
}

static int evaluate(const gsl_vector *v, void *data, gsl_vector *out) {
  const celslm_robust *f = data;
  double x[CELSLM_ROBUST_MAX];
  for (int i = 0; i < f->p; i++) x[i] = gsl_vector_get(v, (size_t)i);
  for (int i = 0; i < f->n; i++)
    gsl_vector_set(out, (size_t)i, bounded(f->residual(x, i, f->data)));
  for (int i = 0; i < f->p; i++)
    gsl_vector_set(out, (size_t)(f->n + i), f->pull[i] * (x[i] - f->prior[i]));
  return GSL_SUCCESS;
}

static int differentiate(const gsl_vector *v, void *data, gsl_matrix *out) {
  const celslm_robust *f = data;
  double x[CELSLM_ROBUST_MAX], slopes[CELSLM_ROBUST_MAX];
  for (int i = 0; i < f->p; i++) x[i] = gsl_vector_get(v, (size_t)i);
  gsl_matrix_set_zero(out);
  for (int i = 0; i < f->n; i++) {
    double r = f->slopes(x, i, f->data, slopes);
    bool flat = bounded(r) != r;
    for (int k = 0; k < f->p; k++)
      gsl_matrix_set(out, (size_t)i, (size_t)k, flat ? 0 : bounded(slopes[k]));
  }
  for (int i = 0; i < f->p; i++) gsl_matrix_set(out, (size_t)(f->n + i), (size_t)i, f->pull[i]);
  return GSL_SUCCESS;
}

static double scale_of(const celslm_robust *f, const double *x, double *r) {
  if (f->scale > 0) return f->scale;
  for (int i = 0; i < f->n; i++) r[i] = fabs(bounded(f->residual(x, i, f->data)));
  gsl_sort(r, 1, (size_t)f->n);
  return fmax(1.4826 * gsl_stats_median_from_sorted_data(r, 1, (size_t)f->n), 1e-6);
}

/* The pull rows weigh as one ordinary observation of residual 1: their weight is 1. */
static void reweigh(const celslm_robust *f, const double *x, double scale, gsl_vector *weights) {
  gsl_vector_set_all(weights, 1);
  for (int i = 0; i < f->n; i++) {
    double e = bounded(f->residual(x, i, f->data)) / (cauchy * scale);
    gsl_vector_set(weights, (size_t)i, 1 / (1 + e * e));
  }
}

double celslm_robust_solve(const celslm_robust *f, double *x) {
  size_t n = (size_t)(f->n + f->p), p = (size_t)f->p;
  gsl_multifit_nlinear_parameters options = gsl_multifit_nlinear_default_parameters();
  options.fdtype = GSL_MULTIFIT_NLINEAR_CTRDIFF; /* sees a way back from a bound */
  gsl_multifit_nlinear_workspace *work =
      gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &options, n, p);
  gsl_multifit_nlinear_fdf function = {.f = evaluate,
                                       .df = f->slopes ? differentiate : NULL,
                                       .n = n,
                                       .p = p,
                                       .params = (void *)(size_t)f};
  gsl_vector *weights = gsl_vector_alloc(n), *v = gsl_vector_alloc(p);
  double *r = celslm_alloc((unsigned long)f->n, sizeof *r), loss = 0;
  gsl_vector_set_all(weights, 1);
  for (int round = 0; round < 25; round++) {
    double moved = 0;
    int info;
    for (size_t i = 0; i < p; i++) gsl_vector_set(v, i, x[i]);
    gsl_multifit_nlinear_winit(v, weights, &function, work);
    gsl_multifit_nlinear_driver(8, 1e-6, 1e-8, 0, NULL, NULL, &info, work);
    const gsl_vector *now = gsl_multifit_nlinear_position(work);
    for (size_t i = 0; i < p; i++) {
      double to = gsl_vector_get(now, i);
      if (!isfinite(to)) to = x[i];
      if (f->most) to = fmin(to, f->most[i]);
      moved = fmax(moved, fabs(to - x[i]));
      x[i] = to;
    }
    if (round > 0 && moved < 1e-5) break;
    reweigh(f, x, scale_of(f, x, r), weights);
  }
  for (int i = 0; i < f->n; i++)
    loss += log1p(pow(bounded(f->residual(x, i, f->data)) / common_scale, 2));
  free(r);
  gsl_vector_free(v);
  gsl_vector_free(weights);
  gsl_multifit_nlinear_free(work);
  return loss;
}
