/* Whose answers are right: draws against what was declared, and the correlation against closed
 * forms. */
#include "../support.h"
#include "load/correctness.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_statistics.h>
#include <math.h>

/* Of two models that are right half of the time both are wrong with probability
 * 1/4 + asin(rho) / (2 pi) (Sheppard 1899). */
START_TEST(test_correlation_by_hand) {
  for (int i = 0; i <= 20; i++) {
    double rho = i / 20.0, wrong = 0.25 + asin(rho) / (2 * M_PI);
    double found = celslm_correctness_correlation(0.5, 0.5, 1 - wrong);
    ck_assert_msg(fabs(found - rho) < (i < 20 ? 1e-8 : 2e-6), "%.12f, by hand %.12f", found, rho);
  }
  /* unrelated, and contained in each other */
  ck_assert_double_eq_tol(celslm_correctness_correlation(0.7, 0.6, 1 - 0.3 * 0.4), 0, 1e-7);
  ck_assert_double_eq_tol(celslm_correctness_correlation(0.7, 0.6, 0.7), 1, 1e-2);
}
END_TEST

static celslm_scenario *scenario(const char *correctness) {
  celslm_error err = {0};
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"5\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"c\" host=\"cloud\" model=\"big\"/>"
      "<engine name=\"e\" host=\"edge0\" model=\"small\"/></engines>"
      "<workload requests=\"1\"><arrivals><poisson rate=\"1/s\"/></arrivals>"
      "<prompt><fixed tokens=\"1\"/></prompt><output><fixed tokens=\"1\"/></output></workload>%s"
      "<strategy><edge-only/></strategy></scenario>",
      correctness);
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  free(text);
  return s;
}

/* Within five standard deviations of a binomial share. */
static void near(const char *what, double share, double expected, int n) {
  double sigma = sqrt(expected * (1 - expected) / n);
  ck_assert_msg(fabs(share - expected) < 5 * sigma, "%s: %g, expected %g +- %g", what, share,
                expected, sigma);
}

/* KubeEdge-Ianvs on MMLU: the cloud's model is right in 75.99 %, the edge's in 71.84 %, an oracle
 * in 84.22 % with 87.6 % of the requests at the edge, a number that the declaration does not hold.
 */
START_TEST(test_published_rows) {
  enum { N = 100000 };
  celslm_scenario *s = scenario("<correctness either=\"0.8422\" score=\"0.6\" confidence=\"0.5\">"
                                "<of model=\"big\" accuracy=\"0.7599\"/>"
                                "<of model=\"small\" accuracy=\"0.7184\"/></correctness>");
  celslm_correctness *c = celslm_correctness_new(s);
  double rho = celslm_correctness_correlation(0.7599, 0.7184, 0.8422);
  ck_assert(rho > 0.5 && rho < 0.9);
  int right[2] = {0}, either = 0, edge = 0, below = 0, low_right = 0, doubted = 0,
      doubted_right = 0;
  for (int i = 0; i < N; i++) {
    celslm_verdicts v = celslm_correctness_of(c, (uint32_t)i, 0);
    for (int m = 0; m < 2; m++) right[m] += v.right[m];
    either += v.right[0] || v.right[1];
    edge += v.right[1] || !v.right[0];
    below += v.difficulty < 0.3;
    low_right += v.difficulty < 0.3 && v.right[1];
    doubted += v.doubt[1] > 0.7;
    doubted_right += v.doubt[1] > 0.7 && v.right[1];
  }
  near("cloud", right[0] / (double)N, 0.7599, N);
  near("edge", right[1] / (double)N, 0.7184, N);
  near("oracle", either / (double)N, 0.8422, N);
  near("oracle at the edge", edge / (double)N, 0.876, N);
  near("scores below 0.3", below / (double)N, 0.3, N);
  near("doubts above 0.7", doubted / (double)N, 0.3, N);
  /* both signals tell something */
  ck_assert(low_right / (double)below > 0.7184 + 0.05);
  ck_assert(doubted_right / (double)doubted < 0.7184 - 0.05);
  celslm_correctness_free(c);
  celslm_scenario_free(s);
}
END_TEST

/* A doubt with confidence 1 is the trouble itself; a score's correlation with it is
 * score x sqrt(rho). And what is drawn for a turn depends on nothing but it. */
START_TEST(test_signals) {
  enum { N = 50000 };
  celslm_scenario *s = scenario("<correctness correlation=\"0.49\" score=\"0.6\">"
                                "<of model=\"big\" accuracy=\"1\"/>"
                                "<of model=\"small\" accuracy=\"0.4\"/></correctness>");
  celslm_correctness *c = celslm_correctness_new(s);
  double *score = malloc(sizeof *score * N), *trouble = malloc(sizeof *trouble * N),
         *other = malloc(sizeof *other * N);
  for (int i = 0; i < N; i++) {
    celslm_verdicts v = celslm_correctness_of(c, 7, (uint32_t)i),
                    again = celslm_correctness_of(c, 7, (uint32_t)i);
    ck_assert(v.right[0]);
    ck_assert(v.right[1] == (v.doubt[1] < 0.4));
    ck_assert(v.difficulty == again.difficulty && v.doubt[1] == again.doubt[1]);
    score[i] = gsl_cdf_ugaussian_Pinv(v.difficulty);
    trouble[i] = gsl_cdf_ugaussian_Pinv(v.doubt[1]);
    other[i] = gsl_cdf_ugaussian_Pinv(v.doubt[0]);
  }
  /* the standard error of a correlation is (1 - r^2) / sqrt(N) */
  ck_assert_double_eq_tol(gsl_stats_correlation(score, 1, trouble, 1, N), 0.6 * 0.7, 5 / sqrt(N));
  ck_assert_double_eq_tol(gsl_stats_correlation(trouble, 1, other, 1, N), 0.49, 5 / sqrt(N));
  free(score), free(trouble), free(other);
  celslm_correctness_free(c);
  celslm_scenario_free(s);
}
END_TEST

RUN_SUITE("correctness", test_correlation_by_hand, test_published_rows, test_signals)
