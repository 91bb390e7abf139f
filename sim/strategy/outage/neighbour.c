/* neighbour.c - the request, prompt and all, goes to a neighbour edge that is said to have its
 * context; where none is known, the context is recomputed. */
#include "strategy/outage.h"

static void cold(celslm_outage *o, celslm_request *r) {
  const celslm_outage_hooks *h = celslm_outage_hooks_of(o);
  if (!h->hand_over(r)) h->recompute(r);
}

extern const celslm_resilience celslm_resilience_neighbour;
const celslm_resilience celslm_resilience_neighbour = {
    .name = "neighbour",
    .summary = "hand the request to a neighbour that is said to have the context, else recompute",
    .cold = cold,
};
