/* test_table_runs.c - whole runs whose costs come from a table of kernel times: jumping over
 * iterations gives the same bits as stepping, also where a jump crosses the table's contexts; and
 * the costs are the table's, not the curves'. */
#include "cost/table_support.h"
#include "support.h"

/* A folder with the test platform whose gpu profile has a table. */
static char *make_platform(void) {
  char *folder = celslm_strdup("/tmp/celslm-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  char *command = celslm_format("cp -r %s/pair.xml %s/models %s/profiles %s", CELSLM_TEST_DATA,
                                CELSLM_TEST_DATA, CELSLM_TEST_DATA, folder);
  ck_assert_int_eq(system(command), 0);
  char *profiles = celslm_format("%s/profiles", folder);
  char *file = celslm_format("%s/gpu.xml", profiles);
  gsl_rng *r = gsl_rng_alloc(gsl_rng_taus2);
  celslm_table_free(made_up_table(profiles, r));
  save_with_table(CELSLM_TEST_DATA "/profiles/gpu.xml", file, "table.h5");
  gsl_rng_free(r);
  free(command);
  free(profiles);
  free(file);
  return folder;
}

static char *scenario(const char *folder, int i) {
  static const char *const strategies[] = {"<cloud-only prompt_cache=\"yes\"/>",
                                           "<ce-lslm pipeline=\"yes\"/>", "<edge-only/>"};
  return celslm_format(
      "<scenario name=\"t\" seed=\"%d\"><platform file=\"%s/pair.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines><engine name=\"cloud\" host=\"cloud\" model=\"big\" kv_blocks=\"2000\" "
      "context_memory=\"200MiB\" "
      "max_num_seqs=\"%d\"/><engine name=\"e0\" host=\"edge0\" model=\"small\" kv_blocks=\"900\" "
      "context_memory=\"200MiB\" "
      "max_num_seqs=\"32\"/><engine name=\"e1\" host=\"edge1\" model=\"small\" kv_blocks=\"900\" "
      "context_memory=\"200MiB\"/>"
      "</engines><contexts><population name=\"d\" count=\"4\"><uniform min=\"1\" max=\"300\"/>"
      "</population></contexts><workload requests=\"60\"><arrivals><poisson rate=\"%d/s\"/>"
      "</arrivals><prompt><uniform min=\"1\" max=\"400\"/></prompt><output><uniform min=\"1\" "
      "max=\"1500\"/></output><popularity><zipf s=\"1\"/></popularity></workload>"
      "<strategy>%s</strategy></scenario>",
      i + 1, folder, 4 << i % 4, 1 << i % 6, strategies[i % 3]);
}

START_TEST(test_stepping_equals_jumping) {
  char *with = make_platform(), *without = celslm_strdup(CELSLM_TEST_DATA);
  int64_t iterations = 0;
  for (int i = 0; i < 12; i++) {
    char *text = scenario(with, i), *bare_text = scenario(without, i);
    simulation jump = simulate_well(text, 0, false), step = simulate_well(text, 0, true),
               bare = simulate_well(bare_text, 0, false);
    ck_assert_msg(jump.n == step.n, "scenario %d\n%s", i, text);
    for (size_t k = 0; k < jump.n; k++)
      ck_assert_msg(memcmp(&jump.rows[k], &step.rows[k], sizeof *jump.rows) == 0,
                    "scenario %d: row %zu is not the same jumping and stepping\n%s", i, k, text);
    ck_assert_int_eq(jump.summary.iterations, step.summary.iterations);
    ck_assert(jump.summary.energy == step.summary.energy);
    ck_assert_uint_eq(jump.n, bare.n);
    ck_assert_int_ne(memcmp(jump.rows, bare.rows, jump.n * sizeof *jump.rows), 0);
    iterations += jump.summary.iterations;
    free(jump.rows), free(step.rows), free(bare.rows), free(text), free(bare_text);
  }
  ck_assert_int_ge(iterations, 20000);
  char *command = celslm_format("rm -r '%s'", with);
  ck_assert_int_eq(system(command), 0);
  free(command);
  free(with);
  free(without);
}
END_TEST

RUN_SUITE("table runs", test_stepping_equals_jumping)
