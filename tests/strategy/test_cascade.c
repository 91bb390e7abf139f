/* A cascade, against both of its ends alone. */
#include "choices.h"

START_TEST(test_nothing_escalated) {
  same_bits(IANVS("confidence=\"0.5\""), "<edge-only/>", "<cascade threshold=\"1\"/>");
  same_bits(IANVS(""), "<edge-only prompt_cache=\"yes\"/>",
            "<cascade threshold=\"1\" prompt_cache=\"yes\"/>");
}
END_TEST

/* Held back, an answer that stands is there when its last token was; the first comes with it. */
START_TEST(test_held_back) {
  simulation edge = choices_run(BUSY, IANVS(""), "<edge-only/>"),
             held = choices_run(BUSY, IANVS(""), "<cascade threshold=\"1\" hold=\"yes\"/>");
  for (size_t i = 0; i < edge.n; i++) {
    ck_assert_uint_eq(edge.rows[i].id, held.rows[i].id);
    ck_assert(edge.rows[i].last_token == held.rows[i].last_token);
    ck_assert(held.rows[i].first_token == held.rows[i].last_token);
  }
  free(edge.rows), free(held.rows);
}
END_TEST

/* The user sits at the edge's host, so that going on from there to the cloud takes what going from
 * the user to the cloud takes: an escalated request lasts as long as at the edge and in the cloud
 * together, any other as long as at the edge. The mean is edge + p x cloud with the requests that
 * were escalated, whose share is 1 - threshold. */
static void by_hand(double threshold, bool hold) {
  char *way =
      celslm_format("<cascade threshold=\"%g\" hold=\"%s\"/>", threshold, hold ? "yes" : "no");
  simulation edge = choices_run(IDLE, IANVS("confidence=\"0.7\""), "<edge-only/>"),
             cloud = choices_run(IDLE, IANVS("confidence=\"0.7\""), "<cloud-only/>"),
             s = choices_run(IDLE, IANVS("confidence=\"0.7\""), way);
  int escalated = 0;
  double bytes = 0, mean = 0;
  for (size_t i = 0; i < s.n; i++) {
    const celslm_request_row *q = &s.rows[i], *a = &edge.rows[i], *b = &cloud.rows[i];
    bool there = q->engine == 0;
    escalated += there;
    double e2e = a->e2e + (there ? b->e2e : 0);
    double ttft = there ? a->e2e + b->ttft : hold ? a->e2e : a->ttft;
    ck_assert_msg(fabs(q->e2e - e2e) < 1e-9, "%.12f, by hand %.12f", q->e2e, e2e);
    ck_assert_msg(fabs(q->ttft - ttft) < 1e-9, "%.12f, by hand %.12f", q->ttft, ttft);
    double sum = q->t_up + q->t_wait + q->t_cloud + q->t_comm + q->t_edge - q->t_hidden + q->t_down;
    ck_assert_double_eq_tol(sum, q->ttft, 1e-9);
    if (there) {
      ck_assert_double_eq_tol(q->t_edge, a->e2e, 1e-9); /* of which nothing is waiting */
      ck_assert_double_eq_tol(q->t_cloud, b->t_cloud, 1e-9);
      ck_assert_double_eq_tol(q->t_up, b->t_up, 1e-9);
      bytes += b->user_bytes_to_cloud;
    }
    ck_assert_int_eq(q->correct, there ? b->correct : a->correct);
    mean += e2e / (double)s.n;
  }
  double p = 1 - threshold;
  ck_assert(fabs(escalated / (double)s.n - p) <= 4 * sqrt(p * (1 - p) / (double)s.n));
  ck_assert_double_eq_tol(s.summary.e2e_mean, mean, 1e-9);
  ck_assert_double_eq(s.summary.user_bytes_to_cloud, bytes);
  free(edge.rows), free(cloud.rows), free(s.rows), free(way);
}

START_TEST(test_idle_system_by_hand) {
  by_hand(0.7, false);
  by_hand(0.4, true);
  by_hand(0, false);
}
END_TEST

/* A model that knows when it is wrong: the cascade is as good as an oracle. */
START_TEST(test_perfect_confidence) {
  simulation oracle = choices_run(IDLE, IANVS(""), "<routing policy=\"oracle\"/>"),
             s = choices_run(IDLE, IANVS(""), "<cascade threshold=\"0.7184\"/>");
  for (size_t i = 0; i < s.n; i++) ck_assert_int_eq(s.rows[i].correct, oracle.rows[i].correct);
  ck_assert_double_eq(s.summary.quality, oracle.summary.quality);
  free(oracle.rows), free(s.rows);
}
END_TEST

START_TEST(test_bad_cascades) {
  bad_input("", "<cascade threshold=\"0.5\"/>",
            "<cascade> with its test of confidence needs to know whose answers are right; add "
            "<correctness> to the scenario");
  bad_input(IANVS(""), "<cascade threshold=\"-0.1\"/>", "<cascade> threshold \"-0.1\"");
  bad_input(IANVS("confidence=\"2\""), "<cascade threshold=\"0.5\"/>",
            "<correctness> confidence \"2\": out of range");
}
END_TEST

RUN_SUITE("cascade", test_nothing_escalated, test_held_back, test_idle_system_by_hand,
          test_perfect_confidence, test_bad_cascades)
