/* test_rows.c - norms, rotary positions, gate, embedding, sampling: against double precision at
 * every level; reports against the counted work. */
#include "kernels/kernel_test.h"

START_TEST(norms_match_double) {
  FOR_LEVELS(level) {
    rng_seed(21);
    for (int i = 0; i < 40; i++) {
      int64_t m = rng_int(1, 9), n = i < 20 ? i + 1 : rng_int(1, 5000);
      float *x = rng_floats(m * n), *w = rng_floats(n), *b = rng_floats(n), *y = rng_floats(m * n);
      float *want = rng_floats(m * n);
      for (int64_t r = 0; r < m; r++) {
        double s = 0;
        for (int64_t j = 0; j < n; j++) s += (double)x[r * n + j] * (double)x[r * n + j];
        for (int64_t j = 0; j < n; j++)
          want[r * n + j] =
              (float)((double)x[r * n + j] / sqrt(s / (double)n + 1e-5) * (double)w[j]);
      }
      celslm_rmsnorm(m, n, x, w, 1e-5f, y);
      ck_assert_double_lt(relative_error(m * n, y, want), 1e-6);
      for (int64_t r = 0; r < m; r++) {
        double s = 0, v = 0;
        for (int64_t j = 0; j < n; j++) s += (double)x[r * n + j];
        for (int64_t j = 0; j < n; j++) v += pow((double)x[r * n + j] - s / (double)n, 2);
        for (int64_t j = 0; j < n; j++)
          want[r * n + j] = (float)(((double)x[r * n + j] - s / (double)n) /
                                        sqrt(v / (double)n + 1e-5) * (double)w[j] +
                                    (double)b[j]);
      }
      celslm_layernorm(m, n, x, w, b, 1e-5f, x); /* in place */
      ck_assert_msg(relative_error(m * n, x, want) < 2e-6, "level %d, n %ld", level, (long)n);
      rng_free(x), rng_free(w), rng_free(b), rng_free(y), rng_free(want);
    }
  }
}
END_TEST

START_TEST(rope_rotates_and_returns) {
  rng_seed(22);
  for (int i = 0; i < 30; i++) {
    int heads = (int)rng_int(1, 4), hd = 2 * (int)rng_int(1, 64);
    int64_t m = rng_int(1, 5), ld = heads * hd + rng_int(0, 3);
    int32_t position[5];
    for (int64_t t = 0; t < m; t++) position[t] = (int32_t)rng_int(0, 100000);
    float *x = rng_floats(m * ld), *y = rng_floats(m * ld);
    memcpy(y, x, (size_t)(m * ld) * sizeof *x);
    enum celslm_rope_style style = i % 2 ? CELSLM_ROPE_HALF : CELSLM_ROPE_INTERLEAVED;
    celslm_rope(m, heads, hd, y, ld, position, 10000, style, false);
    for (int64_t t = 0; t < m; t++)
      for (int h = 0; h < heads; h++)
        for (int j = 0; j < hd / 2; j++) {
          int64_t a = t * ld + h * hd + (i % 2 ? j : 2 * j), b = a + (i % 2 ? hd / 2 : 1);
          double angle = position[t] * pow(10000, -2.0 * j / hd);
          double want = (double)x[a] * cos(angle) - (double)x[b] * sin(angle);
          ck_assert_double_lt(fabs((double)y[a] - want), 1e-5);
        }
    celslm_rope(m, heads, hd, y, ld, position, 10000, style, true);
    ck_assert_double_lt(relative_error(m * ld, y, x), 1e-6);
    rng_free(x), rng_free(y);
  }
}
END_TEST

START_TEST(gate_matches_double) {
  FOR_LEVELS(level) {
    rng_seed(23);
    for (int64_t n = 1; n < 70; n++) {
      float *g = rng_floats(3 * n), *u = rng_floats(3 * n), *want = rng_floats(3 * n);
      for (int64_t i = 0; i < 3 * n; i++) {
        g[i] *= i % 5 == 0 ? 60.0f : 2.0f; /* far out, too */
        want[i] = (float)((double)g[i] / (1 + exp(-(double)g[i])) * (double)u[i]);
      }
      celslm_silu_gate(3, n, g, n, u, n, g, n);
      ck_assert_msg(relative_error(3 * n, g, want) < 1e-6, "level %d, n %ld", level, (long)n);
      rng_free(g), rng_free(u), rng_free(want);
    }
  }
}
END_TEST

START_TEST(sampling_follows_the_distribution) {
  enum { N = 6, DRAWS = 60000 };
  const float logits[N] = {1, 3, 2, 3, -5, 0};
  ck_assert_int_eq(celslm_sample(N, logits, 0, 0, 0.9), 1); /* the first of the largest */
  int seen[N] = {0}, top2[N] = {0};
  for (int i = 0; i < DRAWS; i++) {
    double u = (i + 0.5) / DRAWS;
    seen[celslm_sample(N, logits, 0.7f, 0, u)]++;
    top2[celslm_sample(N, logits, 0.7f, 2, u)]++;
  }
  double sum = 0;
  for (int i = 0; i < N; i++) sum += exp((double)logits[i] / 0.7);
  for (int i = 0; i < N; i++)
    ck_assert_double_lt(fabs(seen[i] - DRAWS * exp((double)logits[i] / 0.7) / sum), 2.5);
  ck_assert_int_eq(top2[1], DRAWS / 2);
  ck_assert_int_eq(top2[3], DRAWS / 2);
}
END_TEST

static void keep_report(void *user, const celslm_report *r) {
  *(celslm_report *)user = *r;
}

static void run_kind(int kind, int64_t m, int64_t n, float *x, float *w, float *y) {
  static const int32_t ids[] = {3, 0, 2, 1, 3};
  switch (kind) {
  case 0:
    celslm_rmsnorm(m, n, x, w, 1e-5f, y);
    return;
  case 1:
    celslm_layernorm(m, n, x, w, w, 1e-5f, y);
    return;
  case 2:
    celslm_rope(m, 1, (int)n, x, n, ids, 1e4, CELSLM_ROPE_HALF, false);
    return;
  case 3:
    celslm_silu_gate(m, n, x, n, y, n, y, n);
    return;
  default:
    celslm_embed(m, n, x, ids, y);
    return;
  }
}

START_TEST(reports_equal_counted_work) {
  rng_seed(24);
  for (int i = 0; i < 25; i++) {
    int64_t m = rng_int(1, 5), n = 2 * rng_int(1, 30);
    float *x = rng_floats(5 * n), *w = rng_floats(n), *y = rng_floats(5 * n);
    celslm_report fast, counted;
    celslm_set_hook(keep_report, &fast);
    run_kind(i % 5, m, n, x, w, y);
    celslm_set_hook(keep_report, &counted);
    celslm_set_counting(true);
    run_kind(i % 5, m, n, x, w, y);
    celslm_set_counting(false);
    celslm_set_hook(NULL, NULL);
    ck_assert_int_eq(fast.op, counted.op);
    ck_assert_mem_eq(&fast.work, &counted.work, sizeof fast.work);
    rng_free(x), rng_free(w), rng_free(y);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("rows");
  TCase *t = tcase_create("rows");
  tcase_add_test(t, norms_match_double);
  tcase_add_test(t, rope_rotates_and_returns);
  tcase_add_test(t, gate_matches_double);
  tcase_add_test(t, sampling_follows_the_distribution);
  tcase_add_test(t, reports_equal_counted_work);
  suite_add_tcase(s, t);
  return run_suite(s);
}
