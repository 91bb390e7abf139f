/* closed.c - a fixed number of users, each with one request at a time and a think time between the
 * end of one and the next (the interactive system of queueing theory: E. D. Lazowska et al.,
 * "Quantitative System Performance", 1984, chapter 2). */
#include "load/parts.h"

#include <math.h>

enum { USERS, MEAN, CV };

bool celslm_think_read(celslm_think *t, const celslm_element *e, celslm_error *err) {
  return celslm_element_quantity(e, "think", CELSLM_UNIT_TIME, 0, 1e9, NAN, &t->mean, err) &&
         celslm_element_quantity(e, "think_cv", CELSLM_UNIT_NUMBER, 0, 100, 1, &t->cv, err);
}

double celslm_think_draw(const celslm_think *t, gsl_rng *r) {
  if (t->mean <= 0 || t->cv < 1e-3) return t->mean;
  double squared = t->cv * t->cv;
  return gsl_ran_gamma(r, 1 / squared, t->mean * squared);
}

static bool configure(double s[8], const celslm_element *e, celslm_error *err) {
  celslm_think think;
  int64_t users;
  if (!celslm_element_integer(e, "users", 1, 10000000, INT64_MIN, &users, err) ||
      !celslm_think_read(&think, e, err))
    return false;
  s[USERS] = (double)users;
  s[MEAN] = think.mean;
  s[CV] = think.cv;
  return true;
}

static double gap(double s[8], double now, gsl_rng *r) {
  (void)now;
  return celslm_think_draw(&(celslm_think){s[MEAN], s[CV]}, r);
}

const celslm_process celslm_process_closed = {
    "closed", "users who wait for each answer, then think", configure, gap, .closed = true};
