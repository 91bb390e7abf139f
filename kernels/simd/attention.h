/* attention.h - one attention step (celslm_attn_tile) for the vector width of the including file:
 * scores of a chunk, running softmax, output.
 *
 * Keys and values are converted in registers as they are loaded, so a step of few rows reads what
 * is stored and nothing else. The sums of a row run over its tokens and dimensions in order,
 * whatever else is computed with it. */
#ifndef CELSLM_KERNELS_SIMD_ATTENTION_H
#define CELSLM_KERNELS_SIMD_ATTENTION_H

#include "kernels/isa.h"
#include "kernels/simd/tile.h"
#include "kernels/simd/widen.h"

/* Rows of a tile over f32, which is what the memory lasts for, and over what is stored in less: a
 * vector that took conversions had better be paired with many columns at once than with many rows,
 * for a query is broadcast to as many multiply-adds as there are columns. */
enum { NARROW_ROWS = 6 };
#define FOR_NARROW_ROWS(M) M(1) M(2) M(3) M(4) M(5) M(6)

/* Elements [i, i + VW) of what is stored, unscaled; `type` a literal. */
INLINE vf v_stored(const enum celslm_kdtype type, const void *p, int64_t i) {
  switch (type) {
  case CELSLM_K_F16:
    return v_f16((const uint16_t *)p + i);
  case CELSLM_K_BF16:
    return v_bf16((const uint16_t *)p + i);
  case CELSLM_K_I8:
    return v_i8((const int8_t *)p + i);
  case CELSLM_K_F32:
    break;
  }
  return v_load((const float *)p + i);
}

/* Bytes of an element, a literal where `type` is one. */
INLINE int size_of(const enum celslm_kdtype type) {
  return type == CELSLM_K_F32 ? 4 : type == CELSLM_K_I8 ? 1 : 2;
}

enum { FAR = 16384 }; /* bytes */

/* Asks for the line that lies `ahead` bytes after element i. */
INLINE void ask(const enum celslm_kdtype type, const void *p, int64_t i, int64_t ahead) {
  _mm_prefetch((const char *)p + i * size_of(type) + ahead, _MM_HINT_T1);
}

/* ---- scores -------------------------------------------------------------------------------- */

/* A strip is 2 * VW tokens of a panel. Several at once, of several panels if those are as wide as a
 * strip, where more multiply-adds in flight pay. */
enum { STRIPS_OF_PANEL = CELSLM_PANEL / (2 * VW) };
INLINE int strips_at_once(const enum celslm_kdtype type, const int rows) {
  return celslm_attn_busy(type, rows) && 4 * rows < TILE_VECTORS ? 2 : 1;
}

/* Scores of `strips` strips from strip `first` on. */
INLINE void score_strips(const enum celslm_kdtype type, const int rows, const int strips,
                         const celslm_attn_tile *t, int first) {
  vf acc[14][4];
  int64_t at[2], group = (int64_t)strips * CELSLM_PANEL / STRIPS_OF_PANEL * t->head_dim;
  int64_t ahead = strips > STRIPS_OF_PANEL ? group * size_of(type) : FAR; /* the group after this */
#pragma GCC unroll 4
  for (int s = 0; s < strips; s++) {
    int panel = (first + s) / STRIPS_OF_PANEL;
    at[s] = (int64_t)panel * CELSLM_PANEL * t->head_dim + (first + s) % STRIPS_OF_PANEL * 2 * VW;
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) acc[i][2 * s] = acc[i][2 * s + 1] = v_zero();
  }
  const int64_t line = (int64_t)first / STRIPS_OF_PANEL * t->head_dim;
  const char *later = (const char *)t->ahead + line * 64;
  const int64_t lines = t->ahead_lines - line;
  const bool fresh = celslm_attn_busy(type, rows) && !t->again;
#pragma GCC unroll 2
  for (int64_t d = 0; d < t->head_dim; d++) {
    vf k[4];
#pragma GCC unroll 2
    for (int s = 0; s < strips; s++) {
      if (s * t->head_dim + d < lines)
        _mm_prefetch(later + (s * t->head_dim + d) * 64, _MM_HINT_T1);
      k[2 * s] = v_stored(type, t->k, at[s] + d * CELSLM_PANEL);
      k[2 * s + 1] = v_stored(type, t->k, at[s] + d * CELSLM_PANEL + VW);
      if (fresh) {
        ask(type, t->k, at[s] + d * CELSLM_PANEL, ahead);
        if (2 * VW * size_of(type) > 64) ask(type, t->k, at[s] + d * CELSLM_PANEL + VW, ahead);
      }
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
      vf x = v_set1(t->q[d * rows + i]);
#pragma GCC unroll 4
      for (int j = 0; j < 2 * strips; j++) acc[i][j] = v_fma(x, k[j], acc[i][j]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < 2 * strips; j++)
      v_store(t->scores + i * CELSLM_CHUNK + first * 2 * VW + j * VW, acc[i][j]);
}

/* What words add up to (words.h): the sums of x times each code, 2^24 times as large. */
INLINE void part_codes(vf raw[4]) {
#pragma GCC unroll 4
  for (int i = 3; i > 0; i--) raw[i] = v_fma(raw[i - 1], v_set1(-0x1p-8f), raw[i]);
}

/* Codes of a word whose sums, of all rows, the registers take. */
INLINE int codes_at_once(const int rows) {
  return VW == 16 || rows <= 2 ? 4 : 2;
}

/* Without it the compiler holds the sums of one pass in registers through the loop of the next. */
#define TO_MEMORY(x) __asm__ volatile("" : : "r"(x) : "memory")

typedef vf word_sums[PARTS][NARROW_ROWS][2][4]; /* [.][row][set][code] */

/* I8: of the words' vectors h over one panel, the sums of some codes, from `first` on. A
 * multiplier stands for two dimensions, in neighbouring lanes, which are added up at the end. */
INLINE void score_pass(const int rows, const int h, const int first, const celslm_attn_tile *t,
                       int panel, word_sums sum) {
  const int64_t dims = (t->head_dim + 1) / 2 * 2, lines = t->ahead_lines - panel * dims;
  const char *words = (const char *)t->k + panel * dims * CELSLM_PANEL + h * 4 * VW;
  const char *later = (const char *)t->ahead + panel * dims * 64;
  const int codes = codes_at_once(rows);
  vf raw[NARROW_ROWS][4];
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int i = 0; i < codes; i++) raw[r][i] = v_zero();
#pragma GCC unroll 2
  for (int64_t d = 0; d < dims; d += 2, words += 64) {
    vf c[4];
#pragma GCC unroll 4
    for (int i = 0; i < codes; i++) c[i] = v_raw(words, first + i);
    if (h == 0 && first == 0) {
      if (!t->again) _mm_prefetch(words + FAR, _MM_HINT_T1);
      if (d < lines) {
        _mm_prefetch(later + d * 64, _MM_HINT_T1);
        _mm_prefetch(later + d * 64 + 64, _MM_HINT_T1);
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      vf x = v_pairs(t->scaled + r * CELSLM_MAX_HEAD + d);
#pragma GCC unroll 4
      for (int i = 0; i < codes; i++) raw[r][i] = v_fma(x, c[i], raw[r][i]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int i = 0; i < codes; i++) sum[h][r][0][first + i] = raw[r][i];
}

INLINE void score_words(const int rows, const celslm_attn_tile *t, int panel) {
  word_sums sum;
  score_pass(rows, 0, 0, t, panel, sum);
#ifndef __AVX512F__
  TO_MEMORY(sum);
  score_pass(rows, 1, 0, t, panel, sum);
  if (codes_at_once(rows) == 2) {
    TO_MEMORY(sum);
    score_pass(rows, 0, 2, t, panel, sum);
    TO_MEMORY(sum);
    score_pass(rows, 1, 2, t, panel, sum);
  }
#endif
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int h = 0; h < PARTS; h++) part_codes(sum[h][r][0]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i += VW / 8) { /* tokens [8i, 8i + VW) */
      vf a = sum[0][r][0][i], b = VW == 16 ? sum[0][r][0][i + VW / 8 - 1] : sum[PARTS - 1][r][0][i];
      v_store(t->scores + r * CELSLM_CHUNK + panel * CELSLM_PANEL + 8 * i,
              v_add(v_evens(a, b), v_odds(a, b)));
    }
  }
}

/* The queries times the scales of one panel's channels, so that its codes need none. */
INLINE void scale_queries(const int rows, const celslm_attn_tile *t, int panel) {
  const float *scale = t->k_scale + (int64_t)panel * t->head_dim;
  for (int d = 0; d < t->head_dim; d += VW) {
    vf s = v_mul(v_load(scale + d), v_set1(0x1p-24f));
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
      int at = i * CELSLM_MAX_HEAD + d;
      v_store(t->scaled + at, v_mul(v_load(t->rows_q + at), s));
    }
  }
}

/* scores [rows][.] = Q K^T for whole panels; the columns beyond the last token are masked later. */
INLINE void scores(const enum celslm_kdtype type, const int rows, const celslm_attn_tile *t) {
  if (type == CELSLM_K_I8) {
    for (int panel = 0; panel * CELSLM_PANEL < t->tokens; panel++) {
      scale_queries(rows, t, panel);
      score_words(rows, t, panel);
    }
    return;
  }
  int n = (t->tokens + CELSLM_PANEL - 1) / CELSLM_PANEL * STRIPS_OF_PANEL, i = 0;
  if (strips_at_once(type, rows) == 2)
    for (; i + 2 <= n; i += 2) score_strips(type, rows, 2, t, i);
  for (; i < n; i++) score_strips(type, rows, 1, t, i);
}

/* ---- softmax ------------------------------------------------------------------------------- */

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

/* Scores to weights 2^(s - m) in place, zero where nothing is seen; returns their sum. I8: what is
 * left in place are the weights times the scales of the values. */
INLINE float soften(const enum celslm_kdtype type, const celslm_attn_tile *t, int row, float m) {
  float *s = t->scores + row * CELSLM_CHUNK;
  int tokens = t->tokens, limit = t->limit[row] < tokens ? t->limit[row] : tokens, j = 0;
  vf mv = v_set1(m), sum = v_zero(), sum2 = v_zero();
  const bool scaled = type == CELSLM_K_I8;
  for (; j + 2 * VW <= limit; j += 2 * VW) {
    vf p = v_exp2(v_sub(v_load(s + j), mv)), p2 = v_exp2(v_sub(v_load(s + j + VW), mv));
    v_store(s + j, scaled ? v_mul(p, v_load(t->v_scale + j)) : p);
    v_store(s + j + VW, scaled ? v_mul(p2, v_load(t->v_scale + j + VW)) : p2);
    sum = v_add(sum, p);
    sum2 = v_add(sum2, p2);
  }
  for (; j < tokens; j += VW) {
    vf p = v_limit(v_exp2(v_sub(v_load(s + j), mv)), j, limit, v_zero());
    v_store(s + j, scaled ? v_mul(p, v_load(t->v_scale + j)) : p);
    sum = v_add(sum, p);
  }
  return v_sum(v_add(sum, sum2));
}

/* ---- output -------------------------------------------------------------------------------- */

/* Columns of the output held at once: as many as the registers take. */
#ifdef __AVX512F__
#define COLS(R) ((R) <= 3 ? 8 : (R) <= 6 ? 4 : 2)
#else
#define COLS(R) ((R) <= 1 ? 8 : (R) <= 3 ? 4 : 2)
#endif

/* Columns [j, j + cols * VW) of o += P V over tokens [first, last); `scale` not NULL: o is
 * multiplied by scale[row] first. */
INLINE void value_columns(const enum celslm_kdtype type, const int rows, const int cols,
                          const celslm_attn_tile *t, const int row, int first, int last, int j,
                          const float *scale) {
  vf acc[14][8];
  int64_t vd = t->value_dim;
  const bool fresh = celslm_attn_busy(type, rows) && !t->again;
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++) {
      acc[i][c] = v_load(t->o + (row + i) * vd + j + c * VW);
      if (scale) acc[i][c] = v_mul(acc[i][c], v_set1(scale[row + i]));
    }
#pragma GCC unroll 2
  for (int64_t p = first; p < last; p++) {
    vf v[8];
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++) v[c] = v_stored(type, t->v, p * vd + j + c * VW);
    if (fresh)
#pragma GCC unroll 8
      for (int c = 0; c < cols; c += 64 / size_of(type) / VW)
        ask(type, t->v, p * vd + j + c * VW, FAR);
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
      vf x = v_set1(t->scores[(row + i) * CELSLM_CHUNK + p]);
#pragma GCC unroll 8
      for (int c = 0; c < cols; c++) acc[i][c] = v_fma(x, v[c], acc[i][c]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++) v_store(t->o + (row + i) * vd + j + c * VW, acc[i][c]);
}

/* I8: the same of `sets` times 64 columns of values from j on. */
INLINE void value_pass(const int rows, const int sets, const int h, const int first,
                       const celslm_attn_tile *t, int j, word_sums sum) {
  const char *words = (const char *)t->v + j + h * 4 * VW;
  const int codes = codes_at_once(rows);
  vf raw[NARROW_ROWS][2][4];
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++)
#pragma GCC unroll 4
      for (int i = 0; i < codes; i++) raw[r][s][i] = v_zero();
  for (int64_t p = 0; p < t->tokens; p++, words += t->value_dim) {
    vf c[2][4];
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++) {
#pragma GCC unroll 4
      for (int i = 0; i < codes; i++) c[s][i] = v_raw(words + s * WORD_COLUMNS, first + i);
      if (h == 0 && first == 0 && !t->again)
        _mm_prefetch(words + s * WORD_COLUMNS + FAR, _MM_HINT_T1);
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      vf x = v_set1(t->scores[r * CELSLM_CHUNK + p]);
#pragma GCC unroll 2
      for (int s = 0; s < sets; s++)
#pragma GCC unroll 4
        for (int i = 0; i < codes; i++) raw[r][s][i] = v_fma(x, c[s][i], raw[r][s][i]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++)
#pragma GCC unroll 4
      for (int i = 0; i < codes; i++) sum[h][r][s][first + i] = raw[r][s][i];
}

INLINE void value_words(const int rows, const int sets, const celslm_attn_tile *t, int j,
                        const float *scale) {
  word_sums sum;
  value_pass(rows, sets, 0, 0, t, j, sum);
#ifndef __AVX512F__
  TO_MEMORY(sum);
  value_pass(rows, sets, 1, 0, t, j, sum);
  if (codes_at_once(rows) == 2) {
    TO_MEMORY(sum);
    value_pass(rows, sets, 0, 2, t, j, sum);
    TO_MEMORY(sum);
    value_pass(rows, sets, 1, 2, t, j, sum);
  }
#endif
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++)
#pragma GCC unroll 2
      for (int h = 0; h < PARTS; h++) {
        part_codes(sum[h][r][s]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          float *o = t->o + r * t->value_dim + j + s * WORD_COLUMNS + 16 * i + h * VW;
          vf old = v_mul(v_load(o), v_set1(scale[r]));
          v_store(o, v_fma(sum[h][r][s][i], v_set1(0x1p-24f), old));
        }
      }
}

/* All columns that are in words, two sets at once while the registers last; returns how many. */
INLINE int values_of_words(const int rows, const celslm_attn_tile *t, const float *scale) {
  int j = 0;
  if (VW == 16 && rows <= 2)
    for (; j + 2 * WORD_COLUMNS <= t->value_dim; j += 2 * WORD_COLUMNS)
      value_words(rows, 2, t, j, scale);
  for (; j + WORD_COLUMNS <= t->value_dim; j += WORD_COLUMNS) value_words(rows, 1, t, j, scale);
  return j;
}

/* o = o * scale + P V. What the registers do not take at once is walked again: V from L1, in blocks
 * of tokens, where it should be read in order (all columns of half the rows, then of the others);
 * else a part of the columns of all tokens, from L2 or from blocks while few rows make moving o
 * cheap. */
INLINE void values(const enum celslm_kdtype type, const int rows, const celslm_attn_tile *t,
                   const float *scale) {
  const int block = 64 / size_of(type);
  const int cols = COLS(rows), wide = COLS((rows + 1) / 2);
  const bool halves = !celslm_attn_busy(type, rows) && wide > cols;
  const int done = type == CELSLM_K_I8 ? values_of_words(rows, t, scale) : 0;
  int vd = t->value_dim, step = cols * VW >= vd || cols <= 2 ? t->tokens : block;
  for (int p = 0; p < t->tokens && done < vd; p += step, scale = NULL) {
    int last = p + step < t->tokens ? p + step : t->tokens, j = done;
    if (halves)
      for (; j + wide * VW <= vd; j += wide * VW) {
        value_columns(type, (rows + 1) / 2, wide, t, 0, p, last, j, scale);
        value_columns(type, rows / 2, wide, t, (rows + 1) / 2, p, last, j, scale);
      }
    for (; j + cols * VW <= vd; j += cols * VW)
      value_columns(type, rows, cols, t, 0, p, last, j, scale);
    if (cols > 4)
      for (; j + 4 * VW <= vd; j += 4 * VW) value_columns(type, rows, 4, t, 0, p, last, j, scale);
    if (cols > 2)
      for (; j + 2 * VW <= vd; j += 2 * VW) value_columns(type, rows, 2, t, 0, p, last, j, scale);
    for (; j < vd; j += VW) value_columns(type, rows, 1, t, 0, p, last, j, scale);
  }
}

/* ---- the step ------------------------------------------------------------------------------ */

INLINE void attend(const enum celslm_kdtype type, const int rows, const celslm_attn_tile *t) {
  float top[16], scale[16];
  scores(type, rows, t);
  /* Row by row in two passes: the latency of one row's reduction hides behind the next row. */
  for (int i = 0; i < rows; i++) top[i] = top_score(t, i);
  for (int i = rows; i < 16; i++) top[i] = 0;
  for (int i = 0; i < rows; i += VW) {
    float old[VW];
    for (int j = 0; j < VW; j++) old[j] = i + j < rows ? t->m[i + j] : 0;
    v_store(scale + i, v_exp2(v_sub(v_load(old), v_load(top + i))));
  }
  for (int i = 0; i < rows; i++) {
    t->l[i] = t->l[i] * scale[i] + soften(type, t, i, top[i]);
    t->m[i] = top[i];
  }
  values(type, rows, t, scale);
}

#define CASE(R)                                                                                    \
  case R:                                                                                          \
    attend(TYPE, R, t);                                                                            \
    return;

static void attend_f32(const celslm_attn_tile *t) {
#define TYPE CELSLM_K_F32
  switch (t->rows) { FOR_ROWS(CASE) }
#undef TYPE
}

static void attend_f16(const celslm_attn_tile *t) {
#define TYPE CELSLM_K_F16
  switch (t->rows) { FOR_NARROW_ROWS(CASE) }
#undef TYPE
}

static void attend_bf16(const celslm_attn_tile *t) {
#define TYPE CELSLM_K_BF16
  switch (t->rows) { FOR_NARROW_ROWS(CASE) }
#undef TYPE
}

static void attend_i8(const celslm_attn_tile *t) {
#define TYPE CELSLM_K_I8
  switch (t->rows) { FOR_NARROW_ROWS(CASE) }
#undef TYPE
}
#undef CASE

static void simd_attention(const celslm_attn_tile *t) {
  static void (*const attend_type[])(const celslm_attn_tile *) = {
      [CELSLM_K_F32] = attend_f32,
      [CELSLM_K_F16] = attend_f16,
      [CELSLM_K_BF16] = attend_bf16,
      [CELSLM_K_I8] = attend_i8,
  };
  attend_type[t->type](t);
}

#endif
