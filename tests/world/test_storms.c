/* test_storms.c - whole runs in which links, cells and hosts fail, and users move, fade and are
 * blocked: nothing hangs, nothing is lost sight of, every request ends in a defined state, and
 * equal runs give equal bits. And what single faults must do, by hand. */
#include "strategies.h"
#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static gsl_rng *r;
static double uniform(double low, double high) {
  return low + gsl_rng_uniform(r) * (high - low);
}
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(r, (unsigned long)(high - low + 1));
}
static const char *pick(int n, const char *const *of) {
  return of[any(0, n - 1)];
}

static char *random_radio(bool car) {
  static const char *const channels[] = {"umi", "uma", "inh", "inf-dh", "nyu-umi"};
  static const char *const curves[] = {"shannon", "lte", "mcs-awgn", "mcs-practical"};
  static const char *const interference[] = {"none", "fixed", "load"};
  static const char *const fading[] = {"none", "ergodic", "block"};
  static const char *const schedulers[] = {"round-robin", "proportional-fair"};
  static const char *const timings[] = {"constant", "slots"};
  static const char *const movements[] = {
      "<static/>", "<waypoint speed_max=\"15m/s\" pause=\"2s\"/>", "<gauss-markov speed=\"3m/s\"/>",
      "<road speed=\"20m/s\" from_x=\"-100m\" from_y=\"5m\" to_x=\"300m\" to_y=\"5m\"/>"};
  if (!car && any(0, 4) == 0)
    return celslm_strdup("<radio patience=\"3s\"><channel><umi/></channel>"
                         "<ues cell=\"gnb0\" count=\"5\" max_distance=\"80m\"/>"
                         "<ues cell=\"gnb1\" count=\"5\" max_distance=\"80m\"/></radio>");
  char *access = any(0, 2) ? celslm_format("<access scheduler=\"%s\" timing=\"%s\" "
                                           "request_period=\"%dms\"/>",
                                           pick(2, schedulers), pick(2, timings), any(0, 10))
                           : celslm_strdup("");
  const char *movement = pick(4, movements);
  char *aboard =
      car ? celslm_format("<ues cell=\"gnb%d\" count=\"1\" host=\"car\" max_distance=\"90m\">%s"
                          "</ues>",
                          any(0, 1), pick(4, movements))
          : celslm_strdup("");
  char *text = celslm_format(
      "<radio patience=\"%gs\" sample=\"%gs\"><channel><%s shadowing=\"%s\" gas=\"%s\" "
      "rain=\"%dmm/h\"/></channel>"
      "<link curve=\"%s\" interference=\"%s\" activity=\"0.5\" fading=\"%s\" coherence=\"20ms\" "
      "adapt_layers=\"%s\"/>%s%s%s"
      "<ues cell=\"gnb0\" count=\"%d\" max_distance=\"%dm\" indoor=\"0.3\" in_car=\"0.2\" "
      "weight=\"%d\" max_share=\"%g\" demand_down=\"5Mbps\" demand_up=\"1Mbps\">%s</ues>"
      "<ues cell=\"gnb1\" count=\"%d\" max_distance=\"80m\">%s</ues>%s</radio>",
      uniform(0.5, 4), uniform(0.05, 0.5), pick(5, channels), any(0, 1) ? "yes" : "no",
      any(0, 1) ? "yes" : "no", any(0, 50), pick(4, curves), pick(3, interference), pick(3, fading),
      any(0, 1) ? "yes" : "no", access, any(0, 1) ? "<blockage density=\"0.2\"/>" : "",
      any(0, 2) ? "<handover time_to_trigger=\"100ms\" link_failure=\"500ms\"/>" : "", any(1, 12),
      any(30, 200), any(1, 3), uniform(0.1, 1), movement, any(1, 12), movement, aboard);
  free(access), free(aboard);
  return text;
}

/* Outages and degradations of every kind, once or again and again; split: also of later stages. */
static char *random_faults(bool split) {
  static const char *const links[] = {"wan",   "metro0",   "metro1",     "site0",
                                      "site1", "rack-wan", "cabin-metro"};
  static const char *const hosts[] = {"cloud", "edge0", "edge1", "car", "rack", "cabin"};
  static const char *const cells[] = {"gnb0", "gnb1"};
  static const char *const kinds[] = {"link", "cell", "host"};
  char *text = celslm_strdup("");
  int n = any(1, 6);
  for (int i = 0; i < n; i++) {
    int kind = any(0, 2);
    const char *name = kind == 0   ? pick(split ? 7 : 5, links)
                       : kind == 1 ? pick(2, cells)
                                   : pick(split ? 6 : any(3, 4), hosts);
    char *when =
        any(0, 1)
            ? celslm_format("at=\"%.4fs\" for=\"%.4fs\"", uniform(0, 3), exp(uniform(-4, 2)))
            : celslm_format("mtbf=\"%.4fs\" mttr=\"%.4fs\"", uniform(0.2, 4), exp(uniform(-4, 1)));
    char *speed = kind < 2 && any(0, 1) ? celslm_format(" speed=\"%.3f\"", uniform(0.05, 0.9))
                                        : celslm_strdup("");
    char *more = celslm_format("%s<%s name=\"%s\" %s%s/>", text, kinds[kind], name, when, speed);
    free(text), free(when), free(speed);
    text = more;
  }
  char *all = celslm_format(
      "<wires>%s%s%s</wires><faults>%s</faults>",
      any(0, 1) ? "<background link=\"wan\" rate=\"300Mbps\" on=\"500ms\" off=\"500ms\"/>" : "",
      any(0, 1) ? "<jitter link=\"wan\" mean=\"2ms\"/>" : "",
      any(0, 1) ? "<priority traffic=\"tokens\" weight=\"4\"/>" : "", text);
  free(text);
  return all;
}

static char *random_text(const char *strategy) {
  static const char *const knobs[] = {"",
                                      "",
                                      "prefix_caching=\"yes\"",
                                      "kv_blocks=\"120\" swap_to=\"cloud\"",
                                      "kv_blocks=\"90\" prefix_caching=\"yes\"",
                                      "rate_limit=\"50/s\" rate_burst=\"4\"",
                                      "max_queue=\"5\""};
  static const char *const caches[] = {
      "",
      "<cache eviction=\"lfu\" admission=\"second-hit\"/>",
      "<cache eviction=\"gds\" partial=\"yes\"/>",
      "<cache eviction=\"cost\" admission=\"tinylfu\"/>",
      "<cache partial=\"yes\" disk=\"20MiB\" disk_read=\"500MBps\" disk_write=\"200MBps\"/>",
      "<cache host_memory=\"6MiB\" host_read=\"1GBps\" host_write=\"1GBps\" disk=\"20MiB\" "
      "disk_read=\"500MBps\" disk_write=\"200MBps\"/>",
      "<cache eviction=\"lfu\" host_memory=\"30MiB\" host_read=\"2GBps\" "
      "host_write=\"100MBps\"/>"};
  /* later stages on hosts that crash; the two GPUs are alike: for latency all stays on the first */
  static const char *const pipelines[] = {
      "pipeline=\"rack\"",
      "pipeline=\"cabin\"",
      "pipeline=\"rack\" placement=\"latency\"",
      "pipeline=\"rack\" placement=\"throughput\"",
      "pipeline=\"cabin rack\" placement=\"throughput\" kv_blocks=\"360\"",
      "pipeline=\"rack\" kv_blocks=\"180\" prefix_caching=\"yes\""};
  static const char *const in_car[] = {
      "<engine name=\"car\" host=\"car\" model=\"small\" context_memory=\"20MiB\"/>",
      "<engine name=\"car\" host=\"car\" model=\"part\" context_memory=\"20MiB\"/>"};
  static const char *const more_edges[] = {
      "<engine name=\"e2\" host=\"edge1\" model=\"small\" memory_share=\"0.3\"/>",
      "<engine name=\"e2\" host=\"edge1\" model=\"part\" memory_share=\"0.3\"/>"};
  bool split = strstr(strategy, "<layer-split") != NULL;
  const char *edge = strstr(strategy, "<early-exit") ? "part" : "small";
  bool car = any(0, 3) == 0;
  char *radio = random_radio(car), *faults = random_faults(split);
  char *store = split ? celslm_strdup("") : celslm_format("context_memory=\"%dMiB\"", any(3, 60));
  char *text = celslm_format(
      "<scenario name=\"storm\" seed=\"%d\"%s><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/>"
      "<model file=\"models/part.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" max_num_seqs=\"%d\" "
      "context_memory=\"1GiB\" client_overhead=\"%dus\"/>"
      "<engine name=\"e0\" host=\"edge0\" model=\"%s\" max_num_seqs=\"%d\" "
      "%s client_overhead=\"%dus\" %s>%s</engine>"
      "<engine name=\"e1\" host=\"edge1\" model=\"%s\" max_num_seqs=\"%d\" "
      "context_memory=\"%dMiB\" %s>%s</engine>%s%s</engines>"
      "<contexts%s><population name=\"d\" count=\"%d\"><uniform min=\"16\" max=\"700\"/>"
      "</population></contexts>%s"
      "<workload requests=\"%d\"><arrivals><poisson rate=\"%.3f/s\"/></arrivals>"
      "<prompt><lognormal mean=\"50\" cv=\"1\" max=\"600\"/></prompt><output><lognormal "
      "mean=\"%d\" cv=\"1\" max=\"300\"/></output><popularity><zipf s=\"0.8\"/></popularity>"
      "<class name=\"a\"/><class name=\"b\" share=\"2\"/></workload>" STORM_CORRECTNESS
      "<strategy>%s</strategy>%s<results sample=\"%gs\"/></scenario>",
      any(1, 100000), any(0, 4) ? "" : " horizon=\"2s\"", any(1, 32), any(0, 1) * 3000, edge,
      any(1, 32), store, any(0, 1) * 3000, split ? pick(6, pipelines) : pick(7, knobs),
      split ? "" : pick(7, caches), edge, any(1, 32), any(3, 60), pick(7, knobs), pick(7, caches),
      any(0, 2) ? "" : more_edges[strcmp(edge, "part") == 0],
      car ? in_car[strcmp(edge, "part") == 0] : "", any(0, 2) ? "" : " changes=\"0.5/s\"",
      any(1, 10), radio, any(30, 150), exp(uniform(2, 5)), any(5, 80), strategy, faults,
      uniform(0.05, 1));
  /* two engines on a host share its memory */
  char *first = celslm_format("name=\"e1\" host=\"edge1\" model=\"%s\"", edge);
  char *at = strstr(text, "\"e2\"") ? strstr(text, first) : NULL;
  if (at) {
    at += strlen(first);
    char *more = celslm_format("%.*s memory_share=\"0.4\"%s", (int)(at - text), text, at);
    free(text);
    text = more;
  }
  free(first), free(store);
  free(radio), free(faults);
  return text;
}

START_TEST(test_storms) {
  enum { PART = 20 };
  r = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t dropped = 0, completed = 0, cut = 0;
  for (int i = 0; i < PART; i++) {
    gsl_rng_set(r, (unsigned long)(_i * PART + i + 1));
    char *text = random_text(every_strategy[(_i * PART + i) % N_STRATEGIES]);
    simulation a = simulate_well(text, 0, false), b = simulate_well(text, 0, true);
    ck_assert_msg(a.n == b.n && memcmp(a.rows, b.rows, a.n * sizeof *a.rows) == 0,
                  "jumping and stepping differ in rows: %s", text);
    ck_assert_msg(memcmp(&a.summary, &b.summary, sizeof a.summary) == 0,
                  "jumping and stepping differ: %s", text);
    ck_assert_int_eq(a.summary.arrived, (int64_t)a.n);
    bool horizon = strstr(text, "horizon=") != NULL;
    if (!horizon) ck_assert_int_eq(a.summary.in_flight, 0);
    dropped += a.summary.dropped;
    completed += a.summary.completed;
    cut += a.summary.in_flight;
    for (size_t k = 0; k < a.n; k++) {
      const celslm_request_row *q = &a.rows[k];
      if (q->end == CELSLM_COMPLETED) ck_assert(q->last_token >= q->first_token);
      if (isnan(q->ttft)) continue;
      double sum =
          q->t_up + q->t_wait + q->t_cloud + q->t_comm + q->t_edge - q->t_hidden + q->t_down;
      ck_assert_double_eq_tol(sum, q->ttft, 1e-9);
    }
    free(a.rows), free(b.rows), free(text);
  }
  ck_assert_msg(dropped > 20 && completed > 200, "%ld dropped, %ld completed", (long)dropped,
                (long)completed);
  gsl_rng_free(r);
}
END_TEST

/* ---- by hand --------------------------------------------------------------------------------- */

static simulation one(const char *strategy, const char *faults, int requests,
                      const char *interval) {
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"1\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
      "<engine name=\"e0\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\"/></engines>"
      "<contexts><context name=\"c\" tokens=\"700\"/></contexts>"
      "<radio patience=\"5s\"><channel><umi state=\"los\"/></channel>"
      "<ues cell=\"gnb0\" count=\"1\" max_distance=\"20m\"/></radio>"
      "<workload requests=\"%d\"><arrivals><deterministic interval=\"%s\"/></arrivals>"
      "<prompt><fixed tokens=\"16\"/></prompt><output><fixed tokens=\"4\"/></output>"
      "<popularity><uniform/></popularity></workload><strategy>%s</strategy>"
      "<faults>%s</faults></scenario>",
      requests, interval, strategy, faults);
  simulation s = simulate_well(text, 0, false);
  free(text);
  return s;
}

/* An outage of the WAN of 2 s in the midst of a fetch: the layers that are there stay, so the first
 * token comes later by the outage and at most one layer's time on the wire, not by all of them. */
START_TEST(test_fetch_resumes) {
  const char *way = "<ce-lslm cloud_warm=\"yes\"/>";
  simulation whole = one(way, "", 1, "1s");
  double fetch = whole.rows[0].t_comm, begun = whole.rows[0].queued;
  double layers = 0, late[2];
  for (int k = 0; k < 2; k++) { /* early, and when nearly all is there */
    char *cut = celslm_format("<link name=\"wan\" at=\"%.9fs\" for=\"2s\"/>",
                              begun + fetch * (k ? 0.9 : 0.5));
    simulation s = one(way, cut, 1, "1s");
    ck_assert_int_eq(s.summary.completed, 1);
    late[k] = s.rows[0].ttft - whole.rows[0].ttft - 2;
    layers = s.rows[0].kv_bytes;
    free(cut), free(s.rows);
  }
  ck_assert_double_gt(layers, 0);
  /* besides the outage: what was lost, at most two layers (one on the link, one in its latency)
   * and that latency once more */
  for (int k = 0; k < 2; k++)
    ck_assert_msg(late[k] > -fetch && late[k] <= 0.011 + 0.6 * fetch, "%g of %g", late[k], fetch);
  free(whole.rows);
}
END_TEST

/* Without patience left the edge recomputes the context itself, and the request is served. */
START_TEST(test_cold_context_without_backhaul) {
  const char *const ways[] = {"<ce-lslm cloud_warm=\"yes\"/>",
                              "<ce-lslm cloud_warm=\"yes\" pipeline=\"no\"/>"};
  for (int k = 0; k < 2; k++) {
    simulation s = one(ways[k], "<link name=\"wan\" at=\"0s\" for=\"1000s\"/>", 1, "1s");
    ck_assert_int_eq(s.summary.completed, 1);
    ck_assert_int_eq(s.rows[0].context_source, CELSLM_CONTEXT_RECOMPUTED);
    ck_assert(s.rows[0].ttft > 5 && s.rows[0].ttft < 6); /* after its patience */
    free(s.rows);
    /* the cloud's host is gone: the fetch fails at once */
    s = one(ways[k], "<host name=\"cloud\" at=\"0s\" for=\"1000s\"/>", 1, "1s");
    ck_assert_int_eq(s.summary.completed, 1);
    ck_assert_int_eq(s.rows[0].context_source, CELSLM_CONTEXT_RECOMPUTED);
    ck_assert(s.rows[0].ttft < 1);
    free(s.rows);
  }
}
END_TEST

/* The edge's host is down from 2.5 s to 5.5 s: requests of 3, 4 and 5 s are dropped; those before
 * and after are served, the first after it with a context that has to come anew. */
START_TEST(test_crash_and_restart) {
  simulation s = one("<ce-lslm cloud_warm=\"yes\"/>",
                     "<host name=\"edge0\" at=\"2.5s\" for=\"3s\"/>", 8, "1s");
  ck_assert_int_eq(s.summary.dropped, 3);
  ck_assert_int_eq(s.summary.completed, 5);
  for (size_t i = 0; i < s.n; i++) {
    bool down = s.rows[i].arrival > 2.5 && s.rows[i].arrival < 5.5;
    ck_assert_int_eq(s.rows[i].end, down ? CELSLM_DROPPED : CELSLM_COMPLETED);
  }
  ck_assert_int_eq(s.summary.fetches, 2);
  free(s.rows);
}
END_TEST

/* A pipeline is up while all its hosts are: the host of its later stage is down from 2.5 s to 5.5
 * s, once more from 5 s to 6.5 s, and its first host from 7.5 s to 8.5 s. */
START_TEST(test_crash_of_a_later_stage) {
  const char *text =
      "<scenario name=\"t\" seed=\"1\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"e\" host=\"edge0\" model=\"big\" pipeline=\"cloud\"/></engines>"
      "<workload requests=\"10\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
      "<prompt><fixed tokens=\"16\"/></prompt><output><fixed tokens=\"30\"/></output></workload>"
      "<strategy><layer-split engine=\"e\"/></strategy>"
      "<faults><host name=\"cloud\" at=\"2.5s\" for=\"3s\"/><host name=\"cloud\" at=\"5s\" "
      "for=\"1.5s\"/><host name=\"edge0\" at=\"7.5s\" for=\"1s\"/></faults></scenario>";
  simulation s = simulate_well(text, 0, false);
  for (size_t i = 0; i < s.n; i++) {
    double t = s.rows[i].arrival; /* served for 0.65 s: that of 2 s is under way when it crashes */
    bool lost = (t > 1.9 && t < 6.5) || (t > 6.9 && t < 8.5);
    ck_assert_msg(s.rows[i].end == (lost ? CELSLM_DROPPED : CELSLM_COMPLETED), "at %g s: %d", t,
                  s.rows[i].end);
  }
  ck_assert_int_eq(s.summary.in_flight, 0);
  free(s.rows);
}
END_TEST

/* A cell is down for 2 s: a prompt sent meanwhile waits; beyond its patience it is given up. */
START_TEST(test_cell_outage) {
  simulation whole = one("<edge-only/>", "", 1, "1s");
  double sent = whole.rows[0].arrival;
  char *brief = celslm_format("<cell name=\"gnb0\" at=\"0s\" for=\"%.9fs\"/>", sent + 2);
  simulation s = one("<edge-only/>", brief, 1, "1s");
  ck_assert_int_eq(s.summary.completed, 1);
  ck_assert_double_eq_tol(s.rows[0].ttft, whole.rows[0].ttft + 2, 1e-8);
  free(s.rows), free(brief);
  s = one("<edge-only/>", "<cell name=\"gnb0\" at=\"0s\" for=\"100s\"/>", 1, "1s");
  ck_assert_int_eq(s.summary.dropped, 1);
  free(s.rows), free(whole.rows);
}
END_TEST

/* A user walks from one edge to the other and asks all the time. The second edge gets its context
 * from the cloud, from the first edge when asked, or from it at once: then over the WAN it comes
 * once, and with migration no request starts a second fetch. */
START_TEST(test_context_after_handover) {
  static const char *const ways[] = {"cloud", "old-edge", "migrate"};
  double wan[3];
  for (int k = 0; k < 3; k++) {
    char *text = celslm_format(
        "<scenario name=\"t\" seed=\"1\"><platform file=\"pair.xml\"/>"
        "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
        "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
        "<engine name=\"e0\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\"/>"
        "<engine name=\"e1\" host=\"edge1\" model=\"small\" context_memory=\"1GiB\"/></engines>"
        "<contexts><context name=\"c\" tokens=\"700\"/></contexts>"
        "<radio><channel><umi state=\"los\"/></channel><handover/><ues cell=\"gnb0\" count=\"1\" "
        "max_distance=\"20m\"><road speed=\"10m/s\" from_x=\"0m\" from_y=\"0m\" to_x=\"200m\" "
        "to_y=\"0m\"/></ues></radio>"
        "<workload requests=\"60\"><arrivals><deterministic interval=\"0.5s\"/></arrivals>"
        "<prompt><fixed tokens=\"16\"/></prompt><output><fixed tokens=\"4\"/></output>"
        "<popularity><uniform/></popularity></workload>"
        "<strategy><ce-lslm cloud_warm=\"yes\" after_handover=\"%s\"/></strategy></scenario>",
        ways[k]);
    simulation s = simulate_well(text, 0, false);
    int by_request = 0, edges[3] = {0};
    for (size_t i = 0; i < s.n; i++) {
      by_request += s.rows[i].context_source == CELSLM_CONTEXT_FETCHED;
      edges[s.rows[i].engine]++;
      ck_assert_int_eq(s.rows[i].end, CELSLM_COMPLETED);
    }
    ck_assert_msg(edges[1] > 5 && edges[2] > 5, "%d %d", edges[1], edges[2]);
    ck_assert_int_eq(by_request, k == 2 ? 1 : 2);
    wan[k] = s.summary.wan_bytes;
    free(s.rows), free(text);
  }
  ck_assert_double_eq_tol(wan[0], 2 * wan[1], 1000); /* but for the requests' own bytes */
  ck_assert_double_eq_tol(wan[1], wan[2], 1000);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("storms");
  TCase *tcase = tcase_create("storms");
  tcase_set_timeout(tcase, 400);
  tcase_add_loop_test(tcase, test_storms, 0, 10);
  tcase_add_test(tcase, test_fetch_resumes);
  tcase_add_test(tcase, test_cold_context_without_backhaul);
  tcase_add_test(tcase, test_crash_and_restart);
  tcase_add_test(tcase, test_crash_of_a_later_stage);
  tcase_add_test(tcase, test_cell_outage);
  tcase_add_test(tcase, test_context_after_handover);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
