/* test_policies.c - what is known of scheduling policies: closed forms where an engine degenerates
 * to a queue, bounds that were proved, and policies that are the same where nothing tells requests
 * apart. Means come with 99 % intervals from independent replications. */
#include "estimate.h"
#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static const double slot = 0.01; /* s of an iteration */

/* The rows of a run, in order of arrival; those cut off at the horizon too. */
static simulation run(int seed, const char *attributes, const char *engine, const char *scheduler,
                      const char *workloads) {
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"%d\" %s><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" %s>%s</engine></engines>%s"
      "<strategy><cloud-only/></strategy></scenario>",
      seed, attributes, engine, scheduler, workloads);
  simulation s = simulate_well(text, 0, false);
  free(text);
  celslm_request_row *rows = celslm_alloc(s.n, sizeof *rows);
  for (size_t i = 0; i < s.n; i++) rows[s.rows[i].id] = s.rows[i];
  free(s.rows);
  s.rows = rows;
  return s;
}

/* ---- one sequence at a time: M/G/1 with priorities ------------------------------------------- */

/* A. Cobham, "Priority Assignment in Waiting Line Problems", Operations Research 2, 1954: without
 * preemption class k waits W0 / ((1 - s(k-1)) (1 - s(k))), where s(k) is the load of classes 1..k
 * and W0 = lambda E[S^2] / 2. */
static void cobham(int n, const double *rates, const double *means, const double *squares,
                   double *waits) {
  double w0 = 0, above = 0;
  for (int k = 0; k < n; k++) w0 += rates[k] * squares[k] / 2;
  for (int k = 0; k < n; k++) {
    double upto = above + rates[k] * means[k];
    waits[k] = w0 / ((1 - above) * (1 - upto));
    above = upto;
  }
}

/* Mean waits by class, of those that arrive in the middle of the run. `class_of` tells. */
static void mean_waits(const simulation *s, double horizon, int n,
                       int (*class_of)(const celslm_request_row *), double *means) {
  double counts[16] = {0};
  for (int k = 0; k < n; k++) means[k] = 0;
  for (size_t i = 0; i < s->n; i++) {
    const celslm_request_row *q = &s->rows[i];
    if (q->queued < 0.1 * horizon || q->queued > 0.95 * horizon || isnan(q->scheduled)) continue;
    means[class_of(q)] += q->scheduled - q->queued;
    counts[class_of(q)]++;
  }
  for (int k = 0; k < n; k++) means[k] /= counts[k];
}

static int by_prompt(const celslm_request_row *q) {
  return (int)q->prompt_tokens - 1;
}

/* Two classes, told apart by their prompts: urgent ones of 2 tokens, others of 1 to 9. */
START_TEST(test_cobham) {
  double rates[] = {12, 9}, waits[2];
  const double means[] = {2 * slot, 5 * slot},
               squares[] = {4 * slot * slot, 95.0 / 3 * slot * slot};
  cobham(2, rates, means, squares, waits);
  estimate urgent = {0}, others = {0};
  double horizon = 600 * scale();
  char *attributes = celslm_format("horizon=\"%gs\"", horizon);
  for (int k = 0; k < RUNS; k++) {
    simulation s =
        run(500 + k, attributes, "max_num_seqs=\"1\" fixed_iteration=\"10ms\"",
            "<scheduler><priority/></scheduler>",
            "<workload><arrivals><poisson rate=\"12/s\"/></arrivals><prompt><fixed tokens=\"1\"/>"
            "</prompt><output><fixed tokens=\"2\"/></output><class name=\"urgent\" priority=\"1\"/>"
            "</workload><workload><arrivals><poisson rate=\"9/s\"/></arrivals><prompt><fixed "
            "tokens=\"2\"/></prompt><output><uniform min=\"1\" max=\"9\"/></output><class "
            "name=\"others\" priority=\"5\"/></workload>");
    double seen[2];
    mean_waits(&s, horizon, 2, by_prompt, seen);
    add(&urgent, seen[0]);
    add(&others, seen[1]);
    free(s.rows);
  }
  must_be(&urgent, waits[0], 0.1, "wait of the urgent class, at load", 0.69);
  must_be(&others, waits[1], 0.2, "wait of the other class, at load", 0.69);
  free(attributes);
}
END_TEST

static int by_output(const celslm_request_row *q) {
  return (int)q->output_tokens - 1;
}

/* Shortest job first is Cobham's queue with a class for each length (T. E. Phipps, Operations
 * Research 4, 1956). On the same load first come, first served makes everybody wait W0 / (1 - rho),
 * on average longer. */
START_TEST(test_shortest_job) {
  enum { LENGTHS = 9 };
  double rate = 15, rates[LENGTHS], means[LENGTHS], squares[LENGTHS], waits[LENGTHS], mean = 0;
  for (int k = 0; k < LENGTHS; k++) {
    rates[k] = rate / LENGTHS;
    means[k] = (k + 1) * slot;
    squares[k] = means[k] * means[k];
  }
  cobham(LENGTHS, rates, means, squares, waits);
  for (int k = 0; k < LENGTHS; k++) mean += waits[k] / LENGTHS;
  estimate all = {0}, shortest = {0}, longest = {0}, in_turn = {0};
  double horizon = 600 * scale();
  char *attributes = celslm_format("horizon=\"%gs\"", horizon);
  for (int k = 0; k < RUNS; k++) {
    double sums[2] = {0};
    for (int fcfs = 0; fcfs < 2; fcfs++) {
      simulation s =
          run(700 + k, attributes, "max_num_seqs=\"1\" fixed_iteration=\"10ms\"",
              fcfs ? "<scheduler><fcfs/></scheduler>" : "<scheduler><shortest-job/></scheduler>",
              "<workload><arrivals><poisson rate=\"15/s\"/></arrivals><prompt><fixed tokens=\"3\"/>"
              "</prompt><output><uniform min=\"1\" max=\"9\"/></output></workload>");
      double seen[LENGTHS];
      mean_waits(&s, horizon, LENGTHS, by_output, seen);
      for (int j = 0; j < LENGTHS; j++) sums[fcfs] += seen[j] / LENGTHS;
      if (!fcfs) {
        add(&shortest, seen[0]);
        add(&longest, seen[LENGTHS - 1]);
      }
      free(s.rows);
    }
    add(&all, sums[0]);
    add(&in_turn, sums[1]);
    ck_assert_msg(sums[0] < sums[1], "shortest first waits %g s, in turn %g s", sums[0], sums[1]);
  }
  must_be(&all, mean, 0.15, "shortest job first, wait at load", 0.75);
  must_be(&shortest, waits[0], 0.15, "wait of the shortest", 0.75);
  must_be(&longest, waits[LENGTHS - 1], 0.3, "wait of the longest", 0.75);
  must_be(&in_turn, rate * 95.0 / 3 * slot * slot / 2 / (1 - 0.75), 0.15, "first come, wait", 0.75);
  free(attributes);
}
END_TEST

/* ---- the fair scheduler's bound -------------------------------------------------------------- */

enum { F_PROMPT = 40, F_OUTPUT = 12, G_PROMPT = 9, G_OUTPUT = 70, SEQS = 6 };

/* Weighted service of a tenant up to `now`: prompts when they are admitted, then a token per
 * iteration (nobody is preempted). */
static double service(const simulation *s, bool f, double now, double wp, double wq) {
  double sum = 0;
  for (size_t i = 0; i < s->n; i++) {
    const celslm_request_row *q = &s->rows[i];
    if ((q->prompt_tokens == F_PROMPT) != f || q->scheduled > now + slot / 2) continue;
    double tokens = floor((now - q->first_token) / slot + 0.5);
    sum += wp * q->prompt_tokens + wq * fmax(0, fmin(tokens, q->output_tokens - 1.0));
  }
  return sum;
}

/* How far the difference of two tenants' service moves while both have requests waiting, and the
 * bound of Sheng et al. for backlogged clients: 2 max(w_p longest prompt, w_q tokens of a full
 * batch). */
static double apart(const char *scheduler, double wp, double wq, double *bound) {
  char *workloads = celslm_format(
      "<workload requests=\"400\"><arrivals><deterministic interval=\"1us\"/></arrivals><prompt>"
      "<fixed tokens=\"%d\"/></prompt><output><fixed tokens=\"%d\"/></output><class name=\"f\"/>"
      "</workload><workload requests=\"150\"><arrivals><deterministic interval=\"3us\"/></arrivals>"
      "<prompt><fixed tokens=\"%d\"/></prompt><output><fixed tokens=\"%d\"/></output><class "
      "name=\"g\"/></workload>",
      F_PROMPT, F_OUTPUT, G_PROMPT, G_OUTPUT);
  char *engine = celslm_format("max_num_seqs=\"%d\" fixed_iteration=\"10ms\"", SEQS);
  simulation s = run(1, "", engine, scheduler, workloads);
  ck_assert_int_eq(s.summary.preemptions, 0);
  double last[2] = {0}, low = 0, high = 0;
  for (size_t i = 0; i < s.n; i++) {
    double *to = &last[s.rows[i].prompt_tokens == F_PROMPT];
    *to = fmax(*to, s.rows[i].scheduled);
  }
  double end = fmin(last[0], last[1]);
  ck_assert_double_gt(end, 1000 * slot);
  double from = 5 * slot; /* all have come */
  for (double t = from; t < end; t += slot) {
    double d = service(&s, true, t, wp, wq) - service(&s, false, t, wp, wq);
    low = t > from ? fmin(low, d) : d;
    high = t > from ? fmax(high, d) : d;
  }
  *bound = 2 * fmax(wp * F_PROMPT, wq * SEQS * (G_PROMPT + G_OUTPUT));
  free(s.rows), free(workloads), free(engine);
  return high - low;
}

START_TEST(test_fair) {
  static const double weights[][2] = {{1, 2}, {1, 1}, {0, 1}, {20, 1}, {0.3, 1.4}};
  for (size_t w = 0; w < sizeof weights / sizeof *weights; w++) {
    double wp = weights[w][0], wq = weights[w][1], bound;
    char *fair = celslm_format(
        "<scheduler><fair prompt_weight=\"%g\" output_weight=\"%g\"/></scheduler>", wp, wq);
    double moved = apart(fair, wp, wq, &bound), unfair = apart("", wp, wq, &bound);
    ck_assert_msg(moved <= bound, "weights %g, %g: service moves apart by %g, the bound is %g", wp,
                  wq, moved, bound);
    ck_assert_msg(unfair > bound, "weights %g, %g: also first come, first served is fair (%g, %g)",
                  wp, wq, unfair, bound);
    free(fair);
  }
}
END_TEST

/* ---- where policies are the same ------------------------------------------------------------- */

/* One class, one tenant, one length, no deadlines (or the same time to each): every policy serves
 * in order of arrival, bit by bit, with preemptions and with the cache. */
START_TEST(test_degenerate) {
  static const char *const schedulers[] = {
      "",
      "<scheduler><fcfs/></scheduler>",
      "<scheduler><priority/></scheduler>",
      "<scheduler><deadline/></scheduler>",
      "<scheduler><shortest-job/></scheduler>",
      "<scheduler><fair prompt_weight=\"0.7\" output_weight=\"3.3\"/></scheduler>"};
  gsl_rng *dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t preemptions = 0;
  for (int i = 0; i < 20 * scale(); i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    int output = 1 + (int)gsl_rng_uniform_int(dice, 60),
        block = 1 + (int)gsl_rng_uniform_int(dice, 16);
    char *engine = celslm_format(
        "kv_blocks=\"%d\" block_size=\"%d\" max_num_seqs=\"%d\" max_num_batched_tokens=\"%d\" "
        "prefix_caching=\"%s\" admission=\"%s\"",
        (50 + output) / block + 2 + (int)gsl_rng_uniform_int(dice, 20), block,
        1 + (int)gsl_rng_uniform_int(dice, 16), 16 + (int)gsl_rng_uniform_int(dice, 64),
        i % 2 ? "yes" : "no", i % 3 ? "prompt" : "chunk");
    char *workload = celslm_format(
        "<workload requests=\"80\"><arrivals><poisson rate=\"200/s\"/></arrivals><prompt><uniform "
        "min=\"1\" max=\"50\"/></prompt><output><fixed tokens=\"%d\"/></output><class name=\"a\" "
        "%s/>"
        "</workload>",
        output, i % 5 ? "" : "deadline=\"2s\"");
    simulation first = {0};
    for (size_t k = 0; k < sizeof schedulers / sizeof *schedulers; k++) {
      simulation s = run(i + 1, "", engine, schedulers[k], workload);
      preemptions += s.summary.preemptions;
      if (!k) {
        first = s;
        continue;
      }
      ck_assert_uint_eq(s.n, first.n);
      for (size_t j = 0; j < s.n; j++)
        ck_assert_msg(memcmp(&s.rows[j], &first.rows[j], sizeof *s.rows) == 0,
                      "load %d, %s: request %zu is not served as first come, first served", i,
                      schedulers[k], j);
      free(s.rows);
    }
    free(first.rows), free(engine), free(workload);
  }
  ck_assert_int_ge(preemptions, 100);
  gsl_rng_free(dice);
}
END_TEST

RUN_SUITE("policies", test_cobham, test_shortest_job, test_fair, test_degenerate)
