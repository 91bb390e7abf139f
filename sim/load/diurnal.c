/* diurnal.c - a Poisson process whose rate follows the day: rate (1 + swing sin(2 pi (t -
 * phase)/period)), by thinning (P. Lewis, G. Shedler, Naval Research Logistics 26, 1979). */
#include "load/load.h"

#include <gsl/gsl_randist.h>
#include <math.h>

enum { RATE, SWING, PERIOD, PHASE };

static bool configure(double s[8], const celslm_element *e, celslm_error *err) {
  return celslm_element_quantity(e, "rate", CELSLM_UNIT_COUNTS, 1e-9, 1e9, NAN, &s[RATE], err) &&
         celslm_element_quantity(e, "swing", CELSLM_UNIT_NUMBER, 0, 1, NAN, &s[SWING], err) &&
         celslm_element_quantity(e, "period", CELSLM_UNIT_TIME, 1e-6, 1e9, 86400, &s[PERIOD],
                                 err) &&
         celslm_element_quantity(e, "phase", CELSLM_UNIT_TIME, -1e9, 1e9, 0, &s[PHASE], err);
}

static double gap(double s[8], double now, gsl_rng *r) {
  double highest = s[RATE] * (1 + s[SWING]), t = now;
  for (;;) {
    t += gsl_ran_exponential(r, 1 / highest);
    double rate = s[RATE] * (1 + s[SWING] * sin(2 * M_PI * (t - s[PHASE]) / s[PERIOD]));
    if (gsl_rng_uniform(r) * highest < rate) return t - now;
  }
}

const celslm_process celslm_process_diurnal = {
    "diurnal", "Poisson with a rate that follows the day", configure, gap, false};
