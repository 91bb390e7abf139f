/* sketch.c - the cloud drafts an outline of the answer, the small models at the edge expand its
 * parts at the same time.
 *
 * PICE (arXiv 2501.09367). The prompt goes to the cloud, whose model writes a sketch of
 * `sketch` x the answer's length; sketch and prompt go on to the edge; there each of `parts` equal
 * parts of the answer is generated as a sequence of its own, over prompt and sketch, in one batch.
 * The answer's first token is the first part's; it is complete when all parts are. Answers shorter
 * than `from` tokens, which gain nothing, are the cloud's alone (PICE decides by length too).
 *
 * What it cannot tell: whether the parts fit together; the answer's quality is not computed. If the
 * edge is lost there is no answer. */
#include "strategy/at_site.h"
#include "strategy/relay.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

typedef struct options {
  double sketch;
  int64_t parts, from;
} options;

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  (void)s;
  options *o = to;
  return celslm_element_quantity(e, "sketch", CELSLM_UNIT_NUMBER, DBL_MIN, 1, 0.2, &o->sketch,
                                 err) &&
         celslm_element_integer(e, "parts", 1, 64, 4, &o->parts, err) &&
         celslm_element_integer(e, "from", 0, 1 << 30, 0, &o->from, err);
}

typedef struct expansion {
  celslm_relay relay;
  int edge; /* site */
  int n;    /* parts */
  int left; /* of them under way */
  bool told, lost, refused;
  celslm_ns sketched;
  celslm_job parts[];
} expansion;

static void forget(celslm_request *r) {
  free(r->handover);
}

static void lost(celslm_request *r) {
  r->job.owner = NULL;
  celslm_drop(r, CELSLM_REASON_HOST);
}

/* A part has ended, one way or the other. */
static void settle(celslm_request *r) {
  expansion *x = r->handover;
  if (--x->left) return;
  if (x->lost)
    lost(r);
  else if (x->refused)
    celslm_reject(r);
  else
    celslm_answered(r);
}

static void part_first_token(celslm_job *part) {
  celslm_request *r = part->self;
  expansion *x = r->handover;
  celslm_job *j = &r->job;
  if (part != &x->parts[0] || x->told) return;
  x->told = true;
  j->first_token = part->first_token;
  j->compute = part->compute;
  r->moving = part->queued - x->sketched;
  r->loading_there = x->sketched - r->uploaded;
  celslm_first_token(j);
}

static void part_done(celslm_job *part) {
  celslm_request *r = part->self;
  celslm_job *j = &r->job;
  j->preemptions += part->preemptions;
  if (part->itl_max > j->itl_max) j->itl_max = part->itl_max;
  j->last_token = part->last_token;
  settle(r);
}

static void part_aborted(celslm_job *part) {
  celslm_request *r = part->self;
  ((expansion *)r->handover)->lost = true;
  settle(r);
}

static const celslm_job_owner part_owner = {
    .first_token = part_first_token, .done = part_done, .aborted = part_aborted};

static void expand(celslm_request *r) {
  expansion *x = r->handover;
  celslm_site *edge = &r->system->sites[x->edge];
  if (edge->down) {
    lost(r);
    return;
  }
  r->site = x->edge;
  x->left = x->n + 1; /* nothing is settled before all have begun */
  int32_t tokens = r->job.prompt + r->job.output;
  for (int i = 0; i < x->n; i++) {
    int32_t output = r->output / x->n + (i < r->output % x->n);
    celslm_relay_job(r, &x->parts[i], tokens, output, &part_owner);
    if (x->refused || celslm_engine_submit(edge->engine, &x->parts[i]) != CELSLM_SUBMITTED) {
      x->refused = true;
      x->left--;
    }
  }
  settle(r);
}

static void no_token(celslm_job *job) {
  (void)job;
}

static void sketched(celslm_job *job) {
  celslm_request *r = job->self;
  expansion *x = r->handover;
  x->sketched = celslm_net_now(r->system->net);
  x->relay.then = expand;
  x->relay.lost = lost;
  celslm_relay_send(&x->relay, r, r->system->cloud, x->edge,
                    (r->prompt + job->output) * r->system->scenario->radio.bytes_per_token,
                    CELSLM_TOKENS, false);
}

static void aborted(celslm_job *job) {
  lost(job->self);
}

static const celslm_job_owner sketch_owner = {
    .first_token = no_token, .done = sketched, .aborted = aborted};

static void uploaded(celslm_request *r) {
  const options *o = r->options;
  if (r->output < o->from) {
    celslm_serve_recomputing(r);
    return;
  }
  int32_t tokens = r->prompt;
  if (r->context >= 0) tokens += (int32_t)r->system->scenario->contexts[r->context].tokens;
  int n = r->output < o->parts ? r->output : (int)o->parts;
  expansion *x = celslm_alloc(1, sizeof *x + (unsigned long)n * sizeof *x->parts);
  x->edge = r->system->users[r->user].site;
  x->n = n;
  r->handover = x;
  r->source = r->context < 0 ? CELSLM_CONTEXT_NONE : CELSLM_CONTEXT_RECOMPUTED;
  celslm_serve_with(r, tokens, (int32_t)ceil(o->sketch * r->output), &sketch_owner);
}

static void arrive(const void *unused, celslm_request *r) {
  (void)unused;
  celslm_upload(r, r->system->cloud, uploaded);
}

const celslm_strategy celslm_strategy_sketch = {
    .name = "sketch",
    .summary = "the cloud drafts an outline, the user's edge expands its parts in parallel",
    .paper = "arXiv 2501.09367",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
    .forget = forget,
};
