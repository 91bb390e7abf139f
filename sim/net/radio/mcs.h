/* mcs.h - the CQI and MCS tables of TS 38.214 and the SNR at which 10 % of the blocks fail.
 *
 * Efficiencies are in bit/s/Hz of one spatial layer. Thresholds exist for MCS table 2 as published
 * (mcs.c says by whom); where nothing is published, and for table 1, a threshold is Shannon's SNR
 * for the efficiency plus the distance to Shannon's bound that the published ones show near that
 * efficiency. */
#ifndef CELSLM_NET_RADIO_MCS_H
#define CELSLM_NET_RADIO_MCS_H

#include <stdbool.h>

/* NAN where the table has no such index. */
double celslm_cqi_efficiency(int table, int cqi); /* table 1 to 3, cqi 1 to 15 */
double celslm_mcs_efficiency(int table, int mcs); /* table 1: 0 to 28; 2: 0 to 27 */

typedef enum celslm_link_level {
  CELSLM_LINK_AWGN,     /* Sionna: blocks of 1000 bits, no fading */
  CELSLM_LINK_PRACTICAL /* 5G-LENA: blocks of about 3700 bits, effective SINR of a fading channel */
} celslm_link_level;

/* dB; NAN where the table has no such index. */
double celslm_mcs_threshold(celslm_link_level level, int table, int mcs);

/* The most efficient MCS of a table that decodes at this SINR; -1: none. */
int celslm_mcs_at(celslm_link_level level, int table, double sinr_db);

#endif
