/* edge_only.c - every prompt is served by the small model of the user's own edge, which has the
 * contexts' texts and computes their KV itself. */
#include "strategy/at_site.h"

static void arrive(const void *options, celslm_request *r) {
  celslm_at_site(options, r, r->system->users[r->user].site);
}

const celslm_strategy celslm_strategy_edge_only = {
    .name = "edge-only",
    .summary = "user prompts stay at their edge's model; contexts recomputed, or cached there "
               "(prompt_cache)",
    .paper = "baseline",
    .options_size = sizeof(celslm_at_site_options),
    .configure = celslm_at_site_configure,
    .arrive = arrive,
};
