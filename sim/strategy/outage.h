/* outage.h - what edges do for contexts that they have not, while they believe that the cloud is
 * out of reach.
 *
 * How an edge knows. Nobody tells it: a fetch from the cloud that makes no progress for `detect`
 * seconds, because its route is cut or the cloud's host is dead, fails, and the edge believes that
 * it is cut off. From then on it probes: a message of 64 B to the cloud and back, again `detect`
 * after each one that is lost; the first answer ends the belief. So an edge learns of an outage
 * when it next needs the cloud, `detect` late, and of the repair within `detect` and a round trip.
 * Until it knows, fetches that stall hold room that warm contexts had to give up: an edge that is
 * slow to notice has less to serve.
 *
 * What it does meanwhile is a policy, one small file behind the table below. Contexts that are
 * there are served as ever. A request that waits does so at the edge, without room in the store
 * (warm contexts stay), in order of arrival, at most for `limit`; then it is dropped. */
#ifndef CELSLM_STRATEGY_OUTAGE_H
#define CELSLM_STRATEGY_OUTAGE_H

#include "strategy/system.h"

typedef struct celslm_outage celslm_outage;

typedef struct celslm_resilience {
  const char *name, *summary;
  /* The request is at its edge, its context is not, and the cloud is believed to be out of reach.
   */
  void (*cold)(celslm_outage *o, celslm_request *r);
  bool light; /* those that have waited fetch in the codec `outage_codec` */
} celslm_resilience;

extern const celslm_resilience *const celslm_resiliences[]; /* NULL-terminated */
extern const celslm_resilience celslm_resilience_recompute; /* one of them */

/* What the strategy does for a request: */
typedef struct celslm_outage_hooks {
  void (*again)(celslm_request *r); /* the cloud is back */
  /* Hands it to a neighbour that has its context; false: none is known. */
  bool (*hand_over)(celslm_request *r);
  void (*recompute)(celslm_request *r);
} celslm_outage_hooks;

/* From the strategy's attributes outage, outage_detect, outage_limit, outage_codec. `usual`: the
 * policy where none is named; NULL: there is none, and *o is NULL: fetches then wait for the
 * scenario's patience, and fall back to recomputing. */
bool celslm_outage_open(celslm_outage **o, const celslm_system *s, const celslm_element *e,
                        const celslm_resilience *usual, const celslm_outage_hooks *hooks,
                        celslm_error *err);
void celslm_outage_close(celslm_outage *o); /* NULL is allowed */

/* The next three take NULL: never cut off. */
bool celslm_outage_cut(const celslm_outage *o, int site); /* believed to be */
void celslm_outage_watch(celslm_outage *o, int site,
                         celslm_entry *e); /* it loads from the cloud: learns if that fails */
/* The codec for a request's fetch: `usual`, or the lighter one. */
const celslm_codec *celslm_outage_codec(const celslm_outage *o, const celslm_request *r,
                                        const celslm_codec *usual);

void celslm_outage_cold(celslm_outage *o, celslm_request *r);

/* For policies. */
void celslm_outage_park(celslm_outage *o, celslm_request *r);
const celslm_outage_hooks *celslm_outage_hooks_of(const celslm_outage *o);

#endif
