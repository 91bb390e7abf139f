/* test_scene.c - what users hear: each term of the budget by hand, the fixed point of interference,
 * the antenna's direction, and how users move. */
#include "net/radio/atmosphere.h"
#include "net/radio/budget.h"
#include "net/radio/building.h"
#include "net/radio/scene.h"
#include "support.h"

#include <gsl/gsl_statistics_double.h>
#include <math.h>

static celslm_scenario *scenario;

static celslm_scene *open_scene(const char *radio) {
  celslm_error err = {0};
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"3\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\"/></engines><radio>%s</radio>"
      "<workload requests=\"1\"><arrivals><poisson rate=\"1/s\"/></arrivals><prompt><fixed "
      "tokens=\"8\"/></prompt><output><fixed tokens=\"1\"/></output></workload>"
      "<strategy><cloud-only/></strategy></scenario>",
      radio);
  scenario = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(scenario != NULL, "%s", err.text);
  celslm_scene *s = celslm_scene_new(scenario, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  free(text);
  return s;
}

static void close_scene(celslm_scene *s) {
  celslm_scene_free(s);
  celslm_scenario_free(scenario);
}

static const celslm_cell *cell(int c) {
  return &scenario->platform->cells[c];
}

/* dB at a user 1.5 m up: the formula of the channel alone. */
static double path_loss(const celslm_ue *u, int c) {
  celslm_geometry g = {.carrier = cell(c)->carrier,
                       .distance = hypot(u->x - cell(c)->x, u->y - cell(c)->y),
                       .h_bs = cell(c)->height,
                       .h_ut = u->height};
  return celslm_channel_umi.loss(&g, u->heard[c].los);
}

/* ---- the budget ------------------------------------------------------------------------------ */

START_TEST(test_gas_rain_and_walls) {
  celslm_scene *s = open_scene(
      "<channel><umi state=\"nlos\" gas=\"yes\" rain=\"40mm/h\"/></channel>"
      "<ues cell=\"gnb0\" count=\"50\" max_distance=\"40m\" indoor=\"0.5\" wall=\"high\"/>");
  int indoors = 0;
  double walls = 0;
  for (int i = 0; i < s->n_ues; i++) {
    const celslm_ue *u = &s->ues[i];
    double path = hypot(hypot(u->x, u->y), 8.5) * 1e-3;
    double tilt = atan2(8.5, hypot(u->x, u->y)) * 180 / M_PI;
    double air = path * (celslm_gas_attenuation(CELSLM_GAS_ALL, 3.5e9) +
                         celslm_rain_attenuation(3.5e9, 40, tilt, 45));
    double more = u->heard[0].loss - path_loss(u, 0) - air;
    if (!u->indoor) {
      ck_assert_double_eq_tol(more, 0, 1e-9);
      continue;
    }
    indoors++;
    ck_assert(u->indoors >= 0 && u->indoors <= 25);
    ck_assert_double_eq_tol(more, u->wall + 0.5 * u->indoors, 1e-9);
    walls += u->wall;
  }
  ck_assert(indoors > 15 && indoors < 35);
  double mean = celslm_wall_loss(CELSLM_WALL_HIGH, 3.5e9); /* deviation 6.5 dB */
  ck_assert_double_eq_tol(walls / indoors, mean, 3 * 6.5 / sqrt(indoors));
  close_scene(s);
}
END_TEST

/* SINR = S / (N + sum of activity I), from powers in mW. */
START_TEST(test_interference) {
  celslm_scene *s = open_scene(
      "<channel><umi shadowing=\"yes\"/></channel><link interference=\"fixed\" activity=\"0.4\"/>"
      "<ues cell=\"gnb0\" count=\"40\" max_distance=\"150m\"/>"
      "<ues cell=\"gnb1\" count=\"30\" max_distance=\"150m\"/>");
  double disturbance = 0; /* of the users of gnb1 at gnb0 */
  for (int i = 0; i < s->n_ues; i++)
    if (s->ues[i].cell == 1)
      disturbance += celslm_from_db(23 + 0 + 8 - s->ues[i].heard[0].loss) / 30;
  for (int i = 0; i < s->n_ues; i++) {
    const celslm_ue *u = &s->ues[i];
    if (u->cell != 0) continue;
    celslm_radio_link l = celslm_scene_link(s, u, 0, 0, 0);
    double noise = celslm_from_db(-174 + 80 + 7),
           others = celslm_from_db(44 + 8 - u->heard[1].loss);
    double sinr = celslm_from_db(44 + 18 - u->heard[0].loss) / (noise + 0.4 * others);
    ck_assert_double_eq_tol(l.snr_down, celslm_to_db(sinr), 1e-9);
    noise = celslm_from_db(-174 + 80 + 5);
    sinr = celslm_from_db(23 + 18 - u->heard[0].loss) / (noise + 0.4 * disturbance);
    ck_assert_double_eq_tol(l.snr_up, celslm_to_db(sinr), 1e-9);
  }
  close_scene(s);
}
END_TEST

/* By load: what a cell is active is what its users' demands take at the rates that follow from what
 * all cells are active. */
START_TEST(test_activity_is_a_fixed_point) {
  celslm_scene *s = open_scene("<channel><umi shadowing=\"yes\"/></channel><link "
                               "interference=\"load\"/>"
                               "<ues cell=\"gnb0\" count=\"40\" max_distance=\"150m\" "
                               "demand_down=\"2Mbps\" demand_up=\"50kbps\"/>"
                               "<ues cell=\"gnb1\" count=\"20\" max_distance=\"150m\" "
                               "demand_down=\"2Mbps\" demand_up=\"80kbps\"/>");
  double down[2] = {0, 0}, up[2] = {0, 0};
  for (int i = 0; i < s->n_ues; i++) {
    const celslm_ue *u = &s->ues[i];
    celslm_radio_link l = celslm_scene_link(s, u, u->cell, 0, 0);
    down[u->cell] += 2.5e5 / l.down;
    up[u->cell] += (u->cell ? 1e4 : 6.25e3) / l.up;
  }
  for (int c = 0; c < 2; c++) {
    ck_assert_msg(s->activity_down[c] > 0.02 && s->activity_down[c] < 1, "%g %g",
                  s->activity_down[c], down[c]);
    ck_assert_double_eq_tol(s->activity_down[c], down[c], 1e-9);
    ck_assert_double_eq_tol(s->activity_up[c], up[c], 1e-9);
  }
  close_scene(s);
}
END_TEST

/* The strongest cell serves; shadowing moves the border. */
START_TEST(test_association) {
  celslm_scene *s = open_scene("<channel><umi shadowing=\"yes\"/></channel><handover/>"
                               "<ues cell=\"gnb0\" count=\"300\" max_distance=\"200m\"/>");
  int other = 0;
  for (int i = 0; i < s->n_ues; i++) {
    const celslm_ue *u = &s->ues[i]; /* equal cells: the strongest is the one of least loss */
    ck_assert(u->heard[u->cell].loss <= u->heard[1 - u->cell].loss);
    other += u->cell;
  }
  ck_assert(other > 20 && other < 150);
  close_scene(s);
}
END_TEST

/* ---- movement -------------------------------------------------------------------------------- */

START_TEST(test_waypoints_and_roads) {
  celslm_scene *s = open_scene(
      "<channel><umi state=\"los\"/></channel>"
      "<ues cell=\"gnb0\" count=\"20\" max_distance=\"100m\"><waypoint speed_min=\"1m/s\" "
      "speed_max=\"3m/s\" pause=\"5s\"/></ues>"
      "<ues cell=\"gnb1\" count=\"20\" max_distance=\"100m\"><road speed=\"30m/s\" from_x=\"0m\" "
      "from_y=\"0m\" to_x=\"300m\" to_y=\"400m\"/></ues>");
  double paused = 0, steps = 0;
  for (int step = 0; step < 5000; step++)
    for (int i = 0; i < s->n_ues; i++) {
      celslm_ue *u = &s->ues[i];
      double x = u->x, y = u->y;
      celslm_scene_move(s, u, 0.1);
      double moved = hypot(u->x - x, u->y - y);
      if (i < 20) {
        ck_assert_double_le(hypot(u->x, u->y), 100 + 1e-6);
        ck_assert_double_le(moved, 0.3 + 1e-9);
        paused += moved == 0;
        steps++;
      } else {
        ck_assert_double_eq_tol(u->x * 4, u->y * 3, 1e-6); /* on the line */
        ck_assert(u->x >= -1e-9 && u->x <= 300 + 1e-9);
        ck_assert_double_le(moved, 3 + 1e-9);
      }
    }
  /* 2.5 s of pause after each way: of mean length 90.5 m (a disc of 100 m) at a mean slowness of
   * ln 3 / 2 s/m: 49.7 s */
  ck_assert_double_eq_tol(paused / steps, 2.5 / 52.2, 0.01);
  close_scene(s);
}
END_TEST

/* Speeds of Gauss-Markov users: mean, deviation and correlation over 1 s as asked for, within 3
 * standard errors of so many (correlated) draws. */
START_TEST(test_gauss_markov) {
  enum { USERS = 200, STEPS = 500 };
  celslm_scene *s = open_scene("<channel><umi state=\"los\"/></channel><ues cell=\"gnb0\" "
                               "count=\"200\" max_distance=\"300m\"><gauss-markov speed=\"10m/s\" "
                               "deviation=\"1m/s\" memory=\"0.8\"/></ues>");
  static double now[USERS * STEPS], next[USERS * STEPS];
  size_t n = 0;
  for (int step = -50; step < STEPS; step++) /* the start is forgotten first */
    for (int i = 0; i < USERS; i++) {
      celslm_ue *u = &s->ues[i];
      double before = u->motion.speed;
      celslm_scene_move(s, u, 1);
      ck_assert_double_le(hypot(u->x, u->y), 300 + 200); /* turns back when it is out */
      if (step < 0) continue;
      now[n] = before;
      next[n++] = u->motion.speed;
    }
  double effective = (double)n * (1 - 0.8) / (1 + 0.8); /* independent draws */
  ck_assert_double_eq_tol(gsl_stats_mean(now, 1, n), 10, 3 / sqrt(effective));
  ck_assert_double_eq_tol(gsl_stats_sd(now, 1, n), 1, 3 / sqrt(2 * (double)n * 0.36 / 1.64));
  ck_assert_double_eq_tol(gsl_stats_correlation(now, 1, next, 1, n), 0.8,
                          3 * sqrt((1 - 0.64) / (double)n));
  close_scene(s);
}
END_TEST

RUN_SUITE("scene", test_gas_rain_and_walls, test_interference, test_activity_is_a_fixed_point,
          test_association, test_waypoints_and_roads, test_gauss_markov)
