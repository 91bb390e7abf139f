/* test_outage.c - the backhaul is cut for 20 s under a Zipf load over more contexts than the edges'
 * stores hold: what is warm goes on, what is cold meets its policy, everything is accounted for. */
#include "support.h"

#include <math.h>

#define CUT  20.0
#define BACK 40.0

static char *outage_text(const char *strategy) {
  return celslm_format(
      "<scenario name=\"outage\" seed=\"7\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
      "<engine name=\"e0\" host=\"edge0\" model=\"small\" context_memory=\"32MiB\"/>"
      "<engine name=\"e1\" host=\"edge1\" model=\"small\" context_memory=\"32MiB\"/></engines>"
      "<contexts><population name=\"d\" count=\"24\"><uniform min=\"300\" max=\"700\"/>"
      "</population></contexts>"
      "<workload requests=\"2400\"><arrivals><poisson rate=\"40/s\"/></arrivals>"
      "<prompt><fixed tokens=\"32\"/></prompt><output><fixed tokens=\"8\"/></output>"
      "<popularity><zipf s=\"1\"/></popularity></workload><strategy>%s</strategy>"
      "<faults><link name=\"wan\" at=\"%gs\" for=\"%gs\"/></faults></scenario>",
      strategy, CUT, BACK - CUT);
}

static bool in_outage(double t) {
  return t >= CUT && t < BACK;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* 95th percentile of the TTFT of hits that arrive within [from, to). */
static double hits_p95(const simulation *s, double from, double to, int *n) {
  double *t = celslm_alloc(s->n, sizeof *t), p95;
  *n = 0;
  for (size_t i = 0; i < s->n; i++)
    if (s->rows[i].context_source == CELSLM_CONTEXT_HIT && s->rows[i].end == CELSLM_COMPLETED &&
        s->rows[i].arrival >= from && s->rows[i].arrival < to)
      t[(*n)++] = s->rows[i].ttft;
  qsort(t, (size_t)*n, sizeof *t, ascending);
  p95 = t[(int)(0.95 * (*n - 1))];
  free(t);
  return p95;
}

static simulation outage(const char *strategy) {
  char *text = outage_text(strategy);
  simulation s = simulate_well(text, 0, false), step = simulate_well(text, 0, true);
  ck_assert_uint_eq(s.n, 2400); /* all requests are accounted for */
  ck_assert_uint_eq(step.n, 2400);
  ck_assert_msg(memcmp(s.rows, step.rows, s.n * sizeof *s.rows) == 0, "stepping: %s", strategy);
  ck_assert_int_eq(s.summary.arrived, 2400);
  ck_assert_int_eq(s.summary.completed + s.summary.rejected + s.summary.dropped, 2400);
  free(text), free(step.rows);
  return s;
}

/* Requests that arrived once the outage was noticed, and for whose context something was to be
 * done: how they ended. */
typedef struct cold {
  int n, completed_in_time, completed_late, recomputed, rejected, dropped, elsewhere;
} cold;

static cold cold_ones(const simulation *s, double noticed) {
  cold c = {0};
  for (size_t i = 0; i < s->n; i++) {
    const celslm_request_row *r = &s->rows[i];
    if (r->arrival < CUT + noticed || r->arrival >= BACK) continue;
    if (r->context_source == CELSLM_CONTEXT_HIT && !(r->t_up > 0)) continue;
    c.n++;
    c.rejected += r->end == CELSLM_REJECTED;
    c.dropped += r->end == CELSLM_DROPPED;
    c.recomputed += r->context_source == CELSLM_CONTEXT_RECOMPUTED;
    c.elsewhere += r->context_source == CELSLM_CONTEXT_HIT;
    if (r->end != CELSLM_COMPLETED) continue;
    if (r->first_token < BACK)
      c.completed_in_time++;
    else
      c.completed_late++;
  }
  return c;
}

/* The p95 TTFT of hits in the outage over that before it. */
static double look_at_hits(const simulation *s, const char *what) {
  int before, during;
  double usual = hits_p95(s, 0, CUT, &before), cut = hits_p95(s, CUT, BACK, &during);
  printf("%-60s hits %d, %d; p95 TTFT %.3f ms, in the outage %.3f ms; recovery %.2f s, backlog "
         "%.1f\n",
         what, before, during, usual * 1e3, cut * 1e3, s->summary.recovery, s->summary.backlog);
  ck_assert_int_ge(before, 200);
  ck_assert_int_ge(during, 100);
  return cut / usual;
}

/* Where nobody computes contexts at the edge meanwhile, hits are served as ever. */
static void check_hits(const simulation *s, const char *what) {
  double ratio = look_at_hits(s, what);
  ck_assert_msg(ratio <= 1.1, "%s: hits' p95 in the outage is %g times that before", what, ratio);
}

START_TEST(test_cloud_only_completes_nothing) {
  simulation s = outage("<cloud-only/>");
  int late = 0;
  for (size_t i = 0; i < s.n; i++) {
    double last = s.rows[i].last_token;
    /* what had left the cloud when the wire was cut may still arrive: 0.1 s is ample */
    ck_assert(!(in_outage(last) && last > CUT + 0.1));
    late += in_outage(s.rows[i].arrival);
  }
  ck_assert_int_ge(late, 600);
  ck_assert(s.summary.backlog > 100 && s.summary.recovery > 0);
  free(s.rows);
}
END_TEST

START_TEST(test_wait) {
  const char *const ways[] = {
      "<ce-lslm cloud_warm=\"yes\" outage=\"wait\"/>",
      "<ce-lslm cloud_warm=\"yes\" outage=\"degrade\" outage_codec=\"int4\"/>",
      "<ce-lslm cloud_warm=\"yes\" outage=\"wait\" pipeline=\"no\"/>"};
  double kv[3];
  for (int w = 0; w < 3; w++) {
    simulation s = outage(ways[w]);
    check_hits(&s, ways[w]);
    cold c = cold_ones(&s, 1.5);
    ck_assert_int_ge(c.n, 100);
    ck_assert_int_eq(c.completed_late, c.n); /* all, once the cloud is back */
    ck_assert_int_eq(c.completed_in_time, 0);
    ck_assert(s.summary.backlog > 0.9 * c.n && s.summary.recovery > 0 && s.summary.recovery < 10);
    kv[w] = s.summary.kv_bytes;
    free(s.rows);
  }
  ck_assert(kv[1] < kv[0]); /* the backlog crossed in fewer bytes */
}
END_TEST

START_TEST(test_wait_has_a_limit) {
  simulation s = outage("<ce-lslm cloud_warm=\"yes\" outage=\"wait\" outage_limit=\"5s\"/>");
  cold c = cold_ones(&s, 1.5);
  ck_assert(c.dropped > c.n / 2 && c.dropped + c.completed_late == c.n);
  for (size_t i = 0; i < s.n; i++)
    ck_assert(s.rows[i].end == CELSLM_DROPPED || s.rows[i].ttft < 5 + 2);
  free(s.rows);
}
END_TEST

START_TEST(test_reject) {
  simulation s = outage("<ce-lslm cloud_warm=\"yes\" outage=\"reject\"/>");
  check_hits(&s, "reject");
  cold c = cold_ones(&s, 1.5);
  ck_assert_int_ge(c.n, 100);
  /* those of the last second may meet a cloud that answers again */
  ck_assert(c.rejected == c.n);
  ck_assert_int_eq(s.summary.dropped, 0);
  free(s.rows);
}
END_TEST

START_TEST(test_recompute) {
  simulation s = outage("<ce-lslm cloud_warm=\"yes\" outage=\"recompute\"/>");
  cold c = cold_ones(&s, 1.5);
  ck_assert_int_ge(c.n, 100);
  ck_assert_int_eq(c.recomputed, c.n);
  look_at_hits(&s, "recompute: hits wait behind those that recompute");
  ck_assert_int_ge(c.completed_in_time, c.n - 2);
  ck_assert_int_eq(s.summary.completed, 2400);
  free(s.rows);
}
END_TEST

START_TEST(test_neighbour) {
  simulation s = outage("<ce-lslm cloud_warm=\"yes\" outage=\"neighbour\" peers=\"1\"/>"),
             alone = outage("<ce-lslm cloud_warm=\"yes\" outage=\"recompute\"/>");
  cold c = cold_ones(&s, 1.5), d = cold_ones(&alone, 1.5);
  ck_assert_int_ge(c.completed_in_time, c.n - 2);
  ck_assert_int_lt(c.recomputed, d.recomputed);
  check_hits(&s, "neighbour");
  ck_assert_int_eq(s.summary.completed, 2400);
  ck_assert(s.summary.user_bytes_to_cloud == 0);
  free(s.rows), free(alone.rows);
}
END_TEST

/* Without a policy: fetches wait for the patience, then contexts are recomputed. */
START_TEST(test_no_policy) {
  simulation s = outage("<ce-lslm cloud_warm=\"yes\"/>");
  ck_assert_int_eq(s.summary.completed, 2400);
  free(s.rows);
}
END_TEST

/* A planner knows when the cloud is silent without being told to: it plans with what is within
 * reach, and recomputes what is not. */
START_TEST(test_planner) {
  simulation s = outage("<ce-lslm cloud_warm=\"yes\"><planner/></ce-lslm>"),
             told = outage("<ce-lslm cloud_warm=\"yes\" outage=\"recompute\"><planner/></ce-lslm>");
  ck_assert(memcmp(s.rows, told.rows, s.n * sizeof *s.rows) == 0);
  ck_assert_int_eq(s.summary.completed, 2400);

  for (size_t i = 0; i < s.n; i++) /* nobody waits for the repair */
    ck_assert(!in_outage(s.rows[i].arrival) || s.rows[i].first_token < BACK + 1);
  free(s.rows), free(told.rows);
}
END_TEST

START_TEST(test_bad_options) {
  static const struct {
    const char *strategy, *says;
  } bad[] = {
      {"<ce-lslm outage_detect=\"1s\"/>", "has outage_detect but no outage"},
      {"<ce-lslm outage=\"degrade\"/>", "needs outage_codec"},
      {"<ce-lslm outage=\"wait\" outage_codec=\"int4\"/>", "for outage=\"degrade\" only"},
      {"<ce-lslm outage=\"neighbour\"/>", "needs peers"},
      {"<ce-lslm placement=\"least-loaded\"/>", "needs peers"},
      {"<edge-only peer_period=\"1s\"/>", "has peer_period but no peers"},
      {"<ce-lslm peers=\"1\" peer_period=\"1ms\"/>", "is shorter than the way"},
      {"<ce-lslm peers=\"40\"/>", "at most 16"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char *text = outage_text(bad[i].strategy);
    simulation s = simulate(text, 0, false);
    ck_assert_int_eq(s.status, CELSLM_BAD_INPUT);
    ck_assert_msg(strstr(s.error, bad[i].says) != NULL, "%s", s.error);
    free(text), free(s.rows);
  }
}
END_TEST

RUN_SUITE("outage", test_bad_options, test_cloud_only_completes_nothing, test_wait,
          test_wait_has_a_limit, test_reject, test_recompute, test_neighbour, test_no_policy,
          test_planner)
