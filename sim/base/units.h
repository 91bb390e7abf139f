/* units.h - quantities with units, as SimGrid writes them: "10Gbps", "5ms", "8GiB", "3.5GHz".
 *
 * Inside the program every quantity is in SI base units: s, B, B/s, FLOP/s, Hz, W, m, m/s, 1/s, J.
 * Powers on the air and gains are kept in dBm and dB(i), as radio engineers write them.
 * A number without a unit where one is needed is an error; so is a unit of another kind. */
#ifndef CELSLM_BASE_UNITS_H
#define CELSLM_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum celslm_unit {
  CELSLM_UNIT_NUMBER, /* a plain number: no unit allowed */
  CELSLM_UNIT_TIME,   /* s: ns us ms s min h d */
  CELSLM_UNIT_BYTES,  /* B: B kB MB GB TB KiB MiB GiB TiB (b, kb, Kib ... are bits) */
  CELSLM_UNIT_RATE,   /* B/s: Bps kBps MBps GBps TBps KiBps ..., bps kbps Mbps Gbps Tbps */
  CELSLM_UNIT_FLOPS,  /* FLOP/s: f kf Mf Gf Tf Pf (SimGrid's "flops") */
  CELSLM_UNIT_FREQ,   /* Hz: Hz kHz MHz GHz THz */
  CELSLM_UNIT_POWER,  /* W: mW W kW */
  CELSLM_UNIT_DBM,    /* dBm */
  CELSLM_UNIT_DB,     /* dB, dBi */
  CELSLM_UNIT_LENGTH, /* m: mm m km */
  CELSLM_UNIT_SPEED,  /* m/s: m/s km/h */
  CELSLM_UNIT_COUNTS, /* 1/s: /s /min /h (arrivals) */
  CELSLM_UNIT_ENERGY, /* J: J kJ Wh kWh */
  CELSLM_UNIT_MONEY,  /* cent: cent EUR USD (1 = 100 cent) */
  CELSLM_UNIT_RAIN,   /* mm/h */
} celslm_unit;

/* Reads the whole of `text` as a finite quantity of `unit` into *value (SI).
 * On failure returns false and, if `why` is not NULL, writes what is wrong and what is allowed. */
bool celslm_parse_quantity(const char *text, celslm_unit unit, double *value, char *why,
                           size_t why_size);

/* What a value of this unit looks like, for messages: "a time such as 5ms". */
const char *celslm_unit_example(celslm_unit unit);

#endif
