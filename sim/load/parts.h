/* parts.h - what the files of this module share: lengths, think times, workloads, sessions. */
#ifndef CELSLM_LOAD_PARTS_H
#define CELSLM_LOAD_PARTS_H

#include "load/load.h"

/* Every table's first member is its name. NULL: not in it. */
const void *celslm_load_find(const void *const *table, const char *name);
#define FIND(table, name) celslm_load_find((const void *const *)(table), name)

/* ---- lengths.c ------------------------------------------------------------------------------- */

enum { CELSLM_LONGEST = 1 << 24 }; /* tokens of one prompt or output */

typedef struct celslm_length_pair {
  celslm_lengths prompt, output;
  bool joint; /* both from one row of a file */
} celslm_length_pair;
bool celslm_lengths_read(celslm_length_pair *p, const celslm_workload_config *w, celslm_error *err);
void celslm_lengths_draw(celslm_length_pair *p, gsl_rng *prompts, gsl_rng *outputs, int32_t *prompt,
                         int32_t *output);
void celslm_lengths_free(celslm_length_pair *p);
/* Reads a column of whole numbers into l->rows. */
bool celslm_lengths_column(celslm_lengths *l, const celslm_element *e, const char *attribute,
                           celslm_error *err);

/* ---- closed.c -------------------------------------------------------------------------------- */

typedef struct celslm_think { /* gamma with this mean (s) and coefficient of variation */
  double mean, cv;
} celslm_think;
bool celslm_think_read(celslm_think *t, const celslm_element *e, celslm_error *err);
double celslm_think_draw(const celslm_think *t, gsl_rng *r);

/* ---- source.c: one workload ------------------------------------------------------------------ */

typedef struct celslm_source {
  const celslm_scenario *scenario;
  const celslm_workload_config *config;
  uint32_t index;
  int64_t left;                  /* requests that it may still send */
  const celslm_process *process; /* NULL: a trace */
  double state[8];               /* of the process */
  double now;                    /* s: its last arrival from outside */
  celslm_trace *trace;
  int64_t row;
  bool sessions; /* or a closed loop: requests belong to conversations */
  double turns;
  bool geometric;
  celslm_think think;
  int64_t max_tokens;
  celslm_length_pair lengths;
  gsl_ran_discrete_t *popularity, *classes; /* NULL: no contexts; one class */
  gsl_rng *arrivals, *prompts, *outputs, *contexts, *places, *kinds, *predictions;
  uint64_t **context_blocks; /* by context; NULL: not needed so far */
  uint32_t started;          /* sessions (or requests) from outside so far */
  celslm_arrival next;       /* without conversations: the next one */
  bool has_next;
} celslm_source;

bool celslm_source_open(celslm_source *w, const celslm_scenario *s, int index, celslm_error *err);
void celslm_source_close(celslm_source *w);
/* Without conversations: makes w->next. */
void celslm_source_advance(celslm_source *w);
/* Draws: context (-1: none), class, foretold length. */
int32_t celslm_source_context(const celslm_source *w, gsl_rng *r);
int32_t celslm_source_class(const celslm_source *w, gsl_rng *r);
int32_t celslm_source_predict(const celslm_source *w, int32_t output, gsl_rng *r);
/* Fills what follows from the class and the time. */
void celslm_source_mark(celslm_source *w, celslm_arrival *a, int32_t cls);
const uint64_t *celslm_source_context_blocks(celslm_source *w, int32_t context);

/* ---- session.c ------------------------------------------------------------------------------- */

typedef struct celslm_turn {
  int32_t fresh, output, predicted; /* tokens; fresh: what is new in the prompt */
  celslm_ns think;                  /* before it; the first: 0 */
} celslm_turn;

/* A session while it lasts. */
typedef struct celslm_conversation {
  celslm_source *source;
  celslm_ns time;   /* of the next turn */
  uint32_t session; /* its number in the run */
  int64_t user;     /* of a closed loop; -1: from outside */
  int64_t round;    /* the user's sessions before this one */
  celslm_turn *turns;
  int32_t n_turns, turn;
  int32_t context, cls;
  double place;
  int32_t history;  /* tokens said so far, without the context */
  uint64_t *blocks; /* of the whole sequence so far */
  int32_t n_blocks;
  uint32_t slot;                              /* in the heap of the load */
  struct celslm_conversation *before, *after; /* all that last */
} celslm_conversation;

/* The next session from outside (user -1: after the last one; NULL if none will come), or the next
 * one of a user who begins to think at `now`. */
celslm_conversation *celslm_conversation_new(celslm_source *w, int64_t user, int64_t round,
                                             celslm_ns now);
void celslm_conversation_ask(celslm_conversation *c, celslm_arrival *a); /* its next turn */
void celslm_conversation_free(celslm_conversation *c);

#endif
