/* design.h - a sweep as numbered points.
 *
 * Axes that are not zipped cross; each group of zipped ones is one dimension. A point is one place
 * in the grid with one replication; points are numbered from 0 with the replication running
 * fastest, then the last dimension. Replication r has the scenario's seed + r at every place and
 * for every strategy: what differs between two points of a replication is what the axes change
 * (common random numbers; A. M. Law, "Simulation Modeling and Analysis", section 11.2). */
#ifndef CELSLM_STUDY_DESIGN_H
#define CELSLM_STUDY_DESIGN_H

#include "scenario/scenario.h"
#include "study/axis.h"

typedef struct celslm_design {
  celslm_axis *axes;
  int *dimension_of; /* each axis */
  int n_axes;
  int64_t *lengths; /* of the dimensions; 0 dimensions: one place */
  int n_dimensions;
  int64_t replications, points;
  double *places; /* of trajectories or samples, see morris.h and sobol.h; NULL: a grid */
  uint64_t seed; /* of replication 0 */
} celslm_design;

typedef struct celslm_design_options {
  const char *const *axes; /* from the command line, see celslm_axis_parse; beside the scenario's */
  int n_axes;
  int64_t replications; /* 0: the scenario's */
  int64_t trajectories; /* not a grid but so many trajectories, see morris.h; 0: a grid */
  int64_t samples;      /* or so many pairs of samples, see sobol.h; 0: no */
} celslm_design_options;

celslm_design *celslm_design_new(const celslm_scenario *s, const celslm_design_options *o,
                                 celslm_error *err);
void celslm_design_free(celslm_design *p);

int64_t celslm_design_replication(const celslm_design *p, int64_t point);
uint64_t celslm_design_seed(const celslm_design *p, int64_t point);
/* Which value of the axis the point has. */
int celslm_design_index(const celslm_design *p, int64_t point, int axis);
/* "XPath=value" for every axis, for celslm_scenario_options. Free with celslm_design_free_set. */
char **celslm_design_set(const celslm_design *p, int64_t point);
void celslm_design_free_set(const celslm_design *p, char **set);
/* "rate=2/s bandwidth=1Gbps seed=3": a point for people. Free with free(). */
char *celslm_design_label(const celslm_design *p, int64_t point);

#endif
