/* poisson.c - memoryless arrivals at a mean rate. */
#include "load/load.h"

#include <gsl/gsl_randist.h>
#include <math.h>

static bool configure(double p[8], const celslm_element *e, celslm_error *err) {
  return celslm_element_quantity(e, "rate", CELSLM_UNIT_COUNTS, 1e-9, 1e9, NAN, &p[0], err);
}

static double gap(double p[8], double now, gsl_rng *r) {
  (void)now;
  return gsl_ran_exponential(r, 1 / p[0]);
}

const celslm_process celslm_process_poisson = {"poisson", "memoryless, at a mean rate", configure,
                                               gap, false};
