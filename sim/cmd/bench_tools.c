/* bench_tools.c - clock, data, medians, peaks (see bench_tools.h). */
#include "cmd/bench_tools.h"

#include "cmd/bench.h"
#include "cost/fma.h"

#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

double celslm_bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

float *celslm_bench_random(int64_t n) {
  size_t huge = (size_t)2 << 20, bytes = ((size_t)n * sizeof(float) + huge - 1) / huge * huge;
  float *p = aligned_alloc(huge, bytes);
  if (!p) abort();
  madvise(p, bytes, MADV_HUGEPAGE);
  uint32_t s = 12345;
  for (int64_t i = 0; i < n; i++) {
    s = s * 1664525u +
        1013904223u; /* Numerical Recipes' quick generator: good enough to time with */
    p[i] = (float)(s >> 8) * 0x1p-24f - 0.5f;
  }
  return p;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double celslm_bench_median(double *t, int n) {
  qsort(t, (size_t)n, sizeof *t, by_value);
  return n % 2 ? t[n / 2] : 0.5 * (t[n / 2 - 1] + t[n / 2]);
}

int celslm_bench_most(int threads) {
  return threads > 0 ? threads : omp_get_num_procs() < 2 ? 1 : 2;
}

/* ---- the machine: FMA peak and read bandwidth ------------------------------------------------ */

/* GFLOP/s, all threads together. */
double celslm_bench_peak(int threads) {
  const long steps = 300000;
  double t = celslm_bench_now();
#pragma omp parallel num_threads(threads) if (threads > 1)
  celslm_fma_run(steps);
  return threads * (double)steps * celslm_fma_flops() / (celslm_bench_now() - t) * 1e-9;
}

/* GB/s over `bytes`, shared by the threads. */
double celslm_bench_bandwidth(const float *p, int64_t bytes, int threads) {
  int64_t own = bytes / threads / 4096 * 4096;
  double t = celslm_bench_now();
#pragma omp parallel num_threads(threads) if (threads > 1)
  celslm_fma_read((const char *)p + own * omp_get_thread_num(), (size_t)own);
  return 1e-9 * (double)(own * threads) / (celslm_bench_now() - t);
}

void celslm_bench_limits(bool json, int threads, const float *big) {
  double peak[9], bandwidth[9];
  for (int r = 0; r < 9; r++) {
    peak[r] = celslm_bench_peak(threads);
    bandwidth[r] = celslm_bench_bandwidth(big, 256 << 20, threads);
  }
  char name[64];
  snprintf(name, sizeof name, "FMA peak %dt", threads);
  celslm_bench_report(json, name, celslm_bench_median(peak, 9), "GFLOP/s", NULL, NAN, NAN);
  snprintf(name, sizeof name, "read bandwidth %dt, 256 MiB", threads);
  celslm_bench_report(json, name, celslm_bench_median(bandwidth, 9), "GB/s", NULL, NAN, NAN);
}
