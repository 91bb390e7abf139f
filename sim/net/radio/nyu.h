/* nyu.h - the close-in path loss of the NYU WIRELESS measurements, 28 to 150 GHz. */
#ifndef CELSLM_NET_RADIO_NYU_H
#define CELSLM_NET_RADIO_NYU_H

/* dB: free space over the first metre, then 10 n dB per decade; d between the antennas, in m. */
double celslm_close_in_loss(double carrier, double exponent, double d);

/* A parameter between its values at 28 and 140 GHz: linear in the frequency, held outside. */
double celslm_nyu_parameter(double carrier, double at_28, double at_140);

#endif
