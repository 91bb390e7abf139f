/* reference_blocks.h - the KV blocks of the reference scheduler (reference.h): every block is an
 * object, the free ones stand in a queue, and what a block holds has a name.
 *
 * From the documents of vLLM v1 ("Automatic Prefix Caching": block pool, free queue, eviction):
 *   - a block is taken from the front of the queue of free ones, and what it held is forgotten;
 *   - a block that nobody refers to any more goes to the back of the queue, and keeps its name;
 *   - a name is looked up among all blocks, free or not; of several the one that got it first is
 *     found; a free one that is found leaves the queue, wherever it stands. */
#ifndef CELSLM_TESTS_SERVE_REFERENCE_BLOCKS_H
#define CELSLM_TESTS_SERVE_REFERENCE_BLOCKS_H

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

typedef struct reference_block {
  int64_t name;  /* 0: none */
  int64_t named; /* when: a running number */
  int references;
  bool answer; /* its last token was decoded, and whoever did it still runs */
} reference_block;

typedef struct reference_blocks {
  int n, n_free;
  reference_block *all, **free; /* free: a queue, taken from the front */
  int64_t names;
  /* what happened: the tests must reach it */
  int64_t evicted, revived, shared, twins;
} reference_blocks;

static inline void reference_blocks_init(reference_blocks *b, int n) {
  *b = (reference_blocks){.n = n, .n_free = n};
  b->all = calloc((size_t)n, sizeof *b->all);
  b->free = calloc((size_t)n, sizeof(reference_block *));
  REFERENCE_MUST(b->all && b->free);
  for (int i = 0; i < n; i++) b->free[i] = &b->all[i];
}

static inline void reference_blocks_free(reference_blocks *b) {
  free(b->all);
  free(b->free);
}

static inline reference_block *reference_find(const reference_blocks *b, int64_t name) {
  reference_block *oldest = NULL;
  for (int i = 0; i < b->n; i++)
    if (b->all[i].name == name && (!oldest || b->all[i].named < oldest->named)) oldest = &b->all[i];
  return oldest;
}

static inline void reference_unqueue(reference_blocks *b, int at) {
  memmove(b->free + at, b->free + at + 1, (size_t)(--b->n_free - at) * sizeof(reference_block *));
}

/* A fresh block. */
static inline reference_block *reference_pop(reference_blocks *b) {
  REFERENCE_MUST(b->n_free > 0);
  reference_block *first = b->free[0];
  reference_unqueue(b, 0);
  REFERENCE_MUST(first->references == 0);
  b->evicted += first->name > 0;
  first->name = 0;
  first->answer = false;
  first->references = 1;
  return first;
}

/* One more refers to a block that was found. */
static inline void reference_refer(reference_blocks *b, reference_block *block) {
  if (block->references++ == 0) {
    int at = 0;
    while (b->free[at] != block) REFERENCE_MUST(++at < b->n_free);
    reference_unqueue(b, at);
    b->revived++;
  } else {
    b->shared++;
  }
}

static inline void reference_let_go(reference_blocks *b, reference_block *block) {
  REFERENCE_MUST(block->references > 0);
  if (--block->references == 0) b->free[b->n_free++] = block;
}

#endif
