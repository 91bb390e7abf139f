/* test_models.c - the shipped model files: their dimensions reproduce the published number of
 * parameters exactly, by the formula of each family. */
#include "scenario/model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const files[] = {
    "opt-125m",     "opt-350m",       "opt-1.3b",     "opt-2.7b",     "opt-6.7b",
    "opt-13b",      "opt-30b",        "llama-2-7b",   "llama-2-13b",  "llama-2-70b",
    "llama-3.1-8b", "llama-3.1-70b",  "llama-3.2-1b", "llama-3.2-3b", "qwen2.5-0.5b",
    "qwen2.5-1.5b", "qwen2.5-3b",     "qwen2.5-7b",   "qwen2.5-14b",  "qwen2.5-32b",
    "qwen2.5-72b",  "tinyllama-1.1b", "phi-3-mini",   "gemma-2-2b",   "gemma-2-9b",
    "mistral-7b",   "qwen3-0.6b",     "qwen3-1.7b",   "qwen3-8b",     "qwen3-14b",
    "qwen3-32b",
};

static bool starts(const char *s, const char *with) {
  return strncmp(s, with, strlen(with)) == 0;
}

/* Parameters from dimensions. d width, q and kv widths of all heads, f inner width of the MLP. */
static int64_t count(const celslm_model *m) {
  int64_t d = m->hidden, q = m->heads * m->head_dim, kv = m->kv_heads * m->head_dim, f = m->ffn;
  int64_t layer = d * (q + 2 * kv) + q * d + (m->gated ? 3 : 2) * d * f;
  int64_t rest = 0, embedding = m->vocabulary * d;
  if (starts(m->name, "OPT")) {
    layer += 4 * d + f + d;                 /* biases of q, k, v, o and of both MLP matrices */
    layer += 2 * 2 * d;                     /* two layer norms with weight and bias */
    rest = (m->max_context + 2) * d;        /* learned positions */
    if (strcmp(m->name, "OPT-350M") == 0) { /* post-norm; embedding of width 512 and projections */
      embedding = m->vocabulary * 512;
      rest += 2 * 512 * d;
    } else {
      rest += 2 * d; /* final layer norm */
    }
  } else {
    layer += 2 * d;                                         /* two RMS norms */
    rest = d;                                               /* and a final one */
    if (starts(m->name, "Qwen2.5")) layer += q + 2 * kv;    /* biases of q, k, v */
    if (starts(m->name, "Qwen3")) layer += 2 * m->head_dim; /* norms of q and k heads */
    if (starts(m->name, "Gemma-2")) layer += 2 * d;         /* norms after attention and MLP */
  }
  return m->layers * layer + (m->tied_embeddings ? 1 : 2) * embedding + rest;
}

START_TEST(test_parameters) {
  celslm_error err = {""};
  celslm_model m;
  char *file = celslm_format("%s/platforms/models/%s.xml", CELSLM_SOURCE_DIR, files[_i]);
  ck_assert_msg(celslm_model_load(file, &m, &err), "%s", err.text);
  ck_assert_msg(count(&m) == m.parameters, "%s: %lld from the dimensions, %lld published", m.name,
                (long long)count(&m), (long long)m.parameters);
  ck_assert_uint_gt(strlen(m.source), 0);
  ck_assert_int_eq(m.absolute_positions, starts(m.name, "OPT"));
  celslm_model_clear(&m);
  free(file);
}
END_TEST

START_TEST(test_dtypes) {
  static const struct {
    const char *name;
    double bytes;
  } expected[] = {{"f32", 4}, {"f16", 2}, {"bf16", 2}, {"fp8", 1}, {"int8", 1}, {"int4", 0.5}};
  for (int d = 0; d < CELSLM_DTYPES; d++) {
    ck_assert_str_eq(celslm_dtype_name((celslm_dtype)d), expected[d].name);
    ck_assert(celslm_dtype_bytes((celslm_dtype)d) == expected[d].bytes);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("models");
  TCase *tests = tcase_create("models");
  tcase_add_loop_test(tests, test_parameters, 0, sizeof files / sizeof *files);
  tcase_add_test(tests, test_dtypes);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
