/* test_cmd.c - the program as users run it: exit statuses, one-line errors, nothing half-written,
 * and the same bytes for the same scenario and seed. */
#include "record/record.h"
#include "support.h"

#include <sys/stat.h>

static char folder[] = "/tmp/celslm-cmd-XXXXXX";

static char *capture(const char *command, int *status) {
  FILE *f = popen(command, "r");
  ck_assert_ptr_nonnull(f);
  char *out = celslm_alloc(1, 1 << 20);
  size_t n = fread(out, 1, (1 << 20) - 1, f);
  out[n] = 0;
  int s = pclose(f);
  *status = WIFEXITED(s) ? WEXITSTATUS(s) : 128;
  return out;
}

/* Runs celslm in tests/data; %s in the arguments is the scratch folder. */
static char *celslm(const char *arguments, int *status) {
  char *args = celslm_format(arguments, folder, folder, folder);
  char *command =
      celslm_format("cd " CELSLM_TEST_DATA " && " CELSLM_PROGRAM " %s 2>&1 </dev/null", args);
  char *out = capture(command, status);
  free(args), free(command);
  return out;
}

static bool empty_folder(void) {
  int status;
  char *command = celslm_format("ls -A %s", folder), *out = capture(command, &status);
  bool empty = out[0] == 0;
  free(command), free(out);
  return empty;
}

static void begin(void) {
  strcpy(folder, "/tmp/celslm-cmd-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void) {
  char *command = celslm_format("rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
  free(command);
}

/* ---- bad arguments and files: one line, exit 2, no file -------------------------------------- */

static const struct {
  const char *arguments, *message;
} bad[] = {
    {"fly", "celslm: there is no command \"fly\"; `celslm --help` lists them\n"},
    {"run", "celslm: run needs a scenario; try scenarios/quickstart.xml\n"},
    {"run -o", "celslm: -o needs a value\n"},
    {"run --set", "celslm: --set needs a value\n"},
    {"run a.xml b.xml", "celslm: one scenario at a time; \"b.xml\" is a second one\n"},
    {"run --fast a.xml", "celslm: run has no option --fast; `celslm run --help` lists them\n"},
    {"run -j 0 a.xml", "celslm: -j \"0\" is no number of jobs; give 1 to 4096\n"},
    {"run -j two a.xml", "celslm: -j \"two\" is no number of jobs; give 1 to 4096\n"},
    {"run nowhere.xml -o %s/x.h5", "nowhere.xml: cannot be read: No such file or directory; give "
                                   "an XML file of at most 16 MiB\n"},
    {"run cmd/whole.xml -o %s/no/x.h5", NULL},
    {"run cmd/whole.xml --set //arrivals/poisson/@rate=fast -o %s/x.h5", NULL},
    {"run cmd/whole.xml --set //nothing/@x=1 -o %s/x.h5", NULL},
    {"run cmd/trace.xml -o %s/x.h5",
     "cmd/late.csv:3: earlier than the row before it; sort the trace by time\n"},
    {"run cmd/trace.xml --set //trace/@file=cut.jsonl --set //trace/@format=mooncake -o %s/x.h5",
     NULL}, /* its contexts: a mooncake trace brings its own */
    {"run cmd/mooncake.xml -o %s/x.h5",
     "cmd/cut.jsonl:2: the row is cut short; a row is {\"timestamp\": ms, \"input_length\": n, "
     "\"output_length\": n, \"hash_ids\": [...]}\n"},
    {"run cmd/mooncake.xml --set //trace/@file=/dev/null -o %s/x.h5",
     "/dev/null: the trace is empty; give a file with one row per request\n"},
    {"run cmd/mooncake.xml --set //trace/@file=/dev/zero -o %s/x.h5",
     "/dev/zero:1: not a line of text; a trace is a text file with lines of up to 1048576 "
     "bytes\n"},
    {"run cmd/mooncake.xml --set //trace/@rate_scale=1000 -o %s/x.h5", NULL},
    {"run cmd/mooncake.xml --set //trace/@rate_scale=0 -o %s/x.h5", NULL},
    {"run cmd/mooncake.xml --set //trace/@time_scale=nan -o %s/x.h5", NULL},
    {"run cmd/far.xml -o %s/x.h5", NULL},
    {"run bad/floor-without-table.xml -o %s/x.h5",
     "bad/floor-without-table.xml:16: <planner> floor needs quality=\"FILE\", as `celslm quality "
     "-o` writes it: quality is measured, never assumed\n"},
    {"run bad/nan.xml -o %s/x.h5", NULL},
    {"run bad/unknown-attribute.xml -o %s/x.h5", NULL},
    {"run bad/entity.xml -o %s/x.h5", NULL},
    {"run --seed -1 a.xml", "celslm: --seed \"-1\" is no seed; give a whole number from 0\n"},
    {"run cmd/whole.xml --set platform://link/@nothing=1 -o %s/x.h5", NULL},
    {"sweep", "celslm: sweep needs a scenario; try scenarios/quickstart.xml\n"},
    {"sweep --tea", "celslm: sweep has no option --tea; `celslm sweep --help` lists them\n"},
    {"sweep cmd/tiny.xml --replications 0 -o %s/x.h5",
     "celslm: --replications \"0\": give a whole number from 1 to 10000000\n"},
    {"sweep cmd/tiny.xml --axis //poisson/@rate -o %s/x.h5", NULL},
    {"sweep cmd/tiny.xml --axis //poisson/@rate=fast -o %s/x.h5", NULL},
    {"sweep cmd/tiny.xml --axis //poisson/@speed=1/s -o %s/x.h5", NULL},
    {"sweep cmd/tiny.xml --axis platform://poisson/@rate=1/s -o %s/x.h5", NULL},
    {"sweep cmd/tiny.xml --merge -o %s/no/x.h5", NULL},
    {"validate", "celslm: validate needs a scenario\n"},
    {"list planets", "celslm: cannot list \"planets\"; `celslm list --help` says what can be\n"},
    {"show cmd/whole.xml", NULL},
    {"show nowhere.h5", NULL},
    {"bench tea",
     "celslm: bench has the suites serve, kernels, gemm, attention and net; not tea\n"},
    {"bench gemm --threads two",
     "celslm: bench --threads takes a number from 1 to 1024; not \"two\"\n"},
    {"bench net --threads 1",
     "celslm: bench net has no --threads; kernels, gemm and attention have\n"},
    {"bench serve kernels",
     "celslm: bench does not know \"kernels\"; `celslm bench --help` tells its arguments\n"},
    {"calibrate --tea", NULL},
    {"quality --tea", "celslm: --tea is no option of celslm quality; see --help\n"},
    {"quality --cloud nowhere.bin", "celslm: nowhere.bin: No such file or directory; a llama2.c "
                                    "checkpoint is needed\n"},
    {"quality --text /dev/null -o %s/x.csv", NULL},
    {"radio nowhere.xml", NULL},
    {"radio cmd/whole.xml --grid fast -o %s/x.h5", NULL},
    {"radio cmd/whole.xml --tea",
     "celslm: radio has no option --tea; `celslm radio --help` lists them\n"},
};

START_TEST(test_bad_input) {
  begin();
  int status;
  char *out = celslm(bad[_i].arguments, &status);
  ck_assert_msg(status == 2, "%s: status %d: %s", bad[_i].arguments, status, out);
  if (bad[_i].message) ck_assert_str_eq(out, bad[_i].message);
  ck_assert_msg(strchr(out, '\n') == out + strlen(out) - 1, "%s: not one line: %s",
                bad[_i].arguments, out);
  ck_assert_msg(empty_folder(), "%s left a file behind", bad[_i].arguments);
  free(out);
  end();
}
END_TEST

static const char *const helpful[] = {"--help",       "run --help",  "validate --help",
                                      "list --help",  "show --help", "calibrate --help",
                                      "sweep --help", "bench --help"};

START_TEST(test_help) {
  int status;
  char *out = celslm(helpful[_i], &status);
  ck_assert_int_eq(status, 0);
  ck_assert(strcasestr(out, "usage:") != NULL && strlen(out) > 100);
  free(out);
}
END_TEST

static const char *const listed[] = {"strategies", "codecs", "channels",     "loads",
                                     "arrivals",   "traces", "distributions"};

START_TEST(test_list) {
  int status;
  char *args = celslm_format("list %s", listed[_i]), *out = celslm(args, &status);
  ck_assert_int_eq(status, 0);
  ck_assert(strlen(out) > 3);
  free(args), free(out);
}
END_TEST

/* ---- results --------------------------------------------------------------------------------- */

static void run_well(const char *arguments) {
  int status;
  char *out = celslm(arguments, &status);
  ck_assert_msg(status == 0, "%s: status %d: %s", arguments, status, out);
  free(out);
}

static bool same_file(const char *a, const char *b) {
  char *command = celslm_format("cmp -s %s/%s %s/%s", folder, a, folder, b);
  int status = system(command);
  free(command);
  return status == 0;
}

START_TEST(test_same_bytes) {
  begin();
  run_well("run cmd/whole.xml -o %s/a.h5 --quiet -j 1");
  run_well("run cmd/whole.xml -o %s/b.h5 --quiet -j 3");
  run_well("run cmd/whole.xml -o %s/step.h5 --quiet --step");
  run_well("run cmd/whole.xml -o %s/c.h5 --quiet --set /scenario/@seed=2");
  ck_assert_msg(same_file("a.h5", "b.h5"), "the same scenario gave different bytes");
  ck_assert(!same_file("a.h5", "c.h5"));
  celslm_error err = {0};
  double *columns[3];
  uint64_t rows = 0;
  const char *names[] = {"a", "step", "c"};
  for (int i = 0; i < 3; i++) {
    char *file = celslm_format("%s/%s.h5", folder, names[i]);
    celslm_reader *reader = celslm_reader_open(file, &err);
    ck_assert_msg(reader != NULL, "%s", err.text);
    ck_assert(celslm_reader_rows(reader, "requests", &rows, &err));
    columns[i] = celslm_reader_column(reader, "requests", "ttft", &err);
    ck_assert_ptr_nonnull(columns[i]);
    celslm_reader_close(reader);
    free(file);
  }
  ck_assert_uint_eq(rows, 3 * 40); /* three strategies on the same load */
  ck_assert(memcmp(columns[0], columns[1], rows * sizeof(double)) == 0);
  ck_assert(memcmp(columns[0], columns[2], rows * sizeof(double)) != 0);
  for (int i = 0; i < 3; i++) free(columns[i]);
  int status;
  char *out = celslm("show %s/a.h5", &status);
  ck_assert_int_eq(status, 0);
  ck_assert(strstr(out, "cloud-only") && strstr(out, "serial"));
  free(out);
  end();
}
END_TEST

/* Ctrl-C: status 130, nothing under the final name. */
START_TEST(test_interrupt) {
  begin();
  int status;
  char *command = celslm_format(
      "cd " CELSLM_TEST_DATA " && timeout --preserve-status -s INT 0.5 " CELSLM_PROGRAM
      " run cmd/long.xml -o %s/x.h5 --quiet 2>&1; echo $?; test ! -e %s/x.h5 && echo none",
      folder, folder);
  char *out = capture(command, &status);
  ck_assert_msg(strstr(out, "interrupted at") && strstr(out, "\n130\nnone"), "%s", out);
  free(command), free(out);
  end();
}
END_TEST

START_TEST(test_validate) {
  int status;
  char *out = celslm("validate cmd/whole.xml", &status);
  ck_assert_int_eq(status, 0);
  ck_assert_str_eq(
      out, "cmd/whole.xml: good. 3 engines on 8 hosts, 2 cells, 6 contexts, 3 strategies.\n");
  free(out);
  out = celslm("validate scenario/good.xml", &status);
  ck_assert_int_eq(status, 0);
  ck_assert_msg(strstr(out, ", a sweep of 50 points.\n"), "%s", out); /* 2 x 5 places, 5 times */
  free(out);
  out = celslm("validate cmd/no-neighbours.xml 2>&1", &status); /* what only its strategy can say */
  ck_assert_int_eq(status, 2);
  ck_assert_msg(strstr(out, "cmd/no-neighbours.xml:19: ") && strstr(out, "needs peers"), "%s", out);
  free(out);
}
END_TEST

START_TEST(test_kv_buffer) {
  static const struct {
    const char *set, *said;
  } wrong[] = {{"kv_buffer=10", "kv_buffer \"10\": no unit"},
               {"kv_buffer=-1MB", "kv_buffer \"-1MB\": negative"},
               {"kv_buffer=0B", "kv_buffer \"0B\": out of range"},
               {"kv_buffer=1ms", "kv_buffer \"1ms\""},
               {"decode=c", "kv_buffer with engine \"c\" both prefilling and decoding"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    int status;
    char *command =
        celslm_format("run cmd/kv-buffer.xml -o /tmp/kv-buffer.h5 --set '//disaggregated/@%s' 2>&1",
                      wrong[i].set);
    char *out = celslm(command, &status);
    ck_assert_msg(status == 2 && strstr(out, "cmd/kv-buffer.xml:15: <disaggregated> ") &&
                      strstr(out, wrong[i].said),
                  "%s: %s", wrong[i].set, out);
    free(command), free(out);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cmd");
  TCase *tcase = tcase_create("cmd");
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, test_bad_input, 0, (int)(sizeof bad / sizeof *bad));
  tcase_add_loop_test(tcase, test_help, 0, (int)(sizeof helpful / sizeof *helpful));
  tcase_add_loop_test(tcase, test_list, 0, (int)(sizeof listed / sizeof *listed));
  tcase_add_test(tcase, test_same_bytes);
  tcase_add_test(tcase, test_interrupt);
  tcase_add_test(tcase, test_validate);
  tcase_add_test(tcase, test_kv_buffer);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
