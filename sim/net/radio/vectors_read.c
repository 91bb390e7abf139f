/* vectors_read.c - the CSV side of vectors.h: RFC 4180, in UTF-8, at most 64 MiB. Fields are cut
 * out of the file's text in place. */
#include "net/radio/vectors.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 64, MAX_SIZE = 64 << 20 };

static const char *const columns[] = {"kind",   "scenario", "state", "fc_ghz",   "d2d_m", "h_bs_m",
                                      "h_ut_m", "extra",    "tol",   "expected", "id",    "unit"};
enum {
  KIND,
  SCENARIO,
  STATE,
  FC,
  D2D,
  H_BS,
  H_UT,
  EXTRA,
  TOL,
  EXPECTED,
  REQUIRED,
  ID = REQUIRED,
  UNIT,
  COLUMNS
};

/* ---- records --------------------------------------------------------------------------------- */

typedef struct cursor {
  char *p;
  const char *file;
  int line; /* of *p */
} cursor;

/* Ends the field at `end` and drops blanks around it. */
static const char *trim(char *field, char *end) {
  while (end > field && (end[-1] == ' ' || end[-1] == '\t')) end--;
  *end = 0;
  return field + strspn(field, " \t");
}

/* A field in quotes, from behind its first one; leaves the cursor behind its last one. */
static bool quoted(cursor *c, const char **field, celslm_error *err) {
  int began = c->line;
  char *to = c->p;
  *field = to;
  for (;; c->p++) {
    if (!*c->p)
      return celslm_fail(err, c->file, began, "a quoted field does not end; close it with \"");
    if (*c->p == '\n') c->line++;
    if (*c->p == '"') {
      if (c->p[1] != '"') break;
      c->p++;
    }
    *to++ = *c->p;
  }
  char *after = c->p + 1;
  after += strspn(after, " \t\r");
  if (*after && *after != ',' && *after != '\n')
    return celslm_fail(
        err, c->file, c->line,
        "text follows a closing quote; a quote inside a quoted field is written \"\"");
  *to = 0;
  c->p = after;
  return true;
}

/* Cuts one record; *n is how many fields it has (at most MAX_COLUMNS). */
static bool record(cursor *c, const char **fields, int *n, celslm_error *err) {
  for (*n = 0;;) {
    const char *field;
    if (*n == MAX_COLUMNS)
      return celslm_fail(err, c->file, c->line, "more than %d fields in a row", MAX_COLUMNS);
    char *start = c->p + strspn(c->p, " \t");
    if (*start == '"') {
      c->p = start + 1;
      if (!quoted(c, &field, err)) return false;
    } else {
      char *begin = c->p;
      c->p += strcspn(c->p, ",\n");
      char end = *c->p, *last = c->p;
      if (end != ',' && last > begin && last[-1] == '\r') last--;
      field = trim(begin, last); /* overwrites the separator: `end` keeps it */
      fields[(*n)++] = field;
      if (end) c->p++;
      if (end == '\n') c->line++;
      if (end != ',') return true;
      continue;
    }
    fields[(*n)++] = field;
    char end = *c->p;
    if (end) c->p++;
    if (end == '\n') c->line++;
    if (end != ',') return true;
  }
}

static bool blank(const char **fields, int n) {
  return n == 1 && !*fields[0];
}

/* ---- the header ------------------------------------------------------------------------------ */

static bool header(cursor *c, int at[COLUMNS], int *width, celslm_error *err) {
  const char *fields[MAX_COLUMNS];
  int line = c->line;
  if (!record(c, fields, width, err)) return false;
  for (int k = 0; k < COLUMNS; k++) {
    at[k] = -1;
    for (int i = 0; i < *width; i++) {
      if (strcmp(fields[i], columns[k]) != 0) continue;
      if (at[k] >= 0)
        return celslm_fail(err, c->file, line, "two columns are called %s", columns[k]);
      at[k] = i;
    }
    if (k < REQUIRED && at[k] < 0)
      return celslm_fail(err, c->file, line,
                         "no column is called %s; needed are kind, scenario, state, fc_ghz, d2d_m, "
                         "h_bs_m, h_ut_m, extra, expected, tol",
                         columns[k]);
  }
  return true;
}

/* ---- rows ------------------------------------------------------------------------------------ */

bool celslm_vector_number(const char *text, double *value) {
  if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
  char *end;
  *value = strtod(text, &end);
  return !*end && isfinite(*value);
}

/* What a known kind has in its columns of numbers; of others nothing is asked. */
static bool numbers(celslm_vector *v, const char **fields, const int *at, celslm_error *err) {
  double *const to[] = {&v->fc, &v->d2d, &v->h_bs, &v->h_ut};
  for (int k = FC; k <= H_UT; k++) {
    const char *text = fields[at[k]];
    *to[k - FC] = NAN;
    if (*text && !celslm_vector_number(text, to[k - FC]) && celslm_vector_known(v))
      return celslm_fail(err, v->file, v->line,
                         "%s is \"%.40s\"; give a finite decimal number, or leave it empty",
                         columns[k], text);
  }
  return true;
}

static bool rows(celslm_vectors *v, cursor *c, celslm_error *err) {
  int at[COLUMNS], width, room = 0;
  if (!header(c, at, &width, err)) return false;
  while (*c->p) {
    const char *fields[MAX_COLUMNS];
    int n, line = c->line;
    if (!record(c, fields, &n, err)) return false;
    if (blank(fields, n)) continue;
    if (n != width)
      return celslm_fail(err, v->file, line, "%d fields; the first line has %d", n, width);
    if (v->n == room) {
      room = room ? 2 * room : 256;
      v->rows = celslm_realloc(v->rows, (unsigned long)room, sizeof *v->rows);
    }
    celslm_vector *row = &v->rows[v->n++];
    *row = (celslm_vector){
        .id = at[ID] < 0 ? "" : fields[at[ID]],
        .unit = at[UNIT] < 0 ? "" : fields[at[UNIT]],
        .kind = fields[at[KIND]],
        .scenario = fields[at[SCENARIO]],
        .state = fields[at[STATE]],
        .extra = fields[at[EXTRA]],
        .expected_text = fields[at[EXPECTED]],
        .tol_text = fields[at[TOL]],
        .file = v->file,
        .line = line,
    };
    if (!*row->kind) return celslm_fail(err, v->file, line, "kind is empty; say what is checked");
    if (!numbers(row, fields, at, err)) return false;
  }
  return v->n || celslm_fail(err, v->file, 0, "no rows below the first line; give at least one");
}

/* ---- the file -------------------------------------------------------------------------------- */

/* The whole file with a 0 at its end. */
static char *slurp(const char *file, celslm_error *err) {
  FILE *f = fopen(file, "rb");
  if (!f) {
    celslm_fail(err, file, 0, "cannot be read: %s; give a CSV file", strerror(errno));
    return NULL;
  }
  char *text = NULL;
  size_t size = 0, got;
  do {
    text = celslm_realloc(text, size + 65537, 1);
    got = fread(text + size, 1, 65536, f);
    size += got;
  } while (got && size <= MAX_SIZE);
  text[size] = 0;
  bool ok = true;
  if (ferror(f))
    ok = celslm_fail(err, file, 0, "cannot be read: %s; give a CSV file", strerror(errno));
  else if (size > MAX_SIZE)
    ok = celslm_fail(err, file, 0, "larger than 64 MiB; split it");
  else if (strlen(text) != size)
    ok = celslm_fail(err, file, 0, "holds a zero byte; give a text file");
  else if (!size)
    ok = celslm_fail(err, file, 0, "empty; give a CSV file with a first line of names");
  fclose(f);
  if (ok) return text;
  free(text);
  return NULL;
}

celslm_vectors *celslm_vectors_read(const char *file, celslm_error *err) {
  char *text = slurp(file, err);
  if (!text) return NULL;
  celslm_vectors *v = celslm_alloc(1, sizeof *v);
  v->text = text;
  v->file = celslm_strdup(file);
  bool mark = strncmp(text, "\xef\xbb\xbf", 3) == 0; /* a byte order mark */
  cursor c = {text + (mark ? 3 : 0), v->file, 1};
  if (rows(v, &c, err)) return v;
  celslm_vectors_free(v);
  return NULL;
}

void celslm_vectors_free(celslm_vectors *v) {
  if (!v) return;
  free(v->rows);
  free(v->text);
  free(v->file);
  free(v);
}
