/* predicted_ttft.c - the way there and back, an iteration for each job that is there and one for
 * itself, and the time to have the context. A rough prediction: it is to rank edges, not to be
 * right. */
#include "strategy/placing.h"

static double predicted(const celslm_candidate *c) {
  return c->way + (c->present + 1) * c->iteration + c->miss;
}

static int place(const celslm_candidate *c, int n, int context) {
  (void)context;
  int best = 0;
  for (int i = 1; i < n; i++)
    if (predicted(&c[i]) < predicted(&c[best])) best = i;
  return best;
}

extern const celslm_edge_choice celslm_edge_choice_predicted_ttft;
const celslm_edge_choice celslm_edge_choice_predicted_ttft = {
    .name = "predicted-ttft",
    .summary = "least way + (jobs + 1) x mean iteration + time to have the context",
    .source = "ours",
    .place = place,
};
