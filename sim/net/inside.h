/* inside.h - the inside of celslm_net, shared by net.c (time, transfers, the ledger), carry.c (what
 * SimGrid carries) and vary.c (links and hosts that change).
 *
 * Invariant: SimGrid runs (`running`) only if it is loaded (`links`); before it runs, workers are
 * without actors, in the order in which they got their work. */
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
  sg_actor_t actor; /* NULL: SimGrid does not run yet */
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

/* A link as SimGrid has it: what is known of it, and what varies. */
typedef struct line {
  char *name;
  int link, half;                    /* of the platform; link -1: none of it */
  double latency;                    /* s */
  double nominal, background, share; /* B/s, B/s, 0..1 */
  double (*jitter)(void *self);
  void *self;
} line;

struct celslm_net {
  const celslm_platform *platform;
  celslm_queue *queue;
  celslm_ns now, horizon;
  line *lines;                  /* in the order of their names */
  int n_links;                  /* so many lines */
  int (*halves)[2];             /* lines of each link of the platform */
  sg_host_t *hosts;             /* SimGrid's, by our index; NULL: it is not loaded */
  sg_link_t *links;             /* SimGrid's, as the lines */
  bool running;                 /* the pump is an actor */
  uint64_t *link_bytes;         /* [link][traffic] */
  uint64_t *received, *sent_by; /* [host][traffic] */
  uint64_t sent[CELSLM_TRAFFICS], in_flight[CELSLM_TRAFFICS], lost[CELSLM_TRAFFICS];
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

/* carry.c: loads the platform into SimGrid, unless it is. */
void celslm_carry_load(celslm_net *n);
/* carry.c: runs SimGrid with `pump` as an actor, which has work to give to it. */
void celslm_carry_run(celslm_net *n, void (*pump)(celslm_net *n));
/* carry.c: waits in SimGrid until `ahead` s have passed (INFINITY: however long) or work ends. */
void celslm_carry_wait(celslm_net *n, double ahead);
/* carry.c: brings SimGrid's clock to now; it is left behind while SimGrid has nothing to share. */
void celslm_carry_catch_up(celslm_net *n);
/* carry.c: a transfer's parts as flows from now on; a computation. */
void celslm_carry_flows(celslm_net *n, celslm_transfer *t);
worker *celslm_carry_compute(celslm_net *n, celslm_compute *c);
/* carry.c: ends what a worker does; its actor goes, and another one takes its place. */
void celslm_worker_stop(celslm_net *n, worker *w);
void celslm_carry_free(celslm_net *n);
/* net.c: puts a transfer on its route, or lets it wait for it. */
void celslm_transfer_depart(celslm_net *n, celslm_transfer *t);
void celslm_transfer_unlist(celslm_net *n, celslm_transfer *t);
/* vary.c: its patience with its route is over. */
void celslm_transfer_run_out(void *transfer);
/* vary.c: B/s of the narrowest link now; 0: the route is down. */
double celslm_route_bandwidth(const celslm_net *n, const route *r);
/* vary.c: B/s of a line now. */
double celslm_line_capacity(const line *l);
/* vary.c: gives SimGrid the links that are reduced as they are now, or at their nominal bandwidth.
 */
void celslm_route_set_bandwidths(celslm_net *n, const route *r, bool as_now);

#endif
