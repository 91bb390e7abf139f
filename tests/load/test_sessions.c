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

/* ---- closed loops ---------------------------------------------------------------------------- */

/* N users with exponential think times Z before one exponential server (the machine-repair model,
 * M/M/1//N: L. Kleinrock, Queueing Systems I, 1975, section 3.8): throughput mu (1 - p0), with
 * 1/p0 = sum of N!/(N-k)! (1/(mu Z))^k. */
static double repair_throughput(int users, double think, double service) {
  double term = 1, sum = 1;
  for (int k = 0; k < users; k++) sum += term *= (users - k) * service / think;
  return (1 - 1 / sum) / service;
}

START_TEST(test_machine_repair) {
  static const struct {
    int users;
    double think, service;
  } cases[] = {{1, 2, 0.5}, {4, 2, 0.5}, {10, 5, 0.5}, {30, 10, 0.5}};
  enum { REQUESTS = 100000, BATCHES = 20 };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    char *text = celslm_format(
        "<workload requests=\"%d\"><arrivals><closed users=\"%d\" "
        "think=\"%gs\"/></arrivals><prompt><fixed tokens=\"1\"/></prompt><output><fixed "
        "tokens=\"1\"/></output></workload>",
        REQUESTS, cases[k].users, cases[k].think);
    celslm_scenario *s = scenario_with("", "", text);
    celslm_load *l = load_of(s);
    gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
    /* the server, plainly: a queue in order of arrival, one at a time */
    celslm_arrival *queue = celslm_alloc(REQUESTS, sizeof *queue);
    int head = 0, tail = 0, done = 0;
    celslm_ns end = CELSLM_NEVER, starts[BATCHES + 1] = {0};
    while (done < REQUESTS) {
      celslm_ns next = celslm_load_when(l);
      ck_assert(next < CELSLM_NEVER || end < CELSLM_NEVER);
      ck_assert_int_le(tail - head, cases[k].users);
      celslm_ns now = next < end ? next : end;
      if (next < end)
        ck_assert(celslm_load_next(l, &queue[tail++]));
      else {
        celslm_load_ended(l, &queue[head++].demand, true, end);
        if (++done % (REQUESTS / BATCHES) == 0) starts[done / (REQUESTS / BATCHES)] = now;
        end = CELSLM_NEVER;
      }
      if (end == CELSLM_NEVER && head < tail)
        end = now + celslm_ns_of(gsl_ran_exponential(r, cases[k].service));
    }
    double sum = 0, squares = 0;
    for (int b = 1; b < BATCHES; b++) { /* the first is the start */
      double x = REQUESTS / BATCHES / celslm_seconds(starts[b + 1] - starts[b]);
      sum += x, squares += x * x;
    }
    int n = BATCHES - 1;
    double mean = sum / n,
           half = gsl_cdf_tdist_Pinv(0.9995, n - 1) * sqrt((squares - sum * mean) / (n - 1) / n);
    double expected = repair_throughput(cases[k].users, cases[k].think, cases[k].service);
    ck_assert_msg(fabs(mean - expected) <= half,
                  "%d users: %.5f/s, the closed form says %.5f +- %.5f", cases[k].users, mean,
                  expected, half);
    ck_assert(half < 0.03 * expected);
    free(queue);
    gsl_rng_free(r);
    celslm_load_free(l);
    celslm_scenario_free(s);
    free(text);
  }
}
END_TEST

/* Through a whole run, with constant times, where the bounds of operational analysis are met
 * exactly: one server busy all the time gives 1/S, no waiting N/(Z + S). */
START_TEST(test_closed_run) {
  for (int many = 0; many < 2; many++) {
    char *text = celslm_format(
        "<scenario name=\"t\" horizon=\"20.05s\"><platform file=\"pair.xml\"/><models><model "
        "file=\"models/big.xml\"/></models><engines><engine name=\"cloud\" host=\"cloud\" "
        "model=\"big\" max_num_seqs=\"%d\" fixed_iteration=\"10ms\"/></engines><workload><arrivals>"
        "<closed users=\"5\" think=\"100ms\" think_cv=\"0\"/></arrivals><prompt><fixed "
        "tokens=\"4\"/></prompt><output><fixed tokens=\"10\"/></output></workload><strategy>"
        "<cloud-only/></strategy></scenario>",
        many ? 5 : 1);
    simulation s = simulate_well(text, 0, false);
    double last = 0;
    int64_t completed = 0;
    for (size_t i = 0; i < s.n; i++) {
      if (s.rows[i].end != CELSLM_COMPLETED) continue;
      completed++;
      if (!many && last > 0) ck_assert_double_eq_tol(s.rows[i].last_token - last, 0.1, 1e-9);
      last = s.rows[i].last_token;
    }
    ck_assert_int_eq(completed, many ? 5 * 100 : 199); /* from 0.1 s on: 5/(0.1 + 0.1), 1/0.1 */
    free(s.rows);
    free(text);
  }
}
END_TEST

/* ---- sessions through whole runs ------------------------------------------------------------- */

static char *session_run(const char *strategy, const char *blocks) {
  return celslm_format(
      "<scenario name=\"t\" seed=\"3\"><platform file=\"pair.xml\"/><models><model "
      "file=\"models/big.xml\"/></models><engines><engine name=\"cloud\" host=\"cloud\" "
      "model=\"big\" "
      "kv_blocks=\"%s\"/><engine name=\"edge\" host=\"edge0\" model=\"big\"/></engines><workload "
      "requests=\"600\"><arrivals><closed users=\"20\" think=\"1s\"/></arrivals><prompt><uniform "
      "min=\"5\" max=\"60\"/></prompt><output><uniform min=\"2\" max=\"40\"/></output><sessions "
      "turns=\"5\" think=\"2s\" think_cv=\"0.5\"/></workload><strategy>%s</strategy></scenario>",
      blocks, strategy);
}

static int by_turn(const void *a, const void *b) {
  const celslm_request_row *x = a, *y = b;
  if (x->session != y->session) return x->session < y->session ? -1 : 1;
  return (x->turn > y->turn) - (x->turn < y->turn);
}

/* Tokens are conserved from turn to turn and none comes before its answer; whoever is turned away
 * says no more; and under another strategy the same sessions say the same. */
START_TEST(test_session_runs) {
  char *texts[] = {session_run("<cloud-only/>", "0"), session_run("<edge-only/>", "0"),
                   session_run("<cloud-only/>", "10")};
  simulation runs[3];
  for (int k = 0; k < 3; k++) {
    runs[k] = simulate_well(texts[k], 0, false);
    const simulation *s = &runs[k];
    ck_assert_uint_eq(s->n, 600);
    qsort(s->rows, s->n, sizeof *s->rows, by_turn);
    double output = 0, fresh = 0, prompts = 0, said = 0;
    for (size_t i = 0; i < s->n; i++) {
      const celslm_request_row *row = &s->rows[i], *before = row - 1;
      ck_assert_uint_lt(row->turn, 5);
      if (row->end == CELSLM_COMPLETED) output += row->output_tokens;
      prompts += row->prompt_tokens;
      if (!row->turn) {
        said = 0;
      } else {
        ck_assert(before->session == row->session && before->turn == row->turn - 1);
        ck_assert_int_eq(before->end, CELSLM_COMPLETED); /* none goes on after a rejection */
        ck_assert(row->arrival >= before->last_token);
        said = before->prompt_tokens + before->output_tokens;
      }
      ck_assert(row->prompt_tokens >= said + 5 && row->prompt_tokens <= said + 60);
      fresh += row->prompt_tokens - said;
    }
    ck_assert(prompts > fresh);
    ck_assert_double_eq_tol(s->summary.token_throughput * s->summary.duration, output, 1e-6);
    ck_assert_int_eq(s->summary.rejected > 0, k == 2); /* ten blocks: later turns do not fit */
  }
  size_t same = 0;
  for (size_t i = 0, j = 0; i < 600 && j < 600;) {
    int order = by_turn(&runs[0].rows[i], &runs[1].rows[j]);
    if (order == 0) {
      ck_assert_uint_eq(runs[0].rows[i].prompt_tokens, runs[1].rows[j].prompt_tokens);
      ck_assert_uint_eq(runs[0].rows[i].output_tokens, runs[1].rows[j].output_tokens);
      ck_assert_uint_eq(runs[0].rows[i].ue, runs[1].rows[j].ue);
      same++;
    }
    i += order <= 0;
    j += order >= 0;
  }
  ck_assert_uint_gt(same, 500);
  for (int k = 0; k < 3; k++) free(runs[k].rows), free(texts[k]);
}
END_TEST

/* Stepping and jumping meet the same instants, so users who wait for answers go on the same. */
START_TEST(test_stepping_equals_jumping) {
  char *text = session_run("<cloud-only/>", "40");
  simulation jump = simulate_well(text, 0, false), step = simulate_well(text, 0, true);
  ck_assert_uint_eq(jump.n, step.n);
  ck_assert_mem_eq(jump.rows, step.rows, jump.n * sizeof *jump.rows);
  ck_assert(jump.summary.preemptions + jump.summary.rejected > 0);
  free(jump.rows), free(step.rows), free(text);
}
END_TEST

RUN_SUITE("sessions", test_turns_add_up, test_machine_repair, test_closed_run, test_session_runs,
          test_stepping_equals_jumping)
