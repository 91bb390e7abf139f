/* carry.c - what SimGrid does for us: flows that share links, work that shares hosts.
 *
 * SimGrid is loaded when it is first asked something (a route) and runs from the first flow or
 * computation on: a run that has nothing to share does without. Work that is given before it runs
 * is given at one instant, and waits in its worker until the pump has become an actor, still at
 * that instant. */
#include "net/inside.h"

#include <simgrid/engine.h>

#include <simgrid/actor.h>
#include <simgrid/exec.h>
#include <simgrid/host.h>
#include <simgrid/link.h>
#include <simgrid/semaphore.h>
#include <xbt/config.h>
#include <xbt/log.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- loading --------------------------------------------------------------------------------- */

/* As a file, for SimGrid reads no other; without memory for it there is nothing left to do. */
static void load_platform(const celslm_platform *p) {
  int fd = memfd_create("platform.xml", 0); /* SimGrid chooses its parser by the ending */
  size_t size = strlen(p->normalised);
  if (fd < 0 || write(fd, p->normalised, size) != (ssize_t)size) {
    fprintf(stderr, "celslm: %s: cannot hand the platform to SimGrid; is memory full?\n", p->file);
    exit(1);
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  simgrid_load_platform(path);
  close(fd);
}

void celslm_carry_load(celslm_net *n) {
  if (n->links) return;
  const celslm_platform *p = n->platform;
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
  load_platform(p);
  simgrid_run_until(0); /* seals the zones: SimGrid 3.32 aborts on a route asked for before */
  n->hosts = celslm_alloc((unsigned long)p->n_hosts, sizeof *n->hosts);
  for (int i = 0; i < p->n_hosts; i++) n->hosts[i] = sg_host_by_name(p->hosts[i].name);
  n->links = celslm_alloc((unsigned long)n->n_links, sizeof *n->links);
  for (int i = 0; i < n->n_links; i++) {
    const line *l = &n->lines[i];
    n->links[i] = sg_link_by_name(l->name);
    sg_link_set_latency(n->links[i], 0);
    double bandwidth = celslm_line_capacity(l) * n->scale;
    if (bandwidth < l->nominal || bandwidth > l->nominal)
      sg_link_set_bandwidth(n->links[i], bandwidth);
  }
  n->wake = sg_sem_init(0);
}

void celslm_carry_free(celslm_net *n) {
  for (int i = 0; i < n->n_workers; i++) {
    if (n->workers[i]->actor) sg_sem_destroy(n->workers[i]->work);
    free(n->workers[i]);
  }
  if (n->links) sg_sem_destroy(n->wake);
  free(n->workers);
  free(n->hosts);
  free(n->links);
}

/* ---- workers --------------------------------------------------------------------------------- */

static void part_over(celslm_transfer *t, worker *w) {
  worker **at = &t->workers;
  while (*at != w) at = &(*at)->next;
  *at = w->next;
  t->parts--;
}

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
      part_over(t, w);
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

static void give_actor(celslm_net *n, worker *w) {
  w->actor = sg_actor_init("worker", n->hosts[0]);
  sg_actor_set_data(w->actor, w);
  sg_actor_start(w->actor, carry, 0, NULL);
}

static worker *get_worker(celslm_net *n) {
  worker *w = n->idle;
  if (w) {
    n->idle = w->next;
    return w;
  }
  w = celslm_alloc(1, sizeof *w);
  w->net = n;
  n->workers = celslm_realloc(n->workers, (unsigned long)n->n_workers + 1, sizeof(worker *));
  n->workers[n->n_workers++] = w;
  if (!n->running) return w;
  w->work = sg_sem_init(0);
  give_actor(n, w);
  return w;
}

void celslm_worker_stop(celslm_net *n, worker *w) {
  n->active--;
  if (!n->running) { /* it keeps its place among the workers, which is that of its work in time */
    w->transfer = NULL;
    w->compute = NULL;
    return;
  }
  while (!w->begun) sg_actor_yield(); /* else its successor would do this work */
  sg_actor_kill(w->actor);
  give_actor(n, w);
  w->next = n->idle;
  n->idle = w;
}

static worker *employ(celslm_net *n, celslm_transfer *t, celslm_compute *c) {
  n->active++;
  worker *w = get_worker(n);
  w->transfer = t;
  w->compute = c;
  w->begun = false;
  if (n->running) sg_sem_release(w->work);
  return w;
}

void celslm_carry_catch_up(celslm_net *n) {
  if (!n->running || n->active) return;
  double behind = celslm_seconds(n->now) - simgrid_get_clock();
  if (behind >= 1e-9) sg_actor_sleep_for(behind);
}

worker *celslm_carry_compute(celslm_net *n, celslm_compute *c) {
  celslm_carry_catch_up(n);
  return employ(n, NULL, c);
}

/* A flow is bounded by what its links have as it begins, so they are at their nominal bandwidth
 * from `before_flows` to `after_flows`. */
static void before_flows(celslm_net *n, const celslm_transfer *t) {
  if (n->reduced) celslm_route_set_bandwidths(n, t->route, false);
}

static void after_flows(celslm_net *n, const celslm_transfer *t) {
  if (!n->reduced) return;
  for (const worker *w = t->workers; w; w = w->next)
    while (!w->begun) sg_actor_yield();
  sg_actor_yield(); /* now each is in its flow */
  celslm_route_set_bandwidths(n, t->route, true);
}

void celslm_carry_flows(celslm_net *n, celslm_transfer *t) {
  t->parts = n->weights[t->traffic];
  celslm_carry_catch_up(n);
  if (n->running) before_flows(n, t);
  for (int i = 0; i < t->parts; i++) {
    worker *w = employ(n, t, NULL);
    w->next = t->workers;
    t->workers = w;
  }
  if (n->running) after_flows(n, t);
}

/* ---- running --------------------------------------------------------------------------------- */

/* SimGrid runs from now on: what has been given to workers begins, in that order. */
static void begin(celslm_net *n) {
  int active = n->active;
  n->running = true;
  n->active = 0; /* for the clock, it has nothing yet */
  celslm_carry_catch_up(n);
  n->active = active;
  int n_workers = n->n_workers;
  for (int i = 0; i < n_workers; i++) {
    n->workers[i]->work = sg_sem_init(0);
    give_actor(n, n->workers[i]);
  }
  for (int i = 0; i < n_workers; i++) {
    worker *w = n->workers[i];
    const celslm_transfer *t = w->transfer;
    if (!t && !w->compute) { /* its work was taken back */
      w->next = n->idle;
      n->idle = w;
      continue;
    }
    bool first = t && (i == 0 || n->workers[i - 1]->transfer != t);
    bool last = t && (i + 1 == n_workers || n->workers[i + 1]->transfer != t);
    if (first) before_flows(n, t);
    sg_sem_release(w->work);
    if (last) after_flows(n, t);
  }
}

typedef struct actor_pump {
  celslm_net *net;
  void (*pump)(celslm_net *n);
} actor_pump;

static void run_pump(int argc, char **argv) {
  (void)argc, (void)argv;
  const actor_pump *p = sg_actor_self_get_data();
  begin(p->net);
  p->pump(p->net);
}

void celslm_carry_run(celslm_net *n, void (*pump)(celslm_net *n)) {
  celslm_carry_load(n);
  actor_pump p = {n, pump};
  sg_actor_t actor = sg_actor_init("pump", n->hosts[0]);
  sg_actor_set_data(actor, &p);
  sg_actor_start(actor, run_pump, 0, NULL);
  simgrid_run();
}

void celslm_carry_wait(celslm_net *n, double ahead) {
  n->waiting = true;
  if (isinf(ahead))
    sg_sem_acquire(n->wake);
  else
    sg_sem_acquire_timeout(n->wake, ahead);
  n->waiting = false;
}
