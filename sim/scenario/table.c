/* table.c - kernel times with linear interpolation (see table.h). */
#include "scenario/table.h"

#include "record/record.h"
#include "scenario/nodes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"gemm", "prefill_attention", "decode_attention"};

const char *celslm_table_name(celslm_table_kind k) {
  return names[k];
}

bool celslm_table_has(const celslm_table_profile *t, celslm_table_kind k) {
  return t->grids[k].n > 0;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int by_place(const void *p, const void *q) {
  const celslm_table_point *x = p, *y = q;
  const double u[] = {x->a, x->b, x->c, x->d}, v[] = {y->a, y->b, y->c, y->d};
  for (int i = 0; i < 4; i++)
    if (u[i] != v[i]) return u[i] < v[i] ? -1 : 1;
  return 0;
}

static int by_value(const void *p, const void *q) {
  double x = *(const double *)p, y = *(const double *)q;
  return (x > y) - (x < y);
}

void celslm_grid_order(celslm_grid *g) {
  unsigned long room = (unsigned long)g->n + 1;
  qsort(g->points, (size_t)g->n, sizeof *g->points, by_place);
  g->lines = celslm_realloc(g->lines, room, sizeof *g->lines);
  g->shapes = celslm_realloc(g->shapes, room, sizeof *g->shapes);
  g->places = celslm_realloc(g->places, room, sizeof *g->places);
  g->n_lines = g->n_shapes = g->n_places = 0;
  for (int i = 0; i < g->n; i++) {
    const celslm_table_point *p = &g->points[i], *before = i ? p - 1 : NULL;
    bool shape = !before || p->a != before->a || p->b != before->b;
    if (shape || p->c != before->c) g->lines[g->n_lines++] = (celslm_points){i, 0};
    if (shape) g->shapes[g->n_shapes++] = (celslm_points){g->n_lines - 1, 0};
    g->lines[g->n_lines - 1].n++;
    g->shapes[g->n_shapes - 1].n = g->n_lines - g->shapes[g->n_shapes - 1].first;
    g->places[i] = p->d;
  }
  qsort(g->places, (size_t)g->n, sizeof *g->places, by_value);
  for (int i = 0; i < g->n; i++)
    if (!i || g->places[i] != g->places[g->n_places - 1]) g->places[g->n_places++] = g->places[i];
}

void celslm_grid_clear(celslm_grid *g) {
  free(g->points);
  free(g->lines);
  free(g->shapes);
  free(g->places);
  free(g->a);
  free(g->b);
  free(g->nodes);
  free(g->is_measured);
  *g = (celslm_grid){0};
}

double celslm_grid_a(const celslm_grid *g, int shape) {
  return g->points[g->lines[g->shapes[shape].first].first].a;
}

double celslm_grid_b(const celslm_grid *g, int shape) {
  return g->points[g->lines[g->shapes[shape].first].first].b;
}

/* ---- interpolation --------------------------------------------------------------------------- */

static double line_at(double x, double x0, double x1, double y0, double y1) {
  return x == x1 ? y1 : y0 + (y1 - y0) * (x - x0) / (x1 - x0); /* exact at both ends */
}

double celslm_grid_along(const celslm_grid *g, int l, double d) {
  celslm_points line = g->lines[l];
  const celslm_table_point *p = &g->points[line.first];
  if (d <= p[0].d || line.n == 1) return p[0].seconds;
  int i = 1;
  while (i < line.n - 1 && p[i].d < d) i++;
  return line_at(d, p[i - 1].d, p[i].d, p[i - 1].seconds, p[i].seconds);
}

/* Lines need not reach equally far: what one says counts as a bound for those of larger c. */
static double in_shape(const celslm_grid *g, int shape, double c, double d) {
  celslm_points s = g->shapes[shape];
  const celslm_points *lines = &g->lines[s.first];
  double low = celslm_grid_along(g, s.first, d), high = low;
  int i = 0;
  while (i < s.n - 1 && g->points[lines[i].first].c < c) {
    low = high;
    high = fmax(high, celslm_grid_along(g, s.first + ++i, d));
  }
  double c1 = g->points[lines[i].first].c;
  if (i == 0 || c == c1) return high;
  return line_at(c, g->points[lines[i - 1].first].c, c1, low, high);
}

/* Along b among the shapes [first, first + n), which share a. */
static double along_b(const celslm_grid *g, celslm_points s, double b, double c, double d) {
  int i = s.first;
  while (i < s.first + s.n - 1 && celslm_grid_b(g, i) < b) i++;
  double high = in_shape(g, i, c, d), b1 = celslm_grid_b(g, i);
  if (b > b1) return high * b / b1; /* in proportion beyond the end */
  if (b == b1 || i == s.first) return high;
  return line_at(b, celslm_grid_b(g, i - 1), b1, in_shape(g, i - 1, c, d), high);
}

/* Where b is within the shapes of this a. */
static bool covers(const celslm_grid *g, celslm_points s, double b) {
  return celslm_grid_b(g, s.first) <= b && b <= celslm_grid_b(g, s.first + s.n - 1);
}

/* Between the nearest a below and above that have shapes around b, or else any. */
static double look_up(const celslm_grid *g, double a, double b, double c, double d) {
  celslm_points below = {-1, 0}, above = {-1, 0};
  for (int pass = 0; pass < 2 && below.first < 0 && above.first < 0; pass++)
    for (celslm_points s = {0, 0}; s.first < g->n_shapes; s.first += s.n) {
      double here = celslm_grid_a(g, s.first);
      for (s.n = 1; s.first + s.n < g->n_shapes && celslm_grid_a(g, s.first + s.n) == here; s.n++)
        continue;
      if (pass == 0 && !covers(g, s, b)) continue;
      if (here <= a)
        below = s;
      else if (above.first < 0)
        above = s;
    }
  if (below.first < 0) return along_b(g, above, b, c, d);
  double low = along_b(g, below, b, c, d), a0 = celslm_grid_a(g, below.first);
  if (a == a0) return low;
  if (above.first < 0) return low * a / a0;
  return line_at(a, a0, celslm_grid_a(g, above.first), low, along_b(g, above, b, c, d));
}

double celslm_table_cold(const celslm_table_profile *t, celslm_table_kind k,
                         const celslm_table_point *p) {
  double elements = k == CELSLM_TABLE_GEMM     ? p->a * p->b
                    : k == CELSLM_TABLE_DECODE ? 2 * CELSLM_TABLE_HEAD_SIZE * p->a * p->c * p->d
                                               : 0;
  return CELSLM_TABLE_ELEMENT * elements / t->bandwidth;
}

double celslm_table_at(const celslm_table_profile *t, celslm_table_kind k,
                       const celslm_table_point *p) {
  const celslm_grid *g = &t->grids[k];
  double seconds = g->nodes ? celslm_nodes_at(g, p->a, p->b, p->d) : NAN;
  if (isnan(seconds)) seconds = look_up(g, p->a, p->b, p->c, p->d);
  return fmax(seconds, celslm_table_cold(t, k, p));
}

static double at(const celslm_table_profile *t, celslm_table_kind k, double a, double b, double c,
                 double d) {
  return celslm_table_at(t, k, &(celslm_table_point){.a = a, .b = b, .c = c, .d = d});
}

double celslm_table_gemm(const celslm_table_profile *t, double m, double n, double k) {
  return at(t, CELSLM_TABLE_GEMM, n, k, 0, m);
}

double celslm_table_prefill(const celslm_table_profile *t, double batch, double tokens,
                            double heads, double kv_heads) {
  return at(t, CELSLM_TABLE_PREFILL, kv_heads, heads, batch, tokens);
}

double celslm_table_decode(const celslm_table_profile *t, double batch, double context,
                           double heads, double kv_heads) {
  return at(t, CELSLM_TABLE_DECODE, kv_heads, heads, batch, context);
}

void celslm_table_free(celslm_table_profile *t) {
  if (!t) return;
  for (int k = 0; k < CELSLM_TABLE_KINDS; k++) celslm_grid_clear(&t->grids[k]);
  free(t);
}

/* ---- files ----------------------------------------------------------------------------------- */

#define COLUMN(name, units, text, field)                                                           \
  { name, units, text, CELSLM_F64, offsetof(celslm_table_point, field), NULL }
static const celslm_column gemm_columns[] = {
    COLUMN("n", "1", "columns of the product", a), COLUMN("k", "1", "inner size", b),
    COLUMN("m", "1", "rows: tokens", d),
    COLUMN("seconds", "s", "time, raised and smoothed", seconds),
    COLUMN("measured", "s", "median of the measurements", measured)};
static const celslm_column attention_columns[] = {
    COLUMN("kv_heads", "1", "KV heads", a),
    COLUMN("heads", "1", "query heads", b),
    COLUMN("batch", "1", "sequences", c),
    COLUMN("tokens", "1", "tokens of each; in decoding its context with the new one", d),
    COLUMN("seconds", "s", "time, raised and smoothed", seconds),
    COLUMN("measured", "s", "median of the measurements", measured)};
#undef COLUMN

static const celslm_column *columns_of(int k, size_t *n) {
  *n = k == CELSLM_TABLE_GEMM ? sizeof gemm_columns / sizeof *gemm_columns
                              : sizeof attention_columns / sizeof *attention_columns;
  return k == CELSLM_TABLE_GEMM ? gemm_columns : attention_columns;
}

bool celslm_table_save(const celslm_table_profile *t, const char *file, const char *name,
                       const char *source, char *const notes[CELSLM_TABLE_KINDS],
                       celslm_error *err) {
  celslm_results *r = celslm_results_create(file, err);
  if (!r) return false;
  char *bandwidth = celslm_format("%.17g", t->bandwidth);
  bool ok = celslm_results_provenance(r, "name", name, err) &&
            celslm_results_provenance(r, "source", source, err) &&
            celslm_results_provenance(r, "bandwidth", bandwidth, err);
  free(bandwidth);
  for (int k = 0; ok && k < CELSLM_TABLE_KINDS; k++) {
    const celslm_grid *g = &t->grids[k];
    size_t n;
    const celslm_column *columns = columns_of(k, &n);
    if (!g->n) continue;
    celslm_table *to = celslm_results_table(r, names[k], notes[k], columns, n, err);
    ok = to != NULL;
    for (int i = 0; ok && i < g->n; i++) celslm_table_append(to, &g->points[i]);
  }
  return celslm_results_close(r, ok, false, err) && ok;
}

static bool load_grid(celslm_reader *r, int k, celslm_grid *g, celslm_error *err) {
  size_t n;
  uint64_t rows;
  const celslm_column *columns = columns_of(k, &n);
  if (!celslm_reader_rows(r, names[k], &rows, err)) return false;
  g->points = celslm_alloc((unsigned long)rows + 1, sizeof *g->points);
  g->n = (int)rows;
  for (size_t c = 0; c < n; c++) {
    double *values = celslm_reader_column(r, names[k], columns[c].name, err);
    if (!values) return false;
    for (int i = 0; i < g->n; i++)
      *(double *)(void *)((char *)&g->points[i] + columns[c].offset) = values[i];
    free(values);
  }
  for (int i = 0; i < g->n; i++) {
    const celslm_table_point *p = &g->points[i];
    if (!(p->seconds > 0) || !(p->a > 0) || !(p->b > 0) || !(p->d > 0) || isinf(p->seconds))
      return celslm_fail(err, NULL, 0, "table %s, row %d: sizes and seconds must be positive",
                         names[k], i);
  }
  celslm_grid_order(g);
  if (k == CELSLM_TABLE_GEMM) celslm_nodes_fill(g);
  return true;
}

celslm_table_profile *celslm_table_load(const char *file, celslm_error *err) {
  celslm_reader *r = celslm_reader_open(file, err);
  if (!r) return NULL;
  celslm_table_profile *t = celslm_alloc(1, sizeof *t);
  char *bandwidth = celslm_reader_provenance(r, "bandwidth", err);
  char **tables = bandwidth ? celslm_reader_tables(r, err) : NULL;
  bool ok = tables != NULL, any = false;
  if (ok) {
    t->bandwidth = strtod(bandwidth, NULL);
    ok = t->bandwidth > 0 ||
         celslm_fail(err, file, 0, "has no bandwidth; make it with `celslm profile table`");
  }
  for (int k = 0; ok && k < CELSLM_TABLE_KINDS; k++)
    for (char **name = tables; ok && *name; name++)
      if (strcmp(*name, names[k]) == 0) {
        any = true;
        ok = load_grid(r, k, &t->grids[k], err);
      }
  if (ok && !any)
    ok = celslm_fail(err, file, 0,
                     "has no kernel times; make it with `celslm profile table --tables DIR`");
  if (tables) celslm_names_free(tables);
  free(bandwidth);
  celslm_reader_close(r);
  if (ok) return t;
  celslm_table_free(t);
  return NULL;
}
