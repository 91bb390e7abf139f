/* world.h - builds a simulation from a scenario and one of its strategies, runs it, records it.
 *
 * One process runs one world (SimGrid's engine cannot be reset): callers fork.
 * A run ends with a conservation check: every request is completed, rejected, dropped or in flight
 * at the horizon; every byte sent is received or on its way. What fails it is a bug of ours, or a
 * simulation that starved: the run then says so and does not count as done. */
#ifndef CELSLM_WORLD_WORLD_H
#define CELSLM_WORLD_WORLD_H

#include "record/request.h"
#include "scenario/scenario.h"

#include <signal.h>

typedef enum celslm_outcome { /* exit statuses of the program */
                              CELSLM_DONE = 0,
                              CELSLM_INCONSISTENT = 1,
                              CELSLM_BAD_INPUT = 2,
                              CELSLM_INTERRUPTED = 130
} celslm_outcome;

typedef struct celslm_run_options {
  int strategy;     /* index in the scenario */
  bool step;        /* engines step through every iteration: the slow oracle of the jumps */
  bool check;       /* only build it: whether all fits together, strategies' options too */
  const char *file; /* results; NULL: none */
  void (*on_request)(void *self, const celslm_request_row *row); /* each as it ends; NULL: none */
  void *self;
  volatile int64_t *finished;             /* counts ended requests for a progress bar; NULL: none */
  const volatile sig_atomic_t *interrupt; /* stop when set; NULL: never */
} celslm_run_options;

/* Runs; fills *summary (unless NULL). On anything but CELSLM_DONE, *err says why. */
celslm_outcome celslm_world_run(const celslm_scenario *s, const celslm_run_options *o,
                                celslm_summary_row *summary, celslm_error *err);

/* The libraries that decide results, with their versions. Free with free(). */
char *celslm_world_libraries(void);

#endif
