#include "net/inside.h"

#include <simgrid/engine.h>

#include <simgrid/actor.h>
#include <simgrid/exec.h>
#include <simgrid/host.h>
#include <simgrid/link.h>
#include <simgrid/semaphore.h>
#include <simgrid/version.h>
#include <xbt/config.h>
#include <xbt/dynar.h>
#include <xbt/log.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *const celslm_traffic_names[] = {"prompt", "tokens",      "kv", "context",
                                            "swap",   "activations", NULL};

static int by_name(const void *a, const void *b) {
  return strcmp(sg_link_get_name(*(const sg_link_t *)a), sg_link_get_name(*(const sg_link_t *)b));
}

/* ---- setting up ------------------------------------------------------------------------------ */

static bool load(celslm_net *n, celslm_error *err) {
  static char name[] = "celslm";
  char *argv[] = {name, NULL};
  int argc = 1;
  struct sigaction ours;
  sigaction(SIGINT, NULL, &ours);
  simgrid_init(&argc, argv);
  sigaction(SIGINT, &ours, NULL); /* SimGrid's own would end the process at once */
  sg_cfg_set_string("network/model", "CM02");
  sg_cfg_set_boolean("network/crosstraffic", "no");
  sg_cfg_set_double("network/TCP-gamma", 0.0);
  sg_cfg_set_int("contexts/stack-size", 128);
  xbt_log_control_set("root.thres:critical");
  int fd = memfd_create("platform.xml", 0); /* SimGrid chooses its parser by the ending */
  size_t size = strlen(n->platform->normalised);
  if (fd < 0 || write(fd, n->platform->normalised, size) != (ssize_t)size) {
    if (fd >= 0) close(fd);
    return celslm_fail(err, n->platform->file, 0,
                       "cannot hand the platform to SimGrid; is memory full?");
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  simgrid_load_platform(path);
  close(fd);
  return true;
}

celslm_net *celslm_net_new(const celslm_platform *p, celslm_error *err) {
  celslm_net *n = celslm_alloc(1, sizeof *n);
  n->platform = p;
  if (!load(n, err)) {
    free(n);
    return NULL;
  }
  simgrid_run_until(0); /* seals the zones: SimGrid 3.32 aborts on a route asked for before */
  n->queue = celslm_queue_new();
  n->hosts = celslm_alloc((unsigned long)p->n_hosts, sizeof *n->hosts);
  for (int i = 0; i < p->n_hosts; i++) n->hosts[i] = sg_host_by_name(p->hosts[i].name);
  n->n_links = (int)sg_link_count();
  n->links = sg_link_list();
  qsort(n->links, (size_t)n->n_links, sizeof *n->links, by_name);
  n->latencies = celslm_alloc((unsigned long)n->n_links, sizeof *n->latencies);
  n->lines = celslm_alloc((unsigned long)n->n_links, sizeof *n->lines);
  n->scale = 1;
  for (int i = 0; i < CELSLM_TRAFFICS; i++) n->weights[i] = 1;
  for (int i = 0; i < n->n_links; i++) {
    n->lines[i] = (line){.nominal = sg_link_get_bandwidth(n->links[i]), .share = 1};
    n->latencies[i] = sg_link_get_latency(n->links[i]);
    sg_link_set_latency(n->links[i], 0);
  }
  n->link_bytes = celslm_alloc((unsigned long)n->n_links * CELSLM_TRAFFICS, sizeof *n->link_bytes);
  n->received = celslm_alloc((unsigned long)p->n_hosts * CELSLM_TRAFFICS, sizeof *n->received);
  n->sent_by = celslm_alloc((unsigned long)p->n_hosts * CELSLM_TRAFFICS, sizeof *n->sent_by);
  n->routes_size = 64;
  n->routes = celslm_alloc(n->routes_size, sizeof *n->routes);
  n->wake = sg_sem_init(0);
  return n;
}

void celslm_net_free(celslm_net *n) {
  if (!n) return;
  for (uint32_t i = 0; i < n->routes_size; i++)
    if (n->routes[i]) {
      free(n->routes[i]->links);
      free(n->routes[i]);
    }
  for (int i = 0; i < n->n_workers; i++) {
    sg_sem_destroy(n->workers[i]->work);
    free(n->workers[i]);
  }
  sg_sem_destroy(n->wake);
  celslm_queue_free(n->queue);
  free(n->workers);
  free(n->routes);
  free(n->hosts);
  free(n->links);
  free(n->latencies);
  free(n->lines);
  free(n->link_bytes);
  free(n->received);
  free(n->sent_by);
  free(n->attached);
  free(n);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static int link_index(const celslm_net *n, sg_link_t link) {
  sg_link_t *found = bsearch(&link, n->links, (size_t)n->n_links, sizeof *n->links, by_name);
  return found ? (int)(found - n->links) : -1;
}

static void fill_route(celslm_net *n, route *r, int from, int to) {
  xbt_dynar_t on_route = xbt_dynar_new(sizeof(sg_link_t), NULL);
  sg_host_get_route(n->hosts[from], n->hosts[to], on_route);
  int count = (int)xbt_dynar_length(on_route);
  r->links = celslm_alloc((unsigned long)count, sizeof *r->links);
  r->bandwidth = INFINITY;
  double latency = 0;
  for (int i = 0; i < count; i++) {
    int link = link_index(n, xbt_dynar_get_as(on_route, (unsigned long)i, sg_link_t));
    if (link < 0) continue;
    r->links[r->n_links++] = link;
    latency += n->latencies[link];
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

double celslm_net_bandwidth(celslm_net *n, int from, int to) {
  if (off_wires(n, from, to)) return n->attachment.bandwidth(n->attachment.self, from, to);
  return from == to ? INFINITY : find_route(n, from, to)->bandwidth;
}

/* ---- workers --------------------------------------------------------------------------------- */

static void part_over(celslm_net *n, celslm_transfer *t, worker *w);

static void carry(int argc, char **argv) {
  (void)argc, (void)argv;
  worker *w = sg_actor_self_get_data();
  celslm_net *n = w->net;
  sg_actor_daemonize(sg_actor_self()); /* the simulation ends with the pump */
  for (;;) {
    sg_sem_acquire(w->work);
    w->begun = true;
    if (w->transfer) {
      const celslm_transfer *t = w->transfer;
      sg_host_sendto(n->hosts[t->from], n->hosts[t->to],
                     (double)t->bytes * n->scale / n->weights[t->traffic]);
    } else {
      sg_host_t host = n->hosts[w->compute->host];
      sg_exec_t exec =
          sg_actor_exec_init(w->compute->seconds * n->platform->hosts[w->compute->host].speed);
      sg_exec_set_host(exec, host);
      sg_exec_start(exec);
      sg_exec_wait(exec);
    }
    celslm_ns end = celslm_ns_of(simgrid_get_clock());
    if (end < n->now) end = n->now;
    if (w->compute) {
      w->compute->worker = NULL;
      celslm_queue_put(n->queue, &w->compute->event, end);
    } else {
      celslm_transfer *t = w->transfer;
      part_over(n, t, w);
      if (t->parts == 0) celslm_queue_put(n->queue, &t->event, end);
    }
    n->active--;
    w->next = n->idle;
    n->idle = w;
    if (n->waiting) {
      n->waiting = false;
      sg_sem_release(n->wake);
    }
  }
}

static worker *get_worker(celslm_net *n) {
  worker *w = n->idle;
  if (w) {
    n->idle = w->next;
    return w;
  }
  w = celslm_alloc(1, sizeof *w);
  w->net = n;
  w->work = sg_sem_init(0);
  n->workers = celslm_realloc(n->workers, (unsigned long)n->n_workers + 1, sizeof(worker *));
  n->workers[n->n_workers++] = w;
  w->actor = sg_actor_init("worker", n->hosts[0]);
  sg_actor_set_data(w->actor, w);
  sg_actor_start(w->actor, carry, 0, NULL);
  return w;
}

/* Ends what a worker does: its actor goes, and another one takes its place. */
void celslm_worker_stop(celslm_net *n, worker *w) {
  while (!w->begun) sg_actor_yield(); /* else its successor would do this work */
  sg_actor_kill(w->actor);
  n->active--;
  w->actor = sg_actor_init("worker", n->hosts[0]);
  sg_actor_set_data(w->actor, w);
  sg_actor_start(w->actor, carry, 0, NULL);
  w->next = n->idle;
  n->idle = w;
}

/* Gives work to SimGrid, whose clock was left behind while it had nothing to share. */
static worker *hand_over(celslm_net *n, celslm_transfer *t, celslm_compute *c) {
  if (n->active == 0) {
    double behind = celslm_seconds(n->now) - simgrid_get_clock();
    if (behind >= 1e-9) sg_actor_sleep_for(behind);
  }
  n->active++;
  worker *w = get_worker(n);
  w->transfer = t;
  w->compute = c;
  w->begun = false;
  sg_sem_release(w->work);
  return w;
}

void celslm_net_compute(celslm_net *n, celslm_compute *c) {
  c->net = n;
  c->event.fire = c->done;
  c->event.self = c->self;
  c->worker = hand_over(n, NULL, c);
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

static void part_over(celslm_net *n, celslm_transfer *t, worker *w) {
  (void)n;
  worker **at = &t->workers;
  while (*at != w) at = &(*at)->next;
  *at = w->next;
  t->parts--;
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
  t->parts = n->weights[t->traffic];
  if (n->reduced) celslm_route_set_bandwidths(n, t->route, false);
  for (int i = 0; i < t->parts; i++) {
    worker *w = hand_over(n, t, NULL);
    w->next = t->workers;
    t->workers = w;
  }
  if (!n->reduced) return;
  for (const worker *w = t->workers; w; w = w->next)
    while (!w->begun) sg_actor_yield();
  sg_actor_yield(); /* now each is in its flow */
  celslm_route_set_bandwidths(n, t->route, true);
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

static void pump(int argc, char **argv) {
  (void)argc, (void)argv;
  celslm_net *n = sg_actor_self_get_data();
  while (!(n->interrupt && *n->interrupt)) {
    celslm_event *e = celslm_queue_first(n->queue);
    if (celslm_net_idle(n)) break;
    celslm_ns next = e && e->time <= n->horizon ? e->time : n->horizon;
    if (n->active) { /* whichever comes first: `next`, or the end of a transfer */
      double ahead = next == CELSLM_NEVER ? INFINITY : celslm_seconds(next) - simgrid_get_clock();
      if (ahead > 5e-10) { /* half of SimGrid's time resolution */
        n->waiting = true;
        if (isinf(ahead))
          sg_sem_acquire(n->wake);
        else
          sg_sem_acquire_timeout(n->wake, ahead);
        n->waiting = false;
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
  sg_actor_t actor = sg_actor_init("pump", n->hosts[0]);
  sg_actor_set_data(actor, n);
  sg_actor_start(actor, pump, 0, NULL);
  simgrid_run();
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
  return sg_link_get_name(n->links[link]);
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
