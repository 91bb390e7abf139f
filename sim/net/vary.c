/* vary.c - links that change under their flows: shares, background, outages, weights; what is lost.
 */
#include "net/inside.h"

#include <math.h>
#include <stdlib.h>

/* ---- capacities ------------------------------------------------------------------------------ */

double celslm_line_capacity(const line *l) {
  return l->share > 0 ? fmax(l->nominal * l->share - l->background, 0) : 0;
}

static bool nominal(const line *l) {
  return l->share >= 1 && !(l->background > 0);
}

double celslm_route_bandwidth(const celslm_net *n, const route *r) {
  if (!n->reduced) return r->bandwidth;
  double least = INFINITY;
  for (int i = 0; i < r->n_links; i++)
    least = fmin(least, celslm_line_capacity(&n->lines[r->links[i]]));
  return least;
}

void celslm_route_set_bandwidths(celslm_net *n, const route *r, bool as_now) {
  for (int i = 0; i < r->n_links; i++) {
    const line *l = &n->lines[r->links[i]];
    if (!nominal(l))
      sg_link_set_bandwidth(n->links[r->links[i]],
                            (as_now ? celslm_line_capacity(l) : l->nominal) * n->scale);
  }
}

/* ---- what varies ----------------------------------------------------------------------------- */

/* What is under way is lost. */
static void lose(celslm_net *n, celslm_transfer *t) {
  for (worker *w = t->workers, *next; w; w = next) {
    next = w->next;
    celslm_worker_stop(n, w);
  }
  t->workers = NULL;
  t->parts = 0;
  celslm_queue_remove(n->queue, &t->event);
  n->in_flight[t->traffic] -= t->bytes;
  n->lost[t->traffic] += t->bytes;
}

static void fail(celslm_net *n, celslm_transfer *t) {
  celslm_queue_remove(n->queue, &t->event);
  celslm_transfer_unlist(n, t);
  t->failed(t->self);
}

void celslm_transfer_run_out(void *self) {
  celslm_transfer *t = self;
  fail(t->net, t);
}

static bool crosses(const celslm_transfer *t, int link) {
  for (int i = 0; i < t->route->n_links; i++)
    if (t->route->links[i] == link) return true;
  return false;
}

/* A line has other values now: capacity, transfers that are lost or can begin. */
static void follow(celslm_net *n, int link, double before) {
  const line *l = &n->lines[link];
  double now = celslm_line_capacity(l);
  n->reduced = 0;
  for (int i = 0; i < n->n_links; i++) n->reduced += !nominal(&n->lines[i]);
  celslm_carry_catch_up(n);
  if (before > 0 && !(now > 0)) {
    for (celslm_transfer *t = n->first; t; t = t->after)
      if (!t->waiting && crosses(t, link)) {
        lose(n, t);
        celslm_transfer_depart(n, t); /* waits */
      }
  }
  if (n->links) sg_link_set_bandwidth(n->links[link], now * n->scale);
  if (!(before > 0) && now > 0)
    for (celslm_transfer *t = n->first; t; t = t->after)
      if (t->waiting && celslm_route_bandwidth(n, t->route) > 0) {
        celslm_queue_remove(n->queue, &t->event);
        celslm_transfer_depart(n, t);
      }
}

int celslm_net_lines(const celslm_net *n, int link, int lines[2]) {
  int count = n->platform->links[link].split_duplex ? 2 : 1;
  for (int i = 0; i < count; i++) lines[i] = n->halves[link][i];
  return count;
}

void celslm_net_set_share(celslm_net *n, int link, double share) {
  int found[2], count = celslm_net_lines(n, link, found);
  for (int i = 0; i < count; i++) {
    double before = celslm_line_capacity(&n->lines[found[i]]);
    n->lines[found[i]].share = share;
    follow(n, found[i], before);
  }
}

void celslm_net_set_background(celslm_net *n, int link, double rate) {
  int found[2], count = celslm_net_lines(n, link, found);
  for (int i = 0; i < count; i++) {
    double before = celslm_line_capacity(&n->lines[found[i]]);
    n->lines[found[i]].background = rate;
    follow(n, found[i], before);
  }
}

void celslm_net_set_jitter(celslm_net *n, int link, double (*draw)(void *self), void *self) {
  int found[2], count = celslm_net_lines(n, link, found);
  n->jitters = true;
  for (int i = 0; i < count; i++) {
    n->lines[found[i]].jitter = draw;
    n->lines[found[i]].self = self;
  }
}

void celslm_net_set_weights(celslm_net *n, const int weights[]) {
  for (int i = 0; i < CELSLM_TRAFFICS; i++) {
    n->weights[i] = weights[i];
    if (weights[i] > 1) n->scale = 1 << 20;
  }
  for (int i = 0; n->links && i < n->n_links; i++)
    sg_link_set_bandwidth(n->links[i], celslm_line_capacity(&n->lines[i]) * n->scale);
}

void celslm_net_fail_host(celslm_net *n, int host) {
  if (n->attached) n->attachment.fail_host(n->attachment.self, host);
  for (celslm_transfer *t = n->first, *next; t; t = next) {
    next = t->after;
    if ((t->from != host && t->to != host) || !t->failed) continue;
    if (!t->waiting) lose(n, t);
    fail(n, t);
    next = n->first; /* what fails may end others: from the beginning */
  }
}
