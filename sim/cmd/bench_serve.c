/* bench_serve.c - how fast the serving engine is simulated: one 8B-model engine under a fixed load
 * of 10,000 requests (log-normal lengths, means 850 prompt and 230 output tokens); eight of them
 * under a thousand to a million; shared contexts at an edge; ten to ten thousand hosts. */
#include "base/version.h"
#include "cmd/bench.h"
#include "world/world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REQUESTS = 10000, REPEATS = 3 };

enum { ENGINES = 8 }; /* of the long runs: each as the one below at 8 requests/s */

static const char scale_text[] =
    "<scenario name=\"bench-scale\" seed=\"1\">"
    "<platform file=\"platforms/bench_scale.xml\"/>"
    "<models><model file=\"platforms/models/llama-3.1-8b.xml\"/></models><engines>%s</engines>"
    "<workload requests=\"%lld\">"
    "<arrivals><poisson rate=\"64/s\"/></arrivals>"
    "<prompt><lognormal mean=\"850\" cv=\"1\" min=\"1\" max=\"8192\"/></prompt>"
    "<output><lognormal mean=\"230\" cv=\"1\" min=\"1\" max=\"2048\"/></output></workload>"
    "<strategy><edge-only/></strategy>"
    "</scenario>";

static const char scenario_text[] =
    "<scenario name=\"bench-serve\" seed=\"1\">"
    "<platform file=\"platforms/bench_serve.xml\"/>"
    "<models><model file=\"platforms/models/llama-3.1-8b.xml\"/></models>"
    "<engines><engine name=\"gpu\" host=\"gpu\" model=\"Llama-3.1-8B\" "
    "max_num_batched_tokens=\"2048\""
    " max_num_seqs=\"256\"/></engines>"
    "<workload requests=\"%d\">"
    "<arrivals><poisson rate=\"%g/s\"/></arrivals>"
    "<prompt><lognormal mean=\"850\" cv=\"1\" min=\"1\" max=\"8192\"/></prompt>"
    "<output><lognormal mean=\"230\" cv=\"1\" min=\"1\" max=\"2048\"/></output></workload>"
    "<strategy><cloud-only/></strategy>"
    "</scenario>";

static const char sharing_text[] =
    "<scenario name=\"bench-sharing\" seed=\"1\">"
    "<platform file=\"platforms/bench_net.xml\"/>"
    "<models><model file=\"platforms/models/llama-3.1-8b.xml\"/></models>"
    "<engines><engine name=\"cloud\" host=\"cloud\" model=\"Llama-3.1-8B\" "
    "fixed_iteration=\"20us\" context_memory=\"20GiB\"/>"
    "<engine name=\"edge\" host=\"edge\" model=\"Llama-3.1-8B\" fixed_iteration=\"20us\" "
    "context_memory=\"%s\"/></engines>"
    "<contexts><population name=\"c\" count=\"%d\" tokens=\"64\"/></contexts>"
    "<workload requests=\"%d\"><arrivals><poisson rate=\"50/s\"/></arrivals>"
    "<prompt><fixed tokens=\"200\"/></prompt><output><fixed tokens=\"1\"/></output>"
    "<popularity><uniform/></popularity></workload>"
    "<strategy><ce-lslm cloud_warm=\"yes\"/></strategy></scenario>";

static const char hosts_text[] =
    "<scenario name=\"bench-hosts\" seed=\"1\"><platform file=\"%s\"/>"
    "<models><model file=\"%s/platforms/models/llama-3.1-8b.xml\"/></models>"
    "<engines>%s</engines><workload requests=\"%d\">"
    "<arrivals><poisson rate=\"64/s\"/></arrivals>"
    "<prompt><lognormal mean=\"850\" cv=\"1\" min=\"1\" max=\"8192\"/></prompt>"
    "<output><lognormal mean=\"230\" cv=\"1\" min=\"1\" max=\"2048\"/></output></workload>"
    "<strategy><edge-only/></strategy></scenario>";

typedef struct measurement {
  double seconds;
  int64_t iterations, completed, fetches, hits;
  double mean_batch;
  long rss; /* KiB */
} measurement;

static double wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* One run in a child (one simulation per process); its figures come back through a pipe. */
static bool measure(const char *text, bool step, measurement *m, celslm_error *err) {
  int ends[2];
  if (pipe(ends) != 0) return celslm_fail(err, NULL, 0, "no pipe");
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    celslm_summary_row row = {0};
    char *base = celslm_format("%s/bench-serve.xml", celslm_home);
    celslm_scenario *s = celslm_scenario_parse(text, base, NULL, err);
    double begun = wall();
    celslm_outcome outcome =
        s ? celslm_world_run(s, &(celslm_run_options){.step = step}, &row, err) : CELSLM_BAD_INPUT;
    m->seconds = wall() - begun;
    if (outcome != CELSLM_DONE) {
      fprintf(stderr, "%s\n", err->text);
      _exit(outcome);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    m->rss = usage.ru_maxrss;
    m->completed = row.completed;
    m->iterations = row.iterations;
    m->fetches = row.fetches;
    m->hits = row.hits;
    m->mean_batch = row.token_throughput * row.duration / (double)row.iterations;
    _exit(write(ends[1], m, sizeof *m) == (ssize_t)sizeof *m ? 0 : 1);
  }
  close(ends[1]);
  ssize_t got = pid > 0 ? read(ends[0], m, sizeof *m) : -1;
  close(ends[0]);
  int status = 1;
  if (pid > 0) waitpid(pid, &status, 0);
  return (got == (ssize_t)sizeof *m && status == 0) ||
         celslm_fail(err, NULL, 0, "a benchmark run failed");
}

static int by_seconds(const void *a, const void *b) {
  double x = ((const measurement *)a)->seconds, y = ((const measurement *)b)->seconds;
  return (x > y) - (x < y);
}

/* Jumping; the runs in order of their times. Frees the text. */
static bool measure_often(char *text, int repeats, measurement *m, celslm_error *err) {
  bool ok = true;
  for (int i = 0; ok && i < repeats; i++) ok = measure(text, false, &m[i], err);
  free(text);
  if (ok) qsort(m, (size_t)repeats, sizeof *m, by_seconds);
  return ok;
}

enum { ROUNDS = 5, OFTEN = 9, SIZES = 5 };

/* A run without load, which is the set-up, and the long runs; each so often in a round. */
static const struct {
  long long requests;
  int times;
} sizes[SIZES] = {{1, OFTEN}, {1000, OFTEN}, {10000, 5}, {100000, 2}, {1000000, 1}};

/* The median of each size, from rounds over all of them: a slow spell of the machine meets all. */
static bool scale_runs(const char *engines, measurement middle[SIZES], celslm_error *err) {
  measurement runs[SIZES][ROUNDS * OFTEN];
  bool ok = true;
  for (int round = 0; ok && round < ROUNDS; round++)
    for (int i = 0; ok && i < SIZES; i++)
      ok = measure_often(celslm_format(scale_text, engines, sizes[i].requests), sizes[i].times,
                         &runs[i][round * sizes[i].times], err);
  for (int i = 0; ok && i < SIZES; i++) {
    int n = ROUNDS * sizes[i].times;
    qsort(runs[i], (size_t)n, sizeof(measurement), by_seconds);
    middle[i] = runs[i][n / 2];
  }
  return ok;
}

/* The cheapest size over the dearest one, by microseconds per request: 1 if it always costs the
 * same, and at least 1/1.5 is asked for. */
static void report_spread(bool json, const char *name, const double *each, int n) {
  double least = INFINITY, most = 0;
  for (int i = 0; i < n; i++) least = fmin(least, each[i]), most = fmax(most, each[i]);
  celslm_bench_report(json, name, least / most, "of 1", NULL, NAN, 1 / 1.5);
}

/* From a thousand to a million requests through eight engines: a request costs the same. */
static bool scale(bool json, celslm_error *err) {
  char *engines = celslm_strdup("");
  for (int i = 0; i < ENGINES; i++) {
    char *more = celslm_format("%s<engine name=\"e%d\" host=\"gpu%d\" model=\"Llama-3.1-8B\"/>",
                               engines, i, i);
    free(engines);
    engines = more;
  }
  measurement middle[SIZES];
  bool ok = scale_runs(engines, middle, err);
  free(engines);
  if (!ok) return false;
  double setup = middle[0].seconds, each[SIZES], with_setup[SIZES];
  celslm_bench_report(json, "8 engines: set-up", setup * 1e3, "ms", NULL, NAN, NAN);
  for (int i = 1; i < SIZES; i++) {
    char name[64];
    double n = (double)sizes[i].requests;
    each[i] = (middle[i].seconds - setup) / n * 1e6;
    with_setup[i] = middle[i].seconds / n * 1e6;
    snprintf(name, sizeof name, "8 engines, %.0f requests: per request", n);
    celslm_bench_report(json, name, each[i], "us", "1,000 requests", each[i] / each[1], NAN);
    snprintf(name, sizeof name, "8 engines, %.0f requests: set-up included", n);
    celslm_bench_report(json, name, with_setup[i], "us", "1,000 requests",
                        with_setup[i] / with_setup[1], NAN);
    snprintf(name, sizeof name, "8 engines, %.0f requests: peak memory", n);
    celslm_bench_report(json, name, (double)middle[i].rss / 1024, "MiB", NULL, NAN, NAN);
  }
  report_spread(json, "8 engines: cheapest size over dearest", each + 1, SIZES - 1);
  report_spread(json, "8 engines: the same, set-up included", with_setup + 1, SIZES - 1);
  return true;
}

/* Contexts at an edge: each request fetches 32 layers, or nine of ten find theirs. */
static bool sharing(bool json, celslm_error *err) {
  static const struct {
    const char *name, *memory;
    int contexts, requests;
    double required;
  } kinds[] = {{"32 layers to nearly each", "64MiB", 500, 5000, 5000},
               {"nine of ten at the edge", "20GiB", 2000, 20000, 30000}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    measurement m[REPEATS];
    const measurement *middle = &m[REPEATS / 2];
    char name[64];
    if (!measure_often(
            celslm_format(sharing_text, kinds[i].memory, kinds[i].contexts, kinds[i].requests),
            REPEATS, m, err))
      return false;
    snprintf(name, sizeof name, "%s: simulated requests", kinds[i].name);
    celslm_bench_report(json, name, (double)middle->completed / middle->seconds, "requests/s", NULL,
                        NAN, kinds[i].required);
    snprintf(name, sizeof name, "%s: hits", kinds[i].name);
    celslm_bench_report(json, name, (double)middle->hits / (double)middle->completed, "of 1", NULL,
                        NAN, NAN);
  }
  return true;
}

/* A switch with so many GPU servers, in a file of its own; *engines: one on each. */
static bool write_hosts(FILE *f, int hosts, char **engines) {
  size_t size = 0;
  FILE *e = open_memstream(engines, &size);
  fputs("<?xml version=\"1.0\"?><platform version=\"4.1\">"
        "<zone id=\"bench\" routing=\"DijkstraCache\">",
        f);
  for (int i = 0; i < hosts; i++)
    fprintf(f,
            "<host id=\"h%d\" speed=\"1Gf\"><prop id=\"celslm.role\" value=\"edge\"/>"
            "<prop id=\"celslm.profile\" value=\"h100-sxm\"/></host>",
            i);
  fputs("<router id=\"switch\"/>", f);
  for (int i = 0; i < hosts; i++)
    fprintf(f, "<link id=\"p%d\" bandwidth=\"100Gbps\" latency=\"5us\"/>", i);
  for (int i = 0; i < hosts; i++)
    fprintf(f, "<route src=\"h%d\" dst=\"switch\"><link_ctn id=\"p%d\"/></route>", i, i);
  fputs("</zone></platform>", f);
  for (int i = 0; i < hosts; i++)
    fprintf(e, "<engine name=\"e%d\" host=\"h%d\" model=\"Llama-3.1-8B\"/>", i, i);
  bool ok = fclose(e) == 0;
  return fclose(f) == 0 && ok;
}

/* The same load on more and more hosts: a request costs the same. */
static bool hosts(bool json, celslm_error *err) {
  double each[4];
  int sizes_done = 0;
  for (int n = 10; n <= 10000; n *= 10) {
    char *file = celslm_format("%s/platforms/bench-XXXXXX", celslm_home), *engines = NULL;
    int fd = mkstemp(file);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    measurement one[REPEATS], all[REPEATS];
    bool ok = (f && write_hosts(f, n, &engines)) ||
              celslm_fail(err, file, 0, "cannot be written; give a folder that can");
    ok = ok &&
         measure_often(celslm_format(hosts_text, file, celslm_home, engines, 1), REPEATS, one,
                       err) &&
         measure_often(celslm_format(hosts_text, file, celslm_home, engines, 2 * REQUESTS), REPEATS,
                       all, err);
    if (fd >= 0) unlink(file);
    free(file), free(engines);
    if (!ok) return false;
    double setup = one[REPEATS / 2].seconds;
    double us = (all[REPEATS / 2].seconds - setup) / (2 * REQUESTS) * 1e6;
    char name[64];
    each[sizes_done++] = us;
    snprintf(name, sizeof name, "%d hosts: set-up", n);
    celslm_bench_report(json, name, setup * 1e3, "ms", NULL, NAN, NAN);
    snprintf(name, sizeof name, "%d hosts: per request", n);
    celslm_bench_report(json, name, us, "us", "10 hosts", us / each[0], NAN);
  }
  report_spread(json, "hosts: cheapest number over dearest", each, sizes_done);
  return true;
}

int celslm_bench_serve(bool json) {
  static const struct {
    const char *name;
    double rate;
  } loads[] = {{"light", 2}, {"8 requests/s", 8}, {"saturated", 40}};
  celslm_error err = {0};
  if (!json)
    printf("one engine, Llama-3.1-8B on one H100, %d requests, median of %d runs\n", REQUESTS,
           REPEATS);
  for (size_t l = 0; l < sizeof loads / sizeof *loads; l++) {
    measurement runs[2][REPEATS];
    char *text = celslm_format(scenario_text, REQUESTS, loads[l].rate);
    for (int i = 0; i < REPEATS; i++) /* stepping and jumping in turn */
      for (int step = 0; step < 2; step++)
        if (!measure(text, step, &runs[step][i], &err)) {
          fprintf(stderr, "%s\n", err.text);
          return 2;
        }
    free(text);
    for (int step = 0; step < 2; step++)
      qsort(runs[step], REPEATS, sizeof(measurement), by_seconds);
    const measurement *jump = &runs[0][REPEATS / 2], *step = &runs[1][REPEATS / 2];
    char name[128];
#define REPORT(TEXT, VALUE, UNIT, REFERENCE, RATIO, REQUIRED)                                      \
  (snprintf(name, sizeof name, "%s: " TEXT, loads[l].name),                                        \
   celslm_bench_report(json, name, VALUE, UNIT, REFERENCE, RATIO, REQUIRED))
    REPORT("jumping, simulated requests", (double)jump->completed / jump->seconds, "requests/s",
           NULL, NAN, 50000);
    REPORT("jumping, as fast as stepping", step->seconds / jump->seconds, "times", NULL, NAN, NAN);
    REPORT("stepping, simulated requests", (double)step->completed / step->seconds, "requests/s",
           NULL, NAN, NAN);
    REPORT("stepping, iterations", (double)step->iterations / step->seconds, "iterations/s", NULL,
           NAN, 500000);
    REPORT("stepping, per iteration", step->seconds / (double)step->iterations * 1e9, "ns", NULL,
           NAN, NAN);
    REPORT("iterations simulated", (double)step->iterations, "iterations", NULL, NAN, NAN);
    REPORT("tokens per iteration", step->mean_batch, "tokens", NULL, NAN, NAN);
    REPORT("peak memory", (double)jump->rss / 1024, "MiB", NULL, NAN, NAN);
#undef REPORT
  }
  if (scale(json, &err) && sharing(json, &err) && hosts(json, &err)) return 0;
  fprintf(stderr, "%s\n", err.text);
  return 2;
}
