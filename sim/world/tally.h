/* tally.h - the figures of many requests: how they ended, what they got, how long it took.
 *
 * One tally for the run, and one for each class if there are several. Latencies are those of the
 * requests completed that arrived after the warm-up, kept in order of completion (8 bytes each)
 * for exact quantiles and batch means. */
#ifndef CELSLM_WORLD_TALLY_H
#define CELSLM_WORLD_TALLY_H

#include "record/request.h"
#include "scenario/scenario.h"

typedef struct celslm_series {
  double *values;
  size_t n, size;
} celslm_series;

typedef struct celslm_tally {
  int64_t ends[4]; /* by celslm_end */
  int64_t preemptions;
  /* of the requests that arrived after the warm-up: */
  int64_t asked, warm, good, late; /* all; completed; within every objective; past the deadline */
  int64_t judged, right;           /* completed ones whose answer is known to be right or wrong */
  int64_t prompt_tokens, output_tokens;
  celslm_series ttft, tpot, e2e, queueing, normalised;
} celslm_tally;

void celslm_tally_add(celslm_tally *t, const celslm_scenario *s, const celslm_request_row *r);
void celslm_tally_clear(celslm_tally *t); /* frees what it holds */
/* `window`: s after the warm-up; not above 0: rates are NaN. */
void celslm_tally_summary(const celslm_tally *t, double window, celslm_summary_row *row);
void celslm_tally_class(const celslm_tally *t, double window, celslm_class_row *row);
/* Jain's index of tokens served by tenant; `of_class`: a tally for each class of the scenario. */
double celslm_tally_fairness(celslm_tally *const *of_class, const celslm_scenario *s);

#endif
