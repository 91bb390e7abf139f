/* abort.c - jobs that end before they are done: a host that crashes, a context that does not come.
 */
#include "serve/state.h"

#include <assert.h>
#include <string.h>

static celslm_job *chain_before(celslm_job *j, celslm_job *chain) {
  if (j->state == CELSLM_JOB_DECODE && j->shared) j->shared->decoding = 0;
  celslm_held_clear(&j->held);
  j->idle = j->back = false;
  j->state = CELSLM_JOB_ENDED;
  j->after = chain;
  return j;
}

static celslm_job *take_all(celslm_engine *e, job_list *l, celslm_job *chain) {
  while (l->last) {
    celslm_job *j = l->last;
    celslm_count_gone(e, j);
    celslm_list_remove(l, j);
    chain = chain_before(j, chain);
  }
  return chain;
}

/* In the order in which they would have been served. */
static celslm_job *take_waiting(celslm_engine *e, celslm_job *chain) {
  job_list all = {0};
  for (celslm_job *j; (j = celslm_waiting_next(&e->queue, e->step));) {
    celslm_count_gone(e, j);
    celslm_waiting_withdraw(&e->queue, j);
    celslm_list_append(&all, j);
  }
  celslm_waiting_reset(&e->queue);
  while (all.last) {
    celslm_job *j = all.last;
    celslm_list_remove(&all, j);
    chain = chain_before(j, chain);
  }
  return chain;
}

/* What is done is not aborted, unless it is to go on: its owner has been told, and learns from the
 * network that its KV cannot be read any more. */
static celslm_job *take_kept(celslm_engine *e, celslm_job *chain) {
  while (e->kept.last) {
    celslm_job *j = e->kept.last;
    celslm_list_remove(&e->kept, j);
    celslm_job *more = chain_before(j, chain);
    if (j->goes_on) chain = more;
  }
  return chain;
}

void celslm_engine_abort(celslm_engine *e) {
  assert(!e->inside);
  for (int l = 1; l < e->n_lanes; l++) celslm_engine_abort(e->lanes[l]);
  bool passes = e->busy && e->pipeline && !e->moving; /* through the stages */
  if (e->busy && !e->moving && !e->pipeline) celslm_engine_break_off(e);
  celslm_net_cancel(e->net, &e->event);
  celslm_net_cancel(e->net, &e->wake);
  celslm_net_cancel(e->net, &e->release);
  if (e->busy && e->shares_host && !e->moving && !e->pipeline)
    celslm_net_withdraw(e->net, &e->exec);
  celslm_engine_flush_span(e);
  celslm_job *chain = take_kept(e, NULL); /* those that run first, as admitted */
  chain = take_all(e, &e->held, chain);
  chain = take_waiting(e, chain);
  chain = take_all(e, &e->running, take_all(e, &e->swapped, chain));
  e->prefill_first = e->prefill_last = e->resumed = e->idle_first = e->idle_last = NULL;
  e->decodes = e->attended = e->read = e->n_resumed = e->sitting_out = 0;
  memset(e->decodes_of, 0, (size_t)e->n_classes * sizeof *e->decodes_of);
  memset(e->phase, 0, (size_t)e->block * sizeof *e->phase);
  bool caching = e->pool.caching;
  int64_t total = e->pool.total;
  celslm_pool_clear(&e->pool);
  celslm_pool_init(&e->pool, e->block, total, caching);
  e->swap_room = e->swap_blocks;
  e->n_longest = 0;
  e->late = 0;
  e->passed = e->upto = 0;
  e->batch_tokens = 0;
  e->crashed = e->busy =
      e->moving > 0 || passes; /* what moves must end before anything can begin */
  e->count = 1;
  e->inside = true; /* nothing begins before all have been told */
  for (celslm_job *j = chain, *next; j; j = next) {
    next = j->after;
    j->owner->aborted(j);
  }
  e->inside = false;
  if (e->queue.n) celslm_engine_poke(e);
}

void celslm_engine_withdraw(celslm_engine *e, celslm_job *j) {
  e = j->engine;
  assert(j->state == CELSLM_JOB_HELD || j->state == CELSLM_JOB_WAITING ||
         j->state == CELSLM_JOB_PREFILL);
  celslm_count_gone(e, j);
  if (j->state == CELSLM_JOB_HELD) {
    celslm_list_remove(&e->held, j);
  } else if (j->state == CELSLM_JOB_WAITING) {
    celslm_waiting_withdraw(&e->queue, j);
    if (j->idle) celslm_kept_give_up(e, j);
  } else {
    celslm_pool_release(&e->pool, &j->content, &j->held, j->computed,
                        celslm_blocks_of_chunk(e, j, j->chunk), false);
    celslm_prefill_remove(e, j);
    celslm_list_remove(&e->running, j);
  }
  celslm_held_clear(&j->held);
  j->state = CELSLM_JOB_ENDED;
  celslm_engine_poke(e);
}
