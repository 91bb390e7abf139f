/* state.h - the inside of an engine, shared by engine.c (time) and batch.c (who is in the batch).
 */
#ifndef CELSLM_SERVE_STATE_H
#define CELSLM_SERVE_STATE_H

#include "serve/engine.h"
#include "serve/ramp.h"

typedef struct job_list {
  celslm_job *first, *last;
  int64_t n;
} job_list;

/* Decode attention of all layers while `from` <= tokens read < the next piece's (cost.h): the lines
 * at 0 tokens attended and `from` tokens read, slopes per token. */
typedef struct decode_piece {
  int64_t from;
  celslm_ramp ramp;
} decode_piece;

/* Costs in ticks, of one layer or one pass, filled when first needed: -1 is empty.
 */
typedef struct cost_tables {
  int64_t *layer; /* [tokens] one layer's dense ops */
  int64_t *embed; /* [tokens] */
  int64_t *head;  /* [outputs] */
  decode_piece **decode; /* [sequences][pieces] attention of all layers; NULL: not yet */
  int pieces;
  int64_t step, sequence;
} cost_tables;

struct celslm_engine {
  int index;
  const celslm_engine_config *config;
  celslm_engine_hooks hooks;
  celslm_net *net;
  celslm_cost cost;
  cost_tables ticks;
  int64_t layers;
  bool stepping;
  bool shares_host; /* with other engines: its iterations are SimGrid execs, one at a time */
  celslm_compute exec;
  int64_t fixed; /* ticks of every iteration; < 0: what the op list says */

  /* who is here */
  job_list waiting, running;                /* running: in order of admission */
  celslm_job *prefill_first, *prefill_last; /* those of `running` that still prefill, in order */
  celslm_job **decoding;                    /* a heap on (finish, order); [0, decodes) */
  int64_t decodes, heap_size;
  uint64_t admissions;

  /* KV blocks */
  int64_t block, blocks, blocks_free;
  int64_t *phase; /* [block]: decoding jobs by (own KV tokens - step) mod block: those whose next
                     token opens a block */

  /* sums over the decoding jobs, for the next iteration */
  int64_t attended, read; /* tokens */
  int64_t step;           /* decode steps done so far, over the engine's life */

  /* the iterations under way */
  bool busy, inside;        /* inside: hooks are being called, nothing may begin */
  celslm_event event, wake; /* wake: an idle engine is about to begin */
  celslm_ns start;          /* of the first of them: start ns + fraction ticks */
  int64_t fraction;
  celslm_ramp ramp;
  int64_t count;        /* how many end with the event */
  int64_t batch_tokens; /* prefill tokens in it */
  bool partial;         /* some prefill did not span all layers */

  /* longest decode iteration since a step: a stack with falling lengths, oldest first */
  struct {
    int64_t step, ticks;
  } * longest;
  int64_t n_longest, longest_size;

  /* the span being drawn */
  celslm_span_kind span;
  celslm_ns span_begin, span_end;
  int64_t span_decodes;

  /* counts */
  celslm_ticks busy_ticks;
  int64_t iterations, prompt_tokens, output_tokens;
  celslm_sketch *itl;
};

/* batch.c: chooses the next batch and prices it into ramp and count. False: nothing to do now. */
bool celslm_batch_form(celslm_engine *e);
/* batch.c: own KV tokens of a running job after `step` decode steps. */
int64_t celslm_job_kv(const celslm_engine *e, const celslm_job *j);
/* batch.c: blocks that the next k decode steps (from step `from`) open. */
int64_t celslm_blocks_opened(const celslm_engine *e, int64_t from, int64_t k);
void celslm_decode_join(celslm_engine *e, celslm_job *j);
void celslm_decode_leave(celslm_engine *e, celslm_job *j);
void celslm_prefill_remove(celslm_engine *e, celslm_job *j);
void celslm_list_append(job_list *l, celslm_job *j);
void celslm_list_remove(job_list *l, celslm_job *j);
int64_t celslm_longest_since(const celslm_engine *e, int64_t step);
void celslm_batch_check(const celslm_engine *e); /* asserts the invariants */

static inline int64_t celslm_blocks_of(const celslm_engine *e, int64_t tokens) {
  return (tokens + e->block - 1) / e->block;
}

#endif
