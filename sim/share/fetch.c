/* fetch.c - the pieces of a context on their way: available at the source, encoded, sent, decoded,
 * there. Each stage has a queue of its own; a stage that costs nothing is passed at once.
 *
 * `awaited` counts callbacks that are still to come. A fetch lives until all is there, or until it
 * has failed and awaits nothing. */
#include "share/fetch.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

enum { REQUEST_BYTES = 64 }; /* our choice: an id, a version and a header fit; so does a "no" */

typedef struct fetch fetch;

/* Some tokens of one layer. */
typedef struct piece {
  celslm_transfer transfer;
  celslm_coding_work work;
  celslm_event available; /* where the source is still computing it */
  struct supply *supply;
  struct piece *next; /* in the queue for the wire */
  int layer;          /* of ours */
  int64_t tokens, upto;
  bool known; /* when it is available is */
} piece;

/* Where some of the layers come from. */
typedef struct supply {
  fetch *fetch;
  celslm_site *site; /* NULL: a tier of this host */
  celslm_from from;
  celslm_entry *source; /* the site's */
  celslm_waiter waiter; /* for the source's KV, or the tier */
  celslm_progress_watcher watcher;
  celslm_transfer request;
  piece *pieces;                       /* by layer, then by tokens */
  int n, encoded, sent, arrived, gone; /* pieces; gone: to another source, by a new plan */
  piece *first, *last;                 /* encoded, not yet sent */
  int crashes;                         /* of the site, when it was asked */
  bool sending;
  bool pinned;  /* the source, until its last piece has left */
  bool uploads; /* it is a peer, and counts this among its uploads as long */
} supply;

struct fetch {
  celslm_site *to;
  celslm_entry *entry;
  int context;
  celslm_plan plan;
  supply *supplies;
  int n_supplies;
  int *left;   /* by layer: pieces that are not there */
  int missing; /* layers */
  int crashes; /* of `to`, at the start */
  int64_t awaited;
  bool failed;
  celslm_transfer request, text; /* for the context's tokens */
  celslm_job local;              /* computes the first layers */
};

static celslm_ns now_of(const fetch *f) {
  return celslm_net_now(f->to->net);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void unpin_source(supply *s) {
  if (s->uploads) s->site->uploads--;
  if (s->pinned) celslm_store_unpin(s->site->store, s->source);
  s->pinned = s->uploads = false;
}

/* If there is nothing left to wait for. */
static void settle(fetch *f) {
  if (f->awaited || (f->missing && !f->failed)) return;
  f->to->loads--;
  celslm_store_loaded(f->to->store, f->entry, now_of(f), !f->missing);
  for (int i = 0; i < f->n_supplies; i++) free(f->supplies[i].pieces);
  free(f->supplies);
  free(f->left);
  celslm_plan_clear(&f->plan);
  free(f);
}

/* Something that will not come: nothing more sets out. */
static void fail(fetch *f) {
  f->failed = true;
  for (int i = 0; i < f->n_supplies; i++) {
    supply *s = &f->supplies[i];
    unpin_source(s);
    celslm_site_unwatch(s->source, &s->watcher);
    for (int k = 0; k < s->n; k++) {
      if (!s->pieces[k].available.slot) continue;
      celslm_net_cancel(f->to->net, &s->pieces[k].available);
      f->awaited--;
    }
  }
  settle(f);
}

/* At the beginning of every callback. False: it is over, and `f` may be gone. */
static bool goes_on(fetch *f) {
  f->awaited--;
  if (!f->failed && f->crashes == f->to->crashes) return true;
  fail(f);
  return false;
}

static void lost(fetch *f) {
  if (goes_on(f)) fail(f);
}

static void layers_there(fetch *f, int n) {
  celslm_engine *engine = f->to->engine;
  int64_t *ready = &f->entry->stream.ready, before = *ready;
  f->missing -= n;
  while (*ready < f->plan.n && !f->left[*ready]) ++*ready;
  bool moved = *ready > before;
  if (moved && !f->entry->stream.first) {
    f->entry->stream.first = now_of(f);
    f->entry->stream.base = *ready;
  }
  if (moved && f->missing) {
    f->awaited++; /* while others are told */
    celslm_store_layers(f->entry);
    f->awaited--;
  }
  settle(f);
  if (moved) celslm_engine_poke(engine);
}

/* ---- decoding -------------------------------------------------------------------------------- */

static void decoded(void *self) {
  piece *p = self;
  fetch *f = p->supply->fetch;
  if (goes_on(f) && --f->left[p->layer] == 0) layers_there(f, 1);
}

static void decode(piece *p) {
  fetch *f = p->supply->fetch;
  const celslm_layer_plan *l = &f->plan.layers[p->layer];
  double tokens = (double)p->tokens;
  p->work = (celslm_coding_work){
      .duration = celslm_coder_time(f->to->coder, true, l->codec, f->to->model, tokens,
                                    celslm_plan_flops(l, f->to->model).here * tokens),
      .done = decoded,
      .self = p};
  f->awaited++;
  celslm_coder_submit(f->to->coder, &p->work);
}

/* What has arrived of a supply goes on: at once, or where coding does not overlap, all together. */
static void arrived(supply *s, piece *p) {
  fetch *f = s->fetch;
  if (f->plan.overlaps && !f->plan.whole) {
    decode(p);
  } else if (s->arrived == s->n) {
    f->awaited++; /* this loop */
    for (int k = 0; k < s->n; k++) decode(&s->pieces[k]);
    f->awaited--;
    settle(f);
  }
}

/* ---- on the wire ----------------------------------------------------------------------------- */

static void set_out(fetch *f, celslm_transfer *t, const celslm_site *from, const celslm_site *to,
                    double bytes, celslm_traffic traffic, void (*delivered)(void *),
                    void (*failed)(void *), void *self) {
  *t = (celslm_transfer){.from = from->host,
                         .to = to->host,
                         .bytes = (uint64_t)bytes,
                         .traffic = traffic,
                         .sent = t->sent,
                         .delivered = delivered,
                         .failed = failed,
                         .patience = f->to->patience,
                         .self = self};
  f->awaited++;
  celslm_net_send(f->to->net, t);
}

static double bytes_of(const piece *p) {
  const fetch *f = p->supply->fetch;
  return celslm_plan_piece_bytes(&f->plan.layers[p->layer], f->to->model, (double)p->tokens);
}

static void reconsider(fetch *f);

/* How fast a piece came: what an edge can see of the load on its way. */
static void see_rate(celslm_site *to, const celslm_site *from, const celslm_transfer *t) {
  celslm_ns took = celslm_net_now(to->net) - t->started - t->latency;
  if (took <= 0) return;
  double rate = (double)t->bytes / celslm_seconds(took);
  bool same = to->seen.site == from;
  to->seen.rate = same ? (to->seen.rate + rate) / 2 : rate;
  to->seen.site = from;
  to->seen.at = celslm_net_now(to->net);
}

static void piece_arrived(void *self) {
  piece *p = self;
  supply *s = p->supply;
  fetch *f = s->fetch;
  f->entry->bytes_fetched += (double)p->transfer.bytes;
  see_rate(f->to, s->site, &p->transfer);
  if (f->to->on_transfer) f->to->on_transfer(f->to->self, &p->transfer);
  s->arrived += f->plan.whole ? s->n : 1;
  if (!goes_on(f)) return;
  f->awaited++; /* what goes on otherwise */
  reconsider(f);
  f->awaited--;
  arrived(s, p);
}

static void piece_failed(void *self) {
  lost(((piece *)self)->supply->fetch);
}

static void send_next(supply *s);

static void piece_sent(void *self) {
  supply *s = ((piece *)self)->supply;
  s->sending = false;
  if (s->fetch->failed) return;
  if (s->sent + s->gone < s->n)
    send_next(s);
  else
    unpin_source(s);
}

/* The next piece leaves, if the one before has: or all of them as one. */
static void send_next(supply *s) {
  fetch *f = s->fetch;
  bool all = f->plan.whole || !f->plan.overlaps;
  piece *p = s->first;
  if (!p || s->sending || (all && s->encoded < s->n)) return;
  double bytes = 0;
  do {
    bytes += bytes_of(s->first);
    s->first = s->first->next;
    s->sent++;
  } while (f->plan.whole && s->first);
  if (!s->first) s->last = NULL;
  s->sending = true;
  p->transfer.sent = piece_sent;
  set_out(f, &p->transfer, s->site, f->to, bytes, CELSLM_KV, piece_arrived, piece_failed, p);
}

/* ---- encoding -------------------------------------------------------------------------------- */

static void encoded(void *self) {
  piece *p = self;
  supply *s = p->supply;
  if (!goes_on(s->fetch)) return;
  if (s->crashes != s->site->crashes) {
    fail(s->fetch);
    return;
  }
  s->encoded++;
  p->next = NULL;
  *(s->last ? &s->last->next : &s->first) = p;
  s->last = p;
  send_next(s);
}

static void encode(piece *p) {
  supply *s = p->supply;
  fetch *f = s->fetch;
  const celslm_layer_plan *l = &f->plan.layers[p->layer];
  double tokens = (double)p->tokens;
  p->work = (celslm_coding_work){
      .duration = celslm_coder_time(s->site->coder, false, l->codec, f->to->model, tokens,
                                    celslm_plan_flops(l, f->to->model).there * tokens),
      .done = encoded,
      .self = p};
  f->awaited++;
  celslm_coder_submit(s->site->coder, &p->work);
}

static void available(void *self) {
  piece *p = self;
  if (goes_on(p->supply->fetch)) encode(p);
}

/* ---- at the source --------------------------------------------------------------------------- */

/* Tokens up to `upto` pass through all layers between `begin` and `end`, evenly. */
static void progress(void *self, int64_t upto, celslm_ns begin, celslm_ns end) {
  supply *s = self;
  fetch *f = s->fetch;
  if (f->failed) return;
  int64_t layers = s->site->model->layers;
  for (int k = 0; k < s->n; k++) {
    piece *p = &s->pieces[k];
    if (p->known || p->upto > upto) continue;
    p->known = true;
    celslm_ns at = begin + (end - begin) * (f->plan.layers[p->layer].layer + 1) / layers;
    p->available = (celslm_event){
        .fire = available, .self = p, .cls = CELSLM_AT_TIMER, .id = (uint32_t)p->layer};
    f->awaited++;
    celslm_net_at(f->to->net, &p->available, at > now_of(f) ? at : now_of(f));
  }
}

static void source_ready(void *self, bool ok) {
  supply *s = self;
  fetch *f = s->fetch;
  f->entry->ready = now_of(f);
  celslm_site_unwatch(s->source, &s->watcher);
  if (!goes_on(f)) return;
  if (!ok) {
    fail(f);
    return;
  }
  if (s->sent < s->n || s->sending) {
    celslm_store_pin(s->site->store, s->source);
    s->pinned = true;
    s->uploads = s->from == CELSLM_FROM_PEER;
    s->site->uploads += s->uploads;
  }
  f->awaited++; /* this loop */
  for (int k = 0; k < s->n; k++) {
    bool known = s->pieces[k].known;
    s->pieces[k].known = true;
    if (!known) encode(&s->pieces[k]);
  }
  f->awaited--;
  settle(f);
}

static void ask(supply *s);

/* A peer's "no" is here: the cloud has the layers, as a model of its own. */
static void refused(void *self) {
  supply *s = self;
  fetch *f = s->fetch;
  celslm_site *cloud = f->plan.cloud;
  if (!goes_on(f)) return;
  if (!cloud) {
    fail(f);
    return;
  }
  celslm_plan uniform = celslm_plan_from(f->to, cloud, f->plan.layers[s->pieces[0].layer].codec);
  const celslm_layer_plan *as = f->plan.otherwise ? f->plan.otherwise : uniform.layers;
  for (int k = 0; k < s->n; k++) f->plan.layers[s->pieces[k].layer] = as[s->pieces[k].layer];
  celslm_plan_clear(&uniform);
  s->from = CELSLM_FROM_CLOUD;
  s->site = cloud;
  ask(s);
}

static void request_failed(void *self) {
  lost(((supply *)self)->fetch);
}

static bool too_busy(const celslm_site *peer) {
  return peer->most_uploads && peer->uploads >= peer->most_uploads;
}

static void request_arrived(void *self) {
  supply *s = self;
  fetch *f = s->fetch;
  if (f->entry->asked == CELSLM_NEVER) f->entry->asked = now_of(f);
  if (!goes_on(f)) return;
  s->crashes = s->site->crashes;
  if (s->from == CELSLM_FROM_PEER &&
      (s->source->residence != CELSLM_RESIDENT || s->source->doomed || too_busy(s->site))) {
    set_out(f, &s->request, s->site, f->to, REQUEST_BYTES, CELSLM_CONTEXT, refused, request_failed,
            s);
    return;
  }
  f->awaited++;
  s->waiter = (celslm_waiter){.then = source_ready, .self = s};
  s->watcher = (celslm_progress_watcher){.computed = progress, .self = s};
  if (f->plan.streams && s->source->residence != CELSLM_RESIDENT)
    celslm_site_watch(s->source, &s->watcher);
  celslm_site_compute(s->site, f->context, &s->waiter);
}

static void ask(supply *s) {
  s->source = celslm_store_entry(s->site->store, s->fetch->context);
  set_out(s->fetch, &s->request, s->fetch->to, s->site, REQUEST_BYTES, CELSLM_CONTEXT,
          request_arrived, request_failed, s);
}

/* ---- layers of this host's tiers --------------------------------------------------------------
 */

static void read_next(supply *s);

static void piece_read(void *self, bool ok) {
  supply *s = self;
  if (!ok) {
    lost(s->fetch);
    return;
  }
  if (!goes_on(s->fetch)) return;
  piece *p = &s->pieces[s->sent++];
  s->arrived++;
  s->fetch->awaited++; /* while the next one sets out */
  if (s->sent < s->n) read_next(s);
  s->fetch->awaited--;
  arrived(s, p);
}

static void read_next(supply *s) {
  fetch *f = s->fetch;
  f->awaited++;
  s->waiter = (celslm_waiter){.then = piece_read, .self = s};
  celslm_tier_kind kind = s->from == CELSLM_FROM_HOST ? CELSLM_TIER_HOST : CELSLM_TIER_DISK;
  double bytes = bytes_of(&s->pieces[s->sent]);
  f->entry->loads[kind] += s->sent == 0;
  f->entry->bytes_read[kind] += bytes;
  celslm_tier_read(celslm_store_tier(f->to->store, kind), f->context, bytes, &s->waiter);
}

/* ---- layers computed here -------------------------------------------------------------------- */

static void computed(celslm_job *job) {
  fetch *f = job->self;
  int n = celslm_plan_local(&f->plan);
  if (!goes_on(f)) return;
  for (int j = 0; j < n; j++) f->left[j] = 0;
  layers_there(f, n);
}

static void not_computed(celslm_job *job) {
  lost(job->self);
}

static const celslm_job_owner owner = {.done = computed, .aborted = not_computed};

static void text_failed(void *self) {
  lost(self);
}

static void text_arrived(void *self) {
  fetch *f = self;
  if (!goes_on(f)) return;
  f->local = (celslm_job){.prompt = (int32_t)f->entry->shared.tokens,
                          .layers = (int16_t)celslm_plan_local(&f->plan),
                          .owner = &owner,
                          .self = f,
                          .unlimited = true};
  if (celslm_engine_submit(f->to->engine, &f->local) == CELSLM_SUBMITTED)
    f->awaited++;
  else
    fail(f);
}

static void text_asked(void *self) {
  fetch *f = self;
  if (!goes_on(f)) return;
  double bytes = ceil(f->to->token_bytes * (double)f->entry->shared.tokens);
  set_out(f, &f->text, f->plan.cloud, f->to, bytes, CELSLM_CONTEXT, text_arrived, text_failed, f);
}

static void set_off(supply *s) {
  if (s->site)
    ask(s);
  else
    read_next(s);
}

/* ---- another plan -----------------------------------------------------------------------------
 */

enum { MOST_NEW_SUPPLIES = 16 };

/* A supply for a source that begins now. */
static supply *new_supply(fetch *f, const celslm_layer_plan *l, int64_t pieces) {
  supply *s = &f->supplies[f->n_supplies++];
  *s = (supply){.fetch = f, .from = (celslm_from)l->from, .site = l->site};
  s->pieces = celslm_alloc((unsigned long)pieces, sizeof *s->pieces);
  return s;
}

/* Layers that wait for the wire may come another way: those of the plan's sites. */
static int find_open(const fetch *f, bool *open) {
  int n = 0;
  for (int i = 0; i < f->n_supplies; i++)
    for (const piece *p = f->supplies[i].first; p; p = p->next) {
      open[p->layer] = true;
      n++;
    }
  return n;
}

/* Takes a layer's piece out of the queue that it waits in. */
static void withdraw(fetch *f, int layer) {
  for (int i = 0; i < f->n_supplies; i++) {
    supply *s = &f->supplies[i];
    piece *last = NULL;
    for (piece **at = &s->first; *at; at = &(*at)->next) {
      if ((*at)->layer == layer) {
        if (s->last == *at) s->last = last;
        *at = (*at)->next;
        s->gone++;
        if (s->sent + s->gone == s->n && !s->sending) unpin_source(s);
        return;
      }
      last = *at;
    }
  }
}

/* If pieces come at another rate than was planned for. */
static void reconsider(fetch *f) {
  const celslm_replanner *r = f->plan.replanner;
  double seen = f->to->seen.rate;
  int64_t tokens = f->entry->shared.tokens;
  if (!r || f->plan.rate <= 0 || f->plan.whole || !f->plan.overlaps || f->plan.chunk) return;
  if (seen < f->plan.rate * r->factor && f->plan.rate < seen * r->factor) return;
  bool *open = celslm_alloc((unsigned long)f->plan.n, sizeof *open);
  celslm_plan other = celslm_plan_copy(&f->plan);
  f->plan.rate = other.rate = seen;
  int before = f->n_supplies;
  if (find_open(f, open) && before + CELSLM_FROMS <= f->plan.n + MOST_NEW_SUPPLIES &&
      r->choose(r->self, f->to, f->context, open, &other))
    for (int j = 0; j < f->plan.n; j++) {
      const celslm_layer_plan *l = &other.layers[j], *as = &f->plan.layers[j];
      if (!open[j] || (l->from == as->from && l->site == as->site && l->codec == as->codec))
        continue;
      int i = before;
      while (i < f->n_supplies &&
             (f->supplies[i].from != (celslm_from)l->from || f->supplies[i].site != l->site))
        i++;
      supply *s = i < f->n_supplies ? &f->supplies[i] : new_supply(f, l, f->plan.n);
      withdraw(f, j);
      f->plan.layers[j] = *l;
      s->pieces[s->n++] = (piece){.supply = s, .layer = j, .tokens = tokens, .upto = tokens};
    }
  if (f->n_supplies > before) f->entry->replans++;
  for (int i = before; i < f->n_supplies; i++) set_off(&f->supplies[i]);
  celslm_plan_clear(&other);
  free(open);
}

/* ---- setting out ----------------------------------------------------------------------------- */

/* The supply for a layer; a new one for a source that has none. */
static supply *supply_of(fetch *f, const celslm_layer_plan *l, int64_t chunks) {
  for (int i = 0; i < f->n_supplies; i++)
    if (f->supplies[i].from == l->from && f->supplies[i].site == l->site) return &f->supplies[i];
  return new_supply(f, l, f->plan.n * chunks);
}

static void sort_layers(fetch *f) {
  int64_t tokens = f->entry->shared.tokens;
  int64_t chunk = f->plan.chunk && f->plan.chunk < tokens ? f->plan.chunk : tokens;
  int64_t chunks = (tokens + chunk - 1) / chunk;
  f->left = celslm_alloc((unsigned long)f->plan.n, sizeof *f->left);
  f->supplies = celslm_alloc((unsigned long)(f->plan.n + MOST_NEW_SUPPLIES), sizeof *f->supplies);
  for (int j = 0; j < f->plan.n; j++) {
    const celslm_layer_plan *l = &f->plan.layers[j];
    if (l->from == CELSLM_FROM_HERE) continue;
    f->missing++;
    f->left[j] = (int)chunks;
    if (l->from == CELSLM_FROM_LOCAL) continue;
    supply *s = supply_of(f, l, chunks);
    for (int64_t at = 0; at < tokens; at += chunk) {
      int64_t upto = at + chunk < tokens ? at + chunk : tokens;
      s->pieces[s->n++] = (piece){.supply = s, .layer = j, .tokens = upto - at, .upto = upto};
    }
  }
}

void celslm_fetch(celslm_site *to, int context, const celslm_plan *plan) {
  fetch *f = celslm_alloc(1, sizeof *f);
  *f = (fetch){.to = to,
               .entry = celslm_store_entry(to->store, context),
               .context = context,
               .crashes = to->crashes,
               .plan = celslm_plan_copy(plan)};
  assert(!celslm_plan_fault(plan, (int)to->model->layers, plan->n));
  f->entry->computed_here = false;
  f->entry->stream.local = celslm_plan_local(&f->plan);
  f->entry->fetches++;
  to->loads++;
  sort_layers(f);
  f->awaited++; /* this call */
  if (celslm_plan_local(&f->plan))
    set_out(f, &f->request, f->to, f->plan.cloud, REQUEST_BYTES, CELSLM_CONTEXT, text_asked,
            text_failed, f);
  for (int i = 0; i < f->n_supplies; i++) set_off(&f->supplies[i]);
  f->awaited--;
  layers_there(f, 0);
}
