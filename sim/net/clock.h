/* clock.h - simulated time and the queue of what happens next.
 *
 * Time is a count of nanoseconds (celslm_ns): sums are exact and equal instants compare equal.
 * An event is a struct inside the thing that waits (an engine, a transfer, a cell): scheduling
 * allocates nothing. Events fire in the order (time, class, id, order of scheduling); class and id
 * are chosen by the owner, so that ties do not depend on when an event was scheduled. That is what
 * lets an engine that jumps over a thousand iterations meet the same world as one that steps.
 *
 * Invariant: a queued event knows its place (slot > 0); slot 0 means not queued. */
#ifndef CELSLM_NET_CLOCK_H
#define CELSLM_NET_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t celslm_ns;
#define CELSLM_NEVER INT64_MAX

static inline double celslm_seconds(celslm_ns t) {
  return (double)t * 1e-9;
}
celslm_ns celslm_ns_of(double seconds); /* nearest; saturates at CELSLM_NEVER */

/* What comes first at one instant. */
typedef enum celslm_class {
  CELSLM_AT_NETWORK, /* bytes arrive */
  CELSLM_AT_AIR,
  CELSLM_AT_TIMER,
  CELSLM_AT_ARRIVAL, /* requests arrive */
  CELSLM_AT_ENGINE,  /* iterations end, after all that may join the next one */
  CELSLM_AT_SAMPLE,  /* observers, last */
} celslm_class;

typedef struct celslm_event {
  celslm_ns time;
  void (*fire)(void *self);
  void *self;
  uint32_t cls, id;
  uint32_t slot;
  bool background; /* changes what happens, but alone it makes nothing happen: a fault, a step */
} celslm_event;

typedef struct celslm_queue celslm_queue;
celslm_queue *celslm_queue_new(void);
void celslm_queue_free(celslm_queue *q);
/* Queues `e` (or moves it, if queued) to fire at `time`. */
void celslm_queue_put(celslm_queue *q, celslm_event *e, celslm_ns time);
void celslm_queue_remove(celslm_queue *q, celslm_event *e); /* no-op if not queued */
celslm_event *celslm_queue_first(celslm_queue *q);          /* NULL when empty */
bool celslm_queue_idle(const celslm_queue *q);              /* empty but for background events */

#endif
