/* rural.h - what the rural and the suburban macro model share: both are the same expressions of the
 * average building height h and street width w, in m. */
#ifndef CELSLM_NET_RADIO_RURAL_H
#define CELSLM_NET_RADIO_RURAL_H

#include "net/radio/channel.h"

double celslm_rural_breakpoint(const celslm_geometry *g);
double celslm_rural_los(const celslm_geometry *g, double h);
/* Without the maximum with the line-of-sight loss. */
double celslm_rural_nlos(const celslm_geometry *g, double h, double w);
double celslm_rural_shadow_std(const celslm_geometry *g, celslm_link_state state);

#endif
