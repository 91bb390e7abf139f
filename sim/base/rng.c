#include "base/rng.h"

/* FNV-1a over the name, then the finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) over
 * both, so that neighbouring seeds and similar names give unrelated 32-bit seeds. */
static gsl_rng *begin(const gsl_rng_type *type, uint64_t seed, const char *name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char *p = name; *p; p++) h = (h ^ (unsigned char)*p) * 0x100000001b3u;
  h += (seed + 1) * 0x9e3779b97f4a7c15u;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  h ^= h >> 31;
  gsl_rng *r = gsl_rng_alloc(type);
  gsl_rng_set(r, (h & 0xffffffffu) ? (h & 0xffffffffu) : 1); /* GSL reads 0 as its default seed */
  return r;
}

gsl_rng *celslm_rng(uint64_t seed, const char *name) {
  return begin(gsl_rng_mt19937, seed, name);
}

gsl_rng *celslm_rng_small(uint64_t seed, const char *name) {
  return begin(gsl_rng_taus2, seed, name);
}
