/* building.h - what walls and car bodies add to an outdoor path loss, TR 38.901 section 7.4.3.
 *
 * An indoor user's loss is: outdoor loss over the whole distance + wall + 0.5 dB per metre indoors
 * + a normal deviation of celslm_wall_std; its shadowing has the O2I value of the channel. */
#ifndef CELSLM_NET_RADIO_BUILDING_H
#define CELSLM_NET_RADIO_BUILDING_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>

typedef enum celslm_wall {
  CELSLM_WALL_LOW,      /* 30 % multi-pane glass, 70 % concrete */
  CELSLM_WALL_HIGH,     /* 70 % infrared-reflecting glass (versions 14 to 18), 30 % concrete */
  CELSLM_WALL_HIGH_V19, /* the same with version 19's glass */
  CELSLM_WALL_LOW_A,    /* 30 % multi-pane glass, 70 % plywood; version 19 */
  CELSLM_WALL_LEGACY,   /* table 7.4.3-3, below 6 GHz: 20 dB */
  CELSLM_WALL_NYU_LOW,  /* parabolic fits of NYU's measurements, 28 to 150 GHz */
  CELSLM_WALL_NYU_HIGH,
  CELSLM_WALLS
} celslm_wall;

extern const char *const celslm_wall_names[CELSLM_WALLS + 1]; /* "low" ...; NULL-terminated */

double celslm_wall_loss(celslm_wall wall, double carrier); /* dB */
double celslm_wall_std(celslm_wall wall);                  /* dB */

/* m: how far indoors a user is, the least of two uniform draws below `depth`: 25; in RMa 10. */
double celslm_indoor_distance(gsl_rng *r, double depth);
double celslm_indoor_loss(double distance); /* dB */

/* dB, drawn once per user; valid from 0.6 to 60 GHz. */
double celslm_car_loss(bool metallised_windows, gsl_rng *r);

#endif
