#include "load/correctness.h"

#include "base/rng.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_integration.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_roots.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct celslm_correctness {
  const celslm_scenario *scenario;
  double common, own;  /* sqrt(rho), sqrt(1 - rho) */
  double seen, unseen; /* of the score */
  double felt, unfelt; /* of the doubt */
  double *limit;       /* by model: trouble below which it is right; NaN: not declared */
};

/* ---- the correlation of two models ----------------------------------------------------------- */

typedef struct pair {
  double limit[2], rho, neither;
  gsl_integration_workspace *space;
} pair;

/* The density of a difficulty at which both are wrong. */
static double both_wrong(double t, void *p_) {
  const pair *p = p_;
  double density = gsl_ran_ugaussian_pdf(t);
  for (int k = 0; k < 2; k++)
    density *= gsl_cdf_ugaussian_Q((p->limit[k] - sqrt(p->rho) * t) / sqrt(1 - p->rho));
  return density;
}

static double excess(double rho, void *p_) {
  pair *p = p_;
  double value, error;
  p->rho = rho;
  gsl_function f = {both_wrong, p};
  gsl_integration_qagi(&f, 1e-12, 1e-10, 1000, p->space, &value, &error);
  return value - p->neither;
}

double celslm_correctness_correlation(double accuracy, double other, double either) {
  const double closest = 1 - 1e-6; /* beyond it the integrand is a step */
  pair p = {.limit = {gsl_cdf_ugaussian_Pinv(accuracy), gsl_cdf_ugaussian_Pinv(other)},
            .neither = 1 - either,
            .space = gsl_integration_workspace_alloc(1000)};
  double rho;
  if (excess(0, &p) >= 0)
    rho = 0;
  else if (excess(closest, &p) <= 0)
    rho = 1;
  else {
    gsl_root_fsolver *solver = gsl_root_fsolver_alloc(gsl_root_fsolver_brent);
    gsl_function f = {excess, &p};
    gsl_root_fsolver_set(solver, &f, 0, closest);
    int status = GSL_CONTINUE;
    for (int i = 0; i < 200 && status == GSL_CONTINUE; i++) {
      gsl_root_fsolver_iterate(solver);
      status = gsl_root_test_interval(gsl_root_fsolver_x_lower(solver),
                                      gsl_root_fsolver_x_upper(solver), 1e-13, 0);
    }
    rho = gsl_root_fsolver_root(solver);
    gsl_root_fsolver_free(solver);
  }
  gsl_integration_workspace_free(p.space);
  return rho;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static double correlation_of(const celslm_scenario *s) {
  const celslm_correctness_config *c = &s->correctness;
  double accuracy[2];
  int n = 0;
  if (!isnan(c->correlation)) return c->correlation;
  for (int m = 0; m < s->n_models && n < 2; m++)
    if (!isnan(c->accuracy[m])) accuracy[n++] = c->accuracy[m];
  return celslm_correctness_correlation(accuracy[0], accuracy[1], c->either);
}

celslm_correctness *celslm_correctness_new(const celslm_scenario *s) {
  const celslm_correctness_config *config = &s->correctness;
  if (!config->accuracy) return NULL;
  celslm_correctness *c = celslm_alloc(1, sizeof *c);
  double rho = correlation_of(s);
  *c = (celslm_correctness){.scenario = s,
                            .common = sqrt(rho),
                            .own = sqrt(1 - rho),
                            .seen = config->score,
                            .unseen = sqrt(1 - config->score * config->score),
                            .felt = config->confidence,
                            .unfelt = sqrt(1 - config->confidence * config->confidence)};
  c->limit = celslm_alloc((unsigned long)s->n_models, sizeof *c->limit);
  for (int m = 0; m < s->n_models; m++)
    c->limit[m] = isnan(config->accuracy[m]) ? NAN : gsl_cdf_ugaussian_Pinv(config->accuracy[m]);
  return c;
}

void celslm_correctness_free(celslm_correctness *c) {
  if (!c) return;
  free(c->limit);
  free(c);
}

celslm_verdicts celslm_correctness_of(const celslm_correctness *c, uint32_t session,
                                      uint32_t turn) {
  celslm_verdicts v;
  char name[64];
  snprintf(name, sizeof name, "correctness %u.%u", session, turn);
  gsl_rng *r = celslm_rng_small(c->scenario->seed, name);
  double t = gsl_ran_ugaussian(r);
  v.difficulty = gsl_cdf_ugaussian_P(c->seen * t + c->unseen * gsl_ran_ugaussian(r));
  for (int m = 0; m < c->scenario->n_models; m++) {
    double trouble = c->common * t + c->own * gsl_ran_ugaussian(r);
    v.right[m] = trouble < c->limit[m];
    v.doubt[m] = gsl_cdf_ugaussian_P(c->felt * trouble + c->unfelt * gsl_ran_ugaussian(r));
  }
  gsl_rng_free(r);
  return v;
}
