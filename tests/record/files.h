/* files.h - a scratch directory per test and files as bytes. */
#ifndef CELSLM_TESTS_RECORD_FILES_H
#define CELSLM_TESTS_RECORD_FILES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static __attribute__((unused)) char scratch[64];

/* Every test starts in an empty directory of its own. */
static inline void enter_scratch(void) {
  snprintf(scratch, sizeof scratch, "/tmp/celslm-record-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(scratch));
  ck_assert_int_eq(chdir(scratch), 0);
}

static inline void leave_scratch(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", scratch);
  ck_assert_int_eq(chdir("/"), 0);
  ck_assert_int_eq(system(command), 0);
}

/* The whole file, with a NUL behind it; *size may be NULL. */
static inline char *slurp(const char *file, size_t *size) {
  struct stat status;
  ck_assert_msg(stat(file, &status) == 0, "%s does not exist", file);
  char *bytes = calloc((size_t)status.st_size + 1, 1);
  FILE *f = fopen(file, "rb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fread(bytes, 1, (size_t)status.st_size, f), (size_t)status.st_size);
  fclose(f);
  if (size) *size = (size_t)status.st_size;
  return bytes;
}

static inline void spill(const char *file, const char *bytes, size_t size) {
  FILE *f = fopen(file, "wb");
  ck_assert_ptr_nonnull(f);
  ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
  ck_assert_int_eq(fclose(f), 0);
}

static inline int exists(const char *file) {
  return access(file, F_OK) == 0;
}

#endif
