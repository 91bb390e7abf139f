/* attention.h - one attention step (celslm_attn_tile) for the vector width of the including file:
 * scores of a chunk, running softmax, output.
 *
 * Keys and values are converted in registers as they are loaded, so a step of few rows reads what
 * is stored and nothing else. The sums of a row run over its tokens and dimensions in an order that
 * is the same whatever else is computed with it. */
#ifndef CELSLM_KERNELS_SIMD_ATTENTION_H
#define CELSLM_KERNELS_SIMD_ATTENTION_H

#include "kernels/isa.h"
#include "kernels/simd/tile.h"
#include "kernels/simd/widen.h"

/* Rows of a tile over words (words.h): four vectors at once, for a broadcast takes its time too,
 * and serves as many multiply-adds as there are vectors. Over f32 there are more rows and two
 * vectors, for that comes from memory four times, and twice, as slowly. */
enum { NARROW_ROWS = 6 };
#define FOR_NARROW_ROWS(M) M(1) M(2) M(3) M(4) M(5) M(6)

enum { FAR = 16384 }; /* bytes */

/* Asks for the line that lies far after `p`. */
INLINE void ask(const void *p) {
  _mm_prefetch((const char *)p + FAR, _MM_HINT_T1);
}

/* Asks for one of the lines that will be needed later, if there are so many. */
INLINE void ask_later(const celslm_attn_tile *t, int64_t line) {
  if (line < t->ahead_lines) _mm_prefetch((const char *)t->ahead + line * 64, _MM_HINT_T1);
}

/* ---- scores -------------------------------------------------------------------------------- */

/* F32: scores of 2 * VW tokens, a panel or half of it. */
INLINE void score_strip(const int rows, const celslm_attn_tile *t, int first) {
  const int strips = CELSLM_PANEL / (2 * VW), panel = first / strips;
  const float *k = t->k;
  const bool fresh = celslm_attn_busy(CELSLM_K_F32, rows) && !t->again;
  vf acc[14][2];
  k += (int64_t)panel * CELSLM_PANEL * t->head_dim + first % strips * 2 * VW;
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = v_zero();
#pragma GCC unroll 2
  for (int64_t d = 0; d < t->head_dim; d++, k += CELSLM_PANEL) {
    vf k0 = v_load(k), k1 = v_load(k + VW);
    ask_later(t, (int64_t)panel * t->head_dim + d);
    if (fresh) {
      ask(k);
      if (VW == 16) ask(k + VW);
    }
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
      vf x = v_set1(t->q[d * rows + i]);
      acc[i][0] = v_fma(x, k0, acc[i][0]);
      acc[i][1] = v_fma(x, k1, acc[i][1]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++)
      v_store(t->scores + i * CELSLM_CHUNK + first * 2 * VW + j * VW, acc[i][j]);
}

/* From what words of I8 add up to, the sums of x times each code, 2^24 times as large. */
INLINE void part_codes(const enum celslm_kdtype type, vf raw[4]) {
#pragma GCC unroll 4
  for (int i = 3; i > 0 && type == CELSLM_K_I8; i--)
    raw[i] = v_fma(raw[i - 1], v_set1(-0x1p-8f), raw[i]);
}

/* Parts of words whose sums, of all rows, the registers take. */
INLINE int parts_at_once(const int rows) {
  return VW == 16 || rows <= 2 ? 4 : 2;
}

/* Without it the compiler holds the sums of one pass in registers through the loop of the next. */
#define TO_MEMORY(x) __asm__ volatile("" : : "r"(x) : "memory")

typedef vf word_sums[PARTS][NARROW_ROWS][2][4]; /* [.][row][set][part] */

/* Of the words' vectors h over one panel, the sums of some parts, from `first` on. A multiplier
 * stands for two dimensions, in neighbouring lanes, which are added up at the end. */
INLINE void score_pass(const enum celslm_kdtype type, const int rows, const int h, const int first,
                       const celslm_attn_tile *t, int panel, word_sums sum) {
  const int64_t dims = (t->head_dim + 1) / 2 * 2;
  const char *words = (const char *)t->k + panel * dims * CELSLM_PANEL * size_of(type) + h * 4 * VW;
  const float *q = type == CELSLM_K_I8 ? t->scaled : t->rows_q;
  const bool fresh = celslm_attn_busy(type, rows) && !t->again;
  const int parts = parts_at_once(rows);
  vf raw[NARROW_ROWS][4];
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int i = 0; i < parts; i++) raw[r][i] = v_zero();
#pragma GCC unroll 2
  for (int64_t d = 0; d < dims; d += 2, words += 64 * size_of(type)) {
    vf c[4];
#pragma GCC unroll 4
    for (int i = 0; i < parts; i++) c[i] = v_part(type, words, first + i);
    if (h == 0 && first == 0) {
      if (fresh) ask(words);
      if (fresh && type != CELSLM_K_I8) ask(words + 64);
      ask_later(t, panel * dims + d);
      ask_later(t, panel * dims + d + 1);
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      vf x = v_pairs(q + r * CELSLM_MAX_HEAD + d);
#pragma GCC unroll 4
      for (int i = 0; i < parts; i++) raw[r][i] = v_fma(x, c[i], raw[r][i]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 4
    for (int i = 0; i < parts; i++) sum[h][r][0][first + i] = raw[r][i];
}

INLINE void score_words(const enum celslm_kdtype type, const int rows, const celslm_attn_tile *t,
                        int panel) {
  word_sums sum;
  score_pass(type, rows, 0, 0, t, panel, sum);
#ifndef __AVX512F__
  TO_MEMORY(sum);
  score_pass(type, rows, 1, 0, t, panel, sum);
  if (parts_at_once(rows) == 2) {
    TO_MEMORY(sum);
    score_pass(type, rows, 0, 2, t, panel, sum);
    TO_MEMORY(sum);
    score_pass(type, rows, 1, 2, t, panel, sum);
  }
#endif
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++) {
#pragma GCC unroll 2
    for (int h = 0; h < PARTS; h++) part_codes(type, sum[h][r][0]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i += VW / 8) { /* tokens [8i, 8i + VW) */
      vf a = sum[0][r][0][i], b = VW == 16 ? sum[0][r][0][i + VW / 8 - 1] : sum[PARTS - 1][r][0][i];
      vf s = v_add(v_evens(a, b), v_odds(a, b));
      if (type == CELSLM_K_F16) s = v_mul(s, v_set1(CELSLM_F16_SCORE));
      v_store(t->scores + r * CELSLM_CHUNK + panel * CELSLM_PANEL + 8 * i, s);
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
  int panels = (t->tokens + CELSLM_PANEL - 1) / CELSLM_PANEL;
  if (type == CELSLM_K_F32)
    for (int i = 0; i < panels * CELSLM_PANEL / (2 * VW); i++) score_strip(rows, t, i);
  else
    for (int panel = 0; panel < panels; panel++) {
      if (type == CELSLM_K_I8) scale_queries(rows, t, panel);
      score_words(type, rows, t, panel);
    }
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

/* Weights as they are multiplied: I8 times the scales of the values, F16 as words need it. */
INLINE vf v_weight(const enum celslm_kdtype type, const celslm_attn_tile *t, int j, vf p) {
  if (type == CELSLM_K_I8) return v_mul(p, v_load(t->v_scale + j));
  return type == CELSLM_K_F16 ? v_mul(p, v_set1(CELSLM_F16_WEIGHT)) : p;
}

/* Scores to weights 2^(s - m) in place, zero where nothing is seen; returns their sum. */
INLINE float soften(const enum celslm_kdtype type, const celslm_attn_tile *t, int row, float m) {
  float *s = t->scores + row * CELSLM_CHUNK;
  int tokens = t->tokens, limit = t->limit[row] < tokens ? t->limit[row] : tokens, j = 0;
  vf mv = v_set1(m), sum = v_zero(), sum2 = v_zero();
  for (; j + 2 * VW <= limit; j += 2 * VW) {
    vf p = v_exp2(v_sub(v_load(s + j), mv)), p2 = v_exp2(v_sub(v_load(s + j + VW), mv));
    v_store(s + j, v_weight(type, t, j, p));
    v_store(s + j + VW, v_weight(type, t, j + VW, p2));
    sum = v_add(sum, p);
    sum2 = v_add(sum2, p2);
  }
  for (; j < tokens; j += VW) {
    vf p = v_limit(v_exp2(v_sub(v_load(s + j), mv)), j, limit, v_zero());
    v_store(s + j, v_weight(type, t, j, p));
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
        ask((const char *)t->v + (p * vd + j + c * VW) * size_of(type));
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
      vf x = v_set1(t->scores[(row + i) * CELSLM_CHUNK + p]);
      if (type == CELSLM_K_F16) x = v_mul(x, v_set1(1 / CELSLM_F16_WEIGHT)); /* no words here */
#pragma GCC unroll 8
      for (int c = 0; c < cols; c++) acc[i][c] = v_fma(x, v[c], acc[i][c]);
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++) v_store(t->o + (row + i) * vd + j + c * VW, acc[i][c]);
}

/* The same of `sets` times 64 columns of values from j on. */
INLINE void value_pass(const enum celslm_kdtype type, const int rows, const int sets, const int h,
                       const int first, const celslm_attn_tile *t, int j, word_sums sum) {
  const char *words = (const char *)t->v + j * size_of(type) + h * 4 * VW;
  const int set = WORD_COLUMNS * size_of(type); /* bytes */
  const bool fresh = celslm_attn_busy(type, rows) && !t->again;
  const int parts = parts_at_once(rows);
  vf raw[NARROW_ROWS][2][4];
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++)
#pragma GCC unroll 4
      for (int i = 0; i < parts; i++) raw[r][s][i] = v_zero();
  for (int64_t p = 0; p < t->tokens; p++, words += t->value_dim * size_of(type)) {
    vf c[2][4];
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++) {
#pragma GCC unroll 4
      for (int i = 0; i < parts; i++) c[s][i] = v_part(type, words + s * set, first + i);
      if (h == 0 && first == 0 && fresh) {
        ask(words + s * set);
        if (type != CELSLM_K_I8) ask(words + s * set + 64);
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
      vf x = v_set1(t->scores[r * CELSLM_CHUNK + p]);
#pragma GCC unroll 2
      for (int s = 0; s < sets; s++)
#pragma GCC unroll 4
        for (int i = 0; i < parts; i++) raw[r][s][i] = v_fma(x, c[s][i], raw[r][s][i]);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++)
#pragma GCC unroll 4
      for (int i = 0; i < parts; i++) sum[h][r][s][first + i] = raw[r][s][i];
}

INLINE void value_words(const enum celslm_kdtype type, const int rows, const int sets,
                        const celslm_attn_tile *t, int j, const float *scale) {
  word_sums sum;
  value_pass(type, rows, sets, 0, 0, t, j, sum);
#ifndef __AVX512F__
  TO_MEMORY(sum);
  value_pass(type, rows, sets, 1, 0, t, j, sum);
  if (parts_at_once(rows) == 2) {
    TO_MEMORY(sum);
    value_pass(type, rows, sets, 0, 2, t, j, sum);
    TO_MEMORY(sum);
    value_pass(type, rows, sets, 1, 2, t, j, sum);
  }
#endif
#pragma GCC unroll 6
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
    for (int s = 0; s < sets; s++)
#pragma GCC unroll 2
      for (int h = 0; h < PARTS; h++) {
        part_codes(type, sum[h][r][s]);
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
          float *o = t->o + r * t->value_dim + j + s * WORD_COLUMNS + 16 * i + h * VW;
          vf old = v_mul(v_load(o), v_set1(scale[r]));
          v_store(o, v_fma(sum[h][r][s][i], v_set1(type == CELSLM_K_I8 ? 0x1p-24f : 1.0f), old));
        }
      }
}

/* All columns that are in words, two sets at once while the registers last; returns how many. */
INLINE int values_of_words(const enum celslm_kdtype type, const int rows, const celslm_attn_tile *t,
                           const float *scale) {
  int j = 0;
  if (VW == 16 && rows <= 2)
    for (; j + 2 * WORD_COLUMNS <= t->value_dim; j += 2 * WORD_COLUMNS)
      value_words(type, rows, 2, t, j, scale);
  for (; j + WORD_COLUMNS <= t->value_dim; j += WORD_COLUMNS)
    value_words(type, rows, 1, t, j, scale);
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
  const int done = type == CELSLM_K_F32 ? 0 : values_of_words(type, rows, t, scale);
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
