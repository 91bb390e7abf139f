/* bench_net.c - what the network costs to simulate: a flow in a crowded cell, in virtual time and
 * as SimGrid execs; a prompt and a fetch in whole runs with 10 to 10,000 users. */
#include "base/version.h"
#include "cmd/bench.h"
#include "net/air.h"
#include "world/world.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS = 3 };

static double wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Runs `measure` in a child (one simulation per process). NaN: it failed. */
static double in_child(double (*measure)(const void *with), const void *with) {
  int ends[2];
  if (pipe(ends) != 0) return NAN;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    double value = measure(with);
    _exit(write(ends[1], &value, sizeof value) == (ssize_t)sizeof value ? 0 : 1);
  }
  close(ends[1]);
  double value = NAN;
  ssize_t got = pid > 0 ? read(ends[0], &value, sizeof value) : 0;
  close(ends[0]);
  if (pid > 0) waitpid(pid, NULL, 0);
  return got == (ssize_t)sizeof value ? value : NAN;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double (*measure)(const void *with), const void *with) {
  double values[REPEATS];
  for (int i = 0; i < REPEATS; i++) values[i] = in_child(measure, with);
  qsort(values, REPEATS, sizeof *values, by_size);
  return values[REPEATS / 2];
}

/* ---- a crowded cell: K flows at any time, each that ends makes room for a new one ------------ */

typedef struct crowd {
  int active, flows;
  bool execs;
} crowd;

typedef struct talk {
  celslm_air_flow flow;
  celslm_compute exec;
  struct talker *in;
} talk;

typedef struct talker {
  const crowd *with;
  celslm_net *net;
  celslm_air *air;
  int left;
  uint64_t random;
} talker;

static void begin(void *self) {
  talk *t = self;
  talker *in = t->in;
  if (in->left-- <= 0) return;
  in->random = in->random * 6364136223846793005u + 1442695040888963407u;
  double work = 1e-3 * (0.5 + (double)(in->random >> 11) * 0x1p-53);
  if (in->with->execs) {
    t->exec = (celslm_compute){.host = 0, .seconds = work, .done = begin, .self = t};
    t->exec.event.cls = CELSLM_AT_AIR;
    celslm_net_compute(in->net, &t->exec);
  } else {
    t->flow = (celslm_air_flow){.bytes = work, .rate = 1, .done = begin, .self = t};
    celslm_air_send(in->air, &t->flow);
  }
}

static void begin_all(void *self) {
  talk *talks = self;
  for (int i = 0; i < talks->in->with->active; i++) begin(&talks[i]);
}

static double crowd_cost(const void *with) {
  const crowd *c = with;
  celslm_error err = {0};
  char *file = celslm_format("%s/platforms/bench_net.xml", celslm_home);
  celslm_platform *p = celslm_platform_load(file, NULL, &err);
  free(file);
  if (!p) {
    fprintf(stderr, "%s\n", err.text);
    _exit(2);
  }
  celslm_net *net = celslm_net_new(p);
  talker in = {.with = c, .net = net, .air = celslm_air_new(net, 0), .left = c->flows, .random = 1};
  talk *talks = celslm_alloc((unsigned long)c->active, sizeof *talks);
  for (int i = 0; i < c->active; i++) talks[i].in = &in;
  celslm_event start = {.fire = begin_all, .self = talks, .cls = CELSLM_AT_TIMER};
  celslm_net_at(net, &start, 0);
  double begun = wall();
  celslm_net_run(net, CELSLM_NEVER);
  double s = (wall() - begun) / c->flows;
  free(talks);
  return s;
}

/* ---- whole runs ------------------------------------------------------------------------------ */

static const char scenario_text[] =
    "<scenario name=\"bench-net\" seed=\"1\">"
    "<platform file=\"platforms/bench_net.xml\"/>"
    "<models><model file=\"platforms/models/llama-3.1-8b.xml\"/></models>"
    "<engines><engine name=\"cloud\" host=\"cloud\" model=\"Llama-3.1-8B\" "
    "fixed_iteration=\"20us\" context_memory=\"20GiB\"/>"
    "<engine name=\"edge\" host=\"edge\" model=\"Llama-3.1-8B\" fixed_iteration=\"20us\" "
    "context_memory=\"64MiB\"/></engines>"
    "<contexts><population name=\"c\" count=\"500\" tokens=\"64\"/></contexts>"
    "<radio><channel><umi shadowing=\"yes\"/></channel><link interference=\"fixed\"/>"
    "<access timing=\"slots\"/><ues cell=\"gnb\" count=\"%d\" max_distance=\"150m\"/></radio>"
    "<workload requests=\"%d\"><arrivals><poisson rate=\"%d/s\"/></arrivals>"
    "<prompt><fixed tokens=\"200\"/></prompt><output><fixed tokens=\"1\"/></output>%s</workload>"
    "<strategy>%s</strategy></scenario>";

typedef struct whole {
  int users, requests;
  bool fetches;
} whole;

static double whole_cost(const void *with) {
  const whole *w = with;
  celslm_error err = {0};
  char *text = celslm_format(scenario_text, w->users, w->requests, w->fetches ? 50 : 1000,
                             w->fetches ? "<popularity><uniform/></popularity>" : "",
                             w->fetches ? "<ce-lslm cloud_warm=\"yes\"/>" : "<edge-only/>");
  char *file = celslm_format("%s/bench-net.xml", celslm_home); /* paths in it are relative to it */
  celslm_scenario *s = celslm_scenario_parse(text, file, NULL, &err);
  free(file);
  celslm_summary_row row = {0};
  double begun = wall();
  celslm_outcome outcome =
      s ? celslm_world_run(s, &(celslm_run_options){0}, &row, &err) : CELSLM_BAD_INPUT;
  double seconds = wall() - begun;
  if (outcome != CELSLM_DONE) {
    fprintf(stderr, "%s\n", err.text);
    _exit(outcome);
  }
  return seconds / (double)(w->fetches ? row.fetches : row.arrived);
}

int celslm_bench_net(bool json) {
  char name[128];
  if (!json) printf("median of %d runs\n", REPEATS);
  static const int active[] = {10, 100, 1000, 10000};
  for (int i = 0; i < 4; i++) {
    double virtual_time = median(crowd_cost, &(crowd){active[i], 100000, false}), execs = NAN;
    if (active[i] <= 1000) execs = median(crowd_cost, &(crowd){active[i], 10 * active[i], true});
    snprintf(name, sizeof name, "%d active in a cell: a flow", active[i]);
    celslm_bench_report(json, name, virtual_time * 1e6, "us", isnan(execs) ? NULL : "execs",
                        execs / virtual_time, active[i] == 1000 ? 15 : NAN);
    if (isnan(execs)) continue;
    snprintf(name, sizeof name, "%d active in a cell: a flow as an exec", active[i]);
    celslm_bench_report(json, name, execs * 1e6, "us", NULL, NAN, NAN);
  }
  for (int i = 0; i < 4; i++)
    for (int fetches = 0; fetches < 2; fetches++) {
      snprintf(name, sizeof name, "%d users: a %s, all included", active[i],
               fetches ? "fetch of 32 layers" : "prompt");
      double s = median(whole_cost, &(whole){active[i], fetches ? 2000 : 20000, fetches});
      celslm_bench_report(json, name, s * 1e6, "us", NULL, NAN, NAN);
    }
  return 0;
}
