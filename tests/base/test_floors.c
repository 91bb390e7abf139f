/* test_floors.c - who may include whom: the order of the modules, and the one door to each library.
 */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each module includes only itself and those before it. */
static const char *const floors[] = {"kernels",  "base",  "record", "scenario", "model",
                                     "cost",     "net",   "serve",  "load",     "share",
                                     "strategy", "world", "study",  "cmd"};
enum { FLOORS = sizeof floors / sizeof *floors };

static int floor_of(const char *path) {
  for (int i = 0; i < FLOORS; i++) {
    size_t n = strlen(floors[i]);
    if (strncmp(path, floors[i], n) == 0 && path[n] == '/') return i;
  }
  return -1;
}

/* A library's headers, and the module that may include them. */
static const struct {
  const char *header, *module;
} doors[] = {
    {"<simgrid/", "net"}, {"<xbt/", "net"},         {"<hdf5", "record"},
    {"<H5", "record"},    {"<libxml/", "scenario"},
};

static void check_file(const char *file, const char *module_path, int floor) {
  FILE *f = fopen(file, "r");
  ck_assert_ptr_nonnull(f);
  char line[1024];
  for (int number = 1; fgets(line, sizeof line, f); number++) {
    char *include = strstr(line, "#include ");
    if (!include) continue;
    include += strlen("#include ");
    for (size_t d = 0; d < sizeof doors / sizeof *doors; d++)
      if (strncmp(include, doors[d].header, strlen(doors[d].header)) == 0)
        ck_assert_msg(floor_of(module_path) >= 0 &&
                          strncmp(module_path, doors[d].module, strlen(doors[d].module)) == 0,
                      "%s:%d: only %s may include %s", file, number, doors[d].module, include);
    if (include[0] != '"') continue;
    int other = floor_of(include + 1);
    ck_assert_msg(other <= floor, "%s:%d: %s may not include %s", file, number, floors[floor],
                  include);
    if (floor == 0)
      ck_assert_msg(other <= 0, "%s:%d: kernels include nothing of the simulator", file, number);
  }
  fclose(f);
}

START_TEST(test_order_of_modules) {
  static const char *const patterns[] = {"/kernels/*.[ch]", "/kernels/*/*.[ch]", "/sim/*/*.[ch]",
                                         "/sim/*/*/*.[ch]"};
  int files = 0;
  for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
    char pattern[512];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s%s", CELSLM_SOURCE_DIR, patterns[p]);
    if (glob(pattern, 0, NULL, &found) != 0) continue;
    for (size_t i = 0; i < found.gl_pathc; i++) {
      const char *path = found.gl_pathv[i] + strlen(CELSLM_SOURCE_DIR) + 1;
      if (strncmp(path, "sim/", 4) == 0) path += 4;
      int floor = floor_of(path);
      ck_assert_msg(floor >= 0, "%s is in no module: add its folder to the list", path);
      check_file(found.gl_pathv[i], path, floor);
      files++;
    }
    globfree(&found);
  }
  ck_assert_int_gt(files, 60);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("floors");
  TCase *tcase = tcase_create("floors");
  tcase_add_test(tcase, test_order_of_modules);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
