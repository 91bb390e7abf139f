#include "study/queue.h"

#include "study/carry_out.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TOLD = 20 }; /* failures told on stderr */

typedef struct slot {
  pid_t pid; /* 0: free */
  int64_t point;
} slot;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the bar --------------------------------------------------------------------------------- */

static void write_span(char *out, size_t size, double seconds) {
  long s = lround(seconds);
  if (s < 100)
    snprintf(out, size, "%ld s", s);
  else if (s < 6000)
    snprintf(out, size, "%ld min %02ld s", s / 60, s % 60);
  else
    snprintf(out, size, "%ld h %02ld min", s / 3600, s % 3600 / 60);
}

static void draw(const celslm_queue_result *r, int64_t n, double elapsed) {
  int64_t ended = r->done + r->failed;
  char bar[31], left[40] = "?";
  int full = n ? (int)(30 * ended / n) : 30;
  for (int i = 0; i < 30; i++) bar[i] = i < full ? '#' : '.';
  bar[30] = 0;
  if (ended) write_span(left, sizeof left, elapsed / (double)ended * (double)(n - ended));
  fprintf(stderr, "\r[%s] %lld of %lld points", bar, (long long)ended, (long long)n);
  if (r->failed) fprintf(stderr, ", %lld failed", (long long)r->failed);
  fprintf(stderr, ", %s left\033[K", left);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* The child: never returns. */
static void work(celslm_study *s, int64_t point, pid_t parent,
                 const volatile sig_atomic_t *interrupt, const sigset_t *mask) {
  celslm_die_with(parent);
  sigprocmask(SIG_SETMASK, mask, NULL);
  celslm_error err = {0};
  double began = now();
  celslm_study_log(s, point, "begins");
  celslm_outcome outcome = celslm_study_run_point(s, point, interrupt, &err);
  if (outcome != CELSLM_INTERRUPTED) {
    char *what = celslm_format("%s after %.3f s%s%s", outcome == CELSLM_DONE ? "done" : "failed",
                               now() - began, err.text[0] ? ": " : "", err.text);
    celslm_study_log(s, point, what);
    free(what);
  }
  _exit(outcome);
}

/* Books the end of a point; reports a failure. */
static void book(const celslm_study *s, int64_t point, int status, bool bar,
                 celslm_queue_result *r) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == CELSLM_DONE) {
    r->done++;
    return;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == CELSLM_INTERRUPTED) return;
  r->failed++;
  if (bar) fputs("\r\033[K", stderr);
  if (r->failed > MAX_TOLD) {
    if (r->failed == MAX_TOLD + 1) fprintf(stderr, "more points fail; %s tells of all\n", s->log);
    return;
  }
  char *label = celslm_design_label(s->design, point), *command = celslm_study_command(s, point);
  celslm_point p = celslm_study_read_point(s, point);
  if (WIFSIGNALED(status))
    fprintf(stderr, "point %lld (%s) was killed by signal %d\n", (long long)point, label,
            WTERMSIG(status));
  else
    fprintf(stderr, "point %lld (%s) failed: %s\n", (long long)point, label,
            p.err.text[0] ? p.err.text : "it left no result");
  fprintf(stderr, "  by itself: %s\n", command);
  free(p.rows);
  free(command);
  free(label);
}

static void tell_all(const slot *slots, long jobs, int signal) {
  for (long i = 0; i < jobs; i++)
    if (slots[i].pid > 0) kill(slots[i].pid, signal);
}

/* Books every child that has ended; true if any had. */
static bool reap(const celslm_study *s, slot *slots, long jobs, long *running, bool bar,
                 celslm_queue_result *r) {
  bool any = false;
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0; any = true)
    for (long i = 0; i < jobs; i++)
      if (slots[i].pid == pid) {
        slots[i].pid = 0;
        --*running;
        book(s, slots[i].point, status, bar, r);
      }
  return any;
}

bool celslm_queue_run(celslm_study *s, const int64_t *numbers, int64_t n, long jobs, bool progress,
                      const volatile sig_atomic_t *interrupt, celslm_queue_result *result,
                      celslm_error *err) {
  *result = (celslm_queue_result){0};
  slot *slots = celslm_alloc((unsigned long)jobs, sizeof *slots);
  sigset_t child, before;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &before); /* awaited below */
  pid_t self = getpid();
  double began = now(), stopped = 0;
  long running = 0;
  int64_t next = 0;
  bool ok = true;
  fflush(NULL);
  while (running || (next < n && ok && !*interrupt)) {
    for (long i = 0; i < jobs && next < n && ok && !*interrupt; i++) {
      if (slots[i].pid) continue;
      pid_t pid = fork();
      if (pid == 0) work(s, numbers[next], self, interrupt, &before);
      if (pid < 0) {
        ok = running > 0 ||
             celslm_fail(err, NULL, 0, "no process can be started: %s", strerror(errno));
        break;
      }
      slots[i] = (slot){pid, numbers[next++]};
      running++;
    }
    if (*interrupt) {
      if (stopped == 0) stopped = now();
      tell_all(slots, jobs, now() - stopped < 3 ? SIGINT : SIGKILL);
    }
    if (!reap(s, slots, jobs, &running, progress, result) && running)
      sigtimedwait(&child, NULL, &(struct timespec){0, 100000000});
    if (progress) draw(result, n, now() - began);
  }
  if (progress) fputs("\r\033[K", stderr);
  sigprocmask(SIG_SETMASK, &before, NULL);
  result->interrupted = *interrupt;
  free(slots);
  return ok;
}
