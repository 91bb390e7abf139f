/* shortest_job.c - the job with the fewest tokens to process goes first. Its output is what the
 * load predicts: the true length, or one with a declared error. */
#include "serve/waiting.h"

static double urgency(const celslm_job *j, const celslm_token_weights *w) {
  return w->prompt * j->prompt + w->output * j->predicted;
}

const celslm_policy celslm_policy_shortest_job = {
    .name = "shortest-job",
    .summary = "fewest tokens first: prompt_weight x prompt + output_weight x predicted output",
    .source = "Fu et al., Efficient LLM Scheduling by Learning to Rank, arXiv 2408.15792",
    .weights = {.prompt = 0, .output = 1},
    .urgency = urgency,
};
