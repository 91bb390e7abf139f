/* machine.c - peaks and state of this machine (see machine.h). */
#include "cost/machine.h"

#include "cost/fma.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

double celslm_machine_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the watch ------------------------------------------------------------------------------- */

static double processor_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* How often any thread of this process was put aside for another process. */
static long switches(void) {
  struct rusage u;
  return getrusage(RUSAGE_SELF, &u) == 0 ? u.ru_nivcsw : 0;
}

celslm_watch celslm_watch_start(void) {
  celslm_watch w = {.switches = switches(), .processor = processor_seconds()};
  w.wall = celslm_machine_now();
  return w;
}

double celslm_watch_stop(const celslm_watch *start, int threads, bool *worthless) {
  double wall = celslm_machine_now() - start->wall;
  double processor = processor_seconds() - start->processor;
  bool put_aside = switches() != start->switches;
  *worthless = put_aside && threads > 1;
  return put_aside && threads == 1 && processor < wall ? processor : wall;
}

/* ---- what the system says -------------------------------------------------------------------- */

static void read_model(char *to, size_t size) {
  FILE *f = fopen("/proc/cpuinfo", "r");
  char line[512];
  snprintf(to, size, "unknown processor");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
      char *name = strchr(line, ':') + 1;
      name += strspn(name, " \t");
      name[strcspn(name, "\n")] = '\0';
      snprintf(to, size, "%s", name);
      break;
    }
  if (f) fclose(f);
}

bool celslm_machine_init(celslm_machine *m, int threads, celslm_error *err) {
  cpu_set_t set;
  int allowed[CPU_SETSIZE], n = 0;
  *m = (celslm_machine){.peak_f32 = NAN, .bandwidth = NAN};
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; i++)
      if (CPU_ISSET((size_t)i, &set)) allowed[n++] = i;
  if (n == 0) allowed[n++] = 0;
  if (threads > n)
    return celslm_fail(err, NULL, 0, "--threads %d: this process may use %d processor%s", threads,
                       n, n == 1 ? "" : "s");
  m->processors = n;
  m->threads = threads ? threads : n;
  /* From the last one down: the first processor often serves interrupts. */
  for (int i = 0; i < n; i++) m->cpus[i] = allowed[n - 1 - i];
  read_model(m->model, sizeof m->model);
  long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
  if (cache <= 0) cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
  m->cache = cache > 0 ? (size_t)cache : 0;
  m->memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
  return true;
}

/* ---- binding --------------------------------------------------------------------------------- */

static bool bind_task(pid_t task, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET((size_t)cpu, &set);
  return sched_setaffinity(task, sizeof set, &set) == 0;
}

/* The ids of this process's threads, at most `most`. */
static int list_tasks(pid_t *tasks, int most) {
  DIR *d = opendir("/proc/self/task");
  int n = 0;
  for (struct dirent *e; d && n < most && (e = readdir(d));)
    if (e->d_name[0] != '.') tasks[n++] = (pid_t)atoi(e->d_name);
  if (d) closedir(d);
  return n;
}

bool celslm_machine_bind(const celslm_machine *m, void (*start)(void), celslm_error *err) {
  enum { MOST = 2 * CELSLM_MOST_THREADS };
  pid_t *before = celslm_alloc(MOST, sizeof *before), *after = celslm_alloc(MOST, sizeof *after);
  int n_before = list_tasks(before, MOST), worker = 1;
  start();
  int n_after = list_tasks(after, MOST);
  bool ok = bind_task(0, m->cpus[0]);
  for (int i = 0; i < n_after && worker < m->threads; i++) {
    bool old = false;
    for (int j = 0; j < n_before; j++) old = old || before[j] == after[i];
    if (!old) ok = bind_task(after[i], m->cpus[worker++]) && ok;
  }
  free(before);
  free(after);
  return ok || celslm_fail(err, NULL, 0, "threads cannot be bound to processors on this system");
}

void celslm_machine_unbind(const celslm_machine *m) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int i = 0; i < m->processors; i++) CPU_SET((size_t)m->cpus[i], &set);
  sched_setaffinity(0, sizeof set, &set);
}

/* ---- peaks ----------------------------------------------------------------------------------- */

void *celslm_machine_block(size_t bytes) {
  size_t huge = (size_t)2 << 20;
  void *p = aligned_alloc(huge, (bytes + huge - 1) / huge * huge);
  if (p) madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

enum { MOST_REPEATS = 200, PIECE = 32 << 20 /* B read in a repeat, by all threads */ };

/* One thread of a measurement. All start a repeat together, and each notes its own times: the
 * thread that waits for them may share a processor with one. */
typedef struct runner {
  pthread_t id;
  pthread_barrier_t *barrier;
  int cpu, repeats;
  long steps;  /* of multiply-adds, if there is no block */
  char *block; /* to read, piece after piece in a circle */
  size_t block_size, piece;
  double begun[MOST_REPEATS], ended[MOST_REPEATS];
} runner;

static void *run(void *argument) {
  runner *r = argument;
  bind_task(0, r->cpu);
  if (r->block && r->repeats == 1) { /* the first touch decides where the memory lies */
    memset(r->block, 1, r->block_size);
    return NULL;
  }
  for (int i = 0; i < r->repeats; i++) {
    pthread_barrier_wait(r->barrier);
    r->begun[i] = celslm_machine_now();
    if (r->block)
      celslm_fma_read(r->block + (size_t)i * r->piece % (r->block_size / r->piece * r->piece),
                      r->piece);
    else
      celslm_fma_run(r->steps);
    r->ended[i] = celslm_machine_now();
  }
  return NULL;
}

static size_t piece_of(const celslm_machine *m) {
  size_t share = m->block_size / (size_t)m->threads,
         piece = PIECE / (size_t)m->threads / 4096 * 4096;
  return piece < share ? piece : share;
}

/* The shortest time of `repeats` repeats on all threads: steps of multiply-adds, or if there are
 * none, reading pieces of the block (one repeat writes it whole instead). */
static double shortest(const celslm_machine *m, int repeats, long steps) {
  size_t share = m->block_size / (size_t)m->threads;
  pthread_barrier_t barrier;
  runner *r = celslm_alloc((unsigned long)m->threads, sizeof *r);
  double best = INFINITY;
  bool ok = pthread_barrier_init(&barrier, NULL, (unsigned)m->threads) == 0;
  for (int i = 0; ok && i < m->threads; i++) {
    r[i] = (runner){.barrier = &barrier,
                    .cpu = m->cpus[i],
                    .repeats = repeats,
                    .steps = steps,
                    .block = steps ? NULL : m->block + (size_t)i * share,
                    .block_size = share,
                    .piece = piece_of(m)};
    if (pthread_create(&r[i].id, NULL, run, &r[i]) != 0) {
      fprintf(stderr, "celslm: no more threads\n"); /* those started wait for it for ever */
      exit(1);
    }
  }
  for (int i = 0; ok && i < m->threads; i++) pthread_join(r[i].id, NULL);
  for (int i = 0; ok && i < repeats; i++) {
    double begun = INFINITY, ended = 0;
    for (int j = 0; j < m->threads; j++) {
      begun = fmin(begun, r[j].begun[i]);
      ended = fmax(ended, r[j].ended[i]);
    }
    best = fmin(best, ended - begun);
  }
  pthread_barrier_destroy(&barrier);
  free(r);
  return best;
}

/* More than the cache over all threads: read in a circle, nothing is still there the next time. */
static bool make_block(celslm_machine *m) {
  size_t all = m->cache ? m->cache + m->cache / 4 : (size_t)64 << 20, page = 4096;
  size_t most = (size_t)(m->memory / 8), threads = (size_t)m->threads;
  m->block_size = (all < most ? all : most) / (threads * page) * threads * page;
  m->block = celslm_machine_block(m->block_size);
  if (m->block) shortest(m, 1, 0);
  return m->block;
}

bool celslm_machine_peaks(celslm_machine *m, double seconds, celslm_error *err) {
  /* Repeats of a few milliseconds: one of many is undisturbed even when others use the machine. */
  double each = 0.003, steps = 1e5;
  int repeats = (int)fmin(fmax(seconds / 2 / each, 10), MOST_REPEATS);
  if (!m->block && !make_block(m))
    return celslm_fail(err, NULL, 0, "not enough memory to calibrate: %zu MB are needed at once",
                       m->block_size >> 20);
  if (celslm_fma_flops() > 0) {
    steps = fmin(fmax(steps * each / shortest(m, 5, (long)steps), 1e4), 1e9);
    double time = shortest(m, repeats, (long)steps);
    m->peak_f32 = fmax(m->peak_f32, floor(steps) * celslm_fma_flops() * m->threads / time);
  }
  repeats = (int)fmin(fmax(seconds / 2 / shortest(m, 5, 0), 10), MOST_REPEATS);
  double bytes = (double)piece_of(m) * m->threads;
  m->bandwidth = fmax(m->bandwidth, bytes / shortest(m, repeats, 0));
  return true;
}

void celslm_machine_clear(celslm_machine *m) {
  free(m->block);
  m->block = NULL;
}

/* ---- quiet ----------------------------------------------------------------------------------- */

static double seconds_of(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

celslm_quiet celslm_quiet_begin(void) {
  celslm_quiet q = {.wall = celslm_machine_now()};
  double user, nice, system, idle, wait, irq, soft, steal, tick = (double)sysconf(_SC_CLK_TCK);
  FILE *f = fopen("/proc/stat", "r");
  if (f && fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &wait,
                  &irq, &soft, &steal) == 8) {
    q.busy = (user + nice + system + irq + soft) / tick;
    q.stolen = steal / tick;
    q.total = q.busy + q.stolen + (idle + wait) / tick;
  }
  if (f) fclose(f);
  struct rusage u;
  if (getrusage(RUSAGE_SELF, &u) == 0) q.own = seconds_of(u.ru_utime) + seconds_of(u.ru_stime);
  return q;
}

void celslm_quiet_end(const celslm_quiet *begin, double *others, double *stolen) {
  celslm_quiet now = celslm_quiet_begin();
  double total = now.total - begin->total;
  *others = *stolen = 0;
  if (!(total > 0)) return;
  *others = fmax(0, (now.busy - begin->busy - (now.own - begin->own)) / total);
  *stolen = fmax(0, (now.stolen - begin->stolen) / total);
}
