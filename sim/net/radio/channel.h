/* channel.h - radio propagation models: one small file each, behind one table.
 *
 * Losses are in dB for isotropic antennas; carrier in Hz, distances and heights in m. */
#ifndef CELSLM_NET_RADIO_CHANNEL_H
#define CELSLM_NET_RADIO_CHANNEL_H

#include <stdbool.h>

typedef struct celslm_geometry {
  double carrier;  /* Hz */
  double distance; /* m, horizontal */
  double h_bs, h_ut; /* m above ground */
} celslm_geometry;

typedef struct celslm_channel {
  const char *name;    /* as in <channel><NAME/></channel> */
  const char *summary; /* one line, with the source */
  double (*loss)(const celslm_geometry *g, bool los);
  double (*los_probability)(const celslm_geometry *g);
  double min_distance, max_distance; /* m: range of validity */
} celslm_channel;

extern const celslm_channel *const celslm_channels[]; /* NULL-terminated */
const celslm_channel *celslm_channel_find(const char *name); /* NULL: none */

extern const celslm_channel celslm_channel_umi;

#endif
