/* test_sobol.c - shares of variance of functions for which they are known in closed form. */
#include "program.h"
#include "study/sobol.h"

#include <math.h>

/* sin x + 7 sin^2 y + 0.1 z^4 sin x on [-pi, pi]^3 (T. Ishigami, T. Homma, 1990). With a = 7 and
 * b = 0.1 its parts of variance are V_x = (1 + b pi^4 / 5)^2 / 2, V_y = a^2 / 8 and
 * V_xz = 8 b^2 pi^8 / 225; those of z, xy, yz and xyz are 0. */
static double ishigami(const double *x) {
  return sin(x[0]) + 7 * pow(sin(x[1]), 2) + 0.1 * pow(x[2], 4) * sin(x[0]);
}

START_TEST(test_ishigami) {
  enum { K = 3, N = 4096, P = N * (K + 2) };
  static double places[K * P], results[P];
  celslm_sobol_places(K, N, places);
  for (int p = 0; p < P; p++) {
    double x[K];
    for (int i = 0; i < K; i++) x[i] = (2 * places[i * P + p] - 1) * M_PI;
    results[p] = ishigami(x);
  }
  double vx = pow(1 + 0.1 * pow(M_PI, 4) / 5, 2) / 2, vy = 49 / 8.,
         vxz = 8 * 0.01 * pow(M_PI, 8) / 225;
  double v = vx + vy + vxz;
  const double first[K] = {vx / v, vy / v, 0}, total[K] = {(vx + vxz) / v, vy / v, vxz / v};
  celslm_index_pair s[K];
  celslm_sobol_indices(K, N, results, s);
  for (int i = 0; i < K; i++) {
    ck_assert_double_eq_tol(s[i].first, first[i], 0.01);
    ck_assert_double_eq_tol(s[i].total, total[i], 0.01);
    ck_assert(s[i].first_half > 0 && s[i].first_half < 0.1);
  }
  for (int p = 0; p < P; p += 97) results[p] = NAN; /* points that failed: the rest stands */
  celslm_sobol_indices(K, N, results, s);
  for (int i = 0; i < K; i++) ck_assert_double_eq_tol(s[i].total, total[i], 0.03);
}
END_TEST

/* The g-function, the product of (|4 x_i - 2| + a_i) / (1 + a_i): V_i = 1 / (3 (1 + a_i)^2), the
 * whole is the product of 1 + V_i, less 1 (A. Saltelli, I. M. Sobol', 1995). */
START_TEST(test_g) {
  enum { K = 6, N = 8192, P = N * (K + 2) };
  static const double a[K] = {0, 0.5, 3, 9, 99, 99};
  static double places[K * P], results[P];
  celslm_sobol_places(K, N, places);
  double v = 1;
  for (int i = 0; i < K; i++) v *= 1 + 1 / (3 * (1 + a[i]) * (1 + a[i]));
  for (int p = 0; p < P; p++) {
    results[p] = 1;
    for (int i = 0; i < K; i++) results[p] *= (fabs(4 * places[i * P + p] - 2) + a[i]) / (1 + a[i]);
  }
  celslm_index_pair s[K];
  celslm_sobol_indices(K, N, results, s);
  for (int i = 0; i < K; i++) {
    double vi = 1 / (3 * (1 + a[i]) * (1 + a[i]));
    ck_assert_double_eq_tol(s[i].first, vi / (v - 1), 0.01);
    ck_assert_double_eq_tol(s[i].total, vi * v / (1 + vi) / (v - 1), 0.01);
  }
}
END_TEST

START_TEST(test_nothing_varies) {
  double results[2 * 3] = {4, 4, 4, 4, 4, 4};
  celslm_index_pair s;
  celslm_sobol_indices(1, 2, results, &s);
  ck_assert(isnan(s.first) && isnan(s.total));
}
END_TEST

/* One cold request on a slow wire: the wire makes the variance, the length of the answer none. */
START_TEST(test_command) {
  begin();
  char *out = sh_expect(
      "$celslm sweep $data/cmd/tiny.xml --set //workload/@requests=1 --axis "
      "'platform://link[@id=\"wan\"]/@bandwidth=log:1Mbps 100Mbps 3' --axis "
      "'//workload/output/lognormal/@mean=10.0 100.0' --rank ttft_mean --samples 16 -o r.h5",
      0);
  const char *mine = strstr(out, "ce-lslm");
  ck_assert_msg(mine != NULL, "%s", out);
  const char *wire = strstr(mine, "bandwidth"), *tokens = strstr(mine, "mean");
  ck_assert_msg(wire && tokens && wire < tokens, "%s", out);
  double first, total;
  ck_assert_msg(sscanf(wire, "bandwidth %lf +- %*f %lf", &total, &first) == 2, "%s", out);
  ck_assert_msg(total > 0.5 && first > 0.5, "%s", out);
  ck_assert_msg(sscanf(tokens, "mean %lf +- %*f %lf", &total, &first) == 2 && total == 0, "%s",
                out);
  free(out);
  free(sh_expect("$celslm sweep $data/cmd/tiny.xml --rank ttft_mean --samples 4 --trajectories 4 "
                 "--axis '//poisson/@rate=1/s 2/s' -o x.h5",
                 2));
  free(sh_expect("$celslm sweep $data/cmd/tiny.xml --samples 4 --axis '//poisson/@rate=1/s 2/s' "
                 "-o x.h5",
                 2));
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sobol");
  TCase *tcase = tcase_create("sobol");
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, test_ishigami);
  tcase_add_test(tcase, test_g);
  tcase_add_test(tcase, test_nothing_varies);
  tcase_add_test(tcase, test_command);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
