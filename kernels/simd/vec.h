/* vec.h - a float vector of the width the including file is compiled for, and its operations.
 *
 * Only avx2/ and avx512/ include it. VW is the number of lanes. exp2: 2^x for finite x,
 * relative error below 3e-7; below -126 it gives 0, far above something large or infinite. */
#ifndef CELSLM_KERNELS_SIMD_VEC_H
#define CELSLM_KERNELS_SIMD_VEC_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* 2^f on [0,1) is 1 + C1 f + ... + C5 f^5 with relative error 8.3e-8 (Remez exchange, the constant
 * held at 1 so that whole numbers come out exactly). */
#define EXP2_C1 0.69315129518508911f
#define EXP2_C2 0.24016444385051727f
#define EXP2_C3 0.05579991266131401f
#define EXP2_C4 0.00901703070849180f
#define EXP2_C5 0.00186713004950434f

#ifdef __AVX512F__
enum { VW = 16 };
typedef __m512 vf;
INLINE vf v_load(const float *p) {
  return _mm512_loadu_ps(p);
}
INLINE void v_store(float *p, vf x) {
  _mm512_storeu_ps(p, x);
}
INLINE vf v_set1(float x) {
  return _mm512_set1_ps(x);
}
INLINE vf v_zero(void) {
  return _mm512_setzero_ps();
}
INLINE vf v_fma(vf a, vf b, vf c) {
  return _mm512_fmadd_ps(a, b, c);
}
INLINE vf v_add(vf a, vf b) {
  return _mm512_add_ps(a, b);
}
INLINE vf v_sub(vf a, vf b) {
  return _mm512_sub_ps(a, b);
}
INLINE vf v_mul(vf a, vf b) {
  return _mm512_mul_ps(a, b);
}
INLINE vf v_div(vf a, vf b) {
  return _mm512_div_ps(a, b);
}
INLINE vf v_max(vf a, vf b) {
  return _mm512_max_ps(a, b);
}
INLINE vf v_abs(vf a) {
  return _mm512_abs_ps(a);
}
INLINE float v_sum(vf a) {
  return _mm512_reduce_add_ps(a);
}
INLINE float v_top(vf a) {
  return _mm512_reduce_max_ps(a);
}
/* Lanes i with first + i >= limit replaced by `other`. */
INLINE vf v_limit(vf a, int first, int limit, vf other) {
  __m512i lane =
      _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                       _mm512_set1_epi32(first));
  return _mm512_mask_mov_ps(other, _mm512_cmplt_epi32_mask(lane, _mm512_set1_epi32(limit)), a);
}
INLINE vf v_exp2(vf x) {
  vf f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
  vf p = v_fma(v_set1(EXP2_C5), f, v_set1(EXP2_C4));
  p = v_fma(p, f, v_set1(EXP2_C3));
  p = v_fma(p, f, v_set1(EXP2_C2));
  p = v_fma(p, f, v_set1(EXP2_C1));
  p = v_fma(p, f, v_set1(1.0f));
  /* scalef takes floor(x) itself. What would be subnormal is 0: weights of a softmax go on into
   * products, where many CPUs take 100 times as long for subnormal numbers. */
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, v_set1(-126.0f), _CMP_GE_OQ), p, x);
}
/* Two floats from p on in all pairs of lanes. */
INLINE vf v_pairs(const float *p) {
  double both;
  memcpy(&both, p, sizeof both);
  return _mm512_castpd_ps(_mm512_set1_pd(both));
}
/* The even lanes of a, then those of b; the odd ones. */
INLINE vf v_evens(vf a, vf b) {
  return _mm512_permutex2var_ps(
      a, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), b);
}
INLINE vf v_odds(vf a, vf b) {
  return _mm512_permutex2var_ps(
      a, _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), b);
}
/* The first n lanes. */
INLINE void v_store_first(float *p, vf x, int n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), x);
}
/* Rows become columns: neighbours are exchanged in pairs, fours, eights. */
INLINE void v_transpose(vf r[16]) {
  vf t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      __m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + j + 2]);
      r[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
      r[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
    }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    t[j] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0x88);
    t[j + 4] = _mm512_shuffle_f32x4(r[j], r[j + 4], 0xdd);
    t[j + 8] = _mm512_shuffle_f32x4(r[j + 8], r[j + 12], 0x88);
    t[j + 12] = _mm512_shuffle_f32x4(r[j + 8], r[j + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    r[j] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88);
    r[j + 4] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0x88);
    r[j + 8] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0xdd);
    r[j + 12] = _mm512_shuffle_f32x4(t[j + 4], t[j + 12], 0xdd);
  }
}
#else
enum { VW = 8 };
typedef __m256 vf;
INLINE vf v_load(const float *p) {
  return _mm256_loadu_ps(p);
}
INLINE void v_store(float *p, vf x) {
  _mm256_storeu_ps(p, x);
}
INLINE vf v_set1(float x) {
  return _mm256_set1_ps(x);
}
INLINE vf v_zero(void) {
  return _mm256_setzero_ps();
}
INLINE vf v_fma(vf a, vf b, vf c) {
  return _mm256_fmadd_ps(a, b, c);
}
INLINE vf v_add(vf a, vf b) {
  return _mm256_add_ps(a, b);
}
INLINE vf v_sub(vf a, vf b) {
  return _mm256_sub_ps(a, b);
}
INLINE vf v_mul(vf a, vf b) {
  return _mm256_mul_ps(a, b);
}
INLINE vf v_div(vf a, vf b) {
  return _mm256_div_ps(a, b);
}
INLINE vf v_max(vf a, vf b) {
  return _mm256_max_ps(a, b);
}
INLINE vf v_abs(vf a) {
  return _mm256_andnot_ps(v_set1(-0.0f), a);
}
INLINE float v_sum(vf a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float v_top(vf a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
INLINE vf v_limit(vf a, int first, int limit, vf other) {
  __m256i lane =
      _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  __m256i in = _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), lane);
  return _mm256_blendv_ps(other, a, _mm256_castsi256_ps(in));
}
INLINE vf v_exp2(vf x) {
  /* Below -126, where floats are subnormal, 2^-127 comes out as 0 (its biased exponent is 0); above
   * 127.99 there is no float. */
  x = _mm256_min_ps(v_max(x, v_set1(-127.0f)), v_set1(127.99f));
  vf n = _mm256_floor_ps(x);
  vf f = v_sub(x, n);
  vf p = v_fma(v_set1(EXP2_C5), f, v_set1(EXP2_C4));
  p = v_fma(p, f, v_set1(EXP2_C3));
  p = v_fma(p, f, v_set1(EXP2_C2));
  p = v_fma(p, f, v_set1(EXP2_C1));
  p = v_fma(p, f, v_set1(1.0f));
  __m256i e =
      _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return v_mul(p, _mm256_castsi256_ps(e));
}
INLINE vf v_pairs(const float *p) {
  double both;
  memcpy(&both, p, sizeof both);
  return _mm256_castpd_ps(_mm256_set1_pd(both));
}
INLINE vf v_evens(vf a, vf b) {
  __m256d x = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0x88));
  return _mm256_castpd_ps(_mm256_permute4x64_pd(x, 0xd8));
}
INLINE vf v_odds(vf a, vf b) {
  __m256d x = _mm256_castps_pd(_mm256_shuffle_ps(a, b, 0xdd));
  return _mm256_castpd_ps(_mm256_permute4x64_pd(x, 0xd8));
}
INLINE void v_store_first(float *p, vf x, int n) {
  __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), x);
}
INLINE void v_transpose(vf r[8]) {
  vf t[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      __m256d a = _mm256_castps_pd(t[i + j]), b = _mm256_castps_pd(t[i + j + 2]);
      r[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
      r[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
    }
#pragma GCC unroll 4
  for (int j = 0; j < 4; j++) {
    t[j] = _mm256_permute2f128_ps(r[j], r[j + 4], 0x20);
    t[j + 4] = _mm256_permute2f128_ps(r[j], r[j + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; i++) r[i] = t[i];
}
#endif

#endif
