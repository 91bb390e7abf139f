/* reject.c - better an honest no than a late answer. */
#include "strategy/outage.h"

static void cold(celslm_outage *o, celslm_request *r) {
  (void)o;
  celslm_reject(r);
}

extern const celslm_resilience celslm_resilience_reject;
const celslm_resilience celslm_resilience_reject = {
    .name = "reject",
    .summary = "the request is rejected",
    .cold = cold,
};
