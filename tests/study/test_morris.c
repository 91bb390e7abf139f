/* test_morris.c - elementary effects of functions for which they are known. */
#include "program.h"
#include "study/morris.h"

#include <math.h>

enum { K = 4, R = 500, N = R * (K + 1) };
static double places[K * N], results[N];

START_TEST(test_design) {
  celslm_morris_places(K, R, 7, places);
  int levels[4] = {0};
  for (int p = 0; p < N; p++) {
    int changed = 0;
    for (int i = 0; i < K; i++) {
      double x = places[i * N + p];
      int level = (int)lround(3 * x);
      ck_assert(level >= 0 && level <= 3 && fabs(3 * x - level) < 1e-12);
      levels[level]++;
      if (p % (K + 1) != K && p + 1 < N) {
        double step = fabs(places[i * N + p + 1] - x);
        ck_assert(step < 1e-12 || fabs(step - 2.0 / 3) < 1e-12);
        changed += step > 0.1;
      }
    }
    if (p % (K + 1) != K) ck_assert_int_eq(changed, 1);
  }
  for (int l = 0; l < 4; l++) /* a quarter each: 2,500 +- 5 sigma (of what moves together) */
    ck_assert_int_lt(abs(levels[l] - K * N / 4), 300);
}
END_TEST

/* y = 3 a - 2 b + 0 c + 5 a d: effects 3 + 5 d, -2, 0, 5 a. Over the places before or after a step
 * each level is met equally often, and |3 + 5 d| = 3 + 5 d: mu* = 5.5, 2, 0, 2.5. For sigma: the
 * variance of a level among 0, 1/3, 2/3, 1 is 5/36. */
START_TEST(test_effects) {
  celslm_effect e[K];
  celslm_morris_places(K, R, 3, places);
  for (int p = 0; p < N; p++) {
    double a = places[p], b = places[N + p], d = places[3 * N + p];
    results[p] = 3 * a - 2 * b + 5 * a * d;
  }
  celslm_morris_effects(K, R, places, results, e);
  double sigma = 5 * sqrt(5.0 / 36), error = 5 * sigma / sqrt(R);
  ck_assert_double_eq_tol(e[0].mu_star, 5.5, error);
  ck_assert_double_eq_tol(e[1].mu_star, 2, 1e-9);
  ck_assert_double_eq_tol(e[2].mu_star, 0, 1e-9);
  ck_assert_double_eq_tol(e[3].mu_star, 2.5, error);
  ck_assert_double_eq_tol(e[0].sigma, sigma, 0.15 * sigma);
  ck_assert_double_eq_tol(e[1].sigma, 0, 1e-9);
  ck_assert_double_eq_tol(e[3].sigma, sigma, 0.15 * sigma);
  results[1] = NAN; /* two effects fewer, the others stay */
  celslm_morris_effects(K, R, places, results, e);
  ck_assert_double_eq_tol(e[1].mu_star, 2, 1e-9);
}
END_TEST

/* What a cold request waits for on a slow wire is the wire: with 100 Mb/s or less its bandwidth
 * matters more than the number of tokens that come out, which change nothing of the first one. */
START_TEST(test_command) {
  begin();
  char *out = sh_expect(
      "$celslm sweep $data/cmd/tiny.xml --set //workload/@requests=1 --axis "
      "'platform://link[@id=\"wan\"]/@bandwidth=log:1Mbps 100Mbps 3' --axis "
      "'//workload/output/lognormal/@mean=10.0 100.0' --rank ttft_mean --trajectories 4 -o r.h5",
      0);
  const char *mine = strstr(out, "ce-lslm");
  ck_assert_msg(mine != NULL, "%s", out);
  const char *wire = strstr(mine, "bandwidth"), *tokens = strstr(mine, "mean");
  ck_assert_msg(wire && tokens && wire < tokens, "%s", out); /* the more important one first */
  ck_assert_msg(strtod(tokens + 4, NULL) == 0 && strtod(wire + 9, NULL) > 0, "%s", out);
  free(out);
  free(sh_expect("$celslm sweep $data/cmd/tiny.xml --rank tea --axis '//poisson/@rate=1/s 2/s' -o "
                 "x.h5",
                 2));
  free(sh_expect("$celslm sweep $data/cmd/tiny.xml --rank ttft_mean -o x.h5", 2));
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("morris");
  TCase *tcase = tcase_create("morris");
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, test_design);
  tcase_add_test(tcase, test_effects);
  tcase_add_test(tcase, test_command);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
