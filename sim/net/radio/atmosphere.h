/* atmosphere.h - what air and rain take away, in dB per km of path. */
#ifndef CELSLM_NET_RADIO_ATMOSPHERE_H
#define CELSLM_NET_RADIO_ATMOSPHERE_H

typedef enum celslm_gas { CELSLM_GAS_ALL, CELSLM_GAS_OXYGEN, CELSLM_GAS_WATER } celslm_gas;

/* ITU-R P.676-13 at 1013.25 hPa, 288.15 K and 7.5 g/m3 of water vapour, from 1 to 349 GHz (held
 * outside): between tabulated frequencies the logarithm of each gas's attenuation is linear in the
 * frequency. */
double celslm_gas_attenuation(celslm_gas gas, double carrier);

/* The coarser table 7.6.1-1 of TR 38.901: oxygen alone, 0 outside 52 to 68 GHz, linear between. Use
 * one or the other, not both. */
double celslm_oxygen_attenuation(double carrier);

/* ITU-R P.838-3, from 1 to 1000 GHz: attenuation = k rate^alpha with the rate in mm/h; the path's
 * elevation and the polarisation's tilt to the horizontal are in degrees (45: circular). */
typedef struct celslm_rain {
  double k, alpha;
} celslm_rain;
celslm_rain celslm_rain_coefficients(double carrier, double elevation, double tilt);
double celslm_rain_attenuation(double carrier, double rate, double elevation, double tilt);

#endif
