/* cascade.c - the edge answers first; where it doubts its answer, the cloud answers again.
 *
 * Chen, Zaharia, Zou, "FrugalGPT" (arXiv 2305.05176). The test comes after the edge's whole answer
 * and takes no time; an escalated prompt goes on from the edge to the cloud, and what the edge did
 * is paid. With hold="no" the user sees the edge's tokens as they come, and the cloud's instead if
 * it escalates; times to first and last token are those of the answer that stands. With hold="yes"
 * nothing is shown before the test. Where the cloud's host is down the edge's answer stands; what
 * the edge's engine turns away goes to the cloud untested. */
#include "strategy/at_site.h"
#include "strategy/engines.h"

typedef struct options {
  celslm_at_site_options at;
  double threshold;
  bool hold;
} options;

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  options *o = to;
  return celslm_at_site_configure(&o->at, s, e, err) && celslm_needs_edges(s, e, err) &&
         celslm_needs_cloud(s, e, err) &&
         celslm_needs_correctness(s, e, "with its test of confidence", err) &&
         celslm_element_quantity(e, "threshold", CELSLM_UNIT_NUMBER, 0, 1, NAN, &o->threshold,
                                 err) &&
         celslm_element_bool(e, "hold", false, &o->hold, err);
}

static void escalate(const options *o, celslm_request *r) {
  celslm_forward(r, r->system->cloud,
                 o->at.prompt_cache ? celslm_serve_cached : celslm_serve_recomputing);
}

static bool in_cloud(const celslm_request *r) {
  return r->site == r->system->cloud;
}

static bool answered(const void *options_, celslm_request *r) {
  const options *o = options_;
  const celslm_system *s = r->system;
  if (in_cloud(r) || s->sites[s->cloud].down) return true;
  if (celslm_judge(r).doubt[s->scenario->engines[r->site].model] < o->threshold) return true;
  escalate(o, r);
  return false;
}

static bool turned_away(const void *options_, celslm_request *r) {
  if (in_cloud(r) || r->system->sites[r->system->cloud].down) return false;
  escalate(options_, r);
  return true;
}

static void arrive(const void *options_, celslm_request *r) {
  const options *o = options_;
  r->held = o->hold;
  celslm_at_site(&o->at, r, r->system->users[r->user].site);
}

const celslm_strategy celslm_strategy_cascade = {
    .name = "cascade",
    .summary = "the edge answers first; where it doubts its answer the cloud answers again",
    .paper = "arXiv 2305.05176",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
    .answered = answered,
    .turned_away = turned_away,
};
