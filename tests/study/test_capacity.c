/* test_capacity.c - the highest load where theory knows it: an engine that serves one request at a
 * time, 50 ms each, with Poisson arrivals, is an M/D/1 queue. */
#include "program.h"
#include "study/capacity.h"

#include "base/rng.h"

#include <gsl/gsl_randist.h>
#include <math.h>

#define ENGINE                                                                                     \
  "cat >md1.xml <<END\n"                                                                           \
  "<scenario name=\"md1\" seed=\"3\"><platform file=\"$data/pair.xml\"/>"                          \
  "<models><model file=\"$data/models/big.xml\"/></models><engines><engine name=\"cloud\" "        \
  "host=\"cloud\" model=\"big\" fixed_iteration=\"10ms\" max_num_seqs=\"1\"/></engines>"           \
  "<workload requests=\"%d\"><arrivals><poisson rate=\"5/s\"/></arrivals><prompt><fixed "          \
  "tokens=\"4\"/></prompt><output><fixed tokens=\"5\"/></output></workload>"                       \
  "<strategy><cloud-only/></strategy><slo e2e=\"200ms\"/></scenario>\nEND\n"

static double field(const char *json, const char *name) {
  char *key = celslm_format("\"%s\":", name);
  const char *at = strstr(json, key);
  ck_assert_msg(at != NULL, "%s has no %s", json, name);
  double x = strtod(at + strlen(key), NULL);
  free(key);
  return x;
}

/* P(wait <= t) of M/D/1 with service time d (A. K. Erlang, 1909; e.g. D. Gross, C. Harris,
 * "Fundamentals of Queueing Theory", section 5.1). */
static double waits_at_most(double t, double rate, double d) {
  double sum = 0, factorial = 1;
  for (int k = 0; k <= (int)floor(t / d); k++) {
    factorial *= k ? k : 1;
    double x = rate * (k * d - t);
    sum += pow(x, k) / factorial * exp(-x);
  }
  return (1 - rate * d) * sum;
}

START_TEST(test_md1) {
  begin();
  char *command = celslm_format(ENGINE "$celslm capacity md1.xml --replications 6 --json", 8000),
       *out = sh_expect(command, 0);
  double expected = 0; /* 90 % within 200 ms of which 50 ms are service */
  for (double rate = 1; rate < 20; rate += 0.001)
    if (waits_at_most(0.15, rate, 0.05) >= 0.9) expected = rate;
  ck_assert(expected > 5 && expected < 20);
  double mean = field(out, "capacity"), low = field(out, "capacity_low"),
         high = field(out, "capacity_high"), stable = field(out, "stable");
  /* the interval's own 95 %, and what the last bracket leaves open */
  ck_assert_msg(low * 0.98 <= expected && expected <= high * 1.02,
                "capacity %g (%g - %g), theory says %g", mean, low, high, expected);
  ck_assert_msg(high - low < 0.1 * mean, "the interval says little: %s", out);
  /* 20/s is the limit; a growth of 5 % of the arrivals passes, so up to 20/0.95 */
  ck_assert_msg(stable > 19 && stable < 20 / 0.95 * 1.03, "stable up to %g/s, theory: 20/s",
                stable);
  free(out), free(command);
  end();
}
END_TEST

/* An M/M/1 queue just below, and one above its capacity. */
static bool queue_drifts(double rate, double service, uint64_t seed) {
  enum { N = 20000 };
  static double arrivals[N], ends[N];
  gsl_rng *r = celslm_rng(seed, "queue");
  double now = 0, free_at = 0;
  for (int i = 0; i < N; i++) {
    now += gsl_ran_exponential(r, 1 / rate);
    free_at = fmax(now, free_at) + gsl_ran_exponential(r, service);
    arrivals[i] = now;
    ends[i] = free_at;
  }
  gsl_rng_free(r);
  return celslm_drifts(arrivals, ends, N, 0, now);
}

START_TEST(test_drift) {
  int below = 0, above = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    below += queue_drifts(0.9, 1, seed);
    above += queue_drifts(1.15, 1, seed);
  }
  ck_assert_int_eq(below, 0);
  ck_assert_int_eq(above, 40);
}
END_TEST

START_TEST(test_bad) {
  begin();
  static const char *const bad[] = {"capacity",
                                    "capacity md1.xml --share 2",
                                    "capacity md1.xml --load 2/s",
                                    "capacity md1.xml --load //poisson/@speed=2/s",
                                    "capacity $data/cmd/trace.xml",
                                    "capacity nowhere.xml"};
  char *make = celslm_format(ENGINE, 10);
  sh_well(make);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *command = celslm_format("$celslm %s", bad[i]), *out = sh_expect(command, 2);
    ck_assert_msg(strchr(out, '\n') == out + strlen(out) - 1, "%s: %s", bad[i], out);
    free(command), free(out);
  }
  free(make);
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("capacity");
  TCase *tcase = tcase_create("capacity");
  tcase_set_timeout(tcase, 300);
  tcase_add_test(tcase, test_md1);
  tcase_add_test(tcase, test_drift);
  tcase_add_test(tcase, test_bad);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
