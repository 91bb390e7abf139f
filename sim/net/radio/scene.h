/* scene.h - who hears whom: the users of a scenario on the ground, how well each hears every cell,
 * and what rate that makes.
 *
 * Nothing here knows the clock or SimGrid: `celslm radio` prints a scene, ran.h lets it live.
 *
 * What a user hears of a cell is path loss of the channel model, plus shadowing from a field over
 * the plane (sites correlated by 0.5), walls or a car's body, gas and rain; line of sight comes
 * from a field too, or in the simplest form from one draw per user. Powers follow the cell's
 * budget; cells of an overlapping carrier interfere for their share of activity. Down: the cells
 * themselves. Up: the mean power of their users, as placed at the start.
 *
 * Streams: "users" (distance, line of sight), "users place" (angle, walls, cars), "users move",
 * "shadowing ...", "line of sight ...". */
#ifndef CELSLM_NET_RADIO_SCENE_H
#define CELSLM_NET_RADIO_SCENE_H

#include "net/radio/channel.h"
#include "net/radio/field.h"
#include "net/radio/rate.h"
#include "net/radio/timing.h"
#include "scenario/scenario.h"

typedef struct celslm_heard {
  double loss; /* dB, isotropic antennas: all but fast fading and blockage */
  bool los;
} celslm_heard;

typedef struct celslm_motion {
  double speed, direction;      /* m/s, rad */
  double to_x, to_y, pause;     /* waypoint: m, s left to wait */
  double along, mean_direction; /* road: m from its first end, speed signed; Gauss-Markov: rad */
} celslm_motion;

typedef struct celslm_ue {
  int group, cell; /* cell: serving */
  double x, y, height;
  bool indoor, in_car;
  double wall;    /* dB of its wall or car, deviation included */
  double indoors; /* m */
  double chance;  /* uniform: line of sight, where no field says */
  celslm_motion motion;
  celslm_heard *heard; /* by cell */
} celslm_ue;

typedef struct celslm_scene {
  const celslm_scenario *scenario;
  const celslm_channel *channel;
  int n_cells, n_ues;
  celslm_ue *ues;
  const celslm_tdd **tdd;              /* by cell; NULL: paired spectrum, or none given */
  double *activity_down, *activity_up; /* by cell */
  double *disturbance; /* [from][to] mW that the users of a cell make at another, when active */
  bool spatial;        /* fields decide; every cell is heard */
  int *site;           /* by cell: those at one place share their fields */
  int n_sites;
  celslm_field **shadow, **sight; /* [site][state], [site] */
  celslm_field *common[3];
  double common_here[3]; /* their values for the user who hears now; NaN: not needed yet */
  celslm_heard *heard;
  gsl_rng *moves;
} celslm_scene;

/* NULL on failure. The scenario must have a channel and users. */
celslm_scene *celslm_scene_new(const celslm_scenario *s, celslm_error *err);
void celslm_scene_free(celslm_scene *s);

/* What a user at its place hears, of one cell or (where the scene is spatial) of all. */
void celslm_scene_hear(celslm_scene *s, celslm_ue *u);
/* dBm received from a cell at full power, for comparing cells. */
double celslm_scene_power(const celslm_scene *s, const celslm_ue *u, int cell);
int celslm_scene_strongest(const celslm_scene *s, const celslm_ue *u);
/* The link between a user and a cell; `fade_down`, `fade_up` in dB: what fading adds at this
 * moment, blockage included. */
celslm_radio_link celslm_scene_link(const celslm_scene *s, const celslm_ue *u, int cell,
                                    double fade_down, double fade_up);
/* The share of time and spectrum that a cell has for a direction. */
double celslm_scene_share(const celslm_scene *s, int cell, bool uplink);

/* move.c: s later. Users of <static/> stay. */
void celslm_scene_place(celslm_scene *s, celslm_ue *u, gsl_rng *r);
void celslm_scene_move(celslm_scene *s, celslm_ue *u, double dt);
bool celslm_scene_moves(const celslm_scene *s); /* anybody */

#endif
