/* test_world.c - whole runs: conservation, determinism, stepping against jumping, queueing theory,
 * the ledger, and what overlap and bandwidth must do. */
#include "cost/cost.h"
#include "support.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_rng.h>
#include <math.h>

/* ---- building scenarios ---------------------------------------------------------------------- */

static char *text_of(const char *engines, const char *rest) {
  return celslm_format(
      "<scenario name=\"t\" seed=\"1\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines>%s</engines>%s</scenario>",
      engines, rest);
}

/* One user at each edge host, no radio; a context of 2,048 tokens; ~one request at a time. */
static char *idle_text(const char *model, const char *strategy, double context, double interval,
                       int requests, int prompt) {
  char *rest = celslm_format(
      "<contexts><context name=\"c\" tokens=\"%.0f\"/></contexts>"
      "<workload requests=\"%d\"><arrivals><deterministic interval=\"%gs\"/></arrivals>"
      "<prompt><fixed tokens=\"%d\"/></prompt><output><fixed "
      "tokens=\"8\"/></output><popularity><uniform/></popularity></workload>"
      "<strategy>%s</strategy>",
      context, requests, interval, prompt, strategy);
  char *engines =
      celslm_format("<engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
                    "<engine name=\"edge1\" host=\"edge1\" model=\"%s\" context_memory=\"1GiB\"/>",
                    model);
  char *text = text_of(engines, rest);
  free(engines), free(rest);
  return text;
}

static gsl_rng *r;
static double uniform(double low, double high) {
  return low + gsl_rng_uniform(r) * (high - low);
}
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(r, (unsigned long)(high - low + 1));
}
static const char *one_of(const char *a, const char *b) {
  return gsl_rng_uniform(r) < 0.5 ? a : b;
}

/* A random scenario: tight or ample KV blocks, small or large budgets, light or heavy load, any
 * strategy. */
static char *random_text(void) {
  char *engines =
      celslm_format("<engine name=\"cloud\" host=\"cloud\" model=\"big\" kv_blocks=\"%d\" "
                    "max_num_batched_tokens=\"%d\" max_num_seqs=\"%d\" "
                    "block_size=\"%d\" context_memory=\"%dMiB\" client_overhead=\"%dus\"/>"
                    "<engine name=\"e0\" host=\"edge0\" model=\"small\" kv_blocks=\"%d\" "
                    "max_num_batched_tokens=\"%d\" max_num_seqs=\"%d\" context_memory=\"%dMiB\"/>"
                    "<engine name=\"e1\" host=\"edge1\" model=\"small\" kv_blocks=\"%d\" "
                    "max_num_batched_tokens=\"%d\" max_num_seqs=\"%d\" context_memory=\"%dMiB\"/>",
                    any(90, 250), any(64, 2048), any(2, 64), 8 << any(0, 2), any(100, 400),
                    any(0, 1) * 500, any(70, 200), any(64, 1024), any(2, 64), any(4, 40),
                    any(70, 200), any(64, 1024), any(2, 64), any(4, 40));
  char *strategy = NULL;
  switch (any(0, 3)) {
  case 0:
    strategy = celslm_format("<cloud-only prompt_cache=\"%s\"/>", one_of("yes", "no"));
    break;
  case 1:
    strategy = celslm_format("<edge-only prompt_cache=\"%s\"/>", one_of("yes", "no"));
    break;
  default:
    strategy = celslm_format("<ce-lslm pipeline=\"%s\" codec=\"%s\"/>", one_of("yes", "no"),
                             one_of("f16", "int4"));
  }
  char *radio = any(0, 1) ? celslm_format("<radio><channel><umi/></channel><ues cell=\"gnb0\" "
                                          "count=\"%d\" min_distance=\"10m\" "
                                          "max_distance=\"80m\"/><ues cell=\"gnb1\" count=\"%d\" "
                                          "min_distance=\"10m\" max_distance=\"80m\"/></radio>",
                                          any(1, 20), any(1, 20))
                          : celslm_strdup("");
  char *rest = celslm_format(
      "<contexts><population name=\"d\" count=\"%d\"><uniform min=\"16\" "
      "max=\"700\"/></population></contexts>%s"
      "<workload requests=\"%d\"><arrivals><poisson rate=\"%.3f/s\"/></arrivals>"
      "<prompt><lognormal mean=\"%d\" cv=\"1\" max=\"600\"/></prompt><output><lognormal "
      "mean=\"%d\" cv=\"1\" max=\"600\"/></output>"
      "<popularity><zipf s=\"%.2f\"/></popularity></workload><strategy>%s</strategy><results "
      "sample=\"%gs\"/>",
      any(1, 12), radio, any(20, 150), exp(uniform(0, 6)), any(5, 150), any(1, 200),
      uniform(0, 1.5), strategy, uniform(0.05, 1));
  char *text = text_of(engines, rest);
  if (any(0, 3) == 0) { /* a horizon that cuts the run */
    char *cut = celslm_format("<scenario horizon=\"%.3fs\"%s", uniform(0.05, 3),
                              text + strlen("<scenario"));
    free(text);
    text = cut;
  }
  free(engines), free(rest), free(strategy), free(radio);
  return text;
}

static bool same_bits(const simulation *a, const simulation *b) {
  if (a->n != b->n) return false;
  for (size_t i = 0; i < a->n; i++)
    if (memcmp(&a->rows[i], &b->rows[i], sizeof *a->rows) != 0) return false;
  return true;
}

/* ---- stepping against jumping ---------------------------------------------------------------- */

static int64_t preempted, joined, hit, cut, rejected;

START_TEST(test_stepping_equals_jumping) {
  r = gsl_rng_alloc(gsl_rng_mt19937);
  int fewer = 0;
  for (int i = 0; i < 60; i++) {
    gsl_rng_set(r, (unsigned long)i + 1);
    char *text = random_text();
    simulation jump = simulate_well(text, 0, false), step = simulate_well(text, 0, true),
               again = simulate_well(text, 0, false);
    ck_assert_msg(same_bits(&jump, &step), "stepping and jumping differ: scenario %d\n%s", i, text);
    ck_assert_msg(same_bits(&jump, &again), "two equal runs differ: scenario %d\n%s", i, text);
    ck_assert_int_eq(jump.summary.iterations, step.summary.iterations);
    ck_assert(jump.summary.energy == step.summary.energy);
    fewer += jump.n > 0;
    preempted += step.summary.preemptions;
    joined += step.summary.joins;
    hit += step.summary.hits;
    cut += step.summary.in_flight;
    rejected += step.summary.rejected;
    for (size_t k = 0; k < jump.n; k++) { /* parts sum to the whole, in the order of things */
      const celslm_request_row *q = &jump.rows[k];
      if (isnan(q->ttft)) continue;
      double sum =
          q->t_up + q->t_wait + q->t_cloud + q->t_comm + q->t_edge - q->t_hidden + q->t_down;
      ck_assert_double_eq_tol(sum, q->ttft, 1e-9);
      ck_assert(q->arrival <= q->queued && q->queued <= q->scheduled &&
                q->scheduled <= q->first_token);
      ck_assert(q->t_wait >= -1e-9 && q->t_hidden >= 0 && q->t_comm >= 0 &&
                q->t_hidden <= q->t_edge + q->t_cloud + 1e-9);
      if (q->end == CELSLM_COMPLETED) ck_assert(q->last_token >= q->first_token);
    }
    free(jump.rows), free(step.rows), free(again.rows), free(text);
  }
  /* the scenarios reach what they are meant to test */
  ck_assert_int_ge(fewer, 55);
  ck_assert_msg(preempted > 50 && joined > 50 && hit > 50 && cut > 20 && rejected > 0,
                "%ld %ld %ld %ld %ld", (long)preempted, (long)joined, (long)hit, (long)cut,
                (long)rejected);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_another_seed_differs) {
  r = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(r, 3);
  char *text = random_text(), *other = celslm_strdup(text);
  memcpy(strstr(other, "seed=\"1\""), "seed=\"2\"", 8);
  simulation a = simulate_well(text, 0, false), b = simulate_well(other, 0, false);
  ck_assert(!same_bits(&a, &b));
  free(a.rows), free(b.rows), free(text), free(other);
  gsl_rng_free(r);
}
END_TEST

/* ---- queueing theory ------------------------------------------------------------------------- */

/* One sequence at a time, one token each, a fixed service time: M/D/1. Mean wait in queue by
 * Pollaczek-Khinchine: rho D / (2 (1 - rho)). Independent replications give the interval. */
START_TEST(test_md1) {
  static const double loads[] = {0.3, 0.6, 0.8};
  enum { RUNS = 16 };
  for (size_t l = 0; l < 3; l++) {
    double sum = 0, squares = 0;
    for (int run = 0; run < RUNS; run++) {
      char *rest = celslm_format(
          "<workload requests=\"20000\"><arrivals><poisson rate=\"%g/s\"/></arrivals>"
          "<prompt><fixed tokens=\"10\"/></prompt><output><fixed tokens=\"1\"/></output></workload>"
          "<strategy><cloud-only/></strategy>",
          loads[l] / 0.01);
      char *text = text_of("<engine name=\"cloud\" host=\"cloud\" model=\"big\" max_num_seqs=\"1\" "
                           "fixed_iteration=\"10ms\"/>",
                           rest);
      char *seeded = celslm_format("<scenario name=\"t\" seed=\"%d\"%s", 100 + run,
                                   strstr(text, "seed=\"1\"") + 8);
      simulation s = simulate_well(seeded, 0, false);
      double wait = 0;
      for (size_t i = 2000; i < s.n; i++)
        wait += s.rows[i].scheduled - s.rows[i].queued; /* past the empty start */
      wait /= (double)(s.n - 2000);
      sum += wait;
      squares += wait * wait;
      free(rest), free(text), free(seeded), free(s.rows);
    }
    double mean = sum / RUNS, deviation = sqrt((squares - sum * mean) / (RUNS - 1));
    double half = gsl_cdf_tdist_Pinv(0.995, RUNS - 1) * deviation / sqrt(RUNS);
    double expected = loads[l] * 0.01 / (2 * (1 - loads[l]));
    ck_assert_msg(fabs(mean - expected) <= half,
                  "load %g: mean wait %g s, M/D/1 says %g, 99 %% interval +-%g", loads[l], mean,
                  expected, half);
    ck_assert_msg(half < 0.1 * expected, "the interval is too wide to say anything: %g of %g", half,
                  expected);
  }
}
END_TEST

/* ---- the ledger ------------------------------------------------------------------------------ */

START_TEST(test_user_bytes_come_from_the_ledger) {
  const char *strategies[] = {"<cloud-only/>", "<edge-only/>", "<ce-lslm/>",
                              "<ce-lslm pipeline=\"no\"/>"};
  for (int i = 0; i < 4; i++) {
    char *rest = celslm_format(
        "<contexts><population name=\"d\" count=\"5\" tokens=\"300\"/></contexts>"
        "<radio bytes_per_token=\"5B\" packet_overhead=\"40B\"><channel><umi "
        "state=\"los\"/></channel>"
        "<ues cell=\"gnb0\" count=\"5\" min_distance=\"10m\" max_distance=\"50m\"/><ues "
        "cell=\"gnb1\" count=\"5\" min_distance=\"10m\" max_distance=\"50m\"/></radio>"
        "<workload requests=\"60\"><arrivals><poisson rate=\"5/s\"/></arrivals><prompt><lognormal "
        "mean=\"200\" cv=\"1\"/></prompt>"
        "<output><fixed "
        "tokens=\"10\"/></output><popularity><uniform/></popularity></workload><strategy>%s</"
        "strategy>",
        strategies[i]);
    char *text =
        text_of("<engine name=\"cloud\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
                "<engine name=\"e0\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\"/>"
                "<engine name=\"e1\" host=\"edge1\" model=\"small\" context_memory=\"1GiB\"/>",
                rest);
    simulation s = simulate_well(text, 0, false);
    double prompts = 0, charged = 0;
    for (size_t k = 0; k < s.n; k++) {
      prompts += 5.0 * s.rows[k].prompt_tokens + 40;
      charged += s.rows[k].user_bytes_to_cloud;
    }
    ck_assert_int_eq(s.summary.completed, 60);
    ck_assert(charged == (i == 0 ? prompts : 0));
    ck_assert(s.summary.user_bytes_to_cloud == charged);
    if (i == 1) ck_assert(s.summary.wan_bytes == 0);
    if (i >= 2) ck_assert(s.summary.kv_bytes > 0 && s.summary.wan_bytes >= s.summary.kv_bytes);
    free(rest), free(text), free(s.rows);
  }
}
END_TEST

/* ---- overlap and bandwidth ------------------------------------------------------------------- */

static double cold_ttft(const char *strategy, double context, int prompt) {
  char *text = idle_text("small", strategy, context, 1, 1, prompt);
  simulation s = simulate_well(text, 0, false);
  ck_assert_uint_eq(s.n, 1);
  double ttft = s.rows[0].ttft;
  free(text), free(s.rows);
  return ttft;
}

START_TEST(test_pipeline_is_never_slower) {
  r = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(r, 5);
  int faster = 0;
  for (int i = 0; i < 60; i++) {
    double context = any(16, 3000);
    int prompt = any(1, 2000);
    const char *warm = one_of("yes", "no"), *codec = one_of("f16", "int4");
    char *yes = celslm_format("<ce-lslm cloud_warm=\"%s\" codec=\"%s\"/>", warm, codec);
    char *no =
        celslm_format("<ce-lslm cloud_warm=\"%s\" codec=\"%s\" pipeline=\"no\"/>", warm, codec);
    double with = cold_ttft(yes, context, prompt), without = cold_ttft(no, context, prompt);
    ck_assert_msg(with <= without, "context %g, prompt %d: %.9f with overlap, %.9f without",
                  context, prompt, with, without);
    faster += with < without;
    free(yes), free(no);
  }
  ck_assert_int_ge(faster, 55);
  gsl_rng_free(r);
}
END_TEST

/* One request in an idle system, context in the cloud: load_l and compute_l per layer are known,
 * and the first token comes at the end of the two-machine flow shop (Johnson 1954): C_l =
 * max(C_(l-1), arrival_l) + c. */
START_TEST(test_flow_shop) {
  celslm_error err = {0};
  char *text = idle_text("small", "<ce-lslm cloud_warm=\"yes\" map_at=\"free\"/>", 1000, 1, 1, 200);
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  const celslm_engine_config *edge = &s->engines[1];
  celslm_cost cost;
  ck_assert(celslm_cost_init(&cost, s->platform->hosts[edge->host].profile, &s->models[edge->model],
                             edge->weights, edge->kv, NAN, NAN, &err));
  int layers = (int)s->models[edge->model].layers;
  double compute = celslm_cost_layer(&cost, 200) + celslm_cost_prefill(&cost, 200, 1000);
  double latency = 0.0105,
         load = 2.0 * 2 * 8 * 64 * 1000 / 125e6; /* f16 K and V of 8 heads of 64, over 1 Gb/s */
  double asked = latency + 64 / 125e6;           /* the request for it crosses first */
  double end = 0;
  for (int l = 0; l < layers; l++) {
    double arrival = asked + load * (l + 1) + latency;
    if (l == 0) end = arrival + cost.step + cost.sequence + celslm_cost_embed(&cost, 200);
    end = fmax(end, arrival) + compute;
  }
  end += celslm_cost_head(&cost, 1);
  simulation sim = simulate_well(text, 0, false);
  ck_assert_msg(fabs(sim.rows[0].ttft - end) <= 1e-9 * (layers + 3), "%.12f, flow shop %.12f",
                sim.rows[0].ttft, end);
  ck_assert(sim.rows[0].t_hidden > 0);
  free(text), free(sim.rows);
  celslm_scenario_free(s);
}
END_TEST

/* Break-even (facts sheet, law 2): downloading a cold context beats recomputing it at the edge
 * above BW* = 8 b s / (T_recompute - RTT - the last layer's tail). */
static double ttft_at(double mbps, const char *strategy) {
  char *platform = NULL, *text = idle_text("big", strategy, 2048, 1, 1, 32);
  FILE *f = fopen(CELSLM_TEST_DATA "/pair.xml", "r");
  ck_assert_ptr_nonnull(f);
  char *whole = celslm_alloc(1, 65536);
  size_t n = fread(whole, 1, 65535, f);
  fclose(f);
  whole[n] = 0;
  char *at = strstr(whole, "bandwidth=\"1Gbps\"");
  platform = celslm_format("%.*sbandwidth=\"%.6fMbps\"%s", (int)(at - whole), whole, mbps,
                           at + strlen("bandwidth=\"1Gbps\""));
  char name[] = CELSLM_TEST_DATA "/tmp-XXXXXX"; /* beside the profiles */
  int fd = mkstemp(name);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, platform, strlen(platform)), (ssize_t)strlen(platform));
  close(fd);
  char *placed = celslm_format("%.*s%s%s", (int)(strstr(text, "pair.xml") - text), text,
                               strrchr(name, '/') + 1, strstr(text, "pair.xml") + 8);
  simulation s = simulate(placed, 0, false);
  unlink(name);
  ck_assert_msg(s.status == 0, "%s", s.error);
  double ttft = s.rows[0].ttft;
  free(text), free(whole), free(platform), free(placed), free(s.rows);
  return ttft;
}

START_TEST(test_break_even_bandwidth) {
  celslm_error err = {0};
  char *text = idle_text("big", "<edge-only/>", 2048, 1, 1, 32);
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  const celslm_engine_config *edge = &s->engines[1];
  const celslm_model *m = &s->models[edge->model];
  celslm_cost c;
  ck_assert(celslm_cost_init(&c, s->platform->hosts[edge->host].profile, m, edge->weights, edge->kv,
                             NAN, NAN, &err));
  /* recomputing: 2,048 + 32 tokens in two chunks of at most 2,048; downloading: the prompt alone
   * over the context, of which all but the last layer hides behind the transfer (loading is far
   * slower here) */
  double recompute = celslm_cost_prefill_pass(&c, 2048, 0) - celslm_cost_head(&c, 1) +
                     celslm_cost_prefill_pass(&c, 32, 2048);
  double tail =
      celslm_cost_layer(&c, 32) + celslm_cost_prefill(&c, 32, 2048) + celslm_cost_head(&c, 1);
  double bytes = (double)(m->layers * m->kv_heads * m->head_dim) * 2 * 2 * 2048, rtt = 2 * 0.0105;
  double even = 8e-6 * bytes / (recompute - rtt - tail); /* Mb/s */
  double local = ttft_at(even, "<edge-only/>");
  ck_assert_double_eq_tol(local, recompute, 1e-6);
  static const double factors[] = {0.25, 0.5, 0.9, 0.98, 1.02, 1.1, 2, 4};
  for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
    double fetched = ttft_at(even * factors[i], "<ce-lslm cloud_warm=\"yes\"/>");
    ck_assert_msg((fetched > local) == (factors[i] < 1),
                  "at %g of the break-even bandwidth (%g Mb/s): fetched %g s, recomputed %g s",
                  factors[i], even, fetched, local);
  }
  /* and at 100 Mb/s, whichever side that is */
  ck_assert((ttft_at(100, "<ce-lslm cloud_warm=\"yes\"/>") > local) == (100 < even));
  free(text);
  celslm_scenario_free(s);
}
END_TEST

/* A thousand requests for one cold context at one edge: one fetch. */
START_TEST(test_single_flight) {
  char *text = idle_text("small", "<ce-lslm/>", 2000, 1e-6, 1000, 20);
  simulation s = simulate_well(text, 0, false);
  ck_assert_int_eq(s.summary.completed, 1000);
  ck_assert_int_eq(s.summary.fetches, 1);
  ck_assert_int_eq(s.summary.joins + s.summary.hits, 999);
  ck_assert(s.summary.kv_bytes ==
            4.0 * 2 * 2 * 8 * 64 * 2000); /* layers, K and V, f16, heads, size, tokens */
  free(text), free(s.rows);
}
END_TEST

/* Two engines on one host: busy together, each runs at half speed; alone, at full speed. */
START_TEST(test_engines_share_a_host) {
  char *text = text_of("<engine name=\"e0\" host=\"edge0\" model=\"small\" memory_share=\"0.4\" "
                       "fixed_iteration=\"10ms\"/>"
                       "<engine name=\"cloud\" host=\"cloud\" model=\"big\" memory_share=\"0.4\" "
                       "fixed_iteration=\"10ms\"/>"
                       "<engine name=\"cloud2\" host=\"cloud\" model=\"big\" memory_share=\"0.4\" "
                       "fixed_iteration=\"10ms\" context_memory=\"100MiB\"/>",
                       "<contexts><context name=\"c\" tokens=\"8\"/></contexts>"
                       "<workload requests=\"1\"><arrivals><deterministic "
                       "interval=\"1s\"/></arrivals><prompt><fixed tokens=\"4\"/></prompt>"
                       "<output><fixed "
                       "tokens=\"5\"/></output><popularity><uniform/></popularity></"
                       "workload><strategy><cloud-only/></strategy>");
  simulation s = simulate_well(text, 0, false);
  ck_assert_double_eq_tol(s.rows[0].ttft - s.rows[0].t_up - s.rows[0].t_down, 0.010,
                          1e-9); /* nobody else is there */
  ck_assert_double_eq_tol(s.rows[0].tpot, 0.010, 1e-9);
  free(text), free(s.rows);
}
END_TEST

RUN_SUITE("world", test_engines_share_a_host, test_stepping_equals_jumping,
          test_another_seed_differs, test_md1, test_user_bytes_come_from_the_ledger,
          test_pipeline_is_never_slower, test_flow_shop, test_break_even_bandwidth,
          test_single_flight)
