/* test_features.c - random small loads over all that an engine can do, drawn at random: policies,
 * prefix caching with contents that requests share in part, swapping, watermark, admission by the
 * first chunk, requests whose KV is given, bounded queues, rate limits. The engine, stepping and
 * jumping, against the slow reference (reference.h), iteration by iteration. */
#include "compare.h"

#include <gsl/gsl_rng.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static bool chance(int percent) {
  return any(1, 100) <= percent;
}
static int one_of(const int *values, int n) {
  return values[any(0, n - 1)];
}
#define ONE_OF(...)                                                                                \
  one_of((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
static int least(int a, int b) {
  return a < b ? a : b;
}

/* ---- random loads ---------------------------------------------------------------------------- */

/* The sequence of request i: what an earlier one has, up to some token, then new ones. The answer
 * is known as in sessions (and a follower may start with it), or not, as in traces. */
static void draw_content(load *l, int i, int skip, bool answers) {
  demand *m = &l->demands[i];
  int all = skip + l->prompts[i] + l->outputs[i];
  m->skip = skip;
  m->known = all - l->outputs[i];
  if (answers) m->known = all;
  if (chance(10)) m->known = any(0, m->known);
  m->tokens = celslm_alloc((unsigned long)m->known + 1, sizeof *m->tokens);
  int common = 0;
  if (i && chance(75)) {
    const demand *parent = &l->demands[chance(50) ? i - 1 : any(0, i - 1)];
    common = least(parent->known, m->known);
    if (chance(50)) common = any(0, common);
    if (common) memcpy(m->tokens, parent->tokens, (size_t)common * sizeof *m->tokens);
  }
  for (int k = common; k < m->known; k++) m->tokens[k] = any(1, 1 << 30);
}

static void draw_demands(load *l) {
  l->demands = celslm_alloc((unsigned long)l->n, sizeof *l->demands);
  l->hash_block = chance(50) ? any(1, 40) : ONE_OF(1, 4, 16, 64);
  int tenants = any(1, REFERENCE_TENANTS), classes = any(1, 4);
  int given = chance(25) ? any(1, 60) : 0, skip = chance(25) ? any(0, 30) : 0;
  bool answers = chance(60);
  for (int i = 0; i < l->n; i++) {
    demand *m = &l->demands[i];
    m->tenant = any(0, tenants - 1);
    m->priority = any(0, classes - 1);
    m->predicted = chance(70) ? l->outputs[i] + (l->outputs[i] == 0) : any(1, 40);
    m->deadline = chance(80) ? l->times[i] + any(1, 60) * (l->duration / 2 + 1) : 0;
    m->given = l->outputs[i] >= 2 && chance(given);
    draw_content(l, i, chance(70) ? skip : 0, answers);
  }
}

static void draw_lengths(load *l) {
  int longest = ONE_OF(4, 16, 60, 120, 200), most = ONE_OF(1, 10, 40, 80);
  int burst = ONE_OF(0, 50, 90, 100), gap = any(1, 40);
  bool lattice = any(0, 1);
  for (int i = 0; i < l->n; i++) {
    l->prompts[i] = any(1, longest);
    l->outputs[i] = chance(80) ? any(1, most) : chance(80);
    if (i && any(1, 100) > burst)
      l->times[i] = lattice ? l->duration * any(0, gap) : any(0, (int)l->duration) * (int64_t)gap;
    if (i) l->times[i] += l->times[i - 1];
  }
}

/* Few enough that they are missed, often just enough for the largest one. */
static void draw_blocks(load *l) {
  int largest = 1, total = 0;
  for (int i = 0; i < l->n; i++) {
    int blocks = (l->prompts[i] + l->outputs[i] + l->block_size - 1) / l->block_size;
    if (blocks > largest) largest = blocks;
    total += blocks;
  }
  l->blocks = chance(80) ? largest + any(0, largest * any(1, 2)) : total;
  if (chance(5)) l->blocks = (largest + 1) / 2;
}

static load random_load(void) {
  load l = new_load(any(2, 60));
  l.seqs = any(1, 20);
  l.budget = any(l.seqs, ONE_OF(24, 64, 128, 512));
  l.block_size = chance(60) ? any(1, 6) : any(1, 20);
  l.duration = any(0, 1) ? 10000000 : any(1000, 20000000);
  l.sample = any(0, 1) ? l.duration : any(500000, 50000000);
  draw_lengths(&l);
  draw_blocks(&l);
  draw_demands(&l);
  l.policy = (reference_policy)ONE_OF(0, 1, 2, 2, 3, 3, 4, 4);
  l.prompt_weight = any(0, 3);
  l.output_weight = any(0, 4);
  l.caching = chance(70);
  l.chunks = chance(40);
  l.watermark = chance(40) ? ONE_OF(1, 2, 4) : 0;
  l.swap_blocks = chance(35) ? any(1, 3 * l.blocks) : 0;
  if (chance(10)) l.max_len = any(2, 200);
  if (chance(15)) l.max_queue = any(1, 20);
  if (chance(30)) {
    l.rate = ONE_OF(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000);
    l.rate_burst = any(1, 6);
    l.rate_rejects = chance(40);
  }
  return l;
}

/* ---- what they reach ------------------------------------------------------------------------- */

enum {
  PREEMPTIONS,
  BY_URGENCY,
  ENDED_EARLY,
  SWAPS,
  EVICTIONS,
  REVIVALS,
  SHARED,
  TWINS,
  FOUND_OWN,
  HITS,
  RESERVED,
  CHUNKED,
  LIFTED,
  REJECTED,
  GIVEN,
  ITERATIONS,
  KINDS
};
static const struct {
  const char *name;
  int64_t times, loads; /* at least, in 300 loads */
} needed[KINDS] = {
    [PREEMPTIONS] = {"preemptions", 550, 44},
    [BY_URGENCY] = {"preemptions of others than the last", 22, 8},
    [ENDED_EARLY] = {"passes that ended before all had their turn", 4, 4},
    [SWAPS] = {"swaps", 110, 11},
    [EVICTIONS] = {"evictions of known blocks", 11000, 66},
    [REVIVALS] = {"revivals of free blocks", 2750, 66},
    [SHARED] = {"references to blocks in use", 1650, 55},
    [TWINS] = {"twins", 220, 22},
    [FOUND_OWN] = {"own blocks found after a preemption", 165, 13},
    [HITS] = {"tokens found", 16500, 82},
    [RESERVED] = {"refusals for the watermark", 2750, 33},
    [CHUNKED] = {"admissions with a chunk", 550, 33},
    [LIFTED] = {"lifted counters", 165, 16},
    [REJECTED] = {"rejected", 550, 33},
    [GIVEN] = {"given", 192, 22},
    [ITERATIONS] = {"iterations", 27500, 295},
};

static void count(int64_t *times, int64_t *loads, const reference *r) {
  int64_t now[KINDS] = {[PREEMPTIONS] = r->preemptions,
                        [BY_URGENCY] = r->urgent,
                        [ENDED_EARLY] = r->ended_early,
                        [SWAPS] = r->swaps,
                        [EVICTIONS] = r->blocks.evicted,
                        [REVIVALS] = r->blocks.revived,
                        [SHARED] = r->blocks.shared,
                        [TWINS] = r->blocks.twins,
                        [FOUND_OWN] = r->found_own,
                        [HITS] = r->found,
                        [RESERVED] = r->reserved,
                        [CHUNKED] = r->chunked,
                        [LIFTED] = r->policy == REFERENCE_FAIR ? r->lifted : 0,
                        [ITERATIONS] = r->n_iterations};
  for (int i = 0; i < r->n_requests; i++) {
    now[REJECTED] += r->requests[i].rejected;
    now[GIVEN] += r->requests[i].given;
  }
  for (int k = 0; k < KINDS; k++) {
    times[k] += now[k];
    loads[k] += now[k] > 0;
  }
}

/* Many at a time, the urgent and the less urgent mixed, with blocks for few: there the least urgent
 * is often preempted for a block of its own, while others stand behind it. */
static load crowded_load(void) {
  load l = random_load();
  l.policy = chance(50) ? REFERENCE_PRIORITY : REFERENCE_DEADLINE;
  l.seqs = any(4, 20);
  l.budget = any(l.seqs, 128);
  l.block_size = any(1, 4);
  for (int i = 0; i < l.n; i++) {
    l.prompts[i] = least(l.prompts[i], 20);
    l.outputs[i] = any(5, 60);
    l.demands[i].given = false;
    l.demands[i].known = 0;
    l.demands[i].skip = 0;
  }
  draw_blocks(&l);
  l.swap_blocks = chance(50) ? any(1, 3 * l.blocks) : 0;
  l.max_len = l.max_queue = 0;
  return l;
}

START_TEST(test_crowded_loads) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t times[KINDS] = {0}, loads[KINDS] = {0};
  int64_t again = 0; /* nobody was left, and the next iteration began at once */
  int n = getenv("CELSLM_FULL") ? 4000 : 200;
  for (int i = 1; i <= n; i++) {
    gsl_rng_set(dice, (unsigned long)i);
    load l = crowded_load();
    char *name = celslm_format("crowded load %d", i);
    reference r;
    compare(&l, name, &r);
    count(times, loads, &r);
    again += r.began_again;
    forget_reference(&r);
    free(name);
    free_load(&l);
  }
  ck_assert_msg(times[ENDED_EARLY] >= 80 && loads[ENDED_EARLY] >= 40, "%lld in %lld loads",
                (long long)times[ENDED_EARLY], (long long)loads[ENDED_EARLY]);
  ck_assert_msg(again >= 30, "%lld", (long long)again);
  ck_assert_msg(loads[SWAPS] >= 30, "%lld", (long long)loads[SWAPS]);
  gsl_rng_free(dice);
}
END_TEST

START_TEST(test_random_loads) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t times[KINDS] = {0}, loads[KINDS] = {0};
  int n = getenv("CELSLM_FULL") ? 6000 : 300, first = 1;
  if (getenv("CELSLM_FIRST")) first = atoi(getenv("CELSLM_FIRST")); /* begin with that load */
  for (int i = first; i < first + n; i++) {
    gsl_rng_set(dice, (unsigned long)i);
    load l = random_load();
    char *order = scheduler_of(&l), *name = celslm_format("load %d (%s)", i, order);
    reference r;
    compare(&l, name, &r);
    count(times, loads, &r);
    forget_reference(&r);
    free(name), free(order);
    free_load(&l);
  }
  for (int k = 0; k < KINDS; k++)
    ck_assert_msg(times[k] >= needed[k].times && loads[k] >= needed[k].loads,
                  "%s: %lld in %lld loads; the test wants %lld in %lld", needed[k].name,
                  (long long)times[k], (long long)loads[k], (long long)needed[k].times,
                  (long long)needed[k].loads);
  gsl_rng_free(dice);
}
END_TEST

RUN_SUITE("features", test_random_loads, test_crowded_loads)
