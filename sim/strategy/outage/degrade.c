/* degrade.c - as wait; what has waited is then fetched in a codec of fewer bytes, so that the
 * backlog passes the backhaul sooner, at the price of that codec's quality. */
#include "strategy/outage.h"

extern const celslm_resilience celslm_resilience_degrade;
const celslm_resilience celslm_resilience_degrade = {
    .name = "degrade",
    .summary = "as wait; those that waited then fetch in outage_codec, in fewer bytes",
    .cold = celslm_outage_park,
    .light = true,
};
