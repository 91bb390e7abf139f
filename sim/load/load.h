/* load.h - what users ask: arrivals, lengths, contexts, from distributions or from a trace.
 *
 * The load depends on the scenario's seed and <workload> alone, each quantity on its own named
 * stream; so every strategy under one seed meets the same requests. */
#ifndef CELSLM_LOAD_LOAD_H
#define CELSLM_LOAD_LOAD_H

#include "scenario/scenario.h"

#include <gsl/gsl_rng.h>

typedef struct celslm_arrival {
  double time;            /* s */
  int32_t prompt, output; /* tokens, >= 1 */
  int32_t context;        /* index in scenario->contexts; -1: none */
  double place;           /* uniform in [0,1): which user */
} celslm_arrival;

typedef struct celslm_load celslm_load;
celslm_load *celslm_load_new(const celslm_scenario *s, celslm_error *err);
void celslm_load_free(celslm_load *l);
bool celslm_load_next(celslm_load *l, celslm_arrival *a); /* in order of time; false: no more */

/* ---- kinds: one small file each, behind these tables ----------------------------------------- */

typedef struct celslm_process { /* of arrivals: <arrivals><NAME .../></arrivals> */
  const char *name;
  bool (*configure)(double state[8], const celslm_element *e, celslm_error *err);
  double (*gap)(double state[8], double now,
                gsl_rng *r); /* s from `now`, the last arrival, to the next */
} celslm_process;
extern const celslm_process *const celslm_processes[]; /* NULL-terminated */

typedef struct celslm_distribution { /* of token counts: <prompt><NAME .../></prompt> */
  const char *name;
  bool (*configure)(double parameters[4], const celslm_element *e, celslm_error *err);
  double (*draw)(const double parameters[4],
                 gsl_rng *r); /* rounded and cut to >= 1 by the caller */
} celslm_distribution;
extern const celslm_distribution *const celslm_distributions[];

typedef struct celslm_trace_row {
  double time;            /* s from the first row */
  int32_t prompt, output; /* output 0: a failed request, left out */
} celslm_trace_row;
typedef struct celslm_trace_format { /* <trace format="NAME"/> */
  const char *name;
  /* Reads one data line; line numbers in errors count from 1. */
  bool (*header)(const char *line, const char *file, celslm_error *err); /* NULL: no header line */
  bool (*row)(const char *line, const char *file, int number, celslm_trace_row *row,
              celslm_error *err);
} celslm_trace_format;
extern const celslm_trace_format *const celslm_trace_formats[];
/* The whole trace, sorted and checked; times start at 0. NULL on failure; caller frees. */
celslm_trace_row *celslm_trace_read(const char *file, const celslm_trace_format *format,
                                    int64_t limit, int64_t *rows, celslm_error *err);

extern const celslm_process celslm_process_poisson, celslm_process_deterministic,
    celslm_process_gamma, celslm_process_mmpp, celslm_process_diurnal;
extern const celslm_distribution celslm_distribution_fixed, celslm_distribution_uniform,
    celslm_distribution_lognormal;
extern const celslm_trace_format celslm_trace_azure, celslm_trace_burstgpt;

#endif
