#include "share/fetch.h"

#include "share/align.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { REQUEST_BYTES = 64 }; /* our choice: an id, a version and a header fit; so does a "no" */

typedef struct fetch fetch;

/* A layer on its way. */
typedef struct piece {
  celslm_transfer transfer;
  struct supply *supply;
  int layer; /* of ours */
} piece;

/* Where some of the layers come from. */
typedef struct supply {
  fetch *fetch;
  celslm_site *site; /* NULL: this host's disk */
  celslm_from from;
  celslm_entry *source; /* the site's */
  celslm_waiter waiter; /* for the source's KV, or the disk */
  celslm_transfer request;
  piece *pieces; /* in order */
  int n, sent;
  bool pinned; /* the source, until its last layer has left */
} supply;

struct fetch {
  celslm_site *to;
  celslm_entry *entry;
  int context;
  celslm_plan plan;
  supply *supplies;
  int n_supplies;
  bool *there;     /* by layer */
  int missing;     /* layers */
  int64_t awaited; /* callbacks that are still to come */
  bool failed;
  celslm_transfer request, text; /* for the context's tokens */
  celslm_job local;              /* computes the first layers */
};

static celslm_ns now_of(const fetch *f) {
  return celslm_net_now(f->to->net);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void unpin_source(supply *s) {
  if (s->pinned) celslm_store_unpin(s->site->store, s->source);
  s->pinned = false;
}

/* If there is nothing left to wait for. */
static void settle(fetch *f) {
  if (f->missing && (!f->failed || f->awaited)) return;
  assert(!f->awaited);
  celslm_store_loaded(f->to->store, f->entry, now_of(f), !f->missing);
  for (int i = 0; i < f->n_supplies; i++) free(f->supplies[i].pieces);
  free(f->supplies);
  free(f->there);
  celslm_plan_clear(&f->plan);
  free(f);
}

/* Something that will not come: nothing more is sent. */
static void fail(fetch *f) {
  f->failed = true;
  for (int i = 0; i < f->n_supplies; i++) unpin_source(&f->supplies[i]);
  settle(f);
}

static void layer_there(fetch *f, int layer) {
  celslm_site *to = f->to;
  assert(!f->there[layer]);
  f->there[layer] = true;
  f->missing--;
  if (!f->failed) {
    int64_t *ready = &f->entry->stream.ready;
    while (*ready < f->plan.n && f->there[*ready]) ++*ready;
  }
  settle(f);
  celslm_engine_poke(to->engine);
}

static void send(fetch *f, celslm_transfer *t, celslm_site *from, celslm_site *to, double bytes,
                 celslm_traffic traffic, void (*delivered)(void *), void (*failed)(void *),
                 void *self) {
  *t = (celslm_transfer){.from = from->host,
                         .to = to->host,
                         .bytes = (uint64_t)ceil(bytes),
                         .traffic = traffic,
                         .delivered = delivered,
                         .failed = failed,
                         .patience = f->to->patience,
                         .self = self};
  f->awaited++;
}

/* ---- layers of a site ------------------------------------------------------------------------ */

static double bytes_of(const piece *p) {
  const fetch *f = p->supply->fetch;
  return f->plan.layers[p->layer].codec->layer_bytes(f->to->model, (double)f->entry->shared.tokens);
}

static void piece_arrived(void *self) {
  piece *p = self;
  fetch *f = p->supply->fetch;
  f->awaited--;
  f->entry->bytes_fetched += (double)p->transfer.bytes;
  if (f->to->on_transfer) f->to->on_transfer(f->to->self, &p->transfer);
  layer_there(f, p->layer);
}

static void piece_failed(void *self) {
  fetch *f = ((piece *)self)->supply->fetch;
  f->awaited--;
  fail(f);
}

static void piece_sent(void *self);

static void send_piece(supply *s) {
  fetch *f = s->fetch;
  piece *p = &s->pieces[s->sent++];
  send(f, &p->transfer, s->site, f->to, bytes_of(p), CELSLM_KV, piece_arrived, piece_failed, p);
  p->transfer.sent = piece_sent;
  celslm_net_send(f->to->net, &p->transfer);
}

static void piece_sent(void *self) {
  supply *s = ((piece *)self)->supply;
  if (s->fetch->failed) return;
  if (s->sent < s->n)
    send_piece(s);
  else
    unpin_source(s);
}

static void source_ready(void *self, bool ok) {
  supply *s = self;
  fetch *f = s->fetch;
  f->awaited--;
  f->entry->ready = now_of(f);
  if (!ok || f->to->down || f->failed) {
    fail(f);
    return;
  }
  celslm_store_pin(s->site->store, s->source);
  s->pinned = true;
  send_piece(s);
}

static void ask(supply *s);

/* A peer's "no" is here: the cloud has the layers, as a model of its own. */
static void refused(void *self) {
  supply *s = self;
  fetch *f = s->fetch;
  celslm_site *cloud = f->plan.cloud;
  f->awaited--;
  if (!cloud || f->failed || f->to->down) {
    fail(f);
    return;
  }
  int *map = celslm_alloc((unsigned long)f->plan.n, sizeof *map);
  celslm_layer_map_uniform((int)cloud->model->layers, f->plan.n, map);
  for (int i = 0; i < s->n; i++) {
    int j = s->pieces[i].layer;
    f->plan.layers[j].from = CELSLM_FROM_CLOUD;
    f->plan.layers[j].site = cloud;
    f->plan.layers[j].layer = (int16_t)map[j];
  }
  free(map);
  s->from = CELSLM_FROM_CLOUD;
  s->site = cloud;
  ask(s);
}

static void request_failed(void *self) {
  fetch *f = ((supply *)self)->fetch;
  f->awaited--;
  fail(f);
}

static void request_arrived(void *self) {
  supply *s = self;
  fetch *f = s->fetch;
  f->awaited--;
  if (f->entry->asked == CELSLM_NEVER) f->entry->asked = now_of(f);
  if (f->failed) {
    fail(f);
  } else if (s->from == CELSLM_FROM_PEER && s->source->residence != CELSLM_RESIDENT) {
    send(f, &s->request, s->site, f->to, REQUEST_BYTES, CELSLM_CONTEXT, refused, request_failed, s);
    celslm_net_send(f->to->net, &s->request);
  } else {
    f->awaited++;
    s->waiter = (celslm_waiter){.then = source_ready, .self = s};
    celslm_site_compute(s->site, f->context, &s->waiter);
  }
}

static void ask(supply *s) {
  fetch *f = s->fetch;
  s->source = celslm_store_entry(s->site->store, f->context);
  send(f, &s->request, f->to, s->site, REQUEST_BYTES, CELSLM_CONTEXT, request_arrived,
       request_failed, s);
  celslm_net_send(f->to->net, &s->request);
}

/* ---- layers of this host's disk -------------------------------------------------------------- */

static void read_piece(supply *s);

static void piece_read(void *self, bool ok) {
  supply *s = self;
  fetch *f = s->fetch;
  f->awaited--;
  if (!ok || f->failed || f->to->down) {
    fail(f);
    return;
  }
  int layer = s->pieces[s->sent++].layer;
  if (s->sent < s->n) read_piece(s);
  layer_there(f, layer);
}

static void read_piece(supply *s) {
  fetch *f = s->fetch;
  f->awaited++;
  s->waiter = (celslm_waiter){.then = piece_read, .self = s};
  f->to->read_disk(f->to, f->context, bytes_of(&s->pieces[s->sent]), &s->waiter);
}

/* ---- layers computed here -------------------------------------------------------------------- */

static void computed(celslm_job *job) {
  fetch *f = job->self;
  int layers = celslm_plan_local(&f->plan);
  f->awaited--;
  for (int j = 0; j < layers - 1; j++) f->there[j] = true;
  f->missing -= layers - 1;
  layer_there(f, layers - 1);
}

static void not_computed(celslm_job *job) {
  fetch *f = job->self;
  f->awaited--;
  fail(f);
}

static const celslm_job_owner owner = {.done = computed, .aborted = not_computed};

static void text_failed(void *self) {
  fetch *f = self;
  f->awaited--;
  fail(f);
}

static void text_arrived(void *self) {
  fetch *f = self;
  f->awaited--;
  f->local = (celslm_job){.prompt = (int32_t)f->entry->shared.tokens,
                          .layers = (int16_t)celslm_plan_local(&f->plan),
                          .owner = &owner,
                          .self = f,
                          .unlimited = true};
  if (!f->failed && !f->to->down &&
      celslm_engine_submit(f->to->engine, &f->local) == CELSLM_SUBMITTED)
    f->awaited++;
  else
    fail(f);
}

static void text_asked(void *self) {
  fetch *f = self;
  f->awaited--;
  if (f->failed) {
    fail(f);
    return;
  }
  send(f, &f->text, f->plan.cloud, f->to, f->to->token_bytes * (double)f->entry->shared.tokens,
       CELSLM_CONTEXT, text_arrived, text_failed, f);
  celslm_net_send(f->to->net, &f->text);
}

static void ask_for_text(fetch *f) {
  send(f, &f->request, f->to, f->plan.cloud, REQUEST_BYTES, CELSLM_CONTEXT, text_asked, text_failed,
       f);
  celslm_net_send(f->to->net, &f->request);
}

/* ---- setting out ----------------------------------------------------------------------------- */

/* The supply for a layer; a new one for a source that has none. */
static supply *supply_of(fetch *f, const celslm_layer_plan *l) {
  for (int i = 0; i < f->n_supplies; i++)
    if (f->supplies[i].from == l->from && f->supplies[i].site == l->site) return &f->supplies[i];
  supply *s = &f->supplies[f->n_supplies++];
  *s = (supply){.fetch = f, .from = l->from, .site = l->site};
  s->pieces = celslm_alloc((unsigned long)f->plan.n, sizeof *s->pieces);
  return s;
}

static void sort_layers(fetch *f) {
  f->there = celslm_alloc((unsigned long)f->plan.n, sizeof *f->there);
  f->supplies = celslm_alloc((unsigned long)f->plan.n, sizeof *f->supplies);
  for (int j = 0; j < f->plan.n; j++) {
    const celslm_layer_plan *l = &f->plan.layers[j];
    if (l->from == CELSLM_FROM_HERE) {
      f->there[j] = true;
    } else {
      f->missing++;
      if (l->from == CELSLM_FROM_LOCAL) continue;
      supply *s = supply_of(f, l);
      s->pieces[s->n++] = (piece){.supply = s, .layer = j};
    }
  }
  while (f->entry->stream.ready < f->plan.n && f->there[f->entry->stream.ready])
    f->entry->stream.ready++;
}

void celslm_fetch(celslm_site *to, int context, const celslm_plan *plan) {
  fetch *f = celslm_alloc(1, sizeof *f);
  *f = (fetch){.to = to,
               .entry = celslm_store_entry(to->store, context),
               .context = context,
               .plan = celslm_plan_copy(plan)};
  assert(!celslm_plan_fault(plan, (int)to->model->layers, plan->n));
  f->entry->computed_here = false;
  f->entry->fetches++;
  sort_layers(f);
  f->awaited++; /* this call */
  if (celslm_plan_local(&f->plan)) ask_for_text(f);
  for (int i = 0; i < f->n_supplies; i++) {
    supply *s = &f->supplies[i];
    if (s->site)
      ask(s);
    else
      read_piece(s);
  }
  f->awaited--;
  settle(f);
}
