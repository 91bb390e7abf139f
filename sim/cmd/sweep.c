/* sweep.c - celslm sweep: a scenario over a grid of parameters, one study file. */
#include "cmd/commands.h"
#include "cmd/sweep_rank.h"
#include "record/arrays.h"
#include "record/request.h"
#include "study/merge.h"
#include "study/queue.h"
#include "study/slurm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "usage: celslm sweep SCENARIO.xml [-o STUDY.h5] [-j N] [--axis 'XPATH=VALUES']... [options]\n"
    "\n"
    "Runs the scenario at every point of the grid that its <sweep> and --axis span, each in a\n"
    "process of its own, and merges what comes out into one study file (default:\n"
    "results/NAME.h5). Killed or interrupted at any time, it goes on with --resume.\n"
    "\n"
    "what is run\n"
    "  --axis 'XPATH=V1 V2 ...'          an axis more; also range:FROM TO STEP, log:FROM TO N,\n"
    "                                    sobol:FROM TO N, and platform:XPATH=... for the platform\n"
    "  --replications N                  runs of each point, with seeds SEED, SEED+1, ...\n"
    "  --set 'XPATH=VALUE'               as in celslm run, for all points\n"
    "  --rank COLUMN                     say which axes matter for this column of the summary: "
    "Morris'\n"
    "                                    elementary effects over the axes' ranges, instead of a "
    "grid\n"
    "  --trajectories N                  of --rank (default: 10); each has a point more than axes\n"
    "  --samples N                       of --rank: Sobol' indices, shares of the variance; each\n"
    "                                    sample has two points more than axes; take hundreds\n"
    "  --dry-run                         print the numbered points and run nothing\n"
    "\n"
    "how\n"
    "  -o, --output FILE                 the study file; FILE.points and FILE.log are beside it\n"
    "  -j N                              points at once (default: one per core)\n"
    "  --resume                          run only what is missing or failed\n"
    "  --requests                        keep every point's whole results; the study links to "
    "them\n"
    "  --step, --quiet                   as in celslm run\n"
    "\n"
    "on a cluster\n"
    "  --slurm                           submit a Slurm job array, and a job that merges after it\n"
    "  --array-size N                    tasks of the array (default: 32), which share the points\n"
    "  --time T, --partition P           of each task, as for sbatch\n"
    "  --sbatch OPTION                   any other option, e.g. --sbatch --account=me; may be "
    "repeated\n"
    "  -j N                              cores and points at once of each task (default: 1)\n"
    "  srun celslm sweep ...             its processes share the points; the last one merges\n"
    "\n"
    "looking and mending\n"
    "  --status                          how many points are done, failed, missing\n"
    "  --merge                           make the study file from the points that are there\n"
    "\n"
    "examples\n"
    "  celslm sweep scenarios/quickstart.xml --axis '//poisson/@rate=log:1/s 16/s 5' --dry-run\n"
    "  celslm sweep scenarios/quickstart.xml --axis '//poisson/@rate=1/s 2/s 4/s' \\\n"
    "      --set '//workload/@requests=100' --replications 3 -o results/load.h5\n"
    "\n"
    "Exit status: 0 all points are done, 1 some failed (the others are in the file), 2 bad input,\n"
    "130 interrupted.\n";

typedef struct arguments {
  celslm_study_options study;
  const char *set[256], *axes[64];
  long jobs;
  celslm_slurm_options slurm;
  const char *sbatch[64];
  const char *rank; /* a column of the summary */
  const char *task; /* what a job of ours is to do: K/N or merge */
  bool to_slurm, jobs_given;
  bool dry_run, resume, status, merge, quiet, help;
} arguments;

static bool add(const char **list, int *n, int room, const char *value, const char *option,
                celslm_error *err) {
  if (!value) return false;
  if (*n == room)
    return celslm_fail(err, NULL, 0, "more than %d times %s; put them into the scenario", room,
                       option);
  list[(*n)++] = value;
  return true;
}

static bool read_count(const char *value, const char *option, int64_t *n, celslm_error *err) {
  char *end;
  *n = strtoll(value, &end, 10);
  return (end != value && !*end && *n >= 1 && *n <= 10000000) ||
         celslm_fail(err, NULL, 0, "%s \"%s\": give a whole number from 1 to 10000000", option,
                     value);
}

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  const struct {
    const char *name;
    bool *flag;
  } flags[] = {{"--dry-run", &a->dry_run}, {"--resume", &a->resume},
               {"--status", &a->status},   {"--merge", &a->merge},
               {"--quiet", &a->quiet},     {"--requests", &a->study.requests},
               {"--step", &a->study.step}, {"--help", &a->help},
               {"-h", &a->help},           {"--slurm", &a->to_slurm}};
  const struct {
    const char *name;
    const char **value;
  } texts[] = {{"--time", &a->slurm.time},
               {"--partition", &a->slurm.partition},
               {"--task", &a->task},
               {"--rank", &a->rank}};
  a->slurm.more = a->sbatch;
  a->slurm.tasks = 32;
  a->study.set = a->set;
  a->study.design.axes = a->axes;
  a->jobs = sysconf(_SC_NPROCESSORS_ONLN);
  for (int i = 1; i < argc; i++) {
    const char *value = NULL;
    size_t f = 0, t = 0;
    while (t < sizeof texts / sizeof *texts &&
           !celslm_option(argc, argv, &i, texts[t].name, NULL, &value, err))
      t++;
    if (t < sizeof texts / sizeof *texts) {
      if (!value) return false;
      *texts[t].value = value;
      continue;
    }
    while (f < sizeof flags / sizeof *flags && strcmp(argv[i], flags[f].name) != 0) f++;
    if (f < sizeof flags / sizeof *flags)
      *flags[f].flag = true;
    else if (celslm_option(argc, argv, &i, "--output", "-o", &value, err)) {
      if (!value) return false;
      a->study.output = value;
    } else if (celslm_option(argc, argv, &i, "--jobs", "-j", &value, err)) {
      if (!value || !celslm_read_jobs(value, &a->jobs, err)) return false;
      a->jobs_given = true;
    } else if (celslm_option(argc, argv, &i, "--set", NULL, &value, err)) {
      if (!add(a->set, &a->study.n_set, 256, value, "--set", err)) return false;
    } else if (celslm_option(argc, argv, &i, "--axis", NULL, &value, err)) {
      if (!add(a->axes, &a->study.design.n_axes, 64, value, "--axis", err)) return false;
    } else if (celslm_option(argc, argv, &i, "--sbatch", NULL, &value, err)) {
      if (!add(a->sbatch, &a->slurm.n_more, 64, value, "--sbatch", err)) return false;
    } else if (celslm_option(argc, argv, &i, "--array-size", NULL, &value, err)) {
      if (!value || !read_count(value, "--array-size", &a->slurm.tasks, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--samples", NULL, &value, err)) {
      if (!value || !read_count(value, "--samples", &a->study.design.samples, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--trajectories", NULL, &value, err)) {
      if (!value || !read_count(value, "--trajectories", &a->study.design.trajectories, err))
        return false;
    } else if (celslm_option(argc, argv, &i, "--replications", NULL, &value, err)) {
      if (!value || !read_count(value, "--replications", &a->study.design.replications, err))
        return false;
    } else if (argv[i][0] == '-')
      return celslm_fail(err, NULL, 0, "sweep has no option %s; `celslm sweep --help` lists them",
                         argv[i]);
    else if (a->study.scenario)
      return celslm_fail(err, NULL, 0, "one scenario at a time; \"%s\" is a second one", argv[i]);
    else
      a->study.scenario = argv[i];
  }
  celslm_design_options *design = &a->study.design;
  if (design->samples && design->trajectories)
    return celslm_fail(err, NULL, 0, "both --samples and --trajectories; give one of them");
  if (!a->rank && (design->samples || design->trajectories))
    return celslm_fail(err, NULL, 0, "--trajectories and --samples are for --rank");
  if (a->rank && !design->trajectories && !design->samples) design->trajectories = 10;
  size_t column = 0;
  while (a->rank && column < celslm_summary_n_columns &&
         strcmp(celslm_summary_columns[column].name, a->rank) != 0)
    column++;
  if (column == celslm_summary_n_columns || (a->rank && column == 0))
    return celslm_fail(
        err, NULL, 0,
        "--rank \"%s\": there is no such column; docs/results-format.md lists those of "
        "/summary, such as ttft_mean",
        a->rank);
  return a->help || a->study.scenario ||
         celslm_fail(err, NULL, 0, "sweep needs a scenario; try scenarios/quickstart.xml");
}

/* ---- telling --------------------------------------------------------------------------------- */

static int dry_run(const celslm_study *s) {
  for (int64_t i = 0; i < s->design->points; i++) {
    char *label = celslm_design_label(s->design, i);
    printf("%lld  %s\n", (long long)i, label);
    free(label);
  }
  return ferror(stdout) || fflush(stdout) ? 2 : 0;
}

typedef struct tally {
  int64_t done, failed, missing;
} tally;

static tally count(const int *status, int64_t n) {
  tally t = {0};
  for (int64_t i = 0; i < n; i++)
    if (status[i] == CELSLM_DONE)
      t.done++;
    else if (status[i] < 0)
      t.missing++;
    else
      t.failed++;
  return t;
}

/* Whether a study file is of this study. */
static bool is_mine(const celslm_study *s, celslm_reader *r) {
  celslm_error none = {0};
  char *plan = celslm_reader_provenance(r, "plan", &none),
       *mine = celslm_format("%016llx", (unsigned long long)s->digest);
  bool same = plan && strcmp(plan, mine) == 0;
  free(mine);
  free(plan);
  return same;
}

/* Whether the output is this study, merged and complete. */
static bool is_complete(const celslm_study *s) {
  celslm_error none = {0};
  celslm_reader *r = access(s->output, R_OK) == 0 ? celslm_study_file_open(s->output, &none) : NULL;
  if (!r) return false;
  size_t n = 0;
  double *status = celslm_study_file_values(r, "points/status", &n, &none);
  bool complete = status && is_mine(s, r);
  for (size_t i = 0; complete && i < n; i++) complete = status[i] == 0;
  free(status);
  celslm_reader_close(r);
  return complete;
}

static int tell_status(const celslm_study *s) {
  int *status = celslm_study_scan(s);
  tally t = count(status, s->design->points);
  free(status);
  if (t.missing == s->design->points && is_complete(s))
    printf("%s is complete: %lld points\n", s->output, (long long)s->design->points);
  else
    printf("%s: %lld points, %lld done, %lld failed, %lld missing\n", s->output,
           (long long)s->design->points, (long long)t.done, (long long)t.failed,
           (long long)t.missing);
  char *jobs = celslm_slurm_state(s);
  if (jobs) puts(jobs);
  free(jobs);
  return 0;
}

/* Reads the study that was just made. */
static int print_ranks(const celslm_study *s, const arguments *a, celslm_error *err) {
  size_t n;
  char *array = celslm_format("summary/%s", a->rank);
  celslm_reader *r = celslm_study_file_open(s->output, err);
  double *values = r && is_mine(s, r) ? celslm_study_file_values(r, array, &n, err) : NULL;
  if (r && !values)
    celslm_fail(err, s->output, 0, "is not of these trajectories or samples; run them first");
  celslm_reader_close(r);
  free(array);
  if (!values) return celslm_bad_input(err);
  celslm_sweep_ranks(s, a->rank, a->study.design.samples, values);
  free(values);
  return 0;
}

/* ---- running --------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* set by the handler: the one thing it may do */

static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

/* One driver at a time; the lock goes with the process. Negative and an error if it is taken. */
static int lock(const celslm_study *s, celslm_error *err) {
  char *file = celslm_format("%s/lock", s->folder);
  int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0)
    celslm_fail(err, file, 0, "cannot be written: %s", strerror(errno));
  else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    celslm_fail(err, s->output, 0, "another sweep is working on it (%s is locked)", file);
    close(fd);
    fd = -1;
  }
  free(file);
  return fd;
}

/* Merges if every point has an outcome; the folder goes when all are good. */
static int conclude(const celslm_study *s, bool force, bool quiet, celslm_error *err) {
  int *status = celslm_study_scan(s);
  tally t = count(status, s->design->points);
  free(status);
  if (t.missing == s->design->points) {
    celslm_fail(err, s->output, 0, "no point of it has a result yet");
    return celslm_bad_input(err);
  }
  if (t.missing && !force) {
    fprintf(stderr,
            "celslm: %lld of %lld points have no result; --resume runs them, --merge makes do "
            "without them\n",
            (long long)t.missing, (long long)s->design->points);
    return 1;
  }
  if (!celslm_study_merge(s, err)) return celslm_bad_input(err);
  if (!t.failed && !t.missing) celslm_study_clean(s);
  if (!quiet)
    printf("written: %s   (%lld points, %lld replications, %d strategies; draw it: "
           "analysis/plot.py %s)\n",
           s->output, (long long)(s->design->points / s->design->replications),
           (long long)s->design->replications, s->scenario->n_strategies, s->output);
  if (t.failed || t.missing)
    fprintf(stderr, "celslm: %lld points failed, %lld are missing; --resume tries them again\n",
            (long long)t.failed, (long long)t.missing);
  return t.failed || t.missing ? 1 : 0;
}

/* The points without a good outcome; free with free(). */
static int64_t *undone(const celslm_study *s, int64_t *n) {
  int *status = celslm_study_scan(s);
  int64_t *todo = celslm_alloc((unsigned long)s->design->points, sizeof *todo);
  *n = 0;
  for (int64_t i = 0; i < s->design->points; i++)
    if (status[i] != CELSLM_DONE) todo[(*n)++] = i;
  free(status);
  return todo;
}

static int run_points(celslm_study *s, const arguments *a, const int64_t *todo, int64_t n,
                      celslm_error *err) {
  celslm_queue_result r;
  bool bar = !a->quiet && isatty(STDERR_FILENO);
  if (!celslm_queue_run(s, todo, n, a->jobs, bar, &interrupted, &r, err))
    return celslm_bad_input(err);
  if (!r.interrupted) return 0;
  fprintf(stderr, "celslm: interrupted, %lld of %lld points are left; go on with --resume\n",
          (long long)(n - r.done), (long long)s->design->points);
  return CELSLM_INTERRUPTED;
}

static int run_here(celslm_study *s, const arguments *a, celslm_error *err) {
  if (a->resume && access(s->folder, F_OK) != 0 && is_complete(s)) {
    if (!a->quiet) printf("%s is complete\n", s->output);
    return 0;
  }
  if (!celslm_study_begin(s, a->resume ? CELSLM_RESUME : CELSLM_FRESH, err) || lock(s, err) < 0)
    return celslm_bad_input(err);
  int64_t n, *todo = undone(s, &n);
  int status;
  if (a->to_slurm && n) {
    celslm_slurm_options o = a->slurm;
    o.jobs = a->jobs_given ? a->jobs : 1;
    status = celslm_slurm_submit(s, todo, n, &o, err) ? 0 : celslm_bad_input(err);
  } else {
    char *jobs = celslm_slurm_state(s);
    if (jobs) {
      celslm_fail(err, s->output, 0, "%s; wait for them, or scancel them first", jobs);
      status = celslm_bad_input(err);
    } else
      status = run_points(s, a, todo, n, err);
    free(jobs);
    if (status == 0) status = conclude(s, false, a->quiet, err);
  }
  free(todo);
  return status;
}

/* One process of many: its share of the points. */
static int run_share(celslm_study *s, const arguments *a, const celslm_share *share, bool listed,
                     celslm_error *err) {
  if (!celslm_study_begin(s, CELSLM_JOIN, err)) return celslm_bad_input(err);
  int64_t n = 0, kept = 0, *todo;
  if (listed) {
    todo = celslm_slurm_todo(s, share, &n, err);
    if (!todo) return celslm_bad_input(err);
  } else {
    todo = celslm_alloc((unsigned long)s->design->points, sizeof *todo);
    for (int64_t i = share->index; i < s->design->points; i += share->of) todo[n++] = i;
  }
  for (int64_t i = 0; i < n; i++) { /* a task that Slurm starts again goes on where it was */
    celslm_point p = celslm_study_read_point(s, todo[i]);
    if (p.status != CELSLM_DONE) todo[kept++] = todo[i];
    free(p.rows);
  }
  int status = run_points(s, a, todo, kept, err);
  free(todo);
  return status;
}

/* Under srun there is no job that comes after: whoever sees the last point done merges. */
static int conclude_if_last(const celslm_study *s, bool quiet, celslm_error *err) {
  char *file = celslm_format("%s.merging", s->output);
  int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0666), status = 0;
  if (fd >= 0 && flock(fd, LOCK_EX) == 0 && !is_complete(s)) {
    int *all = celslm_study_scan(s);
    tally t = count(all, s->design->points);
    free(all);
    if (!t.missing) status = conclude(s, false, quiet, err);
  }
  if (is_complete(s)) unlink(file);
  if (fd >= 0) close(fd);
  free(file);
  return status;
}

static int run_task(celslm_study *s, const arguments *a, celslm_error *err) {
  celslm_share share;
  int end = 0;
  if (a->task && strcmp(a->task, "merge") == 0)
    return celslm_study_begin(s, CELSLM_JOIN, err) ? conclude(s, false, a->quiet, err)
                                                   : celslm_bad_input(err);
  if (a->task) {
    long long index, of;
    if (sscanf(a->task, "%lld/%lld%n", &index, &of, &end) != 2 || a->task[end] || index < 0 ||
        index >= of) {
      celslm_fail(err, NULL, 0, "--task \"%s\": give K/N with K from 0 to N-1, or merge", a->task);
      return celslm_bad_input(err);
    }
    share = (celslm_share){index, of};
    return run_share(s, a, &share, true, err);
  }
  celslm_slurm_step(&share);
  int status = run_share(s, a, &share, false, err);
  return status ? status : conclude_if_last(s, a->quiet, err);
}

int celslm_cmd_sweep(int argc, char **argv) {
  arguments a = {0};
  celslm_error err = {0};
  if (!parse(argc, argv, &a, &err)) return celslm_bad_input(&err);
  if (a.help) {
    fputs(help, stdout);
    return 0;
  }
  celslm_study *s = celslm_study_open(&a.study, &err);
  if (!s) return celslm_bad_input(&err);
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  int status;
  if (a.dry_run)
    status = dry_run(s);
  else if (a.status)
    status = tell_status(s);
  else if (a.merge)
    status = celslm_study_begin(s, CELSLM_JOIN, &err) ? conclude(s, true, a.quiet, &err)
                                                      : celslm_bad_input(&err);
  else if (a.task || (!a.to_slurm && celslm_slurm_step(&(celslm_share){0, 0})))
    status = run_task(s, &a, &err);
  else
    status = run_here(s, &a, &err);
  if (status <= 1 && a.rank && !a.dry_run && !a.status && !a.task && !a.to_slurm &&
      access(s->output, R_OK) == 0 && print_ranks(s, &a, &err) != 0)
    status = 2;
  celslm_study_close(s);
  return status;
}
