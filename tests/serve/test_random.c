/* test_random.c - whole runs of random scenarios made to press engines hard: few and small blocks,
 * small budgets, contexts that stream in layer by layer or are recomputed, bursts, horizons; every
 * policy, prefix caching under sessions and traces with block hashes, swapping, admission limits,
 * tensor parallelism, engines that share a host. In debug builds the engine asserts its invariants
 * at every iteration of them, and every run checks Little's law on each engine, exactly
 * (sim/world). Stepping and jumping must agree bit by bit. */
#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}
static bool chance(int percent) {
  return any(1, 100) <= percent;
}
static const char *yes_or_no(void) {
  return any(0, 1) ? "yes" : "no";
}

/* What is being drawn. */
typedef struct sizes {
  int context, prompt, output, longest; /* tokens */
  bool caching;
} sizes;

/* ---- engines --------------------------------------------------------------------------------- */

static char *scheduler(void) {
  switch (any(0, 6)) {
  case 0:
    return celslm_strdup("<scheduler><priority/></scheduler>");
  case 1:
    return celslm_strdup("<scheduler><deadline/></scheduler>");
  case 2:
    return celslm_format("<scheduler><shortest-job prompt_weight=\"%g\"/></scheduler>",
                         any(0, 30) * 0.1);
  case 3: /* weights that are no binary fractions too */
  case 4:
    return celslm_format("<scheduler><fair prompt_weight=\"%g\" output_weight=\"%g\"/></scheduler>",
                         any(0, 30) * 0.1, any(0, 30) * 0.1);
  default:
    return celslm_strdup("");
  }
}

static char *limits(const char *memory, const sizes *z) {
  char *swap = memory && chance(50)
                   ? celslm_format("swap_to=\"%s\" swap_memory=\"%dKiB\"", memory, any(1, 20000))
                   : celslm_strdup("");
  char *rate = chance(20)
                   ? celslm_format("rate_limit=\"%d/s\" rate_burst=\"%d\" rate_action=\"%s\"",
                                   1 << any(4, 10), any(1, 5), any(0, 2) ? "wait" : "reject")
                   : celslm_strdup("");
  char *text =
      celslm_format("prefix_caching=\"%s\" admission=\"%s\" watermark=\"%g\" max_queue=\"%d\" "
                    "max_model_len=\"%d\" %s %s",
                    z->caching && chance(80) ? "yes" : "no", any(0, 2) ? "prompt" : "chunk",
                    chance(30) ? any(1, 30) * 0.01 : 0, chance(15) ? any(1, 30) : 0,
                    chance(10) ? any(1, z->longest) : 0, swap, rate);
  free(swap), free(rate);
  return text;
}

/* The longest request must fit, or it is rejected: one in eight engines may have room for little
 * more than a context. */
static char *engine(const char *name, const char *host, const char *model, const char *memory,
                    int parallel, double share, const sizes *z) {
  int block = any(0, 1) ? 1 << any(0, 5) : any(1, 40), seqs = any(0, 3) ? any(2, 64) : 1;
  int blocks = (any(0, 7) ? z->longest : z->context) / block + any(1, 30);
  char *fixed =
      any(0, 3) ? celslm_strdup("") : celslm_format("fixed_iteration=\"%dus\"", any(100, 20000));
  char *more = limits(memory, z), *order = scheduler();
  char *text = celslm_format(
      "<engine name=\"%s\" host=\"%s\" model=\"%s\" kv_blocks=\"%d\" block_size=\"%d\" "
      "max_num_batched_tokens=\"%d\" max_num_seqs=\"%d\" context_memory=\"%dMiB\" "
      "client_overhead=\"%dus\" tensor_parallel=\"%d\" memory_share=\"%g\" %s %s>%s</engine>",
      name, host, model, blocks, block, seqs + any(0, 1 << any(0, 9)), seqs, any(8, 100),
      any(0, 1) * any(1, 5000), parallel, share, more, fixed, order);
  free(fixed), free(more), free(order);
  return text;
}

static char *engines(const sizes *z) {
  bool both = chance(20); /* edges are one host with two engines */
  double share = both ? 0.4 : 0.9;
  char *cloud = engine("cloud", "cloud", "big", "ram0", 1 << any(0, 2), 0.9, z),
       *e0 = engine("e0", "edge0", "small", "ram1", 1, share, z),
       *e1 = engine("e1", both ? "edge0" : "edge1", "small", both ? "ram1" : "cloud", 1, share, z);
  char *text = celslm_format("%s%s%s", cloud, e0, e1);
  free(cloud), free(e0), free(e1);
  return text;
}

/* ---- loads ----------------------------------------------------------------------------------- */

static char *classes(void) {
  if (chance(30)) return celslm_strdup("");
  char *text = celslm_strdup("");
  for (int i = 0, n = any(1, 4); i < n; i++) {
    char *deadline =
        chance(70) ? celslm_format("deadline=\"%dms\"", any(1, 2000)) : celslm_strdup("");
    char *more = celslm_format("%s<class name=\"k%d\" tenant=\"t%d\" priority=\"%d\" %s/>", text, i,
                               any(0, 3), any(0, 3), deadline);
    free(text), free(deadline);
    text = more;
  }
  return text;
}

static char *arrivals(void) {
  switch (any(0, 5)) {
  case 0:
    return celslm_format("<deterministic interval=\"%dns\"/>", any(1, 1 << any(1, 24)));
  case 1:
    return celslm_format("<closed users=\"%d\" think=\"%dms\"/>", any(1, 40), any(1, 100));
  default:
    return celslm_format("<poisson rate=\"%d/s\"/>", 1 << any(0, 11));
  }
}

/* Rows whose prompts share blocks of 16 tokens: each goes on from a prefix of an earlier one. */
static char *write_hashes(const sizes *z) {
  char *file = celslm_strdup("/tmp/celslm-serve-XXXXXX");
  int fd = mkstemp(file), fresh = 1, n = any(10, 120), *ids[120], have[120];
  ck_assert_int_ge(fd, 0);
  FILE *f = fdopen(fd, "w");
  double time = 0, gap = exp(any(0, 100) * 0.07); /* ms */
  for (int i = 0; i < n; i++) {
    int prompt = any(1, z->prompt), blocks = (prompt + 15) / 16;
    ids[i] = celslm_alloc((unsigned long)blocks, sizeof(int));
    have[i] = prompt / 16; /* whole ones, which others may begin with */
    int parent = i ? any(0, i - 1) : 0, common = i && chance(70) ? any(0, have[parent]) : 0;
    for (int k = 0; k < blocks; k++)
      ids[i][k] = k < common && k < have[i] ? ids[parent][k] : fresh++;
    time += any(0, 100) * 0.02 * gap;
    fprintf(f, "{\"timestamp\": %.0f, \"input_length\": %d, \"output_length\": %d, \"hash_ids\": [",
            time, prompt, any(1, z->output));
    for (int k = 0; k < blocks; k++) fprintf(f, "%s%d", k ? ", " : "", ids[i][k]);
    fprintf(f, "]}\n");
  }
  for (int i = 0; i < n; i++) free(ids[i]);
  ck_assert_int_eq(fclose(f), 0);
  return file;
}

/* *file: of the trace, to be removed; NULL: none. */
static char *workload(const sizes *z, char **file) {
  char *kinds = classes(), *text;
  if (z->caching && chance(40)) {
    *file = write_hashes(z);
    text = celslm_format("<workload block_size=\"16\"><trace file=\"%s\" format=\"mooncake\"/>%s"
                         "</workload>",
                         *file, kinds);
    free(kinds);
    return text;
  }
  char *come = arrivals();
  char *sessions = chance(z->caching ? 70 : 20)
                       ? celslm_format("<sessions turns=\"%d\" think=\"%dms\" max_tokens=\"%d\"/>",
                                       any(2, 6), any(1, 200), z->longest)
                       : celslm_strdup("");
  text = celslm_format(
      "<workload requests=\"%d\" block_size=\"%d\" prediction_error=\"%g\"><arrivals>%s</arrivals>"
      "<prompt><uniform min=\"1\" max=\"%d\"/></prompt><output><uniform min=\"1\" max=\"%d\"/>"
      "</output>%s<popularity><zipf s=\"%d\"/></popularity>%s</workload>",
      any(10, 120), any(1, 40), any(0, 2) * 0.4, come, z->prompt, z->output, sessions, any(0, 2),
      kinds);
  free(come), free(sessions), free(kinds);
  return text;
}

/* ---- scenarios ------------------------------------------------------------------------------- */

static char *strategy(void) {
  switch (any(0, 3)) {
  case 0:
    return celslm_format("<cloud-only prompt_cache=\"%s\"/>", yes_or_no());
  case 1:
    return celslm_format("<edge-only prompt_cache=\"%s\"/>", yes_or_no());
  default:
    return celslm_format("<ce-lslm pipeline=\"%s\" cloud_warm=\"%s\" codec=\"%s\"/>", yes_or_no(),
                         yes_or_no(), any(0, 1) ? "f16" : "int4");
  }
}

static char *random_text(char **file) {
  sizes z = {.context = 1 << any(3, 10),
             .prompt = 1 << any(2, 8),
             .output = 1 << any(0, 8),
             .caching = chance(60)};
  z.longest = z.context + z.prompt + z.output;
  char *machines = engines(&z), *load = workload(&z, file), *way = strategy();
  char *horizon = any(0, 2) ? celslm_strdup("") : celslm_format("horizon=\"%dms\"", any(20, 2000));
  char *text = celslm_format(
      "<scenario name=\"t\" seed=\"%d\" %s><platform file=\"press.xml\"/>"
      "<models><model file=\"models/big.xml\"/><model file=\"models/small.xml\"/></models>"
      "<engines>%s</engines>"
      "<contexts><population name=\"d\" count=\"%d\"><uniform min=\"1\" "
      "max=\"%d\"/></population></contexts>%s<strategy>%s</strategy></scenario>",
      any(1, 1000000), horizon, machines, any(1, 12), z.context, load, way);
  free(machines), free(load), free(way), free(horizon);
  return text;
}

START_TEST(test_random_runs) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t preempted = 0, rejected = 0, cut = 0, hidden = 0, iterations = 0;
  for (int i = 0; i < (getenv("CELSLM_FULL") ? 1000 : 200); i++) {
    gsl_rng_set(dice, (unsigned long)i + 1);
    char *file = NULL, *text = random_text(&file);
    simulation jump = simulate_well(text, 0, false), step = simulate_well(text, 0, true);
    if (file) unlink(file);
    free(file);
    ck_assert_msg(jump.n == step.n, "scenario %d: %zu rows jumping, %zu stepping\n%s", i, jump.n,
                  step.n, text);
    for (size_t k = 0; k < jump.n; k++) {
      ck_assert_msg(memcmp(&jump.rows[k], &step.rows[k], sizeof *jump.rows) == 0,
                    "scenario %d: row %zu is not the same jumping and stepping\n%s", i, k, text);
      hidden += jump.rows[k].t_hidden > 0;
    }
    ck_assert_int_eq(jump.summary.iterations, step.summary.iterations);
    ck_assert_int_eq(jump.summary.arrived, (int64_t)jump.n);
    ck_assert(!isinf(jump.summary.duration));
    preempted += jump.summary.preemptions;
    rejected += jump.summary.rejected;
    cut += jump.summary.in_flight;
    iterations += jump.summary.iterations;
    free(jump.rows), free(step.rows), free(text);
  }
  /* the scenarios reach what they are meant to press */
  ck_assert_msg(
      preempted >= 300 && rejected >= 50 && cut >= 100 && hidden >= 50 && iterations >= 20000,
      "%lld preemptions, %lld rejected, %lld cut off, %lld with hidden time, %lld iterations",
      (long long)preempted, (long long)rejected, (long long)cut, (long long)hidden,
      (long long)iterations);
  gsl_rng_free(dice);
}
END_TEST

RUN_SUITE("random", test_random_runs)
