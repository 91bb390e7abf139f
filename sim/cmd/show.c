/* show.c - `celslm show R.h5`: what a run found, one column per strategy.
 *
 * The rows are one table below (label, how to write it, which field of /summary); everything else
 * is reading, writing numbers as people do, and fitting the columns into the width of the terminal.
 * --json gives the same numbers in full precision, as they are in the file. */
#include "cmd/show.h"

#include "cmd/figures.h"
#include "record/request.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* ---- what is shown --------------------------------------------------------------------------- */

typedef enum style {
  HEADING,
  COUNT,    /* 12,345 */
  RATE,     /* 8.01/s */
  SHARE,    /* 93.1 % */
  NUMBER,   /* 12.3 */
  TIME,     /* 142 ms */
  MINUS,    /* a time that is subtracted: -142 ms */
  INTERVAL, /* three fields, mean, low, high: 138 - 146 ms */
  BYTES,    /* 4.21 MB */
  ENERGY,   /* 12.3 kJ */
  CENTS     /* 0.0123 cent */
} style;

typedef struct line {
  const char *label;
  style style;
  size_t offset; /* of the field in celslm_summary_row */
} line;

#define FIELD(name) offsetof(celslm_summary_row, name)
/* One latency: its mean with interval, and three quantiles. */
/* clang-format off */
#define LATENCY(heading, of) \
  {heading, HEADING, 0}, \
  {"mean", TIME, FIELD(of##_mean)}, \
  {"  95 % interval", INTERVAL, FIELD(of##_mean)}, \
  {"median", TIME, FIELD(of##_p50)}, \
  {"95th percentile", TIME, FIELD(of##_p95)}, \
  {"99th percentile", TIME, FIELD(of##_p99)}
/* clang-format on */

static const line lines[] = {
    {"load", HEADING, 0},
    {"duration", TIME, FIELD(duration)},
    {"arrived", COUNT, FIELD(arrived)},
    {"completed", COUNT, FIELD(completed)},
    {"rejected", COUNT, FIELD(rejected)},
    {"dropped by faults", COUNT, FIELD(dropped)},
    {"in flight at the end", COUNT, FIELD(in_flight)},
    {"preemptions", COUNT, FIELD(preemptions)},
    {"engine iterations", COUNT, FIELD(iterations)},
    {"requests offered", RATE, FIELD(offered)},
    {"requests completed", RATE, FIELD(throughput)},
    {"goodput", RATE, FIELD(goodput)},
    {"within the objectives", SHARE, FIELD(slo_share)},
    {"answers that are right", SHARE, FIELD(quality)},
    {"output tokens", RATE, FIELD(token_throughput)},
    {"completed past a deadline", COUNT, FIELD(late)},
    {"fairness between tenants", NUMBER, FIELD(fairness)},
    {"engines busy", SHARE, FIELD(utilisation)},
    {"in batches (mean)", NUMBER, FIELD(running_mean)},
    {"in queues (mean)", NUMBER, FIELD(waiting_mean)},
    {"KV blocks in use (mean)", SHARE, FIELD(kv_share_mean)},
    {"backlog of faults (requests)", NUMBER, FIELD(backlog)},
    {"recovery from them", TIME, FIELD(recovery)},
    LATENCY("time to first token (TTFT)", ttft),
    LATENCY("time per output token (TPOT)", tpot),
    {"time between tokens (ITL)", HEADING, 0},
    {"median", TIME, FIELD(itl_p50)},
    {"95th percentile", TIME, FIELD(itl_p95)},
    {"99th percentile", TIME, FIELD(itl_p99)},
    LATENCY("end to end (E2E)", e2e),
    LATENCY("per output token (E2E over tokens)", normalised),
    LATENCY("queueing in the engine", queueing),
    {"what TTFT is made of (means)", HEADING, 0},
    {"prompt up", TIME, FIELD(up_mean)},
    {"waiting in the queue", TIME, FIELD(wait_mean)},
    {"computing in the cloud", TIME, FIELD(cloud_mean)},
    {"moving context KV", TIME, FIELD(comm_mean)},
    {"computing at the edge", TIME, FIELD(edge_mean)},
    {"hidden by overlap", MINUS, FIELD(hidden_mean)},
    {"first token down", TIME, FIELD(down_mean)},
    {"shared contexts (requests)", HEADING, 0},
    {"KV hit in the store", COUNT, FIELD(hits)},
    {"KV fetched", COUNT, FIELD(fetches)},
    {"joined a fetch", COUNT, FIELD(joins)},
    {"recomputed", COUNT, FIELD(recomputed)},
    {"loads from host memory", COUNT, FIELD(host_loads)},
    {"loads from disk", COUNT, FIELD(disk_loads)},
    {"traffic", HEADING, 0},
    {"user data to the cloud", BYTES, FIELD(user_bytes_to_cloud)},
    {"KV moved", BYTES, FIELD(kv_bytes)},
    {"all bytes over the WAN", BYTES, FIELD(wan_bytes)},
    {"energy", HEADING, 0},
    {"all engine hosts", ENERGY, FIELD(energy)},
    {"links", ENERGY, FIELD(energy_links)},
    {"radio", ENERGY, FIELD(energy_radio)},
    {"per completed request", ENERGY, FIELD(energy_response)},
    {"cost", HEADING, 0},
    {"in all", CENTS, FIELD(cost)},
    {"per response (CPR)", CENTS, FIELD(cpr)},
    {"utility per cent (PCR)", NUMBER, FIELD(pcr)},
};
enum { N_LINES = sizeof lines / sizeof *lines };

static const char help[] =
    "Usage: celslm show [--json] RESULTS.h5\n"
    "\n"
    "Prints the summary of a results file: one column for each strategy of the scenario, all of\n"
    "them under the same load.\n"
    "\n"
    "  --json   one JSON object per strategy and line, with every column of /summary in full\n"
    "           precision and SI units (s, B, J); null where there is no value\n"
    "  --help   this text\n"
    "\n"
    "How to read it\n"
    "  requests offered and completed: equal while the system keeps up; a gap means that it is\n"
    "    past its capacity, and then latencies grow for as long as the run lasts.\n"
    "  fairness between tenants: Jain's index of the prompt and output tokens of their completed\n"
    "    requests: 1 if all got the same, 1/n if one of n got everything.\n"
    "  in batches, in queues, KV blocks: means of the samples that <results sample> asks for.\n"
    "  With several classes of requests, a table of classes follows for each strategy.\n"
    "  goodput: requests per second that met every objective of the scenario's <slo>.\n"
    "  answers that are right: by the scenario's <correctness>; - without one.\n"
    "  95 % interval: where the true mean lies, as far as this run can tell (20 batch means).\n"
    "    Two strategies whose intervals overlap are not told apart: simulate longer.\n"
    "  what TTFT is made of: the parts add up to the mean TTFT. 'hidden by overlap' is time in\n"
    "    which cloud, network and edge worked at once; it is in the parts twice, so it is\n"
    "    subtracted.\n"
    "  cost: at the prices of the scenario's <prices>; PCR is (a x quality + (1 - a) x share "
    "within\n"
    "    the objectives) over CPR.\n"
    "  user data to the cloud: prompt bytes that crossed into the cloud, counted on the links.\n"
    "\n"
    "Examples\n"
    "  celslm run scenarios/quickstart.xml -o results/quickstart.h5\n"
    "  celslm show results/quickstart.h5\n"
    "  celslm show --json results/quickstart.h5 | jq '{strategy, ttft_p95}'\n"
    "\n"
    "Every table of the file is described in docs/results-format.md; analysis/plot.py draws it.\n"
    "Exit status: 0 shown, 2 the file cannot be read.\n";

/* ---- the cells ------------------------------------------------------------------------------- */

/* Both ends in the unit that suits the mean. */
static void write_interval(char out[CELSLM_CELL], double mean, double low, double high) {
  celslm_scale in = celslm_scale_of(mean, celslm_times, CELSLM_TIMES);
  char digits[2][24];
  celslm_write_digits(digits[0], sizeof digits[0], low / in.at_least);
  celslm_write_digits(digits[1], sizeof digits[1], high / in.at_least);
  snprintf(out, CELSLM_CELL, isnan(low) ? "-" : "%s - %s %s", digits[0], digits[1], in.unit);
}

static void write_cell(char out[CELSLM_CELL], const line *l, const celslm_summary_row *row) {
  const void *field = (const char *)row + l->offset;
  if (l->style == COUNT) {
    celslm_write_count(out, *(const int64_t *)field);
    return;
  }
  char digits[24];
  double x[3];
  memcpy(x, field, l->style == INTERVAL ? sizeof x : sizeof *x);
  double value = x[0];
  if (isnan(value)) {
    snprintf(out, CELSLM_CELL, "-");
    return;
  }
  switch (l->style) {
  case RATE:
    celslm_write_digits(digits, sizeof digits, value);
    snprintf(out, CELSLM_CELL, "%s/s", digits);
    break;
  case NUMBER:
    celslm_write_digits(out, CELSLM_CELL, value);
    break;
  case SHARE:
    snprintf(out, CELSLM_CELL, "%.1f %%", value * 100);
    break;
  case TIME:
    celslm_write_scaled(out, value, celslm_times, CELSLM_TIMES);
    break;
  case MINUS:
    celslm_write_scaled(out, value == 0 ? 0 : -value, celslm_times, CELSLM_TIMES);
    break;
  case INTERVAL:
    write_interval(out, x[0], x[1], x[2]);
    break;
  case BYTES:
    celslm_write_scaled(out, value, celslm_bytes, CELSLM_BYTES);
    break;
  case CENTS:
    snprintf(out, CELSLM_CELL, "%.3g cent", value);
    break;
  case ENERGY:
    celslm_write_scaled(out, value, celslm_joules, CELSLM_JOULES);
    break;
  case HEADING:
  case COUNT:
    break;
  }
}

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct summary {
  celslm_summary_row *rows;
  char **labels; /* one per row */
  size_t n;
} summary;

static void free_summary(summary *s) {
  celslm_names_free(s->labels);
  free(s->rows);
}

static void set_field(celslm_summary_row *row, const celslm_column *column, double value) {
  void *field = (char *)row + column->offset;
  switch (column->type) {
  case CELSLM_F64:
    *(double *)field = value;
    break;
  case CELSLM_I64:
    *(int64_t *)field = (int64_t)value;
    break;
  case CELSLM_U32:
    *(uint32_t *)field = (uint32_t)value;
    break;
  case CELSLM_U8:
    *(uint8_t *)field = (uint8_t)value;
    break;
  }
}

static bool read_summary(celslm_reader *from, const char *file, summary *s, celslm_error *err) {
  uint64_t n;
  if (!celslm_reader_rows(from, "summary", &n, err)) return false;
  if (n == 0) return celslm_fail(err, file, 0, "its summary is empty: the run did not finish");
  s->n = n;
  s->rows = celslm_alloc(n, sizeof *s->rows);
  s->labels = celslm_alloc(n + 1, sizeof *s->labels);
  for (size_t i = 0; i < celslm_summary_n_columns; i++) {
    const celslm_column *column = &celslm_summary_columns[i];
    double *values = celslm_reader_column(from, "summary", column->name, err);
    if (!values) return false;
    for (size_t j = 0; j < n; j++) set_field(&s->rows[j], column, values[j]);
    free(values);
  }
  char **names = celslm_reader_names(from, "summary", "strategy", err);
  if (!names) return false;
  size_t n_names = 0;
  while (names[n_names]) n_names++;
  for (size_t j = 0; j < n; j++)
    s->labels[j] = s->rows[j].strategy < n_names ? celslm_strdup(names[s->rows[j].strategy])
                                                 : celslm_format("%d", s->rows[j].strategy);
  celslm_names_free(names);
  return true;
}

/* ---- for people ------------------------------------------------------------------------------ */

enum { LABEL_WIDTH = 26, GAP = 2, DEFAULT_WIDTH = 100 };

static int line_width(void) {
  struct winsize size;
  if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
    return size.ws_col;
  return DEFAULT_WIDTH;
}

/* "quickstart, seed 42, celslm 0.1.0 (b92ac23)": whatever of it the file knows. */
static void print_provenance(celslm_reader *from, const char *file) {
  static const struct {
    const char *name, *format;
  } parts[] = {{"name", "%s"}, {"seed", "seed %s"}, {"version", "celslm %s"}, {"commit", "(%s)"}};
  bool first = true;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    celslm_error none = {""};
    char *text = celslm_reader_provenance(from, parts[i].name, &none);
    if (!text) continue;
    if (!first) fputs(parts[i].format[0] == '(' ? " " : ", ", stdout);
    printf(parts[i].format[0] == '(' ? "(%.12s)" : parts[i].format, text);
    first = false;
    free(text);
  }
  if (first) fputs(file, stdout);
  putchar('\n');
  size_t n = strlen(file);
  if (n > 5 && strcmp(file + n - 5, ".part") == 0)
    puts("The run was interrupted: these are partial results.");
}

/* Lines for the strategies [from, to), each in a column of its own width. */
static void print_block(const summary *s, char (*cells)[CELSLM_CELL], const int *widths,
                        size_t from, size_t to, bool bold) {
  printf("\n%-*s", LABEL_WIDTH, "");
  for (size_t j = from; j < to; j++) printf("%*s%*s", GAP, "", widths[j], s->labels[j]);
  putchar('\n');
  for (size_t i = 0; i < N_LINES; i++) {
    if (lines[i].style == HEADING) {
      printf(bold ? "\033[1m%s\033[0m\n" : "%s\n", lines[i].label);
      continue;
    }
    printf("  %-*s", LABEL_WIDTH - 2, lines[i].label);
    for (size_t j = from; j < to; j++) printf("%*s%*s", GAP, "", widths[j], cells[j * N_LINES + i]);
    putchar('\n');
  }
}

static void print_summary(const summary *s) {
  char(*cells)[CELSLM_CELL] = celslm_alloc(s->n * N_LINES, sizeof *cells);
  int *widths = celslm_alloc(s->n, sizeof *widths);
  for (size_t j = 0; j < s->n; j++) {
    widths[j] = (int)strlen(s->labels[j]);
    for (size_t i = 0; i < N_LINES; i++) {
      if (lines[i].style == HEADING) continue;
      write_cell(cells[j * N_LINES + i], &lines[i], &s->rows[j]);
      int length = (int)strlen(cells[j * N_LINES + i]);
      if (length > widths[j]) widths[j] = length;
    }
  }
  bool bold = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
  for (size_t from = 0, to; from < s->n; from = to) {
    int room = line_width() - LABEL_WIDTH;
    for (to = from; to < s->n && (to == from || room >= GAP + widths[to]); to++)
      room -= GAP + widths[to];
    print_block(s, cells, widths, from, to, bold);
  }
  free(widths);
  free(cells);
}

static bool flush_output(celslm_error *err) {
  return (fflush(stdout) == 0 && !ferror(stdout)) ||
         celslm_fail(err, "celslm show", 0, "the output cannot be written");
}

bool celslm_show_print(const char *file, celslm_error *err) {
  celslm_reader *from = celslm_reader_open(file, err);
  summary s = {NULL, NULL, 0};
  bool ok = from && read_summary(from, file, &s, err);
  if (ok) {
    print_provenance(from, file);
    print_summary(&s);
    ok = celslm_show_classes(from, err) && flush_output(err);
  }
  free_summary(&s);
  celslm_reader_close(from);
  return ok;
}

/* ---- for programs ---------------------------------------------------------------------------- */

static void print_json_string(const char *text) {
  putchar('"');
  for (const unsigned char *c = (const unsigned char *)text; *c; c++)
    if (*c == '"' || *c == '\\')
      printf("\\%c", *c);
    else if (*c < ' ')
      printf("\\u%04x", *c);
    else
      putchar(*c);
  putchar('"');
}

/* The shortest of 15 to 17 digits that reads back as the same number. */
static void print_json_number(double x) {
  char text[40] = "null";
  for (int digits = 15; isfinite(x) && digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, x);
    if (strtod(text, NULL) == x) break;
  }
  fputs(text, stdout);
}

static bool print_json(const char *file, celslm_error *err) {
  celslm_column *columns = NULL;
  double **values = NULL;
  uint64_t rows = 0;
  size_t n = 0;
  celslm_reader *from = celslm_reader_open(file, err);
  bool ok = from && celslm_reader_rows(from, "summary", &rows, err) &&
            (columns = celslm_reader_columns(from, "summary", &n, err)) != NULL;
  values = celslm_alloc(n, sizeof *values);
  for (size_t i = 0; ok && i < n; i++)
    ok = (values[i] = celslm_reader_column(from, "summary", columns[i].name, err)) != NULL;
  for (uint64_t j = 0; ok && j < rows; j++)
    for (size_t i = 0; i < n; i++) {
      fputs(i ? ", " : "{", stdout);
      print_json_string(columns[i].name);
      fputs(": ", stdout);
      size_t n_names = 0;
      while (columns[i].names && columns[i].names[n_names]) n_names++;
      if (values[i][j] < (double)n_names) /* false for NaN */
        print_json_string(columns[i].names[(size_t)values[i][j]]);
      else
        print_json_number(values[i][j]);
      if (i + 1 == n) puts("}");
    }
  for (size_t i = 0; i < n; i++) free(values[i]);
  free(values);
  celslm_columns_free(columns, n);
  celslm_reader_close(from);
  return ok && flush_output(err);
}

/* ---- the command ----------------------------------------------------------------------------- */

int celslm_cmd_show(int argc, char **argv) {
  celslm_error err = {""};
  const char *file = NULL;
  bool json = false, options = true, ok = true;
  for (int i = 1; i < argc && ok; i++) {
    if (options && strcmp(argv[i], "--help") == 0) {
      fputs(help, stdout);
      return fflush(stdout) == 0 ? 0 : 2;
    }
    if (options && strcmp(argv[i], "--json") == 0)
      json = true;
    else if (options && strcmp(argv[i], "--") == 0)
      options = false;
    else if (options && argv[i][0] == '-')
      ok = celslm_fail(&err, "celslm show", 0, "no option \"%s\"; there are --json and --help",
                       argv[i]);
    else if (file)
      ok = celslm_fail(&err, "celslm show", 0, "one file at a time; \"%s\" is one too many",
                       argv[i]);
    else
      file = argv[i];
  }
  if (ok && !file)
    ok = celslm_fail(&err, "celslm show", 0, "no file; try celslm show RESULTS.h5, or --help");
  ok = ok && (json ? print_json(file, &err) : celslm_show_print(file, &err));
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok ? 0 : 2;
}
