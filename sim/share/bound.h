/* bound.h - what the best store could have hit, had it known the future.
 *
 * A sequence of requests for contexts, served one after the other by a store that may let a context
 * pass without keeping it. With equal sizes Belady's rule is optimal: what is wanted again last
 * goes (IBM Systems Journal 5(2), 1966). With sizes that differ the best is hard to find; the flow
 * bound is at least as good: between two requests for a context any share of it may be kept, which
 * is a flow of `capacity` along the sequence (FOO of Berger, Beckmann and Harchol-Balter,
 * "Practical Bounds on Optimal Caching with Variable Object Sizes", ACM POMACS 2(2), 2018). Long
 * sequences are cut into windows, at whose ends what is kept changes freely: that too can only
 * raise the bound.
 *
 * No store without foresight can beat them, unless contexts come to it that nobody asked for (a
 * warm start, pushes, migration). */
#ifndef CELSLM_SHARE_BOUND_H
#define CELSLM_SHARE_BOUND_H

#include <stddef.h>
#include <stdint.h>

/* Hits among the n requests, if `slots` contexts of 0..n_contexts-1 fit. */
int64_t celslm_bound_belady(const int *wanted, size_t n, int n_contexts, int64_t slots);

/* No less than the most that hits can be worth: worth[c] for each request for context c that finds
 * it, NULL: 1. `bytes` by context; `window` >= 2 requests. */
double celslm_bound_flow(const int *wanted, size_t n, const double *bytes, const double *worth,
                         int n_contexts, double capacity, size_t window);

#endif
