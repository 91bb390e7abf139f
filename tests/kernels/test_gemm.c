/* test_gemm.c - the packed product at every level: against CBLAS, against a double-precision
 * reference with epilogues, same bits at one and two threads, and the report's exact figures. */
#include <cblas.h>

#include "kernels/half.h"
#include "kernels/isa.h"
#include "kernels/kernel_test.h"
#include "kernels/quantise.h"

/* Shapes: small and odd ones, every row count of a micro-tile, and ones that span blocks. */
static void random_shape(int i, int64_t *m, int64_t *n, int64_t *k) {
  *m = i < 30 ? i + 1 : rng_int(1, i % 7 == 0 ? 700 : 90);
  *n = rng_int(1, i % 3 == 0 ? 17 : 200);
  *k = rng_int(1, i % 5 == 0 ? 1500 : 130);
}

START_TEST(matches_cblas) {
  FOR_LEVELS(level) {
    rng_seed(7);
    for (int i = 0; i < 60; i++) {
      int64_t m, n, k;
      random_shape(i, &m, &n, &k);
      int64_t ldw = k + rng_int(0, 3), ldx = k + rng_int(0, 5), ldy = n + rng_int(0, 3);
      float *w = rng_floats(n * ldw), *x = rng_floats(m * ldx), *y = rng_floats(m * ldy);
      float *want = rng_floats(m * ldy);
      memcpy(want, y, (size_t)(m * ldy) * sizeof *y); /* the gaps must stay */
      celslm_packed *p = celslm_pack(CELSLM_K_F32, n, k, w, ldw, 0);
      ck_assert_ptr_nonnull(p);
      celslm_gemm(p, m, x, ldx, y, ldy, NULL);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1.0f, x,
                  (int)ldx, w, (int)ldw, 0.0f, want, (int)ldy);
      double e = relative_error(m * ldy, y, want);
      ck_assert_msg(e < 2e-6, "level %d, %ld x %ld x %ld: %g", level, (long)m, (long)n, (long)k, e);
      celslm_packed_free(p);
      rng_free(w), rng_free(x), rng_free(y), rng_free(want);
    }
  }
}
END_TEST

static double act_ref(double x, enum celslm_activation a) {
  switch (a) {
  case CELSLM_ACT_RELU:
    return x > 0 ? x : 0;
  case CELSLM_ACT_SILU:
    return x / (1 + exp(-x));
  case CELSLM_ACT_GELU:
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  case CELSLM_ACT_NONE:
    break;
  }
  return x;
}

START_TEST(epilogues_match_double) {
  FOR_LEVELS(level) {
    rng_seed(11);
    for (int i = 0; i < 64; i++) {
      int64_t m, n, k;
      random_shape(i, &m, &n, &k);
      if (i % 16 == 15) m = 1;
      float *w = rng_floats(n * k), *x = rng_floats(m * k), *y = rng_floats(m * n);
      float *bias = rng_floats(n), *gate = rng_floats(m * n), *res = rng_floats(m * n);
      float *want = rng_floats(m * n);
      celslm_epilogue e = {.bias = i & 1 ? bias : NULL,
                           .act = (enum celslm_activation)(i >> 1 & 3),
                           .gate = i & 8 ? gate : NULL,
                           .ldg = n,
                           .residual = i & 16 ? res : NULL,
                           .ldr = n};
      bool in_place = e.residual && !e.act && !e.gate;
      if (in_place) {
        memcpy(y, res, (size_t)(m * n) * sizeof *y);
        e.residual = y;
      }
      for (int64_t r = 0; r < m; r++)
        for (int64_t c = 0; c < n; c++) {
          double s = 0;
          for (int64_t d = 0; d < k; d++) s += (double)x[r * k + d] * (double)w[c * k + d];
          if (e.bias) s += (double)bias[c];
          s = act_ref(s, e.act);
          if (e.gate) s *= act_ref(gate[r * n + c], CELSLM_ACT_SILU);
          if (e.residual) s += (double)res[r * n + c];
          want[r * n + c] = (float)s;
        }
      celslm_packed *p = celslm_pack(CELSLM_K_F32, n, k, w, k, 0);
      celslm_gemm(p, m, x, k, y, n, &e);
      double err = relative_error(m * n, y, want);
      ck_assert_msg(err < 3e-6, "level %d, case %d, %ld x %ld x %ld: %g", level, i, (long)m,
                    (long)n, (long)k, err);
      celslm_packed_free(p);
      rng_free(w), rng_free(x), rng_free(y), rng_free(bias), rng_free(gate), rng_free(res);
      rng_free(want);
    }
  }
}
END_TEST

START_TEST(same_bits_at_any_thread_count) {
  FOR_LEVELS(level) {
    rng_seed(13);
    for (int i = 0; i < 12; i++) {
      int64_t m = i < 3 ? 1 : rng_int(2, 600), n = rng_int(1, 500), k = rng_int(1, 1200);
      float *w = rng_floats(n * k), *x = rng_floats(m * k);
      float *y1 = rng_floats(m * n), *y2 = rng_floats(m * n);
      celslm_packed *p = celslm_pack(CELSLM_K_F32, n, k, w, k, 0);
      celslm_threads_set(1);
      celslm_gemm(p, m, x, k, y1, n, NULL);
      celslm_threads_set((int)rng_int(2, 5));
      celslm_gemm(p, m, x, k, y2, n, NULL);
      celslm_threads_set(1);
      ck_assert_mem_eq(y1, y2, (size_t)(m * n) * sizeof *y1);
      celslm_packed_free(p);
      rng_free(w), rng_free(x), rng_free(y1), rng_free(y2);
    }
  }
}
END_TEST

static void keep_report(void *user, const celslm_report *r) {
  ck_assert(r->seconds >= 0);
  *(celslm_report *)user = *r;
}

START_TEST(reports_equal_counted_work) {
  rng_seed(17);
  celslm_report fast, counted;
  for (int i = 0; i < 32; i++) {
    int64_t m = rng_int(1, 40), n = rng_int(1, 70), k = rng_int(1, 70);
    float *w = rng_floats(n * k), *x = rng_floats(m * k), *y = rng_floats(m * n);
    float *more = rng_floats(m * n);
    celslm_epilogue e = {.bias = i & 1 ? more : NULL,
                         .act = (enum celslm_activation)(i >> 1 & 3),
                         .gate = i & 8 ? more : NULL,
                         .ldg = n,
                         .residual = i & 16 ? more : NULL,
                         .ldr = n};
    celslm_packed *p = celslm_pack(CELSLM_K_F32, n, k, w, k, 0);
    celslm_set_hook(keep_report, &fast);
    celslm_gemm(p, m, x, k, y, n, &e);
    celslm_set_hook(keep_report, &counted);
    celslm_set_counting(true);
    celslm_gemm(p, m, x, k, y, n, &e);
    celslm_set_counting(false);
    celslm_set_hook(NULL, NULL);
    ck_assert_int_eq(fast.op, CELSLM_KOP_GEMM);
    ck_assert_int_eq(fast.m, m);
    ck_assert_int_eq(fast.n, n);
    ck_assert_int_eq(fast.k, k);
    ck_assert_uint_eq(fast.work.flops, counted.work.flops);
    ck_assert_uint_eq(fast.work.weight_bytes, counted.work.weight_bytes);
    ck_assert_uint_eq(fast.work.activation_bytes, counted.work.activation_bytes);
    ck_assert_uint_eq(fast.work.kv_bytes, 0);
    ck_assert_uint_eq(counted.work.kv_bytes, 0);
    celslm_packed_free(p);
    rng_free(w), rng_free(x), rng_free(y), rng_free(more);
  }
}
END_TEST

/* What packing and quantising do to one value, written out again. */
static float to_bf16(float x) {
  uint32_t b;
  memcpy(&b, &x, sizeof b);
  b = (b + 0x7fff + (b >> 16 & 1)) & 0xffff0000;
  memcpy(&x, &b, sizeof x);
  return x;
}

static void to_i8(float *row, int64_t k, int group) {
  for (int64_t g = 0; g < k; g += group) {
    float top = 0;
    for (int64_t i = g; i < k && i < g + group; i++) top = fmaxf(top, fabsf(row[i]));
    for (int64_t i = g; i < k && i < g + group; i++)
      row[i] = top > 0 ? (float)lrintf(row[i] * (127.0f / top)) * (top / 127.0f) : 0;
  }
}

static const enum celslm_kdtype small_types[] = {CELSLM_K_BF16, CELSLM_K_I8};

/* Exactly the rounded operands' product; and near the product of the operands themselves. */
START_TEST(small_types_match_rounded_operands) {
  enum celslm_kdtype type = small_types[_i];
  FOR_LEVELS(level) {
    rng_seed(19);
    for (int i = 0; i < 50; i++) {
      int64_t m, n, k;
      random_shape(i, &m, &n, &k);
      int group = 4 * (int)rng_int(1, 32);
      float *w = rng_floats(n * k), *x = rng_floats(m * k), *y = rng_floats(m * n);
      float *want = rng_floats(m * n), *near = rng_floats(m * n), *bias = rng_floats(n);
      celslm_packed *p = celslm_pack(type, n, k, w, k, group);
      ck_assert_ptr_nonnull(p);
      celslm_epilogue e = {.bias = bias};
      celslm_gemm(p, m, x, k, y, n, &e);
      for (int pass = 0; pass < 2; pass++) {
        float *out = pass ? want : near;
        for (int64_t r = 0; r < m; r++)
          for (int64_t c = 0; c < n; c++) {
            double sum = (double)bias[c];
            for (int64_t d = 0; d < k; d++) sum += (double)x[r * k + d] * (double)w[c * k + d];
            out[r * n + c] = (float)sum;
          }
        if (type == CELSLM_K_BF16) {
          for (int64_t j = 0; j < n * k; j++) w[j] = to_bf16(w[j]);
          for (int64_t j = 0; j < m * k; j++) x[j] = to_bf16(x[j]);
        } else {
          for (int64_t j = 0; j < n; j++) to_i8(w + j * k, k, group);
          for (int64_t j = 0; j < m; j++) to_i8(x + j * k, k, group);
        }
      }
      double err = relative_error(m * n, y, want), far = relative_error(m * n, y, near);
      ck_assert_msg(err < 3e-6, "level %d, %ld x %ld x %ld, group %d: %g", level, (long)m, (long)n,
                    (long)k, group, err);
      ck_assert_msg(far < (type == CELSLM_K_BF16 ? 6e-3 : 2e-2), "level %d: %g", level, far);
      celslm_packed_free(p);
      rng_free(w), rng_free(x), rng_free(y), rng_free(want), rng_free(near), rng_free(bias);
    }
  }
}
END_TEST

START_TEST(small_types_threads_and_reports) {
  enum celslm_kdtype type = small_types[_i];
  FOR_LEVELS(level) {
    rng_seed(20);
    for (int i = 0; i < 12; i++) {
      int64_t m = i < 3 ? 1 : rng_int(2, 300), n = rng_int(1, 300), k = rng_int(1, 300);
      float *w = rng_floats(n * k), *x = rng_floats(m * k);
      float *y1 = rng_floats(m * n), *y2 = rng_floats(m * n);
      celslm_packed *p = celslm_pack(type, n, k, w, k, 32);
      celslm_report fast, counted;
      celslm_set_hook(keep_report, &fast);
      celslm_threads_set(1);
      celslm_gemm(p, m, x, k, y1, n, NULL);
      celslm_threads_set((int)rng_int(2, 5));
      celslm_gemm(p, m, x, k, y2, n, NULL);
      celslm_threads_set(1);
      ck_assert_mem_eq(y1, y2, (size_t)(m * n) * sizeof *y1);
      celslm_set_hook(keep_report, &counted);
      celslm_set_counting(true);
      celslm_gemm(p, m, x, k, y2, n, NULL);
      celslm_set_counting(false);
      celslm_set_hook(NULL, NULL);
      ck_assert_mem_eq(&fast.work, &counted.work, sizeof fast.work);
      ck_assert_double_lt(relative_error(m * n, y1, y2), type == CELSLM_K_BF16 ? 1e-5 : 2e-2);
      celslm_packed_free(p);
      rng_free(w), rng_free(x), rng_free(y1), rng_free(y2);
    }
  }
}
END_TEST

/* ---- packing of X: every table's entries against one value at a time ------------------------- */

static const celslm_isa *const tables[] = {&celslm_isa_portable, &celslm_isa_avx2,
                                           &celslm_isa_avx512, &celslm_isa_avx512_vnni,
                                           &celslm_isa_avx512_dot};

/* Now and then what rounding must not break: infinities, NaNs, the largest, the smallest, ties. */
static void put_special(float *x, int64_t n) {
  static const uint32_t special[] = {0x7f800000, 0xff800000, 0x7fffffff, 0xff812345, 0x7f7fffff,
                                     0x00000001, 0x80012345, 0x3f808000, 0x3f818000, 0x80000000};
  for (int64_t i = 0; i < n; i += rng_int(1, 40)) memcpy(x + i, &special[rng_int(0, 9)], sizeof *x);
}

START_TEST(packing_keeps_every_bit) {
  const celslm_isa *isa = tables[_i];
  if (!celslm_isa_available(_i > 2 ? CELSLM_ISA_AVX512 : (enum celslm_isa_level)_i)) return;
  rng_seed(23);
  for (int round = 0; round < 100; round++) {
    int rows = (int)rng_int(1, isa->rows), words = isa->words_bf16;
    int64_t k = rng_int(1, 150), ldx = k + rng_int(0, 3), even = (k + 1) / 2 * 2;
    float *x = rng_floats(rows * ldx), *a = rng_floats(rows * even + 1), guard = a[rows * even];
    put_special(x, rows * ldx);
    isa->pack_rows_bf16(rows, k, x, ldx, a);
    for (int64_t p = 0; p < even; p++)
      for (int i = 0; i < rows; i++) {
        uint16_t got, want = p < k ? float_bf16(x[i * ldx + p]) : 0;
        const unsigned char *from =
            words == 1 ? (unsigned char *)(a + p / 2 * rows + i) + p % 2 * 2
                       : (unsigned char *)(a + p * rows + i) + 2; /* the upper half */
        memcpy(&got, from, sizeof got);
        ck_assert_uint_eq(got, want);
      }
    isa->pack_rows(rows, k, x, ldx, a);
    for (int64_t p = 0; p < k; p++)
      for (int i = 0; i < rows; i++) ck_assert_mem_eq(a + p * rows + i, x + i * ldx + p, sizeof *x);
    ck_assert_mem_eq(a + rows * even, &guard, sizeof guard);
    rng_free(x), rng_free(a);
  }
}
END_TEST

START_TEST(quantising_keeps_every_bit) {
  const celslm_isa *isa = tables[_i];
  if (!celslm_isa_available(_i > 2 ? CELSLM_ISA_AVX512 : (enum celslm_isa_level)_i)) return;
  rng_seed(29);
  for (int round = 0; round < 100; round++) {
    int64_t group = round % 2 ? 64 : 4 * rng_int(1, 40), k = rng_int(1, 400);
    int64_t groups = (k + group - 1) / group;
    float *x = rng_floats(k), scale[100], want;
    uint32_t words[200 + 1], expected[40];
    if (round % 5 == 0) memset(x, 0, (size_t)k * sizeof *x);
    words[groups * group / 4] = 0x12345678;
    isa->quantise(k, group, x, words, scale);
    for (int64_t g = 0; g < groups; g++) {
      int64_t first = g * group, count = first + group <= k ? group : k - first;
      want = quantise_group(count, group, x + first, expected);
      ck_assert_mem_eq(scale + g, &want, sizeof want);
      ck_assert_mem_eq(words + first / 4, expected, (size_t)group);
    }
    ck_assert_uint_eq(words[groups * group / 4], 0x12345678);
    rng_free(x);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("gemm");
  TCase *t = tcase_create("gemm");
  tcase_add_test(t, matches_cblas);
  tcase_add_test(t, epilogues_match_double);
  tcase_add_test(t, same_bits_at_any_thread_count);
  tcase_add_test(t, reports_equal_counted_work);
  tcase_add_loop_test(t, small_types_match_rounded_operands, 0, 2);
  tcase_add_loop_test(t, small_types_threads_and_reports, 0, 2);
  tcase_add_loop_test(t, packing_keeps_every_bit, 0, 5);
  tcase_add_loop_test(t, quantising_keeps_every_bit, 0, 5);
  suite_add_tcase(s, t);
  return run_suite(s);
}
