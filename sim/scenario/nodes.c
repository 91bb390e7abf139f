/* nodes.c - the nodes of a table of matrices (see nodes.h). */
#include "scenario/nodes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ESTIMATES = 7 };

/* A node by its places along the one and the other axis; turned: along k first. */
static double node(const celslm_grid *g, bool turned, int u, int v, int place) {
  int i = turned ? v : u, j = turned ? u : v;
  return g->nodes[((long)i * g->n_b + j) * g->n_places + place];
}

static bool measured(const celslm_grid *g, bool turned, int u, int v) {
  int i = turned ? v : u, j = turned ? u : v;
  return g->is_measured[i * g->n_b + j];
}

static double linear(double x, double x0, double x1, double y0, double y1) {
  return y0 + (y1 - y0) * (x - x0) / (x1 - x0);
}

/* The estimates of node (u, v) along the second axis: plain, as below, as above. Returns how many.
 */
static int estimates_along(const celslm_grid *g, bool turned, int u, int v, int place, double *to) {
  int n_u = turned ? g->n_b : g->n_a, n_v = turned ? g->n_a : g->n_b, low = v - 1, high = v + 1;
  const double *x = turned ? g->a : g->b;
  while (low >= 0 && !measured(g, turned, u, low)) low--;
  while (high < n_v && !measured(g, turned, u, high)) high++;
  if (low < 0 || high == n_v) return 0;
  int n = 0;
  to[n++] = linear(x[v], x[low], x[high], node(g, turned, u, low, place),
                   node(g, turned, u, high, place));
  for (int side = -1; side <= 1; side += 2)
    for (int w = u + side; w >= 0 && w < n_u; w += side)
      if (measured(g, turned, w, low) && measured(g, turned, w, v) &&
          measured(g, turned, w, high)) {
        double there = linear(x[v], x[low], x[high], node(g, turned, w, low, place),
                              node(g, turned, w, high, place));
        to[n++] = to[0] * node(g, turned, w, v, place) / there;
        break;
      }
  return n;
}

static int by_value(const void *p, const void *q) {
  double x = *(const double *)p, y = *(const double *)q;
  return (x > y) - (x < y);
}

static double estimate(const celslm_grid *g, int i, int j, int place) {
  double e[ESTIMATES];
  int n = estimates_along(g, false, i, j, place, e);
  if (n) e[n] = e[0], n++;
  n += estimates_along(g, true, j, i, place, e + n);
  if (!n) return NAN;
  qsort(e, (size_t)n, sizeof *e, by_value);
  return 0.5 * (e[(n - 1) / 2] + e[n / 2]);
}

/* The different values of a size, in order. */
static double *values_of(const celslm_grid *g, bool of_b, int *n) {
  double *v = celslm_alloc((unsigned long)g->n_shapes + 1, sizeof *v);
  int count = 0;
  for (int i = 0; i < g->n_shapes; i++) v[i] = (of_b ? celslm_grid_b : celslm_grid_a)(g, i);
  qsort(v, (size_t)g->n_shapes, sizeof *v, by_value);
  for (int i = 0; i < g->n_shapes; i++)
    if (!i || v[i] != v[count - 1]) v[count++] = v[i];
  *n = count;
  return v;
}

/* The last of the n values that is not above x; 0 if all are. */
static int below(const double *values, int n, double x) {
  int i = 0;
  while (i + 1 < n && values[i + 1] <= x) i++;
  return i;
}

void celslm_nodes_fill(celslm_grid *g) {
  g->a = values_of(g, false, &g->n_a);
  g->b = values_of(g, true, &g->n_b);
  unsigned long nodes = (unsigned long)g->n_a * (unsigned long)g->n_b;
  g->is_measured = celslm_alloc(nodes + 1, sizeof *g->is_measured);
  g->nodes = celslm_alloc(nodes * (unsigned long)g->n_places + 1, sizeof *g->nodes);
  for (int s = 0; s < g->n_shapes; s++) {
    long at = (long)below(g->a, g->n_a, celslm_grid_a(g, s)) * g->n_b +
              below(g->b, g->n_b, celslm_grid_b(g, s));
    g->is_measured[at] = true;
    for (int p = 0; p < g->n_places; p++)
      g->nodes[at * g->n_places + p] = celslm_grid_along(g, g->shapes[s].first, g->places[p]);
  }
  for (int i = 0; i < g->n_a; i++)
    for (int j = 0; j < g->n_b; j++) {
      double *to = &g->nodes[((long)i * g->n_b + j) * g->n_places];
      for (int p = 0; p < g->n_places && !g->is_measured[i * g->n_b + j]; p++) {
        to[p] = estimate(g, i, j, p);
        if (p) to[p] = fmax(to[p], to[p - 1]); /* NaN: all of the node are */
      }
    }
}

/* Along the places of a node; beyond the last one its last slope goes on. */
static double along_places(const celslm_grid *g, int i, int j, double d) {
  const double *y = &g->nodes[((long)i * g->n_b + j) * g->n_places];
  if (d <= g->places[0] || g->n_places == 1) return y[0];
  int p = below(g->places, g->n_places, d);
  if (p == g->n_places - 1) p--;
  if (d == g->places[p]) return y[p];
  if (d == g->places[p + 1]) return y[p + 1];
  return linear(d, g->places[p], g->places[p + 1], y[p], y[p + 1]);
}

static double along_b(const celslm_grid *g, int i, double b, double d) {
  int j = below(g->b, g->n_b, b);
  double low = along_places(g, i, j, d);
  if (j == g->n_b - 1) return b > g->b[j] ? low * b / g->b[j] : low; /* in proportion */
  if (b <= g->b[j]) return low;
  return linear(b, g->b[j], g->b[j + 1], low, along_places(g, i, j + 1, d));
}

double celslm_nodes_at(const celslm_grid *g, double a, double b, double d) {
  int i = below(g->a, g->n_a, a);
  double low = along_b(g, i, b, d);
  if (i == g->n_a - 1) return a > g->a[i] ? low * a / g->a[i] : low;
  if (a <= g->a[i]) return low;
  return linear(a, g->a[i], g->a[i + 1], low, along_b(g, i + 1, b, d));
}
