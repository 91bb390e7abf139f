/* record.h - results on disk: tables of rows, column by column in HDF5, and the provenance.
 *
 * Everything a run records is a table: one HDF5 group, one chunked and compressed dataset per
 * column, each with the attributes `units` and `description`. A row is a plain C struct; a column
 * says where its field is. Rows are appended and written chunk by chunk, so memory does not grow with them.
 *
 * One results file may hold several strategies of one scenario: every table then carries a
 * `strategy` column (u8). A column whose values stand for names carries these as the attribute
 * `names`; labels known only at run time (strategies, engines, links ...) are filled in by copying
 * the column array and setting `names` before the table is made.
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
/* A new table (an HDF5 group of the root such as "requests"). `columns` must outlive the table.
 * Owned by `r`. */
celslm_table *celslm_results_table(celslm_results *r, const char *path, const char *description,
                                   const celslm_column *columns, size_t n_columns, celslm_error *err);
/* Appends one row. Failures (a full disk) are kept and reported by celslm_results_close. */
void celslm_table_append(celslm_table *t, const void *row);
uint64_t celslm_table_rows(const celslm_table *t);
/* Closes everything. `complete`: rename to the final name; otherwise the .part file is removed
 * (keep_part false) or left behind as it is (keep_part true: an interrupted run). Frees `r`. */
bool celslm_results_close(celslm_results *r, bool complete, bool keep_part, celslm_error *err);

/* Joins the tables of `parts` (in order, same tables and columns in all) into `file`; provenance
 * from the first part. The parts are left in place. While every table has fewer than 16,384 rows
 * (one chunk) the bytes are those of writing the same rows directly, provenance before tables. */
bool celslm_results_concatenate(const char *file, const char *const *parts, int n_parts, celslm_error *err);

/* ---- reading back (celslm show, tests, golden comparisons) ----------------------------------- */
typedef struct celslm_reader celslm_reader;
celslm_reader *celslm_reader_open(const char *file, celslm_error *err); /* checks it is one of ours */
void celslm_reader_close(celslm_reader *r); /* NULL is allowed */
/* The tables in the order they were made; NULL-terminated, freed with celslm_names_free. */
char **celslm_reader_tables(celslm_reader *r, celslm_error *err);
/* What a table says of itself; caller frees. */
char *celslm_reader_description(celslm_reader *r, const char *table, celslm_error *err);
/* The columns of a table in order, as they were given when it was made but for `offset`, which packs
 * the fields one after the other. Freed with celslm_columns_free. NULL on failure. */
celslm_column *celslm_reader_columns(celslm_reader *r, const char *table, size_t *n, celslm_error *err);
void celslm_columns_free(celslm_column *columns, size_t n);
size_t celslm_type_size(celslm_type type);
/* Rows of a table, 0 with an error if the table is missing. */
bool celslm_reader_rows(celslm_reader *r, const char *table, uint64_t *rows, celslm_error *err);
/* `count` values of a column from row `first` on, in the column's own type. */
bool celslm_reader_block(celslm_reader *r, const char *table, const celslm_column *column,
                         uint64_t first, uint64_t count, void *out, celslm_error *err);
/* A whole column as doubles (u8, u32, i64 converted); caller frees. NULL on failure. */
double *celslm_reader_column(celslm_reader *r, const char *table, const char *column, celslm_error *err);
/* The names of an enumerated column; NULL-terminated array, freed with celslm_names_free. */
char **celslm_reader_names(celslm_reader *r, const char *table, const char *column, celslm_error *err);
void celslm_names_free(char **names);
char *celslm_reader_provenance(celslm_reader *r, const char *name, celslm_error *err); /* caller frees */
char **celslm_reader_provenance_names(celslm_reader *r, celslm_error *err); /* celslm_names_free */

const char *celslm_results_library(void); /* version of HDF5, "1.10.8" */

#endif
