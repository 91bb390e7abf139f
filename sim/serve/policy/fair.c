/* fair.c - the virtual token counter: the tenant that has had the least service goes first. */
#include "serve/waiting.h"

const celslm_policy celslm_policy_fair = {
    .name = "fair",
    .summary = "the tenant with the least service first: prompt_weight x prompt + output_weight x "
               "generated tokens",
    .source = "Sheng et al., Fairness in Serving Large Language Models, arXiv 2401.00588 (VTC)",
    .weights = {.prompt = 1, .output = 2}, /* the paper's section 5.1 */
    .by_tenant = true,
};
