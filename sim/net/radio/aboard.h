/* aboard.h - hosts without a wire of their own: each hangs on a cell by a user equipment (a modem),
 * which may move and hand over with it. A vehicle, a robot, a phone that serves a model.
 *
 * What goes to such a host crosses the wires to the base station that its modem is at, and then the
 * air; what comes from it, the other way round; store and forward, piece by piece (an approximation
 * of one piece: a packet network would forward each packet). The air is shared with the cell's
 * other users as by any one of them: of a modem's pieces one is in the air at a time in each
 * direction, the others queue up in order. A base station keeps at most CELSLM_ABOARD_BUFFER pieces
 * for a modem and what is on its way to it: until one has left, no source hears that its own has,
 * and none sends its next. A modem that has changed its cell meanwhile gets what arrives at the old
 * base station from there over the wires.
 *
 * Pieces that find no signal for the transfer's patience fail as on a wire that is cut (the
 * scenario's, where it has none; transfers that cannot fail try again). When a host crashes its
 * transfers fail at once, and what is in the air goes on to its end, unheard. */
#ifndef CELSLM_NET_RADIO_ABOARD_H
#define CELSLM_NET_RADIO_ABOARD_H

#include "net/radio/ran.h"

enum { CELSLM_ABOARD_BUFFER = 2 }; /* our choice: one in the air, one behind it */

typedef struct celslm_aboard celslm_aboard;

/* From now on `net` sends what has such hosts at an end this way. `bytes_up`, `bytes_down`, by
 * cell, are added to. NULL if no group of the scenario's users carries a host. */
celslm_aboard *celslm_aboard_new(celslm_net *net, celslm_ran *ran, const celslm_scenario *s,
                                 double *bytes_up, double *bytes_down);
void celslm_aboard_free(celslm_aboard *a); /* NULL is allowed; before the net and the ran */

#endif
