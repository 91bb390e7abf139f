/* test_codec.c - the codecs' stated error bounds and sizes, sixteen-bit rounding in full, low
 * rank's exact error, and what dropping tokens may do to attention. */
#include "kernels/codec.h"
#include "kernels/half.h"
#include "kernels/kernel_test.h"

START_TEST(sixteen_bits_round_trip_and_round_to_even) {
  for (uint32_t h = 0; h < 65536; h++) {
    float f = f16_float((uint16_t)h), b = bf16_float((uint16_t)h);
    if (!isnan(f)) ck_assert_uint_eq(float_f16(f), h);
    if (!isnan(b)) ck_assert_uint_eq(float_bf16(b), h);
  }
  ck_assert(isnan(f16_float(float_f16(NAN))) && isnan(bf16_float(float_bf16(NAN))));
  ck_assert_uint_eq(float_f16(65519.9f), 0x7bff);
  ck_assert_uint_eq(float_f16(65520.0f), 0x7c00);
  ck_assert_uint_eq(float_f16(0x1p-25f), 0); /* half the smallest: to even */
  ck_assert_uint_eq(float_f16(0x1.8p-24f), 2);
  for (uint32_t h = 0x0400; h < 0x7bff; h += 7) { /* between two neighbours: to the even one */
    float low = f16_float((uint16_t)h), high = f16_float((uint16_t)(h + 1));
    float middle = low + (high - low) / 2;
    ck_assert_uint_eq(float_f16(middle), h % 2 ? h + 1 : h);
    ck_assert_uint_eq(float_f16(nextafterf(middle, high)), h + 1);
    ck_assert_uint_eq(float_f16(nextafterf(middle, low)), h);
  }
}
END_TEST

/* Bound of one element's error, from its group in x. */
static double bound(const celslm_codec *c, bool keys, int64_t tokens, int64_t width, const float *x,
                    int64_t ld, int64_t t, int64_t d) {
  double v = fabs((double)x[t * ld + d]), low = INFINITY, high = -INFINITY;
  int64_t group = c->group ? c->group : 32;
  int64_t t0 = keys ? t / 32 * 32 : t, d0 = keys ? d : d / group * group;
  for (int64_t i = t0; i < tokens && i < t0 + (keys ? 32 : 1); i++)
    for (int64_t j = d0; j < width && j < d0 + (keys ? 1 : group); j++) {
      low = fmin(low, (double)x[i * ld + j]);
      high = fmax(high, (double)x[i * ld + j]);
    }
  double top = fmax(fabs(low), fabs(high));
  switch (c->kind) {
  case CELSLM_CODEC_F16:
    return v < 0x1p-14 ? 0x1p-25 : 0x1p-11 * v;
  case CELSLM_CODEC_BF16:
    return 0x1p-8 * v;
  case CELSLM_CODEC_I8:
    return top / 254 * (1 + 0x1p-15);
  case CELSLM_CODEC_I4:
    return (high - low) / 30 * (1 + 0x1p-15) + 0x1p-23 * top;
  }
  return 0;
}

static void keep_report(void *user, const celslm_report *r) {
  *(celslm_report *)user = *r;
}

START_TEST(bounds_hold) {
  rng_seed(41);
  for (int i = 0; i < 160; i++) {
    celslm_codec c = {(enum celslm_codec_kind)(i % 4), i % 8 < 4 ? 0 : (int)rng_int(1, 50)};
    bool keys = i % 3 == 0;
    enum celslm_codec_side side = keys ? CELSLM_CODEC_KEYS : CELSLM_CODEC_VALUES;
    int64_t tokens = rng_int(1, 100), width = rng_int(1, 90), ld = width + rng_int(0, 4);
    float *x = rng_floats(tokens * ld), *y = rng_floats(tokens * ld);
    float scale = powf(10.0f, (float)rng_int(-3, 3));
    for (int64_t j = 0; j < tokens * ld; j++) x[j] = i % 11 == 10 ? 0.25f : x[j] * scale;
    uint64_t bytes = celslm_codec_bytes(&c, side, tokens, width);
    uint8_t *code = malloc(bytes); /* exactly: the sanitizer sees a byte more */
    celslm_report r;
    celslm_set_hook(keep_report, &r);
    celslm_codec_encode(&c, side, tokens, width, x, ld, code);
    ck_assert_int_eq(r.op, CELSLM_KOP_CODEC_ENCODE);
    ck_assert_uint_eq(r.work.kv_bytes, bytes);
    celslm_codec_decode(&c, side, tokens, width, code, y, ld);
    celslm_set_hook(NULL, NULL);
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t d = 0; d < width; d++) {
        double e = fabs((double)x[t * ld + d] - (double)y[t * ld + d]);
        double most = bound(&c, keys, tokens, width, x, ld, t, d);
        ck_assert_msg(e <= most, "kind %d, keys %d: error %g, bound %g", c.kind, keys, e, most);
      }
    free(code);
    rng_free(x), rng_free(y);
  }
}
END_TEST

/* Every level writes the same bytes and reads the same floats, whatever the width. */
START_TEST(levels_agree_to_the_byte) {
  rng_seed(44);
  enum celslm_isa_level now = celslm_isa_get();
  for (int i = 0; i < 120; i++) {
    celslm_codec c = {(enum celslm_codec_kind)(i % 4), (int)rng_int(1, 300)};
    enum celslm_codec_side side = i % 3 ? CELSLM_CODEC_VALUES : CELSLM_CODEC_KEYS;
    int64_t tokens = rng_int(1, 70), width = rng_int(1, 300);
    float *x = rng_floats(tokens * width), *first = rng_floats(tokens * width),
          *y = rng_floats(tokens * width);
    for (int64_t j = 0; j < tokens * width; j++)
      x[j] = i % 7 == 6   ? -0.5f
             : i % 5 == 4 ? ldexpf(x[j], (int)rng_int(-30, 14)) /* subnormal in 16 bits, too */
                          : x[j];
    uint64_t bytes = celslm_codec_bytes(&c, side, tokens, width);
    uint8_t *one = malloc(bytes), *code = malloc(bytes);
    ck_assert(celslm_isa_set(CELSLM_ISA_PORTABLE));
    celslm_codec_encode(&c, side, tokens, width, x, width, one);
    celslm_codec_decode(&c, side, tokens, width, one, first, width);
    FOR_LEVELS(level) {
      celslm_codec_encode(&c, side, tokens, width, x, width, code);
      ck_assert_mem_eq(one, code, bytes);
      celslm_codec_decode(&c, side, tokens, width, code, y, width);
      ck_assert_mem_eq(first, y, (size_t)(tokens * width) * sizeof *y);
    }
    free(one), free(code);
    rng_free(x), rng_free(first), rng_free(y);
  }
  celslm_isa_set(now);
}
END_TEST

START_TEST(sizes_are_as_computed) {
  celslm_codec f16 = {CELSLM_CODEC_F16, 0}, i8 = {CELSLM_CODEC_I8, 0}, i4 = {CELSLM_CODEC_I4, 64};
  ck_assert_uint_eq(celslm_codec_bytes(&f16, CELSLM_CODEC_KEYS, 64, 1024), 64 * 2048);
  ck_assert_uint_eq(celslm_codec_bytes(&i8, CELSLM_CODEC_KEYS, 64, 1024), 64 * 1024 + 2 * 1024 * 4);
  ck_assert_uint_eq(celslm_codec_bytes(&i8, CELSLM_CODEC_VALUES, 64, 1024), 64 * (1024 + 32 * 4));
  ck_assert_uint_eq(celslm_codec_bytes(&i4, CELSLM_CODEC_VALUES, 64, 1024), 64 * (512 + 16 * 8));
  ck_assert_uint_eq(celslm_codec_bytes(&i4, CELSLM_CODEC_KEYS, 33, 3), 33 * 2 + 2 * 3 * 8);
}
END_TEST

/* `rank` orthonormal rows of length n (Gram-Schmidt, twice, in double). */
static void orthonormal(float *d, int64_t rank, int64_t n) {
  for (int64_t r = 0; r < rank; r++)
    for (int pass = 0; pass < 2; pass++) {
      for (int64_t q = 0; q < r; q++) {
        double s = 0;
        for (int64_t i = 0; i < n; i++) s += (double)d[r * n + i] * (double)d[q * n + i];
        for (int64_t i = 0; i < n; i++) d[r * n + i] -= (float)(s * (double)d[q * n + i]);
      }
      double s = 0;
      for (int64_t i = 0; i < n; i++) s += (double)d[r * n + i] * (double)d[r * n + i];
      for (int64_t i = 0; i < n; i++) d[r * n + i] = (float)((double)d[r * n + i] / sqrt(s));
    }
}

START_TEST(low_rank_error_is_what_is_left_out) {
  rng_seed(42);
  for (int i = 0; i < 20; i++) {
    int64_t n = rng_int(4, 90), rank = rng_int(1, n), tokens = rng_int(1, 40);
    float *down = rng_floats(rank * n), *up = rng_floats(rank * n), *mean = rng_floats(n);
    float *x = rng_floats(tokens * n), *y = rng_floats(tokens * n), *z = rng_floats(tokens * rank);
    orthonormal(down, rank, n);
    for (int64_t r = 0; r < rank; r++)
      for (int64_t j = 0; j < n; j++) up[j * rank + r] = down[r * n + j];
    celslm_lowrank *l = celslm_lowrank_create(n, rank, down, up, i % 2 ? mean : NULL);
    celslm_lowrank_encode(l, tokens, x, n, z);
    celslm_lowrank_decode(l, tokens, z, y, n);
    for (int64_t t = 0; t < tokens; t++) {
      double error = 0, all = 0, kept = 0;
      for (int64_t j = 0; j < n; j++) {
        double m = i % 2 ? (double)mean[j] : 0, e = (double)x[t * n + j] - (double)y[t * n + j];
        error += e * e;
        all += ((double)x[t * n + j] - m) * ((double)x[t * n + j] - m);
      }
      for (int64_t r = 0; r < rank; r++) kept += (double)z[t * rank + r] * (double)z[t * rank + r];
      ck_assert_double_lt(fabs(error - (all - kept)), 1e-5 * all + 1e-9);
      if (rank == n) ck_assert_double_lt(error, 1e-9 * all);
    }
    celslm_lowrank_free(l);
    rng_free(down), rng_free(up), rng_free(mean), rng_free(x), rng_free(y), rng_free(z);
  }
}
END_TEST

START_TEST(dropped_tokens_stay_within_the_bound) {
  enum { N = 200, HD = 64, KEEP = 60 };
  rng_seed(43);
  for (int i = 0; i < 10; i++) {
    float *k = rng_floats(N * HD), *v = rng_floats(N * HD), *q = rng_floats(HD);
    float kk[KEEP * HD], vk[KEEP * HD], all[HD], some[HD], mass[N], lse_all, lse_some;
    int64_t kept[KEEP];
    celslm_kv *a = celslm_kv_create(CELSLM_K_F32, 1, HD, N);
    celslm_kv *b = celslm_kv_create(CELSLM_K_F32, 1, HD, KEEP);
    celslm_kv_append(a, N, k, HD, v, HD);
    celslm_attention_shared(a, 1, 1, q, all, &lse_all);
    for (int t = 0; t < N; t++) {
      double s = 0;
      for (int d = 0; d < HD; d++) s += (double)q[d] * (double)k[t * HD + d];
      mass[t] = (float)exp(s / sqrt(HD) - (double)lse_all);
    }
    celslm_select_tokens(N, mass, KEEP, kept);
    double left = 1, top = 0;
    for (int j = 0; j < KEEP; j++) {
      ck_assert(j == 0 || kept[j] > kept[j - 1]);
      left -= (double)mass[kept[j]];
      memcpy(kk + j * HD, k + kept[j] * HD, HD * sizeof *k);
      memcpy(vk + j * HD, v + kept[j] * HD, HD * sizeof *v);
    }
    for (int j = 0; j < N * HD; j++) top = fmax(top, fabs((double)v[j]));
    celslm_kv_append(b, KEEP, kk, HD, vk, HD);
    celslm_attention_shared(b, 1, 1, q, some, &lse_some);
    ck_assert_double_lt(fabs(exp((double)(lse_some - lse_all)) - (1 - left)), 1e-5);
    for (int d = 0; d < HD; d++)
      ck_assert_double_le(fabs((double)all[d] - (double)some[d]), 2 * left * top + 1e-5);
    celslm_kv_free(a), celslm_kv_free(b);
    rng_free(k), rng_free(v), rng_free(q);
  }
  const float score[] = {1, 5, 5, 0, 5};
  int64_t kept[2];
  celslm_select_tokens(5, score, 2, kept); /* ties: the earlier ones */
  ck_assert(kept[0] == 1 && kept[1] == 2);
}
END_TEST

int main(void) {
  Suite *s = suite_create("codec");
  TCase *t = tcase_create("codec");
  tcase_add_test(t, sixteen_bits_round_trip_and_round_to_even);
  tcase_add_test(t, bounds_hold);
  tcase_add_test(t, levels_agree_to_the_byte);
  tcase_add_test(t, sizes_are_as_computed);
  tcase_add_test(t, low_rank_error_is_what_is_left_out);
  tcase_add_test(t, dropped_tokens_stay_within_the_bound);
  suite_add_tcase(s, t);
  return run_suite(s);
}
