/* test_aboard.c - hosts that hang on a cell: bytes over wire and air against their recursion on an
 * idle cell, the sharing of the air with other users, and whole runs with an engine aboard. */
#include "cost/cost.h"
#include "net/radio/aboard.h"
#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

/* The second user stays in the same cell. */
#define CAR                                                                                        \
  "<radio patience=\"4s\">%s<channel><umi state=\"los\"/></channel>%s"                             \
  "<ues cell=\"gnb0\" count=\"1\" host=\"car\" min_distance=\"%s\" max_distance=\"%s\">%s</ues>"   \
  "<ues cell=\"gnb0\" count=\"1\" max_distance=\"50m\"/></radio>"

static char *scenario_text(const char *access, const char *distance, const char *movement,
                           const char *workload, const char *strategy, const char *faults) {
  return celslm_format(
      "<scenario name=\"t\" seed=\"7\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
      "<engine name=\"e0\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\"/>"
      "<engine name=\"car\" host=\"car\" model=\"small\" context_memory=\"1GiB\" "
      "step_overhead=\"0s\" sequence_overhead=\"0s\"/></engines>"
      "<contexts><population name=\"c\" count=\"3\" tokens=\"700\"/></contexts>" CAR
      "%s<strategy>%s</strategy>%s</scenario>",
      "", access, distance, distance, movement, workload, strategy, faults);
}

#define ONE                                                                                        \
  "<workload requests=\"1\"><arrivals><deterministic interval=\"1s\"/></arrivals><prompt><fixed "  \
  "tokens=\"50\"/></prompt><output><fixed tokens=\"1\"/></output><popularity><uniform/>"           \
  "</popularity></workload>"

/* ---- bytes ----------------------------------------------------------------------------------- */

static celslm_scenario *scenario;
static celslm_net *net;
static celslm_ran *ran;
static celslm_aboard *aboard;
static celslm_radio_link air;
static double bytes[2][2];
static int cloud, car;

static void open_cell(const char *access, const char *distance) {
  celslm_error err = {0};
  char *text = scenario_text(access, distance, "", ONE, "<ce-lslm/>", "");
  scenario = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(scenario != NULL, "%s", err.text);
  net = celslm_net_new(scenario->platform);
  ran = celslm_ran_new(net, celslm_scene_new(scenario, &err), NULL);
  aboard = celslm_aboard_new(net, ran, scenario, bytes[0], bytes[1]);
  ck_assert_ptr_nonnull(aboard);
  cloud = celslm_platform_host(scenario->platform, "cloud");
  car = celslm_platform_host(scenario->platform, "car");
  air = *celslm_ran_link(ran, 0);
  free(text);
}

static void close_cell(void) {
  ck_assert(celslm_ran_balanced(ran));
  celslm_aboard_free(aboard);
  celslm_ran_free(ran);
  celslm_net_free(net);
  celslm_scenario_free(scenario);
}

enum { PIECES = 40 };
static celslm_transfer pieces[PIECES];
static celslm_ns sent[PIECES], there[PIECES];
static int n_sent;

static void delivered(void *self) {
  there[(celslm_transfer *)self - pieces] = celslm_net_now(net);
}
static void failed(void *self) {
  ck_abort_msg("piece %d is lost", (int)((celslm_transfer *)self - pieces));
}
static void next_piece(void *self);
static void send_piece(int i) {
  celslm_transfer *t = &pieces[i];
  t->traffic = CELSLM_KV;
  t->sent = next_piece;
  t->delivered = delivered;
  t->failed = failed;
  t->self = t;
  celslm_net_send(net, t);
}
static void next_piece(void *self) {
  int i = (int)((celslm_transfer *)self - pieces);
  sent[i] = celslm_net_now(net);
  ck_assert_int_eq(i, n_sent++);
  if (i + 1 < PIECES) send_piece(i + 1);
}
static void begin_sending(void *self) {
  (void)self;
  send_piece(0);
}

/* When the source of piece i hears that it has left, as it did at `t`: at once, or when the first
 * of too many before it that are at the base station then has left that. */
static double told_after(double t, const double *at_base, const double *left, int i) {
  int kept = 0, first = i;
  for (int k = i - 1; k >= 0; k--)
    if (at_base[k] <= t && left[k] > t) kept++, first = k;
  return kept < CELSLM_ABOARD_BUFFER ? t : left[first];
}

/* Where the air is slow and where the wire is (1 Gb/s; the car near the mast, a wider carrier). */
static void carry(bool uplink, bool fast_air) {
  gsl_rng *dice = gsl_rng_alloc(gsl_rng_mt19937);
  open_cell("", "30m");
  if (fast_air) { /* 2 GHz instead of 0.1 GHz */
    scenario->platform->cells[0].bandwidth *= 20;
    celslm_ran_set_cell(ran, 0, 1); /* its users look again */
    air = *celslm_ran_link(ran, 0);
  }
  double wire = 125e6, rate = uplink ? air.up : air.down;
  ck_assert_msg((rate > wire) == fast_air, "air %g, wire %g", rate, wire);
  for (int i = 0; i < PIECES; i++)
    pieces[i] = (celslm_transfer){.from = uplink ? car : cloud,
                                  .to = uplink ? cloud : car,
                                  .bytes = 2000 + gsl_rng_uniform_int(dice, 300000)};
  celslm_event start = {.fire = begin_sending, .cls = CELSLM_AT_ARRIVAL};
  celslm_net_at(net, &start, 1000);
  celslm_net_run(net, CELSLM_NEVER);
  double told = 1e-6, on_air = 0, on_wire = 0, latency = 0.01055; /* wan, metro0, site0 */
  double left[PIECES], at_base[PIECES];
  double processing = uplink ? air.latency_up : air.latency_down;
  for (int i = 0; i < PIECES; i++) {
    double b = (double)pieces[i].bytes, expected;
    if (uplink) {
      on_air = fmax(told, on_air) + b / rate;
      at_base[i] = on_air + processing;
      left[i] = on_wire = fmax(at_base[i], on_wire) + b / wire;
      expected = on_wire + latency;
      told = told_after(on_air, at_base, left, i);
    } else {
      double off_wire = told + b / wire;
      at_base[i] = off_wire + latency;
      left[i] = on_air = fmax(at_base[i], on_air) + b / rate;
      expected = on_air + processing;
      told = told_after(off_wire, at_base, left, i);
    }
    ck_assert_double_eq_tol(celslm_seconds(sent[i]), told, 1e-7);
    ck_assert_double_eq_tol(celslm_seconds(there[i]), expected, 1e-7);
  }
  double sum = 0;
  for (int i = 0; i < PIECES; i++) sum += (double)pieces[i].bytes;
  ck_assert_double_eq(bytes[uplink ? 0 : 1][0], sum);
  ck_assert_double_eq((double)celslm_net_sent(net, CELSLM_KV), sum);
  ck_assert_uint_eq(celslm_net_in_flight(net, CELSLM_KV), 0);
  gsl_rng_free(dice);
  close_cell();
}

START_TEST(test_recursion) {
  carry(_i & 1, _i & 2);
}
END_TEST

static celslm_ns other_done;
static void other_there(void *self) {
  (void)self;
  other_done = celslm_net_now(net);
}
static void never(void *self) {
  (void)self;
  ck_abort_msg("a hop is lost");
}
static celslm_hop other;
static void send_other(void *self) {
  (void)self;
  celslm_ran_send(ran, &other);
}

/* Two pieces for the car wait for the air together; another user gets one half of it, not a third.
 */
START_TEST(test_shares_air) {
  open_cell("", "30m");
  celslm_radio_link his = *celslm_ran_link(ran, 1);
  double b = 4e6, mine = b / air.down, yours = 12e6 / his.down;
  ck_assert_double_gt(yours, 2 * mine); /* he is there longer than both pieces */
  int base = scenario->platform->cells[0].host;
  for (int i = 0; i < 2; i++) { /* from the base station itself: no wire */
    pieces[i] = (celslm_transfer){.from = base,
                                  .to = car,
                                  .bytes = (uint64_t)b,
                                  .traffic = CELSLM_KV,
                                  .delivered = delivered,
                                  .failed = failed,
                                  .self = &pieces[i]};
    celslm_net_send(net, &pieces[i]);
  }
  other = (celslm_hop){.ue = 1, .bytes = 12e6, .done = other_there, .failed = never};
  celslm_event start = {.fire = send_other, .cls = CELSLM_AT_ARRIVAL};
  celslm_net_at(net, &start, 0);
  celslm_net_run(net, CELSLM_NEVER);
  ck_assert_double_eq_tol(celslm_seconds(there[0]), 2 * mine + air.latency_down, 1e-7);
  ck_assert_double_eq_tol(celslm_seconds(there[1]), 4 * mine + air.latency_down, 1e-7);
  ck_assert_double_eq_tol(celslm_seconds(other_done), 2 * mine + yours + his.latency_down, 1e-7);
  ck_assert_double_eq_tol(celslm_air_busy(celslm_ran_air(ran, 0, false)), 2 * mine + yours, 1e-7);
  close_cell();
}
END_TEST

/* ---- whole runs ------------------------------------------------------------------------------ */

/* One request of the car's own user in an idle system: a request up, four layers down by wire and
 * air, the edge's prefill as they come. */
START_TEST(test_one_request) {
  char *text =
      scenario_text("", "30m", "", ONE, "<ce-lslm cloud_warm=\"yes\" map_at=\"free\"/>", "");
  char *only = /* without the other user */
      strstr(text, "<ues cell=\"gnb0\" count=\"1\" max_distance=\"50m\"/>");
  memset(only, ' ', strlen("<ues cell=\"gnb0\" count=\"1\" max_distance=\"50m\"/>"));
  simulation run = simulate_well(text, 0, false);
  open_cell("", "30m"); /* to know the cell's rates */
  celslm_error err = {0};
  celslm_cost cost;
  const celslm_model *small = &scenario->models[1];
  ck_assert(celslm_cost_init(&cost, scenario->platform->hosts[car].profile, small, CELSLM_F16,
                             CELSLM_F16, 0, 0, &err));
  double latency = 0.01055, wire = 125e6, n = 700, u = 50;
  double layer = 2 * (double)(small->kv_heads * small->head_dim) * 2 * n;
  const celslm_request_row *r = &run.rows[0];
  double ask = r->queued + 64 / air.up + air.latency_up + 64 / wire + latency;
  double on_air = 0, off_wire = ask, done = 0, left[4], at_base[4];
  for (int l = 0; l < small->layers; l++) {
    at_base[l] = off_wire + layer / wire + latency;
    left[l] = on_air = fmax(at_base[l], on_air) + layer / air.down;
    off_wire = told_after(off_wire + layer / wire, at_base, left, l);
    double compute = celslm_cost_layer(&cost, u) + celslm_cost_prefill(&cost, u, n);
    if (l == 0) compute += celslm_cost_embed(&cost, u);
    if (l == small->layers - 1) compute += celslm_cost_head(&cost, 1);
    done = fmax(done, on_air + air.latency_down) + compute;
  }
  ck_assert_int_eq(r->end, CELSLM_COMPLETED);
  ck_assert_double_eq(r->t_up, 0); /* it sits in the car */
  ck_assert_double_eq(r->user_bytes_to_cloud, 0);
  ck_assert_double_eq_tol(r->first_token, done, 1e-7);
  free(run.rows), free(text);
  close_cell();
}
END_TEST

/* Near the mast and far from it, where the air is slow: the planner's plan for one cold request is
 * no later than fetching all, computing all, or half of each, by more than what its forecast leaves
 * out (two pieces' wait at the base station; handshakes): 5 %. */
START_TEST(test_planner_knows_the_air) {
  static const char *const fixed[] = {"<ce-lslm cloud_warm=\"yes\"/>",
                                      "<ce-lslm cloud_warm=\"yes\" local_layers=\"4\"/>",
                                      "<ce-lslm cloud_warm=\"yes\" local_layers=\"8\"/>"};
  static const char *const distances[] = {"20m", "1500m", "3km"};
  double kv[3];
  for (int d = 0; d < 3; d++) {
    double best = INFINITY, planned = 0;
    for (int k = 0; k < 4; k++) {
      char *text = scenario_text("", distances[d], "", ONE,
                                 k < 3 ? fixed[k]
                                       : "<ce-lslm cloud_warm=\"yes\"><planner codecs=\"f16\"/>"
                                         "</ce-lslm>",
                                 "");
      char *other_user = strstr(text, "<ues cell=\"gnb0\" count=\"1\" max_distance=\"50m\"/>");
      memset(other_user, ' ', strlen("<ues cell=\"gnb0\" count=\"1\" max_distance=\"50m\"/>"));
      for (char *small; (small = strstr(text, "model=\"small\""));)
        memcpy(small, "model=\"big\"  ", strlen("model=\"small\""));
      simulation s = simulate_well(text, 0, false);
      planned = s.rows[0].ttft;
      if (k < 3) best = fmin(best, planned);
      kv[d] = s.rows[0].kv_bytes; /* of the last: the planned one */
      free(s.rows), free(text);
    }
    printf("%s: planned %.4f s with %.2f MB of KV, best fixed plan %.4f s\n", distances[d], planned,
           kv[d] * 1e-6, best);
    ck_assert_double_le(planned, 1.05 * best);
  }
  ck_assert(kv[0] > kv[2] && kv[0] >= kv[1]); /* the slower the air, the more it computes itself */
}
END_TEST

#define MANY                                                                                       \
  "<workload requests=\"60\"><arrivals><poisson rate=\"6/s\"/></arrivals><prompt><fixed "          \
  "tokens=\"50\"/></prompt><output><fixed tokens=\"20\"/></output><popularity><uniform/>"          \
  "</popularity></workload>"

static simulation alike(const char *text) {
  simulation a = simulate_well(text, 0, false), b = simulate_well(text, 0, true);
  ck_assert_msg(a.n == b.n && memcmp(a.rows, b.rows, a.n * sizeof *a.rows) == 0,
                "jumping and stepping differ: %s", text);
  ck_assert_int_eq((int64_t)a.n, a.summary.arrived);
  ck_assert_int_eq(a.summary.in_flight, 0);
  free(b.rows);
  return a;
}

/* It drives from one cell to the other and back: it stays its user's edge, and its contexts with
 * it, so each is fetched once. */
START_TEST(test_drives) {
  static const char *const access[] = {"<handover/>", "<access timing=\"slots\"/><handover/>"};
  for (int i = 0; i < 2; i++) {
    char *text = scenario_text(access[i], "30m",
                               "<road speed=\"40m/s\" from_x=\"0m\" from_y=\"3m\" to_x=\"200m\" "
                               "to_y=\"3m\"/>",
                               MANY, "<ce-lslm cloud_warm=\"yes\"/>", "");
    simulation s = alike(text);
    ck_assert_int_eq(s.summary.completed, 60);
    int fetches = 0, aboard_too = 0;
    for (size_t k = 0; k < s.n; k++) {
      bool in_car = s.rows[k].engine == 2;
      aboard_too += in_car;
      fetches += in_car && s.rows[k].context_source == CELSLM_CONTEXT_FETCHED;
      ck_assert(in_car == (s.rows[k].cell == UINT32_MAX));
    }
    ck_assert(aboard_too > 10 && fetches == 3);
    free(s.rows), free(text);
  }
}
END_TEST

/* The cell is silent: a fetch fails after the transfer's patience, and the car computes itself; the
 * car breaks down, and what was its goes with it. */
START_TEST(test_faults) {
  char *text =
      scenario_text("", "30m", "", MANY, "<ce-lslm cloud_warm=\"yes\" outage=\"recompute\"/>",
                    "<faults><cell name=\"gnb0\" at=\"0s\" for=\"1000s\"/></faults>");
  simulation s = alike(text);
  for (size_t k = 0; k < s.n; k++) {
    bool in_car = s.rows[k].cell == UINT32_MAX;
    ck_assert_int_eq(s.rows[k].end, in_car ? CELSLM_COMPLETED : CELSLM_DROPPED);
    if (in_car) ck_assert_double_lt(s.rows[k].ttft, 0.7);
    if (in_car) ck_assert_int_ne(s.rows[k].context_source, CELSLM_CONTEXT_FETCHED);
  }
  free(s.rows), free(text);
  text = scenario_text("", "30m", "", MANY, "<ce-lslm/>",
                       "<faults><host name=\"car\" at=\"0.5s\" for=\"2s\"/><host name=\"car\" "
                       "mtbf=\"2s\" mttr=\"200ms\"/><host name=\"cloud\" mtbf=\"1s\" "
                       "mttr=\"100ms\"/><cell name=\"gnb0\" mtbf=\"1s\" mttr=\"300ms\"/></faults>");
  s = alike(text);
  ck_assert(s.summary.dropped > 0 && s.summary.completed > 0);
  free(s.rows), free(text);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("aboard");
  TCase *tcase = tcase_create("aboard");
  tcase_set_timeout(tcase, 100);
  tcase_add_loop_test(tcase, test_recursion, 0, 4);
  tcase_add_test(tcase, test_shares_air);
  tcase_add_test(tcase, test_one_request);
  tcase_add_test(tcase, test_planner_knows_the_air);
  tcase_add_test(tcase, test_drives);
  tcase_add_test(tcase, test_faults);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed_tests = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed_tests != 0;
}
