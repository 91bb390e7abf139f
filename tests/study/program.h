/* program.h - suites that use the program as its users do: commands in a scratch folder. */
#ifndef CELSLM_TESTS_STUDY_PROGRAM_H
#define CELSLM_TESTS_STUDY_PROGRAM_H

#include "base/error.h"
#include "record/arrays.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/celslm-study-XXXXXX";

static inline void begin(void) {
  strcpy(folder, "/tmp/celslm-study-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void end(void) {
  /* A daemon that has been told to end may still write its last file: then once more. */
  char *command =
      celslm_format("for i in $(seq 50); do rm -rf %s && exit; sleep 0.2; done; exit 1", folder);
  ck_assert_int_eq(system(command), 0);
  free(command);
}

/* Runs a shell command in the scratch folder with $celslm and $data set; its output, stderr
 * included, and its status. */
static inline char *sh(const char *command, int *status) {
  char *whole = celslm_format("cd %s && celslm=" CELSLM_PROGRAM " data=" CELSLM_TEST_DATA
                              " source=" CELSLM_SOURCE_DIR "; { %s\n} 2>&1 </dev/null",
                              folder, command);
  FILE *f = popen(whole, "r");
  ck_assert_ptr_nonnull(f);
  char *out = celslm_alloc(1, 1 << 20);
  size_t n = fread(out, 1, (1 << 20) - 1, f);
  out[n] = 0;
  int s = pclose(f);
  *status = WIFEXITED(s) ? WEXITSTATUS(s) : 128;
  free(whole);
  return out;
}

/* The same; the status must be as expected. */
static inline char *sh_expect(const char *command, int expected) {
  int status;
  char *out = sh(command, &status);
  ck_assert_msg(status == expected, "status %d, not %d, of: %s\n%s", status, expected, command,
                out);
  return out;
}

static inline void sh_well(const char *command) {
  free(sh_expect(command, 0));
}

/* An array of a study in the scratch folder; free() it. */
static inline double *values(const char *file, const char *array, size_t *n) {
  celslm_error err = {0};
  char *path = celslm_format("%s/%s", folder, file);
  celslm_reader *r = celslm_study_file_open(path, &err);
  ck_assert_msg(r != NULL, "%s", err.text);
  double *v = celslm_study_file_values(r, array, n, &err);
  ck_assert_msg(v != NULL, "%s", err.text);
  celslm_reader_close(r);
  free(path);
  return v;
}

#endif
