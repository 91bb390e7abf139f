/* operands.h - random operands for timed kernels, and their way out of the caches. */
#ifndef CELSLM_COST_OPERANDS_H
#define CELSLM_COST_OPERANDS_H

#include "cost/machine.h"
#include "cost/measure.h"
#include "kernels/kernels.h"

/* Random numbers in [-1, 1) that everything is made from, and a count of the bytes that were
 * touched: it tells what can still be in a cache. All measurements of a calibration share one. */
struct celslm_operands {
  float *random;
  int64_t n_random;
  const char *ballast; /* the machine's block, read when too little was touched */
  size_t cache;        /* its size: B to touch before old bytes count as cold */
  double touched;      /* B so far */
};

/* A cache of `past` random tokens with room for `room` more. NULL: no memory. */
celslm_kv *celslm_operands_kv(const celslm_operands *o, int kv_heads, int head_dim, int64_t past,
                              int64_t room);
/* A random matrix [n][k], packed; n*k at most n_random. NULL: no memory. */
celslm_packed *celslm_operands_matrix(const celslm_operands *o, int64_t n, int64_t k);

/* Makes sure that what was last used at *last is no longer cached. */
void celslm_operands_cool(celslm_operands *o, double last);
/* Reads n floats, as if they had just been written. */
void celslm_operands_warm(celslm_operands *o, const float *x, int64_t n);

#endif
