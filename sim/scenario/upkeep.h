/* upkeep.h - what machines, links and cells draw and cost, and what is paid for them.
 *
 * Read from <prop> elements of the platform and from <prices> of the scenario. A price or an energy
 * that is not given is 0 (not counted), but for the efficiency of power amplifiers. Which numbers
 * are measured and which assumed stands in the files that give them. Internal to sim/scenario, but
 * for the structs. */
#ifndef CELSLM_SCENARIO_UPKEEP_H
#define CELSLM_SCENARIO_UPKEEP_H

#include "scenario/platform.h"

/* <prices>: money in cent, as the program keeps it. */
typedef struct celslm_prices_config {
  bool given;
  double joule;          /* cent/J of electricity, for what is not rented */
  double wan_byte;       /* cent/B from and to hosts in the cloud */
  double cloud_second;   /* cent/s of an accelerator in the cloud, where the host names no price */
  double quality_weight; /* a in U = a Q + (1 - a) R */
  double *quality;       /* by engine: share of its answers that are good; NaN: not given */
} celslm_prices_config;

/* `props`: the host's properties as one element (properties.h). The host has its profile and states. */
bool celslm_host_read_upkeep(celslm_host *h, const celslm_element *props, celslm_error *err);
bool celslm_cell_read_upkeep(celslm_cell *c, const celslm_element *props, celslm_error *err);
bool celslm_link_read_upkeep(celslm_link *l, const celslm_element *link, celslm_error *err);

#endif
