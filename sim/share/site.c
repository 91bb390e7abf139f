#include "share/site.h"

#include "share/tier.h"

#include <stdlib.h>

/* ---- computed on the spot -------------------------------------------------------------------- */

typedef struct computation {
  celslm_job job;
  celslm_site *site;
  int context;
  celslm_entry *entry;
  celslm_waiter room, *waiter;
  int crashes; /* of the host, when it began */
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

/* An iteration begins (or, where the host is shared, has ended). What is computed again was told
 * before. */
static void chunk(celslm_job *job, celslm_ns end) {
  computation *c = job->self;
  celslm_progress *p = &c->entry->progress;
  int64_t upto = job->computed + job->chunk;
  if (upto <= p->upto) return;
  *p = (celslm_progress){p->upto, upto, celslm_net_now(c->site->net), end,
                         c->entry->progress.watchers};
  for (celslm_progress_watcher *w = p->watchers; w; w = w->next)
    w->computed(w->self, upto, p->begin, end);
}

static const celslm_job_owner owner = {
    .done = computed, .aborted = computation_aborted, .chunk = chunk};

void celslm_site_watch(celslm_entry *e, celslm_progress_watcher *w) {
  celslm_progress *p = &e->progress;
  celslm_progress_watcher **last = &p->watchers;
  while (*last) last = &(*last)->next;
  *last = w;
  w->next = NULL;
  if (e->residence != CELSLM_LOADING || !e->computed_here || !p->upto) return;
  if (p->before) w->computed(w->self, p->before, p->begin, p->begin);
  w->computed(w->self, p->upto, p->begin, p->end);
}

void celslm_site_unwatch(celslm_entry *e, celslm_progress_watcher *w) {
  for (celslm_progress_watcher **at = e ? &e->progress.watchers : NULL; at && *at;
       at = &(*at)->next)
    if (*at == w) {
      *at = w->next;
      return;
    }
}

static void room_again(void *self, bool ok) {
  (void)ok;
  computation *c = self;
  celslm_site *site = c->site;
  int context = c->context;
  celslm_waiter *w = c->waiter;
  free(c);
  celslm_site_compute(site, context, w);
}

/* What the tier has is here again. */
static void read_back(void *self, bool ok) {
  computation *c = self;
  celslm_site *site = c->site;
  celslm_entry *e = c->entry;
  bool same = ok && c->crashes == site->crashes;
  free(c);
  if (same) e->stream.ready = site->model->layers;
  e->ready = celslm_net_now(site->net);
  celslm_store_loaded(site->store, e, e->ready, same);
}

/* A shallow prefix that is held is read again: computing could not use it either. */
static bool tier_is_faster(const celslm_site *site, const celslm_entry *e) {
  celslm_tier_kind kind = celslm_store_below(site->store, e);
  if (kind == CELSLM_TIERS) return false;
  const celslm_tier *t = celslm_store_tier(site->store, kind);
  return celslm_tier_wait(t) + e->bytes / celslm_tier_rate(t) <
         celslm_engine_prefill_seconds(site->engine, e->shared.tokens, 0);
}

static void read_back_from(celslm_site *site, int context, celslm_tier_kind kind,
                           celslm_waiter *w) {
  celslm_entry *e = celslm_store_entry(site->store, context);
  e->loads[kind]++;
  e->bytes_read[kind] += e->bytes;
  celslm_tier_read(celslm_store_tier(site->store, kind), context, e->bytes, w);
}

static void start_computation(celslm_site *site, int context, celslm_entry *e, celslm_waiter *w) {
  computation *c = celslm_alloc(1, sizeof *c);
  *c = (computation){
      .site = site, .context = context, .entry = e, .waiter = w, .crashes = site->crashes};
  if (e->residence != CELSLM_ABSENT || !celslm_store_claim(site->store, e)) {
    c->room = (celslm_waiter){.then = room_again, .self = c};
    celslm_store_wait_for_room(site->store, &c->room);
    return;
  }
  e->asked = celslm_net_now(site->net);
  e->computed_here = true;
  e->progress = (celslm_progress){.watchers = e->progress.watchers};
  celslm_store_wait(e, w);
  if (tier_is_faster(site, e)) {
    c->room = (celslm_waiter){.then = read_back, .self = c};
    read_back_from(site, context, celslm_store_below(site->store, e), &c->room);
    return;
  }
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
  } else if (e->residence == CELSLM_ABSENT || e->doomed) {
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

/* ---- what it has ----------------------------------------------------------------------------- */

bool celslm_site_open_store(celslm_site *site, const celslm_scenario *s,
                            const celslm_engine_config *c, double bytes_per_token,
                            celslm_error *err) {
  celslm_cache_config cache;
  if (!celslm_cache_read(c, &cache, err)) return false;
  const celslm_tier_config *configs[CELSLM_TIERS] = {&c->host_memory, &c->disk};
  celslm_tier *tiers[CELSLM_TIERS] = {NULL}, *below = NULL;
  for (int k = CELSLM_TIERS - 1; k >= 0; k--)
    if (configs[k]->capacity > 0)
      below = tiers[k] =
          celslm_tier_new(site->net, (celslm_tier_kind)k, s->n_contexts, configs[k], below);
  site->store = celslm_store_new(s, c->context_memory, bytes_per_token, (int)site->model->layers,
                                 &cache, tiers);
  return true;
}

void celslm_site_close_store(celslm_site *site) {
  for (int k = 0; site->store && k < CELSLM_TIERS; k++)
    celslm_tier_free(celslm_store_tier(site->store, (celslm_tier_kind)k));
  celslm_store_free(site->store);
}

bool celslm_site_preload(celslm_site *site, int context) {
  celslm_entry *e = celslm_store_entry(site->store, context);
  if (!celslm_store_claim(site->store, e)) return false;
  e->stream.ready = site->model->layers;
  e->asked = e->ready = 0;
  celslm_store_loaded(site->store, e, 0, true);
  return true;
}
