/* correctness.h - which requests are hard, and which model answers which of them rightly.
 *
 * The model of item response theory with one factor (normal ogive: Lord and Novick, "Statistical
 * Theories of Mental Test Scores", 1968, chapter 16), a Gaussian copula of equal correlations. A
 * request has a difficulty T, a model with it the trouble X = sqrt(rho) T + sqrt(1 - rho) E, all
 * standard normal, and answers rightly if X < quantile(accuracy). So every model keeps its
 * accuracy, and any two are right together as often as rho says: rho = 0, what they know is
 * unrelated; 1, whatever the weaker knows the better one does. From the share that at least one of
 * two models answers rightly, which benchmarks of routers report as the oracle's, rho is found by
 * solving 1 - either = integral phi(t) P(X1 > q1 | t) P(X2 > q2 | t) dt. Two signals reach
 * strategies, as uniform numbers: a router's score before anybody has answered, Phi(score T +
 * sqrt(1 - score^2) W), and a model's doubt in its own answer, Phi(confidence X + sqrt(1 -
 * confidence^2) V).
 *
 * Drawn for each (session, turn) from a stream of its own: the same under every strategy. */
#ifndef CELSLM_LOAD_CORRECTNESS_H
#define CELSLM_LOAD_CORRECTNESS_H

#include "scenario/scenario.h"

typedef struct celslm_correctness celslm_correctness;
/* NULL and no error if the scenario declares none. */
celslm_correctness *celslm_correctness_new(const celslm_scenario *s);
void celslm_correctness_free(celslm_correctness *c); /* NULL is allowed */

typedef struct celslm_verdicts {
  double difficulty;                /* as a router sees it, 0..1 */
  bool right[CELSLM_MOST_JUDGED];   /* by model of the scenario */
  double doubt[CELSLM_MOST_JUDGED]; /* of each in its answer, 0..1 */
} celslm_verdicts;
celslm_verdicts celslm_correctness_of(const celslm_correctness *c, uint32_t session, uint32_t turn);

/* The correlation of two models' troubles that makes so many requests known to at least one. */
double celslm_correctness_correlation(double accuracy, double other, double either);

#endif
