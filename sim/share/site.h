/* site.h - where contexts live: an engine, its host and its context store; and how a context's KV
 * is computed there. How it is fetched from elsewhere: fetch.h. Both are single flight. */
#ifndef CELSLM_SHARE_SITE_H
#define CELSLM_SHARE_SITE_H

#include "share/coder.h"
#include "share/store.h"

typedef struct celslm_site {
  int index; /* of the engine */
  int host;  /* of the platform */
  celslm_engine *engine;
  celslm_store *store;
  celslm_coder *coder;
  const celslm_model *model;
  celslm_net *net;
  bool down;                 /* its host has crashed and is not back */
  int crashes;               /* of its host, so far */
  int uploads, most_uploads; /* of contexts to peers, now and at once; most 0: no limit */
  celslm_ns patience;        /* for routes that are down, when it fetches */
  double token_bytes;        /* of a token as text */
  int loads;                 /* of contexts from elsewhere, under way */
  uint64_t waiting_kv;       /* B that came to be decoded here and have no blocks yet */
  uint64_t waiting_kv_peak;  /* the most of them so far */
  bool gives_kv, takes_kv;   /* to be decoded elsewhere or here, with bounded memory in between */
  struct {
    const struct celslm_site *site;
    double rate; /* B/s at which pieces came from it lately: half the last one, a quarter ... */
    celslm_ns at;
  } seen;

  void (*on_transfer)(void *self,
                      const celslm_transfer *t); /* each layer that arrived here; may be NULL */
  void *self;
} celslm_site;

/* Has a context's KV computed here, if it is not here and not on its way: its prefill joins the
 * engine's batch as a job that yields no token; or it is read back from a tier of the host, if one
 * has it and should be faster. What is here of an old version is waited out. `w->then(self, ok)` is
 * called when the entry is resident, at once if it is already; the entry is pinned while `then`
 * runs. If everything in the store is in use the computation waits for room; ok is false (at once)
 * only if the site could never hold it. */
void celslm_site_compute(celslm_site *site, int context, celslm_waiter *w);
/* Tells `w` of the steps of an entry's computation: at once of those that are over or under way.
 */
void celslm_site_watch(celslm_entry *e, celslm_progress_watcher *w);
void celslm_site_unwatch(celslm_entry *e,
                         celslm_progress_watcher *w); /* no-op if it does not watch */
/* Whether the store and the engine's KV blocks are large enough for this context. */
bool celslm_site_can_hold(const celslm_site *site, int context);

/* Its store and, where <cache> says so, the tiers below it. */
bool celslm_site_open_store(celslm_site *site, const celslm_scenario *s,
                            const celslm_engine_config *c, double bytes_per_token,
                            celslm_error *err);
void celslm_site_close_store(celslm_site *site);

/* Makes a context resident without cost: a warm start. False: no room. */
bool celslm_site_preload(celslm_site *site, int context);

#endif
