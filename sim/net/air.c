#include "net/air.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* ---- heaps of flows that know their place ---------------------------------------------------- */

typedef enum which { ON_FINISH, ON_CAP } which;

typedef struct heap {
  celslm_air_flow **at;
  int n, size;
  which which;
  bool falling; /* the largest first */
} heap;

static double cap_of(const celslm_air_flow *f) { /* per unit of weight */
  return f->cap / f->weight;
}

static double key(const heap *h, const celslm_air_flow *f) {
  double k = h->which == ON_FINISH ? f->finish : cap_of(f);
  return h->falling ? -k : k;
}

static bool earlier(const heap *h, const celslm_air_flow *a, const celslm_air_flow *b) {
  double x = key(h, a), y = key(h, b);
  return x != y ? x < y : a->order < b->order;
}

static void put(heap *h, int at, celslm_air_flow *f) {
  h->at[at] = f;
  f->slot[h->which] = at;
}

static void up(heap *h, int at, celslm_air_flow *f) {
  for (; at > 0 && earlier(h, f, h->at[(at - 1) / 2]); at = (at - 1) / 2)
    put(h, at, h->at[(at - 1) / 2]);
  put(h, at, f);
}

static void down(heap *h, int at, celslm_air_flow *f) {
  for (int child; (child = 2 * at + 1) < h->n; at = child) {
    if (child + 1 < h->n && earlier(h, h->at[child + 1], h->at[child])) child++;
    if (!earlier(h, h->at[child], f)) break;
    put(h, at, h->at[child]);
  }
  put(h, at, f);
}

static void add(heap *h, celslm_air_flow *f) {
  if (h->n == h->size) {
    h->size = h->size ? 2 * h->size : 16;
    h->at = celslm_realloc(h->at, (unsigned long)h->size, sizeof(celslm_air_flow *));
  }
  up(h, h->n++, f);
}

static void drop(heap *h, celslm_air_flow *f) {
  int at = f->slot[h->which];
  celslm_air_flow *last = h->at[--h->n];
  f->slot[h->which] = -1;
  if (last == f) return;
  if (at > 0 && earlier(h, last, h->at[(at - 1) / 2]))
    up(h, at, last);
  else
    down(h, at, last);
}

/* ---- the air --------------------------------------------------------------------------------- */

struct celslm_air {
  celslm_net *net;
  celslm_event departure;
  heap finish, cap;               /* uncapped: on virtual time; those that a cap could bind */
  heap capped_finish, capped_cap; /* capped: on time of their own; largest cap first */
  int n;                          /* active */
  double weights, caps;           /* sums over the uncapped, the capped */
  uint64_t orders;
  celslm_ns began; /* the busy period */
  double since;    /* s from `began` to the last change */
  double time;     /* the same, slowed down with the air */
  double served;   /* virtual time then: s of air per unit of weight of each uncapped flow */
  double handed;   /* s of air that flows have had in this busy period and are done with */
  double busy;     /* s of earlier busy periods */
  double speed;
  double (*gain)(int active);
};

static void depart(void *self);

celslm_air *celslm_air_new(celslm_net *net, uint32_t id) {
  celslm_air *a = celslm_alloc(1, sizeof *a);
  a->net = net;
  a->speed = 1;
  a->finish.which = a->capped_finish.which = ON_FINISH;
  a->cap.which = a->capped_cap.which = ON_CAP;
  a->capped_cap.falling = true;
  a->departure = (celslm_event){.fire = depart, .self = a, .cls = CELSLM_AT_AIR, .id = id};
  return a;
}

void celslm_air_free(celslm_air *a) {
  if (!a) return;
  free(a->finish.at);
  free(a->cap.at);
  free(a->capped_finish.at);
  free(a->capped_cap.at);
  free(a);
}

/* s of air handed out per s. */
static double speed_of(const celslm_air *a) {
  return a->gain ? a->speed * a->gain(a->n) : a->speed;
}

/* Brings the sums to now. */
static void advance(celslm_air *a) {
  double since = celslm_seconds(celslm_net_now(a->net) - a->began);
  if (since <= a->since) return;
  double elapsed = (since - a->since) * speed_of(a);
  if (a->finish.n) a->served += elapsed * (1 - a->caps) / a->weights;
  a->time += elapsed;
  a->since = since;
}

static double air_left(const celslm_air_flow *f) {
  const celslm_air *a = f->air;
  double left = f->capped ? (f->finish - a->time) * f->cap : (f->finish - a->served) * f->weight;
  return left > 0 ? left : 0;
}

static void enter(celslm_air *a, celslm_air_flow *f, bool capped, double airtime) {
  f->capped = capped;
  f->finish = capped ? a->time + airtime / f->cap : a->served + airtime / f->weight;
  add(capped ? &a->capped_finish : &a->finish, f);
  if (capped || f->cap < 1) add(capped ? &a->capped_cap : &a->cap, f);
  *(capped ? &a->caps : &a->weights) += capped ? f->cap : f->weight;
}

static void leave(celslm_air *a, celslm_air_flow *f) {
  drop(f->capped ? &a->capped_finish : &a->finish, f);
  if (f->slot[ON_CAP] >= 0) drop(f->capped ? &a->capped_cap : &a->cap, f);
  *(f->capped ? &a->caps : &a->weights) -= f->capped ? f->cap : f->weight;
  if (!a->finish.n) a->weights = 0; /* no rounding is kept */
  if (!a->capped_finish.n) a->caps = 0;
}

/* Who is bound by its cap: those whose cap per weight is below the level that the others reach. */
static void balance(celslm_air *a) {
  for (bool moved = true; moved;) {
    moved = false;
    while (a->cap.n && cap_of(a->cap.at[0]) * a->weights <= 1 - a->caps) {
      celslm_air_flow *f = a->cap.at[0];
      double left = air_left(f);
      leave(a, f);
      enter(a, f, true, left);
      moved = true;
    }
    /* the margin keeps rounding from moving a flow to and fro */
    while (a->capped_cap.n && a->finish.n &&
           cap_of(a->capped_cap.at[0]) * a->weights > (1 - a->caps) * (1 + 1e-12)) {
      celslm_air_flow *f = a->capped_cap.at[0];
      double left = air_left(f);
      leave(a, f);
      enter(a, f, false, left);
      moved = true;
    }
  }
  assert(a->caps <= 1 + 1e-9); /* the uncapped share what is left: in all never more than 1 */
}

/* When the next flow ends, in s of this busy period; INFINITY: never at this speed. */
static double next_end(const celslm_air *a, bool *capped) {
  double end = INFINITY;
  *capped = false;
  if (a->finish.n) end = (a->finish.at[0]->finish - a->served) * a->weights / (1 - a->caps);
  if (a->capped_finish.n && a->capped_finish.at[0]->finish - a->time < end) {
    end = a->capped_finish.at[0]->finish - a->time;
    *capped = true;
  }
  double speed = speed_of(a);
  return speed > 0 ? a->since + fmax(end, 0) / speed : INFINITY;
}

static void schedule(celslm_air *a) {
  bool capped;
  double at = a->n ? next_end(a, &capped) : INFINITY;
  if (isinf(at))
    celslm_net_cancel(a->net, &a->departure);
  else /* not before it has ended: a change in the same ns comes first. 1e-3 ns: rounding of `at` */
    celslm_net_at(a->net, &a->departure, a->began + (celslm_ns)ceil(at * 1e9 - 1e-3));
}

static void reach(void *self) {
  celslm_air_flow *f = self;
  f->done(f->self);
}

/* An active flow is so no more. */
static void release(celslm_air *a, celslm_air_flow *f, double left) {
  leave(a, f);
  a->n--;
  a->handed += f->begun - left;
}

static void idle(celslm_air *a) {
  assert(a->handed <= a->time * (1 + 1e-9) + 1e-9);
  a->busy += a->since;
  celslm_net_cancel(a->net, &a->departure);
}

/* Fires in the ns after the exact end; what is reported is the nearest ns, if there is latency. */
static void depart(void *self) {
  celslm_air *a = self;
  bool capped;
  double at = next_end(a, &capped), elapsed = (at - a->since) * speed_of(a);
  heap *h = capped ? &a->capped_finish : &a->finish;
  double finish = h->at[0]->finish;
  a->since = at;
  if (capped) {
    if (a->finish.n) a->served += elapsed * (1 - a->caps) / a->weights;
    a->time = finish;
  } else {
    a->time += elapsed;
    a->served = finish;
  }
  while (h->n && h->at[0]->finish <= finish) {
    celslm_air_flow *f = h->at[0];
    release(a, f, 0);
    f->air = NULL;
    f->event =
        (celslm_event){.fire = reach, .self = f, .cls = CELSLM_AT_AIR, .id = a->departure.id};
    celslm_net_at(a->net, &f->event, a->began + celslm_ns_of(at) + f->latency);
  }
  if (a->n) {
    balance(a);
    schedule(a);
  } else {
    idle(a);
  }
}

/* A flow that has bytes gets a rate. */
static void activate(celslm_air *a, celslm_air_flow *f) {
  if (a->n == 0) {
    a->began = celslm_net_now(a->net);
    a->since = a->time = a->served = a->handed = 0;
  } else {
    advance(a);
  }
  a->n++;
  f->begun = f->left / f->rate;
  enter(a, f, false, f->begun);
  balance(a);
  schedule(a);
}

void celslm_air_send(celslm_air *a, celslm_air_flow *f) {
  if (!(f->weight > 0)) f->weight = 1;
  if (!(f->cap > 0)) f->cap = 1;
  f->air = a;
  f->order = a->orders++;
  f->slot[ON_FINISH] = f->slot[ON_CAP] = -1;
  f->left = f->bytes;
  if (f->rate > 0) activate(a, f);
}

/* An active flow waits from now on. */
static void deactivate(celslm_air *a, celslm_air_flow *f) {
  advance(a);
  double left = air_left(f);
  f->left = left * f->rate;
  release(a, f, left);
  if (a->n)
    balance(a);
  else
    idle(a);
}

void celslm_air_set_rate(celslm_air_flow *f, double rate) {
  celslm_air *a = f->air;
  if (!a || rate == f->rate) return;
  if (f->rate > 0) deactivate(a, f);
  f->rate = rate;
  if (rate > 0)
    activate(a, f);
  else
    schedule(a);
}

double celslm_air_take(celslm_air_flow *f) {
  celslm_air *a = f->air;
  if (!a) return 0;
  if (f->rate > 0) {
    deactivate(a, f);
    schedule(a);
  }
  f->air = NULL;
  return f->left;
}

void celslm_air_set_speed(celslm_air *a, double speed) {
  if (a->n) advance(a);
  a->speed = speed;
  schedule(a);
}

void celslm_air_set_gain(celslm_air *a, double (*gain)(int active)) {
  a->gain = gain;
}

double celslm_air_busy(const celslm_air *a) {
  return a->busy + (a->n ? celslm_seconds(celslm_net_now(a->net) - a->began) : 0);
}

int celslm_air_active(const celslm_air *a) {
  return a->n;
}

double celslm_air_share(const celslm_air_flow *f) {
  const celslm_air *a = f->air;
  if (!a || !(f->rate > 0)) return 0;
  return f->capped ? f->cap : f->weight * (1 - a->caps) / a->weights;
}
