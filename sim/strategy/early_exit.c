/* early_exit.c - the edge has the first layers of the cloud's model and an exit behind them: tokens
 * it is sure of leave there, the cloud continues with the others from their hidden states.
 *
 * CE-CoLLM (arXiv 2411.02829). The edge's engine serves the partition (a model of the exit's layers
 * with a head of its own); the cloud's engine serves the whole model and computes only the layers
 * behind the exit. Each token is sure with probability `confidence`, independently: declared, not
 * computed. For an unsure one the hidden states of all positions that the cloud has not seen go up,
 * the cloud computes them over its kept KV, and the token comes back, to be fed to the edge.
 * upload="parallel": states leave as they are computed, the prompt's as a message of its own, one
 * by one those of tokens while the edge decodes on (counted, too thin to compete), so that a call
 * has to wait for the last one only; "on-demand": with the call, and not at all without one.
 * context="keep": the cloud keeps the KV of a request between calls; "drop": it computes it from
 * all states again, which it has stored (the ablation).
 *
 * Tokens reach the user from the edge. If the cloud or the way there is lost, the edge goes on with
 * its own tokens. Of CE-CoLLM's two exits at the edge only the last is modelled. */
#include "strategy/at_site.h"
#include "strategy/relay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STATE_BYTES 2.0 /* f16, as CE-CoLLM uploads */
#define TOKEN_BYTES 4.0

typedef struct options {
  double confidence;
  bool parallel, keep;
  int engine; /* with the partition, for all; -1: that of the user's edge */
} options;

static int exit_site(const options *o, int edge) {
  return o->engine < 0 ? edge : o->engine;
}

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  static const char *const uploads[] = {"parallel", "on-demand", NULL};
  static const char *const contexts[] = {"keep", "drop", NULL};
  options *o = to;
  int upload, context;
  if (!celslm_element_quantity(e, "confidence", CELSLM_UNIT_NUMBER, 0, 1, NAN, &o->confidence,
                               err) ||
      !celslm_element_choice(e, "upload", uploads, 0, &upload, err) ||
      !celslm_element_choice(e, "context", contexts, 0, &context, err))
    return false;
  o->parallel = upload == 0;
  o->keep = context == 0;
  const celslm_scenario *sc = s->scenario;
  const char *name = celslm_element_attribute(e, "engine");
  o->engine = -1;
  for (int i = 0; name && i < sc->n_engines; i++)
    if (strcmp(sc->engines[i].name, name) == 0) o->engine = i;
  if (name && (o->engine < 0 || sc->engines[o->engine].n_stages > 1))
    return celslm_element_fail(
        e, err, "<%s> engine \"%s\" is not an engine on one host; give a name of <engines>",
        e->name, name);
  const celslm_model *whole = s->sites[s->cloud].model;
  if (sc->engines[s->cloud].n_stages > 1)
    return celslm_element_fail(
        e, err, "<%s> the cloud's engine is a pipeline; it has to be on one host", e->name);
  for (int i = 0; i < s->n_users; i++) {
    const celslm_model *part = s->sites[exit_site(o, s->users[i].site)].model;
    if (part->layers >= whole->layers || part->hidden != whole->hidden)
      return celslm_element_fail(e, err,
                                 "<%s> %s (%lld layers, hidden %lld) is not the first layers of "
                                 "%s (%lld layers, hidden %lld): give the edge a model of fewer "
                                 "layers and equal width",
                                 e->name, part->name, (long long)part->layers,
                                 (long long)part->hidden, whole->name, (long long)whole->layers,
                                 (long long)whole->hidden);
  }
  return true;
}

/* ---- one request ----------------------------------------------------------------------------- */

typedef struct prompt_states { /* may be on their way when the request has ended */
  celslm_transfer transfer;
  celslm_request *r; /* NULL: has ended */
  void (*there)(celslm_request *r);
} prompt_states;

typedef struct exits {
  celslm_job cloud;
  celslm_relay relay;
  prompt_states *states; /* on their way; NULL: not */
  gsl_rng *dice;
  int32_t given; /* tokens that are decided */
  int32_t sent;  /* positions whose states have left for the cloud */
  enum { EDGE, WIRE, CLOUD } waits;
  bool sure;  /* the edge's run ends with the answer, not with an unsure token */
  bool asked; /* the call is in the cloud but the prompt's states are not */
  bool edge_lost, cloud_lost;
} exits;

static exits *of(celslm_request *r) {
  return r->handover;
}

static void forget(celslm_request *r) {
  exits *x = r->handover;
  if (!x) return;
  if (x->states) x->states->r = NULL;
  gsl_rng_free(x->dice);
  free(x);
}

static void let_go(celslm_job *job) {
  if (job->state == CELSLM_JOB_KEPT) celslm_engine_let_go(job->engine, job);
}

static void let_both_go(celslm_request *r) {
  let_go(&of(r)->cloud);
  let_go(&r->job);
}

static void fail(celslm_request *r) {
  let_both_go(r);
  r->job.owner = NULL;
  celslm_drop(r, CELSLM_REASON_HOST);
}

static void refuse(celslm_request *r) {
  let_both_go(r);
  celslm_reject(r);
}

/* The next run at the edge: its tokens up to and with the first unsure one. */
static int32_t next_run(celslm_request *r) {
  exits *x = of(r);
  int32_t rest = r->output - x->given, n = 0;
  const options *o = r->options;
  x->sure = x->cloud_lost;
  while (n < rest && (x->cloud_lost || gsl_rng_uniform(x->dice) < o->confidence)) n++;
  if (n == rest) x->sure = true;
  return x->sure ? rest : n + 1;
}

static void at_edge(celslm_request *r) {
  exits *x = of(r);
  if (x->edge_lost) {
    fail(r);
    return;
  }
  x->waits = EDGE;
  if (celslm_engine_continue(r->job.engine, &r->job, 1, next_run(r)) != CELSLM_SUBMITTED) refuse(r);
}

static double state_bytes(const celslm_request *r, int32_t positions) {
  return STATE_BYTES * (double)r->system->sites[r->site].model->hidden * positions;
}

/* The edge takes its own token for the unsure one. */
static void without_cloud(celslm_request *r) {
  exits *x = of(r);
  x->cloud_lost = true;
  x->asked = false;
  let_go(&x->cloud);
  if (x->edge_lost) {
    fail(r);
    return;
  }
  if (x->given == 0) { /* it waited for its first token */
    r->job.first_token = celslm_net_now(r->system->net);
    celslm_first_token(&r->job);
  }
  x->given++;
  if (x->given == r->output) {
    let_both_go(r);
    r->job.last_token = celslm_net_now(r->system->net);
    celslm_answered(r);
  } else {
    at_edge(r);
  }
}

/* All states are in the cloud: it computes those that it has not. */
static void call(celslm_request *r) {
  exits *x = of(r);
  const options *o = r->options;
  celslm_site *cloud = &r->system->sites[r->system->cloud];
  x->asked = x->states != NULL;
  if (x->asked) return;
  if (x->cloud_lost || cloud->down) {
    without_cloud(r);
    return;
  }
  x->waits = CLOUD;
  int32_t positions = x->sent;
  celslm_submission done;
  if (x->cloud.state == CELSLM_JOB_KEPT) {
    done = celslm_engine_continue(x->cloud.engine, &x->cloud,
                                  positions - celslm_engine_tokens(&x->cloud), 1);
  } else {
    x->cloud.prompt = positions;
    x->cloud.goes_on = o->keep;
    x->cloud.state = CELSLM_JOB_NEW;
    done = celslm_engine_submit(cloud->engine, &x->cloud);
  }
  if (done != CELSLM_SUBMITTED) without_cloud(r);
}

static void prompt_there(void *self) {
  prompt_states *t = self;
  celslm_request *r = t->r;
  if (r) {
    of(r)->states = NULL;
    if (of(r)->asked) call(r);
  }
  free(t);
}

static void prompt_lost(void *self) {
  prompt_states *t = self;
  celslm_request *r = t->r;
  if (r) {
    of(r)->states = NULL;
    of(r)->cloud_lost = true;
    if (of(r)->asked) without_cloud(r);
  }
  free(t);
}

static void send_prompt_states(celslm_request *r) {
  exits *x = of(r);
  celslm_system *s = r->system;
  prompt_states *t = celslm_alloc(1, sizeof *t);
  t->r = r;
  t->transfer = (celslm_transfer){.from = s->sites[r->site].host,
                                  .to = s->sites[s->cloud].host,
                                  .bytes = (uint64_t)ceil(state_bytes(r, r->job.prompt)),
                                  .traffic = CELSLM_ACTIVATIONS,
                                  .delivered = prompt_there,
                                  .failed = prompt_lost,
                                  .patience = s->patience,
                                  .self = t};
  x->states = t;
  x->sent = r->job.prompt;
  r->to_cloud += t->transfer.bytes;
  celslm_net_send(s->net, &t->transfer);
}

/* ---- what the engines say -------------------------------------------------------------------- */

static void first_token(celslm_job *job) {
  celslm_request *r = job->self;
  exits *x = of(r);
  const options *o = r->options;
  if (x->given) return;
  if (o->parallel && !x->sent && !x->cloud_lost) send_prompt_states(r);
  if (job->output > 1 || x->sure) celslm_first_token(job);
}

static void returned(celslm_request *r) {
  exits *x = of(r);
  if (x->edge_lost) {
    fail(r);
    return;
  }
  celslm_ns now = celslm_net_now(r->system->net);
  if (x->given == 0) {
    r->job.first_token = now;
    celslm_first_token(&r->job);
  }
  x->given++;
  r->job.last_token = now;
  if (x->given < r->output) {
    at_edge(r);
    return;
  }
  let_both_go(r);
  celslm_answered(r);
}

static void edge_done(celslm_job *job) {
  celslm_request *r = job->self;
  exits *x = of(r);
  const options *o = r->options;
  celslm_system *s = r->system;
  int32_t positions = celslm_engine_tokens(job), fresh = positions - x->sent;
  bool calls = !x->sure;
  int32_t with_call = o->parallel && fresh > 0 ? 1 : fresh, before = fresh - with_call;
  if (!calls) before = o->parallel ? fresh : 0;
  if (before > 0 && !x->cloud_lost) {
    uint64_t bytes = (uint64_t)ceil(state_bytes(r, before));
    celslm_net_count(s->net, s->sites[r->site].host, s->sites[s->cloud].host, bytes,
                     CELSLM_ACTIVATIONS);
    r->to_cloud += bytes;
  }
  if (!calls) {
    let_both_go(r);
    celslm_answered(r);
    return;
  }
  x->given += job->output - 1;
  if (x->cloud_lost) {
    without_cloud(r);
    return;
  }
  x->sent = positions;
  x->waits = WIRE;
  x->relay.then = call;
  x->relay.lost = without_cloud;
  celslm_relay_send(&x->relay, r, r->site, s->cloud, state_bytes(r, with_call), CELSLM_ACTIVATIONS,
                    true);
}

static void cloud_done(celslm_job *job) {
  celslm_request *r = job->self;
  exits *x = of(r);
  x->waits = WIRE;
  x->relay.then = returned;
  x->relay.lost = without_cloud;
  celslm_relay_send(&x->relay, r, r->system->cloud, r->site, TOKEN_BYTES, CELSLM_TOKENS, false);
}

static void edge_aborted(celslm_job *job) {
  celslm_request *r = job->self;
  of(r)->edge_lost = true;
  if (of(r)->waits == EDGE) fail(r);
}

static void cloud_aborted(celslm_job *job) {
  celslm_request *r = job->self;
  of(r)->cloud_lost = true;
  if (of(r)->waits == CLOUD) without_cloud(r);
}

static void no_token(celslm_job *job) {
  (void)job;
}

static const celslm_job_owner edge_owner = {
    .first_token = first_token, .done = edge_done, .aborted = edge_aborted};
static const celslm_job_owner cloud_owner = {
    .first_token = no_token, .done = cloud_done, .aborted = cloud_aborted};

static void uploaded(celslm_request *r) {
  int32_t tokens = r->prompt;
  if (r->context >= 0) tokens += (int32_t)r->system->scenario->contexts[r->context].tokens;
  exits *x = celslm_alloc(1, sizeof *x);
  x->dice = celslm_relay_dice(r, "early-exit");
  celslm_relay_job(r, &x->cloud, 0, 1, &cloud_owner);
  x->cloud.skip = (int16_t)r->system->sites[r->site].model->layers;
  r->handover = x;
  r->source = r->context < 0 ? CELSLM_CONTEXT_NONE : CELSLM_CONTEXT_RECOMPUTED;
  r->job.goes_on = true;
  celslm_serve_with(r, tokens, next_run(r), &edge_owner);
}

static void arrive(const void *o, celslm_request *r) {
  celslm_upload(r, exit_site(o, r->system->users[r->user].site), uploaded);
}

const celslm_strategy celslm_strategy_early_exit = {
    .name = "early-exit",
    .summary =
        "the edge computes the first layers; the cloud continues with tokens it is not sure of",
    .paper = "arXiv 2411.02829",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
    .forget = forget,
};
