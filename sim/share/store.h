/* store.h - the context KV that an engine's host holds, in bounded memory.
 *
 * An entry is absent, loading (its bytes are reserved, its layers arrive or are computed) or
 * resident. Pinned entries (in use, or loading) are never evicted; which of the others goes first
 * says the store's policy (cache.h). Where entries may shrink, the one that is to go loses its
 * deepest layers first, as many as needed: it is absent then, but its first `held` layers are kept,
 * and a load has only to bring the others. Whoever wants an entry that is loading waits on it: one
 * load serves all (single flight).
 *
 * Invariants: used = sum of the layers that entries hold, all of one that is loading, <= capacity;
 * held = all for resident ones; at rest, in the heap, are exactly those that hold layers and are
 * not pinned. */
#ifndef CELSLM_SHARE_STORE_H
#define CELSLM_SHARE_STORE_H

#include "serve/engine.h"
#include "share/cache.h"
#include "share/tier.h"

typedef enum celslm_residence { CELSLM_ABSENT, CELSLM_LOADING, CELSLM_RESIDENT } celslm_residence;

/* Somebody who waits for an entry; embedded in what waits. */
typedef struct celslm_waiter {
  void (*then)(void *self, bool loaded);
  void *self;
  struct celslm_waiter *next;
} celslm_waiter;

/* How far the computation of an entry is: its tokens up to `upto` pass through all layers between
 * `begin` and `end`, those up to `before` have. Watchers hear of each step when it begins. */
typedef struct celslm_progress_watcher {
  void (*computed)(void *self, int64_t upto, celslm_ns begin, celslm_ns end);
  void *self;
  struct celslm_progress_watcher *next;
} celslm_progress_watcher;

typedef struct celslm_progress {
  int64_t before, upto;
  celslm_ns begin, end;
  celslm_progress_watcher *watchers;
} celslm_progress;

typedef struct celslm_entry {
  celslm_shared shared;     /* what the engine sees */
  celslm_stream stream;     /* while loading */
  celslm_progress progress; /* while it is computed here */
  celslm_ns asked, ready;   /* of the current load: when the source was asked, when it had the KV */
  bool computed_here;       /* the current load is a computation on the spot, not a fetch */
  bool doomed;              /* to go when it is unpinned */
  celslm_residence residence;
  int pins;
  double bytes;        /* of all layers */
  int64_t layer_bytes; /* of one, rounded up */
  int held;            /* layers 0..held-1 are in memory; of one that is loading: were, before */
  int slot;            /* in the heap of those at rest, from 1; 0: it is not */
  double worth;
  uint64_t rested; /* its number in the order of coming to rest */
  double fame;     /* how often requests wanted it; fades where the admission forgets */
  double seconds;  /* that its last load took; 0: it never was */
  celslm_waiter *waiting, *waiting_last;
  celslm_waiter *watching, *watching_last; /* for the next layer, or the end of the load */
  int64_t hits, fetches, joins, evictions, requests, refused, partial_hits, outdated, replans;
  int64_t loads[CELSLM_TIERS];     /* that took layers from a tier of this host */
  double bytes_read[CELSLM_TIERS]; /* from it */
  double bytes_fetched;
} celslm_entry;

typedef struct celslm_store celslm_store;

/* Entries for the scenario's contexts; `bytes_per_token` of the engine's model, which has so many
 * layers, at its KV precision. `tiers`: where whole entries go that are pushed out, to the first
 * one that is not NULL. All outlive the store. */
celslm_store *celslm_store_new(const celslm_scenario *s, double capacity, double bytes_per_token,
                               int layers, const celslm_cache_config *cache,
                               celslm_tier *const tiers[CELSLM_TIERS]);
void celslm_store_free(celslm_store *s);
celslm_entry *celslm_store_entry(celslm_store *s, int context);

/* A request wants this entry: counted, for the policies. */
void celslm_store_request(celslm_store *s, celslm_entry *e);
/* Whether the admission lets it in, if it is absent: by what would go for it. Asked by who serves
 * requests, before a claim; who is asked for KV by others, or loads ahead, does not ask. */
bool celslm_store_admits(celslm_store *s, celslm_entry *e);
/* absent -> loading, pinned once for the loader, evicting what must go. False: there is no room. */
bool celslm_store_claim(celslm_store *s, celslm_entry *e);
/* loading -> resident (or absent if !ok); releases the loader's pin and calls who waits, in order.
 */
void celslm_store_loaded(celslm_store *s, celslm_entry *e, celslm_ns now, bool ok);
void celslm_store_wait(celslm_entry *e, celslm_waiter *w);
void celslm_store_unwait(celslm_entry *e, celslm_waiter *w); /* no-op if it does not wait */
/* Calls w->then(self, true) when the next layers of a load have come, or the load has ended. */
void celslm_store_watch(celslm_entry *e, celslm_waiter *w);
void celslm_store_layers(celslm_entry *e); /* layers have come */
void celslm_store_pin(celslm_store *s, celslm_entry *e);
void celslm_store_unpin(celslm_store *s, celslm_entry *e); /* the last pin: it comes to rest */
/* Calls w->then when something has been unpinned, so that a claim that failed may succeed now. */
void celslm_store_wait_for_room(celslm_store *s, celslm_waiter *w);
/* A crash: nothing is resident any more, nor in host memory; what is still pinned goes when it is
 * unpinned. Who loads something is told by others (celslm_store_loaded). */
void celslm_store_clear(celslm_store *s);
/* What it holds of an entry is out of date, in its tiers too. What is in use or loading goes when
 * it is unpinned; `doomed` says so until then. */
void celslm_store_invalidate(celslm_store *s, celslm_entry *e);
bool celslm_store_could_hold(const celslm_store *s, const celslm_entry *e); /* if it were empty */
double celslm_store_used(const celslm_store *s);
double celslm_store_capacity(const celslm_store *s);
/* The first tier that has a whole copy of an entry; CELSLM_TIERS: none. */
celslm_tier_kind celslm_store_below(const celslm_store *s, const celslm_entry *e);
celslm_tier *celslm_store_tier(const celslm_store *s,
                               celslm_tier_kind kind); /* NULL: it has none */

#endif
