/* gather.h - from where an edge gets the layers of a context that it has claimed: what it kept, its
 * host memory or disk, neighbours that are said to have it, the cloud, several at once; and, where
 * a scenario asks for planning, which of them it computes itself and in which codecs the others
 * come.
 *
 * All of it is chosen by the planner (share/planner.h), so that the first token comes as soon as
 * can be, under what an edge can know: the shapes of the models and what devices take for them; the
 * nominal bandwidth and latency of the ways, or the rate at which layers have lately come; how many
 * loads it has under way; its tiers' queues; whether the cloud has the context (it is told). The
 * load of others is not known: a neighbour that is busy, or has lost the context, says no, and the
 * cloud is asked. */
#ifndef CELSLM_STRATEGY_GATHER_H
#define CELSLM_STRATEGY_GATHER_H

#include "share/plan.h"
#include "share/planner.h"
#include "share/quality_table.h"
#include "strategy/system.h"

enum { CELSLM_GATHER_PEERS = 2 }; /* the nearest ones that have it */

/* What <ce-lslm><planner> says. */
typedef struct celslm_planning {
  bool local; /* layers may be computed at the edge */
  int n_codecs;
  celslm_codec codecs[CELSLM_PLAN_CODECS]; /* to choose from */
  double floor;                            /* least share of the gap recovered; 0: any */
  celslm_quality_table *quality;           /* NULL: not measured */
  double replan; /* plan anew when layers come slower or faster by this factor; 0: never */
} celslm_planning;
bool celslm_planning_read(celslm_planning *p, const celslm_element *e, celslm_error *err);
void celslm_planning_clear(celslm_planning *p);

typedef struct celslm_gathering {
  celslm_site *edge, *source;
  int context;
  int64_t prompt;                  /* tokens of the request that it is for; 0: of none */
  bool source_up;                  /* false: it is believed to be out of reach, and is left out */
  const celslm_codec *codec;       /* on the network, if nothing is planned */
  const celslm_codec *plain;       /* f16: in host memory, on the disk */
  celslm_site *const *peers;       /* NULL-ended, or NULL */
  const celslm_planning *planning; /* NULL: one codec, and nothing is computed here */
} celslm_gathering;

/* Changes `plan`, all of whose layers come from `source` (celslm_plan_from, celslm_plan_align).
 * False: those that are within reach do not have all layers, or none is good enough, and the plan
 * is as it was. */
bool celslm_gather(const celslm_system *s, const celslm_gathering *g, celslm_plan *plan);
/* The same for those layers of a plan under way that have not set out. False: it is to stay. */
bool celslm_gather_again(const celslm_system *s, const celslm_gathering *g, const bool *open,
                         celslm_plan *plan);

#endif
