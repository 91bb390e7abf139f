/* test_lengths.c - lengths from laws and files, foretold lengths, classes, mixed workloads. */
#include "trace_support.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

static char folder[] = "/tmp/celslm-lengths-XXXXXX";
static char *csv; /* tokens_in,tokens_out,what */

static const int table[][2] = {{10, 1}, {20, 2}, {30, 3}, {40, 4}, {10, 5}, {700, 6}, {9, 7}};
enum { ROWS = sizeof table / sizeof *table };

static void write_csv(const char *text) {
  FILE *f = fopen(csv, "w");
  if (text) {
    fputs(text, f);
  } else {
    fputs("tokens_in,what,tokens_out\n", f);
    for (int i = 0; i < ROWS; i++) fprintf(f, "%d,\"a, b\",%d\n", table[i][0], table[i][1]);
  }
  fclose(f);
}

typedef struct drawn {
  celslm_arrival *a;
  int n;
} drawn;

static drawn draw_all(const char *attributes, const char *workloads, int most) {
  celslm_scenario *s = scenario_with(attributes, "", workloads);
  celslm_load *l = load_of(s);
  drawn d = {celslm_alloc((unsigned long)most, sizeof *d.a), 0};
  while (d.n < most && celslm_load_next(l, &d.a[d.n])) d.n++;
  celslm_load_free(l);
  celslm_scenario_free(s);
  return d;
}

static char *lengths(const char *law, int requests) {
  return celslm_format(
      "<workload requests=\"%d\"><arrivals><poisson rate=\"1/s\"/></arrivals>%s</workload>",
      requests, law);
}

/* The sum of (observed - expected)^2 / expected is below the 99.9 % quantile of chi-square. */
static void fits(const double *observed, const double *expected, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) {
    ck_assert(expected[i] >= 5); /* else the approximation is poor */
    sum += (observed[i] - expected[i]) * (observed[i] - expected[i]) / expected[i];
  }
  double most = gsl_cdf_chisq_Pinv(0.999, n - 1);
  ck_assert_msg(sum < most, "chi-square %g of %d classes, at most %g", sum, n, most);
}

START_TEST(test_zipf) {
  static const struct {
    double s;
    int min, max;
  } cases[] = {{1.2, 1, 50}, {2.5, 3, 12}, {0, 1, 20}, {1, 1000, 1030}};
  enum { N = 50000 };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    char *law =
        celslm_format("<prompt><zipf s=\"%g\" min=\"%d\" max=\"%d\"/></prompt><output><fixed "
                      "tokens=\"1\"/></output>",
                      cases[k].s, cases[k].min, cases[k].max);
    char *text = lengths(law, N);
    drawn d = draw_all("", text, N + 1);
    ck_assert_int_eq(d.n, N);
    int n = cases[k].max - cases[k].min + 1;
    double observed[64] = {0}, expected[64], all = 0;
    for (int i = 0; i < n; i++) all += expected[i] = pow(cases[k].min + i, -cases[k].s);
    for (int i = 0; i < n; i++) expected[i] *= N / all;
    for (int i = 0; i < N; i++) {
      ck_assert(d.a[i].prompt >= cases[k].min && d.a[i].prompt <= cases[k].max);
      observed[d.a[i].prompt - cases[k].min]++;
    }
    fits(observed, expected, n);
    free(law), free(text), free(d.a);
  }
}
END_TEST

/* In the file's order, over and over: the file's columns, each by itself or both together. */
START_TEST(test_file_order) {
  write_csv(NULL);
  for (int joint = 0; joint < 2; joint++) {
    char *law = celslm_format(
        joint ? "<lengths file=\"%s\" prompt=\"tokens_in\" output=\"tokens_out\" order=\"file\"/>"
              : "<prompt><empirical file=\"%s\" column=\"tokens_in\" order=\"file\"/></prompt>"
                "<output><empirical file=\"%s\" column=\"tokens_out\" order=\"file\"/></output>",
        csv, csv);
    char *text = lengths(law, 3 * ROWS);
    drawn d = draw_all("", text, 100);
    ck_assert_int_eq(d.n, 3 * ROWS);
    for (int i = 0; i < d.n; i++)
      ck_assert(d.a[i].prompt == table[i % ROWS][0] && d.a[i].output == table[i % ROWS][1]);
    free(law), free(text), free(d.a);
  }
}
END_TEST

/* Drawn: each row as often as the others; columns by themselves are independent, rows are not. */
START_TEST(test_drawn_rows) {
  enum { N = 49000 };
  write_csv(NULL);
  for (int joint = 0; joint < 2; joint++) {
    char *law =
        celslm_format(joint ? "<lengths file=\"%s\" prompt=\"tokens_in\" output=\"tokens_out\"/>"
                            : "<prompt><empirical file=\"%s\" column=\"tokens_in\"/></prompt>"
                              "<output><empirical file=\"%s\" column=\"tokens_out\"/></output>",
                      csv, csv);
    char *text = lengths(law, N);
    drawn d = draw_all("", text, N);
    double rows[ROWS] = {0}, expected[ROWS];
    int together = 0;
    for (int i = 0; i < N; i++) {
      int row = d.a[i].output - 1;
      rows[row]++;
      together += table[row][0] == d.a[i].prompt;
    }
    for (int i = 0; i < ROWS; i++) expected[i] = (double)N / ROWS;
    fits(rows, expected, ROWS);
    if (joint)
      ck_assert_int_eq(together, N);
    else /* by chance: 9 of 49 pairs, for 10 stands in two rows */
      ck_assert_double_eq_tol(together, N * 9.0 / 49, 4 * sqrt(N * 9.0 / 49 * 40 / 49));
    free(law), free(text), free(d.a);
  }
}
END_TEST

static const struct {
  const char *text, *error;
} bad[] = {
    {"", ":1: no header; the first line must name the columns"},
    {"tokens_in,tokens_out\n", ": has no rows; give at least one below the header"},
    {"a,tokens_out\n1,2\n", ":1: no column \"tokens_in\"; the header must have one"},
    {"tokens_in,tokens_out\n1,2\n-1,2\n",
     ":3: tokens_in -1 is out of range; give 1 to 1.67772e+07"},
    {"tokens_in,tokens_out\n1,0\n", ":2: tokens_out 0 is out of range; give 1 to 1.67772e+07"},
    {"tokens_in,tokens_out\n1,2\n1.5,2\n", ":3: tokens_in 1.5 is no whole number; give tokens"},
    {"tokens_in,tokens_out\nnan,2\n", ":2: tokens_in \"nan\" is no number; give a finite one"},
    {"tokens_in,tokens_out\n1e300,2\n",
     ":2: tokens_in 1e+300 is out of range; give 1 to 1.67772e+07"},
    {"tokens_in,tokens_out\n1,2\n3\n", ":3: 1 cells; the header has 2 columns"},
};

START_TEST(test_bad_file) {
  write_csv(bad[_i].text);
  char *law =
      celslm_format("<lengths file=\"%s\" prompt=\"tokens_in\" output=\"tokens_out\"/>", csv);
  char *text = lengths(law, 10);
  celslm_error err = {0};
  celslm_scenario *s = scenario_with("", "", text);
  ck_assert_ptr_null(celslm_load_new(s, &err));
  char *expected = celslm_format("%s%s", csv, bad[_i].error);
  ck_assert_str_eq(err.text, expected);
  celslm_scenario_free(s);
  free(expected), free(law), free(text);
}
END_TEST

/* Settings that only the load understands. */
static const struct {
  const char *parts, *error;
} settings[] = {
    {"<arrivals><poisson rate=\"1/s\"/></arrivals><prompt><zipf s=\"1\" min=\"9\" "
     "max=\"8\"/></prompt><output><fixed tokens=\"1\"/></output>",
     "<zipf> max \"8\": out of range; it must be a whole number of at least 9 and at most 1048584"},
    {"<arrivals><poisson rate=\"1/s\"/></arrivals><prompt><zipf s=\"1\" "
     "max=\"1048577\"/></prompt><output><fixed tokens=\"1\"/></output>",
     "<zipf> max \"1048577\": out of range; it must be a whole number of at least 1 and at most "
     "1048576"},
    {"<arrivals><poisson rate=\"1/s\"/></arrivals><prompt><fixed tokens=\"1\"/></prompt><output>"
     "<fixed tokens=\"1\"/></output><sessions turns=\"2.5\" think=\"1s\"/>",
     "<sessions> turns 2.5 is no whole number; give one, or turns_law=\"geometric\""},
    {"<arrivals><closed users=\"2\" think=\"1s\"/></arrivals><lengths file=\"scenario/trace.csv\" "
     "prompt=\"ContextTokens\" output=\"GeneratedTokens\" order=\"file\"/>",
     "order=\"file\" in a closed loop, where strategies would get the rows in different orders; "
     "give order=\"drawn\""},
    {"<arrivals><closed users=\"20000000\" think=\"1s\"/></arrivals><prompt><fixed "
     "tokens=\"1\"/></prompt><output><fixed tokens=\"1\"/></output>",
     "<closed> users \"20000000\": out of range; it must be a whole number of at least 1 and at "
     "most 10000000"},
    {"<trace file=\"load/mooncake.jsonl\" format=\"mooncake\" time_scale=\"1e9\"/>",
     "s after time_scale; at most 9e9 s can be simulated"},
};

START_TEST(test_bad_setting) {
  celslm_error err = {0};
  char *text = celslm_format("<workload requests=\"9\">%s</workload>", settings[_i].parts);
  celslm_scenario *s = scenario_with("", "", text);
  celslm_load *l = celslm_load_new(s, &err);
  if (l) ck_abort_msg("%s is not refused", text);
  ck_assert_msg(strstr(err.text, settings[_i].error) != NULL, "%s", err.text);
  ck_assert_int_eq(
      strncmp(err.text, CELSLM_TEST_DATA "/test.xml:1: ", strlen(CELSLM_TEST_DATA "/test.xml:1: ")),
      0);
  celslm_scenario_free(s);
  free(text);
}
END_TEST

/* Foretold lengths: exact without an error, else off by a log-normal factor with that sigma. */
START_TEST(test_predictions) {
  enum { N = 20000 };
  for (int k = 0; k < 2; k++) {
    double sigma = k ? 0.4 : 0, sum = 0, squares = 0;
    char *text =
        celslm_format("<workload requests=\"%d\" prediction_error=\"%g\"><arrivals><poisson "
                      "rate=\"1/s\"/></arrivals><prompt><fixed tokens=\"1\"/></prompt>"
                      "<output><uniform min=\"5000\" max=\"9000\"/></output></workload>",
                      N, sigma);
    drawn d = draw_all("", text, N);
    for (int i = 0; i < N; i++) {
      double off = log((double)d.a[i].demand.predicted / d.a[i].output);
      sum += off, squares += off * off;
    }
    if (k) {
      ck_assert_double_eq_tol(sum / N, 0, 4 * sigma / sqrt(N));
      ck_assert_double_eq_tol(squares / N, sigma * sigma, 4 * sqrt(2.0 / N) * sigma * sigma);
    } else
      ck_assert(sum == 0 && squares == 0);
    free(text), free(d.a);
  }
}
END_TEST

#define FIRST                                                                                      \
  "<workload requests=\"3000\"><arrivals><poisson rate=\"5/s\"/></arrivals><prompt><uniform "      \
  "min=\"1\" max=\"90\"/></prompt><output><uniform min=\"1\" max=\"90\"/></output><class "         \
  "name=\"gold\" tenant=\"x\" priority=\"0\" deadline=\"2s\"/><class name=\"silver\" "             \
  "tenant=\"x\" priority=\"3\" share=\"2\"/></workload>"
#define SECOND                                                                                     \
  "<workload requests=\"1000\"><arrivals><gamma rate=\"2/s\" cv=\"2\"/></arrivals><prompt><fixed " \
  "tokens=\"5\"/></prompt><output><fixed tokens=\"7\"/></output></workload>"

/* Workloads are mixed in order of time, and the first is not changed by the second; classes and
 * tenants are those of the scenario. */
START_TEST(test_workloads) {
  drawn alone = draw_all("", FIRST, 5000), both = draw_all("", FIRST SECOND, 5000);
  ck_assert_int_eq(alone.n, 3000);
  ck_assert_int_eq(both.n, 4000);
  int at = 0, silver = 0;
  bool seen[8000] = {false};
  for (int i = 0; i < both.n; i++) {
    const celslm_arrival *a = &both.a[i];
    ck_assert(i == 0 || a->time >= a[-1].time);
    ck_assert(!seen[a->demand.session] && a->demand.turn == 0);
    seen[a->demand.session] = true;
    if (a->demand.cls == 2) {
      ck_assert(a->prompt == 5 && a->output == 7 && a->demand.tenant == 1);
      ck_assert(a->demand.priority == 0 && a->demand.deadline == CELSLM_NEVER);
      continue;
    }
    const celslm_arrival *same = &alone.a[at++];
    ck_assert(a->time == same->time && a->prompt == same->prompt && a->output == same->output &&
              a->place == same->place && a->demand.cls == same->demand.cls);
    ck_assert_int_eq(a->demand.tenant, 0);
    ck_assert_int_eq(a->demand.priority, a->demand.cls ? 3 : 0);
    ck_assert_int_eq(a->demand.deadline, a->demand.cls ? CELSLM_NEVER : a->time + 2000000000);
    ck_assert_ptr_null(a->demand.prefix.blocks);
    silver += a->demand.cls == 1;
  }
  ck_assert_int_eq(at, 3000);
  ck_assert_double_eq_tol(silver, 2000, 4 * sqrt(3000 * 2.0 / 9));
  free(alone.a), free(both.a);
}
END_TEST

int main(void) {
  if (!mkdtemp(folder)) return 1;
  csv = celslm_format("%s/lengths.csv", folder);
  Suite *suite = suite_create("lengths");
  TCase *tcase = tcase_create("lengths");
  tcase_add_test(tcase, test_zipf);
  tcase_add_test(tcase, test_file_order);
  tcase_add_test(tcase, test_drawn_rows);
  tcase_add_test(tcase, test_predictions);
  tcase_add_test(tcase, test_workloads);
  tcase_add_loop_test(tcase, test_bad_setting, 0, (int)(sizeof settings / sizeof *settings));
  tcase_add_loop_test(tcase, test_bad_file, 0, (int)(sizeof bad / sizeof *bad));
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  unlink(csv);
  rmdir(folder);
  free(csv);
  return failed != 0;
}
