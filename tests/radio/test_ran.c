/* test_ran.c - messages in a living cell: user-plane latency against the arithmetic of TR 37.910,
 * blockage and fading against their stationary laws, handover against geometry. */
#include "net/radio/budget.h"
#include "net/radio/ran.h"
#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static celslm_net *net;
static celslm_scenario *scenario;
static celslm_ran *ran;

/* One scenario per process: SimGrid cannot be reset. */
static void open_cell(const char *radio, int mu, const char *tdd, celslm_ran_hooks *hooks) {
  celslm_error err = {0};
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"7\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\"/></engines><radio %s</radio>"
      "<workload requests=\"1\"><arrivals><poisson rate=\"1/s\"/></arrivals><prompt><fixed "
      "tokens=\"8\"/></prompt><output><fixed tokens=\"1\"/></output></workload>"
      "<strategy><cloud-only/></strategy></scenario>",
      radio);
  scenario = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(scenario != NULL, "%s", err.text);
  for (int c = 0; c < 2; c++) {
    scenario->platform->cells[c].numerology = mu;
    snprintf(scenario->platform->cells[c].tdd, sizeof scenario->platform->cells[c].tdd, "%s", tdd);
    if (*tdd) scenario->platform->cells[c].dl_share = scenario->platform->cells[c].ul_share = 0;
  }
  net = celslm_net_new(scenario->platform);
  celslm_scene *scene = celslm_scene_new(scenario, &err);
  ck_assert_msg(scene != NULL, "%s", err.text);
  ran = celslm_ran_new(net, scene, hooks);
  free(text);
}

static void close_cell(void) {
  ck_assert(celslm_ran_balanced(ran));
  celslm_ran_free(ran);
  celslm_net_free(net);
  celslm_scenario_free(scenario);
}

/* ---- user-plane latency ---------------------------------------------------------------------- */

enum { PACKETS = 20000 };

typedef struct packet {
  celslm_hop hop;
  celslm_event start;
  celslm_ns sent, got;
} packet;
static packet packets[PACKETS];

static void got(void *self) {
  ((packet *)self)->got = celslm_net_now(net);
}
static void lost(void *self) {
  (void)self;
  ck_abort_msg("a packet was given up");
}
static void send_packet(void *self) {
  celslm_ran_send(ran, &((packet *)self)->hop);
}

static void plan(packet *p, int ue, bool uplink, double bytes, celslm_ns at) {
  *p = (packet){
      .hop = {.ue = ue, .uplink = uplink, .bytes = bytes, .done = got, .failed = lost, .self = p},
      .start = {.fire = send_packet, .self = p, .cls = CELSLM_AT_ARRIVAL},
      .sent = at,
      .got = -1};
  celslm_net_at(net, &p->start, at);
}

static const struct {
  int mu;
  const char *tdd;
  bool uplink;
  double bler, paired; /* ms by TR 37.910, paired spectrum without repetitions; 0: not there */
} latencies[] = {
    {0, "paired", false, 0, 2.14}, {1, "paired", false, 0, 1.14}, {2, "paired", false, 0, 0.73},
    {3, "paired", false, 0, 0.44}, {0, "paired", true, 0, 2.14},  {1, "paired", true, 0, 1.14},
    {2, "paired", true, 0, 0.73},  {3, "paired", true, 0, 0.44},  {0, "paired", false, 0.1, 0},
    {1, "paired", true, 0.3, 0},   {1, "DDDSU", false, 0, 0},     {1, "DDDSU", true, 0, 0},
    {1, "7DS2U", true, 0.1, 0},    {3, "DSUU", false, 0.1, 0},
};

START_TEST(test_user_plane_latency) {
  bool uplink = latencies[_i].uplink;
  char *radio = celslm_format("><channel><umi state=\"los\"/></channel><link bler=\"%g\"/><access "
                              "timing=\"slots\"/><ues cell=\"gnb0\" count=\"1\" "
                              "max_distance=\"30m\"/>",
                              latencies[_i].bler);
  open_cell(radio, latencies[_i].mu, latencies[_i].tdd, NULL);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  for (int i = 0; i < PACKETS; i++) /* one at a time, at any phase */
    plan(&packets[i], 0, uplink, 60, 200000000ll * i + celslm_ns_of(0.1 * gsl_rng_uniform(r)));
  celslm_net_run(net, CELSLM_NEVER);
  double sum = 0, squares = 0;
  for (int i = 0; i < PACKETS; i++) {
    ck_assert_int_ge(packets[i].got, packets[i].sent);
    double t = celslm_seconds(packets[i].got - packets[i].sent);
    sum += t;
    squares += t * t;
  }
  double mean = sum / PACKETS, error = sqrt((squares / PACKETS - mean * mean) / PACKETS);
  double expected = celslm_user_plane(celslm_tdd_find(latencies[_i].tdd), latencies[_i].mu, 1,
                                      uplink, 1 / (1 - latencies[_i].bler) - 1);
  ck_assert_msg(fabs(mean - expected) <= 3 * error, "mu %d: %.6f ms, arithmetic %.6f, 3 SE %.6f",
                latencies[_i].mu, mean * 1e3, expected * 1e3, 3e3 * error);
  if (latencies[_i].paired > 0) ck_assert_double_eq_tol(mean * 1e3, latencies[_i].paired, 0.008);
  gsl_rng_free(r);
  free(radio);
  close_cell();
}
END_TEST

/* ---- fading and blockage over a long transfer ------------------------------------------------ */

/* A long transfer over many coherence blocks moves at the ergodic rate: the mean over fades. */
START_TEST(test_block_fading_averages) {
  open_cell("><channel><umi state=\"los\"/></channel><link fading=\"block\" coherence=\"5ms\"/>"
            "<ues cell=\"gnb0\" count=\"1\" min_distance=\"600m\" max_distance=\"600m\"/>",
            1, "", NULL);
  celslm_radio_config ergodic = scenario->radio;
  ergodic.fading = CELSLM_FADING_ERGODIC;
  const celslm_cell *c = &scenario->platform->cells[0];
  celslm_radio_link l =
      celslm_scene_link(celslm_ran_scene(ran), &celslm_ran_scene(ran)->ues[0], 0, 0, 0);
  double rate = celslm_link_rate(c, &ergodic, c->dl_share, l.snr_down, false, NULL);
  plan(&packets[0], 0, false, rate * 100, 0); /* 20,000 blocks: the mean is good to 0.5 % */
  celslm_net_run(net, CELSLM_NEVER);
  ck_assert_double_eq_tol(celslm_seconds(packets[0].got), 100, 1.5);
  close_cell();
}
END_TEST

/* With a blockage that stops everything, the time is stretched by the share of free time. */
START_TEST(test_blockage_share) {
  open_cell("patience=\"1000s\"><channel><umi state=\"los\"/></channel><blockage density=\"0.5\" "
            "depth=\"100dB\"/>"
            "<ues cell=\"gnb0\" count=\"1\" min_distance=\"100m\" max_distance=\"100m\"/>",
            1, "", NULL);
  const celslm_scene *scene = celslm_ran_scene(ran);
  celslm_radio_link l = celslm_scene_link(scene, &scene->ues[0], 0, 0, 0);
  plan(&packets[0], 0, false, l.down * 2000, 0);
  celslm_net_run(net, CELSLM_NEVER);
  /* (2/pi) 0.5 1 (1.8-1.5)/(10-1.5) 100 arrivals per s of free time, 0.5 s each */
  double rate = 2 / M_PI * 0.5 * (0.3 / 8.5) * 100, stretch = 1 + rate * 0.5;
  /* about 2,200 blockages, each exponential: 2 % at one standard error of the blocked part */
  ck_assert_double_eq_tol(celslm_seconds(packets[0].got), 2000 * stretch, 2000 * 0.56 * 0.1);
  close_cell();
}
END_TEST

/* ---- handover -------------------------------------------------------------------------------- */

static struct {
  double time, x;
  int from, to;
} handovers[100];
static int n_handovers;

static void handed_over(void *self, int ue, int from, int to, celslm_handover_cause cause) {
  (void)self, (void)cause;
  ck_assert_int_lt(n_handovers, 100);
  handovers[n_handovers].time = celslm_seconds(celslm_net_now(net));
  handovers[n_handovers].x = celslm_ran_scene(ran)->ues[ue].x;
  handovers[n_handovers].from = from;
  handovers[n_handovers++].to = to;
}

/* Two equal cells at x = 0 and 200, line of sight, no shadowing: 36 km/h along the line between
 * them. The A3 condition holds where 21 log of the distances' ratio exceeds 3 dB: 16.3 m behind the
 * middle. The change comes one to two samples, the time to trigger and the interruption later. A
 * transfer that lasts throughout arrives, and each change costs its interruption. */
START_TEST(test_handover_place) {
  celslm_ran_hooks hooks = {.handed_over = handed_over};
  open_cell("sample=\"100ms\"><channel><umi state=\"los\"/></channel><handover filter=\"0\" "
            "hysteresis=\"3dB\" "
            "time_to_trigger=\"400ms\" interruption=\"50ms\"/>"
            "<ues cell=\"gnb0\" count=\"1\" max_distance=\"50m\"><road speed=\"10m/s\" "
            "from_x=\"0m\" from_y=\"0m\" to_x=\"200m\" to_y=\"0m\"/></ues>",
            1, "", &hooks);
  const celslm_radio_link *l = celslm_ran_link(ran, 0);
  plan(&packets[0], 0, false, l->down * 60, 0); /* the rate is capped everywhere: 60 s and breaks */
  double share = scenario->platform->cells[0].dl_share, cap = 7.4063 * 100e6 * share * 0.86 / 8;
  ck_assert_double_eq_tol(l->down, cap, 1);
  celslm_net_run(net, CELSLM_NEVER);
  ck_assert_int_ge(n_handovers, 2);
  for (int i = 0; i < n_handovers; i++) {
    bool forth = handovers[i].to == 1;
    ck_assert_int_eq(handovers[i].from, forth ? 0 : 1);
    double behind = forth ? handovers[i].x - 100 : 100 - handovers[i].x;
    /* where 21 log10(d3 ratio) = 3 dB, heights 10 and 1.5 m: found by bisection */
    double low = 0, high = 90;
    for (int k = 0; k < 60; k++) {
      double m = (low + high) / 2, near = hypot(100 - m, 8.5), far = hypot(100 + m, 8.5);
      if (21 * log10(far / near) > 3)
        high = m;
      else
        low = m;
    }
    double least = low + 10 * (0.4 + 0.0), most = low + 10 * (0.1 + 0.4 + 0.1 + 0.05);
    ck_assert_msg(behind >= least - 1e-6 && behind <= most + 1e-6, "%g m behind, not %g to %g",
                  behind, least, most);
  }
  ck_assert_double_eq_tol(celslm_seconds(packets[0].got), 60 + 0.05 * n_handovers + 1.14e-3, 1e-6);
  close_cell();
}
END_TEST

/* ---- queues ---------------------------------------------------------------------------------- */

/* With <access> a user's messages follow one another, and users share: a user with two messages of
 * 1 s each (alone) and one with one share until 2 s, then the second message has 1 s alone. */
START_TEST(test_users_share_not_messages) {
  open_cell("><channel><umi state=\"los\"/></channel><access/>"
            "<ues cell=\"gnb0\" count=\"2\" max_distance=\"30m\"/>",
            1, "", NULL);
  double rate = celslm_ran_link(ran, 0)->down;
  ck_assert(rate == celslm_ran_link(ran, 1)->down); /* at the cap of the curve */
  for (int i = 0; i < 3; i++)
    plan(&packets[i], i > 1, false, rate, 0); /* two of user 0, one of 1 */
  celslm_net_run(net, CELSLM_NEVER);
  ck_assert_double_eq_tol(celslm_seconds(packets[0].got), 2 + 1.14e-3, 1e-8);
  ck_assert_double_eq_tol(celslm_seconds(packets[2].got), 2 + 1.14e-3, 1e-8);
  ck_assert_double_eq_tol(celslm_seconds(packets[1].got), 3 + 1.14e-3, 1e-8);
  close_cell();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ran");
  TCase *tcase = tcase_create("ran");
  tcase_set_timeout(tcase, 200);
  tcase_add_loop_test(tcase, test_user_plane_latency, 0,
                      (int)(sizeof latencies / sizeof *latencies));
  tcase_add_test(tcase, test_block_fading_averages);
  tcase_add_test(tcase, test_blockage_share);
  tcase_add_test(tcase, test_handover_place);
  tcase_add_test(tcase, test_users_share_not_messages);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
