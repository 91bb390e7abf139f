/* test_wires.c - flows on links that vary, against an exact max-min fluid solver: degradations,
 * outages with repair, background traffic, weights of classes, on random trees of links. */
#include "net/net.h"
#include "support.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>

enum { HOSTS = 7, FLOWS = 40, CHANGES = 30, LINES = 2 * HOSTS };

/* ---- the world: a tree; link i (i > 0) joins host i and its parent --------------------------- */

typedef struct change {
  double at;
  int link;
  bool background; /* else a share */
  double value;
} change;

typedef struct flow {
  celslm_transfer t;
  celslm_event start;
  double at, latency;
  int route[HOSTS], n_route; /* lines: 2 i towards the parent, 2 i + 1 away from it */
  double sent, delivered;    /* as celslm_net has them */
  /* the solver's */
  double left, rate, leaves, arrived;
  bool begun, waits, done;
} flow;

static gsl_rng *r;
static celslm_net *net;
static celslm_platform *platform;
static int parent[HOSTS];
static double bandwidth[HOSTS], latency[HOSTS];
static bool split[HOSTS];
static flow flows[FLOWS];
static change changes[CHANGES];
static celslm_event change_events[CHANGES];
static int n_changes, next_change;
static int weights[CELSLM_TRAFFICS];

static double uniform(double low, double high) {
  return low + gsl_rng_uniform(r) * (high - low);
}

static double whole_ns(double s) {
  return celslm_seconds(celslm_ns_of(s));
}

static void draw_topology(void) {
  char file[64];
  snprintf(file, sizeof file, "/tmp/celslm-wires-%d.xml", (int)getpid());
  FILE *f = fopen(file, "w");
  fprintf(f, "<platform version=\"4.1\"><zone id=\"z\" routing=\"Floyd\">");
  for (int i = 0; i < HOSTS; i++)
    fprintf(f, "<host id=\"h%d\" speed=\"1Gf\"><prop id=\"celslm.role\" value=\"router\"/></host>",
            i);
  for (int i = 1; i < HOSTS; i++) {
    parent[i] = (int)gsl_rng_uniform_int(r, (unsigned long)i);
    bandwidth[i] = round(exp(uniform(log(1e7), log(1e9))));
    latency[i] = round(uniform(0, 2e4)) * 1e-6;
    split[i] = gsl_rng_uniform(r) < 0.5;
    fprintf(f, "<link id=\"l%d\" bandwidth=\"%.0fBps\" latency=\"%.6fs\" sharing_policy=\"%s\"/>",
            i, bandwidth[i], latency[i], split[i] ? "SPLITDUPLEX" : "SHARED");
    fprintf(f, "<route src=\"h%d\" dst=\"h%d\"><link_ctn id=\"l%d\"%s/></route>", i, parent[i], i,
            split[i] ? " direction=\"UP\"" : "");
  }
  fprintf(f, "</zone></platform>");
  fclose(f);
  celslm_error err = {0};
  platform = celslm_platform_load(file, NULL, &err);
  ck_assert_msg(platform != NULL, "%s", err.text);
  net = celslm_net_new(platform);
  remove(file);
}

static int line(int link, bool up) {
  return split[link] && !up ? 2 * link + 1 : 2 * link;
}

static int depth(int host) {
  int d = 0;
  for (; host; host = parent[host]) d++;
  return d;
}

static void find_route(flow *f) {
  int a = f->t.from, b = f->t.to;
  f->n_route = 0;
  f->latency = 0;
  while (a != b) {
    bool up = depth(a) >= depth(b);
    int link = up ? a : b;
    f->route[f->n_route++] = line(link, up);
    f->latency += latency[link];
    *(up ? &a : &b) = parent[link];
  }
}

/* ---- celslm_net ------------------------------------------------------------------------------ */

static void on_sent(void *self) {
  ((flow *)self)->sent = celslm_seconds(celslm_net_now(net));
}
static void on_delivered(void *self) {
  ((flow *)self)->delivered = celslm_seconds(celslm_net_now(net));
}
static void on_start(void *self) {
  celslm_net_send(net, &((flow *)self)->t);
}
static void on_change(void *self) {
  (void)self;
  const change *c = &changes[next_change++];
  if (c->background)
    celslm_net_set_background(net, c->link - 1, c->value);
  else
    celslm_net_set_share(net, c->link - 1, c->value);
}

static void draw_flows(void) {
  double now = 0;
  for (int i = 0; i < CELSLM_TRAFFICS; i++)
    weights[i] = gsl_rng_uniform(r) < 0.5 ? 1 : 1 + (int)gsl_rng_uniform_int(r, 4);
  celslm_net_set_weights(net, weights);
  for (int i = 0; i < FLOWS; i++) {
    flow *f = &flows[i];
    *f = (flow){
        .at = now = whole_ns(now + gsl_ran_exponential(r, 0.05)), .sent = -1, .delivered = -1};
    int from = (int)gsl_rng_uniform_int(r, HOSTS), to = (int)gsl_rng_uniform_int(r, HOSTS - 1);
    f->t = (celslm_transfer){.from = from,
                             .to = to + (to >= from),
                             .bytes = (uint64_t)uniform(2000, 2e7),
                             .traffic = (celslm_traffic)gsl_rng_uniform_int(r, CELSLM_TRAFFICS),
                             .sent = on_sent,
                             .delivered = on_delivered,
                             .self = f};
    f->start = (celslm_event){.fire = on_start, .self = f, .cls = CELSLM_AT_TIMER, .id = 1};
    find_route(f);
    celslm_net_at(net, &f->start, celslm_ns_of(f->at));
  }
}

/* Each link is reduced, lost, loaded by others, and in the end as it was. */
static void draw_changes(void) {
  double now = 0;
  n_changes = next_change = 0;
  while (n_changes + 1 < CHANGES) {
    change c = {.link = 1 + (int)gsl_rng_uniform_int(r, HOSTS - 1),
                .background = gsl_rng_uniform(r) < 0.3};
    now += gsl_ran_exponential(r, 0.1);
    c.at = whole_ns(now);
    c.value = c.background               ? bandwidth[c.link] * uniform(0.1, 0.6)
              : gsl_rng_uniform(r) < 0.4 ? 0
                                         : uniform(0.7, 0.95);
    changes[n_changes++] = c;
    now += gsl_ran_exponential(r, 0.1);
    c.at = whole_ns(now);
    c.value = c.background ? 0 : 1;
    changes[n_changes++] = c;
  }
  for (int i = 0; i < n_changes; i++) {
    change_events[i] = (celslm_event){.fire = on_change, .cls = CELSLM_AT_TIMER};
    celslm_net_at(net, &change_events[i], celslm_ns_of(changes[i].at));
  }
}

/* ---- the solver ------------------------------------------------------------------------------ */

static double share[HOSTS], others[HOSTS];
static int restarted, sped_up;

static double room(int l) {
  double all = bandwidth[l / 2] * share[l / 2] - others[l / 2];
  return share[l / 2] > 0 && all > 0 ? all : 0;
}

static bool crosses(const flow *f, int l) {
  for (int i = 0; i < f->n_route; i++)
    if (f->route[i] == l) return true;
  return false;
}

static bool active(const flow *f) {
  return f->begun && !f->done && !f->waits && f->leaves < 0;
}

/* Weighted max-min by progressive filling: the tightest line first. */
static void fill(void) {
  double left[LINES];
  bool fixed[FLOWS] = {false};
  for (int l = 0; l < LINES; l++) left[l] = room(l);
  for (;;) {
    int tightest = -1;
    double level = INFINITY;
    for (int l = 2; l < LINES; l++) {
      double weight = 0;
      for (int i = 0; i < FLOWS; i++)
        if (active(&flows[i]) && !fixed[i] && crosses(&flows[i], l))
          weight += weights[flows[i].t.traffic];
      if (weight > 0 && left[l] / weight < level) {
        level = left[l] / weight;
        tightest = l;
      }
    }
    if (tightest < 0) return;
    for (int i = 0; i < FLOWS; i++) {
      flow *f = &flows[i];
      if (!active(f) || fixed[i] || !crosses(f, tightest)) continue;
      f->rate = level * weights[f->t.traffic];
      fixed[i] = true;
      for (int k = 0; k < f->n_route; k++) left[f->route[k]] = fmax(0, left[f->route[k]] - f->rate);
    }
  }
}

static bool whole(const flow *f) {
  for (int i = 0; i < f->n_route; i++)
    if (!(room(f->route[i]) > 0)) return false;
  return true;
}

/* (Re)starts what can start; what is on a line that is down begins anew. */
static void restart(bool outage) {
  for (int i = 0; i < FLOWS; i++) {
    flow *f = &flows[i];
    if (!f->begun || f->done) continue;
    if (outage && !f->waits && !whole(f)) {
      f->waits = true;
      f->leaves = -1;
      f->left = (double)f->t.bytes;
      restarted++;
    } else if (f->waits && whole(f)) {
      f->waits = false;
    }
  }
}

static void solve(void) {
  double now = 0;
  int c = 0;
  for (int i = 0; i < HOSTS; i++) share[i] = 1, others[i] = 0;
  for (int i = 0; i < FLOWS; i++) {
    flows[i].leaves = -1;
    flows[i].left = (double)flows[i].t.bytes;
  }
  for (;;) {
    fill();
    double next = c < n_changes ? changes[c].at : INFINITY;
    bool something = false;
    for (int i = 0; i < FLOWS; i++) {
      const flow *f = &flows[i];
      something |= !f->done;
      if (!f->begun) next = fmin(next, f->at);
      if (active(f)) next = fmin(next, now + f->left / f->rate);
      if (f->begun && !f->done && f->leaves >= 0) next = fmin(next, f->leaves + f->latency);
    }
    if (!something) return;
    for (int i = 0; i < FLOWS; i++) {
      flow *f = &flows[i];
      if (active(f)) {
        bool ends = now + f->left / f->rate <= next;
        f->left -= f->rate * (next - now);
        if (ends) f->leaves = next;
      } else if (f->begun && !f->done && f->leaves >= 0 && f->leaves + f->latency <= next) {
        f->done = true;
        f->arrived = next;
      }
    }
    now = next;
    for (int i = 0; i < FLOWS; i++)
      if (!flows[i].begun && flows[i].at <= now) {
        flows[i].begun = true;
        flows[i].waits = !whole(&flows[i]);
      }
    for (; c < n_changes && changes[c].at <= now; c++) {
      (changes[c].background ? others : share)[changes[c].link] = changes[c].value;
      restart(true);
      sped_up += changes[c].value == 1;
    }
  }
}

START_TEST(test_against_fluid_solver) {
  r = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(r, (unsigned long)_i + 1);
  draw_topology();
  draw_flows();
  draw_changes();
  celslm_net_run(net, CELSLM_NEVER);
  solve();
  for (int i = 0; i < FLOWS; i++)
    ck_assert_msg(fabs(flows[i].delivered - flows[i].arrived) <= 1e-9,
                  "topology %d, flow %d: %.12f, solver %.12f", _i, i, flows[i].delivered,
                  flows[i].arrived);
  for (int k = 0; k < CELSLM_TRAFFICS; k++) {
    celslm_traffic c = (celslm_traffic)k;
    uint64_t received = 0;
    for (int h = 0; h < HOSTS; h++) received += celslm_net_received(net, h, c);
    ck_assert_uint_eq(celslm_net_in_flight(net, c), 0);
    ck_assert_uint_eq(celslm_net_sent(net, c), received + celslm_net_lost(net, c));
  }
  if (_i == 0) ck_assert_msg(restarted > 3 && sped_up > 3, "%d %d", restarted, sped_up);
  celslm_net_free(net);
  celslm_platform_free(platform);
  gsl_rng_free(r);
}
END_TEST

/* ---- by hand --------------------------------------------------------------------------------- */

static void set_half(void *self) {
  (void)self;
  celslm_net_set_share(net, 0, 0.1);
}
static void repair(void *self) {
  (void)self;
  celslm_net_set_share(net, 0, 1);
}

/* A flow that begins on a degraded link speeds up after the repair: 100 MB at 10 MB/s for 2 s, then
 * at 100 MB/s. */
START_TEST(test_speeds_up_after_repair) {
  celslm_error err = {0};
  platform = celslm_platform_load(CELSLM_TEST_DATA "/line.xml", NULL, &err);
  net = celslm_net_new(platform);
  celslm_event half = {.fire = set_half, .cls = CELSLM_AT_TIMER},
               back = {.fire = repair, .cls = CELSLM_AT_TIMER};
  celslm_net_at(net, &half, 500000000);
  celslm_net_at(net, &back, 3000000000);
  flows[0] = (flow){.t = {.from = 0,
                          .to = 1,
                          .bytes = 100000000,
                          .traffic = CELSLM_KV,
                          .sent = on_sent,
                          .delivered = on_delivered,
                          .self = &flows[0]}};
  flows[0].start = (celslm_event){.fire = on_start, .self = &flows[0], .cls = CELSLM_AT_TIMER};
  celslm_net_at(net, &flows[0].start, 1000000000);
  celslm_net_run(net, CELSLM_NEVER);
  ck_assert_double_eq_tol(flows[0].sent, 3.8, 1e-9);
  celslm_net_free(net);
  celslm_platform_free(platform);
}
END_TEST

static int failures;
static double failed_at;
static void on_failed(void *self) {
  (void)self;
  failures++;
  failed_at = celslm_seconds(celslm_net_now(net));
}
static void cut(void *self) {
  (void)self;
  celslm_net_set_share(net, 0, 0);
}

/* One that has patience for 0.3 s fails then; its bytes are counted as lost once. */
START_TEST(test_patience) {
  celslm_error err = {0};
  platform = celslm_platform_load(CELSLM_TEST_DATA "/line.xml", NULL, &err);
  net = celslm_net_new(platform);
  celslm_event off = {.fire = cut, .cls = CELSLM_AT_TIMER};
  celslm_net_at(net, &off, 500000000);
  flows[0] = (flow){.sent = -1,
                    .t = {.from = 0,
                          .to = 1,
                          .bytes = 100000000,
                          .traffic = CELSLM_KV,
                          .sent = on_sent,
                          .delivered = on_delivered,
                          .failed = on_failed,
                          .patience = 300000000,
                          .self = &flows[0]}};
  celslm_net_send(net, &flows[0].t);
  celslm_net_run(net, CELSLM_NEVER);
  ck_assert_int_eq(failures, 1);
  ck_assert_double_eq_tol(failed_at, 0.8, 1e-9);
  ck_assert(flows[0].sent == -1);
  ck_assert_uint_eq(celslm_net_lost(net, CELSLM_KV), 100000000);
  ck_assert_uint_eq(celslm_net_in_flight(net, CELSLM_KV), 0);
  celslm_net_free(net);
  celslm_platform_free(platform);
}
END_TEST

/* ---- jitter ---------------------------------------------------------------------------------- */

static double draw_exponential(void *self) {
  return gsl_ran_exponential(self, 2e-3);
}

/* Packets far apart come later by a draw each: its mean within 3 standard errors. Close together
 * they keep their order. */
START_TEST(test_jitter) {
  enum { PACKETS = 4000 };
  static flow packets[PACKETS];
  celslm_error err = {0};
  platform = celslm_platform_load(CELSLM_TEST_DATA "/line.xml", NULL, &err);
  net = celslm_net_new(platform);
  r = gsl_rng_alloc(gsl_rng_mt19937);
  celslm_net_set_jitter(net, 0, draw_exponential, r);
  for (int i = 0; i < PACKETS; i++) {
    packets[i].t = (celslm_transfer){.from = 0,
                                     .to = 1,
                                     .bytes = 100,
                                     .traffic = CELSLM_TOKENS,
                                     .sent = on_sent,
                                     .delivered = on_delivered,
                                     .self = &packets[i]};
    packets[i].start =
        (celslm_event){.fire = on_start, .self = &packets[i], .cls = CELSLM_AT_TIMER};
    packets[i].at = i * (_i ? 1e-4 : 0.1);
    celslm_net_at(net, &packets[i].start, celslm_ns_of(packets[i].at));
  }
  celslm_net_run(net, CELSLM_NEVER);
  double sum = 0;
  for (int i = 0; i < PACKETS; i++) {
    if (i) ck_assert_double_ge(packets[i].delivered, packets[i - 1].delivered);
    sum += packets[i].delivered - packets[i].at - 0.010 - 1e-6;
  }
  if (_i == 0) ck_assert_double_eq_tol(sum / PACKETS, 2e-3, 3 * 2e-3 / sqrt(PACKETS));
  gsl_rng_free(r);
  celslm_net_free(net);
  celslm_platform_free(platform);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("wires");
  TCase *tcase = tcase_create("wires");
  tcase_set_timeout(tcase, 200);
  tcase_add_loop_test(tcase, test_against_fluid_solver, 0, 100);
  tcase_add_test(tcase, test_speeds_up_after_repair);
  tcase_add_test(tcase, test_patience);
  tcase_add_loop_test(tcase, test_jitter, 0, 2);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
