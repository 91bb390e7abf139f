/* cloud_only.c - every prompt goes up to the cloud's model. The baseline of CE-LSLM (arXiv
 * 2505.14085) and of the surveys on edge-cloud collaboration. */
#include "strategy/at_site.h"

static void arrive(const void *options, celslm_request *r) {
  celslm_at_site(options, r, r->system->cloud);
}

const celslm_strategy celslm_strategy_cloud_only = {
    .name = "cloud-only",
    .summary =
        "user prompts go to the cloud's model; contexts recomputed, or cached there (prompt_cache)",
    .paper = "baseline",
    .options_size = sizeof(celslm_at_site_options),
    .configure = celslm_at_site_configure,
    .arrive = arrive,
};
