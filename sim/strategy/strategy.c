/* strategy.c - the table of strategies. A new one is a file with a `celslm_strategy_NAME` and its
 * NAME in this list; docs/new-strategy.md tells the whole way. */
#include "strategy/system.h"

#include <stdlib.h>
#include <string.h>

#define STRATEGIES(X)                                                                              \
  X(cloud_only)                                                                                    \
  X(edge_only)                                                                                     \
  X(ce_lslm)                                                                                       \
  X(disaggregated)                                                                                 \
  X(routing)                                                                                       \
  X(cascade)                                                                                       \
  X(edge_cluster)                                                                                  \
  X(speculative)                                                                                   \
  X(early_exit)                                                                                    \
  X(layer_split)                                                                                   \
  X(sketch)                                                                                        \
  X(mixed)

#define DECLARE(NAME) extern const celslm_strategy celslm_strategy_##NAME;
#define LIST(NAME)    &celslm_strategy_##NAME,
STRATEGIES(DECLARE)
const celslm_strategy *const celslm_strategies[] = {STRATEGIES(LIST) NULL};

const celslm_strategy *celslm_strategy_open(const celslm_system *s, const celslm_element *e,
                                            void **options, celslm_error *err) {
  for (const celslm_strategy *const *p = celslm_strategies; *p; p++)
    if (strcmp((*p)->name, e->name) == 0) {
      *options = celslm_alloc(1, (*p)->options_size);
      if ((*p)->configure(*options, s, e, err)) return *p;
      celslm_strategy_close(*p, *options);
      return NULL;
    }
  celslm_element_fail(e, err, "no strategy is called %s; see `celslm list strategies`", e->name);
  return NULL;
}

void celslm_strategy_close(const celslm_strategy *strategy, void *options) {
  if (strategy && strategy->clear) strategy->clear(options);
  free(options);
}
