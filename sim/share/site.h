/* site.h - where contexts live: an engine, its host and its context store; and how a context's KV
 * gets there: computed on the spot, or fetched from another site layer by layer. Both are single
 * flight. */
#ifndef CELSLM_SHARE_SITE_H
#define CELSLM_SHARE_SITE_H

#include "share/codec.h"
#include "share/store.h"

typedef struct celslm_site {
  int index; /* of the engine */
  int host;  /* of the platform */
  celslm_engine *engine;
  celslm_store *store;
  const celslm_model *model;
  celslm_net *net;
  bool down;          /* its host has crashed and is not back */
  celslm_ns patience; /* for routes that are down, when it fetches */
  void (*on_transfer)(void *self,
                      const celslm_transfer *t); /* each layer that arrived here; may be NULL */
  void *self;
} celslm_site;

/* Has a context's KV computed here, if it is not here and not on its way: its prefill joins the
 * engine's batch as a job that yields no token. `w->then(self, ok)` is called when the entry is
 * resident, at once if it is already; the entry is pinned while `then` runs. If everything in the
 * store is in use the computation waits for room; ok is false (at once) only if the site could
 * never hold it. */
void celslm_site_compute(celslm_site *site, int context, celslm_waiter *w);
/* Whether the store and the engine's KV blocks are large enough for this context. */
bool celslm_site_can_hold(const celslm_site *site, int context);

/* Loads an entry of `to`, which the caller has claimed, from `from`: a request crosses the network,
 * `from` computes the context if it has to, then the layers follow one another, one flow each, and
 * count up the entry's stream as they arrive. Joins are the caller's: they find the entry loading.
 * A layer that is lost with a link is sent again when the route is whole: layers that are there
 * stay. Where the route stays down beyond the site's patience, or `from` crashes, the load fails.
 */
void celslm_site_fetch(celslm_site *to, celslm_site *from, int context, const celslm_codec *codec);

/* Makes a context resident without cost: a warm start. False: no room. */
bool celslm_site_preload(celslm_site *site, int context);

#endif
