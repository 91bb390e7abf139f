/* test_op_list.c - the op list's FLOPs and bytes are those that a real model's kernels count in
 * their inner loops, term by term: products with what is fused into them, attention, rotation,
 * norms, embedding; prefill in two chunks and a decoding batch, with and without a shared context.
 */
#include "kernels/hook.h"
#include "kernels/transformer.h"
#include "model/ops.h"

#include <check.h>
#include <stdlib.h>

static const celslm_transformer_shape shape = {
    CELSLM_FAMILY_LLAMA, 3, 64, 176, 8, 4, 97, 256, 1e-5f, 10000, CELSLM_ROPE_HALF};
static const celslm_model model = {.layers = 3,
                                   .hidden = 64,
                                   .heads = 8,
                                   .kv_heads = 4,
                                   .head_dim = 8,
                                   .ffn = 176,
                                   .gated = true,
                                   .vocabulary = 97};

typedef struct sums {
  celslm_work of[CELSLM_KOP_COUNT];
} sums;

static void add_work(celslm_work *to, const celslm_work *w) {
  to->flops += w->flops;
  to->weight_bytes += w->weight_bytes;
  to->activation_bytes += w->activation_bytes;
  to->kv_bytes += w->kv_bytes;
}

static void add_report(void *user, const celslm_report *r) {
  add_work(&((sums *)user)->of[r->op], &r->work);
}

static void add_op(celslm_work *to, celslm_op op, double times) {
  add_work(to, &(celslm_work){(uint64_t)(times * op.flops), (uint64_t)(times * op.weight_bytes),
                              (uint64_t)(times * op.activation_bytes),
                              (uint64_t)(times * op.kv_bytes)});
}

static void check_same(const char *what, const celslm_work *list, const celslm_work *counted) {
  ck_assert_msg(list->flops == counted->flops && list->weight_bytes == counted->weight_bytes &&
                    list->activation_bytes == counted->activation_bytes &&
                    list->kv_bytes == counted->kv_bytes,
                "%s: the list has %lu FLOPs, %lu + %lu + %lu B, the kernels counted %lu, "
                "%lu + %lu + %lu",
                what, list->flops, list->weight_bytes, list->activation_bytes, list->kv_bytes,
                counted->flops, counted->weight_bytes, counted->activation_bytes,
                counted->kv_bytes);
}

/* One pass of `rows` tokens with `outputs` logits; `attention` has its attention of one layer. */
static void check_pass(const sums *counted, double rows, double outputs, celslm_op attention) {
  celslm_shape s = celslm_shape_of(&model, CELSLM_F32, CELSLM_F32);
  double layers = (double)model.layers;
  celslm_work products = {0}, rope = {0}, norms = {0}, embed = {0}, attended = {0};
  static const celslm_op_kind matrices[] = {CELSLM_OP_QKV, CELSLM_OP_OUTPUT, CELSLM_OP_MLP_IN,
                                            CELSLM_OP_MLP_OUT};
  for (int i = 0; i < 4; i++) add_op(&products, celslm_op_dense(&s, matrices[i], rows), layers);
  add_op(&products, celslm_op_dense(&s, CELSLM_OP_HEAD, outputs), 1);
  /* The MLP's input is one product in the list; gate and up are two here, and read it twice. */
  products.activation_bytes += (uint64_t)(4 * layers * rows * (double)model.hidden);
  add_op(&products, celslm_op_fused(&s, CELSLM_OP_GATE, rows), layers);
  add_op(&products, celslm_op_fused(&s, CELSLM_OP_RESIDUAL, rows), 2 * layers);
  check_same("products", &products, &counted->of[CELSLM_KOP_GEMM]);
  add_op(&rope, celslm_op_dense(&s, CELSLM_OP_ROPE, rows), layers);
  check_same("rotation", &rope, &counted->of[CELSLM_KOP_ROPE]);
  add_op(&embed, celslm_op_dense(&s, CELSLM_OP_EMBED, rows), 1);
  check_same("embedding", &embed, &counted->of[CELSLM_KOP_EMBED]);
  /* Norms: their arithmetic is not in the list, nor the one row of weights. */
  add_op(&norms, celslm_op_dense(&s, CELSLM_OP_NORM, rows), 2 * layers);
  add_op(&norms, celslm_op_dense(&s, CELSLM_OP_NORM, outputs), 1);
  ck_assert_uint_eq(norms.activation_bytes, counted->of[CELSLM_KOP_RMSNORM].activation_bytes);
  /* Attention with its append, whose activations the list counts with the product before. */
  celslm_work all = counted->of[CELSLM_KOP_KV_APPEND];
  all.activation_bytes = 0;
  add_work(&all, &counted->of[CELSLM_KOP_ATTN_PREFILL]);
  add_work(&all, &counted->of[CELSLM_KOP_ATTN_DECODE]);
  add_work(&all, &counted->of[CELSLM_KOP_ATTN_MERGED]);
  add_op(&attended, attention, layers);
  /* Two segments, which the list does not tell apart, are united. */
  if (counted->of[CELSLM_KOP_ATTN_MERGED].flops)
    attended.flops += (uint64_t)(3 * layers * rows * (double)(model.heads * model.head_dim));
  check_same("attention", &attended, &all);
}

static sums run(const celslm_transformer *t, int64_t n, celslm_session *const *s,
                const int64_t *count, bool counting) {
  static const int32_t tokens[32] = {3, 1, 4, 1, 5, 9, 2, 6};
  float logits[3 * 97];
  sums counted = {0};
  celslm_set_hook(add_report, &counted);
  celslm_set_counting(counting);
  celslm_transformer_forward(t, n, s, count, tokens, logits);
  celslm_set_counting(false);
  celslm_set_hook(NULL, NULL);
  return counted;
}

/* _i 1: counted in the inner loops; 0: as the fast kernels report. */
START_TEST(test_list_equals_kernels) {
  celslm_transformer *t = celslm_transformer_random(&shape, CELSLM_K_F32, 7);
  celslm_shape s = celslm_shape_of(&model, CELSLM_F32, CELSLM_F32);
  celslm_session *one[3];
  for (int i = 0; i < 3; i++) one[i] = celslm_session_create(t, CELSLM_K_F32, 100, NULL);
  sums w = run(t, 1, one, (int64_t[]){13}, _i);
  check_pass(&w, 13, 1, celslm_op_prefill(&s, 13, 0));
  w = run(t, 1, one, (int64_t[]){9}, _i);
  check_pass(&w, 9, 1, celslm_op_prefill(&s, 9, 13));
  run(t, 1, one + 1, (int64_t[]){5}, _i);
  run(t, 1, one + 2, (int64_t[]){30}, _i);
  w = run(t, 3, one, (int64_t[]){1, 1, 1}, _i);
  double read = 23 + 6 + 31; /* the new tokens see themselves */
  check_pass(&w, 3, 3, celslm_op_decode(&s, 3, read, read));
  /* On a context, which is read once for all. */
  celslm_session *context = celslm_session_create(t, CELSLM_K_F32, 41, NULL), *on[3];
  run(t, 1, &context, (int64_t[]){27}, _i);
  for (int i = 0; i < 3; i++) on[i] = celslm_session_create(t, CELSLM_K_F32, 9, context);
  w = run(t, 3, on, (int64_t[]){1, 1, 1}, _i);
  check_pass(&w, 3, 3, celslm_op_decode(&s, 3, 3 * 28, 27 + 3));
  for (int i = 0; i < 3; i++) celslm_session_free(one[i]), celslm_session_free(on[i]);
  celslm_session_free(context);
  celslm_transformer_free(t);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("op list");
  TCase *tests = tcase_create("op list");
  tcase_add_loop_test(tests, test_list_equals_kernels, 0, 2);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
