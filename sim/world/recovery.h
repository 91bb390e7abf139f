/* recovery.h - how a run gets over its faults: the backlog they leave, and how long it lasts.
 *
 * Present are the requests that have arrived and not ended. Before the first fault their mean over
 * time is the level that is usual. Backlog: the most that are present at once from the first fault
 * on, above that level. A fault is over when nothing is broken or slowed any more; the run has
 * recovered when, after that, no more are present than is usual (rounded up, at least one).
 * Recovery is the time between the two, the longest if there are several; a fault that begins
 * before the run has recovered continues the one before. */
#ifndef CELSLM_WORLD_RECOVERY_H
#define CELSLM_WORLD_RECOVERY_H

#include "net/clock.h"

typedef struct celslm_run_recovery {
  int64_t present, most; /* requests; the most since the first fault */
  int broken;            /* things that are not at their full speed now */
  bool ever, waiting;    /* there was a fault; the last one is not got over */
  celslm_ns since;       /* of the last change of `present` */
  double integral;       /* request ns before the first fault */
  double usual;          /* once there was a fault */
  celslm_ns over;        /* when the last fault ended; CELSLM_NEVER: it lasts */
  celslm_ns longest;     /* recovery so far; negative: none */
} celslm_run_recovery;

void celslm_recovery_init(celslm_run_recovery *r);
void celslm_recovery_present(celslm_run_recovery *r, celslm_ns now, int change); /* +1, -1 */
/* Something's share of its full speed changes. */
void celslm_recovery_fault(celslm_run_recovery *r, celslm_ns now, double before, double speed);
/* s; NaN: no fault, or not recovered at the end. */
double celslm_recovery_time(const celslm_run_recovery *r);
double celslm_recovery_backlog(const celslm_run_recovery *r); /* NaN: no fault */

#endif
