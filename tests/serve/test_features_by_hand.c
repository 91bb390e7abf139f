/* test_features_by_hand.c - one small case for each rule beyond the basic ones, every iteration of
 * it worked out by hand: the engine, stepping and jumping, and the reference must both agree. */
#include "compare.h"

typedef struct asked {
  double at; /* ms */
  int prompt, output, tenant, priority;
  const char *letters; /* its prompt: equal letters, equal blocks of four tokens; NULL: unknown */
  /* by hand; ms; last -1: rejected */
  double scheduled, last;
  int preemptions, cached;
} asked;

typedef struct by_hand {
  const char *name, *why;
  load settings; /* iterations of 10 ms; no requests yet */
  asked requests[5];
  struct {
    double end; /* ms */
    int decodes, prefill_tokens;
  } steps[16]; /* the first that ends at 0 is one too many */
} by_hand;

#define BASIC .budget = 64, .seqs = 8, .block_size = 4, .blocks = 40

static const by_hand cases[] = {
    {"shared from the start",
     "blocks are known in the iteration that computes them",
     {BASIC, .caching = true},
     {{0, 10, 2, .letters = "ab", 0, 20, 0, 0}, {0, 10, 1, .letters = "ab", 0, 10, 0, 8}},
     {{10, 0, 12}, {20, 1, 0}}},
    {"one token at least",
     "a prompt of 8 that is known to the end computes its last block",
     {BASIC, .caching = true},
     {{0, 8, 1, .letters = "ab", 0, 10, 0, 0}, {10, 8, 1, .letters = "ab", 10, 20, 0, 4}},
     {{10, 0, 8}, {20, 0, 4}}},
    {"what stands before counts",
     "cb is another b than ab",
     {BASIC, .caching = true},
     {{0, 9, 1, .letters = "ab", 0, 10, 0, 0}, {10, 9, 1, .letters = "cb", 10, 20, 0, 0}},
     {{10, 0, 9}, {20, 0, 9}}},
    {"evicted last block first",
     "xy takes the block that was never used, and b; a is left",
     {.budget = 64, .seqs = 8, .block_size = 4, .blocks = 3, .caching = true},
     {{0, 8, 1, .letters = "ab", 0, 10, 0, 0},
      {10, 8, 1, .letters = "xy", 10, 20, 0, 0},
      {20, 9, 1, .letters = "ab", 20, 30, 0, 4}},
     {{10, 0, 8}, {20, 0, 8}, {30, 0, 5}}},
    {"finds its own again",
     "as \"preempts itself\" in test_scheduler.c, but the second finds the block of its prompt",
     {.budget = 16, .seqs = 4, .block_size = 4, .blocks = 3, .caching = true},
     {{0, 4, 5, .scheduled = 0, .last = 50}, {0, 4, 5, .scheduled = 0, .last = 90, 1}},
     {{10, 0, 8},
      {20, 1, 0},
      {30, 1, 0},
      {40, 1, 0},
      {50, 1, 0},
      {60, 0, 1},
      {70, 1, 0},
      {80, 1, 0},
      {90, 1, 0}}},
    {"swapped",
     "a block of 4 tokens takes 4 us and 3 us of latency, out at 10 ms, back at 50.007",
     {.budget = 16, .seqs = 4, .block_size = 4, .blocks = 3, .swap_blocks = 5},
     {{0, 4, 5, .scheduled = 0, .last = 50.007}, {0, 4, 5, .scheduled = 0, .last = 90.014, 1}},
     {{10, 0, 8},
      {20.007, 1, 0},
      {30.007, 1, 0},
      {40.007, 1, 0},
      {50.007, 1, 0},
      {60.014, 1, 0},
      {70.014, 1, 0},
      {80.014, 1, 0},
      {90.014, 1, 0}}},
    {"known again",
     "a third request finds the block b in the second, which has been swapped out and in",
     {.budget = 16, .seqs = 4, .block_size = 4, .blocks = 3, .swap_blocks = 5, .caching = true},
     {{0, 4, 5, .letters = "a", .scheduled = 0, .last = 50.007},
      {0, 4, 5, .letters = "b", .scheduled = 0, .last = 90.014, 1},
      {55, 8, 1, .letters = "bx", .scheduled = 60.014, .last = 70.014, 0, 4}},
     {{10, 0, 8},
      {20.007, 1, 0},
      {30.007, 1, 0},
      {40.007, 1, 0},
      {50.007, 1, 0},
      {60.014, 1, 0},
      {70.014, 1, 4},
      {80.014, 1, 0},
      {90.014, 1, 0}}},
    {"the least urgent gives way",
     "though it was admitted first; it computes 3 tokens again",
     {.budget = 16, .seqs = 4, .block_size = 1, .blocks = 4, .policy = REFERENCE_PRIORITY},
     {{0, 1, 4, .priority = 1, .scheduled = 0, .last = 70, 1},
      {5, 1, 4, .priority = 0, .scheduled = 10, .last = 50}},
     {{10, 0, 1}, {20, 1, 1}, {30, 1, 0}, {40, 1, 0}, {50, 1, 0}, {60, 0, 3}, {70, 1, 0}}},
    {"behind one that gives way",
     "the second wants a block and is the least urgent; the third, behind it, sits out until 40",
     {.budget = 16, .seqs = 4, .block_size = 1, .blocks = 7, .policy = REFERENCE_PRIORITY},
     {{0, 1, 5, .priority = 1, .scheduled = 0, .last = 50},
      {5, 1, 4, .priority = 2, .scheduled = 10, .last = 70, 1},
      {15, 1, 2, .priority = 0, .scheduled = 20, .last = 50}},
     {{10, 0, 1}, {20, 1, 1}, {30, 2, 1}, {40, 1, 0}, {50, 2, 0}, {60, 0, 3}, {70, 1, 0}}},
    {"the tenant with least service",
     "4 + 2 x 2 each: the first tenant's others come last",
     {.budget = 16,
      .seqs = 1,
      .block_size = 4,
      .blocks = 9,
      .policy = REFERENCE_FAIR,
      .prompt_weight = 1,
      .output_weight = 2},
     {{0, 4, 3, .scheduled = 0, .last = 30},
      {0, 4, 3, .scheduled = 60, .last = 90},
      {0, 4, 3, .scheduled = 90, .last = 120},
      {0, 4, 3, .tenant = 1, .scheduled = 30, .last = 60}},
     {{10, 0, 4},
      {20, 1, 0},
      {30, 1, 0},
      {40, 0, 4},
      {50, 1, 0},
      {60, 1, 0},
      {70, 0, 4},
      {80, 1, 0},
      {90, 1, 0},
      {100, 0, 4},
      {110, 1, 0},
      {120, 1, 0}}},
    {"watermark",
     "two of eight blocks stay free while others run: 3 of the 4 left do not do",
     {.budget = 64, .seqs = 8, .block_size = 4, .blocks = 8, .watermark = 2},
     {{0, 16, 3, .scheduled = 0, .last = 30}, {0, 12, 1, .scheduled = 30, .last = 40}},
     {{10, 0, 16}, {20, 1, 0}, {30, 1, 0}, {40, 0, 12}}},
    {"the first chunk does",
     "7 of 16 tokens fit beside the first, are lost, and fit again",
     {.budget = 8, .seqs = 8, .block_size = 4, .blocks = 5, .chunks = true},
     {{0, 8, 4, .scheduled = 0, .last = 40}, {0, 16, 1, .scheduled = 10, .last = 60, 1}},
     {{10, 0, 8}, {20, 1, 7}, {30, 1, 0}, {40, 1, 7}, {50, 0, 8}, {60, 0, 1}}},
    {"held back",
     "two at once, then one in 100 ms",
     {BASIC, .rate = 10, .rate_burst = 2},
     {{0, 4, 1, .scheduled = 0, .last = 10},
      {0, 4, 1, .scheduled = 0, .last = 10},
      {0, 4, 1, .scheduled = 100, .last = 110},
      {150, 4, 1, .scheduled = 200, .last = 210}},
     {{10, 0, 8}, {110, 0, 4}, {210, 0, 4}}},
    {"turned away",
     "two at once; 50 ms later there is none again, 100 ms later one",
     {BASIC, .rate = 10, .rate_burst = 2, .rate_rejects = true},
     {{0, 4, 1, .scheduled = 0, .last = 10},
      {0, 4, 1, .scheduled = 0, .last = 10},
      {50, 4, 1, .last = -1},
      {100, 4, 1, .scheduled = 100, .last = 110}},
     {{10, 0, 8}, {110, 0, 4}}},
    {"a full queue, a long request",
     "one runs, one waits, the third finds it; 9 tokens are too many",
     {.budget = 64, .seqs = 1, .block_size = 4, .blocks = 9, .max_queue = 1, .max_len = 8},
     {{0, 4, 3, .scheduled = 0, .last = 30},
      {5, 4, 1, .scheduled = 30, .last = 40},
      {6, 4, 1, .last = -1},
      {45, 4, 5, .last = -1},
      {45, 4, 4, .scheduled = 45, .last = 85}},
     {{10, 0, 4},
      {20, 1, 0},
      {30, 1, 0},
      {40, 0, 4},
      {55, 0, 4},
      {65, 1, 0},
      {75, 1, 0},
      {85, 1, 0}}},
};

static int64_t ns_at(double milliseconds) {
  return llround(milliseconds * 1e6);
}

static void build(load *l, const by_hand *h, int n) {
  load empty = new_load(n);
  *l = h->settings;
  l->n = n;
  l->times = empty.times, l->prompts = empty.prompts, l->outputs = empty.outputs;
  l->duration = l->sample = 10000000;
  l->hash_block = 4;
  l->demands = celslm_alloc((unsigned long)n, sizeof *l->demands);
  for (int i = 0; i < n; i++) {
    const asked *a = &h->requests[i];
    l->times[i] = ns_at(a->at);
    l->prompts[i] = a->prompt;
    l->outputs[i] = a->output;
    demand *m = &l->demands[i];
    m->tenant = a->tenant;
    m->priority = a->priority;
    m->known = a->letters ? 4 * (int)strlen(a->letters) : 0;
    m->tokens = celslm_alloc((unsigned long)m->known, sizeof *m->tokens);
    for (int k = 0; k < m->known; k++) m->tokens[k] = a->letters[k / 4];
  }
}

START_TEST(test_by_hand) {
  const by_hand *h = &cases[_i];
  int n = 0, steps = 0;
  while (n < 5 && h->requests[n].prompt) n++;
  while (h->steps[steps].end > 0) steps++;
  load l;
  build(&l, h, n);
  reference r;
  compare(&l, h->name, &r);
  for (int i = 0; i < steps && i < r.n_iterations; i++) {
    const reference_iteration *it = &r.iterations[i];
    ck_assert_msg(it->end == ns_at(h->steps[i].end) && it->decodes == h->steps[i].decodes &&
                      it->prefill_tokens == h->steps[i].prefill_tokens,
                  "%s (%s), iteration %d: ends at %g ms with %d and %d; by hand %g, %d and %d",
                  h->name, h->why, i, ms(it->end), it->decodes, it->prefill_tokens, h->steps[i].end,
                  h->steps[i].decodes, h->steps[i].prefill_tokens);
  }
  ck_assert_msg(r.n_iterations == steps, "%s: %d iterations, by hand %d", h->name, r.n_iterations,
                steps);
  for (int i = 0; i < n; i++) {
    const reference_request *q = &r.requests[i];
    const asked *a = &h->requests[i];
    ck_assert_int_eq(q->rejected, a->last < 0);
    ck_assert_msg(q->rejected ||
                      (q->scheduled == ns_at(a->scheduled) && q->last == ns_at(a->last) &&
                       q->preemptions == a->preemptions && q->cached == a->cached),
                  "%s, request %d: scheduled %g, last %g, preempted %d times, %d tokens cached",
                  h->name, i, ms(q->scheduled), ms(q->last), q->preemptions, q->cached);
  }
  forget_reference(&r);
  free_load(&l);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("features by hand");
  TCase *tcase = tcase_create("features by hand");
  tcase_set_timeout(tcase, 100);
  tcase_add_loop_test(tcase, test_by_hand, 0, sizeof cases / sizeof *cases);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
