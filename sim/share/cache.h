/* cache.h - how a context store is run: what goes first when room is short, and who is let in.
 *
 * <cache> of an engine. An eviction is one file behind the table below: it gives an entry a worth
 * each time it comes to rest (nobody uses it any more); the least worth goes first, of equals the
 * one that has rested longest. An admission says whether a request's context may push another out;
 * what is refused is computed as part of the request's own prompt, in the engine's KV blocks.
 *
 * Worth is judged by what a store has seen itself: how often a context was asked for, and how long
 * it took to get the last time, by fetching or computing. */
#ifndef CELSLM_SHARE_CACHE_H
#define CELSLM_SHARE_CACHE_H

#include "scenario/scenario.h"

/* What a store knows of one context. */
typedef struct celslm_worth {
  double bytes;
  double
      seconds; /* that it took to load; of the store's loads so far in the mean, if it never was */
  double fame; /* how often requests wanted it */
  double age;  /* worth of the last entry that went: see celslm_eviction */
} celslm_worth;

typedef struct celslm_eviction {
  const char *name, *summary, *source;
  double (*worth)(const celslm_worth *w); /* NULL: all alike */
} celslm_eviction;

typedef struct celslm_admission {
  const char *name, *summary, *source;
  /* May a context that was asked for so often (this time included) push out one that was asked for
   * `victim` times? victim < 0: there is room. */
  bool (*admits)(double asked, double victim);
  bool forgets; /* counts are halved now and then, so that old fame fades */
} celslm_admission;

extern const celslm_eviction *const celslm_evictions[];   /* NULL-terminated; first: the default */
extern const celslm_admission *const celslm_admissions[]; /* so too */

typedef struct celslm_cache_config {
  const celslm_eviction *eviction;
  const celslm_admission *admission;
  bool partial; /* entries shrink by layers, the deepest first */
} celslm_cache_config;

bool celslm_cache_read(const celslm_engine_config *engine, celslm_cache_config *c,
                       celslm_error *err);

#endif
