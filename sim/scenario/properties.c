#include "scenario/properties.h"

#include "scenario/topology.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What <host> properties of ours there are; each belongs to hosts of some roles. */
static const struct {
  const char *name;
  bool cell;
} properties[] = {
    {"celslm.role", false},
    {"celslm.profile", false},
    {"celslm.accelerators", false},
    {"celslm.interconnect", false},
    {"celslm.radio", false},
    {"celslm.interconnect_latency", false},
    {"celslm.price_hour", false},
    {"celslm.state_power", false},
    {"celslm.serves", true},
    {"celslm.carrier", true},
    {"celslm.bandwidth", true},
    {"celslm.tx_power", true},
    {"celslm.antenna_gain", true},
    {"celslm.noise_figure", true},
    {"celslm.ue_tx_power", true},
    {"celslm.ue_antenna_gain", true},
    {"celslm.ue_noise_figure", true},
    {"celslm.height", true},
    {"celslm.x", true},
    {"celslm.y", true},
    {"celslm.dl_share", true},
    {"celslm.ul_share", true},
    {"celslm.dl_layers", true},
    {"celslm.ul_layers", true},
    {"celslm.tdd", true},
    {"celslm.numerology", true},
    {"celslm.azimuth", true},
    {"celslm.downtilt", true},
    {"celslm.interference_gain", true},
    {"celslm.pa_efficiency", true},
    {"celslm.ue_pa_efficiency", true},
    {"celslm.band", true},
};

bool celslm_cell_property(const char *name) {
  for (size_t k = 0; k < sizeof properties / sizeof *properties; k++)
    if (properties[k].cell && strcmp(properties[k].name, name) == 0) return true;
  return false;
}

const char *celslm_properties_of_cells(const celslm_element *props) {
  for (size_t k = 0; k < sizeof properties / sizeof *properties; k++)
    if (properties[k].cell && celslm_element_attribute(props, properties[k].name))
      return properties[k].name;
  return NULL;
}

bool celslm_properties_gather(const celslm_element *host, celslm_element *out, celslm_error *err) {
  static const char *const allowed[] = {"id", "value", NULL};
  *out = (celslm_element){.file = host->file, .line = host->line};
  out->attributes = celslm_alloc((unsigned long)host->n_children, sizeof *out->attributes);
  const char *id = celslm_element_attribute(host, "id");
  out->name = celslm_format("host id=\"%s\"", id);
  for (int i = 0; i < host->n_children; i++) {
    const celslm_element *e = &host->children[i];
    if (strcmp(e->name, "prop"))
      return celslm_element_fail(e, err, "<%s> in <host> is not supported yet; allowed: prop",
                                 e->name);
    const char *name = NULL;
    if (!celslm_only_attributes(e, allowed, NULL, err) ||
        !(name = celslm_required_text(e, "id", err)))
      return false;
    const char *value = celslm_element_attribute(e, "value");
    if (!value) return celslm_element_fail(e, err, "<prop> lacks \"value\"; give one");
    if (celslm_element_attribute(out, name))
      return celslm_element_fail(e, err, "a second <prop id=\"%s\"> of host \"%s\"; one is allowed",
                                 name, id);
    bool known = strncmp(name, "celslm.", 7) != 0;
    for (size_t k = 0; k < sizeof properties / sizeof *properties; k++)
      known = known || strcmp(properties[k].name, name) == 0;
    if (!known) {
      char list[900] = "";
      for (size_t k = 0; k < sizeof properties / sizeof *properties; k++) {
        size_t at = strlen(list);
        snprintf(list + at, sizeof list - at, "%s%s", k ? ", " : "", properties[k].name);
      }
      return celslm_element_fail(e, err, "<prop> \"%s\" is not known; allowed: %s", name, list);
    }
    out->attributes[out->n_attributes++] =
        (celslm_attribute){(char *)(uintptr_t)name, (char *)(uintptr_t)value};
  }
  return true;
}

/* ---- of cells -------------------------------------------------------------------------------- */

bool celslm_cell_read(celslm_cell *c, const celslm_element *props, celslm_error *err) {
  const double far = 1e7;
  int64_t dl = 1, ul = 1, mu = 1;
  const char *tdd = celslm_element_attribute(props, "celslm.tdd");
  if (tdd) snprintf(c->tdd, sizeof c->tdd, "%s", tdd);
  /* a pattern says the shares of time: NaN marks what is required, 0 what it stands for */
  double share = tdd ? 0 : NAN;
  bool ok =
      celslm_element_quantity(props, "celslm.carrier", CELSLM_UNIT_FREQ, 1e8, 1e12, NAN,
                              &c->carrier, err) &&
      celslm_element_quantity(props, "celslm.bandwidth", CELSLM_UNIT_FREQ, 1e3, 1e11, NAN,
                              &c->bandwidth, err) &&
      celslm_element_quantity(props, "celslm.tx_power", CELSLM_UNIT_DBM, -100, 100, NAN,
                              &c->tx_power, err) &&
      celslm_element_quantity(props, "celslm.antenna_gain", CELSLM_UNIT_DB, -100, 100, NAN,
                              &c->antenna_gain, err) &&
      celslm_element_quantity(props, "celslm.noise_figure", CELSLM_UNIT_DB, 0, 100, NAN,
                              &c->noise_figure, err) &&
      celslm_element_quantity(props, "celslm.ue_tx_power", CELSLM_UNIT_DBM, -100, 100, NAN,
                              &c->ue_tx_power, err) &&
      celslm_element_quantity(props, "celslm.ue_antenna_gain", CELSLM_UNIT_DB, -100, 100, NAN,
                              &c->ue_antenna_gain, err) &&
      celslm_element_quantity(props, "celslm.ue_noise_figure", CELSLM_UNIT_DB, 0, 100, NAN,
                              &c->ue_noise_figure, err) &&
      celslm_element_quantity(props, "celslm.height", CELSLM_UNIT_LENGTH, DBL_MIN, 1e5, NAN,
                              &c->height, err) &&
      celslm_element_quantity(props, "celslm.x", CELSLM_UNIT_LENGTH, -far, far, 0, &c->x, err) &&
      celslm_element_quantity(props, "celslm.y", CELSLM_UNIT_LENGTH, -far, far, 0, &c->y, err) &&
      celslm_element_quantity(props, "celslm.dl_share", CELSLM_UNIT_NUMBER, DBL_MIN, 1, share,
                              &c->dl_share, err) &&
      celslm_element_quantity(props, "celslm.ul_share", CELSLM_UNIT_NUMBER, DBL_MIN, 1, share,
                              &c->ul_share, err) &&
      celslm_element_integer(props, "celslm.dl_layers", 1, 64, 1, &dl, err) &&
      celslm_element_integer(props, "celslm.ul_layers", 1, 64, 1, &ul, err) &&
      celslm_element_integer(props, "celslm.numerology", 0, 6, 1, &mu, err) &&
      celslm_element_quantity(props, "celslm.azimuth", CELSLM_UNIT_NUMBER, -360, 360, 1000,
                              &c->azimuth, err) &&
      celslm_element_quantity(props, "celslm.downtilt", CELSLM_UNIT_NUMBER, -90, 90, 0,
                              &c->downtilt, err) &&
      /* a beam that is steered over a sector has the element's gain on average: assumption */
      celslm_element_quantity(props, "celslm.interference_gain", CELSLM_UNIT_DB, -100, 100,
                              fmin(c->antenna_gain, 8), &c->interference_gain, err);
  if (!celslm_element_attribute(props, "celslm.azimuth")) c->azimuth = NAN;
  c->numerology = (int)mu;
  c->dl_layers = (int)dl;
  c->ul_layers = (int)ul;
  return ok;
}
