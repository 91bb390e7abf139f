#include "study/carry_out.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a child tells its parent, in shared memory. */
typedef struct report {
  volatile int64_t ended; /* requests */
  int status;             /* celslm_outcome; -1: it has not said */
  pid_t pid;
  celslm_summary_row summary;
  celslm_error err;
} report;

void celslm_die_with(int parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1); /* it ended before the line above */
}

static char *part_name(const char *file, int strategy) {
  return celslm_format("%s.strategy%d", file, strategy);
}

static void run_one(const celslm_scenario *s, int strategy, const celslm_carry_out_options *o,
                    report *r) {
  char *part = o->file ? part_name(o->file, strategy) : NULL;
  celslm_run_options run = {.strategy = strategy,
                            .step = o->step,
                            .check = o->check,
                            .file = part,
                            .finished = &r->ended,
                            .interrupt = o->interrupt};
  r->status = celslm_world_run(s, &run, &r->summary, &r->err);
  free(part);
}

static celslm_outcome verdict(const celslm_scenario *s, const celslm_carry_out_options *o,
                              const report *reports, int started, celslm_error *err) {
  for (int i = 0; i < started; i++) {
    const report *r = &reports[i];
    if (r->status == CELSLM_DONE) continue;
    if (r->status > 0) {
      if (err) *err = r->err;
      return (celslm_outcome)r->status;
    }
    celslm_fail(err, NULL, 0, "the simulation of strategy %s died; this is a bug, please report it",
                s->strategies[i].label);
    return CELSLM_INCONSISTENT;
  }
  if (started == s->n_strategies) return CELSLM_DONE;
  if (o->interrupt && *o->interrupt) {
    celslm_fail(err, s->file, 0, "interrupted");
    return CELSLM_INTERRUPTED;
  }
  celslm_fail(err, NULL, 0, "no process can be started; free memory or lower -j");
  return CELSLM_BAD_INPUT;
}

static void tell(const celslm_scenario *s, const report *reports,
                 const celslm_carry_out_options *o) {
  int64_t ended = 0;
  for (int i = 0; i < s->n_strategies; i++) ended += reports[i].ended;
  o->progress(s, ended);
}

/* Starts and awaits the processes, at most `jobs` at once; returns how many were started. After a
 * failure or an interruption no further one is started. */
static int run_processes(const celslm_scenario *s, const celslm_carry_out_options *o,
                         report *reports) {
  int started = 0, running = 0;
  bool failed = false;
  pid_t self = getpid();
  fflush(NULL); /* the children inherit no half-written output */
  while (running || (started < s->n_strategies && !failed)) {
    if (running < o->jobs && started < s->n_strategies && !failed) {
      report *mine = &reports[started];
      mine->status = -1;
      pid_t pid = fork();
      if (pid == 0) {
        celslm_die_with(self);
        run_one(s, started, o, mine);
        _exit(0);
      }
      mine->pid = pid; /* in memory that the child shares: only we write it */
      failed = pid < 0;
      running += !failed;
      started += !failed;
      continue;
    }
    int status;
    pid_t ended = waitpid(-1, &status, o->progress ? WNOHANG : 0);
    if (ended == 0) {
      tell(s, reports, o);
      nanosleep(&(struct timespec){0, 50000000}, NULL);
    } else if (ended > 0) {
      running--;
      for (int i = 0; i < started; i++) {
        failed |= reports[i].status > 0;
        if (reports[i].pid == ended) {
          reports[i].pid = 0;
          failed |= reports[i].status < 0;
        }
      }
    } else if (errno != EINTR)
      break;
    if (o->interrupt && *o->interrupt) { /* whoever told us may not have told them */
      failed = true;
      for (int i = 0; i < started; i++)
        if (reports[i].pid > 0) kill(reports[i].pid, SIGINT);
    }
  }
  if (o->progress) o->progress(s, -1);
  return started;
}

static bool join_parts(const celslm_scenario *s, const char *file, celslm_error *err) {
  const char **parts = celslm_alloc((unsigned long)s->n_strategies, sizeof *parts);
  for (int i = 0; i < s->n_strategies; i++) parts[i] = part_name(file, i);
  bool ok = celslm_results_concatenate(file, parts, s->n_strategies, err);
  for (int i = 0; i < s->n_strategies; i++) free((char *)parts[i]);
  free(parts);
  return ok;
}

static void remove_parts(const celslm_scenario *s, const char *file, bool interrupted) {
  for (int i = 0; i < s->n_strategies; i++) {
    char *part = part_name(file, i), *unfinished = celslm_format("%s.part", part);
    unlink(part);
    if (!interrupted) unlink(unfinished);
    free(part);
    free(unfinished);
  }
}

celslm_outcome celslm_carry_out(const celslm_scenario *s, const celslm_carry_out_options *o,
                                celslm_summary_row *summaries, celslm_error *err) {
  size_t size = (size_t)s->n_strategies * sizeof(report);
  report *reports = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (reports == MAP_FAILED) {
    celslm_fail(err, NULL, 0, "out of memory");
    return CELSLM_BAD_INPUT;
  }
  int started = run_processes(s, o, reports);
  celslm_outcome outcome = verdict(s, o, reports, started, err);
  for (int i = 0; summaries && i < started; i++) summaries[i] = reports[i].summary;
  munmap(reports, size);
  if (!o->file) return outcome;
  if (outcome == CELSLM_DONE && !join_parts(s, o->file, err)) outcome = CELSLM_BAD_INPUT;
  remove_parts(s, o->file, outcome == CELSLM_INTERRUPTED);
  return outcome;
}
