#include "strategy/outage.h"

#include <stdlib.h>
#include <string.h>

enum { PROBE_BYTES = 64 }; /* as a request for a context */

extern const celslm_resilience celslm_resilience_wait, celslm_resilience_degrade,
    celslm_resilience_neighbour, celslm_resilience_reject;

const celslm_resilience *const celslm_resiliences[] = {
    &celslm_resilience_wait,      &celslm_resilience_recompute, &celslm_resilience_degrade,
    &celslm_resilience_neighbour, &celslm_resilience_reject,    NULL,
};

typedef struct parked { /* a request that waits */
  struct side *side;
  celslm_request *request;
  celslm_event limit;
  int crashes; /* of the edge's host, when it came: one more, and the request is lost */
  struct parked *before, *after;
} parked;

typedef struct watch { /* a fetch */
  celslm_waiter waiter;
  struct side *side;
  struct watch *before, *after;
} watch;

typedef struct side { /* an edge's */
  celslm_outage *outage;
  celslm_site *site;
  bool cut;
  celslm_transfer probe;
  celslm_event again;
  parked *first, *last;
  watch *watches;
} side;

struct celslm_outage {
  const celslm_system *system;
  const celslm_resilience *policy;
  celslm_ns detect, limit;
  celslm_codec codec;
  celslm_outage_hooks hooks;
  side *sides; /* by site */
  int n_sides;
};

/* ---- waiting --------------------------------------------------------------------------------- */

static celslm_request *unpark(parked *p) {
  side *d = p->side;
  celslm_request *r = p->request;
  *(p->before ? &p->before->after : &d->first) = p->after;
  *(p->after ? &p->after->before : &d->last) = p->before;
  celslm_net_cancel(d->site->net, &p->limit);
  free(p);
  return r;
}

static void waited_too_long(void *self) {
  const celslm_site *site = ((parked *)self)->side->site;
  bool lost = site->down || ((parked *)self)->crashes != site->crashes;
  celslm_drop(unpark(self), lost ? CELSLM_REASON_HOST : CELSLM_REASON_LINK);
}

void celslm_outage_park(celslm_outage *o, celslm_request *r) {
  side *d = &o->sides[r->site];
  parked *p = celslm_alloc(1, sizeof *p);
  *p = (parked){.side = d, .request = r, .crashes = d->site->crashes, .before = d->last};
  *(d->last ? &d->last->after : &d->first) = p;
  d->last = p;
  r->parked = true;
  p->limit =
      (celslm_event){.fire = waited_too_long, .self = p, .cls = CELSLM_AT_TIMER, .id = r->id};
  celslm_net *net = d->site->net;
  celslm_net_at(net, &p->limit, celslm_net_now(net) + o->limit);
}

/* Those that are parked while this lasts come behind, and stay. */
static void resume(side *d) {
  for (parked *last = d->last, *p = d->first; p; p = d->first) {
    bool over = p == last, lost = d->site->down || p->crashes != d->site->crashes;
    celslm_request *r = unpark(p);
    if (lost)
      celslm_drop(r, CELSLM_REASON_HOST);
    else
      d->outage->hooks.again(r);
    if (over) break;
  }
}

/* ---- knowing --------------------------------------------------------------------------------- */

static void probe(void *self);

static void answered(void *self) {
  side *d = self;
  d->cut = false;
  resume(d);
}

static void unanswered(void *self) {
  side *d = self;
  celslm_net *net = d->site->net;
  d->again = (celslm_event){.fire = probe,
                            .self = d,
                            .cls = CELSLM_AT_TIMER,
                            .id = (uint32_t)d->site->index,
                            .background = true};
  celslm_net_at(net, &d->again, celslm_net_now(net) + d->outage->detect);
}

static void send_probe(side *d, const celslm_site *from, const celslm_site *to,
                       void (*delivered)(void *)) {
  d->probe = (celslm_transfer){.from = from->host,
                               .to = to->host,
                               .bytes = PROBE_BYTES,
                               .traffic = CELSLM_CONTEXT,
                               .delivered = delivered,
                               .failed = unanswered,
                               .patience = d->outage->detect,
                               .self = d};
  celslm_net_send(d->site->net, &d->probe);
}

static const celslm_site *cloud_of(const side *d) {
  const celslm_system *s = d->outage->system;
  return &s->sites[s->cloud];
}

static void at_cloud(void *self) {
  side *d = self;
  if (cloud_of(d)->down)
    unanswered(d);
  else
    send_probe(d, cloud_of(d), d->site, answered);
}

static void probe(void *self) {
  side *d = self;
  if (d->site->down) /* it looks again when it is back */
    unanswered(d);
  else
    send_probe(d, d->site, cloud_of(d), at_cloud);
}

static void fetched(void *self, bool ok) {
  watch *w = self;
  side *d = w->side;
  *(w->before ? &w->before->after : &d->watches) = w->after;
  if (w->after) w->after->before = w->before;
  free(w);
  if (ok || d->cut || d->site->down) return;
  d->cut = true;
  probe(d);
}

void celslm_outage_watch(celslm_outage *o, int site, celslm_entry *e) {
  if (!o) return;
  side *d = &o->sides[site];
  watch *w = celslm_alloc(1, sizeof *w);
  *w = (watch){.side = d, .after = d->watches};
  if (d->watches) d->watches->before = w;
  d->watches = w;
  w->waiter = (celslm_waiter){.then = fetched, .self = w};
  celslm_store_wait(e, &w->waiter);
}

bool celslm_outage_cut(const celslm_outage *o, int site) {
  return o && o->sides[site].cut;
}

/* ---- doing ----------------------------------------------------------------------------------- */

void celslm_outage_cold(celslm_outage *o, celslm_request *r) {
  if (o->sides[r->site].site->down)
    celslm_drop(r, CELSLM_REASON_HOST);
  else
    o->policy->cold(o, r);
}

const celslm_codec *celslm_outage_codec(const celslm_outage *o, const celslm_request *r,
                                        const celslm_codec *usual) {
  return o && o->policy->light && r->parked ? &o->codec : usual;
}

const celslm_outage_hooks *celslm_outage_hooks_of(const celslm_outage *o) {
  return &o->hooks;
}

/* ---- opening --------------------------------------------------------------------------------- */

static bool read_options(celslm_outage *o, const celslm_element *e, const celslm_resilience *usual,
                         celslm_error *err) {
  const char *names[16] = {NULL};
  int policy = -1;
  for (int i = 0; celslm_resiliences[i]; i++) {
    names[i] = celslm_resiliences[i]->name;
    if (celslm_resiliences[i] == usual) policy = i;
  }
  double detect, limit;
  if (!celslm_element_choice(e, "outage", names, policy, &policy, err) ||
      !celslm_element_quantity(e, "outage_detect", CELSLM_UNIT_TIME, 1e-3, 1e6, 0.2, &detect,
                               err) ||
      !celslm_element_quantity(e, "outage_limit", CELSLM_UNIT_TIME, 1e-3, 1e6, 60, &limit, err) ||
      !celslm_codec_read(e, "outage_codec", &o->codec, err))
    return false;
  o->policy = celslm_resiliences[policy];
  o->detect = celslm_ns_of(detect);
  o->limit = celslm_ns_of(limit);
  bool codec = celslm_element_attribute(e, "outage_codec") != NULL;
  if (codec == o->policy->light) return true;
  return celslm_element_fail(e, err,
                             codec ? "outage_codec is for outage=\"degrade\" only; leave it out"
                                   : "outage=\"degrade\" needs outage_codec, what those fetch in "
                                     "that had to wait");
}

bool celslm_outage_open(celslm_outage **to, const celslm_system *s, const celslm_element *e,
                        const celslm_resilience *usual, const celslm_outage_hooks *hooks,
                        celslm_error *err) {
  static const char *const others[] = {"outage_detect", "outage_limit", "outage_codec"};
  *to = NULL;
  if (!usual && !celslm_element_attribute(e, "outage")) {
    for (int i = 0; i < 3; i++)
      if (celslm_element_attribute(e, others[i]))
        return celslm_element_fail(e, err, "<%s> has %s but no outage; give the policy", e->name,
                                   others[i]);
    return true;
  }
  celslm_outage *o = *to = celslm_alloc(1, sizeof *o);
  o->system = s;
  o->hooks = *hooks;
  o->n_sides = s->scenario->n_engines;
  o->sides = celslm_alloc((unsigned long)o->n_sides, sizeof *o->sides);
  if (!read_options(o, e, usual, err)) return false;
  for (int i = 0; i < o->n_sides; i++) {
    o->sides[i] = (side){.outage = o, .site = &s->sites[i]};
    if (i != s->cloud) s->sites[i].patience = o->detect;
  }
  return true;
}

void celslm_outage_close(celslm_outage *o) {
  if (!o) return;
  for (int i = 0; i < o->n_sides; i++) {
    for (parked *p = o->sides[i].first, *next; p; p = next) {
      next = p->after;
      free(p);
    }
    for (watch *w = o->sides[i].watches, *next; w; w = next) {
      next = w->after;
      free(w);
    }
  }
  free(o->sides);
  free(o);
}
