/* machine.h - this machine as `celslm calibrate` sees it: processors, peaks, memory, and how quiet
 * it was.
 *
 * Owns the binding of threads to processors, which celslm_machine_unbind undoes, and a block of
 * memory larger than the caches. */
#ifndef CELSLM_COST_MACHINE_H
#define CELSLM_COST_MACHINE_H

#include "base/error.h"

#include <stddef.h>

enum { CELSLM_MOST_THREADS = 1024 };

typedef struct celslm_machine {
  int threads;
  int processors;                /* that this process may use */
  int cpus[CELSLM_MOST_THREADS]; /* them; the first `threads` are used, [0] by the calling thread */
  char model[128];               /* the processor's name */
  size_t cache;  /* B of the last-level cache, as the system reports it; 0: unknown */
  double memory; /* B */
  /* Measured by celslm_machine_peaks: */
  double peak_f32;  /* FLOP/s of fused multiply-adds; NaN: no measurement for this processor */
  double bandwidth; /* B/s, read from memory */
  char *block;      /* reading it from end to end leaves nothing else in the caches */
  size_t block_size;
} celslm_machine;

/* The machine with `threads` threads (0: one per processor this process may use). */
bool celslm_machine_init(celslm_machine *m, int threads, celslm_error *err);
void celslm_machine_clear(celslm_machine *m);
/* Best of short repeats over about `seconds`, and of earlier calls: the rates are upper limits of
 * what kernels can reach. */
bool celslm_machine_peaks(celslm_machine *m, double seconds, celslm_error *err);

/* Binds the calling thread to cpus[0]. `start` must make the kernels start their worker threads:
 * the threads that appear during it are bound to the other processors, one each. */
bool celslm_machine_bind(const celslm_machine *m, void (*start)(void), celslm_error *err);
void celslm_machine_unbind(const celslm_machine *m);

/* A large block of memory on large pages where the system gives them, touched by the caller. NULL:
 * out of memory. Free with free(). */
void *celslm_machine_block(size_t bytes);
double celslm_machine_now(void); /* s, monotonic */

/* Times a piece of work, and knows when the system ran another process in a thread's place
 * meanwhile. With one thread, its processor time tells the time nevertheless; with more, who waited
 * for whom is lost, and the timing is worth nothing. */
typedef struct celslm_watch {
  double wall, processor; /* s */
  long switches;
} celslm_watch;
celslm_watch celslm_watch_start(void);
/* Seconds since the start, of work on `threads` threads. */
double celslm_watch_stop(const celslm_watch *start, int threads, bool *worthless);

/* What other processes and the hypervisor took of the machine since `begin`. */
typedef struct celslm_quiet {
  double total, busy, stolen, own, wall; /* processor seconds, and seconds */
} celslm_quiet;
celslm_quiet celslm_quiet_begin(void);
/* Shares of all processor time since then. 0 where the system does not tell. */
void celslm_quiet_end(const celslm_quiet *begin, double *others, double *stolen);

#endif
