/* model.h - inside of a transformer, shared by loading and running. Internal. */
#ifndef CELSLM_KERNELS_MODEL_H
#define CELSLM_KERNELS_MODEL_H

#include "kernels/transformer.h"

typedef struct layer {
  celslm_packed *qkv, *out, *gate, *up, *down; /* gate: Llama only */
  float *norm1, *norm2;                        /* [dim] */
  float *norm1_bias, *norm2_bias;              /* OPT, as all biases */
  float *qkv_bias, *out_bias, *up_bias, *down_bias;
} layer;

struct celslm_transformer {
  celslm_transformer_shape shape;
  float *embedding; /* [vocabulary][dim] */
  float *positions; /* OPT: [max_tokens][dim] */
  float *norm, *norm_bias;
  celslm_packed *head; /* [vocabulary][dim] */
  layer *layers;
};

struct celslm_session {
  const celslm_transformer *t;
  const celslm_session *context;
  celslm_kv **kv; /* per layer */
};

#endif
