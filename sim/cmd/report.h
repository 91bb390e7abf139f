/* report.h - the parts of the page that `celslm report` makes; internal to sim/cmd/report*.c.
 *
 * The page is HTML with its style and its pictures (SVG) inside: no script, nothing is fetched.
 * Pictures are drawn 360 units wide, the width of a phone, and stand side by side on wider screens. */
#ifndef CELSLM_CMD_REPORT_H
#define CELSLM_CMD_REPORT_H

#include "record/record.h"

#include <stdio.h>

enum { REPORT_PARTS = 7, REPORT_WIDTH = 360 };

/* The results as arrays. Rows of requests in the file's order. */
typedef struct report_data {
  const char *file;
  celslm_reader *from;
  char **strategies;
  size_t n_strategies;
  size_t n; /* requests */
  double *strategy, *end, *source, *id, *ue, *cell, *engine, *context;
  double *prompt, *context_tokens, *output, *preemptions, *arrival, *kv_bytes;
  double *ttft, *tpot, *e2e;
  double *part[REPORT_PARTS]; /* t_up, t_wait, t_cloud, t_comm, t_edge, t_hidden, t_down */
  char **engines, **cells, **contexts, **hosts;
} report_data;

extern const char *const report_part_names[REPORT_PARTS], *const report_part_colours[REPORT_PARTS];
const char *report_colour(const report_data *d, size_t strategy);

/* Writes text as HTML; "142 ms"; the name of an index or "-". */
void report_text(FILE *f, const char *text);
const char *report_seconds(char *out, double seconds); /* out: 32 bytes; returns it */
const char *report_name(char *const *names, double index);

/* Pictures; each writes one <figure>. `values` are in the rows of requests. */
void report_distribution(FILE *f, const report_data *d, const char *title, const double *values);
bool report_breakdown(FILE *f, const report_data *d, celslm_error *err);
/* Every lane of one strategy in the timeline; false if nothing was recorded for it. */
bool report_timeline(FILE *f, const report_data *d, size_t strategy, celslm_error *err);

#endif
