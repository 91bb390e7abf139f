#include "share/disk.h"

#include <assert.h>
#include <stdlib.h>

typedef struct place { /* of a context */
  double bytes;        /* 0: it is not there */
  int older, newer;
} place;

typedef struct reading {
  celslm_disk *disk;
  celslm_event event;
  celslm_waiter *waiter;
  struct reading *before, *after;
} reading;

struct celslm_disk {
  celslm_net *net;
  double capacity, used, read, write;
  celslm_ns free_at; /* when all that is queued is done */
  place *places;
  int n, oldest, newest;
  reading *readings;
};

celslm_disk *celslm_disk_new(celslm_net *net, int n, double capacity, double read, double write) {
  celslm_disk *d = celslm_alloc(1, sizeof *d);
  *d = (celslm_disk){.net = net,
                     .capacity = capacity,
                     .read = read,
                     .write = write,
                     .n = n,
                     .oldest = -1,
                     .newest = -1};
  d->places = celslm_alloc((unsigned long)n, sizeof *d->places);
  return d;
}

void celslm_disk_free(celslm_disk *d) {
  if (!d) return;
  for (reading *r = d->readings, *next; r; r = next) {
    next = r->after;
    free(r);
  }
  free(d->places);
  free(d);
}

static void unlink_place(celslm_disk *d, int c) {
  place *p = &d->places[c];
  *(p->older < 0 ? &d->oldest : &d->places[p->older].newer) = p->newer;
  *(p->newer < 0 ? &d->newest : &d->places[p->newer].older) = p->older;
}

static void link_newest(celslm_disk *d, int c) {
  d->places[c].older = d->newest;
  d->places[c].newer = -1;
  *(d->newest < 0 ? &d->oldest : &d->places[d->newest].newer) = c;
  d->newest = c;
}

void celslm_disk_drop(celslm_disk *d, int context) {
  if (!celslm_disk_has(d, context)) return;
  unlink_place(d, context);
  d->used -= d->places[context].bytes;
  d->places[context].bytes = 0;
  if (d->oldest < 0) d->used = 0; /* no rounding is carried on */
}

/* Puts work at the end of the queue; returns when it is done. */
static celslm_ns occupy(celslm_disk *d, double seconds) {
  celslm_ns now = celslm_net_now(d->net);
  d->free_at = (d->free_at > now ? d->free_at : now) + celslm_ns_of(seconds);
  return d->free_at;
}

bool celslm_disk_write(celslm_disk *d, int context, double bytes) {
  assert(context >= 0 && context < d->n && bytes > 0);
  if (celslm_disk_has(d, context) || bytes > d->capacity) return false;
  if (celslm_disk_backlog(d) > CELSLM_DISK_BACKLOG) return false;
  while (d->used + bytes > d->capacity) celslm_disk_drop(d, d->oldest);
  d->places[context].bytes = bytes;
  d->used += bytes;
  link_newest(d, context);
  occupy(d, bytes / d->write);
  return true;
}

bool celslm_disk_has(const celslm_disk *d, int context) {
  return d && d->places[context].bytes > 0;
}

static void read_over(void *self) {
  reading *r = self;
  celslm_waiter *w = r->waiter;
  *(r->before ? &r->before->after : &r->disk->readings) = r->after;
  if (r->after) r->after->before = r->before;
  free(r);
  w->then(w->self, true);
}

void celslm_disk_read(celslm_disk *d, int context, double bytes, celslm_waiter *w) {
  if (celslm_disk_has(d, context)) {
    unlink_place(d, context);
    link_newest(d, context);
  }
  reading *r = celslm_alloc(1, sizeof *r);
  *r = (reading){.disk = d, .waiter = w, .after = d->readings};
  if (d->readings) d->readings->before = r;
  d->readings = r;
  r->event =
      (celslm_event){.fire = read_over, .self = r, .cls = CELSLM_AT_TIMER, .id = (uint32_t)context};
  celslm_net_at(d->net, &r->event, occupy(d, bytes / d->read));
}

double celslm_disk_backlog(const celslm_disk *d) {
  celslm_ns now = celslm_net_now(d->net);
  return d->free_at > now ? celslm_seconds(d->free_at - now) : 0;
}

double celslm_disk_rate(const celslm_disk *d) {
  return d->read;
}
