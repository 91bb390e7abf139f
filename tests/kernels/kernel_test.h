/* kernel_test.h - what the kernel suites share: reproducible random numbers, error measures, and a
 * loop over every dispatch level this CPU has. */
#ifndef CELSLM_TESTS_KERNEL_TEST_H
#define CELSLM_TESTS_KERNEL_TEST_H

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators". */
static uint64_t rng_state = 1;
static inline void rng_seed(uint64_t s) {
  rng_state = s * 0x9E3779B97F4A7C15u + 1;
}
static inline uint64_t rng_next(void) {
  rng_state ^= rng_state >> 12;
  rng_state ^= rng_state << 25;
  rng_state ^= rng_state >> 27;
  return rng_state * 0x2545F4914F6CDD1Du;
}
/* Uniform in [lo, hi]. */
static inline int64_t rng_int(int64_t lo, int64_t hi) {
  return lo + (int64_t)(rng_next() >> 11) % (hi - lo + 1);
}
/* About normal: the sum of four uniforms, variance 1. */
static inline float rng_float(void) {
  double s = 0;
  for (int i = 0; i < 4; i++) s += (double)(rng_next() >> 11) * 0x1p-53 - 0.5;
  return (float)(s * 1.7320508075688772);
}
/* n random floats at an address that is a multiple of 4 only. Free with rng_free. */
static inline float *rng_floats(int64_t n) {
  float *p = malloc((size_t)(n + 1) * sizeof *p);
  ck_assert_ptr_nonnull(p);
  for (int64_t i = 0; i < n; i++) p[i + 1] = rng_float();
  return p + 1;
}
static inline void rng_free(float *p) {
  free(p - 1);
}

/* Relative L2 error of x against y. */
static inline double relative_error(int64_t n, const float *x, const float *y) {
  double e = 0, s = 0;
  for (int64_t i = 0; i < n; i++) {
    double d = (double)x[i] - (double)y[i];
    e += d * d;
    s += (double)y[i] * (double)y[i];
  }
  return s > 0 ? sqrt(e / s) : sqrt(e);
}

/* Rounds of a random test: fewer where the sanitizers make each several times slower. */
#ifdef __SANITIZE_ADDRESS__
#define ROUNDS(n) ((n) / 4 + 1)
#else
#define ROUNDS(n) (n)
#endif

#define FOR_LEVELS(l)                                                                              \
  for (int l = CELSLM_ISA_PORTABLE; l <= CELSLM_ISA_AVX512; l++)                                   \
    if (celslm_isa_set((enum celslm_isa_level)l))

static inline int run_suite(Suite *s) {
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
