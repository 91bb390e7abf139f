/* deterministic.c - arrivals at a fixed interval. */
#include "load/load.h"

#include <math.h>

static bool configure(double p[8], const celslm_element *e, celslm_error *err) {
  return celslm_element_quantity(e, "interval", CELSLM_UNIT_TIME, 1e-9, 1e9, NAN, &p[0], err);
}

static double gap(double p[8], double now, gsl_rng *r) {
  (void)now;
  (void)r;
  return p[0];
}

const celslm_process celslm_process_deterministic = {"deterministic", "at a fixed interval",
                                                     configure, gap, false};
