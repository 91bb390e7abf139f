#include "share/align.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct celslm_moments {
  int columns;
  double rows;
  double *sum;
  gsl_matrix *product; /* lower half */
};

celslm_moments *celslm_moments_new(int columns) {
  celslm_moments *m = celslm_alloc(1, sizeof *m);
  m->columns = columns;
  m->sum = celslm_alloc((unsigned long)columns, sizeof *m->sum);
  m->product = gsl_matrix_calloc((size_t)columns, (size_t)columns);
  return m;
}

void celslm_moments_free(celslm_moments *m) {
  if (!m) return;
  gsl_matrix_free(m->product);
  free(m->sum);
  free(m);
}

void celslm_moments_add(celslm_moments *m, int64_t rows, const float *x) {
  if (rows < 1) return;
  size_t n = (size_t)rows, k = (size_t)m->columns;
  gsl_matrix *d = gsl_matrix_alloc(n, k);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < k; j++) {
      double v = (double)x[i * k + j];
      gsl_matrix_set(d, i, j, v);
      m->sum[j] += v;
    }
  gsl_blas_dsyrk(CblasLower, CblasTrans, 1, d, 1, m->product);
  m->rows += (double)rows;
  gsl_matrix_free(d);
}

double celslm_moments_rows(const celslm_moments *m) {
  return m->rows;
}

void celslm_moments_mean(const celslm_moments *m, celslm_part p, double *mean) {
  for (int i = 0; i < p.count; i++) mean[i] = m->sum[p.first + i] / m->rows;
}

/* ---- covariances of parts -------------------------------------------------------------------- */

static double covariance(const celslm_moments *m, int i, int j) {
  size_t high = (size_t)(i > j ? i : j), low = (size_t)(i > j ? j : i);
  return gsl_matrix_get(m->product, high, low) / m->rows -
         m->sum[i] / m->rows * (m->sum[j] / m->rows);
}

static int width(const celslm_part *p, int n) {
  int sum = 0;
  for (int i = 0; i < n; i++) sum += p[i].count;
  return sum;
}

/* The column that stands at place i of the parts beside one another. */
static int column(const celslm_part *p, int i) {
  while (i >= p->count) i -= (p++)->count;
  return p->first + i;
}

static gsl_matrix *covariances(const celslm_moments *m, const celslm_part *a, int na,
                               const celslm_part *b, int nb) {
  gsl_matrix *c = gsl_matrix_alloc((size_t)width(a, na), (size_t)width(b, nb));
  for (int i = 0; i < (int)c->size1; i++)
    for (int j = 0; j < (int)c->size2; j++)
      gsl_matrix_set(c, (size_t)i, (size_t)j, covariance(m, column(a, i), column(b, j)));
  return c;
}

static double square_norm(const celslm_moments *m, celslm_part a, celslm_part b) {
  double sum = 0;
  for (int i = 0; i < a.count; i++)
    for (int j = 0; j < b.count; j++) {
      double c = covariance(m, a.first + i, b.first + j);
      sum += c * c;
    }
  return sum;
}

double celslm_cka(const celslm_moments *m, celslm_part a, celslm_part b) {
  double aa = square_norm(m, a, a), bb = square_norm(m, b, b);
  return aa > 0 && bb > 0 ? square_norm(m, a, b) / sqrt(aa * bb) : 0;
}

/* ---- ridge ----------------------------------------------------------------------------------- */

bool celslm_ridge(const celslm_moments *m, const celslm_part *x, int n, celslm_part y,
                  double lambda, celslm_affine *map, celslm_error *err) {
  gsl_matrix *g = covariances(m, x, n, x, n), *c = covariances(m, x, n, &y, 1);
  size_t p = g->size1;
  double trace = 0;
  for (size_t i = 0; i < p; i++) trace += gsl_matrix_get(g, i, i);
  for (size_t i = 0; i < p; i++) *gsl_matrix_ptr(g, i, i) += lambda * trace / (double)p + 1e-300;
  gsl_error_handler_t *handler = gsl_set_error_handler_off();
  bool ok = gsl_linalg_cholesky_decomp1(g) == GSL_SUCCESS;
  gsl_set_error_handler(handler);
  if (ok) { /* G = L L^T: two triangular systems for all outputs at once */
    gsl_blas_dtrsm(CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, 1, g, c);
    gsl_blas_dtrsm(CblasLeft, CblasLower, CblasTrans, CblasNonUnit, 1, g, c);
    *map = (celslm_affine){.inputs = (int)p, .outputs = y.count};
    map->weights = celslm_alloc(p * (size_t)y.count, sizeof *map->weights);
    map->mean_x = celslm_alloc(p, sizeof *map->mean_x);
    map->mean_y = celslm_alloc((unsigned long)y.count, sizeof *map->mean_y);
    for (size_t i = 0; i < p; i++)
      memcpy(map->weights + i * (size_t)y.count, gsl_matrix_const_ptr(c, i, 0),
             (size_t)y.count * sizeof *map->weights);
    for (int i = 0, at = 0; i < n; at += x[i++].count)
      celslm_moments_mean(m, x[i], map->mean_x + at);
    celslm_moments_mean(m, y, map->mean_y);
  } else {
    celslm_fail(err, NULL, 0,
                "the states' covariance is not positive definite: more text or more ridge");
  }
  gsl_matrix_free(g), gsl_matrix_free(c);
  return ok;
}

void celslm_affine_free(celslm_affine *map) {
  free(map->weights), free(map->mean_x), free(map->mean_y);
  *map = (celslm_affine){0};
}

static gsl_matrix_view weights_of(const celslm_affine *map) {
  return gsl_matrix_view_array(map->weights, (size_t)map->inputs, (size_t)map->outputs);
}

/* Mean square of y - y' = its variance part + the square of its mean. */
double celslm_affine_r2(const celslm_affine *map, const celslm_moments *m, const celslm_part *x,
                        int n, celslm_part y) {
  gsl_matrix *g = covariances(m, x, n, x, n), *c = covariances(m, x, n, &y, 1);
  gsl_matrix *gw = gsl_matrix_calloc(g->size1, c->size2);
  gsl_matrix_view w = weights_of(map);
  gsl_blas_dsymm(CblasLeft, CblasLower, 1, g, &w.matrix, 0, gw);
  double error = 0, total = 0;
  for (int j = 0; j < y.count; j++) {
    double own = covariance(m, y.first + j, y.first + j),
           shift = map->mean_y[j] - m->sum[y.first + j] / m->rows;
    total += own;
    error += own;
    for (int i = 0; i < map->inputs; i++) {
      double wij = gsl_matrix_get(&w.matrix, (size_t)i, (size_t)j);
      error += wij * (gsl_matrix_get(gw, (size_t)i, (size_t)j) -
                      2 * gsl_matrix_get(c, (size_t)i, (size_t)j));
      shift += wij * (m->sum[column(x, i)] / m->rows - map->mean_x[i]);
    }
    error += shift * shift;
  }
  gsl_matrix_free(g), gsl_matrix_free(c), gsl_matrix_free(gw);
  return total > 0 ? 1 - error / total : 1;
}

/* ---- reduced rank ---------------------------------------------------------------------------- */

void celslm_reduce(const celslm_affine *map, const celslm_moments *m, const celslm_part *x, int n,
                   int blocks, int rank, float *down, float *up, double *tail) {
  size_t q = (size_t)map->outputs, p = (size_t)map->inputs;
  gsl_matrix *g = covariances(m, x, n, x, n), *gw = gsl_matrix_calloc(p, q),
             *s = gsl_matrix_calloc(q, q), *u = gsl_matrix_alloc(q, q);
  gsl_matrix_view w = weights_of(map);
  gsl_blas_dsymm(CblasLeft, CblasLower, 1, g, &w.matrix, 0, gw);
  gsl_blas_dgemm(CblasTrans, CblasNoTrans, 1, &w.matrix, gw, 0, s); /* covariance of y' */
  double *scale = celslm_alloc(q, sizeof *scale);
  size_t block = q / (size_t)blocks;
  for (size_t i = 0; i < q; i++) {
    double total = 0;
    for (size_t j = i / block * block; j < (i / block + 1) * block && j < q; j++)
      total += gsl_matrix_get(s, j, j);
    scale[i] = total > 0 ? 1 / sqrt(total) : 1;
  }
  for (size_t i = 0; i < q; i++)
    for (size_t j = 0; j < q; j++) *gsl_matrix_ptr(s, i, j) *= scale[i] * scale[j];
  gsl_vector *value = gsl_vector_alloc(q);
  gsl_eigen_symmv_workspace *room = gsl_eigen_symmv_alloc(q);
  gsl_eigen_symmv(s, value, u, room);
  gsl_eigen_symmv_sort(value, u, GSL_EIGEN_SORT_VAL_DESC);
  for (size_t r = 0; r < (size_t)rank; r++)
    for (size_t i = 0; i < q; i++) {
      double e = gsl_matrix_get(u, i, r);
      if (down) down[r * q + i] = (float)(e * scale[i]);
      if (up) up[i * (size_t)rank + r] = (float)(e / scale[i]);
    }
  if (tail) {
    tail[q] = 0;
    for (size_t r = q; r-- > 0;) tail[r] = tail[r + 1] + gsl_vector_get(value, r);
  }
  gsl_eigen_symmv_free(room), gsl_vector_free(value), free(scale);
  gsl_matrix_free(g), gsl_matrix_free(gw), gsl_matrix_free(s), gsl_matrix_free(u);
}

/* ---- layer map ------------------------------------------------------------------------------- */

double celslm_layer_map(int from, int to, const double *similarity, int *map) {
  /* best[j][i]: of the columns j.. with map[j] >= i */
  double *best = celslm_alloc((unsigned long)((to + 1) * (from + 1)), sizeof *best);
  int stride = from + 1;
  for (int j = to - 1; j >= 0; j--) {
    best[j * stride + from] = -INFINITY;
    for (int i = from - 1; i >= 0; i--) {
      double take = similarity[i * to + j] + best[(j + 1) * stride + i];
      best[j * stride + i] = fmax(take, best[j * stride + i + 1]);
    }
  }
  double sum = best[0];
  for (int j = 0, i = 0; j < to; j++) {
    while (similarity[i * to + j] + best[(j + 1) * stride + i] < best[j * stride + i]) i++;
    map[j] = i;
  }
  free(best);
  return sum;
}

void celslm_layer_map_uniform(int from, int to, int *map) {
  for (int j = 0; j < to; j++)
    map[j] = to > 1 ? (int)lround((double)j * (from - 1) / (to - 1)) : from - 1;
}
