/* measure.h - times the kernels (kernels/kernels.h) at the points of a plan.
 *
 * Every operand lives as long as the measurement, and a point is timed only when more than the
 * cache has been touched since its weights or keys and values were used: they come from memory, as
 * in a model whose layers are used in turn. Inputs are random and freshly touched, as if the
 * operation before had written them. Repeats go round all points, so that a disturbance hits one
 * repeat of many points and not all of one; of the repeats the mean of the middle half counts:
 * it bears outliers, and where a machine is now fast, now slow, it adds up as times of whole
 * layers do, which a median does not. A timing that is
 * worthless (celslm_watch) is made again, up to CELSLM_TRIES times, unless it took long; the
 * shortest counts.
 *
 * Starts the kernels' threads: a process that has measured must not fork and use the kernels with
 * more than one thread in the child (libgomp would hang there).
 *
 * This header names no type of the simulator's models: kernels.h has names of its own. */
#ifndef CELSLM_COST_MEASURE_H
#define CELSLM_COST_MEASURE_H

#include "cost/machine.h"
#include "cost/timing.h"

#include <stdint.h>

typedef enum celslm_timed { /* in the order of celslm_curve_kind */
                            CELSLM_TIMED_GEMM,
                            CELSLM_TIMED_PREFILL, /* appends m new tokens to `past` ones, then
                                                     attends causally */
                            CELSLM_TIMED_DECODE,  /* appends one token to each of m sequences of
                                                     `past`, then attends */
                            CELSLM_TIMED_NORM
} celslm_timed;

typedef struct celslm_point {
  celslm_timed kind;
  int64_t m;                       /* tokens, or sequences */
  int64_t n, k;                    /* GEMM: outputs, inputs; norm: n is the width */
  int q_heads, kv_heads, head_dim; /* attention */
  int64_t past;
  celslm_timing timing; /* the plan fills the work, the measurement the seconds */
  double spread;        /* of the repeats: median absolute deviation over the median */
} celslm_point;

/* Random numbers for all operands, and what puts them out of the caches: the machine's block, so
 * the machine must outlive them and its peaks be measured. */
typedef struct celslm_operands celslm_operands;
celslm_operands *celslm_operands_new(int64_t n_random, const celslm_machine *machine,
                                     celslm_error *err);
void celslm_operands_free(celslm_operands *o);
/* Random numbers the points need. */
int64_t celslm_measurement_needs(const celslm_point *points, int n);

/* Points under measurement. Those of one kind and shape must agree in n, k and heads. Points and
 * operands must outlive it. NULL: no memory, said in *err. */
typedef struct celslm_measurement celslm_measurement;
celslm_measurement *celslm_measurement_new(celslm_point *points, int n, celslm_operands *operands,
                                           celslm_error *err);
/* Times each point once. The first round warms up and does not count; no more than
 * CELSLM_MOST_REPEATS count. */
void celslm_measurement_round(celslm_measurement *m);
enum { CELSLM_MOST_REPEATS = 31, CELSLM_TRIES = 3 };
/* Fills the points' seconds and spread. Returns the repeats that count; at least one must. */
int celslm_measurement_finish(celslm_measurement *m);
void celslm_measurement_free(celslm_measurement *m);

/* Starts the kernels' threads; for celslm_machine_bind. */
void celslm_measure_start(void);
void celslm_measure_threads(int threads);
const char *celslm_measure_isa(void); /* the kernels' instruction set */

/* A timing of case i, s; *worthless (false before) as celslm_watch_stop says. */
typedef double celslm_once(void *self, int i, bool *worthless);
/* With more tries where they are worth it; the shortest counts. */
double celslm_measure_best(celslm_once *once, void *self, int i);
/* A round's timings of a layer or a pass, into `to`; returns how many. Of short ones there are
 * several: what others do to the memory for some milliseconds hits them most, and no fit levels it
 * out as with points. */
enum { CELSLM_IN_ROUND = 3, CELSLM_MOST_TIMES = CELSLM_IN_ROUND * CELSLM_MOST_REPEATS };
int celslm_measure_several(celslm_once *once, void *self, int i, double *to);

/* Median of n >= 1 values, which it reorders. */
double celslm_median(double *values, int n);
/* The mean of their middle half, and their median absolute deviation over the median. */
double celslm_middle_spread(double *values, int n, double *spread);

/* How many times as fast as with f32 weights products are with bf16 and int8 ones, where arithmetic
 * bounds them. */
void celslm_measure_types(celslm_operands *o, double *bf16, double *int8);

#endif
