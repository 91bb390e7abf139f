/* plan.h - which operations `celslm calibrate` times.
 *
 * The shapes of the models' own layers, and Sobol points over the logs of the sizes, so that the
 * fit sees every region evenly (I. M. Sobol, "On the distribution of points in a cube and the
 * approximate evaluation of integrals", 1967). */
#ifndef CELSLM_COST_PLAN_H
#define CELSLM_COST_PLAN_H

#include "cost/measure.h"
#include "scenario/model.h"

typedef struct celslm_plan {
  celslm_point *points; /* by kind, then by rows: neighbours use different operands */
  int n;
} celslm_plan;

typedef struct celslm_plan_options {
  const celslm_model *models;
  int n_models;
  bool quick;
  double peak, bandwidth; /* of the machine, to leave out what would take longer than */
  double longest;         /* s */
} celslm_plan_options;

celslm_plan celslm_plan_make(const celslm_plan_options *options);
void celslm_plan_free(celslm_plan *plan);

#endif
