/* rows_fit.h - a profile's efficiencies and overheads from published end-to-end rows.
 *
 * The rows are those that the profile is matched to (devices.h), also of other devices of the
 * family or vendor, for which it is scaled; by rule (celslm_row_in_fit) one half is fitted, the
 * other held out. Free are factors on gemm flop_rate and byte_rate, prefill flop_rate, decode
 * byte_rate, the layer, step, sequence and all-reduce overheads, and the shares of each weight
 * format that has rows. The log ratios of decode and prefill rates are minimised robustly; each
 * factor is pulled to 1, as if one row had said so within a factor of 1.65, so that what few rows
 * cannot tell stays as assumed. */
#ifndef CELSLM_COST_ROWS_FIT_H
#define CELSLM_COST_ROWS_FIT_H

#include "cost/rates.h"

typedef struct celslm_rows_fit {
  int decode_rows, prefill_rows, held_decode, held_prefill;
  double decode_median, prefill_median;           /* of the rows in the fit; NaN: none */
  double held_decode_median, held_prefill_median; /* of those held out */
  double held_decode_p95, held_prefill_p95;
  int power_rows, held_power;
} celslm_rows_fit;

enum { CELSLM_ROWS_FIT_MIN = 4 }; /* fitted rows, below which a value is called an assumption */

/* Changes *p, which must be what `d` shipped it as before (by its name). `overheads`: only these
 * are free. Fails if no row is matched to the profile. */
bool celslm_profile_fit_to_rows(celslm_profile *p, celslm_devices *d, const celslm_rows *rows,
                                bool overheads, const char *source, celslm_rows_fit *out,
                                celslm_error *err);

#endif
