/* test_scheduler.c - the engine against a slow reference of the scheduler (reference.h), iteration
 * by iteration, stepping and jumping; and small cases whose every iteration is worked out by hand.
 */
#include "compare.h"

#include <gsl/gsl_rng.h>

/* ---- random loads ---------------------------------------------------------------------------- */

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static int one_of(const int *values, int n) {
  return values[any(0, n - 1)];
}
#define ONE_OF(...)                                                                                \
  one_of((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

static load random_load(void) {
  load l = new_load(any(2, 80));
  l.seqs = any(1, 32);
  l.budget = any(l.seqs > 16 ? l.seqs : 16, ONE_OF(32, 64, 128, 512));
  l.block_size = any(0, 1) ? ONE_OF(1, 2, 4, 8, 16, 32) : any(1, 32);
  l.duration = any(0, 1) ? 10000000 : any(1000, 20000000);
  l.sample = any(0, 1) ? l.duration : any(500000, 50000000);
  /* short or long prompts, one token or many, all at once or spread, on iteration ends or between
   */
  int longest = ONE_OF(4, 16, 60, 200, 700), most = ONE_OF(1, 10, 60, 150);
  int burst = ONE_OF(0, 50, 90, 99, 100);
  bool lattice = any(0, 1);
  int gap = any(1, 40);
  int largest = 1, total = 0;
  for (int i = 0; i < l.n; i++) {
    l.prompts[i] = any(1, longest);
    l.outputs[i] = any(0, 4) ? any(1, most) : 1;
    if (i && any(1, 100) > burst)
      l.times[i] = lattice ? l.duration * any(0, gap) : any(0, (int)l.duration) * (int64_t)gap;
    if (i) l.times[i] += l.times[i - 1];
    int blocks = (l.prompts[i] + l.outputs[i] - 1 + l.block_size - 1) / l.block_size;
    if (blocks > largest) largest = blocks;
    total += blocks;
  }
  /* from too few for the largest one to enough for all */
  switch (any(0, 5)) {
  case 0:
    l.blocks = largest > 1 ? any((largest + 1) / 2, largest) : 1;
    break;
  case 1:
    l.blocks = total;
    break;
  default:
    l.blocks = largest + any(0, largest * any(0, 3) / 2);
  }
  return l;
}

static int full(int few, int many) {
  return getenv("CELSLM_FULL") ? many : few;
}

START_TEST(test_random_loads) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t preemptions = 0, iterations = 0;
  int preempting = 0, rejecting = 0, chunking = 0, waiting = 0, idle = 0;
  for (int i = 0; i < full(200, 5000); i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    load l = random_load();
    reference r;
    char *name = celslm_format("load %d", i);
    compare(&l, name, &r);
    preemptions += r.preemptions;
    iterations += r.n_iterations;
    preempting += r.preemptions > 0;
    bool rejects = false, chunks = false, waits = false, idles = false;
    for (int k = 0; k < r.n_requests; k++) {
      rejects |= r.requests[k].rejected;
      chunks |= r.requests[k].prompt > r.budget;
      waits |=
          !r.requests[k].rejected && r.requests[k].scheduled > r.requests[k].queued + r.duration;
    }
    for (int k = 1; k < r.n_iterations; k++)
      idles |= r.iterations[k].formed > r.iterations[k - 1].end;
    rejecting += rejects;
    chunking += chunks;
    waiting += waits;
    idle += idles;
    forget_reference(&r);
    free(name);
    free_load(&l);
  }
  /* the loads reach what they are meant to test */
  ck_assert_msg(
      preempting >= 75 && preemptions >= 1000 && iterations >= 60000 && rejecting >= 20 &&
          chunking >= 80 && waiting >= 120 && idle >= 40,
      "%d loads preempt (%lld times), %lld iterations, %d reject, %d chunk, %d wait, %d idle",
      preempting, (long long)preemptions, (long long)iterations, rejecting, chunking, waiting,
      idle);
  gsl_rng_free(dice);
}
END_TEST

/* The same through whole simulations and the results file that they write. */
START_TEST(test_whole_simulations) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  for (int i = 0; i < full(12, 200); i++) {
    gsl_rng_set(dice, (unsigned long)i + 100001);
    load l = random_load();
    l.overhead = any(0, 1) * any(1, 30000000);
    reference r;
    for (int step = 0; step < 2; step++) {
      char *which = celslm_format("simulation %d, %s", i, step ? "stepping" : "jumping");
      observed o = observe_simulation(&l, step);
      if (!step) {
        r = reference_of(&l, &o);
        reference_run(&r);
      }
      same(&l, &r, &o, which);
      free_observed(&o);
      free(which);
    }
    forget_reference(&r);
    free_load(&l);
  }
  gsl_rng_free(dice);
}
END_TEST

/* ---- by hand --------------------------------------------------------------------------------- */

typedef struct step {
  int end, decodes, prefill_tokens; /* end: in iterations of 10 ms from 0 */
} step;

typedef struct by_hand {
  const char *name;
  int budget, seqs, block_size, blocks;
  int n;
  struct {
    int at, prompt, output;           /* at: in half iterations */
    int scheduled, last, preemptions; /* in iterations */
  } requests[4];
  step steps[16]; /* the first that ends at 0 is one too many */
} by_hand;

static const by_hand cases[] = {
    /* A prompt of 40 in chunks of 16: the decode of the first request goes first and leaves 15. */
    {.name = "chunks after decodes",
     .budget = 16,
     .seqs = 4,
     .block_size = 4,
     .blocks = 100,
     .n = 2,
     .requests = {{0, 10, 6, 0, 6, 0}, {0, 40, 2, 0, 5, 0}},
     .steps = {{1, 0, 16}, {2, 1, 15}, {3, 1, 15}, {4, 1, 4}, {5, 2, 0}, {6, 1, 0}}},
    /* Two of 4 + 5 tokens in 3 blocks of 4. Both are admitted (1 block each), the first takes the
     * free block for its 5th token; the second then finds none and preempts itself. The first needs
     * KV for 8 tokens at most. It leaves at 5; the second computes 4 + 1 tokens again. */
    {.name = "preempts itself",
     .budget = 16,
     .seqs = 4,
     .block_size = 4,
     .blocks = 3,
     .n = 2,
     .requests = {{0, 4, 5, 0, 5, 0}, {0, 4, 5, 0, 9, 1}},
     .steps = {{1, 0, 8},
               {2, 1, 0},
               {3, 1, 0},
               {4, 1, 0},
               {5, 1, 0},
               {6, 0, 5},
               {7, 1, 0},
               {8, 1, 0},
               {9, 1, 0}}},
    /* Blocks of one token, four of them. A and B (1 token each), C comes at 1.5. In the second
     * iteration A and B grow to 2: no block is left. In the third A takes B's; B is at the front of
     * the queue with 1 + 2 tokens, ahead of C, and C is not admitted past it though one block is
     * free (and though nobody is preempted any more). A leaves at 4 with 4 tokens. */
    {.name = "the preempted goes first",
     .budget = 16,
     .seqs = 4,
     .block_size = 1,
     .blocks = 4,
     .n = 3,
     .requests = {{0, 1, 4, 0, 4, 0}, {0, 1, 4, 0, 6, 1}, {3, 1, 1, 4, 5, 0}},
     .steps = {{1, 0, 2}, {2, 2, 0}, {3, 1, 0}, {4, 1, 0}, {5, 0, 4}, {6, 1, 0}}},
    /* A step that preempts admits nobody, though the preempted's blocks would do for the next one.
     */
    {.name = "no admission after preemption",
     .budget = 16,
     .seqs = 4,
     .block_size = 2,
     .blocks = 6,
     .n = 3,
     .requests = {{0, 6, 4, 0, 4, 0}, {0, 6, 3, 0, 6, 1}, {1, 1, 1, 4, 5, 0}},
     .steps = {{1, 0, 12}, {2, 1, 0}, {3, 1, 0}, {4, 1, 0}, {5, 0, 8}, {6, 1, 0}}},
    /* First come, first served: the second does not fit, so the third, which would, waits too. */
    {.name = "the queue is not overtaken",
     .budget = 64,
     .seqs = 8,
     .block_size = 4,
     .blocks = 10,
     .n = 3,
     .requests = {{0, 24, 2, 0, 2, 0}, {0, 20, 1, 2, 3, 0}, {0, 4, 1, 2, 3, 0}},
     .steps = {{1, 0, 24}, {2, 1, 0}, {3, 0, 24}}},
    /* One sequence at a time: D/D/1 with a queue. */
    {.name = "one at a time",
     .budget = 16,
     .seqs = 1,
     .block_size = 16,
     .blocks = 8,
     .n = 3,
     .requests = {{0, 5, 3, 0, 3, 0}, {1, 40, 1, 3, 6, 0}, {14, 2, 2, 7, 9, 0}},
     .steps = {{1, 0, 5},
               {2, 1, 0},
               {3, 1, 0},
               {4, 0, 16},
               {5, 0, 16},
               {6, 0, 8},
               {8, 0, 2},
               {9, 1, 0}}},
    /* Arriving at the very end of an iteration is in time for the next one; a little later is not.
     */
    {.name = "just in time",
     .budget = 16,
     .seqs = 4,
     .block_size = 16,
     .blocks = 8,
     .n = 3,
     .requests = {{0, 8, 4, 0, 4, 0}, {2, 3, 2, 1, 3, 0}, {3, 2, 1, 2, 3, 0}},
     .steps = {{1, 0, 8}, {2, 1, 3}, {3, 2, 2}, {4, 1, 0}}},
    /* The last token needs no KV: 5 + 4 tokens live in two blocks of four. */
    {.name = "the last token needs no block",
     .budget = 16,
     .seqs = 1,
     .block_size = 4,
     .blocks = 2,
     .n = 1,
     .requests = {{0, 5, 4, 0, 4, 0}},
     .steps = {{1, 0, 5}, {2, 1, 0}, {3, 1, 0}, {4, 1, 0}}},
};

START_TEST(test_by_hand) {
  const by_hand *h = &cases[_i];
  load l = new_load(h->n);
  l.budget = h->budget;
  l.seqs = h->seqs;
  l.block_size = h->block_size;
  l.blocks = h->blocks;
  l.duration = l.sample = 10000000;
  for (int i = 0; i < h->n; i++) {
    l.times[i] = h->requests[i].at * (l.duration / 2);
    l.prompts[i] = h->requests[i].prompt;
    l.outputs[i] = h->requests[i].output;
  }
  reference r;
  compare(&l, h->name, &r);
  int n = 0;
  while (h->steps[n].end) n++;
  for (int i = 0; i < n && i < r.n_iterations; i++) {
    const reference_iteration *it = &r.iterations[i];
    ck_assert_msg(it->end == h->steps[i].end * l.duration && it->decodes == h->steps[i].decodes &&
                      it->prefill_tokens == h->steps[i].prefill_tokens,
                  "%s, iteration %d: ends at %g with %d and %d; by hand %d, %d and %d", h->name, i,
                  (double)it->end / (double)l.duration, it->decodes, it->prefill_tokens,
                  h->steps[i].end, h->steps[i].decodes, h->steps[i].prefill_tokens);
  }
  ck_assert_msg(r.n_iterations == n, "%s: %d iterations, by hand %d", h->name, r.n_iterations, n);
  for (int i = 0; i < h->n; i++) {
    const reference_request *q = &r.requests[i];
    ck_assert_msg(q->scheduled == h->requests[i].scheduled * l.duration &&
                      q->last == h->requests[i].last * l.duration &&
                      q->preemptions == h->requests[i].preemptions,
                  "%s, request %d: scheduled %g, last %g, preempted %d times", h->name, i,
                  (double)q->scheduled / (double)l.duration, (double)q->last / (double)l.duration,
                  q->preemptions);
  }
  forget_reference(&r);
  free_load(&l);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("scheduler");
  TCase *tcase = tcase_create("scheduler");
  tcase_set_timeout(tcase, 400);
  tcase_add_loop_test(tcase, test_by_hand, 0, sizeof cases / sizeof *cases);
  tcase_add_test(tcase, test_random_loads);
  tcase_add_test(tcase, test_whole_simulations);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
