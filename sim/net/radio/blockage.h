/* blockage.h - bodies in the way. Neither model changes the line-of-sight state of a link.
 *
 * Over time: a link is free or blocked, in turn, for exponentially distributed times. Over angles:
 * model A of TR 38.901 section 7.6.4.1, blockers as screens around the user. */
#ifndef CELSLM_NET_RADIO_BLOCKAGE_H
#define CELSLM_NET_RADIO_BLOCKAGE_H

#include "net/radio/field.h"

/* ---- free and blocked, in turn --------------------------------------------------------------- */

typedef struct celslm_crowd {
  double density;  /* blockers per m2 */
  double speed;    /* m/s */
  double height;   /* m */
  double duration; /* s, mean of one blockage */
} celslm_crowd;

/* 0.01 per m2 at 1 m/s and 1.8 m, for 0.5 s (Jain, Kumar, Panwar, IEEE JSAC 2019). */
extern const celslm_crowd celslm_crowd_default;

/* Blockages per second of a free link over the horizontal distance d, antennas at h_bs and h_ut. */
double celslm_blockage_rate(const celslm_crowd *c, double h_bs, double h_ut, double d);
double celslm_blocked_share(const celslm_crowd *c, double rate);
/* s until the link changes; INFINITY where nothing ever blocks it. One draw. */
double celslm_blockage_time(const celslm_crowd *c, double rate, bool blocked, gsl_rng *r);

/* ---- model A --------------------------------------------------------------------------------- */

typedef enum celslm_grip { CELSLM_PORTRAIT, CELSLM_LANDSCAPE } celslm_grip;
/* dB by the user's own body, for a direction of arrival in the user's own frame; degrees. */
double celslm_self_blockage(celslm_grip grip, double azimuth, double zenith);

typedef struct celslm_blocker {
  celslm_walk centre;     /* of the azimuth, as a uniform of the circle */
  double azimuth, zenith; /* degrees, of the screen's centre */
  double width, height;   /* degrees */
  double distance;        /* m, from the user */
} celslm_blocker;

enum { CELSLM_BLOCKERS = 4 }; /* as many as the model has; 5 and more for denser crowds */

void celslm_blockers_draw(celslm_blocker *b, int n, bool indoors, gsl_rng *r);
/* The user moved by `moved` m during `time` s, blockers walk at `speed`: their centres follow.
 * `correlation`: 10 m; 5 m indoors and through walls. */
void celslm_blockers_move(celslm_blocker *b, int n, double moved, double time, double speed,
                          double correlation, gsl_rng *r);
/* dB by one screen, knife-edge diffraction at its four edges; directions in degrees. */
double celslm_blocker_loss(const celslm_blocker *b, double azimuth, double zenith, double carrier);

#endif
