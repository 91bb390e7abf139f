/* placement.h - how many layers of a model each host of a pipeline computes.
 *
 * EdgeShard (arXiv 2405.14371) and SplitLLM (arXiv 2410.10759) choose layer ranges by dynamic
 * programming over predicted times: for least latency of a token (the sum over stages and hops and
 * the way back) or for most throughput (the longest stage or transfer, when many batches are under
 * way). Hosts are taken in the order given; all but the first, which has the user's tokens, may be
 * left out. */
#ifndef CELSLM_SERVE_PLACEMENT_H
#define CELSLM_SERVE_PLACEMENT_H

#include "net/net.h"
#include "scenario/scenario.h"

typedef struct celslm_placement {
  int n;          /* hosts */
  int64_t layers; /* to be placed */
  const double *layer, *embed,
      *head;         /* [n] s: of one layer; before the first, after the last one */
  const double *hop; /* [n][n] s from host to host, latency and transfer; to the first: a token's */
  const double *wire;  /* [n][n] of them the transfer, which keeps the link busy */
  const int64_t *most; /* [n] layers that fit */
} celslm_placement;

/* The objective's value, s, and layers by host into `to`; INFINITY: they do not fit. Of equal ones
 * that with the fewest hosts that come late. */
double celslm_place(const celslm_placement *p, bool throughput, int64_t *to);

/* The settings of a pipeline as its placement="latency" or "throughput" wants them: stages without
 * layers are gone. Owned by the caller: celslm_placement_free. NULL and an error: no placement
 * fits. Times are those of a decode step of one sequence of 512 tokens (our choice). */
celslm_engine_config *celslm_placement_of(const celslm_scenario *s, const celslm_engine_config *c,
                                          celslm_net *net, celslm_error *err);
void celslm_placement_free(celslm_engine_config *c);

#endif
