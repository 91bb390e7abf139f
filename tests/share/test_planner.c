/* The planner's search against exhaustive search under the same forecast, its arithmetic against
 * the permutation flow shop, its rules, and its own time. */
#include "share/planner.h"

#include "base/rng.h"

#include <check.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#define SEEDS 200

/* Spread over three decades around x. */
static double about(gsl_rng *r, double x) {
  return x * pow(10, gsl_ran_flat(r, -1.5, 1.5));
}

static celslm_forecast draw(gsl_rng *r, int layers, int sources, int codecs) {
  static const celslm_from kinds[] = {CELSLM_FROM_CLOUD, CELSLM_FROM_PEER, CELSLM_FROM_DISK};
  celslm_forecast f = {.layers = layers, .n_sources = sources, .n_codecs = codecs};
  double encode[CELSLM_PLAN_CODECS], decode[CELSLM_PLAN_CODECS];
  for (int q = 0; q < codecs; q++) {
    encode[q] = q ? about(r, 3e-4) : 0;
    decode[q] = q ? about(r, 3e-4) : 0;
  }
  for (int k = 0; k < sources; k++) {
    celslm_source_forecast *s = &f.sources[k];
    *s = (celslm_source_forecast){
        .from = kinds[k % 3],
        .begin = about(r, 3e-3),
        .produce = k == 0 && gsl_rng_uniform(r) < 0.5 ? about(r, 1e-3) : 0,
        .latency = about(r, 2e-3),
        .rate = about(r, 1e9),
        .here = k % 3 == 2 && gsl_rng_uniform(r) < 0.5,
        .layers = k && gsl_rng_uniform(r) < 0.3 ? 1 + (int)gsl_rng_uniform_int(r, (unsigned)layers)
                                                : layers};
    for (int q = 0; q < codecs; q++)
      s->ways[q] = (celslm_way_forecast){
          .bytes = 1e6 / (1 + q), .encode = k % 3 == 2 ? 0 : encode[q], .decode = decode[q]};
  }
  f.access = gsl_rng_uniform(r) < 0.3 ? INFINITY : about(r, 1e9);
  f.text = gsl_rng_uniform(r) < 0.2 ? INFINITY : about(r, 3e-3);
  f.engine = gsl_rng_uniform(r) < 0.5 ? 0 : about(r, 1e-3);
  f.context_layer = about(r, 3e-3);
  f.prompt_layer = about(r, 3e-4);
  f.rest = 1e-3;
  return f;
}

/* Every plan that there is. */
static void search(const celslm_forecast *f, celslm_choice *c, int j, double *least) {
  if (j == f->layers) {
    *least = fmin(*least, celslm_forecast_ttft(f, c));
    return;
  }
  for (int k = 0; k < f->n_sources; k++)
    for (int q = 0; q < f->n_codecs; q++) {
      if (j >= f->sources[k].layers) continue;
      c->source[j] = (uint8_t)k;
      c->codec[j] = (uint8_t)q;
      search(f, c, j + 1, least);
    }
}

static double exhaustive(const celslm_forecast *f) {
  double least = INFINITY;
  celslm_choice c = {0};
  for (int local = 0; local <= (isinf(f->text) ? 0 : f->layers); local++) {
    c.local = local;
    search(f, &c, local ? local : f->here, &least);
  }
  return least;
}

START_TEST(test_exhaustive) {
  gsl_rng *r = celslm_rng(1, "planner");
  double worst = 0;
  int off = 0;
  for (int i = 0; i < SEEDS; i++) {
    int sources = 1 + (int)gsl_rng_uniform_int(r, 3), codecs = 1 + (int)gsl_rng_uniform_int(r, 2);
    celslm_forecast f = draw(r, 2 + (int)gsl_rng_uniform_int(r, 4), sources, codecs);
    if (gsl_rng_uniform(r) < 0.2) f.here = 1 + (int)gsl_rng_uniform_int(r, (unsigned)f.layers - 1);
    celslm_choice c;
    ck_assert(celslm_planner_choose(&f, &c));
    double least = exhaustive(&f), ttft = celslm_forecast_ttft(&f, &c);
    ck_assert_double_eq_tol(ttft, c.ttft, 1e-9 * ttft);
    ck_assert_msg(ttft >= least * (1 - 1e-12), "case %d: %g is better than all: %g", i, ttft,
                  least);
    double excess = ttft / least - 1;
    worst = fmax(worst, excess);
    off += excess > 1e-9;
    ck_assert_msg(excess <= 0.05, "case %d: %g s, the best is %g s", i, ttft, least);
  }
  printf("planner against exhaustive search: %d of %d not the best, worst %.2f %% above it\n", off,
         SEEDS, 100 * worst);
  gsl_rng_free(r);
}
END_TEST

/* One source, nothing local: produce, encode, move, decode, compute is a permutation flow shop of
 * constant times, whose makespan is the sum plus (n - 1) times the longest. */
START_TEST(test_flow_shop) {
  gsl_rng *r = celslm_rng(2, "planner");
  for (int i = 0; i < 100; i++) {
    celslm_forecast f = draw(r, 1 + (int)gsl_rng_uniform_int(r, 40), 1, 2);
    f.sources[0].produce = about(r, 1e-3);
    f.engine = 0;
    f.access = INFINITY;
    celslm_choice c = {0};
    for (int j = 0; j < f.layers; j++) c.codec[j] = 1;
    const celslm_way_forecast *q = &f.sources[0].ways[1];
    double t[] = {f.sources[0].produce, q->encode, q->bytes / f.sources[0].rate, q->decode,
                  f.prompt_layer};
    double sum = 0, longest = 0;
    for (int k = 0; k < 5; k++) {
      sum += t[k];
      longest = fmax(longest, t[k]);
    }
    double want =
        f.sources[0].begin + sum + (f.layers - 1) * longest + f.sources[0].latency + f.rest;
    ck_assert_double_eq_tol(celslm_forecast_ttft(&f, &c), want, 1e-9 * want);
  }
  gsl_rng_free(r);
}
END_TEST

/* Two flows through one access: each has half until one ends. */
START_TEST(test_shared_access) {
  celslm_forecast f = {.layers = 2, .n_sources = 2, .n_codecs = 1, .access = 100, .text = INFINITY};
  f.sources[0] = (celslm_source_forecast){
      .from = CELSLM_FROM_CLOUD, .rate = 1000, .layers = 2, .ways = {{.bytes = 100}}};
  f.sources[1] = (celslm_source_forecast){
      .from = CELSLM_FROM_PEER, .rate = 1000, .begin = 0.5, .layers = 2, .ways = {{.bytes = 100}}};
  celslm_choice c = {.source = {0, 1}};
  /* [0, .5): the first alone, 50 B; then 50 B/s each: it ends at 1.5, the other at 2 */
  ck_assert_double_eq_tol(celslm_forecast_ttft(&f, &c), 2, 1e-12);
}
END_TEST

/* A floor forbids codecs that lose too much, and those whose loss nobody has measured. */
START_TEST(test_floor) {
  gsl_rng *r = celslm_rng(3, "planner");
  for (int i = 0; i < SEEDS; i++) {
    celslm_forecast f = draw(r, 4, 2, 3);
    double quality[3][5];
    for (int q = 0; q < 3; q++) {
      quality[q][4] = 1;
      for (int s = 3; s >= 0; s--) quality[q][s] = quality[q][s + 1] - 0.1 * gsl_rng_uniform(r);
      f.codecs[q].quality = q < 2 ? quality[q] : NULL;
    }
    f.floor = 0.8;
    celslm_choice c;
    bool some = !isinf(f.text);
    for (int q = 0; q < 2; q++) some |= quality[q][0] >= f.floor;
    ck_assert_int_eq(celslm_planner_choose(&f, &c), some);
    for (int j = c.local; some && j < 4; j++) {
      ck_assert_int_lt(c.codec[j], 2);
      ck_assert_double_ge(quality[c.codec[j]][c.local], f.floor);
    }
    if (some) ck_assert_double_ge(c.ttft, exhaustive(&f) * (1 - 1e-12));
  }
  gsl_rng_free(r);
}
END_TEST

/* A plan made of any choice keeps the rules of plans. */
START_TEST(test_plans_are_sound) {
  gsl_rng *r = celslm_rng(4, "planner");
  celslm_model m = {.layers = 6};
  struct celslm_site *site = (struct celslm_site *)&m; /* only its address counts */
  celslm_codec plain;
  const char *why;
  ck_assert(celslm_codec_parse("f16", &plain, &why));
  for (int i = 0; i < SEEDS; i++) {
    celslm_forecast f = draw(r, 6, 1, 2);
    f.sources[0].from = CELSLM_FROM_DISK;
    f.codecs[0].codec = f.codecs[1].codec = &plain;
    celslm_choice c;
    ck_assert(celslm_planner_choose(&f, &c));
    celslm_plan p = {.n = 6, .layers = celslm_alloc(6, sizeof *p.layers), .cloud = site};
    celslm_choice_apply(&f, &c, &p);
    ck_assert_ptr_null(celslm_plan_fault(&p, 6, f.here));
    ck_assert_int_eq(celslm_plan_local(&p), c.local);
    celslm_plan_clear(&p);
  }
  gsl_rng_free(r);
}
END_TEST

/* Printed, not judged: machines are noisy. */
START_TEST(test_time) {
  gsl_rng *r = celslm_rng(5, "planner");
  enum { CASES = 64 };
  static celslm_forecast f[CASES];
  for (int i = 0; i < CASES; i++) f[i] = draw(r, 32, 3, 4);
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  double sum = 0;
  for (int n = 0; n < 20 * CASES; n++) {
    celslm_choice c;
    if (celslm_planner_choose(&f[n % CASES], &c)) sum += c.ttft;
  }
  clock_gettime(CLOCK_MONOTONIC, &to);
  double s = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
  printf("a decision over 32 layers, 3 sources, 4 codecs: %.1f us (sum %g)\n",
         s / (20 * CASES) * 1e6, sum);
  gsl_rng_free(r);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("planner");
  TCase *tcase = tcase_create("planner");
  tcase_add_test(tcase, test_exhaustive);
  tcase_add_test(tcase, test_flow_shop);
  tcase_add_test(tcase, test_shared_access);
  tcase_add_test(tcase, test_floor);
  tcase_add_test(tcase, test_plans_are_sound);
  tcase_add_test(tcase, test_time);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
