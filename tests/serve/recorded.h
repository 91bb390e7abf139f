/* recorded.h - runs a scenario in a process of its own and reads back what it wrote: the results
 * file has what request rows alone do not tell, every iteration and the engine's own counts over
 * time. */
#ifndef CELSLM_TESTS_SERVE_RECORDED_H
#define CELSLM_TESTS_SERVE_RECORDED_H

#include "support.h"

#include <math.h>

typedef struct recorded_table {
  uint64_t n;
  double *column[12]; /* in the order they were asked for */
} recorded_table;

typedef struct recorded {
  recorded_table requests, iterations, engines, summary;
} recorded;

enum {
  R_END,
  R_ID,
  R_PROMPT,
  R_OUTPUT,
  R_PREEMPTIONS,
  R_QUEUED,
  R_SCHEDULED,
  R_FIRST,
  R_LAST,
  R_ENGINE
};
enum { I_END, I_DURATION, I_DECODES, I_PREFILL };
enum { E_TIME, E_RUNNING, E_WAITING, E_BLOCKS, E_CAPACITY, E_ENGINE };
enum { S_PREEMPTIONS, S_ITERATIONS, S_DURATION };

/* -1: never */
static inline int64_t ns_of(double seconds) {
  return isnan(seconds) ? -1 : llround(seconds * 1e9);
}

static inline recorded_table read_table(celslm_reader *reader, const char *name,
                                        const char *const *columns) {
  recorded_table t = {0};
  celslm_error err = {0};
  ck_assert_msg(celslm_reader_rows(reader, name, &t.n, &err), "%s", err.text);
  for (int i = 0; columns[i]; i++) {
    t.column[i] = celslm_reader_column(reader, name, columns[i], &err);
    ck_assert_msg(t.column[i] != NULL, "%s", err.text);
  }
  return t;
}

static inline void free_table(recorded_table *t) {
  for (size_t i = 0; i < sizeof t->column / sizeof *t->column; i++) free(t->column[i]);
}

static inline void free_recorded(recorded *r) {
  free_table(&r->requests);
  free_table(&r->iterations);
  free_table(&r->engines);
  free_table(&r->summary);
}

/* The scenario must ask for iterations and samples. */
static inline recorded run_recorded(const char *text, bool step) {
  char file[] = "/tmp/celslm-serve-XXXXXX";
  int fd = mkstemp(file);
  ck_assert_int_ge(fd, 0);
  close(fd);
  fflush(NULL);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    celslm_error err = {0};
    celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
    celslm_run_options o = {.step = step, .file = file};
    int status = s ? (int)celslm_world_run(s, &o, NULL, &err) : CELSLM_BAD_INPUT;
    if (status) fprintf(stderr, "%s\n", err.text);
    celslm_scenario_free(s);
    _exit(status);
  }
  int status;
  waitpid(pid, &status, 0);
  ck_assert_msg(status == 0, "the run failed (%d)\n%s", status, text);

  static const char *const requests[] = {
      "end",       "id",          "prompt_tokens", "output_tokens", "preemptions", "queued",
      "scheduled", "first_token", "last_token",    "engine",        NULL};
  static const char *const iterations[] = {"end", "duration", "decodes", "prefill_tokens", NULL};
  static const char *const engines[] = {"time",      "running", "waiting", "kv_blocks_used",
                                        "kv_blocks", "engine",  NULL};
  static const char *const summary[] = {"preemptions", "iterations", "duration", NULL};
  celslm_error err = {0};
  celslm_reader *reader = celslm_reader_open(file, &err);
  ck_assert_msg(reader != NULL, "%s", err.text);
  recorded r = {.requests = read_table(reader, "requests", requests),
                .iterations = read_table(reader, "iterations", iterations),
                .engines = read_table(reader, "engines", engines),
                .summary = read_table(reader, "summary", summary)};
  celslm_reader_close(reader);
  unlink(file);
  return r;
}

/* A file of arrivals for <trace format="azure">, times in ns from its first row; removed by the
 * caller. */
static inline char *write_trace(const int64_t *times, const int *prompts, const int *outputs,
                                int n) {
  char *file = celslm_strdup("/tmp/celslm-serve-XXXXXX");
  int fd = mkstemp(file);
  ck_assert_int_ge(fd, 0);
  FILE *f = fdopen(fd, "w");
  ck_assert_ptr_nonnull(f);
  fprintf(f, "TIMESTAMP,ContextTokens,GeneratedTokens\n");
  for (int i = 0; i < n; i++) {
    long long s = times[i] / 1000000000, ns = times[i] % 1000000000;
    fprintf(f, "1970-01-01 %02lld:%02lld:%02lld.%09lld,%d,%d\n", s / 3600, s / 60 % 60, s % 60, ns,
            prompts[i], outputs[i]);
  }
  ck_assert_int_eq(fclose(f), 0);
  return file;
}

#endif
