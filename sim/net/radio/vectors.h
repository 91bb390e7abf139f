/* vectors.h - check points of the radio models: a CSV file with one published number per row.
 *
 * Columns, in any order and by the names of its first line: kind, scenario, state, fc_ghz, d2d_m,
 * h_bs_m, h_ut_m, extra, expected, tol; and, if there, id, unit. Others are for people (source,
 * note). docs/radio.md lists the kinds and what each reads of `extra`: KEY=NUMBER, separated by
 * semicolons or commas; a unit may follow the number, and keys that a kind does not use are not
 * read. */
#ifndef CELSLM_NET_RADIO_VECTORS_H
#define CELSLM_NET_RADIO_VECTORS_H

#include "base/error.h"

typedef struct celslm_vector {
  const char *id, *kind, *scenario, *state, *extra, *unit; /* "" where empty */
  const char *expected_text, *tol_text;
  double fc, d2d, h_bs, h_ut; /* GHz, m; NAN where empty */
  double expected, tol;       /* set by celslm_vector_check */
  const char *file;
  int line;
} celslm_vector;

typedef struct celslm_vectors {
  celslm_vector *rows;
  int n;
  char *text, *file; /* what the rows point into */
} celslm_vectors;

/* NULL (and *err filled) if it cannot be read or is not such a file. */
celslm_vectors *celslm_vectors_read(const char *file, celslm_error *err);
void celslm_vectors_free(celslm_vectors *v);

/* A number as these files write it: decimal, finite, nothing behind it. */
bool celslm_vector_number(const char *text, double *value);

/* Whether there is a model for this kind. */
bool celslm_vector_known(const celslm_vector *v);

/* Computes what a row of a known kind asks for, and reads what it expects. False (and *err filled)
 * if the row is not one of its kind. */
bool celslm_vector_check(celslm_vector *v, double *computed, celslm_error *err);

/* |computed - expected| <= tol, up to rounding. */
bool celslm_vector_met(const celslm_vector *v, double computed);

#endif
