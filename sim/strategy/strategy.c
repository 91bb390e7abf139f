#include "strategy/system.h"

#include <string.h>

extern const celslm_strategy celslm_strategy_cloud_only, celslm_strategy_edge_only,
    celslm_strategy_ce_lslm, celslm_strategy_disaggregated;

const celslm_strategy *const celslm_strategies[] = {
    &celslm_strategy_cloud_only,
    &celslm_strategy_edge_only,
    &celslm_strategy_ce_lslm,
    &celslm_strategy_disaggregated,
    NULL,
};

const celslm_strategy *celslm_strategy_find(const char *name) {
  for (const celslm_strategy *const *s = celslm_strategies; *s; s++)
    if (strcmp((*s)->name, name) == 0) return *s;
  return NULL;
}
