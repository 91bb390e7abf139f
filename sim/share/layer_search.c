#include "share/layer_search.h"

#include <stdlib.h>
#include <string.h>

/* KL of each of n whole maps, layer[i] [to]. */
static bool measure(const celslm_quality_plan *plan, const celslm_text *text, int n,
                    const int *const *layer, double *kl, celslm_error *err) {
  celslm_condition *c = celslm_alloc((unsigned long)n + 2, sizeof *c);
  celslm_score *score = celslm_alloc((unsigned long)n + 2, sizeof *score);
  c[n] = (celslm_condition){.way = CELSLM_WAY_FULL, .map = -1};
  c[n + 1] = (celslm_condition){.way = CELSLM_WAY_NONE, .map = -1};
  for (int i = 0; i < n; i++)
    c[i] = (celslm_condition){.way = CELSLM_WAY_MAPPED,
                              .layers = layer[i],
                              .deepest = celslm_transformer_shape_of(plan->edge)->layers};
  celslm_quality_plan q = *plan;
  q.conditions = c, q.n_conditions = n + 2;
  bool ok = celslm_quality_measure(&q, text, score, err);
  for (int i = 0; ok && i < n; i++) kl[i] = score[i].kl;
  if (ok) celslm_scores_free(score, n + 2);
  free(c), free(score);
  return ok;
}

/* Moves m[j] between its neighbours to where the whole is best. */
static bool move(const celslm_quality_plan *plan, const celslm_text *text, int from, int to, int j,
                 int *m, double *best, bool *moved, celslm_error *err) {
  int low = j > 0 ? m[j - 1] : 0, high = j + 1 < to ? m[j + 1] : from - 1, n = high - low + 1;
  int *tried = celslm_alloc((unsigned long)(n * to), sizeof *tried);
  const int **layer = celslm_alloc((unsigned long)n, sizeof *layer);
  double *kl = celslm_alloc((unsigned long)n, sizeof *kl);
  for (int i = 0; i < n; i++) {
    layer[i] = memcpy(tried + i * to, m, (size_t)to * sizeof *m);
    tried[i * to + j] = low + i;
  }
  bool ok = n == 1 || measure(plan, text, n, layer, kl, err);
  for (int i = 0; ok && n > 1 && i < n; i++)
    if (kl[i] < *best) *best = kl[i], m[j] = low + i, *moved = true;
  free(tried), free(layer), free(kl);
  return ok;
}

bool celslm_layer_search_run(const celslm_pair_moments *p, int reach, double lambda,
                             const celslm_quality_plan *plan, const celslm_text *text,
                             const int *other, int *m, celslm_layer_search *found,
                             celslm_error *err) {
  enum { MOST_ROUNDS = 4 };
  celslm_mapping *maps = celslm_alloc((unsigned long)p->from, sizeof *maps); /* all from layer i */
  int *straight = celslm_alloc((unsigned long)p->to, sizeof *straight), fitted = 0;
  bool ok = true, moved = true;
  for (; ok && fitted < p->from; fitted += ok) {
    for (int j = 0; j < p->to; j++) straight[j] = fitted;
    ok = celslm_mapping_fit(p, straight, reach, lambda, &maps[fitted], err);
  }
  celslm_quality_plan q = *plan;
  q.maps = maps;
  double kl[2] = {0};
  ok = ok && measure(&q, text, 2, (const int *const[]){m, other}, kl, err);
  if (ok && kl[1] < kl[0]) memcpy(m, other, (size_t)p->to * sizeof *m), kl[0] = kl[1];
  *found = (celslm_layer_search){.kl_first = kl[0], .kl = kl[0]};
  for (; ok && moved && found->rounds < MOST_ROUNDS; found->rounds++) {
    moved = false;
    for (int j = p->to - 1; ok && j >= 0; j--)
      ok = move(&q, text, p->from, p->to, j, m, &found->kl, &moved, err);
  }
  while (fitted > 0) celslm_mapping_free(&maps[--fitted]);
  free(maps), free(straight);
  return ok;
}
