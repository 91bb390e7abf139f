/* price.c - what the batch just formed costs, by the op list of its very sequences: a constant
 * part, and decode attention as the two lines of its roofline (ramp.h). */
#include "serve/state.h"

#include <math.h>

static int64_t to_ticks(double seconds) {
  return llround(seconds * 1e9 * 0x1p20);
}

static int64_t layer_ticks(celslm_engine *e, int64_t tokens) {
  int64_t *t = &e->ticks.layer[tokens];
  if (*t < 0) *t = to_ticks(celslm_cost_layer(&e->cost, (double)tokens));
  return *t;
}

/* Ticks of all layers. Pieces of contexts that no memory holds are cut short of overflow. */
static int64_t all_layers(const celslm_engine *e, double seconds) {
  const double longest = 8000; /* s; 2^63 ticks are 8796 s */
  return e->layers * to_ticks(fmin(seconds, longest / (double)e->layers));
}

/* The pieces of so many sequences. */
static const decode_piece *decode_ticks(celslm_engine *e, int64_t sequences) {
  decode_piece *pieces = e->ticks.decode[sequences];
  if (pieces) return pieces;
  pieces = celslm_alloc((unsigned long)e->ticks.pieces, sizeof *pieces);
  for (int i = 0; i < e->ticks.pieces; i++) {
    celslm_decode_cost c = celslm_cost_decode(&e->cost, (double)sequences, i);
    pieces[i].from = (int64_t)c.from;
    pieces[i].ramp = (celslm_ramp){0, all_layers(e, c.compute), all_layers(e, c.flop_slope),
                                   all_layers(e, c.memory), all_layers(e, c.byte_slope)};
  }
  return e->ticks.decode[sequences] = pieces;
}

/* The last piece that begins at or before so many tokens read. */
static int piece_of(const celslm_engine *e, const decode_piece *pieces, int64_t read) {
  int low = 0, high = e->ticks.pieces - 1;
  while (low < high) {
    int middle = (low + high + 1) / 2;
    if (pieces[middle].from <= read)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

int64_t celslm_steps_of_one_price(celslm_engine *e) {
  if (e->fixed >= 0) return INT64_MAX;
  const decode_piece *pieces = decode_ticks(e, e->decodes);
  int i = piece_of(e, pieces, e->read);
  if (i == e->ticks.pieces - 1) return INT64_MAX;
  return (pieces[i + 1].from - 1 - e->read) / e->decodes + 1;
}

/* Layers are priced by how many tokens pass through each: prefills in the lane span only some. */
static int64_t dense_layers(celslm_engine *e) {
  if (!e->partial) { /* all members span all layers */
    int64_t tokens = e->decodes + e->batch_tokens;
    return e->layers * layer_ticks(e, tokens);
  }
  int64_t total = 0;
  for (int64_t layer = 0, next; layer < e->layers; layer = next) {
    int64_t tokens = e->decodes;
    next = e->layers;
    for (celslm_job *j = e->prefill_first; j; j = j->prefill_after) {
      if (j->layer <= layer && layer < j->until) tokens += j->chunk;
      if (j->layer > layer && j->layer < next) next = j->layer;
      if (j->until > layer && j->until < next) next = j->until;
    }
    total += (next - layer) * layer_ticks(e, tokens);
  }
  return total;
}

void celslm_batch_price(celslm_engine *e, const celslm_batch *b) {
  e->ramp = (celslm_ramp){0};
  if (e->fixed >= 0) {
    e->ramp.base = e->fixed;
    return;
  }
  int64_t outputs = e->decodes + b->outputs, begun = e->decodes + b->tokens, base = dense_layers(e);
  /* A pass that goes on from layer to layer as they arrive is one pass: it pays the step's overhead
   * once. */
  if (e->decodes + b->begun > 0)
    base += e->ticks.step + (e->decodes + b->begun) * e->ticks.sequence;
  int64_t *embed = &e->ticks.embed[begun], *head = &e->ticks.head[outputs];
  if (*embed < 0) *embed = to_ticks(celslm_cost_embed(&e->cost, (double)begun));
  if (*head < 0) *head = to_ticks(celslm_cost_head(&e->cost, (double)outputs));
  base += *embed + *head;
  if (b->members)
    for (celslm_job *j = e->prefill_first; j; j = j->prefill_after)
      if (j->until > j->layer) {
        double past = (double)(j->computed + (j->shared ? j->shared->tokens : 0));
        base += (j->until - j->layer) * to_ticks(celslm_cost_prefill(&e->cost, j->chunk, past));
      }
  e->ramp.base = base;
  if (e->decodes) {
    const decode_piece *pieces = decode_ticks(e, e->decodes),
                       *piece = &pieces[piece_of(e, pieces, e->read)];
    const celslm_ramp *r = &piece->ramp;
    e->ramp.compute = r->compute + r->compute_slope * e->attended;
    e->ramp.memory = r->memory + r->memory_slope * (e->read - piece->from);
    e->ramp.compute_slope = r->compute_slope * e->decodes;
    e->ramp.memory_slope = r->memory_slope * e->decodes;
  }
}
