/* test_scenarios.c - the scenarios that ship to show loads, run by the program, and what each says
 * of itself. */
#include "record/record.h"
#include "record/statistics.h"
#include "support.h"

#include <math.h>

typedef struct run {
  celslm_reader *file;
  uint64_t n;
} run;

static char folder[40], *results;

static run run_scenario(const char *name, const char *set) {
  strcpy(folder, "/tmp/celslm-scenario-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  results = celslm_format("%s/r.h5", folder);
  char *command = celslm_format("cd " CELSLM_SOURCE_DIR " && " CELSLM_PROGRAM
                                " run scenarios/%s.xml --quiet -o %s %s",
                                name, results, set);
  ck_assert_int_eq(system(command), 0);
  free(command);
  celslm_error err = {0};
  run r = {celslm_reader_open(results, &err), 0};
  ck_assert_msg(r.file && celslm_reader_rows(r.file, "requests", &r.n, &err), "%s", err.text);
  return r;
}

static void end_run(run *r) {
  celslm_reader_close(r->file);
  unlink(results);
  rmdir(folder);
  free(results);
}

static double *column(const run *r, const char *table, const char *name) {
  celslm_error err = {0};
  double *values = celslm_reader_column(r->file, table, name, &err);
  ck_assert_msg(values != NULL, "%s", err.text);
  return values;
}

static double first(const run *r, const char *table, const char *name) {
  double *values = column(r, table, name), v = values[0];
  free(values);
  return v;
}

/* The time to the first token does not grow with the conversation if prefixes are kept, and does
 * if they are not. */
START_TEST(test_chat_sessions) {
  for (int kept = 0; kept < 2; kept++) {
    run r = run_scenario("chat_sessions", kept ? "" : "--set '//engine/@prefix_caching=no'");
    ck_assert_uint_eq(r.n, 2000);
    double *turn = column(&r, "requests", "turn"), *ttft = column(&r, "requests", "ttft");
    double early = 0, late = 0, n_early = 0, n_late = 0;
    for (uint64_t i = 0; i < r.n; i++) {
      if (turn[i] == 0) early += ttft[i], n_early++;
      if (turn[i] == 8) late += ttft[i], n_late++;
    }
    ck_assert(n_early > 200 && n_late > 30);
    double growth = late / n_late / (early / n_early);
    ck_assert_msg(kept ? growth < 1.3 : growth > 3, "TTFT grows by %g", growth);
    free(turn), free(ttft);
    end_run(&r);
  }
}
END_TEST

/* The interactive response time law R = N/X - Z (Lazowska et al., 1984, section 3.4): exact up to
 * the ends of the run. More users raise the time per token, and throughput by less than as many. */
START_TEST(test_closed_loop) {
  double rates[2], tpot[2];
  for (int k = 0; k < 2; k++) {
    double users = k ? 800 : 200;
    run r = run_scenario("closed_loop", k ? "--set '//closed/@users=800'" : "");
    rates[k] = first(&r, "summary", "throughput");
    tpot[k] = first(&r, "summary", "tpot_mean");
    double response = users / rates[k] - 10, e2e = first(&r, "summary", "e2e_mean");
    /* 600 s: the first 10 s of thinking and the last answers are missing from one or the other */
    ck_assert_msg(fabs(response - e2e) < 0.05 * (10 + e2e), "%g users: %g s by the law, %g s found",
                  users, response, e2e);
    end_run(&r);
  }
  ck_assert(tpot[1] > 1.5 * tpot[0]);
  ck_assert(rates[1] > rates[0] && rates[1] < 4 * rates[0]);
}
END_TEST

START_TEST(test_tenants) {
  run r = run_scenario("tenants", "");
  double *served = column(&r, "classes", "served"), *late = column(&r, "classes", "late"),
         *completed = column(&r, "classes", "completed");
  double chat = served[0] + served[1], both[] = {chat, served[2]};
  ck_assert_double_eq_tol(first(&r, "summary", "fairness"), celslm_jain(both, 2), 1e-9);
  ck_assert_double_eq_tol(completed[1] / completed[0], 4,
                          0.5); /* the free are four times as many */
  ck_assert(late[0] / completed[0] > late[1] / completed[1] && late[2] == 0);
  free(served), free(late), free(completed);
  end_run(&r);
}
END_TEST

RUN_SUITE("scenarios", test_chat_sessions, test_closed_loop, test_tenants)
