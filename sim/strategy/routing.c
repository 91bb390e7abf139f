/* routing.c - each request goes to the user's edge or to the cloud, by a policy.
 *
 * Ding et al., "Hybrid LLM" (arXiv 2404.14618: by difficulty, with a threshold); Ong et al.,
 * "RouteLLM" (arXiv 2406.18665); KubeEdge-Ianvs, cloud-edge collaborative inference for LLM, for
 * the benchmark and its oracle. Policies see what a router could: random and weighted nothing,
 * threshold a score of difficulty, load-aware the queues of both ends, predicted-latency these and
 * what the devices cost (predict.h). The oracle knows who would be right and prefers the edge: the
 * cloud gets only what it alone can answer. The decision itself takes no time. */
#include "base/rng.h"
#include "strategy/at_site.h"
#include "strategy/engines.h"
#include "strategy/predict.h"

typedef struct options {
  celslm_at_site_options at;
  const struct policy *policy;
  double threshold, edge_share;
  gsl_rng *rng; /* one draw for each request */
} options;

typedef struct policy {
  const char *name;
  bool (*edge)(const options *o, const celslm_request *r, double chance); /* or the cloud */
  bool judges;                                                            /* needs <correctness> */
} policy;

static int edge_of(const celslm_request *r) {
  return r->system->users[r->user].site;
}

static bool by_chance(const options *o, const celslm_request *r, double chance) {
  (void)r;
  return chance < o->edge_share;
}

static bool by_difficulty(const options *o, const celslm_request *r, double chance) {
  (void)chance;
  return celslm_judge(r).difficulty < o->threshold;
}

static bool by_load(const options *o, const celslm_request *r, double chance) {
  (void)o, (void)chance;
  const celslm_system *s = r->system;
  return celslm_engine_load(s, edge_of(r)) <= celslm_engine_load(s, s->cloud);
}

static bool by_latency(const options *o, const celslm_request *r, double chance) {
  (void)chance;
  return celslm_predict(r, edge_of(r), o->at.prompt_cache) <=
         celslm_predict(r, r->system->cloud, o->at.prompt_cache);
}

static bool by_oracle(const options *o, const celslm_request *r, double chance) {
  (void)o, (void)chance;
  const celslm_system *s = r->system;
  const celslm_engine_config *engines = s->scenario->engines;
  celslm_verdicts v = celslm_judge(r);
  return v.right[engines[edge_of(r)].model] || !v.right[engines[s->cloud].model];
}

static const policy policies[] = {{"random", by_chance, false},
                                  {"weighted", by_chance, false},
                                  {"threshold", by_difficulty, true},
                                  {"load-aware", by_load, false},
                                  {"predicted-latency", by_latency, false},
                                  {"oracle", by_oracle, true}};
enum { RANDOM, WEIGHTED, THRESHOLD, N_POLICIES = sizeof policies / sizeof *policies };

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  options *o = to;
  const char *names[N_POLICIES + 1] = {NULL};
  for (int i = 0; i < N_POLICIES; i++) names[i] = policies[i].name;
  int choice;
  if (!celslm_at_site_configure(&o->at, s, e, err) || !celslm_needs_edges(s, e, err) ||
      !celslm_needs_cloud(s, e, err) ||
      !celslm_element_choice(e, "policy", names, -1, &choice, err))
    return false;
  o->policy = &policies[choice];
  const struct {
    const char *name;
    int policy;
    double *value;
  } knobs[] = {{"threshold", THRESHOLD, &o->threshold}, {"edge_share", WEIGHTED, &o->edge_share}};
  for (int i = 0; i < 2; i++)
    if ((celslm_element_attribute(e, knobs[i].name) != NULL) != (choice == knobs[i].policy))
      return celslm_element_fail(e, err,
                                 "<routing> %s belongs to policy=\"%s\": give both or neither",
                                 knobs[i].name, policies[knobs[i].policy].name);
    else if (choice == knobs[i].policy &&
             !celslm_element_quantity(e, knobs[i].name, CELSLM_UNIT_NUMBER, 0, 1, 0, knobs[i].value,
                                      err))
      return false;
  if (choice == RANDOM) o->edge_share = 0.5;
  if (o->policy->judges && !celslm_needs_correctness(s, e, o->policy->name, err)) return false;
  o->rng = celslm_rng(s->scenario->seed, "routing");
  return true;
}

static void clear(void *o) {
  gsl_rng *rng = ((options *)o)->rng;
  if (rng) gsl_rng_free(rng);
}

static void arrive(const void *options_, celslm_request *r) {
  const options *o = options_;
  bool edge = o->policy->edge(o, r, gsl_rng_uniform(o->rng));
  celslm_at_site(&o->at, r, edge ? edge_of(r) : r->system->cloud);
}

const celslm_strategy celslm_strategy_routing = {
    .name = "routing",
    .summary = "each request goes to its edge or to the cloud: random, weighted, threshold, "
               "load-aware, predicted-latency or oracle",
    .paper = "arXiv 2404.14618, 2406.18665",
    .options_size = sizeof(options),
    .configure = configure,
    .clear = clear,
    .arrive = arrive,
};
