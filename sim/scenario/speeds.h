/* speeds.h - how fast a host is: its performance states (DVFS) and its speed over time.
 *
 * As in SimGrid: speed="312Tf,200Tf" lists the states, pstate="1" chooses one, and speed_file names
 * a file of lines "TIME FACTOR" (s; of the state's speed), with optional lines "# comment",
 * "PERIODICITY d" (all repeats every d s) and "LOOPAFTER d" (d s after the last). Device profiles
 * hold at the first state and factor 1. Internal to sim/scenario. */
#ifndef CELSLM_SCENARIO_SPEEDS_H
#define CELSLM_SCENARIO_SPEEDS_H

#include "scenario/platform.h"

#include <stdio.h>

bool celslm_host_read_speeds(celslm_host *h, const celslm_element *e, celslm_error *err);
/* For SimGrid: the attributes of <host>; and, after the zone, what changes over time. */
void celslm_host_write_speeds(const celslm_host *h, FILE *f);
void celslm_host_write_profile(const celslm_host *h, int number, FILE *f);

#endif
