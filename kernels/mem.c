/* mem.c - allocation for the kernels. */
#include "kernels/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *celslm_mem_big(size_t bytes) {
  /* From 1 MiB on, weights and caches are walked linearly: large pages save TLB misses. At least
   * half of the last page is then in use. */
  size_t huge = (size_t)2 << 20, align = bytes >= huge / 2 ? huge : 64;
  size_t size = (bytes + align - 1) / align * align;
  void *p = aligned_alloc(align, size ? size : align);
  if (!p) return NULL;
  if (align == huge) madvise(p, size, MADV_HUGEPAGE);
  memset(p, 0, size);
  return p;
}

void *celslm_mem_scratch(size_t bytes) {
  size_t size = (bytes + 63) / 64 * 64;
  void *p = aligned_alloc(64, size ? size : 64);
  if (!p) celslm_misuse("scratch", "out of memory");
  return p;
}

_Noreturn void celslm_misuse(const char *function, const char *what) {
  fprintf(stderr, "celslm: kernels: %s: %s\n", function, what);
  abort();
}
