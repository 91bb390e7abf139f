/* record.h - results on disk: tables of rows, column by column in HDF5, and the provenance.
 *
 * Everything a run records is a table: one HDF5 group, one chunked and compressed dataset per
 * column, each with the attributes `units` and `description`. A row is a plain C struct; a column
 * names its field. Rows are appended and written chunk by chunk, so memory does not grow with them.
 *
 * One results file may hold several strategies of one scenario: every table then carries a
 * `strategy` column (u8) whose attribute `names` lists the labels (pass them to celslm_results_create).
 * Each strategy is run in a process of its own, which writes a part; celslm_results_concatenate
 * joins the parts in order.
 *
 * The file is written under `FILE.part` and renamed by celslm_results_close(..., true): what stands
 * under its final name is complete. Same rows, same bytes (times are not tracked, HDF5 1.8 format). */
#ifndef CELSLM_RECORD_RECORD_H
#define CELSLM_RECORD_RECORD_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum celslm_type { CELSLM_F64, CELSLM_I64, CELSLM_U32, CELSLM_U8 } celslm_type;

typedef struct celslm_column {
  const char *name, *units, *description; /* units "1" for counts */
  celslm_type type;
  size_t offset;            /* of the field in the row struct */
  const char *const *names; /* NULL-terminated: the values are indices of these; NULL: plain number */
} celslm_column;

typedef struct celslm_results celslm_results;
typedef struct celslm_table celslm_table;

/* Opens FILE.part for writing. NULL on failure. `file` is copied. */
celslm_results *celslm_results_create(const char *file, celslm_error *err);
/* One provenance entry: a string dataset /provenance/NAME. Nothing that differs between two equal runs. */
bool celslm_results_provenance(celslm_results *r, const char *name, const char *text, celslm_error *err);
/* A new table (HDF5 group path such as "requests"). `columns` must outlive the table. Owned by `r`. */
celslm_table *celslm_results_table(celslm_results *r, const char *path, const char *description,
                                   const celslm_column *columns, size_t n_columns, celslm_error *err);
/* Appends one row. Failures (a full disk) are kept and reported by celslm_results_close. */
void celslm_table_append(celslm_table *t, const void *row);
uint64_t celslm_table_rows(const celslm_table *t);
/* Closes everything. `complete`: rename to the final name; otherwise the .part file is removed
 * (keep_part false) or left behind as it is (keep_part true: an interrupted run). Frees `r`. */
bool celslm_results_close(celslm_results *r, bool complete, bool keep_part, celslm_error *err);

/* Joins the tables of `parts` (in order, same tables and columns in all) into `file`; provenance
 * from the first part. The parts are left in place. */
bool celslm_results_concatenate(const char *file, const char *const *parts, int n_parts, celslm_error *err);

/* ---- reading back (celslm show, tests, golden comparisons) ---- */
typedef struct celslm_reader celslm_reader;
celslm_reader *celslm_reader_open(const char *file, celslm_error *err); /* checks it is one of ours */
void celslm_reader_close(celslm_reader *r);
/* Rows of a table, 0 with an error if the table is missing. */
bool celslm_reader_rows(celslm_reader *r, const char *table, uint64_t *rows, celslm_error *err);
/* A whole column as doubles (u8, u32, i64 converted); caller frees. NULL on failure. */
double *celslm_reader_column(celslm_reader *r, const char *table, const char *column, celslm_error *err);
/* The names of an enumerated column; NULL-terminated array, freed with celslm_names_free. */
char **celslm_reader_names(celslm_reader *r, const char *table, const char *column, celslm_error *err);
void celslm_names_free(char **names);
char *celslm_reader_provenance(celslm_reader *r, const char *name, celslm_error *err); /* caller frees */

#endif
