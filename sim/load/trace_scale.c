/* trace_scale.c - a trace at another rate, with the same lengths and (but for thinning) the same
 * total shape.
 *
 * A rate of n - 1 + p (n whole, 0 < p <= 1) is n copies of the trace laid over each other, the last
 * of which keeps each of its rows with probability p. Copy k (0, 1 ... n - 1) is shifted by k/n of
 * the trace's length, what passes its end comes in at its start: so bursts do not fall together.
 * Each copy has users of its own: prefixes are shared within a copy only, as in the original. */
#include "load/load.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t trace_root = 0x7ace; /* where the chains of traces begin */

/* The ids of a row (from[]) become identities (to[]): each of all the blocks before it, too. */
static void chain(uint64_t *to, const uint64_t *from, int32_t n, uint64_t copy) {
  uint64_t h = celslm_identity(trace_root, copy);
  for (int32_t i = 0; i < n; i++) to[i] = h = celslm_identity(h, from[i]);
}

static int by_time(const void *a, const void *b) {
  const celslm_trace_row *x = a, *y = b;
  if (x->time != y->time) return x->time < y->time ? -1 : 1;
  return (x->first_id > y->first_id) -
         (x->first_id < y->first_id); /* by copy, then as in the file */
}

void celslm_trace_scale(celslm_trace *t, double rate, double stretch, gsl_rng *r) {
  int64_t copies = (int64_t)ceil(rate), rows = t->n_rows, ids = t->n_ids, n = 0;
  double last = rate - (double)(copies - 1), length = t->rows[rows - 1].time;
  celslm_trace_row *all = celslm_alloc((unsigned long)(rows * copies), sizeof *all);
  uint64_t *identities = celslm_alloc((unsigned long)(ids * copies), sizeof *identities);
  for (int64_t k = 0; k < copies; k++)
    for (int64_t i = 0; i < rows; i++) {
      celslm_trace_row row = t->rows[i];
      if (k == copies - 1 && last < 1 && gsl_rng_uniform(r) >= last) continue;
      const uint64_t *from = t->ids + row.first_id;
      row.time += (double)k * length / (double)copies;
      if (row.time > length) row.time -= length;
      row.time *= stretch;
      row.first_id += k * ids;
      if (row.n_ids) chain(identities + row.first_id, from, row.n_ids, (uint64_t)k);
      all[n++] = row;
    }
  free(t->rows);
  free(t->ids);
  t->rows = all;
  t->ids = identities;
  t->n_rows = n;
  t->n_ids = ids * copies;
  if (copies > 1) qsort(all, (size_t)n, sizeof *all, by_time);
}
