/* gemm_i8.h - the int8 product's inner loops: with the CPU's dot product (VNNI), or in plain C that
 * the compiler vectorises. Both give the same integers, hence the same bits. */
#ifndef CELSLM_KERNELS_SIMD_GEMM_I8_H
#define CELSLM_KERNELS_SIMD_GEMM_I8_H

#include "kernels/isa.h"
#include "kernels/simd/vec.h"

static void simd_gemm_i8(const celslm_i8_tile *t) {
  enum { PANEL = 2 * VW };
  for (int i = 0; i < t->rows; i++) {
    float total[PANEL] = {0};
    for (int64_t g = 0; g < t->groups; g++) {
      int32_t sum[PANEL];
      const uint32_t *a = t->a + g * t->steps * t->rows + i;
      const int8_t *b = (const int8_t *)(const void *)(t->b + g * t->steps * PANEL);
      for (int j = 0; j < PANEL; j++) sum[j] = -t->offset[g * PANEL + j];
      for (int p = 0; p < t->steps; p++, b += 4 * PANEL) {
        uint32_t x = a[p * t->rows];
        int32_t x0 = x & 255, x1 = x >> 8 & 255, x2 = x >> 16 & 255, x3 = (int32_t)(x >> 24);
        for (int j = 0; j < PANEL; j++)
          sum[j] += x0 * b[4 * j] + x1 * b[4 * j + 1] + x2 * b[4 * j + 2] + x3 * b[4 * j + 3];
      }
      for (int j = 0; j < PANEL; j++)
        total[j] =
            __builtin_fmaf((float)sum[j], t->xs[g * t->rows + i] * t->ws[g * PANEL + j], total[j]);
    }
    for (int j = 0; j < PANEL; j++) t->c[i * t->ldc + j] = total[j];
  }
}

#ifdef __AVX512VNNI__
INLINE void dot_rows(const int rows, const celslm_i8_tile *t) {
  enum { AHEAD = 64 * 32 }; /* words: 8 KiB */
  vf total[CELSLM_I8_ROWS][2];
  const uint32_t *a = t->a, *b = t->b;
#pragma GCC unroll 6
  for (int i = 0; i < rows; i++) total[i][0] = total[i][1] = v_zero();
  for (int64_t g = 0; g < t->groups; g++) {
    __m512i sum[CELSLM_I8_ROWS][2];
    const int32_t *offset = t->offset + g * 32;
    __m512i start0 = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_loadu_si512(offset));
    __m512i start1 = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_loadu_si512(offset + 16));
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
      sum[i][0] = start0;
      sum[i][1] = start1;
    }
    for (int p = 0; p < t->steps; p++, a += rows, b += 32) {
      __m512i b0 = _mm512_loadu_si512(b), b1 = _mm512_loadu_si512(b + 16);
      _mm_prefetch((const char *)(b + AHEAD), _MM_HINT_T0);
      _mm_prefetch((const char *)(b + AHEAD + 16), _MM_HINT_T0);
#pragma GCC unroll 6
      for (int i = 0; i < rows; i++) {
        __m512i x = _mm512_set1_epi32((int)a[i]);
        sum[i][0] = _mm512_dpbusd_epi32(sum[i][0], x, b0);
        sum[i][1] = _mm512_dpbusd_epi32(sum[i][1], x, b1);
      }
    }
    vf w0 = v_load(t->ws + g * 32), w1 = v_load(t->ws + g * 32 + 16);
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
      vf x = v_set1(t->xs[g * rows + i]);
      total[i][0] = v_fma(_mm512_cvtepi32_ps(sum[i][0]), v_mul(x, w0), total[i][0]);
      total[i][1] = v_fma(_mm512_cvtepi32_ps(sum[i][1]), v_mul(x, w1), total[i][1]);
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < rows; i++) {
    v_store(t->c + i * t->ldc, total[i][0]);
    v_store(t->c + i * t->ldc + 16, total[i][1]);
  }
}

static void dot_gemm_i8(const celslm_i8_tile *t) {
  switch (t->rows) {
  case 1:
    dot_rows(1, t);
    return;
  case 2:
    dot_rows(2, t);
    return;
  case 3:
    dot_rows(3, t);
    return;
  case 4:
    dot_rows(4, t);
    return;
  case 5:
    dot_rows(5, t);
    return;
  case 6:
    dot_rows(6, t);
    return;
  }
}
#endif

#endif
