/* test_queueing.c - closed forms of queueing theory where the engine degenerates to them:
 * iterations of one length make it a queue in slots. Means come with 99 % intervals from
 * independent replications. */
#include "estimate.h"
#include "support.h"

#include <math.h>

static const double slot = 0.01; /* s of an iteration */

/* An engine of `engine` attributes under a workload; the rows of its requests in order of arrival.
 */
static simulation run(int seed, const char *engine, int requests, const char *arrivals,
                      const char *prompt, const char *output) {
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" fixed_iteration=\"10ms\" "
      "%s/></engines>"
      "<workload "
      "requests=\"%d\"><arrivals>%s</arrivals><prompt>%s</prompt><output>%s</output></workload>"
      "<strategy><cloud-only/></strategy></scenario>",
      seed, engine, requests, arrivals, prompt, output);
  simulation s = simulate_well(text, 0, false);
  free(text);
  ck_assert_uint_eq(s.n, (size_t)requests);
  celslm_request_row *rows = celslm_alloc(s.n, sizeof *rows);
  for (size_t i = 0; i < s.n; i++) rows[s.rows[i].id] = s.rows[i];
  free(s.rows);
  s.rows = rows;
  return s;
}

static char *poisson(double rate) {
  return celslm_format("<poisson rate=\"%.17g/s\"/>", rate);
}

static long long ns(double seconds) {
  return llround(seconds * 1e9);
}

/* ---- one sequence at a time: M/G/1 ----------------------------------------------------------- */

/* Pollaczek-Khinchine: W = lambda E[S^2] / (2 (1 - rho)); an arrival finds the server idle with 1 -
 * rho. The service time is uniform on 1..most slots, once by output tokens, once by chunks of the
 * prompt. */
static void check_mg1(int most, const char *engine, const char *prompt, const char *output,
                      bool chunks) {
  static const double loads[] = {0.3, 0.5, 0.7};
  for (size_t l = 0; l < sizeof loads / sizeof *loads; l++) {
    double mean = slot * (most + 1) / 2, square = slot * slot * (most + 1) * (2 * most + 1) / 6;
    double rate = loads[l] / mean;
    char *arrivals = poisson(rate);
    int requests = 8000 * scale(), warm = 800;
    estimate wait = {0}, idle = {0}, sojourn = {0};
    for (int k = 0; k < RUNS; k++) {
      simulation s = run(1000 * most + k, engine, requests, arrivals, prompt, output);
      double waits = 0, sojourns = 0, idles = 0;
      for (int i = warm; i < requests; i++) {
        const celslm_request_row *q = &s.rows[i];
        int slots = chunks ? (int)(q->prompt_tokens + 15) / 16 : (int)q->output_tokens;
        ck_assert_int_eq(ns(q->last_token) - ns(q->scheduled), ns(slots * slot));
        ck_assert(i == warm || q->scheduled >= s.rows[i - 1].last_token); /* in turn, one by one */
        waits += q->scheduled - q->queued;
        sojourns += q->last_token - q->queued;
        idles += q->scheduled <= q->queued;
      }
      add(&wait, waits / (requests - warm));
      add(&sojourn, sojourns / (requests - warm));
      add(&idle, idles / (requests - warm));
      free(s.rows);
    }
    double expected = rate * square / (2 * (1 - loads[l]));
    must_be(&wait, expected, 0.2, "M/G/1 wait", loads[l]);
    must_be(&sojourn, expected + mean, 0.2, "M/G/1 sojourn", loads[l]);
    must_be(&idle, 1 - loads[l], 0.05, "M/G/1 idle", loads[l]);
    free(arrivals);
  }
}

START_TEST(test_mg1_outputs) {
  check_mg1(9, "max_num_seqs=\"1\"", "<fixed tokens=\"7\"/>", "<uniform min=\"1\" max=\"9\"/>",
            false);
}
END_TEST

START_TEST(test_mg1_chunks) {
  check_mg1(5, "max_num_seqs=\"1\" max_num_batched_tokens=\"16\"",
            "<uniform min=\"1\" max=\"80\"/>", "<fixed tokens=\"1\"/>", true);
}
END_TEST

/* ---- everything the same: D/D/1 -------------------------------------------------------------- */

START_TEST(test_dd1) {
  static const struct {
    const char *interval;
    double seconds;
    int output;
  } cases[] = {{"50ms", 0.05, 5},
               {"53ms", 0.053, 5},
               {"500ms", 0.5, 50},
               {"37ms", 0.037, 5},
               {"9ms", 0.009, 1}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    char *arrivals = celslm_format("<deterministic interval=\"%s\"/>", cases[c].interval);
    char *output = celslm_format("<fixed tokens=\"%d\"/>", cases[c].output);
    simulation s = run(1, "max_num_seqs=\"1\"", 2000, arrivals, "<fixed tokens=\"3\"/>", output);
    double service = cases[c].output * slot, grows = fmax(0, service - cases[c].seconds);
    for (size_t i = 0; i < s.n; i++) {
      const celslm_request_row *q = &s.rows[i];
      ck_assert_int_eq(ns(q->scheduled) - ns(q->queued), ns((double)i * grows));
      ck_assert_int_eq(ns(q->last_token) - ns(q->scheduled), ns(service));
      ck_assert_int_eq(ns(q->first_token) - ns(q->scheduled), ns(slot));
    }
    free(arrivals), free(output), free(s.rows);
  }
}
END_TEST

/* ---- all that wait at once: bulk service ----------------------------------------------------- */

/* One token each, no limit that matters: an iteration serves all that wait, those that come
 * meanwhile are the next batch, or, if there are none (with probability exp(-a), a = lambda D), the
 * next arrival starts one alone. So a batch brings a + exp(-a) requests, of which exp(-a) do not
 * wait and the others wait for what is left of an iteration, D/2 on average. */
START_TEST(test_bulk_service) {
  static const double brought[] = {0.2, 1, 4};
  for (size_t l = 0; l < sizeof brought / sizeof *brought; l++) {
    double a = brought[l], alone = exp(-a);
    char *arrivals = poisson(a / slot);
    int requests = 10000 * scale();
    estimate wait = {0}, batch = {0};
    for (int k = 0; k < RUNS; k++) {
      simulation s = run(300 + k, "max_num_seqs=\"1024\" max_num_batched_tokens=\"8192\"", requests,
                         arrivals, "<fixed tokens=\"4\"/>", "<fixed tokens=\"1\"/>");
      double waits = 0;
      for (size_t i = 0; i < s.n; i++) waits += s.rows[i].scheduled - s.rows[i].queued;
      add(&wait, waits / requests);
      add(&batch, (double)requests / (double)s.summary.iterations);
      free(s.rows);
    }
    must_be(&wait, slot / 2 * a / (a + alone), 0.1, "wait for a batch", a);
    must_be(&batch, a + alone, 0.05, "requests in a batch", a);
    free(arrivals);
  }
}
END_TEST

/* At most c at once, all of the same length, a nanosecond apart: the first fills an iteration
 * alone, c - 1 join it in the second one; when it leaves, one slot is free, an iteration later c -
 * 1 are. */
START_TEST(test_batches) {
  static const struct {
    int seqs, requests, output;
  } cases[] = {{1, 20, 3}, {4, 20, 3}, {7, 50, 2}, {32, 50, 20}, {7, 50, 1}};
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
    char *engine = celslm_format("max_num_seqs=\"%d\"", cases[c].seqs);
    char *output = celslm_format("<fixed tokens=\"%d\"/>", cases[c].output);
    simulation s = run(1, engine, cases[c].requests, "<deterministic interval=\"1ns\"/>",
                       "<fixed tokens=\"8\"/>", output);
    for (int i = 0; i < (int)s.n; i++) {
      int turn = i / cases[c].seqs,
          iterations = cases[c].output * (turn + 1) + (i % cases[c].seqs != 0);
      if (cases[c].output == 1)
        iterations = i ? 2 + (i - 1) / cases[c].seqs : 1; /* the first has left */
      ck_assert_int_eq(ns(s.rows[i].last_token) - ns(s.rows[0].queued), iterations * ns(slot));
    }
    free(engine), free(output), free(s.rows);
  }
}
END_TEST

/* ---- room for all: an infinite server -------------------------------------------------------- */

/* Many slots, a large budget, and an iteration that takes as long however many it serves: the
 * residence of a request does not depend on the others. An engine that is never idle is then
 * M/G/infinity in slots: Poisson many are in service, with mean lambda E[S] (Little's law), so the
 * variance is that too. */
START_TEST(test_infinite_server) {
  static const double brought[] = {1, 4, 8}; /* arrivals per iteration */
  for (size_t l = 0; l < sizeof brought / sizeof *brought; l++) {
    char *arrivals = poisson(brought[l] / slot);
    int requests = (int)(1500 * brought[l]) * scale();
    double expected = brought[l] * 10.5 * 2; /* in service: the probability of none is below 1e-9 */
    estimate number = {0}, variance = {0}, wait = {0};
    for (int k = 0; k < RUNS; k++) {
      simulation s =
          run(700 + k, "max_num_seqs=\"1024\" max_num_batched_tokens=\"8192\"", requests, arrivals,
              "<uniform min=\"1\" max=\"12\"/>", "<uniform min=\"2\" max=\"40\"/>");
      double start = s.rows[0].scheduled;
      int slots = (int)((s.rows[s.n - 1].scheduled - start) / slot), warm = 50;
      double *in_service = celslm_alloc((unsigned long)slots + 100, sizeof *in_service);
      double waits = 0;
      for (size_t i = 0; i < s.n; i++) {
        const celslm_request_row *q = &s.rows[i];
        ck_assert_int_eq(ns(q->last_token) - ns(q->scheduled), ns(q->output_tokens * slot));
        int from = (int)lround((q->scheduled - start) / slot), to = from + (int)q->output_tokens;
        ck_assert_int_eq(ns(q->scheduled) - ns(start), from * ns(slot)); /* never idle */
        for (int t = from; t < to; t++) in_service[t]++;
        waits += q->scheduled - q->queued;
      }
      double sum = 0, squares = 0;
      for (int t = warm; t < slots; t++) {
        sum += in_service[t];
        squares += (in_service[t] - expected) * (in_service[t] - expected);
      }
      add(&number, sum / (slots - warm));
      add(&variance, squares / (slots - warm));
      add(&wait, waits / requests);
      free(in_service), free(s.rows);
    }
    must_be(&number, expected, 0.05, "number in service", brought[l]);
    must_be(&variance, expected, 0.2, "variance of the number in service", brought[l]);
    must_be(&wait, slot / 2, 0.05, "wait for the next iteration", brought[l]);
    free(arrivals);
  }
}
END_TEST

RUN_SUITE("queueing", test_mg1_outputs, test_mg1_chunks, test_dd1, test_bulk_service, test_batches,
          test_infinite_server)
