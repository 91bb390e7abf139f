/* pack.h - rows of X into the order in which a micro-tile reads them: word p of row i at
 * a[p*rows + i]. */
#ifndef CELSLM_KERNELS_SIMD_PACK_H
#define CELSLM_KERNELS_SIMD_PACK_H

#include "kernels/half.h"
#include "kernels/quantise.h"
#include "kernels/simd/gemm.h"

/* Rounded to bf16, to nearest even; a NaN stays one (float_bf16 does the same). */
#ifdef __AVX512F__
INLINE vf v_round_bf16(vf x) {
  __m512i b = (__m512i)x, odd = _mm512_and_si512(_mm512_srli_epi32(b, 16), _mm512_set1_epi32(1));
  __m512i up = _mm512_add_epi32(_mm512_add_epi32(b, _mm512_set1_epi32(0x7fff)), odd);
  __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  up = _mm512_mask_or_epi32(up, nan, b, _mm512_set1_epi32(0x400000));
  return v_high((vf)up);
}
/* Two by two in a word, the first in its lower half. */
INLINE vf v_pairs_bf16(const float *x) {
  vf a = v_round_bf16(v_load(x)), b = v_round_bf16(v_load(x + VW));
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  __m512i first = (__m512i)_mm512_permutex2var_ps(a, even, b);
  __m512i second =
      (__m512i)_mm512_permutex2var_ps(a, _mm512_or_si512(even, _mm512_set1_epi32(1)), b);
  return (vf)_mm512_or_si512(_mm512_srli_epi32(first, 16), second);
}
#else
INLINE vf v_round_bf16(vf x) {
  __m256i b = (__m256i)x, odd = _mm256_and_si256(_mm256_srli_epi32(b, 16), _mm256_set1_epi32(1));
  __m256i up = _mm256_add_epi32(_mm256_add_epi32(b, _mm256_set1_epi32(0x7fff)), odd);
  vf quiet = (vf)_mm256_or_si256(b, _mm256_set1_epi32(0x400000));
  return v_high(_mm256_blendv_ps((vf)up, quiet, _mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
#endif

/* VW words of a row from input p on. */
INLINE vf load_words(const enum kind kind, const float *x) {
#ifdef __AVX512F__
  if (kind == KIND_DOT) return v_pairs_bf16(x);
#endif
  return kind == KIND_WIDE ? v_round_bf16(v_load(x)) : v_load(x);
}

/* The word of the `left` inputs from x on: the last pair may lack its second. */
INLINE float load_word(const enum kind kind, const float *x, int64_t left) {
  if (kind == KIND_F32) return x[0];
  if (kind == KIND_WIDE) return left > 0 ? bf16_float(float_bf16(x[0])) : 0.0f;
  uint32_t second = left > 1 ? float_bf16(x[1]) : 0;
  return bits_float(float_bf16(x[0]) | second << 16);
}

/* Squares of VW x VW words, transposed in registers. A whole vector is stored where what it spoils
 * beyond its row is written after it. */
INLINE void pack(const enum kind kind, int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  const int per = kind == KIND_DOT ? 2 : 1;
  int64_t words = kind == KIND_F32 ? k : (k + 1) / 2 * 2 / per;
  int64_t p = 0, end = words * rows;
  for (; (p + VW) * per <= k; p += VW) {
    if (rows == 1) {
      v_store(a + p, load_words(kind, x + p * per));
      continue;
    }
    vf r[VW];
#pragma GCC unroll 16
    for (int i = 0; i < VW; i++)
      r[i] = i < rows ? load_words(kind, x + i * ldx + p * per) : v_zero();
    v_transpose(r);
#pragma GCC unroll 16
    for (int j = 0; j < VW; j++) {
      int64_t at = (p + j) * rows;
      if (at + VW <= end)
        v_store(a + at, r[j]);
      else
        v_store_first(a + at, r[j], rows);
    }
  }
  for (; p < words; p++)
    for (int i = 0; i < rows; i++)
      a[p * rows + i] = load_word(kind, x + i * ldx + p * per, k - p * per);
}

/* ---- int8 ------------------------------------------------------------------------------------ */

#ifdef __AVX512F__
/* VW inputs to VW/4 words: rounded to nearest even like lrintf, plus 128, one byte each. */
INLINE void store_codes(uint32_t *words, vf x) {
  __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(x), _mm512_set1_epi32(128));
  _mm_storeu_si128((__m128i *)(void *)words, _mm512_cvtepi32_epi8(q));
}
#else
INLINE void store_codes(uint32_t *words, vf x) {
  __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(x), _mm256_set1_epi32(128));
  const __m256i lowest = _mm256_set1_epi32(0x0c080400);
  q = _mm256_shuffle_epi8(q, lowest);
  words[0] = (uint32_t)_mm256_extract_epi32(q, 0);
  words[1] = (uint32_t)_mm256_extract_epi32(q, 4);
}
#endif

static void simd_quantise(int64_t k, int64_t group, const float *x, uint32_t *words,
                          float *scales) {
  for (; k > 0; k -= group, x += group, words += group / 4) {
    if (k < group || group % VW) {
      *scales++ = quantise_group(k < group ? k : group, group, x, words);
      continue;
    }
    vf most = v_zero();
    for (int64_t p = 0; p < group; p += VW) most = v_max(most, v_abs(v_load(x + p)));
    float top = v_top(most), inverse = top > 0 ? 127.0f / top : 0;
    for (int64_t p = 0; p < group; p += VW)
      store_codes(words + p / 4, v_mul(v_load(x + p), v_set1(inverse)));
    *scales++ = top / 127.0f;
  }
}

/* ---- the entries ----------------------------------------------------------------------------- */

static void simd_pack_rows(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  pack(KIND_F32, rows, k, x, ldx, a);
}

static void simd_pack_rows_bf16(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  pack(KIND_WIDE, rows, k, x, ldx, a);
}

#endif
