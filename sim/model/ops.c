#include "model/ops.h"

static const char *const names[] = {
    "embed", "norm", "qkv",  "prefill-attention", "decode-attention", "output", "mlp-in", "mlp-out",
    "head",  "rope", "gate", "residual"};

const char *celslm_op_name(celslm_op_kind k) {
  return names[k];
}

celslm_curve_kind celslm_op_curve(celslm_op_kind k) {
  switch (k) {
  case CELSLM_OP_EMBED:
  case CELSLM_OP_NORM:
  case CELSLM_OP_ROPE:
  case CELSLM_OP_GATE:
  case CELSLM_OP_RESIDUAL:
    return CELSLM_CURVE_ELEMENTWISE;
  case CELSLM_OP_PREFILL:
    return CELSLM_CURVE_PREFILL;
  case CELSLM_OP_DECODE:
    return CELSLM_CURVE_DECODE;
  default:
    return CELSLM_CURVE_GEMM;
  }
}

celslm_shape celslm_shape_of(const celslm_model *m, celslm_dtype weights, celslm_dtype kv) {
  /* Quantised weights and caches are computed with 16-bit activations. */
  double activation = weights == CELSLM_F32 ? 4 : 2;
  return (celslm_shape){m, celslm_dtype_bytes(weights), activation, celslm_dtype_bytes(kv)};
}

/* A product of n rows with a matrix of `in` x `out`. */
static celslm_op product(const celslm_shape *s, celslm_op_kind kind, double n, double in,
                         double out) {
  return (celslm_op){.kind = kind,
                     .rows = n,
                     .flops = 2 * n * in * out,
                     .weight_bytes = in * out * s->weight_bytes,
                     .activation_bytes = n * (in + out) * s->activation_bytes};
}

/* So many FLOPs and moved numbers for each of `width` elements of n rows. */
static celslm_op small(const celslm_shape *s, celslm_op_kind kind, double n, double width,
                       double flops, double moves) {
  return (celslm_op){.kind = kind,
                     .rows = n,
                     .flops = flops * n * width,
                     .activation_bytes = moves * n * width * s->activation_bytes};
}

celslm_op celslm_op_fused(const celslm_shape *s, celslm_op_kind kind, double n) {
  celslm_op op = celslm_op_dense(s, kind, n);
  /* Of what it moves alone, the kernel before it has one operand at hand and writes the result. */
  op.activation_bytes *= kind == CELSLM_OP_ROPE ? 0 : 1.0 / 3;
  return op;
}

celslm_op celslm_op_dense(const celslm_shape *s, celslm_op_kind kind, double n) {
  const celslm_model *m = s->model;
  double d = (double)m->hidden, h = (double)m->head_dim, H = (double)m->heads,
         K = (double)m->kv_heads;
  double f = (double)m->ffn;
  switch (kind) {
  case CELSLM_OP_EMBED:
    return (celslm_op){.kind = kind,
                       .rows = n,
                       .weight_bytes = n * d * s->weight_bytes,
                       .activation_bytes = n * d * s->activation_bytes};
  case CELSLM_OP_NORM:
    return (celslm_op){
        .kind = kind, .rows = n, .activation_bytes = 2 * n * d * s->activation_bytes};
  case CELSLM_OP_QKV:
    return product(s, kind, n, d, (H + 2 * K) * h);
  case CELSLM_OP_OUTPUT:
    return product(s, kind, n, H * h, d);
  case CELSLM_OP_MLP_IN:
    return product(s, kind, n, d, m->gated ? 2 * f : f);
  case CELSLM_OP_MLP_OUT:
    return product(s, kind, n, f, d);
  case CELSLM_OP_HEAD:
    return product(s, kind, n, d, (double)m->vocabulary);
  case CELSLM_OP_ROPE:
    return small(s, kind, n, m->absolute_positions ? 0 : (H + K) * h, 3, 2);
  case CELSLM_OP_GATE:
    return small(s, kind, n, m->gated ? f : 0, 4, 3);
  case CELSLM_OP_RESIDUAL:
    return small(s, kind, n, d, 1, 3);
  default:
    return (celslm_op){.kind = kind};
  }
}

celslm_op celslm_op_prefill(const celslm_shape *s, double c, double p) {
  const celslm_model *m = s->model;
  double h = (double)m->head_dim, H = (double)m->heads, K = (double)m->kv_heads;
  return (celslm_op){.kind = CELSLM_OP_PREFILL,
                     .rows = c,
                     .flops = 4 * H * h * (c * p + c * (c + 1) / 2),
                     .activation_bytes = 2 * H * h * c * s->activation_bytes,
                     .kv_bytes = 2 * K * h * s->kv_bytes * (p + 2 * c)};
}

celslm_op celslm_op_decode(const celslm_shape *s, double n, double attended, double read) {
  const celslm_model *m = s->model;
  double h = (double)m->head_dim, H = (double)m->heads, K = (double)m->kv_heads;
  return (celslm_op){.kind = CELSLM_OP_DECODE,
                     .rows = n,
                     .flops = 4 * H * h * attended,
                     .activation_bytes = 2 * H * h * n * s->activation_bytes,
                     .kv_bytes = 2 * K * h * s->kv_bytes * (read + n)};
}

double celslm_kv_bytes_per_token(const celslm_shape *s) {
  const celslm_model *m = s->model;
  return 2.0 * (double)(m->layers * m->kv_heads * m->head_dim) * s->kv_bytes;
}

double celslm_linear_parameters(const celslm_model *m) {
  double d = (double)m->hidden, h = (double)m->head_dim, H = (double)m->heads,
         K = (double)m->kv_heads;
  return (double)m->layers *
         (d * (H + 2 * K) * h + H * h * d + (m->gated ? 3 : 2) * d * (double)m->ffn);
}
