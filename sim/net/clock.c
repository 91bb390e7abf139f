#include "net/clock.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

/* A 4-ary heap: shallower than a binary one, and four children share two cache lines. */
typedef struct entry {
  celslm_ns time;
  uint64_t rank;  /* class, then id */
  uint64_t order; /* of scheduling */
  celslm_event *event;
} entry;

struct celslm_queue {
  entry *heap; /* 1-based: heap[0] unused */
  uint32_t n, size;
  uint64_t puts;
  uint32_t background; /* so many of the n */
};

celslm_ns celslm_ns_of(double seconds) {
  double ns = seconds * 1e9;
  return ns >= 9.2e18 ? CELSLM_NEVER : (celslm_ns)llround(ns);
}

celslm_queue *celslm_queue_new(void) {
  celslm_queue *q = celslm_alloc(1, sizeof *q);
  q->size = 256;
  q->heap = celslm_alloc(q->size, sizeof *q->heap);
  return q;
}

void celslm_queue_free(celslm_queue *q) {
  if (!q) return;
  free(q->heap);
  free(q);
}

static inline bool before(const entry *a, const entry *b) {
  if (a->time != b->time) return a->time < b->time;
  if (a->rank != b->rank) return a->rank < b->rank;
  return a->order < b->order;
}

static inline void set(celslm_queue *q, uint32_t slot, entry e) {
  q->heap[slot] = e;
  e.event->slot = slot;
}

static void sift_up(celslm_queue *q, uint32_t slot, entry e) {
  while (slot > 1) {
    uint32_t parent = (slot + 2) / 4;
    if (!before(&e, &q->heap[parent])) break;
    set(q, slot, q->heap[parent]);
    slot = parent;
  }
  set(q, slot, e);
}

static void sift_down(celslm_queue *q, uint32_t slot, entry e) {
  for (;;) {
    uint32_t first = slot * 4 - 2, best = 0;
    const entry *least = &e;
    for (uint32_t c = first; c < first + 4 && c <= q->n; c++)
      if (before(&q->heap[c], least)) {
        best = c;
        least = &q->heap[c];
      }
    if (!best) break;
    set(q, slot, *least);
    slot = best;
  }
  set(q, slot, e);
}

void celslm_queue_put(celslm_queue *q, celslm_event *e, celslm_ns time) {
  entry it = {time, (uint64_t)e->cls << 32 | e->id, q->puts++, e};
  e->time = time;
  if (!e->slot) {
    q->background += e->background;
    if (++q->n == q->size) {
      q->size *= 2;
      q->heap = celslm_realloc(q->heap, q->size, sizeof *q->heap);
    }
    sift_up(q, q->n, it);
    return;
  }
  if (before(&it, &q->heap[e->slot]))
    sift_up(q, e->slot, it);
  else
    sift_down(q, e->slot, it);
}

void celslm_queue_remove(celslm_queue *q, celslm_event *e) {
  uint32_t slot = e->slot;
  if (!slot) return;
  e->slot = 0;
  q->background -= e->background;
  entry last = q->heap[q->n--];
  if (last.event == e) return;
  if (slot > 1 && before(&last, &q->heap[(slot + 2) / 4]))
    sift_up(q, slot, last);
  else
    sift_down(q, slot, last);
}

bool celslm_queue_idle(const celslm_queue *q) {
  return q->n == q->background;
}

celslm_event *celslm_queue_first(const celslm_queue *q) {
  return q->n ? q->heap[1].event : NULL;
}
