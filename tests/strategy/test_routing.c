/* Routing between edge and cloud, against both ends alone. */
#include "choices.h"

START_TEST(test_all_to_one_end) {
  same_bits("", "<edge-only/>", "<routing policy=\"weighted\" edge_share=\"1\"/>");
  same_bits("", "<cloud-only/>", "<routing policy=\"weighted\" edge_share=\"0\"/>");
  same_bits(IANVS(""), "<edge-only prompt_cache=\"yes\"/>",
            "<routing policy=\"threshold\" threshold=\"1\" prompt_cache=\"yes\"/>");
  same_bits(IANVS(""), "<cloud-only prompt_cache=\"yes\"/>",
            "<routing policy=\"threshold\" threshold=\"0\" prompt_cache=\"yes\"/>");
}
END_TEST

/* Where nobody meets another, every policy gives each request to one end, and it fares there as if
 * all had gone there. Shares are what was asked for. */
START_TEST(test_each_as_at_its_end) {
  static const struct {
    const char *strategy;
    double share; /* of the edge; NaN: not known beforehand */
  } cases[] = {{"<routing policy=\"random\"/>", 0.5},
               {"<routing policy=\"weighted\" edge_share=\"0.8\"/>", 0.8},
               {"<routing policy=\"threshold\" threshold=\"0.3\"/>", 0.3},
               {"<routing policy=\"load-aware\"/>", 1}, /* both are idle: of equals the edge */
               {"<routing policy=\"predicted-latency\"/>", NAN},
               {"<routing policy=\"oracle\"/>", 0.876}};
  simulation edge = choices_run(IDLE, IANVS(""), "<edge-only/>"),
             cloud = choices_run(IDLE, IANVS(""), "<cloud-only/>");
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    simulation s = choices_run(IDLE, IANVS(""), cases[k].strategy);
    int at_edge = 0;
    double bytes = 0;
    for (size_t i = 0; i < s.n; i++) {
      bool here = s.rows[i].engine != 0;
      at_edge += here;
      ck_assert(memcmp(&s.rows[i], here ? &edge.rows[i] : &cloud.rows[i], sizeof *s.rows) == 0);
      if (!here) bytes += cloud.rows[i].user_bytes_to_cloud;
    }
    ck_assert_double_eq(s.summary.user_bytes_to_cloud, bytes);
    double p = cases[k].share, share = at_edge / (double)s.n;
    if (!isnan(p))
      ck_assert_msg(fabs(share - p) <= 4 * sqrt(p * (1 - p) / (double)s.n), "%s: %g",
                    cases[k].strategy, share);
    free(s.rows);
  }
  free(edge.rows), free(cloud.rows);
}
END_TEST

/* Takes the text and gives it back with the first `from` replaced. */
static char *put(char *text, const char *from, const char *to) {
  const char *at = strstr(text, from);
  char *more = celslm_format("%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  free(text);
  return more;
}

/* One model everywhere: the cloud's device is as fast as one edge's and faster than the other's,
 * which pays the way to it only for long answers. */
static simulation alike(const char *strategy) {
  char *text = choices_text(3, 200, IDLE, "", strategy);
  text = put(text, "model=\"big\"", "model=\"small\"");
  text =
      put(text, "<lognormal mean=\"20\" cv=\"1\" max=\"60\"/>", "<uniform min=\"1\" max=\"400\"/>");
  simulation s = simulate_well(text, 0, false);
  free(text);
  return s;
}

/* On an idle system a prediction is exact: each request goes where it is done first. */
START_TEST(test_prediction) {
  simulation edge = alike("<edge-only/>"), cloud = alike("<cloud-only/>"),
             best = alike("<routing policy=\"predicted-latency\"/>");
  int n[2] = {0};
  for (size_t i = 0; i < best.n; i++) {
    double least = fmin(edge.rows[i].e2e, cloud.rows[i].e2e);
    ck_assert_msg(best.rows[i].e2e <= least + 1e-9, "%zu: %.12f, %.12f, took %.12f", i,
                  edge.rows[i].e2e, cloud.rows[i].e2e, best.rows[i].e2e);
    n[best.rows[i].engine == 0]++;
  }
  ck_assert_msg(n[0] > 20 && n[1] > 20, "%d at the edge, %d in the cloud", n[0], n[1]);
  free(edge.rows), free(cloud.rows), free(best.rows);
}
END_TEST

/* An oracle is right whenever somebody is, and troubles the cloud only for what it alone knows. */
START_TEST(test_oracle) {
  simulation edge = choices_run(IDLE, IANVS(""), "<edge-only/>"),
             cloud = choices_run(IDLE, IANVS(""), "<cloud-only/>"),
             s = choices_run(IDLE, IANVS(""), "<routing policy=\"oracle\"/>");
  int right = 0;
  for (size_t i = 0; i < s.n; i++) {
    bool here = edge.rows[i].correct == CELSLM_RIGHT, there = cloud.rows[i].correct == CELSLM_RIGHT;
    ck_assert_int_eq(s.rows[i].correct, here || there ? CELSLM_RIGHT : CELSLM_WRONG);
    ck_assert_int_eq(s.rows[i].engine == 0, !here && there);
    right += here || there;
  }
  ck_assert_double_eq(s.summary.quality, right / (double)s.n);
  ck_assert(s.summary.quality > edge.summary.quality && s.summary.quality > cloud.summary.quality);
  free(edge.rows), free(cloud.rows), free(s.rows);
}
END_TEST

/* A router with a score beats one without that sends as many to the cloud; the better the score,
 * the more. Means over replications with 95 % intervals that do not overlap 0. */
START_TEST(test_score_is_worth_something) {
  enum { SEEDS = 8 };
  double gain[SEEDS];
  double mean = 0, square = 0;
  for (int seed = 0; seed < SEEDS; seed++) {
    double quality[2];
    for (int k = 0; k < 2; k++) {
      char *text = choices_text(seed + 1, 2000, "poisson rate=\"20/s\"",
                                "<correctness correlation=\"0.6\"><of model=\"big\" "
                                "accuracy=\"0.95\"/><of model=\"small\" accuracy=\"0.6\"/>"
                                "</correctness>",
                                k ? "<routing policy=\"threshold\" threshold=\"0.5\"/>"
                                  : "<routing policy=\"random\"/>");
      simulation s = simulate_well(text, 0, false);
      quality[k] = s.summary.quality;
      free(text), free(s.rows);
    }
    gain[seed] = quality[1] - quality[0];
    mean += gain[seed] / SEEDS;
  }
  for (int i = 0; i < SEEDS; i++) square += (gain[i] - mean) * (gain[i] - mean);
  double half = 2.365 * sqrt(square / (SEEDS - 1) / SEEDS); /* t(7) at 97.5 % */
  ck_assert_msg(mean - half > 0, "%g +- %g", mean, half);
}
END_TEST

START_TEST(test_bad_routing) {
  bad_input("", "<routing policy=\"oracle\"/>",
            "<routing> oracle needs to know whose answers are right; add <correctness> to the "
            "scenario");
  bad_input(IANVS(""), "<routing policy=\"threshold\"/>",
            "<routing> threshold belongs to policy=\"threshold\": give both or neither");
  bad_input(IANVS(""), "<routing policy=\"random\" edge_share=\"0.2\"/>",
            "<routing> edge_share belongs to policy=\"weighted\": give both or neither");
  bad_input("", "<routing policy=\"weighted\" edge_share=\"1.5\"/>",
            "<routing> edge_share \"1.5\": out of range");
  bad_input("<correctness correlation=\"0.5\" either=\"0.8\"><of model=\"big\" accuracy=\"0.5\"/>"
            "<of model=\"small\" accuracy=\"0.5\"/></correctness>",
            "<edge-only/>",
            "<correctness> has both or neither of correlation and either; give exactly one");
  bad_input(
      "<correctness either=\"0.5\"><of model=\"big\" accuracy=\"0.7\"/>"
      "<of model=\"small\" accuracy=\"0.5\"/></correctness>",
      "<edge-only/>",
      "<correctness> either \"0.5\" is out of range; with these accuracies it is at least 0.7 "
      "(whatever one knows the better one does) and at most 0.85");
  bad_input("<correctness correlation=\"0.5\"><of model=\"big\" accuracy=\"0.7\"/></correctness>",
            "<edge-only/>",
            "<correctness> says nothing of small, which engine \"e\" serves; add an <of>");
  bad_input("<correctness correlation=\"0.5\"><of model=\"huge\" accuracy=\"0.7\"/></correctness>",
            "<edge-only/>", "<of> model \"huge\" is not listed in <models>; give one of them");
}
END_TEST

RUN_SUITE("routing", test_all_to_one_end, test_each_as_at_its_end, test_prediction, test_oracle,
          test_score_is_worth_something, test_bad_routing)
