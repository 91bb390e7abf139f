/* scenario.c - a scenario file to structs (see scenario.h): the order of reading, and the short
 * sections. Schema: scenarios/scenario.xsd. */
#include "scenario/scenario.h"

#include "scenario/sections.h"
#include "scenario/xml.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const char celslm_embedded_scenario_xsd[];

char *celslm_readable_file(const celslm_element *e, const char *what, celslm_error *err) {
  char *file = celslm_element_path(e, "file");
  if (access(file, R_OK) == 0) return file;
  celslm_element_fail(e, err, "<%s> file \"%s\" cannot be read: %s; give %s", e->name, file,
                      strerror(errno), what);
  free(file);
  return NULL;
}

static bool for_platform(const char *assignment) {
  return strncmp(assignment, CELSLM_SET_PLATFORM, sizeof CELSLM_SET_PLATFORM - 1) == 0;
}

static bool read_platform(celslm_scenario *s, const celslm_element *e,
                          const celslm_scenario_options *options, celslm_error *err) {
  char *file = celslm_readable_file(e, "a SimGrid platform file", err);
  int n_set = options ? options->n_set : 0, n = 0;
  const char **set = celslm_alloc((unsigned long)n_set, sizeof *set);
  for (int i = 0; i < n_set; i++)
    if (for_platform(options->set[i])) set[n++] = options->set[i] + sizeof CELSLM_SET_PLATFORM - 1;
  s->platform_lent =
      file && options && options->platform && n == 0 && strcmp(file, options->platform->file) == 0;
  if (s->platform_lent)
    s->platform = options->platform;
  else if (file)
    s->platform = celslm_platform_load_with(file, NULL, set, n, err);
  free(set);
  free(file);
  return s->platform != NULL;
}

static bool read_slo(celslm_slo_config *c, const celslm_element *e, celslm_error *err) {
  *c = (celslm_slo_config){INFINITY, INFINITY, INFINITY};
  return !e ||
         (celslm_element_quantity(e, "ttft", CELSLM_UNIT_TIME, 0, INFINITY, INFINITY, &c->ttft,
                                  err) &&
          celslm_element_quantity(e, "tpot", CELSLM_UNIT_TIME, 0, INFINITY, INFINITY, &c->tpot,
                                  err) &&
          celslm_element_quantity(e, "e2e", CELSLM_UNIT_TIME, 0, INFINITY, INFINITY, &c->e2e, err));
}

static bool read_results(celslm_results_config *c, const celslm_element *e, celslm_error *err) {
  if (!e) return true; /* all zero */
  if (!celslm_element_quantity(e, "sample", CELSLM_UNIT_TIME, 0, INFINITY, 0, &c->sample, err) ||
      !celslm_element_quantity(e, "timeline_from", CELSLM_UNIT_TIME, 0, INFINITY, 0,
                               &c->timeline_from, err) ||
      !celslm_element_quantity(e, "timeline_to", CELSLM_UNIT_TIME, 0, INFINITY, c->timeline_from,
                               &c->timeline_to, err) ||
      !celslm_element_quantity(e, "warmup", CELSLM_UNIT_TIME, 0, INFINITY, 0, &c->warmup, err) ||
      !celslm_element_bool(e, "iterations", false, &c->iterations, err) ||
      !celslm_element_bool(e, "trajectory", false, &c->trajectory, err))
    return false;
  if (c->timeline_to < c->timeline_from)
    return celslm_element_fail(e, err,
                               "<results> timeline_to %gs is before timeline_from %gs; it "
                               "must not be",
                               c->timeline_to, c->timeline_from);
  return true;
}

static bool read_execution(celslm_scenario *s, const celslm_element *root, celslm_error *err) {
  const celslm_element *e = celslm_element_child(root, "execution");
  const char *compute = celslm_element_attribute(root, "compute");
  s->execute = compute && strcmp(compute, "execute") == 0;
  if (!s->execute) return true;
  if (!e)
    return celslm_element_fail(root, err,
                               "compute=\"execute\" without <execution>; give <execution "
                               "text=...>, the file that is read");
  for (int i = 0; i < s->n_models; i++)
    if (!s->models[i].checkpoint)
      return celslm_element_fail(root, err,
                                 "compute=\"execute\" cannot run model %s: its file names no "
                                 "checkpoint; take platforms/models/tiny-*.xml",
                                 s->models[i].name);
  s->execution_text = celslm_element_path(e, "text");
  if (celslm_element_attribute(e, "map")) s->execution_map = celslm_element_path(e, "map");
  return true;
}

static bool check_sweep(celslm_xml *x, const celslm_scenario *s, celslm_error *err) {
  const celslm_element *sweep = s->sweep;
  static const char *const ways[] = {"values", "range", "log", "sobol"};
  for (int i = 0; sweep && i < sweep->n_children; i++) {
    const celslm_element *e = &sweep->children[i];
    const char *in = celslm_element_attribute(e, "in");
    int given = 0;
    for (size_t k = 0; k < 4; k++) given += celslm_element_attribute(e, ways[k]) != NULL;
    if (given != 1)
      return celslm_element_fail(e, err,
                                 "<axis> has %d of values, range, log, sobol; give exactly "
                                 "one",
                                 given);
    const char *select = celslm_element_attribute(e, "select");
    bool platform = in && strcmp(in, "platform") == 0;
    if (platform ? !celslm_platform_selects(s->platform->file, select, e, err)
                 : !celslm_xml_selects(x, select, e, err))
      return false;
  }
  return true;
}

static bool read_scenario(celslm_scenario *s, celslm_xml *x, const celslm_scenario_options *options,
                          celslm_error *err) {
  const celslm_element *root = s->root;
  int64_t seed;
  s->name = celslm_strdup(celslm_element_attribute(root, "name"));
  s->sweep = celslm_element_child(root, "sweep");
  if (!celslm_element_integer(root, "seed", 0, INT64_MAX, 1, &seed, err) ||
      !celslm_element_quantity(root, "horizon", CELSLM_UNIT_TIME, 1e-9, INFINITY, INFINITY,
                               &s->horizon, err))
    return false;
  s->seed = (uint64_t)seed;
  const celslm_element *contexts = celslm_element_child(root, "contexts");
  return read_platform(s, celslm_element_child(root, "platform"), options, err) &&
         celslm_read_models(s, celslm_element_child(root, "models"), err) &&
         celslm_read_engines(s, celslm_element_child(root, "engines"), err) &&
         (!contexts || celslm_read_contexts(s, contexts, err)) &&
         celslm_read_radio(s, celslm_element_child(root, "radio"), err) &&
         celslm_read_workloads(s, root, err) &&
         celslm_read_correctness(s, celslm_element_child(root, "correctness"), err) &&
         celslm_read_strategies(s, root, err) &&
         celslm_read_faults(s, celslm_element_child(root, "faults"),
                            celslm_element_child(root, "wires"), err) &&
         read_slo(&s->slo, celslm_element_child(root, "slo"), err) &&
         celslm_read_prices(s, celslm_element_child(root, "prices"), err) &&
         read_results(&s->results, celslm_element_child(root, "results"), err) &&
         read_execution(s, root, err) && check_sweep(x, s, err);
}

/* Takes the document, which may be NULL (the error is filled then). */
static celslm_scenario *build(celslm_xml *x, const char *file,
                              const celslm_scenario_options *options, celslm_error *err) {
  if (!x) return NULL;
  celslm_scenario *s = celslm_alloc(1, sizeof *s);
  s->file = celslm_strdup(file);
  bool ok = true;
  for (int i = 0; ok && options && i < options->n_set; i++)
    if (!for_platform(options->set[i])) ok = celslm_xml_set(x, options->set[i], err);
  if (ok && options && options->seed) celslm_xml_seed(x, *options->seed);
  ok = ok && celslm_xml_validate(x, celslm_embedded_scenario_xsd, err);
  if (ok) {
    s->text = celslm_xml_text(x);
    s->root = celslm_xml_elements(x);
    ok = read_scenario(s, x, options, err);
  }
  celslm_xml_close(x);
  if (ok) return s;
  celslm_scenario_free(s);
  return NULL;
}

struct celslm_draft {
  celslm_xml *x;
  char *file;
};

celslm_draft *celslm_draft_open(const char *file, celslm_error *err) {
  celslm_xml *x = celslm_xml_open(file, err);
  if (!x) return NULL;
  celslm_draft *d = celslm_alloc(1, sizeof *d);
  d->x = x;
  d->file = celslm_strdup(file);
  return d;
}

celslm_scenario *celslm_draft_finish(celslm_draft *d, const celslm_scenario_options *options,
                                     celslm_error *err) {
  celslm_xml *x = d->x;
  d->x = NULL; /* build takes it */
  celslm_scenario *s = build(x, d->file, options, err);
  celslm_draft_free(d);
  return s;
}

void celslm_draft_free(celslm_draft *d) {
  if (!d) return;
  celslm_xml_close(d->x);
  free(d->file);
  free(d);
}

celslm_scenario *celslm_scenario_load(const char *file, const celslm_scenario_options *options,
                                      celslm_error *err) {
  return build(celslm_xml_open(file, err), file, options, err);
}

celslm_scenario *celslm_scenario_parse(const char *text, const char *base,
                                       const celslm_scenario_options *options, celslm_error *err) {
  return build(celslm_xml_parse(text, base, err), base, options, err);
}

void celslm_scenario_free(celslm_scenario *s) {
  if (!s) return;
  if (!s->platform_lent) celslm_platform_free(s->platform);
  for (int i = 0; i < s->n_models; i++) celslm_model_clear(&s->models[i]);
  for (int i = 0; i < s->n_engines; i++) {
    free(s->engines[i].name);
    free(s->engines[i].stages);
    free(s->engines[i].stage_layers);
  }
  for (int i = 0; i < s->n_contexts; i++) free(s->contexts[i].name);
  for (int i = 0; i < s->n_classes; i++) free(s->classes[i].name);
  for (int i = 0; i < s->n_tenants; i++) free(s->tenants[i]);
  for (int i = 0; i < s->n_strategies; i++) free(s->strategies[i].label);
  free(s->models);
  free(s->engines);
  free(s->contexts);
  free(s->strategies);
  free(s->workloads);
  free(s->classes);
  free(s->tenants);
  free(s->prices.quality);
  free(s->radio.ues);
  free(s->correctness.accuracy);
  free(s->faults.faults);
  free(s->faults.wires);
  celslm_element_free(s->root);
  free(s->execution_text);
  free(s->execution_map);
  free(s->file);
  free(s->name);
  free(s->text);
  free(s);
}
