#include "share/store.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct celslm_store {
  celslm_entry *entries;
  int n, layers;
  int64_t capacity, used, idle; /* B; of entries at rest */
  celslm_cache_config cache;
  celslm_tier *tiers[CELSLM_TIERS];
  celslm_entry **heap; /* from 1: those at rest, the next to go first */
  int resting;
  uint64_t rests;
  double age;                          /* worth of the last that went */
  double loads, load_seconds;          /* so far: how many, per B in sum */
  double requests;                     /* since counts were last halved */
  celslm_waiter *hungry, *hungry_last; /* for room */
};

celslm_store *celslm_store_new(const celslm_scenario *s, double capacity, double bytes_per_token,
                               int layers, const celslm_cache_config *cache,
                               celslm_tier *const tiers[CELSLM_TIERS]) {
  celslm_store *st = celslm_alloc(1, sizeof *st);
  st->n = s->n_contexts;
  st->layers = layers;
  st->capacity = (int64_t)floor(capacity);
  st->cache = *cache;
  for (int k = 0; k < CELSLM_TIERS; k++) st->tiers[k] = tiers[k];
  st->entries = celslm_alloc((unsigned long)st->n, sizeof *st->entries);
  st->heap = celslm_alloc((unsigned long)st->n + 1, sizeof(celslm_entry *));
  for (int i = 0; i < st->n; i++) {
    celslm_entry *e = &st->entries[i];
    e->shared.tokens = s->contexts[i].tokens;
    e->layer_bytes = (int64_t)ceil(bytes_per_token * (double)e->shared.tokens / layers);
    e->bytes = (double)(e->layer_bytes * layers);
  }
  return st;
}

void celslm_store_free(celslm_store *s) {
  if (!s) return;
  free(s->entries);
  free(s->heap);
  free(s);
}

celslm_entry *celslm_store_entry(celslm_store *s, int context) {
  assert(context >= 0 && context < s->n);
  return &s->entries[context];
}

/* ---- at rest --------------------------------------------------------------------------------- */

static bool goes_before(const celslm_entry *a, const celslm_entry *b) {
  return a->worth < b->worth || (a->worth == b->worth && a->rested < b->rested);
}

static void put(celslm_store *s, int slot, celslm_entry *e) {
  s->heap[slot] = e;
  e->slot = slot;
}

static void sift(celslm_store *s, int slot, celslm_entry *e) {
  for (; slot > 1 && goes_before(e, s->heap[slot / 2]); slot /= 2) put(s, slot, s->heap[slot / 2]);
  for (int child; (child = 2 * slot) <= s->resting; slot = child) {
    if (child < s->resting && goes_before(s->heap[child + 1], s->heap[child])) child++;
    if (!goes_before(s->heap[child], e)) break;
    put(s, slot, s->heap[child]);
  }
  put(s, slot, e);
}

static int64_t held_bytes(const celslm_entry *e) {
  return e->held * e->layer_bytes;
}

static void disturb(celslm_store *s, celslm_entry *e) {
  int slot = e->slot;
  if (!slot) return;
  celslm_entry *last = s->heap[s->resting--];
  e->slot = 0;
  s->idle -= held_bytes(e);
  if (last != e) sift(s, slot, last);
}

static void rest(celslm_store *s, celslm_entry *e) {
  assert(!e->slot && e->held && !e->pins);
  celslm_worth w = {.bytes = e->bytes, .seconds = e->seconds, .fame = e->fame, .age = s->age};
  if (!(w.seconds > 0)) w.seconds = s->loads > 0 ? s->load_seconds / s->loads * e->bytes : 1;
  e->worth = s->cache.eviction->worth ? s->cache.eviction->worth(&w) : 0;
  e->rested = ++s->rests;
  s->idle += held_bytes(e);
  sift(s, ++s->resting, e);
}

/* Takes all its layers, which are at rest or nobody's. */
static void drop(celslm_store *s, celslm_entry *e) {
  disturb(s, e);
  s->used -= held_bytes(e);
  e->held = 0;
  e->residence = CELSLM_ABSENT;
}

/* Makes room for so many bytes, which there can be. */
static void evict(celslm_store *s, int64_t bytes) {
  for (int64_t missing; (missing = bytes - (s->capacity - s->used)) > 0;) {
    assert(s->resting);
    celslm_entry *e = s->heap[1];
    if (e->residence == CELSLM_RESIDENT) {
      e->evictions++;
      celslm_tier *first = s->tiers[CELSLM_TIER_HOST];
      if (!first) first = s->tiers[CELSLM_TIER_DISK];
      if (first) celslm_tier_write(first, (int)(e - s->entries), e->bytes);
    }
    s->age = e->worth;
    int64_t layers = (missing + e->layer_bytes - 1) / e->layer_bytes;
    if (s->cache.partial && layers < e->held) { /* it stays the next to go */
      e->residence = CELSLM_ABSENT;
      e->held -= (int)layers;
      s->used -= layers * e->layer_bytes;
      s->idle -= layers * e->layer_bytes;
    } else {
      drop(s, e);
    }
  }
}

/* ---- requests -------------------------------------------------------------------------------- */

enum { FADE_AFTER = 10 }; /* requests per context: Einziger et al. */

void celslm_store_request(celslm_store *s, celslm_entry *e) {
  e->requests++;
  e->fame++;
  if (!s->cache.admission->forgets || ++s->requests < (double)FADE_AFTER * s->n) return;
  s->requests = 0;
  for (int i = 0; i < s->n; i++) s->entries[i].fame = floor(s->entries[i].fame / 2);
}

bool celslm_store_admits(celslm_store *s, celslm_entry *e) {
  bool full = s->capacity - s->used < (s->layers - e->held) * e->layer_bytes;
  const celslm_entry *first = full && s->resting ? s->heap[1] : NULL;
  if (first == e || s->cache.admission->admits(e->fame, first ? first->fame : -1)) return true;
  e->refused++;
  return false;
}

bool celslm_store_claim(celslm_store *s, celslm_entry *e) {
  assert(e->residence == CELSLM_ABSENT);
  int64_t bytes = (s->layers - e->held) * e->layer_bytes;
  int64_t others = s->idle - (e->slot ? held_bytes(e) : 0);
  if (s->capacity - s->used + others < bytes) return false;
  disturb(s, e);
  for (int k = 0; k < CELSLM_TIERS; k++) /* lest what goes for it pushes out its own copy */
    celslm_tier_touch(s->tiers[k], (int)(e - s->entries));
  evict(s, bytes);
  s->used += bytes;
  e->residence = CELSLM_LOADING;
  e->pins = 1;
  e->stream = (celslm_stream){.ready = e->held, .complete = CELSLM_NEVER};
  e->partial_hits += e->held > 0;
  e->asked = e->ready = CELSLM_NEVER;
  return true;
}

/* Remembers how long a whole load took. */
static void learn(celslm_store *s, celslm_entry *e, celslm_ns now) {
  if (e->held || e->asked >= now) return;
  e->seconds = celslm_seconds(now - e->asked);
  s->loads++;
  s->load_seconds += e->seconds / e->bytes;
}

void celslm_store_loaded(celslm_store *s, celslm_entry *e, celslm_ns now, bool ok) {
  assert(e->residence == CELSLM_LOADING);
  e->stream.complete = now;
  e->residence = ok ? CELSLM_RESIDENT : CELSLM_ABSENT;
  if (ok)
    learn(s, e, now), e->held = s->layers;
  else
    s->used -= (s->layers - e->held) * e->layer_bytes;
  celslm_waiter *w = e->waiting;
  e->waiting = e->waiting_last = NULL;
  for (celslm_waiter *next; w; w = next) {
    next = w->next;
    w->then(w->self, ok);
  }
  celslm_store_layers(e);
  celslm_store_unpin(s, e);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void append(celslm_waiter **first, celslm_waiter **last, celslm_waiter *w) {
  w->next = NULL;
  *(*last ? &(*last)->next : first) = w;
  *last = w;
}

void celslm_store_wait(celslm_entry *e, celslm_waiter *w) {
  append(&e->waiting, &e->waiting_last, w);
}

void celslm_store_unwait(celslm_entry *e, celslm_waiter *w) {
  celslm_waiter *last = NULL;
  for (celslm_waiter **at = &e->waiting; *at; at = &(*at)->next) {
    if (*at == w) {
      *at = w->next;
      if (e->waiting_last == w) e->waiting_last = last;
      return;
    }
    last = *at;
  }
}

void celslm_store_watch(celslm_entry *e, celslm_waiter *w) {
  append(&e->watching, &e->watching_last, w);
}

void celslm_store_layers(celslm_entry *e) {
  celslm_waiter *w = e->watching;
  e->watching = e->watching_last = NULL; /* who is not content watches again */
  for (celslm_waiter *next; w; w = next) {
    next = w->next;
    w->then(w->self, true);
  }
}

void celslm_store_wait_for_room(celslm_store *s, celslm_waiter *w) {
  append(&s->hungry, &s->hungry_last, w);
}

static void feed(celslm_store *s) {
  celslm_waiter *w = s->hungry;
  s->hungry = s->hungry_last =
      NULL; /* those who are still too large queue again, in the same order */
  for (celslm_waiter *next; w; w = next) {
    next = w->next;
    w->then(w->self, true);
  }
}

/* ---- pins ------------------------------------------------------------------------------------ */

void celslm_store_pin(celslm_store *s, celslm_entry *e) {
  if (e->pins++ == 0) disturb(s, e);
}

void celslm_store_unpin(celslm_store *s, celslm_entry *e) {
  assert(e->pins > 0);
  if (--e->pins) return;
  if (e->doomed) drop(s, e);
  e->doomed = false;
  if (e->held) rest(s, e);
  feed(s);
}

void celslm_store_clear(celslm_store *s) {
  for (int k = 0; k < CELSLM_TIERS; k++)
    if (s->tiers[k]) celslm_tier_crash(s->tiers[k]);
  while (s->resting) drop(s, s->heap[1]);
  for (int i = 0; i < s->n; i++) {
    celslm_entry *e = &s->entries[i];
    if (e->residence == CELSLM_RESIDENT) e->doomed = true;
    if (e->residence == CELSLM_LOADING) e->held = 0; /* its layers are lost, its room is not */
  }
  feed(s);
}

void celslm_store_invalidate(celslm_store *s, celslm_entry *e) {
  for (int k = 0; k < CELSLM_TIERS; k++) celslm_tier_drop(s->tiers[k], (int)(e - s->entries));
  if (e->residence != CELSLM_ABSENT || e->held) e->outdated++;
  if (e->residence == CELSLM_LOADING) e->held = 0;
  if (e->pins)
    e->doomed = true;
  else
    drop(s, e);
}

bool celslm_store_could_hold(const celslm_store *s, const celslm_entry *e) {
  return e->bytes <= (double)s->capacity;
}

double celslm_store_used(const celslm_store *s) {
  return (double)s->used;
}

double celslm_store_capacity(const celslm_store *s) {
  return (double)s->capacity;
}

celslm_tier_kind celslm_store_below(const celslm_store *s, const celslm_entry *e) {
  int kind = 0;
  while (kind < CELSLM_TIERS && !celslm_tier_has(s->tiers[kind], (int)(e - s->entries))) kind++;
  return (celslm_tier_kind)kind;
}

celslm_tier *celslm_store_tier(const celslm_store *s, celslm_tier_kind kind) {
  return s->tiers[kind];
}
