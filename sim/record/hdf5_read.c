/* hdf5_read.c - a results file read back: what tables and columns it has, and their values.
 *
 * A file that cannot be read is the user's to mend, so each way in which it can be wrong has a
 * sentence of its own: missing, empty, not HDF5, cut short, not ours, another version, no such
 * table or column. */
#include "record/hdf5_io.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct celslm_reader {
  char *file;
  hid_t h5;
};

/* ---- small pieces ---------------------------------------------------------------------------- */

typedef struct name_list {
  char **names;
  size_t n;
} name_list;

static void add_name(name_list *list, const char *name) {
  list->names = celslm_realloc(list->names, list->n + 2, sizeof(char *));
  list->names[list->n++] = celslm_strdup(name);
  list->names[list->n] = NULL;
}

void celslm_names_free(char **names) {
  for (char **name = names; name && *name; name++) free(*name);
  free(names);
}

static herr_t take_name(hid_t group, const char *name, const H5L_info_t *info, void *list) {
  (void)group, (void)info;
  add_name(list, name);
  return 0;
}

/* The members of a group in the order they were made (by name if the file does not know it). */
static char **members(hid_t group) {
  name_list list = {celslm_alloc(1, sizeof(char *)), 0};
  hsize_t at = 0;
  if (H5Literate(group, H5_INDEX_CRT_ORDER, H5_ITER_INC, &at, take_name, &list) < 0) {
    at = 0;
    H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &at, take_name, &list);
  }
  return list.names;
}

/* "a, b and c", for messages. */
static char *enumerate(char *const *names) {
  char *text = celslm_strdup(*names ? *names : "none");
  for (char *const *name = *names ? names + 1 : names; *name; name++) {
    char *longer = celslm_format("%s%s%s", text, name[1] ? ", " : " and ", *name);
    free(text);
    text = longer;
  }
  return text;
}

/* Fails with the list of what there is instead, which it frees. */
static void fail_with_list(celslm_reader *r, const char *what, char **names, celslm_error *err) {
  char *list = enumerate(names);
  celslm_fail(err, r->file, 0, "%s; there are %s", what, list);
  free(list);
  celslm_names_free(names);
}

/* Reads an attribute that holds strings (scalar or one-dimensional); NULL if there is none. */
static char **read_strings(hid_t object, const char *name) {
  if (H5Aexists(object, name) <= 0) return NULL;
  char **raw = NULL, **names = NULL;
  hid_t type = celslm_hdf5_string();
  hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
  hid_t stored = attribute < 0 ? H5I_INVALID_HID : H5Aget_type(attribute);
  hid_t space = attribute < 0 ? H5I_INVALID_HID : H5Aget_space(attribute);
  hssize_t n = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
  if (n < 0 || stored < 0 || H5Tget_class(stored) != H5T_STRING) goto out;
  raw = celslm_alloc((size_t)n + 1, sizeof *raw);
  if (H5Tis_variable_str(stored) <= 0 || (n && H5Aread(attribute, type, raw) < 0)) goto out;
  names = celslm_alloc((size_t)n + 1, sizeof *names);
  for (hssize_t i = 0; i < n; i++) names[i] = celslm_strdup(raw[i] ? raw[i] : "");
  if (n) H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw);
out:
  free(raw);
  if (space >= 0) H5Sclose(space);
  if (stored >= 0) H5Tclose(stored);
  if (attribute >= 0) H5Aclose(attribute);
  H5Tclose(type);
  return names;
}

static char *read_string(hid_t object, const char *name) {
  char **strings = read_strings(object, name);
  char *text = strings && strings[0] ? celslm_strdup(strings[0]) : NULL;
  celslm_names_free(strings);
  return text;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* True if the file opens as HDF5; says what is wrong with it otherwise. */
static bool open_file(celslm_reader *r, celslm_error *err) {
  struct stat status;
  if (stat(r->file, &status) != 0)
    return celslm_fail(err, r->file, 0, "cannot be read: %s", strerror(errno));
  if (S_ISDIR(status.st_mode))
    return celslm_fail(err, r->file, 0, "is a directory; give a results file");
  if (status.st_size == 0)
    return celslm_fail(err, r->file, 0, "is empty; the run that made it did not finish");
  celslm_hdf5_start();
  htri_t hdf5 = H5Fis_hdf5(r->file);
  char why[128];
  if (hdf5 < 0)
    return celslm_fail(err, r->file, 0, "cannot be read: %s",
                       celslm_hdf5_reason(why, sizeof why, "the HDF5 library cannot open it"));
  if (hdf5 == 0) return celslm_fail(err, r->file, 0, "is not an HDF5 file; give a results file");
  r->h5 = H5Fopen(r->file, H5F_ACC_RDONLY, H5P_DEFAULT);
  return r->h5 >= 0 || celslm_fail(err, r->file, 0,
                                   "is cut short or damaged: %" PRIdMAX " bytes are not the whole",
                                   (intmax_t)status.st_size);
}

static bool check_format(celslm_reader *r, const char *wanted, celslm_error *err) {
  char *format = read_string(r->h5, "format");
  bool ours = format && strcmp(format, wanted) == 0,
       study = format && strcmp(format, CELSLM_FORMAT_STUDY) == 0;
  free(format);
  if (study && !ours)
    return celslm_fail(err, r->file, 0,
                       "is a study of many runs, not one run; analysis/plot.py draws it, and "
                       "analysis/celslm_results.py opens it");
  if (!ours)
    return celslm_fail(err, r->file, 0,
                       "is an HDF5 file, but no results file of celslm (its root has no attribute "
                       "format=\"%s\")",
                       wanted);
  int64_t version = -1;
  hid_t attribute = H5Aopen(r->h5, "format_version", H5P_DEFAULT);
  if (attribute >= 0) {
    H5Aread(attribute, H5T_NATIVE_INT64, &version);
    H5Aclose(attribute);
  }
  return version == CELSLM_FORMAT_VERSION ||
         celslm_fail(err, r->file, 0,
                     "is of format version %" PRId64 "; this program reads version %d", version,
                     CELSLM_FORMAT_VERSION);
}

celslm_reader *celslm_reader_open(const char *file, celslm_error *err) {
  return celslm_reader_open_as(file, CELSLM_FORMAT, err);
}

celslm_reader *celslm_reader_open_as(const char *file, const char *format, celslm_error *err) {
  celslm_reader *r = celslm_alloc(1, sizeof *r);
  r->file = celslm_strdup(file);
  r->h5 = H5I_INVALID_HID;
  if (open_file(r, err) && check_format(r, format, err)) return r;
  celslm_reader_close(r);
  return NULL;
}

hid_t celslm_reader_hdf5(celslm_reader *r) {
  return r->h5;
}

void celslm_reader_close(celslm_reader *r) {
  if (!r) return;
  if (r->h5 >= 0) H5Fclose(r->h5);
  free(r->file);
  free(r);
}

char *celslm_reader_provenance(celslm_reader *r, const char *name, celslm_error *err) {
  char *raw = NULL, *text = NULL;
  hid_t data = H5I_INVALID_HID, space = H5I_INVALID_HID, type = celslm_hdf5_string();
  hid_t group = H5Gopen2(r->h5, CELSLM_PROVENANCE, H5P_DEFAULT);
  if (group < 0) {
    celslm_fail(err, r->file, 0, "there is no provenance in it");
    goto out;
  }
  if (H5Lexists(group, name, H5P_DEFAULT) <= 0) {
    char *what = celslm_format("there is no provenance \"%s\"", name);
    fail_with_list(r, what, members(group), err);
    free(what);
    goto out;
  }
  data = H5Dopen2(group, name, H5P_DEFAULT);
  space = data < 0 ? H5I_INVALID_HID : H5Dget_space(data);
  if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 ||
      H5Dread(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &raw) < 0) {
    celslm_fail(err, r->file, 0, "provenance \"%s\" cannot be read: the file is damaged", name);
    goto out;
  }
  text = celslm_strdup(raw ? raw : "");
  if (raw) H5Dvlen_reclaim(type, space, H5P_DEFAULT, &raw);
out:
  if (space >= 0) H5Sclose(space);
  if (data >= 0) H5Dclose(data);
  if (group >= 0) H5Gclose(group);
  H5Tclose(type);
  return text;
}

char **celslm_reader_provenance_names(celslm_reader *r, celslm_error *err) {
  hid_t group = H5Gopen2(r->h5, CELSLM_PROVENANCE, H5P_DEFAULT);
  if (group < 0) return celslm_fail(err, r->file, 0, "there is no provenance in it"), NULL;
  char **names = members(group);
  H5Gclose(group);
  return names;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* The members of the root that are tables. */
static char **table_names(const celslm_reader *r) {
  char **names = members(r->h5);
  size_t kept = 0;
  for (size_t i = 0; names[i]; i++)
    if (strcmp(names[i], CELSLM_PROVENANCE) == 0)
      free(names[i]);
    else
      names[kept++] = names[i];
  names[kept] = NULL;
  return names;
}

char **celslm_reader_tables(celslm_reader *r, celslm_error *err) {
  (void)err; /* a file that is open has them */
  return table_names(r);
}

static hid_t open_table(celslm_reader *r, const char *table, celslm_error *err) {
  hid_t group = H5I_INVALID_HID;
  if (H5Lexists(r->h5, table, H5P_DEFAULT) > 0) group = H5Gopen2(r->h5, table, H5P_DEFAULT);
  if (group < 0) {
    char *what = celslm_format("there is no table \"%s\"", table);
    fail_with_list(r, what, table_names(r), err);
    free(what);
  }
  return group;
}

/* The dataset of a column and its number of rows; negative on failure. */
static hid_t open_column(celslm_reader *r, const char *table, const char *column, hsize_t *rows,
                         celslm_error *err) {
  hid_t group = open_table(r, table, err);
  if (group < 0) return group;
  hid_t data = H5I_INVALID_HID, space = H5I_INVALID_HID;
  if (H5Lexists(group, column, H5P_DEFAULT) > 0) {
    data = H5Dopen2(group, column, H5P_DEFAULT);
    space = data < 0 ? H5I_INVALID_HID : H5Dget_space(data);
    if (space < 0 || H5Sget_simple_extent_ndims(space) != 1 ||
        H5Sget_simple_extent_dims(space, rows, NULL) != 1) {
      celslm_fail(err, r->file, 0, "column \"%s\" of table \"%s\" is not one of celslm", column,
                  table);
      if (data >= 0) H5Dclose(data);
      data = H5I_INVALID_HID;
    }
    if (space >= 0) H5Sclose(space);
  } else {
    char *what = celslm_format("table \"%s\" has no column \"%s\"", table, column);
    fail_with_list(r, what, members(group), err);
    free(what);
  }
  H5Gclose(group);
  return data;
}

bool celslm_reader_rows(celslm_reader *r, const char *table, uint64_t *rows, celslm_error *err) {
  *rows = 0;
  hid_t group = open_table(r, table, err);
  if (group < 0) return false;
  char **names = members(group);
  H5Gclose(group);
  hsize_t n = 0;
  hid_t data = H5I_INVALID_HID;
  if (names[0])
    data = open_column(r, table, names[0], &n, err);
  else
    celslm_fail(err, r->file, 0, "table \"%s\" has no columns", table);
  celslm_names_free(names);
  if (data < 0) return false;
  H5Dclose(data);
  *rows = n;
  return true;
}

static bool fail_damaged(celslm_reader *r, const char *table, const char *column,
                         celslm_error *err) {
  return celslm_fail(err, r->file, 0,
                     "column \"%s\" of table \"%s\" cannot be read: the file is damaged", column,
                     table);
}

double *celslm_reader_column(celslm_reader *r, const char *table, const char *column,
                             celslm_error *err) {
  hsize_t rows;
  hid_t data = open_column(r, table, column, &rows, err);
  if (data < 0) return NULL;
  double *values = celslm_alloc(rows, sizeof *values);
  if (rows && H5Dread(data, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
    fail_damaged(r, table, column, err);
    free(values);
    values = NULL;
  }
  H5Dclose(data);
  return values;
}

bool celslm_reader_block(celslm_reader *r, const char *table, const celslm_column *column,
                         uint64_t first, uint64_t count, void *out, celslm_error *err) {
  hsize_t rows, start = first, length = count;
  hid_t data = open_column(r, table, column->name, &rows, err);
  if (data < 0) return false;
  hid_t memory = H5Screate_simple(1, &length, NULL), space = H5Dget_space(data);
  bool ok = memory >= 0 && space >= 0 && first + count <= rows &&
            H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &length, NULL) >= 0 &&
            H5Dread(data, celslm_type_memory(column->type), memory, space, H5P_DEFAULT, out) >= 0;
  if (!ok) fail_damaged(r, table, column->name, err);
  if (space >= 0) H5Sclose(space);
  if (memory >= 0) H5Sclose(memory);
  H5Dclose(data);
  return ok;
}

char **celslm_reader_names(celslm_reader *r, const char *table, const char *column,
                           celslm_error *err) {
  hsize_t rows;
  hid_t data = open_column(r, table, column, &rows, err);
  if (data < 0) return NULL;
  char **names = read_strings(data, "names");
  if (!names)
    celslm_fail(err, r->file, 0,
                "column \"%s\" of table \"%s\" has no names: it holds plain numbers", column,
                table);
  H5Dclose(data);
  return names;
}

char *celslm_reader_description(celslm_reader *r, const char *table, celslm_error *err) {
  hid_t group = open_table(r, table, err);
  if (group < 0) return NULL;
  char *text = read_string(group, "description");
  H5Gclose(group);
  return text ? text : celslm_strdup("");
}

static celslm_type type_of(hid_t data) {
  hid_t stored = H5Dget_type(data);
  celslm_type type = CELSLM_F64;
  if (H5Tequal(stored, H5T_STD_U8LE) > 0) type = CELSLM_U8;
  if (H5Tequal(stored, H5T_STD_U32LE) > 0) type = CELSLM_U32;
  if (H5Tequal(stored, H5T_STD_I64LE) > 0) type = CELSLM_I64;
  H5Tclose(stored);
  return type;
}

void celslm_columns_free(celslm_column *columns, size_t n) {
  for (size_t i = 0; columns && i < n; i++) {
    free((char *)columns[i].name);
    free((char *)columns[i].units);
    free((char *)columns[i].description);
    celslm_names_free((char **)columns[i].names);
  }
  free(columns);
}

celslm_column *celslm_reader_columns(celslm_reader *r, const char *table, size_t *n,
                                     celslm_error *err) {
  *n = 0;
  hid_t group = open_table(r, table, err);
  if (group < 0) return NULL;
  char **names = members(group);
  H5Gclose(group);
  size_t count = 0, offset = 0;
  while (names[count]) count++;
  celslm_column *columns = celslm_alloc(count, sizeof *columns);
  for (size_t i = 0; i < count; i++) {
    hsize_t rows;
    hid_t data = open_column(r, table, names[i], &rows, err);
    if (data < 0) {
      celslm_columns_free(columns, count);
      celslm_names_free(names);
      return NULL;
    }
    char *units = read_string(data, "units"), *description = read_string(data, "description");
    celslm_column column = {.name = celslm_strdup(names[i]),
                            .units = units ? units : celslm_strdup("1"),
                            .description = description ? description : celslm_strdup(""),
                            .type = type_of(data),
                            .offset = offset,
                            .names = (const char *const *)read_strings(data, "names")};
    offset += celslm_type_size(column.type);
    columns[i] = column;
    H5Dclose(data);
  }
  celslm_names_free(names);
  *n = count;
  return columns;
}
