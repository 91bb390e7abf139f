/* setup.c - an engine is built, from its settings and the host that it is on, and taken apart. */
#include "serve/placement.h"
#include "serve/state.h"

#include <math.h>
#include <stdlib.h>

/* One block at least: the scenario was checked to have room for it. */
static int64_t kv_capacity(const celslm_scenario *s, const celslm_engine_config *c) {
  if (c->kv_blocks > 0) return c->kv_blocks;
  double weights = celslm_engine_weight_bytes(s, c), block = celslm_engine_block_bytes(s, c);
  int64_t layers = s->models[c->model].layers;
  double most = INFINITY; /* the stage with the least room for its layers decides */
  for (int k = 0; k < c->n_stages; k++) {
    double part = (double)celslm_stage_layers(c, layers, k) / (double)layers;
    double left = celslm_engine_memory(s, c, k) - part * weights - c->context_memory;
    most = fmin(most, floor(left / (part * block)));
  }
  return (int64_t)fmax(1, most);
}

/* Swapping and admission control. */
static void set_limits(celslm_engine *e, const celslm_engine_config *c) {
  e->reserved = (int64_t)ceil(c->watermark * (double)e->pool.total);
  e->swap_blocks = e->swap_room = (int64_t)floor(c->swap_memory / e->block_bytes);
  for (int back = 0; back < 2; back++)
    e->moves[back] = (celslm_transfer){.from = back ? c->swap_host : c->host,
                                       .to = back ? c->host : c->swap_host,
                                       .traffic = CELSLM_SWAP,
                                       .delivered = celslm_on_moved,
                                       .self = e};
  if (c->rate_limit > 0) {
    e->rate_interval = celslm_ns_of(1 / c->rate_limit);
    e->rate_tolerance = (c->rate_burst - 1) * e->rate_interval;
  }
  e->release = (celslm_event){
      .fire = celslm_on_release, .self = e, .cls = CELSLM_AT_TIMER, .id = (uint32_t)e->index};
}

static bool set_prices(celslm_engine *e, const celslm_scenario *s, celslm_prices *prices,
                       celslm_error *err) {
  for (; e->n_stages < e->config->n_stages; e->n_stages++) {
    pricing *p = celslm_pricing_of(prices, s, e->config, e->n_stages, err);
    if (!p) return false;
    e->stages[e->n_stages] = p;
  }
  return true;
}

/* With its arrays in one block, for of ten thousand engines none is in the cache when its turn
 * comes (celslm_engine_expect). */
static celslm_engine *new_block(const celslm_engine_config *c, int n_classes) {
  size_t stages = (size_t)c->n_stages, block = (size_t)c->block_size, classes = (size_t)n_classes;
  size_t size = sizeof(celslm_engine) + stages * sizeof(pricing *) +
                (stages + block + classes) * sizeof(int64_t) +
                CELSLM_FEW_JOBS * (sizeof(decode_entry) + sizeof *((celslm_engine *)0)->longest);
  celslm_engine *e = celslm_alloc(1, size);
  e->size = size;
  e->stages = (pricing **)(e + 1);
  e->stage_ticks = (int64_t *)(e->stages + stages);
  e->phase = e->stage_ticks + stages;
  e->decodes_of = e->phase + block;
  e->n_classes = n_classes;
  e->decoding = (decode_entry *)(e->decodes_of + classes);
  e->longest = (void *)(e->decoding + CELSLM_FEW_JOBS);
  e->heap_size = e->longest_size = CELSLM_FEW_JOBS;
  return e;
}

/* One scheduler with its batch. */
static celslm_engine *new_lane(int index, const celslm_engine_config *config,
                               const celslm_scenario *scenario, celslm_net *net,
                               celslm_prices *prices, bool step, const celslm_engine_hooks *hooks,
                               celslm_error *err) {
  const celslm_host *host = &scenario->platform->hosts[config->host];
  celslm_engine *e = new_block(config, scenario->n_classes);
  e->index = index;
  e->config = config;
  e->hooks = *hooks;
  e->net = net;
  e->layers = scenario->models[config->model].layers;
  e->block = config->block_size;
  e->shares_host =
      config->accelerators_used > host->accelerators || host->varies || config->n_stages > 1;
  e->stepping = step || e->shares_host;
  e->exec = (celslm_compute){.host = config->host,
                             .done = celslm_on_iterations_over,
                             .self = e,
                             .event = {.cls = CELSLM_AT_ENGINE, .id = (uint32_t)index}};
  e->event = (celslm_event){
      .fire = celslm_on_iterations_over, .self = e, .cls = CELSLM_AT_ENGINE, .id = (uint32_t)index};
  e->wake = (celslm_event){
      .fire = celslm_on_wake, .self = e, .cls = CELSLM_AT_ENGINE, .id = (uint32_t)index};
  int64_t blocks = kv_capacity(scenario, config) / config->n_stages;
  celslm_pool_init(&e->pool, e->block, blocks > 0 ? blocks : 1, config->prefix_caching);
  e->block_bytes = celslm_engine_block_bytes(scenario, config);
  set_limits(e, config);
  e->fixed = isnan(config->fixed_iteration)
                 ? -1
                 : llround(config->fixed_iteration * 1e9 * (double)TICKS_PER_NS);
  if (celslm_waiting_init(&e->queue, config->scheduler, err) &&
      set_prices(e, scenario, prices, err))
    return e;
  celslm_engine_free(e);
  return NULL;
}

static celslm_engine *new_engine(int index, const celslm_engine_config *config,
                                 const celslm_scenario *scenario, celslm_net *net,
                                 celslm_prices *prices, bool step, const celslm_engine_hooks *hooks,
                                 celslm_error *err) {
  celslm_engine *e = new_lane(index, config, scenario, net, prices, step, hooks, err);
  if (!e || config->n_stages == 1) return e;
  e->lanes = celslm_alloc((unsigned long)config->n_stages, sizeof(celslm_engine *));
  e->pipeline = celslm_pipeline_new(net, config, celslm_on_pass_over);
  for (e->lanes[e->n_lanes++] = e; e->n_lanes < config->n_stages; e->n_lanes++) {
    celslm_engine *lane = new_lane(index, config, scenario, net, prices, step, hooks, err);
    e->lanes[e->n_lanes] = lane; /* cannot fail where the first did not */
    lane->pipeline = e->pipeline;
  }
  e->lanes[0]->pipeline = e->pipeline;
  return e;
}

celslm_engine *celslm_engine_new(int index, const celslm_engine_config *config,
                                 const celslm_scenario *scenario, celslm_net *net,
                                 celslm_prices *prices, bool step, const celslm_engine_hooks *hooks,
                                 celslm_error *err) {
  celslm_engine_config *placed = NULL;
  if (config->placement != CELSLM_PLACE_EVEN) {
    placed = celslm_placement_of(scenario, config, net, err);
    if (!placed) return NULL;
    config = placed;
  }
  celslm_engine *e = new_engine(index, config, scenario, net, prices, step, hooks, err);
  if (e)
    e->placed = placed;
  else
    celslm_placement_free(placed);
  return e;
}

void celslm_engine_free(celslm_engine *e) {
  if (!e) return;
  if (e->lanes) celslm_pipeline_free(e->pipeline);
  for (int l = 1; l < e->n_lanes; l++) celslm_engine_free(e->lanes[l]);
  celslm_placement_free(e->placed);
  free(e->lanes);
  if (!celslm_within(e, e->decoding)) free(e->decoding);
  celslm_waiting_clear(&e->queue);
  celslm_pool_clear(&e->pool);
  if (!celslm_within(e, e->longest)) free(e->longest);
  free(e);
}
