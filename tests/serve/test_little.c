/* test_little.c - Little's law on the sample path: what an engine says of how many it holds,
 * against when its requests came and left. Exact, on every run, whatever the load. */
#include "drive.h"

#include <gsl/gsl_rng.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static int full(int few, int many) {
  return getenv("CELSLM_FULL") ? many : few;
}

/* The integral of the engine's N(t) from 0 to T is the sum of all sojourns cut off at T, for every
 * T. Requests come at multiples of the iteration's length and so does all that changes N: samples
 * at these instants, each after all that happens there, integrate it exactly. */
START_TEST(test_integral_of_number) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t preemptions = 0;
  for (int i = 0; i < full(60, 1000); i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    load l = new_load(any(1, 80));
    l.seqs = any(1, 16);
    l.budget = any(16, 128);
    l.block_size = any(1, 16);
    l.duration = l.sample = any(1000, 20000000);
    int most = any(1, 60), gap = any(0, 12);
    for (int k = 0; k < l.n; k++) {
      l.prompts[k] = any(1, 80);
      l.outputs[k] = any(1, most);
      l.times[k] = k ? l.times[k - 1] + any(0, gap) * l.duration : 0;
    }
    l.blocks = (80 + most) / l.block_size + any(1, 20);
    observed seen[ENGINES];
    observe_engines(&l, seen);
    for (int e = 0; e < ENGINES; e++) {
      int64_t integral = 0;
      for (int k = 0; k < seen[e].n_samples; k++) {
        const observed_sample *s = &seen[e].samples[k];
        int64_t sojourns = 0;
        for (int q = 0; q < l.n; q++) {
          const observed_request *r = &seen[e].requests[q];
          int64_t until = r->last < s->time ? r->last : s->time;
          if (r->queued < until) sojourns += until - r->queued;
        }
        ck_assert_msg(
            integral == sojourns,
            "load %d, %s, until %lld ns: the integral of N is %lld, the sojourns are %lld", i,
            e == STEPPING ? "stepping" : "jumping", (long long)s->time, (long long)integral,
            (long long)sojourns);
        integral += (s->running + s->waiting) * l.sample;
      }
      ck_assert_int_eq(seen[e].samples[seen[e].n_samples - 1].running, 0);
      ck_assert_int_eq(seen[e].samples[seen[e].n_samples - 1].blocks, 0);
    }
    for (int q = 0; q < l.n; q++) preemptions += seen[JUMPING].requests[q].preemptions;
    free_observed(&seen[JUMPING]);
    free_observed(&seen[STEPPING]);
    free_load(&l);
  }
  ck_assert_int_ge(preemptions, 100);
  gsl_rng_free(dice);
}
END_TEST

/* With the costs of real operations, times are any: N is compared at every sample of a whole
 * simulation of two engines, cut off at a horizon or not, jumping and stepping. */
static char *random_text(void) {
  char *horizon = any(0, 1) ? celslm_format("horizon=\"%dms\"", any(50, 3000)) : celslm_strdup("");
  char *engines[2];
  for (int e = 0; e < 2; e++) {
    int block = any(1, 32);
    engines[e] = celslm_format(
        "<engine name=\"e%d\" host=\"edge%d\" model=\"small\" kv_blocks=\"%d\" block_size=\"%d\" "
        "max_num_batched_tokens=\"%d\" max_num_seqs=\"%d\"/>",
        e, e, 300 / block + any(1, 20), block, any(32, 512), any(1, 32));
  }
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"%d\" %s><platform file=\"pair.xml\"/>"
      "<models><model file=\"models/small.xml\"/></models><engines>%s%s</engines>"
      "<workload requests=\"%d\"><arrivals><poisson rate=\"%d/s\"/></arrivals>"
      "<prompt><lognormal mean=\"%d\" cv=\"1\" max=\"150\"/></prompt>"
      "<output><lognormal mean=\"%d\" cv=\"1\" max=\"150\"/></output></workload>"
      "<strategy><edge-only/></strategy><results sample=\"%dus\" iterations=\"yes\"/></scenario>",
      any(1, 1000000), horizon, engines[0], engines[1], any(20, 200), 1 << any(4, 10), any(5, 50),
      any(1, 100), any(3000, 50000));
  free(horizon), free(engines[0]), free(engines[1]);
  return text;
}

static int number_at(const recorded *run, int engine, int64_t now) {
  double *const *c = run->requests.column;
  int number = 0;
  for (uint64_t i = 0; i < run->requests.n; i++) {
    if ((int)c[R_END][i] == CELSLM_REJECTED || (int)c[R_ENGINE][i] != engine ||
        isnan(c[R_QUEUED][i]))
      continue;
    number += ns_of(c[R_QUEUED][i]) <= now && !(ns_of(c[R_LAST][i]) <= now && !isnan(c[R_LAST][i]));
  }
  return number;
}

START_TEST(test_number_at_every_sample) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t samples = 0, preemptions = 0, cut = 0, largest = 0;
  for (int i = 0; i < full(12, 150); i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    char *text = random_text();
    for (int step = 0; step < 2; step++) {
      recorded run = run_recorded(text, step);
      double *const *c = run.engines.column;
      for (uint64_t k = 0; k < run.engines.n; k++) {
        int want = number_at(&run, (int)c[E_ENGINE][k], ns_of(c[E_TIME][k]));
        int64_t got = (int64_t)c[E_RUNNING][k] + (int64_t)c[E_WAITING][k];
        ck_assert_msg(got == want,
                      "engine %g at %.9f s, %s: %lld are there, from the requests %d\n%s",
                      c[E_ENGINE][k], c[E_TIME][k], step ? "stepping" : "jumping", (long long)got,
                      want, text);
        ck_assert(c[E_BLOCKS][k] <= c[E_CAPACITY][k]);
        if (got > largest) largest = got;
      }
      samples += (int64_t)run.engines.n;
      preemptions += (int64_t)run.summary.column[S_PREEMPTIONS][0];
      for (uint64_t k = 0; k < run.requests.n; k++)
        cut += (int)run.requests.column[R_END][k] == CELSLM_IN_FLIGHT;
      free_recorded(&run);
    }
    free(text);
  }
  ck_assert_msg(samples >= 1000 && preemptions >= 20 && cut >= 20 && largest >= 20,
                "%lld samples, %lld preemptions, %lld cut off, at most %lld", (long long)samples,
                (long long)preemptions, (long long)cut, (long long)largest);
  gsl_rng_free(dice);
}
END_TEST

RUN_SUITE("little", test_integral_of_number, test_number_at_every_sample)
