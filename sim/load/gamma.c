/* gamma.c - renewal arrivals with gamma-distributed gaps: burstier than Poisson for cv > 1,
 * smoother below. */
#include "load/load.h"

#include <gsl/gsl_randist.h>
#include <math.h>

enum { SHAPE, SCALE };

static bool configure(double s[8], const celslm_element *e, celslm_error *err) {
  double rate, cv;
  if (!celslm_element_quantity(e, "rate", CELSLM_UNIT_COUNTS, 1e-9, 1e9, NAN, &rate, err) ||
      !celslm_element_quantity(e, "cv", CELSLM_UNIT_NUMBER, 0.01, 100, NAN, &cv, err))
    return false;
  s[SHAPE] = 1 / (cv * cv);
  s[SCALE] = cv * cv / rate;
  return true;
}

static double gap(double s[8], double now, gsl_rng *r) {
  (void)now;
  return gsl_ran_gamma(r, s[SHAPE], s[SCALE]);
}

const celslm_process celslm_process_gamma = {
    "gamma", "gaps of a gamma distribution: bursts for cv above 1", configure, gap, false};
