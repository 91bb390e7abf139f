/* test_shared_prompt.c - what sharing a system prompt's KV gains one card, beside what is published
 * of RelayAttention (L. Zhu et al., ACL 2024; an A40, Llama-2-7B, 1,000 ShareGPT requests): ratios
 * to recomputing within 15 %, with a card of its datasheet, efficiencies of other cards and lengths
 * as the authors publish them. Nothing is tuned to these rows. docs/ce-lslm.md says what is left:
 * the published prompt cache reads faster than the card's memory is. */
#include "support.h"

#include <math.h>

enum { RECOMPUTED, CACHED, SHARED, WAYS };
static const int lengths[] = {64, 512, 1024, 2048};
static const double published[WAYS][4] = {
    {3.95, 2.27, 1.49, 0.91}, {4.06, 3.26, 2.64, 1.90}, {4.20, 4.15, 4.07, 3.97}};
static const char *const names[WAYS] = {"recomputed", "prompt cache", "shared"};

static char *contents(const char *file) {
  FILE *f = fopen(file, "r");
  ck_assert_ptr_nonnull(f);
  char *text = calloc(1, 1 << 16);
  ck_assert_uint_gt(fread(text, 1, (1 << 16) - 1, f), 0);
  fclose(f);
  return text;
}

static double capacity(const char *text, int way, int tokens) {
  char *length = celslm_format("//context/@tokens=%d", tokens);
  const char *set[] = {
      length, way == CACHED ? "//engine/@prefix_caching=yes" : "//engine/@prefix_caching=no",
      "//platform/@file=../../platforms/one_card.xml",
      "//model/@file=../../platforms/models/llama-2-7b.xml",
      "//trace/@file=" CELSLM_SOURCE_DIR "/scenarios/reproduction/sharegpt_1000.csv"};
  celslm_scenario_options options = {.set = set, .n_set = 5};
  simulation run = simulate_with(text, way == SHARED ? 1 : 0, false, &options);
  ck_assert_msg(run.status == 0, "%s", run.error);
  ck_assert_int_eq(run.summary.completed, 1000);
  free(run.rows), free(length);
  return run.summary.throughput;
}

START_TEST(test_ratios) {
  char *text = contents(CELSLM_SOURCE_DIR "/scenarios/reproduction/shared_prompt.xml");
  double got[WAYS][4];
  for (int way = 0; way < WAYS; way++)
    for (int i = 0; i < 4; i++) got[way][i] = capacity(text, way, lengths[i]);
  for (int way = 0; way < WAYS; way++)
    for (int i = 0; i < 4; i++) {
      double ratio = got[way][i] / got[RECOMPUTED][i],
             expected = published[way][i] / published[RECOMPUTED][i], off = ratio / expected - 1;
      printf("%-12s %4d tokens: %.2f req/s (published %.2f), ratio %.2f (%.2f), %+.1f %%\n",
             names[way], lengths[i], got[way][i], published[way][i], ratio, expected, 100 * off);
      ck_assert_msg(fabs(off) <= 0.15, "%s, %d tokens: ratio %.3f, published %.3f", names[way],
                    lengths[i], ratio, expected);
    }
  free(text);
}
END_TEST

RUN_SUITE("shared_prompt", test_ratios)
