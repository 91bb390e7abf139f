/* sections.h - the parts a scenario is read in; scenario.c calls them in this order.
 *
 * Each takes the element of its section, fills its fields of the scenario and checks everything
 * that can be checked by then. Internal to sim/scenario. */
#ifndef CELSLM_SCENARIO_SECTIONS_H
#define CELSLM_SCENARIO_SECTIONS_H

#include "scenario/scenario.h"

bool celslm_read_models(celslm_scenario *s, const celslm_element *models, celslm_error *err);
bool celslm_read_engines(celslm_scenario *s, const celslm_element *engines, celslm_error *err);
bool celslm_read_contexts(celslm_scenario *s, const celslm_element *contexts, celslm_error *err);
bool celslm_read_radio(celslm_scenario *s, const celslm_element *radio, celslm_error *err);
bool celslm_read_workloads(celslm_scenario *s, const celslm_element *root, celslm_error *err);
bool celslm_read_correctness(celslm_scenario *s, const celslm_element *e, celslm_error *err);
bool celslm_read_faults(celslm_scenario *s, const celslm_element *faults,
                        const celslm_element *wires, celslm_error *err);
/* `prices` may be NULL. */
bool celslm_read_prices(celslm_scenario *s, const celslm_element *prices, celslm_error *err);
bool celslm_read_strategies(celslm_scenario *s, const celslm_element *root, celslm_error *err);

/* The path of the file that <e file="..."> names; NULL and an error at `e` if it cannot be read,
 * with `what` it should be. Free with free(). */
char *celslm_readable_file(const celslm_element *e, const char *what, celslm_error *err);

#endif
