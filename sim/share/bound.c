#include "share/bound.h"

#include "base/error.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

/* When each request's context is wanted again: a place in the sequence, n: never. */
static size_t *next_uses(const int *wanted, size_t n, int n_contexts) {
  size_t *next = celslm_alloc(n, sizeof *next);
  size_t *coming = celslm_alloc((unsigned long)n_contexts, sizeof *coming);
  for (int c = 0; c < n_contexts; c++) coming[c] = n;
  for (size_t i = n; i-- > 0;) {
    next[i] = coming[wanted[i]];
    coming[wanted[i]] = i;
  }
  free(coming);
  return next;
}

int64_t celslm_bound_belady(const int *wanted, size_t n, int n_contexts, int64_t slots) {
  size_t *next = next_uses(wanted, n, n_contexts);
  size_t *again = celslm_alloc((unsigned long)n_contexts, sizeof *again); /* of a kept one */
  int *kept = celslm_alloc((unsigned long)n_contexts, sizeof *kept);
  int64_t n_kept = 0, hits = 0;
  for (size_t i = 0; i < n; i++) {
    int c = wanted[i], last = -1, here = -1;
    for (int k = 0; k < n_kept; k++) {
      if (kept[k] == c) here = k;
      if (last < 0 || again[kept[k]] > again[kept[last]]) last = k;
    }
    again[c] = next[i];
    if (here >= 0) {
      hits++;
    } else if (next[i] < n && n_kept < slots) {
      kept[n_kept++] = c;
    } else if (next[i] < n && last >= 0 && again[kept[last]] > next[i]) {
      kept[last] = c;
    }
  }
  free(next), free(again), free(kept);
  return hits;
}

/* ---- flow ------------------------------------------------------------------------------------ */

/* A flow along a line of nodes 0..n-1: from each to the next one at no gain, and by arcs that leap
 * ahead at a gain. Successive longest paths, by Dijkstra's algorithm with potentials. */
typedef struct arc {
  int to;
  double room, cost; /* B; cost of so much as fits: negative, a gain */
} arc;

#define NOTHING 1e-9 /* gains that are not worth a path: rounding */

typedef struct line {
  int n, n_arcs;
  arc *arcs;         /* k and k^1 are each other's reverse */
  int *first, *next; /* arcs that leave a node: lists, -1 ends them */
  double *potential, *distance;
  int *by; /* arc of the path to a node */
  int *heap, *slot;
  int heaped;
} line;

static void add_arc(line *l, int from, int to, double room, double cost) {
  for (int k = 0; k < 2; k++) {
    l->arcs[l->n_arcs] = k ? (arc){from, 0, -cost} : (arc){to, room, cost};
    int tail = k ? to : from;
    l->next[l->n_arcs] = l->first[tail];
    l->first[tail] = l->n_arcs++;
  }
}

static void swap(line *l, int a, int b) {
  int t = l->heap[a];
  l->heap[a] = l->heap[b], l->heap[b] = t;
  l->slot[l->heap[a]] = a, l->slot[l->heap[b]] = b;
}

static bool nearer(const line *l, int a, int b) {
  return l->distance[l->heap[a]] < l->distance[l->heap[b]];
}

static void rise(line *l, int at) {
  for (; at > 1 && nearer(l, at, at / 2); at /= 2) swap(l, at, at / 2);
}

static int take_nearest(line *l) {
  int node = l->heap[1];
  swap(l, 1, l->heaped--);
  for (int at = 1, child; (child = 2 * at) <= l->heaped; at = child) {
    if (child < l->heaped && nearer(l, child + 1, child)) child++;
    if (!nearer(l, child, at)) break;
    swap(l, at, child);
  }
  l->slot[node] = -1;
  return node;
}

/* Distances from node 0 in reduced costs; potentials become true distances. */
static void measure(line *l) {
  l->heaped = 0;
  for (int v = 0; v < l->n; v++) l->distance[v] = INFINITY, l->slot[v] = 0, l->by[v] = -1;
  l->distance[0] = 0;
  l->heap[++l->heaped] = 0, l->slot[0] = 1;
  while (l->heaped) {
    int v = take_nearest(l);
    for (int k = l->first[v]; k >= 0; k = l->next[k]) {
      const arc *a = &l->arcs[k];
      if (!(a->room > 0) || l->slot[a->to] < 0) continue;
      double reduced = a->cost + l->potential[v] - l->potential[a->to];
      double d = l->distance[v] + (reduced > 0 ? reduced : 0);
      if (!(d < l->distance[a->to])) continue;
      l->distance[a->to] = d;
      l->by[a->to] = k;
      if (!l->slot[a->to]) l->heap[++l->heaped] = a->to, l->slot[a->to] = l->heaped;
      rise(l, l->slot[a->to]);
    }
  }
  for (int v = 0; v < l->n; v++) l->potential[v] += l->distance[v];
}

/* Before any flow, arcs only lead ahead. */
static void first_potentials(line *l) {
  for (int v = 0; v < l->n; v++) l->potential[v] = v ? INFINITY : 0;
  for (int v = 0; v < l->n; v++)
    for (int k = l->first[v]; k >= 0; k = l->next[k]) {
      const arc *a = &l->arcs[k];
      if (a->room > 0) l->potential[a->to] = fmin(l->potential[a->to], l->potential[v] + a->cost);
    }
}

static double most_gain(line *l, double flow) {
  double gain = 0;
  first_potentials(l);
  while (flow > 0) {
    measure(l);
    int end = l->n - 1;
    if (!(l->potential[end] < -NOTHING)) break; /* the rest is kept for nothing */
    double push = flow;
    for (int v = end; v; v = l->arcs[l->by[v] ^ 1].to) push = fmin(push, l->arcs[l->by[v]].room);
    for (int v = end; v; v = l->arcs[l->by[v] ^ 1].to) {
      l->arcs[l->by[v]].room -= push;
      l->arcs[l->by[v] ^ 1].room += push;
    }
    gain -= push * l->potential[end];
    flow -= push;
  }
  return gain;
}

static double window_gain(const int *wanted, size_t n, const double *bytes, const double *worth,
                          size_t *before, bool *seen, double capacity, line *l) {
  l->n = (int)n;
  l->n_arcs = 0;
  for (size_t i = 0; i < n; i++) l->first[i] = -1;
  double gain = 0;
  for (size_t i = 0; i < n; i++) {
    int c = wanted[i];
    if (i) add_arc(l, (int)i - 1, (int)i, capacity, 0);
    double value = worth ? worth[c] : 1;
    if (seen[c] && bytes[c] <= capacity) {
      size_t from = before[c] == SIZE_MAX ? 0 : before[c];
      if (from == i)
        gain += value; /* the first request of a window: it may have been kept till now */
      else
        add_arc(l, (int)from, (int)i, bytes[c], -value * capacity / bytes[c]);
    }
    seen[c] = true;
    before[c] = i;
  }
  return gain + (n > 1 && capacity > 0 ? most_gain(l, capacity) / capacity : 0);
}

double celslm_bound_flow(const int *wanted, size_t n, const double *bytes, const double *worth,
                         int n_contexts, double capacity, size_t window) {
  unsigned long arcs = 4 * (unsigned long)window, nodes = (unsigned long)window;
  line l = {.arcs = celslm_alloc(arcs, sizeof *l.arcs),
            .next = celslm_alloc(arcs, sizeof *l.next),
            .first = celslm_alloc(nodes, sizeof *l.first),
            .potential = celslm_alloc(nodes, sizeof *l.potential),
            .distance = celslm_alloc(nodes, sizeof *l.distance),
            .by = celslm_alloc(nodes, sizeof *l.by),
            .heap = celslm_alloc(nodes + 1, sizeof *l.heap),
            .slot = celslm_alloc(nodes, sizeof *l.slot)};
  size_t *before = celslm_alloc((unsigned long)n_contexts, sizeof *before);
  bool *seen = celslm_alloc((unsigned long)n_contexts, sizeof *seen);
  double gain = 0;
  for (size_t from = 0; from < n; from += window) {
    for (int c = 0; c < n_contexts; c++) before[c] = SIZE_MAX; /* not in this window yet */
    size_t many = n - from < window ? n - from : window;
    gain += window_gain(wanted + from, many, bytes, worth, before, seen, capacity, &l);
  }
  free(l.arcs), free(l.next), free(l.first), free(l.potential), free(l.distance), free(l.by);
  free(l.heap), free(l.slot), free(before), free(seen);
  return gain;
}
