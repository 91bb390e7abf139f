/* session.c - conversations: sessions of several turns, and the single requests of a closed loop.
 *
 * A session draws all that it will say when it begins, from a random stream of its own, named after
 * its number (or its user and his how-manieth it is): what others do meanwhile changes nothing. */
#include "load/parts.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TURNS = 100000 };

static const uint64_t said = 0x5e5510; /* where the chains of sessions begin */

static int64_t context_tokens(const celslm_conversation *c) {
  return c->context < 0 ? 0 : c->source->scenario->contexts[c->context].tokens;
}

static void draw_turns(celslm_conversation *c, gsl_rng *r) {
  celslm_source *w = c->source;
  int32_t n = 1;
  if (w->config->sessions)
    n = w->geometric ? (int32_t)fmin(gsl_ran_geometric(r, 1 / w->turns), MOST_TURNS)
                     : (int32_t)w->turns;
  c->turns = celslm_alloc((unsigned long)n, sizeof *c->turns);
  int64_t before = context_tokens(c);
  for (int32_t i = 0; i < n; i++) {
    celslm_turn *t = &c->turns[i];
    celslm_lengths_draw(&w->lengths, r, r, &t->fresh, &t->output);
    t->predicted = celslm_source_predict(w, t->output, r);
    t->think = i ? celslm_ns_of(celslm_think_draw(&w->think, r)) : 0;
    before += t->fresh + t->output;
    if (i && before > w->max_tokens) break;
    c->n_turns++;
  }
}

celslm_conversation *celslm_conversation_new(celslm_source *w, int64_t user, int64_t round,
                                             celslm_ns now) {
  if (w->left <= 0) return NULL;
  celslm_conversation *c = celslm_alloc(1, sizeof *c);
  c->source = w;
  c->user = user;
  c->round = round;
  int64_t number = user < 0 ? w->started++ : user + (int64_t)w->state[0] * round;
  char *name = celslm_format("session %u %lld", w->index, (long long)number);
  gsl_rng *r = celslm_rng_small(w->scenario->seed, name);
  free(name);
  c->session = (uint32_t)number * (uint32_t)w->scenario->n_workloads + w->index;
  if (user < 0)
    c->time = celslm_ns_of(w->now += w->process->gap(w->state, w->now, w->arrivals));
  else
    c->time = now + celslm_ns_of(w->process->gap(w->state, celslm_seconds(now), r));
  c->context = celslm_source_context(w, r);
  c->cls = celslm_source_class(w, r);
  c->place = user < 0 ? gsl_rng_uniform(r) : ((double)user + 0.5) / w->state[0]; /* stays there */
  draw_turns(c, r);
  gsl_rng_free(r);
  return c;
}

void celslm_conversation_free(celslm_conversation *c) {
  free(c->turns);
  free(c->blocks);
  free(c);
}

/* The identities of the sequence's blocks up to `tokens`: those of the context alone first, then
 * this session's own. */
static void extend_blocks(celslm_conversation *c, int64_t tokens) {
  int64_t block = c->source->config->block_size, shared = context_tokens(c) / block;
  int32_t n = (int32_t)((tokens + block - 1) / block);
  c->blocks = celslm_realloc(c->blocks, (unsigned long)n, sizeof *c->blocks);
  if (!c->n_blocks && shared) {
    memcpy(c->blocks, celslm_source_context_blocks(c->source, c->context),
           (size_t)shared * sizeof *c->blocks);
    c->n_blocks = (int32_t)shared;
  }
  for (; c->n_blocks < n; c->n_blocks++)
    c->blocks[c->n_blocks] =
        celslm_identity(celslm_identity(said, c->session), (uint64_t)c->n_blocks);
}

void celslm_conversation_ask(celslm_conversation *c, celslm_arrival *a) {
  const celslm_turn *t = &c->turns[c->turn];
  *a = (celslm_arrival){.time = c->time,
                        .prompt = c->history + t->fresh,
                        .output = t->output,
                        .context = c->context,
                        .place = c->place};
  celslm_source_mark(c->source, a, c->cls);
  c->history += t->fresh + t->output;
  celslm_demand *d = &a->demand;
  d->session = c->session;
  d->turn = (uint32_t)c->turn++;
  d->predicted = t->predicted;
  d->conversation = c;
  if (!c->source->config->sessions) return; /* its context's prefix will do */
  int64_t tokens = context_tokens(c) + c->history;
  extend_blocks(c, tokens);
  d->prefix = (celslm_prefix){c->blocks, c->n_blocks, (int32_t)c->source->config->block_size,
                              (int32_t)tokens};
}
