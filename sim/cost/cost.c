#include "cost/cost.h"

#include <math.h>
#include <stddef.h>

bool celslm_cost_init(celslm_cost *c, const celslm_profile *profile, const celslm_model *model,
                      celslm_dtype weights, celslm_dtype kv, double step_overhead,
                      double sequence_overhead, celslm_error *err) {
  /* Low-bit weights are expanded on the fly: they save bytes, and compute runs at 16 bits. */
  celslm_dtype compute = weights == CELSLM_INT4 ? CELSLM_F16 : weights;
  double peak = profile->peak[compute], base = profile->peak[profile->curve_dtype];
  if (isnan(peak))
    return celslm_fail(err, profile->file, 0,
                       "the device gives no peak for %s; add one or choose another precision",
                       celslm_dtype_name(compute));
  c->shape = celslm_shape_of(model, weights, kv);
  c->profile = profile;
  for (int k = 0; k < CELSLM_CURVES; k++) {
    c->curves[k] = profile->curves[k];
    if (k == CELSLM_CURVE_GEMM)
      c->curves[k].flop_rate *= peak / base; /* attention stays at 16 bits */
  }
  const celslm_weight_format *format =
      weights == CELSLM_INT4 || weights == CELSLM_INT8
          ? celslm_profile_format(profile, celslm_dtype_name(weights))
          : NULL;
  if (format) { /* its kernels are slower than those of the curves */
    c->curves[CELSLM_CURVE_GEMM].flop_rate *= format->flop_share;
    c->curves[CELSLM_CURVE_GEMM].byte_rate *= format->byte_share;
  }
  c->step = isnan(step_overhead) ? profile->step_overhead : step_overhead;
  c->sequence = isnan(sequence_overhead) ? profile->sequence_overhead : sequence_overhead;
  c->layer = profile->layer_overhead;
  c->reduce_latency = c->reduce_byte = 0;
  return true;
}

static int64_t share_of(int64_t n, int parts) {
  return (n + parts - 1) / parts;
}

void celslm_cost_split(celslm_cost *c, int n, double bandwidth, double latency) {
  if (n <= 1) return;
  const celslm_model *whole = c->shape.model;
  c->shard = *whole;
  c->shard.heads = share_of(whole->heads, n);
  c->shard.kv_heads = share_of(whole->kv_heads, n);
  c->shard.ffn = share_of(whole->ffn, n);
  c->shard.vocabulary = share_of(whole->vocabulary, n);
  c->shape.model = &c->shard;
  double token = (double)whole->hidden * c->shape.activation_bytes;
  c->reduce_latency = 2 * 2 * (n - 1) * latency;
  c->reduce_byte = 2 * 2 * (n - 1) * token / (n * bandwidth);
}

/* What few rows cost on the compute side, at least 1. */
static double few_rows(const celslm_curve *k, double rows) {
  double r = k->half_rows / rows;
  return k->rows_sharpness > 1 ? pow(1 + pow(r, k->rows_sharpness), 1 / k->rows_sharpness) : 1 + r;
}

double celslm_curve_time(const celslm_curve *k, double flops, double bytes, double rows) {
  double compute = flops > 0 ? flops * few_rows(k, rows) / k->flop_rate : 0;
  double memory = bytes / k->byte_rate, most = fmax(compute, memory);
  if (k->sharpness > 0 && most > 0)
    most *= pow(1 + pow(fmin(compute, memory) / most, k->sharpness), 1 / k->sharpness);
  return k->latency + most;
}

double celslm_cost_op(const celslm_cost *c, const celslm_op *op) {
  return celslm_curve_time(&c->curves[celslm_op_curve(op->kind)], op->flops,
                           op->weight_bytes + op->activation_bytes + op->kv_bytes, op->rows);
}

static double dense(const celslm_cost *c, celslm_op_kind kind, double n) {
  celslm_op op = celslm_op_dense(&c->shape, kind, n);
  return celslm_cost_op(c, &op);
}

double celslm_cost_layer(const celslm_cost *c, double n) {
  if (n <= 0) return 0;
  return c->layer + c->reduce_latency + n * c->reduce_byte + 2 * dense(c, CELSLM_OP_NORM, n) +
         dense(c, CELSLM_OP_QKV, n) + dense(c, CELSLM_OP_OUTPUT, n) +
         dense(c, CELSLM_OP_MLP_IN, n) + dense(c, CELSLM_OP_MLP_OUT, n);
}

double celslm_cost_embed(const celslm_cost *c, double n) {
  return n > 0 ? dense(c, CELSLM_OP_EMBED, n) : 0;
}

double celslm_cost_head(const celslm_cost *c, double n) {
  return n > 0 ? dense(c, CELSLM_OP_NORM, n) + dense(c, CELSLM_OP_HEAD, n) : 0;
}

double celslm_cost_prefill(const celslm_cost *c, double new_tokens, double past) {
  celslm_op op = celslm_op_prefill(&c->shape, new_tokens, past);
  return celslm_cost_op(c, &op);
}

celslm_decode_cost celslm_cost_decode(const celslm_cost *c, double n) {
  const celslm_curve *k = &c->curves[CELSLM_CURVE_DECODE];
  celslm_op none = celslm_op_decode(&c->shape, n, 0, 0), one = celslm_op_decode(&c->shape, n, 1, 1);
  double rows = few_rows(k, n);
  return (celslm_decode_cost){
      .compute = k->latency,
      .flop_slope = one.flops * rows / k->flop_rate,
      .memory = k->latency + (none.kv_bytes + none.activation_bytes) / k->byte_rate,
      .byte_slope = (one.kv_bytes - none.kv_bytes) / k->byte_rate,
  };
}

double celslm_cost_prefill_pass(const celslm_cost *c, double tokens, double past) {
  double layers = (double)c->shape.model->layers;
  return c->step + c->sequence + celslm_cost_embed(c, tokens) + celslm_cost_head(c, 1) +
         layers * (celslm_cost_layer(c, tokens) + celslm_cost_prefill(c, tokens, past));
}
