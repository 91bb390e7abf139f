#include "net/radio/scene.h"

#include "base/rng.h"
#include "net/radio/atmosphere.h"
#include "net/radio/budget.h"
#include "net/radio/building.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

static const celslm_radio_config *config_of(const celslm_scene *s) {
  return &s->scenario->radio;
}

static const celslm_cell *cell_of(const celslm_scene *s, int cell) {
  return &s->scenario->platform->cells[cell];
}

static const char *name_of(const celslm_scene *s, int cell) {
  return s->scenario->platform->hosts[cell_of(s, cell)->host].name;
}

/* ---- fields ---------------------------------------------------------------------------------- */

static celslm_field *new_field(const celslm_scene *s, double correlation, const char *name) {
  gsl_rng *r = celslm_rng(s->scenario->seed, name);
  celslm_field *f = celslm_field_new(correlation > 0 ? correlation : 10, r);
  gsl_rng_free(r);
  return f;
}

static celslm_geometry geometry(const celslm_scene *s, int cell, double distance, double height) {
  const celslm_radio_config *r = config_of(s);
  return (celslm_geometry){.carrier = cell_of(s, cell)->carrier,
                           .distance = distance,
                           .h_bs = cell_of(s, cell)->height,
                           .h_ut = height,
                           .clutter_size = r->clutter_size,
                           .clutter_density = r->clutter_density,
                           .clutter_height = r->clutter_height};
}

static void make_fields(celslm_scene *s) {
  static const char *const states[] = {"los", "nlos", "o2i"};
  s->site = celslm_alloc((unsigned long)s->n_cells, sizeof *s->site);
  for (int c = 0; c < s->n_cells; c++) {
    s->site[c] = -1;
    for (int other = 0; other < c && s->site[c] < 0; other++)
      if (cell_of(s, other)->x == cell_of(s, c)->x && cell_of(s, other)->y == cell_of(s, c)->y)
        s->site[c] = s->site[other];
    if (s->site[c] < 0) s->site[c] = s->n_sites++;
  }
  s->shadow = celslm_alloc(3 * (unsigned long)s->n_sites, sizeof *s->shadow);
  s->sight = celslm_alloc((unsigned long)s->n_sites, sizeof *s->sight);
  celslm_geometry g = geometry(s, 0, 0, 1.5);
  for (int site = 0; site < s->n_sites; site++) {
    char *name = celslm_format("line of sight %d", site);
    s->sight[site] = new_field(s, celslm_los_correlation(s->channel, &g), name);
    free(name);
    for (int state = 0; state < 3; state++) {
      name = celslm_format("shadowing %s %d", states[state], site);
      s->shadow[3 * site + state] = new_field(s, s->channel->decorrelation[state], name);
      free(name);
    }
  }
  for (int state = 0; state < 3; state++) {
    char *name = celslm_format("shadowing %s", states[state]);
    s->common[state] = new_field(s, s->channel->decorrelation[state], name);
    free(name);
  }
}

/* ---- hearing --------------------------------------------------------------------------------- */

static bool in_sight(const celslm_scene *s, const celslm_ue *u, int cell,
                     const celslm_geometry *g) {
  const celslm_radio_config *r = config_of(s);
  if (r->state != CELSLM_AUTO_LOS) return r->state == CELSLM_ALWAYS_LOS;
  double chance = s->spatial
                      ? celslm_uniform_of(celslm_field_at(s->sight[s->site[cell]], u->x, u->y))
                      : u->chance;
  celslm_geometry outside = *g; /* the way through the building does not count */
  outside.distance = fmax(g->distance - u->indoors, 0);
  return chance < s->channel->los_probability(&outside);
}

static double shadow(celslm_scene *s, const celslm_ue *u, int cell, const celslm_geometry *g,
                     bool los) {
  celslm_link_state state = u->indoor ? CELSLM_O2I : los ? CELSLM_LOS : CELSLM_NLOS;
  double std = s->channel->shadow_std(g, state);
  if (isnan(std)) { /* a model without buildings */
    state = los ? CELSLM_LOS : CELSLM_NLOS;
    std = s->channel->shadow_std(g, state);
  }
  double own = celslm_field_at(s->shadow[3 * s->site[cell] + (int)state], u->x, u->y);
  if (isnan(s->common_here[state])) /* the same for all cells */
    s->common_here[state] = celslm_field_at(s->common[state], u->x, u->y);
  double common = s->common_here[state];
  return std * celslm_between_sites(common, own, 0.5);
}

static void hear(celslm_scene *s, celslm_ue *u, int cell, double distance) {
  const celslm_radio_config *r = config_of(s);
  celslm_geometry g = geometry(s, cell, distance, u->height);
  celslm_heard *h = &u->heard[cell];
  h->los = in_sight(s, u, cell, &g);
  h->loss = s->channel->loss(&g, h->los);
  if (r->shadowing) h->loss += shadow(s, u, cell, &g, h->los);
  if (u->indoor || u->in_car) h->loss += u->wall + celslm_indoor_loss(u->indoors);
  double path = celslm_distance_3d(&g) * 1e-3;
  if (r->gas) h->loss += path * celslm_gas_attenuation(CELSLM_GAS_ALL, g.carrier);
  if (r->rain > 0) {
    double elevation = atan2(fabs(g.h_bs - g.h_ut), fmax(distance, 1e-3)) * 180 / PI;
    h->loss += path * celslm_rain_attenuation(g.carrier, r->rain, elevation, 45);
  }
}

void celslm_scene_hear(celslm_scene *s, celslm_ue *u) {
  for (int state = 0; state < 3; state++) s->common_here[state] = NAN;
  for (int c = 0; c < s->n_cells; c++)
    if (s->spatial || c == u->cell)
      hear(s, u, c, hypot(u->x - cell_of(s, c)->x, u->y - cell_of(s, c)->y));
}

/* dBi of a cell's antenna towards a user, of `gain` in its main direction. */
static double towards(const celslm_cell *c, const celslm_ue *u, double gain) {
  if (isnan(c->azimuth)) return gain;
  double distance = hypot(u->x - c->x, u->y - c->y);
  double azimuth = atan2(u->y - c->y, u->x - c->x) * 180 / PI - c->azimuth;
  double zenith = atan2(distance, u->height - c->height) * 180 / PI - c->downtilt;
  return gain + celslm_element_gain(azimuth, zenith) - celslm_element_gain(0, 90);
}

double celslm_scene_power(const celslm_scene *s, const celslm_ue *u, int cell) {
  const celslm_cell *c = cell_of(s, cell);
  return c->tx_power + towards(c, u, c->antenna_gain) + c->ue_antenna_gain - u->heard[cell].loss;
}

int celslm_scene_strongest(const celslm_scene *s, const celslm_ue *u) {
  int best = 0;
  for (int c = 1; c < s->n_cells; c++)
    if (celslm_scene_power(s, u, c) > celslm_scene_power(s, u, best)) best = c;
  return best;
}

/* ---- links ----------------------------------------------------------------------------------- */

static bool overlap(const celslm_cell *a, const celslm_cell *b) {
  return fabs(a->carrier - b->carrier) < (a->bandwidth + b->bandwidth) / 2;
}

double celslm_scene_share(const celslm_scene *s, int cell, bool uplink) {
  const celslm_cell *c = cell_of(s, cell);
  double share = uplink ? c->ul_share : c->dl_share;
  return share > 0 ? share : celslm_tdd_share(s->tdd[cell], uplink);
}

/* dB: signal over noise, less what the disturbance (mW) adds to the noise. */
static double with(double snr, double noise, double disturbance) {
  return disturbance > 0 ? snr - celslm_to_db(1 + disturbance / celslm_from_db(noise)) : snr;
}

static double disturbance_down(const celslm_scene *s, const celslm_ue *u, int cell) {
  double sum = 0;
  for (int c = 0; c < s->n_cells; c++) {
    const celslm_cell *other = cell_of(s, c);
    if (c == cell || !(s->activity_down[c] > 0) || !overlap(other, cell_of(s, cell))) continue;
    double power = other->tx_power + towards(other, u, other->interference_gain) +
                   other->ue_antenna_gain - u->heard[c].loss;
    sum += s->activity_down[c] * celslm_from_db(power);
  }
  return sum;
}

static double disturbance_up(const celslm_scene *s, int cell) {
  double sum = 0;
  for (int c = 0; c < s->n_cells; c++)
    if (c != cell) sum += s->activity_up[c] * s->disturbance[c * s->n_cells + cell];
  return sum;
}

static void set_latencies(const celslm_scene *s, int cell, celslm_radio_link *l) {
  const celslm_radio_config *r = config_of(s);
  l->latency_down = CELSLM_CONSTANT_LATENCY;
  l->latency_up = CELSLM_CONSTANT_LATENCY + CELSLM_CONSTANT_WAIT_UP;
  if (!r->slots) return;
  int mu = cell_of(s, cell)->numerology, capability = (int)r->capability;
  double bler = celslm_link_bler(r);
  double repeats = bler > 0 ? celslm_harq_of(bler, r->harq_factor, 0).attempts - 1 : 0;
  l->latency_down = celslm_user_plane(s->tdd[cell], mu, capability, false, repeats);
  l->latency_up = celslm_user_plane(s->tdd[cell], mu, capability, true, repeats);
  if (r->request_period > 0)
    l->latency_up += celslm_uplink_request(mu, capability, r->request_period / celslm_slot(mu));
}

celslm_radio_link celslm_scene_link(const celslm_scene *s, const celslm_ue *u, int cell,
                                    double fade_down, double fade_up) {
  const celslm_radio_config *r = config_of(s);
  const celslm_cell *c = cell_of(s, cell);
  double gains = towards(c, u, c->antenna_gain) + c->ue_antenna_gain;
  double loss = u->heard[cell].loss;
  celslm_radio_link l = {
      .snr_down = celslm_snr(c->tx_power, gains, loss, c->bandwidth, c->ue_noise_figure),
      .snr_up = celslm_snr(c->ue_tx_power, gains, loss, c->bandwidth, c->noise_figure),
  };
  if (r->interference != CELSLM_INTERFERENCE_NONE) {
    l.snr_down = with(l.snr_down, celslm_noise(c->bandwidth, c->ue_noise_figure),
                      disturbance_down(s, u, cell));
    l.snr_up = with(l.snr_up, celslm_noise(c->bandwidth, c->noise_figure), disturbance_up(s, cell));
  }
  l.snr_down += fade_down;
  l.snr_up += fade_up;
  l.down =
      celslm_link_rate(c, r, celslm_scene_share(s, cell, false), l.snr_down, false, &l.layers_down);
  l.up = celslm_link_rate(c, r, celslm_scene_share(s, cell, true), l.snr_up, true, &l.layers_up);
  set_latencies(s, cell, &l);
  return l;
}

/* ---- how active cells are -------------------------------------------------------------------- */

typedef struct settling {
  celslm_scene *scene;
  bool up;
  const double *silence; /* no activity anywhere */
} settling;

static double rate_under(const settling *at, const celslm_ue *u, const double *activity) {
  celslm_scene *s = at->scene;
  double **current = at->up ? &s->activity_up : &s->activity_down, *own = *current;
  *current = (double *)(uintptr_t)activity;
  celslm_radio_link l = celslm_scene_link(s, u, u->cell, 0, 0);
  *current = own;
  return at->up ? l.up : l.down;
}

/* bit/s that a cell can carry of its users' mix of demands, given the others' activity. It falls
 * with that activity: 0 once interference silences a user (who would be heard without). */
static double capacity(void *self, int cell, const double *activity) {
  const settling *at = self;
  const celslm_scene *s = at->scene;
  double demand = 0, time = 0;
  for (int i = 0; i < s->n_ues; i++) {
    const celslm_ue *u = &s->ues[i];
    const celslm_ue_group *g = &config_of(s)->ues[u->group];
    double wish = at->up ? g->demand_up : g->demand_down;
    if (u->cell != cell || wish <= 0) continue;
    double rate = rate_under(at, u, activity);
    if (rate <= 0 && rate_under(at, u, at->silence) > 0) return 0;
    if (rate <= 0) continue; /* out of reach in any case */
    demand += wish;
    time += wish / rate;
  }
  return time > 0 ? 8 * demand / time : 0;
}

static bool settle(celslm_scene *s, celslm_error *err) {
  const celslm_radio_config *r = config_of(s);
  bool fixed = r->interference == CELSLM_INTERFERENCE_FIXED;
  for (int c = 0; c < s->n_cells; c++)
    s->activity_down[c] = s->activity_up[c] = fixed ? r->activity : 0;
  if (r->interference != CELSLM_INTERFERENCE_LOAD) return true;
  double *demand = celslm_alloc((unsigned long)s->n_cells, sizeof *demand);
  double *activity = celslm_alloc((unsigned long)s->n_cells, sizeof *activity);
  double *silence = celslm_alloc((unsigned long)s->n_cells, sizeof *silence);
  bool ok = true;
  for (int up = 0; ok && up < 2; up++) {
    for (int c = 0; c < s->n_cells; c++) demand[c] = 0;
    for (int i = 0; i < s->n_ues; i++) {
      const celslm_ue_group *g = &r->ues[s->ues[i].group];
      demand[s->ues[i].cell] += 8 * (up ? g->demand_up : g->demand_down);
    }
    settling at = {s, up == 1, silence};
    ok = celslm_settle_load(s->n_cells, demand, capacity, &at, activity) > 0;
    memcpy(up ? s->activity_up : s->activity_down, activity, (size_t)s->n_cells * sizeof *activity);
  }
  free(demand);
  free(activity);
  free(silence);
  return ok || celslm_element_fail(r->element, err,
                                   "<radio> the activity of its cells does not settle; lower "
                                   "demand_down and demand_up, or say interference=\"fixed\"");
}

/* The mean power that the users of each cell make at each other one. */
static void disturb(celslm_scene *s) {
  unsigned long n = (unsigned long)s->n_cells;
  s->disturbance = celslm_alloc(n * n, sizeof *s->disturbance);
  if (config_of(s)->interference == CELSLM_INTERFERENCE_NONE) return;
  int *users = celslm_alloc(n, sizeof *users);
  for (int i = 0; i < s->n_ues; i++) users[s->ues[i].cell]++;
  for (int i = 0; i < s->n_ues; i++) {
    const celslm_ue *u = &s->ues[i];
    const celslm_cell *own = cell_of(s, u->cell);
    for (int c = 0; c < s->n_cells; c++) {
      const celslm_cell *other = cell_of(s, c);
      if (c == u->cell || !overlap(own, other)) continue;
      double power = own->ue_tx_power + own->ue_antenna_gain +
                     towards(other, u, other->interference_gain) - u->heard[c].loss;
      s->disturbance[u->cell * s->n_cells + c] += celslm_from_db(power) / users[u->cell];
    }
  }
  free(users);
}

/* ---- building -------------------------------------------------------------------------------- */

static void place(celslm_scene *s, celslm_ue *u, gsl_rng *first, gsl_rng *more) {
  const celslm_ue_group *g = &config_of(s)->ues[u->group];
  const celslm_cell *c = cell_of(s, g->cell);
  double near = g->min_distance * g->min_distance, far = g->max_distance * g->max_distance;
  double distance = sqrt(near + gsl_rng_uniform(first) * (far - near));
  u->chance = gsl_rng_uniform(first); /* drawn in any case: the other users stay where they are */
  u->cell = g->cell;
  u->height = g->height;
  double angle = 2 * PI * gsl_rng_uniform(more), where = gsl_rng_uniform(more);
  if (!isnan(c->azimuth)) angle = (c->azimuth - 60) * PI / 180 + angle / 3; /* its sector */
  u->x = c->x + distance * cos(angle);
  u->y = c->y + distance * sin(angle);
  u->indoor = where < g->indoor;
  u->in_car = !u->indoor && where < g->indoor + g->in_car;
  if (u->indoor) {
    celslm_wall wall = (celslm_wall)g->wall;
    bool rural = strstr(s->channel->name, "rma") != NULL;
    u->indoors = celslm_indoor_distance(more, rural ? 10 : 25);
    u->wall = celslm_wall_loss(wall, c->carrier) + gsl_ran_gaussian(more, celslm_wall_std(wall));
  } else if (u->in_car) {
    u->wall = celslm_car_loss(g->metallised, more);
  }
  celslm_scene_place(s, u, more);
  if (s->spatial) {
    celslm_scene_hear(s, u);
  } else { /* the distance as it was drawn, not by way of coordinates */
    hear(s, u, u->cell, distance);
  }
  if (config_of(s)->handover) u->cell = celslm_scene_strongest(s, u);
}

static bool check_cells(celslm_scene *s, celslm_error *err) {
  const celslm_radio_config *r = config_of(s);
  for (int c = 0; c < s->n_cells; c++) {
    const celslm_cell *cell = cell_of(s, c);
    if (cell->tdd[0] && strcmp(cell->tdd, "paired") != 0) {
      s->tdd[c] = celslm_tdd_find(cell->tdd);
      if (!s->tdd[c])
        return celslm_fail(err, s->scenario->platform->file,
                           s->scenario->platform->hosts[cell->host].line,
                           "cell \"%s\": no TDD pattern is called %s; allowed: DDDSU, 7DS2U, DSUU, "
                           "DDDSUDDSUU, paired",
                           name_of(s, c), cell->tdd);
    }
    if (r->slots && isnan(celslm_processing_symbols(CELSLM_N1, (int)r->capability,
                                                    cell->numerology > 3 ? 3 : cell->numerology)))
      return celslm_element_fail(r->element, err,
                                 "<access> capability %d with numerology %d of cell \"%s\" is not "
                                 "defined; allowed: 1 for all, 2 up to numerology 2",
                                 (int)r->capability, cell->numerology, name_of(s, c));
  }
  return true;
}

/* Users that nothing can bring into reach. */
static bool check_reach(const celslm_scene *s, celslm_error *err) {
  const celslm_radio_config *r = config_of(s);
  if (s->spatial || r->fading == CELSLM_FADING_BLOCK) return true; /* there they come and go */
  for (int i = 0; i < s->n_ues; i++) {
    const celslm_ue *u = &s->ues[i];
    celslm_radio_link l = celslm_scene_link(s, u, u->cell, 0, 0);
    const celslm_cell *c = cell_of(s, u->cell);
    if (l.up <= 0 || l.down <= 0)
      return celslm_fail(
          err, s->scenario->file, 0,
          "a user of cell %s at %.0f m is out of reach (SNR %.1f dB up, %.1f dB down); allowed is "
          "-10 dB and more: place users nearer or raise powers",
          name_of(s, u->cell), hypot(u->x - c->x, u->y - c->y), l.snr_up, l.snr_down);
  }
  return true;
}

static bool build(celslm_scene *s, celslm_error *err) {
  const celslm_radio_config *r = config_of(s);
  unsigned long n = (unsigned long)s->n_cells;
  if (!r->channel)
    return celslm_element_fail(r->element, err,
                               "<radio> lacks <channel>; see `celslm list channels`");
  s->channel = celslm_channel_find(r->channel->name);
  if (!s->channel)
    return celslm_element_fail(
        r->channel, err, "no channel is called %s; see `celslm list channels`", r->channel->name);
  s->tdd = celslm_alloc(n, sizeof *s->tdd);
  s->activity_down = celslm_alloc(n, sizeof *s->activity_down);
  s->activity_up = celslm_alloc(n, sizeof *s->activity_up);
  if (!check_cells(s, err)) return false;
  s->spatial = r->shadowing || r->handover || r->interference != CELSLM_INTERFERENCE_NONE ||
               celslm_scene_moves(s);
  if (s->spatial) make_fields(s);
  int64_t count = 0;
  for (int g = 0; g < r->n_ues; g++) count += r->ues[g].count;
  s->ues = celslm_alloc((unsigned long)count, sizeof *s->ues);
  s->heard = celslm_alloc((unsigned long)count * n, sizeof *s->heard);
  gsl_rng *first = celslm_rng(s->scenario->seed, "users");
  gsl_rng *more = celslm_rng(s->scenario->seed, "users place");
  for (int g = 0; g < r->n_ues; g++)
    for (int64_t i = 0; i < r->ues[g].count; i++) {
      celslm_ue *u = &s->ues[s->n_ues];
      u->group = g;
      u->heard = &s->heard[(size_t)s->n_ues++ * n];
      place(s, u, first, more);
    }
  gsl_rng_free(first);
  gsl_rng_free(more);
  disturb(s);
  return settle(s, err) && check_reach(s, err);
}

celslm_scene *celslm_scene_new(const celslm_scenario *scenario, celslm_error *err) {
  celslm_scene *s = celslm_alloc(1, sizeof *s);
  s->scenario = scenario;
  s->n_cells = scenario->platform->n_cells;
  s->moves = celslm_rng(scenario->seed, "users move");
  if (build(s, err)) return s;
  celslm_scene_free(s);
  return NULL;
}

void celslm_scene_free(celslm_scene *s) {
  if (!s) return;
  for (int i = 0; s->shadow && i < 3 * s->n_sites; i++) celslm_field_free(s->shadow[i]);
  for (int i = 0; s->sight && i < s->n_sites; i++) celslm_field_free(s->sight[i]);
  for (int i = 0; i < 3; i++) celslm_field_free(s->common[i]);
  gsl_rng_free(s->moves);
  free(s->shadow);
  free(s->sight);
  free(s->site);
  free(s->tdd);
  free(s->activity_down);
  free(s->activity_up);
  free(s->disturbance);
  free(s->heard);
  free(s->ues);
  free(s);
}
