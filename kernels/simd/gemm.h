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
  for (int64_t round = 0; k > 0; round++, k -= CELSLM_AHEAD_STEPS) {
    if (!lone) look_ahead(next, round);
#pragma GCC unroll 2
    for (int64_t p = k < CELSLM_AHEAD_STEPS ? k : CELSLM_AHEAD_STEPS; p > 0; p--) {
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

enum {
  GEMV_PANELS = VW == 16 ? 4 : 2, /* at a time, as many as there are registers for */
  GEMV_CACHED = 1 << 18           /* floats of W that an L2 may hold */
};

/* One row times `panels` neighbours; two partial sums per column hide the latency of additions. No
 * prefetching: hints cost 11 to 27 % where W is in a cache, and gained nothing where it is not. */
INLINE void gemv_panels(const enum kind kind, const int panels, int64_t k, const float *a,
                        const float *b, float *c, bool load) {
  const int per = kind == KIND_WIDE ? 2 : 1;
  const int64_t stride = k * 2 * VW;
  vf even[4][2], odd[4][2];
#pragma GCC unroll 4
  for (int i = 0; i < panels; i++) even[i][0] = even[i][1] = odd[i][0] = odd[i][1] = v_zero();
  for (; k >= 2; k -= 2, a += 2 * per, b += 2 * 2 * VW) {
#pragma GCC unroll 4
    for (int i = 0; i < panels; i++) gemv_step(kind, a, b + i * stride, even[i]);
#pragma GCC unroll 4
    for (int i = 0; i < panels; i++) gemv_step(kind, a + per, b + i * stride + 2 * VW, odd[i]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < panels; i++) {
    if (k > 0) gemv_step(kind, a, b + i * stride, even[i]);
#pragma GCC unroll 2
    for (int j = 0; j < 2; j++) {
      float *y = c + (2 * i + j) * VW;
      vf sum = v_add(even[i][j], odd[i][j]);
      v_store(y, load ? v_add(sum, v_load(y)) : sum);
    }
  }
}

/* Several streams of W are faster from a cache (52 instead of 48 GFLOP/s), one from memory. */
INLINE void gemv(const enum kind kind, int64_t panels, int64_t k, const float *a, const float *b,
                 float *c, bool load) {
  if (panels * k * 2 * VW <= GEMV_CACHED)
    for (; panels >= GEMV_PANELS; panels -= GEMV_PANELS) {
      gemv_panels(kind, GEMV_PANELS, k, a, b, c, load);
      b += GEMV_PANELS * k * 2 * VW;
      c += GEMV_PANELS * 2 * VW;
    }
  for (; panels > 0; panels--, b += k * 2 * VW, c += 2 * VW) gemv_panels(kind, 1, k, a, b, c, load);
}

static void simd_gemm_f32(int rows, int64_t k, const float *a, const float *b, float *c,
                          int64_t ldc, bool load, const celslm_ahead *next) {
  gemm_rows(KIND_F32, rows, k, a, b, c, ldc, load, next);
}

static void simd_gemv_f32(int64_t panels, int64_t k, const float *x, const float *b, float *y,
                          bool load) {
  gemv(KIND_F32, panels, k, x, b, y, load);
}

static void simd_gemm_bf16(int rows, int64_t steps, const float *a, const float *b, float *c,
                           int64_t ldc, bool load, const celslm_ahead *next) {
  gemm_rows(KIND_WIDE, rows, steps, a, b, c, ldc, load, next);
}

static void simd_gemv_bf16(int64_t panels, int64_t steps, const float *x, const float *b, float *y,
                           bool load) {
  gemv(KIND_WIDE, panels, steps, x, b, y, load);
}

#endif
