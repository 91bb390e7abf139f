/* table_support.h - a table of kernel times for tests: those of a made-up device, with noise. */
#ifndef CELSLM_TESTS_TABLE_SUPPORT_H
#define CELSLM_TESTS_TABLE_SUPPORT_H

#include "cost/table_build.h"

#include <check.h>
#include <gsl/gsl_rng.h>
#include <math.h>

/* Of 100 Tf and 1 TB/s. Every fifth matrix is missing; measurements have up to +-20 % of noise. */
static inline celslm_measured *made_up_kernels(gsl_rng *r) {
  celslm_measured *m = celslm_alloc(1, sizeof *m);
  for (int kind = 0; kind < 3; kind++) {
    m->curves[kind].at = celslm_alloc(8000, sizeof(celslm_kernel));
    m->curves[kind].shape_name = "shapes";
  }
  celslm_kernels *g = &m->curves[CELSLM_CURVE_GEMM];
  int shape = 0;
  for (double n = 128; n <= 8192; n *= 2)
    for (double k = 128; k <= 8192; k *= 2)
      for (double rows = shape++ % 5 == 3 ? 1e9 : 1; rows <= 4096; rows *= 4)
        g->at[g->n++] =
            (celslm_kernel){.key = {n, k, rows},
                            .seconds = (4e-6 + fmax(2 * n * k / 0.8e12, 2 * rows * n * k / 70e12)) *
                                       (0.8 + 0.4 * gsl_rng_uniform(r))};
  for (double K = 1; K <= 8; K *= 2)
    for (double H = K; H <= 32; H *= 2)
      for (double batch = 1; batch <= 64; batch *= 4)
        for (double tokens = 16; tokens <= 8192 / batch; tokens *= 2)
          for (int kind = CELSLM_CURVE_PREFILL; kind <= CELSLM_CURVE_DECODE; kind++) {
            celslm_kernels *l = &m->curves[kind];
            double work = kind == CELSLM_CURVE_PREFILL ? 256 * H * batch * tokens * tokens / 50e12
                                                       : 512 * K * batch * tokens / 0.7e12;
            l->at[l->n++] =
                (celslm_kernel){.key = {H, K, batch, tokens},
                                .seconds = (8e-6 + work) * (0.8 + 0.4 * gsl_rng_uniform(r))};
          }
  return m;
}

/* Saves a table of them; `folder` gets table.h5. The caller frees it. */
static inline celslm_table_profile *made_up_table(const char *folder, gsl_rng *r) {
  celslm_error err = {""};
  celslm_table_report report[CELSLM_TABLE_KINDS];
  celslm_measured *m = made_up_kernels(r);
  celslm_table_profile *t = celslm_table_build(m, 1e12, report, &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  char *file = celslm_format("%s/table.h5", folder), *notes[] = {"a", "b", "c"};
  ck_assert_msg(celslm_table_save(t, file, "made up", "tests", notes, &err), "%s", err.text);
  ck_assert_int_gt(report[CELSLM_TABLE_DECODE].smoothed, 0);
  free(file);
  celslm_measured_close(m);
  return t;
}

/* The profile `from` with that table, as `to`. */
static inline void save_with_table(const char *from, const char *to, const char *table) {
  celslm_error err = {""};
  celslm_profile *p = celslm_profile_load(from, &err);
  ck_assert_msg(p != NULL, "%s", err.text);
  p->table_file = celslm_strdup(table);
  p->table_source = celslm_strdup("made up, <with> \"noise\"");
  ck_assert_msg(celslm_profile_save(p, to, &err), "%s", err.text);
  celslm_profile_free(p);
}

#endif
