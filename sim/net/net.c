#include "net/inside.h"

#include <simgrid/engine.h>

#include <simgrid/host.h>
#include <simgrid/link.h>
#include <simgrid/version.h>
#include <xbt/dynar.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const celslm_traffic_names[] = {"prompt", "tokens",      "kv", "context",
                                            "swap",   "activations", NULL};

/* ---- setting up ------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b) {
  return strcmp(((const line *)a)->name, ((const line *)b)->name);
}

/* The links by the names that SimGrid gives them. */
static void name_lines(celslm_net *n) {
  const celslm_platform *p = n->platform;
  n->lines = celslm_alloc(2 * (unsigned long)p->n_links + 1, sizeof *n->lines);
  n->halves = celslm_alloc((unsigned long)p->n_links, sizeof *n->halves);
  for (int i = 0; i < p->n_links; i++) {
    const celslm_link *l = &p->links[i];
    for (int half = 0; half < (l->split_duplex ? 2 : 1); half++)
      n->lines[n->n_links++] = (line){.name = celslm_format("%s%s", l->name,
                                                            !l->split_duplex ? ""
                                                            : half           ? "_DOWN"
                                                                             : "_UP"),
                                      .link = i,
                                      .half = half,
                                      .latency = l->latency,
                                      .nominal = l->bandwidth,
                                      .share = 1};
  }
  /* SimGrid's own, from a host to itself: we send nothing over it */
  n->lines[n->n_links++] =
      (line){.name = celslm_strdup("__loopback__"), .link = -1, .nominal = 10e9, .share = 1};
  qsort(n->lines, (size_t)n->n_links, sizeof *n->lines, by_name);
  for (int i = 0; i < n->n_links; i++)
    if (n->lines[i].link >= 0) n->halves[n->lines[i].link][n->lines[i].half] = i;
}

celslm_net *celslm_net_new(const celslm_platform *p) {
  celslm_net *n = celslm_alloc(1, sizeof *n);
  n->platform = p;
  n->queue = celslm_queue_new();
  n->scale = 1;
  for (int i = 0; i < CELSLM_TRAFFICS; i++) n->weights[i] = 1;
  name_lines(n);
  n->link_bytes = celslm_alloc((unsigned long)n->n_links * CELSLM_TRAFFICS, sizeof *n->link_bytes);
  n->received = celslm_alloc((unsigned long)p->n_hosts * CELSLM_TRAFFICS, sizeof *n->received);
  n->sent_by = celslm_alloc((unsigned long)p->n_hosts * CELSLM_TRAFFICS, sizeof *n->sent_by);
  n->routes_size = 64;
  n->routes = celslm_alloc(n->routes_size, sizeof *n->routes);
  return n;
}

void celslm_net_free(celslm_net *n) {
  if (!n) return;
  for (uint32_t i = 0; i < n->routes_size; i++)
    if (n->routes[i]) {
      free(n->routes[i]->links);
      free(n->routes[i]);
    }
  celslm_carry_free(n);
  celslm_queue_free(n->queue);
  free(n->routes);
  for (int i = 0; i < n->n_links; i++) free(n->lines[i].name);
  free(n->lines);
  free(n->halves);
  free(n->link_bytes);
  free(n->received);
  free(n->sent_by);
  free(n->attached);
  free(n);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static int line_of(const celslm_net *n, sg_link_t link) {
  const line key = {.name = (char *)(uintptr_t)sg_link_get_name(link)};
  const line *found = bsearch(&key, n->lines, (size_t)n->n_links, sizeof *n->lines, by_name);
  return found ? (int)(found - n->lines) : -1;
}

static void fill_route(celslm_net *n, route *r, int from, int to) {
  celslm_carry_load(n);
  xbt_dynar_t on_route = xbt_dynar_new(sizeof(sg_link_t), NULL);
  sg_host_get_route(n->hosts[from], n->hosts[to], on_route);
  int count = (int)xbt_dynar_length(on_route);
  r->links = celslm_alloc((unsigned long)count, sizeof *r->links);
  r->bandwidth = INFINITY;
  double latency = 0;
  for (int i = 0; i < count; i++) {
    int link = line_of(n, xbt_dynar_get_as(on_route, (unsigned long)i, sg_link_t));
    if (link < 0) continue;
    r->links[r->n_links++] = link;
    latency += n->lines[link].latency;
    r->bandwidth = fmin(r->bandwidth, n->lines[link].nominal);
  }
  xbt_dynar_free(&on_route);
  r->latency = celslm_ns_of(latency);
}

static route **slot_of(route **routes, uint32_t size, uint64_t key) {
  uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & (size - 1);
  while (routes[at] && routes[at]->key != key) at = (at + 1) & (size - 1);
  return &routes[at];
}

static route *find_route(celslm_net *n, int from, int to) {
  uint64_t key = (uint64_t)from * (uint64_t)n->platform->n_hosts + (uint64_t)to + 1;
  route **r = slot_of(n->routes, n->routes_size, key);
  if (*r) return *r;
  if (++n->n_routes * 2 > n->routes_size) {
    route **larger = celslm_alloc(n->routes_size * 2, sizeof *larger);
    for (uint32_t i = 0; i < n->routes_size; i++)
      if (n->routes[i]) *slot_of(larger, n->routes_size * 2, n->routes[i]->key) = n->routes[i];
    free(n->routes);
    n->routes = larger;
    n->routes_size *= 2;
    r = slot_of(n->routes, n->routes_size, key);
  }
  *r = celslm_alloc(1, sizeof **r);
  (*r)->key = key;
  fill_route(n, *r, from, to);
  return *r;
}

void celslm_net_attach(celslm_net *n, const bool *on, const celslm_attachment *a) {
  size_t size = (size_t)n->platform->n_hosts * sizeof *on;
  free(n->attached);
  n->attached = memcpy(celslm_alloc(1, size), on, size);
  n->attachment = *a;
}

/* At least one of the two has no wire. */
static bool off_wires(const celslm_net *n, int from, int to) {
  return n->attached && from != to && (n->attached[from] || n->attached[to]);
}

celslm_ns celslm_net_latency(celslm_net *n, int from, int to) {
  if (off_wires(n, from, to)) return n->attachment.latency(n->attachment.self, from, to);
  return from == to ? 0 : find_route(n, from, to)->latency;
}

double celslm_net_stored(celslm_net *n, int from, int to) {
  return off_wires(n, from, to) ? n->attachment.stored(n->attachment.self, from, to) : 0;
}

double celslm_net_bandwidth(celslm_net *n, int from, int to) {
  if (off_wires(n, from, to)) return n->attachment.bandwidth(n->attachment.self, from, to);
  return from == to ? INFINITY : find_route(n, from, to)->bandwidth;
}

/* ---- work that shares a host ------------------------------------------------------------------
 */

void celslm_net_compute(celslm_net *n, celslm_compute *c) {
  c->net = n;
  c->event.fire = c->done;
  c->event.self = c->self;
  c->worker = celslm_carry_compute(n, c);
}

void celslm_net_withdraw(celslm_net *n, celslm_compute *c) {
  if (c->worker) celslm_worker_stop(n, c->worker);
  c->worker = NULL;
  celslm_queue_remove(n->queue, &c->event);
}

/* ---- transfers ------------------------------------------------------------------------------- */

static void list(celslm_net *n, celslm_transfer *t) {
  t->before = n->last;
  t->after = NULL;
  *(n->last ? &n->last->after : &n->first) = t;
  n->last = t;
}

void celslm_transfer_unlist(celslm_net *n, celslm_transfer *t) {
  *(t->before ? &t->before->after : &n->first) = t->after;
  *(t->after ? &t->after->before : &n->last) = t->before;
}

static void arrive(void *self) {
  celslm_transfer *t = self;
  celslm_net *n = t->net;
  if (t->route) {
    n->received[t->to * CELSLM_TRAFFICS + (int)t->traffic] += t->bytes;
    n->in_flight[t->traffic] -= t->bytes;
    celslm_transfer_unlist(n, t);
  }
  t->delivered(t->self);
}

/* The last byte leaves the source now; it arrives after the route's latency. */
static void leave(void *self) {
  celslm_transfer *t = self;
  celslm_net *n = t->net;
  celslm_ns arrival = n->now + t->latency;
  if (t->route && n->jitters) {
    for (int i = 0; i < t->route->n_links; i++) {
      const line *l = &n->lines[t->route->links[i]];
      if (l->jitter) arrival += celslm_ns_of(l->jitter(l->self));
    }
    if (arrival < t->route->last) arrival = t->route->last;
    t->route->last = arrival;
  }
  t->event.fire = arrive;
  celslm_queue_put(n->queue, &t->event, arrival);
  if (t->left) return; /* its first attempt had left when it was lost */
  t->left = true;
  if (t->sent) t->sent(t->self);
}

static route *charge(celslm_net *n, int from, int to, uint64_t bytes, celslm_traffic traffic) {
  if (from == to) return NULL; /* what stays on a host is no traffic */
  n->sent[traffic] += bytes;
  n->sent_by[from * CELSLM_TRAFFICS + (int)traffic] += bytes;
  route *r = find_route(n, from, to);
  for (int i = 0; i < r->n_links; i++)
    n->link_bytes[r->links[i] * CELSLM_TRAFFICS + (int)traffic] += bytes;
  return r;
}

void celslm_net_count(celslm_net *n, int from, int to, uint64_t bytes, celslm_traffic traffic) {
  if (off_wires(n, from, to))
    n->attachment.count(n->attachment.self, from, to, bytes, traffic);
  else if (charge(n, from, to, bytes, traffic))
    n->received[to * CELSLM_TRAFFICS + (int)traffic] += bytes;
}

/* Puts a transfer on its route, or lets it wait for it. */
void celslm_transfer_depart(celslm_net *n, celslm_transfer *t) {
  double bandwidth = celslm_route_bandwidth(n, t->route);
  t->event = (celslm_event){.fire = leave, .self = t, .cls = CELSLM_AT_NETWORK};
  t->waiting = !(bandwidth > 0);
  if (t->waiting) {
    t->event.fire = celslm_transfer_run_out;
    if (t->failed && t->patience > 0) celslm_queue_put(n->queue, &t->event, n->now + t->patience);
    return;
  }
  charge(n, t->from, t->to, t->bytes, t->traffic);
  n->in_flight[t->traffic] += t->bytes;
  if (t->bytes <= CELSLM_PACKET) {
    celslm_queue_put(n->queue, &t->event, n->now + celslm_ns_of((double)t->bytes / bandwidth));
    return;
  }
  celslm_carry_flows(n, t);
}

void celslm_net_send(celslm_net *n, celslm_transfer *t) {
  t->net = n;
  t->started = n->now;
  t->event = (celslm_event){.fire = leave, .self = t, .cls = CELSLM_AT_NETWORK};
  t->workers = NULL;
  t->waiting = t->left = false;
  t->parts = 0;
  if (off_wires(n, t->from, t->to)) {
    n->attachment.send(n->attachment.self, t);
    return;
  }
  t->route = t->from == t->to ? NULL : find_route(n, t->from, t->to);
  t->latency = t->route ? t->route->latency : 0;
  if (!t->route) {
    if (!t->sent) t->event.fire = arrive; /* it arrives as it leaves */
    celslm_queue_put(n->queue, &t->event, n->now);
    return;
  }
  list(n, t);
  celslm_transfer_depart(n, t);
}

/* ---- the pump -------------------------------------------------------------------------------- */

/* Fires events, by itself or as an actor; returns by itself when SimGrid has work. */
static void pump(celslm_net *n) {
  while (!(n->interrupt && *n->interrupt)) {
    if (n->active && !n->running) return;
    celslm_event *e = celslm_queue_first(n->queue);
    if (celslm_net_idle(n)) break;
    celslm_ns next = e && e->time <= n->horizon ? e->time : n->horizon;
    if (n->active) { /* whichever comes first: `next`, or the end of a transfer */
      double ahead = next == CELSLM_NEVER ? INFINITY : celslm_seconds(next) - simgrid_get_clock();
      if (ahead > 5e-10) { /* half of SimGrid's time resolution */
        celslm_carry_wait(n, ahead);
        continue;
      }
    }
    if (!e || e->time > n->horizon) { /* what is left would happen after the horizon */
      n->now = n->horizon;
      break;
    }
    n->now = e->time;
    celslm_queue_remove(n->queue, e);
    e->fire(e->self);
  }
}

void celslm_net_run(celslm_net *n, celslm_ns horizon) {
  n->horizon = horizon;
  pump(n);
  if (n->active && !n->running) celslm_carry_run(n, pump);
}

void celslm_net_interruptible(celslm_net *n, const volatile sig_atomic_t *flag) {
  n->interrupt = flag;
}

/* One that waits, however long it takes, for a link that a fault has cut: the fault will end. */
static bool waits_for_repair(const celslm_net *n, const celslm_transfer *t) {
  if (!t->waiting || (t->failed && t->patience > 0)) return false;
  for (int i = 0; i < t->route->n_links; i++)
    if (!(n->lines[t->route->links[i]].share > 0)) return true;
  return false;
}

bool celslm_net_idle(const celslm_net *n) {
  if (n->active || !celslm_queue_idle(n->queue)) return false;
  if (!celslm_queue_first(n->queue)) return true;
  for (const celslm_transfer *t = n->first; t; t = t->after)
    if (waits_for_repair(n, t)) return false;
  return true;
}

celslm_ns celslm_net_now(const celslm_net *n) {
  return n->now;
}

void celslm_net_at(celslm_net *n, celslm_event *e, celslm_ns time) {
  celslm_queue_put(n->queue, e, time > n->now ? time : n->now);
}

void celslm_net_cancel(celslm_net *n, celslm_event *e) {
  celslm_queue_remove(n->queue, e);
}

/* ---- the ledger ------------------------------------------------------------------------------ */

int celslm_net_links(const celslm_net *n) {
  return n->n_links;
}

const char *celslm_net_link_name(const celslm_net *n, int link) {
  return n->lines[link].name;
}

double celslm_net_link_bandwidth(const celslm_net *n, int link) {
  return n->lines[link].nominal;
}

uint64_t celslm_net_link_bytes(const celslm_net *n, int link, celslm_traffic traffic) {
  return n->link_bytes[link * CELSLM_TRAFFICS + (int)traffic];
}

uint64_t celslm_net_sent(const celslm_net *n, celslm_traffic traffic) {
  return n->sent[traffic];
}

uint64_t celslm_net_in_flight(const celslm_net *n, celslm_traffic traffic) {
  return n->in_flight[traffic];
}

uint64_t celslm_net_lost(const celslm_net *n, celslm_traffic traffic) {
  return n->lost[traffic];
}

uint64_t celslm_net_received(const celslm_net *n, int host, celslm_traffic traffic) {
  return n->received[host * CELSLM_TRAFFICS + (int)traffic];
}

uint64_t celslm_net_sent_by(const celslm_net *n, int host, celslm_traffic traffic) {
  return n->sent_by[host * CELSLM_TRAFFICS + (int)traffic];
}

const char *celslm_net_version(void) {
#define TEXT(x)  TEXT_(x)
#define TEXT_(x) #x
  return TEXT(SIMGRID_VERSION_MAJOR) "." TEXT(SIMGRID_VERSION_MINOR) "." TEXT(
      SIMGRID_VERSION_PATCH);
#undef TEXT
#undef TEXT_
}
