/* batch.c - who is in the next iteration.
 *
 * celslm_batch_form follows the scheduler's rules in their order: decodes, prefills under way,
 * swapped ones, admissions; then has the batch priced. As in vLLM's v1 scheduler, a running job
 * that is preempted for its own blocks ends the pass over the running ones: who was admitted after
 * it sits this iteration out. */
#include "serve/state.h"

#include <assert.h>

/* ---- preemption ------------------------------------------------------------------------------ */

static celslm_job *victim(const celslm_engine *e) {
  celslm_job *worst = e->running.last;
  if (e->queue.policy->preempts_by_urgency)
    for (celslm_job *j = e->running.first; j; j = j->after)
      if (celslm_waiting_after(j, worst)) worst = j;
  return worst;
}

/* Into the list of swapped jobs, in order of urgency and arrival. */
static void swap_out(celslm_engine *e, celslm_job *j) {
  int64_t blocks = celslm_blocks_of(e, j->need);
  e->swap_room -= blocks;
  e->swap_out += blocks;
  e->cache.swaps_out++;
  j->state = CELSLM_JOB_SWAPPED;
  celslm_job *before = e->swapped.last;
  while (before && celslm_waiting_after(before, j)) before = before->before;
  celslm_list_insert(&e->swapped, before, j);
}

/* The blocks that a running job holds beyond those of its computed tokens: of a chunk that has not
 * begun, or the one for the next decode step. `all_took`: every decode has that one. */
static int64_t blocks_beyond(const celslm_engine *e, const celslm_job *j, int64_t computed,
                             bool all_took) {
  if (j->state == CELSLM_JOB_DECODE)
    return computed % e->block == 0 && (all_took || j->took == e->step + 1);
  return celslm_blocks_of_chunk(e, j, j->chunk);
}

/* What happened to a decoding job up to this step, before it leaves the others. */
static void note_decode(celslm_engine *e, celslm_job *j) {
  int64_t longest = celslm_longest_since(e, j->joined);
  if (longest > j->itl_max) j->itl_max = longest;
  j->generated += (int32_t)(e->step - j->joined);
  if (e->step > j->joined) j->last_token = e->start;
}

/* A decoding job has no part in this iteration, but keeps its blocks. */
static void sit_out(celslm_engine *e, celslm_job *j) {
  int64_t kv = celslm_job_kv(e, j);
  note_decode(e, j);
  celslm_decode_leave(e, j);
  j->need = j->computed = (int32_t)kv;
  j->state = CELSLM_JOB_SITS_OUT;
  e->sitting_out++;
}

static void sit_in(celslm_engine *e, celslm_job *j) {
  e->sitting_out--;
  celslm_decode_join(e, j);
}

/* A job gives its blocks back and waits, to be recomputed or swapped in. */
static void preempt(celslm_engine *e, celslm_job *j, bool all_took) {
  bool sits = j->state == CELSLM_JOB_SITS_OUT, decoding = sits || j->state == CELSLM_JOB_DECODE;
  int64_t computed = decoding ? celslm_job_kv(e, j) : j->computed;
  int64_t beyond = blocks_beyond(e, j, computed, all_took);
  if (sits) sit_in(e, j);
  bool swaps = decoding && e->swap_room >= celslm_blocks_of(e, computed);
  if (e->cursor == j) e->cursor = j->after;
  if (decoding) {
    note_decode(e, j);
    celslm_decode_leave(e, j);
  } else {
    if (e->prefill_cursor == j) e->prefill_cursor = j->prefill_after;
    celslm_prefill_remove(e, j);
  }
  celslm_list_remove(&e->running, j);
  celslm_pool_release(&e->pool, &j->content, &j->held, computed, beyond, !swaps);
  j->computed = j->chunk = j->past = 0;
  j->layer = j->until = 0;
  j->preemptions++;
  if (swaps) {
    j->need = (int32_t)computed;
    swap_out(e, j);
    return;
  }
  j->need = j->prompt + j->generated;
  j->given = false;
  j->state = CELSLM_JOB_WAITING;
  celslm_waiting_return(&e->queue, j);
}

/* Frees `blocks` blocks by preemption; false if that reached `self`. `room` gets back what the
 * preempted had taken of the budget; NULL: nothing yet. */
static bool make_room(celslm_engine *e, int64_t blocks, const celslm_job *self, int64_t *room) {
  while (e->pool.free < blocks) {
    celslm_job *j = victim(e);
    if (room) *room += j->state == CELSLM_JOB_DECODE ? 1 : j->until > j->layer ? j->chunk : 0;
    preempt(e, j, room != NULL);
    if (j == self) return false;
  }
  return true;
}

/* ---- those that run -------------------------------------------------------------------------- */

/* Decodes of the next step take their blocks. True: all could, without preemption. *last: the order
 * of one that was preempted for its own block. */
static bool take_decode_blocks(celslm_engine *e, uint64_t *last) {
  int64_t opened = celslm_blocks_opened(e, e->step, 1);
  if (opened > e->pool.free) celslm_idle_evict(e, opened, NULL, true);
  if (opened <= e->pool.free) {
    celslm_pool_take(&e->pool, opened);
    return true;
  }
  e->cursor = e->running.first;
  for (celslm_job *j; (j = e->cursor);) {
    e->cursor = j->after;
    if (j->state != CELSLM_JOB_DECODE) continue;
    if (j->order > *last) {
      sit_out(e, j);
      continue;
    }
    if (celslm_job_kv(e, j) % e->block != 0) continue;
    if (!make_room(e, 1, j, NULL)) {
      *last = j->order;
      continue;
    }
    celslm_pool_take(&e->pool, 1);
    j->took = e->step + 1;
  }
  return false;
}

/* A prefill takes its place in the iteration: a chunk, and those layers for which context KV is
 * there. False: somebody was preempted for want of blocks. */
static bool take_prefill(celslm_engine *e, celslm_job *j, int64_t *room) {
  int64_t ready = j->stream ? j->stream->ready : celslm_layers_of(e, j);
  bool enough = true;
  if (!j->chunk) j->layer = j->skip;
  j->until = j->layer;
  if (ready <= j->layer || *room <= 0 || j->chunk > *room) return true;
  if (!j->chunk) {
    int64_t left = j->need - j->computed, chunk = left < *room ? left : *room;
    int64_t more = celslm_blocks_of_chunk(e, j, chunk);
    if (more > e->pool.free) celslm_idle_evict(e, more, NULL, true);
    if (more > e->pool.free) {
      enough = false;
      if (!make_room(e, more, j, room)) return false;
    }
    celslm_pool_take(&e->pool, more);
    j->chunk = (int32_t)chunk;
  }
  j->until = (int16_t)ready;
  *room -= j->chunk;
  return enough;
}

static bool take_prefills(celslm_engine *e, int64_t *room, uint64_t *last) {
  bool enough = true;
  for (celslm_job *j = e->prefill_first; j; j = j->prefill_after) j->until = j->layer;
  e->prefill_cursor = e->prefill_first;
  for (celslm_job *j; (j = e->prefill_cursor);) {
    e->prefill_cursor = j->prefill_after;
    if (j->order > *last) break;
    enough &= take_prefill(e, j, room);
    if (j->state != CELSLM_JOB_PREFILL) *last = j->order;
  }
  return enough;
}

/* ---- those that wait ------------------------------------------------------------------------- */

/* Blocks that may be taken by whoever comes new: all but the watermark, unless nobody runs. */
static int64_t available(const celslm_engine *e) {
  return e->pool.free - (e->running.n ? e->reserved : 0);
}

/* Whether so many blocks may be taken for a job, from idle ones if need be. */
static bool has_room(celslm_engine *e, const celslm_job *j, int64_t blocks) {
  int64_t left = e->running.n ? e->reserved : 0;
  if (blocks > available(e)) celslm_idle_evict(e, blocks + left, j, e->running.n == 0);
  return blocks <= available(e);
}

static void run(celslm_engine *e, celslm_job *j) {
  celslm_list_append(&e->running, j);
  j->order = ++e->admissions;
  if (j->scheduled < 0) j->scheduled = e->start;
}

/* Blocks are known from the iteration that fills them, those of whoever was admitted first first:
 * told when somebody comes who could share them. */
static void publish(celslm_engine *e) {
  if (e->published || !e->pool.caching) return;
  e->published = true;
  for (celslm_job *j = e->running.first; j; j = j->after)
    if (j->content.prefix.count)
      celslm_pool_publish(&e->pool, &j->content, &j->held,
                          celslm_job_kv(e, j) + (j->state == CELSLM_JOB_DECODE));
}

/* It decodes from this iteration on, and had its last token before the one before. */
static void note_resumed(celslm_engine *e, celslm_job *j) {
  j->prefill_after = e->resumed;
  e->resumed = j;
  e->n_resumed++;
}

/* A job whose KV is all there (again) decodes from this iteration on. */
static void resume(celslm_engine *e, celslm_job *j) {
  publish(e);
  celslm_pool_take(&e->pool, celslm_blocks_of(e, j->need + 1)); /* with room for the next token */
  run(e, j);
  celslm_decode_join(e, j);
  if (j->content.prefix.count) celslm_pool_publish(&e->pool, &j->content, &j->held, j->need + 1);
  note_resumed(e, j);
}

static void swap_in(celslm_engine *e, int64_t *room) {
  for (celslm_job *j; (j = e->swapped.first); --*room) {
    if (*room <= 0 || e->running.n >= e->config->max_num_seqs ||
        !has_room(e, j, celslm_blocks_of(e, j->need + 1)))
      return;
    celslm_list_remove(&e->swapped, j);
    int64_t blocks = celslm_blocks_of(e, j->need);
    e->swap_room += blocks;
    e->swap_in += blocks;
    e->cache.swaps_in++;
    resume(e, j);
  }
}

/* What a prefill begins with: KV that it still has, or finds. `blocks`: that it has to take. */
static int64_t start_of(const celslm_engine *e, const celslm_job *j, int64_t room,
                        int64_t *blocks) {
  int64_t revived = 0, hit = j->computed, valid = j->going ? j->going + 1 : j->need;
  if (!j->idle) hit = celslm_pool_lookup(&e->pool, &j->content, &j->held, valid, &revived);
  int64_t tokens = j->need; /* its whole prompt must fit, or its first chunk */
  if (e->config->chunk_admission && tokens > hit + room) tokens = hit + room;
  *blocks = celslm_blocks_of(e, tokens) - celslm_blocks_of(e, hit) + revived;
  return hit;
}

static bool admit_prefill(celslm_engine *e, celslm_job *j, int64_t *room) {
  int64_t blocks, hit = start_of(e, j, *room, &blocks);
  while (blocks > available(e)) {
    if (!has_room(e, j, blocks)) return false;
    hit = start_of(e, j, *room, &blocks); /* what idle ones shared with it is free, to be revived */
  }
  celslm_waiting_remove(&e->queue, j, e->step);
  if (j->scheduled < 0) j->cached = (int32_t)hit;
  run(e, j);
  if (j->idle) {
    celslm_idle_end(e, j);
    j->past = j->computed;
  } else {
    e->cache.asked += j->need;
    e->cache.found += hit;
    celslm_pool_adopt(&e->pool, &j->content, &j->held, hit);
    j->computed = (int32_t)hit;
  }
  j->going = 0;
  j->state = CELSLM_JOB_PREFILL;
  celslm_prefill_append(e, j);
  take_prefill(e, j, room);
  if (j->content.prefix.count)
    celslm_pool_publish(&e->pool, &j->content, &j->held, j->computed + j->chunk);
  return true;
}

static bool admit_given(celslm_engine *e, celslm_job *j, int64_t *room) {
  if (!has_room(e, j, celslm_blocks_of(e, j->need + 1))) return false;
  celslm_waiting_remove(&e->queue, j, e->step);
  resume(e, j);
  if (j->owner->taken) j->owner->taken(j);
  --*room;
  return true;
}

static void admit(celslm_engine *e, int64_t *room) {
  for (celslm_job *j; *room > 0 && e->running.n < e->config->max_num_seqs &&
                      (j = celslm_waiting_next(&e->queue, e->step));) {
    publish(e);
    if (!(j->given ? admit_given(e, j, room) : admit_prefill(e, j, room))) break;
  }
}

/* ---- the batch ------------------------------------------------------------------------------- */

static celslm_batch count_prefills(celslm_engine *e) {
  celslm_batch b = {0};
  e->batch_tokens = 0;
  e->partial = false;
  for (const celslm_job *j = e->prefill_first; j; j = j->prefill_after) {
    if (j->until <= j->layer) continue;
    b.members++;
    e->batch_tokens += j->chunk;
    if (j->layer == 0) b.tokens += j->chunk;
    b.begun += j->layer == j->skip;
    if (j->layer > 0 || j->until < e->layers) e->partial = true;
    if (j->until == e->layers && j->computed + j->chunk == j->need && j->output > 0)
      b.outputs += j->rows < 1 ? 1 : j->rows < j->chunk ? j->rows : j->chunk;
  }
  return b;
}

/* Layers that all of a pass that has done `from` of them may go on to. */
static int64_t layers_there(const celslm_engine *e, int64_t from) {
  int64_t least = e->layers;
  for (const celslm_job *j = e->prefill_first; j; j = j->prefill_after)
    if (j->chunk && j->layer == from && j->stalls && j->stream && j->stream->ready < least)
      least = j->stream->ready;
  return least;
}

/* The part of a pass up to layer `upto` is the next iteration. False: nobody is left in it. */
static bool form_part(celslm_engine *e, int64_t upto) {
  for (celslm_job *j = e->prefill_first; j; j = j->prefill_after) {
    int64_t until = upto < celslm_layers_of(e, j) ? upto : celslm_layers_of(e, j);
    j->until = j->chunk && j->layer == e->passed ? (int16_t)until : j->layer;
  }
  e->upto = upto;
  celslm_batch b = count_prefills(e);
  if (!e->decodes && !b.members) return false;
  celslm_batch_price(e, &b);
  e->count = 1;
  return true;
}

/* Nothing can be done now: no layer of a prefill, and nobody waits for an empty engine. */
static void check_idle(const celslm_engine *e) {
#ifndef NDEBUG
  for (const celslm_job *j = e->prefill_first; j; j = j->prefill_after)
    assert((j->stream ? j->stream->ready : celslm_layers_of(e, j)) <= j->layer);
  assert(e->running.n || e->kept.n || (!e->queue.n && !e->swapped.first));
#endif
  (void)e;
}

/* Those who sat out decode again: nobody else's gap between two tokens is as long as theirs. */
static void sit_in_all(celslm_engine *e) {
  for (celslm_job *j = e->running.first; j; j = j->after)
    if (j->state == CELSLM_JOB_SITS_OUT) {
      sit_in(e, j);
      j->back = true;
    }
}

static void note_back(celslm_engine *e) {
  for (celslm_job *j = e->running.first; j; j = j->after) {
    if (j->back && j->state == CELSLM_JOB_DECODE) note_resumed(e, j);
    j->back = false;
  }
}

/* The pass over those that run. True: everybody has blocks, nobody was preempted. */
static bool take_running(celslm_engine *e, int64_t *room, bool *ended) {
  uint64_t last = UINT64_MAX; /* whoever was admitted later has no part */
  bool returned = e->sitting_out > 0;
  if (returned) sit_in_all(e);
  bool enough = !e->decodes || take_decode_blocks(e, &last);
  *room = e->config->max_num_batched_tokens - e->decodes;
  if (e->prefill_first) enough &= take_prefills(e, room, &last);
  if (returned) note_back(e);
  *ended = last < UINT64_MAX;
  return enough;
}

bool celslm_batch_form(celslm_engine *e) {
  if (e->passed) {
    int64_t there = layers_there(e, e->passed);
    e->swap_out = e->swap_in = 0;
    if (there <= e->passed) return false;
    if (form_part(e, there)) return true;
    e->passed = e->upto = 0; /* all have been taken back */
  }
  e->resumed = NULL;
  e->published = false;
  e->n_resumed = e->swap_out = e->swap_in = 0;
  bool preempted, ended; /* the pass over the running ones, by one of them */
  celslm_batch b;
  do { /* again, if that leaves nobody: what has no members takes no time */
    int64_t room;
    preempted = !take_running(e, &room, &ended);
    if (!preempted && e->swapped.first) swap_in(e, &room);
    if (!preempted && !e->swapped.first) admit(e, &room);
    b = (celslm_batch){0};
    e->batch_tokens = 0;
    e->partial = false;
    if (e->prefill_first) b = count_prefills(e);
  } while (ended && !e->decodes && !b.members);
  if (!e->decodes && !b.members) {
    check_idle(e);
    return false;
  }
  if (b.members && layers_there(e, 0) < e->layers) return form_part(e, layers_there(e, 0));
  celslm_batch_price(e, &b);
  e->count = 1;
  if (!e->stepping && !b.members && !preempted && !e->n_resumed) {
    int64_t most = e->decoding[0].finish - e->step, same = celslm_steps_of_one_price(e);
    most = celslm_waiting_steady(&e->queue, e->step, most < same ? most : same);
    e->count = 1 + celslm_steps_that_fit(e, most - 1);
  }
#ifndef NDEBUG
  celslm_batch_check(e);
#endif
  return true;
}

void celslm_batch_check(const celslm_engine *e) {
  int64_t used = 0, decodes = 0, attended = 0, read = 0, n = 0;
  double shared = 0;
  for (const celslm_job *j = e->running.first; j; j = j->after, n++) {
    int64_t kv = celslm_job_kv(e, j);
    used += celslm_blocks_of(e, kv) - j->held.n;
    shared += celslm_held_share(&j->held);
    if (j->state != CELSLM_JOB_DECODE) continue;
    used += kv % e->block == 0; /* taken for the iteration under way */
    decodes++;
    attended += kv + 1 + (j->shared ? j->shared->tokens : 0);
    read += kv + 1;
    if (j->shared) { /* counted with the first job that stands on it */
      const celslm_job *k = e->running.first;
      while (k->state != CELSLM_JOB_DECODE || k->shared != j->shared) k = k->after;
      if (k == j) read += j->shared->tokens;
    }
  }
  for (const celslm_job *j = e->kept.first; j; j = j->after) {
    assert(j->idle == (j->goes_on && j->computed > 0));
    used += celslm_blocks_of(e, j->computed) - j->held.n;
    shared += celslm_held_share(&j->held);
  }
  for (const celslm_job *j = e->idle_first; j; j = j->prefill_after) {
    assert(j->idle && j->computed > 0);
    if (j->state != CELSLM_JOB_WAITING) continue;
    used += celslm_blocks_of(e, j->computed) - j->held.n;
    shared += celslm_held_share(&j->held);
  }
  used += (int64_t)(shared + 0.5);
  assert(used == e->pool.total - e->pool.free && e->pool.free >= 0);
  assert(decodes == e->decodes && attended == e->attended && read == e->read);
  assert(n == e->running.n && n <= e->config->max_num_seqs);
  int64_t of_classes = 0;
  for (int c = 0; c < e->n_classes; c++) of_classes += e->decodes_of[c];
  assert(of_classes == e->decodes);
  celslm_pool_check(&e->pool);
  (void)used, (void)decodes, (void)attended, (void)read, (void)n, (void)of_classes;
}
