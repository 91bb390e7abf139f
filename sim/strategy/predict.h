/* predict.h - how long a request would take at a site, as a scheduler in front of it could tell.
 *
 * It knows the site's device and model (cost.h), how many run and wait there now, the prompt, a
 * foretold output length, and the wires; it does not know what will arrive later, nor the lengths
 * of those who are there, for which it takes this request's: wire up + client overhead + (waiting +
 * 1) prefills + the wait for a slot
 *     + (output - 1) steps of a batch one larger than now + wire down.
 * Exact for one request on an idle system, but for the air, which is the same for all sites. */
#ifndef CELSLM_STRATEGY_PREDICT_H
#define CELSLM_STRATEGY_PREDICT_H

#include "strategy/system.h"

/* s from now to the last token; `cached`: the site keeps contexts it has computed. */
double celslm_predict(const celslm_request *r, int site, bool cached);

#endif
