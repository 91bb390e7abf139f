/* measured.c - reading folders of kernel tables (see measured.h). */
#include "cost/measured.h"

#include "cost/csv.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double element = 2; /* bytes */
static const double most = 1e9;  /* of any size in a table */

typedef struct reader {
  celslm_measured *out;
  const char *folder;
  const celslm_model *model;
  bool found;
  celslm_error *err;
} reader;

/* ---- operations ------------------------------------------------------------------------------ */

static celslm_kernel gemm(double m, double n, double k) {
  return (celslm_kernel){.key = {n, k, m, 0},
                         .rows = m,
                         .flops = 2 * m * n * k,
                         .bytes = element * (n * k + m * (n + k))};
}

static celslm_kernel prefill(double batch, double tokens, double past, double H, double K,
                             double h) {
  double pairs = tokens * past + tokens * (tokens + 1) / 2;
  return (celslm_kernel){.key = {H, K, batch, tokens},
                         .past = past,
                         .rows = tokens,
                         .flops = 4 * H * h * batch * pairs,
                         .bytes = element * batch *
                                  (2 * H * h * tokens + 2 * K * h * (past + 2 * tokens))};
}

/* `context` counts the new token. */
static celslm_kernel decode(double batch, double context, double H, double K, double h) {
  return (celslm_kernel){.key = {H, K, batch, context},
                         .rows = batch,
                         .flops = 4 * H * h * batch * context,
                         .bytes = element * batch * (2 * H * h + 2 * K * h * (context + 1))};
}

static void add(celslm_kernels *list, celslm_kernel k, double us) {
  if ((list->n & (list->n - 1)) == 0)
    list->at = celslm_realloc(list->at, list->n ? 2 * (unsigned long)list->n : 1, sizeof *list->at);
  k.seconds = us * 1e-6;
  list->at[list->n++] = k;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Opens FOLDER/NAME with its columns; NULL without an error if there is no such file. */
static celslm_csv *open_table(reader *r, const char *name, const char *const *columns, int *index) {
  char *file = celslm_format("%s/%s", r->folder, name);
  celslm_csv *t = NULL;
  if (access(file, F_OK) == 0) {
    r->found = true;
    t = celslm_csv_open(file, r->err);
    bool ok = t != NULL;
    for (int i = 0; ok && columns[i]; i++)
      ok = (index[i] = celslm_csv_column(t, columns[i], r->err)) >= 0;
    if (t && !(ok && celslm_csv_has_rows(t, r->err))) {
      celslm_csv_close(t);
      t = NULL;
    }
  }
  free(file);
  return t;
}

static bool numbers(reader *r, const celslm_csv *t, int row, const int *index, int n, double least,
                    double *v) {
  for (int i = 0; i < n; i++)
    if (!celslm_csv_number(t, row, index[i], least, most, false, &v[i], r->err)) return false;
  return true;
}

static bool microseconds(reader *r, const celslm_csv *t, int row, int column, double *us) {
  return celslm_csv_number(t, row, column, 1e-6, most, false, us, r->err);
}

static void name_list(celslm_kernels *list, const char *file, const char *shape_name) {
  if (!list->file) list->file = celslm_strdup(file);
  list->shape_name = shape_name;
}

static bool read_gemm(reader *r) {
  static const char *const columns[] = {"m", "n", "k", "time_us", NULL};
  int c[4];
  celslm_csv *t = open_table(r, "gemm.csv", columns, c);
  celslm_kernels *list = &r->out->curves[CELSLM_CURVE_GEMM];
  bool ok = true;
  if (t) name_list(list, "gemm.csv", "(n,k) shapes");
  for (int i = 0; t && ok && i < t->rows; i++) {
    double v[3], us = 0;
    ok = numbers(r, t, i, c, 3, 1, v) && microseconds(r, t, i, c[3], &us);
    if (ok) add(list, gemm(v[0], v[1], v[2]), us);
  }
  celslm_csv_close(t);
  return ok;
}

static bool read_attention(reader *r, bool is_prefill) {
  const char *name = is_prefill ? "prefill_attention.csv" : "decode_attention.csv";
  const char *const columns[] = {
      "batch", is_prefill ? "tokens" : "context", "heads", "kv_heads", "time_us", NULL};
  int c[5];
  celslm_csv *t = open_table(r, name, columns, c);
  celslm_kernels *list = &r->out->curves[is_prefill ? CELSLM_CURVE_PREFILL : CELSLM_CURVE_DECODE];
  bool ok = true;
  int size = t ? celslm_csv_column(t, "head_dim", NULL) : -1;
  if (t) name_list(list, name, "head counts");
  for (int i = 0; t && ok && i < t->rows; i++) {
    double v[4], us = 0, h = 128;
    ok = numbers(r, t, i, c, 4, 1, v) && microseconds(r, t, i, c[4], &us) &&
         (size < 0 || celslm_csv_number(t, i, size, 1, most, false, &h, r->err));
    if (ok)
      add(list,
          is_prefill ? prefill(v[0], v[1], 0, v[2], v[3], h)
                     : decode(v[0], v[1] + 1, v[2], v[3], h),
          us);
  }
  celslm_csv_close(t);
  return ok;
}

static bool read_allreduce(reader *r) {
  static const char *const columns[] = {"gpus", "bytes_as_published", "time_us", NULL};
  int c[3];
  celslm_csv *t = open_table(r, "allreduce.csv", columns, c);
  celslm_measured *m = r->out;
  bool ok = true;
  if (t) m->allreduce = celslm_alloc((unsigned long)t->rows + 1, sizeof *m->allreduce);
  for (int i = 0; t && ok && i < t->rows; i++) {
    double v[2], us = 0;
    ok = numbers(r, t, i, c, 2, 1, v) && microseconds(r, t, i, c[2], &us);
    celslm_allreduce a = {v[0], v[1] * element, us * 1e-6};
    int j = 0;
    while (j < m->n_allreduce &&
           (m->allreduce[j].devices != a.devices || m->allreduce[j].bytes != a.bytes))
      j++;
    if (j == m->n_allreduce)
      m->allreduce[m->n_allreduce++] = a;
    else
      m->allreduce[j].seconds = fmin(m->allreduce[j].seconds, a.seconds);
  }
  celslm_csv_close(t);
  return ok;
}

/* ---- tables of one model --------------------------------------------------------------------- */

static bool needs_model(reader *r, const celslm_csv *t) {
  return r->model || celslm_fail(r->err, t->file, 1,
                                 "is a table of one model's layers; say which with --model "
                                 "platforms/models/NAME.xml");
}

/* A layer by its name; false: none that has a curve. */
static bool layer_kernel(const celslm_model *m, const char *layer, double n,
                         celslm_curve_kind *kind, celslm_kernel *k) {
  double d = (double)m->hidden, f = (double)m->ffn, h = (double)m->head_dim;
  double q = (double)m->heads * h, kv = (double)m->kv_heads * h;
  *kind = CELSLM_CURVE_GEMM;
  if (strcmp(layer, "qkv_proj") == 0)
    *k = gemm(n, q + 2 * kv, d);
  else if (strcmp(layer, "o_proj") == 0)
    *k = gemm(n, d, q);
  else if (strcmp(layer, "gate_up_proj") == 0)
    *k = gemm(n, m->gated ? 2 * f : f, d);
  else if (strcmp(layer, "down_proj") == 0)
    *k = gemm(n, d, f);
  else if (strcmp(layer, "lm_head") == 0)
    *k = gemm(n, (double)m->vocabulary, d);
  else {
    bool norm = strcmp(layer, "layernorm") == 0 || strcmp(layer, "final_layernorm") == 0;
    if (!norm && strcmp(layer, "act_fn") != 0) return false;
    *kind = CELSLM_CURVE_ELEMENTWISE;
    *k = (celslm_kernel){.key = {norm ? (strcmp(layer, "layernorm") == 0 ? 0 : 1) : 2, n, 0, 0},
                         .rows = n,
                         .bytes = element * n * (norm ? 2 * d : (m->gated ? 3 : 2) * f)};
  }
  return true;
}

static bool read_layers(reader *r, const char *name, const char *count) {
  const char *const columns[] = {"layer", count, "time_us", NULL};
  int c[3];
  celslm_csv *t = open_table(r, name, columns, c);
  bool ok = !t || needs_model(r, t);
  for (int i = 0; t && ok && i < t->rows; i++) {
    double n, us = 0;
    celslm_curve_kind kind;
    celslm_kernel k;
    ok = numbers(r, t, i, c + 1, 1, 1, &n) && microseconds(r, t, i, c[2], &us);
    if (ok && layer_kernel(r->model, celslm_csv_cell(t, i, c[0]), n, &kind, &k)) {
      celslm_kernels *list = &r->out->curves[kind];
      name_list(list, "dense.csv and per_sequence.csv",
                kind == CELSLM_CURVE_GEMM ? "(n,k) shapes" : "layers");
      add(list, k, us);
    }
  }
  celslm_csv_close(t);
  return ok;
}

static bool read_iterations(reader *r) {
  static const char *const columns[] = {"prefill_chunk", "kv_prefill", "n_decode",
                                        "kv_decode",     "time_us",    NULL};
  int c[5];
  celslm_csv *t = open_table(r, "attention.csv", columns, c);
  bool ok = !t || needs_model(r, t);
  for (int i = 0; t && ok && i < t->rows; i++) {
    double v[4], us = 0;
    const celslm_model *m = r->model;
    ok = numbers(r, t, i, c, 4, 0, v) && microseconds(r, t, i, c[4], &us);
    if (!ok || (v[0] > 0) == (v[2] > 0)) continue; /* mixed iterations price no single curve */
    celslm_kernels *list = &r->out->curves[v[0] > 0 ? CELSLM_CURVE_PREFILL : CELSLM_CURVE_DECODE];
    double H = (double)m->heads, K = (double)m->kv_heads, h = (double)m->head_dim;
    name_list(list, "attention.csv", v[0] > 0 ? "chunk sizes" : "batch sizes");
    add(list, v[0] > 0 ? prefill(1, v[0], v[1], H, K, h) : decode(v[2], v[3], H, K, h), us);
  }
  celslm_csv_close(t);
  return ok;
}

/* ---- order ----------------------------------------------------------------------------------- */

/* Which key says the shape: gemm and head counts two of them; within one model one. */
static int shape_keys(const celslm_kernels *list, int *first) {
  *first = 0;
  if (strcmp(list->shape_name, "chunk sizes") == 0) *first = 3;
  if (strcmp(list->shape_name, "batch sizes") == 0) *first = 2;
  return *first || strcmp(list->shape_name, "layers") == 0 ? 1 : 2;
}

static int by_key(const void *a, const void *b) {
  const celslm_kernel *x = a, *y = b;
  for (int i = 0; i < 4; i++)
    if (x->key[i] != y->key[i]) return x->key[i] < y->key[i] ? -1 : 1;
  return (x->past > y->past) - (x->past < y->past);
}

static int by_shape(const void *a, const void *b) {
  const celslm_kernel *x = a, *y = b;
  return x->shape != y->shape ? (x->shape > y->shape) - (x->shape < y->shape) : by_key(a, b);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void merge(celslm_kernels *list) {
  double *same = celslm_alloc((unsigned long)list->n, sizeof *same);
  int to = 0;
  qsort(list->at, (size_t)list->n, sizeof *list->at, by_key);
  for (int i = 0, j; i < list->n; i = j) {
    for (j = i; j < list->n && by_key(&list->at[i], &list->at[j]) == 0; j++)
      same[j - i] = list->at[j].seconds;
    gsl_sort(same, 1, (size_t)(j - i));
    list->at[to] = list->at[i];
    list->at[to++].seconds = gsl_stats_median_from_sorted_data(same, 1, (size_t)(j - i));
    list->repeated += j - i - 1;
  }
  list->n = to;
  free(same);
}

static void number_shapes(celslm_kernels *list) {
  int first, keys = shape_keys(list, &first);
  double *values = celslm_alloc((unsigned long)list->n, sizeof *values);
  if (keys == 2) { /* sorted by them already */
    for (int i = 0; i < list->n; i++) {
      const double *k = list->at[i].key, *before = i ? list->at[i - 1].key : NULL;
      if (!before || k[0] != before[0] || k[1] != before[1]) list->shapes++;
      list->at[i].shape = list->shapes - 1;
    }
  } else {
    for (int i = 0; i < list->n; i++) values[i] = list->at[i].key[first];
    qsort(values, (size_t)list->n, sizeof *values, by_value);
    for (int i = 0; i < list->n; i++)
      if (i == 0 || values[i] != values[list->shapes - 1]) values[list->shapes++] = values[i];
    for (int i = 0; i < list->n; i++)
      while (values[list->at[i].shape] != list->at[i].key[first]) list->at[i].shape++;
    qsort(list->at, (size_t)list->n, sizeof *list->at, by_shape);
  }
  free(values);
}

celslm_measured *celslm_measured_open(const char *folder, const celslm_model *model,
                                      celslm_error *err) {
  celslm_measured *m = celslm_alloc(1, sizeof *m);
  reader r = {.out = m, .folder = folder, .model = model, .err = err};
  bool ok = read_gemm(&r) && read_attention(&r, true) && read_attention(&r, false) &&
            read_allreduce(&r) && read_layers(&r, "dense.csv", "tokens") &&
            read_layers(&r, "per_sequence.csv", "sequences") && read_iterations(&r);
  ok = ok && !(err && err->text[0]); /* a table that would not open */
  if (ok && !r.found)
    ok = celslm_fail(err, folder, 0,
                     "has no kernel table; give a folder with gemm.csv, prefill_attention.csv, "
                     "decode_attention.csv, allreduce.csv, or dense.csv, per_sequence.csv, "
                     "attention.csv");
  for (int k = 0; ok && k < CELSLM_CURVES; k++)
    if (m->curves[k].n > 0) {
      merge(&m->curves[k]);
      number_shapes(&m->curves[k]);
    }
  if (ok) return m;
  celslm_measured_close(m);
  return NULL;
}

void celslm_measured_close(celslm_measured *m) {
  if (!m) return;
  for (int k = 0; k < CELSLM_CURVES; k++) {
    free(m->curves[k].at);
    free(m->curves[k].file);
  }
  free(m->allreduce);
  free(m);
}
