/* properties.h - <prop> elements of a platform's hosts that are ours (celslm.*): which there are,
 * and those of a cell. Internal to sim/scenario. */
#ifndef CELSLM_SCENARIO_PROPERTIES_H
#define CELSLM_SCENARIO_PROPERTIES_H

#include "scenario/platform.h"

/* The <prop> children as one element with an attribute for each, so that the getters of element.h
 * read them. Borrows everything but the array and the name, which the caller frees, also after a
 * failure. */
bool celslm_properties_gather(const celslm_element *host, celslm_element *out, celslm_error *err);
bool celslm_cell_property(const char *name); /* it belongs to hosts with the role cell */
/* One of those that belong to cells; NULL: there is none. */
const char *celslm_properties_of_cells(const celslm_element *props);
/* Where a cell is, and what it sends with. */
bool celslm_cell_read(celslm_cell *c, const celslm_element *props, celslm_error *err);

#endif
