/* test_slurm.c - a study through a real Slurm of this machine (scripts/slurm-local): the bytes of a
 * local run, also after slurmd, a task and a worker were killed with -9 in mid-run and the study
 * was resumed; and through plain srun. Skipped, with a message, only where no Slurm can be started.
 */
#include "program.h"

/* 5 places x 40 replications = 200 points, of enough requests that the whole takes seconds: what is
 * killed in its middle must not be over by then. */
#define STUDY                                                                                      \
  "$celslm sweep $data/cmd/tiny.xml --replications 40 --set '//workload/@requests=6000' "          \
  "--axis '//poisson/@rate=log:5/s 80/s 5' "

/* Waits until no job is queued; gives up after a minute. */
#define AWAIT "for i in $(seq 120); do [ -z \"$(squeue -h)\" ] && break; sleep 0.5; done; "

static bool available;

static void start(void) {
  int status;
  begin();
  char *out = sh("$source/scripts/slurm-local start slurm", &status);
  available = status == 0;
  if (status == 3)
    printf("skipped: no Slurm can be started here: %s", out);
  else
    ck_assert_msg(status == 0, "%s", out);
  char *conf = celslm_format("%s/slurm/slurm.conf", folder);
  setenv("SLURM_CONF", conf, 1);
  free(conf);
  free(out);
}

static void stop(void) {
  int status;
  free(sh("$source/scripts/slurm-local stop slurm", &status));
  end();
}

/* As in test_sweep.c; slurm's own lines in the log are not of points. */
static void nothing_twice(const char *log) {
  char *command = celslm_format(
      "awk '$4 != \"point\" { next } $6 == \"begins\" { if (done[$5]) print \"again\", $5; "
      "if (!begun[$5]++) n++ } $6 == \"done\" { done[$5]++ } END { print n }' %s",
      log);
  char *out = sh_expect(command, 0);
  ck_assert_str_eq(out, "200\n");
  free(out);
  free(command);
}

START_TEST(test_array) {
  if (!available) return;
  sh_well(STUDY "-o local.h5 -j 2 --quiet");
  sh_well(STUDY "-o array.h5 --slurm --array-size 4 && " AWAIT "cmp local.h5 array.h5");
  nothing_twice("array.h5.log");
  sh_well("test ! -e array.h5.points");

  /* In mid-run: a worker, the task above another, and the slurmd of the first node. */
  sh_well(STUDY
          "-o killed.h5 --slurm --array-size 4 && "
          "for i in $(seq 6000); do [ \"$(grep -c done killed.h5.log 2>/dev/null)\" -ge 10 ] && "
          "break; sleep 0.01; done; "
          "kill -KILL $(tail -n 1 killed.h5.log | awk '{print $3}'); sleep 0.1; "
          "kill -KILL $(awk '/^PPid/ {print $2}' /proc/$(tail -n 1 killed.h5.log | awk "
          "'{print $3}')/status); kill -KILL $(cat slurm/slurmd1.pid); true");
  char *out = sh_expect(STUDY "-o killed.h5 --slurm --resume", 2); /* not while they run */
  ck_assert_msg(strstr(out, "wait for them, or scancel them first"), "%s", out);
  free(out);
  sh_well("sleep 1; $source/scripts/slurm-local node slurm 1; " AWAIT "[ -z \"$(squeue -h)\" ]");
  out = sh_expect("test ! -e killed.h5 && " STUDY "-o killed.h5 --status", 0);
  ck_assert_msg(strstr(out, " missing\n") && !strstr(out, " 0 missing"), "%s", out);
  free(out);
  sh_well(STUDY "-o killed.h5 --slurm --resume --array-size 2 && " AWAIT "cmp local.h5 killed.h5");
  nothing_twice("killed.h5.log");
  out = sh_expect(STUDY "-o killed.h5 --status", 0);
  ck_assert_str_eq(out, "killed.h5 is complete: 200 points\n");
  free(out);

  /* Plain srun: the processes of a step share the points, the last one merges. */
  sh_well("srun -n 3 " STUDY "-o step.h5 -j 1 --quiet && cmp local.h5 step.h5");
  nothing_twice("step.h5.log");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("slurm");
  TCase *tcase = tcase_create("slurm");
  tcase_set_timeout(tcase, 400);
  tcase_add_unchecked_fixture(tcase, start, stop); /* stops it also after a failure */
  tcase_add_test(tcase, test_array);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
