/* cost.c - keeps what would take longest to have again, for its bytes and its fame: GreedyDual with
 * frequencies, where the cost of a context is the time that its last load took. */
#include "share/cache.h"

static double worth(const celslm_worth *w) {
  return w->age + w->fame * w->seconds / w->bytes;
}

extern const celslm_eviction celslm_eviction_cost;
const celslm_eviction celslm_eviction_cost = {
    .name = "cost",
    .summary = "worth is age + asked x seconds to load it again / bytes, for the least waiting",
    .source = "GreedyDual-Size-Frequency: Cherkasova, HP Labs HPL-98-69R1, 1998",
    .worth = worth,
};
