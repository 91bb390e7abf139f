#include "record/arrays.h"

#include "record/hdf5_io.h"

#include <hdf5_hl.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIMENSIONS = H5S_MAX_RANK, CHUNK_BYTES = 1 << 20 };

celslm_results *celslm_study_file_create(const char *file, bool virtual_tables, celslm_error *err) {
  return celslm_results_create_as(file, CELSLM_FORMAT_STUDY, virtual_tables, err);
}

static bool say(hid_t object, const char *name, const char *text) {
  return celslm_hdf5_write_strings(object, name, &text, -1);
}

/* An untimed dataset; large ones are compressed in chunks that are whole in the last dimensions. */
static hid_t create(hid_t where, const char *name, hid_t type, const hsize_t *lengths, int n) {
  hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(n, lengths, NULL);
  H5Pset_obj_track_times(list, 0);
  hsize_t chunk[MAX_DIMENSIONS], bytes = H5Tget_size(type);
  for (int i = n - 1; i >= 0; i--) {
    hsize_t room = bytes < CHUNK_BYTES ? CHUNK_BYTES / bytes : 1;
    chunk[i] = lengths[i] < room ? lengths[i] : room;
    bytes *= chunk[i];
  }
  if (bytes >= 4096 && H5Tget_class(type) != H5T_STRING) {
    H5Pset_chunk(list, n, chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, 1);
  }
  hid_t data = H5Dcreate2(where, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
  H5Sclose(space);
  H5Pclose(list);
  return data;
}

/* ---- axes ------------------------------------------------------------------------------------ */

static bool write_scale(hid_t axes, const celslm_array_grid *g, const celslm_scale *s) {
  hsize_t length = (hsize_t)g->lengths[s->dimension];
  hid_t text = celslm_hdf5_string();
  hid_t data = create(axes, s->name, s->values ? H5T_IEEE_F64LE : text, &length, 1);
  bool ok = data >= 0 &&
            H5Dwrite(data, s->values ? H5T_NATIVE_DOUBLE : text, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                     s->values ? (const void *)s->values : (const void *)s->texts) >= 0 &&
            say(data, "description", s->description) && say(data, "units", s->units) &&
            H5DSset_scale(data, s->name) >= 0;
  if (data >= 0) H5Dclose(data);
  if (ok && s->values && s->texts) { /* too many for an attribute: a dataset beside it */
    char *name = celslm_format("%s_text", s->name);
    data = create(axes, name, text, &length, 1);
    ok = data >= 0 && H5Dwrite(data, text, H5S_ALL, H5S_ALL, H5P_DEFAULT, s->texts) >= 0 &&
         say(data, "description", "the same as written in the scenario");
    if (data >= 0) H5Dclose(data);
    free(name);
  }
  H5Tclose(text);
  return ok;
}

bool celslm_study_file_axes(celslm_results *r, const celslm_array_grid *g, celslm_error *err) {
  hid_t axes = celslm_hdf5_group(celslm_results_hdf5(r), "axes",
                                 "what changes along the dimensions of the arrays");
  bool ok = axes >= 0;
  for (int i = 0; ok && i < g->n_scales; i++) ok = write_scale(axes, g, &g->scales[i]);
  if (axes >= 0) H5Gclose(axes);
  return ok || celslm_results_failed(r, "/axes", err);
}

static bool attach(hid_t file, hid_t data, const celslm_array_grid *g, int n_dimensions) {
  bool ok = true;
  for (int d = 0; ok && d < n_dimensions; d++)
    ok = H5DSset_label(data, (unsigned)d, g->labels[d]) >= 0;
  for (int i = 0; ok && i < g->n_scales; i++) {
    if (g->scales[i].dimension >= n_dimensions) continue;
    char *path = celslm_format("axes/%s", g->scales[i].name);
    hid_t scale = H5Dopen2(file, path, H5P_DEFAULT);
    ok = scale >= 0 && H5DSattach_scale(data, scale, (unsigned)g->scales[i].dimension) >= 0;
    if (scale >= 0) H5Dclose(scale);
    free(path);
  }
  return ok;
}

/* ---- arrays ---------------------------------------------------------------------------------- */

bool celslm_study_file_group(celslm_results *r, const char *group, const char *description,
                             celslm_error *err) {
  hid_t made = celslm_hdf5_group(celslm_results_hdf5(r), group, description);
  if (made >= 0) H5Gclose(made);
  return made >= 0 || celslm_results_failed(r, group, err);
}

static bool write_array(celslm_results *r, const char *group, const char *name,
                        const char *description, const char *units, const celslm_array_grid *g,
                        int n_dimensions, hid_t stored, hid_t memory, const void *data,
                        celslm_error *err) {
  hsize_t lengths[MAX_DIMENSIONS];
  for (int d = 0; d < n_dimensions; d++) lengths[d] = (hsize_t)g->lengths[d];
  hid_t file = celslm_results_hdf5(r), where = H5Gopen2(file, group, H5P_DEFAULT);
  hid_t out = where < 0 ? H5I_INVALID_HID : create(where, name, stored, lengths, n_dimensions);
  bool ok = out >= 0 && H5Dwrite(out, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0 &&
            say(out, "units", units) && say(out, "description", description) &&
            attach(file, out, g, n_dimensions);
  if (out >= 0) H5Dclose(out);
  if (where >= 0) H5Gclose(where);
  return ok || celslm_results_failed(r, name, err);
}

bool celslm_study_file_array(celslm_results *r, const char *group, const celslm_column *column,
                             const celslm_array_grid *g, int n_dimensions, const void *data,
                             celslm_error *err) {
  return write_array(r, group, column->name, column->description, column->units, g, n_dimensions,
                     celslm_type_file(column->type), celslm_type_memory(column->type), data, err);
}

bool celslm_study_file_texts(celslm_results *r, const char *group, const char *name,
                             const char *description, const celslm_array_grid *g, int n_dimensions,
                             const char *const *texts, celslm_error *err) {
  hid_t type = celslm_hdf5_string();
  bool ok = write_array(r, group, name, description, "1", g, n_dimensions, type, type, texts, err);
  H5Tclose(type);
  return ok;
}

/* ---- virtual tables -------------------------------------------------------------------------- */

static bool link_column(hid_t group, const celslm_column *column, const char *table,
                        const char *const *parts, const uint64_t *rows, int64_t n_parts) {
  hsize_t total = 0, from = 0;
  for (int64_t i = 0; i < n_parts; i++) total += rows[i];
  hid_t list = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &total, NULL);
  H5Pset_obj_track_times(list, 0);
  char *path = celslm_format("/%s/%s", table, column->name);
  bool ok = true;
  for (int64_t i = 0; ok && i < n_parts; i++) {
    hsize_t count = rows[i];
    if (!count) continue;
    hid_t source = H5Screate_simple(1, &count, NULL);
    ok = H5Sselect_hyperslab(space, H5S_SELECT_SET, &from, NULL, &count, NULL) >= 0 &&
         H5Pset_virtual(list, space, parts[i], path, source) >= 0;
    H5Sclose(source);
    from += count;
  }
  H5Sselect_all(space);
  hid_t data = ok ? H5Dcreate2(group, column->name, celslm_type_file(column->type), space,
                               H5P_DEFAULT, list, H5P_DEFAULT)
                  : H5I_INVALID_HID;
  ok = data >= 0 && celslm_hdf5_write_strings(data, "units", &column->units, -1) &&
       celslm_hdf5_write_strings(data, "description", &column->description, -1);
  long n = 0;
  while (column->names && column->names[n]) n++;
  if (ok && column->names) ok = celslm_hdf5_write_strings(data, "names", column->names, n);
  if (data >= 0) H5Dclose(data);
  free(path);
  H5Sclose(space);
  H5Pclose(list);
  return ok;
}

static bool write_points(hid_t group, const uint64_t *rows, int64_t n_parts) {
  hsize_t total = 0, at = 0;
  for (int64_t i = 0; i < n_parts; i++) total += rows[i];
  uint32_t *points = celslm_alloc(total + 1, sizeof *points);
  for (int64_t i = 0; i < n_parts; i++)
    for (uint64_t k = 0; k < rows[i]; k++) points[at++] = (uint32_t)i;
  hid_t data = create(group, "point", H5T_STD_U32LE, &total, 1);
  bool ok = data >= 0 &&
            H5Dwrite(data, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, points) >= 0 &&
            say(data, "units", "1") && say(data, "description", "number of the point");
  if (data >= 0) H5Dclose(data);
  free(points);
  return ok;
}

bool celslm_study_file_link(celslm_results *r, const char *table, const char *const *parts,
                            const char *const *open, int64_t n_parts, celslm_error *err) {
  celslm_column *columns = NULL;
  size_t n_columns = 0;
  uint64_t *rows = celslm_alloc((unsigned long)n_parts, sizeof *rows);
  bool ok = true;
  for (int64_t i = 0; ok && i < n_parts; i++) { /* one file open at a time */
    if (!open[i]) continue;
    celslm_reader *part = celslm_reader_open(open[i], err);
    ok = part && celslm_reader_rows(part, table, &rows[i], err) &&
         (columns || (columns = celslm_reader_columns(part, table, &n_columns, err)));
    celslm_reader_close(part);
  }
  hid_t group = H5I_INVALID_HID;
  if (ok && columns) {
    group = celslm_hdf5_group(celslm_results_hdf5(r), table,
                              "rows of all points, linked from the files of the points");
    ok = group >= 0 && write_points(group, rows, n_parts);
    for (size_t i = 0; ok && i < n_columns; i++)
      ok = link_column(group, &columns[i], table, parts, rows, n_parts);
    if (!ok) celslm_results_failed(r, table, err);
    if (group >= 0) H5Gclose(group);
  }
  celslm_columns_free(columns, n_columns);
  free(rows);
  return ok;
}

/* ---- reading back ---------------------------------------------------------------------------- */

celslm_reader *celslm_study_file_open(const char *file, celslm_error *err) {
  return celslm_reader_open_as(file, CELSLM_FORMAT_STUDY, err);
}

double *celslm_study_file_values(celslm_reader *r, const char *array, size_t *n,
                                 celslm_error *err) {
  hid_t data = H5Dopen2(celslm_reader_hdf5(r), array, H5P_DEFAULT);
  hid_t space = data < 0 ? H5I_INVALID_HID : H5Dget_space(data);
  hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
  double *values = celslm_alloc(count > 0 ? (unsigned long)count : 1, sizeof *values);
  *n = count > 0 ? (size_t)count : 0;
  if (count < 0 || H5Dread(data, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
    celslm_fail(err, NULL, 0, "the study has no array %s, or it cannot be read", array);
    free(values);
    values = NULL;
  }
  if (space >= 0) H5Sclose(space);
  if (data >= 0) H5Dclose(data);
  return values;
}
