/* gds.c - GreedyDual-Size with cost 1: small contexts stay longer, and all age as others go. */
#include "share/cache.h"

static double worth(const celslm_worth *w) {
  return w->age + 1 / w->bytes;
}

extern const celslm_eviction celslm_eviction_gds;
const celslm_eviction celslm_eviction_gds = {
    .name = "gds",
    .summary = "GreedyDual-Size, cost 1: worth is age + 1/bytes, for the most hits",
    .source = "Cao and Irani, USENIX USITS 1997",
    .worth = worth,
};
