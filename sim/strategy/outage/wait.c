/* wait.c - cold requests wait at the edge until the cloud answers again. */
#include "strategy/outage.h"

extern const celslm_resilience celslm_resilience_wait;
const celslm_resilience celslm_resilience_wait = {
    .name = "wait",
    .summary = "wait at the edge until the cloud answers, at most outage_limit; then dropped",
    .cold = celslm_outage_park,
};
