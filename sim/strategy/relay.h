/* relay.h - what strategies that let two engines work on one request have in common: messages
 * between their sites, one at a time for each relay, and the request's own dice. */
#ifndef CELSLM_STRATEGY_RELAY_H
#define CELSLM_STRATEGY_RELAY_H

#include "strategy/system.h"

#include <gsl/gsl_rng.h>

/* Embedded in what a strategy keeps for a request; must stay until `then` or `lost` is called. */
typedef struct celslm_relay {
  celslm_transfer transfer;
  celslm_request *request;
  void (*then)(celslm_request *r); /* it is there */
  void (*lost)(celslm_request *r); /* it is not: a host or a link is down */
} celslm_relay;

/* Sends bytes (and a packet's overhead) from one site to another. Those that come from what the
 * user said or was answered, and reach a cloud host, are counted as such (`users`). */
void celslm_relay_send(celslm_relay *relay, celslm_request *r, int from, int to, double bytes,
                       celslm_traffic traffic, bool users);
/* The job of a request at one more site, as its own is set up. */
void celslm_relay_job(const celslm_request *r, celslm_job *job, int32_t prompt, int32_t output,
                      const celslm_job_owner *owner);
/* A stream of random numbers for this request alone, of that name. Freed by the caller. */
gsl_rng *celslm_relay_dice(const celslm_request *r, const char *name);

#endif
