/* edge_only.c - every prompt is served by the small model of the user's own edge, which has the
 * contexts' texts and computes their KV itself. */
#include "strategy/at_site.h"

typedef struct options {
  bool prompt_cache;
} options;

static bool configure(void *o, const celslm_system *s, const celslm_element *e, celslm_error *err) {
  options *opt = o;
  return celslm_element_bool(e, "prompt_cache", false, &opt->prompt_cache, err) &&
         celslm_system_needs_edges(s, e, err);
}

static void arrive(const void *o, celslm_request *r) {
  const options *opt = o;
  celslm_upload(r, r->system->users[r->user].site,
                opt->prompt_cache ? celslm_serve_cached : celslm_serve_recomputing);
}

const celslm_strategy celslm_strategy_edge_only = {
    .name = "edge-only",
    .summary = "user prompts stay at their edge's model; contexts recomputed, or cached there "
               "(prompt_cache)",
    .paper = "baseline",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
};
