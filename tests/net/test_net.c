/* test_net.c - the clock's order, transfers against closed forms, the air against SimGrid's CPU
 * sharing. */
#include "net/air.h"
#include "support.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <simgrid/engine.h>

#include <simgrid/actor.h>
#include <simgrid/exec.h>
#include <simgrid/host.h>

/* ---- the queue ------------------------------------------------------------------------------- */

typedef struct fired {
  celslm_event event;
  uint64_t order;
} fired;

START_TEST(test_queue_order) {
  enum { N = 2000 };
  static fired events[N];
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  celslm_queue *q = celslm_queue_new();
  uint64_t order = 0;
  int queued = 0;
  celslm_ns now = 0;
  fired *last = NULL;
  for (int i = 0; i < N; i++)
    events[i].event = (celslm_event){.cls = (uint32_t)i % 4, .id = (uint32_t)i / 4 % 5};
  for (int step = 0; step < 200000; step++) {
    fired *f = &events[gsl_rng_uniform_int(r, N)];
    double what = gsl_rng_uniform(r);
    if (what < 0.5) { /* put or move */
      queued += f->event.slot == 0;
      f->order = order++;
      celslm_queue_put(q, &f->event, now + (celslm_ns)gsl_rng_uniform_int(r, 50));
      last = NULL;
    } else if (what < 0.6) {
      queued -= f->event.slot != 0;
      celslm_queue_remove(q, &f->event);
    } else if (queued) {
      fired *first = (fired *)celslm_queue_first(q);
      ck_assert_int_ge(first->event.time, now);
      if (last && last->event.time ==
                      first->event.time) { /* nothing was put in between: strictly later in rank */
        ck_assert_uint_le(last->event.cls, first->event.cls);
        if (last->event.cls == first->event.cls) {
          ck_assert_uint_le(last->event.id, first->event.id);
          if (last->event.id == first->event.id) ck_assert_uint_lt(last->order, first->order);
        }
      }
      now = first->event.time;
      celslm_queue_remove(q, &first->event);
      queued--;
      last = first;
    }
  }
  celslm_queue_free(q);
  gsl_rng_free(r);
}
END_TEST

/* ---- transfers ------------------------------------------------------------------------------- */

static celslm_net *net;
static celslm_platform *platform;

static void open_line(void) {
  celslm_error err = {0};
  platform = celslm_platform_load(CELSLM_TEST_DATA "/line.xml", NULL, &err);
  ck_assert_msg(platform != NULL, "%s", err.text);
  net = celslm_net_new(platform);
}

static void close_line(void) {
  celslm_net_free(net);
  celslm_platform_free(platform);
}

typedef struct flow {
  celslm_transfer t;
  celslm_event start;
  celslm_ns at, sent, delivered;
} flow;

static void on_sent(void *self) {
  ((flow *)self)->sent = celslm_net_now(net);
}
static void on_delivered(void *self) {
  ((flow *)self)->delivered = celslm_net_now(net);
}
static void on_start(void *self) {
  celslm_net_send(net, &((flow *)self)->t);
}

static void plan(flow *f, int from, int to, uint64_t bytes, double at) {
  *f = (flow){.t = {.from = from,
                    .to = to,
                    .bytes = bytes,
                    .traffic = CELSLM_KV,
                    .sent = on_sent,
                    .delivered = on_delivered,
                    .self = f},
              .start = {.fire = on_start, .self = f, .cls = CELSLM_AT_TIMER},
              .at = celslm_ns_of(at),
              .sent = -1,
              .delivered = -1};
  celslm_net_at(net, &f->start, f->at);
}

static void near(celslm_ns time, double seconds) {
  ck_assert_msg(fabs(celslm_seconds(time) - seconds) <= 1e-9, "%.12f is not %.12f",
                celslm_seconds(time), seconds);
}

START_TEST(test_two_flows_on_one_link) {
  open_line();
  flow f[2];
  /* 100 MB/s: alone 1 s; the second comes at 0.4 s with 30 MB. They share until it has gone, at 0.4
   * + 0.6. */
  plan(&f[0], 0, 1, 100000000, 0);
  plan(&f[1], 0, 1, 30000000, 0.4);
  celslm_net_run(net, CELSLM_NEVER);
  near(f[1].sent, 1.0);
  near(f[0].sent, 1.3);
  near(f[1].delivered, 1.01); /* latency is added on delivery, and holds nobody up */
  near(f[0].delivered, 1.31);
  ck_assert_uint_eq(celslm_net_sent(net, CELSLM_KV), 130000000);
  ck_assert_uint_eq(celslm_net_received(net, 1, CELSLM_KV), 130000000);
  ck_assert_uint_eq(celslm_net_in_flight(net, CELSLM_KV), 0);
  close_line();
}
END_TEST

START_TEST(test_max_min_on_a_path) {
  open_line();
  flow f[3];
  /* bc (50 MB/s) is shared by two: 25 each; ab's other flow gets the remaining 75. */
  plan(&f[0], 0, 3, 25000000, 0);
  plan(&f[1], 1, 2, 25000000, 0);
  plan(&f[2], 0, 1, 75000000, 0);
  celslm_net_run(net, CELSLM_NEVER);
  near(f[0].sent, 1.0);
  near(f[1].sent, 1.0);
  near(f[2].sent, 1.0);
  near(f[0].delivered, 1.011);
  close_line();
}
END_TEST

/* Layers sent one after the other pay the latency once, not each. */
static flow layers[32];
static int next_layer;
static void next_sent(void *self) {
  on_sent(self);
  if (++next_layer < 32) on_start(&layers[next_layer]);
}

START_TEST(test_layers_in_a_row) {
  open_line();
  for (int i = 0; i < 32; i++) {
    plan(&layers[i], 0, 1, 1000000, 0.5);
    layers[i].t.sent = next_sent;
    if (i) celslm_net_cancel(net, &layers[i].start);
  }
  celslm_net_run(net, CELSLM_NEVER);
  for (int i = 0; i < 32; i++) near(layers[i].delivered, 0.5 + 0.01 * (i + 1) + 0.01);
  close_line();
}
END_TEST

/* A flow that starts long after SimGrid was last asked starts on time. */
START_TEST(test_after_a_pause) {
  open_line();
  flow f[3];
  plan(&f[0], 0, 1, 1000000, 0);
  plan(&f[1], 0, 1, 1000000, 1000.25);
  plan(&f[2], 0, 1, 100, 2000); /* a packet: latency + bytes / bandwidth */
  celslm_net_run(net, CELSLM_NEVER);
  near(f[1].sent, 1000.26);
  near(f[2].delivered, 2000.01 + 1e-6);
  ck_assert_int_eq(celslm_net_latency(net, 0, 3), 11000000);
  ck_assert(celslm_net_bandwidth(net, 0, 3) == 5e7);
  close_line();
}
END_TEST

START_TEST(test_horizon_leaves_bytes_in_flight) {
  open_line();
  flow f[2];
  plan(&f[0], 0, 1, 100000000, 0);
  plan(&f[1], 0, 1, 100000000, 5);
  celslm_net_run(net, celslm_ns_of(0.5));
  ck_assert_int_eq(f[0].sent, -1);
  ck_assert_uint_eq(celslm_net_sent(net, CELSLM_KV), 100000000);
  ck_assert_uint_eq(celslm_net_in_flight(net, CELSLM_KV), 100000000);
  close_line();
}
END_TEST

/* ---- computations on a shared host ----------------------------------------------------------- */

typedef struct task {
  celslm_compute c;
  celslm_event start;
  celslm_ns ended;
} task;

static void on_computed(void *self) {
  ((task *)self)->ended = celslm_net_now(net);
}
static void on_compute(void *self) {
  celslm_net_compute(net, &((task *)self)->c);
}

START_TEST(test_computations_share_a_host) {
  open_line();
  static const double starts[] = {0, 0, 0.25, 7}, seconds[] = {1, 0.5, 1, 1};
  static const int hosts[] = {0, 0, 1, 0};
  static const double ends[] = {
      1.5, 1.0, 1.25, 8}; /* two share a until the shorter one ends; b and later are alone */
  task w[4];
  for (int i = 0; i < 4; i++) {
    w[i] = (task){.c = {.host = hosts[i],
                        .seconds = seconds[i],
                        .done = on_computed,
                        .self = &w[i],
                        .event.cls = CELSLM_AT_ENGINE},
                  .start = {.fire = on_compute, .self = &w[i], .cls = CELSLM_AT_TIMER}};
    celslm_net_at(net, &w[i].start, celslm_ns_of(starts[i]));
  }
  celslm_net_run(net, CELSLM_NEVER);
  for (int i = 0; i < 4; i++) near(w[i].ended, ends[i]);
  close_line();
}
END_TEST

/* ---- all at one instant, long after the start: SimGrid begins with what is there then ----------
 */

static flow first_flows[4];
static task first_tasks[2];

static void slow_down(void *self) {
  (void)self;
  celslm_net_set_share(net, 1, 0.5); /* bc: 25 MB/s */
}

static void all_at_once(void *self) {
  (void)self;
  for (int i = 0; i < 4; i++) on_start(&first_flows[i]);
  for (int i = 0; i < 2; i++) on_compute(&first_tasks[i]);
  celslm_net_withdraw(net, &first_tasks[0].c); /* taken back before it could begin */
  celslm_net_set_share(net, 2, 0);             /* cd is cut: what has just begun there is lost */
}

static void mend(void *self) {
  (void)self;
  celslm_net_set_share(net, 1, 1);
  celslm_net_set_share(net, 2, 1);
}

START_TEST(test_begins_with_what_is_there) {
  open_line();
  int weights[CELSLM_TRAFFICS] = {1, 1, 1, 1, 1, 1};
  weights[CELSLM_KV] = 3;
  celslm_net_set_weights(net, weights);
  celslm_event slow = {.fire = slow_down, .cls = CELSLM_AT_TIMER};
  celslm_event start = {.fire = all_at_once, .cls = CELSLM_AT_TIMER, .id = 1};
  celslm_event whole = {.fire = mend, .cls = CELSLM_AT_TIMER, .id = 2};
  /* from c on, bc has 25 MB/s until 1004: 3:1 for KV, so that 75 MB leave when 25 MB have */
  plan(&first_flows[0], 1, 2, 75000000, 0);
  plan(&first_flows[1], 1, 2, 25000000, 0);
  plan(&first_flows[2], 2, 3, 100000000, 0); /* lost; again from 1004, 0.5 s */
  plan(&first_flows[3], 0, 1, 50000000, 0);
  first_flows[1].t.traffic = CELSLM_CONTEXT;
  for (int i = 0; i < 4; i++) celslm_net_cancel(net, &first_flows[i].start);
  for (int i = 0; i < 2; i++)
    first_tasks[i] = (task){.c = {.host = 0,
                                  .seconds = 2,
                                  .done = on_computed,
                                  .self = &first_tasks[i],
                                  .event.cls = CELSLM_AT_ENGINE},
                            .ended = -1};
  celslm_net_at(net, &slow, celslm_ns_of(500));
  celslm_net_at(net, &start, celslm_ns_of(1000));
  celslm_net_at(net, &whole, celslm_ns_of(1004));
  celslm_net_run(net, CELSLM_NEVER);
  near(first_flows[0].sent, 1004);
  near(first_flows[1].sent, 1004);
  near(first_flows[2].sent, 1004.5);
  near(first_flows[3].sent, 1000.5);
  ck_assert_int_eq(first_tasks[0].ended, -1);
  near(first_tasks[1].ended, 1002);
  ck_assert_uint_eq(celslm_net_lost(net, CELSLM_KV), 100000000);
  ck_assert_uint_eq(celslm_net_in_flight(net, CELSLM_KV), 0);
  close_line();
}
END_TEST

/* ---- the air --------------------------------------------------------------------------------- */

enum { FLOWS = 300 };
typedef struct talk {
  celslm_air_flow f;
  celslm_event start;
  double at, work, done, oracle;
} talk;
static talk talks[FLOWS];
static celslm_air *air;

static void talk_over(void *self) {
  ((talk *)self)->done = celslm_seconds(celslm_net_now(net));
}
static void talk_starts(void *self) {
  celslm_air_send(air, &((talk *)self)->f);
}

static void oracle(int argc, char **argv) { /* one exec on a host whose FLOPs are ns of air time */
  (void)argc, (void)argv;
  talk *t = sg_actor_self_get_data();
  sg_actor_sleep_until(t->at);
  sg_exec_t e = sg_actor_exec_init(t->work * 1e9);
  sg_exec_set_host(e, sg_host_by_name("a"));
  sg_exec_start(e);
  sg_exec_wait(e);
  t->oracle = simgrid_get_clock();
}

START_TEST(test_air_equals_shared_cpu) {
  open_line();
  celslm_net_latency(net, 0, 1); /* loads SimGrid, for the oracle */
  air = celslm_air_new(net, 0);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(r, (unsigned long)_i + 1);
  double load = 0.3 + 0.05 * _i, now = 0, work = 0; /* up to beyond saturation */
  for (int i = 0; i < FLOWS; i++) {
    now += gsl_ran_exponential(r, 0.01 / load);
    now = celslm_seconds(celslm_ns_of(now)); /* both start at whole ns */
    talks[i] = (talk){.at = now, .work = gsl_ran_exponential(r, 0.01)};
    work += talks[i].work;
    talks[i].f =
        (celslm_air_flow){.bytes = talks[i].work, .rate = 1, .done = talk_over, .self = &talks[i]};
    talks[i].start = (celslm_event){.fire = talk_starts, .self = &talks[i], .cls = CELSLM_AT_TIMER};
    celslm_net_at(net, &talks[i].start, celslm_ns_of(now));
    sg_actor_t a = sg_actor_init("oracle", sg_host_by_name("b"));
    sg_actor_set_data(a, &talks[i]);
    sg_actor_start(a, oracle, 0, NULL);
  }
  celslm_net_run(net, CELSLM_NEVER);
  simgrid_run(); /* the oracle alone: the net had nothing to give to SimGrid */
  for (int i = 0; i < FLOWS; i++)
    ck_assert_msg(fabs(talks[i].done - talks[i].oracle) <= 1e-9, "flow %d: %.12f, oracle %.12f", i,
                  talks[i].done, talks[i].oracle);
  ck_assert_double_eq_tol(celslm_air_busy(air), work, 1e-9 * FLOWS); /* work is conserved */
  celslm_air_free(air);
  gsl_rng_free(r);
  close_line();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("net");
  TCase *tcase = tcase_create("net");
  tcase_set_timeout(tcase, 200);
  tcase_add_test(tcase, test_queue_order);
  tcase_add_test(tcase, test_two_flows_on_one_link);
  tcase_add_test(tcase, test_max_min_on_a_path);
  tcase_add_test(tcase, test_layers_in_a_row);
  tcase_add_test(tcase, test_after_a_pause);
  tcase_add_test(tcase, test_computations_share_a_host);
  tcase_add_test(tcase, test_begins_with_what_is_there);
  tcase_add_test(tcase, test_horizon_leaves_bytes_in_flight);
  tcase_add_loop_test(tcase, test_air_equals_shared_cpu, 0, 20);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
