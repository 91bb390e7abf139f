#include "net/clock.h"

#include "base/error.h"

#include <math.h>
#include <stdlib.h>

enum { SOON = 8, REFILL = SOON / 2 };
static const uint32_t in_soon = UINT32_MAX; /* the slot of events in `soon` */

typedef struct entry {
  celslm_ns time;
  uint64_t rank;  /* class, then id */
  uint64_t order; /* of scheduling */
  celslm_event *event;
} entry;

/* The next few events in a sorted array, the others in a heap: most events are put just before they
 * fire, and go in and out of the array without touching the heap.
 *
 * Invariant: soon[] falls, its last is the first of all; no entry of the heap is before one of it.
 */
struct celslm_queue {
  entry soon[SOON];
  uint32_t n_soon;
  /* 4-ary: shallower than a binary one, and four children share two cache lines. 1-based: heap[0]
   * is unused. */
  entry *heap;
  uint32_t n, size;
  uint64_t puts;
  uint32_t background; /* so many of all */
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

static void heap_push(celslm_queue *q, entry e) {
  if (++q->n == q->size) {
    q->size *= 2;
    q->heap = celslm_realloc(q->heap, q->size, sizeof *q->heap);
  }
  sift_up(q, q->n, e);
}

static void heap_remove(celslm_queue *q, uint32_t slot) {
  entry last = q->heap[q->n--];
  if (slot > q->n) return; /* it was the last */
  if (slot > 1 && before(&last, &q->heap[(slot + 2) / 4]))
    sift_up(q, slot, last);
  else
    sift_down(q, slot, last);
}

/* Makes room by giving the latest to the heap. */
static void soon_insert(celslm_queue *q, entry e) {
  if (q->n_soon == SOON) {
    heap_push(q, q->soon[0]);
    for (uint32_t i = 1; i < SOON; i++) q->soon[i - 1] = q->soon[i];
    q->n_soon--;
  }
  uint32_t at = q->n_soon++;
  for (; at > 0 && before(&q->soon[at - 1], &e); at--) q->soon[at] = q->soon[at - 1];
  q->soon[at] = e;
  e.event->slot = in_soon;
}

static void soon_remove(celslm_queue *q, const celslm_event *e) {
  uint32_t at = --q->n_soon; /* most often it is the first of all */
  while (q->soon[at].event != e) at--;
  for (; at < q->n_soon; at++) q->soon[at] = q->soon[at + 1];
}

void celslm_queue_put(celslm_queue *q, celslm_event *e, celslm_ns time) {
  celslm_queue_remove(q, e);
  entry it = {time, (uint64_t)e->cls << 32 | e->id, q->puts++, e};
  e->time = time;
  q->background += e->background;
  if (q->n_soon ? before(&it, &q->soon[0]) || (!q->n && q->n_soon < SOON)
                : !q->n || before(&it, &q->heap[1]))
    soon_insert(q, it);
  else
    heap_push(q, it);
}

void celslm_queue_remove(celslm_queue *q, celslm_event *e) {
  uint32_t slot = e->slot;
  if (!slot) return;
  e->slot = 0;
  q->background -= e->background;
  if (slot == in_soon)
    soon_remove(q, e);
  else
    heap_remove(q, slot);
}

bool celslm_queue_idle(const celslm_queue *q) {
  return q->n_soon + q->n == q->background;
}

celslm_event *celslm_queue_first(celslm_queue *q) {
  if (!q->n_soon)
    for (int i = 0; i < REFILL && q->n; i++) {
      entry e = q->heap[1];
      heap_remove(q, 1);
      soon_insert(q, e);
    }
  return q->n_soon ? q->soon[q->n_soon - 1].event : NULL;
}
