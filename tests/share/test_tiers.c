/* test_tiers.c - the tiers below a store of contexts: by hand, against a naive model of three lists
 * and queues, and in a whole run against the flow shop of reading and computing. */
#include "cost/cost.h"
#include "share/store.h"
#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static celslm_platform *platform;
static celslm_net *net;

static void open_net(void) {
  celslm_error err = {0};
  platform = celslm_platform_load(CELSLM_TEST_DATA "/pair.xml", NULL, &err);
  ck_assert_msg(platform != NULL, "%s", err.text);
  net = celslm_net_new(platform);
}

static void close_net(void) {
  celslm_net_free(net);
  celslm_platform_free(platform);
}

typedef struct step {
  celslm_event event;
  void (*act)(int i);
  int i;
} step;

static void fire(void *self) {
  const step *s = self;
  s->act(s->i);
}

/* Calls act(0), act(1) ... at these times. */
static void run_steps(int n, const celslm_ns *times, void (*act)(int i)) {
  step *steps = calloc((size_t)n, sizeof *steps);
  for (int i = 0; i < n; i++) {
    steps[i] = (step){
        .event = {.fire = fire, .self = &steps[i], .cls = CELSLM_AT_ARRIVAL, .id = (uint32_t)i},
        .act = act,
        .i = i};
    celslm_net_at(net, &steps[i].event, times[i]);
  }
  celslm_net_run(net, CELSLM_NEVER);
  free(steps);
}

/* ---- by hand --------------------------------------------------------------------------------- */

enum { S = 1000000000 };
static celslm_tier *host, *disk;
static celslm_ns read_at[4];

static void note(void *self, bool ok) {
  ck_assert(ok);
  *(celslm_ns *)self = celslm_net_now(net);
}
static celslm_waiter notes[4] = {{note, &read_at[0], NULL},
                                 {note, &read_at[1], NULL},
                                 {note, &read_at[2], NULL},
                                 {note, &read_at[3], NULL}};

/* Host memory for two contexts of 100 B at 1000 B/s to and 500 B/s from the accelerator, a disk for
 * three of them at 200 and 100 B/s. */
static void by_hand(int i) {
  switch (i) {
  case 0: /* 0 s: 0 and 1 are pushed out */
    celslm_tier_write(host, 0, 100);
    celslm_tier_write(host, 1, 100); /* on PCIe until 0.4 s */
    ck_assert(celslm_tier_has(host, 0) && celslm_tier_has(host, 1) && !celslm_tier_has(disk, 0));
    celslm_tier_read(host, 0, 50, &notes[0]); /* duplex: it does not wait for the writes */
    celslm_tier_read(host, 0, 50, &notes[1]);
    ck_assert_double_eq(celslm_tier_wait(host), 0.1);
    break;
  case 1: /* 1 s: 2 needs room, 1 was used longest ago and goes to the disk until 2 s */
    celslm_tier_write(host, 2, 100);
    ck_assert(celslm_tier_has(host, 0) && celslm_tier_has(host, 2) && celslm_tier_has(disk, 1));
    ck_assert(!celslm_tier_has(host, 1));
    celslm_tier_write(host, 0, 100); /* is there */
    ck_assert_int_eq(celslm_tier_writes(host, 0), 1);
    celslm_tier_read(disk, 1, 100, &notes[2]); /* waits for its own write */
    break;
  case 2: /* 5 s: too large for host memory, so for the disk alone, where 1 has to go */
    celslm_tier_write(host, 3, 250);
    ck_assert(!celslm_tier_has(host, 3) && celslm_tier_has(disk, 3) && !celslm_tier_has(disk, 1));
    ck_assert_double_eq(celslm_tier_used(host), 200);
    ck_assert_double_eq(celslm_tier_used(disk), 250);
    celslm_tier_read(host, 2, 100, &notes[3]);
    break;
  case 3: /* 10 s: memory is lost in a crash, the disk is not; out of date is out everywhere */
    celslm_tier_crash(host);
    celslm_tier_crash(disk);
    ck_assert(!celslm_tier_has(host, 0) && !celslm_tier_has(host, 2) && celslm_tier_has(disk, 3));
    celslm_tier_drop(disk, 3);
    ck_assert_double_eq(celslm_tier_used(host) + celslm_tier_used(disk), 0);
    break;
  }
}

START_TEST(test_by_hand) {
  open_net();
  disk = celslm_tier_new(net, CELSLM_TIER_DISK, 4, &(celslm_tier_config){300, 200, 100}, NULL);
  host = celslm_tier_new(net, CELSLM_TIER_HOST, 4, &(celslm_tier_config){200, 1000, 500}, disk);
  run_steps(4, (celslm_ns[]){0, S, 5ll * S, 10ll * S}, by_hand);
  ck_assert_int_eq(read_at[0], S / 20);
  ck_assert_int_eq(read_at[1], S / 10);
  ck_assert_int_eq(read_at[2], 2ll * S + S / 2); /* written until 2 s, 100 B at 200 B/s */
  ck_assert_int_eq(read_at[3], 5ll * S + S / 10);
  celslm_tier_free(host);
  celslm_tier_free(disk);
  close_net();
}
END_TEST

/* ---- against a naive model ------------------------------------------------------------------- */

enum { CONTEXTS = 12, STEPS = 3000 };

typedef struct naive {
  celslm_tier_config config;
  double size[CONTEXTS]; /* 0: not there */
  int64_t last[CONTEXTS], clock;
  celslm_ns reads, writes; /* when the queues are empty */
  bool one_queue;
} naive;

static naive of_host, of_disk;
static double sizes[CONTEXTS];
static gsl_rng *dice;
static celslm_waiter nobody;
static celslm_ns due, seen;
static int64_t demotions, refusals;

static double total(const naive *v) {
  double sum = 0;
  for (int c = 0; c < CONTEXTS; c++) sum += v->size[c];
  return sum;
}

static void naive_write(naive *v, naive *below, int c) {
  celslm_ns now = celslm_net_now(net), *queue = v->one_queue ? &v->reads : &v->writes;
  if (v->size[c] > 0) return;
  if (sizes[c] > v->config.capacity || *queue > now + S) {
    refusals++;
    if (below) naive_write(below, NULL, c);
    return;
  }
  while (total(v) + sizes[c] > v->config.capacity) {
    int first = -1;
    for (int k = 0; k < CONTEXTS; k++)
      if (v->size[k] > 0 && (first < 0 || v->last[k] < v->last[first])) first = k;
    v->size[first] = 0;
    demotions++;
    if (below) naive_write(below, NULL, first);
  }
  v->size[c] = sizes[c];
  v->last[c] = ++v->clock;
  *queue = (*queue > now ? *queue : now) + celslm_ns_of(sizes[c] / v->config.write);
}

static void note_end(void *self, bool ok) {
  (void)self, (void)ok;
  seen = celslm_net_now(net);
}

static void any_step(int i) {
  (void)i;
  int c = (int)gsl_rng_uniform_int(dice, CONTEXTS);
  switch (gsl_rng_uniform_int(dice, 20)) {
  case 0:
    celslm_tier_drop(host, c);
    celslm_tier_drop(disk, c);
    of_host.size[c] = of_disk.size[c] = 0;
    break;
  case 1:
    if (gsl_rng_uniform_int(dice, 10)) break;
    celslm_tier_crash(host);
    celslm_tier_crash(disk);
    for (int k = 0; k < CONTEXTS; k++) of_host.size[k] = 0;
    break;
  case 2 ... 8: {
    bool fast = of_host.size[c] > 0;
    naive *v = fast ? &of_host : &of_disk;
    if (!(v->size[c] > 0) || due > celslm_net_now(net)) break; /* one at a time: its end is seen */
    ck_assert_int_eq(seen, due);
    v->last[c] = ++v->clock;
    celslm_ns now = celslm_net_now(net);
    due = v->reads = (v->reads > now ? v->reads : now) + celslm_ns_of(sizes[c] / v->config.read);
    nobody = (celslm_waiter){.then = note_end};
    celslm_tier_read(fast ? host : disk, c, sizes[c], &nobody);
    break;
  }
  default:
    celslm_tier_write(host, c, sizes[c]);
    naive_write(&of_host, &of_disk, c);
  }
  for (int k = 0; k < CONTEXTS; k++) {
    ck_assert_msg(celslm_tier_has(host, k) == (of_host.size[k] > 0), "step %d: %d in host", i, k);
    ck_assert_msg(celslm_tier_has(disk, k) == (of_disk.size[k] > 0), "step %d: %d on disk", i, k);
  }
  ck_assert_double_eq_tol(celslm_tier_used(host), total(&of_host), 1e-6);
  ck_assert_double_eq_tol(celslm_tier_used(disk), total(&of_disk), 1e-6);
  ck_assert(celslm_tier_used(host) <= of_host.config.capacity &&
            celslm_tier_used(disk) <= of_disk.config.capacity);
}

START_TEST(test_as_a_naive_model_does) {
  static celslm_ns times[STEPS];
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(dice, (unsigned long)_i + 1);
  open_net();
  for (int c = 0; c < CONTEXTS; c++) sizes[c] = 20 + (double)gsl_rng_uniform_int(dice, 300);
  of_disk = (naive){.config = {700, 400 + 1000 * gsl_rng_uniform(dice), 300}, .one_queue = true};
  of_host = (naive){.config = {300 + 300 * gsl_rng_uniform(dice), 2000, 1000}};
  disk = celslm_tier_new(net, CELSLM_TIER_DISK, CONTEXTS, &of_disk.config, NULL);
  host = celslm_tier_new(net, CELSLM_TIER_HOST, CONTEXTS, &of_host.config, disk);
  for (int i = 1; i < STEPS; i++)
    times[i] = times[i - 1] + (celslm_ns)gsl_rng_uniform_int(dice, S / 3);
  run_steps(STEPS, times, any_step);
  ck_assert(demotions > 100 && refusals > 0);
  celslm_tier_free(host);
  celslm_tier_free(disk);
  close_net();
  gsl_rng_free(dice);
}
END_TEST

/* ---- a whole run ----------------------------------------------------------------------------- */

/* Memory for one of five contexts, host memory for two. Each comes from the cloud once, and ever
 * after from memory, host memory or the disk, whichever has it; its layers are read one after the
 * other while the edge computes. */
START_TEST(test_run) {
  const char *text =
      "<scenario name=\"tiers\" seed=\"3\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
      "<engine name=\"edge\" host=\"edge0\" model=\"small\" context_memory=\"6MB\" "
      "step_overhead=\"0s\" sequence_overhead=\"0s\"><cache host_memory=\"12MB\" "
      "host_read=\"1GBps\" host_write=\"1GBps\" disk=\"30MB\" disk_read=\"800MBps\" "
      "disk_write=\"500MBps\"/></engine></engines>"
      "<contexts><population name=\"c\" count=\"5\" tokens=\"700\"/></contexts>"
      "<workload requests=\"100\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
      "<prompt><fixed tokens=\"50\"/></prompt><output><fixed tokens=\"1\"/></output>"
      "<popularity><uniform/></popularity></workload>"
      "<strategy><ce-lslm cloud_warm=\"yes\" map_at=\"free\"/></strategy></scenario>";
  celslm_error err = {0};
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  celslm_cost cost;
  const celslm_model *small = &s->models[1];
  ck_assert(celslm_cost_init(&cost, s->platform->hosts[s->engines[1].host].profile, small,
                             CELSLM_F16, CELSLM_F16, 0, 0, &err));
  double layer = 4 * (double)(small->kv_heads * small->head_dim) * 700;
  double rates[] = {1e9, 8e8}, expected[2];
  for (int k = 0; k < 2; k++) {
    double there = 0, done = 0;
    for (int l = 0; l < small->layers; l++) {
      double compute = celslm_cost_layer(&cost, 50) + celslm_cost_prefill(&cost, 50, 700);
      if (l == 0) compute += celslm_cost_embed(&cost, 50);
      if (l == small->layers - 1) compute += celslm_cost_head(&cost, 1);
      there += layer / rates[k];
      done = fmax(done, there) + compute;
    }
    expected[k] = done;
  }
  simulation run = simulate_well(text, 0, false), again = simulate_well(text, 0, true);
  ck_assert(run.n == again.n && memcmp(run.rows, again.rows, run.n * sizeof *run.rows) == 0);
  /* naive: memory holds the last one; host memory, from its oldest: hosts; the disk what had to go
   * from there, which is written before anything is read from it */
  int memory = -1, hosts[2] = {-1, -1}, from_cloud = 0, loads[2] = {0};
  bool known[5] = {false}, on_disk[5] = {false};
  for (size_t i = 0; i < run.n; i++) {
    const celslm_request_row *r = &run.rows[i];
    int c = (int)r->context;
    if (c == memory) {
      ck_assert_int_eq(r->context_source, CELSLM_CONTEXT_HIT);
      continue;
    }
    double written = 0;
    if (c == hosts[0]) hosts[0] = hosts[1], hosts[1] = c;
    if (memory >= 0 && memory != hosts[0] && memory != hosts[1]) {
      if (hosts[0] >= 0 && !on_disk[hosts[0]]) {
        on_disk[hosts[0]] = true;
        written = 4 * layer / 5e8;
      }
      hosts[0] = hosts[1], hosts[1] = memory;
      if (c == hosts[0]) hosts[0] = hosts[1], hosts[1] = c; /* is read */
    }
    ck_assert_int_eq(r->context_source, CELSLM_CONTEXT_FETCHED);
    if (!known[c]) {
      from_cloud++;
      ck_assert_double_eq(r->kv_bytes, 4 * layer);
    } else {
      bool fast = c == hosts[0] || c == hosts[1];
      double by_hand = fast ? expected[0] : expected[1] + written;
      loads[fast ? 0 : 1]++;
      ck_assert_double_eq(r->kv_bytes, 0);
      ck_assert_msg(fabs(r->ttft - by_hand) < 2e-8, "%zu: %.9f, fast %d, by hand %.9f", i, r->ttft,
                    fast, by_hand);
    }
    known[c] = true;
    memory = c;
  }
  ck_assert_int_eq(from_cloud, 5);
  ck_assert(loads[0] > 5 && loads[1] > 5);
  ck_assert_int_eq(run.summary.host_loads, loads[0]);
  ck_assert_int_eq(run.summary.disk_loads, loads[1]);
  free(run.rows), free(again.rows);
  celslm_scenario_free(s);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tiers");
  TCase *tcase = tcase_create("tiers");
  tcase_set_timeout(tcase, 100);
  tcase_add_test(tcase, test_by_hand);
  tcase_add_loop_test(tcase, test_as_a_naive_model_does, 0, 20);
  tcase_add_test(tcase, test_run);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
