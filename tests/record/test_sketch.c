/* The sketch: quantiles within the promised relative error of exact ones, counts that do not depend
 * on how values were added. */
#include "base/rng.h"
#include "record/sketch.h"
#include "record/statistics.h"

#include <check.h>
#include <float.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

enum { N = 20000 };
static const double quantiles[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1};
enum { N_QUANTILES = sizeof quantiles / sizeof *quantiles };

static double draw(gsl_rng *rng, int distribution) {
  switch (distribution) {
  case 0:
    return gsl_ran_exponential(rng, 0.02);
  case 1:
    return gsl_ran_lognormal(rng, -3, 2.5);
  case 2:
    return gsl_ran_pareto(rng, 1.1, 1e-6);
  case 3:
    return 1 + floor(5 * gsl_rng_uniform(rng)); /* five values */
  default:
    return gsl_rng_uniform(rng) < 0.3 ? 0 : exp(40 * gsl_rng_uniform(rng) - 20);
  }
}

static void assert_quantiles(const celslm_sketch *s, const double *values, size_t n, double error) {
  double exact[N_QUANTILES];
  celslm_quantiles(values, n, quantiles, N_QUANTILES, exact);
  for (size_t i = 0; i < N_QUANTILES; i++) {
    double told = celslm_sketch_quantile(s, quantiles[i]);
    ck_assert_msg(fabs(told - exact[i]) <= error * exact[i] * (1 + 1e-9), "q %g: %g, exactly %g",
                  quantiles[i], told, exact[i]);
  }
}

START_TEST(quantiles_are_within_the_error) {
  static const double errors[] = {0.001, 0.005, 0.02, 0.2};
  double *values = malloc(N * sizeof *values);
  for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
    gsl_rng *rng = celslm_rng(17, "sketch");
    celslm_sketch *s = celslm_sketch_new(errors[e]);
    double sum = 0;
    for (size_t i = 0; i < N; i++) {
      values[i] = draw(rng, _i);
      sum += values[i];
      celslm_sketch_add(s, values[i], 1);
    }
    ck_assert_uint_eq(celslm_sketch_count(s), N);
    assert_quantiles(s, values, N, errors[e]);
    ck_assert_double_le(fabs(celslm_sketch_mean(s) * N - sum), errors[e] * sum * (1 + 1e-9));
    celslm_sketch_free(s);
    gsl_rng_free(rng);
  }
  free(values);
}
END_TEST

/* Equal counts show as equal quantiles everywhere. */
static void assert_same(const celslm_sketch *a, const celslm_sketch *b) {
  ck_assert_uint_eq(celslm_sketch_count(a), celslm_sketch_count(b));
  for (int i = 0; i <= 5000; i++) {
    double x = celslm_sketch_quantile(a, i / 5000.0), y = celslm_sketch_quantile(b, i / 5000.0);
    ck_assert_msg(x == y || (isnan(x) && isnan(y)), "q %g: %.17g and %.17g", i / 5000.0, x, y);
  }
}

START_TEST(merging_adds_up) {
  gsl_rng *rng = celslm_rng(18, "sketch");
  celslm_sketch *whole = celslm_sketch_new(0.01), *odd = celslm_sketch_new(0.01);
  celslm_sketch *even = celslm_sketch_new(0.01), *back = celslm_sketch_new(0.01);
  double values[2000];
  for (int i = 0; i < 2000; i++) {
    values[i] = draw(rng, 4);
    celslm_sketch_add(whole, values[i], 3);
    celslm_sketch_add(i % 2 ? odd : even, values[i], 3);
  }
  for (int i = 1999; i >= 0; i--) celslm_sketch_add(back, values[i], 3);
  celslm_sketch_merge(odd, even);
  assert_same(whole, odd);
  assert_same(whole, back);
  celslm_sketch *empty = celslm_sketch_new(0.01);
  celslm_sketch_merge(empty, whole);
  assert_same(whole, empty);
  celslm_sketch_free(empty);
  celslm_sketch_free(back);
  celslm_sketch_free(even);
  celslm_sketch_free(odd);
  celslm_sketch_free(whole);
  gsl_rng_free(rng);
}
END_TEST

/* A ramp is its values one by one. Values within rounding of an edge may differ: at most one each
 * of some thousands here, so the quantiles are compared within twice the error. */
START_TEST(a_ramp_is_many_adds) {
  gsl_rng *rng = celslm_rng(19, "ramps");
  uint64_t differing = 0, total = 0;
  for (int i = 0; i < 300; i++) {
    double first = exp(12 * gsl_rng_uniform(rng) - 8) * (i % 11 ? 1 : -1);
    double slope = i % 7 ? fabs(first) * exp(16 * gsl_rng_uniform(rng) - 16) : 0;
    uint64_t k = 1 + gsl_rng_uniform_int(rng, i % 3 ? 30 : 5000), weight = 1 + (uint64_t)i % 4;
    celslm_sketch *ramp = celslm_sketch_new(0.005), *single = celslm_sketch_new(0.005);
    celslm_sketch_add_ramp(ramp, first, slope, k, weight);
    for (uint64_t j = 0; j < k; j++) celslm_sketch_add(single, first + (double)j * slope, weight);
    ck_assert_uint_eq(celslm_sketch_count(ramp), k * weight);
    ck_assert_uint_eq(celslm_sketch_count(single), k * weight);
    for (uint64_t j = 0; j < k; j++) {
      double q = k > 1 ? (double)j / (double)(k - 1) : 0;
      double x = celslm_sketch_quantile(ramp, q), y = celslm_sketch_quantile(single, q);
      ck_assert_double_le(fabs(x - y), 0.011 * fabs(y));
      differing += fabs(x - y) > 1e-6 * fabs(y);
      total++;
    }
    celslm_sketch_free(ramp);
    celslm_sketch_free(single);
  }
  ck_assert_uint_gt(total, 100000);
  ck_assert_uint_le(differing, 30);
  gsl_rng_free(rng);
}
END_TEST

START_TEST(a_long_ramp_is_cheap) {
  celslm_sketch *s = celslm_sketch_new(0.005);
  celslm_sketch_add_ramp(s, 0.02, 1e-13, 1000000000000, 8); /* 0.02 .. 0.12 in 10^12 steps */
  ck_assert_uint_eq(celslm_sketch_count(s), 8000000000000);
  ck_assert_double_le(fabs(celslm_sketch_quantile(s, 0.5) - 0.07), 0.005 * 0.07 * 1.0001);
  celslm_sketch_free(s);
}
END_TEST

START_TEST(odd_values) {
  celslm_sketch *s = celslm_sketch_new(0.01);
  ck_assert(isnan(celslm_sketch_quantile(s, 0.5)) && isnan(celslm_sketch_mean(s)));
  celslm_sketch_add(s, NAN, 1); /* left out */
  celslm_sketch_add(s, 5, 0);
  celslm_sketch_add_ramp(s, 5, 1, 0, 1);
  ck_assert_uint_eq(celslm_sketch_count(s), 0);
  celslm_sketch_add(s, 0, 2);
  celslm_sketch_add(s, -3, 1); /* counts as zero */
  ck_assert_double_eq(celslm_sketch_quantile(s, 1), 0);
  celslm_sketch_add(s, DBL_MIN, 1);
  celslm_sketch_add(s, INFINITY, 1); /* counts as the largest number */
  celslm_sketch_add(s, DBL_MAX, 1);
  ck_assert_uint_eq(celslm_sketch_count(s), 6);
  ck_assert_double_eq(celslm_sketch_quantile(s, 0.4), 0);
  ck_assert_double_le(fabs(celslm_sketch_quantile(s, 0.6) / DBL_MIN - 1), 0.0101);
  ck_assert_double_ge(celslm_sketch_quantile(s, 1), DBL_MAX * 0.98);
  celslm_sketch_free(s);
  celslm_sketch_free(NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sketch");
  TCase *sketch = tcase_create("sketch");
  tcase_add_loop_test(sketch, quantiles_are_within_the_error, 0, 5);
  tcase_add_test(sketch, merging_adds_up);
  tcase_add_test(sketch, a_ramp_is_many_adds);
  tcase_add_test(sketch, a_long_ramp_is_cheap);
  tcase_add_test(sketch, odd_values);
  suite_add_tcase(suite, sketch);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
