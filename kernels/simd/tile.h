/* tile.h - the register tile all products are made of: C [rows][cols*VW] (+)= A B.
 *
 * `rows` and `cols` must be literals at the call (the function is always inlined), so that the
 * accumulators are registers; rows*cols <= 28 with AVX-512, 12 with AVX2. A is read by broadcast at
 * a[p*as + i*ar], B by whole vectors at b[p*bs + j*VW]. Array bounds are literals: a bound that is
 * a parameter makes a variable-length array, which lives on the stack. */
#ifndef CELSLM_KERNELS_SIMD_TILE_H
#define CELSLM_KERNELS_SIMD_TILE_H

#include <stdbool.h>

#include "kernels/simd/vec.h"

#ifdef __AVX512F__
enum { TILE_ROWS = 14 };
#else
enum { TILE_ROWS = 6 };
#endif

/* Each row count once, as `case`s of a switch over rows. */
#ifdef __AVX512F__
#define FOR_ROWS(M) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14)
#else
#define FOR_ROWS(M) M(1) M(2) M(3) M(4) M(5) M(6)
#endif

/* `scale` NULL: C is overwritten, or added to if `load`; else C is multiplied by scale[row] first.
 */
INLINE void tile(const int rows, const int cols, int64_t k, const float *a, int64_t as, int64_t ar,
                 const float *b, int64_t bs, float *c, int64_t ldc, bool load, const float *scale) {
  vf acc[14][8];
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < cols; j++) {
      acc[i][j] = load || scale ? v_load(c + i * ldc + j * VW) : v_zero();
      if (scale) acc[i][j] = v_mul(acc[i][j], v_set1(scale[i]));
    }
#pragma GCC unroll 2
  for (int64_t p = 0; p < k; p++) {
    vf bv[8];
#pragma GCC unroll 8
    for (int j = 0; j < cols; j++) bv[j] = v_load(b + j * VW);
#pragma GCC unroll 14
    for (int i = 0; i < rows; i++) {
      vf x = v_set1(a[i * ar]);
#pragma GCC unroll 8
      for (int j = 0; j < cols; j++) acc[i][j] = v_fma(x, bv[j], acc[i][j]);
    }
    a += as;
    b += bs;
  }
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++)
#pragma GCC unroll 8
    for (int j = 0; j < cols; j++) v_store(c + i * ldc + j * VW, acc[i][j]);
}

/* One row times B [k][2*VW] (row distance bs): four partial sums per column hide the latency. */
INLINE void row_tile(int64_t k, const float *a, const float *b, int64_t bs, float *c) {
  vf acc[4][2];
#pragma GCC unroll 4
  for (int u = 0; u < 4; u++) acc[u][0] = acc[u][1] = v_zero();
  int64_t p = 0;
  for (; p + 4 <= k; p += 4) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; u++) {
      vf x = v_set1(a[p + u]);
      const float *r = b + (p + u) * bs;
      acc[u][0] = v_fma(x, v_load(r), acc[u][0]);
      acc[u][1] = v_fma(x, v_load(r + VW), acc[u][1]);
    }
  }
  for (; p < k; p++) {
    vf x = v_set1(a[p]);
    acc[0][0] = v_fma(x, v_load(b + p * bs), acc[0][0]);
    acc[0][1] = v_fma(x, v_load(b + p * bs + VW), acc[0][1]);
  }
#pragma GCC unroll 2
  for (int j = 0; j < 2; j++)
    v_store(c + j * VW, v_add(v_add(acc[0][j], acc[1][j]), v_add(acc[2][j], acc[3][j])));
}

#endif
