/* test_table_costs.c - profiles with a table: operations cost what the table says where it was
 * measured; never less than the roofline; never less with more tokens, context or batch; what the
 * table does not hold goes by the curves; bad tables are named. */
#include "profile_support.h"
#include "table_support.h"

#include "cost/cost.h"

static const char *const gpu = CELSLM_TEST_DATA "/profiles/gpu.xml";

typedef struct made {
  char *folder, *file;
  celslm_table_profile *table;
  celslm_profile *profile;
  gsl_rng *dice;
} made;

static made make(void) {
  celslm_error err = {""};
  made m = {.folder = make_folder(), .dice = gsl_rng_alloc(gsl_rng_taus2)};
  m.file = celslm_format("%s/p.xml", m.folder);
  m.table = made_up_table(m.folder, m.dice);
  save_with_table(gpu, m.file, "table.h5");
  m.profile = celslm_profile_load(m.file, &err);
  ck_assert_msg(m.profile != NULL, "%s", err.text);
  return m;
}

static void end(made *m) {
  celslm_profile_free(m->profile);
  celslm_table_free(m->table);
  gsl_rng_free(m->dice);
  free(m->file);
  remove_folder(m->folder);
}

/* 4096 wide, 32 heads of 128 on 8: qkv 6144 x 4096, output 4096 x 4096, mlp in and out 8192. */
static const celslm_model plain = {.layers = 8,
                                   .hidden = 4096,
                                   .heads = 32,
                                   .kv_heads = 8,
                                   .head_dim = 128,
                                   .ffn = 8192,
                                   .vocabulary = 8192,
                                   .parameters = 1};

static celslm_cost cost_of(const celslm_profile *p, const celslm_model *m, celslm_dtype weights) {
  celslm_cost c;
  celslm_error err = {""};
  ck_assert_msg(celslm_cost_init(&c, p, m, weights, CELSLM_F16, NAN, NAN, &err), "%s", err.text);
  return c;
}

static double floor_of(const celslm_op *op) {
  return fmax(op->flops / 100e12, (op->weight_bytes + op->activation_bytes + op->kv_bytes) / 1e12);
}

START_TEST(test_measured) {
  made m = make();
  celslm_cost c = cost_of(m.profile, &plain, CELSLM_F16);
  int above = 0;
  for (double n = 1; n <= 4096; n *= 4) {
    static const struct {
      celslm_op_kind kind;
      double columns, inner;
    } products[] = {{CELSLM_OP_OUTPUT, 4096, 4096},
                    {CELSLM_OP_MLP_IN, 8192, 4096},
                    {CELSLM_OP_MLP_OUT, 4096, 8192},
                    {CELSLM_OP_HEAD, 8192, 4096}};
    for (int i = 0; i < 4; i++) {
      celslm_op op = celslm_op_dense(&c.shape, products[i].kind, n);
      double t = celslm_table_gemm(m.table, n, products[i].columns, products[i].inner);
      ck_assert_double_eq(celslm_cost_op(&c, &op), fmax(t, floor_of(&op)));
      above += t > floor_of(&op);
    }
  }
  for (double n = 16; n <= 8192; n *= 2) {
    celslm_op op = celslm_op_prefill(&c.shape, n, 0), decode = celslm_op_decode(&c.shape, 1, n, n);
    double t = celslm_table_prefill(m.table, 1, n, 32, 8);
    ck_assert_double_eq_tol(celslm_cost_op(&c, &op) / fmax(t, floor_of(&op)), 1, 1e-9);
    double d = celslm_table_decode(m.table, 1, n, 32, 8);
    ck_assert_double_eq_tol(celslm_cost_op(&c, &decode) / fmax(d, floor_of(&decode)), 1, 1e-9);
    above += (t > floor_of(&op)) + (d > floor_of(&decode));
  }
  ck_assert_int_ge(above, 20);
  /* a prompt after a prefix: as the one from the start with the same FLOPs, 100 + 924 of 1024 */
  double whole = celslm_cost_prefill(&c, 1024, 0), rest = celslm_cost_prefill(&c, 924, 100);
  ck_assert(rest <= whole && rest > 0.9 * celslm_cost_prefill(&c, 924, 0));
  end(&m);
}
END_TEST

/* Norms and embedding, and other precisions, go by the curves. */
START_TEST(test_by_curves) {
  made m = make();
  celslm_error err = {""};
  celslm_profile *bare = celslm_profile_load(gpu, &err);
  celslm_cost c = cost_of(m.profile, &plain, CELSLM_F16), d = cost_of(bare, &plain, CELSLM_F16);
  ck_assert_double_eq(celslm_cost_embed(&c, 77), celslm_cost_embed(&d, 77));
  ck_assert_double_ne(celslm_cost_layer(&c, 77), celslm_cost_layer(&d, 77));
  c = cost_of(m.profile, &plain, CELSLM_INT8);
  d = cost_of(bare, &plain, CELSLM_INT8);
  ck_assert_double_eq(celslm_cost_layer(&c, 77), celslm_cost_layer(&d, 77));
  ck_assert_double_eq(celslm_cost_prefill(&c, 77, 5), celslm_cost_prefill(&d, 77, 5));
  ck_assert_int_eq(celslm_cost_decode_pieces(&c), 1);
  celslm_profile_free(bare);
  end(&m);
}
END_TEST

static double between(gsl_rng *r, double low, double high) {
  return floor(low * pow(high / low, gsl_rng_uniform(r)));
}

static void check_op(const celslm_cost *c, const celslm_op *op, const celslm_op *more) {
  double t = celslm_cost_op(c, op);
  ck_assert_double_ge(t, floor_of(op) * (1 - 1e-12));
  ck_assert_msg(celslm_cost_op(c, more) >= t * (1 - 1e-12), "%s: %g rows %g s, %g rows %g s",
                celslm_op_name(op->kind), op->rows, t, more->rows, celslm_cost_op(c, more));
}

START_TEST(test_roofline_and_order) {
  made m = make();
  for (int trial = 0; trial < 3000; trial++) {
    gsl_rng *r = m.dice;
    int64_t kv = 1 << gsl_rng_uniform_int(r, 4);
    celslm_model model = {.layers = 2,
                          .hidden = (int64_t)between(r, 64, 20000),
                          .heads = kv * (1 + (int64_t)gsl_rng_uniform_int(r, 8)),
                          .kv_heads = kv,
                          .head_dim = 32 << gsl_rng_uniform_int(r, 4),
                          .ffn = (int64_t)between(r, 64, 65536),
                          .gated = gsl_rng_uniform_int(r, 2) > 0,
                          .vocabulary = (int64_t)between(r, 1000, 250000),
                          .parameters = 1};
    celslm_cost c = cost_of(m.profile, &model, CELSLM_F16);
    double n = between(r, 1, 9000), past = between(r, 1, 65536), more = n + between(r, 1, 512);
    for (int k = 0; k < CELSLM_OP_KINDS; k++) {
      if (k == CELSLM_OP_PREFILL || k == CELSLM_OP_DECODE) continue;
      celslm_op op = celslm_op_dense(&c.shape, (celslm_op_kind)k, n),
                larger = celslm_op_dense(&c.shape, (celslm_op_kind)k, more);
      check_op(&c, &op, &larger);
    }
    celslm_op prefill = celslm_op_prefill(&c.shape, n, past),
              longer = celslm_op_prefill(&c.shape, more, past),
              later = celslm_op_prefill(&c.shape, n, past + 50);
    check_op(&c, &prefill, &longer);
    check_op(&c, &prefill, &later);
    double b = between(r, 1, 200), more_b = b + between(r, 1, 30);
    celslm_op decode = celslm_op_decode(&c.shape, b, b * past, b * past),
              further = celslm_op_decode(&c.shape, b, b * (past + 7), b * (past + 7)),
              wider = celslm_op_decode(&c.shape, more_b, more_b * past, more_b * past),
              shared = celslm_op_decode(&c.shape, b, b * (past + 7), b * past + 7);
    check_op(&c, &decode, &further);
    check_op(&c, &decode, &wider);
    check_op(&c, &decode, &shared);
  }
  end(&m);
}
END_TEST

/* The pieces join: each ends where the next begins. */
START_TEST(test_pieces) {
  made m = make();
  celslm_cost c = cost_of(m.profile, &plain, CELSLM_F16);
  for (double n = 1; n <= 100; n += 11) {
    celslm_decode_cost d = celslm_cost_decode(&c, n, 0);
    ck_assert_double_eq(d.from, 0);
    for (int i = 1; i < celslm_cost_decode_pieces(&c); i++) {
      celslm_decode_cost next = celslm_cost_decode(&c, n, i);
      ck_assert_double_gt(next.from, d.from);
      ck_assert_double_eq(next.from, floor(next.from));
      ck_assert_double_eq_tol((d.memory + d.byte_slope * (next.from - d.from)) / next.memory, 1,
                              1e-9);
      d = next;
    }
  }
  end(&m);
}
END_TEST

/* Saved and loaded, the table stays; a table that is not there or no table is named. */
START_TEST(test_files) {
  made m = make();
  celslm_error err = {""};
  ck_assert_str_eq(m.profile->table_file, "table.h5");
  ck_assert_str_eq(m.profile->table_source, "made up, <with> \"noise\"");
  char *other = celslm_format("%s/q.xml", m.folder), *text = celslm_format("%s/t.csv", m.folder);
  write_file(text, "m,n\n");
  static const char *const bad[] = {"nowhere.h5", "t.csv"};
  for (int i = 0; i < 2; i++) {
    err.text[0] = 0;
    save_with_table(gpu, other, bad[i]);
    ck_assert_ptr_null(celslm_profile_load(other, &err));
    ck_assert_msg(strncmp(err.text, other, strlen(other)) == 0 && strstr(err.text, bad[i]), "%s",
                  err.text);
    ck_assert_ptr_null(strchr(err.text, '\n'));
  }
  free(other);
  free(text);
  end(&m);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("table costs");
  TCase *tests = tcase_create("costs");
  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, test_measured);
  tcase_add_test(tests, test_by_curves);
  tcase_add_test(tests, test_roofline_and_order);
  tcase_add_test(tests, test_pieces);
  tcase_add_test(tests, test_files);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
