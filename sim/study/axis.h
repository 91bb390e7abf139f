/* axis.h - one parameter of a sweep and its values.
 *
 * Values are text, as they will stand in the attribute; where all of them are quantities of one
 * kind they are also numbers in SI units, for tables and plots. Between whole numbers without a
 * unit ("1 64") lie whole numbers, between "1.0 64.0" all of them. */
#ifndef CELSLM_STUDY_AXIS_H
#define CELSLM_STUDY_AXIS_H

#include "scenario/element.h"

typedef struct celslm_axis {
  char *name;   /* in tables and figures */
  char *select; /* XPath; with "platform:" before it, of the platform */
  char *zip;    /* axes of one group advance together; NULL: alone */
  bool whole;   /* whole numbers only */
  bool logarithmic;
  bool sobol; /* its values are those of celslm_axes_fill_sobol */
  int n;
  char **texts;
  double *values;    /* SI; NULL: not quantities of one kind */
  const char *units; /* of values: "s", "B/s", "1" ...; "" without values */
} celslm_axis;

/* From an <axis> of a scenario. */
bool celslm_axis_read(celslm_axis *a, const celslm_element *e, celslm_error *err);
/* From the command line: "XPATH=V1 V2 ...", "XPATH=range:FROM TO STEP", "=log:FROM TO N",
 * "=sobol:FROM TO N". */
bool celslm_axis_parse(celslm_axis *a, const char *text, celslm_error *err);
void celslm_axis_clear(celslm_axis *a);

/* Gives the sobol axes among `axes` the points of one Sobol sequence (GSL; I. M. Sobol, USSR
 * Comput. Math. Math. Phys. 7(4), 1967), a dimension each. They must be of one length. */
bool celslm_axes_fill_sobol(celslm_axis *axes, int n, const char *file, celslm_error *err);

/* The axis gets `n` values at `place[i]` in [0, 1] of its range: between the ends of range, log or
 * sobol (on the logarithmic scale for log), or among the list of `values`. For designs. */
void celslm_axis_place(celslm_axis *a, const double *place, int n);

#endif
