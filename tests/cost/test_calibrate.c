/* test_calibrate.c - celslm calibrate as a user sees it: a profile that loads, refusals on one
 * line; and its plan, whose work is what the kernels themselves report. */
#include "cost/calibration.h"
#include "cost/operands.h"
#include "kernels/kernels.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs the program; its exit status, and what it wrote to both streams. */
static int run(const char *arguments, char *output, size_t size) {
  char command[1024];
  snprintf(command, sizeof command, "%s %s 2>&1 </dev/null", CELSLM_PROGRAM, arguments);
  FILE *f = popen(command, "r");
  ck_assert_ptr_nonnull(f);
  size_t n = fread(output, 1, size - 1, f);
  output[n] = '\0';
  int status = pclose(f);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

START_TEST(test_quick) {
  char folder[] = "/tmp/celslm-calibrate-XXXXXX", output[16384];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *arguments = celslm_format("calibrate --quick --threads 1 -o %s/p.xml --timings %s/t.csv "
                                  "--model %s/platforms/models/qwen2.5-0.5b.xml",
                                  folder, folder, CELSLM_SOURCE_DIR);
  char *file = celslm_format("%s/p.xml", folder), *table = celslm_format("%s/t.csv", folder);
  int status = run(arguments, output, sizeof output);
  ck_assert_msg(status == 0, "%s", output);
  celslm_error err = {0};
  celslm_profile *p = celslm_profile_load(file, &err); /* checks rates against peaks */
  ck_assert_msg(p, "%s", err.text);
  ck_assert_str_eq(p->name, "this-machine");
  for (int k = 0; k < CELSLM_CURVES; k++) {
    const celslm_curve *c = &p->curves[k];
    ck_assert(isfinite(c->flop_rate) && isfinite(c->half_rows) && isfinite(c->byte_rate));
    ck_assert(isfinite(c->residual_median) && c->residual_median <= c->residual_p95);
    ck_assert(c->rows_min >= 1 && c->rows_max > c->rows_min);
    ck_assert_ptr_nonnull(strstr(c->source, "measured: "));
    ck_assert_ptr_nonnull(strstr(output, celslm_curve_name((celslm_curve_kind)k)));
  }
  static const char *const codecs[] = {"int8", "int4", "tokens"};
  for (int i = 0; i < 3; i++) {
    const celslm_codec_cost *c = celslm_profile_codec(p, codecs[i]);
    ck_assert_ptr_nonnull(c);
    /* No core codes faster than its memory is read, nor slower than a byte in ten cycles. */
    ck_assert(c->encode > 1e8 && c->encode < 2e11 && c->decode > 1e8 && c->decode < 2e11);
    ck_assert(c->overhead >= 0 && c->overhead < 1e-3);
    ck_assert_ptr_nonnull(strstr(c->source, "measured: "));
  }
  ck_assert_ptr_nonnull(strstr(output, "One layer of Qwen2.5-0.5B"));
  ck_assert_ptr_nonnull(strstr(output, "quiet machine: ") ? output
                                                          : strstr(output, "NOISY MACHINE: "));
  ck_assert_ptr_null(strchr(output, '\r')); /* no progress bar in a pipe */
  FILE *f = fopen(table, "r");
  ck_assert_ptr_nonnull(f);
  int lines = 0;
  for (int ch; (ch = getc(f)) != EOF;) lines += ch == '\n';
  fclose(f);
  ck_assert_int_gt(lines, 50);
  celslm_profile_free(p);
  ck_assert_int_eq(unlink(file), 0);
  ck_assert_int_eq(unlink(table), 0);
  ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left there */
  free(arguments);
  free(file);
  free(table);
}
END_TEST

static const struct {
  const char *arguments, *says;
} bad[] = {
    {"--frobnicate", "celslm: calibrate does not know \"--frobnicate\"; `celslm calibrate --help` "
                     "lists its options\n"},
    {"extra", "celslm: calibrate does not know \"extra\"; `celslm calibrate --help` lists its "
              "options\n"},
    {"-o", "celslm: -o needs a value\n"},
    {"--threads 0", "celslm: --threads \"0\" is no number of threads; give 1 to 1024\n"},
    {"--threads two", "celslm: --threads \"two\" is no number of threads; give 1 to 1024\n"},
    {"--threads ''", "celslm: --threads \"\" is no number of threads; give 1 to 1024\n"},
    {"--threads 1000 -o /tmp/x.xml", NULL}, /* more than there are, on most machines */
    {"-o /no/such/folder/x.xml", "/no/such/folder/x.xml: there is no folder /no/such/folder; make "
                                 "it, or choose another file\n"},
    {"-o /tmp", "/tmp: is a folder; give the name of a file\n"},
    {"-o /tmp/x.xml --timings /no/such/t.csv",
     "/no/such/t.csv: there is no folder /no/such; make it, or choose another file\n"},
    {"-o /tmp/x.xml --model /no/such/model.xml", NULL},
};

START_TEST(test_bad_input) {
  char output[4096];
  char *arguments = celslm_format("calibrate %s", bad[_i].arguments);
  unlink("/tmp/x.xml");
  if (strstr(arguments, "1000") && sysconf(_SC_NPROCESSORS_ONLN) >= 1000) return;
  ck_assert_int_eq(run(arguments, output, sizeof output), 2);
  if (bad[_i].says) ck_assert_str_eq(output, bad[_i].says);
  ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1); /* one line */
  ck_assert_int_ne(access("/tmp/x.xml", F_OK), 0);
  free(arguments);
}
END_TEST

START_TEST(test_help) {
  char output[4096];
  ck_assert_int_eq(run("calibrate --help", output, sizeof output), 0);
  ck_assert_ptr_nonnull(strstr(output, "usage: celslm calibrate"));
}
END_TEST

/* ---- the plan's work ------------------------------------------------------------------------- */

static void add_report(void *sum, const celslm_report *r) {
  celslm_work *w = sum;
  w->flops += r->work.flops;
  w->weight_bytes += r->work.weight_bytes;
  /* The op list counts activations in and out of the attention, not again of the append. */
  if (r->op != CELSLM_KOP_KV_APPEND) w->activation_bytes += r->work.activation_bytes;
  w->kv_bytes += r->work.kv_bytes;
}

/* The work of a point as its kernels report it. */
static celslm_work reported(const celslm_point *p) {
  celslm_work sum = {0};
  int64_t q = (int64_t)p->q_heads * p->head_dim, kv = (int64_t)p->kv_heads * p->head_dim;
  float *in = calloc((size_t)(p->m * (p->k + q + p->n) + (p->past + p->m) * kv * 2 + p->n * p->k),
                     sizeof *in);
  float *out = calloc((size_t)(p->m * (p->n + q)), sizeof *out);
  if (p->kind == CELSLM_TIMED_GEMM) {
    celslm_packed *w = celslm_pack(CELSLM_K_F32, p->n, p->k, in, p->k, 0);
    celslm_set_hook(add_report, &sum);
    celslm_gemm(w, p->m, in, p->k, out, p->n, NULL);
    celslm_set_hook(NULL, NULL);
    celslm_packed_free(w);
  } else {
    bool decode = p->kind == CELSLM_TIMED_DECODE;
    int64_t n = decode ? p->m : 1, each = decode ? 1 : p->m;
    celslm_kv **caches = calloc((size_t)n, sizeof *caches);
    for (int64_t i = 0; i < n; i++) {
      caches[i] = celslm_kv_create(CELSLM_K_F32, p->kv_heads, p->head_dim, p->past + each);
      celslm_kv_append(caches[i], p->past, in, kv, in, kv);
    }
    celslm_set_hook(add_report, &sum);
    for (int64_t i = 0; i < n; i++) celslm_kv_append(caches[i], each, in, kv, in, kv);
    if (decode)
      celslm_attention_decode((const celslm_kv *const *)caches, n, p->q_heads, in, out, NULL);
    else
      celslm_attention_prefill(caches[0], p->q_heads, p->m, true, in, out, NULL);
    celslm_set_hook(NULL, NULL);
    for (int64_t i = 0; i < n; i++) celslm_kv_free(caches[i]);
    free(caches);
  }
  free(in);
  free(out);
  return sum;
}

START_TEST(test_plan) {
  celslm_error err = {0};
  celslm_model m;
  ck_assert_msg(celslm_model_load(CELSLM_SOURCE_DIR "/platforms/models/qwen2.5-0.5b.xml", &m, &err),
                "%s", err.text);
  celslm_plan_options o = {
      .models = &m, .n_models = 1, .quick = _i, .peak = 1e11, .bandwidth = 1e10, .longest = 0.2};
  celslm_plan plan = celslm_plan_make(&o);
  int of_kind[4] = {0}, compared = 0;
  for (int i = 0; i < plan.n; i++) {
    const celslm_point *p = &plan.points[i];
    of_kind[p->kind]++;
    ck_assert(p->m >= 1 && p->timing.rows == (double)p->m && p->timing.bytes > 0);
    if (p->kind == CELSLM_TIMED_NORM || p->timing.flops > 3e7 || p->timing.bytes > 3e7) continue;
    celslm_work w = reported(p);
    ck_assert_double_eq((double)w.flops, p->timing.flops);
    ck_assert_double_eq((double)(w.weight_bytes + w.activation_bytes + w.kv_bytes),
                        p->timing.bytes);
    compared++;
  }
  for (int k = 0; k < 4; k++) ck_assert_int_ge(of_kind[k], 20);
  ck_assert_int_ge(compared, 20);
  celslm_plan_free(&plan);
  celslm_model_clear(&m);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("calibrate");
  TCase *tests = tcase_create("calibrate");
  tcase_add_loop_test(tests, test_plan, 0, 2);
  tcase_add_test(tests, test_help);
  tcase_add_loop_test(tests, test_bad_input, 0, sizeof bad / sizeof *bad);
  tcase_add_test(tests, test_quick);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
