/* load.h - what users ask: arrivals, lengths, contexts, sessions, from distributions or from a
 * trace.
 *
 * The load depends on the scenario's seed and <workload>s alone, each quantity on its own named
 * stream; so every strategy under one seed meets the same requests. Where users wait for answers
 * (a closed loop, sessions) the instants depend on the strategy, but what the n-th session of a
 * user says does not: each session draws from a stream of its own. */
#ifndef CELSLM_LOAD_LOAD_H
#define CELSLM_LOAD_LOAD_H

#include "net/clock.h"
#include "scenario/scenario.h"
#include "serve/prefix.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

/* What a request brings with it beside its lengths; strategies and engines have it as it is. */
typedef struct celslm_demand {
  int32_t cls, tenant;    /* indices in scenario->classes and ->tenants */
  int32_t priority;       /* lower is more urgent */
  celslm_ns deadline;     /* for the last token, on the run's clock; CELSLM_NEVER: none */
  uint32_t session, turn; /* session: unique in the run; a request without turns is one by itself */
  int32_t predicted;      /* output tokens as foretold, >= 1 */
  celslm_prefix prefix;
  struct celslm_conversation *conversation; /* the load's own */
} celslm_demand;

typedef struct celslm_arrival {
  celslm_ns time;
  int32_t prompt, output; /* tokens, >= 1; a later turn's prompt has the history in it */
  int32_t context;        /* index in scenario->contexts; -1: none */
  double place;           /* uniform in [0,1): which user; the same for all turns of a session */
  celslm_demand demand;
} celslm_arrival;

typedef struct celslm_load celslm_load;
celslm_load *celslm_load_new(const celslm_scenario *s, celslm_error *err);
void celslm_load_free(celslm_load *l);
/* When the next request comes, as far as is known now; CELSLM_NEVER: none, unless one ends. */
celslm_ns celslm_load_when(const celslm_load *l);
/* Takes it; in order of time. False: there is none. */
bool celslm_load_next(celslm_load *l, celslm_arrival *a);
/* A request has ended, now: its user may go on. To be called once for each, whatever its end;
 * `completed`: it got its answer. */
void celslm_load_ended(celslm_load *l, const celslm_demand *d, bool completed, celslm_ns now);

/* ---- kinds: one small file each, behind these tables ----------------------------------------- */

typedef struct celslm_process { /* of arrivals: <arrivals><NAME .../></arrivals> */
  const char *name, *summary;
  bool (*configure)(double state[8], const celslm_element *e, celslm_error *err);
  double (*gap)(double state[8], double now,
                gsl_rng *r); /* s from `now`, the last arrival, to the next */
  bool closed;               /* state[0] users; the gap is the think time of one of them */
} celslm_process;
extern const celslm_process *const celslm_processes[]; /* NULL-terminated */

struct celslm_distribution;
typedef struct celslm_lengths { /* a distribution that has been set up */
  const struct celslm_distribution *kind;
  double parameters[4];
  gsl_ran_discrete_t *choice; /* of an index; NULL: not of that kind */
  int32_t *rows;              /* of a file; NULL: not of that kind */
  int64_t n_rows, row;        /* row: the next one in order; < 0: drawn */
} celslm_lengths;

typedef struct celslm_distribution { /* of token counts: <prompt><NAME .../></prompt> */
  const char *name, *summary;
  bool (*configure)(celslm_lengths *l, const celslm_element *e, celslm_error *err);
  double (*draw)(celslm_lengths *l, gsl_rng *r); /* rounded and cut to >= 1 by the caller */
} celslm_distribution;
extern const celslm_distribution *const celslm_distributions[];

typedef struct celslm_trace_row {
  double time;            /* s; from the first row once the trace is read */
  int32_t prompt, output; /* output 0: a failed request, left out */
  int32_t n_ids;          /* of its blocks */
  int64_t first_id;       /* in the trace's ids */
} celslm_trace_row;
typedef struct celslm_trace {
  celslm_trace_row *rows;
  int64_t n_rows;
  uint64_t *ids; /* as in the file, until celslm_trace_scale makes identities of them */
  int64_t n_ids, ids_size;
  int32_t block; /* tokens that an id stands for */
} celslm_trace;
typedef struct celslm_trace_format { /* <trace format="NAME"/> */
  const char *name, *summary;
  bool (*header)(const char *line, const char *file, celslm_error *err); /* NULL: no header line */
  /* Reads one line of data; line numbers in errors count from 1. Ids are appended to t->ids. */
  bool (*row)(const char *line, const char *file, int number, celslm_trace *t,
              celslm_trace_row *row, celslm_error *err);
} celslm_trace_format;
extern const celslm_trace_format *const celslm_trace_formats[];
/* The whole trace, checked and in order; times start at 0. NULL on failure. */
celslm_trace *celslm_trace_read(const char *file, const celslm_trace_format *format, int32_t block,
                                int64_t limit, celslm_error *err);
/* Multiplies the rate (trace_scale.c says how), and times by `stretch`; identities for ids. */
void celslm_trace_scale(celslm_trace *t, double rate, double stretch, gsl_rng *r);
void celslm_trace_free(celslm_trace *t); /* NULL is allowed */

extern const celslm_process celslm_process_poisson, celslm_process_deterministic,
    celslm_process_gamma, celslm_process_mmpp, celslm_process_diurnal, celslm_process_closed;
extern const celslm_distribution celslm_distribution_fixed, celslm_distribution_uniform,
    celslm_distribution_lognormal, celslm_distribution_zipf, celslm_distribution_empirical;
extern const celslm_trace_format celslm_trace_azure, celslm_trace_burstgpt, celslm_trace_mooncake;

#endif
