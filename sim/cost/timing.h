/* timing.h - one timed operation: what a cost curve is fitted to.
 *
 * FLOPs, bytes and rows are counted as model/ops.h counts them, whoever did the timing. */
#ifndef CELSLM_COST_TIMING_H
#define CELSLM_COST_TIMING_H

typedef struct celslm_timing {
  double flops, bytes; /* of the operation */
  double rows;         /* tokens; sequences for decode attention */
  double appended;     /* B of them: new keys and values */
  double seconds;
  int shape; /* samples of one shape (matrix, head counts) are held out together */
} celslm_timing;

#endif
