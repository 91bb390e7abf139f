/* pricing.h - the inside of prices.h, for the engine: the prices of one stage. */
#ifndef CELSLM_SERVE_PRICING_H
#define CELSLM_SERVE_PRICING_H

#include "cost/cost.h"
#include "scenario/scenario.h"
#include "serve/prices.h"
#include "serve/ramp.h"

/* Decode attention of all layers while `from` <= tokens read < the next piece's (cost.h): the lines
 * at 0 tokens attended and `from` tokens read, slopes per token. */
typedef struct decode_piece {
  int64_t from;
  celslm_ramp ramp;
} decode_piece;

typedef struct prefill_price {
  int64_t key, ticks; /* key: past and tokens; 0 ticks: empty */
} prefill_price;

/* What makes two stages alike. Compared byte by byte: zeroed before it is filled. */
typedef struct pricing_key {
  const celslm_profile *profile;
  const celslm_model *model;
  double step_overhead, sequence_overhead, bandwidth, latency;
  int64_t layers, budget, seqs;
  int32_t weights, kv, parallel, first, last;
} pricing_key;

/* What a host that computes `layers` layers takes for them. */
typedef struct pricing {
  pricing_key key;
  celslm_cost cost;
  int64_t layers;
  bool first, last; /* embeds and pays the step's overhead; computes the head */
  int64_t step, sequence;
  /* one layer or one pass; 0: not known yet, or so small that it may be computed again */
  int64_t *layer;         /* [tokens] one layer's dense ops */
  int64_t *embed;         /* [tokens] */
  int64_t *head;          /* [outputs] at most one of each token */
  decode_piece **decode;  /* [sequences][pieces] attention of all layers; NULL: not yet */
  prefill_price *prefill; /* of one layer's attention: the last of each hash */
  int pieces;
  struct pricing *next;
} pricing;

/* The prices of a stage of an engine. They belong to `all`. NULL on failure. */
pricing *celslm_pricing_of(celslm_prices *all, const celslm_scenario *s,
                           const celslm_engine_config *c, int stage, celslm_error *err);

int64_t celslm_price_layer(pricing *p, int64_t tokens);
int64_t celslm_price_embed(pricing *p, int64_t tokens);
int64_t celslm_price_head(pricing *p, int64_t outputs);
/* One layer's attention of a chunk that follows `past` tokens. */
int64_t celslm_price_prefill(pricing *p, int64_t tokens, int64_t past);
/* The pieces of so many sequences, and the last that begins at or before so many tokens read. */
const decode_piece *celslm_price_decode(pricing *p, int64_t sequences, int64_t read);
bool celslm_price_is_last(const pricing *p, int64_t sequences, const decode_piece *piece);

#endif
