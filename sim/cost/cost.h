/* cost.h - device profile + model -> seconds.
 *
 * An op of F FLOPs, B bytes and m rows costs t = latency + max(F (1 + half_rows/m)/flop_rate,
 * B/byte_rate) with the curve of its kind (profile.h; the maximum may have a round corner): max per
 * op, summed over ops, never one max per step. The functions below are sums of such ops over the op
 * list (model/ops.h), arranged as the serving engine needs them: per layer, and with decode
 * attention as the two affine sides of its roofline, so that an engine can add many iterations in
 * closed form. */
#ifndef CELSLM_COST_COST_H
#define CELSLM_COST_COST_H

#include "model/ops.h"

typedef struct celslm_cost {
  celslm_shape shape;
  const celslm_profile *profile;
  const celslm_table_profile *table;  /* NULL: the curves price everything */
  double peak;                        /* FLOP/s of products at this precision */
  celslm_curve curves[CELSLM_CURVES]; /* the profile's, at this model's precision */
  double step, layer, sequence;       /* overheads, s */
  celslm_model shard;                 /* of a model split over accelerators: shape.model */
  double reduce_latency, reduce_byte; /* of one layer's two all-reduces: s, s per token */
} celslm_cost;

/* step_overhead and sequence_overhead: NaN takes the profile's. Fails if the profile does not
 * support the precision. `profile` and `model` must outlive it. */
bool celslm_cost_init(celslm_cost *c, const celslm_profile *profile, const celslm_model *model,
                      celslm_dtype weights, celslm_dtype kv, double step_overhead,
                      double sequence_overhead, celslm_error *err);

/* Splits the model over n accelerators that exchange `bandwidth` B/s each way with `latency` s:
 * each has its share of heads, FFN width and vocabulary (rounded up), and after attention and MLP
 * of each layer a ring all-reduce of S bytes takes 2 (n - 1) (latency + S / (n bandwidth)) (Thakur
 * et al., IJHPCA 19(1), 2005; the split is Megatron-LM's, arXiv 1909.08053). *c must not move
 * afterwards. */
void celslm_cost_split(celslm_cost *c, int n, double bandwidth, double latency);

/* Seconds of one operation by a curve (profile.h). */
double celslm_curve_time(const celslm_curve *k, double flops, double bytes, double rows);
double celslm_curve_append(const celslm_curve *k, double bytes);  /* s of appending to a cache */
double celslm_cost_op(const celslm_cost *c, const celslm_op *op); /* s */

double celslm_cost_layer(
    const celslm_cost *c,
    double tokens); /* one layer's projections, MLP, norms, small operations + its overhead */
double celslm_cost_embed(const celslm_cost *c, double tokens);
double celslm_cost_head(const celslm_cost *c,
                        double outputs); /* last norm and LM head; 0 outputs: 0 */
double celslm_cost_prefill(const celslm_cost *c, double new_tokens,
                           double past); /* one layer's attention */

/* One layer's decode attention of n sequences that attend to A tokens, of which R are read (a
 * shared context is read once): pieces over R, in order, the first from 0. In each,
 * max(compute + flop_slope A, memory + byte_slope (R - from)). By a curve there is one piece; by a
 * table one for each of its contexts, and beyond them one for each doubling. */
typedef struct celslm_decode_cost {
  double from;                                    /* tokens, whole */
  double compute, flop_slope, memory, byte_slope; /* s, s per token */
} celslm_decode_cost;
int celslm_cost_decode_pieces(const celslm_cost *c);
celslm_decode_cost celslm_cost_decode(const celslm_cost *c, double sequences, int piece);
/* The seconds they amount to. */
double celslm_cost_decode_seconds(const celslm_cost *c, double sequences, double attended,
                                  double read);

/* Seconds one core of the host takes to encode, or decode, KV of `plain` bytes at 16 bits into (out
 * of) `coded` bytes. Where the profile has no <codec> of that name, an assumption: bound by the
 * memory, `plain` and `coded` bytes at the device's bandwidth. */
double celslm_coding_seconds(const celslm_profile *p, const char *codec, bool decode, double plain,
                             double coded);

/* Seconds to prefill `tokens` tokens alone over `past` in one pass: step + embed + layers + head.
 */
double celslm_cost_prefill_pass(const celslm_cost *c, double tokens, double past);

#endif
