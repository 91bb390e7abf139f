/* profile.h - what a kind of hardware can do, as read from platforms/profiles/NAME.xml.
 *
 * A cost curve gives the seconds of one op of F FLOPs over m rows (tokens) that moves B bytes:
 *
 *     t = latency + max( F (1 + (half_rows/m)^s)^(1/s) / flop_rate,  B / byte_rate )
 *
 * i.e. a roofline whose compute side loses to short operands: with s = 1 (the default) as Hockney's
 * n-half model says (R. W. Hockney, "Parallel Computers", 1981); a larger s (rows_sharpness) comes
 * near max(m, half_rows), the cost of operands padded to whole tiles. Attention may take the bytes
 * of the keys and values it appends over append_rate on top: they are scattered over the cache.
 * With a sharpness q the corner of the roofline is round: instead of max(a, b), (a^q + b^q)^(1/q),
 * which is never less. All are SI. flop_rate and byte_rate are effective (fitted or assumed) and
 * never above the device's peaks: a fitted profile obeys its roofline, and its time grows with
 * rows, FLOPs and bytes.
 *
 * A profile is of a device and a runtime: one engine leaves idle what another one uses. */
#ifndef CELSLM_SCENARIO_PROFILE_H
#define CELSLM_SCENARIO_PROFILE_H

#include "scenario/model.h"
#include "scenario/table.h"

typedef enum celslm_curve_kind {
  CELSLM_CURVE_GEMM,        /* projections, MLP, LM head: rows = tokens */
  CELSLM_CURVE_PREFILL,     /* causal attention of new tokens: rows = new tokens */
  CELSLM_CURVE_DECODE,      /* attention of one query per sequence: rows = sequences */
  CELSLM_CURVE_ELEMENTWISE, /* norms, embedding, activations: memory-bound */
  CELSLM_CURVES
} celslm_curve_kind;

const char *celslm_curve_name(celslm_curve_kind k); /* "gemm" "prefill-attention" ... */

typedef struct celslm_curve {
  double flop_rate;      /* FLOP/s */
  double half_rows;      /* tokens at which half of flop_rate is reached (with s = 1) */
  double rows_sharpness; /* s >= 1; 0: 1 */
  double byte_rate;      /* B/s */
  double latency;        /* s per op */
  double append_rate;    /* B/s of new keys and values, on top; 0: not told apart. Attention only */
  double sharpness; /* q >= 1 of the round corner; 0: the plain maximum (always so for decode) */
  double residual_median, residual_p95; /* relative error of the fit; NaN: not fitted */
  double rows_min, rows_max;            /* range of validity */
  char *source;
} celslm_curve;

/* The small operations of a layer, and how a runtime does them. */
typedef enum celslm_small_op {
  CELSLM_SMALL_ROPE,
  CELSLM_SMALL_GATE,
  CELSLM_SMALL_RESIDUAL,
  CELSLM_SMALL_OPS
} celslm_small_op;
typedef enum celslm_small_way {
  CELSLM_SMALL_WITHIN, /* not told apart: in what the curves or overheads were fitted to */
  CELSLM_SMALL_FUSED,  /* in the kernel before it, which it makes longer */
  CELSLM_SMALL_APART   /* a kernel of its own */
} celslm_small_way;

/* A format of stored weights (q4_k_m, int4 ...) whose kernels differ from those of the curves. */
typedef struct celslm_weight_format {
  char *name;
  double bits, head_bits;        /* per weight, scales included; those of the LM head */
  double byte_share, flop_share; /* of the gemm curve's rates that its kernels reach; at most 1 */
  char *source;
} celslm_weight_format;

/* What one core of the host takes to make KV small and to unfold it again: overhead + B / rate, B
 * being the bytes of the KV at 16 bits, whatever it is coded to. */
typedef struct celslm_codec_cost {
  char *name;            /* of the codec: "int8", "int4", "tokens" */
  double encode, decode; /* B/s of 16-bit KV, per core */
  double overhead;       /* s per piece and direction */
  char *source;
} celslm_codec_cost;

typedef struct celslm_profile {
  char *name, *file;
  char *device, *runtime, *family; /* family: of devices, to which the profile may be scaled; "" */
  char *description;
  char *text;                   /* the file, for the provenance */
  double peak[CELSLM_DTYPES];   /* FLOP/s, dense; NaN: not supported by the device */
  double memory;                /* B */
  double bandwidth;             /* B/s */
  double power_idle, power_max; /* W */
  /* Active power is idle + (max - idle) min(1, memory_share b + compute_share f), b and f being the
   * shares of bandwidth and of the 16-bit peak in use; NaN: not known. */
  double power_memory, power_compute, power_residual;
  double step_overhead;     /* s per iteration (scheduler, launch of the step) */
  double layer_overhead;    /* s per layer and iteration */
  double sequence_overhead; /* s per sequence and iteration */
  double chunk;             /* prompt tokens in one pass at most; 0: all */
  /* A ring all-reduce of S bytes over g devices takes link_start + 2 (g-1) (link_latency +
   * S/(g link_rate)); link_rate NaN: a device works alone. */
  double link_start, link_latency, link_rate;
  /* where each value comes from; NULL is written as "not stated" */
  char *peak_source[CELSLM_DTYPES];
  char *memory_source, *bandwidth_source, *power_source;
  char *step_source, *layer_source, *sequence_source;
  char *link_source;
  /* curves measured or assumed at `curve_dtype`; other precisions scale flop_rate by the peaks */
  celslm_dtype curve_dtype;
  celslm_curve curves[CELSLM_CURVES];
  celslm_small_way small[CELSLM_SMALL_OPS];
  /* Kernel times that stand in for the curves where the weights and KV have 16 bits; NULL: none. */
  char *table_file, *table_source; /* as written: relative to the profile */
  celslm_table_profile *table;
  celslm_weight_format *formats;
  int n_formats;
  celslm_codec_cost *codecs;
  int n_codecs;
  char
      *fitted_rows; /* keys of published rows that took part in fits ("1a2b3c4d ..."); NULL: none */
} celslm_profile;

/* Everything in it is freed with free(); a profile to save may also be filled by hand. */
celslm_profile *celslm_profile_load(const char *file, celslm_error *err);
void celslm_profile_free(celslm_profile *p);
/* NULL if the profile has no format of that name. */
const celslm_weight_format *celslm_profile_format(const celslm_profile *p, const char *name);
/* NULL if the profile does not say what the codec of that name takes (celslm_coding_seconds then
 * assumes). */
const celslm_codec_cost *celslm_profile_codec(const celslm_profile *p, const char *name);
/* Writes the profile as XML that celslm_profile_load reads back to the same doubles; under its
 * final name only when complete. */
bool celslm_profile_save(const celslm_profile *p, const char *file, celslm_error *err);

#endif
