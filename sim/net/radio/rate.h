/* rate.h - from a cell's powers and a path loss to bytes per second of air time. */
#ifndef CELSLM_NET_RADIO_RATE_H
#define CELSLM_NET_RADIO_RATE_H

#include "scenario/platform.h"

typedef struct celslm_radio_link {
  double snr_down, snr_up; /* dB, all layers' power together */
  double down, up;         /* B/s while holding the whole air; 0: out of reach */
  double latency_down, latency_up; /* s, one way, an idle cell */
} celslm_radio_link;

celslm_radio_link celslm_radio_link_of(const celslm_cell *cell, double loss_db);

/* Attenuated Shannon per spatial layer: min(0.75 log2(1 + sinr), 7.4063) bit/s/Hz, 0 below -10 dB. */
double celslm_spectral_efficiency(double sinr_db);

#endif
