/* uma.h - the random part of the urban macro model: the height hE of the environment that bends the
 * breakpoint of users above 13 m (TR 38.901 table 7.4.1-1, note 1). Draw it once per link, put it
 * into the geometry. */
#ifndef CELSLM_NET_RADIO_UMA_H
#define CELSLM_NET_RADIO_UMA_H

#include "net/radio/channel.h"

/* hE in m for a uniform draw in [0, 1): 1 with probability 1/(1 + C), else one of 12, 15, ... up to
 * 1.5 m below the user, each as likely. */
double celslm_uma_effective_height(const celslm_geometry *g, double uniform);

#endif
