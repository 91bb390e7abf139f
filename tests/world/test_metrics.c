/* test_metrics.c - the figures of a run against a plain recomputation from its requests, and
 * against closed forms. */
#include "support.h"

#include <math.h>
#include <stdlib.h>

/* ---- a run with everything in it ------------------------------------------------------------- */

enum { CLASSES = 4, TENANTS = 2 };
static const double warmup = 2, slo_ttft = 0.4, slo_tpot = 0.03, deadline = 0.9, sample = 0.5;

/* Tight KV blocks, so that requests are preempted; three classes of one workload, one of another;
 * the last one's tenant is that of the first. */
static char *busy_text(void) {
  return celslm_format(
      "<scenario name=\"busy\" seed=\"5\" horizon=\"60s\"><platform "
      "file=\"pair.xml\"/><models><model "
      "file=\"models/big.xml\"/></models><engines><engine name=\"cloud\" host=\"cloud\" "
      "model=\"big\" kv_blocks=\"60\" max_num_seqs=\"32\" fixed_iteration=\"12ms\"/></engines>"
      "<workload><arrivals><poisson rate=\"4/s\"/></arrivals><prompt><uniform min=\"20\" "
      "max=\"300\"/></prompt><output><uniform min=\"1\" max=\"90\"/></output>"
      "<class name=\"a\" tenant=\"x\" deadline=\"%gs\"/><class name=\"b\" tenant=\"y\" "
      "deadline=\"%gs\" share=\"2\"/><class name=\"c\" tenant=\"y\"/></workload>"
      "<workload requests=\"80\"><arrivals><deterministic interval=\"500ms\"/></arrivals><prompt>"
      "<fixed tokens=\"100\"/></prompt><output><fixed tokens=\"20\"/></output><class name=\"d\" "
      "tenant=\"x\"/></workload>"
      "<strategy><cloud-only/></strategy><slo ttft=\"%gs\" tpot=\"%gs\"/><results sample=\"%gs\" "
      "warmup=\"%gs\"/></scenario>",
      deadline, deadline, slo_ttft, slo_tpot, sample, warmup);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* mean, low, high, three quantiles: textbook formulas, on values in order of completion. */
typedef struct six {
  double f[6];
} six;

static six textbook(double *v, int n) {
  enum { BATCHES = 20 };
  six out = {{0}};
  double means[BATCHES] = {0}, spread = 0, middle = 0;
  for (int i = 0; i < n; i++) out.f[0] += v[i] / n;
  for (int b = 0, at = 0; b < BATCHES; b++) {
    int size = n / BATCHES + (b < n % BATCHES);
    for (int i = 0; i < size; i++) means[b] += v[at++] / size;
    middle += means[b] / BATCHES;
  }
  for (int b = 0; b < BATCHES; b++) spread += (means[b] - middle) * (means[b] - middle);
  double half = 2.093024054 * sqrt(spread / (BATCHES - 1) / BATCHES); /* t(19), 97.5 % */
  out.f[1] = out.f[0] - half;
  out.f[2] = out.f[0] + half;
  qsort(v, (size_t)n, sizeof *v, ascending);
  static const double q[] = {0.5, 0.95, 0.99};
  for (int k = 0; k < 3; k++) { /* type 7 of Hyndman and Fan */
    double at = (n - 1) * q[k];
    int low = (int)at;
    out.f[3 + k] = v[low] + (low + 1 < n ? (at - low) * (v[low + 1] - v[low]) : 0);
  }
  return out;
}

static void equal_six(const double *found, double *values, int n, const char *what) {
  six expected = textbook(values, n);
  for (int k = 0; k < 6; k++)
    ck_assert_msg(fabs(found[k] - expected.f[k]) <= 1e-9 * fmax(1e-3, fabs(expected.f[k])),
                  "%s, figure %d: %.12g, recomputed %.12g", what, k, found[k], expected.f[k]);
}

/* Values of one latency of the completed requests of a class (-1: all) after the warm-up. */
static int collect(const simulation *s, int class, size_t offset, double *out) {
  int n = 0;
  for (size_t i = 0; i < s->n; i++) {
    const celslm_request_row *r = &s->rows[i];
    double v;
    memcpy(&v, (const char *)r + offset, sizeof v);
    if (r->end == CELSLM_COMPLETED && r->arrival >= warmup && !isnan(v) &&
        (class < 0 || (int)r->class == class))
      out[n++] = v;
  }
  return n;
}

static const struct {
  const char *name;
  size_t row, summary, class;
} latencies[] = {
#define LATENCY(of)                                                                                \
  {                                                                                                \
#of, offsetof(celslm_request_row, of), offsetof(celslm_summary_row, of##_mean),                \
        offsetof(celslm_class_row, of##_mean)                                                      \
  }
    LATENCY(ttft), LATENCY(tpot), LATENCY(e2e), LATENCY(queueing), LATENCY(normalised)};
enum { LATENCIES = sizeof latencies / sizeof *latencies };

typedef struct counts {
  int64_t ends[4], preemptions, late, good, warm, asked;
  double tokens;
} counts;

static counts count(const simulation *s, int class, int tenant) {
  counts c = {{0}, 0, 0, 0, 0, 0, 0};
  for (size_t i = 0; i < s->n; i++) {
    const celslm_request_row *r = &s->rows[i];
    if ((class >= 0 && (int)r->class != class) || (tenant >= 0 && (int)r->tenant != tenant))
      continue;
    c.ends[r->end]++;
    c.preemptions += r->preemptions;
    if (r->arrival < warmup) continue;
    c.asked++;
    if (r->end != CELSLM_COMPLETED) continue;
    c.warm++;
    c.late += r->class < 2 && r->last_token - r->arrival > deadline;
    bool slow = r->ttft > slo_ttft ||
                (r->output_tokens > 1 &&
                 (r->last_token - r->first_token) / (r->output_tokens - 1) > slo_tpot);
    c.good += !slow;
    c.tokens += r->prompt_tokens + r->output_tokens;
  }
  return c;
}

START_TEST(test_summary_is_that_of_the_rows) {
  char *text = busy_text();
  simulation s = simulate_well(text, 0, false);
  const celslm_summary_row *sum = &s.summary;
  double *values = malloc(s.n * sizeof *values);
  for (int k = 0; k < LATENCIES; k++) {
    int n = collect(&s, -1, latencies[k].row, values);
    equal_six((const double *)((const char *)sum + latencies[k].summary), values, n,
              latencies[k].name);
  }
  for (size_t i = 0; i < s.n; i++) { /* the definitions, request by request */
    const celslm_request_row *r = &s.rows[i];
    if (isnan(r->scheduled)) continue;
    ck_assert_double_eq(r->queueing, r->scheduled - r->queued);
    if (r->end != CELSLM_COMPLETED) continue;
    ck_assert_double_eq_tol(r->normalised, (r->last_token - r->arrival) / r->output_tokens, 1e-12);
    if (r->class < 2) ck_assert_double_eq_tol(r->deadline, r->arrival + deadline, 1e-9);
    if (r->class >= 2) ck_assert(isnan(r->deadline));
  }
  counts c = count(&s, -1, -1);
  ck_assert(sum->completed == c.ends[CELSLM_COMPLETED] &&
            sum->in_flight == c.ends[CELSLM_IN_FLIGHT]);
  ck_assert_int_eq(sum->preemptions, c.preemptions);
  ck_assert_int_eq(sum->late, c.late);
  ck_assert_double_eq_tol(sum->slo_share, (double)c.good / (double)c.warm, 1e-12);
  ck_assert_double_eq_tol(sum->goodput, (double)c.good / (sum->duration - warmup), 1e-9);
  double x = count(&s, -1, 0).tokens, y = count(&s, -1, 1).tokens;
  ck_assert_double_eq_tol(sum->fairness, (x + y) * (x + y) / (2 * (x * x + y * y)), 1e-12);
  /* the run has what is to be counted */
  ck_assert_msg(c.preemptions > 5 && c.late > 5 && c.good > 20 && c.good < c.warm && x != y,
                "%lld preemptions, %lld late, %lld of %lld good, %g and %g tokens",
                (long long)c.preemptions, (long long)c.late, (long long)c.good, (long long)c.warm,
                x, y);
  free(values), free(s.rows), free(text);
}
END_TEST

/* ---- the tables in the file ------------------------------------------------------------------ */

static double cell(celslm_reader *f, const char *table, const char *column, size_t row) {
  celslm_error err = {0};
  double *values = celslm_reader_column(f, table, column, &err);
  ck_assert_msg(values != NULL, "%s", err.text);
  double v = values[row];
  free(values);
  return v;
}

START_TEST(test_tables) {
  char folder[] = "/tmp/celslm-metrics-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *results = celslm_format("%s/r.h5", folder), *text = busy_text();
  simulation s = simulate_well(text, 0, false);
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    celslm_error err = {0};
    celslm_scenario *sc = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
    celslm_run_options o = {.file = results};
    _exit(sc ? (int)celslm_world_run(sc, &o, NULL, &err) : 9);
  }
  int status;
  waitpid(pid, &status, 0);
  ck_assert_int_eq(status, 0);
  celslm_error err = {0};
  celslm_reader *f = celslm_reader_open(results, &err);
  ck_assert_msg(f != NULL, "%s", err.text);

  /* /classes: as recomputed from the requests */
  uint64_t n;
  ck_assert(celslm_reader_rows(f, "classes", &n, &err));
  ck_assert_uint_eq(n, CLASSES);
  char **names = celslm_reader_names(f, "classes", "class", &err);
  char **tenants = celslm_reader_names(f, "classes", "tenant", &err);
  static const char *const expected[CLASSES][2] = {{"a", "x"}, {"b", "y"}, {"c", "y"}, {"d", "x"}};
  double *values = malloc(s.n * sizeof *values), window = s.summary.duration - warmup;
  for (int k = 0; k < CLASSES; k++) {
    counts c = count(&s, k, -1);
    size_t row = (size_t)k;
    ck_assert_str_eq(names[(int)cell(f, "classes", "class", row)], expected[k][0]);
    ck_assert_str_eq(tenants[(int)cell(f, "classes", "tenant", row)], expected[k][1]);
    ck_assert(cell(f, "classes", "completed", row) == (double)c.ends[CELSLM_COMPLETED]);
    ck_assert(cell(f, "classes", "arrived", row) ==
              (double)(c.ends[0] + c.ends[1] + c.ends[2] + c.ends[3]));
    ck_assert(cell(f, "classes", "late", row) == (double)c.late);
    ck_assert(cell(f, "classes", "preemptions", row) == (double)c.preemptions);
    ck_assert_double_eq_tol(cell(f, "classes", "served", row), c.tokens / window, 1e-9);
    ck_assert_double_eq_tol(cell(f, "classes", "goodput", row), (double)c.good / window, 1e-9);
    for (int l = 0; l < LATENCIES; l++) {
      char column[32];
      double found[6];
      static const char *const figures[] = {"mean", "low", "high", "p50", "p95", "p99"};
      for (int i = 0; i < 6; i++) {
        snprintf(column, sizeof column, "%s_%s", latencies[l].name, figures[i]);
        found[i] = cell(f, "classes", column, row);
      }
      equal_six(found, values, collect(&s, k, latencies[l].row, values), latencies[l].name);
    }
  }
  celslm_names_free(names);
  celslm_names_free(tenants);

  /* /engines: utilisation by sample adds up to the time busy; blocks within what there is */
  ck_assert(celslm_reader_rows(f, "engines", &n, &err));
  double *busy = celslm_reader_column(f, "engines", "busy", &err);
  double *time = celslm_reader_column(f, "engines", "time", &err);
  double *share = celslm_reader_column(f, "engines", "utilisation", &err);
  double *used = celslm_reader_column(f, "engines", "kv_blocks_used", &err);
  double *running = celslm_reader_column(f, "engines", "running", &err);
  double sum = 0, kv = 0, batch = 0;
  int warm = 0;
  ck_assert_uint_eq(n, (uint64_t)(60 / sample) + 1);
  ck_assert(isnan(share[0]));
  for (size_t i = 0; i < n; i++) {
    ck_assert_double_eq_tol(time[i], (double)i * sample, 1e-9);
    ck_assert(used[i] <= 60 && running[i] <= 32);
    if (i) sum += share[i] * sample;
    if (i) ck_assert(share[i] >= 0 && share[i] <= 1 + 1e-9);
    if (i) ck_assert_double_eq_tol(sum, busy[i], 1e-9);
    if (time[i] >= warmup) warm++, kv += used[i] / 60, batch += running[i];
  }
  ck_assert_double_eq_tol(s.summary.kv_share_mean, kv / warm, 1e-12);
  ck_assert_double_eq_tol(s.summary.running_mean, batch / warm, 1e-12);
  ck_assert_double_eq_tol(s.summary.utilisation, busy[n - 1] / 60, 1e-9);
  free(busy), free(time), free(share), free(used), free(running), free(values);
  celslm_reader_close(f);
  unlink(results);
  rmdir(folder);
  free(results), free(s.rows), free(text);
}
END_TEST

/* ---- between tokens -------------------------------------------------------------------------- */

/* Without preemption the gaps of a request are the iterations that end after its first token, up
 * to its last; every iteration is in the file. The sketch is off by at most 0.5 %. */
START_TEST(test_gaps_by_class) {
  char folder[] = "/tmp/celslm-metrics-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *results = celslm_format("%s/r.h5", folder);
  const char *text =
      "<scenario name=\"t\" seed=\"2\"><platform file=\"pair.xml\"/><models><model "
      "file=\"models/big.xml\"/></models><engines><engine name=\"cloud\" host=\"cloud\" "
      "model=\"big\"/></engines><workload requests=\"150\"><arrivals><poisson rate=\"40/s\"/>"
      "</arrivals><prompt><uniform min=\"20\" max=\"900\"/></prompt><output><uniform min=\"1\" "
      "max=\"30\"/></output><class name=\"busy\"/></workload><workload requests=\"50\"><arrivals>"
      "<poisson rate=\"2/s\"/></arrivals><prompt><fixed tokens=\"10\"/></prompt><output><fixed "
      "tokens=\"200\"/></output><class name=\"calm\"/></workload><strategy><cloud-only/></strategy>"
      "<results iterations=\"yes\"/></scenario>";
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    celslm_error err = {0};
    celslm_scenario *sc = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
    _exit(sc ? (int)celslm_world_run(sc, &(celslm_run_options){.file = results}, NULL, &err) : 9);
  }
  int status;
  waitpid(pid, &status, 0);
  ck_assert_int_eq(status, 0);
  simulation s = simulate_well(text, 0, false);
  ck_assert_int_eq(s.summary.preemptions, 0);
  celslm_error err = {0};
  celslm_reader *f = celslm_reader_open(results, &err);
  ck_assert_msg(f != NULL, "%s", err.text);
  uint64_t n;
  ck_assert(celslm_reader_rows(f, "iterations", &n, &err));
  double *end = celslm_reader_column(f, "iterations", "end", &err);
  double *duration = celslm_reader_column(f, "iterations", "duration", &err);
  double *gaps = malloc(sizeof *gaps * 20000), medians[2];
  for (int class = 0; class < 2; class ++) {
    int found = 0, expected = 0;
    for (size_t i = 0; i < s.n; i++) {
      const celslm_request_row *r = &s.rows[i];
      if ((int)r->class != class) continue;
      expected += (int)r->output_tokens - 1;
      for (uint64_t k = 0; k < n; k++)
        if (end[k] > r->first_token + 5e-10 && end[k] < r->last_token + 5e-10)
          gaps[found++] = duration[k];
    }
    ck_assert_int_eq(found, expected);
    qsort(gaps, (size_t)found, sizeof *gaps, ascending);
    static const struct {
      const char *column;
      double q;
    } at[] = {{"itl_p50", 0.5}, {"itl_p95", 0.95}, {"itl_p99", 0.99}};
    for (int k = 0; k < 3; k++) {
      double exact = gaps[(int)(at[k].q * (found - 1))],
             next = gaps[(int)(at[k].q * (found - 1)) + 1];
      double sketch = cell(f, "classes", at[k].column, (size_t) class);
      ck_assert_msg(sketch >= exact * 0.9949 && sketch <= next * 1.0051,
                    "class %d, %s: %.9g, recomputed %.9g to %.9g", class, at[k].column, sketch,
                    exact, next);
    }
    medians[class] = gaps[found / 2];
  }
  ck_assert(medians[0] != medians[1]); /* the classes' tokens do come at different times */
  free(end), free(duration), free(gaps), free(s.rows);
  celslm_reader_close(f);
  unlink(results);
  rmdir(folder);
  free(results);
}
END_TEST

/* ---- closed forms ---------------------------------------------------------------------------- */

static char *queue_text(int seed, double load, int requests, double cut, double every) {
  return celslm_format(
      "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/><models><model "
      "file=\"models/big.xml\"/></models><engines><engine name=\"cloud\" host=\"cloud\" "
      "model=\"big\" max_num_seqs=\"1\" fixed_iteration=\"10ms\"/></engines><workload "
      "requests=\"%d\"><arrivals><poisson rate=\"%g/s\"/></arrivals><prompt><fixed "
      "tokens=\"10\"/></prompt><output><fixed tokens=\"4\"/></output></workload>"
      "<strategy><cloud-only/></strategy><results warmup=\"%gs\" sample=\"%gs\"/></scenario>",
      seed, requests, load / 0.04, cut, every);
}

/* M/D/1, four iterations of 10 ms each: the engine is busy 40 ms per request; and by Little's law
 * the requests in it are the sum of their times there over the duration. A sample sees each request
 * for its time there, give or take one sample. */
START_TEST(test_occupancy) {
  double every = 0.001;
  char *text = queue_text(1, 0.7, 3000, 0, every);
  simulation s = simulate_well(text, 0, false);
  double there = 0, waiting = 0;
  for (size_t i = 0; i < s.n; i++) {
    there += s.rows[i].last_token - s.rows[i].scheduled;
    waiting += s.rows[i].scheduled - s.rows[i].queued;
  }
  double duration = s.summary.duration, slack = (double)s.n * every / duration;
  ck_assert_double_eq_tol(s.summary.utilisation, 3000 * 0.04 / duration, 1e-9);
  ck_assert_double_eq_tol(there, 3000 * 0.04, 1e-6);
  ck_assert_double_eq_tol(s.summary.running_mean, there / duration, slack);
  ck_assert_double_eq_tol(s.summary.waiting_mean, waiting / duration, slack);
  ck_assert(s.summary.waiting_mean > 10 * slack);
  ck_assert_double_eq(s.summary.fairness, 1); /* one tenant */
  free(s.rows), free(text);
}
END_TEST

/* The 95 % interval holds the true mean in 95 of 100 runs: the queueing time of M/D/1 by
 * Pollaczek-Khinchine, rho D / (2 (1 - rho)), after a warm-up. Batch means come close to it (A. M.
 * Law, section 9.5: a little less with few batches); 300 runs tell within 4 standard errors. */
START_TEST(test_coverage) {
  enum { RUNS = 300 };
  double load = 0.5, truth = load * 0.04 / (2 * (1 - load));
  int covered = 0;
  for (int run = 0; run < RUNS; run++) {
    char *text = queue_text(1000 + run, load, 4000, 20, 0);
    simulation s = simulate_well(text, 0, false);
    covered += s.summary.queueing_low <= truth && truth <= s.summary.queueing_high;
    free(s.rows), free(text);
  }
  double share = (double)covered / RUNS, error = sqrt(0.95 * 0.05 / RUNS);
  ck_assert_msg(share > 0.93 - 4 * error && share < 0.95 + 4 * error, "%g of the intervals", share);
}
END_TEST

/* Two tenants who ask alike are served alike; if one asks for nine times as much and gets it,
 * Jain's index is (1 + 9)^2 / (2 (1 + 81)). */
START_TEST(test_fairness) {
  for (int k = 0; k < 2; k++) {
    int longer = k ? 9 : 1;
    char *text = celslm_format(
        "<scenario name=\"t\"><platform file=\"pair.xml\"/><models><model file=\"models/big.xml\"/>"
        "</models><engines><engine name=\"cloud\" host=\"cloud\" "
        "model=\"big\"/></engines><workload "
        "requests=\"50\"><arrivals><deterministic interval=\"1s\"/></arrivals><prompt><fixed "
        "tokens=\"30\"/></prompt><output><fixed tokens=\"10\"/></output></workload><workload "
        "requests=\"50\"><arrivals><deterministic interval=\"1s\"/></arrivals><prompt><fixed "
        "tokens=\"%d\"/></prompt><output><fixed tokens=\"%d\"/></output></workload>"
        "<strategy><cloud-only/></strategy></scenario>",
        30 * longer, 10 * longer);
    simulation s = simulate_well(text, 0, false);
    ck_assert_double_eq_tol(s.summary.fairness, k ? 100.0 / (2 * 82) : 1, 1e-12);
    free(s.rows), free(text);
  }
}
END_TEST

RUN_SUITE("metrics", test_summary_is_that_of_the_rows, test_tables, test_gaps_by_class,
          test_occupancy, test_coverage, test_fairness)
