/* sketch.h - streaming statistics of positive values: a histogram with logarithmic bins.
 *
 * Bin i holds values in (g^(i-1), g^i] with g = (1+a)/(1-a), so that every quantile is off by at most
 * the relative error a (C. Masson, J. E. Rim, H. K. Lee, "DDSketch", VLDB 2019). Counts are integers:
 * the order in which values come changes nothing, and two sketches add up exactly. */
#ifndef CELSLM_RECORD_SKETCH_H
#define CELSLM_RECORD_SKETCH_H

#include <stdint.h>

typedef struct celslm_sketch celslm_sketch;

celslm_sketch *celslm_sketch_new(double relative_error); /* 0 < a < 1, e.g. 0.005 */
void celslm_sketch_free(celslm_sketch *s);
void celslm_sketch_add(celslm_sketch *s, double value, uint64_t weight); /* values <= 0 count as zero */
/* Adds the k values first, first+slope, ... first+(k-1)*slope (slope >= 0), each `weight` times,
 * in time proportional to the bins they span, not to k; same counts as k calls of add up to values
 * that lie within rounding of a bin's edge. */
void celslm_sketch_add_ramp(celslm_sketch *s, double first, double slope, uint64_t k, uint64_t weight);
void celslm_sketch_merge(celslm_sketch *into, const celslm_sketch *from);
uint64_t celslm_sketch_count(const celslm_sketch *s);
double celslm_sketch_quantile(const celslm_sketch *s, double q); /* NaN when empty */
double celslm_sketch_mean(const celslm_sketch *s); /* from the bins' midpoints */

#endif
