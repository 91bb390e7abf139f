/* bench_tools.h - what the kernel benchmarks share: clock, random data, medians, and the machine's
 * own limits, which are measured between the others' times. */
#ifndef CELSLM_CMD_BENCH_TOOLS_H
#define CELSLM_CMD_BENCH_TOOLS_H

#include <stdbool.h>
#include <stdint.h>

double celslm_bench_now(void); /* s */
/* In (-0.5, 0.5), on large pages; free with free(). */
float *celslm_bench_random(int64_t n);
double celslm_bench_median(double *t, int n); /* reorders */
double celslm_bench_peak(int threads);        /* multiply-adds from registers, GFLOP/s */
/* GB/s of reading `bytes`, shared by the threads. */
double celslm_bench_bandwidth(const float *p, int64_t bytes, int threads);
void celslm_bench_threads(int n); /* of our kernels and all peers: bench_peers.c */

/* The most threads of a suite that was asked for `threads`: itself, or 0: two where there are two.
 */
int celslm_bench_most(int threads);

/* The machine's limits as figures of their own; `big` has 256 MiB to read. */
void celslm_bench_limits(bool json, int threads, const float *big);
/* bench_attention.c: attention at one thread count. */
void celslm_bench_attention_part(bool json, int threads, const float *big);

#endif
