/* test_kept.c - sequences that are kept and go on: rounds of appended and generated tokens, some of
 * them taken back. Random loads in a stepping and a jumping engine against the slow reference
 * (reference.h, rule 8); one case by hand. */
#include "compare.h"

#include <gsl/gsl_rng.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static bool chance(int percent) {
  return any(1, 100) <= percent;
}

/* As a verification does: the last token and some drafts go in, one comes out, some drafts are
 * taken back; or as one that continues an answer. A round that gives no token leaves none to
 * append. */
static void draw_rounds(load *l, demand *m, int output) {
  m->n_rounds = chance(80) ? any(1, REFERENCE_ROUNDS) : 0;
  int fresh = output; /* tokens with KV that the last round added */
  for (int k = 0; k < m->n_rounds; k++) {
    reference_round *r = &m->rounds[k];
    *r = (reference_round){.pause = chance(50) ? any(1, 1000) : any(1, 8) * l->duration,
                           .drop = fresh > 1 && chance(70) ? any(0, fresh - 1) : 0,
                           .tokens = chance(80) ? any(1, 9) : any(1, 60),
                           .output = chance(60) ? 1 : any(0, 20)};
    fresh = r->tokens;
  }
}

static load random_load(void) {
  load l = new_load(any(2, 40));
  l.seqs = any(1, 16);
  l.budget = any(l.seqs, chance(50) ? 40 : 300);
  l.block_size = any(1, 8);
  l.duration = any(0, 1) ? 10000000 : any(1000, 20000000);
  l.sample = any(0, 1) ? l.duration : any(500000, 50000000);
  l.demands = celslm_alloc((unsigned long)l.n, sizeof *l.demands);
  l.hash_block = any(1, 16);
  l.policy = (reference_policy)(chance(60) ? 0 : any(0, REFERENCE_POLICIES - 1));
  l.prompt_weight = any(0, 3);
  l.output_weight = any(0, 4);
  l.caching = chance(50);
  l.chunks = chance(40);
  l.watermark = chance(30) ? 1 : 0;
  int largest = 1, total = 0;
  for (int i = 0; i < l.n; i++) {
    demand *m = &l.demands[i];
    l.prompts[i] = any(1, 100);
    l.outputs[i] = any(0, 20);
    if (i) l.times[i] = l.times[i - 1] + (chance(50) ? 0 : any(0, (int)l.duration) * 10LL);
    m->tenant = any(0, 2);
    m->priority = any(0, 2);
    m->predicted = l.outputs[i] + 1;
    m->known = chance(70) ? l.prompts[i] : 0; /* of the first prompt only */
    m->tokens = celslm_alloc((unsigned long)m->known + 1, sizeof *m->tokens);
    for (int k = 0; k < m->known; k++) m->tokens[k] = k / 40 < i % 3 ? k : any(1, 1 << 30);
    draw_rounds(&l, m, l.outputs[i]);
    int tokens = l.prompts[i] + l.outputs[i];
    for (int k = 0; k < m->n_rounds; k++) tokens += m->rounds[k].tokens + m->rounds[k].output;
    int blocks = (tokens + l.block_size - 1) / l.block_size;
    if (blocks > largest) largest = blocks;
    total += blocks;
  }
  l.blocks = chance(80) ? largest + any(0, largest) : total;
  if (chance(15)) l.blocks = (largest + 1) / 2 + 1;
  l.swap_blocks = chance(20) ? any(1, l.blocks) : 0;
  return l;
}

START_TEST(test_random_rounds) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t went_on = 0, taken = 0, shortened = 0, preempted = 0, refused = 0, found = 0;
  int n = getenv("CELSLM_FULL") ? 6000 : 300, first = 1;
  if (getenv("CELSLM_FIRST")) first = atoi(getenv("CELSLM_FIRST"));
  for (int i = first; i < first + n; i++) {
    gsl_rng_set(dice, (unsigned long)i);
    load l = random_load();
    char *order = scheduler_of(&l), *name = celslm_format("load %d (%s)", i, order);
    reference r;
    compare(&l, name, &r);
    went_on += r.went_on;
    taken += r.taken;
    shortened += r.shortened;
    preempted += r.preemptions;
    refused += r.refused;
    found += r.found_own;
    forget_reference(&r);
    free(name), free(order);
    free_load(&l);
  }
  ck_assert_msg(went_on > 10000 && taken > 1000 && shortened > 2000 && preempted > 500 &&
                    refused > 100 && found > 100,
                "%lld go on, %lld lose their blocks, %lld are shortened, %lld preemptions, %lld "
                "refused, %lld own blocks found",
                (long long)went_on, (long long)taken, (long long)shortened, (long long)preempted,
                (long long)refused, (long long)found);
  gsl_rng_free(dice);
}
END_TEST

/* Blocks of 4. A (prompt 8, one token) is done at 1 with 2 blocks; it goes on at 2 with 5 tokens
 * (13: 4 blocks) for one more, done at 3; drops 4 of 13 (9: 3 blocks) at 4, appends 2, done at 5.
 */
START_TEST(test_by_hand) {
  load l = new_load(1);
  l.budget = 64, l.seqs = 4, l.block_size = 4, l.blocks = 10;
  l.duration = 10000000, l.sample = 5000000;
  l.prompts[0] = 8, l.outputs[0] = 1;
  l.hash_block = 4;
  l.demands = celslm_alloc(1, sizeof *l.demands);
  l.demands[0] = (demand){.rounds = {{10000000, 0, 5, 1}, {10000000, 4, 2, 1}},
                          .n_rounds = 2,
                          .tokens = celslm_alloc(1, sizeof(int))};
  const int blocks[] = {2, 2, 2, 2, 4, 4, 4, 4, 3, 3, 0};
  const int tokens[] = {8, 5, 2};
  observed seen[ENGINES];
  observe_engines(&l, seen);
  for (int e = 0; e < ENGINES; e++) {
    ck_assert_int_eq(seen[e].n_iterations, 3);
    for (int i = 0; i < 3; i++) {
      ck_assert_int_eq(seen[e].iterations[i].prefill_tokens, tokens[i]);
      ck_assert_int_eq(seen[e].iterations[i].end, (2 * i + 1) * l.duration);
    }
    ck_assert_int_ge(seen[e].n_samples, 11);
    for (int i = 0; i < 11; i++)
      ck_assert_msg(seen[e].samples[i].blocks == blocks[i], "sample %d: %d blocks, by hand %d", i,
                    seen[e].samples[i].blocks, blocks[i]);
    free_observed(&seen[e]);
  }
  reference r;
  compare(&l, "by hand", &r);
  forget_reference(&r);
  free_load(&l);
}
END_TEST

RUN_SUITE("kept", test_by_hand, test_random_rounds)
