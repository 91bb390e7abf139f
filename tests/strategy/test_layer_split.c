/* test_layer_split.c - placement by dynamic programming against every placement there is; a split
 * model by hand; one stage against the edge alone, byte for byte. */
#include "../support.h"
#include "cost/cost.h"
#include "serve/placement.h"

#include <gsl/gsl_rng.h>
#include <math.h>

/* ---- placement against exhaustive search ----------------------------------------------------- */

static gsl_rng *dice;
static double uniform(double low, double high) {
  return low + (high - low) * gsl_rng_uniform(dice);
}

static double value_of(const celslm_layer_placement *p, bool throughput, const int64_t *to) {
  double sum = 0, most = 0;
  int before = -1, last = 0;
  for (int k = 0; k < p->n; k++)
    if (to[k]) last = k;
  for (int k = 0; k < p->n; k++) {
    if (!to[k]) continue;
    if (to[k] > p->most[k]) return INFINITY;
    double time = (double)to[k] * p->layer[k] + (k == 0) * p->embed[k] + (k == last) * p->head[k];
    sum += time + (before >= 0 ? p->hop[before * p->n + k] : 0);
    most = fmax(most, fmax(time, before >= 0 ? p->wire[before * p->n + k] : 0));
    before = k;
  }
  if (last > 0) sum += p->hop[last * p->n], most = fmax(most, p->wire[last * p->n]);
  return throughput ? most : sum;
}

static double search(const celslm_layer_placement *p, bool throughput, int64_t *to, int k,
                     int64_t left) {
  if (k == p->n) return left ? INFINITY : value_of(p, throughput, to);
  double best = INFINITY;
  for (to[k] = k == 0; to[k] <= left; to[k]++)
    best = fmin(best, search(p, throughput, to, k + 1, left - to[k]));
  to[k] = 0;
  return best;
}

START_TEST(test_placement_is_the_best) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  gsl_rng_set(dice, 1);
  int impossible = 0, left_out = 0;
  for (int i = 0; i < 2000; i++) {
    enum { MOST = 5 };
    int n = 1 + (int)gsl_rng_uniform_int(dice, MOST);
    int64_t layers = 1 + (int64_t)gsl_rng_uniform_int(dice, 10), most[MOST], to[MOST],
            any[MOST + 1]; /* search looks one further */
    double layer[MOST], embed[MOST], head[MOST], hop[MOST * MOST], wire[MOST * MOST];
    for (int k = 0; k < n; k++) {
      layer[k] = exp(uniform(-3, 1)), embed[k] = uniform(0, 1), head[k] = uniform(0, 2);
      most[k] = (int64_t)gsl_rng_uniform_int(dice, 14);
      for (int j = 0; j < n; j++) {
        wire[k * n + j] = k == j ? 0 : exp(uniform(-5, 0));
        hop[k * n + j] = wire[k * n + j] + uniform(0, 1);
      }
    }
    celslm_layer_placement p = {n, layers, layer, embed, head, hop, wire, most};
    for (int throughput = 0; throughput < 2; throughput++) {
      double found = celslm_place_layers(&p, throughput, to),
             best = search(&p, throughput, any, 0, layers);
      if (isinf(best)) {
        ck_assert(isinf(found));
        impossible++;
        continue;
      }
      ck_assert_double_eq_tol(found, best, 1e-12);
      ck_assert_double_eq_tol(value_of(&p, throughput, to), best, 1e-12);
      int64_t sum = 0;
      for (int k = 0; k < n; k++) sum += to[k], left_out += to[k] == 0;
      ck_assert_int_eq(sum, layers);
    }
  }
  ck_assert_msg(impossible > 100 && left_out > 500, "%d, %d", impossible, left_out);
  gsl_rng_free(dice);
}
END_TEST

/* ---- a split model by hand ------------------------------------------------------------------- */

static const char form[] =
    "<scenario name=\"t\" seed=\"1\"><platform file=\"pair.xml\"/>"
    "<models><model file=\"models/big.xml\"/></models>"
    "<engines><engine name=\"e\" host=\"edge0\" model=\"big\" %s/></engines>"
    "<workload requests=\"%d\"><arrivals><poisson rate=\"%g/s\"/></arrivals>%s</workload>"
    "<strategy>%s</strategy></scenario>";

/* Each hand-over is an event, at a whole ns. */
static double ns(double seconds) {
  return round(seconds * 1e9) / 1e9;
}

/* Two of eight layers at the edge, six in the cloud: each token crosses the WAN and comes back. */
START_TEST(test_round_trip_of_every_token) {
  const int prompt = 333, output = 12;
  celslm_error err = {0};
  char *text = celslm_format(form, "pipeline=\"cloud\" stage_layers=\"2 6\"", 1, 1.0,
                             "<prompt><fixed tokens=\"333\"/></prompt>"
                             "<output><fixed tokens=\"12\"/></output>",
                             "<layer-split engine=\"e\"/>");
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  celslm_cost c; /* both hosts have the same profile */
  ck_assert(celslm_cost_init(&c, s->platform->hosts[s->engines[0].host].profile, &s->models[0],
                             CELSLM_F16, CELSLM_F16, NAN, NAN, &err));
  double layer = celslm_cost_layer(&c, prompt) + celslm_cost_prefill(&c, prompt, 0);
  double first = ns(c.step + c.sequence + celslm_cost_embed(&c, prompt) + 2 * layer) +
                 ns(0.0105 + prompt * 2048 / 125e6) + ns(6 * layer + celslm_cost_head(&c, 1)) +
                 ns(0.0105 + prompt * 4 / 125e6);
  double rest = 0;
  for (int i = 1; i < output; i++) {
    layer = celslm_cost_layer(&c, 1) + celslm_cost_decode_seconds(&c, 1, prompt + i, prompt + i);
    rest += ns(c.step + c.sequence + celslm_cost_embed(&c, 1) + 2 * layer) +
            ns(0.0105 + 2048 / 125e6) + ns(6 * layer + celslm_cost_head(&c, 1)) +
            ns(0.0105 + 4 / 125e6);
  }
  simulation sim = simulate_well(text, 0, false);
  const celslm_request_row *row = &sim.rows[0];
  double took = row->ttft - row->t_up - row->t_down;
  ck_assert_msg(fabs(took - first) <= 1e-9, "first %.10f, by hand %.10f", took, first);
  took = row->last_token - row->first_token;
  ck_assert_msg(fabs(took - rest) <= 1e-9, "rest %.10f, by hand %.10f", took, rest);
  ck_assert(row->user_bytes_to_cloud == 2048.0 * (prompt + output - 1));
  free(text), free(sim.rows);
  celslm_scenario_free(s);
}
END_TEST

static simulation run(const char *engine, const char *strategy) {
  char *text = celslm_format(form, engine, 200, 100.0,
                             "<prompt><lognormal mean=\"150\" cv=\"1\" max=\"900\"/></prompt>"
                             "<output><lognormal mean=\"40\" cv=\"1\" max=\"200\"/></output>",
                             strategy);
  simulation s = simulate_well(text, 0, false);
  free(text);
  return s;
}

/* For one token's latency a way of 21 ms does not pay on equal hosts: all layers stay at the first
 * host. For throughput they are spread. */
START_TEST(test_one_stage_is_the_edge_alone) {
  simulation edge = run("kv_blocks=\"90\"", "<edge-only/>"),
             one = run("kv_blocks=\"90\" pipeline=\"cloud\" placement=\"latency\"",
                       "<layer-split engine=\"e\"/>"),
             spread = run("kv_blocks=\"180\" pipeline=\"cloud\" placement=\"throughput\"",
                          "<layer-split engine=\"e\"/>");
  ck_assert_int_gt(edge.summary.preemptions, 0);
  ck_assert_uint_eq(edge.n, one.n);
  ck_assert(memcmp(edge.rows, one.rows, edge.n * sizeof *edge.rows) == 0);
  ck_assert_int_eq(spread.summary.completed, 200);
  for (size_t i = 0; i < spread.n; i++) {
    ck_assert(one.rows[i].user_bytes_to_cloud == 0);
    ck_assert(spread.rows[i].user_bytes_to_cloud ==
              2048.0 * (spread.rows[i].prompt_tokens + spread.rows[i].output_tokens - 1));
  }
  free(edge.rows), free(one.rows), free(spread.rows);
}
END_TEST

RUN_SUITE("layer_split", test_placement_is_the_best, test_round_trip_of_every_token,
          test_one_stage_is_the_edge_alone)
