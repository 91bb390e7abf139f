/* bench_tools.c - clock, data, medians, peaks (see bench_tools.h). */
#include "cmd/bench_tools.h"

#include <immintrin.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels/kernels.h"

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

/* ---- the machine: FMA peak and read bandwidth ------------------------------------------------ */

__attribute__((target("avx512f"), noinline)) static float fma_512(int64_t n) {
  __m512 a[12], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  for (int i = 0; i < 12; i++) a[i] = _mm512_set1_ps((float)i);
  for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) a[j] = _mm512_fmadd_ps(a[j], x, y);
  __m512 s = a[0];
  for (int i = 1; i < 12; i++) s = _mm512_add_ps(s, a[i]);
  return _mm512_reduce_add_ps(s);
}

__attribute__((target("avx2,fma"), noinline)) static float fma_256(int64_t n) {
  __m256 a[12], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  for (int i = 0; i < 12; i++) a[i] = _mm256_set1_ps((float)i);
  for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) a[j] = _mm256_fmadd_ps(a[j], x, y);
  __m256 s = a[0];
  for (int i = 1; i < 12; i++) s = _mm256_add_ps(s, a[i]);
  return _mm256_cvtss_f32(s);
}

/* Sums n floats, n a multiple of 64 (vector extensions: one form for every CPU). */
__attribute__((target("avx2"), noinline)) static float read_all(const float *p, int64_t n) {
  __m256 s[8];
  for (int j = 0; j < 8; j++) s[j] = _mm256_setzero_ps();
  for (int64_t i = 0; i < n; i += 64)
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) {
      if (j % 2 == 0) _mm_prefetch((const char *)(p + i + 2048 + 8 * j), _MM_HINT_T0);
      s[j] = _mm256_add_ps(s[j], _mm256_loadu_ps(p + i + 8 * j));
    }
  for (int j = 1; j < 8; j++) s[0] = _mm256_add_ps(s[0], s[j]);
  return _mm256_cvtss_f32(s[0]);
}

static volatile float sink;

/* GFLOP/s, all threads together. */
double celslm_bench_peak(int threads) {
  bool wide = celslm_isa_available(CELSLM_ISA_AVX512);
  int64_t n = 300000;
  double t = celslm_bench_now();
#pragma omp parallel num_threads(threads) if (threads > 1)
  sink = wide ? fma_512(n) : fma_256(n);
  return (double)threads * (double)n * 12 * (wide ? 32 : 16) / (celslm_bench_now() - t) * 1e-9;
}

/* GB/s over `bytes`, shared by the threads. */
double celslm_bench_bandwidth(const float *p, int64_t bytes, int threads) {
  int64_t n = bytes / 4 / threads / 64 * 64;
  double t = celslm_bench_now();
#pragma omp parallel num_threads(threads) if (threads > 1)
  sink = read_all(p + n * omp_get_thread_num(), n);
  return 4e-9 * (double)(n * threads) / (celslm_bench_now() - t);
}
