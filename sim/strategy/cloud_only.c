/* cloud_only.c - every prompt goes up to the cloud's model. The baseline of CE-LSLM (arXiv
 * 2505.14085) and of the surveys on edge-cloud collaboration. */
#include "strategy/at_site.h"

typedef struct options {
  bool prompt_cache;
} options;

static bool configure(void *o, const celslm_system *s, const celslm_element *e, celslm_error *err) {
  options *opt = o;
  return celslm_element_bool(e, "prompt_cache", false, &opt->prompt_cache, err) &&
         celslm_system_needs_cloud(s, e, err);
}

static void arrive(const void *o, celslm_request *r) {
  const options *opt = o;
  celslm_upload(r, r->system->cloud,
                opt->prompt_cache ? celslm_serve_cached : celslm_serve_recomputing);
}

const celslm_strategy celslm_strategy_cloud_only = {
    .name = "cloud-only",
    .summary =
        "user prompts go to the cloud's model; contexts recomputed, or cached there (prompt_cache)",
    .paper = "baseline",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
};
