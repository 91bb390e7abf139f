/* test_transformer.c - the assembled model: prefill equals token-by-token decoding, batches equal
 * single sequences, a shared context equals one long sequence, counted work equals reported work,
 * for both families. */
#include <unistd.h>

#include "kernels/kernel_test.h"
#include "kernels/transformer.h"

static const celslm_transformer_shape llama = {
    CELSLM_FAMILY_LLAMA, 3, 64, 176, 8, 4, 97, 256, 1e-5f, 10000, CELSLM_ROPE_HALF};
static const celslm_transformer_shape opt = {
    CELSLM_FAMILY_OPT, 3, 96, 200, 6, 6, 101, 256, 1e-5f, 0, CELSLM_ROPE_HALF};

static celslm_transformer *make(int family) {
  celslm_transformer *t = celslm_transformer_random(family ? &opt : &llama, CELSLM_K_F32, 5);
  ck_assert_ptr_nonnull(t);
  return t;
}

enum { TOKENS = 70, VOCABULARY = 97 };

static void draw_tokens(int32_t *token, int n) {
  rng_seed(31);
  for (int i = 0; i < n; i++) token[i] = (int32_t)rng_int(0, VOCABULARY - 1);
}

START_TEST(prefill_equals_decoding) {
  FOR_LEVELS(level) {
    celslm_transformer *t = make(_i);
    int vocabulary = celslm_transformer_shape_of(t)->vocabulary;
    int32_t token[TOKENS];
    draw_tokens(token, TOKENS);
    float whole[128], step[128], parts[128];
    celslm_session *a = celslm_session_create(t, CELSLM_K_F32, TOKENS, NULL);
    celslm_session *b = celslm_session_create(t, CELSLM_K_F32, TOKENS, NULL);
    celslm_session *c = celslm_session_create(t, CELSLM_K_F32, TOKENS, NULL);
    celslm_transformer_forward(t, 1, &a, &(int64_t){TOKENS}, token, whole);
    for (int i = 0; i < TOKENS; i++)
      celslm_transformer_forward(t, 1, &b, &(int64_t){1}, token + i, step);
    celslm_transformer_forward(t, 1, &c, &(int64_t){33}, token, parts);
    celslm_transformer_forward(t, 1, &c, &(int64_t){TOKENS - 33}, token + 33, parts);
    ck_assert_int_eq(celslm_session_length(c), TOKENS);
    double e = relative_error(vocabulary, step, whole),
           f = relative_error(vocabulary, parts, whole);
    ck_assert_msg(e < 1e-5 && f < 1e-5, "level %d: %g, %g", level, e, f);
    celslm_session_free(a), celslm_session_free(b), celslm_session_free(c);
    celslm_transformer_free(t);
  }
}
END_TEST

/* Two users on one context, prefilled and decoded in one batch with a third sequence without it. */
START_TEST(shared_context_equals_one_sequence) {
  FOR_LEVELS(level) {
    celslm_transformer *t = make(_i);
    int vocabulary = celslm_transformer_shape_of(t)->vocabulary;
    int32_t token[TOKENS], batch[64];
    draw_tokens(token, TOKENS);
    enum { CONTEXT = 40, USER1 = 7, USER2 = 12, ALONE = 20 };
    celslm_session *context = celslm_session_create(t, CELSLM_K_F32, CONTEXT, NULL);
    float logits[3 * 128], want[3 * 128];
    celslm_transformer_forward(t, 1, &context, &(int64_t){CONTEXT}, token, logits);
    celslm_session *s[3] = {celslm_session_create(t, CELSLM_K_F32, 30, context),
                            celslm_session_create(t, CELSLM_K_F32, 30, context),
                            celslm_session_create(t, CELSLM_K_F32, 30, NULL)};
    const int64_t count[] = {USER1, USER2, ALONE}, ones[] = {1, 1, 1};
    memcpy(batch, token + CONTEXT, USER1 * sizeof *batch);
    memcpy(batch + USER1, token + CONTEXT + 9, USER2 * sizeof *batch);
    memcpy(batch + USER1 + USER2, token + 3, ALONE * sizeof *batch);
    celslm_transformer_forward(t, 3, s, count, batch, logits);
    int32_t next[3] = {11, 22, 33};
    celslm_transformer_forward(t, 3, s, ones, next, logits);
    for (int i = 0, at = 0; i < 3; at += (int)count[i++]) {
      celslm_session *one = celslm_session_create(t, CELSLM_K_F32, 100, NULL);
      float *w = want + i * vocabulary;
      if (i < 2) celslm_transformer_forward(t, 1, &one, &(int64_t){CONTEXT}, token, w);
      celslm_transformer_forward(t, 1, &one, &count[i], batch + at, w);
      celslm_transformer_forward(t, 1, &one, ones, next + i, w);
      ck_assert_int_eq(celslm_session_length(one), celslm_session_length(s[i]));
      celslm_session_free(one);
    }
    double e = relative_error(3 * vocabulary, logits, want);
    ck_assert_msg(e < 1e-5, "level %d: %g", level, e);
    for (int i = 0; i < 3; i++) celslm_session_free(s[i]);
    celslm_session_free(context);
    celslm_transformer_free(t);
  }
}
END_TEST

typedef struct list {
  int n;
  celslm_report r[256];
} list;

static void add_report(void *user, const celslm_report *r) {
  list *l = user;
  ck_assert_int_lt(l->n, 256);
  l->r[l->n++] = *r;
}

static void record(list *l, bool counting, int family) {
  celslm_transformer *t = make(family);
  celslm_session *context = celslm_session_create(t, CELSLM_K_F32, 40, NULL);
  celslm_session *s[2] = {celslm_session_create(t, CELSLM_K_F32, 40, context),
                          celslm_session_create(t, CELSLM_K_F32, 40, NULL)};
  int32_t token[TOKENS];
  float logits[2 * 128];
  draw_tokens(token, TOKENS);
  l->n = 0;
  celslm_set_hook(add_report, l);
  celslm_set_counting(counting);
  celslm_transformer_forward(t, 1, &context, &(int64_t){21}, token, logits);
  celslm_transformer_forward(t, 2, s, (int64_t[]){5, 1}, token, logits);
  celslm_transformer_forward(t, 2, s, (int64_t[]){1, 1}, token, logits);
  celslm_set_counting(false);
  celslm_set_hook(NULL, NULL);
  celslm_session_free(s[0]), celslm_session_free(s[1]), celslm_session_free(context);
  celslm_transformer_free(t);
}

START_TEST(reports_equal_counted_work) {
  static list fast, counted;
  record(&fast, false, _i);
  record(&counted, true, _i);
  ck_assert_int_gt(fast.n, 60);
  ck_assert_int_eq(fast.n, counted.n);
  for (int i = 0; i < fast.n; i++) {
    ck_assert_int_eq(fast.r[i].op, counted.r[i].op);
    ck_assert_msg(memcmp(&fast.r[i].work, &counted.r[i].work, sizeof fast.r[i].work) == 0,
                  "call %d, %s: work differs", i, celslm_kop_name(fast.r[i].op));
  }
}
END_TEST

START_TEST(bad_checkpoints_are_refused) {
  char path[] = "/tmp/celslm-test-XXXXXX", why[256];
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  ck_assert_ptr_null(celslm_transformer_load("/nowhere/at/all", CELSLM_K_F32, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "No such file"));
  ck_assert_ptr_null(celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why));
  const int32_t cases[][7] = {{64, 172, 5, 8, 4, 512, 512}, /* nothing follows */
                              {64, 172, 5, 7, 4, 512, 512}, {-1, 172, 5, 8, 4, 512, 512},
                              {64, 172, 5, 8, 3, 512, 512}, {64, 172, 5, 8, 4, INT32_MIN, 512},
                              {64, 172, 0, 8, 4, 512, 512}, {64, 172, 5, 0, 0, 512, 512}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert_int_eq(pwrite(fd, cases[i], sizeof cases[i], 0), sizeof cases[i]);
    ck_assert_ptr_null(celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why));
    ck_assert_int_gt((int)strlen(why), (int)strlen(path));
  }
  close(fd);
  unlink(path);
}
END_TEST

int main(void) {
  Suite *s = suite_create("transformer");
  TCase *t = tcase_create("transformer");
  tcase_add_loop_test(t, prefill_equals_decoding, 0, 2);
  tcase_add_loop_test(t, shared_context_equals_one_sequence, 0, 2);
  tcase_add_loop_test(t, reports_equal_counted_work, 0, 2);
  tcase_add_test(t, bad_checkpoints_are_refused);
  suite_add_tcase(s, t);
  return run_suite(s);
}
