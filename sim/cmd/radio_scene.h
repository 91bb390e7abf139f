/* radio_scene.h - celslm radio SCENARIO.xml: what its users hear, without running its load. */
#ifndef CELSLM_CMD_RADIO_SCENE_H
#define CELSLM_CMD_RADIO_SCENE_H

#include <stdbool.h>

/* Prints a line per user and one per cell; with `map` a results file with /users and, at a step of
 * `grid` m, /map is written. Returns the exit status. */
int celslm_radio_scene(const char *file, const char *const *set, int n_set, const char *map,
                       double grid);

#endif
