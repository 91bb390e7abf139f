/* test_together.c - strategies in which edge and cloud work on one answer: speculative decoding,
 * early exit with continuation, sketch and expansion. Idle systems against sums done by hand;
 * degenerate cases against cloud-only and edge-only, byte for byte; DSSD's published speed-ups;
 * storms of faults. */
#include "../support.h"
#include "cost/cost.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static const char form[] =
    "<scenario name=\"t\" seed=\"%d\"><platform file=\"pair.xml\"/>"
    "<models><model file=\"models/big.xml\"/><model file=\"models/part.xml\"/></models>"
    "<engines><engine name=\"c\" host=\"cloud\" model=\"big\" %s/>"
    "<engine name=\"e\" host=\"edge0\" model=\"part\" %s/></engines>"
    "<workload requests=\"%d\"><arrivals><poisson rate=\"%g/s\"/></arrivals>%s</workload>"
    "<strategy>%s</strategy><faults>%s</faults></scenario>";

/* ---- one request alone, by hand -------------------------------------------------------------- */

enum { PROMPT = 333 };

typedef struct alone {
  celslm_scenario *s;
  celslm_cost cloud, edge;
  double overhead;
} alone;

static double step_of(const celslm_cost *c, double n, double kv) { /* n sequences of equal length */
  celslm_decode_cost d = celslm_cost_decode(c, n, 0);
  double layers = (double)c->shape.model->layers, tokens = n * (kv + 1);
  return c->step + n * c->sequence + celslm_cost_embed(c, n) + celslm_cost_head(c, n) +
         layers * (celslm_cost_layer(c, n) + fmax(d.compute + d.flop_slope * tokens,
                                                  d.memory + d.byte_slope * (tokens - d.from)));
}

/* A pass of n sequences with `tokens` new tokens each, logits of `rows`, without the first `skip`
 * layers. */
static double pass_of(const celslm_cost *c, double n, double tokens, double past, double rows,
                      double skip) {
  double layers = (double)c->shape.model->layers - skip;
  return c->step + n * c->sequence + (skip > 0 ? 0 : celslm_cost_embed(c, n * tokens)) +
         celslm_cost_head(c, rows) +
         layers * (celslm_cost_layer(c, n * tokens) + n * celslm_cost_prefill(c, tokens, past));
}

/* Each hand-over from engine to wire to engine is an event, at a whole ns; iterations that follow
 * each other on one engine are rounded together. */
static double ns(double seconds) {
  return round(seconds * 1e9) / 1e9;
}

static double whole(double seconds) {
  return floor(seconds * 1e9) / 1e9;
}

/* Tokens and messages of at most a packet; larger ones are flows at the same rate. */
static double hop_of(const alone *a, double bytes) {
  return ns(0.0105 + ceil(bytes + a->overhead) / 125e6);
}

static celslm_request_row run_alone(alone *a, int output, const char *strategy) {
  celslm_error err = {0};
  char *lengths = celslm_format(
      "<prompt><fixed tokens=\"%d\"/></prompt><output><fixed tokens=\"%d\"/></output>", PROMPT,
      output);
  char *text = celslm_format(form, 1, "", "", 1, 1.0, lengths, strategy, "");
  a->s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(a->s != NULL, "%s", err.text);
  celslm_cost *costs[] = {&a->cloud, &a->edge};
  for (int i = 0; i < 2; i++)
    ck_assert(celslm_cost_init(costs[i], a->s->platform->hosts[a->s->engines[i].host].profile,
                               &a->s->models[i], CELSLM_F16, CELSLM_F16, NAN, NAN, &err));
  a->overhead = a->s->radio.packet_overhead;
  simulation sim = simulate_well(text, 0, false);
  celslm_request_row row = sim.rows[0];
  ck_assert_int_eq(sim.summary.completed, 1);
  double sum =
      row.t_up + row.t_wait + row.t_cloud + row.t_comm + row.t_edge - row.t_hidden + row.t_down;
  ck_assert_double_eq_tol(sum, row.ttft, 1e-9);
  free(sim.rows), free(text), free(lengths);
  return row;
}

/* Rounds of speculative decoding where all drafts are accepted, or none. */
START_TEST(test_speculation_by_hand) {
  for (int good = 0; good < 2; good++)
    for (int k = 1; k < 8; k += 3)
      for (int message = 0; message < 3; message++) {
        static const char *const messages[] = {"tokens", "distributions", "split"};
        const int output = 25;
        char *way =
            celslm_format("<speculative acceptance=\"%d\" draft_length=\"%d\" message=\"%s\"/>",
                          good, k, messages[message]);
        alone a;
        celslm_request_row row = run_alone(&a, output, way);
        double t = hop_of(&a, 8), each = message == 0 ? 4 : message == 2 ? 6 : 4 + 2 * 32000;
        int given = 1, draft = 0, target = PROMPT; /* tokens; with KV on both sides */
        while (given < output) {
          int n = k < output - given - 1 ? k : output - given - 1, all = PROMPT + given;
          if (n) {
            double drafts = pass_of(&a.edge, 1, all - draft, draft, 1, 0);
            for (int i = 1; i < n; i++) drafts += step_of(&a.edge, 1, all + i - 1);
            t += whole(drafts) + hop_of(&a, n * each);
          }
          t += whole(pass_of(&a.cloud, 1, n + 1, target, n + 1, 0));
          given += 1 + good * n;
          draft = good ? all + n - 1 : all;
          target += 1 + good * n;
          if (given < output) t += hop_of(&a, 8 + (message == 2 && !good && n ? 64000 : 0));
          if (given < output && !n) ck_abort_msg("a round without drafts is the last");
        }
        double took = row.last_token - row.first_token;
        ck_assert_msg(fabs(took - t) <= 1e-9, "%s: %.10f s from first to last token, by hand %.10f",
                      way, took, t);
        free(way);
        celslm_scenario_free(a.s);
      }
}
END_TEST

/* Every token is continued in the cloud. */
START_TEST(test_early_exit_by_hand) {
  for (int parallel = 0; parallel < 2; parallel++) {
    const int output = 9;
    alone a;
    celslm_request_row row =
        run_alone(&a, output,
                  parallel ? "<early-exit confidence=\"0\"/>"
                           : "<early-exit confidence=\"0\" upload=\"on-demand\"/>");
    double t = 0, state = 2 * 1024; /* from the first token to the last one */
    for (int i = 1; i < output; i++)
      t += whole(pass_of(&a.edge, 1, 1, PROMPT + i - 1, 1, 0)) + hop_of(&a, state) +
           whole(pass_of(&a.cloud, 1, 1, PROMPT + i - 1, 1, 3)) + hop_of(&a, 4);
    double took = row.last_token - row.first_token;
    ck_assert_msg(fabs(took - t) <= 1e-9, "%.10f s, by hand %.10f", took, t);
    double first = whole(pass_of(&a.edge, 1, PROMPT, 0, 1, 0)) +
                   ns(0.0105 + ceil(PROMPT * state + (parallel ? 0 : a.overhead)) / 125e6) +
                   whole(pass_of(&a.cloud, 1, PROMPT, 0, 1, 3)) + hop_of(&a, 4);
    took = row.ttft - row.t_up - row.t_down;
    ck_assert_msg(fabs(took - first) <= 1e-9, "first %.10f s, by hand %.10f", took, first);
    double states = state * (PROMPT + output - 1), sent = row.user_bytes_to_cloud;
    ck_assert_msg(sent >= states && sent <= states + output * (a.overhead + 1), "%g of %g", sent,
                  states);
    celslm_scenario_free(a.s);
  }
}
END_TEST

START_TEST(test_sketch_by_hand) {
  const int output = 120, parts = 4, sketch = 24;
  alone a;
  celslm_request_row row = run_alone(&a, output, "<sketch/>");
  double first = pass_of(&a.cloud, 1, PROMPT, 0, 1, 0);
  for (int i = 1; i < sketch; i++) first += step_of(&a.cloud, 1, PROMPT + i - 1);
  first = whole(first) + hop_of(&a, (PROMPT + sketch) * a.s->radio.bytes_per_token) +
          whole(pass_of(&a.edge, parts, PROMPT + sketch, 0, parts, 0));
  double t = 0;
  for (int i = 1; i < output / parts; i++) t += step_of(&a.edge, parts, PROMPT + sketch + i - 1);
  double took = row.ttft - row.t_up - row.t_down;
  ck_assert_msg(fabs(took - first) <= 1e-9, "first %.10f s, by hand %.10f", took, first);
  took = row.last_token - row.first_token;
  ck_assert_msg(fabs(took - t) <= 1e-9, "%.10f s, by hand %.10f", took, t);
  celslm_scenario_free(a.s);
}
END_TEST

/* ---- degenerate cases ------------------------------------------------------------------------ */

static const char busy[] = "<prompt><lognormal mean=\"150\" cv=\"1\" max=\"900\"/></prompt>"
                           "<output><lognormal mean=\"40\" cv=\"1\" max=\"200\"/></output>";

START_TEST(test_degenerate_cases) {
  static const char *const pairs[][2] = {
      {"<speculative acceptance=\"0.7\" draft_length=\"0\"/>", "<cloud-only/>"},
      {"<early-exit confidence=\"1\" upload=\"on-demand\"/>", "<edge-only/>"},
      {"<sketch from=\"1000\"/>", "<cloud-only/>"}};
  for (int i = 0; i < 3; i++) {
    simulation sims[2];
    for (int k = 0; k < 2; k++) {
      char *text = celslm_format(form, 7, "kv_blocks=\"90\"", "kv_blocks=\"90\"", 300, 400.0, busy,
                                 pairs[i][k], "");
      sims[k] = simulate_well(text, 0, false);
      free(text);
    }
    ck_assert_int_gt(sims[0].summary.preemptions, 0);
    ck_assert_uint_eq(sims[0].n, sims[1].n);
    for (size_t r = 0; r < sims[0].n; r++)
      ck_assert_msg(memcmp(&sims[0].rows[r], &sims[1].rows[r], sizeof *sims[0].rows) == 0,
                    "%s: row %zu is not that of %s", pairs[i][0], r, pairs[i][1]);
    free(sims[0].rows), free(sims[1].rows);
  }
}
END_TEST

/* ---- published: DSSD ------------------------------------------------------------------------- */

static double seconds_per_token(double target, double draft, const char *strategy) {
  char *cloud = celslm_format("fixed_iteration=\"%.9fs\"", target);
  char *edge = celslm_format("fixed_iteration=\"%.9fs\"", draft);
  char *text = celslm_format(form, 3, cloud, edge, 100, 1e-6,
                             "<prompt><fixed tokens=\"20\"/></prompt>"
                             "<output><fixed tokens=\"200\"/></output>",
                             strategy, "");
  simulation s = simulate_well(text, 0, false);
  double sum = 0;
  for (size_t i = 0; i < s.n; i++) sum += s.rows[i].tpot / (double)s.n;
  free(cloud), free(edge), free(text), free(s.rows);
  return sum;
}

/* Draft length 6, acceptance 0.73, 0.2 s per target token; the draft's time per token follows from
 * the speed-up without a link (1.82 = E T / (6 d + T), E = (1 - a^7)/(1 - a)): d = 0.135 T. The
 * other two are predictions, at equal round trip over target time; the route's is 21 ms. */
START_TEST(test_speed_up_of_dssd) {
  static const struct {
    double ratio, draft, low, high;
  } cases[] = {{0.0001, 0.135, 1.82 * 0.97, 1.82 * 1.03},
               {0.02 / 0.2, 0.135, 1.73 * 0.97, 1.73 * 1.03},
               {0.05 / 0.2, 0.135, 1.57 * 0.97, 1.57 * 1.03},
               {0.02 / 0.2, 0.65, 0.6, 0.7}}; /* a draft model on a CPU is a loss */
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double target = 0.021 / cases[i].ratio;
    double with = seconds_per_token(
        target, target * cases[i].draft,
        "<speculative acceptance=\"0.73\" draft_length=\"6\" message=\"split\"/>");
    double without = seconds_per_token(target, target, "<cloud-only/>");
    ck_assert_double_eq_tol(without, target, 1e-9);
    double e = (1 - pow(0.73, 7)) / 0.27, expected = e / (1 + 6 * cases[i].draft + cases[i].ratio);
    ck_assert_msg(fabs(without / with / expected - 1) < 0.03, "%g, formula %g", without / with,
                  expected);
    ck_assert_msg(without / with >= cases[i].low && without / with <= cases[i].high,
                  "round trip %g target tokens, draft %g: speed-up %g, published %g to %g",
                  cases[i].ratio, cases[i].draft, without / with, cases[i].low, cases[i].high);
  }
}
END_TEST

/* Adaptive lengths do about as well as the best fixed one. */
START_TEST(test_adaptive_length) {
  double best = INFINITY;
  for (int k = 1; k <= 12; k++) {
    char *way = celslm_format("<speculative acceptance=\"0.6\" draft_length=\"%d\"/>", k);
    best = fmin(best, seconds_per_token(0.05, 0.01, way));
    free(way);
  }
  double adaptive = seconds_per_token(
      0.05, 0.01, "<speculative acceptance=\"0.6\" draft_length=\"12\" adaptive=\"yes\"/>");
  double longest =
      seconds_per_token(0.05, 0.01, "<speculative acceptance=\"0.6\" draft_length=\"12\"/>");
  ck_assert_msg(adaptive < 1.03 * best && longest > 1.2 * best, "%g; best %g, longest %g", adaptive,
                best, longest);
}
END_TEST

/* ---- bad input ------------------------------------------------------------------------------- */

/* What only the strategy itself can tell: one line, exit 2, no file. */
START_TEST(test_bad_input) {
  static const char *const cases[][2] = {
      {"speculative-acceptance",
       "16: <speculative> acceptance \"1.2\": out of range; it must be at least 0 and at most 1"},
      {"early-exit-wide",
       "16: <early-exit> small (4 layers, hidden 512) is not the first layers of big (8 layers, "
       "hidden 1024): give the edge a model of fewer layers and equal width"},
      {"sketch-parts", "16: <sketch> parts \"0\": out of range; it must be a whole number of at "
                       "least 1 and at most 64"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char folder[] = "/tmp/celslm-together-XXXXXX", line[600] = "";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *command = celslm_format("%s run %s/bad/%s.xml -o %s/r.h5 2>&1", CELSLM_PROGRAM,
                                  CELSLM_TEST_DATA, cases[i][0], folder);
    FILE *said = popen(command, "r");
    ck_assert_ptr_nonnull(said);
    ck_assert_ptr_nonnull(fgets(line, sizeof line, said));
    int status = pclose(said);
    ck_assert_msg(WEXITSTATUS(status) == 2, "%s: exit %d", command, WEXITSTATUS(status));
    ck_assert_msg(strstr(line, cases[i][1]) != NULL, "%s: %s", command, line);
    ck_assert_msg(rmdir(folder) == 0, "%s left a file behind", command);
    free(command);
  }
}
END_TEST

/* ---- storms ---------------------------------------------------------------------------------- */

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}

START_TEST(test_storms) {
  static const char *const ways[] = {
      "<speculative acceptance=\"0.7\"/>",
      "<speculative acceptance=\"0.9\" adaptive=\"yes\" message=\"distributions\"/>",
      "<speculative acceptance=\"0.3\" message=\"split\" draft_length=\"3\"/>",
      "<early-exit confidence=\"0.8\"/>",
      "<early-exit confidence=\"0.5\" upload=\"on-demand\"/>",
      "<early-exit confidence=\"0.6\" context=\"drop\"/>",
      "<sketch/>",
      "<sketch parts=\"7\" sketch=\"0.5\" from=\"30\"/>"};
  static const char *const faults[] = {"<link name=\"wan\" mtbf=\"%dms\" mttr=\"%dms\"/>",
                                       "<host name=\"cloud\" mtbf=\"%dms\" mttr=\"%dms\"/>",
                                       "<host name=\"edge0\" mtbf=\"%dms\" mttr=\"%dms\"/>"};
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t dropped = 0, completed = 0, preempted = 0;
  for (int i = 0; i < 96; i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    char *engine = celslm_format("kv_blocks=\"%d\" max_num_seqs=\"%d\" "
                                 "max_num_batched_tokens=\"%d\" prefix_caching=\"%s\"",
                                 any(72, 110), any(8, 32), any(32, 600), any(0, 1) ? "yes" : "no");
    char *fault[3];
    for (int k = 0; k < 3; k++)
      fault[k] =
          any(0, 2) ? celslm_format(faults[k], any(200, 3000), any(10, 1000)) : celslm_strdup("");
    char *all = celslm_format("%s%s%s", fault[0], fault[1], fault[2]);
    char *text = celslm_format(form, i + 1, engine, engine, any(20, 120), any(2, 300) * 1.0, busy,
                               ways[i % 8], i % 3 ? all : "");
    simulation a = simulate_well(text, 0, false), b = simulate_well(text, 0, true);
    ck_assert_msg(a.n == b.n && memcmp(a.rows, b.rows, a.n * sizeof *a.rows) == 0,
                  "jumping and stepping differ: %s", text);
    ck_assert_msg(memcmp(&a.summary, &b.summary, sizeof a.summary) == 0,
                  "jumping and stepping differ in the summary: %s", text);
    ck_assert_int_eq(a.summary.arrived, (int64_t)a.n);
    ck_assert_int_eq(a.summary.in_flight, 0);
    for (size_t k = 0; k < a.n; k++) {
      const celslm_request_row *q = &a.rows[k];
      if (q->end == CELSLM_COMPLETED) ck_assert(q->last_token >= q->first_token);
      if (isnan(q->ttft)) continue;
      double sum =
          q->t_up + q->t_wait + q->t_cloud + q->t_comm + q->t_edge - q->t_hidden + q->t_down;
      ck_assert_double_eq_tol(sum, q->ttft, 1e-9);
    }
    dropped += a.summary.dropped;
    completed += a.summary.completed;
    preempted += a.summary.preemptions;
    for (int k = 0; k < 3; k++) free(fault[k]);
    free(all), free(engine), free(text), free(a.rows), free(b.rows);
  }
  ck_assert_msg(dropped > 100 && completed > 2000 && preempted > 100,
                "%lld dropped, %lld completed, %lld preemptions", (long long)dropped,
                (long long)completed, (long long)preempted);
  gsl_rng_free(dice);
}
END_TEST

RUN_SUITE("together", test_speculation_by_hand, test_early_exit_by_hand, test_sketch_by_hand,
          test_degenerate_cases, test_speed_up_of_dssd, test_adaptive_length, test_bad_input,
          test_storms)
