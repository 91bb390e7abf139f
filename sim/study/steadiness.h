/* steadiness.h - how steady a system is: how long a disturbance stays, and how much latency varies.
 *
 * Worked out from the requests of a run, whatever disturbed it: an outage, or a burst. */
#ifndef CELSLM_STUDY_STEADINESS_H
#define CELSLM_STUDY_STEADINESS_H

#include <stddef.h>

typedef struct celslm_recovery {
  double time;   /* s from the end of the disturbance to the first instant with no more requests in
                    the system than on time average before it; INFINITY: never */
  double before; /* that average */
  double peak;   /* most requests in the system from the beginning of the disturbance on */
} celslm_recovery;

/* `arrivals` and `ends` (NaN: still there) of all requests, in any order; the average is over
 * [from, begin), the disturbance [begin, end). */
celslm_recovery celslm_recovery_of(const double *arrivals, const double *ends, size_t n,
                                   double from, double begin, double end);

/* Mean absolute difference between the latencies of requests that follow each other in `latencies`
 * (NaN: left out), as RFC 3550 (section 6.4.1) has it for packets, without its smoothing. NaN with
 * fewer than two. */
double celslm_mean_jitter(const double *latencies, size_t n);

#endif
