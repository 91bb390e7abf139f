/* test_profile.c - device profiles: the shipped ones load; saving and loading gives the same
 * doubles; a save that fails leaves nothing behind. */
#include "scenario/profile.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const shipped[] = {"a100-80gb", "h100-sxm", "rtx-4090", "jetson-agx-orin",
                                      "jetson-orin-nano"};

static celslm_profile *load(const char *file) {
  celslm_error err = {""};
  celslm_profile *p = celslm_profile_load(file, &err);
  ck_assert_msg(p != NULL, "%s", err.text);
  return p;
}

START_TEST(test_shipped) {
  char *file = celslm_format("%s/platforms/profiles/%s.xml", CELSLM_SOURCE_DIR, shipped[_i]);
  celslm_profile *p = load(file);
  ck_assert(isfinite(p->peak[CELSLM_F16]) && isfinite(p->peak[p->curve_dtype]));
  ck_assert(p->memory > 1e9 && p->bandwidth > 1e9 && p->power_max > p->power_idle);
  for (int k = 0; k < CELSLM_CURVES; k++) {
    const celslm_curve *c = &p->curves[k];
    ck_assert(c->flop_rate > 0 && c->flop_rate <= p->peak[p->curve_dtype]);
    ck_assert(c->byte_rate > 0 && c->byte_rate <= p->bandwidth);
    ck_assert(c->latency > 0 && c->latency < 1e-3 && c->half_rows >= 0);
    ck_assert_uint_gt(strlen(c->source), 10);
    /* fitted or assumed: one of the two is said */
    ck_assert(isfinite(c->residual_median) ==
              (strstr(c->source, "fitted") != NULL && strstr(c->source, "assumption") == NULL));
  }
  for (int d = 0; d < CELSLM_DTYPES; d++)
    ck_assert((p->peak_source[d] != NULL) == isfinite(p->peak[d]));
  celslm_profile_free(p);
  free(file);
}
END_TEST

/* A double with a full mantissa. */
static double odd(double about) {
  static unsigned state = 1;
  state = state * 1664525 + 1013904223;
  return about * (1 + state / 4294967296.0 / 3);
}

static void check_same(double a, double b) {
  ck_assert_msg((isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0, "%.17g and %.17g", a, b);
}

START_TEST(test_round_trip) {
  celslm_error err = {""};
  celslm_profile p = {.name = "a <strange> & \"quoted\" name",
                      .memory = odd(16e9),
                      .bandwidth = odd(34e9),
                      .power_idle = odd(10),
                      .power_max = odd(40),
                      .step_overhead = odd(5e-5),
                      .layer_overhead = odd(2e-6),
                      .sequence_overhead = 0,
                      .curve_dtype = CELSLM_F32,
                      .memory_source = "/proc/meminfo"};
  for (int d = 0; d < CELSLM_DTYPES; d++) p.peak[d] = NAN;
  p.peak[CELSLM_F32] = odd(300e9);
  p.peak[CELSLM_BF16] = odd(600e9);
  p.peak_source[CELSLM_F32] = "measured: fused\tmultiply-adds";
  for (int k = 0; k < CELSLM_CURVES; k++)
    p.curves[k] = (celslm_curve){.flop_rate = odd(100e9),
                                 .half_rows = k ? odd(3) : 0,
                                 .byte_rate = odd(20e9),
                                 .latency = odd(1e-6),
                                 .append_rate = k == CELSLM_CURVE_DECODE ? odd(1e9) : 0,
                                 .residual_median = k == 1 ? NAN : odd(0.05),
                                 .residual_p95 = k == 1 ? NAN : odd(0.2),
                                 .rows_min = 1,
                                 .rows_max = k == 2 ? INFINITY : odd(2048),
                                 .source = "fit"};
  celslm_codec_cost codecs[] = {{"int8", odd(2e9), odd(3e9), odd(1e-6), "measured"},
                                {"a & b", odd(1e9), odd(5e9), 0, NULL}};
  p.codecs = codecs;
  p.n_codecs = 2;
  char folder[] = "/tmp/celslm-test-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *file = celslm_format("%s/p.xml", folder), *part = celslm_format("%s.part", file);
  ck_assert_msg(celslm_profile_save(&p, file, &err), "%s", err.text);
  ck_assert_int_ne(access(part, F_OK), 0);
  celslm_profile *q = load(file);
  ck_assert_str_eq(q->name, p.name);
  ck_assert_str_eq(q->peak_source[CELSLM_F32], p.peak_source[CELSLM_F32]);
  ck_assert_str_eq(q->peak_source[CELSLM_BF16], "not stated");
  ck_assert_str_eq(q->memory_source, "/proc/meminfo");
  for (int d = 0; d < CELSLM_DTYPES; d++) check_same(p.peak[d], q->peak[d]);
  check_same(p.memory, q->memory);
  check_same(p.bandwidth, q->bandwidth);
  check_same(p.power_idle, q->power_idle);
  check_same(p.power_max, q->power_max);
  check_same(p.step_overhead, q->step_overhead);
  check_same(p.layer_overhead, q->layer_overhead);
  check_same(p.sequence_overhead, q->sequence_overhead);
  ck_assert_int_eq(q->curve_dtype, CELSLM_F32);
  for (int k = 0; k < CELSLM_CURVES; k++) {
    const celslm_curve *a = &p.curves[k], *b = &q->curves[k];
    check_same(a->flop_rate, b->flop_rate);
    check_same(a->half_rows, b->half_rows);
    check_same(a->byte_rate, b->byte_rate);
    check_same(a->latency, b->latency);
    check_same(a->append_rate, b->append_rate);
    check_same(a->residual_median, b->residual_median);
    check_same(a->residual_p95, b->residual_p95);
    check_same(a->rows_min, b->rows_min);
    check_same(a->rows_max, b->rows_max);
    ck_assert_str_eq(b->source, "fit");
  }
  ck_assert_int_eq(q->n_codecs, 2);
  for (int i = 0; i < 2; i++) {
    const celslm_codec_cost *c = celslm_profile_codec(q, codecs[i].name);
    ck_assert_ptr_nonnull(c);
    check_same(c->encode, codecs[i].encode);
    check_same(c->decode, codecs[i].decode);
    check_same(c->overhead, codecs[i].overhead);
    ck_assert_str_eq(c->source, i ? "not stated" : "measured");
  }
  ck_assert_ptr_null(celslm_profile_codec(q, "int4"));
  celslm_profile_free(q);
  unlink(file);
  rmdir(folder);
  free(file);
  free(part);
}
END_TEST

/* What is shipped, through save and load. */
START_TEST(test_shipped_round_trip) {
  celslm_error err = {""};
  char folder[] = "/tmp/celslm-test-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *from = celslm_format("%s/platforms/profiles/%s.xml", CELSLM_SOURCE_DIR, shipped[_i]);
  char *a = celslm_format("%s/a.xml", folder), *b = celslm_format("%s/b.xml", folder);
  celslm_profile *p = load(from);
  ck_assert(celslm_profile_save(p, a, &err));
  celslm_profile *q = load(a);
  ck_assert(celslm_profile_save(q, b, &err));
  celslm_profile *r = load(b);
  ck_assert_str_eq(q->text, r->text);
  celslm_profile_free(p);
  celslm_profile_free(q);
  celslm_profile_free(r);
  unlink(a);
  unlink(b);
  rmdir(folder);
  free(from);
  free(a);
  free(b);
}
END_TEST

START_TEST(test_cannot_save) {
  celslm_error err = {""};
  char *file = celslm_format("%s/profiles/gpu.xml", CELSLM_TEST_DATA);
  celslm_profile *p = load(file);
  ck_assert(!celslm_profile_save(p, "/nowhere/p.xml", &err));
  ck_assert_str_eq(err.text, "/nowhere/p.xml: cannot be written: No such file or directory; give a "
                             "file in a folder that can be written");
  err.text[0] = 0;
  ck_assert(!celslm_profile_save(p, "/dev/full/p.xml", &err));
  ck_assert_ptr_nonnull(strstr(err.text, "cannot be written: "));

  char folder[] = "/tmp/celslm-test-XXXXXX"; /* the target is a folder: rename fails */
  ck_assert_ptr_nonnull(mkdtemp(folder));
  err.text[0] = 0;
  ck_assert(!celslm_profile_save(p, folder, &err));
  char *part = celslm_format("%s.part", folder);
  ck_assert_int_ne(access(part, F_OK), 0);
  rmdir(folder);
  free(part);
  celslm_profile_free(p);
  free(file);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("profile");
  TCase *tests = tcase_create("profile");
  tcase_add_loop_test(tests, test_shipped, 0, sizeof shipped / sizeof *shipped);
  tcase_add_loop_test(tests, test_shipped_round_trip, 0, sizeof shipped / sizeof *shipped);
  tcase_add_test(tests, test_round_trip);
  tcase_add_test(tests, test_cannot_save);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
