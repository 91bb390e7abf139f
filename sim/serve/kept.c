/* kept.c - sequences that are done and whose KV stays: for others who read it, or to go on. */
#include "serve/state.h"

#include <assert.h>

/* ---- those that may lose their blocks -------------------------------------------------------- */

static void idle_begin(celslm_engine *e, celslm_job *j) {
  j->idle = true;
  j->prefill_before = e->idle_last;
  j->prefill_after = NULL;
  *(e->idle_last ? &e->idle_last->prefill_after : &e->idle_first) = j;
  e->idle_last = j;
}

void celslm_idle_end(celslm_engine *e, celslm_job *j) {
  *(j->prefill_before ? &j->prefill_before->prefill_after : &e->idle_first) = j->prefill_after;
  *(j->prefill_after ? &j->prefill_after->prefill_before : &e->idle_last) = j->prefill_before;
  j->idle = false;
}

void celslm_idle_evict(celslm_engine *e, int64_t blocks, const celslm_job *self, bool at_any_rate) {
  int64_t could = e->pool.free;
  for (const celslm_job *j = e->idle_first; j; j = j->prefill_after)
    if (j != self) could += celslm_pool_alone(&e->pool, &j->held, j->computed);
  if (could < blocks && !at_any_rate) return;
  for (celslm_job *j = e->idle_first, *next; j && e->pool.free < blocks; j = next) {
    next = j->prefill_after;
    if (j == self) continue;
    celslm_idle_end(e, j);
    celslm_pool_release(&e->pool, &j->content, &j->held, j->computed, 0, true);
    j->computed = 0;
  }
}

/* ---- kept ------------------------------------------------------------------------------------ */

void celslm_kept_add(celslm_engine *e, celslm_job *j, int64_t tokens) {
  j->need = j->computed = (int32_t)tokens;
  j->past = 0;
  j->state = CELSLM_JOB_KEPT;
  celslm_pool_publish(&e->pool, &j->content, &j->held, tokens);
  celslm_list_append(&e->kept, j);
  if (j->goes_on) idle_begin(e, j);
}

void celslm_kept_give_up(celslm_engine *e, celslm_job *j) {
  if (j->idle) celslm_idle_end(e, j);
  if (j->state == CELSLM_JOB_KEPT) celslm_list_remove(&e->kept, j);
  celslm_pool_release(&e->pool, &j->content, &j->held, j->computed, 0, false);
  celslm_held_clear(&j->held);
  j->state = CELSLM_JOB_ENDED;
}

void celslm_engine_let_go(celslm_engine *e, celslm_job *j) {
  e = j->engine;
  assert(j->state == CELSLM_JOB_KEPT);
  celslm_kept_give_up(e, j);
  celslm_engine_poke(e);
}

int32_t celslm_engine_tokens(const celslm_job *j) {
  return j->need;
}

void celslm_engine_shorten(celslm_engine *e, celslm_job *j, int32_t tokens) {
  e = j->engine;
  assert(j->state == CELSLM_JOB_KEPT && j->goes_on && tokens > 0 && tokens <= j->need);
  j->need = tokens;
  if (!j->idle || j->computed == tokens) return;
  celslm_pool_shorten(&e->pool, &j->held, j->computed, tokens);
  j->computed = tokens;
  celslm_engine_poke(e);
}

celslm_submission celslm_engine_continue(celslm_engine *e, celslm_job *j, int32_t tokens,
                                         int32_t output) {
  e = j->engine;
  assert(j->state == CELSLM_JOB_KEPT && j->goes_on && tokens > 0);
  int32_t prompt = j->prompt, before = j->output;
  j->prompt = j->need + tokens;
  j->output = output;
  if (celslm_engine_too_long(e, j)) {
    j->prompt = prompt;
    j->output = before;
    return CELSLM_TOO_LONG;
  }
  celslm_count_present(e);
  celslm_list_remove(&e->kept, j);
  j->going = j->need;
  j->need = j->prompt;
  j->generated = 0;
  j->given = false;
  j->took = -1;
  j->queued = e->counted;
  celslm_engine_enqueue(e, j);
  return CELSLM_SUBMITTED;
}
