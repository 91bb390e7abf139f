/* engine.c - an engine's life in time: iterations begin, end, and are jumped over. */
#include "serve/engine.h"

#include "serve/state.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TICKS_PER_NS ((int64_t)1 << 20)

/* ---- setting up ------------------------------------------------------------------------------ */

/* One block at least: the scenario was checked to have room for it. */
static int64_t kv_capacity(const celslm_scenario *s, const celslm_engine_config *c) {
  if (c->kv_blocks > 0) return c->kv_blocks;
  double left = celslm_engine_memory(s, c) - celslm_engine_weight_bytes(s, c) - c->context_memory;
  return (int64_t)fmax(1, floor(left / celslm_engine_block_bytes(s, c)));
}

static int64_t *empty_table(int64_t n) {
  int64_t *t = celslm_alloc((unsigned long)n + 1, sizeof *t);
  memset(t, 0xff, ((size_t)n + 1) * sizeof *t); /* -1 */
  return t;
}

static void end_of_iterations(void *self);
static void wake_up(void *self);

celslm_engine *celslm_engine_new(int index, const celslm_engine_config *config,
                                 const celslm_scenario *scenario, celslm_net *net, bool step,
                                 const celslm_engine_hooks *hooks, celslm_error *err) {
  const celslm_host *host = &scenario->platform->hosts[config->host];
  const celslm_model *model = &scenario->models[config->model];
  if (host->accelerators > 1) {
    celslm_fail(err, config->file, config->line,
                "engine %s: host %s has %d accelerators; an engine can only use 1 so far",
                config->name, host->name, host->accelerators);
    return NULL;
  }
  celslm_engine *e = celslm_alloc(1, sizeof *e);
  e->index = index;
  e->config = config;
  e->hooks = *hooks;
  e->net = net;
  e->stepping = step;
  e->layers = model->layers;
  e->block = config->block_size;
  for (int i = 0; i < scenario->n_engines; i++)
    e->shares_host |= &scenario->engines[i] != config && scenario->engines[i].host == config->host;
  e->stepping |= e->shares_host;
  e->exec = (celslm_compute){.host = config->host,
                             .done = end_of_iterations,
                             .self = e,
                             .event = {.cls = CELSLM_AT_ENGINE, .id = (uint32_t)index}};
  e->event = (celslm_event){
      .fire = end_of_iterations, .self = e, .cls = CELSLM_AT_ENGINE, .id = (uint32_t)index};
  e->wake =
      (celslm_event){.fire = wake_up, .self = e, .cls = CELSLM_AT_ENGINE, .id = (uint32_t)index};
  if (!celslm_cost_init(&e->cost, host->profile, model, config->weights, config->kv,
                        config->step_overhead, config->sequence_overhead, err)) {
    free(e);
    return NULL;
  }
  e->blocks = kv_capacity(scenario, config);
  e->blocks_free = e->blocks;
  e->phase = celslm_alloc((unsigned long)e->block, sizeof *e->phase);
  int64_t budget = config->max_num_batched_tokens, seqs = config->max_num_seqs;
  e->ticks.layer = empty_table(budget);
  e->ticks.embed = empty_table(budget);
  e->ticks.head = empty_table(seqs);
  e->ticks.decode = celslm_alloc((unsigned long)seqs + 1, sizeof *e->ticks.decode);
  e->ticks.pieces = celslm_cost_decode_pieces(&e->cost);
  e->ticks.step = llround(e->cost.step * 1e9 * (double)TICKS_PER_NS);
  e->ticks.sequence = llround(e->cost.sequence * 1e9 * (double)TICKS_PER_NS);
  e->fixed = isnan(config->fixed_iteration)
                 ? -1
                 : llround(config->fixed_iteration * 1e9 * (double)TICKS_PER_NS);
  e->itl = celslm_sketch_new(0.005);
  return e;
}

void celslm_engine_free(celslm_engine *e) {
  if (!e) return;
  free(e->ticks.layer);
  free(e->ticks.embed);
  free(e->ticks.head);
  for (int64_t n = 0; n <= e->config->max_num_seqs; n++) free(e->ticks.decode[n]);
  free(e->ticks.decode);
  free(e->phase);
  free(e->decoding);
  free(e->longest);
  celslm_sketch_free(e->itl);
  free(e);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* The end of the k-th iteration under way, in whole ns. */
static celslm_ns boundary(const celslm_engine *e, int64_t k) {
  return e->start + (celslm_ns)((e->fraction + celslm_ramp_sum(&e->ramp, k)) / TICKS_PER_NS);
}

/* The smallest k >= 1 whose boundary is not before `time`; at most count. */
static int64_t iterations_until(const celslm_engine *e, celslm_ns time) {
  int64_t low = 1, high = e->count;
  while (low < high) {
    int64_t mid = low + (high - low) / 2;
    if (boundary(e, mid) >= time)
      high = mid;
    else
      low = mid + 1;
  }
  return low;
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

static void begin(celslm_engine *e) {
  e->busy = celslm_batch_form(e);
  if (e->busy && e->shares_host) {
    e->exec.seconds = celslm_tick_seconds(celslm_ramp_at(&e->ramp, 0));
    celslm_net_compute(e->net, &e->exec);
  } else if (e->busy)
    celslm_net_at(e->net, &e->event, boundary(e, e->count));
}

static void push_longest(celslm_engine *e, int64_t step, int64_t ticks) {
  while (e->n_longest && e->longest[e->n_longest - 1].ticks <= ticks) e->n_longest--;
  if (e->n_longest == e->longest_size) {
    e->longest_size = e->longest_size ? 2 * e->longest_size : 64;
    e->longest = celslm_realloc(e->longest, (unsigned long)e->longest_size, sizeof *e->longest);
  }
  e->longest[e->n_longest].step = step;
  e->longest[e->n_longest++].ticks = ticks;
}

/* Inter-token times of k iterations, for all that decode; the ramp's two lines one after the other.
 */
static void count_gaps(celslm_engine *e, int64_t k) {
  int64_t at = celslm_ramp_break(&e->ramp);
  if (at > k) at = k;
  uint64_t weight = (uint64_t)e->decodes;
  for (int64_t from = 0, to = at; from < k; from = to, to = k) {
    if (to == from) continue;
    int64_t first = celslm_ramp_at(&e->ramp, from), last = celslm_ramp_at(&e->ramp, to - 1);
    double slope = to - from > 1 ? celslm_tick_seconds(last - first) / (double)(to - from - 1) : 0;
    celslm_sketch_add_ramp(e->itl, celslm_tick_seconds(first), slope, (uint64_t)(to - from),
                           weight);
  }
}

/* k iterations are over: the clock and all counts move on. */
static celslm_ns advance(celslm_engine *e, int64_t k) {
  if (e->hooks.iteration) {
    for (int64_t i = 0; i < k; i++)
      e->hooks.iteration(e->hooks.self, e->index, boundary(e, i + 1),
                         celslm_tick_seconds(celslm_ramp_at(&e->ramp, i)), e->decodes,
                         e->batch_tokens);
  }
  celslm_ticks length = celslm_ramp_sum(&e->ramp, k), ticks = e->fraction + length;
  celslm_ns begun = e->start;
  draw_span(e, e->start + (celslm_ns)(ticks / TICKS_PER_NS));
  e->start += (celslm_ns)(ticks / TICKS_PER_NS);
  e->fraction = (int64_t)(ticks % TICKS_PER_NS);
  e->busy_ticks += length;
  e->iterations += k;
  if (e->decodes) {
    count_gaps(e, k);
    e->blocks_free -= celslm_blocks_opened(e, e->step + 1, k - 1);
    e->step += k;
    e->attended += k * e->decodes;
    e->read += k * e->decodes;
    e->output_tokens += k * e->decodes;
    push_longest(e, e->step, celslm_ramp_at(&e->ramp, k - 1));
  }
  return begun;
}

static void leave(celslm_engine *e, celslm_job *j) {
  celslm_list_remove(&e->running, j);
  j->state = CELSLM_JOB_ENDED;
  j->owner->done(j);
}

/* Decodes that have all their tokens go. */
static void finish_decodes(celslm_engine *e, int64_t upto) {
  while (e->decodes && e->decoding[0]->finish <= upto) {
    celslm_job *j = e->decoding[0];
    e->blocks_free += celslm_blocks_of(e, celslm_job_kv(e, j));
    int64_t longest = celslm_longest_since(e, j->joined);
    if (longest > j->itl_max) j->itl_max = longest;
    celslm_decode_leave(e, j);
    j->generated = j->output;
    j->last_token = e->start;
    leave(e, j);
  }
  if (!e->decodes) e->n_longest = 0;
}

/* A prompt (or what a preempted job had) is all computed: the next token is there. */
static void finish_prefill(celslm_engine *e, celslm_job *j) {
  celslm_prefill_remove(e, j);
  e->prompt_tokens += j->need;
  if (j->output > 0) {
    j->generated++;
    e->output_tokens++;
    if (j->first_token < 0) {
      j->first_token = e->start;
    } else { /* the gap that the preemption made */
      int64_t gap = (e->start - j->last_token) * TICKS_PER_NS;
      if (gap > j->itl_max) j->itl_max = gap;
      celslm_sketch_add(e->itl, celslm_tick_seconds(gap), 1);
    }
    j->last_token = e->start;
  }
  if (j->generated < j->output) celslm_decode_join(e, j);
  if (j->generated == 1) j->owner->first_token(j);
  if (j->generated < j->output) return;
  e->blocks_free += celslm_blocks_of(e, j->need);
  leave(e, j);
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
    if (j->layer < e->layers) continue;
    j->computed += j->chunk;
    j->chunk = 0;
    j->layer = j->until = 0;
    if (j->computed == j->need) finish_prefill(e, j);
  }
}

static void end_of_iterations(void *self) {
  celslm_engine *e = self;
  if (e->shares_host) { /* it took as long as SimGrid says */
    e->fraction = 0;
    e->ramp = (celslm_ramp){.base = (celslm_net_now(e->net) - e->start) * TICKS_PER_NS};
  }
  celslm_ns begun = advance(e, e->count);
  e->busy = false;
  e->inside = true; /* owners may submit: nothing begins before all have been told */
  if (e->decodes) finish_decodes(e, e->step);
  if (e->batch_tokens) finish_prefills(e, begun);
  e->inside = false;
  begin(e);
}

/* ---- the outside ----------------------------------------------------------------------------- */

/* An idle engine begins when all that happens at this instant has happened: what arrives together
 * is batched together. */
static void wake_up(void *self) {
  celslm_engine *e = self;
  e->start = celslm_net_now(e->net);
  e->fraction = 0;
  begin(e);
}

void celslm_engine_poke(celslm_engine *e) {
  if (e->inside) return;
  if (!e->busy) {
    if (!e->wake.slot) celslm_net_at(e->net, &e->wake, celslm_net_now(e->net));
  } else if (e->count > 1) { /* never with a shared host */
    int64_t k = iterations_until(e, celslm_net_now(e->net));
    if (k == e->count) return;
    e->count = k;
    celslm_net_at(e->net, &e->event, boundary(e, k));
  }
}

bool celslm_engine_submit(celslm_engine *e, celslm_job *j) {
  if (celslm_blocks_of(e, (int64_t)j->prompt + (j->output > 0 ? j->output - 1 : 0)) > e->blocks)
    return false;
  j->need = j->prompt;
  j->generated = j->computed = j->chunk = 0;
  j->layer = j->until = 0;
  j->preemptions = 0;
  j->itl_max = 0;
  j->compute = j->hidden = 0;
  j->queued = celslm_net_now(e->net);
  j->scheduled = j->first_token = j->last_token = -1;
  j->state = CELSLM_JOB_WAITING;
  bool only = !e->waiting.first;
  celslm_list_append(&e->waiting, j);
  if (only) celslm_engine_poke(e); /* behind another one it changes nothing */
  return true;
}

const celslm_engine_config *celslm_engine_configuration(const celslm_engine *e) {
  return e->config;
}

int64_t celslm_engine_blocks(const celslm_engine *e) {
  return e->blocks;
}

const celslm_sketch *celslm_engine_itl(const celslm_engine *e) {
  return e->itl;
}

void celslm_engine_observe(const celslm_engine *e, celslm_engine_row *row) {
  celslm_ns now = celslm_net_now(e->net);
  int64_t done = 0; /* iterations of the jump that are over */
  if (e->busy && e->count > 1) {
    done = iterations_until(e, now);
    if (boundary(e, done) > now) done--;
  }
  celslm_ticks busy = e->busy_ticks + celslm_ramp_sum(&e->ramp, done);
  if (e->busy) busy += (celslm_ticks)(now - boundary(e, done)) * TICKS_PER_NS;
  row->time = celslm_seconds(now);
  row->running = (uint32_t)e->running.n;
  row->waiting = (uint32_t)e->waiting.n;
  row->kv_blocks = (uint32_t)e->blocks;
  /* `done` steps are over and one is under way: it has its blocks */
  int64_t opened = e->busy && e->decodes && done
                       ? celslm_blocks_opened(e, e->step + 1, done < e->count ? done : e->count - 1)
                       : 0;
  row->kv_blocks_used = (uint32_t)(e->blocks - e->blocks_free + opened);
  row->busy = (double)busy * 0x1p-20 * 1e-9;
  row->iterations = e->iterations + done;
  row->prompt_tokens = e->prompt_tokens;
  row->output_tokens = e->output_tokens + done * e->decodes;
}
