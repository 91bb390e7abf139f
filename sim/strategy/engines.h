/* engines.h - what strategies that choose among engines share: lists of them, and how busy one is.
 */
#ifndef CELSLM_STRATEGY_ENGINES_H
#define CELSLM_STRATEGY_ENGINES_H

#include "strategy/system.h"

/* The engines that an attribute names, with spaces between: at least one, none twice. *list is the
 * caller's to free, also on failure. */
bool celslm_engines_read(const celslm_scenario *s, const celslm_element *e, const char *attribute,
                         int **list, int *n, celslm_error *err);
/* Jobs waiting and running there over those that can run at once: 1 is a full batch and no queue.
 */
double celslm_engine_load(const celslm_system *s, int site);
/* Every user needs an engine at its edge; there must be one in the cloud. An error at `e` if not.
 */
bool celslm_needs_edges(const celslm_system *s, const celslm_element *e, celslm_error *err);
bool celslm_needs_cloud(const celslm_system *s, const celslm_element *e, celslm_error *err);
/* The scenario must declare whose answers are right; `why`: what of the strategy asks for it. */
bool celslm_needs_correctness(const celslm_system *s, const celslm_element *e, const char *why,
                              celslm_error *err);

#endif
