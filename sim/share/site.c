#include "share/site.h"

#include <math.h>
#include <stdlib.h>

/* ---- computed on the spot -------------------------------------------------------------------- */

typedef struct computation {
  celslm_job job;
  celslm_site *site;
  int context;
  celslm_entry *entry;
  celslm_waiter room, *waiter;
} computation;

static void computed(celslm_job *job) {
  computation *c = job->self;
  c->entry->stream.ready = c->site->model->layers;
  c->entry->ready = celslm_net_now(c->site->net);
  celslm_store_loaded(c->site->store, c->entry, c->entry->ready, true);
  free(c);
}

/* The host crashed. */
static void computation_aborted(celslm_job *job) {
  computation *c = job->self;
  celslm_site *site = c->site;
  celslm_entry *e = c->entry;
  free(c);
  celslm_store_loaded(site->store, e, celslm_net_now(site->net), false);
}

static const celslm_job_owner owner = {.done = computed, .aborted = computation_aborted};

static void room_again(void *self, bool ok) {
  (void)ok;
  computation *c = self;
  celslm_site *site = c->site;
  int context = c->context;
  celslm_waiter *w = c->waiter;
  free(c);
  celslm_site_compute(site, context, w);
}

static void start_computation(celslm_site *site, int context, celslm_entry *e, celslm_waiter *w) {
  computation *c = celslm_alloc(1, sizeof *c);
  *c = (computation){.site = site, .context = context, .entry = e, .waiter = w};
  if (!celslm_store_claim(site->store, e)) {
    c->room = (celslm_waiter){.then = room_again, .self = c};
    celslm_store_wait_for_room(site->store, &c->room);
    return;
  }
  e->asked = celslm_net_now(site->net);
  e->computed_here = true;
  celslm_store_wait(e, w);
  c->job = (celslm_job){
      .prompt = (int32_t)e->shared.tokens, .owner = &owner, .self = c, .unlimited = true};
  if (celslm_engine_submit(site->engine, &c->job) == CELSLM_SUBMITTED) return;
  free(c);
  celslm_store_loaded(site->store, e, e->asked, false);
}

void celslm_site_compute(celslm_site *site, int context, celslm_waiter *w) {
  celslm_entry *e = celslm_store_entry(site->store, context);
  if (site->down) {
    w->then(w->self, false);
  } else if (e->residence == CELSLM_ABSENT) {
    if (celslm_site_can_hold(site, context))
      start_computation(site, context, e, w);
    else
      w->then(w->self, false);
  } else if (e->residence == CELSLM_LOADING) {
    celslm_store_wait(e, w);
  } else {
    celslm_store_pin(site->store, e);
    w->then(w->self, true);
    celslm_store_unpin(site->store, e);
  }
}

bool celslm_site_can_hold(const celslm_site *site, int context) {
  const celslm_entry *e = celslm_store_entry(site->store, context);
  int64_t room =
      celslm_engine_blocks(site->engine) * celslm_engine_configuration(site->engine)->block_size;
  return celslm_store_could_hold(site->store, e) && e->shared.tokens <= room;
}

bool celslm_site_preload(celslm_site *site, int context) {
  celslm_entry *e = celslm_store_entry(site->store, context);
  if (!celslm_store_claim(site->store, e)) return false;
  e->stream.ready = site->model->layers;
  e->asked = e->ready = 0;
  celslm_store_loaded(site->store, e, 0, true);
  return true;
}

/* ---- fetched --------------------------------------------------------------------------------- */

enum { REQUEST_BYTES = 64 }; /* our choice: an id, a version and a header fit */

typedef struct fetch {
  celslm_site *to, *from;
  celslm_entry *entry, *source;
  int context;
  const celslm_codec *codec;
  celslm_waiter at_source;
  celslm_transfer request;
  celslm_transfer *layers;     /* one per layer: several may be on the wire's latency at once */
  int64_t sent, arrived, lost; /* layers */
  bool pinned;                 /* the source entry */
} fetch;

static void end_fetch(fetch *f, bool ok) {
  celslm_store_loaded(f->to->store, f->entry, celslm_net_now(f->to->net), ok);
  free(f->layers);
  free(f);
}

static void layer_sent(void *self);

static void unpin_source(fetch *f) {
  if (f->pinned) celslm_store_unpin(f->from->store, f->source);
  f->pinned = false;
}

/* A layer that will not come: no more are sent, and when none is on its way the load has failed. */
static void layer_failed(void *self) {
  fetch *f = self;
  f->lost++;
  unpin_source(f);
  if (f->arrived + f->lost == f->sent) end_fetch(f, false);
}

static void request_failed(void *self) {
  end_fetch(self, false);
}

static void layer_arrived(void *self) {
  fetch *f = self;
  const celslm_transfer *t = &f->layers[f->arrived];
  f->entry->bytes_fetched += (double)t->bytes;
  f->arrived++;
  if (!f->lost) f->entry->stream.ready = f->arrived; /* in order: one source, one route */
  if (f->to->on_transfer) f->to->on_transfer(f->to->self, t);
  celslm_site *to = f->to;
  if (f->arrived == f->to->model->layers)
    end_fetch(f, true);
  else if (f->lost && f->arrived + f->lost == f->sent)
    end_fetch(f, false);
  celslm_engine_poke(to->engine);
}

static void send_layer(fetch *f) {
  double bytes = ceil(f->codec->layer_bytes(f->to->model, (double)f->entry->shared.tokens));
  celslm_transfer *t = &f->layers[f->sent++];
  *t = (celslm_transfer){.from = f->from->host,
                         .to = f->to->host,
                         .bytes = (uint64_t)bytes,
                         .traffic = CELSLM_KV,
                         .sent = layer_sent,
                         .delivered = layer_arrived,
                         .failed = layer_failed,
                         .patience = f->to->patience,
                         .self = f};
  celslm_net_send(f->to->net, t);
}

static void layer_sent(void *self) {
  fetch *f = self;
  if (f->lost) return;
  if (f->sent < f->to->model->layers)
    send_layer(f);
  else
    unpin_source(f);
}

static void source_ready(void *self, bool ok) {
  fetch *f = self;
  f->entry->ready = celslm_net_now(f->to->net);
  if (!ok || f->to->down) {
    end_fetch(f, false);
    return;
  }
  celslm_store_pin(f->from->store, f->source); /* until its last layer has left */
  f->pinned = true;
  send_layer(f);
}

static void request_arrived(void *self) {
  fetch *f = self;
  f->entry->asked = celslm_net_now(f->to->net);
  celslm_site_compute(f->from, f->context, &f->at_source);
}

void celslm_site_fetch(celslm_site *to, celslm_site *from, int context, const celslm_codec *codec) {
  fetch *f = celslm_alloc(1, sizeof *f);
  *f = (fetch){.to = to,
               .from = from,
               .entry = celslm_store_entry(to->store, context),
               .source = celslm_store_entry(from->store, context),
               .context = context,
               .codec = codec};
  f->at_source = (celslm_waiter){.then = source_ready, .self = f};
  f->layers = celslm_alloc((unsigned long)to->model->layers, sizeof *f->layers);
  f->request = (celslm_transfer){.from = to->host,
                                 .to = from->host,
                                 .bytes = REQUEST_BYTES,
                                 .traffic = CELSLM_CONTEXT,
                                 .delivered = request_arrived,
                                 .failed = request_failed,
                                 .patience = to->patience,
                                 .self = f};
  f->entry->computed_here = false;
  f->entry->fetches++;
  celslm_net_send(to->net, &f->request);
}
