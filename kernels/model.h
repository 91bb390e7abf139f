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
  int64_t start;  /* position of its first own token */
  int64_t tokens; /* own tokens; a layer's KV holds as many, or none if it is absent */
  celslm_kv **kv; /* per layer */
};

/* A Llama's weights as a checkpoint has them, f32, each of all layers one after the other; matrices
 * [outputs][inputs]. `head` NULL: the embedding. */
typedef struct celslm_tensors {
  float *embedding, *norm1, *q, *k, *v, *out, *norm2, *gate, *down, *up, *norm, *head;
} celslm_tensors;

/* Packs copies of the tensors. NULL: out of memory. */
celslm_transformer *celslm_transformer_assemble(const celslm_transformer_shape *shape,
                                                enum celslm_kdtype weights,
                                                const celslm_tensors *tensors);
/* What is wrong with a shape; NULL: nothing. */
const char *celslm_transformer_senseless(const celslm_transformer_shape *shape);

#endif
