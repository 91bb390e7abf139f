#include "share/store.h"

#include <assert.h>
#include <stdlib.h>

struct celslm_store {
  celslm_entry *entries;
  int n;
  double capacity, used;
  celslm_entry *oldest, *newest;
  celslm_waiter *hungry, *hungry_last; /* for room */
};

celslm_store *celslm_store_new(const celslm_scenario *s, double capacity, double bytes_per_token) {
  celslm_store *st = celslm_alloc(1, sizeof *st);
  st->n = s->n_contexts;
  st->capacity = capacity;
  st->entries = celslm_alloc((unsigned long)st->n, sizeof *st->entries);
  for (int i = 0; i < st->n; i++) {
    st->entries[i].shared.tokens = s->contexts[i].tokens;
    st->entries[i].bytes = bytes_per_token * (double)s->contexts[i].tokens;
  }
  return st;
}

void celslm_store_free(celslm_store *s) {
  if (!s) return;
  free(s->entries);
  free(s);
}

celslm_entry *celslm_store_entry(celslm_store *s, int context) {
  assert(context >= 0 && context < s->n);
  return &s->entries[context];
}

static void unlink_entry(celslm_store *s, celslm_entry *e) {
  *(e->older ? &e->older->newer : &s->oldest) = e->newer;
  *(e->newer ? &e->newer->older : &s->newest) = e->older;
  e->older = e->newer = NULL;
}

static void link_newest(celslm_store *s, celslm_entry *e) {
  e->older = s->newest;
  e->newer = NULL;
  *(s->newest ? &s->newest->newer : &s->oldest) = e;
  s->newest = e;
}

bool celslm_store_claim(celslm_store *s, celslm_entry *e) {
  assert(e->residence == CELSLM_ABSENT);
  double free_able = s->capacity - s->used;
  for (celslm_entry *old = s->oldest; old && free_able < e->bytes; old = old->newer)
    free_able += old->bytes;
  if (free_able < e->bytes) return false;
  while (s->capacity - s->used < e->bytes) {
    celslm_entry *old = s->oldest;
    unlink_entry(s, old);
    old->residence = CELSLM_ABSENT;
    old->evictions++;
    s->used -= old->bytes;
  }
  s->used += e->bytes;
  e->residence = CELSLM_LOADING;
  e->pins = 1;
  e->stream = (celslm_stream){.complete = CELSLM_NEVER};
  e->asked = e->ready = CELSLM_NEVER;
  return true;
}

void celslm_store_loaded(celslm_store *s, celslm_entry *e, celslm_ns now, bool ok) {
  assert(e->residence == CELSLM_LOADING);
  e->stream.complete = now;
  e->residence = ok ? CELSLM_RESIDENT : CELSLM_ABSENT;
  if (!ok) s->used -= e->bytes;
  celslm_waiter *w = e->waiting;
  e->waiting = e->waiting_last = NULL;
  for (celslm_waiter *next; w; w = next) {
    next = w->next;
    w->then(w->self, ok);
  }
  celslm_store_layers(e);
  celslm_store_unpin(s, e);
}

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

void celslm_store_pin(celslm_store *s, celslm_entry *e) {
  if (e->pins++ == 0 && e->residence == CELSLM_RESIDENT) unlink_entry(s, e);
}

void celslm_store_unpin(celslm_store *s, celslm_entry *e) {
  assert(e->pins > 0);
  if (--e->pins) return;
  if (e->doomed && e->residence == CELSLM_RESIDENT) {
    e->residence = CELSLM_ABSENT;
    s->used -= e->bytes;
  }
  e->doomed = false;
  if (e->residence == CELSLM_RESIDENT) link_newest(s, e);
  feed(s);
}

void celslm_store_clear(celslm_store *s) {
  while (s->oldest) {
    celslm_entry *e = s->oldest;
    unlink_entry(s, e);
    e->residence = CELSLM_ABSENT;
    s->used -= e->bytes;
  }
  for (int i = 0; i < s->n; i++)
    if (s->entries[i].residence == CELSLM_RESIDENT) s->entries[i].doomed = true;
  feed(s);
}

bool celslm_store_could_hold(const celslm_store *s, const celslm_entry *e) {
  return e->bytes <= s->capacity;
}

double celslm_store_used(const celslm_store *s) {
  return s->used;
}
