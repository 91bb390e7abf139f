/* sobol.h - which parameters matter, by shares of the variance (I. M. Sobol', Math. Comput. Simul.
 * 55, 2001).
 *
 * Places: two independent sets A and B of n quasi-random points in the unit cube, and for each
 * parameter i the set AB_i, which is A with parameter i from B: n (k + 2) points in all (A.
 * Saltelli et al., Comput. Phys. Commun. 181, 2010). For each of the n, A, B, AB_1 ... AB_k stand
 * together. The first index is the share of the variance that a parameter makes by itself, the
 * total one that which it has a part in: S_i = 1 - mean((f(B) - f(AB_i))^2) / 2V and ST_i =
 * mean((f(A) - f(AB_i))^2) / 2V (M. J. W. Jansen, Comput. Phys. Commun. 117, 1999), with V the
 * variance of f over A and B. */
#ifndef CELSLM_STUDY_SOBOL_H
#define CELSLM_STUDY_SOBOL_H

#include <stddef.h>

enum { CELSLM_SOBOL_MOST = 20 }; /* parameters: GSL's Sobol sequence has 40 dimensions */

/* places[parameter * n * (k + 2) + point], each in [0, 1]; k at most CELSLM_SOBOL_MOST. */
void celslm_sobol_places(size_t k, size_t n, double *places);

typedef struct celslm_index_pair {
  double first, total;           /* NaN: not known, or nothing varies */
  double first_half, total_half; /* half of their 95 % intervals (normal, of the n terms) */
} celslm_index_pair;

/* Of `results` (one per point; what has a NaN among its k + 2 points is left out). */
void celslm_sobol_indices(size_t k, size_t n, const double *results, celslm_index_pair *indices);

#endif
