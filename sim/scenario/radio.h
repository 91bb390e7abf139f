/* radio.h - what a scenario says of its radio: users, channel, link, access, blockage, handover,
 * mobility. Names of channels, patterns and curves are checked here only as far as the schema goes;
 * sim/net/radio knows them.
 *
 * What is left out keeps its simplest form: path loss alone, no interference, no fading, equal
 * shares, constant latency, users that stay where they are. */
#ifndef CELSLM_SCENARIO_RADIO_H
#define CELSLM_SCENARIO_RADIO_H

#include "scenario/element.h"

typedef enum celslm_mover {
  CELSLM_STATIC,
  CELSLM_WAYPOINT,
  CELSLM_GAUSS_MARKOV,
  CELSLM_ROAD
} celslm_mover;

/* How a group of users moves. */
typedef struct celslm_mobility {
  celslm_mover kind;
  double speed_min, speed_max; /* m/s; Gauss-Markov: mean and its standard deviation; road: both */
  double pause;                /* s, the longest at a waypoint */
  double memory;               /* Gauss-Markov: correlation of the velocity over 1 s */
  double from_x, from_y, to_x, to_y; /* m, road */
} celslm_mobility;

/* A group of user equipments in a cell. */
typedef struct celslm_ue_group {
  int cell; /* index in platform->cells */
  int host; /* that its one equipment connects, a host on the radio; -1: none */
  int64_t count;
  double min_distance, max_distance; /* m in the plane; placed uniformly over the ring's area */
  double height;                     /* m above ground */
  double indoor;                     /* share of them inside buildings */
  int wall;                          /* index in celslm_wall_names (net/radio/building.h) */
  double in_car;                     /* share of them in cars */
  bool metallised;                   /* the cars' windows */
  double weight, cap;                /* of the air: see net/air.h */
  double demand_down, demand_up;     /* B/s, mean, each: what the activity of cells follows from */
  celslm_mobility mobility;
} celslm_ue_group;

typedef enum celslm_los { CELSLM_ALWAYS_LOS, CELSLM_NEVER_LOS, CELSLM_AUTO_LOS } celslm_los;
typedef enum celslm_interference {
  CELSLM_INTERFERENCE_NONE,
  CELSLM_INTERFERENCE_FIXED, /* every other cell is active for a share of the time */
  CELSLM_INTERFERENCE_LOAD   /* for the share that the users' demands need */
} celslm_interference;
typedef enum celslm_fading {
  CELSLM_FADING_NONE,
  CELSLM_FADING_ERGODIC,
  CELSLM_FADING_BLOCK
} celslm_fading;

typedef struct celslm_radio_config {
  const celslm_element *element; /* <radio>; NULL: none */
  bool plain;                    /* path loss and nothing more */
  const celslm_element *channel; /* child of <channel>: names the model; NULL: none given */
  celslm_ue_group *ues;
  int n_ues;
  double bytes_per_token; /* B of one token on the wire (UTF-8 text) */
  double packet_overhead; /* B of headers per message */
  /* <channel> */
  celslm_los state;
  bool shadowing, gas;
  double rain;                                          /* mm/h */
  double clutter_size, clutter_density, clutter_height; /* InF; 0: the model's default */
  /* <link> */
  int curve; /* index in celslm_rate_curve_names (net/radio/rate.h) */
  celslm_interference interference;
  double activity; /* share of time, for CELSLM_INTERFERENCE_FIXED */
  celslm_fading fading;
  double coherence;   /* s, of block fading */
  double bler;        /* share of first transmissions that fail; NaN: what the curve assumes */
  double harq_factor; /* a repetition fails so many times as often as the one before it */
  bool adapt_layers;  /* as many layers as are best, up to the cell's */
  /* <access> */
  bool access; /* given: a user's messages of one direction queue up behind each other */
  bool proportional_fair;
  bool slots;            /* messages see slots, processing and grants; otherwise a constant */
  double request_period; /* s between chances to ask for the uplink; 0: grant-free */
  int64_t capability;    /* of processing, TS 38.214 */
  /* <blockage> */
  bool blockage;
  double crowd_density, crowd_speed, crowd_height, crowd_duration, blockage_depth;
  /* <handover> */
  bool handover;
  double hysteresis;      /* dB */
  double time_to_trigger; /* s */
  double interruption;    /* s */
  double filter;          /* share that a new measurement has in the filtered one, per 200 ms */
  double sample;          /* s between measurements, and between steps of moving users */
  double link_failure;    /* s without a usable signal until a user looks for another cell */
  double patience;        /* s that a message waits for a usable signal before it is given up */
} celslm_radio_config;

#endif
