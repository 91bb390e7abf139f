/* lru.c - the context that nobody has used for longest goes first. */
#include "share/cache.h"

#include <stddef.h>

extern const celslm_eviction celslm_eviction_lru;
const celslm_eviction celslm_eviction_lru = {
    .name = "lru",
    .summary = "the least recently used goes first",
    .source = "Mattson et al., IBM Systems Journal 9(2), 1970",
    .worth = NULL,
};
