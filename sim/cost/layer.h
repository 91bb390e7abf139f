/* layer.h - times whole transformer layers, so that the sum of fitted operations can be checked
 * against the real sequence.
 *
 * A layer runs as a model runs it: norm, qkv, rotary positions, append and attention, output +
 * residual, norm, gate, up * silu(gate), down + residual. Weights and cache come from memory, as
 * measure.h says.
 */
#ifndef CELSLM_COST_LAYER_H
#define CELSLM_COST_LAYER_H

#include "cost/measure.h"

typedef struct celslm_layer_shape {
  int64_t hidden, ffn;
  bool gated;
  int q_heads, kv_heads, head_dim;
} celslm_layer_shape;

typedef struct celslm_layer_case {
  bool decode;
  int64_t tokens;         /* new tokens of one sequence, or sequences that decode one each */
  int64_t past;           /* tokens cached before, of each sequence */
  double seconds, spread; /* of one layer, mean of the middle half of the repeats: filled */
} celslm_layer_case;

/* A layer under measurement, used like celslm_measurement. A round times each case once. */
typedef struct celslm_layer celslm_layer;
int64_t celslm_layer_needs(const celslm_layer_shape *shape, const celslm_layer_case *cases, int n);
celslm_layer *celslm_layer_new(const celslm_layer_shape *shape, celslm_layer_case *cases, int n,
                               celslm_operands *operands, celslm_error *err);
void celslm_layer_round(celslm_layer *l);
int celslm_layer_finish(celslm_layer *l);
void celslm_layer_free(celslm_layer *l);

#endif
