/* channel.h - radio propagation models: one small file each, behind one table.
 *
 * Losses are in dB for isotropic antennas; carrier in Hz, distances and heights in m. A model never
 * draws: shadowing and the line-of-sight state come from field.h, which a caller feeds with the
 * standard deviations, distances and probabilities given here. Formulas hold outside their stated
 * range too (they only extrapolate); below 1 m the loss is that at 1 m. */
#ifndef CELSLM_NET_RADIO_CHANNEL_H
#define CELSLM_NET_RADIO_CHANNEL_H

#include <math.h>
#include <stdbool.h>

typedef struct celslm_geometry {
  double carrier;    /* Hz */
  double distance;   /* m, horizontal */
  double h_bs, h_ut; /* m above ground */
  /* What follows belongs to single models; 0 means that model's default. */
  double effective_height;                              /* m, UMa: hE, see uma.h; 1 */
  double building_height, street_width;                 /* m, RMa: 5 and 20; SMa: 10 and 10 */
  double clutter_size, clutter_density, clutter_height; /* m, share of the floor, m: InF */
  double vegetation;                                    /* share of the ground, SMa: none */
  bool optional_nlos;                                   /* UMi, UMa, InH: the optional formula */
} celslm_geometry; /* members left zero mean their defaults */

typedef enum celslm_link_state { CELSLM_LOS, CELSLM_NLOS, CELSLM_O2I } celslm_link_state;

typedef struct celslm_channel {
  const char *name;    /* as in <channel><NAME/></channel> */
  const char *summary; /* one line, with the source */
  double (*loss)(const celslm_geometry *g, bool los);
  double (*los_probability)(const celslm_geometry *g);
  /* dB; O2I: replaces the outdoor value. NAN: the model has no such state. */
  double (*shadow_std)(const celslm_geometry *g, celslm_link_state state);
  double min_distance, max_distance; /* m: range of validity */
  double min_carrier, max_carrier;   /* Hz: range of validity */
  double h_bs, h_ut;                 /* m: usual heights */
  double decorrelation[3];           /* m, of shadowing, by celslm_link_state; 0: no such state */
  double los_correlation;            /* m, of the line-of-sight state; 0: half the clutter size */
  double rician_mean, rician_std;    /* dB, K factor in line of sight */
  double clutter_size, clutter_density, clutter_height; /* InF: defaults of the geometry's */
} celslm_channel;

extern const celslm_channel *const celslm_channels[];        /* NULL-terminated */
const celslm_channel *celslm_channel_find(const char *name); /* NULL: none */

/* m: correlation distance of the line-of-sight state, TR 38.901 table 7.6.3.1-2. */
double celslm_los_correlation(const celslm_channel *c, const celslm_geometry *g);

/* m, between the antennas; at least 1. */
static inline double celslm_distance_3d(const celslm_geometry *g) {
  return fmax(1, hypot(g->distance, g->h_bs - g->h_ut));
}

extern const celslm_channel celslm_channel_umi, celslm_channel_uma, celslm_channel_rma,
    celslm_channel_sma, celslm_channel_inh, celslm_channel_inh_open, celslm_channel_inf_sl,
    celslm_channel_inf_dl, celslm_channel_inf_sh, celslm_channel_inf_dh, celslm_channel_inf_hh,
    celslm_channel_nyu_umi, celslm_channel_nyu_uma, celslm_channel_nyu_rma, celslm_channel_nyu_inh,
    celslm_channel_nyu_inf;

#endif
