#include "world/updates.h"

#include "base/rng.h"

#include <gsl/gsl_randist.h>
#include <stdlib.h>

enum { NOTICE_BYTES = 64 }; /* our choice: an id, a version and a header fit */

typedef struct notice { /* on its way to an edge */
  celslm_updates *owner;
  celslm_transfer transfer;
  celslm_site *site;
  int context;
  struct notice *before, *after;
} notice;

struct celslm_updates {
  celslm_system *system;
  celslm_event event;
  gsl_rng *rng;
  notice *notices; /* under way */
};

static void invalidate(celslm_site *site, int context) {
  celslm_store_invalidate(site->store, celslm_store_entry(site->store, context));
}

static void forget(notice *n) {
  *(n->before ? &n->before->after : &n->owner->notices) = n->after;
  if (n->after) n->after->before = n->before;
  free(n);
}

static void told(void *self) {
  notice *n = self;
  invalidate(n->site, n->context);
  forget(n);
}

/* The host has crashed, and all its memory is gone; what its disk has is checked when it is back.
 */
static void not_told(void *self) {
  told(self);
}

static void tell(celslm_updates *u, celslm_site *site, int context) {
  celslm_system *s = u->system;
  notice *n = celslm_alloc(1, sizeof *n);
  *n = (notice){.owner = u, .site = site, .context = context, .after = u->notices};
  if (n->after) n->after->before = n;
  u->notices = n;
  n->transfer = (celslm_transfer){.from = s->sites[s->cloud].host,
                                  .to = site->host,
                                  .bytes = NOTICE_BYTES,
                                  .traffic = CELSLM_CONTEXT,
                                  .delivered = told,
                                  .failed = not_told,
                                  .self = n};
  celslm_net_send(s->net, &n->transfer);
}

static void schedule(celslm_updates *u) {
  const celslm_scenario *sc = u->system->scenario;
  double wait = gsl_ran_exponential(u->rng, 1 / (sc->context_changes * sc->n_contexts));
  celslm_net_at(u->system->net, &u->event, celslm_net_now(u->system->net) + celslm_ns_of(wait));
}

static void change(void *self) {
  celslm_updates *u = self;
  celslm_system *s = u->system;
  int context = (int)gsl_rng_uniform_int(u->rng, (unsigned long)s->scenario->n_contexts);
  for (int i = 0; i < s->scenario->n_engines; i++) {
    bool cloud = s->scenario->platform->hosts[s->sites[i].host].role == CELSLM_CLOUD;
    if (cloud || s->cloud < 0)
      invalidate(&s->sites[i], context);
    else
      tell(u, &s->sites[i], context);
  }
  schedule(u);
}

celslm_updates *celslm_updates_new(celslm_system *s) {
  if (s->scenario->context_changes <= 0 || !s->scenario->n_contexts) return NULL;
  celslm_updates *u = celslm_alloc(1, sizeof *u);
  *u = (celslm_updates){.system = s, .rng = celslm_rng(s->scenario->seed, "changes of contexts")};
  u->event = (celslm_event){.fire = change, .self = u, .cls = CELSLM_AT_TIMER, .background = true};
  schedule(u);
  return u;
}

void celslm_updates_free(celslm_updates *u) {
  if (!u) return;
  while (u->notices) forget(u->notices);
  gsl_rng_free(u->rng);
  free(u);
}
