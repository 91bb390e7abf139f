/* capacity.h - the highest load that a strategy carries.
 *
 * A load is carried if it is stable and meets the objectives. For every strategy and replication
 * (same seeds for all: common random numbers) the limit is found by doubling and bisection on a
 * logarithmic scale; replications are independent, so Student's t gives the interval of their mean,
 * on that scale as well.
 *
 *   objectives  at least a given share of the requests that arrived after the warm-up completed
 *               within every objective of <slo> (goodput as in Y. Zhong et al., "DistServe", OSDI
 *               2024, which uses 90 %)
 *   stability   the number of requests in the system, over the time from the warm-up to the last
 *               arrival, has no drift: the least-squares slope through its means over 20 equal
 *               windows is not significantly above 0 (one-sided t-test, 1 %), or it adds up to less
 *               than 5 % of the requests that arrived in that time. Both bounds are our choice: the
 *               windows are correlated, so significance alone would see drift in every queue.
 *
 * How steady it is besides, at the first value of the load (the scenario's own): the jitter of
 * TTFT, and after a disturbance how long it takes to be as before, and how many were in the system
 * meanwhile (recovery.h). What is disturbed is the time of the scenario's timed faults, or as
 * asked. */
#ifndef CELSLM_STUDY_CAPACITY_H
#define CELSLM_STUDY_CAPACITY_H

#include "scenario/scenario.h"

#include <signal.h>
#include <stddef.h>

typedef struct celslm_capacity_options {
  const char *scenario;
  const char *const *set;
  int n_set;
  const char *load; /* XPath of the load; larger must mean more */
  double start;     /* its first value, more than 0, and ... */
  const char *unit; /* ... unit, as they are written: 2 and "/s" */
  int64_t requests; /* at the start; above it in proportion, so that runs cover the same time; 0: as
                       the scenario says */
  double disturbed_from, disturbed_until; /* s: of a burst, say; NaN: timed faults, if any */
  double share;                           /* of requests that must meet the objectives, 0..1 */
  double tolerance;                       /* relative width of the last bracket */
  int64_t replications;
  long jobs;
  bool progress;
  const volatile sig_atomic_t *interrupt;
} celslm_capacity_options;

typedef struct celslm_limit {
  double mean, low, high; /* geometric, over the replications; 95 % interval, NaN with one */
} celslm_limit;

typedef struct celslm_mean { /* over the replications; 95 % interval; NaN: not known */
  double mean, low, high;
} celslm_mean;

typedef struct celslm_capacity {
  celslm_limit good;          /* stable and within the objectives */
  celslm_limit stable;        /* only stable */
  celslm_mean jitter;         /* of TTFT, s */
  celslm_mean recovery, peak; /* s; requests in the system. INFINITY: some did not recover */
} celslm_capacity;

/* Fills out[s] for every strategy of the scenario `s`, which is the one of the options. A limit of
 * 0 means that no load was carried, INFINITY that none was too much (2^20 from the start either
 * way). */
bool celslm_capacity_find(const celslm_scenario *s, const celslm_capacity_options *o,
                          celslm_capacity *out, celslm_error *err);

/* Whether the number in the system drifts upwards: `arrivals` and `ends` (NaN: still there) of all
 * requests, between `from` and `to`. */
bool celslm_drifts(const double *arrivals, const double *ends, size_t n, double from, double to);

#endif
