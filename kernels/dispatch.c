/* dispatch.c - owns the dispatch table pointer and the thread count: chosen once, at first use. */
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/isa.h"

enum { LEVELS = CELSLM_ISA_AVX512 + 1 };

static const celslm_isa *table(enum celslm_isa_level level) {
  switch (level) {
  case CELSLM_ISA_AVX2:
    return &celslm_isa_avx2;
  case CELSLM_ISA_AVX512:
    if (!__builtin_cpu_supports("avx512vnni")) return &celslm_isa_avx512;
    /* vdpbf16ps is a multiply-add of half the length on Zen 4 and later; on Intel's Sapphire Rapids
     * it reached 78 GFLOP/s, where multiply-adds of widened floats reach 150 (celslm bench
     * kernels). By the maker, not by a measurement, so that results are the same in every run. */
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd")
               ? &celslm_isa_avx512_dot
               : &celslm_isa_avx512_vnni;
  case CELSLM_ISA_PORTABLE:
    break;
  }
  return &celslm_isa_portable;
}

static _Atomic(const celslm_isa *) current;
static atomic_int threads;

bool celslm_isa_available(enum celslm_isa_level level) {
  switch (level) {
  case CELSLM_ISA_PORTABLE:
    return true;
  case CELSLM_ISA_AVX2:
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  case CELSLM_ISA_AVX512:
    /* bf16 and VNNI are used where present, so the level itself asks for the common base only. */
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  }
  return false;
}

const char *celslm_isa_name(enum celslm_isa_level level) {
  return table(level)->name;
}

static const celslm_isa *choose(void) {
  const char *want = getenv("CELSLM_ISA");
  int best = 0;
  for (int i = 0; i < LEVELS; i++)
    if (celslm_isa_available((enum celslm_isa_level)i)) {
      best = i;
      if (want && strcmp(want, celslm_isa_name((enum celslm_isa_level)i)) == 0) break;
    }
  return table((enum celslm_isa_level)best);
}

const celslm_isa *celslm_isa_current(void) {
  const celslm_isa *isa = atomic_load_explicit(&current, memory_order_acquire);
  if (!isa) {
    isa = choose(); /* two threads may both get here; they choose the same */
    atomic_store_explicit(&current, isa, memory_order_release);
  }
  return isa;
}

enum celslm_isa_level celslm_isa_get(void) {
  const celslm_isa *isa = celslm_isa_current();
  int i = 0;
  while (i < LEVELS - 1 && table((enum celslm_isa_level)i) != isa) i++;
  return (enum celslm_isa_level)i;
}

bool celslm_isa_set(enum celslm_isa_level level) {
  if (!celslm_isa_available(level)) return false;
  atomic_store_explicit(&current, table(level), memory_order_release);
  return true;
}

void celslm_threads_set(int n) {
  atomic_store(&threads, n < 1 ? 1 : n);
}

int celslm_threads_get(void) {
  int n = atomic_load(&threads);
  if (n == 0) {
    n = omp_get_max_threads();
    atomic_store(&threads, n);
  }
  return n;
}
