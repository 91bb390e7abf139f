/* reference.h - the scheduler of one engine once more, slow and plain, as the oracle of its tests.
 *
 * Written from the documented rules of vLLM v1's scheduler, and sharing nothing with sim/: every KV
 * block is an object, lists are arrays that are shifted, every iteration is stepped through.
 *
 *   1. An iteration has a budget of tokens and a limit of sequences.
 *   2. Running requests come first, in order of admission: each takes min(tokens without KV, budget
 *      left). While a block is missing for them, the request admitted last is preempted: it loses
 *      all its blocks and goes to the front of the queue; it may be the one that wanted the block.
 *   3. If nobody was preempted, waiting requests are admitted first come, first served, while
 *      budget and slots last and the free blocks could hold all tokens the request has by now.
 *      (Whoever was preempted last is at the head of the queue, and fewer blocks are free than it
 *      had: with this condition on blocks the one on preemptions is always met.)
 *   4. A request that has KV for all its tokens at the end of an iteration gets a token then.
 *      With the last one it leaves and frees its blocks.
 * A prompt recomputed after a preemption includes the tokens generated so far.
 *
 * Every iteration takes the same time; the next one begins at once if anybody waits or runs, and
 * what arrives at that very instant takes part. An idle engine begins when a request arrives.
 *
 * Invariant: a block's owner has it exactly once in its table; a free block is in no table. */
#ifndef CELSLM_TESTS_SERVE_REFERENCE_H
#define CELSLM_TESTS_SERVE_REFERENCE_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The oracle's own invariants; unlike assert(), also in release builds. */
#define REFERENCE_MUST(CONDITION)                                                                  \
  do {                                                                                             \
    if (!(CONDITION)) ck_abort_msg("the reference is wrong: %s", #CONDITION);                      \
  } while (0)

typedef struct reference_request reference_request;

typedef struct reference_block {
  reference_request *owner; /* NULL: free */
} reference_block;

struct reference_request {
  int64_t queued; /* ns */
  int prompt, output;
  /* its state */
  int generated; /* tokens it got */
  int computed;  /* tokens with KV */
  int chunk;     /* tokens computed in this iteration */
  bool prefills; /* its prompt is being computed, for the first time or again */
  reference_block **table;
  int n_table;
  /* what became of it */
  bool rejected, started;
  int64_t scheduled, first, last; /* ns */
  int preemptions;
};

typedef struct reference_iteration {
  int64_t begin, end; /* ns */
  int decodes, prefill_tokens;
  int running, blocks; /* requests and blocks in use while it lasts */
  int arrived, ended;  /* requests, up to its begin */
} reference_iteration;

typedef struct reference {
  int budget, seqs, block_size, n_blocks; /* the caller's */
  int64_t duration;                       /* ns of an iteration */
  reference_request *requests;            /* the caller's, in order of `queued` */
  int n_requests;
  /* its state */
  reference_block *blocks, **free;
  int n_free;
  reference_request **running, **waiting; /* in order of admission; in order of service */
  int n_running, n_waiting, arrived, ended;
  /* what happened */
  reference_iteration *iterations;
  int n_iterations, preemptions;
} reference;

/* ---- blocks ---------------------------------------------------------------------------------- */

static inline int reference_blocks_for(const reference *r, int tokens) {
  return (tokens + r->block_size - 1) / r->block_size;
}

/* Gives `q` the blocks for `tokens` tokens in all, or none of them. */
static inline bool reference_allocate(reference *r, reference_request *q, int tokens) {
  int missing = reference_blocks_for(r, tokens) - q->n_table;
  if (missing > r->n_free) return false;
  for (; missing > 0; missing--) {
    reference_block *b = r->free[--r->n_free];
    REFERENCE_MUST(!b->owner);
    b->owner = q;
    q->table[q->n_table++] = b;
  }
  return true;
}

static inline void reference_release(reference *r, reference_request *q) {
  while (q->n_table) {
    reference_block *b = q->table[--q->n_table];
    REFERENCE_MUST(b->owner == q);
    b->owner = NULL;
    r->free[r->n_free++] = b;
  }
}

/* ---- lists ----------------------------------------------------------------------------------- */

static inline void reference_append(reference_request **list, int *n, reference_request *q) {
  list[(*n)++] = q;
}

static inline void reference_put_first(reference_request **list, int *n, reference_request *q) {
  memmove(list + 1, list, (size_t)(*n)++ * sizeof(reference_request *));
  list[0] = q;
}

static inline void reference_take(reference_request **list, int *n, int at) {
  memmove(list + at, list + at + 1, (size_t)(--*n - at) * sizeof(reference_request *));
}

/* ---- one iteration --------------------------------------------------------------------------- */

static inline int reference_tokens(const reference_request *q) {
  return q->prompt + q->generated;
}

static inline void reference_compute(reference_request *q, int tokens, int *budget) {
  q->chunk = tokens;
  *budget -= tokens;
}

static inline void reference_preempt_last(reference *r) {
  reference_request *q = r->running[r->n_running - 1];
  reference_take(r->running, &r->n_running, r->n_running - 1);
  reference_release(r, q);
  q->computed = 0;
  q->preemptions++;
  r->preemptions++;
  reference_put_first(r->waiting, &r->n_waiting, q);
}

/* Rule 2. Returns whether anybody was preempted. */
static inline bool reference_continue_running(reference *r, int *budget) {
  bool preempted = false;
  for (int i = 0; i<r->n_running && * budget> 0; i++) {
    reference_request *q = r->running[i];
    int tokens = reference_tokens(q) - q->computed;
    if (tokens > *budget) tokens = *budget;
    while (i < r->n_running && !reference_allocate(r, q, q->computed + tokens)) {
      reference_preempt_last(r);
      preempted = true;
    }
    if (i < r->n_running) reference_compute(q, tokens, budget);
  }
  return preempted;
}

/* Rule 3. */
static inline void reference_admit(reference *r, int64_t now, int *budget) {
  while (r->n_waiting && r->n_running<r->seqs && * budget> 0) {
    reference_request *q = r->waiting[0];
    if (reference_blocks_for(r, reference_tokens(q)) > r->n_free) return;
    int tokens = reference_tokens(q);
    if (tokens > *budget) tokens = *budget;
    bool had = reference_allocate(r, q, tokens);
    REFERENCE_MUST(had);
    reference_take(r->waiting, &r->n_waiting, 0);
    reference_append(r->running, &r->n_running, q);
    if (!q->started) q->scheduled = now;
    q->started = q->prefills = true;
    reference_compute(q, tokens, budget);
  }
}

/* Rule 4. */
static inline void reference_finish(reference *r, int64_t now) {
  for (int i = 0; i < r->n_running; i++) {
    reference_request *q = r->running[i];
    q->computed += q->chunk;
    bool complete = q->chunk > 0 && q->computed == reference_tokens(q);
    q->chunk = 0;
    if (!complete) continue;
    q->prefills = false;
    if (++q->generated == 1) q->first = now;
    if (q->generated < q->output) continue;
    q->last = now;
    reference_release(r, q);
    reference_take(r->running, &r->n_running, i--);
    r->ended++;
  }
}

static inline void reference_step(reference *r, int64_t now) {
  int budget = r->budget;
  if (!reference_continue_running(r, &budget)) reference_admit(r, now, &budget);
  reference_iteration it = {.begin = now,
                            .end = now + r->duration,
                            .running = r->n_running,
                            .blocks = r->n_blocks - r->n_free,
                            .arrived = r->arrived,
                            .ended = r->ended};
  for (int i = 0; i < r->n_running; i++) {
    const reference_request *q = r->running[i];
    if (q->chunk && q->prefills) it.prefill_tokens += q->chunk;
    if (q->chunk && !q->prefills) it.decodes++;
  }
  REFERENCE_MUST(it.decodes + it.prefill_tokens > 0 && it.decodes + it.prefill_tokens <= r->budget);
  r->iterations = realloc(r->iterations, (size_t)(r->n_iterations + 1) * sizeof *r->iterations);
  REFERENCE_MUST(r->iterations);
  r->iterations[r->n_iterations++] = it;
  reference_finish(r, it.end);
}

/* ---- a run ----------------------------------------------------------------------------------- */

/* Requests that could never have all their tokens in the blocks are turned away. The token that
 * comes last needs no KV. */
static inline void reference_arrive(reference *r, reference_request *q) {
  r->arrived++;
  q->rejected = reference_blocks_for(r, q->prompt + q->output - 1) > r->n_blocks;
  if (q->rejected)
    r->ended++;
  else
    reference_append(r->waiting, &r->n_waiting, q);
}

/* Runs until every request has ended. The caller has set what is the caller's, the rest is zero. */
static inline void reference_run(reference *r) {
  size_t n = (size_t)r->n_requests;
  r->blocks = calloc((size_t)r->n_blocks, sizeof *r->blocks);
  r->free = calloc((size_t)r->n_blocks, sizeof(reference_block *));
  r->running = calloc(n + 1, sizeof(reference_request *));
  r->waiting = calloc(n + 1, sizeof(reference_request *));
  REFERENCE_MUST(r->blocks && r->free && r->running && r->waiting);
  while (r->n_free < r->n_blocks) {
    r->free[r->n_free] = &r->blocks[r->n_free];
    r->n_free++;
  }
  for (size_t i = 0; i < n; i++) {
    r->requests[i].table = calloc((size_t)r->n_blocks, sizeof(reference_block *));
    REFERENCE_MUST(r->requests[i].table);
  }
  int64_t now = 0;
  while (r->ended < r->n_requests) {
    if (!r->n_running && !r->n_waiting && now < r->requests[r->arrived].queued)
      now = r->requests[r->arrived].queued;
    while (r->arrived < r->n_requests && r->requests[r->arrived].queued <= now)
      reference_arrive(r, &r->requests[r->arrived]);
    if (!r->n_running && !r->n_waiting) continue;
    reference_step(r, now);
    now += r->duration;
  }
  REFERENCE_MUST(r->n_free == r->n_blocks);
}

static inline void reference_free(reference *r) {
  for (int i = 0; i < r->n_requests; i++) free(r->requests[i].table);
  free(r->blocks);
  free(r->free);
  free(r->running);
  free(r->waiting);
  free(r->iterations);
}

#endif
