/* test_air.c - the air in virtual time against SimGrid execs whose FLOPs are air time: random cells
 * with fading, caps, weights, arrivals and handovers. A flow of weight w is w execs. */
#include "net/air.h"
#include "support.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <simgrid/engine.h>

#include <simgrid/actor.h>
#include <simgrid/exec.h>
#include <simgrid/host.h>

enum { FLOWS = 40, CHANGES = 6, CELLS = 100, LATENCY = 1000 };

/* SimGrid merges events that are closer than 1e-9 s, and a later change of rate multiplies the
 * difference: the oracle lives in time stretched by this factor. */
#define STRETCH 1000.0

typedef struct change { /* from `at` on: this cell, this rate */
  double at;
  int cell;
  double rate;
} change;

typedef struct talk {
  celslm_air_flow f;
  celslm_event event;
  double bytes, cap;
  int weight, n_changes, next;
  change changes[CHANGES];
  double done, oracle[4];
} talk;

static celslm_net *net;
static celslm_platform *platform;
static celslm_air *cells[2];
static talk talks[FLOWS];
static int capped, moved, waited;

static void over(void *self) {
  ((talk *)self)->done = celslm_seconds(celslm_net_now(net) - LATENCY);
}

/* The shares of a cell never exceed its air. */
static void check_shares(void) {
  double sum[2] = {0, 0};
  for (int i = 0; i < FLOWS; i++)
    if (talks[i].f.air) {
      double share = celslm_air_share(&talks[i].f);
      ck_assert(share <= talks[i].cap * (1 + 1e-9));
      capped += talks[i].cap < 1 && share >= talks[i].cap;
      sum[talks[i].f.air == cells[1]] += share;
    }
  for (int c = 0; c < 2; c++) ck_assert_msg(sum[c] <= 1 + 1e-9, "%.15g", sum[c]);
}

static void next_change(void *self) {
  talk *t = self;
  const change *c = &t->changes[t->next];
  if (t->next == 0 || t->f.air) {
    if (t->next && t->f.air != cells[c->cell]) {
      t->f.bytes = celslm_air_take(&t->f);
      t->f.rate = c->rate;
      celslm_air_send(cells[c->cell], &t->f);
      moved++;
    } else if (t->next) {
      celslm_air_set_rate(&t->f, c->rate);
    } else {
      celslm_air_send(cells[c->cell], &t->f);
    }
    waited += c->rate == 0;
    check_shares();
  }
  if (++t->next < t->n_changes) celslm_net_at(net, &t->event, celslm_ns_of(t->changes[t->next].at));
}

typedef struct part {
  talk *talk;
  int index;
} part;
static part parts[FLOWS][4];

/* One of the `weight` equal parts of a flow: one exec from change to change. */
static void oracle(int argc, char **argv) {
  (void)argc, (void)argv;
  const part *p = sg_actor_self_get_data();
  const talk *t = p->talk;
  double left = t->bytes / t->weight;
  for (int k = 0; k < t->n_changes && left > 0; k++) {
    double until = k + 1 < t->n_changes ? t->changes[k + 1].at : INFINITY;
    sg_actor_sleep_until(t->changes[k].at * STRETCH);
    if (!(t->changes[k].rate > 0)) continue;
    sg_exec_t e = sg_actor_exec_init(left / t->changes[k].rate * 1e9 * STRETCH);
    sg_exec_set_host(e, sg_host_by_name(t->changes[k].cell ? "b" : "a"));
    if (t->cap < 1) sg_exec_set_bound(e, t->cap / t->weight * 1e9);
    sg_exec_start(e);
    if (isinf(until)) {
      sg_exec_wait(e);
    } else if (sg_exec_wait_for(e, until * STRETCH - simgrid_get_clock()) == SG_ERROR_TIMEOUT) {
      left = sg_exec_get_remaining(e) * 1e-9 / STRETCH * t->changes[k].rate;
      sg_exec_cancel(e);
      continue;
    }
    left = 0;
  }
  parts[t - talks][p->index].talk->oracle[p->index] = simgrid_get_clock() / STRETCH;
}

static double whole_ns(double s) {
  return celslm_seconds(celslm_ns_of(s));
}

static void draw(talk *t, gsl_rng *r, double now) {
  *t = (talk){.cap = gsl_rng_uniform(r) < 0.5 ? 1 : 0.02 + gsl_rng_uniform(r) * 0.7,
              .weight = 1 + (int)gsl_rng_uniform_int(r, 4),
              .n_changes = 1 + (int)gsl_rng_uniform_int(r, CHANGES),
              .bytes = gsl_ran_exponential(r, 1e6)};
  for (int k = 0; k < t->n_changes; k++) {
    now = whole_ns(k ? now + gsl_ran_exponential(r, 0.02) : now);
    t->changes[k] = (change){.at = now,
                             .cell = (int)gsl_rng_uniform_int(r, 2),
                             .rate = gsl_ran_exponential(r, 1) * 1e8 + 1e6};
    if (k + 1 < t->n_changes && gsl_rng_uniform(r) < 0.15) t->changes[k].rate = 0;
  }
  t->f = (celslm_air_flow){.bytes = t->bytes,
                           .rate = t->changes[0].rate,
                           .weight = t->weight,
                           .cap = t->cap,
                           .latency = LATENCY,
                           .done = over,
                           .self = t};
  t->event = (celslm_event){.fire = next_change, .self = t, .cls = CELSLM_AT_TIMER};
}

static void run_cell(int seed) {
  celslm_error err = {0};
  platform = celslm_platform_load(CELSLM_TEST_DATA "/line.xml", NULL, &err);
  net = celslm_net_new(platform);
  celslm_net_latency(net, 0, 1); /* loads SimGrid, for the oracle */
  for (int c = 0; c < 2; c++) cells[c] = celslm_air_new(net, (uint32_t)c);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(r, (unsigned long)seed + 1);
  double now = 0, gap = 0.002 + 0.03 * gsl_rng_uniform(r);
  for (int i = 0; i < FLOWS; i++) {
    now = whole_ns(now + gsl_ran_exponential(r, gap));
    draw(&talks[i], r, now);
    celslm_net_at(net, &talks[i].event, celslm_ns_of(now));
    for (int w = 0; w < talks[i].weight; w++) {
      parts[i][w] = (part){&talks[i], w};
      sg_actor_t a = sg_actor_init("oracle", sg_host_by_name("c"));
      sg_actor_set_data(a, &parts[i][w]);
      sg_actor_start(a, oracle, 0, NULL);
    }
  }
  celslm_net_run(net, CELSLM_NEVER);
  simgrid_run(); /* the oracle alone: the net had nothing to give to SimGrid */
  for (int i = 0; i < FLOWS; i++)
    for (int w = 0; w < talks[i].weight; w++)
      ck_assert_msg(fabs(talks[i].done - talks[i].oracle[w]) <= 1e-9,
                    "cell %d, flow %d: %.12f, oracle %.12f", seed, i, talks[i].done,
                    talks[i].oracle[w]);
  for (int c = 0; c < 2; c++) celslm_air_free(cells[c]);
  gsl_rng_free(r);
  celslm_net_free(net);
  celslm_platform_free(platform);
}

/* SimGrid's engine cannot be reset: a process per cell. */
START_TEST(test_fast_path_equals_execs) {
  run_cell(_i);
  if (_i == 0)
    ck_assert_msg(capped > 10 && moved > 10 && waited > 3, "%d %d %d", capped, moved, waited);
}
END_TEST

/* ---- what SimGrid has no oracle for: against arithmetic -------------------------------------- */

static double doubled(int active) {
  return active > 1 ? 2 : 1;
}

static void halve(void *air) {
  celslm_air_set_speed(air, 0.5);
}
static void stop(void *air) {
  celslm_air_set_speed(air, 0);
}
static void repair(void *air) {
  celslm_air_set_speed(air, 1);
}

/* 1 s of air each for two from 0 on. Down during [0.2, 0.7), at half speed during [1, 1.4): they
 * have had 0.2 + 0.3 + 0.2 s of air by 1.4 s, so both end at 1.4 + 1.3. With a gain of 2 while two
 * talk: 0.4 + 0.6 + 0.4 by then, and both end at 1.4 + 0.3. */
START_TEST(test_speed_and_gain) {
  celslm_error err = {0};
  platform = celslm_platform_load(CELSLM_TEST_DATA "/line.xml", NULL, &err);
  net = celslm_net_new(platform);
  celslm_air *a = celslm_air_new(net, 0);
  celslm_event events[4];
  static const double times[] = {0.2, 0.7, 1.0, 1.4};
  void (*const what[])(void *) = {stop, repair, halve, repair};
  for (int i = 0; i < 4; i++) {
    events[i] = (celslm_event){.fire = what[i], .self = a, .cls = CELSLM_AT_TIMER};
    celslm_net_at(net, &events[i], celslm_ns_of(times[i]));
  }
  if (_i) celslm_air_set_gain(a, doubled);
  for (int i = 0; i < 2; i++) {
    talks[i] = (talk){
        .cap = 1,
        .f = {.bytes = 1e6, .rate = 1e6, .latency = LATENCY, .done = over, .self = &talks[i]}};
    celslm_air_send(a, &talks[i].f);
  }
  celslm_net_run(net, CELSLM_NEVER);
  for (int i = 0; i < 2; i++) ck_assert_double_eq_tol(talks[i].done, _i ? 1.7 : 2.7, 1e-9);
  celslm_air_free(a);
  celslm_net_free(net);
  celslm_platform_free(platform);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("air");
  TCase *tcase = tcase_create("air");
  tcase_set_timeout(tcase, 200);
  tcase_add_loop_test(tcase, test_fast_path_equals_execs, 0, CELLS);
  tcase_add_loop_test(tcase, test_speed_and_gain, 0, 2);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
