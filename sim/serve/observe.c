/* observe.c - what can be read of an engine at any instant, also in the midst of a jump. */
#include "serve/state.h"

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
  celslm_little l = {e->integral + (__int128)celslm_present(e) * (now - e->counted), e->sojourns};
  const celslm_job *const lists[] = {e->held.first, e->swapped.first, e->running.first};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) l.sojourns += waited(lists[i], now);
  l.sojourns += celslm_waiting_waited(&e->queue, now);
  for (int k = 1; k < e->n_lanes; k++) {
    celslm_little more = celslm_engine_little(e->lanes[k]);
    l.integral += more.integral, l.sojourns += more.sojourns;
  }
  return l;
}

double celslm_engine_prefill_seconds(const celslm_engine *e, int64_t tokens, int64_t past) {
  return celslm_cost_prefill_pass(&e->stages[0]->cost, (double)tokens, (double)past);
}

static void observe(const celslm_engine *e, celslm_engine_row *row) {
  celslm_ns now = celslm_net_now(e->net);
  int64_t done = celslm_steps_over(e);
  celslm_ticks busy = e->busy_ticks + celslm_ramp_sum(&e->ramp, done);
  if (e->busy && !e->moving) busy += (celslm_ticks)(now - celslm_boundary(e, done)) * TICKS_PER_NS;
  row->time = celslm_seconds(now);
  row->running = (uint32_t)e->running.n;
  row->waiting = (uint32_t)(celslm_present(e) - e->running.n);
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

const celslm_cost *celslm_engine_cost(const celslm_engine *e) {
  return &e->stages[0]->cost;
}
