/* abort.c - jobs that end before they are done: a host that crashes, a context that does not come.
 */
#include "serve/state.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* What is over of the iterations under way has happened; the one in the midst counts as busy time.
 */
static void count_what_was(celslm_engine *e) {
  celslm_engine_row row = {0};
  celslm_engine_observe(e, &row);
  e->iterations = row.iterations;
  e->output_tokens = row.output_tokens;
  e->busy_ticks = (celslm_ticks)llround(row.busy * 1e9 * 0x1p20);
}

static celslm_job *take_all(job_list *l, celslm_job *chain) {
  while (l->last) {
    celslm_job *j = l->last;
    celslm_list_remove(l, j);
    if (j->state == CELSLM_JOB_DECODE && j->shared) j->shared->decoding = 0;
    j->state = CELSLM_JOB_ENDED;
    j->after = chain;
    chain = j;
  }
  return chain;
}

void celslm_engine_abort(celslm_engine *e) {
  assert(!e->inside);
  if (e->busy) count_what_was(e);
  celslm_net_cancel(e->net, &e->event);
  celslm_net_cancel(e->net, &e->wake);
  if (e->busy && e->shares_host) celslm_net_withdraw(e->net, &e->exec);
  celslm_engine_flush_span(e);
  celslm_job *chain =
      take_all(&e->running, take_all(&e->waiting, NULL)); /* in order of admission */
  e->prefill_first = e->prefill_last = NULL;
  e->decodes = e->attended = e->read = 0;
  memset(e->phase, 0, (size_t)e->block * sizeof *e->phase);
  e->blocks_free = e->blocks;
  e->n_longest = 0;
  e->batch_tokens = 0;
  e->busy = false;
  e->inside = true; /* nothing begins before all have been told */
  for (celslm_job *j = chain, *next; j; j = next) {
    next = j->after;
    j->owner->aborted(j);
  }
  e->inside = false;
  if (e->waiting.first) celslm_engine_poke(e);
}

void celslm_engine_withdraw(celslm_engine *e, celslm_job *j) {
  assert(j->state == CELSLM_JOB_WAITING || j->state == CELSLM_JOB_PREFILL);
  if (j->state == CELSLM_JOB_WAITING) {
    celslm_list_remove(&e->waiting, j);
  } else {
    e->blocks_free += celslm_blocks_of(e, celslm_job_kv(e, j));
    celslm_prefill_remove(e, j);
    celslm_list_remove(&e->running, j);
  }
  j->state = CELSLM_JOB_ENDED;
  celslm_engine_poke(e);
}
