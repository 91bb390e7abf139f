/* layer_split.c - one model whose layers are split over device, edge and cloud: each token passes
 * the stages one after the other, activations cross the links.
 *
 * EdgeShard (arXiv 2405.14371), SplitLLM (arXiv 2410.10759). The engine is a pipeline
 * (serve/pipeline.c): several micro-batches are under way, as many as stages; how many layers each
 * host has is evenly split, written, or placed by dynamic programming (serve/placement.h). The
 * prompt goes to the host of the first stage and no further; what the cloud sees of the user are
 * activations, counted as such: of every token but the last one, once (again after a preemption,
 * which is not counted). A user's device is a host of the platform with a profile; its access is a
 * link, not air. */
#include "strategy/relay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
  int engine;
} options;

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  options *o = to;
  const char *name = celslm_element_attribute(e, "engine");
  for (o->engine = 0; o->engine < s->scenario->n_engines; o->engine++)
    if (strcmp(s->scenario->engines[o->engine].name, name) == 0) return true;
  return celslm_element_fail(
      e, err, "<%s> engine \"%s\" is not an engine; give a name of <engines>", e->name, name);
}

static bool reaches_cloud(const celslm_request *r) {
  const celslm_system *s = r->system;
  const celslm_engine_config *c = celslm_engine_configuration(s->sites[r->site].engine);
  for (int k = 1; k < c->n_stages; k++)
    if (s->scenario->platform->hosts[c->stages[k]].role == CELSLM_CLOUD) return true;
  return false;
}

static void done(celslm_job *job) {
  celslm_request *r = job->self;
  double tokens = job->prompt + job->output - 1;
  if (reaches_cloud(r))
    r->to_cloud += (uint64_t)ceil(tokens * (double)r->system->sites[r->site].model->hidden *
                                  celslm_dtype_bytes(CELSLM_F16));
  celslm_answered(r);
}

static void aborted(celslm_job *job) {
  celslm_request *r = job->self;
  r->job.owner = NULL;
  celslm_drop(r, CELSLM_REASON_HOST);
}

static const celslm_job_owner owner = {
    .first_token = celslm_first_token, .done = done, .aborted = aborted};

static void uploaded(celslm_request *r) {
  int32_t tokens = r->prompt;
  if (r->context >= 0) tokens += (int32_t)r->system->scenario->contexts[r->context].tokens;
  r->source = r->context < 0 ? CELSLM_CONTEXT_NONE : CELSLM_CONTEXT_RECOMPUTED;
  celslm_serve_with(r, tokens, r->output, &owner);
}

static void arrive(const void *o, celslm_request *r) {
  celslm_upload(r, ((const options *)o)->engine, uploaded);
}

const celslm_strategy celslm_strategy_layer_split = {
    .name = "layer-split",
    .summary = "one model's layers over device, edge and cloud; activations cross the links",
    .paper = "arXiv 2405.14371, 2410.10759",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
};
