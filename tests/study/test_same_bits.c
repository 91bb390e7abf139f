/* test_same_bits.c - contexts shared in every way that CE-LSLM has (tests/data/cmd/shared.xml:
 * streaming and serial, codecs, maps, chunks, stall and admit, planner, peers, disks, pushes,
 * changes, outage policies, handovers, faults), as studies and as runs: the same bytes at any
 * number of workers, in any order, run once more, and stepped instead of jumped. Bytes are those of
 * whole results files, every table in them. */
#include "program.h"
#include "record/arrays.h"

enum { POINTS = 4, STRATEGIES = 11 };
#define STUDY                                                                                      \
  "$celslm sweep $data/cmd/shared.xml --axis '//poisson/@rate=10/s 20/s' --replications 2 "        \
  "--requests --quiet -o s.h5"

static celslm_reader *open_point(int point) {
  celslm_error err = {0};
  char *path = celslm_format("%s/one/s.h5.points/%07d.h5", folder, point);
  celslm_reader *r = celslm_reader_open(path, &err);
  ck_assert_msg(r != NULL, "%s", err.text);
  free(path);
  return r;
}

/* Sum of a column over all rows of all points. */
static double sum(const char *table, const char *column) {
  double s = 0;
  for (int p = 0; p < POINTS; p++) {
    celslm_error err = {0};
    celslm_reader *r = open_point(p);
    uint64_t n;
    ck_assert(celslm_reader_rows(r, table, &n, &err));
    double *v = celslm_reader_column(r, table, column, &err);
    ck_assert_msg(v != NULL, "%s", err.text);
    for (uint64_t i = 0; i < n; i++) s += v[i];
    free(v);
    celslm_reader_close(r);
  }
  return s;
}

static const char *const happenings[][2] = {
    {"contexts", "hits"},       {"contexts", "fetches"},   {"contexts", "joins"},
    {"contexts", "refused"},    {"contexts", "evictions"}, {"contexts", "partial_hits"},
    {"contexts", "outdated"},   {"contexts", "spills"},    {"contexts", "host_loads"},
    {"contexts", "disk_loads"}, {"contexts", "replans"},   {"summary", "dropped"},
    {"summary", "rejected"},    {"handovers", "ue"},
};

START_TEST(test_workers) {
  begin();
  sh_well("for n in 1 3; do mkdir $n && cd $n && " STUDY " -j $n && cd .. || exit 1; done");
  sh_well("for n in 3; do cmp 1/s.h5 $n/s.h5 || exit 1; for i in 0 1 2 3; do "
          "cmp 1/s.h5.points/000000$i.h5 $n/s.h5.points/000000$i.h5 || exit 1; done; done");
  sh_well("mv 1 one"); /* what is compared is there at all */
  for (size_t i = 0; i < sizeof happenings / sizeof *happenings; i++)
    ck_assert_msg(sum(happenings[i][0], happenings[i][1]) > 0, "no %s", happenings[i][1]);
  /* runs by themselves, the last point first, and stepped */
  sh_well(
      "i=3; for rate in 20/s 10/s; do for seed in 2 1; do "
      "$celslm run $data/cmd/shared.xml --set //poisson/@rate=$rate --seed $seed --step --quiet "
      "-o run.h5 && cmp run.h5 one/s.h5.points/000000$i.h5 || exit 1; i=$((i-1)); done; done");
  end();
}
END_TEST

/* The strategies in the opposite order: each has the same numbers. */
START_TEST(test_order) {
  static const char *const columns[] = {"ttft_mean", "ttft_p99",  "e2e_mean", "fetches",
                                        "kv_bytes",  "wan_bytes", "energy",   "iterations"};
  begin();
  sh_well("sed 's#\"\\.\\./#\"'$data'/#g' $data/cmd/shared.xml >there.xml && awk '/<strategy/ { "
          "all = $0 \"\\n\" all; next } /<wires>/ { printf \"%s\", all } { print }' there.xml "
          ">back.xml && ! cmp -s there.xml back.xml");
  sh_well("for f in there back; do $celslm sweep $f.xml --replications 2 -o $f.h5 --quiet || exit "
          "1; done");
  for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
    char *array = celslm_format("summary/%s", columns[c]);
    size_t n, m;
    double *there = values("there.h5", array, &n), *back = values("back.h5", array, &m);
    ck_assert(n == m && n == 2 * STRATEGIES);
    for (size_t k = 0; k < n; k++) { /* point by point */
      size_t other = k / STRATEGIES * STRATEGIES + STRATEGIES - 1 - k % STRATEGIES;
      ck_assert_msg(memcmp(&there[k], &back[other], sizeof *there) == 0, "%s at %zu: %g, %g",
                    columns[c], k, there[k], back[other]);
    }
    free(there), free(back), free(array);
  }
  end();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("same_bits");
  TCase *tcase = tcase_create("same_bits");
  tcase_set_timeout(tcase, 300);
  tcase_add_test(tcase, test_workers);
  tcase_add_test(tcase, test_order);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
