/* budget.h - the terms of a link budget: noise, antennas, signal against interference and noise.
 *
 * Powers are in dBm, gains and ratios in dB, angles in degrees. */
#ifndef CELSLM_NET_RADIO_BUDGET_H
#define CELSLM_NET_RADIO_BUDGET_H

double celslm_from_db(double db);  /* 10^(db/10) */
double celslm_to_db(double ratio); /* 10 log10; -INFINITY at 0 */

/* -174 dBm/Hz over the bandwidth in Hz, plus the receiver's noise figure. */
double celslm_noise(double bandwidth, double noise_figure);

/* One antenna element, dBi, TR 38.901 table 7.3-1: 8 dBi, 65 degrees wide at half power in both
 * planes, 30 dB at most below its peak. `azimuth` is measured from boresight, `zenith` from above.
 */
double celslm_element_gain(double azimuth, double zenith);
/* dB that n elements in phase add to one. */
double celslm_array_gain(double elements);

/* dB. Interferers (received powers, dBm) transmit for their share `activity` of the time, 0 to 1,
 * and independently of each other: the mean interference counts. `activity` NULL: always. */
double celslm_sinr(double signal, double noise, int interferers, const double *powers,
                   const double *activity);

/* The activities that n cells settle on when each must carry demand[i] bit/s and interferes with
 * the others: activity[i] = min(1, demand[i] / capacity(self, i, activity)), iterated from 0, so
 * that the least fixed point is found (a standard interference function: Yates, IEEE JSAC 1995).
 * `capacity` is in bit/s and must not grow with any activity. Returns the number of rounds; 0 if
 * 10,000 were too few for changes below 1e-12. */
typedef double celslm_capacity(void *self, int cell, const double *activity);
int celslm_settle_load(int n, const double *demand, celslm_capacity *capacity, void *self,
                       double *activity);

#endif
