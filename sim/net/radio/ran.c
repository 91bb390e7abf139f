#include "net/radio/ran.h"

#include "base/rng.h"
#include "net/radio/blockage.h"
#include "net/radio/budget.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DOWN, UP };

typedef struct user {
  celslm_ran *ran;
  int index;
  celslm_radio_link link;
  celslm_hop *first[2], *last[2]; /* preparing ones are not listed */
  double fade[2];                 /* dB, at this moment */
  celslm_event fading[2], blocking, change;
  bool stale;          /* it has moved since its link was worked out */
  bool blocked, known; /* known: `blocked` held at `seen` */
  celslm_ns seen;
  int target; /* of a handover under way or in the trigger time; -1: none */
  bool interrupted;
  celslm_ns since, lost; /* the target is better since; no usable signal since (-1: there is one) */
  celslm_handover_cause cause;
  double *heard; /* dBm by cell, filtered; NaN: not measured yet */
} user;

struct celslm_ran {
  celslm_net *net;
  celslm_scene *scene;
  const celslm_radio_config *config;
  celslm_ran_hooks hooks;
  celslm_air **air[2]; /* by cell */
  double *speed;       /* by cell */
  user *users;
  double *heard; /* [user][cell]; NULL: nobody hands over */
  celslm_event sample;
  gsl_rng *fading, *blockage, *repetitions;
  celslm_crowd crowd;
  uint64_t sent, done, failed, under_way;
};

static celslm_ue *ue_of(const user *u) {
  return &u->ran->scene->ues[u->index];
}

static const celslm_cell *cell_of(const celslm_ran *r, int cell) {
  return &r->scene->scenario->platform->cells[cell];
}

/* ---- rates ----------------------------------------------------------------------------------- */

static void give_up(void *self);

static bool usable(const user *u) {
  return !u->interrupted && u->ran->speed[ue_of(u)->cell] > 0;
}

static double rate_of(const user *u, int way) {
  return way == UP ? u->link.up : u->link.down;
}

static celslm_ns patience_of(const celslm_hop *h) {
  return h->patience > 0 ? h->patience : celslm_ns_of(h->ran->config->patience);
}

/* The hop has this rate from now on; one that has none is given up after a while. */
static void apply(celslm_hop *h, double rate) {
  celslm_ran *r = h->ran;
  if (h->stage == CELSLM_HOP_IN_AIR) celslm_air_set_rate(&h->flow, rate);
  bool stuck = !(rate > 0) && h->stage != CELSLM_HOP_LEAVING;
  if (stuck && !h->despair.slot)
    celslm_net_at(r->net, &h->despair, celslm_net_now(r->net) + patience_of(h));
  if (!stuck) celslm_net_cancel(r->net, &h->despair);
}

/* The user's link, as it is now. */
static celslm_radio_link link_of(const user *u) {
  const celslm_ran *r = u->ran;
  const celslm_ue *ue = ue_of(u);
  double depth = u->blocked ? r->config->blockage_depth : 0;
  celslm_radio_link l =
      celslm_scene_link(r->scene, ue, ue->cell, u->fade[DOWN] - depth, u->fade[UP] - depth);
  if (!usable(u)) l.down = l.up = 0;
  return l;
}

/* Works out the user's link anew, and tells its hops. */
static void refresh(user *u) {
  celslm_ran *r = u->ran;
  u->stale = false;
  u->link = link_of(u);
  bool lost = !(u->link.down > 0) || !(u->link.up > 0);
  if (!lost)
    u->lost = -1;
  else if (u->lost < 0)
    u->lost = celslm_net_now(r->net);
  for (int way = 0; way < 2; way++)
    for (celslm_hop *h = u->first[way]; h; h = h->after) apply(h, rate_of(u, way));
}

/* ---- fading and blockage: while a user talks ------------------------------------------------- */

static void begin_block(user *u, int way) {
  celslm_ran *r = u->ran;
  celslm_ns block = celslm_ns_of(r->config->coherence), now = celslm_net_now(r->net);
  u->fade[way] = celslm_to_db(gsl_ran_exponential(r->fading, 1));
  celslm_net_at(r->net, &u->fading[way], (now / block + 1) * block);
}

static void new_block(user *u, int way) {
  if (!u->first[way]) return;
  begin_block(u, way);
  refresh(u);
}

static void new_block_down(void *self) {
  new_block(self, DOWN);
}

static void new_block_up(void *self) {
  new_block(self, UP);
}

static double blockage_rate(const user *u) {
  const celslm_ue *ue = ue_of(u);
  const celslm_cell *c = cell_of(u->ran, ue->cell);
  if (!ue->heard[ue->cell].los || ue->indoor || ue->in_car) return 0;
  return celslm_blockage_rate(&u->ran->crowd, c->height, ue->height,
                              hypot(ue->x - c->x, ue->y - c->y));
}

static void time_blockage(user *u) {
  celslm_ran *r = u->ran;
  double s = celslm_blockage_time(&r->crowd, blockage_rate(u), u->blocked, r->blockage);
  if (isinf(s))
    celslm_net_cancel(r->net, &u->blocking);
  else
    celslm_net_at(r->net, &u->blocking, celslm_net_now(r->net) + celslm_ns_of(s));
}

static void toggle_blockage(void *self) {
  user *u = self;
  u->blocked = !u->blocked;
  time_blockage(u);
  refresh(u);
}

/* The state of the chain after the time since it was last seen. */
static void look_for_blockage(user *u) {
  celslm_ran *r = u->ran;
  double rate = blockage_rate(u), share = celslm_blocked_share(&r->crowd, rate);
  double old = 0;
  if (u->known)
    old = exp(-(rate + 1 / r->crowd.duration) * celslm_seconds(celslm_net_now(r->net) - u->seen));
  u->blocked = gsl_rng_uniform(r->blockage) < share + ((u->blocked ? 1 : 0) - share) * old;
  time_blockage(u);
}

static bool talks(const user *u) {
  return u->first[DOWN] || u->first[UP];
}

static void begin_talk(user *u, int way, bool first) {
  const celslm_radio_config *c = u->ran->config;
  if (c->fading == CELSLM_FADING_BLOCK) begin_block(u, way);
  if (c->blockage && first) look_for_blockage(u);
  if (c->fading == CELSLM_FADING_BLOCK || (c->blockage && first)) refresh(u);
}

static void end_talk(user *u, int way) {
  celslm_ran *r = u->ran;
  celslm_net_cancel(r->net, &u->fading[way]);
  if (talks(u) || !r->config->blockage) return;
  celslm_net_cancel(r->net, &u->blocking);
  u->known = true;
  u->seen = celslm_net_now(r->net);
}

/* ---- hops ------------------------------------------------------------------------------------ */

static celslm_ns slot_of(const celslm_ran *r, int cell) {
  return celslm_ns_of(celslm_slot(cell_of(r, cell)->numerology));
}

/* The first start at or after `t` of a slot of that direction. */
static celslm_ns next_slot(const celslm_ran *r, int cell, bool uplink, celslm_ns t) {
  celslm_ns slot = slot_of(r, cell);
  int64_t k = (t + slot - 1) / slot;
  while (!celslm_slot_begins(r->scene->tdd[cell], k, uplink)) k++;
  return k * slot;
}

/* The end of the slot of that direction in which, or after which, `t` lies. */
static celslm_ns slot_end(const celslm_ran *r, int cell, bool uplink, celslm_ns t) {
  celslm_ns slot = slot_of(r, cell);
  int64_t k = t > 0 ? (t - 1) / slot : 0;
  while (!celslm_slot_begins(r->scene->tdd[cell], k, uplink)) k++;
  return (k + 1) * slot;
}

static void unlist(celslm_hop *h) {
  user *u = &h->ran->users[h->ue];
  int way = h->uplink ? UP : DOWN;
  *(h->before ? &h->before->after : &u->first[way]) = h->after;
  *(h->after ? &h->after->before : &u->last[way]) = h->before;
  if (!u->first[way]) end_talk(u, way);
}

static void reach_air(void *self);

/* The one behind the hop that has left; it is in the same grant and needs no new slot. */
static void next_in_line(celslm_ran *r, int ue, bool uplink) {
  celslm_hop *h = r->users[ue].first[uplink ? UP : DOWN];
  if (r->config->access && h && h->stage == CELSLM_HOP_QUEUED) reach_air(h);
}

static void finish(void *self) {
  celslm_hop *h = self;
  h->ran->done++;
  h->ran->under_way--;
  h->done(h->self);
}

/* s that failed attempts take. */
static double repeat(celslm_ran *r, int cell) {
  double chance = celslm_link_bler(r->config), s = 0;
  if (!(chance > 0)) return 0;
  double trip = celslm_harq_round_trip(r->scene->tdd[cell], cell_of(r, cell)->numerology,
                                       (int)r->config->capability);
  while (gsl_rng_uniform(r->repetitions) < chance) {
    s += trip;
    chance *= r->config->harq_factor;
  }
  return s;
}

/* The end of its air time and its arrival are told apart. */
static bool apart(const celslm_hop *h) {
  return h->ran->config->access || h->left;
}

/* All its air time is had. */
static void leave_air(void *self) {
  celslm_hop *h = self;
  celslm_ran *r = h->ran;
  int cell = r->scene->ues[h->ue].cell;
  celslm_net_cancel(r->net, &h->despair);
  h->stage = CELSLM_HOP_LEAVING;
  unlist(h);
  if (!apart(h)) { /* the air has added the latency */
    finish(h);
    return;
  }
  celslm_ns end = celslm_net_now(r->net);
  double rest;
  if (r->config->slots) {
    end = slot_end(r, cell, h->uplink, end);
    rest = repeat(r, cell) + celslm_half_processing(CELSLM_N1, cell_of(r, cell)->numerology,
                                                    (int)r->config->capability);
  } else {
    const celslm_radio_link *l = &r->users[h->ue].link;
    rest = h->uplink ? l->latency_up : l->latency_down;
  }
  h->timer = (celslm_event){
      .fire = finish, .self = h, .cls = CELSLM_AT_AIR, .id = (uint32_t)(2 * cell + h->uplink)};
  celslm_net_at(r->net, &h->timer, end + celslm_ns_of(rest));
  next_in_line(r, h->ue, h->uplink);
  if (h->left) h->left(h->self);
}

static void reach_air(void *self) {
  celslm_hop *h = self;
  celslm_ran *r = h->ran;
  user *u = &r->users[h->ue];
  const celslm_ue *ue = ue_of(u);
  const celslm_ue_group *g = &r->config->ues[ue->group];
  int way = h->uplink ? UP : DOWN;
  h->stage = CELSLM_HOP_IN_AIR;
  h->flow = (celslm_air_flow){.bytes = h->bytes,
                              .rate = rate_of(u, way),
                              .weight = g->weight,
                              .cap = g->cap,
                              .done = leave_air,
                              .self = h};
  if (!apart(h))
    h->flow.latency = celslm_ns_of(way == UP ? u->link.latency_up : u->link.latency_down);
  celslm_air_send(r->air[way][ue->cell], &h->flow);
}

/* Ready to go: behind the others of its user and direction, or at the next slot. */
static void get_ready(void *self) {
  celslm_hop *h = self;
  celslm_ran *r = h->ran;
  user *u = &r->users[h->ue];
  int way = h->uplink ? UP : DOWN;
  bool silent = !talks(u), first = !u->first[way];
  h->after = NULL;
  h->before = u->last[way];
  *(h->before ? &h->before->after : &u->first[way]) = h;
  u->last[way] = h;
  h->stage = CELSLM_HOP_QUEUED;
  if (u->stale) refresh(u);
  if (first) begin_talk(u, way, silent);
  apply(h, rate_of(u, way));
  if (r->config->access && !first) return;
  if (!r->config->slots) {
    reach_air(h);
    return;
  }
  h->stage = CELSLM_HOP_WAITING;
  h->timer.fire = reach_air;
  celslm_net_at(r->net, &h->timer, next_slot(r, ue_of(u)->cell, h->uplink, celslm_net_now(r->net)));
}

static void give_up(void *self) {
  celslm_hop *h = self;
  celslm_ran *r = h->ran;
  celslm_air_take(&h->flow);
  celslm_net_cancel(r->net, &h->timer);
  celslm_net_cancel(r->net, &h->flow.event);
  unlist(h);
  r->failed++;
  r->under_way--;
  int ue = h->ue;
  bool uplink = h->uplink;
  h->failed(h->self);
  next_in_line(r, ue, uplink);
}

void celslm_ran_send(celslm_ran *r, celslm_hop *h) {
  uint32_t id = (uint32_t)(2 * r->scene->ues[h->ue].cell + h->uplink);
  h->ran = r;
  h->flow = (celslm_air_flow){0};
  h->timer = (celslm_event){.fire = get_ready, .self = h, .cls = CELSLM_AT_AIR, .id = id};
  h->despair = (celslm_event){.fire = give_up, .self = h, .cls = CELSLM_AT_TIMER, .id = id};
  h->stage = CELSLM_HOP_PREPARING;
  r->sent++;
  r->under_way++;
  if (!r->config->slots) {
    get_ready(h);
    return;
  }
  const celslm_cell *c = cell_of(r, r->scene->ues[h->ue].cell);
  int capability = (int)r->config->capability;
  celslm_ns ready = celslm_net_now(r->net);
  celslm_ns period = celslm_ns_of(r->config->request_period);
  if (h->uplink && period > 0) { /* ask at the next chance; the request's slot, the grant's, N2 */
    ready = (ready + period - 1) / period * period + 2 * celslm_ns_of(celslm_slot(c->numerology));
    ready += celslm_ns_of(2 * celslm_half_processing(CELSLM_N2, c->numerology, capability));
  }
  ready += celslm_ns_of(celslm_half_processing(CELSLM_N2, c->numerology, capability));
  celslm_net_at(r->net, &h->timer, ready);
}

/* ---- handover -------------------------------------------------------------------------------- */

static void arrive_in_cell(void *self) {
  user *u = self;
  celslm_ran *r = u->ran;
  celslm_ue *ue = ue_of(u);
  int from = ue->cell, to = u->target;
  u->interrupted = false;
  u->target = -1;
  u->known = false;
  ue->cell = to;
  for (int way = 0; way < 2; way++) {
    if (u->first[way] && r->config->fading == CELSLM_FADING_BLOCK) begin_block(u, way);
    for (celslm_hop *h = u->first[way]; h; h = h->after) {
      if (h->stage != CELSLM_HOP_IN_AIR || !h->flow.air) continue;
      h->flow.bytes = celslm_air_take(&h->flow);
      h->flow.rate = 0;
      celslm_air_send(r->air[way][to], &h->flow); /* refresh gives it a rate */
    }
  }
  if (r->config->blockage && talks(u)) look_for_blockage(u);
  refresh(u);
  if (r->hooks.handed_over) r->hooks.handed_over(r->hooks.self, u->index, from, to, u->cause);
}

static void leave_cell(user *u, int target, celslm_handover_cause cause) {
  celslm_ran *r = u->ran;
  u->interrupted = true;
  u->target = target;
  u->cause = cause;
  refresh(u);
  celslm_net_at(r->net, &u->change, celslm_net_now(r->net) + celslm_ns_of(r->config->interruption));
}

/* Layer 3 filtering, TS 38.331 section 5.5.3.2, for any interval between measurements. */
static void filter(user *u) {
  celslm_ran *r = u->ran;
  double share = 1 - pow(1 - r->config->filter, r->config->sample / 0.2);
  for (int c = 0; c < r->scene->n_cells; c++) {
    double now = celslm_scene_power(r->scene, ue_of(u), c);
    u->heard[c] = isnan(u->heard[c]) ? now : u->heard[c] + share * (now - u->heard[c]);
  }
}

/* Event A3: another cell is better by the hysteresis, for the time to trigger. */
static void measure(user *u) {
  celslm_ran *r = u->ran;
  const celslm_ue *ue = ue_of(u);
  celslm_ns now = celslm_net_now(r->net);
  filter(u);
  if (u->interrupted) return;
  int best = -1;
  for (int c = 0; c < r->scene->n_cells; c++)
    if (c != ue->cell && r->speed[c] > 0 && (best < 0 || u->heard[c] > u->heard[best])) best = c;
  if (best < 0) return;
  if (u->lost >= 0 && now - u->lost >= celslm_ns_of(r->config->link_failure)) {
    celslm_radio_link l = celslm_scene_link(r->scene, ue, best, 0, 0);
    if (l.down > 0 && l.up > 0) {
      leave_cell(u, best, CELSLM_HANDOVER_FAILURE);
      return;
    }
  }
  if (u->heard[best] <= u->heard[ue->cell] + r->config->hysteresis) {
    u->target = -1;
    return;
  }
  if (u->target != best) {
    u->target = best;
    u->since = now;
  }
  if (now - u->since >= celslm_ns_of(r->config->time_to_trigger) && usable(u))
    leave_cell(u, best, CELSLM_HANDOVER_A3);
}

/* ---- in time --------------------------------------------------------------------------------- */

static void schedule_sample(celslm_ran *r) {
  celslm_net_at(r->net, &r->sample, celslm_net_now(r->net) + celslm_ns_of(r->config->sample));
}

static void take_sample(void *self) {
  celslm_ran *r = self;
  if (celslm_net_idle(r->net)) return; /* nobody is left to move for */
  for (int i = 0; i < r->scene->n_ues; i++) {
    user *u = &r->users[i];
    celslm_ue *ue = ue_of(u);
    bool moves = r->config->ues[ue->group].mobility.kind != CELSLM_STATIC;
    if (moves) {
      celslm_scene_move(r->scene, ue, r->config->sample);
      celslm_scene_hear(r->scene, ue);
      u->stale = true;
      if (talks(u) || u->lost >= 0) refresh(u);
    }
    if (r->config->handover && (moves || u->lost >= 0)) measure(u);
    if (!moves || !r->hooks.sampled) continue;
    if (u->stale) u->link = link_of(u); /* for the observer alone: it stays stale */
    r->hooks.sampled(r->hooks.self, i);
  }
  schedule_sample(r);
}

void celslm_ran_set_cell(celslm_ran *r, int cell, double speed) {
  r->speed[cell] = speed;
  for (int way = 0; way < 2 && speed > 0; way++) celslm_air_set_speed(r->air[way][cell], speed);
  for (int i = 0; i < r->scene->n_ues; i++)
    if (r->scene->ues[i].cell == cell) refresh(&r->users[i]);
}

/* ---- building -------------------------------------------------------------------------------- */

celslm_ran *celslm_ran_new(celslm_net *net, celslm_scene *scene, const celslm_ran_hooks *hooks) {
  celslm_ran *r = celslm_alloc(1, sizeof *r);
  unsigned long n = (unsigned long)scene->n_cells;
  uint64_t seed = scene->scenario->seed;
  r->net = net;
  r->scene = scene;
  r->config = &scene->scenario->radio;
  if (hooks) r->hooks = *hooks;
  r->crowd = (celslm_crowd){r->config->crowd_density, r->config->crowd_speed,
                            r->config->crowd_height, r->config->crowd_duration};
  r->fading = celslm_rng(seed, "fading");
  r->blockage = celslm_rng(seed, "blockage");
  r->repetitions = celslm_rng(seed, "repetitions");
  r->speed = celslm_alloc(n, sizeof *r->speed);
  for (int way = 0; way < 2; way++) r->air[way] = celslm_alloc(n, sizeof(celslm_air *));
  for (int c = 0; c < scene->n_cells; c++) {
    r->speed[c] = 1;
    r->air[UP][c] = celslm_air_new(net, (uint32_t)(2 * c));
    r->air[DOWN][c] = celslm_air_new(net, (uint32_t)(2 * c + 1));
    for (int way = 0; way < 2 && r->config->proportional_fair; way++)
      celslm_air_set_gain(r->air[way][c], celslm_fair_gain);
  }
  r->users = celslm_alloc((unsigned long)scene->n_ues, sizeof *r->users);
  if (r->config->handover) {
    r->heard = celslm_alloc((unsigned long)scene->n_ues * n, sizeof *r->heard);
    for (size_t i = 0; i < (size_t)scene->n_ues * n; i++) r->heard[i] = NAN;
  }
  for (int i = 0; i < scene->n_ues; i++) {
    user *u = &r->users[i];
    uint32_t id = (uint32_t)i;
    *u = (user){.ran = r, .index = i, .target = -1, .lost = -1};
    if (r->heard) u->heard = &r->heard[(size_t)i * n];
    u->fading[DOWN] =
        (celslm_event){.fire = new_block_down, .self = u, .cls = CELSLM_AT_TIMER, .id = id};
    u->fading[UP] =
        (celslm_event){.fire = new_block_up, .self = u, .cls = CELSLM_AT_TIMER, .id = id};
    u->blocking =
        (celslm_event){.fire = toggle_blockage, .self = u, .cls = CELSLM_AT_TIMER, .id = id};
    u->change = (celslm_event){.fire = arrive_in_cell, .self = u, .cls = CELSLM_AT_TIMER, .id = id};
    refresh(u);
  }
  r->sample = (celslm_event){
      .fire = take_sample, .self = r, .cls = CELSLM_AT_TIMER, .id = UINT32_MAX, .background = true};
  if (celslm_scene_moves(scene) || r->config->handover) schedule_sample(r);
  return r;
}

void celslm_ran_free(celslm_ran *r) {
  if (!r) return;
  for (int way = 0; way < 2; way++) {
    for (int c = 0; c < r->scene->n_cells; c++) celslm_air_free(r->air[way][c]);
    free(r->air[way]);
  }
  gsl_rng_free(r->fading);
  gsl_rng_free(r->blockage);
  gsl_rng_free(r->repetitions);
  celslm_scene_free(r->scene);
  free(r->speed);
  free(r->users);
  free(r->heard);
  free(r);
}

const celslm_scene *celslm_ran_scene(const celslm_ran *r) {
  return r->scene;
}

const celslm_air *celslm_ran_air(const celslm_ran *r, int cell, bool uplink) {
  return r->air[uplink ? UP : DOWN][cell];
}

const celslm_radio_link *celslm_ran_link(const celslm_ran *r, int ue) {
  return &r->users[ue].link;
}

bool celslm_ran_balanced(const celslm_ran *r) {
  return r->sent == r->done + r->failed + r->under_way;
}
