/* test_sweep.c - celslm sweep on one machine: the same bytes whatever happened on the way, nothing
 * run twice, nothing lost; a point of a study is the run of its command. */
#include "program.h"
#include "record/arrays.h"
#include "record/record.h"

#include <math.h>

#define AXES                                                                                       \
  " --axis '//poisson/@rate=log:5/s 80/s 5' --axis 'platform://link[@id=\"wan\"]/@bandwidth="      \
  "100Mbps 1Gbps'"

/* 5 x 2 places x 20 or 5 replications = 200 or 50 points */
#define STUDY "$celslm sweep $data/cmd/tiny.xml --replications 20" AXES " --quiet"
#define SMALL "$celslm sweep $data/cmd/tiny.xml --replications 5" AXES " --quiet"

/* Begins the study and interrupts it when some of its points are done. */
#define INTERRUPT                                                                                  \
  SMALL " -j 2 -o x.h5 & driver=$!; for i in $(seq 600); do "                                      \
        "[ $(grep -c done x.h5.log 2>/dev/null || echo 0) -ge 5 ] && break; sleep 0.02; done; "    \
        "kill -INT $driver; wait $driver"

/* No point begins again after it was done, and all were begun. (A process killed between its
 * result and its line leaves no "done".) */
static void nothing_twice(const char *log, int points) {
  char *command = celslm_format(
      "awk '$6 == \"begins\" { if (done[$5]) print \"again\", $5; if (!begun[$5]++) n++ } "
      "$6 == \"done\" { done[$5]++ } END { print n }' %s",
      log);
  char *out = sh_expect(command, 0);
  ck_assert_msg(atoi(out) == points && strchr(out, '\n') == out + strlen(out) - 1, "%s", out);
  free(out);
  free(command);
}

START_TEST(test_same_bytes) {
  begin();
  sh_well(STUDY " -j 1 -o one.h5");
  sh_well(STUDY " -j 2 -o two.h5");
  sh_well(SMALL " -j 7 -o many.h5 && " SMALL " -j 1 -o step.h5 --step");
  sh_well("cmp one.h5 two.h5");
  nothing_twice("one.h5.log", 200);
  sh_well("test ! -e one.h5.points && test ! -e one.h5.part");
  size_t n, n_step;
  double *a = values("many.h5", "summary/ttft_mean", &n),
         *b = values("step.h5", "summary/ttft_mean", &n_step);
  ck_assert_uint_eq(n, 50 * 2);
  ck_assert_uint_eq(n, n_step);
  ck_assert(memcmp(a, b, n * sizeof *a) == 0); /* stepping and jumping agree */
  free(a), free(b);
  end();
}
END_TEST

/* kill -9 of the driver, and of a worker, at several moments; each time it is taken up again. */
START_TEST(test_killed) {
  begin();
  sh_well(STUDY " -j 2 -o good.h5");
  sh_well("for t in 0.15 0.3 0.2; do timeout -s KILL $t " STUDY
          " -j 2 -o killed.h5 --resume; done; true");
  sh_well(STUDY " -j 2 -o killed.h5 --resume & driver=$!; for i in 1 2 3; do sleep 0.1; "
                "read worker others </proc/$driver/task/$driver/children && kill -KILL $worker; "
                "done; wait $driver; " STUDY " -j 2 -o killed.h5 --resume");
  sh_well("cmp good.h5 killed.h5 && test ! -e killed.h5.points");
  nothing_twice("killed.h5.log", 200);
  char *out = sh_expect(
      "$celslm sweep $data/cmd/tiny.xml --replications 20" AXES " -o killed.h5 --resume", 0);
  ck_assert_str_eq(out, "killed.h5 is complete\n");
  free(out);
  end();
}
END_TEST

/* Ctrl-C: status 130, no study file, no process left; --resume finishes. */
START_TEST(test_interrupt) {
  begin();
  sh_well(SMALL " -j 2 -o good.h5");
  free(sh_expect(INTERRUPT, 130));
  sh_well("test ! -e x.h5 && test -d x.h5.points && for p in $(awk '{print $3}' x.h5.log | sort "
          "-u); do ! kill -0 $p 2>/dev/null || exit 1; done");
  char *out = sh_expect(SMALL " -o x.h5", 2); /* not anew by accident */
  ck_assert_msg(strstr(out, "an unfinished study is there") && strstr(out, "--resume"), "%s", out);
  free(out);
  out = sh_expect("$celslm sweep $data/cmd/tiny.xml --replications 4 -o x.h5 --resume", 2);
  ck_assert_msg(strstr(out, "is another one"), "%s", out);
  free(out);
  sh_well(SMALL " -o x.h5 --resume && cmp x.h5 good.h5");
  nothing_twice("x.h5.log", 50);
  end();
}
END_TEST

/* A failed point is told with its command, does not stop the others, and has no numbers. */
START_TEST(test_failed_point) {
  begin();
  char *out = sh_expect("$celslm sweep $data/cmd/tiny.xml --axis '//poisson/@rate=5/s fast 10/s' "
                        "-o x.h5",
                        1);
  ck_assert_msg(strstr(out, "point 1 (rate=fast seed=1) failed: "), "%s", out);
  const char *line = strstr(out, "  by itself: celslm run ");
  ck_assert_msg(line && strstr(line, "--set //poisson/@rate=fast --seed 1"), "%s", out);
  free(out);
  size_t n;
  double *status = values("x.h5", "points/status", &n),
         *ttft = values("x.h5", "summary/ttft_mean", &n);
  ck_assert(status[0] == 0 && status[1] == 2 && status[2] == 0);
  ck_assert(isfinite(ttft[0]) && isnan(ttft[2]) && isnan(ttft[3]) && isfinite(ttft[4]));
  free(status), free(ttft);
  free(sh_expect("$celslm sweep $data/cmd/tiny.xml --axis '//poisson/@rate=fast' -o y.h5", 2));
  sh_well("test ! -e y.h5 && test ! -e y.h5.points"); /* the first point is checked before */
  end();
}
END_TEST

/* What a study says of a point is what `celslm run` says with its settings and seed. */
START_TEST(test_point_is_run) {
  begin();
  sh_well(SMALL " -o study.h5");
  sh_well("$celslm run $data/cmd/tiny.xml --set //poisson/@rate=20/s --set "
          "'platform://link[@id=\"wan\"]/@bandwidth=1Gbps' --seed 4 --quiet -o run.h5");
  celslm_error err = {0};
  char *path = celslm_format("%s/run.h5", folder);
  celslm_reader *run = celslm_reader_open(path, &err);
  size_t n_columns, n;
  celslm_column *columns = celslm_reader_columns(run, "summary", &n_columns, &err);
  ck_assert_ptr_nonnull(columns);
  size_t place = ((2 * 2 + 1) * 5 + 3) * 2; /* rate 20/s, 1 Gb/s, seed 4 */
  for (size_t c = 1; c < n_columns; c++) {
    double *of_run = celslm_reader_column(run, "summary", columns[c].name, &err);
    char *array = celslm_format("summary/%s", columns[c].name);
    double *of_study = values("study.h5", array, &n);
    ck_assert_uint_eq(n, 100);
    ck_assert_msg(memcmp(of_run, of_study + place, 2 * sizeof(double)) == 0, "%s", array);
    free(of_run), free(of_study), free(array);
  }
  celslm_columns_free(columns, n_columns);
  celslm_reader_close(run);
  free(path);
  end();
}
END_TEST

/* --requests: the study's /requests is that of its points one after the other. */
START_TEST(test_requests) {
  begin();
  sh_well("$celslm sweep $data/cmd/tiny.xml --axis '//poisson/@rate=5/s 10/s' --replications 2 "
          "--requests -o a.h5 -j 1 --quiet && $celslm sweep $data/cmd/tiny.xml --axis "
          "'//poisson/@rate=5/s 10/s' --replications 2 --requests -o b.h5 -j 2 --quiet");
  sh_well("for i in 0 1 2 3; do cmp a.h5.points/000000$i.h5 b.h5.points/000000$i.h5 || exit 1; "
          "done");
  size_t n, n_point, n_run;
  double *ttft = values("a.h5", "requests/ttft", &n),
         *point = values("a.h5", "requests/point", &n_point);
  ck_assert_uint_eq(n, 4 * 2 * 20);
  ck_assert_uint_eq(n_point, n);
  for (size_t p = 0; p < 4; p++) {
    celslm_error err = {0};
    char *path = celslm_format("%s/a.h5.points/%07zu.h5", folder, p);
    celslm_reader *run = celslm_reader_open(path, &err);
    ck_assert_msg(run != NULL, "%s", err.text);
    double *own = celslm_reader_column(run, "requests", "ttft", &err);
    n_run = 40;
    ck_assert(memcmp(own, ttft + p * n_run, n_run * sizeof *own) == 0);
    for (size_t i = 0; i < n_run; i++) ck_assert(point[p * n_run + i] == (double)p);
    free(own), free(path);
    celslm_reader_close(run);
  }
  free(ttft), free(point);
  end();
}
END_TEST

START_TEST(test_merge) {
  begin();
  sh_well(SMALL " -o good.h5");
  free(sh_expect(INTERRUPT, 130));
  free(sh_expect(SMALL " -o x.h5 --merge", 1)); /* what there is */
  size_t n, missing = 0;
  double *status = values("x.h5", "points/status", &n);
  ck_assert_uint_eq(n, 50);
  for (size_t i = 0; i < n; i++) missing += status[i] == -1;
  ck_assert_msg(missing > 0 && missing < 50, "%zu missing", missing);
  free(status);
  sh_well("cp x.h5 before.h5");
  free(sh_expect(SMALL " -o x.h5 --merge", 1));
  sh_well("cmp x.h5 before.h5");
  sh_well("chmod a-w x.h5.points/*.row; " SMALL " -o x.h5 --resume && cmp x.h5 good.h5");
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sweep");
  TCase *tcase = tcase_create("sweep");
  tcase_set_timeout(tcase, 300);
  tcase_add_test(tcase, test_same_bytes);
  tcase_add_test(tcase, test_killed);
  tcase_add_test(tcase, test_interrupt);
  tcase_add_test(tcase, test_failed_point);
  tcase_add_test(tcase, test_point_is_run);
  tcase_add_test(tcase, test_requests);
  tcase_add_test(tcase, test_merge);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
