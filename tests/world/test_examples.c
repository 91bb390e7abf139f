/* test_examples.c - every scenario that comes with the program is good and runs, shortened. The
 * quick start needs a profile of the machine at hand (celslm calibrate): only what needs none is
 * run. */
#include "support.h"

#include <glob.h>
#include <stdarg.h>
#include <sys/stat.h>

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...) {
  char command[2000];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  int status = system(command);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

START_TEST(test_examples_run) {
  glob_t found = {0};
  ck_assert_int_eq(glob(CELSLM_SOURCE_DIR "/scenarios/*.xml", 0, NULL, &found), 0);
  char file[] = "/tmp/celslm-example-XXXXXX";
  ck_assert_int_ge(mkstemp(file), 0);
  int ran = 0;
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *scenario = found.gl_pathv[i];
    if (strstr(scenario, "quickstart") || strstr(scenario, "real_tokens")) continue;
    ck_assert_msg(run("%s validate %s > /dev/null", CELSLM_PROGRAM, scenario) == 0, "%s", scenario);
    bool counts = run("grep -q '<workload [^>]*requests=' %s", scenario) == 0;
    ck_assert_msg(run("%s run %s %s -o %s > /dev/null 2>&1", CELSLM_PROGRAM, scenario,
                      counts ? "--set //workload/@requests=25" : "", file) == 0,
                  "%s", scenario);
    if (run("grep -q '<radio' %s", scenario) == 0)
      ck_assert_msg(run("%s radio %s > /dev/null", CELSLM_PROGRAM, scenario) == 0, "%s", scenario);
    ran++;
  }
  ck_assert_int_ge(ran, 11);
  remove(file);
  char log[64];
  snprintf(log, sizeof log, "%s.log", file);
  remove(log);
  globfree(&found);
}
END_TEST

/* A map and a way are drawn from what the two commands write; equal runs give equal files. */
START_TEST(test_pictures_and_bytes) {
  char folder[] = "/tmp/celslm-example-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(folder));
  const char *scenario = CELSLM_SOURCE_DIR "/scenarios/street_canyon.xml";
  ck_assert_int_eq(
      run("%s radio %s -g 20m -o %s/map.h5 > /dev/null", CELSLM_PROGRAM, scenario, folder), 0);
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(run("%s run %s --set //workload/@requests=40 -o %s/run%d.h5 > /dev/null 2>&1",
                         CELSLM_PROGRAM, scenario, folder, i),
                     0);
  ck_assert_int_eq(run("cmp %s/run0.h5 %s/run1.h5", folder, folder), 0);
  ck_assert_int_eq(run("%s show %s/run0.h5 > /dev/null", CELSLM_PROGRAM, folder), 0);
  ck_assert_int_eq(run("/usr/bin/python3 %s/analysis/radio_map.py %s/map.h5 %s/run0.h5 -o "
                       "%s/map.png > /dev/null",
                       CELSLM_SOURCE_DIR, folder, folder, folder),
                   0);
  ck_assert_int_eq(run("test -s %s/map.png && rm -r %s", folder, folder), 0);
}
END_TEST

RUN_SUITE("examples", test_examples_run, test_pictures_and_bytes)
