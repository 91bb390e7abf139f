/* widen.h - stored keys and values to f32, and new ones to what is stored. */
#ifndef CELSLM_KERNELS_SIMD_WIDEN_H
#define CELSLM_KERNELS_SIMD_WIDEN_H

#include "kernels/half.h"
#include "kernels/isa.h"
#include "kernels/simd/vec.h"
#include "kernels/words.h"

#ifdef __AVX512F__
INLINE vf v_f16(const uint16_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE void v_to_f16(uint16_t *p, vf x) {
  _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
INLINE vf v_bf16(const uint16_t *p) {
  __m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
  return (vf)_mm512_slli_epi32(w, 16);
}
INLINE vf v_i8(const int8_t *p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
/* Part i of the words (words.h) from p on, as it can be multiplied: I8 with what lies below, F16
 * 2^-112 of what it is. */
INLINE vf v_part(const enum celslm_kdtype type, const void *p, const int i) {
  __m512i w = _mm512_loadu_si512((const char *)p + (type == CELSLM_K_I8 ? 0 : i / 2 * 64));
  if (type == CELSLM_K_I8)
    return _mm512_cvtepi32_ps(i == 3 ? w : _mm512_slli_epi32(w, (unsigned)(24 - 8 * i)));
  if (i % 2 == 0) w = _mm512_slli_epi32(w, 16);
  if (type == CELSLM_K_BF16)
    return (vf)(i % 2 ? _mm512_and_si512(w, _mm512_set1_epi32((int)0xffff0000u)) : w);
  return (vf)_mm512_and_si512(_mm512_srai_epi32(w, 3), _mm512_set1_epi32((int)0x8fffe000u));
}
/* All parts as they are; I8 without its scale. */
INLINE void v_parts(const enum celslm_kdtype type, const void *p, vf c[4]) {
  __m512i w = _mm512_loadu_si512(p);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    if (type == CELSLM_K_I8) {
      __m512i code = _mm512_srai_epi32(_mm512_slli_epi32(w, 24), 24);
      c[i] = _mm512_cvtepi32_ps(code);
      w = _mm512_srai_epi32(_mm512_sub_epi32(w, code), 8);
    } else if (type == CELSLM_K_BF16) {
      c[i] = v_part(type, p, i);
    } else {
      w = _mm512_loadu_si512((const char *)p + i / 2 * 64);
      c[i] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(i % 2 ? _mm512_srli_epi32(w, 16) : w));
    }
  }
}
/* Rounded to nearest even; NaN stays one. */
INLINE void v_to_bf16(uint16_t *p, vf x) {
  __m512i b = _mm512_castps_si512(x), odd = _mm512_srli_epi32(b, 16);
  __m512i half =
      _mm512_add_epi32(_mm512_and_si512(odd, _mm512_set1_epi32(1)), _mm512_set1_epi32(0x7fff));
  __m512i y = _mm512_srli_epi32(_mm512_add_epi32(b, half), 16);
  __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  y = _mm512_mask_or_epi32(y, nan, odd, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(y));
}
INLINE void v_to_i8(int8_t *p, vf x) {
  _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
}
#else
INLINE vf v_f16(const uint16_t *p) {
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
INLINE void v_to_f16(uint16_t *p, vf x) {
  _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
INLINE vf v_bf16(const uint16_t *p) {
  __m256i w = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
  return (vf)_mm256_slli_epi32(w, 16);
}
INLINE vf v_i8(const int8_t *p) {
  return _mm256_cvtepi32_ps(
      _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
INLINE vf v_part(const enum celslm_kdtype type, const void *p, const int i) {
  const char *at = (const char *)p + (type == CELSLM_K_I8 ? 0 : i / 2 * 64);
  __m256i w = _mm256_loadu_si256((const __m256i *)(const void *)at);
  if (type == CELSLM_K_I8) return _mm256_cvtepi32_ps(i == 3 ? w : _mm256_slli_epi32(w, 24 - 8 * i));
  if (i % 2 == 0) w = _mm256_slli_epi32(w, 16);
  if (type == CELSLM_K_BF16)
    return (vf)(i % 2 ? _mm256_and_si256(w, _mm256_set1_epi32((int)0xffff0000u)) : w);
  return (vf)_mm256_and_si256(_mm256_srai_epi32(w, 3), _mm256_set1_epi32((int)0x8fffe000u));
}
INLINE void v_parts(const enum celslm_kdtype type, const void *p, vf c[4]) {
  __m256i w = _mm256_loadu_si256((const __m256i *)p);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    if (type == CELSLM_K_I8) {
      __m256i code = _mm256_srai_epi32(_mm256_slli_epi32(w, 24), 24);
      c[i] = _mm256_cvtepi32_ps(code);
      w = _mm256_srai_epi32(_mm256_sub_epi32(w, code), 8);
    } else if (type == CELSLM_K_BF16) {
      c[i] = v_part(type, p, i);
    } else {
      const char *at = (const char *)p + i / 2 * 64;
      w = _mm256_loadu_si256((const __m256i *)(const void *)at);
      w = i % 2 ? _mm256_srli_epi32(w, 16) : _mm256_and_si256(w, _mm256_set1_epi32(0xffff));
      w = _mm256_permute4x64_epi64(_mm256_packus_epi32(w, w), 0xd8);
      c[i] = _mm256_cvtph_ps(_mm256_castsi256_si128(w));
    }
  }
}
INLINE void v_to_bf16(uint16_t *p, vf x) {
  __m256i b = _mm256_castps_si256(x), odd = _mm256_srli_epi32(b, 16);
  __m256i half =
      _mm256_add_epi32(_mm256_and_si256(odd, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
  __m256i y = _mm256_srli_epi32(_mm256_add_epi32(b, half), 16);
  __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  y = _mm256_blendv_epi8(y, _mm256_or_si256(odd, _mm256_set1_epi32(0x40)), nan);
  __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(y, y), 0xd8);
  _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(words));
}
INLINE void v_to_i8(int8_t *p, vf x) {
  __m256i i = _mm256_cvtps_epi32(x);
  __m128i w = _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
  _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(w, w));
}
#endif

static void simd_widen_f16(int64_t n, const uint16_t *x, float *y) {
  int64_t i = 0;
  for (; i + VW <= n; i += VW) v_store(y + i, v_f16(x + i));
  for (; i < n; i++) y[i] = f16_float(x[i]);
}

static void simd_narrow_f16(int64_t n, const float *x, uint16_t *y) {
  int64_t i = 0;
  for (; i + VW <= n; i += VW) v_to_f16(y + i, v_load(x + i));
  for (; i < n; i++) y[i] = float_f16(x[i]);
}

static void simd_widen_bf16(int64_t n, const uint16_t *x, float *y) {
  int64_t i = 0;
  for (; i + VW <= n; i += VW) v_store(y + i, v_bf16(x + i));
  for (; i < n; i++) y[i] = bf16_float(x[i]);
}

static void simd_narrow_bf16(int64_t n, const float *x, uint16_t *y) {
  int64_t i = 0;
  for (; i + VW <= n; i += VW) v_to_bf16(y + i, v_load(x + i));
  for (; i < n; i++) y[i] = float_bf16(x[i]);
}

/* Elements [i, i + VW) of what is stored one by one; `type` a literal, I8 without its scale. */
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

enum { PARTS = 16 / VW }; /* vectors that 16 words make */

INLINE void widen_keys(const enum celslm_kdtype type, int64_t panels, int dims, const void *x,
                       const float *scale, float *y) {
  const char *words = x;
  for (int64_t p = 0; p < panels; p++, y += (int64_t)dims * CELSLM_PANEL)
    for (int d = 0; d < dims; d += 2, words += 2 * CELSLM_PANEL * size_of(type)) {
      vf c[PARTS][4], s0 = v_set1(1.0f), s1 = s0;
      if (type == CELSLM_K_I8) {
        s0 = v_set1(scale[p * dims + d]);
        if (d + 1 < dims) s1 = v_set1(scale[p * dims + d + 1]);
      }
      float *row = y + (int64_t)d * CELSLM_PANEL;
      for (int h = 0; h < PARTS; h++) v_parts(type, words + h * 4 * VW, c[h]);
      for (int i = 0; i < 4; i += VW / 8) { /* tokens [8i, 8i + VW) */
        vf a = c[0][i], b = VW == 16 ? c[0][i + VW / 8 - 1] : c[PARTS - 1][i];
        v_store(row + 8 * i, v_mul(v_evens(a, b), s0));
        if (d + 1 < dims) v_store(row + CELSLM_PANEL + 8 * i, v_mul(v_odds(a, b), s1));
      }
    }
}

INLINE void widen_values(const enum celslm_kdtype type, int64_t tokens, int columns, const void *x,
                         const float *scale, float *y) {
  const char *row = x;
  for (int64_t t = 0; t < tokens; t++, row += columns * size_of(type), y += columns) {
    vf s = v_set1(type == CELSLM_K_I8 ? scale[t] : 1.0f), c[4];
    int d = 0;
    for (; d + WORD_COLUMNS <= columns; d += WORD_COLUMNS)
      for (int h = 0; h < PARTS; h++) {
        v_parts(type, row + d * size_of(type) + h * 4 * VW, c);
        for (int i = 0; i < 4; i++) v_store(y + d + 16 * i + h * VW, v_mul(c[i], s));
      }
    for (; d < columns; d += VW) v_store(y + d, v_mul(v_stored(type, row, d), s));
  }
}

static void simd_widen_keys(enum celslm_kdtype type, int64_t panels, int dims, const void *x,
                            const float *scale, float *y) {
  if (type == CELSLM_K_F16) widen_keys(CELSLM_K_F16, panels, dims, x, scale, y);
  if (type == CELSLM_K_BF16) widen_keys(CELSLM_K_BF16, panels, dims, x, scale, y);
  if (type == CELSLM_K_I8) widen_keys(CELSLM_K_I8, panels, dims, x, scale, y);
}

static void simd_widen_values(enum celslm_kdtype type, int64_t tokens, int columns, const void *x,
                              const float *scale, float *y) {
  if (type == CELSLM_K_F16) widen_values(CELSLM_K_F16, tokens, columns, x, scale, y);
  if (type == CELSLM_K_BF16) widen_values(CELSLM_K_BF16, tokens, columns, x, scale, y);
  if (type == CELSLM_K_I8) widen_values(CELSLM_K_I8, tokens, columns, x, scale, y);
}

/* cols is a multiple of 16 in all that is stored. */
static void simd_narrow_i8(int64_t rows, int64_t cols, const float *x, float *scale, int8_t *y) {
  for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
    vf most = v_zero();
    for (int64_t i = 0; i < cols; i += VW) most = v_max(most, v_abs(v_load(x + i)));
    float top = v_top(most);
    vf inverse = v_set1(top > 0 ? 127.0f / top : 0);
    scale[r] = top / 127.0f;
    for (int64_t i = 0; i < cols; i += VW) v_to_i8(y + i, v_mul(v_load(x + i), inverse));
  }
}

/* Squares of VW x VW, transposed in registers. A panel that was not used for long comes from
 * memory: its next lines are asked for while these are filled. */
static void simd_fill_panel(int rows, int cols, const float *x, int64_t ldx, float *y) {
  for (int first = 0; first < rows; first += VW) {
    int n = rows - first < VW ? rows - first : VW, d = 0;
    const float *from = x + first * ldx;
    for (; d + VW <= cols && n > 2; d += VW) {
      vf r[VW];
      for (int j = 0; j < VW; j++)
        _mm_prefetch((const char *)(y + (d + VW + j) * CELSLM_PANEL + first), _MM_HINT_T0);
#pragma GCC unroll 16
      for (int i = 0; i < VW; i++) r[i] = i < n ? v_load(from + i * ldx + d) : v_zero();
      v_transpose(r);
#pragma GCC unroll 16
      for (int j = 0; j < VW; j++) {
        float *to = y + (d + j) * CELSLM_PANEL + first;
        if (n == VW)
          v_store(to, r[j]);
        else
          v_store_first(to, r[j], n);
      }
    }
    for (; d < cols; d++)
      for (int i = 0; i < n; i++) y[d * CELSLM_PANEL + first + i] = from[i * ldx + d];
  }
}

#endif
