/* test_random.c - whole runs of random scenarios made to press engines hard: few and small blocks,
 * small budgets, contexts that stream in layer by layer or are recomputed, bursts, horizons. In
 * debug builds the engine asserts its invariants at every iteration of them. Stepping and jumping
 * must agree bit by bit. */
#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static const char *yes_or_no(void) {
  return any(0, 1) ? "yes" : "no";
}

/* The longest request must fit, or it is rejected: one in eight engines may have room for little
 * more than a context. */
static char *engine(const char *name, const char *host, const char *model, int context,
                    int longest) {
  int block = any(0, 1) ? 1 << any(0, 5) : any(1, 40), seqs = any(0, 3) ? any(2, 64) : 1;
  int blocks = (any(0, 7) ? longest : context) / block + any(1, 30);
  char *fixed =
      any(0, 3) ? celslm_strdup("") : celslm_format("fixed_iteration=\"%dus\"", any(100, 20000));
  char *text = celslm_format(
      "<engine name=\"%s\" host=\"%s\" model=\"%s\" kv_blocks=\"%d\" block_size=\"%d\" "
      "max_num_batched_tokens=\"%d\" max_num_seqs=\"%d\" context_memory=\"%dMiB\" "
      "client_overhead=\"%dus\" %s/>",
      name, host, model, blocks, block, seqs + any(0, 1 << any(0, 9)), seqs, any(8, 100),
      any(0, 1) * any(1, 5000), fixed);
  free(fixed);
  return text;
}

static char *random_text(void) {
  int context = 1 << any(3, 10), prompt = 1 << any(2, 8), output = 1 << any(0, 8);
  int longest = context + prompt + output;
  char *cloud = engine("cloud", "cloud", "big", context, longest),
       *e0 = engine("e0", "edge0", "small", context, longest),
       *e1 = engine("e1", "edge1", "small", context, longest), *strategy;
  switch (any(0, 3)) {
  case 0:
    strategy = celslm_format("<cloud-only prompt_cache=\"%s\"/>", yes_or_no());
    break;
  case 1:
    strategy = celslm_format("<edge-only prompt_cache=\"%s\"/>", yes_or_no());
    break;
  default:
    strategy = celslm_format("<ce-lslm pipeline=\"%s\" cloud_warm=\"%s\" codec=\"%s\"/>",
                             yes_or_no(), yes_or_no(), any(0, 1) ? "f16" : "int4");
  }
  char *arrivals =
      any(0, 2) ? celslm_format("<poisson rate=\"%d/s\"/>", 1 << any(0, 11))
                : celslm_format("<deterministic interval=\"%dns\"/>", any(1, 1 << any(1, 24)));
  char *horizon = any(0, 2) ? celslm_strdup("") : celslm_format("horizon=\"%dms\"", any(20, 2000));
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"%d\" %s><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines>%s%s%s</engines>"
      "<contexts><population name=\"d\" count=\"%d\"><uniform min=\"1\" "
      "max=\"%d\"/></population></contexts>"
      "<workload requests=\"%d\"><arrivals>%s</arrivals><prompt><uniform min=\"1\" "
      "max=\"%d\"/></prompt>"
      "<output><uniform min=\"1\" max=\"%d\"/></output><popularity><zipf "
      "s=\"%d\"/></popularity></workload>"
      "<strategy>%s</strategy></scenario>",
      any(1, 1000000), horizon, cloud, e0, e1, any(1, 12), context, any(10, 120), arrivals, prompt,
      output, any(0, 2), strategy);
  free(cloud), free(e0), free(e1), free(strategy), free(arrivals), free(horizon);
  return text;
}

START_TEST(test_random_runs) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t preempted = 0, rejected = 0, cut = 0, hidden = 0, iterations = 0;
  for (int i = 0; i < (getenv("CELSLM_FULL") ? 2000 : 100); i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    char *text = random_text();
    simulation jump = simulate_well(text, 0, false), step = simulate_well(text, 0, true);
    ck_assert_msg(jump.n == step.n, "scenario %d: %zu rows jumping, %zu stepping\n%s", i, jump.n,
                  step.n, text);
    for (size_t k = 0; k < jump.n; k++) {
      ck_assert_msg(memcmp(&jump.rows[k], &step.rows[k], sizeof *jump.rows) == 0,
                    "scenario %d: row %zu is not the same jumping and stepping\n%s", i, k, text);
      hidden += jump.rows[k].t_hidden > 0;
    }
    ck_assert_int_eq(jump.summary.iterations, step.summary.iterations);
    ck_assert_int_eq(jump.summary.arrived, (int64_t)jump.n);
    ck_assert(!isinf(jump.summary.duration));
    preempted += jump.summary.preemptions;
    rejected += jump.summary.rejected;
    cut += jump.summary.in_flight;
    iterations += jump.summary.iterations;
    free(jump.rows), free(step.rows), free(text);
  }
  /* the scenarios reach what they are meant to press */
  ck_assert_msg(
      preempted >= 300 && rejected >= 50 && cut >= 100 && hidden >= 50 && iterations >= 20000,
      "%lld preemptions, %lld rejected, %lld cut off, %lld with hidden time, %lld iterations",
      (long long)preempted, (long long)rejected, (long long)cut, (long long)hidden,
      (long long)iterations);
  gsl_rng_free(dice);
}
END_TEST

RUN_SUITE("random", test_random_runs)
