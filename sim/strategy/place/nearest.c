/* nearest.c - the edge of the user's cell, always. */
#include "strategy/placing.h"

extern const celslm_placing celslm_placing_nearest;
const celslm_placing celslm_placing_nearest = {
    .name = "nearest",
    .summary = "the edge of the user's cell",
    .source = "multi-access edge computing as it is deployed",
    .place = NULL,
};
