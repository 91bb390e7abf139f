#include "world/world.h"

#include "base/rng.h"
#include "load/load.h"
#include "net/radio/aboard.h"
#include "strategy/system.h"
#include "world/books.h"
#include "world/faults.h"
#include "world/updates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct world {
  celslm_system system;
  const celslm_scenario *scenario;
  const celslm_run_options *options;
  celslm_load *load;
  int *site_on; /* by host: the first of its engines; -1: none */
  celslm_event arrival, sample;
  celslm_request *live_first, *live_last;
  celslm_request *spare; /* ended, chained by `after`: their memory serves again */
  uint32_t arrived;
  uint64_t live;
  celslm_books *books;
  celslm_breaker *breaker;
  celslm_updates *updates;
  celslm_prices *prices;
} world;

/* ---- users ----------------------------------------------------------------------------------- */

/* No radio: one user at each edge host that serves, or else at the cloud. */
static void seat_users(world *w) {
  celslm_system *s = &w->system;
  const celslm_scenario *sc = s->scenario;
  s->users = celslm_alloc((unsigned long)sc->n_engines, sizeof *s->users);
  for (int pass = 0; pass < 2 && !s->n_users; pass++)
    for (int i = 0; i < sc->n_engines; i++) {
      int host = sc->engines[i].host;
      bool edge = sc->platform->hosts[host].role != CELSLM_CLOUD;
      if (edge == (pass == 0) && w->site_on[host] == i)
        s->users[s->n_users++] = (celslm_user){
            .cell = -1, .site = edge ? i : -1, .host = host, .before = -1, .context = -1};
    }
}

/* A user's edge is the one behind its cell; where nothing is served there, the one it had. */
static void join_cell(world *w, int user, int cell) {
  celslm_system *s = &w->system;
  celslm_user *u = &s->users[user];
  int host = s->scenario->platform->cells[cell].serves, site = w->site_on[host];
  u->cell = cell;
  if (site < 0 && u->site >= 0) return;
  u->host = host;
  u->site = site;
}

static void handed_over(void *self, int ue, int from, int to, celslm_handover_cause cause) {
  world *w = self;
  celslm_system *s = &w->system;
  int before = s->users[ue].site;
  if (s->users[ue].cell >= 0) join_cell(w, ue, to);
  if (s->users[ue].site != before) {
    s->users[ue].before = before;
    if (s->strategy->moved) s->strategy->moved(s->options, s, &s->users[ue]);
  }
  celslm_books_handover(w->books, ue, from, to, (int)cause);
}

static void sampled(void *self, int ue) {
  world *w = self;
  celslm_books_trajectory(w->books, &w->system, ue);
}

static bool place_users(world *w, celslm_error *err) {
  celslm_system *s = &w->system;
  if (!s->scenario->radio.n_ues) {
    seat_users(w);
    return true;
  }
  celslm_scene *scene = celslm_scene_new(s->scenario, err);
  if (!scene) return false;
  celslm_ran_hooks hooks = {.self = w,
                            .handed_over = handed_over,
                            .sampled = celslm_books_wants_trajectory(w->books) ? sampled : NULL};
  s->ran = celslm_ran_new(s->net, scene, &hooks);
  s->n_users = scene->n_ues;
  s->users = celslm_alloc((unsigned long)s->n_users, sizeof *s->users);
  s->aboard = celslm_aboard_new(s->net, s->ran, s->scenario, s->bytes_up, s->bytes_down);
  for (int i = 0; i < s->n_users; i++) {
    const celslm_ue_group *group = &s->scenario->radio.ues[scene->ues[i].group];
    if (group->host >= 0) {
      s->users[i] = (celslm_user){.cell = -1,
                                  .host = group->host,
                                  .site = w->site_on[group->host],
                                  .before = -1,
                                  .context = -1};
      continue;
    }
    const celslm_cell *home = &s->scenario->platform->cells[group->cell];
    s->users[i] = (celslm_user){
        .host = home->serves, .site = w->site_on[home->serves], .before = -1, .context = -1};
    join_cell(w, i, scene->ues[i].cell);
  }
  celslm_books_users(w->books, s);
  return true;
}

/* ---- events ---------------------------------------------------------------------------------- */

static void schedule_arrival(world *w) {
  celslm_ns next = celslm_load_when(w->load);
  if (next < CELSLM_NEVER) celslm_net_at(w->system.net, &w->arrival, next);
}

static celslm_request *new_request(world *w) {
  celslm_request *r = w->spare;
  if (!r) return celslm_alloc(1, sizeof *r);
  w->spare = r->after;
  memset(r, 0, sizeof *r);
  return r;
}

static void free_request(world *w, celslm_request *r) {
  if (r->strategy->forget) r->strategy->forget(r);
#ifdef NDEBUG
  r->after = w->spare;
  w->spare = r;
#else /* a sanitizer is to see who uses it afterwards */
  (void)w;
  free(r);
#endif
}

static void arrive(void *self) {
  world *w = self;
  celslm_system *s = &w->system;
  celslm_arrival a;
  if (!celslm_load_next(w->load, &a)) return;
  celslm_request *r = new_request(w);
  r->system = s;
  r->strategy = s->strategy;
  r->options = s->options;
  r->demand = a.demand;
  r->id = w->arrived++;
  r->user = (uint32_t)(a.place * s->n_users);
  r->context = a.context;
  s->users[r->user].context = r->context;
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
  celslm_books_present(w->books, 1);
  schedule_arrival(w);
  s->strategy->arrive(s->options, r);
}

static void record(world *w, const celslm_request *r) {
  celslm_books_drop(w->books, r);
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
  celslm_books_present(w->books, -1);
  free_request(w, r);
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
  w->site_on = celslm_alloc((unsigned long)sc->platform->n_hosts, sizeof *w->site_on);
  for (int h = 0; h < sc->platform->n_hosts; h++) w->site_on[h] = -1;
  s->cloud = -1;
  w->prices = celslm_prices_new();
  for (int i = 0; i < sc->n_engines; i++) {
    const celslm_engine_config *c = &sc->engines[i];
    celslm_site *site = &s->sites[i];
    *site = (celslm_site){.index = i,
                          .host = c->host,
                          .model = &sc->models[c->model],
                          .net = s->net,
                          .token_bytes = sc->radio.bytes_per_token,
                          .patience = s->patience};
    if (w->site_on[c->host] < 0) w->site_on[c->host] = i;
    celslm_books_watch(w->books, site);
    site->engine = celslm_engine_new(i, c, sc, s->net, w->prices, w->options->step, &hooks, err);
    if (!site->engine) return false;
    const celslm_shape shape = celslm_shape_of(site->model, c->weights, c->kv);
    site->coder = celslm_coder_new(s->net, c, sc->platform->hosts[c->host].profile, (uint32_t)i);
    if (!celslm_site_open_store(site, sc, c, celslm_kv_bytes_per_token(&shape), err)) return false;
    if (s->cloud < 0 && sc->platform->hosts[c->host].role == CELSLM_CLOUD) s->cloud = i;
  }
  return true;
}

static bool build(world *w, celslm_error *err) {
  celslm_system *s = &w->system;
  const celslm_strategy_config *config = &w->scenario->strategies[w->options->strategy];
  s->scenario = w->scenario;
  s->ended = ended;
  s->self = w;
  s->correctness = celslm_correctness_new(s->scenario);
  s->patience = celslm_ns_of(w->scenario->radio.patience);
  s->net = celslm_net_new(w->scenario->platform);
  if (w->options->interrupt) celslm_net_interruptible(s->net, w->options->interrupt);
  w->books = celslm_books_open(w->scenario, w->options, s, err);
  w->load = celslm_load_new(w->scenario, err);
  if (!w->books || !w->load || !build_sites(w, err)) return false;
  s->bytes_up = celslm_alloc((unsigned long)s->scenario->platform->n_cells, sizeof *s->bytes_up);
  s->bytes_down =
      celslm_alloc((unsigned long)s->scenario->platform->n_cells, sizeof *s->bytes_down);
  if (!place_users(w, err)) return false;
  s->strategy = celslm_strategy_open(s, config->element, &s->options, err);
  return s->strategy != NULL;
}

static void destroy(world *w) {
  celslm_system *s = &w->system;
  for (celslm_request *r = w->live_first, *next; r; r = next) {
    next = r->after;
    free_request(w, r);
  }
  for (celslm_request *r = w->spare, *next; r; r = next) {
    next = r->after;
    free(r);
  }
  for (int i = 0; s->sites && i < w->scenario->n_engines; i++) {
    celslm_engine_free(s->sites[i].engine);
    celslm_site_close_store(&s->sites[i]);
    celslm_coder_free(s->sites[i].coder);
  }
  celslm_prices_free(w->prices);
  celslm_aboard_free(s->aboard);
  celslm_ran_free(s->ran);
  celslm_breaker_free(w->breaker);
  celslm_updates_free(w->updates);
  celslm_system_free_messages(s);
  celslm_load_free(w->load);
  celslm_correctness_free(s->correctness);
  celslm_net_free(s->net);
  free(s->sites);
  free(w->site_on);
  free(s->users);
  free(s->bytes_up);
  free(s->bytes_down);
  if (s->strategy) celslm_strategy_close(s->strategy, s->options);
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
    uint64_t lost = celslm_net_lost(s->net, (celslm_traffic)c);
    if (sent != received + flying + lost)
      return celslm_fail(
          err, w->scenario->file, 0,
          "bytes are not conserved: %llu B of %s sent, %llu received, %llu in flight, %llu lost; "
          "this is a bug, please report it with the scenario",
          (unsigned long long)sent, celslm_traffic_names[c], (unsigned long long)received,
          (unsigned long long)flying, (unsigned long long)lost);
  }
  if (s->ran && !celslm_ran_balanced(s->ran))
    return celslm_fail(err, w->scenario->file, 0,
                       "messages on the air are not conserved; this is a bug, please report it "
                       "with the scenario");
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
  w->breaker = celslm_breaker_new(s, w->books);
  w->updates = celslm_updates_new(s);
  if (s->strategy->begin) s->strategy->begin(s->options, s);
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
  celslm_outcome outcome = !build(&w, err) ? CELSLM_BAD_INPUT
                           : o->check      ? CELSLM_DONE
                                           : run(&w, summary, err);
  if (!celslm_books_close(w.books, outcome, err) && outcome == CELSLM_DONE)
    outcome = CELSLM_BAD_INPUT;
  destroy(&w);
  return outcome;
}
