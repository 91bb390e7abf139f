#include "net/air.h"

#include <math.h>
#include <stdlib.h>

struct celslm_air {
  celslm_net *net;
  celslm_event departure;
  celslm_air_flow **heap; /* on (finish, order) */
  int n, size;
  uint64_t orders;
  celslm_ns began; /* the busy period */
  double since;    /* s from `began` to the last change */
  double served;   /* virtual time then: s of air each active flow has had */
  double busy;     /* s of earlier busy periods */
};

static void depart(void *self);

celslm_air *celslm_air_new(celslm_net *net, uint32_t id) {
  celslm_air *a = celslm_alloc(1, sizeof *a);
  a->net = net;
  a->departure = (celslm_event){.fire = depart, .self = a, .cls = CELSLM_AT_AIR, .id = id};
  return a;
}

void celslm_air_free(celslm_air *a) {
  if (!a) return;
  free(a->heap);
  free(a);
}

static bool earlier(const celslm_air_flow *a, const celslm_air_flow *b) {
  return a->finish != b->finish ? a->finish < b->finish : a->order < b->order;
}

static void push(celslm_air *a, celslm_air_flow *f) {
  if (a->n == a->size) {
    a->size = a->size ? 2 * a->size : 16;
    a->heap = celslm_realloc(a->heap, (unsigned long)a->size, sizeof(celslm_air_flow *));
  }
  int at = a->n++;
  for (; at > 0 && earlier(f, a->heap[(at - 1) / 2]); at = (at - 1) / 2)
    a->heap[at] = a->heap[(at - 1) / 2];
  a->heap[at] = f;
}

static celslm_air_flow *pop(celslm_air *a) {
  celslm_air_flow *first = a->heap[0], *last = a->heap[--a->n];
  int at = 0;
  for (int child; (child = 2 * at + 1) < a->n; at = child) {
    if (child + 1 < a->n && earlier(a->heap[child + 1], a->heap[child])) child++;
    if (!earlier(a->heap[child], last)) break;
    a->heap[at] = a->heap[child];
  }
  if (a->n) a->heap[at] = last;
  return first;
}

static void schedule(celslm_air *a) {
  double at = a->since + (a->heap[0]->finish - a->served) * a->n;
  celslm_net_at(a->net, &a->departure, a->began + celslm_ns_of(at));
}

static void reach(void *self) {
  celslm_air_flow *f = self;
  f->done(f->self);
}

static void depart(void *self) {
  celslm_air *a = self;
  double finish = a->heap[0]->finish;
  a->since += (finish - a->served) * a->n;
  a->served = finish;
  while (a->n && a->heap[0]->finish <= finish) {
    celslm_air_flow *f = pop(a);
    f->event =
        (celslm_event){.fire = reach, .self = f, .cls = CELSLM_AT_AIR, .id = a->departure.id};
    celslm_net_at(a->net, &f->event, celslm_net_now(a->net) + f->latency);
  }
  if (a->n)
    schedule(a);
  else
    a->busy += a->since;
}

void celslm_air_send(celslm_air *a, celslm_air_flow *f) {
  celslm_ns now = celslm_net_now(a->net);
  if (a->n == 0) {
    a->began = now;
    a->since = a->served = 0;
  } else {
    double since = celslm_seconds(now - a->began);
    if (since > a->since) { /* a departure reported in whole ns may lie a little ahead of now */
      a->served += (since - a->since) / a->n;
      a->since = since;
    }
  }
  f->finish = a->served + f->airtime;
  f->order = a->orders++;
  push(a, f);
  schedule(a);
}

double celslm_air_busy(const celslm_air *a) {
  return a->busy + (a->n ? celslm_seconds(celslm_net_now(a->net) - a->began) : 0);
}
