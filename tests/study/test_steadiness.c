/* test_steadiness.c - how long a disturbance stays: D/D/1 by hand, and an M/D/1 system whose only way
 * to the server is down for a while. */
#include "program.h"
#include "study/steadiness.h"

#include <math.h>

enum { N = 400 };

/* One arrival a second at 0, 1, 2 ..., served one after another in s; nothing is served in
 * [100, 100 + D). Then D requests and more are served at 1/s while others come: the system is as
 * before once the server is idle again. */
START_TEST(test_by_hand) {
  static double arrivals[N], ends[N];
  for (int d = 5; d <= 50; d += 15)
    for (int k = 1; k <= 4; k++) {
      double s = 0.2 * k - 0.05, free_at = 0;
      for (int i = 0; i < N; i++) {
        double begin = fmax(arrivals[i] = i, free_at);
        if (begin >= 100 && begin < 100 + d) begin = 100 + d;
        ends[i] = free_at = begin + s;
      }
      celslm_recovery r = celslm_recovery_of(arrivals, ends, N, 50, 100, 100 + d);
      ck_assert_double_eq_tol(r.before, s, 1e-9); /* Little: rate 1 times s */
      /* the first idle instant: m requests done, m s >= the last of their arrivals and its s */
      int m = 0;
      while (d + m * s > m) m++; /* the m-th more arrives only after all before it are done */
      ck_assert_double_eq_tol(r.time, m * s, 1e-9);
      ck_assert_double_eq(r.peak, d + 1); /* at its end one more comes as the first is served */
    }
}
END_TEST

START_TEST(test_edges) {
  const double arrivals[] = {0, 1, 2, 3}, ends[] = {0.5, NAN, 2.5, 3.5};
  celslm_recovery r = celslm_recovery_of(arrivals, ends, 4, 0, 1, 2);
  ck_assert(isinf(r.time) && r.peak == 2); /* the second never leaves: 1 > 0.5 for ever */
  r = celslm_recovery_of(arrivals, ends, 4, 0, 0.75, 0.8);
  ck_assert(r.time == 0); /* nobody was there */
  const double latencies[] = {1, 3, NAN, 2, 2};
  ck_assert_double_eq_tol(celslm_mean_jitter(latencies, 5), 1, 1e-12);
  ck_assert(isnan(celslm_mean_jitter(latencies, 1)));
}
END_TEST

static double field(const char *json, const char *name) {
  char *key = celslm_format("\"%s\":", name);
  const char *at = strstr(json, key);
  ck_assert_msg(at != NULL, "%s has no %s", json, name);
  double x = strtod(at + strlen(key), NULL);
  free(key);
  return x;
}

/* 10/s of work of 50 ms; the WAN is down for 4 s: 40 requests wait and are worked off at 20/s while
 * 10/s come, 4 s on average. The number waiting is Poisson, of standard deviation sqrt(40); the
 * busy period that it starts has variance 40 (0.05/0.5)^2 (1 + 0.5/(0.5)) or so: 0.9 s. */
START_TEST(test_command) {
  begin();
  char *out = sh_expect(
      "cat >md1.xml <<END\n"
      "<scenario name=\"md1\" seed=\"3\"><platform file=\"$data/pair.xml\"/>"
      "<models><model file=\"$data/models/big.xml\"/></models><engines><engine name=\"users\" "
      "host=\"edge0\" model=\"big\"/><engine name=\"cloud\" "
      "host=\"cloud\" model=\"big\" fixed_iteration=\"10ms\" max_num_seqs=\"1\"/></engines>"
      "<workload requests=\"600\"><arrivals><poisson rate=\"10/s\"/></arrivals><prompt><fixed "
      "tokens=\"4\"/></prompt><output><fixed tokens=\"5\"/></output></workload>"
      "<strategy><cloud-only/></strategy><faults><link name=\"wan\" at=\"20s\" for=\"4s\"/>"
      "</faults></scenario>\nEND\n$celslm capacity md1.xml --replications 16 --json --quiet",
      0);
  double mean = field(out, "recovery"), low = field(out, "recovery_low"),
         high = field(out, "recovery_high");
  ck_assert_msg(low < mean && mean < high && fabs(mean - 4) < 4 * 0.9 / 4 + 0.2, "%s", out);
  ck_assert_msg(fabs(field(out, "peak") - 40) < 4 * sqrt(40) / 4 + 3, "%s", out);
  ck_assert_msg(field(out, "jitter") > 0, "%s", out);
  free(out);
  out = sh_expect("$celslm capacity md1.xml --replications 2 --disturbed 20s", 2);
  ck_assert_msg(strstr(out, "give FROM,UNTIL") != NULL, "%s", out);
  free(out);
  out = sh_expect("$celslm capacity md1.xml --replications 2 --quiet --disturbed 20s,24s", 0);
  ck_assert_msg(strstr(out, "recovery") && strstr(out, "jitter"), "%s", out);
  free(out);
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("recovery");
  TCase *tcase = tcase_create("recovery");
  tcase_set_timeout(tcase, 120);
  tcase_add_test(tcase, test_by_hand);
  tcase_add_test(tcase, test_edges);
  tcase_add_test(tcase, test_command);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
