/* gather.h - from where an edge gets the layers of a context that it has claimed: what it kept, its
 * disk, neighbours that are said to have it, and the cloud, several at once.
 *
 * Layers are split over the sources so that the last of them is there as soon as can be, by the
 * planner's list scheduling (share/planner.h) under what the edge knows: the nominal bandwidth and
 * latency of the ways, and its disk's queue. Nobody's load is known: a neighbour that is busy, or
 * has lost the context, says no, and the cloud is asked. */
#ifndef CELSLM_STRATEGY_GATHER_H
#define CELSLM_STRATEGY_GATHER_H

#include "share/plan.h"
#include "strategy/system.h"

enum { CELSLM_GATHER_PEERS = 2 }; /* the nearest ones that have it */

typedef struct celslm_gathering {
  celslm_site *edge, *source;
  int context;
  bool source_up;            /* false: it is believed to be out of reach, and is left out */
  const celslm_codec *codec; /* on the network */
  const celslm_codec *plain; /* f16: on the disk */
  celslm_site *const *peers; /* NULL-ended, or NULL */
} celslm_gathering;

/* Changes `plan`, all of whose layers come from `source` (celslm_plan_from). False: those that are
 * within reach do not have all layers, and the plan is as it was. */
bool celslm_gather(const celslm_system *s, const celslm_gathering *g, celslm_plan *plan);

#endif
