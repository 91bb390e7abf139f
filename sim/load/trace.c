/* trace.c - reading a trace file line by line, whatever its format. */
#include "load/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 1 << 20 };

/* One line without its end, in *line; 0: end of file, -1: failed. */
static int read_line(FILE *f, char **line, size_t *size, const char *file, int number,
                     celslm_error *err) {
  ssize_t n = getline(line, size, f);
  if (n < 0) {
    if (feof(f)) return 0;
    celslm_fail(err, file, number, "cannot be read: %s", strerror(errno));
    return -1;
  }
  if (n > LONGEST_LINE || memchr(*line, 0, (size_t)n)) {
    celslm_fail(err, file, number,
                "not a line of text; a trace is a text file with lines of up to %d bytes",
                LONGEST_LINE);
    return -1;
  }
  while (n && ((*line)[n - 1] == '\n' || (*line)[n - 1] == '\r')) (*line)[--n] = 0;
  return 1;
}

celslm_trace_row *celslm_trace_read(const char *file, const celslm_trace_format *format,
                                    int64_t limit, int64_t *rows, celslm_error *err) {
  celslm_trace_row *out = NULL;
  int64_t n = 0, size = 0;
  char *line = NULL;
  size_t line_size = 0;
  int number = 0, got = 1;
  FILE *f = fopen(file, "r");
  if (!f) {
    celslm_fail(err, file, 0, "cannot be opened: %s", strerror(errno));
    return NULL;
  }
  bool ok = true;
  if (format->header) {
    got = read_line(f, &line, &line_size, file, ++number, err);
    ok = got > 0 ? format->header(line, file, err)
                 : got == 0 && celslm_fail(err, file, 0, "the trace is empty");
  }
  while (ok && n < limit && (got = read_line(f, &line, &line_size, file, ++number, err)) > 0) {
    if (!line[0]) continue;
    if (n == size)
      out = celslm_realloc(out, (unsigned long)(size = size ? 2 * size : 1024), sizeof *out);
    ok = format->row(line, file, number, &out[n], err);
    if (ok && out[n].output == 0) continue;
    if (ok && n && out[n].time < out[n - 1].time)
      ok = celslm_fail(err, file, number, "earlier than the row before it; sort the trace by time");
    n++;
  }
  ok = ok && got >= 0;
  if (ok && !n) ok = celslm_fail(err, file, 0, "the trace has no rows");
  free(line);
  fclose(f);
  if (!ok) {
    free(out);
    return NULL;
  }
  double first = out[0].time;
  for (int64_t i = 0; i < n; i++) out[i].time -= first;
  *rows = n;
  return out;
}
