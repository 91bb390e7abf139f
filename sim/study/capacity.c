#include "study/capacity.h"

#include "study/carry_out.h"
#include "study/steadiness.h"
#include "world/world.h"

#include <errno.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_fit.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WINDOWS = 20, DOUBLINGS = 20 };

/* ---- stability ------------------------------------------------------------------------------- */

/* Adds the time that [begin, end] shares with each window. */
static void spread(double *windows, double from, double length, double begin, double end) {
  int first = (int)fmax(0, floor((begin - from) / length)),
      last = (int)fmin(WINDOWS - 1, floor((end - from) / length));
  for (int w = first; w <= last; w++) {
    double left = fmax(begin, from + w * length), right = fmin(end, from + (w + 1) * length);
    if (right > left) windows[w] += (right - left) / length;
  }
}

bool celslm_drifts(const double *arrivals, const double *ends, size_t n, double from, double to) {
  double mean[WINDOWS] = {0}, at[WINDOWS], length = (to - from) / WINDOWS, arrived = 0;
  if (!(length > 0)) return false;
  for (size_t i = 0; i < n; i++) {
    double end = isnan(ends[i]) ? INFINITY : ends[i];
    if (end > from && arrivals[i] < to) spread(mean, from, length, arrivals[i], fmin(end, to));
    arrived += arrivals[i] >= from && arrivals[i] < to;
  }
  for (int w = 0; w < WINDOWS; w++) at[w] = from + (w + 0.5) * length;
  double c0, c1, v00, v01, v11, residual;
  gsl_fit_linear(at, 1, mean, 1, WINDOWS, &c0, &c1, &v00, &v01, &v11, &residual);
  bool significant = c1 > gsl_cdf_tdist_Pinv(0.99, WINDOWS - 2) * sqrt(v11);
  return significant && c1 * (to - from) > 0.05 * arrived;
}

/* ---- one load -------------------------------------------------------------------------------- */

typedef struct watch { /* what a run leaves behind */
  const celslm_scenario *scenario;
  double *arrivals, *ends;
  struct first {
    double arrival, ttft;
  } * firsts;
  size_t n, room;
  int64_t late, good; /* arrived after the warm-up; of them within every objective */
} watch;

static void on_request(void *self, const celslm_request_row *r) {
  watch *w = self;
  if (w->n == w->room) {
    w->room = 2 * w->room + 1024;
    w->arrivals = celslm_realloc(w->arrivals, w->room, sizeof *w->arrivals);
    w->ends = celslm_realloc(w->ends, w->room, sizeof *w->ends);
    w->firsts = celslm_realloc(w->firsts, w->room, sizeof *w->firsts);
  }
  w->arrivals[w->n] = r->arrival;
  w->firsts[w->n] = (struct first){r->arrival, r->ttft};
  w->ends[w->n++] = r->end == CELSLM_IN_FLIGHT ? NAN
                    : isnan(r->last_token)     ? r->arrival
                                               : r->last_token;
  if (r->arrival < w->scenario->results.warmup) return;
  const celslm_slo_config *slo = &w->scenario->slo;
  w->late++;
  w->good += r->end == CELSLM_COMPLETED && r->ttft <= slo->ttft &&
             (isnan(r->tpot) || r->tpot <= slo->tpot) && r->e2e <= slo->e2e;
}

typedef struct steadiness {
  double jitter, recovery, peak;
} steadiness;

typedef struct verdict {
  bool stable, good;
  steadiness steady;
  int status; /* celslm_outcome; -1: died */
  celslm_error err;
} verdict;

static int by_arrival(const void *a, const void *b) {
  double x = ((const struct first *)a)->arrival, y = ((const struct first *)b)->arrival;
  return (x > y) - (x < y);
}

/* From the first timed fault to the end of the last, unless the options say otherwise. */
static bool find_disturbance(const celslm_capacity_options *o, const celslm_faults_config *f,
                             double *begin, double *end) {
  *begin = o->disturbed_from, *end = o->disturbed_until;
  for (int i = 0; isnan(o->disturbed_from) && i < f->n; i++)
    if (!isnan(f->faults[i].at)) {
      *begin = fmin(*begin, f->faults[i].at); /* NaN is no bound */
      *end = fmax(*end, f->faults[i].at + f->faults[i].length);
    }
  return !isnan(*begin);
}

static steadiness steadiness_of(const celslm_capacity_options *o, watch *w) {
  const celslm_scenario *s = w->scenario;
  qsort(w->firsts, w->n, sizeof *w->firsts, by_arrival);
  double *latencies = celslm_alloc(w->n + 1, sizeof *latencies), begin, end;
  size_t n = 0;
  for (size_t i = 0; i < w->n; i++)
    if (w->firsts[i].arrival >= s->results.warmup) latencies[n++] = w->firsts[i].ttft;
  steadiness out = {celslm_mean_jitter(latencies, n), NAN, NAN};
  free(latencies);
  if (!find_disturbance(o, &s->faults, &begin, &end)) return out;
  celslm_recovery r = celslm_recovery_of(w->arrivals, w->ends, w->n, s->results.warmup, begin, end);
  out.recovery = r.time;
  out.peak = r.peak;
  return out;
}

/* In a process of its own. */
static void simulate(const celslm_capacity_options *o, int strategy, uint64_t seed, double load,
                     verdict *v) {
  char *change = celslm_format("%s=%.12g%s", o->load, load, o->unit);
  const char **set = celslm_alloc((unsigned long)o->n_set + 2, sizeof *set);
  int n = o->n_set;
  memcpy(set, o->set, (size_t)n * sizeof *set);
  set[n++] = change;
  if (o->requests)
    set[n++] = celslm_format("/scenario/workload/@requests=%.0f",
                             ceil((double)o->requests * fmax(1, load / o->start)));
  celslm_scenario *s = celslm_scenario_load(
      o->scenario, &(celslm_scenario_options){.set = set, .n_set = n, .seed = &seed}, &v->err);
  if (!s) {
    v->status = CELSLM_BAD_INPUT;
    return;
  }
  watch w = {.scenario = s};
  celslm_run_options run = {
      .strategy = strategy, .on_request = on_request, .self = &w, .interrupt = o->interrupt};
  int status = (int)celslm_world_run(s, &run, NULL, &v->err);
  double last = 0;
  for (size_t i = 0; i < w.n; i++) last = fmax(last, w.arrivals[i]);
  if (status == CELSLM_DONE && last <= s->results.warmup) {
    celslm_fail(&v->err, s->file, 0,
                "at %s the last request arrives before the warm-up ends; give more requests or a "
                "shorter warm-up",
                change);
    status = CELSLM_BAD_INPUT;
  }
  v->steady = steadiness_of(o, &w);
  v->stable = !celslm_drifts(w.arrivals, w.ends, w.n, s->results.warmup, last);
  v->good = w.late > 0 && (double)w.good >= o->share * (double)w.late;
  v->status = status;
}

static bool judge(const celslm_capacity_options *o, int strategy, uint64_t seed, double load,
                  verdict *shared, celslm_error *err) {
  *shared = (verdict){.status = -1};
  pid_t self = getpid(), pid = fork();
  if (pid == 0) {
    celslm_die_with(self);
    simulate(o, strategy, seed, load, shared);
    _exit(0);
  }
  int status;
  if (pid < 0) return celslm_fail(err, NULL, 0, "no process can be started: %s", strerror(errno));
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) kill(pid, SIGINT);
  if (shared->status == CELSLM_DONE) return true;
  if (shared->status < 0)
    return celslm_fail(err, NULL, 0,
                       "a simulation died at load %g%s; this is a bug, please report it", load,
                       o->unit);
  if (err && !err->text[0]) *err = shared->err;
  return false;
}

/* ---- one limit ------------------------------------------------------------------------------- */

typedef struct search {
  const celslm_capacity_options *o;
  int strategy;
  uint64_t seed;
  verdict *shared;
  steadiness steady; /* at the first load */
  struct tried {
    double load;
    bool stable, good;
  } tried[256]; /* loads are tried once, for both limits */
  int n;
} search;

static bool carries(search *s, double load, bool objectives, bool *yes, celslm_error *err) {
  int i = 0;
  while (i < s->n && s->tried[i].load != load) i++;
  if (i == s->n) {
    if (!judge(s->o, s->strategy, s->seed, load, s->shared, err)) return false;
    if (load == s->o->start) s->steady = s->shared->steady;
    if (s->n < (int)(sizeof s->tried / sizeof *s->tried))
      s->n++;
    else
      i = 0;
    s->tried[i] = (struct tried){load, s->shared->stable, s->shared->good};
  }
  *yes = s->tried[i].stable && (!objectives || s->tried[i].good);
  return true;
}

static bool find_limit(search *s, bool objectives, double *limit, celslm_error *err) {
  double low = s->o->start, high = s->o->start;
  bool yes;
  if (!carries(s, low, objectives, &yes, err)) return false;
  bool up = yes;
  for (int i = 0; yes == up; i++) { /* until the answer changes */
    if (i == DOUBLINGS) {
      *limit = up ? INFINITY : 0;
      return true;
    }
    if (up)
      low = high, high *= 2;
    else
      high = low, low /= 2;
    if (!carries(s, up ? high : low, objectives, &yes, err)) return false;
  }
  while (high > low * (1 + s->o->tolerance)) {
    double middle = sqrt(low * high);
    if (!carries(s, middle, objectives, &yes, err)) return false;
    *(yes ? &low : &high) = middle;
  }
  *limit = sqrt(low * high);
  return true;
}

/* ---- all of them ----------------------------------------------------------------------------- */

typedef struct task { /* in shared memory */
  pid_t pid;
  bool done;
  double good, stable;
  steadiness steady;
  verdict now;
  celslm_error err;
} task;

static void run_task(const celslm_scenario *s, const celslm_capacity_options *o, int64_t number,
                     task *t) {
  search *of = celslm_alloc(1, sizeof *of);
  of->o = o;
  of->strategy = (int)(number / o->replications);
  of->seed = s->seed + (uint64_t)(number % o->replications);
  of->shared = &t->now;
  t->done = find_limit(of, false, &t->stable, &t->err) && find_limit(of, true, &t->good, &t->err);
  t->steady = of->steady;
}

static bool run_tasks(const celslm_scenario *s, const celslm_capacity_options *o, task *tasks,
                      int64_t n, celslm_error *err) {
  pid_t self = getpid();
  int64_t next = 0, running = 0, ended = 0;
  bool ok = true;
  fflush(NULL);
  while (running || (ok && next < n)) {
    if (ok && next < n && running < o->jobs) {
      task *t = &tasks[next];
      pid_t pid = fork();
      if (pid == 0) {
        celslm_die_with(self);
        run_task(s, o, next, t);
        _exit(0);
      }
      t->pid = pid; /* in memory that the child shares: only we write it */
      ok = pid > 0 || celslm_fail(err, NULL, 0, "no process can be started: %s", strerror(errno));
      running += ok;
      next += ok;
      continue;
    }
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0 && errno == EINTR) {
      for (int64_t i = 0; i < next; i++)
        if (tasks[i].pid > 0) kill(tasks[i].pid, SIGINT);
      continue;
    }
    if (pid < 0) break;
    running--;
    ended++;
    for (int64_t i = 0; i < next; i++) {
      if (tasks[i].pid != pid) continue;
      tasks[i].pid = 0;
      if (!tasks[i].done)
        ok = celslm_fail(err, NULL, 0, "%s",
                         tasks[i].err.text[0] ? tasks[i].err.text : "a process died");
      if (!tasks[i].done && tasks[i].err.text[0]) *err = tasks[i].err;
    }
    if (o->progress) fprintf(stderr, "\r%lld of %lld searches", (long long)ended, (long long)n);
  }
  if (o->progress) fputs("\r\033[K", stderr);
  return ok;
}

static celslm_limit limit_of(const double *values, size_t n) {
  double *logs = celslm_alloc(n, sizeof *logs), half = NAN;
  bool finite = true;
  for (size_t i = 0; i < n; i++) {
    logs[i] = log(values[i]);
    finite &= isfinite(logs[i]);
  }
  double mean = gsl_stats_mean(logs, 1, n);
  if (n > 1 && finite)
    half = gsl_cdf_tdist_Pinv(0.975, (double)n - 1) * gsl_stats_sd_m(logs, 1, n, mean) /
           sqrt((double)n);
  free(logs);
  return (celslm_limit){exp(mean), exp(mean - half), exp(mean + half)};
}

static celslm_mean mean_of(const double *values, size_t n) {
  double mean = gsl_stats_mean(values, 1, n), half = NAN;
  if (n > 1 && isfinite(mean))
    half = gsl_cdf_tdist_Pinv(0.975, (double)n - 1) * gsl_stats_sd_m(values, 1, n, mean) /
           sqrt((double)n);
  return (celslm_mean){mean, mean - half, mean + half};
}

bool celslm_capacity_find(const celslm_scenario *s, const celslm_capacity_options *o,
                          celslm_capacity *out, celslm_error *err) {
  int64_t n = s->n_strategies * o->replications;
  size_t size = (size_t)n * sizeof(task), r = (size_t)o->replications;
  task *tasks = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (tasks == MAP_FAILED) return celslm_fail(err, NULL, 0, "out of memory");
  bool ok = run_tasks(s, o, tasks, n, err);
  double *good = celslm_alloc(r, sizeof *good), *stable = celslm_alloc(r, sizeof *stable);
  for (int i = 0; ok && i < s->n_strategies; i++) {
    for (size_t k = 0; k < r; k++) {
      good[k] = tasks[(size_t)i * r + k].good;
      stable[k] = tasks[(size_t)i * r + k].stable;
    }
    out[i] = (celslm_capacity){.good = limit_of(good, r), .stable = limit_of(stable, r)};
    for (size_t k = 0; k < r; k++) good[k] = tasks[(size_t)i * r + k].steady.jitter;
    out[i].jitter = mean_of(good, r);
    for (size_t k = 0; k < r; k++) good[k] = tasks[(size_t)i * r + k].steady.recovery;
    out[i].recovery = mean_of(good, r);
    for (size_t k = 0; k < r; k++) good[k] = tasks[(size_t)i * r + k].steady.peak;
    out[i].peak = mean_of(good, r);
  }
  free(good), free(stable);
  munmap(tasks, size);
  return ok;
}
