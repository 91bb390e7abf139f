/* celslm show: the table for people, word for word on a made-up file; --json; and its messages. */
#include "files.h"
#include "sample.h"

#include "cmd/show.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>

/* Runs `show` with these arguments; stdout and stderr go to the files out and err. */
static int show(const char *const *arguments) {
  char *argv[8] = {(char *)"show"};
  int argc = 1;
  while (arguments[argc - 1]) {
    argv[argc] = (char *)arguments[argc - 1];
    argc++;
  }
  fflush(NULL);
  int kept_out = dup(STDOUT_FILENO), kept_err = dup(STDERR_FILENO);
  int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0666);
  int err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0666);
  dup2(out, STDOUT_FILENO), dup2(err, STDERR_FILENO);
  int status = celslm_cmd_show(argc, argv);
  fflush(NULL);
  dup2(kept_out, STDOUT_FILENO), dup2(kept_err, STDERR_FILENO);
  close(out), close(err), close(kept_out), close(kept_err);
  return status;
}

#define SHOW(...) show((const char *const[]){__VA_ARGS__, NULL})

/* A summary whose numbers show each way of writing one. */
static void write_summary(const char *file, int n) {
  static const char *const labels[] = {"cloud-only", "a name as long as this one", "third", NULL};
  celslm_error err = {""};
  celslm_column columns[SAMPLE_MAX_COLUMNS];
  memcpy(columns, celslm_summary_columns, celslm_summary_n_columns * sizeof *columns);
  columns[0].names = labels;
  celslm_results *r = celslm_results_create(file, &err);
  celslm_results_provenance(r, "name", "quick \"start\"", &err);
  celslm_results_provenance(r, "seed", "7", &err);
  celslm_results_provenance(r, "commit", "0123456789abcdef", &err);
  celslm_table *t = celslm_results_table(r, "summary", "", columns, celslm_summary_n_columns, &err);
  celslm_summary_row one = {.strategy = 0,
                            .arrived = 1234567,
                            .completed = 1234000,
                            .rejected = 999,
                            .in_flight = 1000,
                            .duration = 99.96,
                            .throughput = 9.9951,
                            .offered = 0.5,
                            .slo_share = 0.98765,
                            .ttft_mean = 0.99951,
                            .ttft_low = 0.9,
                            .ttft_high = 1.1,
                            .ttft_p50 = 0.0123456,
                            .ttft_p95 = 12.3456,
                            .ttft_p99 = 12345.6,
                            .tpot_mean = 0.0213,
                            .tpot_low = NAN,
                            .tpot_high = NAN,
                            .tpot_p50 = 4.2e-5,
                            .e2e_mean = NAN,
                            .hidden_mean = 0.025,
                            .user_bytes_to_cloud = 999,
                            .kv_bytes = 999600,
                            .wan_bytes = 4.2e12,
                            .energy = 1234000,
                            .energy_radio = 25,
                            .energy_response = 0.9996,
                            .cpr = 0.00412,
                            .pcr = NAN};
  celslm_summary_row empty = {.strategy = 1};
  for (int i = 0; i < n; i++) {
    empty.strategy = (uint8_t)i;
    celslm_table_append(t, i ? &empty : &one);
  }
  ck_assert_msg(celslm_results_close(r, true, false, &err), "%s", err.text);
}

static void assert_line(const char *text, const char *line) {
  char whole[256];
  snprintf(whole, sizeof whole, "\n%s\n", line);
  ck_assert_msg(strstr(text, whole) != NULL, "no line \"%s\" in\n%s", line, text);
}

START_TEST(for_people) {
  write_summary("r.h5", 2);
  ck_assert_int_eq(SHOW("r.h5"), 0);
  char *out = slurp("out", NULL);
  static const char *const lines[] = {
      "                               cloud-only  a name as long as this one",
      "load",
      "  duration                          100 s                         0 s",
      "  arrived                       1,234,567                           0",
      "  rejected                            999                           0",
      "  in flight at the end              1,000                           0",
      "  requests offered                 0.50/s                         0/s",
      "  requests completed               10.0/s                         0/s",
      "  within the objectives            98.8 %                       0.0 %",
      "  mean                             1.00 s                         0 s",
      "    95 % interval           0.90 - 1.10 s                     0 - 0 s",
      "  median                          12.3 ms                         0 s",
      "  95th percentile                  12.3 s                         0 s",
      "  99th percentile                 12346 s                         0 s",
      "  mean                            21.3 ms                         0 s",
      "    95 % interval                       -                     0 - 0 s",
      "  median                          42.0 us                         0 s",
      "  mean                                  -                         0 s",
      "    95 % interval                       -                     0 - 0 s",
      "  hidden by overlap              -25.0 ms                         0 s",
      "  user data to the cloud            999 B                         0 B",
      "  KV moved                        1.00 MB                         0 B",
      "  all bytes over the WAN          4.20 TB                         0 B",
      "  all engine hosts                1.23 MJ                         0 J",
      "  radio                            25.0 J                         0 J",
      "  per completed request            1.00 J                         0 J",
      "  per response (CPR)         0.00412 cent                      0 cent",
      "  utility per cent (PCR)                -                           0",
  };
  ck_assert(strncmp(out, "quick \"start\", seed 7 (0123456789ab)\n", 37) == 0);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) assert_line(out, lines[i]);
  char *err = slurp("err", NULL);
  ck_assert_str_eq(err, "");
  free(err);
  free(out);
}
END_TEST

/* What does not fit in 100 columns continues below, with the labels again. */
START_TEST(many_strategies_fold) {
  celslm_error err = {""};
  ck_assert_msg(sample_write("r.h5", 0, 8, 8, 50, &err), "%s", err.text);
  ck_assert_int_eq(SHOW("r.h5"), 0);
  char *out = slurp("out", NULL);
  int blocks = 0;
  for (char *line = strtok(out, "\n"); line; line = strtok(NULL, "\n")) {
    ck_assert_uint_le(strlen(line), 100);
    blocks += strcmp(line, "load") == 0;
  }
  ck_assert_int_eq(blocks, 2);
  free(out);
}
END_TEST

START_TEST(partial_results_say_so) {
  write_summary("r.h5", 1);
  ck_assert_int_eq(rename("r.h5", "r.h5.part"), 0);
  ck_assert_int_eq(SHOW("r.h5.part"), 0);
  char *out = slurp("out", NULL);
  assert_line(out, "The run was interrupted: these are partial results.");
  free(out);
}
END_TEST

START_TEST(for_programs) {
  write_summary("r.h5", 3);
  ck_assert_int_eq(SHOW("--json", "r.h5"), 0);
  char *out = slurp("out", NULL);
  ck_assert(
      strncmp(out, "{\"strategy\": \"cloud-only\", \"layer_map\": \"none\", \"arrived\": 1234567, ",
              67) == 0);
  ck_assert_ptr_nonnull(strstr(out, "\"duration\": 99.96, \"throughput\": 9.9951,"));
  ck_assert_ptr_nonnull(strstr(out, "\"e2e_mean\": null,"));
  ck_assert_ptr_nonnull(strstr(out, "\"energy\": 1234000, "));
  ck_assert_ptr_nonnull(strstr(out, "\"pcr\": null}\n{\"strategy\": \"a name as"));
  int lines = 0;
  for (char *c = out; *c; c++) lines += *c == '\n';
  ck_assert_int_eq(lines, 3);
  free(out);
}
END_TEST

START_TEST(help_teaches) {
  ck_assert_int_eq(SHOW("--help"), 0);
  char *out = slurp("out", NULL);
  ck_assert(strncmp(out, "Usage: celslm show [--json] RESULTS.h5\n", 39) == 0);
  ck_assert_ptr_nonnull(strstr(out, "How to read it"));
  free(out);
}
END_TEST

START_TEST(messages) {
  celslm_error none = {""};
  celslm_results *r = celslm_results_create("bare.h5", &none);
  celslm_results_close(r, true, false, &none);
  write_summary("nothing.h5", 0);
  spill("text.h5", "hello", 5);
  static const struct {
    const char *arguments[3];
    const char *message;
  } cases[] = {
      {{NULL}, "celslm show: no file; try celslm show RESULTS.h5, or --help\n"},
      {{"--jsn", "r.h5"}, "celslm show: no option \"--jsn\"; there are --json and --help\n"},
      {{"a.h5", "b.h5"}, "celslm show: one file at a time; \"b.h5\" is one too many\n"},
      {{"gone.h5"}, "gone.h5: cannot be read: No such file or directory\n"},
      {{"--", "--help"}, "--help: cannot be read: No such file or directory\n"},
      {{"text.h5"}, "text.h5: is not an HDF5 file; give a results file\n"},
      {{"--json", "text.h5"}, "text.h5: is not an HDF5 file; give a results file\n"},
      {{"bare.h5"}, "bare.h5: there is no table \"summary\"; there are none\n"},
      {{"nothing.h5"}, "nothing.h5: its summary is empty: the run did not finish\n"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert_int_eq(show(cases[i].arguments), 2);
    char *out = slurp("out", NULL), *err = slurp("err", NULL);
    ck_assert_str_eq(out, "");
    ck_assert_str_eq(err, cases[i].message);
    free(out);
    free(err);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("show");
  TCase *cases = tcase_create("show");
  tcase_add_checked_fixture(cases, enter_scratch, leave_scratch);
  tcase_add_test(cases, for_people);
  tcase_add_test(cases, many_strategies_fold);
  tcase_add_test(cases, partial_results_say_so);
  tcase_add_test(cases, for_programs);
  tcase_add_test(cases, help_teaches);
  tcase_add_test(cases, messages);
  suite_add_tcase(suite, cases);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
