/* analysis/: makes results files with the C writer, and lets analysis_test.py read and draw them.
 * Skipped, with a word, where Debian's python3-h5py, -pandas and -matplotlib are not installed. */
#include "files.h"
#include "sample.h"

#include <hdf5.h>

/* As a file of a later format: the same but for its version. */
static void write_newer(const char *file) {
  celslm_error err = {""};
  ck_assert(celslm_results_close(celslm_results_create(file, &err), true, false, &err));
  hid_t h5 = H5Fopen(file, H5F_ACC_RDWR, H5P_DEFAULT);
  hid_t version = H5Aopen(h5, "format_version", H5P_DEFAULT);
  const long long two = 2;
  ck_assert_int_ge(H5Awrite(version, H5T_NATIVE_LLONG, &two), 0);
  H5Aclose(version);
  H5Fclose(h5);
}

static void write_files(void) {
  celslm_error err = {""};
  ck_assert_msg(sample_write("1.h5", 0, 1, 1, 400, &err), "%s", err.text);
  ck_assert_msg(sample_write("3.h5", 0, 3, 3, 400, &err), "%s", err.text);
  ck_assert_msg(sample_write("8.h5", 0, 8, 8, 400, &err), "%s", err.text);
  ck_assert_msg(sample_write("idle.h5", 0, 2, 2, 0, &err), "%s", err.text);
  ck_assert(celslm_results_close(celslm_results_create("bare.h5", &err), true, false, &err));
  write_newer("newer.h5");
  char *bytes = slurp("3.h5", NULL);
  spill("empty.h5", bytes, 0);
  spill("short.h5", bytes, 4000);
  spill("text.h5", "hello", 5);
  free(bytes);
}

START_TEST(python) {
  if (system("/usr/bin/python3 -c 'import h5py, pandas, matplotlib' 2>/dev/null") != 0) {
    puts("skipped: /usr/bin/python3 lacks h5py, pandas or matplotlib");
    return;
  }
  write_files();
  int status = system("MPLCONFIGDIR=. /usr/bin/python3 -B " CELSLM_SOURCE_DIR
                      "/tests/record/analysis_test.py " CELSLM_SOURCE_DIR "/analysis 2>log");
  char *log = slurp("log", NULL);
  ck_assert_msg(status == 0, "analysis_test.py failed:\n%s", log);
  free(log);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("analysis");
  TCase *analysis = tcase_create("analysis");
  tcase_add_checked_fixture(analysis, enter_scratch, leave_scratch);
  tcase_set_timeout(analysis, 240);
  tcase_add_test(analysis, python);
  suite_add_tcase(suite, analysis);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
