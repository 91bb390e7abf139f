/* test_sessions.c - conversations: tokens add up from turn to turn, prefixes are shared exactly as
 * the sequences are, and a closed loop has the throughput of the machine-repair model. */
#include "trace_support.h"

#include <gsl/gsl_cdf.h>
#include <math.h>

/* ---- sessions -------------------------------------------------------------------------------- */

enum { SESSIONS = 3000, CONTEXT = 100, BLOCK = 16 };

typedef struct memory { /* what the test knows of a session */
  int64_t tokens;       /* said so far, without the context */
  uint32_t turns;
  int32_t context, cls;
  double place;
  celslm_ns earliest; /* of its next turn */
  uint64_t *blocks;   /* of the last turn */
  int32_t count;
} memory;

/* Serves every request at once, its answer taking `service`; every `reject`-th is turned away. */
START_TEST(test_turns_add_up) {
  celslm_scenario *s = scenario_with(
      "", "<contexts><population name=\"d\" count=\"3\" tokens=\"100\"/></contexts>",
      "<workload requests=\"12000\"><arrivals><poisson rate=\"10/s\"/></arrivals><prompt><uniform "
      "min=\"1\" max=\"60\"/></prompt><output><uniform min=\"1\" max=\"90\"/></output><sessions "
      "turns=\"4\" turns_law=\"geometric\" think=\"3s\" "
      "max_tokens=\"900\"/><popularity><uniform/></popularity><class name=\"a\"/><class "
      "name=\"b\" share=\"3\"/></workload>");
  celslm_load *l = load_of(s);
  memory *all = celslm_alloc(20000, sizeof *all);
  celslm_arrival a;
  celslm_ns now = 0;
  int64_t requests = 0, fresh = 0, longest = 0, of_b = 0, turns = 0;
  while (celslm_load_next(l, &a)) {
    const celslm_demand *d = &a.demand;
    ck_assert_int_ge(a.time, now); /* in order */
    now = a.time;
    ck_assert_uint_lt(d->session, 20000);
    memory *m = &all[d->session];
    ck_assert_uint_eq(d->turn, m->turns);
    if (d->turn) {
      ck_assert(a.context == m->context && d->cls == m->cls && a.place == m->place);
      ck_assert_int_ge(a.time, m->earliest);
      ck_assert_int_gt(a.prompt, m->tokens); /* all that was said, and something new */
    }
    int64_t new_tokens = a.prompt - m->tokens;
    ck_assert(new_tokens >= 1 && new_tokens <= 60 && a.output >= 1 && a.output <= 90);
    fresh += new_tokens;
    m->tokens = a.prompt + a.output;
    ck_assert(d->turn == 0 || CONTEXT + m->tokens <= 900);
    /* the prefix covers it all, and begins with what the last turn's was */
    ck_assert_int_eq(d->prefix.block, BLOCK);
    ck_assert_int_eq(d->prefix.tokens, CONTEXT + m->tokens);
    ck_assert_int_eq(d->prefix.count, (CONTEXT + m->tokens + BLOCK - 1) / BLOCK);
    if (m->count)
      ck_assert_mem_eq(m->blocks, d->prefix.blocks, (size_t)m->count * sizeof *m->blocks);
    m->count = d->prefix.count;
    m->blocks = celslm_realloc(m->blocks, (unsigned long)m->count, sizeof *m->blocks);
    memcpy(m->blocks, d->prefix.blocks, (size_t)m->count * sizeof *m->blocks);
    m->turns++;
    m->context = a.context, m->cls = d->cls, m->place = a.place;
    celslm_ns end = now + 1000000;
    m->earliest = end;
    requests++;
    longest = d->turn > longest ? d->turn : longest;
    of_b += d->turn == 0 && d->cls == 1;
    turns += d->turn == 0;
    celslm_load_ended(l, d, true, end);
  }
  ck_assert_int_eq(requests, 12000);
  ck_assert_int_ge(longest, 10);
  ck_assert_double_eq_tol((double)of_b / (double)turns, 0.75, 4 * sqrt(0.1875 / (double)turns));
  ck_assert_double_eq_tol((double)fresh / 12000, 30.5, 4 * sqrt(60 * 60 / 12.0 / 12000) + 0.5);
  /* blocks of the context: the same for all who have it (six full ones); later ones for nobody */
  for (int i = 1; i < 200; i++)
    for (int j = 0; j < i; j++) {
      if (!all[i].count || !all[j].count) continue;
      bool same = all[i].context == all[j].context;
      int shared = 0, least = all[i].count < all[j].count ? all[i].count : all[j].count;
      while (shared < least && all[i].blocks[shared] == all[j].blocks[shared]) shared++;
      ck_assert_int_eq(shared, same ? CONTEXT / BLOCK : 0);
    }
  for (int i = 0; i < 20000; i++) free(all[i].blocks);
  free(all);
  celslm_load_free(l);
  celslm_scenario_free(s);
}
END_TEST

RUN_SUITE("sessions", test_turns_add_up)
