/* rates.c - published rates from a profile's costs (see rates.h). */
#include "cost/rates.h"

#include "cost/cost.h"
#include "cost/curves.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const double server_prompt = 512, usual_output = 128; /* where not published */
static const double usable = 0.9;     /* share of memory for weights and KV, vLLM's default */
static const double most_seqs = 256;  /* of a saturated server, vLLM's default */
static const double pipelined = 0.75; /* share of a prompt's time that a layer split overlaps */

typedef struct setup {
  const celslm_profile *p;
  celslm_model shard; /* of one device */
  celslm_cost cost, head;
  double layers, hidden, tp, stages;
  double weights; /* B on one device */
} setup;

static bool is_sixteen_bit(double bits) {
  return bits == 16;
}

/* Shares of the gemm rates that the format's kernels reach: its own, or those of the nearest one.
 */
static void shares(const celslm_profile *p, const char *dtype, double bits, double *byte_share,
                   double *flop_share) {
  const celslm_weight_format *f = celslm_profile_format(p, dtype);
  *byte_share = *flop_share = 1;
  if (!f && is_sixteen_bit(bits)) return;
  double nearest = 16 / bits; /* another one must be nearer than the curves themselves */
  for (int i = 0; !f && i < p->n_formats; i++) {
    double distance = fmax(p->formats[i].bits / bits, bits / p->formats[i].bits);
    if (distance >= nearest) continue;
    nearest = distance;
    *byte_share = p->formats[i].byte_share;
    *flop_share = p->formats[i].flop_share;
  }
  if (f) {
    *byte_share = f->byte_share;
    *flop_share = f->flop_share;
  }
}

static bool prepare(setup *s, const celslm_profile *p, const celslm_row *row,
                    const celslm_model *model, celslm_error *err) {
  double bits, head_bits, byte_share, flop_share;
  if (!celslm_format_bits(row->dtype, &bits, &head_bits))
    return celslm_fail(err, NULL, 0, "the format \"%s\" is not known", row->dtype);
  const celslm_weight_format *own = celslm_profile_format(p, row->dtype);
  if (own) {
    bits = own->bits;
    head_bits = own->head_bits;
  }
  bool fp8 = strcasestr(row->dtype, "fp8") != NULL;
  celslm_dtype compute = fp8                          ? CELSLM_FP8
                         : bits > 16                  ? CELSLM_F32
                         : isnan(p->peak[CELSLM_F16]) ? CELSLM_BF16
                                                      : CELSLM_F16;
  *s = (setup){.p = p, .shard = *model, .tp = row->tp, .stages = row->count / row->tp};
  s->layers = (double)model->layers;
  s->hidden = (double)model->hidden;
  int64_t tp = (int64_t)row->tp;
  s->shard.heads = (model->heads + tp - 1) / tp;
  s->shard.kv_heads = (model->kv_heads + tp - 1) / tp;
  s->shard.ffn = (model->ffn + tp - 1) / tp;
  s->shard.vocabulary = (model->vocabulary + tp - 1) / tp;
  if (!celslm_cost_init(&s->cost, p, &s->shard, compute, fp8 ? CELSLM_FP8 : CELSLM_F16, NAN, NAN,
                        err))
    return false;
  shares(p, row->dtype, bits, &byte_share, &flop_share);
  if (bits != 16) s->cost.table = NULL; /* 16-bit kernels computed it, but not on these weights */
  s->cost.shape.activation_bytes = bits > 16 ? 4 : 2;
  s->cost.curves[CELSLM_CURVE_GEMM].byte_rate *= byte_share;
  s->cost.curves[CELSLM_CURVE_GEMM].flop_rate *= flop_share;
  s->head = s->cost;
  s->cost.shape.weight_bytes = bits / 8;
  s->head.shape.weight_bytes = head_bits / 8;
  double head = s->hidden * (double)s->shard.vocabulary;
  s->weights = (celslm_linear_parameters(&s->shard) * bits + 2 * head * head_bits) / 8;
  return true;
}

/* Two per layer, of n tokens. */
static double exchange(const setup *s, double n) {
  const celslm_profile *p = s->p;
  if (s->tp <= 1) return 0;
  double bytes = n * s->hidden * s->cost.shape.activation_bytes;
  if (isnan(p->link_rate)) return s->layers * 2 * bytes / p->bandwidth; /* not known: its memory */
  return s->layers * 2 *
         celslm_allreduce_time(p->link_start, p->link_latency, p->link_rate, s->tp, bytes);
}

static double step_time(const setup *s, double batch, double context) {
  const celslm_cost *c = &s->cost;
  double tokens = batch * context;
  double attention = celslm_cost_decode_seconds(c, batch, tokens, tokens);
  return c->step + batch * c->sequence + celslm_cost_embed(c, batch) +
         s->layers * (celslm_cost_layer(c, batch) + attention) + celslm_cost_head(&s->head, batch) +
         exchange(s, batch);
}

/* Of one prompt among `batch` that are computed together. */
static double prompt_time(const setup *s, double tokens, double batch) {
  const celslm_cost *c = &s->cost;
  double most = s->p->chunk > 0 ? s->p->chunk : tokens, sum = 0, passes = 0;
  for (double past = 0; past < tokens; past += most, passes++) {
    double n = fmin(most, tokens - past), all = n * batch;
    double together = most > n ? fmin(all, fmax(most, n)) : n; /* rows in one product */
    double split = all / together;                             /* passes for the batch */
    sum += split * (c->step + s->layers * celslm_cost_layer(c, together) + exchange(s, together)) +
           batch * (c->sequence + s->layers * celslm_cost_prefill(c, n, past));
  }
  sum += celslm_cost_embed(c, tokens * batch) + celslm_cost_head(&s->head, batch);
  double overlap =
      passes / (passes + s->stages - 1) * s->stages; /* how much faster a pipeline is */
  if (s->stages > 1) sum *= 1 - pipelined + pipelined / overlap;
  return sum / batch;
}

/* Power of one device at a decode step of this time. */
static double power_of(const setup *s, double batch, double context, double seconds) {
  const celslm_profile *p = s->p;
  if (isnan(p->power_memory)) return NAN;
  double flops =
      2 * batch * (celslm_linear_parameters(&s->shard) + s->hidden * (double)s->shard.vocabulary);
  double bytes = s->weights + batch * context * celslm_kv_bytes_per_token(&s->cost.shape);
  double b = bytes / seconds / p->bandwidth, f = flops / seconds / p->peak[CELSLM_F16];
  return p->power_idle +
         (p->power_max - p->power_idle) * fmin(1, p->power_memory * b + p->power_compute * f);
}

bool celslm_rates_predict(const celslm_profile *p, const celslm_row *row, const celslm_model *model,
                          celslm_rates *out, celslm_error *err) {
  setup s;
  *out = (celslm_rates){NAN, NAN, NAN, NAN, NAN};
  if (!prepare(&s, p, row, model, err)) return false;
  bool server = row->kind == CELSLM_ROW_LOOP || row->kind == CELSLM_ROW_TPOT;
  double P = row->prompt, N = row->output, B = row->concurrency;
  if (isnan(N) || N < 1) N = usual_output;
  if (isnan(P)) P = server ? server_prompt : 0;
  if (row->kind == CELSLM_ROW_EMPTY) P = 0;
  if (isfinite(row->prefill) || (server && P > 0)) {
    double prompt = isnan(row->prompt) ? (isnan(row->output) ? 256 : row->output) : row->prompt;
    double together = isfinite(B) ? B : 1;
    out->prefill = prompt / prompt_time(&s, prompt, together);
  }
  double room = s.p->memory * usable - s.weights;
  double held = room / (celslm_kv_bytes_per_token(&s.cost.shape) * (P + N));
  if (server) held *= (P + N) / (P + 0.75 * N); /* requests are at different ages */
  if (isinf(B)) B = fmin(most_seqs, fmax(held, 1));
  double batch = held >= 1 ? fmin(B, held) : 1, c = P + N / 2;
  double s_time = step_time(&s, batch, c), p_time = P > 0 ? prompt_time(&s, P, fmin(batch, 16)) : 0;
  out->batch = batch;
  out->context = c;
  switch (row->kind) {
  case CELSLM_ROW_E2E:
  case CELSLM_ROW_LOOP:
    out->decode = batch * N / (batch * p_time + N * s_time);
    break;
  case CELSLM_ROW_TPOT:
    out->decode = batch / (s_time + (batch - 1) * p_time / N);
    break;
  default:
    out->decode = batch / s_time;
  }
  out->power = row->tp * power_of(&s, batch, c, s_time);
  return true;
}
