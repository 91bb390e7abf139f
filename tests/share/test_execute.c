/* test_execute.c - executed requests: what the kernels report and the codecs write is what the
 * simulation counts; times are those of counted requests; a context's prefix does what it must; the
 * shipped models' held-out loss; and the quality table's look-up. */
#include "share/execute.h"

#include "cost/cost.h"
#include "share/codec.h"
#include "share/corpus.h"
#include "share/quality_table.h"
#include "support.h"

#include <math.h>

/* Relative to tests/data. */
static char *text_of(const char *compute, const char *codec) {
  return celslm_format(
      "<scenario name=\"t\" seed=\"1\" compute=\"%s\">"
      "<platform file=\"../../platforms/cloud_and_edge.xml\"/>"
      "<models><model file=\"../../platforms/models/tiny-cloud.xml\"/>"
      "<model file=\"../../platforms/models/tiny-edge.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"tiny-cloud\" "
      "context_memory=\"1GiB\"/><engine name=\"edge\" host=\"edge\" model=\"tiny-edge\" "
      "context_memory=\"1GiB\"/></engines>"
      "<contexts><context name=\"a\" tokens=\"320\"/><context name=\"b\" tokens=\"77\"/></contexts>"
      "<workload requests=\"9\"><arrivals><poisson rate=\"50/s\"/></arrivals>"
      "<prompt><uniform min=\"3\" max=\"50\"/></prompt><output><uniform min=\"2\" max=\"20\"/>"
      "</output><popularity><uniform/></popularity></workload>"
      "<strategy><ce-lslm codec=\"%s\"/></strategy>"
      "<execution text=\"../../scenarios/texts/held_out.txt\" "
      "map=\"../../results/quality/map.h5\"/>"
      "</scenario>",
      compute, codec);
}

static celslm_scenario *load(const char *codec) {
  celslm_error err = {0};
  char *text = text_of("execute", codec);
  celslm_scenario *s = celslm_scenario_parse(text, CELSLM_TEST_DATA "/test.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  free(text);
  return s;
}

START_TEST(times_equal_those_of_counted_requests) {
  char *model = text_of("model", "int8"), *execute = text_of("execute", "int8");
  simulation a = simulate(model, 0, false), b = simulate(execute, 0, false);
  ck_assert_int_eq(a.status, 0);
  ck_assert_uint_eq(a.n, 9);
  ck_assert_uint_eq(b.n, 9);
  ck_assert_int_eq(memcmp(a.rows, b.rows, a.n * sizeof *a.rows), 0);
  free(model), free(execute), free(a.rows), free(b.rows);
}
END_TEST

/* What the codecs really write of a mapped context is what the simulation moves. */
START_TEST(bytes_equal_the_simulated_ones) {
  const char *name = celslm_wire_names[_i], *why;
  celslm_error err = {0};
  celslm_codec coded;
  ck_assert(celslm_codec_parse(name, &coded, &why));
  celslm_scenario *s = load(name);
  celslm_execution *x = celslm_execution_open(s, &err);
  ck_assert_msg(x != NULL, "%s", err.text);
  for (int c = 0; c < s->n_contexts; c++) {
    celslm_execution_request r = {.model = 1,
                                  .from = 0,
                                  .context = c,
                                  .codec = (celslm_wire_codec)_i,
                                  .prompt = 9,
                                  .output = 5};
    celslm_executed e;
    ck_assert_msg(celslm_execute(x, &r, &e, &err), "%s", err.text);
    ck_assert_double_eq(
        e.context_bytes,
        (double)s->models[1].layers *
            celslm_codec_layer_bytes(&coded, &s->models[1], (double)s->contexts[c].tokens));
    ck_assert_uint_eq(strlen(e.prompt), 9);
    ck_assert_uint_eq(strlen(e.text), 5);
    celslm_executed_free(&e);
  }
  char *text = text_of("model", name); /* and what a run says it moved */
  simulation run = simulate(text, 0, false);
  ck_assert_int_eq(run.status, 0);
  for (size_t i = 0; i < run.n; i++)
    if (run.rows[i].context_source == CELSLM_CONTEXT_FETCHED)
      ck_assert_double_eq(
          run.rows[i].kv_bytes,
          (double)s->models[1].layers *
              celslm_codec_layer_bytes(&coded, &s->models[1], (double)run.rows[i].context_tokens));
  free(run.rows), free(text);
  celslm_execution_close(x);
  celslm_scenario_free(s);
}
END_TEST

typedef struct sum {
  double products, prefill, decode, shared;
} sum;

static void add(void *user, const celslm_report *r) {
  sum *s = user;
  if (r->op == CELSLM_KOP_GEMM) s->products += 2.0 * (double)(r->m * r->n * r->k);
  if (r->op == CELSLM_KOP_ATTN_PREFILL) s->prefill += (double)r->work.flops;
  if (r->op == CELSLM_KOP_ATTN_DECODE) s->decode += (double)r->work.flops;
  if (r->op == CELSLM_KOP_ATTN_MERGED) /* less the union of the two parts */
    s->decode += (double)r->work.flops - 3.0 * (double)(r->m * r->k * r->q_heads);
  if (r->op == CELSLM_KOP_ATTN_SHARED) s->shared += (double)r->work.flops;
}

/* A prompt of p tokens on a context of c, then n - 1 more passes, as the op list has them. */
START_TEST(flops_equal_the_op_list) {
  enum { P = 23, C = 320, N = 7 };
  celslm_error err = {0};
  celslm_scenario *s = load("f16");
  celslm_execution *x = celslm_execution_open(s, &err);
  ck_assert_msg(x != NULL, "%s", err.text);
  for (int m = 0; m < 2; m++) {
    celslm_execution_request r = {.model = m, .from = -1, .context = 0, .prompt = P, .output = N};
    celslm_executed e;
    ck_assert(celslm_execute(x, &r, &e, &err)); /* the context is there from here on */
    celslm_executed_free(&e);
    sum got = {0};
    celslm_set_hook(add, &got);
    ck_assert(celslm_execute(x, &r, &e, &err));
    celslm_set_hook(NULL, NULL);
    celslm_executed_free(&e);
    const celslm_shape shape = celslm_shape_of(&s->models[m], CELSLM_F32, CELSLM_F32);
    static const celslm_op_kind dense[] = {CELSLM_OP_QKV, CELSLM_OP_OUTPUT, CELSLM_OP_MLP_IN,
                                           CELSLM_OP_MLP_OUT};
    double layers = (double)s->models[m].layers, products = 0, decode = 0;
    for (int pass = 0; pass < N; pass++) {
      double rows = pass ? 1 : P;
      for (int k = 0; k < 4; k++)
        products += layers * celslm_op_dense(&shape, dense[k], rows).flops;
      products += celslm_op_dense(&shape, CELSLM_OP_HEAD, 1).flops;
      if (pass) decode += layers * celslm_op_decode(&shape, 1, C + P + pass, C + P + pass).flops;
    }
    ck_assert_double_eq(got.products, products);
    ck_assert_double_eq(got.prefill + got.decode + got.shared,
                        layers * celslm_op_prefill(&shape, P, C).flops + decode);
  }
  celslm_execution_close(x);
  celslm_scenario_free(s);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------------------- */

START_TEST(what_cannot_be_executed_is_refused) {
  celslm_error err = {0};
  celslm_scenario *s = load("f16");
  celslm_execution *x = celslm_execution_open(s, &err);
  celslm_executed e;
  celslm_execution_request r = {.model = 1, .from = -1, .context = 0, .prompt = 1700, .output = 64};
  ck_assert(!celslm_execute(x, &r, &e, &err)); /* longer than the model reads */
  ck_assert_ptr_nonnull(strstr(err.text, "tiny-edge reads 2048"));
  err.text[0] = 0;
  r = (celslm_execution_request){.model = 0, .from = 1, .context = 0, .prompt = 8, .output = 2};
  ck_assert(!celslm_execute(x, &r, &e, &err)); /* the map leads the other way */
  ck_assert_ptr_nonnull(strstr(err.text, "no map from tiny-edge to tiny-cloud"));
  celslm_execution_close(x);
  s->contexts[0].tokens = 1 << 20;
  err.text[0] = 0;
  ck_assert_ptr_null(celslm_execution_open(s, &err));
  ck_assert_ptr_nonnull(strstr(err.text, "prompts at least"));
  celslm_scenario_free(s);
}
END_TEST

/* ---- the shipped models ---------------------------------------------------------------------- */

/* Bits per byte over all of Ruth and Jonah, in windows, every byte but a window's first. */
static double held_out(const celslm_transformer *t, const celslm_text *text, int64_t window) {
  double bits = 0;
  int64_t predicted = 0;
  float *logits = celslm_alloc((unsigned long)window * 256, sizeof *logits);
  for (int64_t at = 0; at + window <= text->n; at += window) {
    celslm_session *s = celslm_session_create(t, CELSLM_K_F32, window, NULL);
    celslm_transformer_trace(t, 1, &s, &window, text->tokens + at, NULL,
                             &(celslm_trace){.logits = logits});
    celslm_session_free(s);
    for (int64_t i = 0; i + 1 < window; i++) {
      const float *z = logits + i * 256;
      double all = 0, right = (double)z[text->tokens[at + i + 1]];
      for (int k = 0; k < 256; k++) all += exp((double)z[k] - right);
      bits += log2(all);
      predicted++;
    }
  }
  free(logits);
  return bits / (double)predicted;
}

START_TEST(cloud_predicts_clearly_better_than_edge) {
  celslm_error err = {0};
  celslm_text text;
  ck_assert(celslm_text_read(CELSLM_SOURCE_DIR "/scenarios/texts/held_out.txt", &text, &err));
  celslm_transformer *cloud =
                         celslm_load_checkpoint(CELSLM_SOURCE_DIR "/tools/models/cloud.bin", &err),
                     *edge =
                         celslm_load_checkpoint(CELSLM_SOURCE_DIR "/tools/models/edge.bin", &err);
  ck_assert_msg(cloud && edge, "%s", err.text);
  double cloud_bits = held_out(cloud, &text, 1024), edge_bits = held_out(edge, &text, 1024),
         edge_short = held_out(edge, &text, 256);
  printf(
      "held-out bits per byte (Ruth, Jonah): cloud %.3f, edge %.3f in windows of 1,024; edge %.3f "
      "in windows of 256\n",
      cloud_bits, edge_bits, edge_short);
  ck_assert_double_lt(cloud_bits, edge_bits - 0.1);
  ck_assert_double_lt(edge_bits, edge_short); /* it uses what it reads */
  celslm_transformer_free(cloud), celslm_transformer_free(edge);
  celslm_text_free(&text);
}
END_TEST

/* ---- the quality table ----------------------------------------------------------------------- */

START_TEST(quality_is_measured_proxy_or_not_measured) {
  celslm_error err = {0};
  char pair[256];
  ck_assert_msg(celslm_pair_name(CELSLM_SOURCE_DIR "/tools/models/cloud.bin",
                                 CELSLM_SOURCE_DIR "/tools/models/edge.bin", pair, sizeof pair,
                                 &err),
                "%s", err.text);
  celslm_quality_table *t =
      celslm_quality_table_open(CELSLM_SOURCE_DIR "/results/quality/quality.csv", &err);
  ck_assert_msg(t != NULL, "%s", err.text);
  celslm_quality_figure f = celslm_quality_find(t, pair, 1, 1, "int8", 700);
  ck_assert_int_eq(f.status,
                   CELSLM_QUALITY_MEASURED); /* the shipped table is of the shipped pair */
  ck_assert(f.context == 512 && f.low <= f.gap && f.gap <= f.high);
  ck_assert_double_gt(f.gap, 0);
  f = celslm_quality_find(t, "other:1/pair:2", 0.5, 0.25, "int4", 128);
  ck_assert_int_eq(f.status, CELSLM_QUALITY_PROXY);
  ck_assert_str_eq(f.pair, pair);
  ck_assert_int_eq(celslm_quality_find(t, NULL, 1, 1, "f16", 256).status, CELSLM_QUALITY_PROXY);
  ck_assert_int_eq(celslm_quality_find(t, pair, 1, 1, "huffman", 256).status,
                   CELSLM_QUALITY_NOT_MEASURED);
  f = celslm_quality_find(NULL, pair, 1, 1, "int8", 256);
  ck_assert_int_eq(f.status, CELSLM_QUALITY_NOT_MEASURED);
  ck_assert(isnan(f.gap));
  ck_assert_double_eq(celslm_quality_find(NULL, pair, 0, 1, "int8", 256).gap, 1);
  double gap[17]; /* as a planner asks, for a deeper model: depths in between are not flattered */
  ck_assert_int_eq(celslm_quality_curve(t, NULL, 16, 1, "int8", 256, gap), CELSLM_QUALITY_PROXY);
  ck_assert_double_eq(gap[16], 1);
  ck_assert_double_eq(gap[0], celslm_quality_find(t, pair, 1, 1, "int8", 256).gap);
  ck_assert_double_eq(gap[1], gap[0]);
  ck_assert_int_eq(celslm_quality_curve(NULL, NULL, 16, 1, "int8", 256, gap),
                   CELSLM_QUALITY_NOT_MEASURED);
  ck_assert(gap[16] == 1 && isnan(gap[15]) && isnan(gap[0]));
  celslm_quality_table_close(t);
  ck_assert_ptr_null(celslm_quality_table_open(CELSLM_SOURCE_DIR "/README.md", &err));
}
END_TEST

/* ---- the program ----------------------------------------------------------------------------- */

static char *output_of(const char *command) {
  FILE *f = popen(command, "r");
  ck_assert_ptr_nonnull(f);
  char *out = celslm_alloc(1, 1 << 20);
  size_t n = fread(out, 1, (1 << 20) - 1, f);
  out[n] = 0;
  ck_assert_msg(pclose(f) == 0, "%s: %s", command, out);
  return out;
}

START_TEST(real_tokens_are_the_same_with_any_threads) {
  char folder[] = "/tmp/celslm-execute-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *out[2];
  for (int i = 0; i < 2; i++) {
    char *command =
        celslm_format("OMP_WAIT_POLICY=passive OMP_NUM_THREADS=%d " CELSLM_PROGRAM
                      " run " CELSLM_SOURCE_DIR "/scenarios/real_tokens.xml -o %s/r.h5 2>&1",
                      i + 1, folder);
    out[i] = output_of(command);
    free(command);
  }
  ck_assert_str_eq(out[0], out[1]);
  ck_assert_ptr_nonnull(strstr(out[0], "its KV from tiny-cloud as int4"));
  ck_assert_ptr_nonnull(strstr(out[0], "    output: "));
  free(out[0]), free(out[1]);
  char *command = celslm_format("rm -r %s", folder);
  ck_assert_int_eq(system(command), 0);
  free(command);
}
END_TEST

START_TEST(figures_are_drawn) {
  if (system("/usr/bin/python3 -c 'import h5py, pandas, matplotlib' 2>/dev/null") != 0) {
    puts("skipped: /usr/bin/python3 lacks h5py, pandas or matplotlib");
    return;
  }
  char folder[] = "/tmp/celslm-figures-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *command = celslm_format(
      "cd " CELSLM_SOURCE_DIR "/results/quality && MPLCONFIGDIR=%s /usr/bin/python3 -B "
      "../../analysis/quality.py quality.csv map.h5 -o %s && cd %s && ls E3.png E8a.png "
      "frontier.png && rm -r %s",
      folder, folder, folder, folder);
  char *out = output_of(command);
  ck_assert_ptr_nonnull(strstr(out, "frontier.png\n"));
  free(out), free(command);
}
END_TEST

int main(void) {
  Suite *s = suite_create("execute");
  TCase *t = tcase_create("execute");
  tcase_add_test(t, times_equal_those_of_counted_requests);
  tcase_add_loop_test(t, bytes_equal_the_simulated_ones, 0, CELSLM_WIRE_CODECS);
  tcase_add_test(t, flops_equal_the_op_list);
  tcase_add_test(t, what_cannot_be_executed_is_refused);
  tcase_add_test(t, cloud_predicts_clearly_better_than_edge);
  tcase_add_test(t, quality_is_measured_proxy_or_not_measured);
  tcase_add_test(t, real_tokens_are_the_same_with_any_threads);
  tcase_add_test(t, figures_are_drawn);
  suite_add_tcase(s, t);
  SRunner *r = srunner_create(s);
  srunner_run_all(r, CK_ENV);
  int failed = srunner_ntests_failed(r);
  srunner_free(r);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
