/* lfu.c - perfect LFU: counts go on while a context is not there. */
#include "share/cache.h"

static double worth(const celslm_worth *w) {
  return w->fame;
}

extern const celslm_eviction celslm_eviction_lfu;
const celslm_eviction celslm_eviction_lfu = {
    .name = "lfu",
    .summary = "the least often asked for goes first; counts outlive the stay in the store",
    .source = "perfect LFU of Breslau et al., IEEE INFOCOM 1999",
    .worth = worth,
};
