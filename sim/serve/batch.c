/* batch.c - who is in the next iteration, and what it costs.
 *
 * celslm_batch_form follows the scheduler's rules in their order: decodes, prefills under way,
 * admissions; then prices the batch. All bookkeeping that changes with every token is kept as
 * sums over the batch, so that an iteration costs the same however many sequences decode in it. */
#include "serve/state.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- lists and the heap of decoding jobs ----------------------------------------------------- */

void celslm_list_append(job_list *l, celslm_job *j) {
  j->before = l->last;
  j->after = NULL;
  *(l->last ? &l->last->after : &l->first) = j;
  l->last = j;
  l->n++;
}

static void list_prepend(job_list *l, celslm_job *j) {
  j->after = l->first;
  j->before = NULL;
  *(l->first ? &l->first->before : &l->last) = j;
  l->first = j;
  l->n++;
}

void celslm_list_remove(job_list *l, celslm_job *j) {
  *(j->before ? &j->before->after : &l->first) = j->after;
  *(j->after ? &j->after->before : &l->last) = j->before;
  l->n--;
}

static void prefill_append(celslm_engine *e, celslm_job *j) {
  j->prefill_before = e->prefill_last;
  j->prefill_after = NULL;
  *(e->prefill_last ? &e->prefill_last->prefill_after : &e->prefill_first) = j;
  e->prefill_last = j;
}

void celslm_prefill_remove(celslm_engine *e, celslm_job *j) {
  *(j->prefill_before ? &j->prefill_before->prefill_after : &e->prefill_first) = j->prefill_after;
  *(j->prefill_after ? &j->prefill_after->prefill_before : &e->prefill_last) = j->prefill_before;
}

static bool earlier(const celslm_job *a, const celslm_job *b) {
  return a->finish != b->finish ? a->finish < b->finish : a->order < b->order;
}

static void heap_place(celslm_engine *e, int64_t at, celslm_job *j) {
  e->decoding[at] = j;
  j->slot = (uint32_t)at;
}

static void heap_up(celslm_engine *e, int64_t at, celslm_job *j) {
  for (; at > 0 && earlier(j, e->decoding[(at - 1) / 2]); at = (at - 1) / 2)
    heap_place(e, at, e->decoding[(at - 1) / 2]);
  heap_place(e, at, j);
}

static void heap_down(celslm_engine *e, int64_t at, celslm_job *j) {
  for (int64_t child; (child = 2 * at + 1) < e->decodes; at = child) {
    if (child + 1 < e->decodes && earlier(e->decoding[child + 1], e->decoding[child])) child++;
    if (!earlier(e->decoding[child], j)) break;
    heap_place(e, at, e->decoding[child]);
  }
  heap_place(e, at, j);
}

/* ---- decoding jobs: the sums ----------------------------------------------------------------- */

int64_t celslm_job_kv(const celslm_engine *e, const celslm_job *j) {
  return j->state == CELSLM_JOB_DECODE ? j->need + (e->step - j->joined) : j->computed + j->chunk;
}

static int64_t phase_of(const celslm_engine *e, int64_t kv, int64_t step) {
  int64_t p = (kv - step) % e->block;
  return p < 0 ? p + e->block : p;
}

/* Adds (sign 1) or takes away (-1) a job's share of what the next iteration attends and reads.
 * A query attends the context, the job's KV and the token it stands for itself. */
static void count_decode(celslm_engine *e, celslm_job *j, int64_t sign) {
  int64_t own = celslm_job_kv(e, j) + 1;
  e->attended += sign * own;
  e->read += sign * own;
  if (!j->shared) return;
  e->attended += sign * j->shared->tokens;
  if (sign > 0 ? j->shared->decoding++ == 0 : --j->shared->decoding == 0)
    e->read += sign * j->shared->tokens;
}

void celslm_decode_join(celslm_engine *e, celslm_job *j) {
  j->state = CELSLM_JOB_DECODE;
  j->joined = e->step;
  j->finish = e->step + (j->output - j->generated);
  e->phase[phase_of(e, j->need, e->step)]++;
  count_decode(e, j, 1);
  if (e->decodes == e->heap_size) {
    e->heap_size = e->heap_size ? 2 * e->heap_size : 64;
    e->decoding = celslm_realloc(e->decoding, (unsigned long)e->heap_size, sizeof(celslm_job *));
  }
  heap_up(e, e->decodes++, j);
}

void celslm_decode_leave(celslm_engine *e, celslm_job *j) {
  count_decode(e, j, -1);
  e->phase[phase_of(e, celslm_job_kv(e, j), e->step)]--;
  celslm_job *last = e->decoding[--e->decodes];
  if (last == j) return;
  int64_t at = j->slot;
  if (at > 0 && earlier(last, e->decoding[(at - 1) / 2]))
    heap_up(e, at, last);
  else
    heap_down(e, at, last);
}

int64_t celslm_blocks_opened(const celslm_engine *e, int64_t from, int64_t k) {
  int64_t opened = k / e->block * e->decodes;
  for (int64_t i = k - k % e->block; i < k; i++) opened += e->phase[phase_of(e, 0, from + i)];
  return opened;
}

/* How many decode steps after the next one (whose blocks are taken) the free blocks allow, at most
 * `most`. */
static int64_t steps_that_fit(const celslm_engine *e, int64_t most) {
  int64_t cycles =
      e->blocks_free / e->decodes; /* of `block` steps each, every job opens one block */
  int64_t k = cycles * e->block;
  if (k >= most) return most;
  for (int64_t left = e->blocks_free - cycles * e->decodes; k < most; k++) {
    left -= e->phase[phase_of(e, 0, e->step + 1 + k)];
    if (left < 0) break;
  }
  return k;
}

int64_t celslm_longest_since(const celslm_engine *e, int64_t step) {
  int64_t low = 0,
          high = e->n_longest; /* the first entry with a later step: lengths fall from there */
  while (low < high) {
    int64_t mid = (low + high) / 2;
    if (e->longest[mid].step > step)
      high = mid;
    else
      low = mid + 1;
  }
  return low < e->n_longest ? e->longest[low].ticks : 0;
}

/* ---- the scheduler's rules ------------------------------------------------------------------- */

/* The job admitted last gives its blocks back and waits at the head of the queue, to be recomputed.
 */
static celslm_job *preempt_last(celslm_engine *e, bool decodes_took) {
  celslm_job *j = e->running.last;
  int64_t kv = celslm_job_kv(e, j);
  e->blocks_free += celslm_blocks_of(e, kv);
  if (j->state == CELSLM_JOB_DECODE) {
    if (decodes_took && kv % e->block == 0) e->blocks_free++; /* the one for the next step */
    int64_t longest = celslm_longest_since(e, j->joined);
    if (longest > j->itl_max) j->itl_max = longest;
    j->generated += (int32_t)(e->step - j->joined);
    if (e->step > j->joined) j->last_token = e->start;
    celslm_decode_leave(e, j);
  } else
    celslm_prefill_remove(e, j);
  celslm_list_remove(&e->running, j);
  j->need = j->prompt + j->generated;
  j->computed = j->chunk = 0;
  j->layer = j->until = 0;
  j->preemptions++;
  j->state = CELSLM_JOB_WAITING;
  list_prepend(&e->waiting, j);
  return j;
}

/* Frees `blocks` blocks by preempting from the end; false if that reached `self`. `decodes_took`:
 * the decoding jobs hold their blocks for the next step already. */
static bool make_room(celslm_engine *e, int64_t blocks, const celslm_job *self, bool decodes_took) {
  while (e->blocks_free < blocks)
    if (preempt_last(e, decodes_took) == self) return false;
  return true;
}

/* Decodes of the next step take their blocks. True: all could, without preemption. */
static bool take_decode_blocks(celslm_engine *e) {
  int64_t opened = celslm_blocks_opened(e, e->step, 1);
  if (opened <= e->blocks_free) {
    e->blocks_free -= opened;
    return true;
  }
  for (celslm_job *j = e->running.first; j; j = j->after) {
    if (j->state != CELSLM_JOB_DECODE || celslm_job_kv(e, j) % e->block != 0) continue;
    if (!make_room(e, 1, j, false)) break;
    e->blocks_free--;
  }
  return false;
}

typedef struct batch {
  int64_t room;    /* tokens of the budget left */
  int64_t tokens;  /* prefill tokens that begin (layer 0) */
  int64_t outputs; /* prefills that yield a token */
  int64_t begun;   /* prefills that begin a chunk */
  int64_t members; /* prefills that take part */
  bool preempted, partial;
} batch;

/* A prefill takes its place in the iteration: a chunk, and those layers for which context KV is
 * there. False: the job was preempted for want of blocks. */
static bool take_prefill(celslm_engine *e, celslm_job *j, batch *b) {
  int64_t ready = j->stream ? j->stream->ready : e->layers;
  j->layer = j->chunk ? j->layer : 0;
  j->until = j->layer;
  if (ready <= j->layer || b->room <= 0 || j->chunk > b->room) return true;
  if (!j->chunk) {
    int64_t left = j->need - j->computed, chunk = left < b->room ? left : b->room;
    int64_t more = celslm_blocks_of(e, j->computed + chunk) - celslm_blocks_of(e, j->computed);
    if (more > e->blocks_free) {
      b->preempted = true;
      if (!make_room(e, more, j, true)) return false;
    }
    e->blocks_free -= more;
    j->chunk = (int32_t)chunk;
  }
  j->until = (int16_t)ready;
  b->room -= j->chunk;
  b->members++;
  if (j->layer == 0) b->begun++, b->tokens += j->chunk;
  if (j->layer > 0 || ready < e->layers) b->partial = true;
  if (ready == e->layers && j->computed + j->chunk == j->need && j->output > 0) b->outputs++;
  return true;
}

static void admit(celslm_engine *e, batch *b) {
  while (e->waiting.first && b->room > 0 && e->running.n < e->config->max_num_seqs) {
    celslm_job *j = e->waiting.first;
    if (celslm_blocks_of(e, j->need) > e->blocks_free) break; /* its whole prompt must fit */
    celslm_list_remove(&e->waiting, j);
    celslm_list_append(&e->running, j);
    prefill_append(e, j);
    j->state = CELSLM_JOB_PREFILL;
    j->order = ++e->admissions;
    if (j->scheduled < 0) j->scheduled = e->start;
    take_prefill(e, j, b);
  }
}

/* ---- the price ------------------------------------------------------------------------------- */

static int64_t to_ticks(double seconds) {
  return llround(seconds * 1e9 * 0x1p20);
}

static int64_t layer_ticks(celslm_engine *e, int64_t tokens) {
  int64_t *t = &e->ticks.layer[tokens];
  if (*t < 0) *t = to_ticks(celslm_cost_layer(&e->cost, (double)tokens));
  return *t;
}

/* The pieces of so many sequences. */
static const decode_piece *decode_ticks(celslm_engine *e, int64_t sequences) {
  decode_piece *pieces = e->ticks.decode[sequences];
  if (pieces) return pieces;
  pieces = celslm_alloc((unsigned long)e->ticks.pieces, sizeof *pieces);
  for (int i = 0; i < e->ticks.pieces; i++) {
    celslm_decode_cost c = celslm_cost_decode(&e->cost, (double)sequences, i);
    pieces[i].from = (int64_t)c.from;
    pieces[i].ramp =
        (celslm_ramp){0, e->layers * to_ticks(c.compute), e->layers * to_ticks(c.flop_slope),
                      e->layers * to_ticks(c.memory), e->layers * to_ticks(c.byte_slope)};
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

/* How many decode iterations from now on are of the piece of the first. */
static int64_t steps_in_piece(celslm_engine *e) {
  const decode_piece *pieces = decode_ticks(e, e->decodes);
  int i = piece_of(e, pieces, e->read);
  if (i == e->ticks.pieces - 1) return INT64_MAX;
  return (pieces[i + 1].from - 1 - e->read) / e->decodes + 1;
}

/* Layers are priced by how many tokens pass through each: prefills in the lane span only some. */
static int64_t dense_layers(celslm_engine *e, const batch *b) {
  if (!b->partial) { /* all members span all layers */
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

static void price(celslm_engine *e, const batch *b) {
  e->ramp = (celslm_ramp){0};
  if (e->fixed >= 0) {
    e->ramp.base = e->fixed;
    return;
  }
  int64_t outputs = e->decodes + b->outputs, begun = e->decodes + b->tokens,
          base = dense_layers(e, b);
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

bool celslm_batch_form(celslm_engine *e) {
  batch b = {0};
  b.preempted = e->decodes > 0 && !take_decode_blocks(e);
  b.room = e->config->max_num_batched_tokens - e->decodes;
  for (celslm_job *j = e->prefill_first; j && take_prefill(e, j, &b);) j = j->prefill_after;
  if (!b.preempted) admit(e, &b);
  if (!e->decodes && !b.members) return false;
  e->batch_tokens = 0;
  for (celslm_job *j = b.members ? e->prefill_first : NULL; j; j = j->prefill_after)
    if (j->until > j->layer) e->batch_tokens += j->chunk;
  e->partial = b.partial;
  price(e, &b);
  e->count = 1;
  if (!e->stepping && !b.members && !b.preempted) {
    int64_t most = e->decoding[0]->finish - e->step;
    int64_t same = e->fixed >= 0 ? INT64_MAX : steps_in_piece(e);
    e->count = 1 + steps_that_fit(e, (most < same ? most : same) - 1);
  }
#ifndef NDEBUG
  celslm_batch_check(e);
#endif
  return true;
}

void celslm_batch_check(const celslm_engine *e) {
  int64_t used = 0, decodes = 0, attended = 0, read = 0, n = 0;
  for (const celslm_job *j = e->running.first; j; j = j->after, n++) {
    int64_t kv = celslm_job_kv(e, j);
    used += celslm_blocks_of(e, kv);
    if (j->state != CELSLM_JOB_DECODE) continue;
    used += kv % e->block == 0; /* taken for the iteration under way */
    decodes++;
    attended += kv + 1 + (j->shared ? j->shared->tokens : 0);
    read += kv + 1;
    if (j->shared) { /* counted with the first job that stands on it */
      const celslm_job *k = e->running.first;
      while (k->state != CELSLM_JOB_DECODE || k->shared != j->shared) k = k->after;
      if (k == j) read += j->shared->tokens;
    }
  }
  assert(used == e->blocks - e->blocks_free && e->blocks_free >= 0);
  assert(decodes == e->decodes && attended == e->attended && read == e->read);
  assert(n == e->running.n && n <= e->config->max_num_seqs);
  (void)used, (void)decodes, (void)attended, (void)read, (void)n;
}
