/* context_affine.c - an edge that has the context; where none is known, one and the same edge for
 * each context, drawn by highest random weight, so that a neighbourhood keeps every context once.
 */
#include "strategy/placing.h"

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014) of context and site. */
static uint64_t weight(int context, int site) {
  uint64_t z = ((uint64_t)(uint32_t)context << 32 | (uint32_t)site) + 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

static int place(const celslm_candidate *c, int n, int context) {
  int best = 0;
  for (int i = 0; i < n; i++)
    if (c[i].has) return i;
  for (int i = 1; i < n; i++)
    if (weight(context, c[i].site) > weight(context, c[best].site)) best = i;
  return best;
}

extern const celslm_edge_choice celslm_edge_choice_context_affine;
const celslm_edge_choice celslm_edge_choice_context_affine = {
    .name = "context-affine",
    .summary =
        "the nearest edge that is said to have the context, else the one that its name draws",
    .source = "highest random weight: Thaler and Ravishankar, IEEE/ACM ToN 6(1), 1998",
    .place = place,
};
