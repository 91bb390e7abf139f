/* choices.h - what the suites of strategies that choose among engines share: a scenario of a cloud
 * and two edges, whose users sit at the edges' hosts, and comparisons of runs. */
#ifndef CELSLM_TESTS_CHOICES_H
#define CELSLM_TESTS_CHOICES_H

#include "../support.h"

#include <math.h>

/* KubeEdge-Ianvs on MMLU. */
#define IANVS(more)                                                                                \
  "<correctness either=\"0.8422\" " more "><of model=\"big\" accuracy=\"0.7599\"/>"                \
  "<of model=\"small\" accuracy=\"0.7184\"/></correctness>"
#define IDLE "deterministic interval=\"30s\"" /* nobody meets another */
#define BUSY "poisson rate=\"40/s\""

static inline char *choices_text(int seed, int requests, const char *arrivals,
                                 const char *correctness, const char *strategy) {
  return celslm_format(
      "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"c\" host=\"cloud\" model=\"big\" context_memory=\"1GiB\"/>"
      "<engine name=\"e\" host=\"edge0\" model=\"small\" max_num_seqs=\"16\" "
      "context_memory=\"1GiB\"/><engine name=\"f\" host=\"edge1\" model=\"small\" "
      "max_num_seqs=\"16\" context_memory=\"1GiB\"/></engines>"
      "<contexts><population name=\"d\" count=\"4\"><uniform min=\"16\" max=\"300\"/></population>"
      "</contexts><workload requests=\"%d\"><arrivals><%s/></arrivals>"
      "<prompt><lognormal mean=\"60\" cv=\"1\" max=\"400\"/></prompt>"
      "<output><lognormal mean=\"20\" cv=\"1\" max=\"60\"/></output>"
      "<popularity><uniform/></popularity></workload>%s"
      "<strategy>%s</strategy></scenario>",
      seed, requests, arrivals, correctness, strategy);
}

static inline simulation choices_run(const char *arrivals, const char *correctness,
                                     const char *strategy) {
  char *text = choices_text(3, 200, arrivals, correctness, strategy);
  simulation s = simulate_well(text, 0, false);
  ck_assert_uint_eq(s.n, 200);
  free(text);
  return s;
}

static inline void same_bits(const char *correctness, const char *one, const char *other) {
  simulation a = choices_run(BUSY, correctness, one), b = choices_run(BUSY, correctness, other);
  ck_assert_msg(memcmp(a.rows, b.rows, a.n * sizeof *a.rows) == 0, "%s is not %s", one, other);
  free(a.rows), free(b.rows);
}

static inline void bad_input(const char *correctness, const char *strategy, const char *message) {
  char *text = choices_text(1, 10, BUSY, correctness, strategy);
  simulation s = simulate(text, 0, false);
  ck_assert_int_eq(s.status, CELSLM_BAD_INPUT);
  ck_assert_msg(strstr(s.error, message) != NULL, "%s", s.error);
  free(text), free(s.rows);
}

#endif
