/* recompute.c - the edge computes the context itself, as part of the request's prompt: it has the
 * contexts' texts, as under edge-only. */
#include "strategy/outage.h"

static void cold(celslm_outage *o, celslm_request *r) {
  celslm_outage_hooks_of(o)->recompute(r);
}

extern const celslm_resilience celslm_resilience_recompute;
const celslm_resilience celslm_resilience_recompute = {
    .name = "recompute",
    .summary = "the edge computes the context with the request's prompt",
    .cold = cold,
};
