/* prefix.h - what is known of the tokens of a request, so that KV of equal tokens can be found.
 *
 * A request's sequence is the shared context's tokens (if it has a context), then its prompt, then
 * its answer. blocks[i] stands for the first min((i + 1) block, tokens) tokens of the sequence, all
 * of them: equal values, equal tokens. So two requests share the KV of as many leading blocks as
 * have equal values. `tokens` of the sequence are covered, count = ceil(tokens / block):
 *   mooncake trace  the prompt (chained from its hash_ids; the answer is not known)
 *   session         everything, the answer too: the next turn goes on from there
 *                   (once it has ended: no load may say an answer again before that, for an engine
 *                   makes a decode's blocks known only when somebody asks, and jumps over them)
 *   context alone   the context
 *   otherwise       nothing: blocks is NULL, tokens and count are 0 */
#ifndef CELSLM_SERVE_PREFIX_H
#define CELSLM_SERVE_PREFIX_H

#include <stdint.h>

typedef struct celslm_prefix {
  const uint64_t *blocks; /* the load's; valid until celslm_load_ended for this request */
  int32_t count;
  int32_t block; /* tokens of one: <workload block_size> */
  int32_t tokens;
} celslm_prefix;

/* One step of a chain of identities; never 0. */
static inline uint64_t celslm_identity(uint64_t before, uint64_t what) {
  uint64_t h = before * 0x9e3779b97f4a7c15u + what; /* the finalizer of SplitMix64 */
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
  h ^= h >> 31;
  return h ? h : 1;
}

/* The identity of the first `tokens` tokens of the sequence, for blocks of any other size; 0: not
 * known. Equal for two requests only if these tokens are equal; the reverse holds at multiples of
 * `block`, and within a block that two requests have in common. */
static inline uint64_t celslm_prefix_identity(const celslm_prefix *p, int64_t tokens) {
  if (tokens <= 0 || tokens > p->tokens) return 0;
  uint64_t h = p->blocks[(tokens - 1) / p->block];
  return tokens % p->block ? celslm_identity(h, (uint64_t)(tokens % p->block)) : h;
}

#endif
