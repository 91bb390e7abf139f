/* layer.h - times whole transformer layers, so that the sum of fitted operations can be checked
 * against the real sequence.
 *
 * A layer runs as a model runs it: norm, qkv, append and attention, output + residual, norm, gate,
 * up * silu(gate), down + residual. Layers of different weights and caches take turns, as many as it
 * takes to exceed the processor's cache. Rotary positions are not part of it: they are not in the op list. */
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
  int64_t tokens; /* new tokens of one sequence, or sequences that decode one each */
  int64_t past;   /* tokens cached before, of each sequence */
  double seconds, spread; /* of one layer, median over the repeats: filled */
} celslm_layer_case;

/* Layers under measurement, used like celslm_measurement; `cases` must outlive it. A round times each
 * case once, each on another layer. */
typedef struct celslm_layers celslm_layers;
celslm_layers *celslm_layers_new(const celslm_layer_shape *shape, celslm_layer_case *cases, int n,
                                 const celslm_machine *machine, celslm_error *err);
void celslm_layers_round(celslm_layers *l);
int celslm_layers_finish(celslm_layers *l);
void celslm_layers_free(celslm_layers *l);

#endif
