/* ran.h - the radio access network in time: messages over the air, fading, blockage, movement,
 * handover, cells that fail.
 *
 * A message (hop) of a user goes, in one direction, through: processing at the sender and, upwards,
 * asking for a grant; the wait for a slot; its share of the air of the user's cell (net/air.h) at
 * the user's rate; the end of its slot, repetitions, processing at the receiver. With constant
 * timing all but the air is one constant. Where <access> is given a user's messages of one
 * direction follow one another; otherwise each has a share of its own.
 *
 * Rates change when a user moves, fades, is blocked or changes its cell; the rest of a message goes
 * on at the new rate and, after a handover, in the new cell. A message whose user has no usable
 * signal for `patience` is given up: `failed`.
 *
 * Random streams: "fading", "blockage", "repetitions". Fading and blockage of users who send and
 * receive nothing cost nothing: a fade is drawn when a block of theirs begins, and being blocked is
 * a Markov chain, whose state after any time has a closed form.
 *
 * Invariant: hops sent = hops done + failed + under way. */
#ifndef CELSLM_NET_RADIO_RAN_H
#define CELSLM_NET_RADIO_RAN_H

#include "net/air.h"
#include "net/radio/scene.h"

typedef struct celslm_ran celslm_ran;

typedef enum celslm_hop_stage {
  CELSLM_HOP_PREPARING,
  CELSLM_HOP_QUEUED,
  CELSLM_HOP_WAITING, /* for its slot */
  CELSLM_HOP_IN_AIR,
  CELSLM_HOP_LEAVING
} celslm_hop_stage;

typedef struct celslm_hop { /* the caller fills the first part and keeps it until done or failed */
  int ue;
  bool uplink;
  double bytes;
  celslm_ns patience;       /* without a usable signal; 0: the scenario's */
  void (*left)(void *self); /* all its air time is had: the next one may go. May be NULL */
  void (*done)(void *self);
  void (*failed)(void *self);
  void *self;
  /* ran's own */
  celslm_ran *ran;
  celslm_air_flow flow;
  celslm_event timer, despair;
  celslm_hop_stage stage;
  struct celslm_hop *before, *after; /* of its user and direction, in order */
} celslm_hop;

typedef enum celslm_handover_cause {
  CELSLM_HANDOVER_A3,
  CELSLM_HANDOVER_FAILURE
} celslm_handover_cause;

typedef struct celslm_ran_hooks { /* each may be NULL */
  void *self;
  void (*handed_over)(void *self, int ue, int from, int to, celslm_handover_cause cause);
  void (*sampled)(void *self, int ue); /* a moving user, after each step */
} celslm_ran_hooks;

/* Takes the scene. `hooks` are copied. */
celslm_ran *celslm_ran_new(celslm_net *net, celslm_scene *scene, const celslm_ran_hooks *hooks);
void celslm_ran_free(celslm_ran *r);
void celslm_ran_send(celslm_ran *r, celslm_hop *h);

/* The cell at a share of its speed; 0: it is down. */
void celslm_ran_set_cell(celslm_ran *r, int cell, double speed);

const celslm_scene *celslm_ran_scene(const celslm_ran *r);
const celslm_air *celslm_ran_air(const celslm_ran *r, int cell, bool uplink);
/* The user's link at this moment; rates are 0 where nothing passes. */
const celslm_radio_link *celslm_ran_link(const celslm_ran *r, int ue);
/* Whether no hop was lost sight of. */
bool celslm_ran_balanced(const celslm_ran *r);

#endif
