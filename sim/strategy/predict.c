#include "strategy/predict.h"

#include <math.h>

/* Tokens of the context that need not be computed there. */
static double kept(const celslm_request *r, int site, bool cached) {
  if (!cached || r->context < 0) return 0;
  const celslm_entry *e = celslm_store_entry(r->system->sites[site].store, r->context);
  return e->residence == CELSLM_RESIDENT ? (double)e->shared.tokens : 0;
}

static double wire(const celslm_request *r, int from, int to, double bytes) {
  celslm_net *net = r->system->net;
  return celslm_seconds(celslm_net_latency(net, from, to)) +
         bytes / celslm_net_bandwidth(net, from, to);
}

/* A decode step of so many sequences that stand on so many tokens each. */
static double step(const celslm_cost *c, double n, double tokens) {
  return c->step + n * c->sequence + celslm_cost_embed(c, n) + celslm_cost_head(c, n) +
         (double)c->shape.model->layers *
             (celslm_cost_layer(c, n) + celslm_cost_decode_seconds(c, n, n * tokens, n * tokens));
}

double celslm_predict(const celslm_request *r, int site, bool cached) {
  const celslm_system *s = r->system;
  const celslm_engine_config *config = &s->scenario->engines[site];
  const celslm_radio_config *radio = &s->scenario->radio;
  const celslm_cost *cost = celslm_engine_cost(s->sites[site].engine);
  celslm_engine_row now;
  celslm_engine_observe(s->sites[site].engine, &now);

  double context = r->context < 0 ? 0 : (double)s->scenario->contexts[r->context].tokens;
  double past = kept(r, site, cached), fresh = r->prompt + context - past;
  double slots = (double)config->max_num_seqs, n = fmin(now.running + 1, slots);
  double output = r->demand.predicted;
  double prefill, decode;
  if (isnan(config->fixed_iteration)) {
    prefill = celslm_cost_prefill_pass(cost, fresh, past);
    decode = step(cost, n, past + fresh + output / 2);
  } else {
    prefill = config->fixed_iteration * ceil(fresh / (double)config->max_num_batched_tokens);
    decode = config->fixed_iteration;
  }
  double ahead = now.waiting, full = now.running >= slots ? ahead + 1 : 0;
  double slot = full * output * decode / slots; /* until one of a full batch is free */
  int host = s->sites[site].host, access = celslm_access_host(r);
  double up = r->prompt * radio->bytes_per_token + radio->packet_overhead;
  double down = radio->bytes_per_token + radio->packet_overhead;
  return wire(r, access, host, up) + config->client_overhead + (ahead + 1) * prefill + slot +
         (output - 1) * decode + wire(r, host, access, down);
}
