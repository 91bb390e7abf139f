/* test_ramp.c - the closed-form sums of iteration lengths against adding them one by one. */
#include "serve/ramp.h"
#include "support.h"

#include <gsl/gsl_rng.h>

START_TEST(test_sum_equals_loop) {
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(r, 1);
  for (int i = 0; i < 4000; i++) {
    int64_t scale =
        (int64_t)1 << gsl_rng_uniform_int(r, 40); /* small ones meet ties and breaks at once */
    celslm_ramp ramp = {(int64_t)gsl_rng_uniform_int(r, 1000),
                        (int64_t)(gsl_rng_uniform(r) * (double)scale),
                        (int64_t)(gsl_rng_uniform(r) * (double)scale / 64),
                        (int64_t)(gsl_rng_uniform(r) * (double)scale),
                        (int64_t)(gsl_rng_uniform(r) * (double)scale / 64)};
    celslm_ticks sum = 0;
    int64_t at = celslm_ramp_break(&ramp);
    bool compute_first = ramp.compute >= ramp.memory;
    for (int64_t k = 0; k < 200; k++) {
      ck_assert(celslm_ramp_sum(&ramp, k) == sum);
      int64_t c = ramp.compute + ramp.compute_slope * k, m = ramp.memory + ramp.memory_slope * k;
      ck_assert(k < at ? (compute_first ? c >= m : m >= c) : (compute_first ? m >= c : c >= m));
      sum += celslm_ramp_at(&ramp, k);
    }
  }
  gsl_rng_free(r);
}
END_TEST

/* An hour of nanosecond iterations, and lengths near the end of the range, do not overflow. */
START_TEST(test_large) {
  celslm_ramp ramp = {(int64_t)1 << 50, (int64_t)1 << 55, 1 << 20, 0, 1 << 21};
  int64_t k = 1 << 22;
  celslm_ticks expected = (celslm_ticks)k * (((int64_t)1 << 50) + ((int64_t)1 << 55)) +
                          (celslm_ticks)(1 << 20) * ((celslm_ticks)k * (k - 1) / 2);
  ck_assert(celslm_ramp_sum(&ramp, k) == expected);
}
END_TEST

RUN_SUITE("ramp", test_sum_equals_loop, test_large)
