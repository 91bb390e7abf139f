#include "cmd/figures.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

const celslm_scale celslm_times[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}};
const celslm_scale celslm_bytes[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}};
const celslm_scale celslm_joules[] = {
    {1e9, "GJ"}, {1e6, "MJ"}, {1e3, "kJ"}, {1, "J"}, {1e-3, "mJ"}};

celslm_scale celslm_scale_of(double x, const celslm_scale *scales, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (x == 0 ? scales[i].at_least == 1 : fabs(x) * 1.0005 >= scales[i].at_least) return scales[i];
  return scales[n - 1];
}

void celslm_write_digits(char *out, size_t size, double x) {
  double a = fabs(x);
  int decimals = a == 0 || a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2;
  snprintf(out, size, "%.*f", decimals, x);
}

void celslm_write_scaled(char out[CELSLM_CELL], double x, const celslm_scale *scales, size_t n) {
  celslm_scale in = celslm_scale_of(x, scales, n);
  char digits[24];
  celslm_write_digits(digits, sizeof digits, x / in.at_least);
  snprintf(out, CELSLM_CELL, isnan(x) ? "-" : "%s %s", digits, in.unit);
}

void celslm_write_count(char out[CELSLM_CELL], int64_t x) {
  char digits[24];
  int n = snprintf(digits, sizeof digits, "%" PRId64, x), at = 0;
  for (int i = 0; i < n; i++) {
    out[at++] = digits[i];
    int left = n - 1 - i;
    if (left && left % 3 == 0 && digits[i] != '-') out[at++] = ',';
  }
  out[at] = 0;
}
