/* radio.c - the <radio> of a scenario: users, channel, link, access, blockage, handover. */
#include "scenario/radio.h"

#include "scenario/sections.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The order of celslm_wall_names and celslm_rate_curve_names; sim/net/radio, which knows what they
 * mean, stands above this module (tests/radio compares). */
static const char *const walls[] = {"low",    "high",    "high-v19", "low-a",
                                    "legacy", "nyu-low", "nyu-high", NULL};
static const char *const curves[] = {"shannon", "lte", "mcs-awgn", "mcs-practical", NULL};

/* ---- users ----------------------------------------------------------------------------------- */

static bool read_cell(const celslm_scenario *s, const celslm_element *e, celslm_ue_group *g,
                      celslm_error *err) {
  const celslm_platform *p = s->platform;
  const char *name = celslm_element_attribute(e, "cell");
  int host = celslm_platform_host(p, name), low = 0,
      high = p->n_cells; /* cells: in order of hosts */
  while (low < high) {
    int middle = low + (high - low) / 2;
    if (p->cells[middle].host < host)
      low = middle + 1;
    else
      high = middle;
  }
  g->cell = low;
  if (low < p->n_cells && p->cells[low].host == host) return true;
  char list[400] = "";
  for (int i = 0; i < p->n_cells && i < 12; i++) {
    size_t at = strlen(list);
    snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "",
             i == 11 ? "..." : p->hosts[p->cells[i].host].name);
  }
  return celslm_element_fail(e, err, "<ues> cell \"%s\" is not a cell of %s; cells: %s", name,
                             p->file, list[0] ? list : "none");
}

static bool read_mobility(const celslm_element *e, celslm_mobility *m, celslm_error *err) {
  static const struct {
    const char *name;
    celslm_mover kind;
  } kinds[] = {{"static", CELSLM_STATIC},
               {"waypoint", CELSLM_WAYPOINT},
               {"gauss-markov", CELSLM_GAUSS_MARKOV},
               {"road", CELSLM_ROAD}};
  const double far = 1e7, fast = 1e3;
  if (!e) return true;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(kinds[i].name, e->name) == 0) m->kind = kinds[i].kind;
  switch (m->kind) {
  case CELSLM_WAYPOINT:
    if (!celslm_element_quantity(e, "speed_min", CELSLM_UNIT_SPEED, DBL_MIN, fast, 0.5,
                                 &m->speed_min, err) ||
        !celslm_element_quantity(e, "speed_max", CELSLM_UNIT_SPEED, DBL_MIN, fast, NAN,
                                 &m->speed_max, err) ||
        !celslm_element_quantity(e, "pause", CELSLM_UNIT_TIME, 0, 1e6, 0, &m->pause, err))
      return false;
    if (m->speed_min > m->speed_max)
      return celslm_element_fail(
          e, err, "<waypoint> speed_min %gm/s is above speed_max %gm/s; it must not be",
          m->speed_min, m->speed_max);
    return true;
  case CELSLM_GAUSS_MARKOV:
    return celslm_element_quantity(e, "speed", CELSLM_UNIT_SPEED, DBL_MIN, fast, NAN, &m->speed_min,
                                   err) &&
           celslm_element_quantity(e, "deviation", CELSLM_UNIT_SPEED, 0, fast, m->speed_min / 3,
                                   &m->speed_max, err) &&
           celslm_element_quantity(e, "memory", CELSLM_UNIT_NUMBER, 0, 1, 0.85, &m->memory, err);
  case CELSLM_ROAD:
    if (!celslm_element_quantity(e, "speed", CELSLM_UNIT_SPEED, DBL_MIN, fast, NAN, &m->speed_min,
                                 err) ||
        !celslm_element_quantity(e, "from_x", CELSLM_UNIT_LENGTH, -far, far, NAN, &m->from_x,
                                 err) ||
        !celslm_element_quantity(e, "from_y", CELSLM_UNIT_LENGTH, -far, far, NAN, &m->from_y,
                                 err) ||
        !celslm_element_quantity(e, "to_x", CELSLM_UNIT_LENGTH, -far, far, NAN, &m->to_x, err) ||
        !celslm_element_quantity(e, "to_y", CELSLM_UNIT_LENGTH, -far, far, NAN, &m->to_y, err))
      return false;
    m->speed_max = m->speed_min;
    if (hypot(m->to_x - m->from_x, m->to_y - m->from_y) < 1)
      return celslm_element_fail(e, err, "<road> is shorter than 1m; give two ends");
    return true;
  default:
    return true;
  }
}

/* Which host they connect. */
static bool read_host(const celslm_scenario *s, const celslm_element *e, celslm_ue_group *g,
                      celslm_error *err) {
  const char *name = celslm_element_attribute(e, "host");
  g->host = -1;
  if (!name) return true;
  g->host = celslm_platform_host(s->platform, name);
  if (g->host < 0 || !s->platform->hosts[g->host].radio)
    return celslm_element_fail(e, err,
                               "<ues> host \"%s\" is not a host of %s with celslm.radio; only "
                               "those hang on a cell",
                               name, s->platform->file);
  if (g->count > 1)
    return celslm_element_fail(e, err,
                               "<ues> host \"%s\" with count %lld; a host hangs on a cell by one "
                               "equipment: count=\"1\"",
                               name, (long long)g->count);
  for (const celslm_ue_group *other = s->radio.ues; other < g; other++)
    if (other->host == g->host)
      return celslm_element_fail(
          e, err, "<ues> host \"%s\" is connected by another <ues> already; one is allowed", name);
  return true;
}

static const char *radio_host_of(const celslm_scenario *s, const celslm_engine_config *c) {
  for (int k = 0; k < c->n_stages; k++)
    if (s->platform->hosts[c->stages[k]].radio) return s->platform->hosts[c->stages[k]].name;
  if (c->swap_host >= 0 && c->swap_host != c->host && s->platform->hosts[c->swap_host].radio)
    return s->platform->hosts[c->swap_host].name;
  return NULL;
}

/* Engines on the radio need an equipment, and their host's memory is theirs alone. */
static bool check_engines(const celslm_scenario *s, celslm_error *err) {
  for (int i = 0; i < s->n_engines; i++) {
    const celslm_engine_config *c = &s->engines[i];
    const char *host = radio_host_of(s, c);
    if (!host) continue;
    bool elsewhere = c->swap_host >= 0 && c->swap_host != c->host;
    if (c->n_stages > 1 || elsewhere)
      return celslm_fail(err, c->file, c->line,
                         "<engine> \"%s\" reaches over the radio to or from host \"%s\" in every "
                         "iteration or swap; a pipeline and swap_to need wires",
                         c->name, host);
    bool found = false;
    for (int g = 0; g < s->radio.n_ues; g++) found |= s->radio.ues[g].host == c->host;
    if (!found)
      return celslm_fail(err, c->file, c->line,
                         "<engine> \"%s\" is on host \"%s\", which hangs on no cell yet; add <ues "
                         "host=\"%s\" count=\"1\" ...> to <radio>",
                         c->name, host, host);
  }
  return true;
}

static bool read_ues(const celslm_scenario *s, const celslm_element *e, celslm_ue_group *g,
                     celslm_error *err) {
  if (!read_cell(s, e, g, err) ||
      !celslm_element_integer(e, "count", 1, 100000000, INT64_MIN, &g->count, err) ||
      !read_host(s, e, g, err) ||
      !celslm_element_quantity(e, "min_distance", CELSLM_UNIT_LENGTH, 0, 1e6, 10, &g->min_distance,
                               err) ||
      !celslm_element_quantity(e, "max_distance", CELSLM_UNIT_LENGTH, DBL_MIN, 1e6, NAN,
                               &g->max_distance, err) ||
      !celslm_element_quantity(e, "height", CELSLM_UNIT_LENGTH, 0, 1e4, 1.5, &g->height, err) ||
      !celslm_element_quantity(e, "indoor", CELSLM_UNIT_NUMBER, 0, 1, 0, &g->indoor, err) ||
      !celslm_element_choice(e, "wall", walls, 0, &g->wall, err) ||
      !celslm_element_quantity(e, "in_car", CELSLM_UNIT_NUMBER, 0, 1, 0, &g->in_car, err) ||
      !celslm_element_bool(e, "metallised", false, &g->metallised, err) ||
      !celslm_element_quantity(e, "weight", CELSLM_UNIT_NUMBER, 1e-3, 1e3, 1, &g->weight, err) ||
      !celslm_element_quantity(e, "max_share", CELSLM_UNIT_NUMBER, 1e-3, 1, 1, &g->cap, err) ||
      !celslm_element_quantity(e, "demand_down", CELSLM_UNIT_RATE, 0, 1e12, 0, &g->demand_down,
                               err) ||
      !celslm_element_quantity(e, "demand_up", CELSLM_UNIT_RATE, 0, 1e12, 0, &g->demand_up, err) ||
      !read_mobility(e->n_children ? &e->children[0] : NULL, &g->mobility, err))
    return false;
  if (g->min_distance > g->max_distance)
    return celslm_element_fail(e, err,
                               "<ues> min_distance %gm is above max_distance %gm; it must "
                               "not be",
                               g->min_distance, g->max_distance);
  if (g->indoor + g->in_car > 1)
    return celslm_element_fail(e, err,
                               "<ues> indoor %g and in_car %g are more than all; allowed: "
                               "a sum of at most 1",
                               g->indoor, g->in_car);
  return true;
}

/* ---- the parts ------------------------------------------------------------------------------- */

static bool read_channel(celslm_radio_config *r, const celslm_element *e, celslm_error *err) {
  static const char *const states[] = {"los", "nlos", "auto", NULL};
  int state;
  if (!celslm_element_choice(e, "state", states, CELSLM_AUTO_LOS, &state, err)) return false;
  r->state = (celslm_los)state;
  return celslm_element_bool(e, "shadowing", false, &r->shadowing, err) &&
         celslm_element_bool(e, "gas", false, &r->gas, err) &&
         celslm_element_quantity(e, "rain", CELSLM_UNIT_RAIN, 0, 500, 0, &r->rain, err) &&
         celslm_element_quantity(e, "clutter_size", CELSLM_UNIT_LENGTH, DBL_MIN, 1e3, 0,
                                 &r->clutter_size, err) &&
         celslm_element_quantity(e, "clutter_density", CELSLM_UNIT_NUMBER, DBL_MIN, 0.99, 0,
                                 &r->clutter_density, err) &&
         celslm_element_quantity(e, "clutter_height", CELSLM_UNIT_LENGTH, DBL_MIN, 1e3, 0,
                                 &r->clutter_height, err);
}

static bool read_link(celslm_radio_config *r, const celslm_element *e, celslm_error *err) {
  static const char *const interference[] = {"none", "fixed", "load", NULL};
  static const char *const fading[] = {"none", "ergodic", "block", NULL};
  int chosen = 0, faded = 0;
  if (!celslm_element_choice(e, "curve", curves, 0, &r->curve, err) ||
      !celslm_element_choice(e, "interference", interference, 0, &chosen, err) ||
      !celslm_element_quantity(e, "activity", CELSLM_UNIT_NUMBER, 0, 1, 1, &r->activity, err) ||
      !celslm_element_choice(e, "fading", fading, 0, &faded, err) ||
      !celslm_element_quantity(e, "coherence", CELSLM_UNIT_TIME, 1e-5, 1e3, 0.01, &r->coherence,
                               err) ||
      !celslm_element_quantity(e, "bler", CELSLM_UNIT_NUMBER, 0, 0.9, -1, &r->bler, err) ||
      !celslm_element_quantity(e, "harq_factor", CELSLM_UNIT_NUMBER, 0, 1, 1, &r->harq_factor,
                               err) ||
      !celslm_element_bool(e, "adapt_layers", false, &r->adapt_layers, err))
    return false;
  r->interference = (celslm_interference)chosen;
  r->fading = (celslm_fading)faded;
  if (!celslm_element_attribute(e, "bler")) r->bler = NAN;
  return true;
}

static bool read_access(celslm_radio_config *r, const celslm_element *e, celslm_error *err) {
  static const char *const schedulers[] = {"round-robin", "proportional-fair", NULL};
  static const char *const timings[] = {"constant", "slots", NULL};
  int scheduler = 0, timing = 0;
  r->access = true;
  if (!celslm_element_choice(e, "scheduler", schedulers, 0, &scheduler, err) ||
      !celslm_element_choice(e, "timing", timings, 0, &timing, err) ||
      !celslm_element_quantity(e, "request_period", CELSLM_UNIT_TIME, 0, 1, 0, &r->request_period,
                               err) ||
      !celslm_element_integer(e, "capability", 1, 2, 1, &r->capability, err))
    return false;
  r->proportional_fair = scheduler == 1;
  r->slots = timing == 1;
  return true;
}

static bool read_blockage(celslm_radio_config *r, const celslm_element *e, celslm_error *err) {
  r->blockage = true;
  return celslm_element_quantity(e, "density", CELSLM_UNIT_NUMBER, 0, 10, 0.01, &r->crowd_density,
                                 err) &&
         celslm_element_quantity(e, "speed", CELSLM_UNIT_SPEED, 0, 100, 1, &r->crowd_speed, err) &&
         celslm_element_quantity(e, "height", CELSLM_UNIT_LENGTH, DBL_MIN, 10, 1.8,
                                 &r->crowd_height, err) &&
         celslm_element_quantity(e, "duration", CELSLM_UNIT_TIME, 1e-6, 1e4, 0.5,
                                 &r->crowd_duration, err) &&
         celslm_element_quantity(e, "depth", CELSLM_UNIT_DB, 0, 100, 15, &r->blockage_depth, err);
}

static bool read_handover(celslm_radio_config *r, const celslm_element *e, celslm_error *err) {
  int64_t filter;
  r->handover = true;
  if (!celslm_element_integer(e, "filter", 0, 19, 4, &filter, err)) return false;
  r->filter = exp2(-(double)filter / 4); /* TS 38.331: a = 2^(-k/4) */
  return celslm_element_quantity(e, "hysteresis", CELSLM_UNIT_DB, 0, 30, 3, &r->hysteresis, err) &&
         celslm_element_quantity(e, "time_to_trigger", CELSLM_UNIT_TIME, 0, 10, 0.48,
                                 &r->time_to_trigger, err) &&
         celslm_element_quantity(e, "interruption", CELSLM_UNIT_TIME, 0, 10, 0.06, &r->interruption,
                                 err) &&
         celslm_element_quantity(e, "link_failure", CELSLM_UNIT_TIME, 0, 100, 1, &r->link_failure,
                                 err);
}

bool celslm_read_radio(celslm_scenario *s, const celslm_element *radio, celslm_error *err) {
  celslm_radio_config *r = &s->radio;
  *r = (celslm_radio_config){.element = radio,
                             .bytes_per_token = 4,
                             .packet_overhead = 60,
                             .state = CELSLM_AUTO_LOS,
                             .activity = 1,
                             .bler = NAN,
                             .harq_factor = 1,
                             .capability = 1,
                             .sample = 0.2,
                             .link_failure = 1,
                             .patience = 10,
                             .plain = true};
  if (!radio) return check_engines(s, err);
  const celslm_element *channel = celslm_element_child(radio, "channel");
  r->channel = channel ? &channel->children[0] : NULL; /* the schema demands exactly one */
  r->ues = celslm_alloc((unsigned long)radio->n_children, sizeof *r->ues);
  if (!celslm_element_quantity(radio, "bytes_per_token", CELSLM_UNIT_BYTES, DBL_MIN, 1e6, 4,
                               &r->bytes_per_token, err) ||
      !celslm_element_quantity(radio, "packet_overhead", CELSLM_UNIT_BYTES, 0, 1e6, 60,
                               &r->packet_overhead, err) ||
      !celslm_element_quantity(radio, "sample", CELSLM_UNIT_TIME, 1e-3, 1e3, 0.2, &r->sample,
                               err) ||
      !celslm_element_quantity(radio, "patience", CELSLM_UNIT_TIME, 1e-3, 1e6, 10, &r->patience,
                               err))
    return false;
  static const struct {
    const char *name;
    bool (*read)(celslm_radio_config *r, const celslm_element *e, celslm_error *err);
  } parts[] = {{"link", read_link},
               {"access", read_access},
               {"blockage", read_blockage},
               {"handover", read_handover}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    const celslm_element *e = celslm_element_child(radio, parts[i].name);
    if (e && !parts[i].read(r, e, err)) return false;
  }
  if (r->channel && !read_channel(r, r->channel, err)) return false;
  r->plain = !r->access && !r->blockage && !r->handover && !r->shadowing && !r->gas &&
             !(r->rain > 0) && !celslm_element_child(radio, "link");
  for (int i = 0; i < radio->n_children; i++)
    if (strcmp(radio->children[i].name, "ues") == 0 &&
        !read_ues(s, &radio->children[i], &r->ues[r->n_ues++], err))
      return false;
  for (int g = 0; g < r->n_ues; g++)
    r->plain &= r->ues[g].mobility.kind == CELSLM_STATIC && !(r->ues[g].indoor > 0) &&
                !(r->ues[g].in_car > 0);
  return check_engines(s, err);
}
