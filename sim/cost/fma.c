/* fma.c - the two loops of fma.h, in the widest instruction set this processor has.
 *
 * Twelve independent chains of multiply-adds hide a latency of four to five cycles on two units.
 * Reading walks four streams, a quarter of the block each, as four pages at a time keep more lines
 * in flight than one. */
#include "cost/fma.h"

#include <stdint.h>

#if defined __x86_64__
#include <immintrin.h>
#endif

/* Keeps a value alive that nobody reads. */
#define KEEP(x) __asm__ volatile("" : : "x"(x))

#if defined __x86_64__

#define CHAINS(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)

__attribute__((target("avx512f"))) static void run_512(long steps) {
  __m512 x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
#define START(i) __m512 a##i = _mm512_set1_ps(1.0f + (float)i);
#define STEP(i)  a##i = _mm512_fmadd_ps(a##i, x, y);
#define END(i)   __asm__ volatile("" : : "v"(a##i));
  CHAINS(START)
  for (long i = 0; i < steps; i++) {
    CHAINS(STEP)
  }
  CHAINS(END)
#undef START
#undef STEP
#undef END
}

__attribute__((target("avx2,fma"))) static void run_256(long steps) {
  __m256 x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
#define START(i) __m256 a##i = _mm256_set1_ps(1.0f + (float)i);
#define STEP(i)  a##i = _mm256_fmadd_ps(a##i, x, y);
#define END(i)   KEEP(a##i);
  CHAINS(START)
  for (long i = 0; i < steps; i++) {
    CHAINS(STEP)
  }
  CHAINS(END)
#undef START
#undef STEP
#undef END
}

__attribute__((target("avx512f"))) static void read_512(const char *p, size_t quarter) {
  __m512i s[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                  _mm512_setzero_si512()};
  for (size_t i = 0; i < quarter; i += 128)
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
      const char *q = p + (size_t)j * quarter + i;
      _mm_prefetch(q + 2048, _MM_HINT_T0); /* reading without asking ahead is slower than kernels */
      _mm_prefetch(q + 2048 + 64, _MM_HINT_T0);
      s[j] = _mm512_xor_si512(s[j], _mm512_load_si512(q));
      s[j] = _mm512_xor_si512(s[j], _mm512_load_si512(q + 64));
    }
  for (int j = 0; j < 4; j++) __asm__ volatile("" : : "v"(s[j]));
}
#endif

double celslm_fma_flops(void) {
#if defined __x86_64__
  if (__builtin_cpu_supports("avx512f")) return 12 * 2 * 16;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 12 * 2 * 8;
#endif
  return 0;
}

void celslm_fma_run(long steps) {
#if defined __x86_64__
  if (__builtin_cpu_supports("avx512f"))
    run_512(steps);
  else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    run_256(steps);
#endif
  (void)steps;
}

void celslm_fma_read(const void *block, size_t bytes) {
#if defined __x86_64__
  if (__builtin_cpu_supports("avx512f")) {
    read_512(block, bytes / 4);
    return;
  }
#endif
  typedef uint64_t word4 __attribute__((vector_size(32), may_alias));
  const char *p = block;
  word4 s = {0}, t = {0};
  for (size_t i = 0; i < bytes; i += 64) {
    s ^= *(const word4 *)(const void *)(p + i);
    t ^= *(const word4 *)(const void *)(p + i + 32);
  }
  s ^= t;
  uint64_t sum = s[0] ^ s[1] ^ s[2] ^ s[3];
  __asm__ volatile("" : : "r"(sum));
}
