/* priority.c - classes: lower numbers first, also when a block is missing. */
#include "serve/waiting.h"

static double urgency(const celslm_job *j, const celslm_token_weights *w) {
  (void)w;
  return j->priority;
}

const celslm_policy celslm_policy_priority = {
    .name = "priority",
    .summary = "classes: the lowest number first; the highest is preempted first",
    .source = "vLLM v1, --scheduling-policy priority",
    .urgency = urgency,
    .preempts_by_urgency = true,
};
