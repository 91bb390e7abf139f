/* test_scenario.c - a good scenario becomes exactly the structs that it says; overrides; includes;
 * the scenario that we ship. */
#include "scenario/scenario.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static celslm_error err;

static celslm_scenario *load(const char *file, const char *set) {
  err.text[0] = 0;
  celslm_scenario_options options = {.set = &set, .n_set = 1};
  ck_assert_int_eq(chdir(CELSLM_TEST_DATA), 0);
  celslm_scenario *s = celslm_scenario_load(file, set ? &options : NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  return s;
}

static void fails(const char *set, const char *message) {
  err.text[0] = 0;
  celslm_scenario_options options = {.set = &set, .n_set = 1};
  ck_assert_int_eq(chdir(CELSLM_TEST_DATA), 0);
  ck_assert_ptr_null(celslm_scenario_load("scenario/good.xml", &options, &err));
  ck_assert_str_eq(err.text, message);
}

START_TEST(test_head) {
  celslm_scenario *s = load("scenario/good.xml", NULL);
  ck_assert_str_eq(s->file, "scenario/good.xml");
  ck_assert_str_eq(s->name, "good");
  ck_assert_uint_eq(s->seed, 7);
  ck_assert(s->horizon == 120);
  ck_assert_int_eq(s->n_models, 2);
  ck_assert_str_eq(s->models[0].name, "big");
  ck_assert_str_eq(s->models[1].tokenizer, "toy");
  ck_assert(s->models[0].gated && !s->models[1].gated);
  ck_assert(!s->models[0].tied_embeddings && s->models[1].tied_embeddings);
  ck_assert_int_eq(s->models[1].max_context, 4096);
  ck_assert_int_eq(s->models[1].head_dim, 64);
  ck_assert_ptr_nonnull(strstr(s->text, "<engine name=\"cloud\"")); /* after includes */
  ck_assert_ptr_null(strstr(s->text, "xi:include "));
  celslm_scenario_free(s);
}
END_TEST

START_TEST(test_engines) {
  celslm_scenario *s = load("scenario/good.xml", NULL);
  ck_assert_int_eq(s->n_engines, 2);
  const celslm_engine_config *a = &s->engines[0], *b = &s->engines[1];
  ck_assert_str_eq(a->name, "cloud");
  ck_assert_int_eq(a->host, celslm_platform_host(s->platform, "cloud"));
  ck_assert_int_eq(a->model, 0);
  ck_assert_int_eq(a->weights, CELSLM_INT8);
  ck_assert_int_eq(a->kv, CELSLM_F16);
  ck_assert_int_eq(a->max_num_batched_tokens, 1024);
  ck_assert_int_eq(a->max_num_seqs, 128);
  ck_assert_int_eq(a->block_size, 32);
  ck_assert_int_eq(a->kv_blocks, 1000);
  ck_assert(a->memory_share == 0.5 && a->context_memory == 1073741824.0);
  ck_assert(a->step_overhead == 700e-6 && a->sequence_overhead == 9e-6);
  ck_assert(a->client_overhead == 8e-3 && a->fixed_iteration == 10e-3);
  ck_assert_str_eq(a->scheduler->name, "fcfs");
  ck_assert_str_eq(a->file, "scenario/engines.xml"); /* where it stands, though included */
  ck_assert_int_eq(a->line, 7);                      /* where the start tag ends */
  /* two accelerators of 10 GB, half of them; 1e9 weights of one byte; 2 x 8 x 2 x 128 x 32 x 2 B */
  ck_assert(celslm_engine_memory(s, a, 0) == 10e9);
  ck_assert(celslm_engine_weight_bytes(s, a) == 1e9);
  ck_assert(celslm_engine_block_bytes(s, a) == 262144);

  ck_assert_int_eq(b->max_num_batched_tokens, 2048);
  ck_assert_int_eq(b->max_num_seqs, 256);
  ck_assert_int_eq(b->block_size, 16);
  ck_assert_int_eq(b->kv_blocks, 0);
  ck_assert(b->memory_share == 0.9 && b->context_memory == 0 && b->client_overhead == 0);
  ck_assert(isnan(b->step_overhead) && isnan(b->sequence_overhead) && isnan(b->fixed_iteration));
  ck_assert_ptr_null(b->scheduler);
  ck_assert_int_eq(b->kv, CELSLM_F32);
  celslm_scenario_free(s);
}
END_TEST

START_TEST(test_contexts) {
  celslm_scenario *s = load("scenario/good.xml", NULL), *t = load("scenario/good.xml", NULL);
  celslm_scenario *u = load("scenario/good.xml", "/scenario/@seed=8");
  ck_assert_int_eq(s->n_contexts, 1104);
  ck_assert_str_eq(s->contexts[0].name, "manual");
  ck_assert_int_eq(s->contexts[0].tokens, 2048);
  ck_assert_str_eq(s->contexts[3].name, "doc-2");
  ck_assert_int_eq(s->contexts[3].tokens, 1000);
  ck_assert_str_eq(s->contexts[1003].name, "web-999");
  double mean = 0;
  int different = 0, seen[13] = {0};
  for (int i = 4; i < 1004; i++) {
    ck_assert_int_ge(s->contexts[i].tokens, 256);
    ck_assert_int_le(s->contexts[i].tokens, 4000);
    ck_assert_int_eq(s->contexts[i].tokens, t->contexts[i].tokens); /* one seed, one draw */
    different += s->contexts[i].tokens != u->contexts[i].tokens;
    mean += (double)s->contexts[i].tokens / 1000;
  }
  ck_assert_double_eq_tol(mean, 2000, 100); /* 3 standard errors; limits take little away */
  ck_assert_int_gt(different, 900);
  for (int i = 1004; i < 1104; i++) seen[s->contexts[i].tokens]++;
  ck_assert(seen[10] > 15 && seen[11] > 15 && seen[12] > 15);
  ck_assert_int_eq(seen[10] + seen[11] + seen[12], 100);
  celslm_scenario_free(s);
  celslm_scenario_free(t);
  celslm_scenario_free(u);
}
END_TEST

START_TEST(test_the_rest) {
  celslm_scenario *s = load("scenario/good.xml", NULL);
  ck_assert_str_eq(s->radio.channel->name, "umi");
  ck_assert(s->radio.bytes_per_token == 5 && s->radio.packet_overhead == 40);
  ck_assert_int_eq(s->radio.n_ues, 1);
  ck_assert_int_eq(s->radio.ues[0].cell, 0);
  ck_assert_int_eq(s->radio.ues[0].count, 20);
  ck_assert(s->radio.ues[0].min_distance == 10 && s->radio.ues[0].max_distance == 200);
  ck_assert(s->radio.ues[0].height == 2);

  ck_assert_int_eq(s->workloads[0].requests, 500);
  ck_assert_str_eq(s->workloads[0].arrivals->name, "poisson");
  ck_assert_str_eq(s->workloads[0].prompt->name, "lognormal");
  ck_assert_str_eq(s->workloads[0].output->name, "fixed");
  ck_assert_str_eq(s->workloads[0].popularity->name, "zipf");
  ck_assert_ptr_null(s->workloads[0].trace);
  double rate;
  ck_assert(celslm_element_quantity(s->workloads[0].arrivals, "rate", CELSLM_UNIT_COUNTS, DBL_MIN,
                                    INFINITY, NAN, &rate, &err));
  ck_assert(rate == 4);

  ck_assert_int_eq(s->n_strategies, 3);
  ck_assert_str_eq(s->strategies[0].label, "cloud-only");
  ck_assert_str_eq(s->strategies[1].label, "serial");
  ck_assert_str_eq(s->strategies[1].element->name, "ce-lslm");
  ck_assert_str_eq(s->strategies[2].label, "ce-lslm");
  ck_assert_str_eq(celslm_element_attribute(s->strategies[2].element, "codec"), "int8");
  bool pipeline = true;
  ck_assert(celslm_element_bool(s->strategies[1].element, "pipeline", true, &pipeline, &err));
  ck_assert(!pipeline);

  ck_assert(s->slo.ttft == 1 && isinf(s->slo.tpot) && s->slo.e2e == 20);
  ck_assert(s->results.sample == 0.5 && s->results.timeline_from == 1);
  ck_assert(s->results.timeline_to == 10 && s->results.warmup == 10 && s->results.iterations);
  ck_assert_int_eq(s->sweep->n_children, 2);
  celslm_scenario_free(s);
}
END_TEST

START_TEST(test_defaults) {
  celslm_scenario *s = load("bad/../scenario/least.xml", NULL);
  ck_assert_uint_eq(s->seed, 1);
  ck_assert(isinf(s->horizon));
  ck_assert_int_eq(s->n_contexts, 0);
  ck_assert_ptr_null(s->radio.channel);
  ck_assert_int_eq(s->radio.n_ues, 0);
  ck_assert(s->radio.bytes_per_token == 4 && s->radio.packet_overhead == 60);
  ck_assert_ptr_null(s->workloads[0].popularity);
  ck_assert_ptr_null(s->workloads[0].arrivals);
  ck_assert_str_eq(s->workloads[0].trace->name, "trace");
  ck_assert_int_eq(s->workloads[0].requests, INT64_MAX);
  char *trace = celslm_element_path(s->workloads[0].trace, "file");
  ck_assert_str_eq(trace, "bad/../scenario/trace.csv");
  free(trace);
  ck_assert(isinf(s->slo.ttft) && isinf(s->slo.tpot) && isinf(s->slo.e2e));
  ck_assert(s->results.sample == 0 && s->results.timeline_to == 0 && !s->results.iterations);
  ck_assert_ptr_null(s->sweep);
  celslm_scenario_free(s);
}
END_TEST

START_TEST(test_parse_text) {
  ck_assert_int_eq(chdir(CELSLM_TEST_DATA), 0);
  FILE *f = fopen("scenario/least.xml", "r");
  char text[4000] = "";
  ck_assert_uint_gt(fread(text, 1, sizeof text - 1, f), 0);
  fclose(f);
  celslm_scenario *s = celslm_scenario_parse(text, "scenario/not-there.xml", NULL, &err);
  ck_assert_msg(s != NULL, "%s", err.text);
  ck_assert_str_eq(s->engines[0].file, "scenario/not-there.xml");
  celslm_scenario_free(s);
}
END_TEST

START_TEST(test_set) {
  celslm_scenario *s = load("scenario/good.xml", "//engine[@name='cloud']/@max_num_seqs=64");
  ck_assert_int_eq(s->engines[0].max_num_seqs, 64); /* in an included file */
  celslm_scenario_free(s);
  s = load("scenario/good.xml", "workload/@requests=3"); /* relative to the root element */
  ck_assert_int_eq(s->workloads[0].requests, 3);
  ck_assert_ptr_nonnull(strstr(s->text, "<workload requests=\"3\"")); /* for the provenance */
  celslm_scenario_free(s);
}
END_TEST

static const struct {
  const char *set, *message;
} bad_sets[] = {
    {"requests", "celslm: --set \"requests\": no XPath=value; give for example "
                 "--set \"//workload/@requests=100\""},
    {"=5", "celslm: --set \"=5\": no XPath=value; give for example "
           "--set \"//workload/@requests=100\""},
    {"//workload/@request=5",
     "celslm: --set \"//workload/@request\" selects nothing; attributes written there: requests "
     "(write the attribute into the file to make it addressable)"},
    {"//engine[@name='cluod']/@kv=f16",
     "celslm: --set \"//engine[@name='cluod']/@kv\" selects nothing; it must lead to an attribute "
     "that is written in scenario/good.xml"},
    {"//workload=5", "celslm: --set \"//workload\" selects <workload>, not an attribute; end it "
                     "with /@ and an attribute's name"},
    {"//workload[=5", "celslm: --set \"//workload[=5\": no XPath=value; give for example "
                      "--set \"//workload/@requests=100\""},
    {"//workload/@@requests=5",
     "celslm: --set \"//workload/@@requests\" is not an XPath to attributes; give one such as "
     "//engine[@name='cloud']/@kv"},
    {"count(//engine)=5", "celslm: --set \"count(//engine)\" is not an XPath to attributes; give "
                          "one such as //engine[@name='cloud']/@kv"},
    {"//workload/@requests=many",
     "scenario/good.xml:16: <workload> requests \"many\" is not allowed; give a whole number of at "
     "least 1"},
    {"//engine[@name='cloud']/@weights=f32",
     "scenario/engines.xml:7: <engine> \"cloud\": gpu does not support weights=\"f32\"; allowed "
     "there: f16, int8"},
    {"/scenario/platform/@file=elsewhere.xml",
     "scenario/good.xml:3: <platform> file \"scenario/elsewhere.xml\" cannot be read: No such file "
     "or directory; give a SimGrid platform file"},
    {"//workload/@requests=5\n", "celslm: --set \"//workload/@requests=5 \": a control character; "
                                 "give plain text"},
};

START_TEST(test_bad_set) {
  fails(bad_sets[_i].set, bad_sets[_i].message);
}
END_TEST

/* What a calibration would write is taken from the frozen profile of the tests. */
START_TEST(test_quickstart) {
  char folder[] = "/tmp/celslm-test-XXXXXX", command[2000];
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(command, sizeof command,
           "mkdir %s/profiles && cp %s/platforms/*.xml %s && cp %s/platforms/profiles/*.xml "
           "%s/profiles && cp %s/profiles/this-machine.xml %s/profiles",
           folder, CELSLM_SOURCE_DIR, folder, CELSLM_SOURCE_DIR, folder, CELSLM_TEST_DATA, folder);
  ck_assert_int_eq(system(command), 0);
  char *set = celslm_format("platform/@file=%s/metro_6g.xml", folder);
  celslm_scenario *s = load(CELSLM_SOURCE_DIR "/scenarios/quickstart.xml", set);
  free(set);
  ck_assert_int_eq(s->n_strategies, 4);
  ck_assert_int_eq(s->platform->n_cells, 4);
  ck_assert_int_eq(s->n_engines, 5);
  for (int i = 1; i < s->n_models; i++)
    ck_assert_str_eq(s->models[i].tokenizer, s->models[0].tokenizer);
  celslm_scenario_free(s);

  snprintf(command, sizeof command, "%s/profiles/this-machine.xml", folder);
  ck_assert_int_eq(unlink(command), 0);
  snprintf(command, sizeof command, "%s/metro_6g.xml", folder);
  ck_assert_ptr_null(celslm_platform_load(command, NULL, &err));
  ck_assert_ptr_nonnull(strstr(err.text, "celslm.profile \"this-machine\": there is no "));
  ck_assert_ptr_nonnull(strstr(err.text, "; run `celslm calibrate` first, it measures this machine "
                                         "and writes the file"));
  snprintf(command, sizeof command, "rm -r %s", folder);
  ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("scenario");
  TCase *tests = tcase_create("scenario");
  tcase_add_test(tests, test_head);
  tcase_add_test(tests, test_engines);
  tcase_add_test(tests, test_contexts);
  tcase_add_test(tests, test_the_rest);
  tcase_add_test(tests, test_defaults);
  tcase_add_test(tests, test_parse_text);
  tcase_add_test(tests, test_set);
  tcase_add_loop_test(tests, test_bad_set, 0, sizeof bad_sets / sizeof *bad_sets);
  tcase_add_test(tests, test_quickstart);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
