/* price.c - what the batch just formed costs, by the op list of its very sequences: a constant
 * part, and decode attention as the two lines of its roofline (ramp.h). */
#include "serve/state.h"

int64_t celslm_steps_of_one_price(celslm_engine *e) {
  if (e->fixed >= 0) return INT64_MAX;
  pricing *p = e->stages[0]; /* of a pipeline nobody asks: its engines step */
  const decode_piece *piece = celslm_price_decode(p, e->decodes, e->read);
  if (celslm_price_is_last(p, e->decodes, piece)) return INT64_MAX;
  return (piece[1].from - 1 - e->read) / e->decodes + 1;
}

/* Layers are priced by how many tokens pass through each: prefills in the lane span only some. */
static int64_t dense_layers(const celslm_engine *e, pricing *p) {
  if (!e->partial) { /* all members span all layers */
    int64_t tokens = e->decodes + e->batch_tokens;
    return p->layers * celslm_price_layer(p, tokens);
  }
  if (e->upto) return (e->upto - e->passed) * celslm_price_layer(p, e->decodes + e->batch_tokens);
  int64_t total = 0;
  for (int64_t layer = 0, next; layer < e->layers; layer = next) {
    int64_t tokens = e->decodes;
    next = e->layers;
    for (celslm_job *j = e->prefill_first; j; j = j->prefill_after) {
      if (j->layer <= layer && layer < j->until) tokens += j->chunk;
      if (j->layer > layer && j->layer < next) next = j->layer;
      if (j->until > layer && j->until < next) next = j->until;
    }
    total += (next - layer) * celslm_price_layer(p, tokens);
  }
  return total;
}

/* Embedding, head, and overheads: a pass that goes on from layer to layer as they arrive is one
 * pass, it pays the step's overhead once. */
static int64_t around_layers(const celslm_engine *e, pricing *p, const celslm_batch *b) {
  bool begins = !e->passed, ends = !e->upto || e->upto == e->layers; /* or only a part of a pass */
  int64_t ticks = 0, decodes = begins ? e->decodes : 0;
  if (p->first && decodes + b->begun > 0) ticks += p->step + (decodes + b->begun) * p->sequence;
  if (p->first) ticks += celslm_price_embed(p, decodes + b->tokens);
  if (p->last) ticks += celslm_price_head(p, (ends ? e->decodes : 0) + b->outputs);
  return ticks;
}

static celslm_ramp price(const celslm_engine *e, pricing *p, const celslm_batch *b) {
  celslm_ramp ramp = {.base = dense_layers(e, p) + around_layers(e, p, b)};
  if (b->members)
    for (const celslm_job *j = e->prefill_first; j; j = j->prefill_after)
      if (j->until > j->layer) {
        int64_t past = j->computed + (j->shared ? j->shared->tokens : 0);
        int64_t layers = e->n_stages > 1 ? p->layers : j->until - j->layer;
        ramp.base += layers * celslm_price_prefill(p, j->chunk, past);
      }
  if (e->decodes) {
    const decode_piece *piece = celslm_price_decode(p, e->decodes, e->read);
    const celslm_ramp *r = &piece->ramp;
    ramp.compute = r->compute + r->compute_slope * e->attended;
    ramp.memory = r->memory + r->memory_slope * (e->read - piece->from);
    ramp.compute_slope = r->compute_slope * e->decodes;
    ramp.memory_slope = r->memory_slope * e->decodes;
  }
  if (e->upto) { /* decode attention is of all layers, which are alike */
    int64_t attention = celslm_ramp_at(&ramp, 0) - ramp.base;
    ramp = (celslm_ramp){.base = ramp.base + attention / e->layers * (e->upto - e->passed)};
  }
  return ramp;
}

void celslm_batch_price(celslm_engine *e, const celslm_batch *b) {
  if (e->n_stages == 1) {
    int64_t part = e->upto ? e->upto - e->passed : e->layers;
    e->ramp = e->fixed >= 0 ? (celslm_ramp){.base = e->fixed * part / e->layers}
                            : price(e, e->stages[0], b);
    return;
  }
  e->ramp = (celslm_ramp){0}; /* known when it has passed */
  for (int k = 0; k < e->n_stages; k++) {
    celslm_ramp ramp = price(e, e->stages[k], b);
    e->stage_ticks[k] = e->fixed >= 0 ? e->fixed / e->n_stages : celslm_ramp_at(&ramp, 0);
  }
}
