/* widen.h - stored keys and values to f32. */
#ifndef CELSLM_KERNELS_SIMD_WIDEN_H
#define CELSLM_KERNELS_SIMD_WIDEN_H

#include "kernels/half.h"
#include "kernels/isa.h"
#include "kernels/simd/vec.h"

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

/* cols is a multiple of 16 in all that is stored. */
static void simd_widen_i8(int64_t rows, int64_t cols, const int8_t *x, const float *scale,
                          float *y) {
  for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
    vf s = v_set1(scale[r]);
    for (int64_t i = 0; i < cols; i += VW) v_store(y + i, v_mul(v_i8(x + i), s));
  }
}

#endif
