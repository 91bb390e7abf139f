/* concatenate.c - several results files of one layout become one, rows in the order of the parts.
 *
 * Reads a chunk of each column, puts the rows together again and appends them as any run would, so
 * memory does not depend on the number of rows. */
#include "record/record.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 16384 };

static bool same_names(const char *const *a, const char *const *b) {
  if (!a || !b) return a == b;
  while (*a && *b && strcmp(*a, *b) == 0) a++, b++;
  return !*a && !*b;
}

/* Checks that `part` has the columns of the first part. */
static bool same_columns(const char *part, const char *table, const celslm_column *a, size_t n_a,
                         const celslm_column *b, size_t n_b, celslm_error *err) {
  for (size_t i = 0; i < n_a && i < n_b; i++)
    if (strcmp(a[i].name, b[i].name) != 0 || a[i].type != b[i].type ||
        strcmp(a[i].units, b[i].units) != 0 || !same_names(a[i].names, b[i].names))
      return celslm_fail(err, part, 0,
                         "column \"%s\" of table \"%s\" differs from the first part's", b[i].name,
                         table);
  return n_a == n_b ||
         celslm_fail(err, part, 0, "table \"%s\" has %zu columns, the first part's %zu", table, n_b,
                     n_a);
}

/* Appends all rows of one table of one part. */
static bool copy_rows(celslm_reader *from, const char *table, const celslm_column *columns,
                      size_t n, celslm_table *to, celslm_error *err) {
  uint64_t rows;
  if (!celslm_reader_rows(from, table, &rows, err)) return false;
  size_t row_size = 0;
  for (size_t i = 0; i < n; i++) row_size += celslm_type_size(columns[i].type);
  uint64_t block = rows < BLOCK_ROWS ? rows : BLOCK_ROWS;
  unsigned char *row = celslm_alloc(block, row_size), *values = celslm_alloc(block, 8);
  bool ok = true;
  for (uint64_t first = 0; ok && first < rows; first += block) {
    uint64_t count = rows - first < block ? rows - first : block;
    for (size_t i = 0; ok && i < n; i++) {
      size_t size = celslm_type_size(columns[i].type);
      ok = celslm_reader_block(from, table, &columns[i], first, count, values, err);
      for (uint64_t j = 0; ok && j < count; j++)
        memcpy(row + j * row_size + columns[i].offset, values + j * size, size);
    }
    for (uint64_t j = 0; ok && j < count; j++) celslm_table_append(to, row + j * row_size);
  }
  free(values);
  free(row);
  return ok;
}

typedef struct source {
  const char *file;
  celslm_reader *reader;
} source;

/* One table of all parts. The columns are handed to the caller: they must outlive the table. */
static bool join_table(celslm_results *to, const char *table, const source *parts, int n_parts,
                       celslm_column **columns, size_t *n, celslm_error *err) {
  *columns = celslm_reader_columns(parts[0].reader, table, n, err);
  char *description = celslm_reader_description(parts[0].reader, table, err);
  celslm_table *out = NULL;
  if (*columns && description)
    out = celslm_results_table(to, table, description, *columns, *n, err);
  bool ok = out != NULL;
  for (int i = 0; ok && i < n_parts; i++) {
    size_t n_own;
    celslm_column *own = celslm_reader_columns(parts[i].reader, table, &n_own, err);
    ok = own && same_columns(parts[i].file, table, *columns, *n, own, n_own, err) &&
         copy_rows(parts[i].reader, table, *columns, *n, out, err);
    celslm_columns_free(own, n_own);
  }
  free(description);
  return ok;
}

static bool copy_provenance(celslm_results *to, celslm_reader *from, celslm_error *err) {
  char **names = celslm_reader_provenance_names(from, err);
  bool ok = names != NULL;
  for (char **name = names; ok && *name; name++) {
    char *text = celslm_reader_provenance(from, *name, err);
    ok = text && celslm_results_provenance(to, *name, text, err);
    free(text);
  }
  celslm_names_free(names);
  return ok;
}

static bool has(char *const *names, const char *name) {
  while (*names && strcmp(*names, name) != 0) names++;
  return *names != NULL;
}

/* Every part must have the tables of the first, and no other. */
static bool same_tables(const source *parts, int n_parts, char *const *tables, celslm_error *err) {
  bool ok = true;
  for (int i = 1; ok && i < n_parts; i++) {
    char **own = celslm_reader_tables(parts[i].reader, err);
    ok = own != NULL;
    for (char **name = own; ok && *name; name++)
      if (!has(tables, *name))
        ok = celslm_fail(err, parts[i].file, 0, "has a table \"%s\", the first part does not",
                         *name);
    celslm_names_free(own);
  }
  return ok;
}

static bool join_tables(celslm_results *to, const source *parts, int n_parts, celslm_error *err) {
  char **tables = celslm_reader_tables(parts[0].reader, err);
  size_t n = 0;
  while (tables && tables[n]) n++;
  celslm_column **columns = celslm_alloc(n, sizeof(celslm_column *));
  size_t *n_columns = celslm_alloc(n, sizeof *n_columns);
  bool ok = tables && same_tables(parts, n_parts, tables, err);
  for (size_t i = 0; ok && i < n; i++)
    ok = join_table(to, tables[i], parts, n_parts, &columns[i], &n_columns[i], err);
  ok = celslm_results_close(to, ok, false, err) && ok;
  for (size_t i = 0; i < n; i++) celslm_columns_free(columns[i], n_columns[i]);
  free(n_columns);
  free(columns);
  celslm_names_free(tables);
  return ok;
}

bool celslm_results_concatenate(const char *file, const char *const *parts, int n_parts,
                                celslm_error *err) {
  if (n_parts < 1) return celslm_fail(err, file, 0, "there are no parts to join");
  source *sources = celslm_alloc((unsigned long)n_parts, sizeof *sources);
  bool ok = true;
  for (int i = 0; ok && i < n_parts; i++) {
    sources[i].file = parts[i];
    sources[i].reader = celslm_reader_open(parts[i], err);
    ok = sources[i].reader != NULL;
  }
  celslm_results *to = ok ? celslm_results_create(file, err) : NULL;
  ok = to != NULL;
  if (ok && !copy_provenance(to, sources[0].reader, err)) {
    celslm_results_close(to, false, false, err);
    ok = false;
  }
  ok = ok && join_tables(to, sources, n_parts, err);
  for (int i = 0; i < n_parts; i++) celslm_reader_close(sources[i].reader);
  free(sources);
  return ok;
}
