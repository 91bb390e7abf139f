/* inside.h - the inside of celslm_net, shared by net.c (time, transfers, the ledger) and vary.c
 * (links and hosts that change). */
#ifndef CELSLM_NET_INSIDE_H
#define CELSLM_NET_INSIDE_H

#include "net/net.h"

#include <simgrid/engine.h>

#include <simgrid/actor.h>
#include <simgrid/host.h>
#include <simgrid/link.h>
#include <simgrid/semaphore.h>

/* An actor that carries one transfer or computation at a time, and sleeps on `work` in between. */
typedef struct celslm_worker {
  celslm_net *net;
  celslm_transfer *transfer; /* one of the two is NULL */
  celslm_compute *compute;
  sg_actor_t actor;
  sg_sem_t work;
  bool begun;                 /* it has seen its work */
  struct celslm_worker *next; /* among idle ones, or those of the same transfer */
} worker;

typedef struct celslm_route {
  uint64_t key; /* from * n_hosts + to + 1 */
  celslm_ns latency;
  double bandwidth;
  int n_links;
  int *links;
  celslm_ns last; /* arrival, where links have jitter: the order stays */
} route;

/* What varies of a link of SimGrid's. */
typedef struct line {
  double nominal, background, share; /* B/s, B/s, 0..1 */
  double (*jitter)(void *self);
  void *self;
} line;

struct celslm_net {
  const celslm_platform *platform;
  celslm_queue *queue;
  celslm_ns now, horizon;
  sg_host_t *hosts;  /* SimGrid's, by our index */
  sg_link_t *links;  /* in SimGrid's order, sorted by name */
  double *latencies; /* s, as the platform gave them */
  int n_links;
  uint64_t *link_bytes;         /* [link][traffic] */
  uint64_t *received, *sent_by; /* [host][traffic] */
  uint64_t sent[CELSLM_TRAFFICS], in_flight[CELSLM_TRAFFICS], lost[CELSLM_TRAFFICS];
  line *lines;
  int reduced; /* lines that are not at their nominal bandwidth */
  bool jitters;
  int weights[CELSLM_TRAFFICS];
  double scale; /* SimGrid's bytes per byte: its sizes are whole, ours are split among flows */
  celslm_transfer *first, *last; /* under way or waiting */
  route **routes;                /* open addressing, size a power of two */
  uint32_t n_routes, routes_size;
  worker *idle;
  worker **workers;
  int n_workers, active; /* active: transfers and computations that SimGrid has now */
  sg_sem_t wake;
  const volatile sig_atomic_t *interrupt;
  bool waiting; /* the pump sleeps on `wake` */
  bool *attached; /* by host; NULL: all have wires */
  celslm_attachment attachment;
};

/* net.c: ends what a worker does; its actor goes, and another one takes its place. */
void celslm_worker_stop(celslm_net *n, worker *w);
/* net.c: puts a transfer on its route, or lets it wait for it. */
void celslm_transfer_depart(celslm_net *n, celslm_transfer *t);
void celslm_transfer_unlist(celslm_net *n, celslm_transfer *t);
/* vary.c: its patience with its route is over. */
void celslm_transfer_run_out(void *transfer);
/* vary.c: B/s of the narrowest link now; 0: the route is down. */
double celslm_route_bandwidth(const celslm_net *n, const route *r);
/* vary.c: gives SimGrid the links that are reduced as they are now, or at their nominal bandwidth.
 */
void celslm_route_set_bandwidths(celslm_net *n, const route *r, bool as_now);

#endif
