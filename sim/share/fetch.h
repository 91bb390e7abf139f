/* fetch.h - a plan carried out: a context's layers come to an edge from where its plan says.
 *
 * Each source (a site, a tier of this host, its own engine) has a queue of its own and sends its
 * layers in order, one after the other, independently of the others; one flow per layer. Sites are
 * asked first: a request crosses the network, a cloud computes the context if it has to, a peer
 * that has lost it says no, and then its layers are asked of the plan's cloud. The entry's stream
 * counts the layers that are there without a gap, from the first.
 *
 * A layer that is lost with a link is sent again when the route is whole: layers that are there
 * stay. Where a route stays down beyond the site's patience, or a source crashes, no more is sent,
 * and when nothing is on its way any more the load has failed. */
#ifndef CELSLM_SHARE_FETCH_H
#define CELSLM_SHARE_FETCH_H

#include "share/plan.h"
#include "share/site.h"

/* Loads an entry of `to`, which the caller has claimed, as `plan` says (copied; without a fault).
 * Joins are the caller's: they find the entry loading. */
void celslm_fetch(celslm_site *to, int context, const celslm_plan *plan);

#endif
