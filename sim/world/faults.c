#include "world/faults.h"

#include "base/rng.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>

typedef struct breakage { /* one <link>, <cell> or <host> */
  celslm_breaker *owner;
  const celslm_fault *fault;
  celslm_event event;
  gsl_rng *rng;
  bool active;
} breakage;

typedef struct wire { /* one <background> or <jitter> */
  celslm_breaker *owner;
  const celslm_wire *config;
  celslm_event event;
  gsl_rng *rng;
  bool on;
} wire;

struct celslm_breaker {
  celslm_system *system;
  celslm_books *books;
  breakage *breakages;
  wire *wires;
};

static celslm_ns later(const celslm_breaker *b, double s) {
  celslm_ns now = celslm_net_now(b->system->net), wait = celslm_ns_of(s);
  return wait > CELSLM_NEVER - now ? CELSLM_NEVER : now + wait;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

/* A pipeline is on all the hosts of its stages: if one of them is down, it is. */
static bool is_on(const celslm_system *s, int engine, int host) {
  const celslm_engine_config *c = celslm_engine_configuration(s->sites[engine].engine);
  for (int k = 0; k < c->n_stages; k++)
    if (c->stages[k] == host) return true;
  return false;
}

static void crash(celslm_system *s, int host) {
  int n = s->scenario->n_engines;
  for (int i = 0; i < n; i++)
    if (is_on(s, i, host)) s->sites[i].down = true, s->sites[i].crashes++;
  for (int i = 0; i < n; i++)
    if (is_on(s, i, host)) celslm_engine_abort(s->sites[i].engine);
  celslm_net_fail_host(s->net, host);
  for (int i = 0; i < n; i++)
    if (s->sites[i].host == host) celslm_store_clear(s->sites[i].store);
}

/* ---- faults ---------------------------------------------------------------------------------- */

/* The least speed that the faults of a target leave it. */
static double speed_of(const celslm_breaker *b, celslm_fault_kind kind, int target) {
  const celslm_faults_config *c = &b->system->scenario->faults;
  double speed = 1;
  for (int i = 0; i < c->n; i++)
    if (b->breakages[i].active && c->faults[i].kind == kind && c->faults[i].target == target)
      speed = fmin(speed, c->faults[i].speed);
  return speed;
}

static void restart(celslm_breaker *b, int host) {
  celslm_system *s = b->system;
  for (int i = 0; i < s->scenario->n_engines; i++) {
    if (!is_on(s, i, host)) continue;
    const celslm_engine_config *c = celslm_engine_configuration(s->sites[i].engine);
    s->sites[i].down = false;
    for (int k = 0; k < c->n_stages; k++)
      if (speed_of(b, CELSLM_FAULT_HOST, c->stages[k]) <= 0) s->sites[i].down = true;
  }
}

static void apply(celslm_breaker *b, const celslm_fault *f, double before) {
  celslm_system *s = b->system;
  double speed = speed_of(b, f->kind, f->target);
  if (speed == before) return;
  celslm_books_fault(b->books, (int)f->kind, f->target, before, speed);
  switch (f->kind) {
  case CELSLM_FAULT_LINK:
    celslm_net_set_share(s->net, f->target, speed);
    break;
  case CELSLM_FAULT_CELL:
    if (s->ran) celslm_ran_set_cell(s->ran, f->target, speed);
    break;
  case CELSLM_FAULT_HOST:
    if (speed > 0)
      restart(b, f->target);
    else
      crash(s, f->target);
    break;
  }
}

static void change(void *self) {
  breakage *k = self;
  celslm_breaker *b = k->owner;
  const celslm_fault *f = k->fault;
  double before = speed_of(b, f->kind, f->target);
  k->active = !k->active;
  apply(b, f, before);
  bool again = !isnan(f->mtbf);
  if (again)
    celslm_net_at(b->system->net, &k->event,
                  later(b, gsl_ran_exponential(k->rng, k->active ? f->mttr : f->mtbf)));
  else if (k->active)
    celslm_net_at(b->system->net, &k->event, later(b, f->length));
}

/* ---- wires ----------------------------------------------------------------------------------- */

/* What all active sources take of a link. */
static void set_background(celslm_breaker *b, int link) {
  const celslm_faults_config *c = &b->system->scenario->faults;
  double rate = 0;
  for (int i = 0; i < c->n_wires; i++)
    if (b->wires[i].on && c->wires[i].link == link) rate += c->wires[i].background;
  celslm_net_set_background(b->system->net, link, rate);
}

static void toggle(void *self) {
  wire *w = self;
  w->on = !w->on;
  set_background(w->owner, w->config->link);
  if (w->on && !(w->config->off > 0)) return; /* for ever */
  double mean = w->on ? w->config->on : w->config->off;
  celslm_net_at(w->owner->system->net, &w->event,
                later(w->owner, gsl_ran_exponential(w->rng, mean)));
}

static double draw_jitter(void *self) {
  wire *w = self;
  double mean = w->config->jitter_mean;
  switch (w->config->jitter) {
  case CELSLM_JITTER_EXPONENTIAL:
    return gsl_ran_exponential(w->rng, mean);
  case CELSLM_JITTER_UNIFORM:
    return 2 * mean * gsl_rng_uniform(w->rng);
  case CELSLM_JITTER_NORMAL: /* E|N(0, s)| = s sqrt(2/pi) */
    return fabs(gsl_ran_gaussian(w->rng, mean * sqrt(3.14159265358979323846 / 2)));
  default:
    return 0;
  }
}

static void start_wire(celslm_breaker *b, wire *w) {
  celslm_net *net = b->system->net;
  if (w->config->jitter != CELSLM_JITTER_NONE) {
    celslm_net_set_jitter(net, w->config->link, draw_jitter, w);
  } else if (w->config->background > 0) {
    w->event =
        (celslm_event){.fire = toggle, .self = w, .cls = CELSLM_AT_TIMER, .background = true};
    celslm_net_at(net, &w->event,
                  w->config->off > 0 ? later(b, gsl_ran_exponential(w->rng, w->config->off)) : 0);
  }
}

/* ---- building -------------------------------------------------------------------------------- */

static gsl_rng *stream(const celslm_breaker *b, const char *kind, int target, int place) {
  char *name = celslm_format("%s %d %d", kind, target, place);
  gsl_rng *r = celslm_rng(b->system->scenario->seed, name);
  free(name);
  return r;
}

celslm_breaker *celslm_breaker_new(celslm_system *system, celslm_books *books) {
  static const char *const names[] = {"fault of link", "fault of cell", "fault of host"};
  const celslm_faults_config *c = &system->scenario->faults;
  celslm_breaker *b = celslm_alloc(1, sizeof *b);
  b->system = system;
  b->books = books;
  b->breakages = celslm_alloc((unsigned long)c->n, sizeof *b->breakages);
  b->wires = celslm_alloc((unsigned long)c->n_wires, sizeof *b->wires);
  for (int i = 0; i < CELSLM_WEIGHTS; i++)
    if (c->weights[i] > 1) {
      celslm_net_set_weights(system->net, c->weights);
      break;
    }
  for (int i = 0; i < c->n; i++) {
    breakage *k = &b->breakages[i];
    const celslm_fault *f = &c->faults[i];
    *k = (breakage){.owner = b, .fault = f, .rng = stream(b, names[f->kind], f->target, i)};
    k->event = (celslm_event){
        .fire = change, .self = k, .cls = CELSLM_AT_TIMER, .id = (uint32_t)i, .background = true};
    celslm_net_at(system->net, &k->event,
                  celslm_ns_of(isnan(f->at) ? gsl_ran_exponential(k->rng, f->mtbf) : f->at));
  }
  for (int i = 0; i < c->n_wires; i++) {
    wire *w = &b->wires[i];
    *w = (wire){.owner = b, .config = &c->wires[i]};
    w->rng = stream(b, "wire", c->wires[i].link, i);
    start_wire(b, w);
  }
  return b;
}

void celslm_breaker_free(celslm_breaker *b) {
  if (!b) return;
  const celslm_faults_config *c = &b->system->scenario->faults;
  for (int i = 0; i < c->n; i++) gsl_rng_free(b->breakages[i].rng);
  for (int i = 0; i < c->n_wires; i++) gsl_rng_free(b->wires[i].rng);
  free(b->breakages);
  free(b->wires);
  free(b);
}
