/* test_ablations.c - what cross-node pipelining gives under load: scenarios/pipelining.xml swept
 * over seeds as a user does it. All strategies of a run serve the same requests, so differences are
 * paired; what is demanded is what their 95 % intervals make sure (Student's t, GSL). Single draws
 * that say otherwise are counted and printed. (test_fetch has the idle system, where order holds in
 * each draw.) */
#include "record/arrays.h"
#include "study/program.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>

enum { SEEDS = 20, RATES = 2, WAYS = 6 }; /* ways: pipelined first, serial last */
static const char *const ways[WAYS] = {"pipelined",          "cloud does not stream",
                                       "coding apart",       "whole cache at once",
                                       "edge waits for all", "serial"};

typedef struct gap { /* s that a way is later than another */
  double mean, low, high;
  int inverted;
} gap;

static gap gap_of(const double *ttft, int way, int other) {
  double d[SEEDS];
  gap g = {0};
  for (int i = 0; i < SEEDS; i++) {
    d[i] = ttft[i * WAYS + way] - ttft[i * WAYS + other];
    g.inverted += d[i] < 0;
  }
  g.mean = gsl_stats_mean(d, 1, SEEDS);
  double half = gsl_cdf_tdist_Pinv(0.975, SEEDS - 1) * gsl_stats_sd(d, 1, SEEDS) / sqrt(SEEDS);
  g.low = g.mean - half;
  g.high = g.mean + half;
  return g;
}

START_TEST(test_under_load) {
  begin();
  sh_well("$celslm sweep $source/scenarios/pipelining.xml --axis '//poisson/@rate=0.5/s 1/s' "
          "--replications 20 -o s.h5 -j 2 --quiet");
  celslm_error err = {0};
  char *path = celslm_format("%s/s.h5", folder);
  celslm_reader *r = celslm_study_file_open(path, &err);
  ck_assert_msg(r != NULL, "%s", err.text);
  size_t n;
  double *ttft = celslm_study_file_values(r, "summary/ttft_mean", &n, &err),
         *done = celslm_study_file_values(r, "summary/completed", &n, &err);
  ck_assert_uint_eq(n, RATES * SEEDS * WAYS);
  for (size_t i = 0; i < n; i++) ck_assert_double_eq(done[i], 150);
  for (int k = 0; k < RATES; k++)
    for (int w = 1; w < WAYS; w++) {
      gap g = gap_of(ttft + k * SEEDS * WAYS, w, 0), last = gap_of(ttft + k * SEEDS * WAYS, 5, w);
      printf("load %d, %s: %.1f ms later (%.1f to %.1f), %d of %d seeds inverted\n", k, ways[w],
             1e3 * g.mean, 1e3 * g.low, 1e3 * g.high, g.inverted, SEEDS);
      ck_assert_msg(g.low > 0, "load %d, %s is not surely later", k, ways[w]);
      ck_assert_msg(w == WAYS - 1 || last.high > 0, "load %d, %s is surely later than serial", k,
                    ways[w]);
    }
  free(ttft), free(done), free(path);
  celslm_reader_close(r);
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ablations");
  TCase *tcase = tcase_create("ablations");
  tcase_set_timeout(tcase, 300);
  tcase_add_test(tcase, test_under_load);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
