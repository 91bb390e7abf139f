/* test_align.c - the algebra of maps between models: a linear teacher is found again, truncation
 * loses the tail eigenvalues, the layer map is the best of all, CKA keeps what it must; and a real
 * model mapped onto itself is the identity. */
#include "base/rng.h"
#include "share/mapping.h"

#include <check.h>
#include <gsl/gsl_linalg.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROWS = 700, IN = 12, OUT = 8, ALL = IN + OUT };
static const celslm_part x_part = {0, IN}, y_part = {IN, OUT};

/* Rows of correlated inputs, and outputs = (x - 1) teacher + 3 + noise. */
static void teach(float *row, double teacher[IN][OUT], double noise) {
  gsl_rng *rng = celslm_rng(11, "align");
  for (int i = 0; i < IN; i++)
    for (int o = 0; o < OUT; o++) teacher[i][o] = gsl_ran_gaussian(rng, 1) * (o < OUT / 2 ? 1 : 5);
  for (int r = 0; r < ROWS; r++) {
    float *x = row + r * ALL, common = (float)gsl_ran_gaussian(rng, 1);
    for (int i = 0; i < IN; i++) x[i] = (float)(gsl_ran_gaussian(rng, 1 + i)) + common + 1;
    for (int o = 0; o < OUT; o++) {
      double y = 3 + noise * gsl_ran_gaussian(rng, 1);
      for (int i = 0; i < IN; i++) y += ((double)x[i] - 1) * teacher[i][o];
      x[IN + o] = (float)y;
    }
  }
  gsl_rng_free(rng);
}

START_TEST(linear_teacher_is_recovered) {
  static float row[ROWS * ALL];
  double teacher[IN][OUT];
  teach(row, teacher, 0);
  celslm_moments *m = celslm_moments_new(ALL);
  for (int r = 0; r < ROWS; r += 70) celslm_moments_add(m, 70, row + r * ALL);
  celslm_affine map;
  ck_assert(celslm_ridge(m, &x_part, 1, y_part, 1e-13, &map, NULL));
  for (int i = 0; i < IN; i++)
    for (int o = 0; o < OUT; o++)
      ck_assert_double_eq_tol(map.weights[i * OUT + o], teacher[i][o], 1e-6);
  ck_assert_double_gt(celslm_affine_r2(&map, m, &x_part, 1, y_part), 1 - 1e-9);
  /* the same inputs as two parts in the other order: the same map in the other order */
  const celslm_part parts[] = {{5, IN - 5}, {0, 5}};
  celslm_affine turned;
  ck_assert(celslm_ridge(m, parts, 2, y_part, 1e-13, &turned, NULL));
  for (int i = 0; i < IN; i++)
    ck_assert_double_eq_tol(turned.weights[i * OUT], map.weights[(i + 5) % IN * OUT], 1e-6);
  celslm_affine_free(&map), celslm_affine_free(&turned);
  celslm_moments_free(m);
}
END_TEST

/* Against the data themselves: R2 by residuals, and what each rank loses. */
START_TEST(errors_equal_those_of_the_data) {
  static float row[ROWS * ALL];
  double teacher[IN][OUT];
  teach(row, teacher, 4);
  celslm_moments *m = celslm_moments_new(ALL), *late = celslm_moments_new(ALL);
  celslm_moments_add(m, ROWS / 2, row);
  celslm_moments_add(late, ROWS / 2, row + ROWS / 2 * ALL);
  celslm_affine map;
  ck_assert(celslm_ridge(m, &x_part, 1, y_part, 1e-3, &map, NULL));
  double mean[OUT], error = 0, total = 0, guess[ROWS][OUT];
  celslm_moments_mean(late, y_part, mean);
  for (int r = 0; r < ROWS; r++)
    for (int o = 0; o < OUT; o++) {
      guess[r][o] = map.mean_y[o];
      for (int i = 0; i < IN; i++)
        guess[r][o] += ((double)row[r * ALL + i] - map.mean_x[i]) * map.weights[i * OUT + o];
      if (r < ROWS / 2) continue;
      double y = (double)row[r * ALL + IN + o];
      error += (y - guess[r][o]) * (y - guess[r][o]);
      total += (y - mean[o]) * (y - mean[o]);
    }
  ck_assert_double_eq_tol(celslm_affine_r2(&map, late, &x_part, 1, y_part), 1 - error / total,
                          1e-9);
  float down[OUT * OUT], up[OUT * OUT];
  double tail[OUT + 1], scale[2] = {0};
  celslm_reduce(&map, m, &x_part, 1, 2, OUT, down, up, tail);
  for (int r = 0; r < ROWS / 2; r++)
    for (int o = 0; o < OUT; o++) {
      double d = guess[r][o] - map.mean_y[o];
      scale[o / (OUT / 2)] += d * d / (ROWS / 2);
    }
  ck_assert_double_eq_tol(tail[0], 2, 1e-9); /* two blocks of variance 1 */
  ck_assert_double_eq(tail[OUT], 0);
  for (int rank = 0; rank <= OUT; rank++) {
    double lost = 0;
    for (int r = 0; r < ROWS / 2; r++) {
      double z[OUT];
      for (int k = 0; k < rank; k++) {
        z[k] = 0;
        for (int o = 0; o < OUT; o++)
          z[k] += (double)down[k * OUT + o] * (guess[r][o] - map.mean_y[o]);
      }
      for (int o = 0; o < OUT; o++) {
        double d = guess[r][o] - map.mean_y[o];
        for (int k = 0; k < rank; k++) d -= (double)up[o * OUT + k] * z[k];
        lost += d * d / scale[o / (OUT / 2)] / (ROWS / 2);
      }
    }
    ck_assert_double_eq_tol(lost, tail[rank], 1e-6);
    if (rank) ck_assert_double_le(tail[rank], tail[rank - 1]);
  }
  celslm_affine_free(&map);
  celslm_moments_free(m), celslm_moments_free(late);
}
END_TEST

/* Columns: x, x turned and stretched and moved, unrelated ones. */
START_TEST(cka_ignores_rotation_and_scale) {
  enum { N = 6, COLUMNS = 3 * N };
  static float row[ROWS * COLUMNS];
  gsl_rng *rng = celslm_rng(3, "cka");
  gsl_matrix *q = gsl_matrix_alloc(N, N), *other = gsl_matrix_alloc(N, N),
             *r = gsl_matrix_alloc(N, N);
  gsl_vector *tau = gsl_vector_alloc(N);
  for (int i = 0; i < N * N; i++) other->data[i] = gsl_ran_gaussian(rng, 1);
  gsl_linalg_QR_decomp(other, tau);
  gsl_linalg_QR_unpack(other, tau, q, r);
  for (int i = 0; i < ROWS; i++) {
    float *x = row + i * COLUMNS;
    for (int j = 0; j < N; j++) x[j] = (float)gsl_ran_gaussian(rng, 1 + 2 * j);
    for (int j = 0; j < N; j++) {
      double y = 7;
      for (int k = 0; k < N; k++) y += 0.3 * (double)x[k] * gsl_matrix_get(q, (size_t)k, (size_t)j);
      x[N + j] = (float)y;
      x[2 * N + j] = (float)gsl_ran_gaussian(rng, 1);
    }
  }
  celslm_moments *m = celslm_moments_new(COLUMNS);
  celslm_moments_add(m, ROWS, row);
  celslm_part a = {0, N}, b = {N, N}, c = {2 * N, N};
  ck_assert_double_eq_tol(celslm_cka(m, a, a), 1, 1e-12);
  ck_assert_double_eq_tol(celslm_cka(m, a, b), 1, 1e-6);
  ck_assert_double_lt(celslm_cka(m, a, c), 0.1);
  ck_assert_double_eq_tol(celslm_cka(m, b, c), celslm_cka(m, a, c), 1e-6);
  ck_assert_double_eq_tol(celslm_cka(m, c, a), celslm_cka(m, a, c), 1e-12);
  gsl_matrix_free(q), gsl_matrix_free(other), gsl_matrix_free(r), gsl_vector_free(tau);
  celslm_moments_free(m);
  gsl_rng_free(rng);
}
END_TEST

/* Every map is tried: counting in base `from`. */
START_TEST(layer_map_is_the_best_of_all) {
  gsl_rng *rng = celslm_rng(5, "layer map");
  for (int from = 1; from <= 6; from++)
    for (int to = 1; to <= 6; to++)
      for (int round = 0; round < 8; round++) {
        double similarity[36], best = -INFINITY;
        int map[6], brute[6] = {0};
        /* coarse numbers: ties happen, and sums are exact */
        for (int i = 0; i < from * to; i++)
          similarity[i] = (double)gsl_rng_uniform_int(rng, round % 2 ? 1024 : 3) / 1024;
        long all = lround(pow(from, to));
        for (long code = 0; code < all; code++) {
          int m[6];
          long rest = code;
          for (int j = to - 1; j >= 0; j--, rest /= from) m[j] = (int)(rest % from);
          double sum = 0;
          bool monotone = true;
          for (int j = 0; j < to; j++) {
            sum += similarity[m[j] * to + j];
            monotone = monotone && (j == 0 || m[j] >= m[j - 1]);
          }
          if (monotone && sum > best) {
            best = sum;
            memcpy(brute, m, sizeof m);
          }
        }
        ck_assert_double_eq(celslm_layer_map(from, to, similarity, map), best);
        for (int j = 0; j < to; j++) ck_assert_int_eq(map[j], brute[j]);
      }
  gsl_rng_free(rng);
  int map[4];
  celslm_layer_map_uniform(7, 4, map);
  ck_assert(map[0] == 0 && map[1] == 2 && map[2] == 4 && map[3] == 6);
}
END_TEST

/* From what its layers read, a model's own keys and values are exactly linear. */
START_TEST(model_onto_itself_is_the_identity) {
  celslm_error err = {0};
  celslm_transformer *t = celslm_load_checkpoint(CELSLM_SOURCE_DIR "/tools/models/edge.bin", &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  enum { N = 512, TEXTS = 5 };
  const char *line =
      "And they said every one to his fellow, Come, and let us cast lots, that we may know. ";
  static const celslm_source sources[] = {CELSLM_SOURCE_KV, CELSLM_SOURCE_NORMED};
  for (int k = 0; k < 2; k++) {
    celslm_pair_moments *p = celslm_pair_moments_new(sources[k], t, t);
    gsl_rng *rng = celslm_rng(1, "text");
    celslm_states last = {0};
    for (int i = 0; i < TEXTS; i++) {
      int32_t token[N]; /* a line, its letters changed here and there */
      for (int j = 0; j < N; j++)
        token[j] = gsl_rng_uniform(rng) < 0.7 ? (int32_t)gsl_rng_uniform_int(rng, 128)
                                              : line[(size_t)j % strlen(line)];
      celslm_states_free(&last);
      last = celslm_states_read(t, N, token);
      celslm_pair_moments_add(p, &last, &last, i == TEXTS - 1);
    }
    celslm_mapping map, again;
    int m[16];
    celslm_layer_map_uniform(p->from, p->to, m);
    ck_assert_msg(celslm_mapping_fit(p, m, 0, 1e-12, &map, &err), "%s", err.text);
    char file[] = "/tmp/celslm-test-XXXXXX.h5";
    int fd = mkstemps(file, 3);
    close(fd);
    ck_assert_msg(celslm_mapping_write(file, &map, NULL, "a pair", "a text", &err), "%s", err.text);
    ck_assert_msg(celslm_mapping_read(file, &again, &err), "%s", err.text);
    unlink(file);
    float *kv = calloc((size_t)(N * 2 * map.kv_width), sizeof *kv),
          *kept = calloc((size_t)(N * 2 * map.kv_width), sizeof *kept);
    for (int j = 0; j < map.to; j++) {
      ck_assert_int_eq(map.layers[j].layer, j);
      ck_assert_msg(map.layers[j].r2 > 1 - 1e-9, "source %d layer %d: 1 - R2 = %g", k, j,
                    1 - map.layers[j].r2);
      celslm_mapping_apply(&map, j, &last, kv);
      celslm_mapping_apply(&again, j, &last, kept); /* the file holds the whole map */
      ck_assert_int_eq(memcmp(kv, kept, (size_t)(N * 2 * map.kv_width) * sizeof *kv), 0);
      ck_assert_mem_eq(map.layers[j].tail, again.layers[j].tail, sizeof(double));
      for (int i = 0; i < N; i++)
        for (int d = 0; d < map.kv_width; d++) {
          int at = (j * N + i) * map.kv_width + d;
          ck_assert_float_eq_tol(kv[i * 2 * map.kv_width + d], last.keys[at], 2e-3f);
          ck_assert_float_eq_tol(kv[(i * 2 + 1) * map.kv_width + d], last.values[at], 2e-3f);
        }
    }
    free(kv), free(kept);
    celslm_states_free(&last);
    celslm_mapping_free(&map), celslm_mapping_free(&again);
    celslm_pair_moments_free(p);
    gsl_rng_free(rng);
  }
  celslm_transformer_free(t);
}
END_TEST

int main(void) {
  Suite *s = suite_create("align");
  TCase *t = tcase_create("align");
  tcase_add_test(t, linear_teacher_is_recovered);
  tcase_add_test(t, errors_equal_those_of_the_data);
  tcase_add_test(t, cka_ignores_rotation_and_scale);
  tcase_add_test(t, layer_map_is_the_best_of_all);
  tcase_add_test(t, model_onto_itself_is_the_identity);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
