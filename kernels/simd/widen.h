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
/* Words (words.h) from p on, shifted left to make code i the uppermost. */
INLINE vf v_raw(const void *p, const int i) {
  __m512i w = _mm512_loadu_si512(p);
  return _mm512_cvtepi32_ps(i == 3 ? w : _mm512_slli_epi32(w, (unsigned)(24 - 8 * i)));
}
/* And each code by itself. */
INLINE void v_codes(const void *p, vf c[4]) {
  __m512i w = _mm512_loadu_si512(p);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    __m512i code = _mm512_srai_epi32(_mm512_slli_epi32(w, 24), 24);
    c[i] = _mm512_cvtepi32_ps(code);
    w = _mm512_srai_epi32(_mm512_sub_epi32(w, code), 8);
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
INLINE vf v_raw(const void *p, const int i) {
  __m256i w = _mm256_loadu_si256((const __m256i *)p);
  return _mm256_cvtepi32_ps(i == 3 ? w : _mm256_slli_epi32(w, 24 - 8 * i));
}
INLINE void v_codes(const void *p, vf c[4]) {
  __m256i w = _mm256_loadu_si256((const __m256i *)p);
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    __m256i code = _mm256_srai_epi32(_mm256_slli_epi32(w, 24), 24);
    c[i] = _mm256_cvtepi32_ps(code);
    w = _mm256_srai_epi32(_mm256_sub_epi32(w, code), 8);
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

enum { PARTS = 16 / VW }; /* vectors of the words of a pair of dimensions, or of 64 columns */

static void simd_widen_keys(int64_t panels, int dims, const void *x, const float *scale, float *y) {
  const char *words = x;
  for (int64_t p = 0; p < panels; p++, scale += dims, y += (int64_t)dims * CELSLM_PANEL)
    for (int d = 0; d < dims; d += 2, words += 64) {
      vf c[PARTS][4], s0 = v_set1(scale[d]), s1 = v_set1(d + 1 < dims ? scale[d + 1] : 0);
      float *row = y + (int64_t)d * CELSLM_PANEL;
      for (int h = 0; h < PARTS; h++) v_codes(words + h * 4 * VW, c[h]);
      for (int i = 0; i < 4; i += VW / 8) { /* tokens [8i, 8i + VW) */
        vf a = c[0][i], b = VW == 16 ? c[0][i + VW / 8 - 1] : c[PARTS - 1][i];
        v_store(row + 8 * i, v_mul(v_evens(a, b), s0));
        if (d + 1 < dims) v_store(row + CELSLM_PANEL + 8 * i, v_mul(v_odds(a, b), s1));
      }
    }
}

static void simd_widen_values(int64_t tokens, int columns, const void *x, const float *scale,
                              float *y) {
  const char *row = x;
  for (int64_t t = 0; t < tokens; t++, row += columns, y += columns) {
    vf s = v_set1(scale[t]), c[4];
    int d = 0;
    for (; d + WORD_COLUMNS <= columns; d += WORD_COLUMNS)
      for (int h = 0; h < PARTS; h++) {
        v_codes(row + d + h * 4 * VW, c);
        for (int i = 0; i < 4; i++) v_store(y + d + 16 * i + h * VW, v_mul(c[i], s));
      }
    for (; d < columns; d += VW) v_store(y + d, v_mul(v_i8((const int8_t *)row + d), s));
  }
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
