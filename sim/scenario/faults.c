/* faults.c - <faults> and <wires> of a scenario. */
#include "scenario/faults.h"

#include "scenario/sections.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int find_link(const celslm_platform *p, const char *name) {
  for (int i = 0; i < p->n_links; i++)
    if (strcmp(p->links[i].name, name) == 0) return i;
  return -1;
}

static int find_cell(const celslm_platform *p, const char *name) {
  int host = celslm_platform_host(p, name);
  for (int c = 0; c < p->n_cells; c++)
    if (p->cells[c].host == host) return c;
  return -1;
}

static int find_host(const celslm_platform *p, const char *name) {
  int host = celslm_platform_host(p, name);
  bool serves = host >= 0 && p->hosts[host].profile != NULL;
  return serves ? host : -1;
}

static const struct {
  const char *name, *what;
  int (*find)(const celslm_platform *p, const char *name);
} kinds[] = {{"link", "a link", find_link},
             {"cell", "a cell", find_cell},
             {"host", "a host with a profile", find_host}};

/* "...; links: a, b": what a name could have been. */
static bool fail_name(const celslm_platform *p, const celslm_element *e, int kind,
                      const char *given, celslm_error *err) {
  char list[400] = "";
  int shown = 0, n = kind == CELSLM_FAULT_LINK ? p->n_links : p->n_hosts;
  for (int i = 0; i < n && shown < 12; i++) {
    const char *name = kind == CELSLM_FAULT_LINK ? p->links[i].name : p->hosts[i].name;
    if (kinds[kind].find(p, name) < 0) continue;
    size_t at = strlen(list);
    snprintf(list + at, sizeof list - at, "%s%s", shown++ ? ", " : "", name);
  }
  return celslm_element_fail(e, err, "<%s> \"%s\" is not %s of %s; allowed: %s", e->name, given,
                             kinds[kind].what, p->file, shown ? list : "none");
}

static bool read_fault(const celslm_platform *p, const celslm_element *e, celslm_fault *f,
                       celslm_error *err) {
  const double long_time = 1e9;
  for (int k = 0; k < 3; k++)
    if (strcmp(e->name, kinds[k].name) == 0) f->kind = (celslm_fault_kind)k;
  const char *name = celslm_element_attribute(e, "name");
  f->target = kinds[f->kind].find(p, name);
  if (f->target < 0) return fail_name(p, e, (int)f->kind, name, err);
  bool at = celslm_element_attribute(e, "at") != NULL, length = celslm_element_attribute(e, "for"),
       mtbf = celslm_element_attribute(e, "mtbf") != NULL,
       mttr = celslm_element_attribute(e, "mttr") != NULL;
  if (!(at && length && !mtbf && !mttr) && !(mtbf && mttr && !at && !length))
    return celslm_element_fail(
        e, err, "<%s> \"%s\" does not say when; give either at and for, or mtbf and mttr", e->name,
        name);
  f->at = f->length = f->mtbf = f->mttr = NAN;
  if (at ? !celslm_element_quantity(e, "at", CELSLM_UNIT_TIME, 0, long_time, NAN, &f->at, err) ||
               !celslm_element_quantity(e, "for", CELSLM_UNIT_TIME, 1e-9, long_time, NAN,
                                        &f->length, err)
         : !celslm_element_quantity(e, "mtbf", CELSLM_UNIT_TIME, 1e-3, long_time, NAN, &f->mtbf,
                                    err) ||
               !celslm_element_quantity(e, "mttr", CELSLM_UNIT_TIME, 1e-3, long_time, NAN, &f->mttr,
                                        err))
    return false;
  f->speed = 0;
  if (f->kind == CELSLM_FAULT_HOST) return true;
  return celslm_element_quantity(e, "speed", CELSLM_UNIT_NUMBER, 0, 1, 0, &f->speed, err);
}

static bool read_weight(celslm_faults_config *c, const celslm_element *e, celslm_error *err) {
  static const char *const classes[] = {"prompt", "tokens",      "kv", "context",
                                        "swap",   "activations", NULL};
  int traffic;
  int64_t weight;
  if (!celslm_element_choice(e, "traffic", classes, -1, &traffic, err) ||
      !celslm_element_integer(e, "weight", 1, 16, INT64_MIN, &weight, err))
    return false;
  c->weights[traffic] = (int)weight;
  return true;
}

static bool read_wire(const celslm_platform *p, const celslm_element *e, celslm_wire *w,
                      celslm_error *err) {
  static const char *const shapes[] = {"none", "exponential", "uniform", "normal", NULL};
  const char *name = celslm_element_attribute(e, "link");
  int shape = 0;
  w->link = find_link(p, name);
  if (w->link < 0) return fail_name(p, e, CELSLM_FAULT_LINK, name, err);
  const celslm_link *l = &p->links[w->link];
  if (strcmp(e->name, "background") == 0) {
    if (!celslm_element_quantity(e, "rate", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN,
                                 &w->background, err) ||
        !celslm_element_quantity(e, "on", CELSLM_UNIT_TIME, 1e-3, 1e9, 1, &w->on, err) ||
        !celslm_element_quantity(e, "off", CELSLM_UNIT_TIME, 0, 1e9, 0, &w->off, err))
      return false;
    if (w->background >= l->bandwidth)
      return celslm_element_fail(e, err,
                                 "<background> of %gBps fills link \"%s\" (%gBps); it must leave "
                                 "something",
                                 w->background, name, l->bandwidth);
    return true;
  }
  if (!celslm_element_choice(e, "shape", shapes, CELSLM_JITTER_EXPONENTIAL, &shape, err) ||
      !celslm_element_quantity(e, "mean", CELSLM_UNIT_TIME, 0, 100, NAN, &w->jitter_mean, err))
    return false;
  w->jitter = (celslm_jitter)shape;
  return true;
}

bool celslm_read_faults(celslm_scenario *s, const celslm_element *faults,
                        const celslm_element *wires, celslm_error *err) {
  celslm_faults_config *c = &s->faults;
  for (int i = 0; i < CELSLM_WEIGHTS; i++) c->weights[i] = 1;
  if (faults) {
    c->faults = celslm_alloc((unsigned long)faults->n_children, sizeof *c->faults);
    for (int i = 0; i < faults->n_children; i++)
      if (!read_fault(s->platform, &faults->children[i], &c->faults[c->n++], err)) return false;
  }
  if (!wires) return true;
  c->wires = celslm_alloc((unsigned long)wires->n_children, sizeof *c->wires);
  for (int i = 0; i < wires->n_children; i++) {
    const celslm_element *e = &wires->children[i];
    if (strcmp(e->name, "priority") == 0 ? !read_weight(c, e, err)
                                         : !read_wire(s->platform, e, &c->wires[c->n_wires++], err))
      return false;
  }
  return true;
}
