/* run.c - celslm run: a scenario, one results file, its summary. */
#include "cmd/commands.h"
#include "cmd/execute.h"
#include "cmd/show.h"
#include "cmd/trace.h"
#include "study/carry_out.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: celslm run SCENARIO.xml [-o RESULTS.h5] [--set 'XPATH=VALUE'] [--step] [-j N] "
    "[--quiet]\n"
    "\n"
    "Runs every <strategy> of the scenario on the same load, writes one results file (default:\n"
    "results/NAME.h5, NAME being the scenario's), and prints its summary.\n"
    "\n"
    "  -o, --output FILE   where the results go; under this name only when complete\n"
    "  --set 'XPATH=VALUE' change an attribute of the scenario first; may be repeated, e.g.\n"
    "                      --set '//arrivals/poisson/@rate=8/s'; 'platform:XPATH=VALUE' changes\n"
    "                      the platform, e.g. --set "
    "'platform://link[@id=\"wan\"]/@bandwidth=1Gbps'\n"
    "  --seed N            instead of the scenario's\n"
    "  --trace FILE.json   also write the timeline for ui.perfetto.dev (of the scenario's "
    "timeline\n"
    "                      window; of the whole run if it has none)\n"
    "  --step              let engines step through every iteration instead of jumping; same "
    "results, slower\n"
    "  -j N                run up to N strategies at once (default: one per core)\n"
    "  --quiet             no summary, no progress\n"
    "\n"
    "Exit status: 0 done, 1 the simulation found an inconsistency, 2 bad input, 130 interrupted.\n"
    "See also: celslm show RESULTS.h5, analysis/plot.py RESULTS.h5\n";

typedef struct arguments {
  const char *scenario, *output, *trace;
  const char *set[256];
  int n_set;
  uint64_t seed;
  bool seeded;
  long jobs;
  bool step, quiet, help;
} arguments;

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  a->jobs = sysconf(_SC_NPROCESSORS_ONLN);
  for (int i = 1; i < argc; i++) {
    const char *value = NULL;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return a->help = true;
    else if (strcmp(argv[i], "--step") == 0)
      a->step = true;
    else if (strcmp(argv[i], "--quiet") == 0)
      a->quiet = true;
    else if (celslm_option(argc, argv, &i, "--output", "-o", &value, err)) {
      if (!value) return false;
      a->output = value;
    } else if (celslm_option(argc, argv, &i, "--set", NULL, &value, err)) {
      if (!value) return false;
      if (a->n_set == 256)
        return celslm_fail(err, NULL, 0, "more than 256 times --set; put them into the scenario");
      a->set[a->n_set++] = value;
    } else if (celslm_option(argc, argv, &i, "--trace", NULL, &value, err)) {
      if (!value) return false;
      a->trace = value;
    } else if (celslm_option(argc, argv, &i, "--seed", NULL, &value, err)) {
      if (!value || !celslm_read_seed(value, &a->seed, err)) return false;
      a->seeded = true;
    } else if (celslm_option(argc, argv, &i, "--jobs", "-j", &value, err)) {
      if (!value || !celslm_read_jobs(value, &a->jobs, err)) return false;
    } else if (argv[i][0] == '-')
      return celslm_fail(err, NULL, 0, "run has no option %s; `celslm run --help` lists them",
                         argv[i]);
    else if (a->scenario)
      return celslm_fail(err, NULL, 0, "one scenario at a time; \"%s\" is a second one", argv[i]);
    else
      a->scenario = argv[i];
  }
  return a->scenario ||
         celslm_fail(err, NULL, 0, "run needs a scenario; try scenarios/quickstart.xml");
}

/* ---- running --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* set by the handler: the one thing it may do */

static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

static void draw_progress(const celslm_scenario *s, int64_t ended) {
  int64_t all = 0;
  for (int i = 0; i < s->n_workloads; i++)
    if (__builtin_add_overflow(all, s->workloads[i].requests, &all)) all = INT64_MAX;
  if (ended < 0)
    fprintf(stderr, "\r\033[K");
  else if (all < INT64_MAX / s->n_strategies)
    fprintf(stderr, "\r%s: %lld of %lld requests", s->name, (long long)ended,
            (long long)(all * s->n_strategies));
  else
    fprintf(stderr, "\r%s: %lld requests", s->name, (long long)ended);
}

/* A results file can be made in its folder. */
static bool check_folder(const char *output, celslm_error *err) {
  const char *slash = strrchr(output, '/');
  char *folder =
      slash ? celslm_format("%.*s", (int)(slash - output) + 1, output) : celslm_strdup(".");
  bool ok =
      access(folder, W_OK | X_OK) == 0 ||
      celslm_fail(
          err, output, 0,
          "the folder %s cannot be written to: %s; create it first, or choose another with -o",
          folder, strerror(errno));
  free(folder);
  return ok;
}

int celslm_cmd_run(int argc, char **argv) {
  arguments a = {0};
  celslm_error err = {0};
  if (!parse(argc, argv, &a, &err)) return celslm_bad_input(&err);
  if (a.help) {
    fputs(help, stdout);
    return 0;
  }
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  celslm_scenario *s = celslm_scenario_load(
      a.scenario,
      &(celslm_scenario_options){.set = a.set, .n_set = a.n_set, .seed = a.seeded ? &a.seed : NULL},
      &err);
  if (!s) return celslm_bad_input(&err);
  char *output = a.output ? celslm_strdup(a.output) : celslm_format("results/%s.h5", s->name);
  if (!check_folder(output, &err)) {
    free(output);
    celslm_scenario_free(s);
    return celslm_bad_input(&err);
  }
  if (a.trace && s->results.timeline_to <= s->results.timeline_from)
    s->results.timeline_to = INFINITY;
  celslm_execution *execution = s->execute ? celslm_execution_open(s, &err) : NULL;
  if (s->execute && !execution) {
    free(output);
    celslm_scenario_free(s);
    return celslm_bad_input(&err);
  }
  celslm_carry_out_options o = {.file = output,
                                .jobs = a.jobs,
                                .step = a.step,
                                .interrupt = &interrupted,
                                .progress =
                                    a.quiet || !isatty(STDERR_FILENO) ? NULL : draw_progress};
  int status = celslm_carry_out(s, &o, NULL, &err);
  if (status != 0) fprintf(stderr, "%s\n", err.text);
  if (status == 0 && !a.quiet && !celslm_show_print(output, &err)) status = celslm_bad_input(&err);
  if (status == 0 && a.trace && !celslm_trace_write(output, a.trace, &err))
    status = celslm_bad_input(&err);
  if (status == 0 && execution && !celslm_execute_print(execution, s, output, &err))
    status = celslm_bad_input(&err);
  if (status == 0 && !a.quiet)
    printf("\nwritten: %s   (draw it: analysis/plot.py %s)\n", output, output);
  celslm_execution_close(execution);
  free(output);
  celslm_scenario_free(s);
  return status;
}
