/* support.h - what suites of whole runs share: a scenario as text is simulated in a process of its
 * own (SimGrid allows one simulation in a process), and its request rows come back. */
#ifndef CELSLM_TESTS_SUPPORT_H
#define CELSLM_TESTS_SUPPORT_H

#include "world/world.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct simulation {
  celslm_request_row *rows; /* in order of their ends */
  size_t n;
  celslm_summary_row summary;
  int status; /* celslm_outcome, or 128 + the signal */
  char error[1024];
} simulation;

static inline void send_row(void *pipe_end, const celslm_request_row *row) {
  if (fwrite(row, sizeof *row, 1, pipe_end) != 1) _exit(99);
}

/* Runs one strategy of a scenario given as text; files in it are relative to tests/data. */
static inline simulation simulate_with(const char *text, int strategy, bool step,
                                       const celslm_scenario_options *options) {
  simulation out = {0};
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  fflush(NULL);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    close(ends[0]);
    FILE *f = fdopen(ends[1], "w");
    celslm_error err = {0};
    celslm_summary_row summary;
    memset(&summary, 0, sizeof summary);
    celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", options, &err);
    celslm_run_options o = {.strategy = strategy, .step = step, .on_request = send_row, .self = f};
    int status = s ? (int)celslm_world_run(s, &o, &summary, &err) : CELSLM_BAD_INPUT;
    fwrite(&summary, sizeof summary, 1, f);
    fwrite(err.text, sizeof err.text, 1, f);
    fclose(f);
    celslm_scenario_free(s);
    _exit(status);
  }
  close(ends[1]);
  FILE *f = fdopen(ends[0], "r");
  char *bytes = NULL;
  size_t size = 0, room = 0, got;
  do {
    if (size == room) bytes = realloc(bytes, room = room ? 2 * room : 65536);
    got = fread(bytes + size, 1, room - size, f);
    size += got;
  } while (got);
  fclose(f);
  int status;
  waitpid(pid, &status, 0);
  out.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  size_t tail = sizeof out.summary + sizeof out.error;
  ck_assert_msg(size >= tail, "the simulation died with status %d", out.status);
  out.n = (size - tail) / sizeof *out.rows;
  out.rows = (celslm_request_row *)bytes;
  memcpy(&out.summary, bytes + size - tail, sizeof out.summary);
  memcpy(out.error, bytes + size - sizeof out.error, sizeof out.error);
  return out;
}

static inline simulation simulate(const char *text, int strategy, bool step) {
  return simulate_with(text, strategy, step, NULL);
}

static inline simulation simulate_well(const char *text, int strategy, bool step) {
  simulation s = simulate(text, strategy, step);
  ck_assert_msg(s.status == 0, "status %d: %s\n%s", s.status, s.error, text);
  return s;
}

#define RUN_SUITE(NAME, ...)                                                                       \
  int main(void) {                                                                                 \
    const TTest *const tests[] = {__VA_ARGS__};                                                    \
    Suite *suite = suite_create(NAME);                                                             \
    TCase *tcase = tcase_create(NAME);                                                             \
    tcase_set_timeout(tcase, 400);                                                                 \
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) tcase_add_test(tcase, tests[i]);     \
    suite_add_tcase(suite, tcase);                                                                 \
    SRunner *runner = srunner_create(suite);                                                       \
    srunner_run_all(runner, CK_ENV);                                                               \
    int failed = srunner_ntests_failed(runner);                                                    \
    srunner_free(runner);                                                                          \
    return failed != 0;                                                                            \
  }

#endif
