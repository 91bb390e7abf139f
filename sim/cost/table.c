/* table.c - kernel times with linear interpolation (see table.h).
 *
 * A kind is a set of shapes (a, b) - (n, k) or (KV heads, heads) - in order, each with its points
 * (c, d) in order: c is 0 for gemm and the batch for attention, d is m, tokens or context. */
#include "cost/table.h"

#include "cost/curves.h"
#include "record/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct point {
  double a, b, c, d; /* shape and place in it */
  double seconds, measured;
} point;

typedef struct run { /* of points with one (a, b, c), or of runs with one (a, b) */
  int first, n;
} run;

typedef struct grid {
  point *points;
  int n;
  run *lines; /* of points along d */
  int n_lines;
  run *shapes; /* of lines */
  int n_shapes;
} grid;

struct celslm_table_profile {
  grid grids[CELSLM_TABLE_KINDS];
  double bandwidth; /* B/s */
};

static const char *const names[] = {"gemm", "prefill_attention", "decode_attention"};
static const double head_size = 128, element = 2;

const char *celslm_table_name(celslm_table_kind k) {
  return names[k];
}

bool celslm_table_has(const celslm_table_profile *t, celslm_table_kind k) {
  return t->grids[k].n > 0;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int by_place(const void *p, const void *q) {
  const point *x = p, *y = q;
  const double u[] = {x->a, x->b, x->c, x->d}, v[] = {y->a, y->b, y->c, y->d};
  for (int i = 0; i < 4; i++)
    if (u[i] != v[i]) return u[i] < v[i] ? -1 : 1;
  return 0;
}

/* Sorts the points and finds the lines and shapes. */
static void order(grid *g) {
  unsigned long room = (unsigned long)g->n + 1;
  qsort(g->points, (size_t)g->n, sizeof *g->points, by_place);
  g->lines = celslm_realloc(g->lines, room, sizeof *g->lines);
  g->shapes = celslm_realloc(g->shapes, room, sizeof *g->shapes);
  g->n_lines = g->n_shapes = 0;
  for (int i = 0; i < g->n; i++) {
    const point *p = &g->points[i], *before = i ? p - 1 : NULL;
    bool shape = !before || p->a != before->a || p->b != before->b;
    if (shape || p->c != before->c) g->lines[g->n_lines++] = (run){i, 0};
    if (shape) g->shapes[g->n_shapes++] = (run){g->n_lines - 1, 0};
    g->lines[g->n_lines - 1].n++;
    g->shapes[g->n_shapes - 1].n = g->n_lines - g->shapes[g->n_shapes - 1].first;
  }
}

static void clear(grid *g) {
  free(g->points);
  free(g->lines);
  free(g->shapes);
  *g = (grid){0};
}

/* ---- interpolation --------------------------------------------------------------------------- */

static double line_at(double x, double x0, double x1, double y0, double y1) {
  return x == x1 ? y1 : y0 + (y1 - y0) * (x - x0) / (x1 - x0); /* exact at both ends */
}

/* Along a line: linear, the last slope beyond its end, constant before its start. */
static double along_line(const grid *g, run line, double d) {
  const point *p = &g->points[line.first];
  if (d <= p[0].d || line.n == 1) return p[0].seconds;
  int i = 1;
  while (i < line.n - 1 && p[i].d < d) i++;
  return line_at(d, p[i - 1].d, p[i].d, p[i - 1].seconds, p[i].seconds);
}

/* Lines need not reach equally far: what one says counts as a bound for those of larger c. */
static double in_shape(const grid *g, int shape, double c, double d) {
  run s = g->shapes[shape];
  const run *lines = &g->lines[s.first];
  double low = along_line(g, lines[0], d), high = low;
  int i = 0;
  while (i < s.n - 1 && g->points[lines[i].first].c < c) {
    low = high;
    high = fmax(high, along_line(g, lines[++i], d));
  }
  double c1 = g->points[lines[i].first].c;
  if (i == 0 || c == c1) return high;
  return line_at(c, g->points[lines[i - 1].first].c, c1, low, high);
}

static double a_of(const grid *g, int shape) {
  return g->points[g->lines[g->shapes[shape].first].first].a;
}
static double b_of(const grid *g, int shape) {
  return g->points[g->lines[g->shapes[shape].first].first].b;
}

/* Along b among the shapes [first, first + n), which share a. */
static double along_b(const grid *g, int first, int n, double b, double c, double d) {
  int i = first;
  while (i < first + n - 1 && b_of(g, i) < b) i++;
  double high = in_shape(g, i, c, d);
  if (b > b_of(g, i)) return high * b / b_of(g, i); /* in proportion beyond the end */
  if (b == b_of(g, i) || i == first) return high;
  return line_at(b, b_of(g, i - 1), b_of(g, i), in_shape(g, i - 1, c, d), high);
}

/* Where b is within the shapes of this a. */
static bool covers(const grid *g, int first, int n, double b) {
  return b_of(g, first) <= b && b <= b_of(g, first + n - 1);
}

/* Between the nearest a below and above that have shapes around b, or else any. */
static double look_up(const grid *g, double a, double b, double c, double d) {
  int below = -1, above = -1, below_n = 0, above_n = 0;
  for (int pass = 0; pass < 2 && below < 0 && above < 0; pass++)
    for (int i = 0, n; i < g->n_shapes; i += n) {
      double at = a_of(g, i);
      for (n = 1; i + n < g->n_shapes && a_of(g, i + n) == at; n++) continue;
      if (pass == 0 && !covers(g, i, n, b)) continue;
      if (at <= a) {
        below = i;
        below_n = n;
      } else if (above < 0) {
        above = i;
        above_n = n;
      }
    }
  if (below < 0) return along_b(g, above, above_n, b, c, d);
  double low = along_b(g, below, below_n, b, c, d);
  if (a == a_of(g, below)) return low;
  if (above < 0) return low * a / a_of(g, below);
  return line_at(a, a_of(g, below), a_of(g, above), low, along_b(g, above, above_n, b, c, d));
}

/* The time to read the operands that are cold in a served model. */
static double cold(const celslm_table_profile *t, celslm_table_kind k, double a, double b, double c,
                   double d) {
  if (k == CELSLM_TABLE_GEMM) return element * a * b / t->bandwidth;
  if (k == CELSLM_TABLE_DECODE) return 2 * element * head_size * a * c * d / t->bandwidth;
  return 0;
}

static double at(const celslm_table_profile *t, celslm_table_kind k, double a, double b, double c,
                 double d) {
  return fmax(look_up(&t->grids[k], a, b, c, d), cold(t, k, a, b, c, d));
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

/* ---- smoothing ------------------------------------------------------------------------------- */

int celslm_isotonic(double *values, const double *weights, int n) {
  double *mean = celslm_alloc((unsigned long)n + 1, sizeof *mean);
  double *weight = celslm_alloc((unsigned long)n + 1, sizeof *weight);
  int *count = celslm_alloc((unsigned long)n + 1, sizeof *count), blocks = 0, moved = 0;
  for (int i = 0; i < n; i++) {
    mean[blocks] = values[i];
    weight[blocks] = weights ? weights[i] : 1;
    count[blocks++] = 1;
    while (blocks > 1 && mean[blocks - 2] > mean[blocks - 1]) {
      double w = weight[blocks - 2] + weight[blocks - 1];
      mean[blocks - 2] =
          (mean[blocks - 2] * weight[blocks - 2] + mean[blocks - 1] * weight[blocks - 1]) / w;
      weight[blocks - 2] = w;
      count[blocks - 2] += count[blocks - 1];
      blocks--;
    }
  }
  for (int b = 0, i = 0; b < blocks; b++)
    for (int j = 0; j < count[b]; j++, i++)
      if (count[b] > 1 && values[i] != mean[b]) {
        values[i] = mean[b];
        moved++;
      }
  free(mean);
  free(weight);
  free(count);
  return moved;
}

/* Across the lines of a shape, at one d. True if something moved. */
static bool smooth_across(grid *g, run shape, double d, double *values, point **at_d) {
  int n = 0;
  for (int l = 0; l < shape.n; l++) {
    run line = g->lines[shape.first + l];
    for (int i = 0; i < line.n; i++)
      if (g->points[line.first + i].d == d) {
        at_d[n] = &g->points[line.first + i];
        values[n] = at_d[n]->seconds;
        n++;
      }
  }
  if (!celslm_isotonic(values, NULL, n)) return false;
  for (int i = 0; i < n; i++) at_d[i]->seconds = values[i];
  return true;
}

/* Along both axes by turns, until both hold: lines need not have the same places. */
static void smooth(grid *g) {
  double *values = celslm_alloc((unsigned long)g->n + 1, sizeof *values);
  point **at_d = celslm_alloc((unsigned long)g->n + 1, sizeof *at_d);
  for (int s = 0; s < g->n_shapes; s++) {
    run shape = g->shapes[s];
    bool moved = true;
    for (int round = 0; moved && round < 200; round++) {
      moved = false;
      for (int l = 0; l < shape.n; l++) {
        run line = g->lines[shape.first + l];
        for (int i = 0; i < line.n; i++) values[i] = g->points[line.first + i].seconds;
        if (!celslm_isotonic(values, NULL, line.n)) continue;
        moved = true;
        for (int i = 0; i < line.n; i++) g->points[line.first + i].seconds = values[i];
      }
      for (int l = 0; shape.n > 1 && l < shape.n; l++) {
        run line = g->lines[shape.first + l];
        for (int i = 0; i < line.n; i++)
          moved |= smooth_across(g, shape, g->points[line.first + i].d, values, at_d);
      }
    }
  }
  free(values);
  free(at_d);
}

/* ---- building -------------------------------------------------------------------------------- */

static point point_of(celslm_table_kind k, const celslm_kernel *x) {
  if (k == CELSLM_TABLE_GEMM) return (point){.a = x->key[0], .b = x->key[1], .d = x->key[2]};
  return (point){.a = x->key[1], .b = x->key[0], .c = x->key[2], .d = x->key[3]};
}

/* Every fourth of the shapes that have a neighbour on both sides along b. */
static bool choose_held(const grid *g, bool *held) {
  int inner = 0, chosen = 0;
  for (int i = 0; i < g->n_shapes; i++) {
    bool is_inner = i > 0 && i < g->n_shapes - 1 && a_of(g, i - 1) == a_of(g, i) &&
                    a_of(g, i + 1) == a_of(g, i);
    held[i] = is_inner && inner++ % 4 == 2;
    chosen += held[i];
  }
  return chosen > 0;
}

static void hold_out(const celslm_table_profile *t, celslm_table_kind k,
                     celslm_table_report *report) {
  const grid *g = &t->grids[k];
  bool *held = celslm_alloc((unsigned long)g->n_shapes + 1, sizeof *held);
  double *errors = celslm_alloc(3 * (unsigned long)g->n + 1, sizeof *errors);
  double *raw = errors + g->n, *large = raw + g->n;
  celslm_table_profile rest = {.bandwidth = t->bandwidth};
  grid *r = &rest.grids[k];
  report->held_median = report->held_p95 = report->held_raw_median = report->held_large_median =
      NAN;
  if (choose_held(g, held)) {
    r->points = celslm_alloc((unsigned long)g->n + 1, sizeof *r->points);
    for (int s = 0; s < g->n_shapes; s++)
      for (int l = 0; !held[s] && l < g->shapes[s].n; l++) {
        run line = g->lines[g->shapes[s].first + l];
        for (int i = 0; i < line.n; i++) r->points[r->n++] = g->points[line.first + i];
      }
    order(r);
    int n = 0, n_large = 0;
    for (int s = 0; s < g->n_shapes; s++)
      for (int l = 0; held[s] && l < g->shapes[s].n; l++) {
        run line = g->lines[g->shapes[s].first + l];
        report->held_shapes += l == 0;
        for (int i = 0; i < line.n; i++) {
          const point *p = &g->points[line.first + i];
          double predicted = at(&rest, k, p->a, p->b, p->c, p->d);
          errors[n] = fabs(predicted / p->seconds - 1);
          if (p->a >= 512 && p->b >= 512) large[n_large++] = errors[n];
          raw[n++] = fabs(predicted / fmax(p->measured, cold(t, k, p->a, p->b, p->c, p->d)) - 1);
        }
      }
    double unused;
    report->held_points = n;
    celslm_spread_of(errors, n, &report->held_median, &report->held_p95);
    celslm_spread_of(raw, n, &report->held_raw_median, &unused);
    if (n_large) celslm_spread_of(large, n_large, &report->held_large_median, &unused);
  }
  clear(r);
  free(errors);
  free(held);
}

celslm_table_profile *celslm_table_build(const celslm_measured *m, double bandwidth,
                                         celslm_table_report report[CELSLM_TABLE_KINDS],
                                         celslm_error *err) {
  static const celslm_curve_kind of[] = {CELSLM_CURVE_GEMM, CELSLM_CURVE_PREFILL,
                                         CELSLM_CURVE_DECODE};
  celslm_table_profile *t = celslm_alloc(1, sizeof *t);
  bool any = false;
  t->bandwidth = bandwidth;
  for (int k = 0; k < CELSLM_TABLE_KINDS; k++) {
    const celslm_kernels *list = &m->curves[of[k]];
    grid *g = &t->grids[k];
    report[k] = (celslm_table_report){.repeated = list->repeated};
    g->points = celslm_alloc((unsigned long)list->n + 1, sizeof *g->points);
    for (int i = 0; i < list->n; i++) {
      if (list->at[i].past > 0) continue; /* tables hold prompts from the start */
      point p = point_of((celslm_table_kind)k, &list->at[i]);
      double least = cold(t, (celslm_table_kind)k, p.a, p.b, p.c, p.d);
      p.measured = list->at[i].seconds;
      p.seconds = fmax(p.measured, least);
      report[k].raised += p.measured < least;
      g->points[g->n++] = p;
    }
    if (!g->n) continue;
    any = true;
    order(g);
    smooth(g);
    for (int i = 0; i < g->n; i++) {
      const point *p = &g->points[i];
      double before = fmax(p->measured, cold(t, (celslm_table_kind)k, p->a, p->b, p->c, p->d));
      double moved = fabs(p->seconds / before - 1);
      report[k].smoothed += moved > 1e-12;
      report[k].moved_most = fmax(report[k].moved_most, moved);
    }
    report[k].points = g->n;
    report[k].shapes = g->n_shapes;
    hold_out(t, (celslm_table_kind)k, &report[k]);
  }
  if (any) return t;
  celslm_fail(err, NULL, 0, "no gemm and no attention was measured; a table needs one of them");
  celslm_table_free(t);
  return NULL;
}

void celslm_table_free(celslm_table_profile *t) {
  if (!t) return;
  for (int k = 0; k < CELSLM_TABLE_KINDS; k++) clear(&t->grids[k]);
  free(t);
}

/* ---- files ----------------------------------------------------------------------------------- */

#define COLUMN(name, units, text, field)                                                           \
  { name, units, text, CELSLM_F64, offsetof(point, field), NULL }
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
                       const char *source, const celslm_table_report *report, celslm_error *err) {
  celslm_results *r = celslm_results_create(file, err);
  if (!r) return false;
  char *bandwidth = celslm_format("%.17g", t->bandwidth);
  bool ok = celslm_results_provenance(r, "name", name, err) &&
            celslm_results_provenance(r, "source", source, err) &&
            celslm_results_provenance(r, "bandwidth", bandwidth, err);
  free(bandwidth);
  for (int k = 0; ok && k < CELSLM_TABLE_KINDS; k++) {
    const grid *g = &t->grids[k];
    size_t n;
    const celslm_column *columns = columns_of(k, &n);
    if (!g->n) continue;
    char *text = celslm_format("%d of %d points raised to the memory's time, %d smoothed",
                               report[k].raised, report[k].points, report[k].smoothed);
    celslm_table *to = celslm_results_table(r, names[k], text, columns, n, err);
    free(text);
    ok = to != NULL;
    for (int i = 0; ok && i < g->n; i++) celslm_table_append(to, &g->points[i]);
  }
  return celslm_results_close(r, ok, false, err) && ok;
}

static bool load_grid(celslm_reader *r, int k, grid *g, celslm_error *err) {
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
    const point *p = &g->points[i];
    if (!(p->seconds > 0) || !(p->a > 0) || !(p->b > 0) || !(p->d > 0) || isinf(p->seconds))
      return celslm_fail(err, NULL, 0, "table %s, row %d: sizes and seconds must be positive",
                         names[k], i);
  }
  order(g);
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
