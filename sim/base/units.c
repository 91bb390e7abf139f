#include "base/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* value = number * times / over: two exact factors, so that "35us" is the double nearest to 35e-6.
 */
typedef struct suffix {
  celslm_unit unit;
  const char *text;
  double times, over;
} suffix;

static const suffix suffixes[] = {
    {CELSLM_UNIT_NUMBER, "", 1, 1},
    {CELSLM_UNIT_TIME, "ns", 1, 1e9},
    {CELSLM_UNIT_TIME, "us", 1, 1e6},
    {CELSLM_UNIT_TIME, "ms", 1, 1e3},
    {CELSLM_UNIT_TIME, "s", 1, 1},
    {CELSLM_UNIT_TIME, "min", 60, 1},
    {CELSLM_UNIT_TIME, "h", 3600, 1},
    {CELSLM_UNIT_TIME, "d", 86400, 1},
    {CELSLM_UNIT_BYTES, "B", 1, 1},
    {CELSLM_UNIT_BYTES, "kB", 1e3, 1},
    {CELSLM_UNIT_BYTES, "MB", 1e6, 1},
    {CELSLM_UNIT_BYTES, "GB", 1e9, 1},
    {CELSLM_UNIT_BYTES, "TB", 1e12, 1},
    {CELSLM_UNIT_BYTES, "KiB", 1024.0, 1},
    {CELSLM_UNIT_BYTES, "MiB", 1048576.0, 1},
    {CELSLM_UNIT_BYTES, "GiB", 1073741824.0, 1},
    {CELSLM_UNIT_BYTES, "TiB", 1099511627776.0, 1},
    {CELSLM_UNIT_BYTES, "b", 1, 8},
    {CELSLM_UNIT_BYTES, "kb", 1e3, 8},
    {CELSLM_UNIT_BYTES, "Mb", 1e6, 8},
    {CELSLM_UNIT_BYTES, "Gb", 1e9, 8},
    {CELSLM_UNIT_BYTES, "Kib", 1024.0, 8},
    {CELSLM_UNIT_BYTES, "Mib", 1048576.0, 8},
    {CELSLM_UNIT_BYTES, "Gib", 1073741824.0, 8},
    {CELSLM_UNIT_RATE, "Bps", 1, 1},
    {CELSLM_UNIT_RATE, "kBps", 1e3, 1},
    {CELSLM_UNIT_RATE, "MBps", 1e6, 1},
    {CELSLM_UNIT_RATE, "GBps", 1e9, 1},
    {CELSLM_UNIT_RATE, "TBps", 1e12, 1},
    {CELSLM_UNIT_RATE, "KiBps", 1024.0, 1},
    {CELSLM_UNIT_RATE, "MiBps", 1048576.0, 1},
    {CELSLM_UNIT_RATE, "GiBps", 1073741824.0, 1},
    {CELSLM_UNIT_RATE, "bps", 1, 8},
    {CELSLM_UNIT_RATE, "kbps", 1e3, 8},
    {CELSLM_UNIT_RATE, "Mbps", 1e6, 8},
    {CELSLM_UNIT_RATE, "Gbps", 1e9, 8},
    {CELSLM_UNIT_RATE, "Tbps", 1e12, 8},
    {CELSLM_UNIT_FLOPS, "f", 1, 1},
    {CELSLM_UNIT_FLOPS, "kf", 1e3, 1},
    {CELSLM_UNIT_FLOPS, "Mf", 1e6, 1},
    {CELSLM_UNIT_FLOPS, "Gf", 1e9, 1},
    {CELSLM_UNIT_FLOPS, "Tf", 1e12, 1},
    {CELSLM_UNIT_FLOPS, "Pf", 1e15, 1},
    {CELSLM_UNIT_FREQ, "Hz", 1, 1},
    {CELSLM_UNIT_FREQ, "kHz", 1e3, 1},
    {CELSLM_UNIT_FREQ, "MHz", 1e6, 1},
    {CELSLM_UNIT_FREQ, "GHz", 1e9, 1},
    {CELSLM_UNIT_FREQ, "THz", 1e12, 1},
    {CELSLM_UNIT_POWER, "mW", 1, 1e3},
    {CELSLM_UNIT_POWER, "W", 1, 1},
    {CELSLM_UNIT_POWER, "kW", 1e3, 1},
    {CELSLM_UNIT_DBM, "dBm", 1, 1},
    {CELSLM_UNIT_DB, "dB", 1, 1},
    {CELSLM_UNIT_DB, "dBi", 1, 1},
    {CELSLM_UNIT_LENGTH, "mm", 1, 1e3},
    {CELSLM_UNIT_LENGTH, "m", 1, 1},
    {CELSLM_UNIT_LENGTH, "km", 1e3, 1},
    {CELSLM_UNIT_SPEED, "m/s", 1, 1},
    {CELSLM_UNIT_SPEED, "km/h", 1, 3.6},
    {CELSLM_UNIT_COUNTS, "/s", 1, 1},
    {CELSLM_UNIT_COUNTS, "/min", 1, 60},
    {CELSLM_UNIT_COUNTS, "/h", 1, 3600},
    {CELSLM_UNIT_ENERGY, "J", 1, 1},
    {CELSLM_UNIT_ENERGY, "kJ", 1e3, 1},
    {CELSLM_UNIT_ENERGY, "Wh", 3600, 1},
    {CELSLM_UNIT_ENERGY, "kWh", 3.6e6, 1},
    {CELSLM_UNIT_MONEY, "cent", 1, 1},
    {CELSLM_UNIT_MONEY, "EUR", 100, 1},
    {CELSLM_UNIT_MONEY, "USD", 100, 1},
    {CELSLM_UNIT_RAIN, "mm/h", 1, 1},
};

static const char *const examples[] = {
    [CELSLM_UNIT_NUMBER] = "a plain number such as 0.5",
    [CELSLM_UNIT_TIME] = "a time such as 5ms (ns, us, ms, s, min, h, d)",
    [CELSLM_UNIT_BYTES] = "a size such as 8GiB (B, kB, MB, GB, KiB, MiB, GiB; b for bits)",
    [CELSLM_UNIT_RATE] = "a rate such as 10Gbps (bps, kbps, Mbps, Gbps; Bps, MBps, GBps)",
    [CELSLM_UNIT_FLOPS] = "a speed such as 312Tf (f, Mf, Gf, Tf)",
    [CELSLM_UNIT_FREQ] = "a frequency such as 3.5GHz (Hz, kHz, MHz, GHz)",
    [CELSLM_UNIT_POWER] = "a power such as 60W (mW, W, kW)",
    [CELSLM_UNIT_DBM] = "a power such as 23dBm",
    [CELSLM_UNIT_DB] = "a gain such as 8dB or 8dBi",
    [CELSLM_UNIT_LENGTH] = "a length such as 200m (mm, m, km)",
    [CELSLM_UNIT_SPEED] = "a speed such as 30km/h (m/s, km/h)",
    [CELSLM_UNIT_COUNTS] = "a rate such as 8/s (/s, /min, /h)",
    [CELSLM_UNIT_ENERGY] = "an energy such as 3kWh (J, kJ, Wh, kWh)",
    [CELSLM_UNIT_MONEY] = "a price such as 25cent (cent, EUR, USD)",
    [CELSLM_UNIT_RAIN] = "a rain rate such as 25mm/h",
};

const char *celslm_unit_example(celslm_unit unit) {
  return examples[unit];
}

bool celslm_parse_quantity(const char *text, celslm_unit unit, double *value, char *why,
                           size_t why_size) {
  char *end;
  errno = 0;
  double number = strtod(text, &end);
  const char *wrong = NULL;
  size_t plain = strspn(text, "+-0123456789.eE"); /* no nan, no inf, no hex, no leading space */
  if (end == text || end > text + plain)
    wrong = "not a number";
  else if (!isfinite(number) || (errno == ERANGE && fabs(number) > 1))
    wrong = "out of range";
  while (!wrong && *end == ' ') end++;
  for (size_t i = 0; !wrong && i < sizeof suffixes / sizeof *suffixes; i++)
    if (suffixes[i].unit == unit && strcmp(suffixes[i].text, end) == 0) {
      double scaled = number * suffixes[i].times / suffixes[i].over;
      if (isfinite(scaled)) {
        *value = scaled;
        return true;
      }
      wrong = "out of range";
    }
  if (!wrong) wrong = *end ? "wrong unit" : "no unit";
  if (why) snprintf(why, why_size, "\"%.60s\": %s; give %s", text, wrong, examples[unit]);
  return false;
}
