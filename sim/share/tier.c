#include "share/tier.h"

#include "share/store.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

typedef struct place { /* of a context */
  double bytes;        /* 0: it is not there */
  int older, newer;
  int64_t writes;
} place;

typedef struct reading {
  celslm_tier *tier;
  celslm_event event;
  celslm_waiter *waiter;
  struct reading *before, *after;
} reading;

enum { READS, WRITES };

struct celslm_tier {
  celslm_net *net;
  celslm_tier_config config;
  bool duplex, survives;
  celslm_tier *below;
  double used;
  celslm_ns free_at[2]; /* when all that is queued is done */
  place *places;
  int n, oldest, newest;
  reading *readings;
};

celslm_tier *celslm_tier_new(celslm_net *net, celslm_tier_kind kind, int n,
                             const celslm_tier_config *config, celslm_tier *below) {
  celslm_tier *t = celslm_alloc(1, sizeof *t);
  *t = (celslm_tier){.net = net,
                     .config = *config,
                     .duplex = kind == CELSLM_TIER_HOST,
                     .survives = kind == CELSLM_TIER_DISK,
                     .below = below,
                     .n = n,
                     .oldest = -1,
                     .newest = -1};
  t->places = celslm_alloc((unsigned long)n, sizeof *t->places);
  return t;
}

void celslm_tier_free(celslm_tier *t) {
  if (!t) return;
  for (reading *r = t->readings, *next; r; r = next) {
    next = r->after;
    free(r);
  }
  free(t->places);
  free(t);
}

/* ---- what is there --------------------------------------------------------------------------- */

static void check(const celslm_tier *t) {
#ifndef NDEBUG
  double sum = 0;
  int listed = 0, there = 0;
  for (int c = t->oldest; c >= 0; c = t->places[c].newer, listed++) sum += t->places[c].bytes;
  for (int c = 0; c < t->n; c++) there += t->places[c].bytes > 0;
  assert(listed == there && fabs(sum - t->used) <= 1e-9 * sum);
  assert(t->used <= t->config.capacity * (1 + 1e-12));
#else
  (void)t;
#endif
}

static void unlink_place(celslm_tier *t, int c) {
  place *p = &t->places[c];
  *(p->older < 0 ? &t->oldest : &t->places[p->older].newer) = p->newer;
  *(p->newer < 0 ? &t->newest : &t->places[p->newer].older) = p->older;
}

static void link_newest(celslm_tier *t, int c) {
  t->places[c].older = t->newest;
  t->places[c].newer = -1;
  *(t->newest < 0 ? &t->oldest : &t->places[t->newest].newer) = c;
  t->newest = c;
}

bool celslm_tier_has(const celslm_tier *t, int context) {
  return t && t->places[context].bytes > 0;
}

void celslm_tier_touch(celslm_tier *t, int context) {
  if (!celslm_tier_has(t, context)) return;
  unlink_place(t, context);
  link_newest(t, context);
}

void celslm_tier_drop(celslm_tier *t, int context) {
  if (!celslm_tier_has(t, context)) return;
  unlink_place(t, context);
  t->used -= t->places[context].bytes;
  t->places[context].bytes = 0;
  if (t->oldest < 0) t->used = 0; /* no rounding is carried on */
  check(t);
}

void celslm_tier_crash(celslm_tier *t) {
  while (!t->survives && t->oldest >= 0) celslm_tier_drop(t, t->oldest);
}

/* ---- queues ---------------------------------------------------------------------------------- */

static celslm_ns *queue_of(celslm_tier *t, int way) {
  return &t->free_at[t->duplex ? way : READS];
}

static double wait_of(const celslm_tier *t, int way) {
  celslm_ns now = celslm_net_now(t->net), at = t->free_at[t->duplex ? way : READS];
  return at > now ? celslm_seconds(at - now) : 0;
}

/* Puts work at the end of a queue; returns when it is done. */
static celslm_ns occupy(celslm_tier *t, int way, double seconds) {
  celslm_ns now = celslm_net_now(t->net), *at = queue_of(t, way);
  return *at = (*at > now ? *at : now) + celslm_ns_of(seconds);
}

/* The one that is oldest goes a tier down. */
static void demote(celslm_tier *t) {
  int c = t->oldest;
  double bytes = t->places[c].bytes;
  celslm_tier_drop(t, c);
  if (t->below) celslm_tier_write(t->below, c, bytes);
}

void celslm_tier_write(celslm_tier *t, int context, double bytes) {
  assert(context >= 0 && context < t->n && bytes > 0);
  if (celslm_tier_has(t, context)) return;
  if (bytes > t->config.capacity || wait_of(t, WRITES) > CELSLM_TIER_BACKLOG) {
    if (t->below) celslm_tier_write(t->below, context, bytes);
    return;
  }
  while (t->used + bytes > t->config.capacity) demote(t);
  t->places[context].bytes = bytes;
  t->places[context].writes++;
  t->used += bytes;
  link_newest(t, context);
  occupy(t, WRITES, bytes / t->config.write);
  check(t);
}

static void read_over(void *self) {
  reading *r = self;
  celslm_waiter *w = r->waiter;
  *(r->before ? &r->before->after : &r->tier->readings) = r->after;
  if (r->after) r->after->before = r->before;
  free(r);
  w->then(w->self, true);
}

void celslm_tier_read(celslm_tier *t, int context, double bytes, celslm_waiter *w) {
  celslm_tier_touch(t, context);
  reading *r = celslm_alloc(1, sizeof *r);
  *r = (reading){.tier = t, .waiter = w, .after = t->readings};
  if (t->readings) t->readings->before = r;
  t->readings = r;
  r->event =
      (celslm_event){.fire = read_over, .self = r, .cls = CELSLM_AT_TIMER, .id = (uint32_t)context};
  celslm_net_at(t->net, &r->event, occupy(t, READS, bytes / t->config.read));
}

/* ---- looking --------------------------------------------------------------------------------- */

double celslm_tier_wait(const celslm_tier *t) {
  return wait_of(t, READS);
}

double celslm_tier_rate(const celslm_tier *t) {
  return t->config.read;
}

double celslm_tier_used(const celslm_tier *t) {
  return t ? t->used : 0;
}

int64_t celslm_tier_writes(const celslm_tier *t, int context) {
  return t ? t->places[context].writes : 0;
}
