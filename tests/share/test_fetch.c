/* test_fetch.c - how context KV gets to the edge, against what is known in closed form: the
 * makespan of a permutation flow shop, the order of ablations, and the bandwidth at which fetching
 * breaks even with recomputing. */
#include "../support.h"
#include "base/rng.h"
#include "cost/cost.h"
#include "share/alignment.h"
#include "share/fetch.h"
#include "share/wire.h"

#include <gsl/gsl_randist.h>
#include <math.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static double spread(double low, double high) { /* evenly in the logarithm */
  return low * pow(high / low, gsl_rng_uniform(dice));
}

/* ---- codecs ---------------------------------------------------------------------------------- */

static celslm_codec codec(const char *text) {
  celslm_codec c;
  const char *why;
  ck_assert_msg(celslm_codec_parse(text, &c, &why), "%s: %s", text, why);
  return c;
}

/* What the kernels write of a cut map's scores, and of selected tokens, is what is charged. */
START_TEST(test_codec_bytes) {
  enum { KV = 24, WIDTH = 2 * KV };
  float up[WIDTH * WIDTH] = {0}, down[WIDTH * WIDTH] = {0}, kv[200 * WIDTH];
  double mean[WIDTH] = {0};
  celslm_layer_mapping l = {.map = {.outputs = WIDTH, .mean_y = mean}, .up = up, .down = down};
  celslm_model m = {.kv_heads = 2, .head_dim = KV / 2, .layers = 1};
  for (int i = 0; i < WIDTH; i++) up[i * WIDTH + i] = down[i * WIDTH + i] = 1;
  for (int p = 0; p < CELSLM_WIRE_CODECS; p++)
    for (int rank = 0; rank <= WIDTH; rank += 7)
      for (int tokens = 1; tokens <= 200; tokens += 33) {
        char *name = rank ? celslm_format("lowrank:%d+%s", rank, celslm_wire_names[p])
                          : celslm_strdup(celslm_wire_names[p]);
        for (int i = 0; i < tokens * WIDTH; i++) kv[i] = (float)((i * 7919) % 100) - 50;
        celslm_codec c = codec(name);
        ck_assert_double_eq(celslm_codec_layer_bytes(&c, &m, tokens),
                            celslm_wire_carry((celslm_wire_codec)p, rank, &l, tokens, KV, kv));
        ck_assert_double_eq(celslm_codec_flops(&c, &m, tokens), 2.0 * WIDTH * rank * tokens);
        char *few = celslm_format("tokens:0.3+%s", celslm_wire_names[p]);
        celslm_codec some = codec(few), all = codec(celslm_wire_names[p]);
        double kept = ceil(0.3 * tokens);
        ck_assert_double_eq(celslm_codec_layer_bytes(&some, &m, tokens),
                            celslm_codec_layer_bytes(&all, &m, kept) + 4 * kept);
        free(name), free(few);
      }
}
END_TEST

START_TEST(test_codec_names) {
  static const char *const bad[] = {
      "",          "f32",         "int8:3",      "int8+f16",
      "lowrank",   "lowrank:",    "lowrank:0",   "lowrank:2.5",
      "tokens:0",  "tokens:1.01", "tokens:0.5+", "tokens:0.5+lowrank:3",
      "tokens:-1", "lowrank:8x",  "tokens:nan",  "lowrank:8+int8+int4"};
  celslm_codec c;
  const char *why;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    ck_assert_msg(!celslm_codec_parse(bad[i], &c, &why) && why, "%s", bad[i]);
  ck_assert_double_eq(codec("lowrank:64").parameter, 64);
  ck_assert_str_eq(codec("tokens:.25+int4").precision->name, "int4");
  ck_assert(celslm_codec_plain(&(celslm_codec[]){codec("f16")}[0]));
}
END_TEST

/* ---- one request, idle system ---------------------------------------------------------------- */

/* A cloud and an edge that serve one model, one request for a cold context. */
typedef struct idle {
  int model;
  const char *codec;
  int context, prompt; /* tokens */
  int64_t cloud;       /* ns that a layer of the context takes there */
  double there, here;  /* B/s that codec cores code */
} idle;

enum { STAGES = 5, MOST_LAYERS = 24 };
static const struct {
  const char *file, *name;
  int64_t layers;
  double width; /* of a token's keys */
} models[] = {{"tinyllama-1.1b", "TinyLlama-1.1B", 22, 256},
              {"llama-3.2-1b", "Llama-3.2-1B", 16, 512},
              {"qwen2.5-0.5b", "Qwen2.5-0.5B", 24, 128}};

static idle any_case(void) {
  static const char *const codecs[] = {"f16", "int8", "int4"};
  return (idle){.model = any(0, 2),
                .codec = codecs[any(0, 2)],
                .context = any(16, 2000),
                .prompt = any(1, 1500),
                .cloud = (int64_t)spread(1e4, 1e8),
                .there = spread(1e7, 1e11),
                .here = spread(1e7, 1e11)};
}

static char *text_of(const idle *c, const char *options) {
  return celslm_format(
      "<scenario name=\"idle\" seed=\"1\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"../../platforms/models/%s.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"%s\" context_memory=\"1GiB\" "
      "fixed_iteration=\"%lldns\" codec_rate=\"%.17gBps\"/>"
      "<engine name=\"edge\" host=\"edge0\" model=\"%s\" context_memory=\"1GiB\" "
      "step_overhead=\"0s\" sequence_overhead=\"0s\" codec_rate=\"%.17gBps\"/></engines>"
      "<contexts><context name=\"c\" tokens=\"%d\"/></contexts>"
      "<workload requests=\"1\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
      "<prompt><fixed tokens=\"%d\"/></prompt><output><fixed tokens=\"1\"/></output>"
      "<popularity><zipf s=\"1\"/></popularity></workload>"
      "<strategy><ce-lslm codec=\"%s\" %s/></strategy></scenario>",
      models[c->model].file, models[c->model].name, (long long)(c->cloud * models[c->model].layers),
      c->there, models[c->model].name, c->here, c->context, c->prompt, c->codec, options);
}

/* s from the cloud's having the request for the context to the edge's having the first token. */
static double makespan(const idle *c, const char *options) {
  char *text = text_of(c, options);
  simulation run = simulate_well(text, 0, false);
  ck_assert_int_eq(run.summary.completed, 1);
  const celslm_request_row *r = &run.rows[0];
  const double latency = 0.0105, request = 64 / 125e6;
  double begun = r->queued + latency + request, ended = r->first_token - r->t_down - latency;
  free(run.rows), free(text);
  return ended - begun;
}

/* When the last of so many jobs, which visit the machines in order, leaves the last machine. */
static double flow_shop(int64_t jobs, double time[][STAGES]) {
  double done[STAGES] = {0};
  for (int64_t j = 0; j < jobs; j++)
    for (int k = 0; k < STAGES; k++) done[k] = fmax(done[k], k ? done[k - 1] : 0) + time[j][k];
  return done[STAGES - 1];
}

static double whole_ns(double seconds) {
  return round(seconds * 1e9) * 1e-9;
}

/* Times of the stages by layer, from shapes and rates alone: what is constant is, but that the edge
 * embeds the prompt before its first layer, and has the head after its last. */
static void stages_of(const idle *c, double time[][STAGES]) {
  celslm_error err = {0};
  char *text = text_of(c, "");
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  celslm_cost cost;
  ck_assert(celslm_cost_init(&cost, s->platform->hosts[s->engines[1].host].profile, &s->models[0],
                             CELSLM_F16, CELSLM_F16, 0, 0, &err));
  int64_t layers = models[c->model].layers;
  ck_assert_int_eq(layers, s->models[0].layers);
  double n = c->context, u = c->prompt, w = models[c->model].width;
  double plain = 4 * w * n, scales = 4 * w * ceil(n / 32) + 4 * n, bytes = plain;
  if (strcmp(c->codec, "int8") == 0) bytes = 2 * w * n + scales;
  if (strcmp(c->codec, "int4") == 0) bytes = w * n + 2 * scales;
  bool codes = strcmp(c->codec, "f16") != 0;
  for (int64_t l = 0; l < layers; l++) {
    time[l][0] = (double)c->cloud * 1e-9;
    time[l][1] = codes ? whole_ns(plain / c->there) : 0;
    time[l][2] = bytes / 125e6;
    time[l][3] = codes ? whole_ns(plain / c->here) : 0;
    time[l][4] = celslm_cost_layer(&cost, u) + celslm_cost_prefill(&cost, u, n);
  }
  time[0][4] += celslm_cost_embed(&cost, u);
  time[layers - 1][4] += celslm_cost_head(&cost, 1);
  celslm_scenario_free(s);
  free(text);
}

START_TEST(test_flow_shop) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(dice, 1);
  double worst = 0, time[MOST_LAYERS][STAGES];
  int bound_by[STAGES] = {0};
  for (int i = 0; i < 100; i++) {
    idle c = any_case();
    stages_of(&c, time);
    double expected = flow_shop(models[c.model].layers, time), got = makespan(&c, "");
    int slowest = 0;
    for (int k = 1; k < STAGES; k++)
      if (time[1][k] > time[1][slowest]) slowest = k;
    bound_by[slowest]++;
    worst = fmax(worst, fabs(got - expected));
    ck_assert_msg(fabs(got - expected) <= 1e-9,
                  "case %d, %s: %.12f s, flow shop %.12f s; stages %g %g %g %g %g", i, c.codec, got,
                  expected, time[1][0], time[1][1], time[1][2], time[1][3], time[1][4]);
  }
  printf("100 flow shops, at most %.2g s off; slowest stage: cloud %d, encoding %d, wire %d, "
         "decoding %d, edge %d\n",
         worst, bound_by[0], bound_by[1], bound_by[2], bound_by[3], bound_by[4]);
  for (int k = 0; k < STAGES; k++) ck_assert_int_gt(bound_by[k], 0);
  gsl_rng_free(dice);
}
END_TEST

/* Nothing that overlaps is slower than what does not; and five stages gain five at most. */
START_TEST(test_ablations) {
  static const char *const ablations[] = {"cloud_streaming=\"no\"", "codec_overlap=\"no\"",
                                          "transfer=\"whole\"", "pipeline=\"no\""};
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(dice, 2);
  double most = 0;
  int cases = getenv("CELSLM_FULL") ? 200 : 50;
  for (int i = 0; i < cases; i++) {
    idle c = any_case();
    double piped = makespan(&c, "");
    double serial = makespan(&c, "cloud_streaming=\"no\" codec_overlap=\"no\" transfer=\"whole\" "
                                 "pipeline=\"no\"");
    for (int a = 0; a < 4; a++) {
      double t = makespan(&c, ablations[a]);
      ck_assert_msg(piped <= t + 1e-9 && t <= serial + 1e-9,
                    "case %d, %s: pipelined %.9f, ablated %.9f, serial %.9f", i, ablations[a],
                    piped, t, serial);
    }
    most = fmax(most, serial / piped);
    ck_assert_msg(serial / piped <= STAGES, "case %d: gain %g", i, serial / piped);
  }
  printf("%d cases: pipelining gains %.3g at most\n", cases, most);
  ck_assert_double_gt(most, 2);
  gsl_rng_free(dice);
}
END_TEST

/* ---- layer plans ----------------------------------------------------------------------------- */

/* A warm cloud with one model and an edge with another; f16. Returns s from the cloud's having the
 * requests to the first token at the edge; and the edge's cost, and the cloud's device. */
static double planned(int context, int prompt, const char *options, celslm_cost *cost,
                      celslm_scenario **s) {
  celslm_error err = {0};
  char *text = celslm_format(
      "<scenario name=\"plan\" seed=\"1\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
      "<engine name=\"edge\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\" "
      "step_overhead=\"0s\" sequence_overhead=\"0s\"/></engines>"
      "<contexts><context name=\"c\" tokens=\"%d\"/></contexts>"
      "<workload requests=\"1\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
      "<prompt><fixed tokens=\"%d\"/></prompt><output><fixed tokens=\"1\"/></output>"
      "<popularity><zipf s=\"1\"/></popularity></workload>"
      "<strategy><ce-lslm cloud_warm=\"yes\" %s/></strategy></scenario>",
      context, prompt, options);
  *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(*s != NULL, "%s", err.text);
  ck_assert(celslm_cost_init(cost, (*s)->platform->hosts[(*s)->engines[1].host].profile,
                             &(*s)->models[1], CELSLM_F16, CELSLM_F16, 0, 0, &err));
  simulation run = simulate_well(text, 0, false);
  ck_assert_int_eq(run.summary.completed, 1);
  const celslm_request_row *r = &run.rows[0];
  double t = r->first_token - r->t_down - (r->queued + 0.0105 + 64 / 125e6);
  free(run.rows), free(text);
  return t;
}

/* Keys and values that are mapped from the cloud's states: the map's FLOPs are charged where it is
 * made, and what travels is what it needs there. */
START_TEST(test_map_costs) {
  static const char *const ways[] = {"map_at=\"cloud\"", "map_at=\"edge\"", "map_at=\"free\"",
                                     "codec=\"lowrank:100\""};
  for (int way = 0; way < 4; way++)
    for (int n = 100; n <= 1300; n += 300) {
      celslm_cost cost;
      celslm_scenario *s;
      const int u = 50;
      double got = planned(n, u, ways[way], &cost, &s), latency = 0.0105;
      const celslm_profile *cloud = s->platform->hosts[s->engines[0].host].profile;
      double in = way == 1 ? 1024 : 3 * 1024, out = 2 * 512, rank = 100, there = 0, here = 0;
      double bytes = 2 * out * n;
      const celslm_curve *gemm =
          &cloud->curves[CELSLM_CURVE_GEMM]; /* the edge has the same device */
      double plain = 2 * out * n, scores = 2 * rank * n;
      if (way == 0) there = celslm_curve_time(gemm, n * (2 * in * out + out), 2 * plain, n);
      if (way == 1) here = celslm_curve_time(gemm, n * (2 * in * out + out), 2 * plain, n);
      if (way == 1) bytes = 2 * 1024 * n;
      if (way == 3) {
        bytes = 2 * rank * n;
        there = celslm_curve_time(gemm, n * (2 * in * rank + rank), plain + scores, n);
        here = celslm_curve_time(gemm, n * (2 * rank * out + out), plain + scores, n);
      }
      double time[4][STAGES];
      for (int l = 0; l < 4; l++) {
        double layer = celslm_cost_layer(&cost, u) + celslm_cost_prefill(&cost, u, n);
        if (l == 0) layer += celslm_cost_embed(&cost, u);
        if (l == 3) layer += celslm_cost_head(&cost, 1);
        memcpy(time[l], (double[]){0, whole_ns(there), bytes / 125e6, whole_ns(here), layer},
               sizeof time[l]);
      }
      double expected = flow_shop(4, time) + latency;
      ck_assert_msg(fabs(got - expected) <= 1e-9, "%s, %d tokens: %.12f, by hand %.12f", ways[way],
                    n, got, expected);
      celslm_scenario_free(s);
    }
}
END_TEST

/* Layers computed at the edge: the context's tokens come as one small message, its first layers are
 * computed over all of them, and the others arrive meanwhile. */
START_TEST(test_local_layers) {
  for (int local = 0; local <= 4; local++)
    for (int n = 40; n <= 370; n += 110) {
      celslm_cost cost;
      celslm_scenario *s;
      const int u = 600;
      char *options = celslm_format("map_at=\"free\" local_layers=\"%d\"", local);
      double got = planned(n, u, options, &cost, &s), latency = 0.0105;
      double here = latency + 4.0 * n / 125e6 + celslm_cost_embed(&cost, n) +
                    local * (celslm_cost_layer(&cost, n) + celslm_cost_prefill(&cost, n, 0));
      double done = 0;
      for (int l = 0; l < 4; l++) {
        double there = latency + (l - local + 1) * 2048.0 * n / 125e6;
        done = fmax(done, l < local ? here : fmax(there, local ? here : 0));
        done += celslm_cost_layer(&cost, u) + celslm_cost_prefill(&cost, u, n);
        if (l == 0) done += celslm_cost_embed(&cost, u);
      }
      done += celslm_cost_head(&cost, 1);
      ck_assert_msg(fabs(got - done) <= 1e-9, "%d local, %d tokens: %.12f, by hand %.12f", local, n,
                    got, done);
      free(options);
      celslm_scenario_free(s);
    }
}
END_TEST

/* ---- sharing the engine ---------------------------------------------------------------------- */

/* A request decodes when another one comes, whose context is not there. */
static simulation joined(const char *join, int seed) {
  char *text = celslm_format(
      "<scenario name=\"join\" seed=\"%d\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/small.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"small\" context_memory=\"1GiB\"/>"
      "<engine name=\"edge\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\" "
      "fixed_iteration=\"10ms\"/></engines>"
      "<contexts><population name=\"c\" count=\"2\" tokens=\"500\"/></contexts>"
      "<workload requests=\"2\"><arrivals><deterministic interval=\"1.0037s\"/></arrivals>"
      "<prompt><fixed tokens=\"100\"/></prompt><output><fixed tokens=\"200\"/></output>"
      "<popularity><zipf s=\"0\"/></popularity></workload>"
      "<strategy><ce-lslm cloud_warm=\"yes\" join=\"%s\"/></strategy></scenario>",
      seed, join);
  simulation run = simulate_well(text, 0, false), steps = simulate_well(text, 0, true);
  ck_assert_int_eq(run.summary.completed, 2);
  ck_assert(memcmp(run.rows, steps.rows, run.n * sizeof *run.rows) == 0);
  free(text), free(steps.rows);
  return run;
}

START_TEST(test_lane_and_stall) {
  int seed = 1;
  for (simulation run = joined("lane", seed); run.rows[0].context == run.rows[1].context;
       run = joined("lane", seed)) {
    free(run.rows);
    seed++;
  }
  simulation lane = joined("lane", seed), stall = joined("stall", seed);
  ck_assert_double_eq_tol(lane.rows[0].itl_max, 0.010, 1e-9); /* nobody waits */
  /* by hand: the pass opens with the iteration after the first layer's arrival, and takes what is
   * there, a fourth of an iteration for each layer */
  const double latency = 0.0105, wire = 2048.0 * 500 / 125e6, each = 0.010 / 4;
  const celslm_request_row *first = &stall.rows[0], *second = &stall.rows[1];
  double asked = second->queued + latency + 64 / 125e6, begun = first->first_token - first->t_down;
  double open = begun + 0.010 * ceil((asked + wire + latency - begun) / 0.010 - 1e-7), t = open;
  for (int passed = 0; passed < 4;) {
    int there = (int)fmin(4, floor((t - latency - asked) / wire + 1e-6));
    if (there > passed) {
      t += each * (there - passed);
      passed = there;
    } else {
      t = asked + (passed + 1) * wire + latency;
    }
  }
  ck_assert_msg(fabs(first->itl_max - (t - open)) < 3e-9, "gap %.12f, by hand %.12f",
                first->itl_max, t - open);
  ck_assert_msg(fabs(second->first_token - second->t_down - t) < 3e-9, "token %.12f, by hand %.12f",
                second->first_token - second->t_down, t);
  ck_assert_double_gt(first->itl_max, 0.02);
  free(lane.rows), free(stall.rows);
}
END_TEST

/* A request joins with the layer after which the rest comes while it computes. */
START_TEST(test_admit) {
  int seen[5] = {0};
  for (int u = 1; u <= 2000; u += 111)
    for (int n = 40; n <= 1000; n += 240) {
      celslm_error err = {0};
      celslm_cost cost;
      char *text = celslm_format(
          "<scenario name=\"admit\" seed=\"1\"><platform file=\"pair.xml\"/>"
          "<models><model file=\"models/small.xml\"/></models><engines>"
          "<engine name=\"cloud\" host=\"cloud\" model=\"small\" context_memory=\"1GiB\"/>"
          "<engine name=\"edge\" host=\"edge1\" model=\"small\" context_memory=\"1GiB\"/></engines>"
          "<contexts><context name=\"c\" tokens=\"%d\"/></contexts>"
          "<workload requests=\"1\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
          "<prompt><fixed tokens=\"%d\"/></prompt><output><fixed tokens=\"1\"/></output>"
          "<popularity><zipf s=\"1\"/></popularity></workload>"
          "<strategy><ce-lslm cloud_warm=\"yes\" join=\"admit\"/></strategy></scenario>",
          n, u);
      celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
      ck_assert_msg(s != NULL, "%s", err.text);
      ck_assert(celslm_cost_init(&cost, s->platform->hosts[s->engines[1].host].profile,
                                 &s->models[0], CELSLM_F16, CELSLM_F16, NAN, NAN, &err));
      double wire = 2048.0 * n / 125e6, compute = celslm_cost_prefill_pass(&cost, u, n);
      int k = 2;
      while (k < 4 && (4 - k) * wire > compute * 3 / 4) k++;
      seen[k]++;
      simulation run = simulate_well(text, 0, false);
      double at = run.rows[0].queued + 0.0105 + 64 / 125e6 + k * wire + 0.0105;
      ck_assert_msg(fabs(run.rows[0].scheduled - at) < 3e-9,
                    "%d on %d: joins at %.12f, by hand %.12f", u, n, run.rows[0].scheduled, at);
      free(run.rows), free(text);
      celslm_scenario_free(s);
    }
  ck_assert(seen[2] && seen[3] && seen[4]);
}
END_TEST

/* ---- the life of a context ------------------------------------------------------------------- */

static simulation lively(const char *contexts, const char *engine, const char *options, int n) {
  char *text = celslm_format(
      "<scenario name=\"life\" seed=\"5\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/small.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"small\" %s/>"
      "<engine name=\"edge\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\"/></engines>"
      "<contexts %s</contexts>"
      "<workload requests=\"%d\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
      "<prompt><fixed tokens=\"10\"/></prompt><output><fixed tokens=\"2\"/></output>"
      "<popularity><zipf s=\"0\"/></popularity></workload>"
      "<strategy><ce-lslm %s/></strategy></scenario>",
      engine, contexts, n, options);
  simulation run = simulate_well(text, 0, false);
  ck_assert_int_eq(run.summary.completed, n);
  free(text);
  return run;
}

/* A request after a change (told to the edge one way later) fetches anew; any other one hits. */
START_TEST(test_versions) {
  enum { N = 300 };
  const double rate = 0.2;
  simulation run = lively("changes=\"0.2/s\"><context name=\"c\" tokens=\"100\"/>",
                          "context_memory=\"1GiB\"", "", N);
  gsl_rng *r = celslm_rng(5, "changes of contexts");
  double change = gsl_ran_exponential(r, 1 / rate);
  int fetched = 0;
  for (int i = 0; i < N; i++) {
    bool changed = i == 0;
    while (change + 0.0105 + 64 / 125e6 < run.rows[i].queued) {
      changed = true;
      gsl_rng_uniform_int(r, 1);
      change += gsl_ran_exponential(r, 1 / rate);
    }
    fetched += changed;
    ck_assert_int_eq(run.rows[i].context_source,
                     changed ? CELSLM_CONTEXT_FETCHED : CELSLM_CONTEXT_HIT);
  }
  ck_assert_int_gt(fetched, N / 10);
  ck_assert_int_lt(fetched, N / 2);
  gsl_rng_free(r);
  free(run.rows);
}
END_TEST

/* Cloud and edge have room for one context each; the cloud's disk keeps the other, and gives it
 * back as fast as it reads (and, the first time, after it has written the one that goes). */
START_TEST(test_read_back) {
  enum { N = 60 };
  simulation run = simulate_well(
      "<scenario name=\"disk\" seed=\"3\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/small.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"small\" context_memory=\"9MB\">"
      "<cache disk=\"1GB\" disk_read=\"50GBps\" disk_write=\"50GBps\"/></engine>"
      "<engine name=\"edge\" host=\"edge0\" model=\"small\" context_memory=\"9MB\"/></engines>"
      "<contexts><population name=\"c\" count=\"2\" tokens=\"1000\"/></contexts>"
      "<workload requests=\"60\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
      "<prompt><fixed tokens=\"10\"/></prompt><output><fixed tokens=\"2\"/></output>"
      "<popularity><zipf s=\"0\"/></popularity></workload>"
      "<strategy><ce-lslm cloud_streaming=\"no\"/></strategy></scenario>",
      0, false);
  ck_assert_uint_eq(run.n, N);
  const double one = 4 * 2048.0 * 1000 / 50e9;
  bool seen[2] = {false};
  int read = 0, after_write = 0;
  for (int i = 0; i < N; i++) {
    const celslm_request_row *r = &run.rows[i];
    bool same = i && r->context == run.rows[i - 1].context;
    ck_assert_int_eq(r->context_source, same ? CELSLM_CONTEXT_HIT : CELSLM_CONTEXT_FETCHED);
    if (!same && !seen[r->context]) ck_assert_double_gt(r->t_cloud, 6e-4); /* computed */
    if (!same && seen[r->context]) {
      bool waited = r->t_cloud > 1.5 * one;
      ck_assert_msg(fabs(r->t_cloud - (waited ? 2 : 1) * one) < 3e-9,
                    "request %d: %.9f s, not %.9f", i, r->t_cloud, one);
      after_write += waited;
      read++;
    }
    seen[r->context] = true;
  }
  ck_assert_int_gt(read, 10);
  ck_assert_int_le(after_write, 2);
  free(run.rows);
}
END_TEST

/* What was pushed is hit; what the push has no room for is not. */
START_TEST(test_push) {
  simulation all = lively("><population name=\"c\" count=\"5\" tokens=\"100\"/>",
                          "context_memory=\"1GiB\"", "push=\"5\"", 50);
  ck_assert_int_eq(all.summary.hits, 50);
  simulation some = lively("><population name=\"c\" count=\"5\" tokens=\"100\"/>",
                           "context_memory=\"1GiB\"", "push=\"2\"", 50);
  bool there[5] = {true, true};
  for (size_t i = 0; i < some.n; i++) { /* from then on it is there */
    ck_assert_int_eq(some.rows[i].context_source == CELSLM_CONTEXT_HIT,
                     there[some.rows[i].context]);
    there[some.rows[i].context] = true;
  }
  free(all.rows), free(some.rows);
}
END_TEST

static void write_similarities(const char *file, int from, int to, const double *similarity) {
  FILE *f = fopen(file, "w");
  fprintf(f, "cloud_layer,edge_layer,similarity\n");
  for (int i = 0; i < from * to; i++) fprintf(f, "%d,%d,%.17g\n", i / to, i % to, similarity[i]);
  fclose(f);
}

/* The map of a file is the best monotone one, by trying all; bad files are told. */
START_TEST(test_alignment) {
  enum { FROM = 5, TO = 3 };
  char file[] = "/tmp/celslm-similarity-XXXXXX.csv";
  ck_assert_int_ge(mkstemps(file, 4), 0);
  celslm_model cloud = {.layers = FROM}, edge = {.layers = TO};
  celslm_error err = {0};
  celslm_alignment a;
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  for (int k = 0; k < 50; k++) {
    double similarity[FROM * TO], best = -1, sum = 0;
    for (int i = 0; i < FROM * TO; i++) similarity[i] = gsl_rng_uniform(dice);
    write_similarities(file, FROM, TO, similarity);
    for (int x = 0; x < FROM; x++)
      for (int y = x; y < FROM; y++)
        for (int z = y; z < FROM; z++)
          best = fmax(best, similarity[x * TO] + similarity[y * TO + 1] + similarity[z * TO + 2]);
    ck_assert_msg(celslm_alignment_init(&a, &cloud, &edge, file, &err), "%s", err.text);
    for (int j = 0; j < TO; j++) sum += similarity[a.map[j] * TO + j];
    ck_assert_int_eq(a.kind, CELSLM_MAP_MEASURED);
    ck_assert_double_eq_tol(sum, best, 1e-12);
    celslm_alignment_clear(&a);
  }
  edge.layers = TO + 1; /* some are missing */
  ck_assert(!celslm_alignment_init(&a, &cloud, &edge, file, &err));
  ck_assert_ptr_nonnull(strstr(err.text, "has no similarity of cloud layer 0 and edge layer 3"));
  celslm_alignment_clear(&a);
  edge.layers = TO - 1; /* too many */
  err = (celslm_error){0};
  ck_assert(!celslm_alignment_init(&a, &cloud, &edge, file, &err));
  ck_assert_ptr_nonnull(strstr(err.text, "layers 0 to 4 and 0 to 1"));
  celslm_alignment_clear(&a);
  remove(file);
  gsl_rng_free(dice);
}
END_TEST

/* What is wrong with a plan is found; a plan that is right is not blamed. */
START_TEST(test_plan_rules) {
  celslm_model m = {.layers = 4, .kv_heads = 1, .head_dim = 8}, big = {.layers = 6};
  celslm_site edge = {.model = &m}, cloud = {.model = &big}, peer = {.model = &m};
  celslm_codec plain = codec("f16");
  celslm_plan p = celslm_plan_from(&edge, &cloud, &plain);
  ck_assert_ptr_null(celslm_plan_fault(&p, 4, 0));
  ck_assert_double_eq(celslm_plan_bytes(&p, &m, 10), 4 * 4 * 8 * 10);
  celslm_plan_compute(&p, 2, &cloud);
  ck_assert_ptr_null(celslm_plan_fault(&p, 4, 0));
  ck_assert_int_eq(celslm_plan_local(&p), 2);
  ck_assert_double_eq(celslm_plan_bytes(&p, &m, 10), 2 * 4 * 8 * 10);
  p.layers[3] = (celslm_layer_plan){.from = CELSLM_FROM_LOCAL}; /* a gap */
  ck_assert_ptr_nonnull(celslm_plan_fault(&p, 4, 0));
  p.layers[3] = (celslm_layer_plan){.from = CELSLM_FROM_HERE};
  ck_assert_ptr_nonnull(celslm_plan_fault(&p, 4, 3));
  ck_assert_ptr_null(celslm_plan_fault(&p, 4, 4));
  p.layers[2] = (celslm_layer_plan){CELSLM_FROM_PEER, 2, &peer, &plain, 0, false};
  ck_assert_ptr_null(celslm_plan_fault(&p, 4, 4));
  p.layers[2].layer = 1; /* not its own */
  ck_assert_ptr_nonnull(celslm_plan_fault(&p, 4, 4));
  celslm_plan_clear(&p);
  p = celslm_plan_from(&edge, &cloud, &plain);
  p.layers[1].layer = 4, p.layers[2].layer = 3; /* not monotone */
  ck_assert_ptr_nonnull(celslm_plan_fault(&p, 4, 0));
  celslm_plan_clear(&p);
}
END_TEST

/* ---- law 2 ----------------------------------------------------------------------------------- */

/* Completed by an edge that has to get a context of s tokens for a prompt of u. */
static double ttft_of(const char *model, const char *name, const char *codec, bool fetches,
                      double bandwidth) {
  char *text = celslm_format(
      "<scenario name=\"law2\" seed=\"1\"><platform file=\"../../platforms/reproduction.xml\"/>"
      "<models><model file=\"../../platforms/models/%s.xml\"/></models><engines>"
      "<engine name=\"cloud\" host=\"cloud\" model=\"%s\" context_memory=\"8GiB\"/>"
      "<engine name=\"edge\" host=\"edge1\" model=\"%s\" context_memory=\"4GiB\" "
      "max_num_batched_tokens=\"4096\"/></engines>"
      "<contexts><context name=\"c\" tokens=\"1536\"/></contexts>"
      "<workload requests=\"1\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
      "<prompt><fixed tokens=\"32\"/></prompt><output><fixed tokens=\"1\"/></output>"
      "<popularity><zipf s=\"1\"/></popularity></workload>"
      "<strategy label=\"fetch\"><ce-lslm cloud_warm=\"yes\" codec=\"%s\"/></strategy>"
      "<strategy label=\"recompute\"><edge-only/></strategy></scenario>",
      model, name, name, codec);
  char *set = celslm_format("platform://link[@id='wan']/@bandwidth=%.17gBps", bandwidth);
  celslm_scenario_options options = {.set = (const char *const *)&set, .n_set = 1};
  simulation run = simulate_with(text, fetches ? 0 : 1, false, &options);
  ck_assert_msg(run.status == 0, "%s", run.error);
  double ttft = run.rows[0].first_token - run.rows[0].queued;
  free(run.rows), free(set), free(text);
  return ttft;
}

START_TEST(test_break_even) {
  static const struct {
    const char *file, *name;
  } of[] = {{"opt-1.3b", "OPT-1.3B"},
            {"llama-2-7b", "Llama-2-7B"},
            {"llama-3.2-1b", "Llama-3.2-1B"},
            {"qwen2.5-1.5b", "Qwen2.5-1.5B"},
            {"qwen2.5-7b", "Qwen2.5-7B"}};
  static const char *const codecs[] = {"f16", "int4"};
  for (int m = 0; m < 5; m++)
    for (int k = 0; k < 2; k++) {
      double recompute = ttft_of(of[m].file, of[m].name, codecs[k], false, 1e9);
      /* 8 b s / (T(s) - RTT - the last layer's tail), all of the op list */
      celslm_error err = {0};
      celslm_model model;
      celslm_cost cost;
      char *file = celslm_format("%s/../../platforms/models/%s.xml", CELSLM_TEST_DATA, of[m].file);
      char *device =
          celslm_format("%s/../../platforms/profiles/jetson-agx-orin.xml", CELSLM_TEST_DATA);
      char *server = celslm_format("%s/../../platforms/profiles/a100-80gb.xml", CELSLM_TEST_DATA);
      celslm_profile *orin = celslm_profile_load(device, &err),
                     *a100 = celslm_profile_load(server, &err);
      ck_assert_msg(orin && a100 && celslm_model_load(file, &model, &err), "%s", err.text);
      ck_assert(celslm_cost_init(&cost, orin, &model, CELSLM_F16, CELSLM_F16, NAN, NAN, &err));
      const double s = 1536, u = 32, rtt = 0.0202;
      double width = (double)(model.kv_heads * model.head_dim), layers = (double)model.layers;
      double plain = 4 * width * s, bytes = plain;
      if (k == 1) bytes = width * s + 2 * (4 * width * ceil(s / 32) + 4 * s);
      double coding = k ? (plain + bytes) / a100->bandwidth + (plain + bytes) / orin->bandwidth : 0;
      double tail = celslm_cost_layer(&cost, u) + celslm_cost_prefill(&cost, u, s) +
                    celslm_cost_head(&cost, 1) + coding;
      double exact = layers * bytes / (celslm_cost_prefill_pass(&cost, s + u, 0) - rtt - tail);
      double low = exact / 2, high = exact * 2; /* it is in between: checked */
      ck_assert(ttft_of(of[m].file, of[m].name, codecs[k], true, low) > recompute);
      ck_assert(ttft_of(of[m].file, of[m].name, codecs[k], true, high) < recompute);
      while (high / low > 1.0005) {
        double middle = sqrt(low * high);
        if (ttft_of(of[m].file, of[m].name, codecs[k], true, middle) < recompute)
          high = middle;
        else
          low = middle;
      }
      double found = sqrt(low * high);
      printf("%-12s %-5s break-even %.4f Gb/s, exact form %.4f Gb/s: %+.2f %%\n", of[m].name,
             codecs[k], 8e-9 * found, 8e-9 * exact, 100 * (found / exact - 1));
      ck_assert_msg(fabs(found / exact - 1) <= 0.02, "%s %s: %g against %g B/s", of[m].name,
                    codecs[k], found, exact);
      celslm_profile_free(orin), celslm_profile_free(a100);
      celslm_model_clear(&model);
      free(file), free(device), free(server);
    }
}
END_TEST

RUN_SUITE("fetch", test_codec_bytes, test_codec_names, test_flow_shop, test_ablations,
          test_map_costs, test_local_layers, test_lane_and_stall, test_admit, test_versions,
          test_read_back, test_push, test_alignment, test_plan_rules, test_break_even)
