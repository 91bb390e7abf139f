/* mem.h - memory and small things the kernels share. Internal. */
#ifndef CELSLM_KERNELS_MEM_H
#define CELSLM_KERNELS_MEM_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "kernels/kernels.h"

/* Large, long-lived, zeroed, aligned to a cache line, in pages of 2 MiB: weights and caches are
 * walked linearly, and at the end of a page the CPU's prefetching stops, and at a page not seen
 * lately ours too. Blocks from 1 MiB on have their pages alone, smaller ones share them. NULL when
 * memory is short. */
void *celslm_mem_big(size_t bytes);
void celslm_mem_big_free(void *p);
/* Scratch of one call, aligned to a cache line, holding anything; ends the program when memory is
 * short. Freed by the thread that asked for it. */
void *celslm_mem_scratch(size_t bytes);
void celslm_mem_scratch_free(void *p);
/* Ends the program with one line when a caller broke a contract. */
_Noreturn void celslm_misuse(const char *function, const char *what);

/* ---- reporting: brackets every public kernel call ----------------------------------------------
 */

typedef struct celslm_span {
  struct timespec start;
  bool on;
} celslm_span;

celslm_span celslm_span_begin(void);
/* Reports `r` with the seconds since begin filled in. Call only if span.on. */
void celslm_span_end(celslm_span span, celslm_report *r);

/* The naive twins add their work here in counting mode. */
bool celslm_counting(void);

/* The span's end for an operation without KV: the usual fields in one call. */
static inline void celslm_span_report(celslm_span span, enum celslm_kop op, int64_t m, int64_t n,
                                      int64_t k, celslm_work work) {
  celslm_report r = {.op = op, .m = m, .n = n, .k = k, .work = work};
  if (span.on) celslm_span_end(span, &r);
}

static inline int64_t round_up(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}
static inline int64_t min_i64(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static inline int64_t max_i64(int64_t a, int64_t b) {
  return a > b ? a : b;
}

#endif
