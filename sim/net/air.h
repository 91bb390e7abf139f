/* air.h - the air of one cell in one direction: air time, shared by all that have data.
 *
 * A transfer is bytes and a rate, the bytes per second that it moves while it holds the whole air.
 * Active transfers share the air by weights (equal ones: round robin over transmission intervals),
 * but none gets more than its cap; what a capped one leaves goes to the others (weighted max-min).
 * The sum of the shares never exceeds 1. Rates may change on the way (fading, blockage, movement);
 * a transfer of rate 0 waits and takes no share.
 *
 * Kept in virtual time: every uncapped transfer has received v seconds of air per unit of weight
 * since the cell was last idle, so the next of them to end is the one with the smallest v + work /
 * weight; a capped one ends at a time of its own. Cost per arrival, departure or change of rate:
 * O(log K). The oracle is a SimGrid host whose FLOPs are air time (tests/net).
 *
 * Departures are kept exact (as double seconds since the busy period began) and only reported in
 * whole ns (the nearest; without latency the next), so rounding does not add up.
 *
 * Invariant: 0 < a capped transfer's cap / weight <= what one unit of weight gets; the air time
 * handed out in a busy period never exceeds its length. */
#ifndef CELSLM_NET_AIR_H
#define CELSLM_NET_AIR_H

#include "net/net.h"

typedef struct celslm_air celslm_air;

typedef struct celslm_air_flow { /* the caller fills the first part and keeps it until done */
  double bytes;
  double rate;       /* B/s with the whole air to itself; 0: waits until it has one */
  double weight;     /* 0: 1 */
  double cap;        /* the largest share of the air it may have; 0: all of it */
  celslm_ns latency; /* from the end of service to `done` */
  void (*done)(void *self);
  void *self;
  /* air's own */
  celslm_air *air; /* NULL: not in the air (any more) */
  double finish;   /* virtual time, or if capped time of its own */
  double left;     /* B, while it waits for a rate */
  double begun;    /* s of air it needed when it got this rate */
  uint64_t order;
  bool capped;
  int slot[2]; /* in the heap on finish, on cap; -1: not there */
  celslm_event event;
} celslm_air_flow;

celslm_air *celslm_air_new(celslm_net *net, uint32_t id); /* id orders ties between cells */
void celslm_air_free(celslm_air *a);
void celslm_air_send(celslm_air *a, celslm_air_flow *f);
/* The rest of a transfer goes on at another rate. */
void celslm_air_set_rate(celslm_air_flow *f, double rate);
/* Takes a transfer out; returns what is left of it in B. `done` will not be called. */
double celslm_air_take(celslm_air_flow *f);
/* How fast the air is beside its nominal speed: 0 when the cell is down. */
void celslm_air_set_speed(celslm_air *a, double speed);
/* Proportional fair: with K active transfers each moves gain(K) times its rate. */
void celslm_air_set_gain(celslm_air *a, double (*gain)(int active));
double celslm_air_busy(const celslm_air *a); /* s in which somebody had data, so far */
int celslm_air_active(const celslm_air *a);  /* transfers with a rate */
/* The share of the air that a transfer has at this instant. */
double celslm_air_share(const celslm_air_flow *f);

#endif
