/* fit.h - from timed operations to a cost curve (its form: scenario/profile.h).
 *
 * The residual is r = ln(predicted / measured). The sum of Cauchy losses of r is minimised by
 * iteratively reweighted nonlinear least squares (GSL, Levenberg-Marquardt) over the logs of
 * flop_rate, half_rows, byte_rate and latency, from several starts; the result depends on the data
 * alone. Rates end at or below their limits. Every fourth shape, in a fixed random order, takes no
 * part in the fit; the curve's residuals are those of these shapes. */
#ifndef CELSLM_COST_FIT_H
#define CELSLM_COST_FIT_H

#include "cost/timing.h"
#include "scenario/profile.h"

typedef struct celslm_fit_limits {
  double flop_rate, byte_rate; /* the device's peaks; > 0, finite */
} celslm_fit_limits;

typedef struct celslm_fit {
  celslm_curve curve;            /* source: NULL, the caller's to say */
  int samples, shapes;           /* in the fit */
  int held_samples, held_shapes; /* held out; 0: too few shapes, the residuals are the fit's own */
  /* False: no sample of the fit shows it. An unseen rate is set to its limit, unseen half_rows to
   * 0: the curve is then a bound on that side. */
  bool flop_rate_seen, half_rows_seen, byte_rate_seen;
} celslm_fit;

/* Needs at least CELSLM_FIT_MIN samples outside the held-out shapes, all finite and positive
 * (flops may be 0). */
enum { CELSLM_FIT_MIN = 6 };
bool celslm_fit_curve(const celslm_timing *samples, int n, celslm_fit_limits limits,
                      celslm_fit *fit, celslm_error *err);

/* Seconds of a sample's operation by the curve. */
double celslm_curve_seconds(const celslm_curve *c, const celslm_timing *s);

/* Median and 95th percentile of |predicted/measured - 1|. n >= 1. */
void celslm_fit_residuals(const celslm_curve *c, const celslm_timing *samples, int n,
                          double *median, double *p95);

#endif
