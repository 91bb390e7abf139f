/* show_classes.c - the classes of requests in `celslm show`: a line each, a table per strategy. */
#include "cmd/figures.h"
#include "cmd/show.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *column, *heading;
  enum { NAME, COUNT, TIME, RATE } style;
} fields[] = {
    {"class", "class", NAME},
    {"tenant", "tenant", NAME},
    {"completed", "completed", COUNT},
    {"late", "late", COUNT},
    {"goodput", "goodput", RATE},
    {"served", "tokens", RATE},
    {"queueing_mean", "queueing", TIME},
    {"ttft_mean", "TTFT", TIME},
    {"ttft_p99", "p99", TIME},
    {"tpot_mean", "TPOT", TIME},
    {"e2e_mean", "E2E", TIME},
};
enum { FIELDS = sizeof fields / sizeof *fields };

static void write_name(char out[CELSLM_CELL], double value, char *const *names) {
  for (size_t i = 0; names[i]; i++)
    if ((double)i == value) {
      snprintf(out, CELSLM_CELL, "%s", names[i]);
      return;
    }
  snprintf(out, CELSLM_CELL, "%g", value);
}

static void write_cell(char out[CELSLM_CELL], size_t field, double value, char *const *names) {
  switch (fields[field].style) {
  case NAME:
    write_name(out, value, names);
    break;
  case COUNT:
    celslm_write_count(out, (int64_t)value);
    break;
  case TIME:
    celslm_write_scaled(out, value, celslm_times, CELSLM_TIMES);
    break;
  case RATE:
    celslm_write_digits(out, CELSLM_CELL - 2, value);
    strcat(out, "/s");
    if (isnan(value)) strcpy(out, "-");
    break;
  }
}

static void print_rows(double *const values[FIELDS], char **const names[2], size_t from,
                       size_t to) {
  char(*cells)[FIELDS][CELSLM_CELL] = celslm_alloc(to - from, sizeof *cells);
  int widths[FIELDS];
  for (size_t f = 0; f < FIELDS; f++) {
    widths[f] = (int)strlen(fields[f].heading);
    for (size_t i = from; i < to; i++) {
      write_cell(cells[i - from][f], f, values[f][i], f < 2 ? names[f] : NULL);
      int n = (int)strlen(cells[i - from][f]);
      if (n > widths[f]) widths[f] = n;
    }
  }
  for (size_t f = 0; f < FIELDS; f++)
    printf(f < 2 ? "%s%-*s" : "%s%*s", "  ", widths[f], fields[f].heading);
  putchar('\n');
  for (size_t i = from; i < to; i++) {
    for (size_t f = 0; f < FIELDS; f++)
      printf(f < 2 ? "%s%-*s" : "%s%*s", "  ", widths[f], cells[i - from][f]);
    putchar('\n');
  }
  free(cells);
}

bool celslm_show_classes(celslm_reader *from, celslm_error *err) {
  celslm_error none = {0};
  uint64_t rows;
  if (!celslm_reader_rows(from, "classes", &rows, &none) || rows == 0) return true;
  double *values[FIELDS] = {0}, *strategy = celslm_reader_column(from, "classes", "strategy", err);
  char **names[2] = {celslm_reader_names(from, "classes", "class", err),
                     celslm_reader_names(from, "classes", "tenant", err)};
  char **labels = celslm_reader_names(from, "classes", "strategy", err);
  bool ok = strategy && names[0] && names[1] && labels;
  for (size_t f = 0; f < FIELDS; f++)
    ok = ok && (values[f] = celslm_reader_column(from, "classes", fields[f].column, err)) != NULL;
  for (size_t i = 0, end; ok && i < rows; i = end) {
    for (end = i; end < rows && strategy[end] == strategy[i]; end++) continue;
    if (end - i < 2) continue;
    printf("\nclasses, %s\n", labels[(size_t)strategy[i]]);
    print_rows(values, names, i, end);
  }
  for (size_t f = 0; f < FIELDS; f++) free(values[f]);
  free(strategy);
  celslm_names_free(names[0]);
  celslm_names_free(names[1]);
  celslm_names_free(labels);
  return ok;
}
