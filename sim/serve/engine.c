/* engine.c - an engine's life in time: iterations begin, end, and are jumped over. */
#include "serve/engine.h"

#include "serve/state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- time ------------------------------------------------------------------------------------ */

/* The end of the k-th iteration under way, in whole ns. */
celslm_ns celslm_boundary(const celslm_engine *e, int64_t k) {
  return e->start + (celslm_ns)((e->fraction + celslm_ramp_sum(&e->ramp, k)) / TICKS_PER_NS);
}

/* The smallest k >= 1 whose boundary is not before `time`; at most count. */
static int64_t iterations_until(const celslm_engine *e, celslm_ns time) {
  int64_t low = 1, high = e->count;
  while (low < high) {
    int64_t mid = low + (high - low) / 2;
    if (celslm_boundary(e, mid) >= time)
      high = mid;
    else
      low = mid + 1;
  }
  return low;
}

/* Iterations of the jump under way that are over by now. */
int64_t celslm_steps_over(const celslm_engine *e) {
  if (!e->busy || e->count == 1) return 0;
  celslm_ns now = celslm_net_now(e->net);
  int64_t k = iterations_until(e, now);
  return celslm_boundary(e, k) > now ? k - 1 : k;
}

/* Decode steps done before now, also in the midst of a jump: what a stepping engine has counted
 * when something arrives, for an arrival comes before the end of an iteration at the same instant.
 */
static int64_t decode_step(const celslm_engine *e) {
  bool jumps = e->busy && e->count > 1 && e->decodes;
  return e->step + (jumps ? iterations_until(e, celslm_net_now(e->net)) - 1 : 0);
}

static void draw_span(celslm_engine *e, celslm_ns end) {
  if (!e->hooks.span) return;
  celslm_span_kind kind = e->partial         ? CELSLM_SPAN_STREAM
                          : !e->batch_tokens ? CELSLM_SPAN_DECODE
                          : e->decodes       ? CELSLM_SPAN_MIXED
                                             : CELSLM_SPAN_PREFILL;
  bool joins = kind == CELSLM_SPAN_DECODE && e->span == kind && e->span_end == e->start &&
               e->span_decodes == e->decodes;
  if (!joins) {
    celslm_engine_flush_span(e);
    e->span = kind;
    e->span_begin = e->start;
    e->span_decodes = e->decodes;
  }
  e->span_end = end;
}

void celslm_engine_flush_span(celslm_engine *e) {
  if (e->hooks.span && e->span_end > e->span_begin && e->span_end >= e->hooks.span_from &&
      e->span_begin < e->hooks.span_to)
    e->hooks.span(e->hooks.self, e->index, e->span, e->span_begin, e->span_end);
  e->span_begin = e->span_end = 0;
}

/* Who wants to know when its chunk will have been computed. */
static void tell_chunks(celslm_engine *e, celslm_ns end) {
  for (celslm_job *j = e->prefill_first; j; j = j->prefill_after)
    if (j->owner->chunk && j->layer == 0 && j->until == e->layers) j->owner->chunk(j, end);
}

static void start(celslm_engine *e) {
  if (e->batch_tokens && !e->shares_host) tell_chunks(e, celslm_boundary(e, 1));
  if (e->pipeline) {
    celslm_pipeline_enter(e);
  } else if (e->shares_host) {
    e->exec.seconds = celslm_tick_seconds(celslm_ramp_at(&e->ramp, 0));
    celslm_net_compute(e->net, &e->exec);
  } else
    celslm_net_at(e->net, &e->event, celslm_boundary(e, e->count));
}

/* An iteration that begins in the ns in which the last one ended goes on from its fraction. */
static void begin_at(celslm_engine *e, celslm_ns now) {
  if (e->start == now) return;
  e->start = now;
  e->fraction = 0;
}

/* What was on its way when the host crashed has ended, for nobody: now the engine may begin. */
static bool ended_for_nobody(celslm_engine *e) {
  if (!e->crashed) return false;
  e->crashed = e->busy = false;
  if (e->queue.n) celslm_engine_poke(e);
  return true;
}

/* What was swapped is where it has to be: the iteration begins. */
void celslm_on_moved(void *self) {
  celslm_engine *e = self;
  if (--e->moving) return;
  if (ended_for_nobody(e)) return;
  celslm_ns moved_for = celslm_net_now(e->net) - e->start;
  e->late = moved_for ? moved_for * TICKS_PER_NS - e->fraction : 0;
  begin_at(e, celslm_net_now(e->net));
  start(e);
}

static void begin(celslm_engine *e) {
  e->busy = celslm_batch_form(e);
  if (!e->busy) return;
  int64_t blocks[] = {e->swap_out, e->swap_in};
  e->moving = (e->swap_out > 0) + (e->swap_in > 0);
  if (!e->moving) start(e);
  for (int way = 0; way < 2; way++) {
    if (!blocks[way]) continue;
    e->moves[way].bytes = (uint64_t)ceil((double)blocks[way] * e->block_bytes);
    celslm_net_send(e->net, &e->moves[way]);
  }
}

/* Inter-token times of k iterations, for all that decode but those that came back with the first;
 * the ramp's two lines one after the other. Who decodes waits for moves too (then k is 1). */
static void count_gaps(celslm_engine *e, int64_t k) {
  int64_t at = celslm_ramp_break(&e->ramp);
  if (at > k) at = k;
  if (e->decodes == e->n_resumed || !e->hooks.gaps) return;
  for (celslm_job *j = e->resumed; j; j = j->prefill_after) e->decodes_of[j->cls]--;
  for (int64_t from = 0, to = at; from < k; from = to, to = k) {
    if (to == from) continue;
    int64_t first = e->late + celslm_ramp_at(&e->ramp, from),
            last = e->late + celslm_ramp_at(&e->ramp, to - 1);
    double slope = to - from > 1 ? celslm_tick_seconds(last - first) / (double)(to - from - 1) : 0;
    for (int c = 0; c < e->n_classes; c++)
      if (e->decodes_of[c])
        celslm_sketch_add_ramp(e->hooks.gaps[c], celslm_tick_seconds(first), slope,
                               (uint64_t)(to - from), (uint64_t)e->decodes_of[c]);
  }
  for (celslm_job *j = e->resumed; j; j = j->prefill_after) e->decodes_of[j->cls]++;
}

/* A gap between two tokens of one job that is no iteration's length. */
static void count_gap(celslm_engine *e, celslm_job *j) {
  int64_t gap = (e->start - j->last_token) * TICKS_PER_NS;
  if (gap > j->itl_max) j->itl_max = gap;
  if (e->hooks.gaps) celslm_sketch_add(e->hooks.gaps[j->cls], celslm_tick_seconds(gap), 1);
}

/* k iterations are over: the clock and all counts move on. */
static celslm_ns advance(celslm_engine *e, int64_t k) {
  if (e->hooks.iteration) {
    for (int64_t i = 0; i < k; i++)
      e->hooks.iteration(e->hooks.self, e->index, celslm_boundary(e, i + 1),
                         celslm_tick_seconds(celslm_ramp_at(&e->ramp, i)),
                         e->upto && e->upto < e->layers ? 0 : e->decodes, e->batch_tokens);
  }
  celslm_ticks length = celslm_ramp_sum(&e->ramp, k), ticks = e->fraction + length;
  celslm_ns begun = e->start;
  draw_span(e, e->start + (celslm_ns)(ticks / TICKS_PER_NS));
  bool part = e->upto > 0;
  if (part && !e->passed) {
    e->opened = e->start;
    e->opened_fraction = e->fraction;
  }
  if (part && e->upto == e->layers) /* for the decodes it was one long iteration */
    e->late += (e->start - e->opened) * TICKS_PER_NS + e->fraction - e->opened_fraction;
  e->start += (celslm_ns)(ticks / TICKS_PER_NS);
  e->fraction = (int64_t)(ticks % TICKS_PER_NS);
  e->busy_ticks += length;
  if (part && e->upto < e->layers) {
    e->passed = e->upto;
    return begun;
  }
  e->passed = e->upto = 0;
  e->iterations += k;
  if (e->decodes) {
    count_gaps(e, k);
    celslm_pool_take(&e->pool, celslm_blocks_opened(e, e->step + 1, k - 1));
    e->step += k;
    e->attended += k * e->decodes;
    e->read += k * e->decodes;
    e->output_tokens += k * e->decodes;
    celslm_longest_push(e, e->step, e->late + celslm_ramp_at(&e->ramp, k - 1));
  }
  for (celslm_job *j = e->resumed; j; j = j->prefill_after) count_gap(e, j);
  e->resumed = NULL;
  e->n_resumed = 0;
  e->late = 0;
  return begun;
}

void celslm_engine_settle(celslm_engine *e) {
  for (int l = 1; l < e->n_lanes; l++) celslm_engine_settle(e->lanes[l]);
  int64_t over = celslm_steps_over(e);
  if (over) {
    advance(e, over); /* the rest of the jump begins where this ends */
    e->count -= over;
    e->ramp.compute += e->ramp.compute_slope * over;
    e->ramp.memory += e->ramp.memory_slope * over;
  }
  celslm_engine_flush_span(e);
}

void celslm_engine_break_off(celslm_engine *e) {
  celslm_ns now = celslm_net_now(e->net);
  int64_t over = e->count > 1 ? iterations_until(e, now) - 1 : 0;
  if (over) advance(e, over);
  e->busy_ticks += (celslm_ticks)(now - e->start) * TICKS_PER_NS - e->fraction;
  e->start = now;
  e->fraction = 0;
}

/* Before a job comes or goes. */
void celslm_count_present(celslm_engine *e) {
  celslm_ns now = celslm_net_now(e->net);
  e->integral += (__int128)celslm_present(e) * (now - e->counted);
  e->counted = now;
}

void celslm_count_gone(celslm_engine *e, const celslm_job *j) {
  celslm_count_present(e);
  e->sojourns += e->counted - j->queued;
}

/* `tokens`: with KV. */
static void leave(celslm_engine *e, celslm_job *j, int64_t tokens) {
  celslm_count_gone(e, j);
  celslm_list_remove(&e->running, j);
  celslm_kept_add(e, j, tokens);
  if (!j->keeps && !j->goes_on) celslm_kept_give_up(e, j);
  j->owner->done(j);
}

/* Decodes that have all their tokens go. */
static void finish_decodes(celslm_engine *e, int64_t upto) {
  while (e->decodes && e->decoding[0].finish <= upto) {
    celslm_job *j = e->decoding[0].job;
    int64_t kv = celslm_job_kv(e, j);
    int64_t longest = celslm_longest_since(e, j->joined);
    if (longest > j->itl_max) j->itl_max = longest;
    celslm_decode_leave(e, j);
    j->generated = j->output;
    j->last_token = e->start;
    leave(e, j, kv);
  }
  if (!e->decodes) e->n_longest = 0;
}

/* A prompt (or what a preempted job had) is all computed: the next token is there. */
static void finish_prefill(celslm_engine *e, celslm_job *j) {
  celslm_prefill_remove(e, j);
  e->prompt_tokens += j->need - j->past;
  if (j->output > 0) {
    j->generated++;
    e->output_tokens++;
    celslm_waiting_token(&e->queue, j);
    if (j->first_token < 0) {
      j->first_token = e->start;
    } else { /* the gap that the preemption made */
      count_gap(e, j);
    }
    j->last_token = e->start;
  }
  if (j->generated < j->output) celslm_decode_join(e, j);
  if (j->generated == 1) j->owner->first_token(j);
  if (j->generated < j->output) return;
  leave(e, j, j->need);
}

static void finish_prefills(celslm_engine *e, celslm_ns begun) {
  for (celslm_job *j = e->prefill_first, *next; j; j = next) {
    next = j->prefill_after;
    if (j->until <= j->layer) continue;
    j->compute += e->start - begun;
    celslm_ns loaded = j->stream ? j->stream->complete : 0;
    if (loaded > e->start) loaded = e->start;
    if (loaded > begun) j->hidden += loaded - begun;
    j->layer = j->until;
    if (j->layer < celslm_layers_of(e, j)) continue;
    j->computed += j->chunk;
    j->chunk = 0;
    j->layer = j->until = 0;
    if (j->computed == j->need) finish_prefill(e, j);
  }
}

void celslm_on_iterations_over(void *self) {
  celslm_engine *e = self;
  if (e->shares_host) { /* it took as long as SimGrid says */
    e->fraction = 0;
    e->ramp = (celslm_ramp){.base = (celslm_net_now(e->net) - e->start) * TICKS_PER_NS};
  }
  celslm_ns begun = advance(e, e->count);
  if (e->batch_tokens && e->shares_host) tell_chunks(e, e->start);
  e->busy = false;
  e->inside = true; /* owners may submit: nothing begins before all have been told */
  if (e->decodes) finish_decodes(e, e->step);
  if (e->batch_tokens) finish_prefills(e, begun);
  e->inside = false;
  begin(e);
}

/* A batch has passed all stages of its pipeline. */
void celslm_on_pass_over(void *self) {
  celslm_engine *e = self;
  if (!ended_for_nobody(e)) celslm_on_iterations_over(e);
}

/* ---- the outside ----------------------------------------------------------------------------- */

/* An idle engine begins when all that happens at this instant has happened: what arrives together
 * is batched together. */
void celslm_on_wake(void *self) {
  celslm_engine *e = self;
  begin_at(e, celslm_net_now(e->net));
  begin(e);
}

void celslm_engine_poke(celslm_engine *e) {
  for (int l = 1; l < e->n_lanes; l++) celslm_engine_poke(e->lanes[l]);
  if (e->inside) return;
  if (!e->busy) {
    if (!e->wake.slot) celslm_net_at(e->net, &e->wake, celslm_net_now(e->net));
  } else if (e->count > 1) { /* never with a shared host */
    int64_t k = iterations_until(e, celslm_net_now(e->net));
    if (k == e->count) return;
    e->count = k;
    celslm_net_at(e->net, &e->event, celslm_boundary(e, k));
  }
}

void celslm_engine_enqueue(celslm_engine *e, celslm_job *j) {
  j->state = CELSLM_JOB_WAITING;
  bool only = !e->queue.n;
  celslm_waiting_add(&e->queue, j, decode_step(e));
  /* behind another one it changes nothing, unless its tenant may be the next to have least service
   */
  if (only || e->queue.policy->by_tenant || celslm_waiting_next(&e->queue, decode_step(e)) == j)
    celslm_engine_poke(e);
}

/* The rate limit's next instant has come for the first that it holds back. */
void celslm_on_release(void *self) {
  celslm_engine *e = self;
  celslm_job *j = e->held.first;
  if (!j) return; /* taken back */
  celslm_list_remove(&e->held, j);
  e->rate_due += e->rate_interval;
  if (e->held.first) celslm_net_at(e->net, &e->release, e->rate_due - e->rate_tolerance);
  celslm_engine_enqueue(e, j);
}

bool celslm_engine_too_long(const celslm_engine *e, const celslm_job *j) {
  int64_t total = (int64_t)j->prompt + j->output, kv = j->output > 0 ? total - 1 : total;
  return celslm_blocks_of(e, kv) > e->pool.total ||
         (!j->unlimited && e->config->max_model_len && total > e->config->max_model_len);
}

/* The lane with the fewest jobs. */
static celslm_engine *lane_of(celslm_engine *e) {
  celslm_engine *best = e;
  for (int l = 1; l < e->n_lanes; l++)
    if (celslm_present(e->lanes[l]) < celslm_present(best)) best = e->lanes[l];
  return best;
}

void celslm_engine_expect(const celslm_engine *e) {
  const size_t line = 64, all = e->size; /* B */
  for (size_t at = 0; at < all; at += line) __builtin_prefetch((const char *)e + at, 1);
}

int64_t celslm_engine_present(const celslm_engine *e) {
  int64_t n = celslm_present(e);
  for (int l = 1; l < e->n_lanes; l++) n += celslm_present(e->lanes[l]);
  return n;
}

/* A place in the batch that is free now counts as soon as nobody else is to have it. */
static bool queue_full(const celslm_engine *e) {
  int64_t most = e->config->max_queue;
  if (most < 0) return celslm_present(e) >= e->config->max_num_seqs;
  return most > 0 && e->queue.n + e->held.n >= most;
}

celslm_submission celslm_engine_submit(celslm_engine *e, celslm_job *j) {
  e = j->engine = lane_of(e);
  const celslm_engine_config *c = e->config;
  celslm_ns now = celslm_net_now(e->net);
  if (celslm_engine_too_long(e, j)) return CELSLM_TOO_LONG;
  bool limited = !j->unlimited && e->rate_interval;
  if (!j->unlimited && queue_full(e)) return CELSLM_QUEUE_FULL;
  bool early = limited && (e->held.first || now < e->rate_due - e->rate_tolerance);
  if (early && c->rate_rejects) return CELSLM_RATE_EXCEEDED;
  j->need = j->prompt;
  j->generated = j->given;
  j->computed = j->chunk = j->past = j->going = 0;
  j->layer = j->until = 0;
  j->idle = false;
  j->preemptions = 0;
  j->cached = 0;
  j->itl_max = 0;
  j->compute = j->hidden = 0;
  j->queued = now;
  j->scheduled = -1;
  if (!j->given) j->first_token = j->last_token = -1;
  j->held = (celslm_held){0};
  j->took = -1;
  celslm_count_present(e);
  if (early) {
    j->state = CELSLM_JOB_HELD;
    if (!e->held.first) celslm_net_at(e->net, &e->release, e->rate_due - e->rate_tolerance);
    celslm_list_append(&e->held, j);
    return CELSLM_SUBMITTED;
  }
  if (limited) e->rate_due = (now > e->rate_due ? now : e->rate_due) + e->rate_interval;
  celslm_engine_enqueue(e, j);
  return CELSLM_SUBMITTED;
}
