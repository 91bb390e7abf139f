/* timing.h - how long the user plane takes: slots, processing, patterns, retransmissions. Seconds.
 *
 * The numerology mu stands for subcarriers of 15 * 2^mu kHz and slots of 1 ms / 2^mu. */
#ifndef CELSLM_NET_RADIO_TIMING_H
#define CELSLM_NET_RADIO_TIMING_H

#include <stdbool.h>
#include <stdint.h>

double celslm_slot(int mu);

/* Symbols that a user takes from data to acknowledgement (N1) or from grant to data (N2), TS 38.214
 * tables 5.3-1, 5.3-2, 6.4-1, 6.4-2; NAN: none defined. Capability 1: mu 0 to 3; 2: mu 0 to 2. */
typedef enum celslm_processing { CELSLM_N1 = 1, CELSLM_N2 = 2 } celslm_processing;
double celslm_processing_symbols(celslm_processing what, int capability, int mu);
/* s for that many symbols: N (2048 + 144) 64 2^-mu Tc. */
double celslm_processing_time(double symbols, int mu);

/* Which slots go which way, repeated: D down, U up, S special with the symbols given, of 14. NULL
 * where a pattern is asked for: paired spectrum, every slot goes both ways. */
typedef struct celslm_tdd {
  const char *name;
  const char *slots; /* as "DDDSU" */
  int down_symbols, up_symbols;
  int mu; /* usual */
} celslm_tdd;
extern const celslm_tdd celslm_tdd_patterns[]; /* ends with a NULL name */
const celslm_tdd *celslm_tdd_find(const char *name);

double celslm_tdd_share(const celslm_tdd *t, bool uplink); /* of the symbols */
/* s from a uniform arrival to the next start of a slot of that direction; special slots begin down.
 */
double celslm_mean_wait(const celslm_tdd *t, int mu, bool uplink);
double celslm_max_wait(const celslm_tdd *t, int mu, bool uplink);

/* Whether data of that direction may begin in the slot of this number, counted from 0 s. */
bool celslm_slot_begins(const celslm_tdd *t, int64_t slot, bool uplink);
/* s: what TR 37.910 counts of a processing time at one end of a packet. */
double celslm_half_processing(celslm_processing what, int mu, int capability);

/* s: a transmission fails, is reported and repeated. */
double celslm_harq_round_trip(const celslm_tdd *t, int mu, int capability);

/* Mean one-way delay through the user plane of an idle cell after the method of TR 37.910: half the
 * processing at each end, the wait for a slot, the slot, and `repeats` (mean number) round trips.
 */
double celslm_user_plane(const celslm_tdd *t, int mu, int capability, bool uplink, double repeats);

/* What an uplink packet waits besides when it must ask: half the period (in slots) of scheduling
 * requests, the request's slot, the grant's slot, and the user's N2. */
double celslm_uplink_request(int mu, int capability, double period);

#endif
