#include "serve/pricing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFILLS = 2048 }; /* a power of two */

struct celslm_prices {
  pricing *first;
};

celslm_prices *celslm_prices_new(void) {
  return celslm_alloc(1, sizeof(celslm_prices));
}

static void free_pricing(pricing *p) {
  for (int64_t n = 0; p->decode && n <= p->key.seqs; n++) free(p->decode[n]);
  free(p->decode);
  free(p->layer);
  free(p->embed);
  free(p->head);
  free(p->prefill);
  free(p);
}

void celslm_prices_free(celslm_prices *all) {
  if (!all) return;
  for (pricing *p = all->first, *next; p; p = next) {
    next = p->next;
    free_pricing(p);
  }
  free(all);
}

static int64_t to_ticks(double seconds) {
  return llround(seconds * 1e9 * 0x1p20);
}

/* ---- one for all that are alike -------------------------------------------------------------- */

static bool fill(pricing *p, celslm_error *err) {
  const pricing_key *k = &p->key;
  if (!celslm_cost_init(&p->cost, k->profile, k->model, (celslm_dtype)k->weights,
                        (celslm_dtype)k->kv, k->step_overhead, k->sequence_overhead, err))
    return false;
  celslm_cost_split(&p->cost, k->parallel, k->bandwidth, k->latency);
  p->layers = k->layers;
  p->first = k->first;
  p->last = k->last;
  p->step = to_ticks(p->cost.step);
  p->sequence = to_ticks(p->cost.sequence);
  p->layer = celslm_alloc((unsigned long)k->budget + 1, sizeof *p->layer);
  p->embed = celslm_alloc((unsigned long)k->budget + 1, sizeof *p->embed);
  /* a prefill may want logits of many tokens */
  p->head = celslm_alloc((unsigned long)k->budget + 1, sizeof *p->head);
  p->decode = celslm_alloc((unsigned long)k->seqs + 1, sizeof *p->decode);
  p->prefill = celslm_alloc(PREFILLS, sizeof *p->prefill);
  p->pieces = celslm_cost_decode_pieces(&p->cost);
  return true;
}

pricing *celslm_pricing_of(celslm_prices *all, const celslm_scenario *s,
                           const celslm_engine_config *c, int stage, celslm_error *err) {
  const celslm_host *host = &s->platform->hosts[c->stages[stage]];
  const celslm_model *model = &s->models[c->model];
  pricing_key key;
  memset(&key, 0, sizeof key);
  key.profile = host->profile;
  key.model = model;
  key.step_overhead = c->step_overhead;
  key.sequence_overhead = c->sequence_overhead;
  key.bandwidth = host->interconnect;
  key.latency = host->interconnect_latency;
  key.layers = celslm_stage_layers(c, model->layers, stage);
  key.budget = c->max_num_batched_tokens;
  key.seqs = c->max_num_seqs;
  key.weights = c->weights;
  key.kv = c->kv;
  key.parallel = c->tensor_parallel;
  key.first = stage == 0;
  key.last = stage == c->n_stages - 1;
  for (pricing *p = all->first; p; p = p->next)
    if (memcmp(&p->key, &key, sizeof key) == 0) return p;
  pricing *p = celslm_alloc(1, sizeof *p);
  p->key = key;
  if (!fill(p, err)) {
    free_pricing(p);
    return NULL;
  }
  p->next = all->first;
  return all->first = p;
}

/* ---- prices ---------------------------------------------------------------------------------- */

int64_t celslm_price_layer(pricing *p, int64_t tokens) {
  int64_t *t = &p->layer[tokens];
  if (!*t) *t = to_ticks(celslm_cost_layer(&p->cost, (double)tokens));
  return *t;
}

int64_t celslm_price_embed(pricing *p, int64_t tokens) {
  int64_t *t = &p->embed[tokens];
  if (!*t) *t = to_ticks(celslm_cost_embed(&p->cost, (double)tokens));
  return *t;
}

int64_t celslm_price_head(pricing *p, int64_t outputs) {
  int64_t *t = &p->head[outputs];
  if (!*t) *t = to_ticks(celslm_cost_head(&p->cost, (double)outputs));
  return *t;
}

int64_t celslm_price_prefill(pricing *p, int64_t tokens, int64_t past) {
  int64_t key = past * (p->key.budget + 1) + tokens;
  prefill_price *t = &p->prefill[(key ^ key >> 16) & (PREFILLS - 1)];
  if (!t->ticks || t->key != key)
    *t =
        (prefill_price){key, to_ticks(celslm_cost_prefill(&p->cost, (double)tokens, (double)past))};
  return t->ticks;
}

/* Ticks of all layers. Pieces of contexts that no memory holds are cut short of overflow. */
static int64_t all_layers(const pricing *p, double seconds) {
  const double longest = 8000; /* s; 2^63 ticks are 8796 s */
  return p->layers * to_ticks(fmin(seconds, longest / (double)p->layers));
}

static decode_piece *fill_pieces(pricing *p, int64_t sequences) {
  decode_piece *pieces = celslm_alloc((unsigned long)p->pieces, sizeof *pieces);
  for (int i = 0; i < p->pieces; i++) {
    celslm_decode_cost c = celslm_cost_decode(&p->cost, (double)sequences, i);
    pieces[i].from = (int64_t)c.from;
    pieces[i].ramp = (celslm_ramp){0, all_layers(p, c.compute), all_layers(p, c.flop_slope),
                                   all_layers(p, c.memory), all_layers(p, c.byte_slope)};
  }
  return p->decode[sequences] = pieces;
}

const decode_piece *celslm_price_decode(pricing *p, int64_t sequences, int64_t read) {
  const decode_piece *pieces = p->decode[sequences];
  if (!pieces) pieces = fill_pieces(p, sequences);
  int low = 0, high = p->pieces - 1;
  while (low < high) {
    int middle = (low + high + 1) / 2;
    if (pieces[middle].from <= read)
      low = middle;
    else
      high = middle - 1;
  }
  return &pieces[low];
}

bool celslm_price_is_last(const pricing *p, int64_t sequences, const decode_piece *piece) {
  return piece == &p->decode[sequences][p->pieces - 1];
}
