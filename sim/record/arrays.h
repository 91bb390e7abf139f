/* arrays.h - a study on disk: arrays over axes, in HDF5.
 *
 * Every array has one value for each place of a grid; a dimension has one or more scales (HDF5
 * dimension scales: h5py's `dataset.dims`), which say what its places are. The file is a results
 * file of the format "celslm study": made with celslm_study_file_create, given provenance and
 * closed with the functions of record.h, and the same calls give the same bytes. */
#ifndef CELSLM_RECORD_ARRAYS_H
#define CELSLM_RECORD_ARRAYS_H

#include "record/record.h"

typedef struct celslm_scale {
  const char *name, *description, *units;
  int dimension;
  const double *values;     /* as many as the dimension is long; NULL: `texts` stand for them */
  const char *const *texts; /* as written; NULL: none */
} celslm_scale;

typedef struct celslm_array_grid {
  const int64_t *lengths; /* of the dimensions */
  const char *const *labels;
  int n_dimensions;
  const celslm_scale *scales;
  int n_scales;
} celslm_array_grid;

/* `virtual_tables`: celslm_study_file_link will be called. NULL on failure. */
celslm_results *celslm_study_file_create(const char *file, bool virtual_tables, celslm_error *err);
/* Writes /axes. Must come before the arrays. */
bool celslm_study_file_axes(celslm_results *r, const celslm_array_grid *g, celslm_error *err);
/* A group for arrays, such as "summary". */
bool celslm_study_file_group(celslm_results *r, const char *group, const char *description,
                             celslm_error *err);
/* One array over the first `n_dimensions` of the grid, last dimension fastest; `data` in the type
 * of the column. */
bool celslm_study_file_array(celslm_results *r, const char *group, const celslm_column *column,
                             const celslm_array_grid *g, int n_dimensions, const void *data,
                             celslm_error *err);
/* The same of strings. */
bool celslm_study_file_texts(celslm_results *r, const char *group, const char *name,
                             const char *description, const celslm_array_grid *g, int n_dimensions,
                             const char *const *texts, celslm_error *err);
/* A table whose columns are those of the same table in each of `parts` (results files, NULL: none),
 * one after the other: virtual datasets, no data are copied. Names of parts are as seen from the
 * file's folder, `open` the same from here. A further column `point` says which part a row is of.
 */
bool celslm_study_file_link(celslm_results *r, const char *table, const char *const *parts,
                            const char *const *open, int64_t n_parts, celslm_error *err);

/* Opens a study for reading: its provenance, and its arrays flat (celslm_study_file_values). */
celslm_reader *celslm_study_file_open(const char *file, celslm_error *err);
/* All values of an array such as "summary/ttft_mean", as doubles; *n is how many. Free with free().
 */
double *celslm_study_file_values(celslm_reader *r, const char *array, size_t *n, celslm_error *err);

#endif
