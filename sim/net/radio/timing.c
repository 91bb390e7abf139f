#include "net/radio/timing.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

double celslm_slot(int mu) {
  return ldexp(1e-3, -mu);
}

double celslm_processing_symbols(celslm_processing what, int capability, int mu) {
  static const double first[2][4] = {{8, 10, 17, 20}, {10, 12, 23, 36}};
  static const double second[2][3] = {{3, 4.5, 9}, {5, 5.5, 11}};
  if (mu < 0) return NAN;
  if (capability == 1 && mu < 4) return first[what - 1][mu];
  return capability == 2 && mu < 3 ? second[what - 1][mu] : NAN;
}

double celslm_processing_time(double symbols, int mu) {
  const double unit = 1 / (480000.0 * 4096); /* Tc */
  return symbols * (2048 + 144) * 64 * ldexp(1, -mu) * unit;
}

/* ---- patterns: TS 38.521-4 section A.1.2; the last one's special slot is an assumption ------- */

const celslm_tdd celslm_tdd_patterns[] = {
    {"DDDSU", "DDDSU", 10, 2, 1}, {"7DS2U", "DDDDDDDSUU", 6, 4, 1},
    {"DSUU", "DSUU", 12, 0, 1},   {"DDDSUDDSUU", "DDDSUDDSUU", 10, 2, 1},
    {NULL, NULL, 0, 0, 0},
};

const celslm_tdd *celslm_tdd_find(const char *name) {
  for (const celslm_tdd *t = celslm_tdd_patterns; t->name; t++)
    if (strcmp(t->name, name) == 0) return t;
  return NULL;
}

double celslm_tdd_share(const celslm_tdd *t, bool uplink) {
  if (!t) return 1;
  int symbols = 0, slots = 0;
  for (const char *s = t->slots; *s; s++, slots++) {
    if (*s == 'S')
      symbols += uplink ? t->up_symbols : t->down_symbols;
    else if (*s == (uplink ? 'U' : 'D'))
      symbols += 14;
  }
  return symbols / (14.0 * slots);
}

static bool begins(char slot, bool uplink) {
  return uplink ? slot == 'U' : slot == 'D' || slot == 'S';
}

bool celslm_slot_begins(const celslm_tdd *t, int64_t slot, bool uplink) {
  return !t || begins(t->slots[slot % (int64_t)strlen(t->slots)], uplink);
}

/* Slots from one start of the direction to the next: their greatest and the sum of their squares.
 */
static void gaps(const celslm_tdd *t, bool uplink, int *longest, double *squares) {
  int n = (int)strlen(t->slots), first = -1, last = -1;
  *longest = 0;
  *squares = 0;
  for (int i = 0; i < n || (first >= 0 && i <= first + n); i++) {
    if (!begins(t->slots[i % n], uplink)) continue;
    if (first < 0) first = i;
    if (last >= 0) {
      int gap = i - last;
      *longest = gap > *longest ? gap : *longest;
      *squares += (double)gap * gap;
    }
    last = i;
  }
}

double celslm_mean_wait(const celslm_tdd *t, int mu, bool uplink) {
  if (!t) return celslm_slot(mu) / 2;
  int longest;
  double squares;
  gaps(t, uplink, &longest, &squares);
  return longest ? squares / (2 * (double)strlen(t->slots)) * celslm_slot(mu) : INFINITY;
}

double celslm_max_wait(const celslm_tdd *t, int mu, bool uplink) {
  if (!t) return celslm_slot(mu);
  int longest;
  double squares;
  gaps(t, uplink, &longest, &squares);
  return longest ? longest * celslm_slot(mu) : INFINITY;
}

/* ---- sums ------------------------------------------------------------------------------------ */

/* Above 120 kHz the time of 120 kHz: assumption (TS 38.214 has no entries at 240 kHz; symbols that
 * double with the subcarriers at 480 and 960 kHz come to the same). */
static double processing(celslm_processing what, int capability, int mu) {
  if (mu > 3) mu = 3;
  return celslm_processing_time(celslm_processing_symbols(what, capability, mu), mu);
}

double celslm_half_processing(celslm_processing what, int mu, int capability) {
  return processing(what, capability, mu) / 2;
}

double celslm_harq_round_trip(const celslm_tdd *t, int mu, int capability) {
  double slot = celslm_slot(mu);
  /* the report waits for its direction; with patterns so does the repetition */
  double wait = t ? celslm_mean_wait(t, mu, true) + celslm_mean_wait(t, mu, false) : slot / 2;
  return processing(CELSLM_N1, capability, mu) + wait + slot +
         processing(CELSLM_N2, capability, mu) + slot;
}

double celslm_user_plane(const celslm_tdd *t, int mu, int capability, bool uplink, double repeats) {
  double ends = processing(CELSLM_N1, capability, mu) + processing(CELSLM_N2, capability, mu);
  return ends / 2 + celslm_mean_wait(t, mu, uplink) + celslm_slot(mu) +
         repeats * celslm_harq_round_trip(t, mu, capability);
}

double celslm_uplink_request(int mu, int capability, double period) {
  return (period / 2 + 2) * celslm_slot(mu) + processing(CELSLM_N2, capability, mu);
}
