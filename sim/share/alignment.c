#include "share/alignment.h"

#include "cost/csv.h"
#include "record/record.h"
#include "share/align.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Similarities as they are read: [cloud * to + edge], NaN where the file says nothing. */
typedef struct matrix {
  int from, to;
  double *value;
  const char *file;
} matrix;

static matrix empty(const char *file, int from, int to) {
  matrix m = {from, to, celslm_alloc((unsigned long)(from * to), sizeof(double)), file};
  for (int i = 0; i < from * to; i++) m.value[i] = NAN;
  return m;
}

static bool put(matrix *m, double cloud, double edge, double value, celslm_error *err) {
  if (!(cloud >= 0 && cloud < m->from && edge >= 0 && edge < m->to))
    return celslm_fail(err, m->file, 0,
                       "has cloud layer %g and edge layer %g; the models of this scenario have "
                       "layers 0 to %d and 0 to %d",
                       cloud, edge, m->from - 1, m->to - 1);
  m->value[(int)cloud * m->to + (int)edge] = value;
  return true;
}

static bool complete(const matrix *m, celslm_error *err) {
  for (int i = 0; i < m->from * m->to; i++)
    if (!isfinite(m->value[i]))
      return celslm_fail(err, m->file, 0,
                         "has no similarity of cloud layer %d and edge layer %d; one for every "
                         "pair of %d and %d layers is needed",
                         i / m->to, i % m->to, m->from, m->to);
  return true;
}

static bool read_csv(matrix *m, celslm_error *err) {
  celslm_csv *t = celslm_csv_open(m->file, err);
  if (!t) return false;
  static const char *const names[] = {"cloud_layer", "edge_layer", "similarity"};
  int column[3];
  bool ok = true;
  for (int k = 0; ok && k < 3; k++) ok = (column[k] = celslm_csv_column(t, names[k], err)) >= 0;
  for (int r = 0; ok && r < t->rows; r++) {
    double v[3];
    for (int k = 0; ok && k < 3; k++)
      ok = celslm_csv_number(t, r, column[k], k < 2 ? 0 : -1e9, 1e9, false, &v[k], err);
    ok = ok && put(m, v[0], v[1], v[2], err);
  }
  celslm_csv_close(t);
  return ok && complete(m, err);
}

/* Of the file's sources, that whose map explains most. */
static bool read_results(matrix *best, celslm_error *err) {
  celslm_reader *r = celslm_reader_open(best->file, err);
  static const char *const names[] = {"source", "cloud_layer", "edge_layer", "r2"};
  double *column[4] = {NULL}, most = -INFINITY;
  uint64_t rows = 0;
  bool ok = r && celslm_reader_rows(r, "similarity", &rows, err);
  for (int k = 0; ok && k < 4; k++)
    ok = (column[k] = celslm_reader_column(r, "similarity", names[k], err)) != NULL;
  for (double source = 0; ok && source < 8; source++) {
    matrix m = empty(best->file, best->from, best->to);
    uint64_t found = 0;
    for (uint64_t i = 0; ok && i < rows; i++)
      if (column[0][i] == source && ++found)
        ok = put(&m, column[1][i], column[2][i], column[3][i], err);
    int *map = celslm_alloc((unsigned long)m.to, sizeof *map);
    ok = ok && (!found || complete(&m, err));
    double sum = ok && found ? celslm_layer_map(m.from, m.to, m.value, map) : -INFINITY;
    if (sum > most) {
      most = sum;
      memcpy(best->value, m.value, (size_t)(m.from * m.to) * sizeof *m.value);
    }
    free(map), free(m.value);
  }
  for (int k = 0; k < 4; k++) free(column[k]);
  celslm_reader_close(r);
  return ok && complete(best, err);
}

bool celslm_alignment_init(celslm_alignment *a, const celslm_model *from, const celslm_model *to,
                           const char *file, celslm_error *err) {
  int n = (int)from->layers, layers = (int)to->layers;
  *a = (celslm_alignment){.from = from, .to = to};
  a->map = celslm_alloc((unsigned long)layers, sizeof *a->map);
  if (from == to) {
    for (int j = 0; j < layers; j++) a->map[j] = j;
    return true;
  }
  if (!file) {
    a->kind = CELSLM_MAP_UNIFORM;
    celslm_layer_map_uniform(n, layers, a->map);
    return true;
  }
  const char *dot = strrchr(file, '.');
  matrix m = empty(file, n, layers);
  bool ok = dot && strcmp(dot, ".csv") == 0 ? read_csv(&m, err) : read_results(&m, err);
  if (ok) celslm_layer_map(n, layers, m.value, a->map);
  a->kind = CELSLM_MAP_MEASURED;
  free(m.value);
  return ok;
}

void celslm_alignment_clear(celslm_alignment *a) {
  free(a->map);
  a->map = NULL;
}
