/* figures.h - numbers as people write them, for the tables of `celslm show`. */
#ifndef CELSLM_CMD_FIGURES_H
#define CELSLM_CMD_FIGURES_H

#include <stddef.h>
#include <stdint.h>

enum { CELSLM_CELL = 64 }; /* bytes of one cell */

typedef struct celslm_scale {
  double at_least;
  const char *unit;
} celslm_scale; /* arrays of these: from large to small; the last one takes the rest */
enum { CELSLM_TIMES = 4, CELSLM_BYTES = 5, CELSLM_JOULES = 5 };
extern const celslm_scale celslm_times[CELSLM_TIMES], celslm_bytes[CELSLM_BYTES],
    celslm_joules[CELSLM_JOULES];

/* The scale in which |x|, rounded to three digits, has a digit before the point; zero is plain. */
celslm_scale celslm_scale_of(double x, const celslm_scale *scales, size_t n);
/* Three significant digits, but every digit before the point. */
void celslm_write_digits(char *out, size_t size, double x);
/* "-" for NaN. */
void celslm_write_scaled(char out[CELSLM_CELL], double x, const celslm_scale *scales, size_t n);
void celslm_write_count(char out[CELSLM_CELL], int64_t x); /* 1234567 as 1,234,567 */

#endif
