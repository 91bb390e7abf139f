/* queue.h - points run on this machine: a process each, so many at once, the next as soon as one
 * ends. */
#ifndef CELSLM_STUDY_QUEUE_H
#define CELSLM_STUDY_QUEUE_H

#include "study/study.h"

typedef struct celslm_queue_result {
  int64_t done, failed;
  bool interrupted;
} celslm_queue_result;

/* Runs the points of `numbers`. A failed one is reported on stderr with its command and does not
 * stop the rest. When *interrupt is set the running ones are ended without a trace. `progress`:
 * draws a bar on stderr. False only if no process can be started. */
bool celslm_queue_run(celslm_study *s, const int64_t *numbers, int64_t n, long jobs, bool progress,
                      const volatile sig_atomic_t *interrupt, celslm_queue_result *result,
                      celslm_error *err);

#endif
