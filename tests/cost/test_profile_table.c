/* test_profile_table.c - tables of kernel times: isotonic regression on hand-made cases; exact
 * where measured, linear between; never below the memory's time; never falling; files give back
 * what was saved. With outside data: the error of shapes held out. */
#include "profile_support.h"

#include "cost/table_build.h"

#include <gsl/gsl_rng.h>
#include <math.h>

/* ---- isotonic regression ---- */

static const struct {
  int n, moved;
  double values[6], weights[6], expected[6];
} cases[] = {
    {1, 0, {3}, {1}, {3}},
    {3, 0, {1, 2, 2}, {1, 1, 1}, {1, 2, 2}},
    {2, 2, {2, 1}, {1, 1}, {1.5, 1.5}},
    {2, 2, {2, 1}, {3, 1}, {1.75, 1.75}},
    {3, 3, {3, 2, 1}, {1, 1, 1}, {2, 2, 2}},
    {4, 2, {1, 3, 2, 4}, {1, 1, 1, 1}, {1, 2.5, 2.5, 4}},
    {5, 2, {4, 5, 1, 6, 7}, {1, 1, 1, 1, 1}, {10 / 3.0, 10 / 3.0, 10 / 3.0, 6, 7}},
    {6, 5, {1, 6, 2, 4, 0, 8}, {1, 1, 1, 1, 1, 1}, {1, 3, 3, 3, 3, 8}},
};

START_TEST(test_isotonic) {
  double v[6];
  int n = cases[_i].n;
  memcpy(v, cases[_i].values, sizeof v);
  int moved = celslm_isotonic(v, cases[_i].weights, n), counted = 0;
  for (int i = 0; i < n; i++) {
    ck_assert_double_eq_tol(v[i], cases[_i].expected[i], 1e-12);
    counted += v[i] != cases[_i].values[i];
  }
  ck_assert_int_eq(moved, counted);
  ck_assert_int_eq(celslm_isotonic(v, cases[_i].weights, n), 0); /* it is a projection */
}
END_TEST

/* The characterisation: sums over a block's beginnings are not below the mean's share. */
START_TEST(test_isotonic_random) {
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  gsl_rng_set(r, (unsigned long)_i + 1);
  double v[40], before[40], sum = 0, sum_before = 0;
  for (int i = 0; i < 40; i++) before[i] = v[i] = gsl_rng_uniform(r) + i * 0.01;
  celslm_isotonic(v, NULL, 40);
  for (int i = 0; i < 40; i++) {
    if (i) ck_assert_double_ge(v[i], v[i - 1]);
    sum += v[i];
    sum_before += before[i];
    ck_assert_double_ge(sum_before, sum - 1e-9);
  }
  ck_assert_double_eq_tol(sum, sum_before, 1e-9);
  gsl_rng_free(r);
}
END_TEST

/* ---- tables ---- */

static const double bandwidth = 1e12;
static const double sizes[] = {512, 1024, 2048, 4096, 8192};
static const double rows[] = {1, 16, 128, 1024};

/* Affine in each size: linear interpolation is exact. */
static double gemm_seconds(double m, double n, double k) {
  return 5e-6 + 4e-12 * n * k + 1e-14 * m * n * k;
}

static double attention_seconds(double batch, double tokens, double H, double K) {
  return 1e-5 + batch * tokens * (1e-9 * H + 2e-9 * K);
}

static celslm_measured *make(void) {
  celslm_measured *m = celslm_alloc(1, sizeof *m);
  for (int kind = 0; kind < 3; kind++) {
    celslm_kernels *list = &m->curves[kind];
    list->at = celslm_alloc(4000, sizeof *list->at);
    list->shape_name = "shapes";
  }
  celslm_kernels *g = &m->curves[CELSLM_CURVE_GEMM];
  for (int a = 0; a < 5; a++)
    for (int b = 0; b < 5; b++)
      for (int c = 0; c < 4; c++)
        g->at[g->n++] = (celslm_kernel){.key = {sizes[a], sizes[b], rows[c]},
                                        .seconds = gemm_seconds(rows[c], sizes[a], sizes[b])};
  for (double K = 1; K <= 8; K *= 2)
    for (double H = 8; H <= 64; H += 8)
      for (double batch = 1; batch <= 64; batch *= 4)
        for (double tokens = 16; tokens <= 4096 / batch; tokens *= 2) /* lines of unlike lengths */
          for (int kind = CELSLM_CURVE_PREFILL; kind <= CELSLM_CURVE_DECODE; kind++) {
            celslm_kernels *l = &m->curves[kind];
            l->at[l->n++] = (celslm_kernel){.key = {H, K, batch, tokens},
                                            .seconds = attention_seconds(batch, tokens, H, K)};
          }
  return m;
}

static double at_points(const celslm_table_profile *t, int kind, const celslm_kernel *k) {
  if (kind == CELSLM_CURVE_GEMM) return celslm_table_gemm(t, k->key[2], k->key[0], k->key[1]);
  return (kind == CELSLM_CURVE_PREFILL ? celslm_table_prefill : celslm_table_decode)(
      t, k->key[2], k->key[3], k->key[0], k->key[1]);
}

START_TEST(test_exact) {
  celslm_measured *m = make();
  celslm_error err = {""};
  celslm_table_report report[CELSLM_TABLE_KINDS];
  celslm_table_profile *t = celslm_table_build(m, bandwidth, report, &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  char *folder = make_folder(), *file = celslm_format("%s/t.h5", folder);
  char *notes[] = {"one", "two", "three"};
  ck_assert_msg(celslm_table_save(t, file, "name", "source", notes, &err), "%s", err.text);
  celslm_table_profile *u = celslm_table_load(file, &err);
  ck_assert_msg(u != NULL, "%s", err.text);
  for (int kind = 0; kind < 3; kind++) {
    ck_assert(celslm_table_has(u, (celslm_table_kind)kind));
    ck_assert_int_eq(report[kind].smoothed, 0);
    ck_assert_int_eq(report[kind].raised, 0);
    ck_assert_int_gt(report[kind].held_points, 0);
    ck_assert_double_lt(report[kind].held_median, 1e-9);
    for (int i = 0; i < m->curves[kind].n; i++) {
      const celslm_kernel *k = &m->curves[kind].at[i];
      ck_assert_double_eq(at_points(t, kind, k), k->seconds);
      ck_assert_double_eq(at_points(u, kind, k), k->seconds);
    }
  }
  /* between, and beyond the last rows */
  ck_assert_double_eq_tol(celslm_table_gemm(u, 100, 2048, 3000), gemm_seconds(100, 2048, 3000),
                          1e-12);
  ck_assert_double_eq_tol(celslm_table_gemm(u, 70, 3000, 3000), gemm_seconds(70, 3000, 3000), 1e-9);
  ck_assert_double_eq_tol(celslm_table_gemm(u, 3000, 512, 512), gemm_seconds(3000, 512, 512),
                          1e-12);
  ck_assert_double_eq_tol(celslm_table_decode(u, 10, 100, 28, 4), attention_seconds(10, 100, 28, 4),
                          1e-10);
  ck_assert_double_eq_tol(celslm_table_prefill(u, 1, 9000, 32, 8),
                          attention_seconds(1, 9000, 32, 8), 1e-10);
  /* the largest matrix in proportion; below the smallest rows the smallest */
  ck_assert_double_eq_tol(celslm_table_gemm(u, 16, 16384, 4096),
                          2 * celslm_table_gemm(u, 16, 8192, 4096), 1e-12);
  ck_assert_double_eq(celslm_table_gemm(u, 0.5, 512, 512), celslm_table_gemm(u, 1, 512, 512));
  celslm_table_free(t);
  celslm_table_free(u);
  celslm_measured_close(m);
  free(file);
  remove_folder(folder);
}
END_TEST

START_TEST(test_floor_and_order) {
  celslm_measured *m = make();
  celslm_error err = {""};
  celslm_table_report report[CELSLM_TABLE_KINDS];
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  int cached = 0;
  for (int kind = 0; kind < 3; kind++)
    for (int i = 0; i < m->curves[kind].n; i++) {
      celslm_kernel *k = &m->curves[kind].at[i];
      k->seconds *= 0.7 + 0.6 * gsl_rng_uniform(r); /* noise that breaks the order */
      if (kind == CELSLM_CURVE_GEMM && i % 7 == 0) {
        k->seconds = 1e-7; /* weights found in a cache */
        cached++;
      }
    }
  celslm_table_profile *t = celslm_table_build(m, bandwidth, report, &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  ck_assert_int_ge(report[CELSLM_TABLE_GEMM].raised, cached);
  ck_assert_int_gt(report[CELSLM_TABLE_GEMM].smoothed, 0);
  ck_assert_int_gt(report[CELSLM_TABLE_PREFILL].smoothed, 0);
  for (int trial = 0; trial < 20000; trial++) {
    double n = 256 + 12000 * gsl_rng_uniform(r), k = 256 + 12000 * gsl_rng_uniform(r);
    double x = 1 + 4000 * pow(gsl_rng_uniform(r), 3), more = x * (1 + gsl_rng_uniform(r));
    double H = 4 + 80 * gsl_rng_uniform(r), K = 1 + 9 * gsl_rng_uniform(r);
    double b = 1 + 100 * pow(gsl_rng_uniform(r), 3), b2 = b + 5 * gsl_rng_uniform(r);
    double g = celslm_table_gemm(t, x, n, k), d = celslm_table_decode(t, b, x, H, K);
    double p = celslm_table_prefill(t, b, x, H, K), almost = 1 - 1e-12;
    ck_assert_double_ge(g, 2 * n * k / bandwidth * almost);
    ck_assert_double_ge(celslm_table_gemm(t, more, n, k), g * almost);
    ck_assert_double_ge(d, 2 * 2 * 128 * K * b * x / bandwidth * almost);
    ck_assert_double_ge(celslm_table_decode(t, b, more, H, K), d * almost);
    ck_assert_double_ge(celslm_table_decode(t, b2, x, H, K), d * almost);
    ck_assert_double_ge(celslm_table_prefill(t, b, more, H, K), p * almost);
    ck_assert_double_ge(celslm_table_prefill(t, b2, x, H, K), p * almost);
  }
  celslm_table_free(t);
  celslm_measured_close(m);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_refusals) {
  celslm_error err = {""};
  celslm_measured *empty = celslm_alloc(1, sizeof *empty);
  celslm_table_report report[CELSLM_TABLE_KINDS];
  ck_assert_ptr_null(celslm_table_build(empty, bandwidth, report, &err));
  ck_assert_ptr_nonnull(strstr(err.text, "a table needs one of them"));
  celslm_measured_close(empty);
  err.text[0] = 0;
  ck_assert_ptr_null(celslm_table_load("/nowhere/t.h5", &err));
  ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/t.h5"));
  err.text[0] = 0;
  ck_assert_ptr_null(celslm_table_load(CELSLM_SOURCE_DIR "/README.md", &err));
  ck_assert_str_ne(err.text, "");
}
END_TEST

/* The command on the files of tests. */
START_TEST(test_command) {
  char *folder = make_folder(), *csv = celslm_format("%s/gemm.csv", folder);
  char *made = celslm_format("%s/t.h5", folder);
  char *base = celslm_format("%s/platforms/profiles/a100-80gb.xml", CELSLM_SOURCE_DIR);
  FILE *f = fopen(csv, "w");
  fputs("m,n,k,time_us\n", f);
  for (int a = 0; a < 5; a++)
    for (int b = 0; b < 5; b++)
      for (int again = 0; again < 2; again++)
        fprintf(f, "1,%g,%g,%.9g\n", sizes[a], sizes[b], 1e6 * gemm_seconds(1, sizes[a], sizes[b]));
  fclose(f);
  char *arguments[] = {"profile", "table", "--tables", folder, "--base", base, "-o", made, NULL};
  output o = run_profile(folder, arguments);
  ck_assert_msg(o.status == 0, "%s", o.err);
  ck_assert_ptr_nonnull(strstr(o.out, "gemm"));
  celslm_error err = {""};
  celslm_table_profile *t = celslm_table_load(made, &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  ck_assert(celslm_table_has(t, CELSLM_TABLE_GEMM) && !celslm_table_has(t, CELSLM_TABLE_DECODE));
  ck_assert_double_eq_tol(celslm_table_gemm(t, 1, 1024, 1024), gemm_seconds(1, 1024, 1024), 1e-12);
  celslm_table_free(t);
  free_output(&o);
  free(base);
  free(made);
  free(csv);
  remove_folder(folder);
}
END_TEST

/* ---- outside data ---- */

static const struct {
  const char *folder;
  double bandwidth, most; /* held-out median of the worst kind */
} gpus[] = {{"a100-vllm-0.14", 2039e9, 0.03},
            {"h100-vllm-0.14", 3350e9, 0.03},
            {"l40s-vllm-0.14", 864e9, 0.03}};

START_TEST(test_gpus) {
  char *data = outside("CELSLM_DATA", "data");
  if (!data) return;
  celslm_error err = {""};
  char *folder = celslm_format("%s/kernels/%s", data, gpus[_i].folder);
  celslm_measured *m = celslm_measured_open(folder, NULL, &err);
  celslm_table_report report[CELSLM_TABLE_KINDS];
  ck_assert_msg(m != NULL, "%s", err.text);
  celslm_table_profile *t = celslm_table_build(m, gpus[_i].bandwidth, report, &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  for (int k = 0; k < CELSLM_TABLE_KINDS; k++) {
    printf("%s %s: median %.2f%% held out\n", gpus[_i].folder,
           celslm_table_name((celslm_table_kind)k), report[k].held_median * 100);
    ck_assert_double_le(report[k].held_median, gpus[_i].most);
  }
  celslm_table_free(t);
  celslm_measured_close(m);
  free(folder);
  free(data);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("profile table");
  TCase *tests = tcase_create("table");
  tcase_add_loop_test(tests, test_isotonic, 0, sizeof cases / sizeof *cases);
  tcase_add_loop_test(tests, test_isotonic_random, 0, 50);
  tcase_add_test(tests, test_exact);
  tcase_add_test(tests, test_floor_and_order);
  tcase_add_test(tests, test_refusals);
  tcase_add_test(tests, test_command);
  tcase_add_loop_test(tests, test_gpus, 0, sizeof gpus / sizeof *gpus);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
