/* load.c - the workloads of a scenario, mixed in order of time (see load.h).
 *
 * Requests that stand alone come straight from their workload, one drawn ahead. Conversations (of
 * sessions and closed loops) that wait for their next turn are in a heap ordered by (time,
 * session); one in which a request is under way is in none until that has ended. */
#include "load/load.h"

#include "load/parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct celslm_load {
  celslm_source *sources;
  int n_sources;
  celslm_ns horizon;
  celslm_conversation **heap;
  uint32_t n, size;
  celslm_conversation *all; /* that last */
};

const void *celslm_load_find(const void *const *table, const char *name) {
  for (; *table; table++)
    if (strcmp(*(const char *const *)*table, name) == 0) return *table;
  return NULL;
}

/* ---- the heap -------------------------------------------------------------------------------- */

static bool earlier(const celslm_conversation *a, const celslm_conversation *b) {
  return a->time != b->time ? a->time < b->time : a->session < b->session;
}

static void push(celslm_load *l, celslm_conversation *c) {
  if (l->n == l->size)
    l->heap = celslm_realloc(l->heap, l->size = l->size ? 2 * l->size : 64, sizeof *l->heap);
  uint32_t at = l->n++;
  for (; at && earlier(c, l->heap[(at - 1) / 2]); at = (at - 1) / 2)
    l->heap[at] = l->heap[(at - 1) / 2];
  l->heap[at] = c;
}

static celslm_conversation *pop(celslm_load *l) {
  celslm_conversation *first = l->heap[0], *last = l->heap[--l->n];
  uint32_t at = 0;
  for (uint32_t child; (child = 2 * at + 1) < l->n; at = child) {
    if (child + 1 < l->n && earlier(l->heap[child + 1], l->heap[child])) child++;
    if (!earlier(l->heap[child], last)) break;
    l->heap[at] = l->heap[child];
  }
  l->heap[at] = last;
  return first;
}

/* ---- conversations --------------------------------------------------------------------------- */

static void begin(celslm_load *l, celslm_source *w, int64_t user, int64_t round, celslm_ns now) {
  celslm_conversation *c = celslm_conversation_new(w, user, round, now);
  if (!c) return;
  c->after = l->all;
  if (l->all) l->all->before = c;
  l->all = c;
  push(l, c);
}

static void forget(celslm_load *l, celslm_conversation *c) {
  *(c->before ? &c->before->after : &l->all) = c->after;
  if (c->after) c->after->before = c->before;
  celslm_conversation_free(c);
}

/* Conversations of a workload that has sent all its requests are over. */
static void drop_exhausted(celslm_load *l) {
  while (l->n && l->heap[0]->source->left <= 0) forget(l, pop(l));
}

/* ---- the whole ------------------------------------------------------------------------------- */

celslm_load *celslm_load_new(const celslm_scenario *s, celslm_error *err) {
  celslm_load *l = celslm_alloc(1, sizeof *l);
  l->horizon = celslm_ns_of(s->horizon);
  l->sources = celslm_alloc((unsigned long)s->n_workloads, sizeof *l->sources);
  for (int i = 0; i < s->n_workloads; i++) {
    l->n_sources++;
    if (!celslm_source_open(&l->sources[i], s, i, err)) {
      celslm_load_free(l);
      return NULL;
    }
  }
  for (int i = 0; i < l->n_sources; i++) {
    celslm_source *w = &l->sources[i];
    int64_t users = w->process && w->process->closed ? (int64_t)w->state[0] : 0;
    for (int64_t u = 0; u < users && u < w->left; u++) begin(l, w, u, 0, 0);
    if (w->sessions && !users) begin(l, w, -1, 0, 0);
    if (!w->sessions) celslm_source_advance(w);
  }
  return l;
}

void celslm_load_free(celslm_load *l) {
  if (!l) return;
  while (l->all) forget(l, l->all);
  for (int i = 0; i < l->n_sources; i++) celslm_source_close(&l->sources[i]);
  free(l->sources);
  free(l->heap);
  free(l);
}

/* The workload whose request without a conversation comes first; NULL: none has one. */
static celslm_source *first_alone(const celslm_load *l) {
  celslm_source *first = NULL;
  for (int i = 0; i < l->n_sources; i++) {
    celslm_source *w = &l->sources[i];
    if (w->has_next && (!first || w->next.time < first->next.time)) first = w;
  }
  return first;
}

celslm_ns celslm_load_when(const celslm_load *l) {
  const celslm_source *alone = first_alone(l);
  celslm_ns time = alone ? alone->next.time : CELSLM_NEVER;
  if (l->n && l->heap[0]->time < time) time = l->heap[0]->time;
  return time > l->horizon ? CELSLM_NEVER : time;
}

bool celslm_load_next(celslm_load *l, celslm_arrival *a) {
  celslm_ns time = celslm_load_when(l);
  if (time == CELSLM_NEVER) return false;
  celslm_source *w = first_alone(l);
  if (w && w->next.time == time) {
    *a = w->next;
    w->left--;
    celslm_source_advance(w);
    return true;
  }
  celslm_conversation *c = pop(l);
  c->source->left--;
  celslm_conversation_ask(c, a);
  if (c->turn == 1 && c->user < 0) begin(l, c->source, -1, 0, c->time); /* the one after it */
  drop_exhausted(l);
  return true;
}

void celslm_load_ended(celslm_load *l, const celslm_demand *d, bool completed, celslm_ns now) {
  celslm_conversation *c = d->conversation;
  if (!c) return;
  if (completed && c->turn < c->n_turns) {
    c->time = now + c->turns[c->turn].think;
    push(l, c);
  } else {
    if (c->user >= 0) begin(l, c->source, c->user, c->round + 1, now);
    forget(l, c);
  }
  drop_exhausted(l);
}
