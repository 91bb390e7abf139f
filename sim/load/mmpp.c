/* mmpp.c - a Poisson process whose rate switches between a calm and a burst state, each held for an
 * exponential time (Markov-modulated Poisson process: W. Fischer, K. Meier-Hellstern, "The MMPP
 * cookbook", Performance Evaluation 18, 1993). Starts in a state drawn from the stationary
 * distribution. */
#include "load/load.h"

#include <gsl/gsl_randist.h>
#include <math.h>

enum {
  RATE,
  HOLD = 2,
  STATE = 4,
  LEFT
}; /* RATE + state, HOLD + state; LEFT: s until the switch, < 0 at the start */

static bool configure(double s[8], const celslm_element *e, celslm_error *err) {
  s[LEFT] = -1;
  return celslm_element_quantity(e, "rate", CELSLM_UNIT_COUNTS, 1e-9, 1e9, NAN, &s[RATE], err) &&
         celslm_element_quantity(e, "burst_rate", CELSLM_UNIT_COUNTS, 1e-9, 1e9, NAN, &s[RATE + 1],
                                 err) &&
         celslm_element_quantity(e, "calm", CELSLM_UNIT_TIME, 1e-9, 1e9, NAN, &s[HOLD], err) &&
         celslm_element_quantity(e, "burst", CELSLM_UNIT_TIME, 1e-9, 1e9, NAN, &s[HOLD + 1], err);
}

static double gap(double s[8], double now, gsl_rng *r) {
  (void)now;
  if (s[LEFT] < 0) {
    s[STATE] = gsl_rng_uniform(r) * (s[HOLD] + s[HOLD + 1]) >= s[HOLD];
    s[LEFT] = gsl_ran_exponential(r, s[HOLD + (int)s[STATE]]);
  }
  for (double passed = 0;;) {
    double next = gsl_ran_exponential(r, 1 / s[RATE + (int)s[STATE]]);
    if (next < s[LEFT]) {
      s[LEFT] -= next;
      return passed + next;
    }
    passed += s[LEFT]; /* no arrival before the switch; what is left of `next` has no memory */
    s[STATE] = !s[STATE];
    s[LEFT] = gsl_ran_exponential(r, s[HOLD + (int)s[STATE]]);
  }
}

const celslm_process celslm_process_mmpp = {
    "mmpp", "Poisson, switching between a calm and a burst rate", configure, gap, false};
