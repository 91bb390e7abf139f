/* requests.c - the workloads of a scenario: what each consists of, its classes and tenants. */
#include "scenario/sections.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BLOCK (1 << 20)

/* ---- classes --------------------------------------------------------------------------------- */

static int tenant_named(celslm_scenario *s, const char *name) {
  for (int i = 0; i < s->n_tenants; i++)
    if (strcmp(s->tenants[i], name) == 0) return i;
  s->tenants = celslm_realloc(s->tenants, (unsigned long)s->n_tenants + 1, sizeof *s->tenants);
  s->tenants[s->n_tenants] = celslm_strdup(name);
  return s->n_tenants++;
}

static celslm_class_config *new_class(celslm_scenario *s, const char *name) {
  s->classes = celslm_realloc(s->classes, (unsigned long)s->n_classes + 1, sizeof *s->classes);
  celslm_class_config *c = &s->classes[s->n_classes++];
  *c = (celslm_class_config){celslm_strdup(name), 0, 0, INFINITY, 1};
  return c;
}

static bool read_class(celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  const char *name = celslm_element_attribute(e, "name");
  const char *tenant = celslm_element_attribute(e, "tenant");
  for (int i = 0; i < s->n_classes; i++)
    if (strcmp(s->classes[i].name, name) == 0)
      return celslm_element_fail(e, err, "a second class named \"%s\"; names must differ", name);
  celslm_class_config *c = new_class(s, name);
  int64_t priority;
  if (!celslm_element_integer(e, "priority", 0, 1000000, 0, &priority, err) ||
      !celslm_element_quantity(e, "deadline", CELSLM_UNIT_TIME, 1e-9, INFINITY, INFINITY,
                               &c->deadline, err) ||
      !celslm_element_quantity(e, "share", CELSLM_UNIT_NUMBER, DBL_MIN, 1e9, 1, &c->share, err))
    return false;
  c->priority = (int32_t)priority;
  c->tenant = tenant_named(s, tenant ? tenant : name);
  return true;
}

/* A workload without classes is one class, its own tenant. */
static bool read_classes(celslm_scenario *s, celslm_workload_config *w, const celslm_element *e,
                         celslm_error *err) {
  w->first_class = s->n_classes;
  for (int i = 0; i < e->n_children; i++)
    if (strcmp(e->children[i].name, "class") == 0 && !read_class(s, &e->children[i], err))
      return false;
  if (s->n_classes == w->first_class) {
    char *name = s->n_workloads == 1 ? celslm_strdup("all")
                                     : celslm_format("workload %d", (int)(w - s->workloads) + 1);
    new_class(s, name)->tenant = tenant_named(s, name);
    free(name);
  }
  w->n_classes = s->n_classes - w->first_class;
  return true;
}

/* ---- one workload ---------------------------------------------------------------------------- */

static const celslm_element *inner(const celslm_element *e, const char *name) {
  const celslm_element *child = celslm_element_child(e, name);
  return child ? &child->children[0] : NULL;
}

static bool readable(const celslm_element *e, const char *what, celslm_error *err) {
  char *file = celslm_readable_file(e, what, err);
  bool ok = file != NULL;
  free(file);
  return ok;
}

static bool check_trace(const celslm_workload_config *w, const celslm_element *workload,
                        celslm_error *err) {
  const struct {
    const char *name;
    const celslm_element *given;
  } parts[] = {{"arrivals", w->arrivals},
               {"prompt", w->prompt},
               {"output", w->output},
               {"lengths", w->lengths},
               {"sessions", w->sessions}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i].given)
      return celslm_element_fail(workload, err,
                                 "<workload> has both <trace> and <%s>; give either a "
                                 "trace, or arrivals, prompt and output",
                                 parts[i].name);
  double scale;
  return readable(w->trace, "a CSV or JSONL file", err) &&
         celslm_element_quantity(w->trace, "time_scale", CELSLM_UNIT_NUMBER, DBL_MIN, 1e9, 1,
                                 &scale, err) &&
         celslm_element_quantity(w->trace, "rate_scale", CELSLM_UNIT_NUMBER, 1e-6, 100, 1, &scale,
                                 err);
}

static bool check_parts(const celslm_workload_config *w, const celslm_element *workload,
                        celslm_error *err) {
  const char *missing = !w->arrivals ? "arrivals"
                        : w->lengths ? NULL
                        : !w->prompt ? "prompt"
                        : !w->output ? "output"
                                     : NULL;
  if (missing)
    return celslm_element_fail(workload, err,
                               "<workload> lacks <%s>; give either a trace, or "
                               "arrivals, prompt and output",
                               missing);
  if (w->lengths && (w->prompt || w->output))
    return celslm_element_fail(workload, err,
                               "<workload> has both <lengths> and <%s>; give either lengths, or "
                               "prompt and output",
                               w->prompt ? "prompt" : "output");
  return !w->lengths || readable(w->lengths, "a CSV file", err);
}

static bool read_workload(celslm_scenario *s, celslm_workload_config *w,
                          const celslm_element *workload, celslm_error *err) {
  w->arrivals = inner(workload, "arrivals");
  w->prompt = inner(workload, "prompt");
  w->output = inner(workload, "output");
  w->lengths = celslm_element_child(workload, "lengths");
  w->sessions = celslm_element_child(workload, "sessions");
  w->popularity = inner(workload, "popularity");
  w->trace = celslm_element_child(workload, "trace");
  const char *format = w->trace ? celslm_element_attribute(w->trace, "format") : NULL;
  bool hashes = format && strcmp(format, "mooncake") == 0;
  if (!celslm_element_integer(workload, "requests", 1, INT64_MAX, INT64_MAX, &w->requests, err) ||
      !celslm_element_integer(workload, "block_size", 1, MAX_BLOCK, hashes ? 512 : 16,
                              &w->block_size, err) ||
      !celslm_element_quantity(workload, "prediction_error", CELSLM_UNIT_NUMBER, 0, 10, 0,
                               &w->prediction_error, err) ||
      !(w->trace ? check_trace : check_parts)(w, workload, err))
    return false;
  if (w->popularity && s->n_contexts == 0)
    return celslm_element_fail(workload, err,
                               "<popularity> without contexts; give <contexts>, or "
                               "leave <popularity> out");
  if (w->popularity && hashes)
    return celslm_element_fail(workload, err,
                               "<popularity> with a mooncake trace, whose hash_ids say what its "
                               "prompts share; leave <popularity> out");
  if (!w->trace && w->requests == INT64_MAX && isinf(s->horizon))
    return celslm_element_fail(workload, err,
                               "the load would never end; give "
                               "requests=\"...\" here, or horizon=\"...\" in <scenario>");
  return read_classes(s, w, workload, err);
}

bool celslm_read_workloads(celslm_scenario *s, const celslm_element *root, celslm_error *err) {
  for (int i = 0; i < root->n_children; i++)
    s->n_workloads += strcmp(root->children[i].name, "workload") == 0;
  s->workloads = celslm_alloc((unsigned long)s->n_workloads, sizeof *s->workloads);
  for (int i = 0, k = 0; i < root->n_children; i++)
    if (strcmp(root->children[i].name, "workload") == 0 &&
        !read_workload(s, &s->workloads[k++], &root->children[i], err))
      return false;
  return true;
}
