/* ops.h - what a transformer computes: the operations of one forward pass over a batch, with their
 * FLOPs and bytes.
 *
 * Formulas: facts sheet "serving costs", after Vidur (arXiv 2405.05465) and the shapes' own
 * algebra. With n tokens in the pass, width d, H query and K KV heads of size h, FFN width f,
 * vocabulary V, w bytes per weight, a per activation, k per KV element, per layer: qkv       2 n d
 * (H+2K) h FLOPs,  d (H+2K) h weights output    2 n H h d,             H h d mlp in    2 n d f
 * (gated: 2 n d 2f),  d f (2 d f) mlp out   2 n f d,               f d prefill attention of c new
 * tokens over p past ones: 4 H h (c p + c (c+1)/2) FLOPs; reads 2 K h k (p + c), writes 2 K h k c,
 * activations 2 H h a c decode attention, one query per sequence: 4 H h (attended tokens) FLOPs,
 * reads 2 K h k (read tokens)
 *             - a context shared by several sequences is attended by each and read once -
 *   norms     2 per layer (and one at the end): read and write n d a
 *   RoPE      queries and keys are rotated in place (none with learned positions): 3 n (H+K) h
 *             FLOPs, reads and writes n (H+K) h a
 *   gate      y = silu(gate) up: 4 n f FLOPs, reads 2 n f a, writes n f a
 *   residual  2 per layer: n d FLOPs, reads 2 n d a, writes n d a
 *             - both, as part of the product before them: it reads the other operand once more -
 * and once per pass: embedding n d w read; head 2 n_out d V FLOPs and d V w bytes.
 * Activations move once in and once out of each op. */
#ifndef CELSLM_MODEL_OPS_H
#define CELSLM_MODEL_OPS_H

#include "scenario/model.h"
#include "scenario/profile.h"

typedef enum celslm_op_kind {
  CELSLM_OP_EMBED,
  CELSLM_OP_NORM,
  CELSLM_OP_QKV,
  CELSLM_OP_PREFILL,
  CELSLM_OP_DECODE,
  CELSLM_OP_OUTPUT,
  CELSLM_OP_MLP_IN,
  CELSLM_OP_MLP_OUT,
  CELSLM_OP_HEAD,
  CELSLM_OP_ROPE, /* these three: celslm_small, profile.h */
  CELSLM_OP_GATE,
  CELSLM_OP_RESIDUAL,
  CELSLM_OP_KINDS
} celslm_op_kind;

const char *celslm_op_name(celslm_op_kind k);
celslm_curve_kind celslm_op_curve(celslm_op_kind k); /* which cost curve prices it */

typedef struct celslm_op {
  celslm_op_kind kind;
  double rows; /* tokens (sequences, for decode attention) */
  double flops, weight_bytes, activation_bytes, kv_bytes;
} celslm_op;

typedef struct celslm_shape { /* a model at given precisions */
  const celslm_model *model;
  double weight_bytes, activation_bytes, kv_bytes; /* per element */
} celslm_shape;

celslm_shape celslm_shape_of(const celslm_model *m, celslm_dtype weights, celslm_dtype kv);

/* One op of one layer (or of the pass, for EMBED and HEAD) over n rows. Not for attention. */
celslm_op celslm_op_dense(const celslm_shape *s, celslm_op_kind kind, double n);
/* ROPE, GATE or RESIDUAL as part of a kernel before it: what it adds to that kernel's work. */
celslm_op celslm_op_fused(const celslm_shape *s, celslm_op_kind kind, double n);
/* Attention of one layer. */
celslm_op celslm_op_prefill(const celslm_shape *s, double new_tokens, double past);
celslm_op celslm_op_decode(const celslm_shape *s, double sequences, double attended, double read);

double celslm_kv_bytes_per_token(const celslm_shape *s); /* all layers: 2 L K h k */
double celslm_linear_parameters(const celslm_model *m);  /* in the layers' matrices */

#endif
