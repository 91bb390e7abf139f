/* speculative.c - speculative decoding across the link: the small model at the user's edge drafts
 * some tokens, the large one in the cloud verifies them all in one pass, in batches with others.
 *
 * Leviathan et al., arXiv 2211.17192 (with acceptance a per token, a round of k drafts yields
 * (1 - a^(k+1))/(1 - a) tokens on average); SLED (arXiv 2506.09397: edge drafts, server verifies);
 * DSSD (arXiv 2507.12000: split verification). The prompt goes to the cloud, which gives the first
 * token; the edge sees the prompt pass and prefills it with its first draft. Then rounds, one after
 * the other: the edge appends what was decided and drafts k tokens; they go up; the cloud computes
 * them and the token before them over its kept KV, with logits of each; the outcome goes down. The
 * last round drafts no more than are still wanted. What was rejected gives its KV back on both
 * sides. Tokens reach the user from the cloud.
 *
 * What a message carries: `tokens`: ids (4 B each), enough where both decode greedily;
 * `distributions`: for sampling, also the draft's probabilities over the vocabulary, 2 B each;
 * `split`: ids and the probability of each, the cloud sends its own distribution only when it
 * rejects, and the edge draws the replacement.
 *
 * Acceptance is declared, not computed: each draft token is accepted with probability `acceptance`,
 * independently. If the edge is lost, the cloud goes on alone. */
#include "strategy/at_site.h"
#include "strategy/relay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_BYTES       4.0
#define PROBABILITY_BYTES 2.0

enum { TOKENS, DISTRIBUTIONS, SPLIT };

typedef struct options {
  int64_t length;
  double acceptance;
  bool adaptive;
  int message;
  /* for adaptive lengths: seen so far */
  double accepted, tried; /* tokens */
  double drafting, other; /* s per draft token, and of the rest of a round: the last one's */
} options;

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  static const char *const messages[] = {"tokens", "distributions", "split", NULL};
  options *o = to;
  if (!celslm_element_integer(e, "draft_length", 0, 1000, 6, &o->length, err) ||
      !celslm_element_quantity(e, "acceptance", CELSLM_UNIT_NUMBER, 0, 1, NAN, &o->acceptance,
                               err) ||
      !celslm_element_bool(e, "adaptive", false, &o->adaptive, err) ||
      !celslm_element_choice(e, "message", messages, TOKENS, &o->message, err))
    return false;
  const celslm_model *target = s->sites[s->cloud].model;
  for (int i = 0; i < s->n_users; i++) {
    const celslm_model *draft = s->sites[s->users[i].site].model;
    if (strcmp(draft->tokenizer, target->tokenizer) != 0)
      return celslm_element_fail(e, err,
                                 "<%s> %s (tokenizer %s) cannot draft for %s (tokenizer %s): give "
                                 "models of one tokenizer",
                                 e->name, draft->name, draft->tokenizer, target->name,
                                 target->tokenizer);
  }
  return true;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

typedef struct speculation {
  celslm_job draft;
  celslm_relay relay;
  gsl_rng *dice;
  int edge;             /* site */
  int32_t given;        /* tokens that are decided */
  int32_t length, good; /* drafts of this round; of them accepted */
  int32_t pending;      /* decided tokens that the draft model has no KV of */
  celslm_ns begun, drafted;
  enum { CLOUD, EDGE, WIRE } waits; /* on what: there is one thing at a time */
  bool prefilled, edge_lost, cloud_lost, alone;
} speculation;

static speculation *of(celslm_request *r) {
  return r->handover;
}

static void forget(celslm_request *r) {
  if (!r->handover) return;
  gsl_rng_free(of(r)->dice);
  free(r->handover);
}

static void let_go(celslm_job *job) {
  if (job->state == CELSLM_JOB_KEPT) celslm_engine_let_go(job->engine, job);
}

static void let_both_go(celslm_request *r) {
  let_go(&of(r)->draft);
  let_go(&r->job);
}

static void end(celslm_request *r) {
  let_both_go(r);
  celslm_answered(r);
}

static void fail(celslm_request *r) {
  let_both_go(r);
  r->job.owner = NULL;
  celslm_drop(r, CELSLM_REASON_HOST);
}

/* Goes on in the cloud with some more tokens. */
static void go_on(celslm_request *r, int32_t tokens, int32_t output) {
  of(r)->waits = CLOUD;
  r->job.rows = tokens;
  if (celslm_engine_continue(r->job.engine, &r->job, tokens, output) == CELSLM_SUBMITTED) return;
  let_both_go(r);
  celslm_reject(r);
}

/* The cloud's model says the rest by itself. */
static void alone(celslm_request *r) {
  speculation *p = of(r);
  if (p->cloud_lost) {
    fail(r);
    return;
  }
  p->alone = true;
  go_on(r, 1, r->output - p->given);
}

/* The length that gives most tokens per second by what has been seen; the longest before that. */
static int32_t best_length(const options *o) {
  double a = (o->accepted + 1) / (o->tried + 2), best = 0;
  int32_t length = (int32_t)o->length;
  if (!o->adaptive || o->other <= 0) return length;
  double tokens = 1, power = 1;
  for (int32_t k = 1; k <= o->length; k++) {
    power *= a;
    tokens += power; /* 1 + a + ... + a^k */
    double rate = tokens / (k * o->drafting + o->other);
    if (rate > best) best = rate, length = k;
  }
  return length;
}

static void draft(celslm_request *r) {
  speculation *p = of(r);
  celslm_site *edge = &r->system->sites[p->edge];
  int32_t rest = r->output - p->given, most = best_length(r->options);
  p->length = most < rest - 1 ? most : rest - 1;
  if (p->edge_lost || edge->down || p->cloud_lost || p->length == 0) {
    alone(r);
    return;
  }
  p->begun = celslm_net_now(r->system->net);
  p->waits = EDGE;
  celslm_submission done;
  if (p->prefilled) {
    done = celslm_engine_continue(p->draft.engine, &p->draft, p->pending, p->length);
  } else {
    p->draft.output = p->length;
    done = celslm_engine_submit(edge->engine, &p->draft);
  }
  p->prefilled = true;
  if (done != CELSLM_SUBMITTED) alone(r);
}

static double vocabulary(const celslm_request *r) {
  return (double)r->system->sites[r->system->cloud].model->vocabulary;
}

static void verify(celslm_request *r) {
  speculation *p = of(r);
  if (p->cloud_lost) {
    fail(r);
    return;
  }
  go_on(r, p->length + 1, 1);
}

static void drafted(celslm_job *job) {
  celslm_request *r = job->self;
  speculation *p = of(r);
  const options *o = r->options;
  double each = TOKEN_BYTES;
  p->drafted = celslm_net_now(r->system->net);
  if (o->message == DISTRIBUTIONS) each += PROBABILITY_BYTES * vocabulary(r);
  if (o->message == SPLIT) each += PROBABILITY_BYTES;
  p->waits = WIRE;
  p->relay.then = verify;
  p->relay.lost = alone;
  celslm_relay_send(&p->relay, r, p->edge, r->system->cloud, p->length * each, CELSLM_PROMPT, true);
}

static void decided(celslm_request *r) {
  speculation *p = of(r);
  options *o = r->options;
  celslm_ns now = celslm_net_now(r->system->net);
  o->drafting = celslm_seconds(p->drafted - p->begun) / p->length;
  o->other = celslm_seconds(now - p->drafted);
  if (p->draft.state == CELSLM_JOB_KEPT) {
    int32_t lost = p->length - p->good; /* the last draft has no KV yet */
    int32_t back = lost > 0 ? lost - 1 : 0;
    celslm_engine_shorten(p->draft.engine, &p->draft, celslm_engine_tokens(&p->draft) - back);
    p->pending = lost > 0 ? 1 : 2;
  }
  draft(r);
}

/* The cloud has drawn a line: some drafts are good, and one token follows them. */
static void verified(celslm_request *r) {
  speculation *p = of(r);
  options *o = r->options;
  if (!p->length) { /* it was the prompt */
    p->given = 1;
  } else {
    p->good = 0;
    while (p->good < p->length && gsl_rng_uniform(p->dice) < o->acceptance) p->good++;
    o->accepted += p->good;
    o->tried += p->good + (p->good < p->length);
    p->given += p->good + 1;
    celslm_engine_shorten(r->job.engine, &r->job,
                          celslm_engine_tokens(&r->job) - (p->length - p->good));
  }
  if (p->given == r->output) {
    end(r);
    return;
  }
  double down = 2 * TOKEN_BYTES; /* how many, and the token that follows */
  if (o->message == SPLIT && p->good < p->length) down += PROBABILITY_BYTES * vocabulary(r);
  p->waits = WIRE;
  p->relay.then = p->length ? decided : draft;
  p->relay.lost = alone;
  celslm_relay_send(&p->relay, r, r->system->cloud, p->edge, down, CELSLM_TOKENS, false);
}

static void first_token(celslm_job *job) {
  celslm_request *r = job->self;
  if (!of(r)->given) celslm_first_token(job);
}

static void done(celslm_job *job) {
  celslm_request *r = job->self;
  if (of(r)->alone)
    end(r);
  else
    verified(r);
}

/* A crash of what nobody waits for just now is noted, and seen when its turn comes. */
static void aborted(celslm_job *job) {
  celslm_request *r = job->self;
  speculation *p = of(r);
  p->cloud_lost = true;
  if (p->waits == CLOUD) fail(r);
}

static void draft_aborted(celslm_job *job) {
  celslm_request *r = job->self;
  speculation *p = of(r);
  p->edge_lost = true;
  if (p->waits == EDGE) alone(r);
}

static void no_token(celslm_job *job) {
  (void)job;
}

static const celslm_job_owner target_owner = {
    .first_token = first_token, .done = done, .aborted = aborted};
static const celslm_job_owner draft_owner = {
    .first_token = no_token, .done = drafted, .aborted = draft_aborted};

static void uploaded(celslm_request *r) {
  const celslm_scenario *s = r->system->scenario;
  const options *o = r->options;
  if (o->length == 0 || r->output == 1) { /* nothing to draft */
    celslm_serve_recomputing(r);
    return;
  }
  int32_t tokens = r->prompt;
  if (r->context >= 0) tokens += (int32_t)s->contexts[r->context].tokens;
  speculation *p = celslm_alloc(1, sizeof *p);
  *p = (speculation){.edge = r->system->users[r->user].site,
                     .dice = celslm_relay_dice(r, "speculation")};
  r->handover = p;
  r->source = r->context < 0 ? CELSLM_CONTEXT_NONE : CELSLM_CONTEXT_RECOMPUTED;
  r->job.goes_on = true;
  celslm_relay_job(r, &p->draft, tokens + 1, 0, &draft_owner);
  p->draft.goes_on = true;
  celslm_serve_with(r, tokens, 1, &target_owner);
}

static void arrive(const void *unused, celslm_request *r) {
  (void)unused;
  celslm_upload(r, r->system->cloud, uploaded);
}

const celslm_strategy celslm_strategy_speculative = {
    .name = "speculative",
    .summary = "the user's edge drafts tokens, the cloud's model verifies them in one pass",
    .paper = "arXiv 2211.17192, 2506.09397, 2507.12000",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
    .forget = forget,
};
