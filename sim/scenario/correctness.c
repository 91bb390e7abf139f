#include "scenario/correctness.h"

#include "scenario/sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int model_named(const celslm_scenario *s, const char *name) {
  for (int i = 0; i < s->n_models; i++)
    if (strcmp(s->models[i].name, name) == 0) return i;
  return -1;
}

static bool read_accuracy(celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  const char *name = celslm_element_attribute(e, "model");
  int model = model_named(s, name);
  if (model < 0)
    return celslm_element_fail(
        e, err, "<of> model \"%s\" is not listed in <models>; give one of them", name);
  if (!isnan(s->correctness.accuracy[model]))
    return celslm_element_fail(e, err, "<of> model \"%s\" has an accuracy already; give one", name);
  return celslm_element_quantity(e, "accuracy", CELSLM_UNIT_NUMBER, 0, 1, NAN,
                                 &s->correctness.accuracy[model], err);
}

/* `either` decides the correlation of two models; of more there is no one number. */
static bool check_either(const celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  const celslm_correctness_config *c = &s->correctness;
  if (isnan(c->correlation) == isnan(c->either))
    return celslm_element_fail(
        e, err, "<correctness> has both or neither of correlation and either; give exactly one");
  if (isnan(c->either)) return true;
  if (e->n_children != 2)
    return celslm_element_fail(e, err,
                               "<correctness> either=\"...\" speaks of two models, here are %d; "
                               "give correlation=\"...\"",
                               e->n_children);
  double most = 0, neither = 1;
  for (int m = 0; m < s->n_models; m++)
    if (!isnan(c->accuracy[m])) {
      most = fmax(most, c->accuracy[m]);
      neither *= 1 - c->accuracy[m];
    }
  if (c->either < most || c->either > 1 - neither)
    return celslm_element_fail(e, err,
                               "<correctness> either \"%g\" is out of range; with these accuracies "
                               "it is at least %g (whatever one knows the better one does) and at "
                               "most %g (what they know is unrelated)",
                               c->either, most, 1 - neither);
  return true;
}

bool celslm_read_correctness(celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  celslm_correctness_config *c = &s->correctness;
  if (!e) return true;
  if (s->n_models > CELSLM_MOST_JUDGED)
    return celslm_element_fail(e, err, "<correctness> in a scenario of %d models; at most %d",
                               s->n_models, CELSLM_MOST_JUDGED);
  c->accuracy = celslm_alloc((unsigned long)s->n_models, sizeof *c->accuracy);
  for (int m = 0; m < s->n_models; m++) c->accuracy[m] = NAN;
  c->correlation = c->either = NAN;
  if ((celslm_element_attribute(e, "correlation") &&
       !celslm_element_quantity(e, "correlation", CELSLM_UNIT_NUMBER, 0, 1, NAN, &c->correlation,
                                err)) ||
      (celslm_element_attribute(e, "either") &&
       !celslm_element_quantity(e, "either", CELSLM_UNIT_NUMBER, 0, 1, NAN, &c->either, err)) ||
      !celslm_element_quantity(e, "score", CELSLM_UNIT_NUMBER, 0, 1, 1, &c->score, err) ||
      !celslm_element_quantity(e, "confidence", CELSLM_UNIT_NUMBER, 0, 1, 1, &c->confidence, err))
    return false;
  for (int i = 0; i < e->n_children; i++)
    if (!read_accuracy(s, &e->children[i], err)) return false;
  for (int i = 0; i < s->n_engines; i++)
    if (isnan(c->accuracy[s->engines[i].model]))
      return celslm_element_fail(
          e, err,
          "<correctness> says nothing of %s, which engine \"%s\" serves; add "
          "an <of>",
          s->models[s->engines[i].model].name, s->engines[i].name);
  return check_either(s, e, err);
}
