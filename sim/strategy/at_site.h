/* at_site.h - a request served at one site by itself: with its context recomputed as part of the
 * prompt, or computed once there and kept (prompt cache). What cloud-only and edge-only share. */
#ifndef CELSLM_STRATEGY_AT_SITE_H
#define CELSLM_STRATEGY_AT_SITE_H

#include "strategy/system.h"

void celslm_serve_recomputing(celslm_request *r); /* context + user prompt in one prefill */
void celslm_serve_cached(celslm_request *r);      /* the context's KV is kept at the site */
/* A waiter's `then` (store.h): serves the request on its context if that is there, else recomputes it. */
void celslm_context_there(void *request, bool there);

#endif
