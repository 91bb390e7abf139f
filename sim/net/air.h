/* air.h - the air of one cell in one direction: air time, shared equally by all that have data.
 *
 * A transfer is so many seconds of air time when alone; with K active ones each gets 1/K of it
 * (round robin over transmission intervals, or proportional fair with equal fading). That is
 * egalitarian processor sharing, kept in virtual time: every active transfer has received v seconds
 * of service since the cell was last idle, so the next to end is the one with the smallest v +
 * work. Cost per arrival or departure: O(log K). The oracle is a SimGrid host whose FLOPs are air
 * time (tests/net).
 *
 * Departures are kept exact (as double seconds since the busy period began) and only reported in
 * whole ns, so rounding does not add up. */
#ifndef CELSLM_NET_AIR_H
#define CELSLM_NET_AIR_H

#include "net/net.h"

typedef struct celslm_air celslm_air;

typedef struct celslm_air_flow { /* the caller fills the first part and keeps it until done */
  double airtime;                /* s of the whole air */
  celslm_ns latency;             /* from the end of service to `done` */
  void (*done)(void *self);
  void *self;
  /* air's own */
  double finish; /* virtual time */
  uint64_t order;
  celslm_event event;
} celslm_air_flow;

celslm_air *celslm_air_new(celslm_net *net, uint32_t id); /* id orders ties between cells */
void celslm_air_free(celslm_air *a);
void celslm_air_send(celslm_air *a, celslm_air_flow *f);
double celslm_air_busy(const celslm_air *a); /* s in which somebody had data, so far */

#endif
