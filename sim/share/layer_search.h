/* layer_search.h - chooses the layer map by what counts: how far the edge model's predictions on a
 * context that is mapped along it lie from those on its own full prefill (KL).
 *
 * How well states are explained (CKA, R2) is only a hint: residual streams keep what they have, so
 * that many layers explain alike, and the small rest may be what predictions turn on. Nor do layers
 * add up: which one is best for a layer depends on what the others are mapped from. So whole maps
 * are measured, and one layer after the other moves to where the whole is best (coordinate descent
 * among monotone maps) until none does. On calibration text; judged on other text. */
#ifndef CELSLM_SHARE_LAYER_SEARCH_H
#define CELSLM_SHARE_LAYER_SEARCH_H

#include "share/quality.h"

typedef struct celslm_layer_search {
  double kl_first, kl; /* bit/token: of the better start; of the map that was found */
  int rounds;
} celslm_layer_search;

/* m [to]: in, a start; out, the map, never worse on this text than the better of `m` and `other`.
 * Maps have `reach` layers on either side. The plan's maps and conditions are not read. False:
 * `err` says. */
bool celslm_layer_search_run(const celslm_pair_moments *p, int reach, double lambda,
                             const celslm_quality_plan *plan, const celslm_text *text,
                             const int *other, int *m, celslm_layer_search *found,
                             celslm_error *err);

#endif
