/* curves.h - from measured kernels to the cost curves of a profile.
 *
 * Each curve is fitted robustly (robust.h) to the logs of its times: flop_rate, half_rows,
 * byte_rate, latency and, but for decode attention, the sharpness of the roofline's corner; and
 * append_rate, where the timings tell what they append. Both
 * rates end at or below the device's peaks, so no fitted curve beats its roofline.
 * Which kernels count, by default (all of them with `all`):
 *   gemm     n and k of at least 512         prefill  from 16 tokens, batches to 8, from 8 heads
 *   decode   contexts from 128, batches to 256, from 8 heads
 * and never those measured faster than the roofline itself: their data stayed in a cache, which
 * weights and KV of a served model do not.
 * Held out: of the shapes (matrices, head counts) in order every fourth, beginning with the third;
 * with fewer than eight shapes, each in turn while the rest is fitted, and then all are (of chunk
 * and batch sizes not the first and the last, which bound the range). */
#ifndef CELSLM_COST_CURVES_H
#define CELSLM_COST_CURVES_H

#include "cost/measured.h"

typedef struct celslm_curve_fit {
  celslm_curve curve; /* its source is NULL, residuals and rows range are filled */
  int kernels, shapes, held_kernels, held_shapes;
  int cached;  /* left out: faster than the roofline */
  int outside; /* left out: of the range above */
  bool in_turn;
  double own_median, own_p95; /* of the kernels in the fit */
} celslm_curve_fit;

enum { CELSLM_CURVE_FIT_MIN = 6 }; /* kernels in a fit at least */

bool celslm_curve_fit_kernels(const celslm_kernels *list, celslm_curve_kind kind, double peak,
                              double bandwidth, bool all, celslm_curve_fit *out, celslm_error *err);

typedef struct celslm_link_fit {
  double start, latency, rate;
  double median, p95;
  int n;
} celslm_link_fit;
bool celslm_link_fit_times(const celslm_allreduce *a, int n, celslm_link_fit *out,
                           celslm_error *err);
/* 0 for one device. */
double celslm_allreduce_time(double start, double latency, double rate, double devices,
                             double bytes);

/* Median and 95th percentile of n >= 1 values, which are reordered. */
void celslm_spread_of(double *values, int n, double *median, double *p95);

#endif
