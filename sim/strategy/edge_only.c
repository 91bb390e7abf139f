/* edge_only.c - every prompt is served by the small model of an edge, the user's own or, where
 * `placement` says so, a neighbour; edges have the contexts' texts and compute their KV themselves.
 */
#include "strategy/at_site.h"
#include "strategy/placing.h"

typedef struct options {
  celslm_at_site_options at_site;
  celslm_neighbourhood neighbourhood;
} options;

static bool configure(void *o, const celslm_system *s, const celslm_element *e, celslm_error *err) {
  options *opt = o;
  return celslm_at_site_configure(&opt->at_site, s, e, err) &&
         celslm_neighbourhood_open(&opt->neighbourhood, s, e, err);
}

static void clear(void *o) {
  celslm_neighbourhood_close(&((options *)o)->neighbourhood);
}

/* It computes the context, at the pace of its work so far. */
static double miss(const celslm_request *r, const celslm_site *site) {
  celslm_engine_row row;
  celslm_engine_observe(site->engine, &row);
  double tokens = (double)(row.prompt_tokens + row.output_tokens);
  double context = (double)r->system->scenario->contexts[r->context].tokens;
  return tokens > 0 ? context * row.busy / tokens : 0;
}

static void arrive(const void *o, celslm_request *r) {
  const options *opt = o;
  celslm_at_site(&opt->at_site, r, celslm_place_request(&opt->neighbourhood, r, miss));
}

const celslm_strategy celslm_strategy_edge_only = {
    .name = "edge-only",
    .summary = "user prompts stay at their edge's model; contexts recomputed, or cached there "
               "(prompt_cache)",
    .paper = "baseline",
    .options_size = sizeof(options),
    .configure = configure,
    .clear = clear,
    .arrive = arrive,
};
