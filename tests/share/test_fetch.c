/* test_fetch.c - how context KV gets to the edge, against what is known in closed form: the
 * makespan of a permutation flow shop, the order of ablations, and the bandwidth at which fetching
 * breaks even with recomputing. */
#include "../support.h"
#include "cost/cost.h"
#include "share/plan.h"
#include "share/wire.h"

#include <gsl/gsl_rng.h>
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
  for (int i = 0; i < 200; i++) {
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
  printf("200 cases: pipelining gains %.3g at most\n", most);
  ck_assert_double_gt(most, 2);
  gsl_rng_free(dice);
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
      double low = 1e6, high = 1e11,
             recompute = ttft_of(of[m].file, of[m].name, codecs[k], false, 1e9);
      while (high / low > 1.0005) {
        double middle = sqrt(low * high);
        if (ttft_of(of[m].file, of[m].name, codecs[k], true, middle) < recompute)
          high = middle;
        else
          low = middle;
      }
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
          test_break_even)
