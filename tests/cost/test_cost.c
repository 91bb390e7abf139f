/* test_cost.c - what an engine adds up equals the op list priced op by op; no cost is below the
 * device's roofline; more work never costs less. Over random models and batches, on the frozen
 * profiles and the shipped ones, and over the shipped models. */
#include "cost/cost.h"

#include <check.h>
#include <glob.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PROFILES = 128, RANDOM_MODELS = 200 };

typedef struct fixture {
  celslm_profile *profiles[MOST_PROFILES];
  int n_profiles;
  gsl_rng *rng;
} fixture;

/* All but a calibration of the machine at hand. */
static void load_profiles(fixture *f, const char *pattern, const char *except) {
  glob_t found = {0};
  ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    celslm_error err = {0};
    if (except && strstr(found.gl_pathv[i], except)) continue;
    ck_assert_int_lt(f->n_profiles, MOST_PROFILES);
    celslm_profile *p = celslm_profile_load(found.gl_pathv[i], &err);
    ck_assert_msg(p, "%s", err.text);
    f->profiles[f->n_profiles++] = p;
  }
  globfree(&found);
}

static fixture set_up(void) {
  fixture f = {.rng = gsl_rng_alloc(gsl_rng_taus2)};
  load_profiles(&f, CELSLM_TEST_DATA "/profiles/*.xml", NULL);
  load_profiles(&f, CELSLM_SOURCE_DIR "/platforms/profiles/*.xml", "this-machine");
  ck_assert_int_ge(f.n_profiles, 4);
  return f;
}

static void tear_down(fixture *f) {
  for (int i = 0; i < f->n_profiles; i++) celslm_profile_free(f->profiles[i]);
  gsl_rng_free(f->rng);
}

static int64_t draw(gsl_rng *r, int64_t low, int64_t high) {
  return low + (int64_t)gsl_rng_uniform_int(r, (unsigned long)(high - low + 1));
}

static celslm_model random_model(gsl_rng *r) {
  int64_t kv = draw(r, 1, 16);
  celslm_model m = {.layers = draw(r, 1, 96),
                    .hidden = 64 * draw(r, 1, 128),
                    .heads = kv * draw(r, 1, 8),
                    .kv_heads = kv,
                    .head_dim = 32 * draw(r, 1, 8),
                    .ffn = 64 * draw(r, 1, 400),
                    .gated = draw(r, 0, 1),
                    .vocabulary = draw(r, 1000, 300000),
                    .max_context = 131072};
  return m;
}

/* The model's costs in random supported precisions; false: the device supports none it tried. */
static bool random_cost(const fixture *f, const celslm_model *m, celslm_cost *c) {
  static const celslm_dtype caches[] = {CELSLM_F32, CELSLM_F16, CELSLM_INT8};
  for (int i = 0; i < 20; i++) {
    const celslm_profile *p = f->profiles[draw(f->rng, 0, f->n_profiles - 1)];
    celslm_dtype d = (celslm_dtype)draw(f->rng, 0, CELSLM_DTYPES - 1);
    if (celslm_cost_init(c, p, m, d, caches[draw(f->rng, 0, 2)], NAN, NAN, NULL)) return true;
  }
  return false;
}

static void near(double a, double b) {
  ck_assert_msg(fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b)), "%.17g is not %.17g", a, b);
}

static double dense(const celslm_cost *c, celslm_op_kind kind, double n) {
  celslm_op op = celslm_op_dense(&c->shape, kind, n);
  return celslm_cost_op(c, &op);
}

static double layer_by_ops(const celslm_cost *c, double n) {
  static const celslm_op_kind ops[] = {CELSLM_OP_NORM, CELSLM_OP_QKV,    CELSLM_OP_OUTPUT,
                                       CELSLM_OP_NORM, CELSLM_OP_MLP_IN, CELSLM_OP_MLP_OUT};
  double sum = c->layer;
  for (int i = 0; i < 6; i++) sum += dense(c, ops[i], n);
  static const celslm_op_kind small[] = {CELSLM_OP_ROPE, CELSLM_OP_GATE, CELSLM_OP_RESIDUAL,
                                         CELSLM_OP_RESIDUAL};
  for (int i = 0; i < 4; i++) {
    celslm_small_way way = c->profile->small[i < 3 ? i : CELSLM_SMALL_RESIDUAL];
    celslm_op op =
        (way == CELSLM_SMALL_FUSED ? celslm_op_fused : celslm_op_dense)(&c->shape, small[i], n);
    if (way == CELSLM_SMALL_WITHIN || op.flops <= 0) continue;
    sum += celslm_cost_op(c, &op);
    if (way == CELSLM_SMALL_FUSED) sum -= c->curves[CELSLM_CURVE_ELEMENTWISE].latency;
  }
  return sum;
}

START_TEST(test_sums) {
  fixture f = set_up();
  for (int i = 0; i < RANDOM_MODELS; i++) {
    celslm_model m = random_model(f.rng);
    celslm_cost c;
    if (!random_cost(&f, &m, &c)) continue;
    if (i % 3 == 0)
      c.curves[CELSLM_CURVE_PREFILL].append_rate = c.curves[CELSLM_CURVE_DECODE].append_rate = 1e9;
    double n = (double)draw(f.rng, 1, 4096), past = (double)draw(f.rng, 0, 100000);
    near(celslm_cost_layer(&c, n), layer_by_ops(&c, n));
    near(celslm_cost_embed(&c, n), dense(&c, CELSLM_OP_EMBED, n));
    near(celslm_cost_head(&c, n), dense(&c, CELSLM_OP_NORM, n) + dense(&c, CELSLM_OP_HEAD, n));
    celslm_op op = celslm_op_prefill(&c.shape, n, past);
    near(celslm_cost_prefill(&c, n, past), celslm_cost_op(&c, &op));
    double pass = c.step + c.sequence + dense(&c, CELSLM_OP_EMBED, n);
    for (int l = 0; l < m.layers; l++) pass += layer_by_ops(&c, n) + celslm_cost_op(&c, &op);
    pass += dense(&c, CELSLM_OP_NORM, 1) + dense(&c, CELSLM_OP_HEAD, 1);
    near(celslm_cost_prefill_pass(&c, n, past), pass);
    /* Decode: the two affine sides, where contexts are shared (read < attended) and where not. */
    double batch = (double)draw(f.rng, 1, 512), read = batch + (double)draw(f.rng, 0, 1000000);
    double attended = read * (i % 2 ? 1 : gsl_ran_flat(f.rng, 1, 20));
    celslm_decode_cost d = celslm_cost_decode(&c, batch, 0);
    celslm_op decode = celslm_op_decode(&c.shape, batch, attended, read);
    near(fmax(d.compute + d.flop_slope * attended, d.memory + d.byte_slope * read),
         celslm_cost_op(&c, &decode));
  }
  tear_down(&f);
}
END_TEST

/* Appending takes the bytes of new keys and values over its rate on top. */
START_TEST(test_append) {
  fixture f = set_up();
  for (int i = 0; i < RANDOM_MODELS; i++) {
    celslm_model m = random_model(f.rng);
    celslm_cost c;
    if (!random_cost(&f, &m, &c) || c.table) continue;
    double n = (double)draw(f.rng, 1, 512), past = (double)draw(f.rng, 0, 10000), rate = 3e8;
    celslm_op prefill = celslm_op_prefill(&c.shape, n, past);
    celslm_op decode = celslm_op_decode(&c.shape, n, n * (past + 1), n * (past + 1));
    double before[] = {celslm_cost_op(&c, &prefill), celslm_cost_op(&c, &decode),
                       celslm_cost_decode_seconds(&c, n, n * (past + 1), n * (past + 1))};
    c.curves[CELSLM_CURVE_PREFILL].append_rate = c.curves[CELSLM_CURVE_DECODE].append_rate = rate;
    /* A token's bytes in one layer, from what all layers hold of it. */
    double more = n * celslm_kv_bytes_per_token(&c.shape) / (double)m.layers / rate;
    near(celslm_cost_op(&c, &prefill), before[0] + more);
    near(celslm_cost_op(&c, &decode), before[1] + more);
    near(celslm_cost_decode_seconds(&c, n, n * (past + 1), n * (past + 1)), before[2] + more);
    ck_assert_double_eq(celslm_curve_append(&c.curves[CELSLM_CURVE_GEMM], 1e9), 0);
  }
  tear_down(&f);
}
END_TEST

START_TEST(test_nothing) {
  fixture f = set_up();
  celslm_model m = random_model(f.rng);
  celslm_cost c;
  ck_assert(random_cost(&f, &m, &c));
  ck_assert_double_eq(celslm_cost_layer(&c, 0), 0);
  ck_assert_double_eq(celslm_cost_embed(&c, 0), 0);
  ck_assert_double_eq(celslm_cost_head(&c, 0), 0);
  tear_down(&f);
}
END_TEST

/* Not below what the peak of the op's arithmetic and the bandwidth allow. */
static void above_roofline(const celslm_cost *c, const celslm_op *op, double peak) {
  double bytes = op->weight_bytes + op->activation_bytes + op->kv_bytes, t = celslm_cost_op(c, op);
  ck_assert(isfinite(t));
  ck_assert_double_ge(t * (1 + 1e-12), op->flops / peak);
  ck_assert_double_ge(t * (1 + 1e-12), bytes / c->profile->bandwidth);
}

START_TEST(test_roofline) {
  fixture f = set_up();
  for (int i = 0; i < RANDOM_MODELS; i++) {
    celslm_model m = random_model(f.rng);
    for (int k = 0; k < f.n_profiles; k++)
      for (int d = 0; d < CELSLM_DTYPES; d++) {
        const celslm_profile *p = f.profiles[k];
        celslm_cost c;
        if (!celslm_cost_init(&c, p, &m, (celslm_dtype)d, CELSLM_F16, NAN, NAN, NULL)) continue;
        double peak = p->peak[d == CELSLM_INT4 ? CELSLM_F16 : d], base = p->peak[p->curve_dtype];
        double n = (double)draw(f.rng, 1, 8192), past = (double)draw(f.rng, 0, 100000);
        for (int kind = CELSLM_OP_EMBED; kind < CELSLM_OP_KINDS; kind++) {
          if (kind == CELSLM_OP_PREFILL || kind == CELSLM_OP_DECODE) continue;
          celslm_op op = celslm_op_dense(&c.shape, (celslm_op_kind)kind, n);
          above_roofline(&c, &op, peak);
        }
        celslm_op op = celslm_op_prefill(&c.shape, n, past);
        above_roofline(&c, &op, base);
        op = celslm_op_decode(&c.shape, n, n * (past + 1), past + n);
        above_roofline(&c, &op, base);
      }
  }
  tear_down(&f);
}
END_TEST

static double decode_seconds(const celslm_cost *c, double batch, double attended, double read) {
  celslm_decode_cost d = celslm_cost_decode(c, batch, 0);
  return fmax(d.compute + d.flop_slope * attended, d.memory + d.byte_slope * read);
}

START_TEST(test_monotone) {
  fixture f = set_up();
  for (int i = 0; i < RANDOM_MODELS; i++) {
    celslm_model m = random_model(f.rng);
    celslm_cost c;
    if (!random_cost(&f, &m, &c)) continue;
    double n = (double)draw(f.rng, 1, 2048), past = (double)draw(f.rng, 0, 30000);
    double more = n + (double)draw(f.rng, 1, 300), later = past + (double)draw(f.rng, 1, 3000);
    const double slack = 1 + 1e-12;
    ck_assert_double_le(celslm_cost_layer(&c, n), slack * celslm_cost_layer(&c, more));
    ck_assert_double_le(celslm_cost_head(&c, n), slack * celslm_cost_head(&c, more));
    ck_assert_double_le(celslm_cost_embed(&c, n), slack * celslm_cost_embed(&c, more));
    ck_assert_double_le(celslm_cost_prefill(&c, n, past),
                        slack * celslm_cost_prefill(&c, more, past));
    ck_assert_double_le(celslm_cost_prefill(&c, n, past),
                        slack * celslm_cost_prefill(&c, n, later));
    ck_assert_double_le(celslm_cost_prefill_pass(&c, n, past),
                        slack * celslm_cost_prefill_pass(&c, more, past));
    /* A batch that grows at the same context, and a context that grows in the same batch. */
    double one = past + 1;
    ck_assert_double_le(decode_seconds(&c, n, n * one, n * one),
                        slack * decode_seconds(&c, more, more * one, more * one));
    ck_assert_double_le(decode_seconds(&c, n, n * one, n * one),
                        slack * decode_seconds(&c, n, n * (later + 1), n * (later + 1)));
  }
  tear_down(&f);
}
END_TEST

START_TEST(test_unsupported) {
  fixture f = set_up();
  celslm_model m = random_model(f.rng);
  celslm_error err = {0};
  celslm_cost c;
  celslm_profile *gpu = celslm_profile_load(CELSLM_TEST_DATA "/profiles/gpu.xml", &err);
  ck_assert(!celslm_cost_init(&c, gpu, &m, CELSLM_F32, CELSLM_F32, NAN, NAN, &err));
  ck_assert_msg(strstr(err.text, "no peak for f32"), "%s", err.text);
  /* Overheads that are given replace the profile's. */
  ck_assert(celslm_cost_init(&c, gpu, &m, CELSLM_F16, CELSLM_F16, 1e-3, NAN, NULL));
  ck_assert_double_eq(c.step, 1e-3);
  ck_assert_double_eq(c.sequence, gpu->sequence_overhead);
  celslm_profile_free(gpu);
  tear_down(&f);
}
END_TEST

/* Rope apart is an operation by the elementwise curve; fused, gate and residuals only add bytes. */
START_TEST(test_small_operations) {
  fixture f = set_up();
  for (int i = 0; i < RANDOM_MODELS; i++) {
    celslm_model m = random_model(f.rng);
    m.gated = i % 2;
    m.absolute_positions = i % 3 == 0;
    celslm_cost c;
    if (!random_cost(&f, &m, &c)) continue;
    celslm_profile p = *c.profile;
    double n = (double)draw(f.rng, 1, 4096), without, a = c.shape.activation_bytes;
    memset(p.small, 0, sizeof p.small);
    c.profile = &p;
    without = celslm_cost_layer(&c, n);
    p.small[CELSLM_SMALL_ROPE] = CELSLM_SMALL_APART;
    double rope = m.absolute_positions ? 0 : dense(&c, CELSLM_OP_ROPE, n);
    near(celslm_cost_layer(&c, n), without + rope);
    p.small[CELSLM_SMALL_GATE] = p.small[CELSLM_SMALL_RESIDUAL] = CELSLM_SMALL_FUSED;
    const celslm_curve *k = &c.curves[CELSLM_CURVE_ELEMENTWISE];
    double gate = m.gated ? n * (double)m.ffn : 0, residual = n * (double)m.hidden;
    near(celslm_cost_layer(&c, n),
         without + rope + fmax(gate * a / k->byte_rate, 4 * gate / k->flop_rate) +
             2 * fmax(residual * a / k->byte_rate, residual / k->flop_rate));
  }
  tear_down(&f);
}
END_TEST

/* With a <codec> what it says, without one the time of the memory. */
START_TEST(test_coding) {
  celslm_codec_cost int8 = {"int8", 2e9, 4e9, 1e-6, NULL};
  celslm_profile p = {.bandwidth = 1e10, .codecs = &int8, .n_codecs = 1};
  ck_assert_double_eq_tol(celslm_coding_seconds(&p, "int8", false, 2e6, 1e6), 1.001e-3, 1e-15);
  ck_assert_double_eq_tol(celslm_coding_seconds(&p, "int8", true, 2e6, 1e6), 0.501e-3, 1e-15);
  ck_assert_double_eq_tol(celslm_coding_seconds(&p, "int4", true, 2e6, 1e6), 0.3e-3, 1e-15);
}
END_TEST

START_TEST(test_shipped_models) {
  /* The op list's weights are the model's: its matrices to the parameter; with the embeddings all
   * of the published count but norms, biases and positions. */
  glob_t found = {0};
  ck_assert_int_eq(glob(CELSLM_SOURCE_DIR "/platforms/models/*.xml", 0, NULL, &found), 0);
  ck_assert_uint_ge(found.gl_pathc, 20);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    static const celslm_op_kind matrices[] = {CELSLM_OP_QKV, CELSLM_OP_OUTPUT, CELSLM_OP_MLP_IN,
                                              CELSLM_OP_MLP_OUT};
    celslm_error err = {0};
    celslm_model m;
    ck_assert_msg(celslm_model_load(found.gl_pathv[i], &m, &err), "%s", err.text);
    celslm_shape s = celslm_shape_of(&m, CELSLM_F32, CELSLM_F32);
    double linear = 0;
    for (int k = 0; k < 4; k++)
      linear += celslm_op_dense(&s, matrices[k], 1).weight_bytes / 4 * (double)m.layers;
    ck_assert_double_eq(linear, celslm_linear_parameters(&m));
    double head = celslm_op_dense(&s, CELSLM_OP_HEAD, 1).weight_bytes / 4;
    if (strcmp(m.name, "OPT-350M") == 0) head /= 2; /* embeds into 512 of its 1024 dimensions */
    double rest = (double)m.parameters - linear - head * (m.tied_embeddings ? 1 : 2);
    ck_assert_msg(rest >= 0 && rest < 0.015 * (double)m.parameters,
                  "%s: %.0f of %lld parameters are neither in a matrix nor an embedding", m.name,
                  rest, (long long)m.parameters);
    celslm_model_clear(&m);
  }
  globfree(&found);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cost");
  TCase *tests = tcase_create("cost");
  tcase_set_timeout(tests, 60); /* on a busy machine */
  tcase_add_test(tests, test_sums);
  tcase_add_test(tests, test_append);
  tcase_add_test(tests, test_nothing);
  tcase_add_test(tests, test_roofline);
  tcase_add_test(tests, test_monotone);
  tcase_add_test(tests, test_unsupported);
  tcase_add_test(tests, test_coding);
  tcase_add_test(tests, test_small_operations);
  tcase_add_test(tests, test_shipped_models);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
