/* pool.h - the KV blocks of one engine: how many are free, and in which order they are taken.
 *
 * Without prefix caching a block is as good as any other and the pool is a count. With it the rules
 * are those of vLLM's block pool (docs: "Automatic Prefix Caching", v1 design): a full block is
 * known by the identity of its tokens and of all before them; a free block keeps its content until
 * it is taken; free blocks are taken in the order in which they became free, those of one job last
 * block first; a job that begins takes over, and revives, the longest run of full blocks whose
 * identity it shares, but always computes one token itself. Blocks in use are counted by reference.
 *
 * The free list holds spans. A span is one block that others may know (it has an identity), or the
 * private blocks of one preempted job (only that job can find them again; they leave in falling
 * order of index, so that what is left is a prefix), or any number of blocks that nobody can find.
 * Blocks between one job's shared ones and its end are not represented at all while it runs.
 *
 * Invariant: free = sum of the counts of the spans in the list (if caching); a span with references
 * is not in the list; every span with an identity is in the table, in order of its making. */
#ifndef CELSLM_SERVE_POOL_H
#define CELSLM_SERVE_POOL_H

#include "serve/prefix.h"

#include <stdbool.h>

typedef struct celslm_span_of_blocks celslm_blocks;

/* The content of a job's own blocks: its tokens are those of `prefix` after the first `skip`. */
typedef struct celslm_content {
  celslm_prefix prefix;
  int64_t skip;
} celslm_content;

/* What a job holds of blocks that others may know; zero at first. */
typedef struct celslm_held {
  celslm_blocks **shared; /* blocks 0..n-1 of the job, each with a reference; owned */
  int32_t n, room;
  celslm_blocks *kept; /* private blocks from n on that it left in the free list; NULL: none */
} celslm_held;

typedef struct celslm_pool {
  int64_t block, total, free; /* tokens of a block; blocks */
  bool caching;
  celslm_blocks *first, *last; /* the free list: taken from the front */
  celslm_blocks **table;       /* by identity; a power of two */
  int64_t buckets, known;
} celslm_pool;

void celslm_pool_init(celslm_pool *p, int64_t block, int64_t total, bool caching);
void celslm_pool_clear(celslm_pool *p);

/* Takes n free blocks: the first of the list, which are forgotten. n <= free. */
void celslm_pool_take_first(celslm_pool *p, int64_t n);
static inline void celslm_pool_take(celslm_pool *p, int64_t n) {
  if (p->caching)
    celslm_pool_take_first(p, n);
  else
    p->free -= n;
}

/* Gives back the blocks of a job that holds KV of `tokens` tokens (and `more` blocks beyond them).
 * `again`: it will come back and may look for them. */
void celslm_pool_release(celslm_pool *p, const celslm_content *c, celslm_held *h, int64_t tokens,
                         int64_t more, bool again);

/* Gives back the blocks beyond the first `tokens` of a job that holds KV of `had`; none of them may
 * have an identity. */
void celslm_pool_shorten(celslm_pool *p, celslm_held *h, int64_t had, int64_t tokens);
/* Blocks that would be free if a job with KV of `tokens` tokens gave back all of its own. */
int64_t celslm_pool_alone(const celslm_pool *p, const celslm_held *h, int64_t tokens);

/* Tokens of a prompt of `need` that are there already, and how many of their blocks are free. */
int64_t celslm_pool_lookup(const celslm_pool *p, const celslm_content *c, const celslm_held *h,
                           int64_t need, int64_t *revived);
/* Takes them over. `hit` as lookup said, nothing having happened since. */
void celslm_pool_adopt(celslm_pool *p, const celslm_content *c, celslm_held *h, int64_t hit);
/* Makes the blocks up to `tokens` known that can be shared. */
void celslm_pool_publish(celslm_pool *p, const celslm_content *c, celslm_held *h, int64_t tokens);
/* Frees what a job keeps; it holds no block any more. */
void celslm_held_clear(celslm_held *h);

/* The job's share of its shared blocks: each is split between those that refer to it. */
double celslm_held_share(const celslm_held *h);
void celslm_pool_check(const celslm_pool *p); /* asserts the invariants */

static inline int64_t celslm_pool_blocks_of(const celslm_pool *p, int64_t tokens) {
  return (tokens + p->block - 1) / p->block;
}

#endif
