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
  bool wide = celslm_dtype_bytes(weights) == CELSLM_TABLE_ELEMENT &&
              celslm_dtype_bytes(kv) == CELSLM_TABLE_ELEMENT;
  c->table = wide ? profile->table : NULL;
  c->peak = peak;
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

/* `few`: few_rows of its rows, which ops of one pass share. */
static double curve_time(const celslm_curve *k, double flops, double bytes, double few) {
  double compute = flops > 0 ? flops * few / k->flop_rate : 0;
  double memory = bytes / k->byte_rate, most = fmax(compute, memory);
  if (k->sharpness > 0 && most > 0)
    most *= pow(1 + pow(fmin(compute, memory) / most, k->sharpness), 1 / k->sharpness);
  return k->latency + most;
}

double celslm_curve_time(const celslm_curve *k, double flops, double bytes, double rows) {
  return curve_time(k, flops, bytes, flops > 0 ? few_rows(k, rows) : 1);
}

double celslm_curve_append(const celslm_curve *k, double bytes) {
  return k->append_rate > 0 ? bytes / k->append_rate : 0;
}

/* Of one layer's new keys and values. */
static double append_time(const celslm_cost *c, celslm_curve_kind kind, double tokens) {
  const celslm_model *m = c->shape.model;
  double width = 2 * (double)(m->kv_heads * m->head_dim);
  return celslm_curve_append(&c->curves[kind], tokens * width * c->shape.kv_bytes);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static bool in_table(const celslm_cost *c, celslm_table_kind k) {
  return c->table && celslm_table_has(c->table, k);
}

/* So many heads of the table's size have the elements of these. */
static double table_heads(const celslm_cost *c, int64_t heads) {
  return (double)(heads * c->shape.model->head_dim) / CELSLM_TABLE_HEAD_SIZE;
}

static double table_decode(const celslm_cost *c, double sequences, double read) {
  const celslm_model *m = c->shape.model;
  return celslm_table_decode(c->table, sequences, read / sequences, table_heads(c, m->heads),
                             table_heads(c, m->kv_heads));
}

/* Tokens of the prompt from the start whose causal attention has this op's FLOPs. */
static double table_prefill(const celslm_cost *c, const celslm_op *op) {
  const celslm_model *m = c->shape.model;
  double pairs = op->flops / (4 * (double)(m->heads * m->head_dim));
  return celslm_table_prefill(c->table, 1, (sqrt(8 * pairs + 1) - 1) / 2, table_heads(c, m->heads),
                              table_heads(c, m->kv_heads));
}

/* Columns of a product's matrix and its inner size: NaN for what is none. */
static double table_product(const celslm_cost *c, const celslm_op *op) {
  const celslm_model *m = c->shape.model;
  double in, out, elements = op->flops / (2 * op->rows);
  switch (op->kind) {
  case CELSLM_OP_QKV:
  case CELSLM_OP_MLP_IN:
  case CELSLM_OP_HEAD:
    in = (double)m->hidden;
    out = elements / in;
    break;
  default: /* output, mlp out */
    out = (double)m->hidden;
    in = elements / out;
  }
  return celslm_table_gemm(c->table, op->rows, out, in);
}

double celslm_cost_op(const celslm_cost *c, const celslm_op *op) {
  celslm_curve_kind kind = celslm_op_curve(op->kind);
  double bytes = op->weight_bytes + op->activation_bytes + op->kv_bytes, t = NAN, peak = c->peak;
  if (op->rows > 0 && kind == CELSLM_CURVE_GEMM && in_table(c, CELSLM_TABLE_GEMM))
    t = table_product(c, op);
  else if (kind == CELSLM_CURVE_PREFILL && in_table(c, CELSLM_TABLE_PREFILL))
    t = table_prefill(c, op);
  else if (kind == CELSLM_CURVE_DECODE && in_table(c, CELSLM_TABLE_DECODE)) {
    const celslm_model *m = c->shape.model;
    double pair = (double)(m->heads * m->head_dim), kv = (double)(m->kv_heads * m->head_dim);
    t = celslm_cost_decode_seconds(c, op->rows, op->flops / (4 * pair),
                                   op->kv_bytes / (2 * kv * c->shape.kv_bytes) - op->rows);
  }
  if (isnan(t))
    return celslm_curve_time(&c->curves[kind], op->flops, bytes, op->rows) +
           append_time(c, kind, op->rows);
  return fmax(t, fmax(op->flops / peak, bytes / c->profile->bandwidth));
}

static double dense(const celslm_cost *c, celslm_op_kind kind, double n) {
  celslm_op op = celslm_op_dense(&c->shape, kind, n);
  return celslm_cost_op(c, &op);
}

static double product(const celslm_cost *c, celslm_op_kind kind, double n, double few) {
  celslm_op op = celslm_op_dense(&c->shape, kind, n);
  if (c->table) return celslm_cost_op(c, &op);
  return curve_time(&c->curves[CELSLM_CURVE_GEMM], op.flops,
                    op.weight_bytes + op.activation_bytes + op.kv_bytes, few);
}

/* The small operations of a layer, those that the profile tells apart. */
static double small_ops(const celslm_cost *c, double n) {
  static const celslm_op_kind ops[] = {CELSLM_OP_ROPE, CELSLM_OP_GATE, CELSLM_OP_RESIDUAL};
  static const int times[] = {1, 1, 2};
  const celslm_curve *k = &c->curves[CELSLM_CURVE_ELEMENTWISE];
  double seconds = 0;
  for (int i = 0; i < CELSLM_SMALL_OPS; i++) {
    if (c->profile->small[i] == CELSLM_SMALL_WITHIN) continue;
    bool fused = c->profile->small[i] == CELSLM_SMALL_FUSED;
    celslm_op op = (fused ? celslm_op_fused : celslm_op_dense)(&c->shape, ops[i], n);
    if (op.flops > 0) seconds += times[i] * (celslm_cost_op(c, &op) - (fused ? k->latency : 0));
  }
  return seconds;
}

double celslm_cost_layer(const celslm_cost *c, double n) {
  if (n <= 0) return 0;
  double few = few_rows(&c->curves[CELSLM_CURVE_GEMM], n);
  return c->layer + c->reduce_latency + n * c->reduce_byte + 2 * dense(c, CELSLM_OP_NORM, n) +
         product(c, CELSLM_OP_QKV, n, few) + product(c, CELSLM_OP_OUTPUT, n, few) +
         product(c, CELSLM_OP_MLP_IN, n, few) + product(c, CELSLM_OP_MLP_OUT, n, few) +
         small_ops(c, n);
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

/* Contexts beyond a table's last at which a new piece begins, each twice the one before. */
enum { DOUBLINGS = 24 };

int celslm_cost_decode_pieces(const celslm_cost *c) {
  if (!in_table(c, CELSLM_TABLE_DECODE)) return 1;
  return 1 + c->table->grids[CELSLM_TABLE_DECODE].n_places + DOUBLINGS;
}

/* Where piece i of n sequences begins. */
static double piece_begins(const celslm_cost *c, double n, int i) {
  const celslm_grid *g = &c->table->grids[CELSLM_TABLE_DECODE];
  if (i == 0) return 0;
  if (i <= g->n_places) return ceil(g->places[i - 1] * n);
  return ceil(ldexp(g->places[g->n_places - 1], i - g->n_places) * n);
}

celslm_decode_cost celslm_cost_decode(const celslm_cost *c, double n, int piece) {
  const celslm_curve *k = &c->curves[CELSLM_CURVE_DECODE];
  celslm_op none = celslm_op_decode(&c->shape, n, 0, 0), one = celslm_op_decode(&c->shape, n, 1, 1);
  double read = one.kv_bytes - none.kv_bytes, other = none.kv_bytes + none.activation_bytes;
  double begin = k->latency + append_time(c, CELSLM_CURVE_DECODE, n);
  if (!in_table(c, CELSLM_TABLE_DECODE))
    return (celslm_decode_cost){
        .compute = begin,
        .flop_slope = one.flops * few_rows(k, n) / k->flop_rate,
        .memory = begin + other / k->byte_rate,
        .byte_slope = read / k->byte_rate,
    };
  double from = piece_begins(c, n, piece), to = piece_begins(c, n, piece + 1), at[2];
  for (int i = 0; i < 2; i++) {
    double tokens = i ? to : from;
    at[i] = fmax(table_decode(c, n, tokens), (other + read * tokens) / c->profile->bandwidth);
  }
  return (celslm_decode_cost){.from = from,
                              .flop_slope = one.flops / c->profile->peak[c->profile->curve_dtype],
                              .memory = at[0],
                              .byte_slope = to > from ? fmax(0, at[1] - at[0]) / (to - from) : 0};
}

double celslm_cost_decode_seconds(const celslm_cost *c, double n, double attended, double read) {
  int low = 0, high = celslm_cost_decode_pieces(c) - 1;
  while (low < high) { /* the last piece that begins at or before */
    int middle = (low + high + 1) / 2;
    if (piece_begins(c, n, middle) <= read)
      low = middle;
    else
      high = middle - 1;
  }
  celslm_decode_cost d = celslm_cost_decode(c, n, low);
  return fmax(d.compute + d.flop_slope * attended, d.memory + d.byte_slope * (read - d.from));
}

double celslm_cost_prefill_pass(const celslm_cost *c, double tokens, double past) {
  double layers = (double)c->shape.model->layers;
  return c->step + c->sequence + celslm_cost_embed(c, tokens) + celslm_cost_head(c, 1) +
         layers * (celslm_cost_layer(c, tokens) + celslm_cost_prefill(c, tokens, past));
}

double celslm_coding_seconds(const celslm_profile *p, const char *codec, bool decode, double plain,
                             double coded) {
  const celslm_codec_cost *c = celslm_profile_codec(p, codec);
  if (!c) return (plain + coded) / p->bandwidth;
  return c->overhead + plain / (decode ? c->decode : c->encode);
}
