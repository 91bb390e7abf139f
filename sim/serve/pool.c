#include "serve/pool.h"

#include "base/error.h"

#include <assert.h>
#include <stdlib.h>

struct celslm_span_of_blocks {
  celslm_blocks *before, *after; /* in the free list */
  celslm_blocks *next;           /* of the same bucket, made later */
  celslm_held *owner;            /* of private blocks; NULL otherwise */
  uint64_t identity;
  int64_t count;
  int32_t references;
  bool known, listed;
};

/* ---- the free list --------------------------------------------------------------------------- */

static void append(celslm_pool *p, celslm_blocks *b) {
  b->before = p->last;
  b->after = NULL;
  *(p->last ? &p->last->after : &p->first) = b;
  p->last = b;
  b->listed = true;
  p->free += b->count;
}

static void unlist(celslm_pool *p, celslm_blocks *b) {
  *(b->before ? &b->before->after : &p->first) = b->after;
  *(b->after ? &b->after->before : &p->last) = b->before;
  b->listed = false;
  p->free -= b->count;
}

static void append_nameless(celslm_pool *p, int64_t n) {
  if (n <= 0) return;
  celslm_blocks *b = p->last;
  if (b && !b->known && !b->owner) {
    b->count += n;
    p->free += n;
    return;
  }
  b = celslm_alloc(1, sizeof *b);
  b->count = n;
  append(p, b);
}

/* ---- the table ------------------------------------------------------------------------------- */

static celslm_blocks **bucket(const celslm_pool *p, uint64_t identity) {
  return &p->table[identity & (uint64_t)(p->buckets - 1)];
}

static celslm_blocks *find(const celslm_pool *p, uint64_t identity) {
  if (!p->known) return NULL;
  for (celslm_blocks *b = *bucket(p, identity); b; b = b->next)
    if (b->identity == identity) return b;
  return NULL;
}

static void insert(celslm_pool *p, celslm_blocks *b) {
  celslm_blocks **at = bucket(p, b->identity);
  while (*at) at = &(*at)->next; /* twins: the older one is found first */
  *at = b;
  b->next = NULL;
  b->known = true;
  p->known++;
}

static void grow(celslm_pool *p) {
  int64_t old = p->buckets;
  if (p->known < old) return;
  celslm_blocks **before = p->table;
  p->buckets = old ? 2 * old : 256;
  p->table = celslm_alloc((unsigned long)p->buckets, sizeof(celslm_blocks *));
  p->known = 0;
  for (int64_t i = 0; i < old; i++)
    for (celslm_blocks *b = before[i], *next; b; b = next) {
      next = b->next;
      insert(p, b);
    }
  free(before);
}

static void forget(celslm_pool *p, celslm_blocks *b) {
  celslm_blocks **at = bucket(p, b->identity);
  while (*at != b) at = &(*at)->next;
  *at = b->next;
  p->known--;
  free(b);
}

static uint64_t identity_of(const celslm_pool *p, const celslm_content *c, int64_t block) {
  return celslm_prefix_identity(&c->prefix, c->skip + (block + 1) * p->block);
}

/* How many of the job's blocks have an identity. */
static int64_t identified(const celslm_pool *p, const celslm_content *c) {
  int64_t tokens = c->prefix.tokens - c->skip;
  return tokens > 0 ? tokens / p->block : 0;
}

/* ---- the outside ----------------------------------------------------------------------------- */

void celslm_pool_init(celslm_pool *p, int64_t block, int64_t total, bool caching) {
  *p = (celslm_pool){.block = block, .total = total, .caching = caching};
  if (caching)
    append_nameless(p, total);
  else
    p->free = total;
}

void celslm_pool_clear(celslm_pool *p) {
  for (celslm_blocks *b = p->first, *next; b; b = next) {
    next = b->after;
    if (!b->known) free(b);
  }
  for (int64_t i = 0; i < p->buckets; i++)
    for (celslm_blocks *b = p->table[i], *next; b; b = next) {
      next = b->next;
      free(b);
    }
  free(p->table);
  *p = (celslm_pool){0};
}

void celslm_pool_take_first(celslm_pool *p, int64_t n) {
  while (n > 0) {
    celslm_blocks *b = p->first;
    int64_t part = b->count < n ? b->count : n;
    n -= part;
    if (part < b->count) {
      b->count -= part;
      p->free -= part;
      continue;
    }
    unlist(p, b);
    if (b->owner) b->owner->kept = NULL;
    if (b->known)
      forget(p, b);
    else
      free(b);
  }
}

void celslm_pool_release(celslm_pool *p, const celslm_content *c, celslm_held *h, int64_t tokens,
                         int64_t more, bool again) {
  int64_t blocks = celslm_pool_blocks_of(p, tokens) + more;
  if (!p->caching) {
    p->free += blocks;
    return;
  }
  celslm_pool_publish(p, c, h, tokens);
  for (int64_t full = tokens / p->block; h->n > full;) { /* of a chunk that was broken off */
    celslm_blocks *b = h->shared[--h->n];
    if (--b->references == 0)
      forget(p, b);
    else
      blocks--; /* somebody else's by now */
  }
  int64_t own = again ? tokens / p->block - h->n : 0;
  append_nameless(p, blocks - h->n - own);
  if (own) {
    celslm_blocks *b = celslm_alloc(1, sizeof *b);
    b->count = own;
    b->owner = h;
    h->kept = b;
    append(p, b);
  }
  while (h->n) {
    celslm_blocks *b = h->shared[--h->n];
    if (--b->references == 0) append(p, b);
  }
}

void celslm_pool_shorten(celslm_pool *p, celslm_held *h, int64_t had, int64_t tokens) {
  int64_t blocks = celslm_pool_blocks_of(p, had) - celslm_pool_blocks_of(p, tokens);
  assert(h->n <= celslm_pool_blocks_of(p, tokens));
  if (p->caching)
    append_nameless(p, blocks);
  else
    p->free += blocks;
  (void)h;
}

int64_t celslm_pool_alone(const celslm_pool *p, const celslm_held *h, int64_t tokens) {
  int64_t blocks = celslm_pool_blocks_of(p, tokens) - h->n;
  for (int32_t i = 0; i < h->n; i++) blocks += h->shared[i]->references == 1;
  return blocks;
}

int64_t celslm_pool_lookup(const celslm_pool *p, const celslm_content *c, const celslm_held *h,
                           int64_t need, int64_t *revived) {
  int64_t most = (need - 1) / p->block, shared = identified(p, c), n = 0;
  *revived = 0;
  if (!p->caching) return 0;
  for (; n < most && n < shared; n++) {
    const celslm_blocks *b = find(p, identity_of(p, c, n));
    if (!b) return n * p->block;
    *revived += b->listed;
  }
  if (h->kept) {
    int64_t own = h->kept->count < most - n ? h->kept->count : most - n;
    *revived += own;
    n += own;
  }
  return n * p->block;
}

static void hold(celslm_held *h, celslm_blocks *b) {
  if (h->n == h->room) {
    h->room = h->room ? 2 * h->room : 16;
    h->shared = celslm_realloc(h->shared, (unsigned long)h->room, sizeof *h->shared);
  }
  h->shared[h->n++] = b;
  b->references++;
}

void celslm_pool_adopt(celslm_pool *p, const celslm_content *c, celslm_held *h, int64_t hit) {
  if (!p->caching) return;
  int64_t blocks = hit / p->block, shared = identified(p, c);
  for (int64_t i = 0; i < blocks && i < shared; i++) {
    celslm_blocks *b = find(p, identity_of(p, c, i));
    if (b->listed) unlist(p, b);
    hold(h, b);
  }
  celslm_blocks *kept = h->kept;
  if (!kept) return;
  h->kept = NULL;
  kept->owner = NULL; /* what is left of it, nobody finds */
  int64_t own = blocks - h->n;
  kept->count -= own;
  p->free -= own;
  if (kept->count) return;
  unlist(p, kept);
  free(kept);
}

void celslm_pool_publish(celslm_pool *p, const celslm_content *c, celslm_held *h, int64_t tokens) {
  if (!p->caching) return;
  int64_t full = tokens / p->block, shared = identified(p, c);
  if (shared < full) full = shared;
  for (int64_t i = h->n; i < full; i++) {
    celslm_blocks *b = celslm_alloc(1, sizeof *b);
    b->count = 1;
    b->identity = identity_of(p, c, i);
    grow(p);
    insert(p, b);
    hold(h, b);
  }
}

void celslm_held_clear(celslm_held *h) {
  if (h->kept) h->kept->owner = NULL;
  free(h->shared);
  *h = (celslm_held){0};
}

double celslm_held_share(const celslm_held *h) {
  double share = 0;
  for (int32_t i = 0; i < h->n; i++) share += 1.0 / h->shared[i]->references;
  return share;
}

void celslm_pool_check(const celslm_pool *p) {
  if (!p->caching) return;
  int64_t free = 0, known = 0;
  for (const celslm_blocks *b = p->first; b; b = b->after) {
    assert(b->listed && !b->references && b->count > 0 && !(b->known && b->owner));
    assert(!b->owner || b->owner->kept == b);
    free += b->count;
  }
  for (int64_t i = 0; i < p->buckets; i++)
    for (const celslm_blocks *b = p->table[i]; b; b = b->next, known++)
      assert(b->known && b->listed == !b->references);
  assert(free == p->free && known == p->known);
  (void)free, (void)known;
}
