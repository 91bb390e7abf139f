#include "net/radio/aboard.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { DOWN, UP };

typedef struct way way;

typedef struct queue {
  way *first, *last;
} queue;

typedef struct modem {
  celslm_aboard *all;
  int host, ue;
  queue air[2]; /* the first one is in the air */
  queue wires;  /* from it, at a base station; the first one is on the wires */
  /* by direction: */
  int kept[2];     /* pieces at a base station */
  queue held[2];   /* that have left their source, which has not been told */
  celslm_ns heard; /* when a piece last arrived */
} modem;

/* A transfer on its way. */
struct way {
  celslm_aboard *all;
  celslm_transfer *outer;  /* NULL: it has failed, and nobody waits for it */
  celslm_transfer as_sent; /* a copy */
  celslm_transfer wire;
  celslm_hop hop;
  modem *up, *down;    /* at its ends; NULL: that end has a wire */
  bool told;           /* that it has left */
  bool held, leads;    /* ... is in the queue for the wires */
  way *next;           /* in a queue for the air, or the wires */
  way *next_held;      /* ... of those held */
  way *before, *after; /* among all */
};

struct celslm_aboard {
  celslm_net *net;
  celslm_ran *ran;
  bool in_order; /* the ran keeps a modem's pieces in order by itself */
  const celslm_platform *platform;
  modem *modems;
  int n_modems;
  modem **of; /* by host; NULL: it has a wire */
  double *bytes[2];
  way *ways;
};

static int cell_of(const modem *m) {
  return celslm_ran_scene(m->all->ran)->ues[m->ue].cell;
}

static int base_of(const modem *m) { /* the host of its base station */
  return m->all->platform->cells[cell_of(m)].host;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void forget(way *w) {
  *(w->before ? &w->before->after : &w->all->ways) = w->after;
  if (w->after) w->after->before = w->before;
  free(w);
}

static void unhold(way *w) {
  if (!w->held) return;
  queue *q = w->up ? &w->up->held[UP] : &w->down->held[DOWN];
  way *last = NULL;
  for (way **at = &q->first; *at; at = &(*at)->next_held) {
    if (*at == w) {
      *at = w->next_held;
      if (q->last == w) q->last = last;
      break;
    }
    last = *at;
  }
  w->held = false;
}

static void tell(way *w) { /* it has left its source */
  unhold(w);
  if (w->told || !w->outer) return;
  w->told = true;
  if (w->outer->sent) w->outer->sent(w->outer->self);
}

/* It has left its source; which hears of it when there is room at the base station. */
static void source_left(way *w) {
  modem *m = w->up ? w->up : w->down;
  bool uplink = w->up != NULL;
  if (w->told || w->held) return;
  if (m->kept[uplink] < CELSLM_ABOARD_BUFFER) {
    tell(w);
    return;
  }
  queue *q = &m->held[uplink];
  w->held = true;
  w->next_held = NULL;
  *(q->last ? &q->last->next_held : &q->first) = w;
  q->last = w;
}

static void base_left(modem *m, bool uplink) {
  m->kept[uplink]--;
  if (m->held[uplink].first) tell(m->held[uplink].first);
}

static void append(queue *q, way *w) {
  w->next = NULL;
  *(q->last ? &q->last->next : &q->first) = w;
  q->last = w;
}

static void drop_first(queue *q) {
  q->first = q->first->next;
  if (!q->first) q->last = NULL;
}

static void fail(way *w) {
  celslm_transfer *t = w->outer;
  unhold(w);
  forget(w);
  if (t) t->failed(t->self);
}

static void arrive(way *w) {
  tell(w);
  celslm_transfer *t = w->outer;
  if (t && w->down) { /* pieces that follow one another: what came since the one before */
    if (w->down->heard > t->started) {
      t->started = w->down->heard;
      t->latency = 0;
    }
    w->down->heard = celslm_net_now(w->all->net);
  }
  forget(w);
  if (t) t->delivered(t->self);
}

/* ---- in the air ------------------------------------------------------------------------------ */

static void cross_wires(way *w, int from);

static void set_out(way *w) {
  celslm_aboard *a = w->all;
  const modem *m = w->hop.uplink ? w->up : w->down;
  a->bytes[w->hop.uplink][cell_of(m)] += w->hop.bytes;
  celslm_ran_send(a->ran, &w->hop);
}

/* The one that is in the air makes place for the next. */
static void leave(way *w) {
  modem *m = w->hop.uplink ? w->up : w->down;
  queue *q = &m->air[w->hop.uplink];
  if (!w->all->in_order) {
    assert(q->first == w);
    drop_first(q);
    if (q->first) set_out(q->first);
  }
  if (!w->hop.uplink) base_left(m, false);
}

static void left(void *self) {
  way *w = self;
  leave(w);
  if (w->hop.uplink) source_left(w);
}

static void landed(void *self) {
  way *w = self;
  if (!w->hop.uplink || !w->outer) {
    arrive(w);
    return;
  }
  queue *q = &w->up->wires;
  w->up->kept[UP]++;
  w->leads = true;
  append(q, w);
  if (q->first == w) cross_wires(w, base_of(w->up));
}

static void queue_up(way *w, bool uplink);

static void no_signal(void *self) {
  way *w = self;
  leave(w);
  if (w->outer && !w->outer->failed)
    queue_up(w, w->hop.uplink);
  else
    fail(w);
}

/* Behind the others of its modem and direction. */
static void queue_up(way *w, bool uplink) {
  modem *m = uplink ? w->up : w->down;
  queue *q = &m->air[uplink];
  if (!uplink) m->kept[DOWN]++;
  w->hop = (celslm_hop){.ue = m->ue,
                        .uplink = uplink,
                        .bytes = (double)w->as_sent.bytes,
                        .patience = w->as_sent.failed ? w->as_sent.patience : 0,
                        .left = left,
                        .done = landed,
                        .failed = no_signal,
                        .self = w};
  bool first = !q->first || w->all->in_order;
  if (!w->all->in_order) append(q, w);
  if (first) set_out(w);
}

/* ---- on the wires ---------------------------------------------------------------------------- */

/* What came from the air makes place for the next. */
static void leave_wires(way *w) {
  if (!w->leads) return;
  modem *m = w->up;
  w->leads = false;
  drop_first(&m->wires);
  if (m->wires.first) cross_wires(m->wires.first, base_of(m));
  base_left(m, true);
}

static void off_the_first_wire(void *self) {
  way *w = self;
  if (w->up)
    leave_wires(w);
  else
    source_left(w);
}

static void off_the_wires(void *self) {
  way *w = self;
  if (!w->outer || !w->down)
    arrive(w);
  else if (base_of(w->down) != w->wire.to)
    cross_wires(w, w->wire.to); /* it has left for another cell */
  else
    queue_up(w, false);
}

static void cut(void *self) {
  leave_wires(self);
  fail(self);
}

static void cross_wires(way *w, int from) {
  const celslm_transfer *t = &w->as_sent;
  w->wire = (celslm_transfer){.from = from,
                              .to = w->down ? base_of(w->down) : t->to,
                              .bytes = t->bytes,
                              .traffic = t->traffic,
                              .patience = t->patience,
                              .sent = off_the_first_wire,
                              .delivered = off_the_wires,
                              .failed = t->failed ? cut : NULL,
                              .self = w};
  celslm_net_send(w->all->net, &w->wire);
}

/* ---- for the net ----------------------------------------------------------------------------- */

static celslm_ns latency(void *self, int from, int to) {
  const celslm_aboard *a = self;
  const modem *up = a->of[from], *down = a->of[to];
  double air = 0;
  if (up) air += celslm_ran_link(a->ran, up->ue)->latency_up;
  if (down) air += celslm_ran_link(a->ran, down->ue)->latency_down;
  return celslm_ns_of(air) +
         celslm_net_latency(a->net, up ? base_of(up) : from, down ? base_of(down) : to);
}

/* s per B of the parts of a way together, and of the slowest. */
static double parts(const celslm_aboard *a, int from, int to, double *slowest) {
  const double most = 1e-3; /* without a signal: much enough, and ways can be compared */
  const modem *up = a->of[from], *down = a->of[to];
  double part[3] = {
      1 / celslm_net_bandwidth(a->net, up ? base_of(up) : from, down ? base_of(down) : to),
      up ? 1 / celslm_ran_link(a->ran, up->ue)->up : 0,
      down ? 1 / celslm_ran_link(a->ran, down->ue)->down : 0};
  double sum = *slowest = 0;
  for (int i = 0; i < 3; i++) {
    part[i] = fmin(part[i], most);
    sum += part[i];
    *slowest = fmax(*slowest, part[i]);
  }
  return sum;
}

static double bandwidth(void *self, int from, int to) {
  double slowest;
  parts(self, from, to, &slowest);
  return 1 / slowest;
}

static double stored(void *self, int from, int to) {
  double slowest, sum = parts(self, from, to, &slowest);
  return sum - slowest;
}

static void send(void *self, celslm_transfer *t) {
  celslm_aboard *a = self;
  way *w = celslm_alloc(1, sizeof *w);
  *w = (way){.all = a,
             .outer = t,
             .as_sent = *t,
             .up = a->of[t->from],
             .down = a->of[t->to],
             .after = a->ways};
  if (a->ways) a->ways->before = w;
  a->ways = w;
  t->latency = latency(a, t->from, t->to);
  if (w->up)
    queue_up(w, true);
  else
    cross_wires(w, t->from);
}

static void count(void *self, int from, int to, uint64_t bytes, celslm_traffic traffic) {
  celslm_aboard *a = self;
  const modem *up = a->of[from], *down = a->of[to];
  if (up) a->bytes[UP][cell_of(up)] += (double)bytes;
  if (down) a->bytes[DOWN][cell_of(down)] += (double)bytes;
  celslm_net_count(a->net, up ? base_of(up) : from, down ? base_of(down) : to, bytes, traffic);
}

static void fail_host(void *self, int host) {
  celslm_aboard *a = self;
  for (way *w = a->ways, *next; w; w = next) {
    next = w->after;
    celslm_transfer *t = w->outer;
    if (!t || !t->failed || (t->from != host && t->to != host)) continue;
    unhold(w);
    w->outer = NULL;
    t->failed(t->self);
    next = a->ways; /* what fails may end others: from the beginning */
  }
}

/* ---- building -------------------------------------------------------------------------------- */

celslm_aboard *celslm_aboard_new(celslm_net *net, celslm_ran *ran, const celslm_scenario *s,
                                 double *bytes_up, double *bytes_down) {
  const celslm_scene *scene = celslm_ran_scene(ran);
  int n = 0;
  for (int g = 0; g < s->radio.n_ues; g++) n += s->radio.ues[g].host >= 0;
  if (!n) return NULL;
  celslm_aboard *a = celslm_alloc(1, sizeof *a);
  *a = (celslm_aboard){.net = net,
                       .ran = ran,
                       .in_order = s->radio.access,
                       .platform = s->platform,
                       .bytes = {bytes_down, bytes_up}};
  a->modems = celslm_alloc((unsigned long)n, sizeof *a->modems);
  a->of = celslm_alloc((unsigned long)s->platform->n_hosts, sizeof(modem *));
  for (int i = 0; i < scene->n_ues; i++) {
    int host = s->radio.ues[scene->ues[i].group].host;
    if (host < 0) continue;
    a->of[host] = &a->modems[a->n_modems++];
    *a->of[host] = (modem){.all = a, .host = host, .ue = i};
  }
  bool *on = celslm_alloc((unsigned long)s->platform->n_hosts, sizeof *on);
  for (int h = 0; h < s->platform->n_hosts; h++) on[h] = a->of[h] != NULL;
  celslm_net_attach(net, on,
                    &(celslm_attachment){.send = send,
                                         .count = count,
                                         .latency = latency,
                                         .bandwidth = bandwidth,
                                         .stored = stored,
                                         .fail_host = fail_host,
                                         .self = a});
  free(on);
  return a;
}

void celslm_aboard_free(celslm_aboard *a) {
  if (!a) return;
  for (way *w = a->ways, *next; w; w = next) {
    next = w->after;
    free(w);
  }
  free(a->modems);
  free(a->of);
  free(a);
}
