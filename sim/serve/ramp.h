/* ramp.h - the lengths of consecutive decode iterations, summed exactly.
 *
 * Iteration i (from 0) lasts base + max(compute + compute_slope i, memory + memory_slope i) ticks.
 * All are integers, so sums do not depend on how they are grouped. Slopes are >= 0. */
#ifndef CELSLM_SERVE_RAMP_H
#define CELSLM_SERVE_RAMP_H

#include <stdbool.h>
#include <stdint.h>

typedef __int128 celslm_ticks; /* 2^-20 ns */

typedef struct celslm_ramp {
  int64_t base, compute, compute_slope, memory, memory_slope;
} celslm_ramp;

static inline int64_t celslm_ramp_at(const celslm_ramp *r, int64_t i) {
  int64_t c = r->compute + r->compute_slope * i, m = r->memory + r->memory_slope * i;
  return r->base + (c > m ? c : m);
}

/* The first index at which the line that is lower at 0 is no longer the lower one; INT64_MAX:
 * never. */
static inline int64_t celslm_ramp_break(const celslm_ramp *r) {
  int64_t gap = r->compute - r->memory, closing = r->memory_slope - r->compute_slope;
  if (gap < 0) gap = -gap, closing = -closing;
  return closing <= 0 ? INT64_MAX : (gap + closing - 1) / closing;
}

static inline celslm_ticks celslm_line_sum(int64_t first, int64_t slope, int64_t k) {
  return (celslm_ticks)first * k + (celslm_ticks)slope * ((celslm_ticks)k * (k - 1) / 2);
}

/* Ticks of the first k iterations. */
static inline celslm_ticks celslm_ramp_sum(const celslm_ramp *r, int64_t k) {
  int64_t at = celslm_ramp_break(r), head = k < at ? k : at;
  bool compute_first = r->compute >= r->memory;
  celslm_ticks sum = (celslm_ticks)r->base * k;
  int64_t a = compute_first ? r->compute : r->memory, b = compute_first ? r->memory : r->compute;
  int64_t as = compute_first ? r->compute_slope : r->memory_slope;
  int64_t bs = compute_first ? r->memory_slope : r->compute_slope;
  sum += celslm_line_sum(a, as, head);
  if (k > head) sum += celslm_line_sum(b + bs * head, bs, k - head);
  return sum;
}

#endif
