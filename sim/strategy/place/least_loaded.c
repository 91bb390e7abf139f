/* least_loaded.c - the fewest jobs, as far as is known; of equals the nearest. */
#include "strategy/placing.h"

static int place(const celslm_candidate *c, int n, int context) {
  (void)context;
  int best = 0;
  for (int i = 1; i < n; i++)
    if (c[i].present < c[best].present) best = i;
  return best;
}

extern const celslm_edge_choice celslm_edge_choice_least_loaded;
const celslm_edge_choice celslm_edge_choice_least_loaded = {
    .name = "least-loaded",
    .summary = "the edge with the fewest jobs, by what neighbours last told",
    .source =
        "join the shortest queue under stale information: Mitzenmacher, IEEE TPDS 11(1), 2000",
    .place = place,
};
