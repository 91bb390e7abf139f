#include "world/world.h"

#include "base/rng.h"
#include "load/load.h"
#include "net/radio/channel.h"
#include "net/radio/rate.h"
#include "strategy/system.h"
#include "world/books.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct world {
  celslm_system system;
  const celslm_scenario *scenario;
  const celslm_run_options *options;
  celslm_load *load;
  celslm_event arrival, sample;
  celslm_request *live_first, *live_last;
  uint32_t arrived;
  uint64_t live;
  celslm_books *books;
} world;

/* ---- users ----------------------------------------------------------------------------------- */

static int site_on(const celslm_system *s, int host) {
  for (int i = 0; i < s->scenario->n_engines; i++)
    if (s->sites[i].host == host) return i;
  return -1;
}

/* How the line of sight is decided: by the option `state` of the channel's element. */
static const char *const los_states[] = {"los", "nlos", "draw", NULL};

static bool place_group(celslm_system *s, const celslm_ue_group *g, const celslm_channel *channel,
                        int state, gsl_rng *r, celslm_error *err) {
  const celslm_platform *p = s->scenario->platform;
  const celslm_cell *cell = &p->cells[g->cell];
  for (int64_t i = 0; i < g->count; i++) {
    double near = g->min_distance * g->min_distance, far = g->max_distance * g->max_distance;
    celslm_geometry at = {.carrier = cell->carrier,
                          .distance = sqrt(near + gsl_rng_uniform(r) * (far - near)),
                          .h_bs = cell->height,
                          .h_ut = g->height};
    double chance = gsl_rng_uniform(r); /* drawn in any case: the other users stay where they are */
    bool los = state == 2 ? chance < channel->los_probability(&at) : state == 0;
    celslm_radio_link link = celslm_radio_link_of(cell, channel->loss(&at, los));
    if (link.up <= 0 || link.down <= 0)
      return celslm_fail(
          err, s->scenario->file, 0,
          "a user of cell %s at %.0f m is out of reach (SNR %.1f dB up, %.1f dB down); allowed is "
          "-10 dB and more: place users nearer or raise powers",
          p->hosts[cell->host].name, at.distance, link.snr_up, link.snr_down);
    s->users[s->n_users++] = (celslm_user){.cell = g->cell,
                                           .site = site_on(s, cell->serves),
                                           .host = cell->serves,
                                           .up = link.up,
                                           .down = link.down,
                                           .latency_up = celslm_ns_of(link.latency_up),
                                           .latency_down = celslm_ns_of(link.latency_down)};
  }
  return true;
}

static bool place_users(celslm_system *s, celslm_error *err) {
  const celslm_scenario *sc = s->scenario;
  int64_t count = sc->n_engines;
  for (int g = 0; g < sc->radio.n_ues; g++) count += sc->radio.ues[g].count;
  s->users = celslm_alloc((unsigned long)count, sizeof *s->users);
  if (!sc->radio.n_ues) { /* no radio: one at each edge host that serves, or else at the cloud */
    for (int pass = 0; pass < 2 && !s->n_users; pass++)
      for (int i = 0; i < sc->n_engines; i++) {
        int host = sc->engines[i].host;
        bool edge = sc->platform->hosts[host].role != CELSLM_CLOUD;
        if (edge == (pass == 0) && site_on(s, host) == i)
          s->users[s->n_users++] = (celslm_user){.cell = -1, .site = edge ? i : -1, .host = host};
      }
    return true;
  }
  const celslm_element *e = &sc->radio.channel->children[0]; /* the schema demands exactly one */
  const celslm_channel *channel = celslm_channel_find(e->name);
  int state;
  if (!channel)
    return celslm_element_fail(e, err, "no channel is called %s; see `celslm list channels`",
                               e->name);
  if (!celslm_element_choice(e, "state", los_states, 2, &state, err)) return false;
  gsl_rng *r = celslm_rng(sc->seed, "users");
  bool ok = true;
  for (int g = 0; ok && g < sc->radio.n_ues; g++)
    ok = place_group(s, &sc->radio.ues[g], channel, state, r, err);
  gsl_rng_free(r);
  return ok;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void schedule_arrival(world *w) {
  celslm_ns next = celslm_load_when(w->load);
  if (next < CELSLM_NEVER) celslm_net_at(w->system.net, &w->arrival, next);
}

static void arrive(void *self) {
  world *w = self;
  celslm_system *s = &w->system;
  celslm_arrival a;
  if (!celslm_load_next(w->load, &a)) return;
  celslm_request *r = celslm_alloc(1, sizeof *r);
  r->system = s;
  r->demand = a.demand;
  r->id = w->arrived++;
  r->user = (uint32_t)(a.place * s->n_users);
  r->context = a.context;
  r->site = -1;
  r->prompt = a.prompt;
  r->output = a.output;
  r->arrival = celslm_net_now(s->net);
  r->uploaded = r->first_seen = r->last_seen = -1;
  r->job.scheduled = -1;
  r->end = CELSLM_IN_FLIGHT;
  r->before = w->live_last;
  *(w->live_last ? &w->live_last->after : &w->live_first) = r;
  w->live_last = r;
  w->live++;
  schedule_arrival(w);
  s->strategy->arrive(s->options, r);
}

static void record(world *w, const celslm_request *r) {
  celslm_request_row row;
  celslm_request_row_of(r, &row);
  row.strategy = (uint8_t)w->options->strategy;
  celslm_books_request(w->books, &row);
  if (w->options->on_request) w->options->on_request(w->options->self, &row);
}

static void forget(world *w, celslm_request *r) {
  *(r->before ? &r->before->after : &w->live_first) = r->after;
  *(r->after ? &r->after->before : &w->live_last) = r->before;
  w->live--;
  free(r);
}

static void ended(void *self, celslm_request *r) {
  world *w = self;
  record(w, r);
  celslm_load_ended(w->load, &r->demand, r->end == CELSLM_COMPLETED, celslm_net_now(w->system.net));
  schedule_arrival(w);
  forget(w, r);
  if (w->options->finished) ++*w->options->finished;
  if (!w->live && celslm_load_when(w->load) == CELSLM_NEVER)
    celslm_net_cancel(w->system.net, &w->sample);
}

static void take_sample(void *self) {
  world *w = self;
  celslm_books_sample(w->books, &w->system);
  if (celslm_net_idle(w->system.net)) return; /* a run that starved must end, and say so */
  celslm_net_at(w->system.net, &w->sample,
                celslm_net_now(w->system.net) + celslm_ns_of(w->scenario->results.sample));
}

/* ---- building -------------------------------------------------------------------------------- */

static bool build_sites(world *w, celslm_error *err) {
  celslm_system *s = &w->system;
  const celslm_scenario *sc = w->scenario;
  celslm_engine_hooks hooks = celslm_books_hooks(w->books);
  s->sites = celslm_alloc((unsigned long)sc->n_engines, sizeof *s->sites);
  s->cloud = -1;
  for (int i = 0; i < sc->n_engines; i++) {
    const celslm_engine_config *c = &sc->engines[i];
    celslm_site *site = &s->sites[i];
    *site =
        (celslm_site){.index = i, .host = c->host, .model = &sc->models[c->model], .net = s->net};
    celslm_books_watch(w->books, site);
    site->engine = celslm_engine_new(i, c, sc, s->net, w->options->step, &hooks, err);
    if (!site->engine) return false;
    const celslm_shape shape = celslm_shape_of(site->model, c->weights, c->kv);
    site->store = celslm_store_new(sc, c->context_memory, celslm_kv_bytes_per_token(&shape));
    if (s->cloud < 0 && sc->platform->hosts[c->host].role == CELSLM_CLOUD) s->cloud = i;
  }
  return true;
}

static void build_cells(celslm_system *s) {
  unsigned long n = (unsigned long)s->scenario->platform->n_cells;
  s->up = celslm_alloc(n, sizeof *s->up);
  s->down = celslm_alloc(n, sizeof *s->down);
  s->bytes_up = celslm_alloc(n, sizeof *s->bytes_up);
  s->bytes_down = celslm_alloc(n, sizeof *s->bytes_down);
  for (unsigned long c = 0; c < n; c++) {
    s->up[c] = celslm_air_new(s->net, (uint32_t)(2 * c));
    s->down[c] = celslm_air_new(s->net, (uint32_t)(2 * c + 1));
  }
}

static bool build(world *w, celslm_error *err) {
  celslm_system *s = &w->system;
  const celslm_strategy_config *config = &w->scenario->strategies[w->options->strategy];
  s->scenario = w->scenario;
  s->ended = ended;
  s->self = w;
  s->net = celslm_net_new(w->scenario->platform, err);
  if (!s->net) return false;
  if (w->options->interrupt) celslm_net_interruptible(s->net, w->options->interrupt);
  w->books = celslm_books_open(w->scenario, w->options, s, err);
  w->load = celslm_load_new(w->scenario, err);
  if (!w->books || !w->load || !build_sites(w, err)) return false;
  build_cells(s);
  if (!place_users(s, err)) return false;
  s->strategy = celslm_strategy_find(config->element->name);
  if (!s->strategy)
    return celslm_element_fail(config->element, err,
                               "no strategy is called %s; see `celslm list strategies`",
                               config->element->name);
  s->options = celslm_alloc(1, s->strategy->options_size);
  return s->strategy->configure(s->options, s, config->element, err);
}

static void destroy(world *w) {
  celslm_system *s = &w->system;
  for (celslm_request *r = w->live_first, *next; r; r = next) {
    next = r->after;
    free(r);
  }
  for (int i = 0; s->sites && i < w->scenario->n_engines; i++) {
    celslm_engine_free(s->sites[i].engine);
    celslm_store_free(s->sites[i].store);
  }
  for (int c = 0; s->up && c < w->scenario->platform->n_cells; c++) {
    celslm_air_free(s->up[c]);
    celslm_air_free(s->down[c]);
  }
  celslm_system_free_messages(s);
  celslm_load_free(w->load);
  celslm_net_free(s->net);
  free(s->sites);
  free(s->users);
  free(s->up);
  free(s->down);
  free(s->bytes_up);
  free(s->bytes_down);
  free(s->options);
}

/* ---- running --------------------------------------------------------------------------------- */

static bool conserved(const world *w, celslm_error *err) {
  const celslm_system *s = &w->system;
  const celslm_platform *p = w->scenario->platform;
  if (w->live && isinf(w->scenario->horizon))
    return celslm_fail(err, w->scenario->file, 0,
                       "the simulation starved: %llu requests are left and nothing can happen any "
                       "more; this is a bug, "
                       "please report it with the scenario",
                       (unsigned long long)w->live);
  for (int c = 0; c < CELSLM_TRAFFICS; c++) {
    uint64_t received = 0;
    for (int h = 0; h < p->n_hosts; h++)
      received += celslm_net_received(s->net, h, (celslm_traffic)c);
    uint64_t sent = celslm_net_sent(s->net, (celslm_traffic)c),
             flying = celslm_net_in_flight(s->net, (celslm_traffic)c);
    if (sent != received + flying)
      return celslm_fail(
          err, w->scenario->file, 0,
          "bytes are not conserved: %llu B of %s sent, %llu received, %llu in flight; "
          "this is a bug, please report it with the scenario",
          (unsigned long long)sent, celslm_traffic_names[c], (unsigned long long)received,
          (unsigned long long)flying);
  }
  for (int i = 0; i < w->scenario->n_engines; i++) {
    celslm_little l = celslm_engine_little(s->sites[i].engine);
    if (l.integral != l.sojourns)
      return celslm_fail(
          err, w->scenario->file, 0,
          "Little's law does not hold: engine %s had %.9f request-seconds by its count of them, "
          "%.9f by their times; this is a bug, please report it with the scenario",
          w->scenario->engines[i].name, (double)l.integral * 1e-9, (double)l.sojourns * 1e-9);
  }
  return celslm_books_balanced(w->books, w->arrived, err);
}

static celslm_outcome run(world *w, celslm_summary_row *summary, celslm_error *err) {
  celslm_system *s = &w->system;
  w->arrival = (celslm_event){.fire = arrive, .self = w, .cls = CELSLM_AT_ARRIVAL};
  w->sample = (celslm_event){.fire = take_sample, .self = w, .cls = CELSLM_AT_SAMPLE};
  schedule_arrival(w);
  if (w->scenario->results.sample > 0) celslm_net_at(s->net, &w->sample, 0);
  celslm_net_run(s->net,
                 isinf(w->scenario->horizon) ? CELSLM_NEVER : celslm_ns_of(w->scenario->horizon));
  bool interrupted = w->options->interrupt && *w->options->interrupt;
  for (celslm_request *r = w->live_first; r; r = r->after) record(w, r); /* in order of arrival */
  celslm_books_finish(w->books, s, summary);
  if (interrupted) {
    celslm_fail(err, w->scenario->file, 0, "interrupted at %.3f simulated seconds",
                celslm_seconds(celslm_net_now(s->net)));
    return CELSLM_INTERRUPTED;
  }
  return conserved(w, err) ? CELSLM_DONE : CELSLM_INCONSISTENT;
}

celslm_outcome celslm_world_run(const celslm_scenario *s, const celslm_run_options *o,
                                celslm_summary_row *summary, celslm_error *err) {
  world w = {.scenario = s, .options = o};
  celslm_outcome outcome = build(&w, err) ? run(&w, summary, err) : CELSLM_BAD_INPUT;
  if (!celslm_books_close(w.books, outcome, err) && outcome == CELSLM_DONE)
    outcome = CELSLM_BAD_INPUT;
  destroy(&w);
  return outcome;
}
