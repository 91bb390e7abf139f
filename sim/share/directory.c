#include "share/directory.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 64, DEAD_AFTER = 3 /* periods */ };

typedef struct member {
  celslm_directory *directory;
  celslm_site *site;
  celslm_event event;
  celslm_neighbour *views; /* of others */
  int n_views;
  celslm_neighbour **viewers; /* others' views of this one */
  int *viewer_hosts, n_viewers;
} member;

typedef struct notice { /* a message */
  celslm_transfer transfer;
  celslm_directory *directory;
  celslm_neighbour *view;
  int64_t present;
  double iteration;
  struct notice *before, *after;
  uint8_t has[];
} notice;

struct celslm_directory {
  celslm_net *net;
  celslm_ns period;
  int n_contexts, n_members;
  size_t bytes; /* of a bit per context */
  member *members;
  int *member_of; /* by site; -1: none */
  notice *notices;
};

/* ---- messages -------------------------------------------------------------------------------- */

static void drop(notice *m) {
  *(m->before ? &m->before->after : &m->directory->notices) = m->after;
  if (m->after) m->after->before = m->before;
  free(m);
}

static void lost(void *self) {
  drop(self);
}

static void heard(void *self) {
  notice *m = self;
  celslm_neighbour *v = m->view;
  v->heard = celslm_net_now(m->directory->net);
  v->present = m->present;
  v->iteration = m->iteration;
  memcpy(v->has, m->has, m->directory->bytes);
  drop(m);
}

static void fill(const celslm_directory *d, celslm_site *site, notice *m) {
  celslm_engine_row row;
  celslm_engine_observe(site->engine, &row);
  m->present = celslm_engine_present(site->engine);
  m->iteration = row.iterations ? row.busy / (double)row.iterations : 0;
  for (int c = 0; c < d->n_contexts; c++) {
    const celslm_entry *e = celslm_store_entry(site->store, c);
    if (e->residence == CELSLM_RESIDENT && !e->doomed) m->has[c / 8] |= (uint8_t)(1 << c % 8);
  }
}

static void tell(member *b) {
  celslm_directory *d = b->directory;
  for (int i = 0; i < b->n_viewers; i++) {
    notice *m = celslm_alloc(1, sizeof *m + d->bytes);
    m->directory = d;
    m->view = b->viewers[i];
    m->after = d->notices;
    if (d->notices) d->notices->before = m;
    d->notices = m;
    fill(d, b->site, m);
    m->transfer = (celslm_transfer){.from = b->site->host,
                                    .to = b->viewer_hosts[i],
                                    .bytes = HEADER_BYTES + d->bytes,
                                    .traffic = CELSLM_CONTEXT,
                                    .delivered = heard,
                                    .failed = lost,
                                    .patience = d->period / 2,
                                    .self = m};
    celslm_net_send(d->net, &m->transfer);
  }
}

static void turn(void *self) {
  member *b = self;
  celslm_directory *d = b->directory;
  if (!b->site->down) tell(b);
  celslm_net_at(d->net, &b->event, celslm_net_now(d->net) + d->period);
}

/* ---- who is near ----------------------------------------------------------------------------- */

typedef struct distance {
  celslm_ns latency;
  int member;
} distance;

static int nearer(const void *a, const void *b) {
  const distance *x = a, *y = b;
  if (x->latency != y->latency) return x->latency < y->latency ? -1 : 1;
  return x->member - y->member;
}

static void find_neighbours(celslm_directory *d, member *b, int most) {
  distance *all = celslm_alloc((unsigned long)d->n_members, sizeof *all);
  int n = 0;
  for (int i = 0; i < d->n_members; i++) {
    const celslm_site *other = d->members[i].site;
    if (&d->members[i] != b && other->model == b->site->model && other->host != b->site->host)
      all[n++] = (distance){celslm_net_latency(d->net, b->site->host, other->host), i};
  }
  qsort(all, (size_t)n, sizeof *all, nearer);
  b->n_views = n < most ? n : most;
  b->views = celslm_alloc((unsigned long)b->n_views, sizeof *b->views);
  for (int i = 0; i < b->n_views; i++) {
    member *other = &d->members[all[i].member];
    b->views[i] = (celslm_neighbour){
        .site = other->site, .heard = -1, .has = celslm_alloc(d->bytes, sizeof(uint8_t))};
    int k = other->n_viewers++;
    other->viewers = celslm_realloc(other->viewers, (unsigned long)(k + 1), sizeof *other->viewers);
    other->viewer_hosts =
        celslm_realloc(other->viewer_hosts, (unsigned long)(k + 1), sizeof *other->viewer_hosts);
    other->viewers[k] = &b->views[i];
    other->viewer_hosts[k] = b->site->host;
  }
  free(all);
}

celslm_directory *celslm_directory_new(celslm_net *net, celslm_site *sites, int n_sites,
                                       const int *members, int n_members, int n_contexts,
                                       int neighbours, celslm_ns period) {
  celslm_directory *d = celslm_alloc(1, sizeof *d);
  *d = (celslm_directory){.net = net,
                          .period = period,
                          .n_contexts = n_contexts,
                          .n_members = n_members,
                          .bytes = (size_t)(n_contexts + 7) / 8};
  d->members = celslm_alloc((unsigned long)n_members, sizeof *d->members);
  d->member_of = celslm_alloc((unsigned long)n_sites, sizeof *d->member_of);
  for (int i = 0; i < n_sites; i++) d->member_of[i] = -1;
  for (int i = 0; i < n_members; i++) {
    d->members[i] = (member){.directory = d, .site = &sites[members[i]]};
    d->member_of[members[i]] = i;
  }
  for (int i = 0; i < n_members; i++) {
    member *b = &d->members[i];
    find_neighbours(d, b, neighbours);
    b->event = (celslm_event){.fire = turn,
                              .self = b,
                              .cls = CELSLM_AT_TIMER,
                              .id = (uint32_t)b->site->index,
                              .background = true};
    celslm_net_at(net, &b->event, period);
  }
  return d;
}

void celslm_directory_free(celslm_directory *d) {
  if (!d) return;
  while (d->notices) drop(d->notices);
  for (int i = 0; i < d->n_members; i++) {
    member *b = &d->members[i];
    for (int k = 0; k < b->n_views; k++) free(b->views[k].has);
    free(b->views), free(b->viewers), free(b->viewer_hosts);
  }
  free(d->members), free(d->member_of), free(d);
}

/* ---- looking --------------------------------------------------------------------------------- */

const celslm_neighbour *celslm_directory_view(const celslm_directory *d, int site, int *n) {
  int i = d ? d->member_of[site] : -1;
  *n = i < 0 ? 0 : d->members[i].n_views;
  return i < 0 ? NULL : d->members[i].views;
}

bool celslm_directory_alive(const celslm_directory *d, const celslm_neighbour *k) {
  return k->heard >= 0 && celslm_net_now(d->net) - k->heard <= DEAD_AFTER * d->period;
}

bool celslm_directory_has(const celslm_neighbour *k, int context) {
  return k->has[context / 8] >> context % 8 & 1;
}

int celslm_directory_holders(const celslm_directory *d, int site, int context, celslm_site **out,
                             int most) {
  int n, found = 0; /* d NULL: none */
  const celslm_neighbour *k = celslm_directory_view(d, site, &n);
  for (int i = 0; i < n && found < most; i++)
    if (celslm_directory_alive(d, &k[i]) && celslm_directory_has(&k[i], context))
      out[found++] = k[i].site;
  out[found] = NULL;
  return found;
}
