/* morris.h - which parameters matter: elementary effects (M. D. Morris, Technometrics 33(2), 1991).
 *
 * Trajectories through the unit cube on 4 levels, each of k + 1 points of which two neighbours
 * differ in one parameter by 2/3. An elementary effect is the difference of the results over that
 * of the parameter. Its mean absolute value mu* (F. Campolongo et al., Environ. Modell. Softw. 22,
 * 2007) says how much a parameter matters over its whole range, its standard deviation sigma how
 * much that depends on the others, or how bent it is. */
#ifndef CELSLM_STUDY_MORRIS_H
#define CELSLM_STUDY_MORRIS_H

#include <stddef.h>
#include <stdint.h>

/* Points of r trajectories of k parameters: places[parameter * r * (k + 1) + point], each in [0, 1]. */
void celslm_morris_places(size_t k, size_t r, uint64_t seed, double *places);

typedef struct celslm_effect {
  double mu_star, sigma; /* in the unit of the results, per whole range; NaN: no effect is known */
} celslm_effect;

/* The effects on `results` (one per point; NaN: unknown, its effects are left out). */
void celslm_morris_effects(size_t k, size_t r, const double *places, const double *results,
                           celslm_effect *effects);

#endif
