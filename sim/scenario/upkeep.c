#include "scenario/upkeep.h"

#include "scenario/sections.h"
#include "scenario/topology.h"
#include "scenario/xml.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hosts ----------------------------------------------------------------------------------- */

/* The k-th of the words in `list`, into `word`; how many there are. */
static int word_of(const char *list, const char *between, int k, char *word, size_t size) {
  char *copy = celslm_strdup(list), *rest = NULL;
  int n = 0;
  *word = 0;
  for (char *w = strtok_r(copy, between, &rest); w; w = strtok_r(NULL, between, &rest), n++)
    if (n == k) snprintf(word, size, "%s", w);
  free(copy);
  return n;
}

/* Of a busy accelerator in the chosen performance state. Where the file does not say: what it draws
 * above idle goes with the frequency, at an unchanged voltage, so that a FLOP costs the same energy
 * in every state. Voltages fall with frequencies, so this is an upper bound. */
static bool read_busy_power(celslm_host *h, const celslm_element *props, celslm_error *err) {
  const char *list = celslm_element_attribute(props, "celslm.state_power");
  const celslm_profile *p = h->profile;
  char word[64], why[200];
  double speed = h->speed;
  int states = h->states ? word_of(h->states, ",", h->pstate, word, sizeof word) : 1;
  if (h->states) celslm_parse_quantity(word, CELSLM_UNIT_FLOPS, &speed, NULL, 0);
  h->busy_power = p->power_idle + (p->power_max - p->power_idle) * speed / h->speed;
  if (!list) return true;
  int n = word_of(list, " ,", h->pstate, word, sizeof word);
  if (n != states)
    return celslm_element_fail(props, err,
                               "<%s> celslm.state_power has %d powers for %d performance states; "
                               "give one for each speed",
                               props->name, n, states);
  for (int k = 0; k < n; k++) {
    double power;
    word_of(list, " ,", k, word, sizeof word);
    if (!celslm_parse_quantity(word, CELSLM_UNIT_POWER, &power, why, sizeof why))
      return celslm_element_fail(props, err, "<%s> celslm.state_power \"%s\": %s", props->name,
                                 word, why);
    if (power < p->power_idle)
      return celslm_element_fail(props, err,
                                 "<%s> celslm.state_power \"%s\" is below the idle power of its "
                                 "profile, %gW; it must not be",
                                 props->name, word, p->power_idle);
    if (k == h->pstate) h->busy_power = power;
  }
  return true;
}

bool celslm_host_read_upkeep(celslm_host *h, const celslm_element *props, celslm_error *err) {
  h->rent = h->busy_power = NAN;
  if (!h->profile) {
    const char *const needs[] = {"celslm.price_hour", "celslm.state_power"};
    for (int i = 0; i < 2; i++)
      if (celslm_element_attribute(props, needs[i]))
        return celslm_element_fail(props, err,
                                   "<%s> has %s but no celslm.profile; give both or neither",
                                   props->name, needs[i]);
    return true;
  }
  if (celslm_element_attribute(props, "celslm.price_hour")) {
    if (!celslm_element_quantity(props, "celslm.price_hour", CELSLM_UNIT_MONEY, 0, 1e9, NAN,
                                 &h->rent, err))
      return false;
    h->rent /= 3600;
  }
  return read_busy_power(h, props, err);
}

/* ---- cells and links ------------------------------------------------------------------------- */

/* Defaults: 31.1 % is the power amplifier of a macro base station (G. Auer et al., "How much energy
 * is needed to run a wireless network?", IEEE Wireless Communications 18(5), 2011, table 2; 22.8 %
 * for a micro one); 35 % of a device is an assumption. */
bool celslm_cell_read_upkeep(celslm_cell *c, const celslm_element *props, celslm_error *err) {
  return celslm_element_quantity(props, "celslm.pa_efficiency", CELSLM_UNIT_NUMBER, 1e-6, 1, 0.311,
                                 &c->pa_efficiency, err) &&
         celslm_element_quantity(props, "celslm.ue_pa_efficiency", CELSLM_UNIT_NUMBER, 1e-6, 1,
                                 0.35, &c->ue_pa_efficiency, err);
}

bool celslm_link_read_upkeep(celslm_link *l, const celslm_element *link, celslm_error *err) {
  static const char *const allowed[] = {"id", "value", NULL};
  for (int i = 0; i < link->n_children; i++) {
    const celslm_element *e = &link->children[i];
    const char *name = NULL;
    if (!celslm_only_attributes(e, allowed, NULL, err) ||
        !(name = celslm_required_text(e, "id", err)))
      return false;
    if (strncmp(name, "celslm.", 7) != 0) continue; /* somebody else's */
    bool energy = strcmp(name, "celslm.energy_per_byte") == 0;
    if (!energy && strcmp(name, "celslm.price_per_gigabyte") != 0)
      return celslm_element_fail(e, err,
                                 "<prop> \"%s\" of a link is not known; allowed: "
                                 "celslm.energy_per_byte, celslm.price_per_gigabyte",
                                 name);
    if (!celslm_element_quantity(e, "value", energy ? CELSLM_UNIT_ENERGY : CELSLM_UNIT_MONEY, 0,
                                 1e9, NAN, energy ? &l->byte_energy : &l->byte_price, err))
      return false;
    if (!energy) l->byte_price /= 1e9;
  }
  return true;
}

/* ---- <prices> -------------------------------------------------------------------------------- */

static bool read_quality(celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  const char *name = celslm_element_attribute(e, "engine");
  for (int i = 0; i < s->n_engines; i++)
    if (strcmp(s->engines[i].name, name) == 0)
      return celslm_element_quantity(e, "of", CELSLM_UNIT_NUMBER, 0, 1, NAN, &s->prices.quality[i],
                                     err);
  return celslm_element_fail(
      e, err,
      "<quality> engine \"%s\" is not an engine of this scenario; name one of those in <engines>",
      name);
}

bool celslm_read_prices(celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  celslm_prices_config *p = &s->prices;
  p->quality = celslm_alloc((unsigned long)s->n_engines, sizeof *p->quality);
  for (int i = 0; i < s->n_engines; i++) p->quality[i] = NAN;
  p->given = e != NULL;
  if (!e) return true;
  if (!celslm_element_quantity(e, "kilowatt_hour", CELSLM_UNIT_MONEY, 0, 1e9, 0, &p->joule, err) ||
      !celslm_element_quantity(e, "wan_gigabyte", CELSLM_UNIT_MONEY, 0, 1e9, 0, &p->wan_byte,
                               err) ||
      !celslm_element_quantity(e, "cloud_hour", CELSLM_UNIT_MONEY, 0, 1e9, 0, &p->cloud_second,
                               err) ||
      !celslm_element_quantity(e, "quality_weight", CELSLM_UNIT_NUMBER, 0, 1, 0.5,
                               &p->quality_weight, err))
    return false;
  p->joule /= 3.6e6;
  p->wan_byte /= 1e9;
  p->cloud_second /= 3600;
  for (int i = 0; i < e->n_children; i++)
    if (!read_quality(s, &e->children[i], err)) return false;
  return true;
}
