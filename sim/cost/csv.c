/* csv.c - reading CSV tables (see csv.h). Quoting as in RFC 4180, but a cell ends with its line. */
#include "cost/csv.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static char *read_all(const char *file, celslm_error *err) {
  FILE *f = fopen(file, "rb");
  if (!f) {
    celslm_fail(err, file, 0, "cannot be read: %s; give a CSV file with a header line",
                strerror(errno));
    return NULL;
  }
  unsigned long room = 1 << 16, n = 0;
  char *text = celslm_alloc(room, 1);
  for (unsigned long got; (got = fread(text + n, 1, room - 1 - n, f)) > 0;) {
    n += got;
    if (n > CELSLM_CSV_MAX_BYTES) break;
    if (n == room - 1) text = celslm_realloc(text, room *= 2, 1);
  }
  bool ok = !ferror(f) && n <= CELSLM_CSV_MAX_BYTES;
  if (!ok)
    celslm_fail(err, file, 0,
                ferror(f) ? "cannot be read; give a CSV file with a header line"
                          : "is larger than 64 MiB; give a smaller table");
  else if (memchr(text, 0, n))
    ok = celslm_fail(err, file, 0, "has a zero byte; give a CSV file, which is text");
  fclose(f);
  text[n] = 0;
  if (ok) return text;
  free(text);
  return NULL;
}

/* Splits the line at `s` in place into at most `most` cells; *end is where the next line begins.
 * Returns how many cells there were, -1 if a quote is not closed. */
static int split(char *s, char **cells, int most, char **end) {
  int n = 0;
  for (;;) {
    while (*s == ' ' || *s == '\t') s++; /* blanks around a cell are not of it */
    char *to = s, *from = s;
    if (n < most) cells[n] = s;
    n++;
    if (*from == '"') {
      for (from++; *from != '"' || from[1] == '"'; from++) {
        if (*from == 0 || *from == '\n') return -1;
        if (*from == '"') from++;
        *to++ = *from;
      }
      from++;
    }
    while (*from && *from != ',' && *from != '\n') *to++ = *from++;
    char last = *from;
    while (to > s && isspace((unsigned char)to[-1])) to--;
    *to = 0;
    if (last != ',') {
      *end = last ? from + 1 : NULL;
      return n;
    }
    s = from + 1;
  }
}

static bool read_rows(celslm_csv *t, char *s, celslm_error *err) {
  int room = 0, most = 1;
  for (const char *c = s; *c && *c != '\n'; c++) most += *c == ',';
  t->names = celslm_alloc((unsigned long)most, sizeof *t->names);
  char *next;
  t->columns = split(s, t->names, most, &next);
  if (t->columns < 1 || !*t->names[0])
    return celslm_fail(err, t->file, 1, "no header; the first line must name the columns");
  for (int line = 2; next && *next; line++) {
    s = next;
    if (*s == '\n' || (*s == '\r' && s[1] == '\n')) { /* empty line */
      next = strchr(s, '\n') + 1;
      continue;
    }
    if (t->rows == room) {
      room = room ? 2 * room : 256;
      unsigned long more = (unsigned long)room;
      t->cells = celslm_realloc(t->cells, more * (unsigned long)t->columns, sizeof *t->cells);
      t->lines = celslm_realloc(t->lines, more, sizeof *t->lines);
    }
    int n = split(s, t->cells + (long)t->rows * t->columns, t->columns, &next);
    if (n < 0)
      return celslm_fail(err, t->file, line, "a quote is not closed; quote a cell as \"a, b\"");
    if (n != t->columns)
      return celslm_fail(err, t->file, line, "%d cells; the header has %d columns", n, t->columns);
    t->lines[t->rows++] = line;
  }
  return true;
}

celslm_csv *celslm_csv_open(const char *file, celslm_error *err) {
  char *text = read_all(file, err);
  if (!text) return NULL;
  celslm_csv *t = celslm_alloc(1, sizeof *t);
  t->file = celslm_strdup(file);
  t->text = text;
  bool marked = strncmp(text, "\xef\xbb\xbf", 3) == 0; /* a byte order mark */
  if (read_rows(t, text + (marked ? 3 : 0), err)) return t;
  celslm_csv_close(t);
  return NULL;
}

void celslm_csv_close(celslm_csv *t) {
  if (!t) return;
  free(t->file);
  free(t->names);
  free(t->cells);
  free(t->lines);
  free(t->text);
  free(t);
}

int celslm_csv_column(const celslm_csv *t, const char *name, celslm_error *err) {
  for (int i = 0; i < t->columns; i++)
    if (strcmp(t->names[i], name) == 0) return i;
  if (err) celslm_fail(err, t->file, 1, "no column \"%s\"; the header must have one", name);
  return -1;
}

bool celslm_csv_has_rows(const celslm_csv *t, celslm_error *err) {
  return t->rows > 0 ||
         celslm_fail(err, t->file, 0, "has no rows; give at least one below the header");
}

const char *celslm_csv_cell(const celslm_csv *t, int row, int column) {
  return column < 0 ? "" : t->cells[(long)row * t->columns + column];
}

/* "not published", as people write it */
static bool is_absent(const char *s) {
  static const char *const words[] = {"", "-", "na", "n/a", "nan", "none", "null", "?"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcasecmp(s, words[i]) == 0) return true;
  return false;
}

bool celslm_csv_number(const celslm_csv *t, int row, int column, double least, double most,
                       bool optional, double *value, celslm_error *err) {
  const char *s = celslm_csv_cell(t, row, column);
  char *end;
  if (optional && is_absent(s)) {
    *value = NAN;
    return true;
  }
  *value = strtod(s, &end);
  if (end == s || *end || !isfinite(*value))
    return celslm_fail(err, t->file, t->lines[row], "%s \"%s\" is no number; give a finite one",
                       t->names[column], s);
  if (*value < least || *value > most)
    return celslm_fail(err, t->file, t->lines[row], "%s %g is out of range; give %g to %g",
                       t->names[column], *value, least, most);
  return true;
}
