/* robust.h - robust nonlinear least squares of any model: what the fits of profiles share.
 *
 * Minimises the sum of Cauchy losses of n residuals r_i(x) over p parameters by iteratively
 * reweighted Levenberg-Marquardt (GSL, derivatives given or by differences; weights 1/(1 +
 * (r/(2.385 s))^2), s a given scale or 1.4826 MAD: P. W. Holland, R. E. Welsch, Comm. Stat. A6,
 * 1977). Each parameter is pulled towards its prior as by one more observation of residual (x -
 * prior) * pull. */
#ifndef CELSLM_COST_ROBUST_H
#define CELSLM_COST_ROBUST_H

typedef struct celslm_robust {
  double (*residual)(const double *x, int i, const void *data);
  /* The same, with its derivatives by x; NULL: by differences, 2 p residuals for each. */
  double (*slopes)(const double *x, int i, const void *data, double *slopes);
  const void *data;
  int n, p;            /* n >= 1, 1 <= p <= CELSLM_ROBUST_MAX */
  const double *prior; /* [p] */
  const double *pull;  /* [p], > 0 */
  const double *most; /* [p]: beyond it the model is flat, so a parameter is put back; NULL: none */
  double scale;       /* s; 0: from the residuals' median, and at least 1e-6 */
} celslm_robust;
enum { CELSLM_ROBUST_MAX = 24 };

/* From *x to the minimum near it; returns the sum of ln(1 + (r/scale)^2) with scale = 0.05, by
 * which several starts can be compared. */
double celslm_robust_solve(const celslm_robust *f, double *x);

#endif
