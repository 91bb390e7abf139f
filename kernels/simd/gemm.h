/* gemm.h - the f32 product's inner loops, for the vector width of the including file. */
#ifndef CELSLM_KERNELS_SIMD_GEMM_H
#define CELSLM_KERNELS_SIMD_GEMM_H

#include "kernels/half.h"
#include "kernels/isa.h"
#include "kernels/simd/tile.h"

/* What one step multiplies: a float; a pair of bf16 by the CPU's dot product; or a pair widened to
 * floats, where X comes as two floats (rounded to bf16, as the dot product takes it). */
enum kind { KIND_F32, KIND_DOT, KIND_WIDE };

#ifdef __AVX512F__
INLINE vf v_low(vf x) {
  return (vf)_mm512_slli_epi32((__m512i)x, 16);
}
INLINE vf v_high(vf x) {
  return (vf)_mm512_and_si512((__m512i)x, _mm512_set1_epi32((int)0xffff0000u));
}
#else
INLINE vf v_low(vf x) {
  return (vf)_mm256_slli_epi32((__m256i)x, 16);
}
INLINE vf v_high(vf x) {
  return (vf)_mm256_and_si256((__m256i)x, _mm256_set1_epi32((int)0xffff0000u));
}
#endif

INLINE vf v_step(const enum kind kind, vf a, vf b, vf acc) {
#ifdef __AVX512BF16__
  if (kind == KIND_DOT) return _mm512_dpbf16_ps(acc, (__m512bh)a, (__m512bh)b);
#endif
  (void)kind;
  return v_fma(a, b, acc);
}

/* One input's products with all rows. */
INLINE void outer(const enum kind kind, const int rows, const float *a, vf b0, vf b1,
                  vf acc[14][2]) {
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++) {
    vf x = v_set1(a[i]);
    acc[i][0] = v_step(kind, x, b0, acc[i][0]);
    acc[i][1] = v_step(kind, x, b1, acc[i][1]);
  }
}

enum {
  LONE_NEAR = 16 * 2 * VW, /* floats: what a lone tile prefetches into L1 */
  LONE_FAR = 256 * 2 * VW, /* and into L2 */
  LINE = 16,               /* floats of a cache line */
  STRIDE = 8,              /* steps between two rounds of prefetching */
  QUICK_ROWS = 5           /* lone tiles up to this height leave prefetching to the CPU */
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
 * then it has been fetched. A `lone` tile is a matter of bandwidth: it prefetches its own stream of
 * W, which goes on into the next panel, at each step: far ahead into L2, whose fills are many, and
 * from there into L1. With other programs on the memory that was 20 % faster than either alone. Few
 * rows ask for W as fast as it comes: there the CPU's own prefetching reached 28 to 30 GB/s of 30,
 * and with hints 22 (rows of bf16, widened, count twice). */
INLINE void gemm_tile(const enum kind kind, const int rows, const bool lone, int64_t k,
                      const float *a, const float *b, float *c, int64_t ldc, bool load,
                      const celslm_ahead *next) {
  const bool hint = lone && rows * (kind == KIND_WIDE ? 2 : 1) > QUICK_ROWS;
  vf acc[14][2];
#pragma GCC unroll 14
  for (int i = 0; i < rows; i++) acc[i][0] = acc[i][1] = v_zero();
  for (int64_t round = 0; k > 0; round++, k -= STRIDE) {
    if (!lone) look_ahead(next, round);
#pragma GCC unroll 2
    for (int64_t p = k < STRIDE ? k : STRIDE; p > 0; p--) {
      vf b0 = v_load(b), b1 = v_load(b + VW);
      if (hint) {
        _mm_prefetch((const char *)(b + LONE_NEAR), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + LONE_FAR), _MM_HINT_T1);
      }
      if (hint && VW == 16) {
        _mm_prefetch((const char *)(b + LONE_NEAR + LINE), _MM_HINT_T0);
        _mm_prefetch((const char *)(b + LONE_FAR + LINE), _MM_HINT_T1);
      }
      if (kind == KIND_WIDE) {
        outer(kind, rows, a, v_low(b0), v_low(b1), acc);
        a += rows;
        outer(kind, rows, a, v_high(b0), v_high(b1), acc);
      } else
        outer(kind, rows, a, b0, b1, acc);
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

INLINE void gemm_rows(const enum kind kind, int rows, int64_t k, const float *a, const float *b,
                      float *c, int64_t ldc, bool load, const celslm_ahead *next) {
  if (next->per_round) switch (rows) {
#define CASE(R)                                                                                    \
  case R:                                                                                          \
    gemm_tile(kind, R, false, k, a, b, c, ldc, load, next);                                        \
    return;
      FOR_ROWS(CASE)
#undef CASE
    }
  else
    switch (rows) {
#define CASE(R)                                                                                    \
  case R:                                                                                          \
    gemm_tile(kind, R, true, k, a, b, c, ldc, load, next);                                         \
    return;
      FOR_ROWS(CASE)
#undef CASE
    }
}

INLINE void gemv_step(const enum kind kind, const float *a, const float *b, vf acc[2]) {
#pragma GCC unroll 2
  for (int j = 0; j < 2; j++) {
    vf w = v_load(b + j * VW);
    if (kind == KIND_WIDE)
      acc[j] = v_fma(v_set1(a[1]), v_high(w), v_fma(v_set1(a[0]), v_low(w), acc[j]));
    else
      acc[j] = v_step(kind, v_set1(a[0]), w, acc[j]);
  }
}

/* One row: four partial sums per column hide the latency of the additions. No prefetching: hints
 * cost 11 to 27 % where W is in a cache, and gained nothing where it is not. */
INLINE void gemv(const enum kind kind, int64_t k, const float *a, const float *b, float *c) {
  const int per = kind == KIND_WIDE ? 2 : 1;
  vf acc[4][2];
#pragma GCC unroll 4
  for (int u = 0; u < 4; u++) acc[u][0] = acc[u][1] = v_zero();
  for (; k >= 4; k -= 4, a += 4 * per, b += 4 * 2 * VW) {
#pragma GCC unroll 4
    for (int u = 0; u < 4; u++) {
      const float *r = b + u * 2 * VW;
      gemv_step(kind, a + u * per, r, acc[u]);
    }
  }
  for (; k > 0; k--, a += per, b += 2 * VW) gemv_step(kind, a, b, acc[0]);
#pragma GCC unroll 2
  for (int j = 0; j < 2; j++)
    v_store(c + j * VW, v_add(v_add(acc[0][j], acc[1][j]), v_add(acc[2][j], acc[3][j])));
}

static void simd_gemm_f32(int rows, int64_t k, const float *a, const float *b, float *c,
                          int64_t ldc, bool load, const celslm_ahead *next) {
  gemm_rows(KIND_F32, rows, k, a, b, c, ldc, load, next);
}

static void simd_gemv_f32(int64_t k, const float *x, const float *b, float *y) {
  gemv(KIND_F32, k, x, b, y);
}

static void simd_gemm_bf16(int rows, int64_t steps, const float *a, const float *b, float *c,
                           int64_t ldc, bool load, const celslm_ahead *next) {
  gemm_rows(KIND_WIDE, rows, steps, a, b, c, ldc, load, next);
}

static void simd_gemv_bf16(int64_t steps, const float *x, const float *b, float *y) {
  gemv(KIND_WIDE, steps, x, b, y);
}

/* Squares of VW x VW, transposed in registers. A whole vector is stored where what it spoils beyond
 * its row is written after it. */
static void simd_pack_rows(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  int64_t p = 0, end = k * rows;
  for (; p + VW <= k && rows > 1; p += VW) {
    vf r[VW];
#pragma GCC unroll 16
    for (int i = 0; i < VW; i++) r[i] = i < rows ? v_load(x + i * ldx + p) : v_zero();
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
  for (; p < k; p++)
    for (int i = 0; i < rows; i++) a[p * rows + i] = x[i * ldx + p];
}

static void simd_pack_rows_bf16(int rows, int64_t k, const float *x, int64_t ldx, float *a) {
  for (int64_t p = 0; p < (k + 1) / 2 * 2; p++)
    for (int i = 0; i < rows; i++) *a++ = p < k ? bf16_float(float_bf16(x[i * ldx + p])) : 0.0f;
}

#endif
