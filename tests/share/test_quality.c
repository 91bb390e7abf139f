/* test_quality.c - how quality is measured: a model's own KV, mapped by the identity, loses nothing
 * at any depth; losses are those of a plain forward pass in double; paired intervals are those of
 * the normal distribution where that holds; the map's FLOPs are what the kernels report; and what
 * is said of the shipped pair holds. */
#include "share/comparison.h"
#include "share/quality_table.h"

#include "base/rng.h"
#include "cost/csv.h"
#include "kernels/plain_llama.h"

#include <check.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAYERS = 3 };
static const celslm_transformer_shape shape = {.family = CELSLM_FAMILY_LLAMA,
                                               .layers = LAYERS,
                                               .dim = 48,
                                               .hidden = 96,
                                               .q_heads = 6,
                                               .kv_heads = 2,
                                               .vocabulary = 40,
                                               .max_tokens = 512,
                                               .eps = 1e-5f,
                                               .rope_base = 10000,
                                               .rope_style = CELSLM_ROPE_INTERLEAVED};

static celslm_text random_text(int64_t n, int words) {
  gsl_rng *rng = celslm_rng(4, "text");
  celslm_text t = {celslm_alloc((unsigned long)n, sizeof *t.tokens), n};
  for (int64_t i = 0; i < n; i++)
    t.tokens[i] = (int32_t)gsl_rng_uniform_int(rng, (unsigned long)words);
  gsl_rng_free(rng);
  return t;
}

/* The map from a model to itself, from `reach` layers around. */
static celslm_mapping onto_itself(const celslm_transformer *t, const celslm_text *text, int reach) {
  celslm_error err = {0};
  celslm_pair_moments *p = celslm_pair_moments_new(CELSLM_SOURCE_NORMED, t, t);
  for (int i = 0; i < 4; i++) {
    celslm_states s = celslm_states_read(t, 256, celslm_text_piece(text, 256, i, 4));
    celslm_pair_moments_add(p, &s, &s, i == 3);
    celslm_states_free(&s);
  }
  celslm_mapping map;
  int straight[LAYERS];
  for (int j = 0; j < LAYERS; j++) straight[j] = j;
  ck_assert_msg(celslm_mapping_fit(p, straight, reach, 1e-12, &map, &err), "%s", err.text);
  celslm_pair_moments_free(p);
  return map;
}

START_TEST(identity_loses_nothing_at_any_depth) {
  celslm_error err = {0};
  celslm_transformer *t = celslm_transformer_random(&shape, CELSLM_K_F32, 5);
  celslm_text text = random_text(2000, shape.vocabulary);
  celslm_mapping map = onto_itself(t, &text, 0);
  celslm_condition c[3 + 2 * LAYERS] = {{.way = CELSLM_WAY_FULL, .map = -1},
                                        {.way = CELSLM_WAY_NONE, .map = -1},
                                        {.way = CELSLM_WAY_CLOUD, .map = -1}};
  int n = 3;
  for (int d = 1; d <= LAYERS; d++)
    for (int absent = 0; absent < 2; absent++)
      c[n++] = (celslm_condition){.way = CELSLM_WAY_MAPPED, .deepest = d, .absent = absent};
  celslm_score s[3 + 2 * LAYERS];
  celslm_quality_plan plan = {t, t, &map, c, n, .context = 96, .continuation = 24, .windows = 5};
  ck_assert_msg(celslm_quality_measure(&plan, &text, s, &err), "%s", err.text);
  ck_assert_double_gt(fabs(s[1].loss - s[0].loss), 0.01); /* the context matters to it */
  for (int i = 0; i < n; i++) {
    bool all = c[i].way == CELSLM_WAY_MAPPED && (c[i].deepest == LAYERS || !c[i].absent);
    if (c[i].way == CELSLM_WAY_NONE || (c[i].way == CELSLM_WAY_MAPPED && !all)) {
      ck_assert_double_gt(s[i].kl, 1e-3); /* what is absent is missed */
      continue;
    }
    for (int w = 0; w < plan.windows; w++) /* KV travels as f16 */
      ck_assert_double_eq_tol(s[i].losses[w], s[0].losses[w], 3e-3);
    ck_assert_double_lt(s[i].kl, 1e-4);
    ck_assert_double_eq_tol(s[i].gap, 1, 0.05);
    if (all) ck_assert_double_eq(s[i].bytes, c[i].deepest * 2 * 2 * 16.0); /* 2 heads of 8, f16 */
  }
  celslm_scores_free(s, n);
  celslm_mapping_free(&map);
  celslm_text_free(&text);
  celslm_transformer_free(t);
}
END_TEST

/* Bits of token `at` after those before it from `first`. */
static double plain_bits(const plain *p, const int32_t *token, int first, int at) {
  int n = at - first, kv = p->dim / p->heads * p->kv_heads;
  double *logits = calloc((size_t)p->vocabulary, sizeof *logits),
         *k = calloc((size_t)(p->layers * n * kv), sizeof *k),
         *v = calloc((size_t)(p->layers * n * kv), sizeof *v), all = 0;
  plain_forward(p, token + first, n, logits, k, v);
  for (int i = 0; i < p->vocabulary; i++) all += exp(logits[i] - logits[token[at]]);
  free(logits), free(k), free(v);
  return log2(all);
}

START_TEST(losses_equal_a_plain_forward_pass) {
  enum { CONTEXT = 40, MORE = 6 };
  static const char file[] = CELSLM_SOURCE_DIR "/tools/models/edge.bin";
  celslm_error err = {0};
  celslm_text text;
  ck_assert(celslm_text_read(CELSLM_SOURCE_DIR "/scenarios/texts/held_out.txt", &text, &err));
  text.n = CONTEXT + MORE;
  celslm_transformer *t = celslm_load_checkpoint(file, &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  celslm_condition c[] = {{.way = CELSLM_WAY_FULL, .map = -1}, {.way = CELSLM_WAY_NONE, .map = -1}};
  celslm_score s[2];
  celslm_quality_plan plan = {t, t, NULL, c, 2, CONTEXT, MORE, .windows = 1};
  ck_assert_msg(celslm_quality_measure(&plan, &text, s, &err), "%s", err.text);
  plain p = plain_load(file);
  double full = 0, none = 0;
  for (int at = CONTEXT + 1; at < CONTEXT + MORE; at++) { /* its first is given, not predicted */
    full += plain_bits(&p, text.tokens, 0, at) / (MORE - 1);
    none += plain_bits(&p, text.tokens, CONTEXT, at) / (MORE - 1);
  }
  ck_assert_double_eq_tol(s[0].loss, full, 2e-3); /* the cache there and back in f16 */
  ck_assert_double_eq_tol(s[1].loss, none, 1e-4);
  plain_free(&p);
  celslm_scores_free(s, 2);
  celslm_transformer_free(t);
  celslm_text_free(&text);
}
END_TEST

/* ---- the shipped pair ------------------------------------------------------------------------ */

/* Measured here, on books that nobody was trained or fitted on: the shipped map beats what is
 * simpler, window by window. */
START_TEST(shipped_map_beats_simpler_ways) {
  celslm_error err = {0};
  celslm_text text;
  celslm_mapping map;
  ck_assert(celslm_text_read(CELSLM_SOURCE_DIR "/scenarios/texts/held_out.txt", &text, &err));
  ck_assert_msg(celslm_mapping_read(CELSLM_SOURCE_DIR "/results/quality/map.h5", &map, &err), "%s",
                err.text);
  celslm_transformer *cloud =
                         celslm_load_checkpoint(CELSLM_SOURCE_DIR "/tools/models/cloud.bin", &err),
                     *edge =
                         celslm_load_checkpoint(CELSLM_SOURCE_DIR "/tools/models/edge.bin", &err);
  ck_assert_msg(cloud && edge, "%s", err.text);
  enum { FULL, NONE, MEAN, COPY, MAPPED, CUT, ALL };
  celslm_condition c[ALL] = {[FULL] = {.way = CELSLM_WAY_FULL, .map = -1},
                             [NONE] = {.way = CELSLM_WAY_NONE, .map = -1},
                             [MEAN] = {.way = CELSLM_WAY_MEAN},
                             [COPY] = {.way = CELSLM_WAY_COPY},
                             [MAPPED] = {.way = CELSLM_WAY_MAPPED},
                             [CUT] = {.way = CELSLM_WAY_MAPPED}};
  for (int i = MEAN; i < ALL; i++) c[i].deepest = map.to;
  c[CUT].rank = map.kv_width / 2, c[CUT].codec = CELSLM_WIRE_INT8; /* a quarter of full, int8 */
  celslm_score s[ALL];
  celslm_quality_plan plan = {cloud, edge, &map, c, ALL, 128, 64, .windows = 80, .seed = 1};
  ck_assert_int_ge(text.n, plan.windows * (plan.context + plan.continuation)); /* no overlap */
  ck_assert_msg(celslm_quality_measure(&plan, &text, s, &err), "%s", err.text);
  for (int i = MAPPED; i < ALL; i++)
    for (int k = NONE; k < MAPPED; k++) {
      celslm_difference d = celslm_paired_difference(s[k].losses, s[i].losses, plan.windows, 1);
      ck_assert_msg(d.low > 0, "condition %d is better than %d by %.4f [%.4f, %.4f] bit/byte", i, k,
                    d.mean, d.low, d.high);
    }
  printf("gap recovered: %.3f [%.3f, %.3f], cut to a quarter of the rank in int8 %.3f\n",
         s[MAPPED].gap, s[MAPPED].gap_low, s[MAPPED].gap_high, s[CUT].gap);
  ck_assert_double_gt(s[MAPPED].gap_low, 0.5); /* most of what a context gives */
  ck_assert_double_lt(s[CUT].bytes, s[MAPPED].bytes / 6);
  celslm_scores_free(s, ALL);
  celslm_transformer_free(cloud), celslm_transformer_free(edge);
  celslm_mapping_free(&map);
  celslm_text_free(&text);
}
END_TEST

/* What is shipped was measured on the shipped pair; a rank is never better than a higher one, nor a
 * codec than a larger one, by more than can be told; and the cloud's model is clearly better. */
START_TEST(shipped_comparisons_are_in_order) {
  celslm_error err = {0};
  char pair[256];
  ck_assert(celslm_pair_name(CELSLM_SOURCE_DIR "/tools/models/cloud.bin",
                             CELSLM_SOURCE_DIR "/tools/models/edge.bin", pair, sizeof pair, &err));
  celslm_csv *t = celslm_csv_open(CELSLM_SOURCE_DIR "/results/quality/comparisons.csv", &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  int steps = 0, clear = 0, pooled = 0;
  for (int i = 0; i < t->rows; i++) {
    double low, high, kl_low, kl_high;
    ck_assert_str_eq(celslm_csv_cell(t, i, celslm_csv_column(t, "pair", &err)), pair);
    if (strcmp(celslm_csv_cell(t, i, celslm_csv_column(t, "text", &err)), "same") != 0) continue;
    const char *better = celslm_csv_cell(t, i, celslm_csv_column(t, "better", &err)),
               *worse = celslm_csv_cell(t, i, celslm_csv_column(t, "worse", &err));
    ck_assert(
        celslm_csv_number(t, i, celslm_csv_column(t, "loss_low", &err), -9, 9, false, &low, &err) &&
        celslm_csv_number(t, i, celslm_csv_column(t, "loss_high", &err), -9, 9, false, &high,
                          &err) &&
        celslm_csv_number(t, i, celslm_csv_column(t, "kl_low", &err), -9, 9, false, &kl_low,
                          &err) &&
        celslm_csv_number(t, i, celslm_csv_column(t, "kl_high", &err), -9, 9, false, &kl_high,
                          &err));
    if (strstr(worse, " rank ") || strstr(worse, " int")) {
      ck_assert_msg(high >= 0 && kl_high >= 0, "%s is worse than %s", better, worse);
      steps++;
    }
    if (strcmp(worse, "no context") == 0 || strcmp(worse, "mean KV") == 0 ||
        strcmp(better, "cloud") == 0) {
      ck_assert_double_gt(low, 0.05);
      clear++;
    }
    if (strcmp(celslm_csv_cell(t, i, celslm_csv_column(t, "context", &err)), "all") != 0) continue;
    pooled++;
    if (strcmp(better, "mapped from normed aligned of 3") == 0 &&
        strcmp(worse, "mapped from normed uniform of 1") == 0)
      ck_assert_msg(low > 0 && kl_low > 0, "loss %g, KL %g", low, kl_low);
  }
  ck_assert_int_eq(steps, 4 * 8); /* contexts and all; six ranks, two codecs */
  ck_assert_int_eq(clear, 4 * 3);
  ck_assert_int_eq(pooled, 17);
  celslm_csv_close(t);
}
END_TEST

/* Levels vary a hundred times more than differences: pairing must show what is common to both. */
START_TEST(paired_interval_is_the_normal_one) {
  enum { N = 400 };
  static double level[2][N];
  gsl_rng *rng = celslm_rng(2, "losses");
  double mean = 0, square = 0;
  for (int i = 0; i < N; i++) {
    double common = 2 + gsl_ran_gaussian(rng, 1), d = 0.003 + gsl_ran_gaussian(rng, 0.01);
    level[0][i] = common + d, level[1][i] = common;
    mean += d / N, square += d * d / N;
  }
  gsl_rng_free(rng);
  double half = 1.96 * sqrt((square - mean * mean) / N);
  celslm_difference d = celslm_paired_difference(level[0], level[1], N, 7);
  ck_assert_double_eq_tol(d.mean, mean, 1e-12);
  ck_assert_double_eq_tol(d.low, mean - half, 0.15 * half);
  ck_assert_double_eq_tol(d.high, mean + half, 0.15 * half);
  ck_assert_double_gt(d.low, 0);
}
END_TEST

/* A comparison of windows 0..n-1 of a text of 64,000 tokens, at a length of its own. */
static celslm_comparison windows_of(gsl_rng *rng, int n, int64_t context, const char *worse) {
  static celslm_score better, other;
  double nothing[512] = {0}, loss[512];
  for (int i = 0; i < n; i++) loss[i] = 0.003 + gsl_ran_gaussian(rng, 0.01);
  better.losses = better.kls = nothing, other.losses = other.kls = loss;
  celslm_quality_plan plan = {.context = context, .continuation = 64, .windows = n};
  celslm_comparison c = celslm_comparison_make(&plan, 64000, &better, &other);
  strcpy(c.text, "same"), strcpy(c.better, "mapped"), strcpy(c.worse, worse);
  return c;
}

/* Windows that are independent: the normal interval. The same windows once more, as if another
 * length had said the same: nothing new was seen, so the interval must not shrink. */
START_TEST(pooled_interval_counts_text_once) {
  enum { N = 512 };
  gsl_rng *rng = celslm_rng(3, "losses");
  celslm_comparison c[3] = {windows_of(rng, N, 61, "a"), windows_of(rng, 8, 61, "b")}, pooled[3];
  double mean = 0, square = 0;
  for (int i = 0; i < N; i++) mean += c[0].loss[i] / N, square += c[0].loss[i] * c[0].loss[i] / N;
  double half = 1.96 * sqrt((square - mean * mean) / N);
  celslm_difference once = celslm_stretched_difference(c[0].loss, c[0].stretch, N, 7);
  ck_assert_double_eq_tol(once.mean, mean, 1e-12);
  ck_assert_double_eq_tol(once.low, mean - half, 0.2 * half);
  ck_assert_double_eq_tol(once.high, mean + half, 0.2 * half);

  FILE *f = tmpfile(); /* to another process and back, as another length */
  celslm_comparison_send(&c[0], f);
  rewind(f);
  ck_assert(celslm_comparison_receive(&c[2], f));
  celslm_comparison none;
  ck_assert(!celslm_comparison_receive(&none, f));
  fclose(f);
  ck_assert_mem_eq(c[2].loss, c[0].loss, N * sizeof *c[0].loss);
  c[2].context = 189;
  ck_assert_int_eq(celslm_comparisons_pool(c, 3, pooled), 1); /* "b" has one length */
  ck_assert_int_eq(pooled[0].windows, 2 * N);
  ck_assert_str_eq(pooled[0].worse, "a");
  celslm_difference twice =
      celslm_stretched_difference(pooled[0].loss, pooled[0].stretch, pooled[0].windows, 7);
  ck_assert_double_eq_tol(twice.mean, once.mean, 1e-12);
  ck_assert_double_eq_tol(twice.low, once.low, 1e-12);
  ck_assert_double_eq_tol(twice.high, once.high, 1e-12);
  celslm_difference naive =
      celslm_paired_difference(pooled[0].loss, (double[2 * N]){0}, 2 * N, 7); /* what not to do */
  ck_assert_double_lt(naive.high - naive.low, 0.85 * (once.high - once.low));
  celslm_comparison_free(&pooled[0]);
  for (int i = 0; i < 3; i++) celslm_comparison_free(&c[i]);
  gsl_rng_free(rng);
}
END_TEST

static void add(void *user, const celslm_report *r) {
  double *products = user;
  if (r->op == CELSLM_KOP_GEMM) *products += 2.0 * (double)(r->m * r->n * r->k);
}

START_TEST(map_flops_are_what_is_reported) {
  celslm_transformer *t = celslm_transformer_random(&shape, CELSLM_K_F32, 6);
  celslm_text text = random_text(2000, shape.vocabulary);
  celslm_mapping map = onto_itself(t, &text, 1);
  celslm_states s = celslm_states_read(t, 256, text.tokens);
  float *kv = celslm_alloc((unsigned long)(256 * 2 * map.kv_width), sizeof *kv);
  for (int j = 0; j < LAYERS; j++) {
    double products = 0;
    celslm_set_hook(add, &products);
    celslm_mapping_apply(&map, j, &s, kv);
    celslm_set_hook(NULL, NULL);
    int inputs = (j == 0 || j == LAYERS - 1 ? 2 : 3) * shape.dim, outputs = 2 * map.kv_width;
    celslm_map_flops f = celslm_mapping_flops(inputs, outputs, 0); /* and the bias */
    ck_assert_double_eq(256 * (f.cloud - outputs), products);
    ck_assert_double_eq(f.edge, 0);
    f = celslm_mapping_flops(inputs, outputs, 4);
    ck_assert_double_eq(f.cloud, 2.0 * inputs * 4 + 4);
    ck_assert_double_eq(f.edge, 2.0 * outputs * 4 + outputs);
  }
  free(kv);
  celslm_states_free(&s);
  celslm_mapping_free(&map);
  celslm_text_free(&text);
  celslm_transformer_free(t);
}
END_TEST

int main(void) {
  Suite *s = suite_create("quality");
  TCase *t = tcase_create("quality");
  tcase_set_timeout(t, 400);
  tcase_add_test(t, identity_loses_nothing_at_any_depth);
  tcase_add_test(t, losses_equal_a_plain_forward_pass);
  tcase_add_test(t, shipped_map_beats_simpler_ways);
  tcase_add_test(t, shipped_comparisons_are_in_order);
  tcase_add_test(t, paired_interval_is_the_normal_one);
  tcase_add_test(t, pooled_interval_counts_text_once);
  tcase_add_test(t, map_flops_are_what_is_reported);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
