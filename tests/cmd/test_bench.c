/* test_bench.c - a figure's verdict: its bar is the ratio's or, without one, the value's. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/bench.h"

/* What the reporter prints of one figure. Each case runs in a process of its own, whose standard
 * output may be turned aside. */
static void reported(char text[256], bool json, double value, double ratio, double required) {
  char name[] = "/tmp/celslm-bench-XXXXXX";
  int fd = mkstemp(name);
  ck_assert_int_ge(fd, 0);
  ck_assert_ptr_nonnull(freopen(name, "w", stdout));
  celslm_bench_report(json, "a figure", value, "units", "a peer", ratio, required);
  FILE *f = fdopen(fd, "r");
  remove(name);
  ck_assert_ptr_nonnull(fgets(text, 256, f));
  fclose(f);
}

static const struct verdict {
  double value, ratio, required;
  const char *word, *json; /* NULL: no bar, no verdict */
} verdicts[] = {{5, 1.1, 1.1, "x1.100  bar 1.1 holds", "\"required\": 1.1, \"holds\": true"},
                {5, 1.0996, 1.1, "bar 1.1 MISSED", "\"required\": 1.1, \"holds\": false"},
                {5, NAN, 4, "bar 4 holds", "\"required\": 4, \"holds\": true"},
                {3, NAN, 4, "bar 4 MISSED", "\"required\": 4, \"holds\": false"},
                {5, NAN, NAN, NULL, NULL},
                {5, 0.1, NAN, NULL, NULL}};

START_TEST(a_figure_says_whether_its_bar_holds) {
  const struct verdict *v = &verdicts[_i];
  char text[256];
  reported(text, false, v->value, v->ratio, v->required);
  ck_assert(v->word ? strstr(text, v->word) != NULL : strstr(text, "bar") == NULL);
  reported(text, true, v->value, v->ratio, v->required);
  ck_assert(v->json ? strstr(text, v->json) != NULL : strstr(text, "holds") == NULL);
}
END_TEST

int main(void) {
  Suite *s = suite_create("bench");
  TCase *t = tcase_create("verdicts");
  tcase_add_loop_test(t, a_figure_says_whether_its_bar_holds, 0,
                      sizeof verdicts / sizeof *verdicts);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
