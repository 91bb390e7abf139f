/* nearest.c - the edge of the user's cell, always. */
#include "strategy/placement.h"

extern const celslm_placement celslm_placement_nearest;
const celslm_placement celslm_placement_nearest = {
    .name = "nearest",
    .summary = "the edge of the user's cell",
    .source = "multi-access edge computing as it is deployed",
    .place = NULL,
};
