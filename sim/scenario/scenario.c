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

static bool read_platform(celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  char *file = celslm_readable_file(e, "a SimGrid platform file", err);
  if (file) s->platform = celslm_platform_load(file, NULL, err);
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
      !celslm_element_bool(e, "iterations", false, &c->iterations, err))
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

static bool check_sweep(celslm_xml *x, const celslm_element *sweep, celslm_error *err) {
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
    if ((!in || strcmp(in, "scenario") == 0) &&
        !celslm_xml_selects(x, celslm_element_attribute(e, "select"), e, err))
      return false;
  }
  return true;
}

static bool read_scenario(celslm_scenario *s, celslm_xml *x, celslm_error *err) {
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
  return read_platform(s, celslm_element_child(root, "platform"), err) &&
         celslm_read_models(s, celslm_element_child(root, "models"), err) &&
         celslm_read_engines(s, celslm_element_child(root, "engines"), err) &&
         (!contexts || celslm_read_contexts(s, contexts, err)) &&
         celslm_read_radio(s, celslm_element_child(root, "radio"), err) &&
         celslm_read_workloads(s, root, err) && celslm_read_strategies(s, root, err) &&
         read_slo(&s->slo, celslm_element_child(root, "slo"), err) &&
         read_results(&s->results, celslm_element_child(root, "results"), err) &&
         read_execution(s, root, err) && check_sweep(x, s->sweep, err);
}

/* Takes the document, which may be NULL (the error is filled then). */
static celslm_scenario *build(celslm_xml *x, const char *file,
                              const celslm_scenario_options *options, celslm_error *err) {
  if (!x) return NULL;
  celslm_scenario *s = celslm_alloc(1, sizeof *s);
  s->file = celslm_strdup(file);
  bool ok = true;
  for (int i = 0; ok && options && i < options->n_set; i++)
    ok = celslm_xml_set(x, options->set[i], err);
  ok = ok && celslm_xml_validate(x, celslm_embedded_scenario_xsd, err);
  if (ok) {
    s->text = celslm_xml_text(x);
    s->root = celslm_xml_elements(x);
    ok = read_scenario(s, x, err);
  }
  celslm_xml_close(x);
  if (ok) return s;
  celslm_scenario_free(s);
  return NULL;
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
  celslm_platform_free(s->platform);
  for (int i = 0; i < s->n_models; i++) celslm_model_clear(&s->models[i]);
  for (int i = 0; i < s->n_engines; i++) free(s->engines[i].name);
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
  free(s->radio.ues);
  celslm_element_free(s->root);
  free(s->execution_text);
  free(s->execution_map);
  free(s->file);
  free(s->name);
  free(s->text);
  free(s);
}
