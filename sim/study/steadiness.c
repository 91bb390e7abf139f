#include "study/steadiness.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

typedef struct change {
  double at;
  int by;
} change;

/* At equal times departures first: who comes as another leaves finds the place empty. */
static int in_order(const void *a, const void *b) {
  const change *x = a, *y = b;
  return x->at != y->at ? (x->at > y->at) - (x->at < y->at) : x->by - y->by;
}

celslm_recovery celslm_recovery_of(const double *arrivals, const double *ends, size_t n,
                                   double from, double begin, double end) {
  celslm_recovery out = {.time = INFINITY};
  change *changes = celslm_alloc(2 * n + 1, sizeof *changes);
  size_t m = 0;
  for (size_t i = 0; i < n; i++) {
    changes[m++] = (change){arrivals[i], 1};
    if (!isnan(ends[i])) changes[m++] = (change){ends[i], -1};
  }
  qsort(changes, m, sizeof *changes, in_order);
  double inside = 0, area = 0, last = from;
  size_t k = 0;
  for (; k < m && changes[k].at < begin; k++) {
    if (changes[k].at > from) area += inside * (changes[k].at - last), last = changes[k].at;
    inside += changes[k].by;
  }
  out.before = begin > from ? (area + inside * (begin - last)) / (begin - from) : NAN;
  out.peak = inside;
  for (; k < m && changes[k].at <= end; k++) {
    inside += changes[k].by;
    out.peak = fmax(out.peak, inside);
  }
  if (inside <= out.before) out.time = 0;
  for (; k < m; k++) {
    inside += changes[k].by;
    out.peak = fmax(out.peak, inside);
    if (isinf(out.time) && inside <= out.before) out.time = changes[k].at - end;
  }
  free(changes);
  return out;
}

double celslm_mean_jitter(const double *latencies, size_t n) {
  double sum = 0, before = NAN;
  size_t pairs = 0;
  for (size_t i = 0; i < n; i++) {
    if (isnan(latencies[i])) continue;
    if (!isnan(before)) sum += fabs(latencies[i] - before), pairs++;
    before = latencies[i];
  }
  return pairs ? sum / (double)pairs : NAN;
}
