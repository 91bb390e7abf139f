/* price.c - what the batch just formed costs, by the op list of its very sequences: a constant
 * part, and decode attention as the two lines of its roofline (ramp.h). */
#include "serve/state.h"

#include <math.h>

static int64_t to_ticks(double seconds) {
  return llround(seconds * 1e9 * 0x1p20);
}

static int64_t layer_ticks(pricing *p, int64_t tokens) {
  int64_t *t = &p->ticks.layer[tokens];
  if (*t < 0) *t = to_ticks(celslm_cost_layer(&p->cost, (double)tokens));
  return *t;
}

/* Ticks of all layers. Pieces of contexts that no memory holds are cut short of overflow. */
static int64_t all_layers(const pricing *p, double seconds) {
  const double longest = 8000; /* s; 2^63 ticks are 8796 s */
  return p->layers * to_ticks(fmin(seconds, longest / (double)p->layers));
}

/* The pieces of so many sequences. */
static const decode_piece *decode_ticks(pricing *p, int64_t sequences) {
  decode_piece *pieces = p->ticks.decode[sequences];
  if (pieces) return pieces;
  pieces = celslm_alloc((unsigned long)p->ticks.pieces, sizeof *pieces);
  for (int i = 0; i < p->ticks.pieces; i++) {
    celslm_decode_cost c = celslm_cost_decode(&p->cost, (double)sequences, i);
    pieces[i].from = (int64_t)c.from;
    pieces[i].ramp = (celslm_ramp){0, all_layers(p, c.compute), all_layers(p, c.flop_slope),
                                   all_layers(p, c.memory), all_layers(p, c.byte_slope)};
  }
  return p->ticks.decode[sequences] = pieces;
}

/* The last piece that begins at or before so many tokens read. */
static int piece_of(const pricing *p, const decode_piece *pieces, int64_t read) {
  int low = 0, high = p->ticks.pieces - 1;
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
  pricing *p = &e->stages[0]; /* of a pipeline nobody asks: its engines step */
  const decode_piece *pieces = decode_ticks(p, e->decodes);
  int i = piece_of(p, pieces, e->read);
  if (i == p->ticks.pieces - 1) return INT64_MAX;
  return (pieces[i + 1].from - 1 - e->read) / e->decodes + 1;
}

/* Layers are priced by how many tokens pass through each: prefills in the lane span only some. */
static int64_t dense_layers(const celslm_engine *e, pricing *p) {
  if (!e->partial) { /* all members span all layers */
    int64_t tokens = e->decodes + e->batch_tokens;
    return p->layers * layer_ticks(p, tokens);
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
    total += (next - layer) * layer_ticks(p, tokens);
  }
  return total;
}

/* Embedding, head, and overheads: a pass that goes on from layer to layer as they arrive is one
 * pass, it pays the step's overhead once. */
static int64_t around_layers(const celslm_engine *e, pricing *p, const celslm_batch *b) {
  int64_t outputs = e->decodes + b->outputs, begun = e->decodes + b->tokens, ticks = 0;
  int64_t *embed = &p->ticks.embed[begun], *head = &p->ticks.head[outputs];
  if (*embed < 0) *embed = to_ticks(celslm_cost_embed(&p->cost, (double)begun));
  if (*head < 0) *head = to_ticks(celslm_cost_head(&p->cost, (double)outputs));
  if (p->first && e->decodes + b->begun > 0)
    ticks += p->ticks.step + (e->decodes + b->begun) * p->ticks.sequence;
  if (p->first) ticks += *embed;
  if (p->last) ticks += *head;
  return ticks;
}

static celslm_ramp price(const celslm_engine *e, pricing *p, const celslm_batch *b) {
  celslm_ramp ramp = {.base = dense_layers(e, p) + around_layers(e, p, b)};
  if (b->members)
    for (const celslm_job *j = e->prefill_first; j; j = j->prefill_after)
      if (j->until > j->layer) {
        double past = (double)(j->computed + (j->shared ? j->shared->tokens : 0));
        int64_t layers = e->n_stages > 1 ? p->layers : j->until - j->layer;
        ramp.base += layers * to_ticks(celslm_cost_prefill(&p->cost, j->chunk, past));
      }
  if (e->decodes) {
    const decode_piece *pieces = decode_ticks(p, e->decodes),
                       *piece = &pieces[piece_of(p, pieces, e->read)];
    const celslm_ramp *r = &piece->ramp;
    ramp.compute = r->compute + r->compute_slope * e->attended;
    ramp.memory = r->memory + r->memory_slope * (e->read - piece->from);
    ramp.compute_slope = r->compute_slope * e->decodes;
    ramp.memory_slope = r->memory_slope * e->decodes;
  }
  return ramp;
}

void celslm_batch_price(celslm_engine *e, const celslm_batch *b) {
  if (e->n_stages == 1) {
    e->ramp = e->fixed >= 0 ? (celslm_ramp){.base = e->fixed} : price(e, &e->stages[0], b);
    return;
  }
  e->ramp = (celslm_ramp){0}; /* known when it has passed */
  for (int k = 0; k < e->n_stages; k++) {
    celslm_ramp ramp = price(e, &e->stages[k], b);
    e->stage_ticks[k] = e->fixed >= 0 ? e->fixed / e->n_stages : celslm_ramp_at(&ramp, 0);
  }
}
