/* test_load.c - distributions against their means, traces and their errors. */
#include "load/load.h"
#include "support.h"

#include <math.h>

static celslm_scenario *scenario(const char *workload) {
  celslm_error err = {0};
  char *text =
      celslm_format("<scenario name=\"t\" seed=\"9\"><platform file=\"pair.xml\"/><models><model "
                    "file=\"models/big.xml\"/></models>"
                    "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\"/></engines>"
                    "<contexts><population name=\"d\" count=\"4\" "
                    "tokens=\"10\"/></contexts>%s<strategy><cloud-only/></strategy></scenario>",
                    workload);
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  free(text);
  return s;
}

typedef struct sums {
  double n, gap, gap2, prompt, prompt2, output, first;
} sums;

static sums draw(const char *workload) {
  celslm_error err = {0};
  celslm_scenario *s = scenario(workload);
  celslm_load *l = celslm_load_new(s, &err);
  ck_assert_msg(l != NULL, "%s", err.text);
  celslm_arrival a;
  sums t = {0};
  double last = 0;
  while (celslm_load_next(l, &a)) {
    double gap = celslm_seconds(a.time) - last;
    last = celslm_seconds(a.time);
    t.n++, t.gap += gap, t.gap2 += gap * gap, t.prompt += a.prompt,
        t.prompt2 += (double)a.prompt * a.prompt, t.output += a.output;
    t.first += a.context == 0;
    ck_assert(a.place >= 0 && a.place < 1 && a.prompt >= 1 && a.output >= 1);
  }
  celslm_load_free(l);
  celslm_scenario_free(s);
  return t;
}

/* |sample mean - mean| within 4 standard errors. */
static void mean_is(double sum, double n, double mean, double deviation) {
  ck_assert_msg(fabs(sum / n - mean) <= 4 * deviation / sqrt(n) + 1e-12, "mean %g, expected %g",
                sum / n, mean);
}

START_TEST(test_means) {
  sums t = draw("<workload requests=\"100000\"><arrivals><poisson "
                "rate=\"4/s\"/></arrivals><prompt><lognormal mean=\"300\" cv=\"0.5\"/></prompt>"
                "<output><uniform min=\"10\" max=\"30\"/></output><popularity><zipf "
                "s=\"1\"/></popularity></workload>");
  mean_is(t.gap, t.n, 0.25, 0.25);
  mean_is(t.gap2, t.n, 2 * 0.0625,
          sqrt(24 - 4) * 0.0625); /* exponential: E g^2 = 2/l^2, E g^4 = 24/l^4 */
  mean_is(t.prompt, t.n, 300, 150);
  mean_is(t.prompt2, t.n, 300.0 * 300 * 1.25 + 1 / 12.0, 3e5);
  mean_is(t.output, t.n, 20, sqrt((21.0 * 21 - 1) / 12));
  double share = 1 / (1 + 1 / 2.0 + 1 / 3.0 + 1 / 4.0);
  mean_is(t.first, t.n, share, sqrt(share * (1 - share)));
}
END_TEST

/* Gaps of the gamma process have the mean and deviation asked for; counts of the modulated ones
 * have their mean rate, and an index of dispersion that only they have. */
START_TEST(test_bursts) {
#define REST                                                                                       \
  "<prompt><fixed tokens=\"1\"/></prompt><output><fixed tokens=\"1\"/></output></workload>"
  sums t = draw(
      "<workload requests=\"100000\"><arrivals><gamma rate=\"5/s\" cv=\"3\"/></arrivals>" REST);
  mean_is(t.gap, t.n, 0.2, 0.6);
  mean_is(t.gap2, t.n, 0.04 * 10, 0.4 * 10); /* variance (cv mean)^2; the fourth moment is large */
  /* 100 arrivals/s for 1 s on average, 5/s for 9 s: 14.5/s */
  t = draw(
      "<workload requests=\"200000\"><arrivals><mmpp rate=\"5/s\" burst_rate=\"100/s\" calm=\"9s\" "
      "burst=\"1s\"/></arrivals>" REST);
  ck_assert_double_eq_tol(t.n / t.gap, 14.5, 0.05 * 14.5);
  t = draw("<workload requests=\"200000\"><arrivals><diurnal rate=\"50/s\" swing=\"0.8\" "
           "period=\"10s\"/></arrivals>" REST);
  ck_assert_double_eq_tol(t.n / t.gap, 50, 4 * 50 / sqrt(200000));
  ck_assert(t.gap2 / t.n > 2.2 * (t.gap / t.n) * (t.gap / t.n)); /* 2 for Poisson */
}
END_TEST

START_TEST(test_burstgpt) {
  celslm_error err = {0};
  celslm_trace_row r = {0};
  ck_assert(
      celslm_trace_burstgpt.row("5,ChatGPT,472,18,490,Conversation log", "f", 2, NULL, &r, &err));
  ck_assert(r.time == 5 && r.prompt == 472 && r.output == 18);
  ck_assert(celslm_trace_burstgpt.row("6.5,GPT-4,0,0,0,API log", "f", 3, NULL, &r, &err) &&
            r.output == 0);
  ck_assert(!celslm_trace_burstgpt.row("6.5,GPT-4,1,2", "f", 3, NULL, &r, &err));
  ck_assert_str_eq(
      err.text,
      "f:3: cannot read \"6.5,GPT-4,1,2\"; a row is seconds,model,tokens,tokens,tokens,type");
}
END_TEST

START_TEST(test_fixed) {
  sums t = draw("<workload requests=\"10\"><arrivals><deterministic "
                "interval=\"250ms\"/></arrivals><prompt><fixed tokens=\"7\"/></prompt>"
                "<output><fixed tokens=\"3\"/></output></workload>");
  ck_assert(t.n == 10 && t.gap == 2.5 && t.prompt == 70 && t.output == 30);
}
END_TEST

static const char header[] = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

static const struct {
  const char *text, *error;
} traces[] = {
    {"", "F: the trace is empty; give a file with one row per request"},
    {"a,b,c\n", "F:1: the header is \"a,b,c\"; an Azure trace begins with "
                "\"TIMESTAMP,ContextTokens,GeneratedTokens\""},
    {"H", "F: the trace has no rows; give one per request"},
    {"H2023-11-16 18:15:46.68,374\n", "F:2: cannot read \"2023-11-16 18:15:46.68,374\"; a row is "
                                      "YYYY-MM-DD hh:mm:ss.fffffff,tokens,tokens"},
    {"H2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:46.67,374,44\n",
     "F:3: earlier than the row before it; sort the trace by time"},
    {"H2023-11-16 18:15:46.68,-3,44\n", "F:2: -3 and 44 tokens; allowed are 1 to 16777216 each"},
    {"H2023-11-16 18:15:46.68,3,99999999999\n",
     "F:2: 3 and 99999999999 tokens; allowed are 1 to 16777216 each"},
    {"H2023-11-16 18:15:nan,3,9\n",
     "F:2: \"2023-11-16 18:15:nan,3,9\" is no date and time; give YYYY-MM-DD hh:mm:ss"},
    {"H2023-13-16 18:15:46,3,9\n",
     "F:2: \"2023-13-16 18:15:46,3,9\" is no date and time; give YYYY-MM-DD hh:mm:ss"},
    {"H2023-11-16 18:15:46.68,374,4x\n", "F:2: cannot read \"2023-11-16 18:15:46.68,374,4x\"; a "
                                         "row is YYYY-MM-DD hh:mm:ss.fffffff,tokens,tokens"},
};

static celslm_trace *read_text(const char *text, celslm_error *err, char *name) {
  int fd = mkstemp(name);
  FILE *f = fdopen(fd, "w");
  if (text[0] == 'H') fputs(header, f), text++;
  fputs(text, f);
  fclose(f);
  celslm_trace *out = celslm_trace_read(name, &celslm_trace_azure, 16, INT64_MAX, err);
  unlink(name);
  return out;
}

START_TEST(test_bad_trace) {
  char name[] = "/tmp/celslm-trace-XXXXXX";
  celslm_error err = {0};
  ck_assert_ptr_null(read_text(traces[_i].text, &err, name));
  char *expected = celslm_format("%s%s", name, traces[_i].error + 1);
  ck_assert_str_eq(err.text, expected);
  free(expected);
}
END_TEST

START_TEST(test_good_trace) {
  char name[] = "/tmp/celslm-trace-XXXXXX";
  celslm_error err = {0};
  celslm_trace *read =
      read_text("H2024-02-28 23:59:59.5,374,44\r\n2024-03-01 00:00:00.25,1,2\n\n", &err, name);
  ck_assert_msg(read != NULL, "%s", err.text);
  ck_assert_int_eq(read->n_rows, 2);
  const celslm_trace_row *t = read->rows;
  ck_assert(t[0].time == 0 && fabs(t[1].time - (86400 + 0.75)) < 1e-6); /* a leap year */
  ck_assert_int_eq(t[1].prompt, 1);
  ck_assert_int_eq(t[1].output, 2);
  celslm_trace_free(read);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("load");
  TCase *tcase = tcase_create("load");
  tcase_add_test(tcase, test_means);
  tcase_add_test(tcase, test_fixed);
  tcase_add_test(tcase, test_bursts);
  tcase_add_test(tcase, test_burstgpt);
  tcase_add_test(tcase, test_good_trace);
  tcase_add_loop_test(tcase, test_bad_trace, 0, (int)(sizeof traces / sizeof *traces));
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
