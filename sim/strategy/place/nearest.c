/* nearest.c - the edge of the user's cell, always. */
#include "strategy/placing.h"

extern const celslm_edge_choice celslm_edge_choice_nearest;
const celslm_edge_choice celslm_edge_choice_nearest = {
    .name = "nearest",
    .summary = "the edge of the user's cell",
    .source = "multi-access edge computing as it is deployed",
    .place = NULL,
};
