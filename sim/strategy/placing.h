/* placing.h - which edge serves a request: its user's own one, or a neighbour.
 *
 * Candidates are the edge of the user's cell, whose state is known, and its neighbours as they have
 * last told (share/directory.h); a neighbour that has fallen silent is none. A policy is one small
 * file behind the table below. The prompt then goes from the base station to the chosen edge, and
 * the tokens come back that way; a user that moves is placed anew with its next request. */
#ifndef CELSLM_STRATEGY_PLACING_H
#define CELSLM_STRATEGY_PLACING_H

#include "share/directory.h"
#include "strategy/system.h"

enum { CELSLM_CANDIDATES = 17 };

typedef struct celslm_candidate {
  int site;
  double present;   /* jobs there, running or waiting */
  double iteration; /* s that an iteration takes it in the mean */
  double way;       /* s of latency from the user's edge, there and back */
  double miss;      /* s that it would take to have the context's KV there, if it has not */
  bool has;         /* the context, whole; also if the request has none */
} celslm_candidate;

typedef struct celslm_edge_choice {
  const char *name, *summary, *source;
  int (*place)(const celslm_candidate *c, int n, int context); /* c[0] is the user's own edge */
} celslm_edge_choice;

extern const celslm_edge_choice
    *const celslm_edge_choices[]; /* NULL-terminated; first: the default */

/* What a strategy has of it. */
typedef struct celslm_neighbourhood {
  const celslm_edge_choice *policy;
  celslm_directory *directory; /* NULL: edges know of no neighbours */
} celslm_neighbourhood;

/* From the strategy's attributes placement, peers, peer_period, peer_uploads. */
bool celslm_neighbourhood_open(celslm_neighbourhood *n, const celslm_system *s,
                               const celslm_element *e, celslm_error *err);
void celslm_neighbourhood_close(celslm_neighbourhood *n);

/* The site for a request. `miss`: s that a site would need to have a context. */
int celslm_place_request(const celslm_neighbourhood *n, const celslm_request *r,
                         double (*miss)(const celslm_request *r, const celslm_site *site));

#endif
