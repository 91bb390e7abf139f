#include "share/cache.h"

#include <stddef.h>

extern const celslm_eviction celslm_eviction_lru, celslm_eviction_lfu, celslm_eviction_gds,
    celslm_eviction_cost;
extern const celslm_admission celslm_admission_always, celslm_admission_second_hit,
    celslm_admission_tinylfu;

const celslm_eviction *const celslm_evictions[] = {
    &celslm_eviction_lru, &celslm_eviction_lfu, &celslm_eviction_gds, &celslm_eviction_cost, NULL,
};

const celslm_admission *const celslm_admissions[] = {
    &celslm_admission_always,
    &celslm_admission_second_hit,
    &celslm_admission_tinylfu,
    NULL,
};

bool celslm_cache_read(const celslm_engine_config *engine, celslm_cache_config *c,
                       celslm_error *err) {
  *c = (celslm_cache_config){celslm_evictions[0], celslm_admissions[0], engine->cache_partial};
  if (!engine->cache) return true;
  const char *evictions[16] = {NULL}, *admissions[16] = {NULL};
  for (int i = 0; celslm_evictions[i]; i++) evictions[i] = celslm_evictions[i]->name;
  for (int i = 0; celslm_admissions[i]; i++) admissions[i] = celslm_admissions[i]->name;
  int eviction, admission;
  if (!celslm_element_choice(engine->cache, "eviction", evictions, 0, &eviction, err) ||
      !celslm_element_choice(engine->cache, "admission", admissions, 0, &admission, err))
    return false;
  c->eviction = celslm_evictions[eviction];
  c->admission = celslm_admissions[admission];
  return true;
}
