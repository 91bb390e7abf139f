/* run.c - celslm run: each strategy of the scenario in a process of its own, one results file. */
#include "cmd/commands.h"
#include "cmd/execute.h"
#include "cmd/show.h"
#include "world/world.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
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
    "                      --set '//arrivals/poisson/@rate=8/s'\n"
    "  --step              let engines step through every iteration instead of jumping; same "
    "results, slower\n"
    "  -j N                run up to N strategies at once (default: one per core)\n"
    "  --quiet             no summary, no progress\n"
    "\n"
    "Exit status: 0 done, 1 the simulation found an inconsistency, 2 bad input, 130 interrupted.\n"
    "See also: celslm show RESULTS.h5, analysis/plot.py RESULTS.h5\n";

typedef struct arguments {
  const char *scenario, *output;
  const char *set[256];
  int n_set;
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
    } else if (celslm_option(argc, argv, &i, "--jobs", "-j", &value, err)) {
      char *end;
      if (!value) return false;
      a->jobs = strtol(value, &end, 10);
      if (*end || a->jobs < 1 || a->jobs > 4096)
        return celslm_fail(err, NULL, 0, "-j \"%s\" is no number of jobs; give 1 to 4096", value);
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

/* ---- one process per strategy ---------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* set by the handler: the one thing it may do */

static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

static char *part_name(const char *output, int strategy) {
  return celslm_format("%s.strategy%d", output, strategy);
}

/* What a child tells its parent, in shared memory. */
typedef struct report {
  volatile int64_t finished; /* requests */
  int status;
  celslm_error err;
} report;

static void run_one(const celslm_scenario *s, int strategy, const arguments *a, const char *output,
                    report *r) {
  char *part = part_name(output, strategy);
  celslm_run_options o = {.strategy = strategy,
                          .step = a->step,
                          .file = part,
                          .finished = &r->finished,
                          .interrupt = &interrupted};
  r->status = celslm_world_run(s, &o, NULL, &r->err);
  free(part);
}

static void draw_progress(const celslm_scenario *s, const report *reports, bool last) {
  int64_t done = 0, all = 0;
  for (int i = 0; i < s->n_workloads; i++)
    if (__builtin_add_overflow(all, s->workloads[i].requests, &all)) all = INT64_MAX;
  for (int i = 0; i < s->n_strategies; i++) done += reports[i].finished;
  if (last)
    fprintf(stderr, "\r\033[K");
  else if (all < INT64_MAX / s->n_strategies)
    fprintf(stderr, "\r%s: %lld of %lld requests", s->name, (long long)done,
            (long long)(all * s->n_strategies));
  else
    fprintf(stderr, "\r%s: %lld requests", s->name, (long long)done);
}

/* The first strategy that went wrong speaks for all: one line, one status. */
static int verdict(const celslm_scenario *s, const report *reports, int started) {
  for (int i = 0; i < started; i++) {
    if (reports[i].status == 0) continue;
    if (reports[i].status < 0) {
      fprintf(stderr,
              "celslm: the simulation of strategy %s died; this is a bug, please report it\n",
              s->strategies[i].label);
      return 1;
    }
    fprintf(stderr, "%s\n", reports[i].err.text);
    return reports[i].status;
  }
  return 0;
}

/* Runs all strategies, at most `jobs` at once. */
static int run_all(const celslm_scenario *s, const arguments *a, const char *output) {
  size_t size = (size_t)s->n_strategies * sizeof(report);
  report *reports = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (reports == MAP_FAILED) {
    fprintf(stderr, "celslm: out of memory\n");
    return 2;
  }
  bool progress = !a->quiet && isatty(STDERR_FILENO), failed = false;
  int started = 0, running = 0;
  fflush(NULL); /* the children inherit no half-written output */
  while (running || (started < s->n_strategies && !failed)) {
    if (running < a->jobs && started < s->n_strategies && !failed) {
      report *mine = &reports[started];
      mine->status = -1; /* until it says otherwise */
      pid_t pid = fork();
      if (pid == 0) {
        run_one(s, started, a, output, mine);
        _exit(0);
      }
      failed = pid < 0;
      running += !failed;
      started++;
      continue;
    }
    int status;
    pid_t ended = waitpid(-1, &status, progress ? WNOHANG : 0);
    if (ended == 0) {
      draw_progress(s, reports, false);
      nanosleep(&(struct timespec){0, 50000000}, NULL);
    } else if (ended > 0) {
      running--;
      for (int i = 0; i < started; i++) failed |= reports[i].status > 0;
    } else if (errno != EINTR)
      break;
  }
  if (progress) draw_progress(s, reports, true);
  int status = verdict(s, reports, started);
  munmap(reports, size);
  return status;
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

static bool join_parts(const celslm_scenario *s, const char *output, celslm_error *err) {
  const char **parts = celslm_alloc((unsigned long)s->n_strategies, sizeof *parts);
  for (int i = 0; i < s->n_strategies; i++) parts[i] = part_name(output, i);
  bool ok = celslm_results_concatenate(output, parts, s->n_strategies, err);
  for (int i = 0; i < s->n_strategies; i++) free((char *)parts[i]);
  free(parts);
  return ok;
}

/* Interrupted runs leave FILE.strategyN.part behind: what was recorded so far, readable, not
 * complete. */
static void remove_parts(const celslm_scenario *s, const char *output, bool was_interrupted) {
  for (int i = 0; i < s->n_strategies; i++) {
    char *part = part_name(output, i), *unfinished = celslm_format("%s.part", part);
    unlink(part);
    if (!was_interrupted) unlink(unfinished);
    free(part);
    free(unfinished);
  }
}

int celslm_cmd_run(int argc, char **argv) {
  arguments a = {0};
  celslm_error err = {0};
  if (!parse(argc, argv, &a, &err)) return celslm_bad_input(&err);
  if (a.help) {
    fputs(help, stdout);
    return 0;
  }
  celslm_scenario *s =
      celslm_scenario_load(a.scenario, &(celslm_scenario_options){a.set, a.n_set}, &err);
  if (!s) return celslm_bad_input(&err);
  char *output = a.output ? celslm_strdup(a.output) : celslm_format("results/%s.h5", s->name);
  if (!check_folder(output, &err)) {
    free(output);
    celslm_scenario_free(s);
    return celslm_bad_input(&err);
  }
  celslm_execution *execution = s->execute ? celslm_execution_open(s, &err) : NULL;
  if (s->execute && !execution) {
    free(output);
    celslm_scenario_free(s);
    return celslm_bad_input(&err);
  }
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  int status = run_all(s, &a, output);
  if (status == 0 && !join_parts(s, output, &err)) status = celslm_bad_input(&err);
  if (status == 0 && !a.quiet && !celslm_show_print(output, &err)) status = celslm_bad_input(&err);
  if (status == 0 && execution && !celslm_execute_print(execution, s, output, &err))
    status = celslm_bad_input(&err);
  if (status == 0 && !a.quiet)
    printf("\nwritten: %s   (draw it: analysis/plot.py %s)\n", output, output);
  remove_parts(s, output, status == CELSLM_INTERRUPTED);
  celslm_execution_close(execution);
  free(output);
  celslm_scenario_free(s);
  return status;
}
