/* csv.h - tables in CSV: one header line, then rows; cells may be quoted, and
 * blanks around them do not count.
 *
 * For measured data of others (kernel tables, published rates), so every complaint names the file
 * and the line. A table is read whole; its texts live as long as it does. */
#ifndef CELSLM_COST_CSV_H
#define CELSLM_COST_CSV_H

#include "base/error.h"

#define CELSLM_CSV_MAX_BYTES (64l << 20)

typedef struct celslm_csv {
  char *file;
  int columns, rows;
  char **names; /* of the columns */
  char **cells; /* [row * columns + column] */
  int *lines;   /* of the rows, in the file */
  char *text;   /* what the others point into */
} celslm_csv;

/* NULL on failure. */
celslm_csv *celslm_csv_open(const char *file, celslm_error *err);
void celslm_csv_close(celslm_csv *t); /* NULL is allowed */

/* Index of a column, -1 with an error if the table has none of that name; `err` may be NULL. */
int celslm_csv_column(const celslm_csv *t, const char *name, celslm_error *err);
/* Whether there is a row; an error if not. */
bool celslm_csv_has_rows(const celslm_csv *t, celslm_error *err);
/* "" for column -1. */
const char *celslm_csv_cell(const celslm_csv *t, int row, int column);
/* A finite number within [least, most]. An empty cell, or "-", "n/a", "nan" and such, is
 * NaN if `optional`. */
bool celslm_csv_number(const celslm_csv *t, int row, int column, double least, double most,
                       bool optional, double *value, celslm_error *err);

#endif
