/* bench_serve.c - how fast the serving engine is simulated: one 8B-model engine under a fixed load
 * of 10,000 requests (log-normal lengths, means 850 prompt and 230 output tokens). */
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

typedef struct measurement {
  double seconds;
  int64_t iterations, completed;
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

/* So many requests through eight engines; the runs in order of their times. */
static bool measure_often(const char *engines, long long requests, int repeats, measurement *m,
                          celslm_error *err) {
  char *text = celslm_format(scale_text, engines, requests);
  bool ok = true;
  for (int i = 0; ok && i < repeats; i++) ok = measure(text, false, &m[i], err);
  free(text);
  if (ok) qsort(m, (size_t)repeats, sizeof *m, by_seconds);
  return ok;
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
  double first = NAN;
  bool ok;
  measurement m[REPEATS];
  ok = measure_often(engines, 1, REPEATS, m, err);
  double setup = m[REPEATS / 2].seconds; /* what a run costs before its first request */
  if (ok) celslm_bench_report(json, "8 engines: set-up", setup * 1e3, "ms", NULL, NAN, NAN);
  for (long long n = 1000; ok && n <= 1000000; n *= 10) {
    char name[64];
    int repeats = n < 1000000 ? REPEATS : 1;
    ok = measure_often(engines, n, repeats, m, err);
    if (!ok) break;
    const measurement *middle = &m[repeats / 2];
    double each = (middle->seconds - setup) / (double)n;
    if (n == 1000) first = each;
    snprintf(name, sizeof name, "8 engines, %lld requests: per request", n);
    celslm_bench_report(json, name, each * 1e6, "us", "1,000 requests", each / first, NAN);
    snprintf(name, sizeof name, "8 engines, %lld requests: peak memory", n);
    celslm_bench_report(json, name, (double)middle->rss / 1024, "MiB", NULL, NAN, NAN);
  }
  free(engines);
  return ok;
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
           "stepping", step->seconds / jump->seconds, 50000);
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
  if (scale(json, &err)) return 0;
  fprintf(stderr, "%s\n", err.text);
  return 2;
}
