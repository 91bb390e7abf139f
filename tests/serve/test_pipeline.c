/* A model split over three hosts, against sums done by hand; and the same bytes twice. */
#include "../support.h"

#include <math.h>

static const char form[] =
    "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/>"
    "<models><model file=\"models/small.xml\"/></models>"
    "<engines><engine name=\"c\" host=\"cloud\" model=\"small\" pipeline=\"edge0 edge1\" "
    "%s/></engines>"
    "<workload requests=\"%d\">%s</workload><strategy><cloud-only/></strategy></scenario>";

/* Seconds of `bytes` between two hosts of pair.xml that a link of so many B/s and s lies between.
 */
static double hop(double bytes, double rate, double latency) {
  return latency + bytes / rate;
}

/* One pass of so many tokens: three stages of 30 ms, activations of 512 16-bit elements per token
 * over the WAN and the metro links, 4 B per token back. */
static double pass(double tokens) {
  return 0.09 + hop(tokens * 1024, 125e6, 0.0105) + hop(tokens * 1024, 1.25e9, 0.001) +
         hop(tokens * 4, 125e6, 0.0105);
}

static simulation run(const char *knobs, int requests, const char *load, int seed) {
  char *text = celslm_format(form, seed, knobs, requests, load);
  simulation s = simulate_well(text, 0, false);
  free(text);
  return s;
}

START_TEST(test_one_request) {
  simulation s =
      run("fixed_iteration=\"90ms\"", 1,
          "<arrivals><deterministic interval=\"1s\"/></arrivals>"
          "<prompt><fixed tokens=\"100\"/></prompt><output><fixed tokens=\"11\"/></output>",
          1);
  ck_assert_int_eq(s.summary.completed, 1);
  ck_assert_msg(fabs(s.rows[0].ttft - pass(100)) < 1e-8, "%.9f, by hand %.9f", s.rows[0].ttft,
                pass(100));
  double all = pass(100) + 10 * pass(1);
  ck_assert_msg(fabs(s.rows[0].e2e - all) < 1e-7, "%.9f, by hand %.9f", s.rows[0].e2e, all);
  free(s.rows);
}
END_TEST

/* Three at once: one in each lane. They enter the first stage one after the other, and no stage
 * ever makes them wait again, for a pass is longer than three stages. The hops of the later ones
 * are apart by a stage, which is longer than a hop's transfer: they share no link. */
START_TEST(test_three_batches_under_way) {
  simulation s =
      run("fixed_iteration=\"90ms\"", 3,
          "<arrivals><deterministic interval=\"1ns\"/></arrivals>"
          "<prompt><fixed tokens=\"100\"/></prompt><output><fixed tokens=\"11\"/></output>",
          1);
  ck_assert_int_eq(s.summary.completed, 3);
  for (int k = 0; k < 3; k++) {
    double all = 0.03 * k + pass(100) + 10 * pass(1);
    ck_assert_msg(fabs(s.rows[k].e2e - all) < 1e-6, "request %d: %.9f, by hand %.9f", k,
                  s.rows[k].e2e, all);
  }
  free(s.rows);
}
END_TEST

/* Under load, with preemptions, by the op list: everything ends, blocks and bytes are conserved
 * (each run checks that, and Little's law), and the same again gives the same bits. */
START_TEST(test_under_load) {
  int64_t preemptions = 0;
  for (int seed = 1; seed <= 8; seed++) {
    static const char load[] = "<arrivals><poisson rate=\"40/s\"/></arrivals><prompt><lognormal "
                               "mean=\"200\" cv=\"1\" max=\"800\"/></prompt><output><lognormal "
                               "mean=\"60\" cv=\"1\" max=\"300\"/></output>";
    const char *knobs = seed % 2 ? "kv_blocks=\"300\" prefix_caching=\"yes\"" : "kv_blocks=\"240\"";
    simulation a = run(knobs, 150, load, seed), b = run(knobs, 150, load, seed);
    ck_assert_int_eq(a.summary.completed + a.summary.rejected, 150);
    ck_assert(a.n == b.n && memcmp(a.rows, b.rows, a.n * sizeof *a.rows) == 0);
    preemptions += a.summary.preemptions;
    free(a.rows), free(b.rows);
  }
  ck_assert_int_gt(preemptions, 20);
}
END_TEST

RUN_SUITE("pipeline", test_one_request, test_three_batches_under_way, test_under_load)
