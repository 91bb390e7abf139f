/* fcfs.c - first come, first served: the default of every production server. */
#include "serve/waiting.h"

const celslm_policy celslm_policy_fcfs = {
    .name = "fcfs",
    .summary = "first come, first served",
    .source = "vLLM v1, --scheduling-policy fcfs",
};
