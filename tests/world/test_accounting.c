/* test_accounting.c - joules and money of runs, against products worked out by hand from what a run
 * must do, and against the sums over its tables. */
#include "study/program.h"
#include "support.h"

#include "record/record.h"

#include <math.h>

/* ---- by hand --------------------------------------------------------------------------------- */

#define HEAD                                                                                       \
  "<scenario name=\"priced\" seed=\"3\"><platform file=\"priced.xml\"/><models>"                   \
  "<model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"

/* One request at a time, on an engine whose iterations take 10 ms: a prompt is one iteration and
 * gives the first token, the other four tokens are one each. */
static char *steady(const char *host, const char *strategy, const char *prices) {
  return celslm_format(
      HEAD "<engines><engine name=\"x\" host=\"%s\" model=\"small\" fixed_iteration=\"10ms\"/>"
           "</engines><workload requests=\"40\"><arrivals><deterministic interval=\"1s\"/>"
           "</arrivals><prompt><fixed tokens=\"50\"/></prompt><output><fixed tokens=\"5\"/>"
           "</output></workload><strategy><%s/></strategy>%s</scenario>",
      host, strategy, prices);
}

static void near(double found, double expected, const char *what) {
  ck_assert_msg(fabs(found - expected) <= 1e-9 * fmax(fabs(expected), 1e-12),
                "%s: %.15g, by hand %.15g", what, found, expected);
}

START_TEST(test_rented_cloud_in_a_lower_state) {
  char *text = steady("cloud", "cloud-only",
                      "<prices kilowatt_hour=\"25cent\" wan_gigabyte=\"100cent\" "
                      "cloud_hour=\"999cent\" quality_weight=\"0.25\">"
                      "<quality engine=\"x\" of=\"0.6\"/></prices>");
  simulation run = simulate_well(text, 0, false);
  double t = run.summary.duration, busy = run.summary.utilisation * t;
  near(busy, 40 * 5 * 10e-3 * 2, "s at half the speed");
  near(run.summary.energy, 50 * t + (120 - 50) * busy, "J: 50 W idle, 120 W in the second state");
  /* prompts up the WAN, tokens down; both are all there is */
  near(run.summary.energy_links, run.summary.wan_bytes * 3e-6, "J on wan and metro0");
  double cost = 360 / 3600. * t /* rent, so no electricity */ + run.summary.wan_bytes * 100e-9 +
                run.summary.wan_bytes * (9e-9 + 2e-6 * 25 / 3.6e6) /* metro0 has a price */;
  near(run.summary.cost, cost, "cent");
  near(run.summary.cpr, cost / 40, "cent per response");
  near(run.summary.pcr, (0.25 * 0.6 + 0.75 * run.summary.slo_share) / (cost / 40), "per cent");
  ck_assert(run.summary.energy_radio == 0);
  free(run.rows);
  free(text);
}
END_TEST

/* edge1's second state has 60 % of the speed and no power of its own: 20 + 0.6 (max - 20) W ... */
START_TEST(test_owned_edge) {
  char *text = steady("edge1", "edge-only", "<prices kilowatt_hour=\"0.25EUR\"/>");
  celslm_error err = {0};
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_ptr_nonnull(s);
  const celslm_profile *p = s->platform->hosts[s->engines[0].host].profile;
  double idle = p->power_idle, most = p->power_max;
  celslm_scenario_free(s);
  simulation run = simulate_well(text, 0, false);
  double t = run.summary.duration, busy = run.summary.utilisation * t;
  double joules = idle * t + 0.6 * (most - idle) * busy;
  ck_assert_double_eq_tol(busy, 40 * 5 * 10e-3 / 0.6, 200e-9); /* each a whole number of ns */
  near(run.summary.energy, joules, "J");
  near(run.summary.energy_response, joules / 40, "J per response");
  near(run.summary.cpr, joules / 40 * 25 / 3.6e6, "cent per response");
  ck_assert(isnan(run.summary.pcr));
  free(run.rows);
  free(text);
  text = steady("edge1", "edge-only", "");
  run = simulate_well(text, 0, false);
  near(run.summary.energy, joules, "J, the same without prices");
  ck_assert(isnan(run.summary.cost) && isnan(run.summary.cpr) && isnan(run.summary.pcr));
  free(run.rows);
  free(text);
}
END_TEST

/* ---- the tables ------------------------------------------------------------------------------ */

static double *column(celslm_reader *r, const char *table, const char *name) {
  celslm_error err = {0};
  double *values = celslm_reader_column(r, table, name, &err);
  ck_assert_msg(values != NULL, "%s", err.text);
  return values;
}

static double total(celslm_reader *r, const char *table, const char *name) {
  celslm_error err = {0};
  uint64_t n;
  ck_assert(celslm_reader_rows(r, table, &n, &err));
  double *values = column(r, table, name), sum = 0;
  for (uint64_t i = 0; i < n; i++) sum += values[i];
  free(values);
  return sum;
}

/* Users in both cells, contexts fetched from the cloud: the summary is the sum of hosts, links and
 * cells; air time is what the powers are paid for; the parts of TTFT are its whole. */
START_TEST(test_sums) {
  begin();
  char *file = celslm_format("%s/s.xml", folder);
  FILE *f = fopen(file, "w");
  fprintf(f, HEAD "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" "
                  "context_memory=\"1GiB\"/><engine name=\"e0\" host=\"edge0\" model=\"small\" "
                  "context_memory=\"64MiB\"/><engine name=\"e1\" host=\"edge1\" model=\"small\" "
                  "context_memory=\"64MiB\"/></engines><contexts><population name=\"d\" "
                  "count=\"6\" tokens=\"400\"/></contexts><radio><channel><umi/></channel>"
                  "<ues cell=\"gnb0\" count=\"5\" min_distance=\"10m\" max_distance=\"50m\"/>"
                  "<ues cell=\"gnb1\" count=\"5\" min_distance=\"10m\" max_distance=\"50m\"/>"
                  "</radio><workload requests=\"200\"><arrivals><poisson rate=\"5/s\"/></arrivals>"
                  "<prompt><lognormal mean=\"200\" cv=\"1\"/></prompt><output><fixed "
                  "tokens=\"10\"/></output><popularity><zipf s=\"1\"/></popularity></workload>"
                  "<strategy><ce-lslm/></strategy><prices kilowatt_hour=\"25cent\" "
                  "wan_gigabyte=\"8cent\"><quality engine=\"e0\" of=\"1\"/><quality engine=\"e1\" "
                  "of=\"0.5\"/></prices></scenario>");
  fclose(f);
  char *command = celslm_format("sed 's|file=\"|file=\"%s/|g' %s > t.xml; $celslm run t.xml -o "
                                "r.h5 --quiet",
                                CELSLM_TEST_DATA, file);
  sh_well(command);
  free(command);
  free(file);
  file = celslm_format("%s/r.h5", folder);
  celslm_error err = {0};
  celslm_reader *r = celslm_reader_open(file, &err);
  ck_assert_msg(r != NULL, "%s", err.text);
  near(total(r, "summary", "energy"),
       total(r, "hosts", "energy_idle") + total(r, "hosts", "energy_busy"), "hosts");
  near(total(r, "summary", "energy_links"), total(r, "links", "energy"), "links");
  near(total(r, "summary", "energy_radio"),
       total(r, "cells", "energy_up") + total(r, "cells", "energy_down"), "radio");
  near(total(r, "summary", "cost"),
       total(r, "hosts", "cost") + total(r, "links", "cost") +
           total(r, "summary", "energy_radio") * 25 / 3.6e6 +
           total(r, "summary", "wan_bytes") * 8e-9,
       "cost");
  ck_assert(total(r, "summary", "energy_radio") > 0 && total(r, "summary", "energy_links") > 0);
  /* gnb0 has amplifiers of 25 % and 50 %, gnb1 the defaults; 44 dBm and 23 dBm */
  double *up = column(r, "cells", "airtime_up"), *down = column(r, "cells", "airtime_down");
  double *eu = column(r, "cells", "energy_up"), *ed = column(r, "cells", "energy_down");
  static const double base[] = {0.25, 0.311}, device[] = {0.5, 0.35};
  for (int c = 0; c < 2; c++) {
    near(eu[c], 0.199526231496888 * 0.229 * up[c] / device[c], "devices");
    near(ed[c], 25.1188643150958 * 0.743 * down[c] / base[c], "base station");
  }
  free(up), free(down), free(eu), free(ed);
  uint64_t n;
  ck_assert(celslm_reader_rows(r, "requests", &n, &err) && n == 200);
  double quality = 0, *engine = column(r, "requests", "engine");
  for (uint64_t i = 0; i < n; i++) quality += engine[i] == 1 ? 1 : 0.5; /* 0 is the cloud */
  near(total(r, "summary", "pcr") * total(r, "summary", "cpr"),
       0.5 * quality / 200 + 0.5 * total(r, "summary", "slo_share"), "utility");
  static const char *const names[] = {"t_up",   "t_wait",   "t_cloud", "t_comm",
                                      "t_edge", "t_hidden", "t_down",  "ttft"};
  double *parts[8];
  for (int k = 0; k < 8; k++) parts[k] = column(r, "requests", names[k]);
  for (uint64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int k = 0; k < 7; k++) sum += k == 5 ? -parts[k][i] : parts[k][i];
    ck_assert_double_eq_tol(sum, parts[7][i], 1e-9);
  }
  for (int k = 0; k < 8; k++) free(parts[k]);
  free(engine);
  celslm_reader_close(r);
  free(file);
  end();
}
END_TEST

RUN_SUITE("accounting", test_rented_cloud_in_a_lower_state, test_owned_edge, test_sums)
