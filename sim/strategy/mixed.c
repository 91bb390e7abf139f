/* mixed.c - each class of requests is served by a strategy of its own, all in one run on the same
 * engines and links: some users are private, some pay for the cloud.
 *
 * The heterogeneous collaboration of the surveys on edge-cloud models (arXiv 2507.16731). A part
 * knows nothing of the others; what they share are engines, stores, links and the air. */
#include "strategy/system.h"

#include <stdlib.h>
#include <string.h>

typedef struct part {
  const celslm_strategy *strategy;
  void *options;
} part;

typedef struct options {
  part *parts; /* by <for>, in order */
  int n_parts;
  int *of_class; /* index in parts */
} options;

static int class_named(const celslm_scenario *s, const char *name) {
  for (int c = 0; c < s->n_classes; c++)
    if (strcmp(s->classes[c].name, name) == 0) return c;
  return -1;
}

static bool assign(options *o, const celslm_scenario *s, const celslm_element *e,
                   celslm_error *err) {
  const char *name = celslm_element_attribute(e, "class");
  int c = class_named(s, name);
  if (c < 0)
    return celslm_element_fail(e, err,
                               "<for> class \"%s\" is not a class of this scenario; give the "
                               "name of a <class> of a <workload>",
                               name);
  if (o->of_class[c] >= 0)
    return celslm_element_fail(e, err, "<for> class \"%s\" has a strategy already; give one", name);
  o->of_class[c] = o->n_parts;
  return true;
}

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  options *o = to;
  const celslm_scenario *sc = s->scenario;
  o->parts = celslm_alloc((unsigned long)e->n_children, sizeof *o->parts);
  o->of_class = celslm_alloc((unsigned long)sc->n_classes, sizeof *o->of_class);
  for (int c = 0; c < sc->n_classes; c++) o->of_class[c] = -1;
  for (int i = 0; i < e->n_children; i++) {
    if (!assign(o, sc, &e->children[i], err)) return false;
    part *p = &o->parts[o->n_parts];
    p->strategy = celslm_strategy_open(s, &e->children[i].children[0], &p->options, err);
    if (!p->strategy) return false;
    o->n_parts++;
  }
  for (int c = 0; c < sc->n_classes; c++)
    if (o->of_class[c] < 0)
      return celslm_element_fail(e, err, "<mixed> has no strategy for class \"%s\"; add a <for>",
                                 sc->classes[c].name);
  return true;
}

static void clear(void *options_) {
  options *o = options_;
  for (int i = 0; i < o->n_parts; i++)
    celslm_strategy_close(o->parts[i].strategy, o->parts[i].options);
  free(o->parts);
  free(o->of_class);
}

static void begin(void *options_, celslm_system *s) {
  options *o = options_;
  for (int i = 0; i < o->n_parts; i++)
    if (o->parts[i].strategy->begin) o->parts[i].strategy->begin(o->parts[i].options, s);
}

static void arrive(const void *options_, celslm_request *r) {
  const options *o = options_;
  const part *p = &o->parts[o->of_class[r->demand.cls]];
  r->strategy = p->strategy;
  r->options = p->options;
  p->strategy->arrive(p->options, r);
}

static void moved(const void *options_, celslm_system *s, const celslm_user *user) {
  const options *o = options_;
  for (int i = 0; i < o->n_parts; i++)
    if (o->parts[i].strategy->moved) o->parts[i].strategy->moved(o->parts[i].options, s, user);
}

const celslm_strategy celslm_strategy_mixed = {
    .name = "mixed",
    .summary = "each class of requests has a strategy of its own, all in one run",
    .paper = "arXiv 2507.16731",
    .options_size = sizeof(options),
    .configure = configure,
    .clear = clear,
    .begin = begin,
    .arrive = arrive,
    .moved = moved,
};
