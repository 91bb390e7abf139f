/* field.h - random quantities that are alike at near-by places: shadowing, the line-of-sight state.
 *
 * Both models below give standard normal values whose correlation over a distance x is
 * exp(-x / correlation distance) (Gudmundson 1991; TR 38.901 sections 7.4.4 and 7.6.3): a walk
 * follows one user along its path, a field gives every place of a plane its value. All draws come
 * from the generator passed in; the same generator gives the same values. */
#ifndef CELSLM_NET_RADIO_FIELD_H
#define CELSLM_NET_RADIO_FIELD_H

#include <gsl/gsl_rng.h>
#include <stdbool.h>

/* Zero-initialised: not begun. */
typedef struct celslm_walk {
  double value;
  bool begun; /* false: the next step draws afresh; so set it when the state changes */
} celslm_walk;

/* The value after another `moved` m; exactly one draw. Times the standard deviation: shadowing. */
double celslm_walk_step(celslm_walk *w, double moved, double correlation, gsl_rng *r);

typedef struct celslm_field celslm_field;

celslm_field *celslm_field_new(double correlation, gsl_rng *r);
void celslm_field_free(celslm_field *f);
double celslm_field_at(const celslm_field *f, double x, double y);

/* A standard normal value as one that is uniform in (0, 1). */
double celslm_uniform_of(double normal);

/* In sight iff the uniform of a walk or field is below the probability (section 7.6.3.3). */
bool celslm_in_sight(double normal, double los_probability);

/* Shadowing of one user towards several sites: one draw common to all and one per site, mixed so
 * that any two sites have the correlation given; 3GPP's convention is 0.5. */
double celslm_between_sites(double common, double own, double correlation);

#endif
