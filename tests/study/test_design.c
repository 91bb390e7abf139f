/* test_design.c - axes and how they span a grid: written-out lists, arithmetic and geometric rows,
 * the Sobol sequence's published first points, and counting in mixed radix. */
#include "study/design.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static celslm_error err;

static celslm_scenario *scenario(const char *sweep) {
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"7\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" max_num_seqs=\"8\"/></engines>"
      "<workload requests=\"4\"><arrivals><poisson rate=\"1/s\"/></arrivals>"
      "<prompt><fixed tokens=\"8\"/></prompt><output><fixed tokens=\"2\"/></output></workload>"
      "<strategy><cloud-only/></strategy>%s</scenario>",
      sweep);
  err.text[0] = 0;
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  free(text);
  return s;
}

static celslm_design *design(const celslm_scenario *s, const char *axis, int64_t replications) {
  err.text[0] = 0;
  celslm_design_options o = {.axes = &axis, .n_axes = axis != NULL, .replications = replications};
  return celslm_design_new(s, &o, &err);
}

static char *texts(const celslm_axis *a) {
  char *all = celslm_strdup("");
  for (int i = 0; i < a->n; i++) {
    char *more = celslm_format("%s%s%s", all, i ? " " : "", a->texts[i]);
    free(all);
    all = more;
  }
  return all;
}

static const struct {
  const char *axis, *values, *units;
  double last;
} ways[] = {
    {"//poisson/@rate=1/s 2.5/s 30/min", "1/s 2.5/s 30/min", "1/s", 0.5},
    {"//poisson/@rate=range:1/s 4/s 1/s", "1/s 2/s 3/s 4/s", "1/s", 4},
    {"//poisson/@rate=range:1/s 4/s 2/s", "1/s 3/s", "1/s", 3},
    {"//poisson/@rate=range:0.1/s 0.3/s 0.1/s", "0.1/s 0.2/s 0.3/s", "1/s", 0.3},
    {"//poisson/@rate=range:4/s 1/s -1.5/s", "4/s 2.5/s 1/s", "1/s", 1},
    {"//poisson/@rate=log:1/s 1000/s 4", "1/s 10/s 100/s 1000/s", "1/s", 1000},
    {"//poisson/@rate=log:3/s 5/s 1", "3/s", "1/s", 3},
    {"//engine/@max_num_seqs=log:1 64 4", "1 4 16 64", "1", 64},
    {"//engine/@max_num_seqs=log:1 10 3", "1 3 10", "1", 10}, /* whole numbers stay whole */
    {"//@x=log:1.0 10.0 3", "1 3.16227766017 10", "1", 10},
    {"platform://link[@id='wan']/@bandwidth=10Mbps 1Gbps", "10Mbps 1Gbps", "B/s", 125e6},
    {"//engine/@kv=f16 int8", "f16 int8", "", NAN},
    /* x = 1/2, 3/4, 1/4, 3/8: the first points in any description of the sequence */
    {"//poisson/@rate=sobol:0/s 8/s 4", "4/s 6/s 2/s 3/s", "1/s", 3},
};

START_TEST(test_ways) {
  celslm_scenario *s = scenario("");
  celslm_design *d = design(s, ways[_i].axis, 0);
  ck_assert_msg(d != NULL, "%s", err.text);
  char *got = texts(&d->axes[0]);
  ck_assert_str_eq(got, ways[_i].values);
  ck_assert_str_eq(d->axes[0].units, ways[_i].units);
  if (isnan(ways[_i].last))
    ck_assert_ptr_null(d->axes[0].values);
  else
    ck_assert_double_eq_tol(d->axes[0].values[d->axes[0].n - 1], ways[_i].last, 1e-12);
  free(got);
  celslm_design_free(d);
  celslm_scenario_free(s);
}
END_TEST

static const char *const bad[][2] = {
    {"//poisson/@rate", "celslm: --axis \"//poisson/@rate\": no XPath=values; give for example "
                        "--axis \"//poisson/@rate=1/s 2/s 4/s\" or --axis \"//@rate=range:1/s 8/s "
                        "1/s\" (range, log, sobol)"},
    {"//@rate=", "--axis: <axis> without values; give some"},
    {"//@rate=range:1/s 2/s", "--axis: <axis> range needs FROM TO STEP, such as 1/s 8/s 1/s"},
    {"//@rate=log:1/s 2/s x", "--axis: <axis> log needs FROM TO N, such as 10Mbps 10000Mbps 7"},
    {"//@rate=range:1/s 2/s 1/min",
     "--axis: <axis> range mixes the units \"/s\" and \"/min\"; write all in one unit"},
    {"//@rate=range:1/s 2/s 0/s",
     "--axis: <axis> range: no steps of 0/s lead from 1/s to 2/s; allowed are 1 to 1000000 values"},
    {"//@rate=range:1/s 2/s -1/s",
     "--axis: <axis> range: no steps of -1/s lead from 1/s to 2/s; allowed are 1 to 1000000 "
     "values"},
    {"//@rate=log:0/s 2/s 3", "--axis: <axis> log from 0/s to 2/s; both must be more than 0"},
    {"//@rate=log:1/s 2/s 2.5", "--axis: <axis> log of 2.5 values; allowed are 1 to 1000000"},
    {"//@rate=sobol:1/s 2/s 1", "--axis: <axis> sobol of 1 values; allowed are 2 to 1000000"},
    {"//poisson/@strategy=1",
     CELSLM_TEST_DATA "/test.xml: an axis cannot have the name \"strategy\": every study has one "
                      "of its own; give another with name="},
};

START_TEST(test_bad) {
  celslm_scenario *s = scenario("");
  ck_assert_ptr_null(design(s, bad[_i][0], 0));
  ck_assert_str_eq(err.text, bad[_i][1]);
  celslm_scenario_free(s);
}
END_TEST

/* Axes cross, zipped ones advance together, the replication runs fastest: every combination once.
 */
START_TEST(test_grid) {
  celslm_scenario *s = scenario(
      "<sweep replications=\"2\">"
      "<axis select=\"//poisson/@rate\" values=\"1/s 2/s 3/s\"/>"
      "<axis select=\"//engine/@max_num_seqs\" values=\"4 8\" zip=\"size\"/>"
      "<axis select=\"//link[@id='wan']/@bandwidth\" in=\"platform\" values=\"1Gbps 2Gbps\" "
      "zip=\"size\" name=\"wan\"/></sweep>");
  celslm_design *d = design(s, NULL, 0);
  ck_assert_msg(d != NULL, "%s", err.text);
  ck_assert_int_eq(d->n_dimensions, 2);
  ck_assert_int_eq(d->points, 3 * 2 * 2);
  for (long long p = 0; p < d->points; p++) {
    char *expected = celslm_format("rate=%lld/s max_num_seqs=%lld wan=%lldGbps seed=%lld",
                                   1 + p / 4, 4 * (1 + p / 2 % 2), 1 + p / 2 % 2, 7 + p % 2);
    char *label = celslm_design_label(d, p), **set = celslm_design_set(d, p);
    ck_assert_str_eq(label, expected);
    ck_assert(strncmp(set[2], "platform://link[@id='wan']/@bandwidth=", 38) == 0);
    celslm_design_free_set(d, set);
    free(label);
    free(expected);
  }
  celslm_design_free(d);
  celslm_scenario_free(s);
}
END_TEST

START_TEST(test_unequal_zip) {
  celslm_scenario *s = scenario("<sweep><axis select=\"//poisson/@rate\" values=\"1/s 2/s 3/s\" "
                                "zip=\"a\"/><axis select=\"//engine/@max_num_seqs\" values=\"4 8\" "
                                "zip=\"a\"/></sweep>");
  ck_assert_ptr_null(design(s, NULL, 0));
  ck_assert_str_eq(err.text, CELSLM_TEST_DATA
                   "/test.xml: axes \"rate\" and \"max_num_seqs\" advance together, but have 3 and "
                   "2 values; give both the same number");
  celslm_scenario_free(s);
}
END_TEST

/* Two sobol axes are one dimension, and fill the square evenly: each quarter has a quarter. */
START_TEST(test_sobol_plane) {
  celslm_scenario *s = scenario("<sweep><axis select=\"//poisson/@rate\" sobol=\"0/s 2/s 255\"/>"
                                "<axis select=\"//workload/@requests\" sobol=\"0.0 2.0 255\"/>"
                                "</sweep>");
  celslm_design *d = design(s, NULL, 0);
  ck_assert_msg(d != NULL, "%s", err.text);
  ck_assert_int_eq(d->points, 255); /* with the origin, which GSL leaves out, 2^8 */
  int quarter[4] = {1};
  for (int i = 0; i < 255; i++)
    quarter[(d->axes[0].values[i] >= 1) + 2 * (d->axes[1].values[i] >= 1)]++;
  for (int q = 0; q < 4; q++) ck_assert_int_eq(quarter[q], 64);
  celslm_design_free(d);
  celslm_scenario_free(s);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("design");
  TCase *tcase = tcase_create("design");
  tcase_add_loop_test(tcase, test_ways, 0, (int)(sizeof ways / sizeof *ways));
  tcase_add_loop_test(tcase, test_bad, 0, (int)(sizeof bad / sizeof *bad));
  tcase_add_test(tcase, test_grid);
  tcase_add_test(tcase, test_unequal_zip);
  tcase_add_test(tcase, test_sobol_plane);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
