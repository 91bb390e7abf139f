/* Means, intervals, quantiles and fairness against closed forms, tables and numpy. */
#include "base/rng.h"
#include "record/statistics.h"

#include <check.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* Two values per batch, batch means 1 .. b: their standard deviation is sqrt(b (b + 1) / 12). The
 * factors are from the tables of Student's t (two-sided). */
START_TEST(intervals_use_students_t) {
  static const struct {
    size_t batches;
    double level, t;
  } cases[] = {
      {2, 0.95, 12.706204736432095}, {3, 0.95, 4.302652729911275},   {5, 0.95, 2.7764451051977987},
      {10, 0.9, 1.8331129326536335}, {10, 0.95, 2.262157162740992},  {20, 0.95, 2.093024054408263},
      {20, 0.99, 2.860934606449914}, {31, 0.95, 2.0422724563012373}, {101, 0.99, 2.625890521},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t b = cases[i].batches;
    double values[202];
    for (size_t j = 0; j < b; j++) {
      values[2 * j] = (double)(j + 1) - 0.25;
      values[2 * j + 1] = (double)(j + 1) + 0.25;
    }
    celslm_estimate e = celslm_batch_means(values, 2 * b, b, cases[i].level);
    double mean = ((double)b + 1) / 2;
    double half = cases[i].t * sqrt((double)b * ((double)b + 1) / 12 / (double)b);
    ck_assert_double_eq_tol(e.mean, mean, 1e-12);
    ck_assert_double_eq_tol(e.high - mean, half, half * 1e-9);
    ck_assert_double_eq_tol(mean - e.low, half, half * 1e-9);
  }
}
END_TEST

/* Of many experiments with independent normal values, as many intervals cover the true mean as they
 * promise, within three standard deviations of that count. */
START_TEST(intervals_cover_the_mean) {
  static const struct {
    size_t n, batches;
    double level;
  } cases[] = {{40, 20, 0.95}, {200, 20, 0.95}, {207, 20, 0.9}, {1000, 20, 0.99}, {90, 5, 0.5}};
  enum { EXPERIMENTS = 4000 };
  gsl_rng *rng = celslm_rng(5, "coverage");
  double values[1000];
  int covered = 0;
  for (int i = 0; i < EXPERIMENTS; i++) {
    for (size_t j = 0; j < cases[_i].n; j++) values[j] = 10 + gsl_ran_gaussian(rng, 3);
    celslm_estimate e = celslm_batch_means(values, cases[_i].n, cases[_i].batches, cases[_i].level);
    covered += e.low <= 10 && 10 <= e.high;
  }
  double p = cases[_i].level, tolerance = 3 * sqrt(EXPERIMENTS * p * (1 - p));
  ck_assert_double_eq_tol(covered, EXPERIMENTS * p, tolerance);
  gsl_rng_free(rng);
}
END_TEST

START_TEST(means_of_few_values) {
  const double values[] = {1, NAN, 2, 3, NAN, 6};
  celslm_estimate e = celslm_batch_means(values, 6, 2, 0.95); /* 4 values: 1.5 and 4.5 */
  ck_assert_double_eq_tol(e.mean, 3, 1e-15);
  ck_assert_double_eq_tol(e.high - 3, 12.706204736432095 * 1.5, 1e-9);
  static const struct {
    size_t n, batches;
    double mean;
  } without[] = {{6, 3, 3}, {6, 20, 3}, {1, 2, 1}, {6, 1, 3}, {6, 0, 3}};
  for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
    e = celslm_batch_means(values, without[i].n, without[i].batches, 0.95);
    ck_assert_double_eq_tol(e.mean, without[i].mean, 1e-15);
    ck_assert(isnan(e.low) && isnan(e.high));
  }
  e = celslm_batch_means(values + 1, 1, 20, 0.95);
  ck_assert(isnan(e.mean) && isnan(e.low) && isnan(e.high));
  e = celslm_batch_means(values, 0, 20, 0.95);
  ck_assert(isnan(e.mean));
}
END_TEST

/* The remainder is spread over the first batches: all values count. */
START_TEST(batches_of_unequal_length) {
  const double values[] = {1, 1, 1, 4, 4}; /* batches of 3 and 2 */
  celslm_estimate e = celslm_batch_means(values, 5, 2, 0.95);
  ck_assert_double_eq_tol(e.mean, 2.2, 1e-15);
  ck_assert_double_eq_tol(e.high - e.mean, 12.706204736432095 * 1.5, 1e-9);
}
END_TEST

/* numpy.quantile of the same values. */
START_TEST(quantiles_are_numpys) {
  const double values[] = {3.5, NAN, 1.25, 2, 10, 7.5, 0.5, NAN, 4};
  static const struct {
    double q, value;
  } cases[] = {{0, 0.5},   {0.1, 0.95},  {0.25, 1.625}, {0.5, 3.5},
               {0.9, 8.5}, {0.95, 9.25}, {0.99, 9.85},  {1, 10}};
  enum { N = sizeof cases / sizeof *cases };
  double q[N], out[N];
  for (int i = 0; i < N; i++) {
    q[i] = cases[i].q;
    ck_assert_double_eq_tol(celslm_quantile(values, 9, q[i]), cases[i].value, 1e-12);
  }
  celslm_quantiles(values, 9, q, N, out);
  for (int i = 0; i < N; i++) ck_assert_double_eq_tol(out[i], cases[i].value, 1e-12);
  ck_assert_double_eq(values[0], 3.5); /* a copy was sorted */
  ck_assert_double_eq(celslm_quantile(values, 1, 0.3), 3.5);
  ck_assert(isnan(celslm_quantile(values, 0, 0.5)));
  ck_assert(isnan(celslm_quantile(values + 1, 1, 0.5)));
}
END_TEST

START_TEST(fairness) {
  double values[100];
  for (int i = 0; i < 100; i++) values[i] = 3.7;
  ck_assert_double_eq_tol(celslm_jain(values, 100), 1, 1e-14);
  for (int i = 30; i < 100; i++) values[i] = 0; /* k of n share equally: k/n */
  ck_assert_double_eq_tol(celslm_jain(values, 100), 0.3, 1e-14);
  for (int i = 0; i < 100; i++) values[i] = i + 1; /* 1 .. n: 3 (n + 1) / (2 (2 n + 1)) */
  ck_assert_double_eq_tol(celslm_jain(values, 100), 3 * 101 / (2.0 * 201), 1e-14);
  ck_assert_double_eq_tol(celslm_jain((const double[]){1, NAN, 3}, 3), 0.8, 1e-15);
  ck_assert_double_eq(celslm_jain((const double[]){0, 0}, 2), 1); /* all the same */
  ck_assert(isnan(celslm_jain(values, 0)));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("statistics");
  TCase *statistics = tcase_create("statistics");
  tcase_add_test(statistics, intervals_use_students_t);
  tcase_add_loop_test(statistics, intervals_cover_the_mean, 0, 5);
  tcase_add_test(statistics, means_of_few_values);
  tcase_add_test(statistics, batches_of_unequal_length);
  tcase_add_test(statistics, quantiles_are_numpys);
  tcase_add_test(statistics, fairness);
  suite_add_tcase(suite, statistics);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
