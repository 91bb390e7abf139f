/* Contexts recomputed by each request, or kept at the node that computed them (RelayAttention's
 * middle curve), by hand on an idle system; and what prefilling in the cloud uploads. */
#include "choices.h"
#include "cost/cost.h"

static simulation run(const char *strategy) {
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"2\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"c\" host=\"cloud\" model=\"small\" context_memory=\"1GiB\"/>"
      "<engine name=\"e\" host=\"edge0\" model=\"small\" context_memory=\"1GiB\"/></engines>"
      "<contexts><context name=\"d\" tokens=\"700\"/></contexts>"
      "<workload requests=\"40\"><arrivals><" IDLE "/></arrivals>"
      "<prompt><uniform min=\"1\" max=\"900\"/></prompt><output><uniform min=\"2\" max=\"9\"/>"
      "</output><popularity><uniform/></popularity></workload>"
      "<strategy>%s</strategy></scenario>",
      strategy);
  simulation s = simulate_well(text, 0, false);
  ck_assert_int_eq(s.summary.completed, 40);
  free(text);
  return s;
}

START_TEST(test_by_hand) {
  celslm_error err = {0};
  char *text = choices_text(1, 1, IDLE, "", "<edge-only/>");
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  celslm_cost cost;
  ck_assert(celslm_cost_init(&cost, s->platform->hosts[s->engines[1].host].profile,
                             &s->models[s->engines[1].model], CELSLM_F16, CELSLM_F16, NAN, NAN,
                             &err));
  simulation plain = run("<edge-only/>"), kept = run("<edge-only prompt_cache=\"yes\"/>");
  for (size_t i = 0; i < plain.n; i++) {
    double prompt = plain.rows[i].prompt_tokens,
           whole = celslm_cost_prefill_pass(&cost, prompt + 700, 0),
           rest = celslm_cost_prefill_pass(&cost, prompt, 700);
    ck_assert_double_eq_tol(plain.rows[i].t_edge, whole, 1e-9);
    ck_assert_int_eq(plain.rows[i].context_source, CELSLM_CONTEXT_RECOMPUTED);
    ck_assert_double_eq(plain.rows[i].user_bytes_to_cloud + kept.rows[i].user_bytes_to_cloud, 0);
    if (i == 0) continue; /* computes the context first */
    ck_assert_double_eq_tol(kept.rows[i].t_edge, rest, 1e-9);
    ck_assert_int_eq(kept.rows[i].context_source, CELSLM_CONTEXT_HIT);
  }
  ck_assert_double_eq(kept.summary.kv_bytes, 0);
  free(plain.rows), free(kept.rows), free(text);
  celslm_scenario_free(s);
}
END_TEST

/* A prompt that is prefilled in the cloud goes there as one that is served there: the same bytes,
 * the first token at the same time. */
START_TEST(test_prefill_in_the_cloud) {
  static const char *const ways[] = {"<disaggregated prefill=\"c\"/>",
                                     "<disaggregated prefill=\"c\" transfer=\"whole\"/>"};
  simulation cloud = run("<cloud-only/>");
  for (int k = 0; k < 2; k++) {
    simulation s = run(ways[k]);
    for (size_t i = 0; i < s.n; i++) {
      ck_assert(s.rows[i].first_token == cloud.rows[i].first_token);
      ck_assert_double_gt(s.rows[i].user_bytes_to_cloud, 0);
      ck_assert_double_eq(s.rows[i].user_bytes_to_cloud, cloud.rows[i].user_bytes_to_cloud);
      /* f16 keys and values of the whole prompt come back */
      ck_assert_double_gt(s.rows[i].kv_bytes, 0);
    }
    free(s.rows);
  }
  free(cloud.rows);
}
END_TEST

RUN_SUITE("prompt_cache", test_by_hand, test_prefill_in_the_cloud)
