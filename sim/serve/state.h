/* state.h - the inside of an engine, shared by setup.c, engine.c (time), batch.c (who is in the
 * batch), decode.c (the sums over those that decode), price.c (what it costs) and observe.c. */
#ifndef CELSLM_SERVE_STATE_H
#define CELSLM_SERVE_STATE_H

#include "serve/engine.h"
#include "serve/pricing.h"
#include "serve/waiting.h"

#define TICKS_PER_NS ((int64_t)1 << 20)

typedef struct job_list {
  celslm_job *first, *last;
  int64_t n;
} job_list;

/* A decoding job in the order in which they end. */
typedef struct decode_entry {
  int64_t finish; /* decode step after which it has all its tokens */
  uint64_t order; /* of admission */
  celslm_job *job;
} decode_entry;

struct celslm_engine {
  size_t size; /* B, with the arrays behind it: stages, stage_ticks, phase, decodes_of, and, while
                  they have few entries, decoding and longest */
  int index;
  const celslm_engine_config *config;
  celslm_engine_config *placed; /* owned: config, where layers were placed; NULL: config is lent */
  celslm_engine_hooks hooks;
  celslm_net *net;
  pricing **stages; /* one, or those of a pipeline; the run's */
  int n_stages;
  int64_t layers; /* of all stages */
  bool stepping;
  bool shares_host; /* with other engines, or its speed varies: its iterations are SimGrid execs,
                       one at a time */
  celslm_compute exec;
  /* A pipeline has as many schedulers as stages, each with its share of KV blocks and its own batch
   * under way: this engine and its lanes. Each batch passes the stages one after the other. */
  struct celslm_engine **lanes; /* all of them, this one first; NULL: no pipeline */
  int n_lanes;
  struct celslm_pipeline *pipeline;
  int64_t *stage_ticks; /* of the batch under way, by stage */
  int at;               /* the stage where it is */
  struct celslm_engine *next_in_line;
  celslm_transfer hop;
  int64_t fixed; /* ticks of every iteration; < 0: what the op list says */

  /* who is here */
  celslm_waiting queue;
  job_list held;                       /* back by the rate limit, in order of arrival */
  job_list swapped, running;           /* running: in order of admission */
  job_list kept;                       /* done, but their KV stays */
  celslm_job *idle_first, *idle_last;  /* those with `idle`, kept or waiting, by prefill_after: who
                                          has not run for longest first */
  celslm_job *cursor, *prefill_cursor; /* next to be looked at while blocks are taken */
  celslm_job *prefill_first, *prefill_last; /* those of `running` that still prefill, in order */
  int64_t sitting_out;                      /* of them, in this iteration */
  decode_entry *decoding;                   /* a heap on (finish, order); [0, decodes) */
  int64_t decodes, heap_size;
  uint64_t admissions;

  /* KV blocks */
  celslm_pool pool;
  int64_t block;    /* tokens: pool.block */
  int64_t reserved; /* blocks that an admission leaves free: the watermark */
  double block_bytes;
  int64_t *phase; /* [block]: decoding jobs by (own KV tokens - step) mod block: those whose next
                     token opens a block */

  /* sums over the decoding jobs, for the next iteration */
  int64_t attended, read; /* tokens */
  int64_t step;           /* decode steps done so far, over the engine's life */

  /* the iterations under way */
  bool busy, inside;        /* inside: hooks are being called, nothing may begin */
  bool published;           /* what the batch being formed fills is known */
  celslm_event event, wake; /* wake: an idle engine is about to begin */
  celslm_ns start;          /* of the first of them: start ns + fraction ticks */
  int64_t fraction;
  celslm_ramp ramp;
  int64_t count;        /* how many end with the event */
  int64_t batch_tokens; /* prefill tokens in it */
  /* A pass that waits for layers (celslm_job.stalls): a part of it, layers passed..upto-1, is one
   * iteration; decodes get their tokens with the last. upto 0: no such pass. */
  int64_t passed, upto;
  celslm_ns opened; /* the pass: ns + fraction ticks */
  int64_t opened_fraction;
  bool partial;        /* some prefill did not span all layers */
  celslm_job *resumed; /* came back to decode with this iteration: chained by prefill_after */
  int64_t n_resumed;

  /* blocks on their way to the swap host and back before the iteration begins */
  int64_t swap_blocks, swap_room; /* there; of them free */
  int64_t swap_out, swap_in;      /* blocks of the batch just formed */
  celslm_transfer moves[2];
  int moving;
  bool crashed; /* while they moved */
  int64_t late; /* ticks by which it began later for that */

  /* the rate limit: a generic cell rate algorithm */
  celslm_ns rate_interval, rate_tolerance, rate_due;
  celslm_event release;

  /* Little's law */
  int64_t present;
  celslm_ns counted;           /* up to when `integral` is */
  __int128 integral, sojourns; /* ns: of jobs that have left; minus arrival times of those here */

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
  celslm_cache_counts cache;
  int64_t *decodes_of; /* decoding jobs, by class */
  int n_classes;
};

enum { CELSLM_FEW_JOBS = 8 };

static inline bool celslm_within(const celslm_engine *e, const void *array) {
  return (const char *)array >= (const char *)e && (const char *)array < (const char *)e + e->size;
}

/* engine.c: into the queue */
void celslm_engine_enqueue(celslm_engine *e, celslm_job *j);
bool celslm_engine_too_long(const celslm_engine *e, const celslm_job *j);
/* kept.c: a job is done and kept, with KV of `tokens` tokens; it gives up what it holds and is
 * forgotten (its place in a list is the caller's) */
void celslm_kept_add(celslm_engine *e, celslm_job *j, int64_t tokens);
void celslm_kept_give_up(celslm_engine *e, celslm_job *j);
/* kept.c: an idle job is idle no more, and has its blocks */
void celslm_idle_end(celslm_engine *e, celslm_job *j);
/* kept.c: takes blocks from idle jobs but `self` until `blocks` are free, if that can be reached
 * (or `at_any_rate`) */
void celslm_idle_evict(celslm_engine *e, int64_t blocks, const celslm_job *self, bool at_any_rate);
/* engine.c: what events call */
void celslm_on_iterations_over(void *engine); /* the iterations under way */
void celslm_on_wake(void *engine);            /* an idle engine begins */
void celslm_on_moved(void *engine);           /* a swap has arrived */
void celslm_on_release(void *engine);         /* the rate limit lets one go on */
void celslm_on_pass_over(void *engine);       /* a batch has passed all stages of its pipeline */

/* engine.c: the end of the k-th iteration under way, in whole ns, and how many of a jump are over
 */
celslm_ns celslm_boundary(const celslm_engine *e, int64_t k);
int64_t celslm_steps_over(const celslm_engine *e);
static inline int64_t celslm_present(const celslm_engine *e) { /* jobs */
  return e->held.n + e->queue.n + e->swapped.n + e->running.n;
}

void celslm_engine_flush_span(celslm_engine *e); /* engine.c: hands it to the hook */
/* engine.c: what is over of the iterations under way has happened; the one in the midst of which
 * the engine stops counts as busy time */
void celslm_engine_break_off(celslm_engine *e);
/* engine.c: before a job comes or goes; and its part of the sum of sojourns when it goes */
void celslm_count_present(celslm_engine *e);
void celslm_count_gone(celslm_engine *e, const celslm_job *j);

/* batch.c: chooses the next batch and prices it into ramp and count. False: nothing to do now. */
bool celslm_batch_form(celslm_engine *e);
void celslm_batch_check(const celslm_engine *e); /* asserts the invariants */

/* price.c: the batch's prefills are those with until > layer. */
typedef struct celslm_batch {
  int64_t tokens;  /* prefill tokens that begin (layer 0) */
  int64_t outputs; /* prefills that yield a token */
  int64_t begun;   /* prefills that begin a chunk */
  int64_t members; /* prefills that take part */
} celslm_batch;
void celslm_batch_price(celslm_engine *e, const celslm_batch *b);
/* pipeline.c: sends the batch, priced into stage_ticks, through the stages; then `done`(e). */
struct celslm_pipeline *celslm_pipeline_new(celslm_net *net, const celslm_engine_config *config,
                                            void (*done)(void *engine));
void celslm_pipeline_free(struct celslm_pipeline *p);
void celslm_pipeline_enter(celslm_engine *e);
/* price.c: decode iterations from now on whose lengths are on one ramp */
int64_t celslm_steps_of_one_price(celslm_engine *e);

/* decode.c: own KV tokens of a running job. */
int64_t celslm_job_kv(const celslm_engine *e, const celslm_job *j);
/* blocks that the next k decode steps (from step `from`) open */
int64_t celslm_blocks_opened(const celslm_engine *e, int64_t from, int64_t k);
/* decode steps after the next one (whose blocks are taken) that the free blocks allow, <= most */
int64_t celslm_steps_that_fit(const celslm_engine *e, int64_t most);
void celslm_decode_join(celslm_engine *e, celslm_job *j);
void celslm_decode_leave(celslm_engine *e, celslm_job *j);
/* the longest decode iteration since `step`, in ticks */
int64_t celslm_longest_since(const celslm_engine *e, int64_t step);
void celslm_longest_push(celslm_engine *e, int64_t step, int64_t ticks);

void celslm_prefill_append(celslm_engine *e, celslm_job *j);
void celslm_prefill_remove(celslm_engine *e, celslm_job *j);
void celslm_list_append(job_list *l, celslm_job *j);
void celslm_list_insert(job_list *l, celslm_job *after, celslm_job *j); /* NULL: at the front */
void celslm_list_remove(job_list *l, celslm_job *j);

/* Layers that a prefill passes through. */
static inline int64_t celslm_layers_of(const celslm_engine *e, const celslm_job *j) {
  return j->layers ? j->layers : e->layers;
}

/* Blocks that a chunk opens after a job's computed tokens. */
static inline int64_t celslm_blocks_of_chunk(const celslm_engine *e, const celslm_job *j,
                                             int64_t chunk) {
  return celslm_pool_blocks_of(&e->pool, j->computed + chunk) -
         celslm_pool_blocks_of(&e->pool, j->computed);
}

static inline int64_t celslm_blocks_of(const celslm_engine *e, int64_t tokens) {
  return celslm_pool_blocks_of(&e->pool, tokens);
}

#endif
