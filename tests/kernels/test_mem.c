/* test_mem.c - the kernels' memory: blocks are zeroed, aligned, apart from one another and keep
 * what is written, whatever was freed before; large ones lie in large pages of their own; scratch
 * is a thread's own. */
#include "kernels/kernel_test.h"

#include "kernels/mem.h"

#include <pthread.h>

enum { HUGE = 2 << 20 };

typedef struct block {
  unsigned char *p;
  size_t bytes;
  unsigned char mark;
} block;

/* Sizes of all kinds, half of them near those where the way of allocating changes. */
static size_t some_size(void) {
  static const int64_t edges[] = {1, 64, 32 << 10, HUGE / 2, HUGE, 2 * HUGE};
  int64_t near = edges[rng_int(0, 5)] + rng_int(-70, 70);
  return (size_t)(rng_int(0, 1) ? (near < 1 ? 1 : near) : rng_int(1, 300000));
}

static bool holds(const block *b) {
  return b->p[0] == b->mark && b->p[b->bytes / 2] == b->mark && b->p[b->bytes - 1] == b->mark;
}

START_TEST(blocks_are_zeroed_and_apart) {
  enum { MOST = 60 };
  block b[MOST] = {0};
  rng_seed(20);
  for (int i = 0; i < 3000; i++) {
    block *x = &b[rng_int(0, MOST - 1)];
    if (x->p) {
      ck_assert(holds(x));
      celslm_mem_big_free(x->p);
      x->p = NULL;
      continue;
    }
    *x = (block){.bytes = some_size(), .mark = (unsigned char)rng_int(1, 255)};
    x->p = celslm_mem_big(x->bytes);
    ck_assert_ptr_nonnull(x->p);
    ck_assert_uint_eq((uintptr_t)x->p % 64, 0);
    size_t j = 0; /* a page can only be as it came, or as somebody left it */
    while (j < x->bytes && !x->p[j]) j += x->bytes > 4096 ? 61 : 1;
    ck_assert_msg(j >= x->bytes, "byte %zu of %zu is %d", j, x->bytes, x->p[j]);
    for (const block *y = b; y < b + MOST; y++)
      if (y != x && y->p) ck_assert(x->p + x->bytes <= y->p || y->p + y->bytes <= x->p);
    memset(x->p, x->mark, x->bytes);
  }
  for (int i = 0; i < MOST; i++) celslm_mem_big_free(b[i].p);
}
END_TEST

#ifndef __SANITIZE_ADDRESS__
START_TEST(large_blocks_begin_with_a_large_page) {
  for (size_t bytes = HUGE / 2; bytes < 5 * (size_t)HUGE; bytes += 777777) {
    void *p = celslm_mem_big(bytes);
    ck_assert_uint_eq((uintptr_t)p % HUGE, 0);
    celslm_mem_big_free(p);
  }
}
END_TEST

START_TEST(scratch_comes_again) {
  void *a = celslm_mem_scratch(100000), *b = celslm_mem_scratch(100000);
  ck_assert_ptr_ne(a, b);
  celslm_mem_scratch_free(a);
  void *c = celslm_mem_scratch(90000); /* what is idle and large enough */
  ck_assert_ptr_eq(a, c);
  celslm_mem_scratch_free(b), celslm_mem_scratch_free(c);
}
END_TEST
#endif

static void *use_scratch(void *of) {
  uint64_t state = (uint64_t)(uintptr_t)of * 77 + 5;
  for (int i = 0; i < 2000; i++) {
    block b[6];
    for (int j = 0; j < 6; j++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      b[j] = (block){.bytes = 1 + (size_t)(state >> 33) % 60000, .mark = (unsigned char)(i + j)};
      b[j].p = celslm_mem_scratch(b[j].bytes);
      memset(b[j].p, b[j].mark, b[j].bytes);
    }
    for (int j = 0; j < 6; j++) {
      if (!holds(&b[j])) return of;
      celslm_mem_scratch_free(b[j].p);
    }
  }
  return NULL;
}

START_TEST(scratch_is_a_threads_own) {
  pthread_t thread[4];
  for (int round = 0; round < 3; round++) { /* threads end, and their blocks with them */
    for (intptr_t i = 0; i < 4; i++)
      ck_assert_int_eq(pthread_create(&thread[i], NULL, use_scratch, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
      void *spoilt;
      pthread_join(thread[i], &spoilt);
      ck_assert_ptr_null(spoilt);
    }
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("mem");
  TCase *t = tcase_create("mem");
  tcase_add_test(t, blocks_are_zeroed_and_apart);
#ifndef __SANITIZE_ADDRESS__
  tcase_add_test(t, large_blocks_begin_with_a_large_page);
  tcase_add_test(t, scratch_comes_again);
#endif
  tcase_add_test(t, scratch_is_a_threads_own);
  suite_add_tcase(s, t);
  return run_suite(s);
}
