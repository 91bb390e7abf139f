/* test_fit.c - the fit of cost curves: it finds the curve that made the data, through noise and
 * outliers, stays below the roofline, and says so when the data cannot tell. */
#include "cost/fit.h"

#include <check.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 600 };
static const celslm_fit_limits limits = {1e15, 1e13};

/* Curves of unlike machines: a slow core, a fast one, an accelerator. */
static const celslm_curve truths[] = {
    {.flop_rate = 100e9, .half_rows = 15, .byte_rate = 12e9, .latency = 3e-6},
    {.flop_rate = 205e9, .half_rows = 1.5, .byte_rate = 30e9, .latency = 20e-6},
    {.flop_rate = 90e9, .half_rows = 8, .byte_rate = 10e9, .latency = 1e-6},
    {.flop_rate = 60e12, .half_rows = 40, .byte_rate = 1.7e12, .latency = 5e-6},
};
enum { TRUTHS = sizeof truths / sizeof *truths };

static int64_t power(gsl_rng *r, double low, double high) {
  return llround(exp2(gsl_ran_flat(r, low, high)));
}

/* Products of random shapes: 24 matrices, each with m from 1 to 512. Matrices of an accelerator are
 * larger. */
static int products(celslm_timing *t, const celslm_curve *c, gsl_rng *r) {
  int n = 0;
  double more = c->flop_rate > 1e12 ? 2.5 : 0;
  for (int shape = 0; shape < 24; shape++) {
    double outputs = (double)power(r, 4 + more, 12 + more), inputs = (double)power(r, 5, 12 + more);
    for (double m = 1; m <= 512; m *= 2, n++) {
      t[n] = (celslm_timing){.flops = 2 * m * outputs * inputs,
                             .bytes = 4 * (outputs * inputs + m * (outputs + inputs)),
                             .rows = m,
                             .shape = shape};
      t[n].seconds = celslm_curve_seconds(c, &t[n]);
    }
  }
  return n;
}

static double off(double value, double truth) {
  return fabs(value / truth - 1);
}

START_TEST(test_exact) {
  celslm_timing t[MOST];
  celslm_fit f;
  celslm_error err = {0};
  const celslm_curve *truth = &truths[_i];
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int n = products(t, truth, r);
  ck_assert_msg(celslm_fit_curve(t, n, limits, &f, &err), "%s", err.text);
  ck_assert_double_lt(off(f.curve.flop_rate, truth->flop_rate), 1e-3);
  ck_assert_double_lt(off(f.curve.half_rows, truth->half_rows), 1e-3);
  ck_assert_double_lt(off(f.curve.byte_rate, truth->byte_rate), 1e-3);
  ck_assert_double_lt(off(f.curve.latency, truth->latency), 1e-3);
  ck_assert_double_lt(f.curve.residual_p95, 1e-3);
  ck_assert(f.flop_rate_seen && f.half_rows_seen && f.byte_rate_seen);
  ck_assert_int_eq(f.shapes + f.held_shapes, 24);
  ck_assert_int_eq(f.held_shapes, 6);
  ck_assert_int_eq(f.samples + f.held_samples, n);
  ck_assert_double_eq(f.curve.rows_min, 1);
  ck_assert_double_eq(f.curve.rows_max, 512);
  gsl_rng_free(r);
}
END_TEST

/* 5 % log-normal noise, then also 5 % of the timings 2 to 6 times too long. The tolerances are
 * about four standard deviations of the estimates over many seeds. */
START_TEST(test_noise) {
  celslm_timing t[MOST];
  celslm_fit f;
  celslm_error err = {0};
  const celslm_curve *truth = &truths[_i / 20];
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  gsl_rng_set(r, (unsigned long)_i + 1);
  int n = products(t, truth, r);
  bool outliers = _i % 2;
  for (int i = 0; i < n; i++) {
    t[i].seconds *= exp(gsl_ran_gaussian(r, 0.05));
    if (outliers && gsl_rng_uniform(r) < 0.05) t[i].seconds *= gsl_ran_flat(r, 2, 6);
  }
  ck_assert_msg(celslm_fit_curve(t, n, limits, &f, &err), "%s", err.text);
  ck_assert_double_lt(off(f.curve.flop_rate, truth->flop_rate), 0.04);
  /* half_rows shows only where m is past the bend, so a small one is known to a token or so. */
  ck_assert_double_lt(fabs(f.curve.half_rows - truth->half_rows), 0.25 * truth->half_rows + 1);
  ck_assert_double_lt(off(f.curve.byte_rate, truth->byte_rate), 0.05);
  ck_assert_double_lt(off(f.curve.latency, truth->latency), 0.35);
  /* The median of |N(0, 5 %)| is 3.4 %; outliers show in the tail. */
  ck_assert_double_lt(fabs(f.curve.residual_median - 0.034), 0.02);
  ck_assert_double_gt(f.curve.residual_p95, 0.06);
  if (!outliers) ck_assert_double_lt(f.curve.residual_p95, 0.15);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_limits) {
  /* The machine cannot be faster than its peaks, whatever the timings say. */
  celslm_timing t[MOST];
  celslm_fit f;
  celslm_error err = {0};
  const celslm_curve *truth = &truths[_i];
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int n = products(t, truth, r);
  for (int which = 1; which <= 3; which++) {
    celslm_fit_limits low = {truth->flop_rate * (which & 1 ? 0.8 : 4),
                             truth->byte_rate * (which & 2 ? 0.7 : 4)};
    ck_assert_msg(celslm_fit_curve(t, n, low, &f, &err), "%s", err.text);
    ck_assert_double_le(f.curve.flop_rate, low.flop_rate);
    ck_assert_double_le(f.curve.byte_rate, low.byte_rate);
    if (which & 1) ck_assert_double_gt(f.curve.flop_rate, 0.999 * low.flop_rate);
    if (which & 2) ck_assert_double_gt(f.curve.byte_rate, 0.999 * low.byte_rate);
    for (int i = 0; i < n; i++) {
      double t_i = celslm_curve_seconds(&f.curve, &t[i]);
      ck_assert_double_ge(t_i, t[i].flops / low.flop_rate);
      ck_assert_double_ge(t_i, t[i].bytes / low.byte_rate);
    }
  }
  gsl_rng_free(r);
}
END_TEST

/* Keeps the samples of one side of the roofline. */
static int one_side(celslm_timing *t, int n, const celslm_curve *c, bool compute) {
  int kept = 0;
  for (int i = 0; i < n; i++)
    if ((t[i].flops * (1 + c->half_rows / t[i].rows) / c->flop_rate > t[i].bytes / c->byte_rate) ==
        compute)
      t[kept++] = t[i];
  return kept;
}

START_TEST(test_memory_bound) {
  celslm_timing t[MOST];
  celslm_fit f;
  celslm_error err = {0};
  celslm_curve truth = {.flop_rate = 205e9, .half_rows = 0, .byte_rate = 12e9, .latency = 5e-6};
  celslm_fit_limits own = {230e9, 14e9};
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int n = one_side(t, products(t, &truth, r), &truth, false);
  if (_i == 1)
    for (int i = 0; i < n; i++) t[i].flops = 0;
  ck_assert_msg(celslm_fit_curve(t, n, own, &f, &err), "%s", err.text);
  ck_assert(!f.flop_rate_seen && !f.half_rows_seen && f.byte_rate_seen);
  ck_assert_double_eq(f.curve.flop_rate, own.flop_rate);
  ck_assert_double_eq(f.curve.half_rows, 0);
  ck_assert_double_lt(off(f.curve.byte_rate, truth.byte_rate), 1e-3);
  ck_assert_double_lt(off(f.curve.latency, truth.latency), 1e-2);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_compute_bound) {
  celslm_timing t[MOST];
  celslm_fit f;
  celslm_error err = {0};
  celslm_fit_limits own = {230e9, 14e9};
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int n = one_side(t, products(t, &truths[0], r), &truths[0], true);
  ck_assert_msg(celslm_fit_curve(t, n, own, &f, &err), "%s", err.text);
  ck_assert(f.flop_rate_seen && f.half_rows_seen && !f.byte_rate_seen);
  ck_assert_double_eq(f.curve.byte_rate, own.byte_rate);
  ck_assert_double_lt(off(f.curve.flop_rate, truths[0].flop_rate), 1e-3);
  /* All with the same rows: half_rows is part of the rate. */
  for (int i = 0; i < n; i++) {
    t[i].rows = 64;
    t[i].flops = 1e8 * (i + 1);
    t[i].bytes = 1e6;
    t[i].shape = i;
    t[i].seconds = 1e-6 + t[i].flops / 50e9;
  }
  ck_assert_msg(celslm_fit_curve(t, n, own, &f, &err), "%s", err.text);
  ck_assert(!f.half_rows_seen);
  ck_assert_double_eq(f.curve.half_rows, 0);
  ck_assert_double_lt(off(f.curve.flop_rate, 50e9), 1e-2);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_held_out) {
  /* What is held out does not touch the fit, only its residuals. Which shapes those are shows when
   * each in turn is spoilt. */
  celslm_timing t[MOST], spoilt[MOST];
  celslm_fit f, g;
  int held = 0;
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int n = products(t, &truths[0], r);
  for (int i = 0; i < n; i++) t[i].seconds *= exp(gsl_ran_gaussian(r, 0.05));
  ck_assert(celslm_fit_curve(t, n, limits, &f, NULL));
  for (int shape = 0; shape < 24; shape++) {
    memcpy(spoilt, t, sizeof t);
    for (int i = 0; i < n; i++)
      if (spoilt[i].shape == shape) spoilt[i].seconds *= 2;
    ck_assert(celslm_fit_curve(spoilt, n, limits, &g, NULL));
    bool same = memcmp(&f.curve.flop_rate, &g.curve.flop_rate, sizeof(double)) == 0 &&
                memcmp(&f.curve.half_rows, &g.curve.half_rows, sizeof(double)) == 0;
    held += same;
    if (same) ck_assert_double_gt(g.curve.residual_p95, f.curve.residual_p95);
  }
  ck_assert_int_eq(held, f.held_shapes);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_few_shapes) {
  /* Fewer than four: nothing is held out, and it says so. */
  celslm_timing t[MOST];
  celslm_fit f;
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int n = products(t, &truths[0], r);
  for (int i = 0; i < n; i++) t[i].shape %= 3;
  ck_assert(celslm_fit_curve(t, n, limits, &f, NULL));
  ck_assert_int_eq(f.held_shapes, 0);
  ck_assert_int_eq(f.held_samples, 0);
  ck_assert_int_eq(f.samples, n);
  ck_assert_double_lt(f.curve.residual_median, 1e-3);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_repeatable) {
  celslm_timing t[MOST];
  celslm_fit f, g;
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int n = products(t, &truths[1], r);
  for (int i = 0; i < n; i++) t[i].seconds *= exp(gsl_ran_gaussian(r, 0.1));
  ck_assert(celslm_fit_curve(t, n, limits, &f, NULL));
  ck_assert(celslm_fit_curve(t, n, limits, &g, NULL));
  ck_assert_mem_eq(&f, &g, sizeof f);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_refusals) {
  celslm_timing t[MOST];
  celslm_fit f;
  celslm_error err = {0};
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  products(t, &truths[0], r);
  gsl_rng_free(r);
  ck_assert(!celslm_fit_curve(t, 0, limits, &f, &err));
  ck_assert_str_eq(err.text, "celslm: 0 samples outside the held-out shapes are too few to fit a "
                             "curve; give at least 6");
  err = (celslm_error){0};
  ck_assert(!celslm_fit_curve(t, 5, limits, &f, &err));
  ck_assert_ptr_nonnull(strstr(err.text, "5 samples"));
  static const double bad[] = {NAN, 0, -1, INFINITY};
  for (int i = 0; i < 4; i++) {
    celslm_timing u[20];
    err = (celslm_error){0};
    memcpy(u, t, sizeof u);
    u[7].seconds = bad[i];
    ck_assert(!celslm_fit_curve(u, 20, limits, &f, &err));
    ck_assert_msg(strstr(err.text, "sample 7 has seconds"), "%s", err.text);
    u[7] = t[7];
    u[7].rows = bad[i];
    ck_assert(!celslm_fit_curve(u, 20, limits, &f, NULL));
    u[7] = t[7];
    u[7].bytes = bad[i];
    ck_assert(!celslm_fit_curve(u, 20, limits, &f, NULL));
    u[7] = t[7];
    u[7].flops = bad[i];
    ck_assert(celslm_fit_curve(u, 20, limits, &f, NULL) == (i == 1));
    ck_assert(!celslm_fit_curve(t, 20, (celslm_fit_limits){bad[i], 1e9}, &f, NULL));
    ck_assert(!celslm_fit_curve(t, 20, (celslm_fit_limits){1e9, bad[i]}, &f, NULL));
  }
}
END_TEST

START_TEST(test_nonsense) {
  /* Timings that no curve explains still give a curve one can compute with. */
  celslm_timing t[MOST];
  celslm_fit f;
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  gsl_rng_set(r, (unsigned long)_i + 1);
  int n = 6 + (int)gsl_rng_uniform_int(r, 60);
  double spread = gsl_ran_flat(r, 0, 30);
  for (int i = 0; i < n; i++)
    t[i] = (celslm_timing){.flops = _i % 3 ? exp2(gsl_ran_flat(r, 0, 50)) : 0,
                           .bytes = _i % 5 ? exp2(gsl_ran_flat(r, 0, 40)) : 1,
                           .rows = _i % 7 ? exp2(gsl_ran_flat(r, 0, 12)) : 3,
                           .seconds = exp2(gsl_ran_flat(r, -spread - 1, spread / 2)),
                           .shape = _i % 2 ? i : 0};
  celslm_fit_limits low = {exp2(gsl_ran_flat(r, 20, 50)), exp2(gsl_ran_flat(r, 20, 45))};
  if (celslm_fit_curve(t, n, low, &f, NULL)) {
    const celslm_curve *c = &f.curve;
    ck_assert(c->flop_rate > 0 && c->flop_rate <= low.flop_rate);
    ck_assert(c->byte_rate > 0 && c->byte_rate <= low.byte_rate);
    ck_assert(c->half_rows >= 0 && isfinite(c->half_rows));
    ck_assert(c->latency >= 0 && isfinite(c->latency));
    ck_assert(isfinite(c->residual_median) && c->residual_median <= c->residual_p95);
    for (int i = 0; i < n; i++) ck_assert(isfinite(celslm_curve_seconds(c, &t[i])));
  } else
    ck_assert_int_lt(f.samples, CELSLM_FIT_MIN);
  gsl_rng_free(r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fit");
  TCase *tests = tcase_create("fit");
  tcase_add_loop_test(tests, test_exact, 0, TRUTHS);
  tcase_add_loop_test(tests, test_noise, 0, 20 * TRUTHS);
  tcase_add_loop_test(tests, test_limits, 0, TRUTHS);
  tcase_add_loop_test(tests, test_memory_bound, 0, 2);
  tcase_add_test(tests, test_compute_bound);
  tcase_add_test(tests, test_held_out);
  tcase_add_test(tests, test_few_shapes);
  tcase_add_test(tests, test_repeatable);
  tcase_add_test(tests, test_refusals);
  tcase_add_loop_test(tests, test_nonsense, 0, 200);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
