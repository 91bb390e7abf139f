/* Prefill and decode on two engines, against sums of costs done by hand and against one engine that
 * does both. */
#include "../support.h"
#include "cost/cost.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static const char form[] =
    "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/>"
    "<models><model file=\"models/small.xml\"/></models>"
    "<engines><engine name=\"c\" host=\"cloud\" model=\"small\" %s/>"
    "<engine name=\"e\" host=\"edge0\" model=\"small\" %s/>"
    "<engine name=\"f\" host=\"edge1\" model=\"small\" weights=\"f16\" %s/></engines>"
    "<workload requests=\"%d\"><arrivals><poisson rate=\"%g/s\"/></arrivals>%s</workload>"
    "<strategy>%s</strategy></scenario>";

static char *idle(int prompt, int output, const char *strategy) {
  char *lengths = celslm_format("<prompt><fixed tokens=\"%d\"/></prompt>"
                                "<output><fixed tokens=\"%d\"/></output>",
                                prompt, output);
  char *text = celslm_format(form, 1, "", "", "", 1, 1.0, lengths, strategy);
  free(lengths);
  return text;
}

static double step_of(const celslm_cost *c, double kv) {
  celslm_decode_cost d = celslm_cost_decode(c, 1, 0);
  double layers = (double)c->shape.model->layers, tokens = kv + 1;
  return c->step + c->sequence + celslm_cost_embed(c, 1) + celslm_cost_head(c, 1) +
         layers * (celslm_cost_layer(c, 1) + fmax(d.compute + d.flop_slope * tokens,
                                                  d.memory + d.byte_slope * (tokens - d.from)));
}

/* One request in an idle system: from the first token at the prefill engine to the last one at the
 * decode engine pass the KV transfer (by layers: each begins when its layer is computed and the one
 * before has left) and the decode steps. */
START_TEST(test_idle_system_by_hand) {
  const int prompts[] = {16, 333, 2000}, output = 40;
  for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++)
    for (int layers = 0; layers < 2; layers++) {
      celslm_error err = {0};
      char *text = idle(prompts[i], output,
                        layers ? "<disaggregated prefill=\"c\" decode=\"e\"/>"
                               : "<disaggregated prefill=\"c\" decode=\"e\" transfer=\"whole\"/>");
      celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
      ck_assert_msg(s != NULL, "%s", err.text);
      celslm_cost cost;
      ck_assert(celslm_cost_init(&cost, s->platform->hosts[s->engines[0].host].profile,
                                 &s->models[0], CELSLM_F16, CELSLM_F16, NAN, NAN, &err));
      double prefill = celslm_cost_prefill_pass(&cost, prompts[i], 0), latency = 0.0105;
      int64_t n = s->models[0].layers;
      double load =
          2.0 * 2 * 8 * 64 * prompts[i] / 125e6; /* f16 K and V of 8 heads of 64, 1 Gb/s */
      double left = 0;
      for (int64_t l = 1; l <= n; l++)
        left = fmax(left, layers ? prefill * (double)l / (double)n : prefill) + load;
      double decode = 0;
      for (int k = 0; k < output - 1; k++) decode += step_of(&cost, prompts[i] + k);
      double between = left - prefill + latency + decode;
      simulation sim = simulate_well(text, 0, false);
      const celslm_request_row *row = &sim.rows[0];
      ck_assert_int_eq(sim.summary.completed, 1);
      /* the first token crosses the WAN from the cloud, the last one comes from the user's edge or
       * over the metro ring: take both from the ledger's times */
      double first = row->queued + prefill;
      double down = row->first_token - first;
      ck_assert_msg(fabs(row->t_cloud - prefill) < 1e-9, "prefill %.12f, by hand %.12f",
                    row->t_cloud, prefill);
      ck_assert(down >= 0 && down < 0.0111);
      double last = first + between, at = row->last_token - last;
      ck_assert_msg(at > -1e-8 && at < 0.0011, "%d tokens, %s: last %.9f, by hand %.9f + %.9f",
                    prompts[i], layers ? "layers" : "whole", row->last_token, last, at);
      ck_assert(row->user_bytes_to_cloud > 0);
      ck_assert(sim.summary.kv_waiting_peak ==
                row->kv_bytes); /* all came before there was a block */
      ck_assert(row->kv_bytes == 2.0 * 2 * 8 * 64 * prompts[i] * (double)n);
      free(sim.rows), free(text);
      celslm_scenario_free(s);
    }
}
END_TEST

/* Nothing overlaps one request alone, so an engine that hands over to itself is one that does not.
 */
START_TEST(test_to_itself_is_cloud_only) {
  char *one = idle(700, 50, "<cloud-only/>"),
       *two = idle(700, 50, "<disaggregated prefill=\"c\" decode=\"c\" transfer=\"whole\"/>");
  simulation a = simulate_well(one, 0, false), b = simulate_well(two, 0, false);
  ck_assert_int_eq(a.summary.completed, 1);
  ck_assert_int_eq(b.summary.completed, 1);
  ck_assert(a.rows[0].first_token == b.rows[0].first_token);
  ck_assert(a.rows[0].last_token == b.rows[0].last_token);
  ck_assert(a.rows[0].itl_max == b.rows[0].itl_max);
  free(one), free(two), free(a.rows), free(b.rows);
}
END_TEST

/* The decode engine has one place, and memory for one and a half requests' KV. At A the first one
 * has arrived there and decodes for 10 steps of 500 ms; the second waits for it there, and the
 * third stays in the blocks of the prefill engine, which has them for one prompt: the fourth can
 * begin when the second has its place and the third has left. */
START_TEST(test_bounded_by_hand) {
  const double kv = 2.0 * 2 * 8 * 64 * 4 * 1000, load = kv / 125e6, latency = 0.0105;
  for (int bounded = 0; bounded < 2; bounded++) {
    char *text = celslm_format(
        "<scenario name=\"t\" seed=\"1\"><platform file=\"pair.xml\"/>"
        "<models><model file=\"models/small.xml\"/></models>"
        "<engines><engine name=\"c\" host=\"cloud\" model=\"small\" fixed_iteration=\"10ms\" "
        "kv_blocks=\"63\" block_size=\"16\"/>"
        "<engine name=\"e\" host=\"edge0\" model=\"small\" fixed_iteration=\"500ms\" "
        "max_num_seqs=\"1\"/></engines>"
        "<workload requests=\"4\"><arrivals><deterministic interval=\"1s\"/></arrivals>"
        "<prompt><fixed tokens=\"1000\"/></prompt><output><fixed tokens=\"11\"/></output>"
        "</workload><strategy><disaggregated prefill=\"c\" decode=\"e\" transfer=\"whole\"%s/>"
        "</strategy></scenario>",
        bounded ? " kv_buffer=\"12288kB\"" : "");
    simulation sim = simulate_well(text, 0, false);
    ck_assert_int_eq(sim.summary.completed, 4);
    const celslm_request_row *rows[4];
    for (int i = 0; i < 4; i++) rows[sim.rows[i].id] = &sim.rows[i];
    double first = rows[0]->first_token, last = rows[0]->last_token;
    for (int i = 1; i < 3; i++) ck_assert(fabs(rows[i]->first_token - first - i) < 2e-9);
    double fourth = bounded ? load + latency + 5 + load + 0.01 : 3;
    ck_assert_msg(fabs(rows[3]->first_token - first - fourth) < 2e-9, "%.10f, by hand %.10f",
                  rows[3]->first_token - first, fourth);
    for (int i = 1; i < 4; i++) ck_assert(fabs(rows[i]->last_token - last - 5 * i) < 2e-9);
    ck_assert(sim.summary.kv_waiting_peak == (bounded ? 1 : 3) * kv);
    free(sim.rows), free(text);
  }
}
END_TEST

/* Who needs more than all of the memory is turned away, who needs all of it is not. */
START_TEST(test_larger_than_the_buffer) {
  for (int fits = 0; fits < 2; fits++) {
    char *strategy = celslm_format("<disaggregated prefill=\"c\" decode=\"e\" kv_buffer=\"%dB\"/>",
                                   2 * 2 * 8 * 64 * 4 * 333 - !fits);
    char *text = idle(333, 40, strategy);
    simulation sim = simulate_well(text, 0, false);
    ck_assert_int_eq(sim.summary.completed, fits);
    ck_assert_int_eq(sim.summary.rejected, !fits);
    ck_assert(sim.summary.kv_waiting_peak == (fits ? sim.rows[0].kv_bytes : 0));
    free(sim.rows), free(text), free(strategy);
  }
}
END_TEST

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}

START_TEST(test_stepping_and_jumping) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t preemptions = 0, completed = 0, full = 0;
  for (int i = 0; i < 60; i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    char *engine = celslm_format("kv_blocks=\"%d\" max_num_seqs=\"%d\" "
                                 "max_num_batched_tokens=\"%d\" prefix_caching=\"%s\"",
                                 any(30, 200), any(2, 32), any(32, 600), any(0, 1) ? "yes" : "no");
    const char *prefill = any(0, 1) ? "c" : "c f", *decode = any(0, 1) ? "e" : "e c";
    int most = i % 2 ? any(4, 30) : 0; /* MB */
    char *buffer = celslm_format(most ? " kv_buffer=\"%dMB\"" : "", most);
    char *strategy = celslm_format(
        "<disaggregated prefill=\"%s\" decode=\"%s\" transfer=\"%s\" select=\"%s\" "
        "codec=\"%s\"%s/>",
        prefill, most ? "e" : decode, any(0, 1) ? "whole" : "layers",
        any(0, 1) ? "least-loaded" : "round-robin", any(0, 1) ? "f16" : "int4", buffer);
    char *text = celslm_format(form, i, engine, engine, engine, any(20, 150), any(2, 400) * 1.0,
                               "<prompt><lognormal mean=\"200\" cv=\"1\" max=\"1000\"/></prompt>"
                               "<output><lognormal mean=\"60\" cv=\"1\" max=\"400\"/></output>",
                               strategy);
    simulation a = simulate_well(text, 0, false), b = simulate_well(text, 0, true);
    ck_assert_uint_eq(a.n, b.n);
    ck_assert_msg(memcmp(a.rows, b.rows, a.n * sizeof *a.rows) == 0, "load %d differs", i);
    ck_assert(a.summary.kv_waiting_peak == b.summary.kv_waiting_peak);
    double sent = 0, largest = 0;
    for (size_t r = 0; r < a.n; r++) {
      sent += a.rows[r].kv_bytes;
      largest = fmax(largest, a.rows[r].kv_bytes);
    }
    ck_assert(a.summary.kv_waiting_peak >= largest && a.summary.kv_waiting_peak <= sent);
    if (most) ck_assert(a.summary.kv_waiting_peak <= most * 1e6);
    full += most && a.summary.kv_waiting_peak > 0.8e6 * most;
    preemptions += a.summary.preemptions;
    completed += a.summary.completed;
    free(engine), free(strategy), free(buffer), free(text), free(a.rows), free(b.rows);
  }
  ck_assert_msg(preemptions > 100 && completed > 1000, "%lld preemptions, %lld completed",
                (long long)preemptions, (long long)completed);
  ck_assert_msg(full >= 12, "full in %lld loads", (long long)full);
  gsl_rng_free(dice);
}
END_TEST

RUN_SUITE("disaggregated", test_idle_system_by_hand, test_to_itself_is_cloud_only,
          test_bounded_by_hand, test_larger_than_the_buffer, test_stepping_and_jumping)
