/* hdf5_write.c - tables of rows become columns of an HDF5 file.
 *
 * A table collects rows in memory until it has one chunk (16,384 rows), then writes the chunk of
 * each column: shuffled, gzip 1. So memory is one chunk of rows per table and one chunk per open
 * column in the library's cache, however many rows come. Groups remember the order in which their
 * columns were made. Nothing in the file depends on time, machine or memory contents: times are not
 * tracked and the format is held at HDF5 1.8, so the same calls give the same bytes. */
#include "record/hdf5_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct celslm_table {
  celslm_results *owner;
  const celslm_column *columns;
  size_t n_columns;
  hid_t *data;         /* one dataset per column */
  size_t row_size;     /* up to the end of the last column's field */
  unsigned char *rows; /* those not yet written */
  size_t n_rows, capacity;
  uint64_t written;
};

struct celslm_results {
  char *file, *part;
  hid_t h5, provenance;
  celslm_table **tables;
  size_t n_tables;
  void *scratch;        /* one chunk of one column */
  celslm_error failure; /* the first write that failed; nothing is written after it */
};

/* ---- the library ----------------------------------------------------------------------------- */

void celslm_hdf5_start(void) {
  H5dont_atexit(); /* refused if the library runs already: then its user has decided */
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

typedef struct reason {
  char *text;
  size_t size;
} reason;

/* The library quotes strerror() in its innermost message: ..., error message = 'No space left', ...
 */
static herr_t find_reason(unsigned n, const H5E_error2_t *e, void *data) {
  (void)n;
  static const char mark[] = "error message = '";
  reason *why = data;
  const char *from = e->desc ? strstr(e->desc, mark) : NULL;
  if (!from || why->text[0]) return 0;
  from += sizeof mark - 1;
  snprintf(why->text, why->size, "%.*s", (int)strcspn(from, "'"), from);
  return 0;
}

const char *celslm_hdf5_reason(char *text, size_t size, const char *otherwise) {
  reason why = {text, size};
  text[0] = 0;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, find_reason, &why);
  if (!text[0]) snprintf(text, size, "%s", otherwise);
  return text;
}

hid_t celslm_hdf5_string(void) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

hid_t celslm_hdf5_column_access(celslm_type type) {
  hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
  H5Pset_chunk_cache(access, 1, CELSLM_CHUNK_ROWS * celslm_type_size(type), 1.0);
  return access;
}

size_t celslm_type_size(celslm_type type) {
  return type == CELSLM_U8 ? 1 : type == CELSLM_U32 ? 4 : 8;
}

hid_t celslm_type_memory(celslm_type type) {
  switch (type) {
  case CELSLM_U8:
    return H5T_NATIVE_UINT8;
  case CELSLM_U32:
    return H5T_NATIVE_UINT32;
  case CELSLM_I64:
    return H5T_NATIVE_INT64;
  case CELSLM_F64:
    break;
  }
  return H5T_NATIVE_DOUBLE;
}

hid_t celslm_type_file(celslm_type type) {
  switch (type) {
  case CELSLM_U8:
    return H5T_STD_U8LE;
  case CELSLM_U32:
    return H5T_STD_U32LE;
  case CELSLM_I64:
    return H5T_STD_I64LE;
  case CELSLM_F64:
    break;
  }
  return H5T_IEEE_F64LE;
}

/* Hands on a failure that is already in words. */
static bool pass_on(celslm_error *err, const celslm_error *failure) {
  if (err && !err->text[0]) *err = *failure;
  return false;
}

static bool close_if(hid_t id, herr_t (*close_it)(hid_t)) {
  return id < 0 || close_it(id) >= 0;
}

/* An attribute holding `n` strings, or one string if `n` is -1. */
bool celslm_hdf5_write_strings(hid_t object, const char *name, const char *const *strings, long n) {
  hsize_t length = n < 0 ? 1 : (hsize_t)n;
  hid_t type = celslm_hdf5_string();
  hid_t space = n < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &length, NULL);
  hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  bool ok = attribute >= 0 && (n == 0 || H5Awrite(attribute, type, strings) >= 0);
  ok = close_if(attribute, H5Aclose) && ok;
  close_if(space, H5Sclose);
  close_if(type, H5Tclose);
  return ok;
}

static bool write_string(hid_t object, const char *name, const char *string) {
  return celslm_hdf5_write_strings(object, name, &string, -1);
}

static bool write_version(hid_t object) {
  const int64_t version = CELSLM_FORMAT_VERSION;
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t attribute =
      H5Acreate2(object, "format_version", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
  bool ok = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_INT64, &version) >= 0;
  ok = close_if(attribute, H5Aclose) && ok;
  close_if(space, H5Sclose);
  return ok;
}

hid_t celslm_hdf5_group(hid_t where, const char *name, const char *description) {
  hid_t list = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(list, 0);
  H5Pset_link_creation_order(list, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  hid_t group = H5Gcreate2(where, name, H5P_DEFAULT, list, H5P_DEFAULT);
  if (group >= 0 && !write_string(group, "description", description)) {
    H5Gclose(group);
    group = H5I_INVALID_HID;
  }
  H5Pclose(list);
  return group;
}

/* ---- the file -------------------------------------------------------------------------------- */

/* Says in plain words why FILE.part cannot be written, before the library tries. */
static bool writable(const char *file, const char *part, celslm_error *err) {
  int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0 && errno == ENOENT) {
    const char *slash = strrchr(file, '/');
    int n = slash ? (int)(slash - file) : 0;
    return celslm_fail(err, file, 0, "the directory %.*s does not exist; create it first", n, file);
  }
  if (fd < 0) return celslm_fail(err, file, 0, "cannot be written: %s", strerror(errno));
  bool free_to_use = flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
  close(fd);
  return free_to_use || celslm_fail(err, file, 0, "another run is writing it (%s is in use)", part);
}

static void free_results(celslm_results *r) {
  free(r->scratch);
  free(r->tables);
  free(r->part);
  free(r->file);
  free(r);
}

celslm_results *celslm_results_create(const char *file, celslm_error *err) {
  return celslm_results_create_as(file, CELSLM_FORMAT, false, err);
}

celslm_results *celslm_results_create_as(const char *file, const char *format, bool virtual_tables,
                                         celslm_error *err) {
  celslm_results *r = celslm_alloc(1, sizeof *r);
  r->file = celslm_strdup(file);
  r->part = celslm_format("%s.part", file);
  r->scratch = celslm_alloc(CELSLM_CHUNK_ROWS, 8);
  r->h5 = r->provenance = H5I_INVALID_HID;
  if (!writable(file, r->part, err)) {
    free_results(r);
    return NULL;
  }
  celslm_hdf5_start();
  hid_t creation = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_obj_track_times(creation, 0);
  H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  H5F_libver_t version = virtual_tables ? H5F_LIBVER_V110 : H5F_LIBVER_V18;
  H5Pset_libver_bounds(access, version, version);
  r->h5 = H5Fcreate(r->part, H5F_ACC_TRUNC, creation, access);
  bool ok = r->h5 >= 0 && write_string(r->h5, "format", format) && write_version(r->h5);
  if (ok) {
    r->provenance = celslm_hdf5_group(r->h5, CELSLM_PROVENANCE, "what made this file");
    ok = r->provenance >= 0;
  }
  H5Pclose(creation);
  H5Pclose(access);
  if (!ok) {
    char why[128];
    celslm_fail(err, file, 0, "cannot be written: %s",
                celslm_hdf5_reason(why, sizeof why, "the HDF5 library cannot create it"));
    celslm_results_close(r, false, false, NULL);
    return NULL;
  }
  return r;
}

hid_t celslm_results_hdf5(celslm_results *r) {
  return r->h5;
}

bool celslm_results_failed(celslm_results *r, const char *what, celslm_error *err) {
  char why[128];
  return celslm_fail(err, r->file, 0, "%s cannot be written: %s", what,
                     celslm_hdf5_reason(why, sizeof why, "the HDF5 library refuses it"));
}

bool celslm_results_provenance(celslm_results *r, const char *name, const char *text,
                               celslm_error *err) {
  if (r->failure.text[0]) return pass_on(err, &r->failure);
  if (H5Lexists(r->provenance, name, H5P_DEFAULT) > 0)
    return celslm_fail(err, r->file, 0, "provenance \"%s\" is given twice", name);
  hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(list, 0);
  hid_t type = celslm_hdf5_string(), space = H5Screate(H5S_SCALAR);
  hid_t data = H5Dcreate2(r->provenance, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
  bool ok = data >= 0 && H5Dwrite(data, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &text) >= 0;
  char why[128];
  if (!ok)
    celslm_fail(err, r->file, 0, "provenance \"%s\" cannot be written: %s", name,
                celslm_hdf5_reason(why, sizeof why, "the HDF5 library refuses it"));
  close_if(data, H5Dclose);
  close_if(space, H5Sclose);
  close_if(type, H5Tclose);
  close_if(list, H5Pclose);
  return ok;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* The empty dataset of one column with all that is said about it; negative on failure. */
static hid_t create_column(hid_t group, const celslm_column *column) {
  const hsize_t none = 0, unlimited = H5S_UNLIMITED, chunk = CELSLM_CHUNK_ROWS;
  hid_t list = H5Pcreate(H5P_DATASET_CREATE), access = celslm_hdf5_column_access(column->type);
  hid_t space = H5Screate_simple(1, &none, &unlimited);
  H5Pset_obj_track_times(list, 0);
  H5Pset_chunk(list, 1, &chunk);
  H5Pset_shuffle(list);
  H5Pset_deflate(list, 1);
  hid_t data = H5Dcreate2(group, column->name, celslm_type_file(column->type), space, H5P_DEFAULT,
                          list, access);
  bool ok = data >= 0 && write_string(data, "units", column->units) &&
            write_string(data, "description", column->description);
  if (ok && column->names) {
    long n = 0;
    while (column->names[n]) n++;
    ok = celslm_hdf5_write_strings(data, "names", column->names, n);
  }
  if (!ok) {
    close_if(data, H5Dclose);
    data = H5I_INVALID_HID;
  }
  close_if(space, H5Sclose);
  close_if(access, H5Pclose);
  close_if(list, H5Pclose);
  return data;
}

static void free_table(celslm_table *t) {
  free(t->rows);
  free(t->data);
  free(t);
}

celslm_table *celslm_results_table(celslm_results *r, const char *path, const char *description,
                                   const celslm_column *columns, size_t n_columns,
                                   celslm_error *err) {
  while (*path == '/') path++;
  if (r->failure.text[0]) return pass_on(err, &r->failure), NULL;
  if (!*path || strchr(path, '/'))
    return celslm_fail(err, r->file, 0, "\"%s\" is no name for a table", path), NULL;
  if (H5Lexists(r->h5, path, H5P_DEFAULT) > 0)
    return celslm_fail(err, r->file, 0, "table \"%s\" is made twice", path), NULL;
  celslm_table *t = celslm_alloc(1, sizeof *t);
  t->owner = r;
  t->columns = columns;
  t->data = celslm_alloc(n_columns, sizeof *t->data);
  hid_t group = celslm_hdf5_group(r->h5, path, description);
  bool ok = group >= 0;
  for (size_t i = 0; ok && i < n_columns; i++) {
    t->data[i] = create_column(group, &columns[i]);
    ok = t->data[i] >= 0;
    t->n_columns += ok;
    size_t end = columns[i].offset + celslm_type_size(columns[i].type);
    if (end > t->row_size) t->row_size = end;
  }
  close_if(group, H5Gclose);
  if (!ok) {
    char why[128];
    celslm_fail(err, r->file, 0, "table \"%s\" cannot be made: %s", path,
                celslm_hdf5_reason(why, sizeof why, "the HDF5 library refuses it"));
    for (size_t i = 0; i < t->n_columns; i++) H5Dclose(t->data[i]);
    free_table(t);
    return NULL;
  }
  r->tables = celslm_realloc(r->tables, r->n_tables + 1, sizeof(celslm_table *));
  r->tables[r->n_tables++] = t;
  return t;
}

/* Copies one field out of every row into a dense array. */
static void gather(const celslm_table *t, const celslm_column *column, void *out) {
  const unsigned char *from = t->rows + column->offset;
  size_t size = celslm_type_size(column->type);
  if (size == 8)
    for (size_t i = 0; i < t->n_rows; i++) memcpy((uint64_t *)out + i, from + i * t->row_size, 8);
  else if (size == 4)
    for (size_t i = 0; i < t->n_rows; i++) memcpy((uint32_t *)out + i, from + i * t->row_size, 4);
  else
    for (size_t i = 0; i < t->n_rows; i++) ((uint8_t *)out)[i] = from[i * t->row_size];
}

/* Writes the waiting rows behind those already in the file. */
static void flush(celslm_table *t) {
  celslm_results *r = t->owner;
  hsize_t first = t->written, count = t->n_rows, total = first + count;
  t->written = total;
  if (count == 0 || r->failure.text[0]) {
    t->n_rows = 0;
    return;
  }
  hid_t memory = H5Screate_simple(1, &count, NULL);
  bool ok = memory >= 0;
  for (size_t i = 0; ok && i < t->n_columns; i++) {
    gather(t, &t->columns[i], r->scratch);
    ok = H5Dset_extent(t->data[i], &total) >= 0;
    hid_t space = ok ? H5Dget_space(t->data[i]) : H5I_INVALID_HID;
    ok = ok && H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, NULL, &count, NULL) >= 0 &&
         H5Dwrite(t->data[i], celslm_type_memory(t->columns[i].type), memory, space, H5P_DEFAULT,
                  r->scratch) >= 0;
    char why[128];
    if (!ok)
      celslm_fail(&r->failure, r->file, 0, "cannot be written: %s",
                  celslm_hdf5_reason(why, sizeof why, "the HDF5 library failed"));
    close_if(space, H5Sclose);
  }
  close_if(memory, H5Sclose);
  t->n_rows = 0;
}

void celslm_table_append(celslm_table *t, const void *row) {
  if (t->n_rows == t->capacity) {
    t->capacity = t->capacity ? t->capacity * 2 : 64;
    t->rows = celslm_realloc(t->rows, t->capacity, t->row_size);
  }
  memcpy(t->rows + t->n_rows * t->row_size, row, t->row_size);
  if (++t->n_rows == CELSLM_CHUNK_ROWS) flush(t);
}

uint64_t celslm_table_rows(const celslm_table *t) {
  return t->written + t->n_rows;
}

bool celslm_results_close(celslm_results *r, bool complete, bool keep_part, celslm_error *err) {
  bool ok = true;
  for (size_t i = 0; i < r->n_tables; i++) flush(r->tables[i]);
  for (size_t i = 0; i < r->n_tables; i++) {
    celslm_table *t = r->tables[i];
    for (size_t j = 0; j < t->n_columns; j++) ok = close_if(t->data[j], H5Dclose) && ok;
    free_table(t);
  }
  ok = close_if(r->provenance, H5Gclose) && ok;
  ok = close_if(r->h5, H5Fclose) && ok;
  char why[128];
  if (!ok)
    celslm_fail(&r->failure, r->file, 0, "cannot be written: %s",
                celslm_hdf5_reason(why, sizeof why, "the HDF5 library cannot close it"));
  if (!r->failure.text[0] && complete && rename(r->part, r->file) != 0)
    celslm_fail(&r->failure, r->file, 0, "cannot be put in place: %s", strerror(errno));
  ok = !r->failure.text[0];
  if (!ok) pass_on(err, &r->failure);
  if (!keep_part && (!ok || !complete)) unlink(r->part);
  free_results(r);
  return ok;
}

const char *celslm_results_library(void) {
  return H5_VERS_INFO + strlen("HDF5 library version: ");
}
