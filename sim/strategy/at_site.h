/* at_site.h - a request served at one site by itself: with its context recomputed as part of the
 * prompt, or computed once there and kept (prompt cache). What cloud-only and edge-only share. */
#ifndef CELSLM_STRATEGY_AT_SITE_H
#define CELSLM_STRATEGY_AT_SITE_H

#include "strategy/system.h"

typedef struct celslm_at_site_options {
  bool prompt_cache;
} celslm_at_site_options;
bool celslm_at_site_configure(void *options, const celslm_system *s, const celslm_element *e,
                              celslm_error *err); /* as in the strategy table */
/* Uploads the prompt to a site and serves it there. */
void celslm_at_site(const celslm_at_site_options *options, celslm_request *r, int site);

void celslm_serve_recomputing(celslm_request *r); /* context + user prompt in one prefill */
void celslm_serve_without(celslm_request *r); /* its context does not come: as r->without says */
void celslm_serve_cached(celslm_request *r);  /* the context's KV is kept at the site */
/* A waiter's `then` (store.h): serves the request on its context if that is there, else recomputes
 * it. */
void celslm_context_there(void *request, bool there);

#endif
