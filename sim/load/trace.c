/* trace.c - reading a trace file line by line, whatever its format. */
#include "load/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 1 << 20 };

const celslm_trace_format *const celslm_trace_formats[] = {
    &celslm_trace_azure,
    &celslm_trace_burstgpt,
    &celslm_trace_mooncake,
    NULL,
};

/* One line without its end, in `line` (LONGEST_LINE + 2 bytes); 0: end of file, -1: failed. */
static int read_line(FILE *f, char *line, const char *file, int number, celslm_error *err) {
  if (!fgets(line, LONGEST_LINE + 2, f)) {
    if (feof(f)) return 0;
    celslm_fail(err, file, number, "cannot be read: %s; give a file of lines of text",
                strerror(errno));
    return -1;
  }
  size_t n = strlen(line);
  bool whole = n && (line[n - 1] == '\n' || (feof(f) && n <= LONGEST_LINE));
  if (!whole) { /* too long, or a zero byte in it */
    celslm_fail(err, file, number,
                "not a line of text; a trace is a text file with lines of up to %d bytes",
                LONGEST_LINE);
    return -1;
  }
  while (n && (line[n - 1] == '\n' || line[n - 1] == '\r')) line[--n] = 0;
  return 1;
}

static bool read_rows(celslm_trace *t, FILE *f, char *line, const char *file,
                      const celslm_trace_format *format, int64_t limit, celslm_error *err) {
  int number = 0, got = 1;
  int64_t size = 0;
  if (format->header) {
    got = read_line(f, line, file, ++number, err);
    if (got < 0 || (got > 0 && !format->header(line, file, err))) return false;
  }
  while (got > 0 && t->n_rows < limit && (got = read_line(f, line, file, ++number, err)) > 0) {
    if (!line[0]) continue;
    if (t->n_rows == size)
      t->rows =
          celslm_realloc(t->rows, (unsigned long)(size = size ? 2 * size : 1024), sizeof *t->rows);
    celslm_trace_row *row = &t->rows[t->n_rows];
    *row = (celslm_trace_row){.first_id = t->n_ids};
    if (!format->row(line, file, number, t, row, err)) return false;
    row->n_ids = (int32_t)(t->n_ids - row->first_id);
    if (t->n_rows && row->time < row[-1].time)
      return celslm_fail(err, file, number,
                         "earlier than the row before it; sort the trace by time");
    if (row->output > 0)
      t->n_rows++;
    else
      t->n_ids = row->first_id;
  }
  if (got < 0) return false;
  if (number == 1 && !t->n_rows && (!format->header || got == 0))
    return celslm_fail(err, file, 0, "the trace is empty; give a file with one row per request");
  return t->n_rows || celslm_fail(err, file, 0, "the trace has no rows; give one per request");
}

celslm_trace *celslm_trace_read(const char *file, const celslm_trace_format *format, int32_t block,
                                int64_t limit, celslm_error *err) {
  FILE *f = fopen(file, "r");
  if (!f) {
    celslm_fail(err, file, 0, "cannot be opened: %s; give a readable file", strerror(errno));
    return NULL;
  }
  celslm_trace *t = celslm_alloc(1, sizeof *t);
  t->block = block;
  char *line = celslm_alloc(LONGEST_LINE + 2, 1);
  bool ok = read_rows(t, f, line, file, format, limit, err);
  free(line);
  fclose(f);
  if (!ok) {
    celslm_trace_free(t);
    return NULL;
  }
  double first = t->rows[0].time;
  for (int64_t i = 0; i < t->n_rows; i++) t->rows[i].time -= first;
  return t;
}

void celslm_trace_free(celslm_trace *t) {
  if (!t) return;
  free(t->rows);
  free(t->ids);
  free(t);
}
