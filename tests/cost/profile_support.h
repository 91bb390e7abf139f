/* profile_support.h - what the suites of `celslm profile` share: a folder of their own, the command
 * run in a process of its own with its output kept, and where outside data are, if they are. */
#ifndef CELSLM_TESTS_PROFILE_SUPPORT_H
#define CELSLM_TESTS_PROFILE_SUPPORT_H

#include "cmd/commands.h"

#include "base/error.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct output {
  int status;
  char *out, *err;
} output;

static inline char *read_file(const char *file) {
  FILE *f = fopen(file, "r");
  ck_assert_ptr_nonnull(f);
  char *text = calloc(1, 4 << 20);
  size_t n = fread(text, 1, (4 << 20) - 1, f);
  ck_assert_uint_lt(n, (4 << 20) - 1);
  fclose(f);
  return text;
}

static inline void write_file(const char *file, const char *text) {
  FILE *f = fopen(file, "w");
  ck_assert_ptr_nonnull(f);
  fputs(text, f);
  fclose(f);
}

/* `celslm profile ...` with these arguments; they end with NULL. */
static inline output run_profile(const char *folder, char **arguments) {
  char *out = celslm_format("%s/stdout", folder), *err = celslm_format("%s/stderr", folder);
  int n = 0, status;
  while (arguments[n]) n++;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    if (!freopen(out, "w", stdout) || !freopen(err, "w", stderr)) _exit(99);
    status = celslm_cmd_profile(n, arguments);
    fflush(NULL);
    _exit(status);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  output o = {WIFEXITED(status) ? WEXITSTATUS(status) : 128, read_file(out), read_file(err)};
  free(out);
  free(err);
  return o;
}

static inline void free_output(output *o) {
  free(o->out);
  free(o->err);
}

/* $NAME, or else ../shared/FOLDER beside the source; NULL with a message if it is not there. */
static inline char *outside(const char *name, const char *folder) {
  const char *given = getenv(name);
  char *path =
      given ? celslm_strdup(given) : celslm_format("%s/../shared/%s", CELSLM_SOURCE_DIR, folder);
  if (access(path, F_OK) == 0) return path;
  printf("skipped: no %s; set %s\n", path, name);
  free(path);
  return NULL;
}

static inline char *make_folder(void) {
  char *folder = celslm_strdup("/tmp/celslm-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  return folder;
}

static inline void remove_folder(char *folder) {
  char *command = celslm_format("rm -r '%s'", folder);
  ck_assert_int_eq(system(command), 0);
  free(command);
  free(folder);
}

#endif
