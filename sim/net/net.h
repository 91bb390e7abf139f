/* net.h - SimGrid behind one small header: the clock, timers, and bytes between hosts.
 *
 * How time passes. The program is a set of state machines driven by events (clock.h); one SimGrid
 * actor, the pump, fires them in order. A transfer is a SimGrid communication between two hosts of
 * the platform, carried by a worker actor from a pool. While transfers are in flight the pump waits
 * in SimGrid until the next event or the end of a transfer, whichever is first; while none are,
 * SimGrid has nothing to share and the pump goes from event to event by itself: a serving engine
 * that decodes costs no SimGrid call. Before a transfer starts, SimGrid's clock is brought to now.
 * SimGrid is loaded when a route is first asked for, and runs from the first transfer on (carry.c):
 * a run in which hosts keep to themselves does without.
 *
 * Latency is a sharing weight in SimGrid's models and would bias flows, so links carry none there
 * (configuration CM02, crosstraffic off, TCP-gamma 0); the route's latency, read from SimGrid
 * before it is zeroed, is added on delivery, and does not block the sender.
 *
 * Messages of up to one packet (CELSLM_PACKET bytes) are not flows: they take latency plus bytes
 * over the narrowest link's bandwidth, and are counted like the rest. A fluid model would give them
 * a fair share at once, so the difference is below a microsecond on any link of 1 Gb/s and more.
 *
 * Links may vary: background traffic takes a part first, degradations a share, outages all. A flow
 * follows the capacity of its links at once (SimGrid bounds a flow by what its links had when it
 * began: they are at their nominal bandwidth at that instant). What is on a link that goes down is
 * lost, also in its latency; the transfer waits until its route is whole again and begins anew, or
 * fails after its patience. A class of weight w has w flows for each transfer, so that links are
 * shared by weights. Jitter is added on delivery and keeps the order of a route.
 *
 * Every byte is counted: per link and class when a transfer starts, per host when it arrives:
 * sent = received + in flight + lost.
 *
 * SimGrid allows one platform in a process, so there is one celslm_net in a process. */
#ifndef CELSLM_NET_NET_H
#define CELSLM_NET_NET_H

#include "net/clock.h"
#include "scenario/platform.h"

#include <signal.h>

#define CELSLM_PACKET 1500

typedef enum celslm_traffic {
  CELSLM_PROMPT,      /* user data going to where it is served */
  CELSLM_TOKENS,      /* generated text coming back */
  CELSLM_KV,          /* context KV cache */
  CELSLM_CONTEXT,     /* tokens of shared contexts */
  CELSLM_SWAP,        /* KV of preempted sequences, to memory behind PCIe and back */
  CELSLM_ACTIVATIONS, /* of a model split over hosts, from layer to layer */
  CELSLM_TRAFFICS
} celslm_traffic;
extern const char *const celslm_traffic_names[]; /* NULL-terminated */

typedef struct celslm_net celslm_net;

/* Bytes on their way. The caller fills the first part and keeps the struct until `delivered`. */
typedef struct celslm_transfer {
  int from, to; /* hosts of the platform */
  uint64_t bytes;
  celslm_traffic traffic;
  void (*sent)(void *self);      /* the last byte has left: the source may send on. May be NULL */
  void (*delivered)(void *self); /* the last byte has arrived */
  void (*failed)(void *self);    /* it will not arrive; NULL: it waits however long it takes */
  void *self;
  celslm_ns patience; /* for a route that is down; 0: until it is repaired */
  /* net's own; `started` may be read */
  celslm_net *net;
  celslm_ns started, latency;
  celslm_event event;
  struct celslm_route *route;
  struct celslm_worker *workers;          /* that carry it now */
  struct celslm_transfer *before, *after; /* among those under way, or waiting for their route */
  int parts;                              /* flows that have not ended */
  bool waiting, left;                     /* for its route; `sent` was called */
} celslm_transfer;

/* Work on a host that several share, or whose speed varies: a SimGrid exec of seconds x speed. The
 * caller fills the first part, keeps the struct until `done`, and sets event.cls and event.id,
 * which order ties. */
typedef struct celslm_compute {
  int host;
  double seconds; /* alone on one core, in the first performance state */
  void (*done)(void *self);
  void *self;
  /* net's own */
  celslm_net *net;
  celslm_event event;
  struct celslm_worker *worker; /* NULL: it has ended */
} celslm_compute;

celslm_net *celslm_net_new(const celslm_platform *p);
void celslm_net_free(celslm_net *n);

celslm_ns celslm_net_now(const celslm_net *n);
void celslm_net_at(celslm_net *n, celslm_event *e, celslm_ns time); /* time >= now */
void celslm_net_cancel(celslm_net *n, celslm_event *e);

/* Starts a transfer; from == to is delivered at once (as an event of this instant). */
void celslm_net_send(celslm_net *n, celslm_transfer *t);

void celslm_net_compute(celslm_net *n, celslm_compute *c);

/* Takes work back that has not ended; `done` will not be called. */
void celslm_net_withdraw(celslm_net *n, celslm_compute *c);

/* ---- what varies; links by their place in the platform, both directions ---------------------- */

void celslm_net_set_share(celslm_net *n, int link, double share); /* of its bandwidth; 0: down */
void celslm_net_set_background(celslm_net *n, int link, double rate); /* B/s taken by others */
/* s that transfers over the link take besides, drawn at each delivery. */
void celslm_net_set_jitter(celslm_net *n, int link, double (*draw)(void *self), void *self);
/* Before the first transfer: shares of links in proportion to the weights of traffic (1 to 16). */
void celslm_net_set_weights(celslm_net *n, const int weights[]);
/* What is going from or to a host fails, without patience. */
void celslm_net_fail_host(celslm_net *n, int host);

/* Counts bytes in the ledger as sent and received without moving them: traffic too thin to compete.
 */
void celslm_net_count(celslm_net *n, int from, int to, uint64_t bytes, celslm_traffic traffic);

/* Hosts without a wire, which somebody else takes care of (radio/aboard.h): what has one of them at
 * an end is his, and he sends over wires what crosses them. Each as the function of net's own of
 * that name; `from` and `to` differ. */
typedef struct celslm_attachment {
  void (*send)(void *self, celslm_transfer *t); /* sets t->latency; `started` and `net` are set */
  void (*count)(void *self, int from, int to, uint64_t bytes, celslm_traffic traffic);
  celslm_ns (*latency)(void *self, int from, int to);
  double (*bandwidth)(void *self, int from, int to);
  double (*stored)(void *self, int from, int to);
  void (*fail_host)(void *self, int host);
  void *self;
} celslm_attachment;
/* `on`, by host: those; copied, as `a` is. Before the first transfer. */
void celslm_net_attach(celslm_net *n, const bool *on, const celslm_attachment *a);

/* Fires events until none is left and nothing is in flight, until `horizon` (events at the horizon
 * itself still fire). Call once, outside of any actor. */
void celslm_net_run(celslm_net *n, celslm_ns horizon);
bool celslm_net_idle(const celslm_net *n); /* no event but background ones is queued and nothing is
                                              in flight: nothing will happen */
void celslm_net_interruptible(celslm_net *n,
                              const volatile sig_atomic_t *flag); /* stops when *flag is set */

celslm_ns celslm_net_latency(celslm_net *n, int from, int to);
double celslm_net_bandwidth(celslm_net *n, int from,
                            int to); /* B/s of the narrowest link; INFINITY from == to */
/* s per B that a piece is stored on its way before it crosses what is narrowest, or after: 0 on
 * wires, which forward at once. */
double celslm_net_stored(celslm_net *n, int from, int to);

/* The ledger. Links as SimGrid has them: a split-duplex link is two, NAME_UP and NAME_DOWN. */
int celslm_net_links(const celslm_net *n);
/* Those that a link of the platform is, one or two; returns how many. */
int celslm_net_lines(const celslm_net *n, int link, int lines[2]);
const char *celslm_net_link_name(const celslm_net *n, int link);
double celslm_net_link_bandwidth(const celslm_net *n, int link);
uint64_t celslm_net_link_bytes(const celslm_net *n, int link, celslm_traffic traffic);
uint64_t celslm_net_sent(const celslm_net *n, celslm_traffic traffic);
uint64_t celslm_net_in_flight(const celslm_net *n,
                              celslm_traffic traffic); /* counted from the transfers under way */
uint64_t celslm_net_lost(const celslm_net *n, celslm_traffic traffic);
uint64_t celslm_net_received(const celslm_net *n, int host, celslm_traffic traffic);
uint64_t celslm_net_sent_by(const celslm_net *n, int host, celslm_traffic traffic);
const char *celslm_net_version(void); /* of SimGrid, "3.32.0" */

#endif
