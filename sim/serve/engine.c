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
  double weights = celslm_engine_weight_bytes(s, c), block = celslm_engine_block_bytes(s, c);
  int64_t layers = s->models[c->model].layers;
  double most = INFINITY; /* the stage with the least room for its layers decides */
  for (int k = 0; k < c->n_stages; k++) {
    double part = (double)celslm_stage_layers(layers, c->n_stages, k) / (double)layers;
    double left = celslm_engine_memory(s, c, k) - part * weights - c->context_memory;
    most = fmin(most, floor(left / (part * block)));
  }
  return (int64_t)fmax(1, most);
}

static int64_t *empty_table(int64_t n) {
  int64_t *t = celslm_alloc((unsigned long)n + 1, sizeof *t);
  memset(t, 0xff, ((size_t)n + 1) * sizeof *t); /* -1 */
  return t;
}

static void end_of_iterations(void *self);
static void wake_up(void *self);
static void moved(void *self);
static void release_held(void *self);
static void end_of_pass(void *self);

/* Swapping and admission control. */
static void set_limits(celslm_engine *e, const celslm_engine_config *c) {
  e->reserved = (int64_t)ceil(c->watermark * (double)e->pool.total);
  e->swap_blocks = e->swap_room = (int64_t)floor(c->swap_memory / e->block_bytes);
  for (int back = 0; back < 2; back++)
    e->moves[back] = (celslm_transfer){.from = back ? c->swap_host : c->host,
                                       .to = back ? c->host : c->swap_host,
                                       .traffic = CELSLM_SWAP,
                                       .delivered = moved,
                                       .self = e};
  if (c->rate_limit > 0) {
    e->rate_interval = celslm_ns_of(1 / c->rate_limit);
    e->rate_tolerance = (c->rate_burst - 1) * e->rate_interval;
  }
  e->release = (celslm_event){
      .fire = release_held, .self = e, .cls = CELSLM_AT_TIMER, .id = (uint32_t)e->index};
}

static bool set_prices(celslm_engine *e, const celslm_scenario *s, celslm_error *err) {
  const celslm_engine_config *c = e->config;
  int64_t budget = c->max_num_batched_tokens, seqs = c->max_num_seqs;
  e->stages = celslm_alloc((unsigned long)c->n_stages, sizeof *e->stages);
  e->stage_ticks = celslm_alloc((unsigned long)c->n_stages, sizeof *e->stage_ticks);
  for (; e->n_stages < c->n_stages; e->n_stages++) {
    const celslm_host *host = &s->platform->hosts[c->stages[e->n_stages]];
    pricing *p = &e->stages[e->n_stages];
    p->layers = celslm_stage_layers(e->layers, c->n_stages, e->n_stages);
    p->first = e->n_stages == 0;
    p->last = e->n_stages == c->n_stages - 1;
    if (!celslm_cost_init(&p->cost, host->profile, &s->models[c->model], c->weights, c->kv,
                          c->step_overhead, c->sequence_overhead, err))
      return false;
    celslm_cost_split(&p->cost, c->tensor_parallel, host->interconnect, host->interconnect_latency);
    p->ticks.layer = empty_table(budget);
    p->ticks.embed = empty_table(budget);
    p->ticks.head = empty_table(budget + seqs); /* prefills may want logits of many tokens */
    p->ticks.decode = celslm_alloc((unsigned long)seqs + 1, sizeof *p->ticks.decode);
    p->ticks.pieces = celslm_cost_decode_pieces(&p->cost);
    p->ticks.step = llround(p->cost.step * 1e9 * (double)TICKS_PER_NS);
    p->ticks.sequence = llround(p->cost.sequence * 1e9 * (double)TICKS_PER_NS);
  }
  return true;
}

/* One scheduler with its batch. */
static celslm_engine *new_lane(int index, const celslm_engine_config *config,
                               const celslm_scenario *scenario, celslm_net *net, bool step,
                               const celslm_engine_hooks *hooks, celslm_error *err) {
  const celslm_host *host = &scenario->platform->hosts[config->host];
  celslm_engine *e = celslm_alloc(1, sizeof *e);
  e->index = index;
  e->config = config;
  e->hooks = *hooks;
  e->net = net;
  e->layers = scenario->models[config->model].layers;
  e->block = config->block_size;
  int used = 0; /* accelerators */
  for (int i = 0; i < scenario->n_engines; i++)
    if (scenario->engines[i].host == config->host) used += scenario->engines[i].tensor_parallel;
  e->shares_host = used > host->accelerators || host->varies || config->n_stages > 1;
  e->stepping = step || e->shares_host;
  e->exec = (celslm_compute){.host = config->host,
                             .done = end_of_iterations,
                             .self = e,
                             .event = {.cls = CELSLM_AT_ENGINE, .id = (uint32_t)index}};
  e->event = (celslm_event){
      .fire = end_of_iterations, .self = e, .cls = CELSLM_AT_ENGINE, .id = (uint32_t)index};
  e->wake =
      (celslm_event){.fire = wake_up, .self = e, .cls = CELSLM_AT_ENGINE, .id = (uint32_t)index};
  int64_t blocks = kv_capacity(scenario, config) / config->n_stages;
  celslm_pool_init(&e->pool, e->block, blocks > 0 ? blocks : 1, config->prefix_caching);
  e->block_bytes = celslm_engine_block_bytes(scenario, config);
  set_limits(e, config);
  e->phase = celslm_alloc((unsigned long)e->block, sizeof *e->phase);
  e->fixed = isnan(config->fixed_iteration)
                 ? -1
                 : llround(config->fixed_iteration * 1e9 * (double)TICKS_PER_NS);
  e->n_classes = scenario->n_classes;
  e->decodes_of = celslm_alloc((unsigned long)e->n_classes, sizeof *e->decodes_of);
  e->itl = celslm_alloc((unsigned long)e->n_classes, sizeof *e->itl);
  for (int c = 0; c < e->n_classes; c++) e->itl[c] = celslm_sketch_new(0.005);
  if (celslm_waiting_init(&e->queue, config->scheduler, err) && set_prices(e, scenario, err))
    return e;
  celslm_engine_free(e);
  return NULL;
}

celslm_engine *celslm_engine_new(int index, const celslm_engine_config *config,
                                 const celslm_scenario *scenario, celslm_net *net, bool step,
                                 const celslm_engine_hooks *hooks, celslm_error *err) {
  celslm_engine *e = new_lane(index, config, scenario, net, step, hooks, err);
  if (!e || config->n_stages == 1) return e;
  e->lanes = celslm_alloc((unsigned long)config->n_stages, sizeof(celslm_engine *));
  e->pipeline = celslm_pipeline_new(net, config, end_of_pass);
  for (e->lanes[e->n_lanes++] = e; e->n_lanes < config->n_stages; e->n_lanes++) {
    celslm_engine *lane = new_lane(index, config, scenario, net, step, hooks, err);
    e->lanes[e->n_lanes] = lane; /* cannot fail where the first did not */
    lane->pipeline = e->pipeline;
    for (int c = 0; c < e->n_classes; c++) { /* one sketch for all */
      celslm_sketch_free(lane->itl[c]);
      lane->itl[c] = e->itl[c];
    }
  }
  e->lanes[0]->pipeline = e->pipeline;
  return e;
}

static void free_prices(pricing *p, int64_t seqs) {
  for (int64_t n = 0; p->ticks.decode && n <= seqs; n++) free(p->ticks.decode[n]);
  free(p->ticks.decode);
  free(p->ticks.layer);
  free(p->ticks.embed);
  free(p->ticks.head);
}

void celslm_engine_free(celslm_engine *e) {
  if (!e) return;
  if (e->lanes) celslm_pipeline_free(e->pipeline);
  for (int l = 1; l < e->n_lanes; l++) {
    e->lanes[l]->n_classes = 0; /* the sketches are ours */
    celslm_engine_free(e->lanes[l]);
  }
  for (int k = 0; k < e->n_stages; k++) free_prices(&e->stages[k], e->config->max_num_seqs);
  free(e->lanes);
  free(e->stages);
  free(e->stage_ticks);
  free(e->phase);
  free(e->decoding);
  celslm_waiting_clear(&e->queue);
  celslm_pool_clear(&e->pool);
  free(e->longest);
  for (int c = 0; c < e->n_classes; c++) celslm_sketch_free(e->itl[c]);
  free(e->itl);
  free(e->decodes_of);
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

/* Iterations of the jump under way that are over by now. */
static int64_t steps_over(const celslm_engine *e) {
  if (!e->busy || e->count == 1) return 0;
  celslm_ns now = celslm_net_now(e->net);
  int64_t k = iterations_until(e, now);
  return boundary(e, k) > now ? k - 1 : k;
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
  if (e->batch_tokens && !e->shares_host) tell_chunks(e, boundary(e, 1));
  if (e->pipeline) {
    celslm_pipeline_enter(e);
  } else if (e->shares_host) {
    e->exec.seconds = celslm_tick_seconds(celslm_ramp_at(&e->ramp, 0));
    celslm_net_compute(e->net, &e->exec);
  } else
    celslm_net_at(e->net, &e->event, boundary(e, e->count));
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
static void moved(void *self) {
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
  if (e->decodes == e->n_resumed) return;
  for (celslm_job *j = e->resumed; j; j = j->prefill_after) e->decodes_of[j->cls]--;
  for (int64_t from = 0, to = at; from < k; from = to, to = k) {
    if (to == from) continue;
    int64_t first = e->late + celslm_ramp_at(&e->ramp, from),
            last = e->late + celslm_ramp_at(&e->ramp, to - 1);
    double slope = to - from > 1 ? celslm_tick_seconds(last - first) / (double)(to - from - 1) : 0;
    for (int c = 0; c < e->n_classes; c++)
      if (e->decodes_of[c])
        celslm_sketch_add_ramp(e->itl[c], celslm_tick_seconds(first), slope, (uint64_t)(to - from),
                               (uint64_t)e->decodes_of[c]);
  }
  for (celslm_job *j = e->resumed; j; j = j->prefill_after) e->decodes_of[j->cls]++;
}

/* A gap between two tokens of one job that is no iteration's length. */
static void count_gap(celslm_engine *e, celslm_job *j) {
  int64_t gap = (e->start - j->last_token) * TICKS_PER_NS;
  if (gap > j->itl_max) j->itl_max = gap;
  celslm_sketch_add(e->itl[j->cls], celslm_tick_seconds(gap), 1);
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
  int64_t over = steps_over(e);
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

static int64_t present(const celslm_engine *e) {
  return e->held.n + e->queue.n + e->swapped.n + e->running.n;
}

/* Before a job comes or goes. */
void celslm_count_present(celslm_engine *e) {
  celslm_ns now = celslm_net_now(e->net);
  e->integral += (__int128)present(e) * (now - e->counted);
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
  while (e->decodes && e->decoding[0]->finish <= upto) {
    celslm_job *j = e->decoding[0];
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

static void end_of_iterations(void *self) {
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
static void end_of_pass(void *self) {
  celslm_engine *e = self;
  if (!ended_for_nobody(e)) end_of_iterations(e);
}

/* ---- the outside ----------------------------------------------------------------------------- */

/* An idle engine begins when all that happens at this instant has happened: what arrives together
 * is batched together. */
static void wake_up(void *self) {
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
    celslm_net_at(e->net, &e->event, boundary(e, k));
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
static void release_held(void *self) {
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
    if (present(e->lanes[l]) < present(best)) best = e->lanes[l];
  return best;
}

int64_t celslm_engine_present(const celslm_engine *e) {
  int64_t n = present(e);
  for (int l = 1; l < e->n_lanes; l++) n += present(e->lanes[l]);
  return n;
}

celslm_submission celslm_engine_submit(celslm_engine *e, celslm_job *j) {
  e = j->engine = lane_of(e);
  const celslm_engine_config *c = e->config;
  celslm_ns now = celslm_net_now(e->net);
  if (celslm_engine_too_long(e, j)) return CELSLM_TOO_LONG;
  bool limited = !j->unlimited && e->rate_interval;
  if (!j->unlimited && c->max_queue && e->queue.n + e->held.n >= c->max_queue)
    return CELSLM_QUEUE_FULL;
  bool early = limited && (e->held.first || now < e->rate_due - e->rate_tolerance);
  if (early && c->rate_rejects) return CELSLM_RATE_EXCEEDED;
  j->need = j->prompt;
  j->generated = j->given;
  j->computed = j->chunk = j->past = 0;
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

const celslm_engine_config *celslm_engine_configuration(const celslm_engine *e) {
  return e->config;
}

int64_t celslm_engine_blocks(const celslm_engine *e) {
  return e->pool.total;
}

celslm_cache_counts celslm_engine_cache(const celslm_engine *e) {
  celslm_cache_counts sum = e->cache;
  for (int l = 1; l < e->n_lanes; l++) {
    const celslm_cache_counts *c = &e->lanes[l]->cache;
    sum.asked += c->asked, sum.found += c->found;
    sum.swaps_out += c->swaps_out, sum.swaps_in += c->swaps_in;
  }
  return sum;
}

static __int128 waited(const celslm_job *j, celslm_ns now) {
  __int128 sum = 0;
  for (; j; j = j->after) sum += now - j->queued;
  return sum;
}

celslm_little celslm_engine_little(const celslm_engine *e) {
  celslm_ns now = celslm_net_now(e->net);
  celslm_little l = {e->integral + (__int128)present(e) * (now - e->counted), e->sojourns};
  const celslm_job *const lists[] = {e->held.first, e->swapped.first, e->running.first};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) l.sojourns += waited(lists[i], now);
  l.sojourns += celslm_waiting_waited(&e->queue, now);
  for (int k = 1; k < e->n_lanes; k++) {
    celslm_little more = celslm_engine_little(e->lanes[k]);
    l.integral += more.integral, l.sojourns += more.sojourns;
  }
  return l;
}

const celslm_sketch *celslm_engine_itl(const celslm_engine *e, int cls) {
  return e->itl[cls];
}

static void observe(const celslm_engine *e, celslm_engine_row *row) {
  celslm_ns now = celslm_net_now(e->net);
  int64_t done = steps_over(e);
  celslm_ticks busy = e->busy_ticks + celslm_ramp_sum(&e->ramp, done);
  if (e->busy && !e->moving) busy += (celslm_ticks)(now - boundary(e, done)) * TICKS_PER_NS;
  row->time = celslm_seconds(now);
  row->running = (uint32_t)e->running.n;
  row->waiting = (uint32_t)(present(e) - e->running.n);
  row->kv_blocks = (uint32_t)e->pool.total;
  /* `done` steps are over and one is under way: it has its blocks */
  int64_t opened = e->busy && e->decodes && done
                       ? celslm_blocks_opened(e, e->step + 1, done < e->count ? done : e->count - 1)
                       : 0;
  row->kv_blocks_used = (uint32_t)(e->pool.total - e->pool.free + opened);
  row->busy = (double)busy * 0x1p-20 * 1e-9;
  row->iterations = e->iterations + done;
  row->prompt_tokens = e->prompt_tokens;
  row->output_tokens = e->output_tokens + done * e->decodes;
  row->prefix_asked = e->cache.asked;
  row->prefix_found = e->cache.found;
  row->swaps_out = e->cache.swaps_out;
  row->swaps_in = e->cache.swaps_in;
}

void celslm_engine_observe(const celslm_engine *e, celslm_engine_row *row) {
  observe(e, row);
  for (int l = 1; l < e->n_lanes; l++) {
    celslm_engine_row more = {0};
    observe(e->lanes[l], &more);
    row->running += more.running, row->waiting += more.waiting;
    row->kv_blocks += more.kv_blocks, row->kv_blocks_used += more.kv_blocks_used;
    row->busy += more.busy;
    row->iterations += more.iterations;
    row->prompt_tokens += more.prompt_tokens, row->output_tokens += more.output_tokens;
    row->prefix_asked += more.prefix_asked, row->prefix_found += more.prefix_found;
    row->swaps_out += more.swaps_out, row->swaps_in += more.swaps_in;
  }
  if (e->n_lanes) row->busy /= e->n_lanes; /* a batch is in one stage of so many at a time */
}
