/* profile.h - what a kind of hardware can do, as read from platforms/profiles/NAME.xml.
 *
 * A cost curve gives the seconds of one op of F FLOPs over m rows (tokens) that moves B bytes:
 *
 *     t = latency + max( F (1 + half_rows/m) / flop_rate,  B / byte_rate )
 *
 * i.e. a roofline whose compute side loses to short operands as Hockney's n-half model says
 * (R. W. Hockney, "Parallel Computers", 1981). All are SI. flop_rate and byte_rate are effective
 * (fitted or assumed) and never above the device's peaks: a fitted profile obeys its roofline. */
#ifndef CELSLM_SCENARIO_PROFILE_H
#define CELSLM_SCENARIO_PROFILE_H

#include "scenario/model.h"

typedef enum celslm_curve_kind {
  CELSLM_CURVE_GEMM,         /* projections, MLP, LM head: rows = tokens */
  CELSLM_CURVE_PREFILL,      /* causal attention of new tokens: rows = new tokens */
  CELSLM_CURVE_DECODE,       /* attention of one query per sequence: rows = sequences */
  CELSLM_CURVE_ELEMENTWISE,  /* norms, embedding, activations: memory-bound */
  CELSLM_CURVES
} celslm_curve_kind;

const char *celslm_curve_name(celslm_curve_kind k); /* "gemm" "prefill-attention" ... */

typedef struct celslm_curve {
  double flop_rate; /* FLOP/s */
  double half_rows; /* tokens at which half of flop_rate is reached */
  double byte_rate; /* B/s */
  double latency;   /* s per op */
  double residual_median, residual_p95; /* relative error of the fit; NaN: not fitted */
  double rows_min, rows_max;            /* range of validity */
  char *source;
} celslm_curve;

typedef struct celslm_profile {
  char *name, *file;
  char *description;
  char *text;                      /* the file, for the provenance */
  double peak[CELSLM_DTYPES];      /* FLOP/s, dense; NaN: not supported by the device */
  double memory;                   /* B */
  double bandwidth;                /* B/s */
  double power_idle, power_max;    /* W */
  double step_overhead;            /* s per iteration (scheduler, launch of the step) */
  double layer_overhead;           /* s per layer and iteration */
  double sequence_overhead;        /* s per sequence and iteration */
  /* where each value comes from; NULL is written as "not stated" */
  char *peak_source[CELSLM_DTYPES];
  char *memory_source, *bandwidth_source, *power_source;
  char *step_source, *layer_source, *sequence_source;
  /* curves measured or assumed at `curve_dtype`; other precisions scale flop_rate by the peaks */
  celslm_dtype curve_dtype;
  celslm_curve curves[CELSLM_CURVES];
} celslm_profile;

/* Everything in it is freed with free(); a profile to save may also be filled by hand. */
celslm_profile *celslm_profile_load(const char *file, celslm_error *err);
void celslm_profile_free(celslm_profile *p);
/* Writes the profile as XML that celslm_profile_load reads back to the same doubles; under its
 * final name only when complete. */
bool celslm_profile_save(const celslm_profile *p, const char *file, celslm_error *err);

#endif
