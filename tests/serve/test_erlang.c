/* test_erlang.c - the queues of A. K. Erlang, and processor sharing, where an engine comes as near
 * to them as one likes: c sequences at a time whose lengths are drawn from an exponential law and
 * are thousands of iterations, so that waiting for the next iteration is next to nothing. Means
 * come with 99 % intervals from independent replications.
 */
#include "estimate.h"
#include "support.h"

#include <math.h>

static simulation run(int seed, const char *engine, int requests, double rate, const char *output) {
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" %s/></engines>"
      "<workload requests=\"%d\"><arrivals><poisson rate=\"%.17g/s\"/></arrivals><prompt><fixed "
      "tokens=\"1\"/></prompt><output>%s</output></workload>"
      "<strategy><cloud-only/></strategy></scenario>",
      seed, engine, requests, rate, output);
  simulation s = simulate_well(text, 0, false);
  free(text);
  ck_assert_int_eq(s.summary.preemptions, 0);
  celslm_request_row *rows = celslm_alloc(s.n, sizeof *rows);
  for (size_t i = 0; i < s.n; i++) rows[s.rows[i].id] = s.rows[i];
  free(s.rows);
  s.rows = rows;
  return s;
}

/* A file of lengths that are exponential with this mean, by their quantiles; removed by the caller.
 * `*mean` becomes what they are on average, rounded to tokens as they are. */
static char *exponential_lengths(double *mean) {
  enum { QUANTILES = 20000 };
  char *file = celslm_strdup("/tmp/celslm-serve-XXXXXX");
  int fd = mkstemp(file);
  ck_assert_int_ge(fd, 0);
  FILE *f = fdopen(fd, "w");
  fprintf(f, "tokens\n");
  double sum = 0;
  for (int i = 0; i < QUANTILES; i++) {
    double tokens = fmax(1, round(-*mean * log1p(-(i + 0.5) / QUANTILES)));
    fprintf(f, "%.0f\n", tokens);
    sum += tokens;
  }
  ck_assert_int_eq(fclose(f), 0);
  *mean = sum / QUANTILES;
  return file;
}

/* Probability that an arrival finds n there, in M/M/c/K (K < 0: no limit) with a = lambda E[S]. */
static double found(int n, int c, int k, double a) {
  double term = 1, sum = 0, at = 0;
  for (int i = 0; i <= (k < 0 ? 10000 : k); i++) {
    if (i) term *= a / (i < c ? i : c);
    sum += term;
    if (i == n) at = term;
  }
  return at / sum;
}

static const double step = 1e-6; /* s of an iteration */
static const char *const servers =
    "max_num_seqs=\"%d\" fixed_iteration=\"1us\" kv_blocks=\"50000\" %s";

/* Erlang C: whoever finds all c busy waits; so often, and W = C / (c mu - lambda) on average. */
START_TEST(test_erlang_c) {
  static const struct {
    int c;
    double load;
  } cases[] = {{1, 0.6}, {2, 0.7}, {4, 0.7}, {10, 0.8}};
  double mean = 5000;
  char *file = exponential_lengths(&mean);
  char *output = celslm_format("<empirical file=\"%s\" column=\"tokens\"/>", file);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int c = cases[i].c, requests = 8000 * scale(), warm = requests / 10;
    double a = cases[i].load * c, service = mean * step, rate = a / service, delayed = 1;
    for (int n = 0; n < c; n++) delayed -= found(n, c, -1, a);
    char *engine = celslm_format(servers, c, "");
    estimate wait = {0}, late = {0};
    for (int k = 0; k < RUNS; k++) {
      simulation s = run(100 + k, engine, requests, rate, output);
      double waits = 0, lates = 0;
      for (int j = warm; j < requests; j++) {
        double w = s.rows[j].scheduled - s.rows[j].queued;
        waits += w;
        lates += w > 1.5 * step;
      }
      add(&wait, waits / (requests - warm));
      add(&late, lates / (requests - warm));
      free(s.rows);
    }
    must_be(&late, delayed, 0.1, "Erlang C, delayed, with servers", c);
    must_be(&wait, delayed * service / (c - a), 0.3, "Erlang C, wait, with servers", c);
    free(engine);
  }
  unlink(file);
  free(file), free(output);
}
END_TEST

/* M/M/c/K, K = c + max_queue: whoever finds K is turned away; without a queue that is Erlang B, the
 * loss formula. */
START_TEST(test_bounded_queue) {
  static const struct {
    int c, queue;
    double load;
  } cases[] = {{1, 1, 0.8}, {3, 1, 1}, {4, 3, 1.5}, {8, 2, 0.7},
               {1, 0, 0.8}, {5, 0, 1}, {10, 0, 0.8}};
  double mean = 5000;
  char *file = exponential_lengths(&mean);
  char *output = celslm_format("<empirical file=\"%s\" column=\"tokens\"/>", file);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int c = cases[i].c, most = c + cases[i].queue, requests = 8000 * scale();
    double a = cases[i].load * c, rate = a / (mean * step);
    char *limit = cases[i].queue ? celslm_format("max_queue=\"%d\"", cases[i].queue)
                                 : celslm_strdup("max_queue=\"none\"");
    char *engine = celslm_format(servers, c, limit);
    estimate blocked = {0};
    for (int k = 0; k < RUNS; k++) {
      simulation s = run(300 + k, engine, requests, rate, output);
      add(&blocked, (double)s.summary.rejected / requests);
      free(s.rows);
    }
    must_be(&blocked, found(most, c, most, a), 0.15, "turned away, with servers", c);
    free(engine), free(limit);
  }
  unlink(file);
  free(file), free(output);
}
END_TEST

/* If an iteration takes as long as it has sequences (a second each, beside which the operations
 * are nothing), everybody gets a token per round: processor sharing with a quantum of a token. In
 * M/G/1-PS a request of x seconds of service stays x / (1 - rho), whatever the law of lengths (L.
 * Kleinrock, Queueing Systems II, section 4.4). */
START_TEST(test_processor_sharing) {
  static const struct {
    const char *output;
    double mean;
    int low, high; /* lengths looked at by themselves */
  } cases[] = {{"<uniform min=\"100\" max=\"700\"/>", 400, 100, 250},
               {"<fixed tokens=\"400\"/>", 400, 400, 400},
               {"<uniform min=\"1\" max=\"1199\"/>", 600, 900, 1199}};
  const double load = 0.5;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int requests = 4000 * scale(), warm = requests / 10;
    estimate all = {0}, some = {0};
    for (int k = 0; k < RUNS; k++) {
      simulation s =
          run(500 + k,
              "max_num_seqs=\"1024\" max_num_batched_tokens=\"1024\" step_overhead=\"0s\" "
              "sequence_overhead=\"1s\" kv_blocks=\"50000\"",
              requests, load / cases[i].mean, cases[i].output);
      double stays = 0, slow = 0, n = 0;
      for (int j = warm; j < requests; j++) {
        const celslm_request_row *q = &s.rows[j];
        double stay = q->last_token - q->queued;
        stays += stay;
        if (q->output_tokens < (uint32_t)cases[i].low || q->output_tokens > (uint32_t)cases[i].high)
          continue;
        slow += stay / q->output_tokens;
        n++;
      }
      add(&all, stays / (requests - warm));
      add(&some, slow / n);
      free(s.rows);
    }
    must_be(&all, cases[i].mean / (1 - load), 0.1, "M/G/1-PS, stay, of mean", cases[i].mean);
    must_be(&some, 1 / (1 - load), 0.1, "M/G/1-PS, slowdown, from", cases[i].low);
  }
}
END_TEST

RUN_SUITE("erlang", test_erlang_c, test_bounded_queue, test_processor_sharing)
