/* test_profile_fit.c - profiles from kernel tables: the fit finds curves that made the data, also
 * from files; shipped profiles obey their roofline and grow with their sizes; bad tables are named
 * by file and line. With outside data: the fitted curves of four GPUs. */
#include "profile_support.h"

#include "cost/cost.h"
#include "cost/curves.h"

#include <glob.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>

static const double peak = 100e12, bandwidth = 1e12;

/* ---- synthetic kernels ---- */

static const celslm_curve truths[] = {
    {.flop_rate = 80e12,
     .half_rows = 60,
     .rows_sharpness = 1,
     .byte_rate = 0.8e12,
     .latency = 4e-6},
    {.flop_rate = 60e12,
     .half_rows = 10,
     .rows_sharpness = 1,
     .byte_rate = 0.9e12,
     .latency = 2e-6,
     .sharpness = 3},
    {.flop_rate = 90e12,
     .half_rows = 128,
     .rows_sharpness = 4,
     .byte_rate = 0.7e12,
     .latency = 8e-6,
     .sharpness = 2},
};
enum { TRUTHS = sizeof truths / sizeof *truths };

static int products(celslm_kernel *to, const celslm_curve *c, double noise, gsl_rng *r) {
  int n = 0, shape = 0;
  for (double cols = 512; cols <= 16384; cols *= 2)
    for (double in = 1024; in <= 8192; in *= 2, shape++)
      for (double m = 1; m <= 4096; m *= 2, n++) {
        to[n] = (celslm_kernel){.key = {cols, in, m},
                                .rows = m,
                                .shape = shape,
                                .flops = 2 * m * cols * in,
                                .bytes = 2 * (cols * in + m * (cols + in))};
        to[n].seconds =
            celslm_curve_time(c, to[n].flops, to[n].bytes, m) * exp(gsl_ran_gaussian(r, noise));
      }
  return n;
}

START_TEST(test_synthetic) {
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  celslm_kernel *kernels = celslm_alloc(2000, sizeof *kernels);
  celslm_error err = {""};
  double noise = _i < TRUTHS ? 0 : 0.04;
  const celslm_curve *truth = &truths[_i % TRUTHS];
  celslm_kernels list = {.at = kernels, .shapes = 24, .shape_name = "(n,k) shapes", .file = "x"};
  list.n = products(kernels, truth, noise, r);
  celslm_curve_fit f;
  ck_assert_msg(
      celslm_curve_fit_kernels(&list, CELSLM_CURVE_GEMM, peak, bandwidth, false, &f, &err), "%s",
      err.text);
  ck_assert_int_eq(f.held_shapes, 6);
  ck_assert_int_eq(f.shapes, 24);
  ck_assert_double_lt(f.curve.residual_median, noise ? 0.04 : 0.005);
  for (double m = 1; m <= 4096; m *= 4) { /* a shape of none of them */
    double flops = 2 * m * 3000 * 5000, bytes = 2 * (3000 * 5000 + m * 8000);
    double ratio =
        celslm_curve_time(&f.curve, flops, bytes, m) / celslm_curve_time(truth, flops, bytes, m);
    ck_assert_msg(fabs(ratio - 1) < (noise ? 0.06 : 0.02), "m %g: %g", m, ratio);
  }
  ck_assert_double_le(f.curve.flop_rate, peak);
  ck_assert_double_le(f.curve.byte_rate, bandwidth);
  free(kernels);
  gsl_rng_free(r);
}
END_TEST

/* Decode attention that appends, of sequences few and many: the rate of appending is found too. */
START_TEST(test_appends) {
  const celslm_curve truth = {.flop_rate = 50e12,
                              .half_rows = 2,
                              .rows_sharpness = 1,
                              .byte_rate = 0.7e12,
                              .latency = 9e-6,
                              .append_rate = 20e9};
  celslm_kernel *kernels = celslm_alloc(2000, sizeof *kernels);
  celslm_error err = {""};
  int n = 0, shape = 0;
  for (double kv = 512; kv <= 2048; kv *= 2)
    for (double group = 1; group <= 8; group *= 2, shape++)
      for (double m = 1; m <= 256; m *= 4)
        for (double context = 64; context <= 16384; context *= 4, n++) {
          double flops = 4 * m * context * kv * group, appended = 4 * m * kv;
          double bytes = appended * (context + 1);
          kernels[n] = (celslm_kernel){.key = {kv, group, m, context},
                                       .rows = m,
                                       .shape = shape,
                                       .flops = flops,
                                       .bytes = bytes,
                                       .appended = appended,
                                       .seconds = celslm_curve_time(&truth, flops, bytes, m) +
                                                  celslm_curve_append(&truth, appended)};
        }
  celslm_kernels list = {
      .at = kernels, .n = n, .shapes = shape, .shape_name = "(shapes)", .file = "x"};
  celslm_curve_fit f;
  ck_assert_msg(
      celslm_curve_fit_kernels(&list, CELSLM_CURVE_DECODE, peak, bandwidth, true, &f, &err), "%s",
      err.text);
  ck_assert_double_lt(f.curve.residual_median, 0.005);
  ck_assert_double_lt(fabs(f.curve.append_rate / truth.append_rate - 1), 0.02);
  ck_assert_double_lt(fabs(f.curve.byte_rate / truth.byte_rate - 1), 0.02);
  free(kernels);
}
END_TEST

/* Measured in a cache: left out, and what is left does not beat the roofline. */
START_TEST(test_cached) {
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  celslm_kernel *kernels = celslm_alloc(2000, sizeof *kernels);
  celslm_error err = {""};
  celslm_kernels list = {.at = kernels, .shapes = 24, .shape_name = "(n,k) shapes", .file = "x"};
  list.n = products(kernels, &truths[0], 0, r);
  int cached = 0;
  for (int i = 0; i < list.n; i++)
    if (kernels[i].key[0] * kernels[i].key[1] <= 1 << 20) {
      kernels[i].seconds = 0.5 * fmax(kernels[i].flops / peak, kernels[i].bytes / bandwidth);
      cached++;
    }
  celslm_curve_fit f;
  ck_assert(celslm_curve_fit_kernels(&list, CELSLM_CURVE_GEMM, peak, bandwidth, false, &f, &err));
  ck_assert_int_gt(cached, 0);
  ck_assert_int_eq(f.cached, cached);
  for (int i = 0; i < list.n; i++) {
    double t = celslm_curve_time(&f.curve, kernels[i].flops, kernels[i].bytes, kernels[i].rows);
    ck_assert_double_ge(t, kernels[i].flops / peak);
    ck_assert_double_ge(t, kernels[i].bytes / bandwidth);
  }
  list.n = 3;
  ck_assert(!celslm_curve_fit_kernels(&list, CELSLM_CURVE_GEMM, peak, bandwidth, true, &f, &err));
  ck_assert_ptr_nonnull(strstr(err.text, "too few"));
  free(kernels);
  gsl_rng_free(r);
}
END_TEST

START_TEST(test_link) {
  celslm_allreduce a[60];
  celslm_error err = {""};
  celslm_link_fit f;
  int n = 0;
  for (double g = 2; g <= 8; g *= 2)
    for (double bytes = 256; bytes < 1e9; bytes *= 4, n++)
      a[n] = (celslm_allreduce){g, bytes, celslm_allreduce_time(6e-6, 0.4e-6, 150e9, g, bytes)};
  ck_assert(celslm_link_fit_times(a, n, &f, &err));
  ck_assert_double_lt(fabs(f.start / 6e-6 - 1), 0.02);
  ck_assert_double_lt(fabs(f.latency / 0.4e-6 - 1), 0.05);
  ck_assert_double_lt(fabs(f.rate / 150e9 - 1), 0.01);
  ck_assert_double_eq(celslm_allreduce_time(1, 1, 1, 1, 1e9), 0);
  ck_assert(!celslm_link_fit_times(a, 3, &f, &err));
}
END_TEST

/* ---- from files ---- */

static char *base_profile(void) {
  return celslm_format("%s/platforms/profiles/a100-80gb.xml", CELSLM_SOURCE_DIR);
}

START_TEST(test_command) {
  char *folder = make_folder(), *base = base_profile();
  char *gemm = celslm_format("%s/gemm.csv", folder), *made = celslm_format("%s/p.xml", folder);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  celslm_kernel *kernels = celslm_alloc(2000, sizeof *kernels);
  int n = products(kernels, &truths[0], 0, r);
  FILE *f = fopen(gemm, "w");
  fputs("m,n,k,time_us\n", f);
  for (int i = 0; i < n; i++)
    for (int again = 0; again < 3; again++) /* the median of three stands */
      fprintf(f, "%g,%g,%g,%.9g\n", kernels[i].key[2], kernels[i].key[0], kernels[i].key[1],
              kernels[i].seconds * 1e6 * (again == 2 ? 3 : 1));
  fclose(f);
  char *arguments[] = {"profile", "fit",      "--tables", folder,   "--base", base, "-o",
                       made,      "--source", "tests",    "--name", "Made",   NULL};
  output o = run_profile(folder, arguments);
  ck_assert_msg(o.status == 0, "%s", o.err);
  celslm_error err = {""};
  celslm_profile *p = celslm_profile_load(made, &err), *q = celslm_profile_load(base, &err);
  ck_assert_msg(p && q, "%s", err.text);
  ck_assert_str_eq(p->name, "Made");
  ck_assert_double_lt(fabs(p->curves[CELSLM_CURVE_GEMM].byte_rate / truths[0].byte_rate - 1), 0.02);
  ck_assert_double_lt(p->curves[CELSLM_CURVE_GEMM].residual_median, 0.01);
  ck_assert_ptr_nonnull(strstr(p->curves[CELSLM_CURVE_GEMM].source, "fitted on table tests"));
  /* what was not measured is the base's */
  ck_assert_double_eq(p->curves[CELSLM_CURVE_DECODE].latency,
                      q->curves[CELSLM_CURVE_DECODE].latency);
  ck_assert_double_eq(p->bandwidth, q->bandwidth);
  ck_assert_str_eq(p->runtime, q->runtime);
  celslm_profile_free(p);
  celslm_profile_free(q);
  free_output(&o);
  free(kernels);
  free(gemm);
  free(made);
  free(base);
  gsl_rng_free(r);
  remove_folder(folder);
}
END_TEST

static const struct {
  const char *name, *text, *error; /* of the file; error follows "FOLDER/NAME" */
} bad[] = {
    {"gemm.csv", "m,n,time_us\n1,2,3\n", ":1: no column \"k\"; the header must have one\n"},
    {"gemm.csv", "m,n,k,time_us\n1,2,3\n", ":2: 3 cells; the header has 4 columns\n"},
    {"gemm.csv", "m,n,k,time_us\n1,2,3,4\n1,x,3,4\n",
     ":3: n \"x\" is no number; give a finite one\n"},
    {"gemm.csv", "m,n,k,time_us\n1,2,3,0\n",
     ":2: time_us 0 is out of range; give 1e-06 to 1e+09\n"},
    {"gemm.csv", "m,n,k,time_us\n1,2,3,nan\n",
     ":2: time_us \"nan\" is no number; give a finite one\n"},
    {"gemm.csv", "m,n,k,time_us\n0,2,3,4\n", ":2: m 0 is out of range; give 1 to 1e+09\n"},
    {"gemm.csv", "m,n,k,time_us\n", ": has no rows; give at least one below the header\n"},
    {"gemm.csv", "", ":1: no header; the first line must name the columns\n"},
    {"gemm.csv", "m,n,k,time_us\n1,2,\"3,4\n",
     ":2: a quote is not closed; quote a cell as \"a, b\"\n"},
    {"attention.csv", "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n0,0,1,16,9\n",
     ":1: is a table of one model's layers; say which with --model platforms/models/NAME.xml\n"},
    {"none.csv", "m\n", NULL},
};

START_TEST(test_bad_tables) {
  char *folder = make_folder(), *base = base_profile();
  char *file = celslm_format("%s/%s", folder, bad[_i].name);
  char *made = celslm_format("%s/p.xml", folder);
  write_file(file, bad[_i].text);
  char *arguments[] = {"profile", "fit", "--tables", folder, "--base", base, "-o", made, NULL};
  output o = run_profile(folder, arguments);
  ck_assert_int_eq(o.status, 2);
  char *expected =
      bad[_i].error ? celslm_format("%s%s", file, bad[_i].error)
                    : celslm_format("%s: has no kernel table; give a folder with gemm.csv, "
                                    "prefill_attention.csv, decode_attention.csv, allreduce.csv, "
                                    "or dense.csv, per_sequence.csv, attention.csv\n",
                                    folder);
  ck_assert_str_eq(o.err, expected);
  ck_assert_int_ne(access(made, F_OK), 0);
  free(expected);
  free_output(&o);
  free(file);
  free(made);
  free(base);
  remove_folder(folder);
}
END_TEST

static char *const bad_flags[][8] = {
    {"profile", NULL},
    {"profile", "guess", NULL},
    {"profile", "fit", NULL},
    {"profile", "fit", "--tables", NULL},
    {"profile", "fit", "--tables", "/tmp", "--base", "/nowhere.xml", NULL},
    {"profile", "fit", "--tables", "/tmp", "--frob", NULL},
    {"profile", "fit", "--rows", "/nowhere.csv", "--base", "x", NULL},
    {"profile", "table", "--tables", "/tmp", NULL},
    {"profile", "table", "--frob", NULL},
    {"profile", "check", NULL},
    {"profile", "check", "--against", "/nowhere.csv", NULL},
    {"profile", "check", "--frob", NULL},
};

START_TEST(test_bad_flags) {
  char *folder = make_folder();
  char *arguments[8];
  memcpy(arguments, bad_flags[_i], sizeof arguments);
  output o = run_profile(folder, arguments);
  ck_assert_int_eq(o.status, 2);
  ck_assert_str_eq(o.out, "");
  if (_i) { /* one line; without a part the help */
    char *end = strchr(o.err, '\n');
    ck_assert_ptr_nonnull(end);
    ck_assert_int_eq(end[1], 0);
  }
  free_output(&o);
  remove_folder(folder);
}
END_TEST

START_TEST(test_help) {
  static char *const parts[] = {NULL, "fit", "table", "check"};
  char *folder = make_folder(), *arguments[] = {"profile", parts[_i], "--help", NULL};
  char *short_arguments[] = {"profile", "--help", NULL};
  output o = run_profile(folder, _i ? arguments : short_arguments);
  ck_assert_int_eq(o.status, 0);
  ck_assert_ptr_nonnull(strstr(o.out, "usage: celslm profile"));
  ck_assert_str_eq(o.err, "");
  free_output(&o);
  remove_folder(folder);
}
END_TEST

/* ---- shipped profiles ---- */

static double between(gsl_rng *r, double low, double high) {
  return floor(low * pow(high / low, gsl_rng_uniform(r)));
}

static celslm_model random_model(gsl_rng *r) {
  int64_t kv = 1 << gsl_rng_uniform_int(r, 4), group = 1 + (int64_t)gsl_rng_uniform_int(r, 8);
  return (celslm_model){.layers = (int64_t)between(r, 2, 100),
                        .hidden = (int64_t)between(r, 256, 16384),
                        .heads = kv * group,
                        .kv_heads = kv,
                        .head_dim = 32 << gsl_rng_uniform_int(r, 4),
                        .ffn = (int64_t)between(r, 512, 65536),
                        .gated = gsl_rng_uniform_int(r, 2) > 0,
                        .vocabulary = (int64_t)between(r, 1000, 250000),
                        .parameters = 1};
}

/* No op below max(FLOPs/peak, bytes/bandwidth). */
static void check_op(const celslm_cost *c, const celslm_op *op, double most_flops) {
  double t = celslm_cost_op(c, op);
  double bytes = op->weight_bytes + op->activation_bytes + op->kv_bytes;
  double least = fmax(op->flops / most_flops, bytes / c->profile->bandwidth);
  ck_assert_msg(t >= least * (1 - 1e-12), "%s: %s, %g rows: %g s below %g s", c->profile->name,
                celslm_op_name(op->kind), op->rows, t, least);
}

static void check_profile(const celslm_profile *p, gsl_rng *r) {
  static const celslm_dtype weights[] = {CELSLM_F32, CELSLM_F16,  CELSLM_BF16,
                                         CELSLM_FP8, CELSLM_INT8, CELSLM_INT4};
  celslm_error err = {""};
  celslm_model m = random_model(r);
  celslm_dtype w = weights[gsl_rng_uniform_int(r, 6)], compute = w == CELSLM_INT4 ? CELSLM_F16 : w;
  celslm_cost c;
  if (isnan(p->peak[compute])) return;
  ck_assert(celslm_cost_init(&c, p, &m, w, CELSLM_F16, NAN, NAN, &err));
  double n = between(r, 1, 16384), past = between(r, 1, 65536), more = n + between(r, 1, 512);
  for (int k = 0; k < CELSLM_OP_KINDS; k++) {
    if (k == CELSLM_OP_PREFILL || k == CELSLM_OP_DECODE) continue;
    celslm_op op = celslm_op_dense(&c.shape, (celslm_op_kind)k, n);
    celslm_op larger = celslm_op_dense(&c.shape, (celslm_op_kind)k, more);
    check_op(&c, &op, p->peak[compute]);
    ck_assert_double_ge(celslm_cost_op(&c, &larger), celslm_cost_op(&c, &op));
  }
  celslm_op prefill = celslm_op_prefill(&c.shape, n, past);
  celslm_op decode = celslm_op_decode(&c.shape, n, n * past, n * past);
  check_op(&c, &prefill, p->peak[p->curve_dtype]);
  check_op(&c, &decode, p->peak[p->curve_dtype]);
  ck_assert_double_ge(celslm_cost_layer(&c, more), celslm_cost_layer(&c, n));
  ck_assert_double_ge(celslm_cost_prefill(&c, more, past), celslm_cost_prefill(&c, n, past));
  ck_assert_double_ge(celslm_cost_prefill(&c, n, past + 99), celslm_cost_prefill(&c, n, past));
  /* the engine's two lines are the op's time, and grow with context and batch */
  celslm_decode_cost d = celslm_cost_decode(&c, n, 0), e = celslm_cost_decode(&c, more, 0);
  double t = fmax(d.compute + d.flop_slope * n * past, d.memory + d.byte_slope * n * past);
  ck_assert_double_lt(fabs(t / celslm_cost_op(&c, &decode) - 1), 1e-9);
  ck_assert(d.flop_slope >= 0 && d.byte_slope >= 0);
  double u = fmax(e.compute + e.flop_slope * more * past, e.memory + e.byte_slope * more * past);
  ck_assert_double_ge(u, t * (1 - 1e-12));
}

START_TEST(test_shipped_obey_their_rooflines) {
  char *pattern = celslm_format("%s/platforms/profiles/*.xml", CELSLM_SOURCE_DIR);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  glob_t found;
  ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
  ck_assert_uint_ge(found.gl_pathc, 10);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    celslm_error err = {""};
    celslm_profile *p = celslm_profile_load(found.gl_pathv[i], &err);
    ck_assert_msg(p != NULL, "%s", err.text);
    for (int trial = 0; trial < 300; trial++) check_profile(p, r);
    celslm_profile_free(p);
  }
  globfree(&found);
  gsl_rng_free(r);
  free(pattern);
}
END_TEST

/* ---- outside data ---- */

static const struct {
  const char *folder, *profile;
} gpus[] = {{"a100-vllm-0.14", "a100-80gb"},
            {"h100-vllm-0.14", "h100-sxm"},
            {"l40s-vllm-0.14", "l40s"},
            {"rtx4090-llama-3.1-8b-bf16", "rtx-4090"}};

START_TEST(test_gpus) {
  char *data = outside("CELSLM_DATA", "data");
  if (!data) return;
  celslm_error err = {""};
  celslm_model model = {0};
  char *tables = celslm_format("%s/kernels/%s", data, gpus[_i].folder);
  char *base = celslm_format("%s/platforms/profiles/%s.xml", CELSLM_SOURCE_DIR, gpus[_i].profile);
  char *sizes = celslm_format("%s/platforms/models/llama-3.1-8b.xml", CELSLM_SOURCE_DIR);
  ck_assert(celslm_model_load(sizes, &model, &err));
  celslm_profile *p = celslm_profile_load(base, &err);
  celslm_measured *m = celslm_measured_open(tables, &model, &err);
  ck_assert_msg(p && m, "%s", err.text);
  for (int k = 0; k < CELSLM_CURVE_ELEMENTWISE; k++) {
    celslm_curve_fit f;
    ck_assert_msg(celslm_curve_fit_kernels(&m->curves[k], (celslm_curve_kind)k,
                                           p->peak[p->curve_dtype], p->bandwidth, false, &f, &err),
                  "%s", err.text);
    printf("%s %s: median %.2f%% held out\n", gpus[_i].profile,
           celslm_curve_name((celslm_curve_kind)k), f.curve.residual_median * 100);
    ck_assert_double_le(f.curve.residual_median, 0.08);
    /* what is shipped is what the fit gives */
    ck_assert_double_lt(fabs(f.curve.residual_median - p->curves[k].residual_median), 0.005);
  }
  celslm_measured_close(m);
  celslm_profile_free(p);
  celslm_model_clear(&model);
  free(sizes);
  free(base);
  free(tables);
  free(data);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("profile fit");
  TCase *tests = tcase_create("fit");
  tcase_set_timeout(tests, 500);
  tcase_add_loop_test(tests, test_synthetic, 0, 2 * TRUTHS);
  tcase_add_test(tests, test_appends);
  tcase_add_test(tests, test_cached);
  tcase_add_test(tests, test_link);
  tcase_add_test(tests, test_command);
  tcase_add_loop_test(tests, test_bad_tables, 0, sizeof bad / sizeof *bad);
  tcase_add_loop_test(tests, test_bad_flags, 0, sizeof bad_flags / sizeof *bad_flags);
  tcase_add_loop_test(tests, test_help, 0, 4);
  tcase_add_test(tests, test_shipped_obey_their_rooflines);
  tcase_add_loop_test(tests, test_gpus, 0, sizeof gpus / sizeof *gpus);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
