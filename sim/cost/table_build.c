/* table_build.c - measurements -> tables (see table_build.h). */
#include "cost/table_build.h"

#include "cost/curves.h"
#include "scenario/nodes.h"

#include <math.h>
#include <stdlib.h>

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
static bool smooth_across(celslm_grid *g, celslm_points shape, double d, double *values,
                          celslm_table_point **at_d) {
  int n = 0;
  for (int l = 0; l < shape.n; l++) {
    celslm_points line = g->lines[shape.first + l];
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
static void smooth(celslm_grid *g) {
  double *values = celslm_alloc((unsigned long)g->n + 1, sizeof *values);
  celslm_table_point **at_d = celslm_alloc((unsigned long)g->n + 1, sizeof *at_d);
  for (int s = 0; s < g->n_shapes; s++) {
    celslm_points shape = g->shapes[s];
    bool moved = true;
    for (int round = 0; moved && round < 200; round++) {
      moved = false;
      for (int l = 0; l < shape.n; l++) {
        celslm_points line = g->lines[shape.first + l];
        for (int i = 0; i < line.n; i++) values[i] = g->points[line.first + i].seconds;
        if (!celslm_isotonic(values, NULL, line.n)) continue;
        moved = true;
        for (int i = 0; i < line.n; i++) g->points[line.first + i].seconds = values[i];
      }
      for (int l = 0; shape.n > 1 && l < shape.n; l++) {
        celslm_points line = g->lines[shape.first + l];
        for (int i = 0; i < line.n; i++)
          moved |= smooth_across(g, shape, g->points[line.first + i].d, values, at_d);
      }
    }
  }
  free(values);
  free(at_d);
}

/* ---- building -------------------------------------------------------------------------------- */

static celslm_table_point point_of(celslm_table_kind k, const celslm_kernel *x) {
  if (k == CELSLM_TABLE_GEMM)
    return (celslm_table_point){.a = x->key[0], .b = x->key[1], .d = x->key[2]};
  return (celslm_table_point){.a = x->key[1], .b = x->key[0], .c = x->key[2], .d = x->key[3]};
}

/* Every fourth of the shapes that have a neighbour on both sides along b. */
static bool choose_held(const celslm_grid *g, bool *held) {
  int inner = 0, chosen = 0;
  for (int i = 0; i < g->n_shapes; i++) {
    bool is_inner = i > 0 && i < g->n_shapes - 1 &&
                    celslm_grid_a(g, i - 1) == celslm_grid_a(g, i) &&
                    celslm_grid_a(g, i + 1) == celslm_grid_a(g, i);
    held[i] = is_inner && inner++ % 4 == 2;
    chosen += held[i];
  }
  return chosen > 0;
}

static void hold_out(const celslm_table_profile *t, celslm_table_kind k,
                     celslm_table_report *report) {
  const celslm_grid *g = &t->grids[k];
  bool *held = celslm_alloc((unsigned long)g->n_shapes + 1, sizeof *held);
  double *errors = celslm_alloc(3 * (unsigned long)g->n + 1, sizeof *errors);
  double *raw = errors + g->n, *large = raw + g->n;
  celslm_table_profile rest = {.bandwidth = t->bandwidth};
  celslm_grid *r = &rest.grids[k];
  report->held_median = report->held_p95 = report->held_raw_median = report->held_large_median =
      NAN;
  if (choose_held(g, held)) {
    r->points = celslm_alloc((unsigned long)g->n + 1, sizeof *r->points);
    for (int s = 0; s < g->n_shapes; s++)
      for (int l = 0; !held[s] && l < g->shapes[s].n; l++) {
        celslm_points line = g->lines[g->shapes[s].first + l];
        for (int i = 0; i < line.n; i++) r->points[r->n++] = g->points[line.first + i];
      }
    celslm_grid_order(r);
    if (k == CELSLM_TABLE_GEMM) celslm_nodes_fill(r);
    int n = 0, n_large = 0;
    for (int s = 0; s < g->n_shapes; s++)
      for (int l = 0; held[s] && l < g->shapes[s].n; l++) {
        celslm_points line = g->lines[g->shapes[s].first + l];
        report->held_shapes += l == 0;
        for (int i = 0; i < line.n; i++) {
          const celslm_table_point *p = &g->points[line.first + i];
          double predicted = celslm_table_at(&rest, k, p);
          errors[n] = fabs(predicted / p->seconds - 1);
          if (p->a >= 512 && p->b >= 512) large[n_large++] = errors[n];
          raw[n++] = fabs(predicted / fmax(p->measured, celslm_table_cold(t, k, p)) - 1);
        }
      }
    double unused;
    report->held_points = n;
    celslm_spread_of(errors, n, &report->held_median, &report->held_p95);
    celslm_spread_of(raw, n, &report->held_raw_median, &unused);
    if (n_large) celslm_spread_of(large, n_large, &report->held_large_median, &unused);
  }
  celslm_grid_clear(r);
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
    celslm_grid *g = &t->grids[k];
    report[k] = (celslm_table_report){.repeated = list->repeated};
    g->points = celslm_alloc((unsigned long)list->n + 1, sizeof *g->points);
    for (int i = 0; i < list->n; i++) {
      if (list->at[i].past > 0) continue; /* tables hold prompts from the start */
      celslm_table_point p = point_of((celslm_table_kind)k, &list->at[i]);
      double least = celslm_table_cold(t, (celslm_table_kind)k, &p);
      p.measured = list->at[i].seconds;
      p.seconds = fmax(p.measured, least);
      report[k].raised += p.measured < least;
      g->points[g->n++] = p;
    }
    if (!g->n) continue;
    any = true;
    celslm_grid_order(g);
    smooth(g);
    if (k == CELSLM_TABLE_GEMM) celslm_nodes_fill(g);
    for (int i = 0; i < g->n; i++) {
      const celslm_table_point *p = &g->points[i];
      double before = fmax(p->measured, celslm_table_cold(t, (celslm_table_kind)k, p));
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
