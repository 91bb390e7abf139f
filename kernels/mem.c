/* mem.c - allocation for the kernels. */
#include "kernels/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
  LINE = 64,
  PAGE = 4096,
  HUGE = 2 << 20,
  SMALL = 32 << 10, /* below, malloc's */
};

/* Address space from the system, in large pages: what malloc recycles was once cut into small ones,
 * and stays so. Blocks are cut from it one after the other; it is given back when the last of them
 * is freed. */
typedef struct region {
  void *base;
  size_t mapped;
  char *first, *end; /* not yet given away; zeroes */
  int blocks;        /* in use */
} region;

/* AddressSanitizer watches malloc's blocks only: all are, and none is used again. */
#ifdef __SANITIZE_ADDRESS__
static const bool watched = true;
#else
static const bool watched = false;
#endif

/* The line before a block says where it comes from; NULL: from malloc, with that line. */
static region **origin(void *block) {
  return (region **)(void *)((char *)block - LINE);
}

/* Where blocks of less than half a large page come from: several in one. */
static region *current;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static region *region_make(size_t bytes) {
  region *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  size_t size = (bytes + HUGE - 1) / HUGE * HUGE;
  r->mapped = size + HUGE;
  r->base = mmap(NULL, r->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (r->base == MAP_FAILED) {
    free(r);
    return NULL;
  }
  r->first = (char *)r->base + (HUGE - ((uintptr_t)r->base + LINE) % HUGE) % HUGE + LINE;
  r->end = r->first + size;
  madvise(r->first, size, MADV_HUGEPAGE);
  return r;
}

static void region_drop(region *r) {
  if (r->blocks || r == current) return;
  munmap(r->base, r->mapped);
  free(r);
}

/* `bytes` of a region, with a line for the header before; NULL: full. */
static char *region_cut(region *r, size_t bytes) {
  if (!r || (size_t)(r->end - r->first) < bytes) return NULL;
  char *p = r->first;
  r->first += bytes + LINE;
  if (r->first > r->end) r->first = r->end;
  r->blocks++;
  for (size_t i = 0; i < bytes; i += PAGE) p[i] = 0; /* now, not when it is first used */
  return p;
}

static char *from_regions(size_t bytes, region **of) {
  bool shared = bytes < HUGE / 2;
  pthread_mutex_lock(&lock);
  region *r = shared ? current : NULL;
  char *p = region_cut(r, bytes);
  if (!p && (r = region_make(bytes))) {
    p = region_cut(r, bytes);
    if (shared) {
      region *full = current;
      current = r;
      if (full) region_drop(full);
    }
  }
  pthread_mutex_unlock(&lock);
  *of = r;
  return p;
}

void *celslm_mem_big(size_t bytes) {
  size_t size = bytes ? (bytes + LINE - 1) / LINE * LINE : LINE;
  region *of = NULL;
  char *p;
  if (watched || size < SMALL) {
    p = aligned_alloc(LINE, LINE + size);
    if (p) p = (char *)memset(p, 0, LINE + size) + LINE;
  } else {
    p = from_regions(size, &of);
  }
  if (p) *origin(p) = of;
  return p;
}

void celslm_mem_big_free(void *p) {
  if (!p) return;
  region *of = *origin(p);
  if (!of) {
    free((char *)p - LINE);
    return;
  }
  pthread_mutex_lock(&lock);
  of->blocks--;
  region_drop(of);
  pthread_mutex_unlock(&lock);
}

/* ---- scratch --------------------------------------------------------------------------------- */

/* Blocks that a thread keeps for its next calls: new ones from the system are cleared page by page,
 * which took up to 2 % of a product. */
typedef struct kept {
  void *p;
  size_t size;
  bool used;
} kept;

enum { KEPT = 4, MOST_KEPT = 8 << 20 };
static _Thread_local kept blocks[KEPT];
static pthread_key_t at_end; /* of a thread: its blocks are freed */
static pthread_once_t at_first = PTHREAD_ONCE_INIT;

static void free_blocks(void *of) {
  kept *k = of;
  for (int i = 0; i < KEPT; i++) celslm_mem_big_free(k[i].p);
}

static void make_key(void) {
  if (pthread_key_create(&at_end, free_blocks)) celslm_misuse("scratch", "no thread key is left");
}

/* The smallest idle block that will do; else an idle one to replace, or NULL. */
static kept *find_block(size_t bytes) {
  kept *fits = NULL, *idle = NULL;
  for (kept *k = blocks; k < blocks + KEPT; k++) {
    if (k->used) continue;
    if (k->size >= bytes && (!fits || k->size < fits->size)) fits = k;
    if (!idle || k->size < idle->size) idle = k;
  }
  return fits ? fits : idle;
}

void *celslm_mem_scratch(size_t bytes) {
  kept *k = watched || bytes > MOST_KEPT ? NULL : find_block(bytes);
  if (k && k->size >= bytes && k->p) {
    k->used = true;
    return k->p;
  }
  void *p = celslm_mem_big(bytes);
  if (!p) celslm_misuse("scratch", "out of memory");
  if (k) {
    pthread_once(&at_first, make_key);
    pthread_setspecific(at_end, blocks);
    celslm_mem_big_free(k->p);
    *k = (kept){p, bytes, true};
  }
  return p;
}

void celslm_mem_scratch_free(void *p) {
  for (kept *k = blocks; k < blocks + KEPT; k++)
    if (p && k->p == p) {
      k->used = false;
      return;
    }
  celslm_mem_big_free(p);
}

_Noreturn void celslm_misuse(const char *function, const char *what) {
  fprintf(stderr, "celslm: kernels: %s: %s\n", function, what);
  abort();
}
