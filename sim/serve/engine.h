/* engine.h - one model served on one host by continuous batching.
 *
 * The rules are those of vLLM's v1 scheduler: each iteration has a budget of tokens; running
 * sequences go first, one token for a decode, a chunk for a prefill; then waiting ones are admitted
 * in the order of the engine's policy (waiting.h; first come, first served) while budget, slots and
 * KV blocks last, each past the blocks of its prompt that are there already (pool.h); if a block is
 * missing, the sequence admitted last (or the least urgent) is preempted, to be recomputed later,
 * or swapped to another host's memory and back; if that is the one that wanted the block, those
 * admitted after it sit out. A token is produced at the end of the iteration that completes the
 * prompt, then one per iteration.
 *
 * Swapping is as in vLLM v0: what is swapped crosses the network between the engine's host and the
 * swap host (its memory behind PCIe is a host and a link of the platform) before the iteration
 * begins, out and in at the same time; swapped sequences go before waiting ones.
 *
 * A job may stand on a shared context whose KV cache lives outside of its own blocks (`shared`): it
 * is attended by every sequence and read once per iteration for all that share it. If that cache is
 * still being loaded (`stream`), the job runs in the lane: each iteration carries the decodes and
 * those layers of the job's prefill for which KV is there; nobody waits for a missing layer. A job
 * that `stalls` takes the batch with it instead, as layer-wise connectors of real servers do: from
 * its first layer on all go through the layers together, and wait together for a missing one.
 *
 * A sequence may be kept (`keeps`, `goes_on`): when it is done its KV blocks stay, so that others
 * can read them, or so that it can go on: a sequence that goes on (celslm_engine_continue) has some
 * tokens appended, which are prefilled over those it has, and generates a few more. It may be
 * shortened first: what a verification has rejected gives its KV back. What goes on waits in the
 * queue like any other, but keeps its blocks meanwhile; blocks of sequences that do not run are a
 * cache: if blocks are short, who has not run for longest loses all of its own, before anybody who
 * runs is preempted, and computes all its tokens again when it goes on (as a session whose prefix
 * has been evicted does in vLLM).
 *
 * Time. An iteration costs what the op list of its batch costs, rounded once to ticks of 2^-20 ns;
 * while only decodes run, its length is affine in the step index (with one break, where attention
 * turns from memory- to compute-bound), so that k iterations are one event whose length is an exact
 * integer sum: stepping (`step` in the options) and jumping give the same bits.
 *
 * Several engines on one host share it, unless it has accelerators for all; hosts may also have a
 * speed that varies: there each iteration is a SimGrid exec on that host.
 *
 * A pipeline splits the layers over hosts (pipeline.c): the engine is then as many schedulers as
 * stages, each with its share of the KV blocks and a batch of its own, and a job goes to the one
 * with the fewest; limits of queue and rate hold for each of them.
 *
 * Invariants, checked in debug builds at every iteration:
 *   blocks used = sum over running jobs of ceil(own KV tokens / block size) <= blocks, a block that
 *   several jobs share counted once; plus those of kept and of waiting ones
 *   attended, read = the sums over the decoding jobs they stand for
 *   an engine does not idle while it has work that it may do: layers of a prefill that are there
 *   (unless a pass waits for others), or a job that waits while nobody runs
 *   at most max_num_seqs jobs run; the queue never loses or doubles a job. */
#ifndef CELSLM_SERVE_ENGINE_H
#define CELSLM_SERVE_ENGINE_H

#include "cost/cost.h"
#include "net/net.h"
#include "record/request.h"
#include "record/sketch.h"
#include "scenario/scenario.h"
#include "serve/pool.h"
#include "serve/prices.h"

typedef struct celslm_engine celslm_engine;

/* A shared context as the engine sees it. One per context and engine. */
typedef struct celslm_shared {
  int64_t tokens;
  int64_t decoding; /* engine's own: decoding jobs that stand on it */
} celslm_shared;

/* The arrival of a context's KV, layer by layer. Whoever loads it counts `ready` up and pokes the
 * engine. */
typedef struct celslm_stream {
  int64_t ready;      /* layers 0..ready-1 are there */
  celslm_ns complete; /* when the last one came; CELSLM_NEVER before */
  int64_t local;      /* of these, 0..local-1 are computed on the engine that waits for them: who
                         waits must not be in its way */
  celslm_ns first; /* when the first that were missing came, and how many there were then; 0: none
                      has come */
  int64_t base;
} celslm_stream;

typedef enum celslm_job_state {
  CELSLM_JOB_NEW,
  CELSLM_JOB_HELD, /* by the rate limit */
  CELSLM_JOB_WAITING,
  CELSLM_JOB_PREFILL,
  CELSLM_JOB_DECODE,
  CELSLM_JOB_SITS_OUT, /* it decodes, but has no part in this iteration */
  CELSLM_JOB_SWAPPED,
  CELSLM_JOB_KEPT, /* done, with blocks */
  CELSLM_JOB_ENDED
} celslm_job_state;

typedef enum celslm_submission {
  CELSLM_SUBMITTED,
  CELSLM_TOO_LONG,      /* it can never fit into the KV blocks or max_model_len */
  CELSLM_QUEUE_FULL,    /* max_queue */
  CELSLM_RATE_EXCEEDED, /* rate_limit, with rate_action="reject" */
} celslm_submission;

struct celslm_job;
/* What the owner of a job wants to hear. */
typedef struct celslm_job_owner {
  void (*first_token)(struct celslm_job *job); /* now; not called for output 0 */
  void (*done)(struct celslm_job *job);        /* now; the job is the owner's again */
  /* An iteration that computes job->chunk tokens of its prompt in all layers begins now and ends at
   * `end`; where the host is shared, whose execs end when SimGrid says, it is told at the end.
   * NULL: not wanted. */
  void (*chunk)(struct celslm_job *job, celslm_ns end);
  void (*aborted)(struct celslm_job *job); /* now, instead of done: see celslm_engine_abort */
  void (*taken)(struct celslm_job *job);   /* now: KV that came with it has blocks; may be NULL */
} celslm_job_owner;

/* One sequence. The caller fills the first part, and keeps the struct until `done`. */
typedef struct celslm_job {
  uint32_t id;
  int32_t prompt;              /* tokens to prefill (own KV), >= 1 */
  int32_t output;              /* tokens to generate; 0: prefill only */
  celslm_shared *shared;       /* NULL: none */
  const celslm_stream *stream; /* NULL: the context is all there */
  bool stalls;                 /* the batch waits with it for a layer of its stream */
  int16_t layers;              /* computes only so many, the first ones; output 0. 0: all */
  int16_t skip; /* computes all but so many, the first ones: hidden states come instead of tokens;
                   output <= 1. Its blocks count in full. Not in a pipeline */
  int32_t rows; /* logits are wanted of the last so many tokens of its prompt (of its last chunk);
                   0: of the last one */
  const celslm_job_owner *owner;
  void *self;               /* the owner's */
  int32_t cls;              /* class of requests: its inter-token times are counted by it */
  int32_t tenant, priority; /* policies: lower goes first */
  int32_t predicted;        /* output tokens that a policy may believe in */
  celslm_ns deadline;       /* CELSLM_NEVER: none */
  celslm_content content;   /* of its tokens, for prefix caching; zero: nobody shares them */
  bool keeps;               /* its KV blocks stay taken after `done`, until celslm_engine_let_go */
  bool goes_on;   /* they stay after `done` while there is room, for celslm_engine_continue; its
                     content must be known no further than its first prompt */
  bool given;     /* its prompt's KV comes with it and it has its first token: the caller has set
                     first_token and last_token; output >= 2 */
  bool unlimited; /* computes a shared context: max_model_len, max_queue and rate_limit are for
                     users' requests */
  /* read by the caller when the job has ended */
  celslm_ns queued, scheduled, first_token, last_token;
  int64_t itl_max; /* ticks */
  celslm_ns compute,
      hidden; /* ns of iterations that prefilled this job; of them before the stream was complete */
  uint32_t preemptions;
  int32_t cached; /* tokens of the prompt found in the prefix cache when it was first scheduled */
  /* the engine's own */
  celslm_engine *engine; /* its lane, in a pipeline */
  uint8_t state;
  celslm_held held;
  double urgency;
  uint64_t arrived;     /* its number in the queue */
  int64_t took;         /* decode step for which it took a block while blocks were short */
  int32_t generated;    /* tokens, at the last change of state */
  int32_t need;         /* own tokens to have KV for before the next token: prompt + generated */
  int32_t computed;     /* of them done; KV that it has */
  int32_t past;         /* of `need`, what it had when it went on */
  int32_t going;        /* it goes on over so many; 0: not */
  bool idle;            /* does not run, has blocks, and may lose them */
  bool back;            /* sat out the last iteration */
  int32_t chunk;        /* tokens in the chunk under way; 0: none */
  int16_t layer, until; /* layers done of this chunk; of them in this iteration: layer..until-1 */
  int64_t joined;       /* decode step at which it joined */
  uint64_t order;       /* of admission */
  uint32_t slot;        /* in the heap of waiting jobs */
  struct celslm_job *before, *after;                 /* in the list of its state */
  struct celslm_job *prefill_before, *prefill_after; /* of those that prefill, or just resumed */
} celslm_job;

typedef struct celslm_engine_hooks {
  void *self;
  void (*iteration)(void *self, int engine, celslm_ns end, double duration, int64_t decodes,
                    int64_t prefill_tokens); /* NULL: not wanted */
  void (*span)(void *self, int engine, celslm_span_kind kind, celslm_ns begin,
               celslm_ns end);  /* NULL: neither */
  celslm_ns span_from, span_to; /* spans are wanted inside this window only */
  celslm_sketch **gaps; /* by class of requests: their inter-token times, s, are added. NULL: no */
} celslm_engine_hooks;

/* `index` names the engine in ties, hooks and results; `prices` are the run's. NULL on failure. */
celslm_engine *celslm_engine_new(int index, const celslm_engine_config *config,
                                 const celslm_scenario *scenario, celslm_net *net,
                                 celslm_prices *prices, bool step, const celslm_engine_hooks *hooks,
                                 celslm_error *err);
void celslm_engine_free(celslm_engine *e);

/* Queues a job now, or says why not (and does nothing). */
celslm_submission celslm_engine_submit(celslm_engine *e, celslm_job *job);
/* Frees the blocks of a job that is done and kept. */
void celslm_engine_let_go(celslm_engine *e, celslm_job *job);
/* A job that is done and goes on keeps its first `tokens` tokens only, at least those of its first
 * prompt: the blocks beyond are free at once. */
void celslm_engine_shorten(celslm_engine *e, celslm_job *job, int32_t tokens);
/* Tokens of a job that is done and goes on which have KV, or would if its blocks had not been
 * taken: the last one it generated has none yet. */
int32_t celslm_engine_tokens(const celslm_job *job);
/* It goes on: `tokens` more (>= 1, the last one generated among them if it is to stay), then
 * `output` generated ones; `rows` as the job says now. first_token (for output > 0) and done are
 * called as for a new job; times of its first token and of when it was scheduled stay those of the
 * first round, the rest of what can be read adds up. Limits of queue and rate do not hold. Only
 * CELSLM_TOO_LONG refuses it; then it stays as it was. */
celslm_submission celslm_engine_continue(celslm_engine *e, celslm_job *job, int32_t tokens,
                                         int32_t output);
int64_t celslm_engine_present(const celslm_engine *e); /* jobs waiting or running */
/* A job is about to come. Changes nothing, but what it will find is fetched from memory meanwhile,
 * all at a time: of thousands of engines most have left the cache since their last job. */
void celslm_engine_expect(const celslm_engine *e);
/* A stream that a job of this engine stands on has moved. */
void celslm_engine_poke(celslm_engine *e);

/* A crash: every job is aborted, waiting, running or to go on; what they had is lost. The engine is
 * as new and could go on at once: that nobody submits while its host is down is the callers'
 * business. */
void celslm_engine_abort(celslm_engine *e);
/* Takes back one job that waits or prefills, which is told nothing: the context it streams will not
 * come. An iteration that it takes part in lasts as long as planned. */
void celslm_engine_withdraw(celslm_engine *e, celslm_job *job);

/* s to prefill so many tokens over so many in an empty batch. */
double celslm_engine_prefill_seconds(const celslm_engine *e, int64_t tokens, int64_t past);
const celslm_engine_config *celslm_engine_configuration(const celslm_engine *e);
/* What its passes cost; of a pipeline, what they would on its first host alone. */
const celslm_cost *celslm_engine_cost(const celslm_engine *e);
int64_t celslm_engine_blocks(const celslm_engine *e);
/* At the end of a run: counts the iterations that are over of a jump, and hands the span being
 * drawn to the hook. */
void celslm_engine_settle(celslm_engine *e);
/* The state at this instant, also in the midst of a jump. */
void celslm_engine_observe(const celslm_engine *e, celslm_engine_row *row);

/* Little's law on this very run: the integral of the number of jobs here over time, and the sum of
 * the times that each was here, cut at now. Both in ns; they must be equal. */
typedef struct celslm_little {
  __int128 integral, sojourns;
} celslm_little;
celslm_little celslm_engine_little(const celslm_engine *e);

/* What the prefix cache did, and swaps. */
typedef struct celslm_cache_counts {
  int64_t asked, found;        /* tokens of admitted prompts; of them found */
  int64_t swaps_out, swaps_in; /* jobs */
} celslm_cache_counts;
celslm_cache_counts celslm_engine_cache(const celslm_engine *e);

static inline double celslm_tick_seconds(int64_t ticks) {
  return (double)ticks * 0x1p-20 * 1e-9;
}

#endif
