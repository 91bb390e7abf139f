/* attention.h - one attention step (celslm_attn_tile) for the vector width of the including file:
 * scores of a chunk, running softmax, output.
 *
 * Keys and values are walked in the order they lie in memory, and prefetching is left to the CPU:
 * with hints decode read 17 to 22 GB/s where it reads 20 to 28 without, of 30. */
#ifndef CELSLM_KERNELS_SIMD_ATTENTION_H
#define CELSLM_KERNELS_SIMD_ATTENTION_H

#include "kernels/isa.h"
#include "kernels/simd/tile.h"

/* scores [rows][.] = Q K^T for whole panels; the columns beyond the last token are masked later. */
INLINE void scores(const int rows, const celslm_attn_tile *t) {
  int panels = (t->tokens + CELSLM_PANEL - 1) / CELSLM_PANEL;
  for (int i = 0; i < panels; i++)
    for (int j = 0; j < CELSLM_PANEL; j += 2 * VW) {
      const float *k = t->k + (int64_t)i * CELSLM_PANEL * t->head_dim + j;
      float *s = t->scores + i * CELSLM_PANEL + j;
      if (rows == 1)
        row_tile(t->head_dim, t->q, k, CELSLM_PANEL, s);
      else
        tile(rows, 2, t->head_dim, t->q, rows, 1, k, CELSLM_PANEL, s, CELSLM_CHUNK, false, NULL);
    }
}

/* The row's new maximum. */
INLINE float top_score(const celslm_attn_tile *t, int row) {
  const float *s = t->scores + row * CELSLM_CHUNK;
  int limit = t->limit[row] < t->tokens ? t->limit[row] : t->tokens, j = 0;
  vf low = v_set1(t->m[row]), top = low, top2 = low;
  for (; j + 2 * VW <= limit; j += 2 * VW) {
    top = v_max(top, v_load(s + j));
    top2 = v_max(top2, v_load(s + j + VW));
  }
  for (; j < limit; j += VW) top = v_max(top, v_limit(v_load(s + j), j, limit, low));
  return v_top(v_max(top, top2));
}

/* Scores to weights 2^(s - m) in place, zero where nothing is seen; returns their sum. */
INLINE float soften(const celslm_attn_tile *t, int row, float m) {
  float *s = t->scores + row * CELSLM_CHUNK;
  int tokens = t->tokens, limit = t->limit[row] < tokens ? t->limit[row] : tokens, j = 0;
  vf mv = v_set1(m), sum = v_zero(), sum2 = v_zero();
  for (; j + 2 * VW <= limit; j += 2 * VW) {
    vf p = v_exp2(v_sub(v_load(s + j), mv)), p2 = v_exp2(v_sub(v_load(s + j + VW), mv));
    v_store(s + j, p);
    v_store(s + j + VW, p2);
    sum = v_add(sum, p);
    sum2 = v_add(sum2, p2);
  }
  for (; j < tokens; j += VW) {
    vf p = v_limit(v_exp2(v_sub(v_load(s + j), mv)), j, limit, v_zero());
    v_store(s + j, p);
    sum = v_add(sum, p);
  }
  return v_sum(v_add(sum, sum2));
}

/* o = o * scale + P V, `cols` vectors of columns at a time, then pairs, then single ones. */
INLINE void values(const int rows, const int cols, const celslm_attn_tile *t, const float *scale) {
  int vd = t->value_dim, j = 0;
  for (; j + cols * VW <= vd; j += cols * VW)
    tile(rows, cols, t->tokens, t->scores, 1, CELSLM_CHUNK, t->v + j, vd, t->o + j, vd, false,
         scale);
  if (cols > 2)
    for (; j + 2 * VW <= vd; j += 2 * VW)
      tile(rows, 2, t->tokens, t->scores, 1, CELSLM_CHUNK, t->v + j, vd, t->o + j, vd, false,
           scale);
  for (; j < vd; j += VW)
    tile(rows, 1, t->tokens, t->scores, 1, CELSLM_CHUNK, t->v + j, vd, t->o + j, vd, false, scale);
}

INLINE void attend(const int rows, const int cols, const celslm_attn_tile *t) {
  float top[16], scale[16];
  scores(rows, t);
  /* Row by row in two passes: the latency of one row's reduction hides behind the next row. */
  for (int i = 0; i < rows; i++) top[i] = top_score(t, i);
  for (int i = rows; i < 16; i++) top[i] = 0;
  for (int i = 0; i < rows; i += VW) {
    float old[VW];
    for (int j = 0; j < VW; j++) old[j] = i + j < rows ? t->m[i + j] : 0;
    v_store(scale + i, v_exp2(v_sub(v_load(old), v_load(top + i))));
  }
  for (int i = 0; i < rows; i++) {
    t->l[i] = t->l[i] * scale[i] + soften(t, i, top[i]);
    t->m[i] = top[i];
  }
  values(rows, cols, t, scale);
}

/* Columns held at once: as many as the registers take, so that V is walked in whole rows when few
 * queries make the step a matter of bandwidth. */
#ifdef __AVX512F__
#define COLS(R) ((R) <= 3 ? 8 : (R) <= 6 ? 4 : 2)
#else
#define COLS(R) ((R) <= 1 ? 8 : (R) <= 3 ? 4 : 2)
#endif

static void simd_attention(const celslm_attn_tile *t) {
  switch (t->rows) {
#define CASE(R)                                                                                    \
  case R:                                                                                          \
    attend(R, COLS(R), t);                                                                         \
    return;
    FOR_ROWS(CASE)
#undef CASE
  }
}

#endif
