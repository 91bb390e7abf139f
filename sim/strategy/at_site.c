#include "strategy/at_site.h"

static celslm_site *site_of(celslm_request *r) {
  return &r->system->sites[r->site];
}

void celslm_serve_recomputing(celslm_request *r) {
  if (site_of(r)->down) {
    celslm_drop(r, CELSLM_REASON_HOST);
    return;
  }
  int64_t context = r->context < 0 ? 0 : r->system->scenario->contexts[r->context].tokens;
  r->source = r->context < 0 ? CELSLM_CONTEXT_NONE : CELSLM_CONTEXT_RECOMPUTED;
  celslm_serve(r, r->prompt + (int32_t)context, NULL);
}

void celslm_context_there(void *request, bool there) {
  celslm_request *r = request;
  if (there)
    celslm_serve(r, r->prompt, celslm_store_entry(site_of(r)->store, r->context));
  else
    celslm_serve_recomputing(r);
}

void celslm_serve_cached(celslm_request *r) {
  if (r->context < 0) {
    celslm_serve_recomputing(r);
    return;
  }
  celslm_store *store = site_of(r)->store;
  celslm_entry *e = celslm_store_entry(store, r->context);
  celslm_store_request(store, e);
  if (e->doomed || (e->residence == CELSLM_ABSENT && !celslm_store_admits(store, e))) {
    celslm_serve_recomputing(r);
    return;
  }
  switch (e->residence) {
  case CELSLM_RESIDENT:
    r->source = CELSLM_CONTEXT_HIT;
    e->hits++;
    break;
  case CELSLM_LOADING:
    r->source = CELSLM_CONTEXT_JOINED;
    e->joins++;
    break;
  default:
    r->source = CELSLM_CONTEXT_RECOMPUTED;
    break;
  }
  r->waiter = (celslm_waiter){.then = celslm_context_there, .self = r};
  celslm_site_compute(site_of(r), r->context, &r->waiter);
}

bool celslm_at_site_configure(void *options, const celslm_system *s, const celslm_element *e,
                              celslm_error *err) {
  (void)s;
  celslm_at_site_options *o = options;
  return celslm_element_bool(e, "prompt_cache", false, &o->prompt_cache, err);
}

void celslm_at_site(const celslm_at_site_options *options, celslm_request *r, int site) {
  celslm_upload(r, site, options->prompt_cache ? celslm_serve_cached : celslm_serve_recomputing);
}
