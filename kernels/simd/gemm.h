/* gemm.h - the f32 product's inner loops, for the vector width of the including file. */
#ifndef CELSLM_KERNELS_SIMD_GEMM_H
#define CELSLM_KERNELS_SIMD_GEMM_H

#include "kernels/isa.h"
#include "kernels/simd/tile.h"

enum {
  GEMV_AHEAD = 64 * 2 * VW, /* floats from the row in use to the row prefetched */
  LONE_AHEAD = 64 * 2 * VW,
  LINE = 16,                /* floats of a cache line */
  STRIDE = 8                /* steps between two rounds of prefetching */
};

/* One round: some lines of W into L2, one row of the next tile's C into L1. Spread out, because a
 * burst would take the line buffers from the loads of this tile. */
INLINE void look_ahead(const celslm_ahead *next, int64_t round) {
  int64_t first = round * next->per_round, last = first + next->per_round;
  if (last > next->lines) last = next->lines;
  for (int64_t i = first; i < last; i++)
    _mm_prefetch((const char *)(next->w + i * LINE), _MM_HINT_T1);
  if (round < next->c_rows) {
    float *c = next->c + round * next->ldc;
    __builtin_prefetch(c, 1, 3);
    __builtin_prefetch(c + 2 * VW - 1, 1, 3);
  }
}

/* C [rows][2*VW] (+)= A B with rows a literal. The sum starts at zero and C is added at the end: by
 * then it has been fetched. A `lone` tile is a matter of bandwidth: it prefetches W at each step, at
 * a fixed distance in its own stream. */
INLINE void gemm_tile(const int rows, const bool lone, int64_t k, const float *a, const float *b,
                      float *c, int64_t ldc, bool load, const celslm_ahead *next) {
  vf acc[14][2];
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = v_zero();
  for (int64_t round = 0; k > 0; round++, k -= STRIDE) {
    if (!lone) look_ahead(next, round);
#pragma GCC unroll 2
    for (int64_t p = k < STRIDE ? k : STRIDE; p > 0; p--) {
      vf b0 = v_load(b), b1 = v_load(b + VW);
      if (lone) _mm_prefetch((const char *)(b + LONE_AHEAD), _MM_HINT_T1);
      if (lone && VW == 16) _mm_prefetch((const char *)(b + LONE_AHEAD + LINE), _MM_HINT_T1);
#pragma GCC unroll 14
      for (int i = 0; i < rows; i++) {
        vf x = v_set1(a[i]);
        acc[i][0] = v_fma(x, b0, acc[i][0]);
        acc[i][1] = v_fma(x, b1, acc[i][1]);
      }
      a += rows;
      b += 2 * VW;
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      float *y = c + i * ldc + j * VW;
      v_store(y, load ? v_add(acc[i][j], v_load(y)) : acc[i][j]);
    }
}

static void simd_gemm_f32(int rows, int64_t k, const float *a, const float *b, float *c,
                          int64_t ldc, bool load, const celslm_ahead *next) {
  if (next)
    switch (rows) {
#define CASE(R)                                                                                    \
  case R: gemm_tile(R, false, k, a, b, c, ldc, load, next); return;
      FOR_ROWS(CASE)
#undef CASE
    }
  else
    switch (rows) {
#define CASE(R)                                                                                    \
  case R: gemm_tile(R, true, k, a, b, c, ldc, load, next); return;
      FOR_ROWS(CASE)
#undef CASE
    }
}

static void simd_gemv_f32(int64_t k, const float *x, const float *b, float *y) {
  row_tile(k, x, b, 2 * VW, y, GEMV_AHEAD);
}

static void simd_pack_rows(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  for (int64_t p = 0; p < k; p++)
    for (int i = 0; i < rows; i++) *a++ = x[i * ldx + p];
}

#endif
