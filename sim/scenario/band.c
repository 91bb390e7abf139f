/* band.c - files of properties that cells have in common (see band.h). */
#include "scenario/band.h"

#include "scenario/properties.h"

#include "scenario/topology.h"
#include "scenario/xml.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Every number of a band says where it comes from. */
static bool check_band(const celslm_element *root, celslm_error *err) {
  static const char *const allowed[] = {"id", "value", "source", NULL};
  if (strcmp(root->name, "band"))
    return celslm_element_fail(root, err, "the file is a <%s>; it must be a <band>", root->name);
  for (int i = 0; i < root->n_children; i++) {
    const celslm_element *e = &root->children[i];
    const char *id = NULL;
    if (strcmp(e->name, "prop"))
      return celslm_element_fail(e, err, "<%s> in <band> is not supported; allowed: prop", e->name);
    if (!celslm_only_attributes(e, allowed, NULL, err) ||
        !(id = celslm_required_text(e, "id", err)) || !celslm_required_text(e, "value", err) ||
        !celslm_required_text(e, "source", err))
      return false;
    if (!celslm_cell_property(id) || strcmp(id, "celslm.band") == 0)
      return celslm_element_fail(e, err,
                                 "<prop> \"%s\" is not a property of cells; allowed are "
                                 "those of hosts with the role cell, such as "
                                 "celslm.carrier",
                                 id);
  }
  return true;
}

static const celslm_element *find_band(celslm_platform *p, const celslm_element *host,
                                       const char *folder, const char *name, celslm_error *err) {
  for (int i = 0; i < p->n_bands; i++)
    if (strcmp(p->bands[i].name, name) == 0) return p->bands[i].root;
  char *file = celslm_format("%s/../bands/%s.xml", folder, name);
  celslm_xml *x = NULL;
  if (strchr(name, '/') || name[0] == '.' || access(file, F_OK) != 0)
    celslm_element_fail(host, err,
                        "celslm.band \"%s\": there is no %s; give the name of a file "
                        "there, without .xml",
                        name, file);
  else
    x = celslm_xml_open(file, err);
  free(file);
  if (!x) return NULL;
  celslm_band band = {celslm_strdup(name), celslm_xml_text(x), celslm_xml_elements(x)};
  celslm_xml_close(x);
  p->bands = celslm_realloc(p->bands, (unsigned long)p->n_bands + 1, sizeof *p->bands);
  p->bands[p->n_bands++] = band;
  return check_band(band.root, err) ? band.root : NULL;
}

bool celslm_band_add(celslm_platform *p, celslm_element *props, const celslm_element *host,
                     const char *folder, celslm_error *err) {
  const char *name = celslm_element_attribute(props, "celslm.band");
  if (!name) return true;
  const celslm_element *band = find_band(p, host, folder, name, err);
  if (!band) return false;
  props->attributes =
      celslm_realloc(props->attributes, (unsigned long)(props->n_attributes + band->n_children),
                     sizeof *props->attributes);
  for (int i = 0; i < band->n_children; i++) {
    const char *id = celslm_element_attribute(&band->children[i], "id");
    const char *value = celslm_element_attribute(&band->children[i], "value");
    if (!celslm_element_attribute(props, id))
      props->attributes[props->n_attributes++] =
          (celslm_attribute){(char *)(uintptr_t)id, (char *)(uintptr_t)value};
  }
  return true;
}
