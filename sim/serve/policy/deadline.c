/* deadline.c - earliest deadline first; what has none comes last. */
#include "serve/waiting.h"

static double urgency(const celslm_job *j, const celslm_token_weights *w) {
  (void)w;
  return (double)j->deadline; /* CELSLM_NEVER is the greatest */
}

const celslm_policy celslm_policy_deadline = {
    .name = "deadline",
    .summary = "earliest deadline first, also when a block is missing",
    .source = "Liu and Layland, J. ACM 20(1), 1973",
    .urgency = urgency,
    .preempts_by_urgency = true,
};
