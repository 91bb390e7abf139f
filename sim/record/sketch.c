/* sketch.c - a histogram whose bins grow in proportion to their values (see sketch.h).
 *
 * Bin i is (g^(i-1), g^i]; its values are told as 2 g^i / (g + 1), the point whose relative
 * distance to both edges is the same, (g - 1) / (g + 1) = a. The counts are one array over the bins
 * between the smallest and the largest value so far. */
#include "record/sketch.h"

#include "base/error.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct celslm_sketch {
  double error, log_g, factor; /* factor: 2 / (g + 1) */
  uint64_t zeros;              /* values <= 0 */
  uint64_t total;              /* zeros and all bins */
  uint64_t *counts;            /* counts[i] is bin first + i */
  long first, n;
};

celslm_sketch *celslm_sketch_new(double relative_error) {
  assert(relative_error > 0 && relative_error < 1);
  celslm_sketch *s = celslm_alloc(1, sizeof *s);
  double g = (1 + relative_error) / (1 - relative_error);
  s->error = relative_error;
  s->log_g = log(g);
  s->factor = 2 / (g + 1);
  return s;
}

void celslm_sketch_free(celslm_sketch *s) {
  if (!s) return;
  free(s->counts);
  free(s);
}

static long bin_of(const celslm_sketch *s, double value) {
  return (long)ceil(log(fmin(value, DBL_MAX)) / s->log_g);
}

static double upper_edge(const celslm_sketch *s, long bin) {
  return exp((double)bin * s->log_g);
}

/* The counter of a bin; widens the array, by half of itself at least, until it covers the bin. */
static uint64_t *counter(celslm_sketch *s, long bin) {
  if (s->n && bin >= s->first && bin < s->first + s->n) return &s->counts[bin - s->first];
  long low = bin, high = bin; /* the bins that must be covered */
  if (s->n) {
    long more = s->n / 2;
    low = bin < s->first ? (bin < s->first - more ? bin : s->first - more) : s->first;
    long end = s->first + s->n - 1;
    high = bin > end ? (bin > end + more ? bin : end + more) : end;
  } else {
    low -= 16;
    high += 16;
  }
  long n = high - low + 1;
  uint64_t *wider = celslm_alloc((unsigned long)n, sizeof *wider);
  if (s->n) memcpy(wider + (s->first - low), s->counts, (size_t)s->n * sizeof *wider);
  free(s->counts);
  s->counts = wider;
  s->first = low;
  s->n = n;
  return &s->counts[bin - low];
}

void celslm_sketch_add(celslm_sketch *s, double value, uint64_t weight) {
  if (isnan(value) || weight == 0) return;
  s->total += weight;
  if (value <= 0)
    s->zeros += weight;
  else
    *counter(s, bin_of(s, value)) += weight;
}

/* Walks from bin to bin: in each, counts the steps that stay at or below its upper edge. */
void celslm_sketch_add_ramp(celslm_sketch *s, double first, double slope, uint64_t k,
                            uint64_t weight) {
  if (isnan(first) || isnan(slope) || k == 0 || weight == 0) return;
  if (!(slope > 0)) {
    celslm_sketch_add(s, first, k * weight);
    return;
  }
  s->total += k * weight;
  for (uint64_t done = 0; done < k;) {
    double value = first + (double)done * slope;
    bool zero = value <= 0;
    long bin = zero ? 0 : bin_of(s, value);
    double last = floor(((zero ? 0 : upper_edge(s, bin)) - first) / slope);
    uint64_t until = last >= (double)k - 1 ? k : last < 0 ? 0 : (uint64_t)last + 1;
    if (until <= done) until = done + 1; /* the value lies within rounding of the edge */
    *(zero ? &s->zeros : counter(s, bin)) += (until - done) * weight;
    done = until;
  }
}

void celslm_sketch_merge(celslm_sketch *into, const celslm_sketch *from) {
  assert(into->error == from->error);
  into->total += from->total;
  into->zeros += from->zeros;
  for (long i = 0; i < from->n; i++)
    if (from->counts[i]) *counter(into, from->first + i) += from->counts[i];
}

uint64_t celslm_sketch_count(const celslm_sketch *s) {
  return s->total;
}

static double told(const celslm_sketch *s, long bin) {
  return fmin(s->factor * upper_edge(s, bin), DBL_MAX);
}

/* The values of rank `low` and low + 1 (from 0), in one pass. */
static void at_ranks(const celslm_sketch *s, uint64_t low, double value[2]) {
  uint64_t seen = s->zeros;
  int found = 0;
  while (found < 2 && low + (uint64_t)found < seen) value[found++] = 0;
  for (long i = 0; i < s->n && found < 2; i++) {
    if (!s->counts[i]) continue;
    seen += s->counts[i];
    while (found < 2 && low + (uint64_t)found < seen) value[found++] = told(s, s->first + i);
  }
  if (found == 1) value[1] = value[0];
}

double celslm_sketch_quantile(const celslm_sketch *s, double q) {
  if (s->total == 0 || isnan(q)) return NAN;
  double rank = fmin(fmax(q, 0), 1) * (double)(s->total - 1), low = floor(rank);
  double value[2] = {0, 0};
  at_ranks(s, (uint64_t)low, value);
  return value[0] + (rank - low) * (value[1] - value[0]);
}

double celslm_sketch_mean(const celslm_sketch *s) {
  if (s->total == 0) return NAN;
  double sum = 0;
  for (long i = 0; i < s->n; i++)
    if (s->counts[i]) sum += (double)s->counts[i] * told(s, s->first + i);
  return sum / (double)s->total;
}
