/* carry_out.h - one scenario run whole: each strategy in a process of its own (SimGrid's engine
 * cannot be reset), their parts joined into one results file.
 *
 * The processes die with the one that started them, whatever kills it, so nothing is left running
 * behind a user's back. */
#ifndef CELSLM_STUDY_CARRY_OUT_H
#define CELSLM_STUDY_CARRY_OUT_H

#include "world/world.h"

typedef struct celslm_carry_out_options {
  const char *file; /* results; NULL: none are written */
  long jobs;        /* how many strategies run at once; >= 1 */
  bool step, check; /* as in celslm_run_options */
  const volatile sig_atomic_t *interrupt;
  /* Called now and then with the number of ended requests, and a last time with -1; NULL: never. */
  void (*progress)(const celslm_scenario *s, int64_t ended);
} celslm_carry_out_options;

/* Runs all strategies; `summaries` (one row for each) may be NULL. On anything but CELSLM_DONE,
 * *err says why: the first strategy that went wrong speaks for all. An interrupted run leaves
 * FILE.strategyN.part behind: what was recorded so far, readable, not complete. */
celslm_outcome celslm_carry_out(const celslm_scenario *s, const celslm_carry_out_options *o,
                                celslm_summary_row *summaries, celslm_error *err);

/* For a child right after fork(): it gets SIGKILL when `parent` ends. */
void celslm_die_with(int parent);

#endif
