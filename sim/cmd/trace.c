#include "cmd/trace.h"

#include "record/record.h"
#include "record/request.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_string(FILE *f, const char *text) {
  fputc('"', f);
  for (const unsigned char *c = (const unsigned char *)text; *c; c++)
    if (*c == '"' || *c == '\\')
      fprintf(f, "\\%c", *c);
    else if (*c < ' ')
      fprintf(f, "\\u%04x", *c);
    else
      fputc(*c, f);
  fputc('"', f);
}

static const char *name_of(char *const *names, double index) {
  size_t n = 0;
  while (names[n]) n++;
  return index >= 0 && index < (double)n ? names[(size_t)index] : "-";
}

enum { SPAN_COLUMNS = 7, REQUEST_COLUMNS = 6 };

typedef struct trace {
  FILE *f;
  celslm_reader *from;
  char **strategies, **engines, **hosts, **cells, **kinds;
  double *span[SPAN_COLUMNS];       /* strategy, place, kind, index, request, begin, end */
  double *request[REQUEST_COLUMNS]; /* strategy, id, arrival, last_token, ttft, output_tokens */
  uint64_t n_spans, n_requests;
} trace;

static bool read_all(trace *t, celslm_error *err) {
  static const char *const span[SPAN_COLUMNS] = {"strategy", "place", "kind", "index",
                                                 "request",  "begin", "end"};
  static const char *const request[REQUEST_COLUMNS] = {"strategy",   "id",   "arrival",
                                                       "last_token", "ttft", "output_tokens"};
  bool ok = celslm_reader_rows(t->from, "timeline", &t->n_spans, err) &&
            celslm_reader_rows(t->from, "requests", &t->n_requests, err) &&
            (t->strategies = celslm_reader_names(t->from, "timeline", "strategy", err)) &&
            (t->kinds = celslm_reader_names(t->from, "timeline", "kind", err)) &&
            (t->hosts = celslm_reader_names(t->from, "timeline", "index", err)) &&
            (t->engines = celslm_reader_names(t->from, "requests", "engine", err)) &&
            (t->cells = celslm_reader_names(t->from, "requests", "cell", err));
  for (size_t i = 0; ok && i < SPAN_COLUMNS; i++)
    ok = (t->span[i] = celslm_reader_column(t->from, "timeline", span[i], err)) != NULL;
  for (size_t i = 0; ok && i < REQUEST_COLUMNS; i++)
    ok = (t->request[i] = celslm_reader_column(t->from, "requests", request[i], err)) != NULL;
  return ok;
}

static void free_all(trace *t) {
  for (size_t i = 0; i < SPAN_COLUMNS; i++) free(t->span[i]);
  for (size_t i = 0; i < REQUEST_COLUMNS; i++) free(t->request[i]);
  celslm_names_free(t->strategies);
  celslm_names_free(t->kinds);
  celslm_names_free(t->hosts);
  celslm_names_free(t->engines);
  celslm_names_free(t->cells);
  celslm_reader_close(t->from);
}

static void write_names(const trace *t) {
  for (int p = 0; t->strategies[p]; p++) {
    fprintf(t->f, "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":", p);
    write_string(t->f, t->strategies[p]);
    fputs("}},\n", t->f);
    for (int e = 0; t->engines[e]; e++) {
      fprintf(t->f,
              "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%d,\"args\":{\"name\":", p,
              e + 1);
      write_string(t->f, t->engines[e]);
      fputs("}},\n", t->f);
    }
  }
}

/* A begin and an end of an asynchronous slice; `id` tells apart what overlaps. */
static void write_async(const trace *t, int process, const char *category, const char *name,
                        uint64_t id, double begin, double end, const char *args) {
  for (int last = 0; last < 2; last++) {
    fprintf(t->f, "{\"ph\":\"%c\",\"pid\":%d,\"tid\":0,\"id\":\"%s%llu\",\"ts\":%.3f,\"cat\":",
            last ? 'e' : 'b', process, category[0] ? "s" : "", (unsigned long long)id,
            1e6 * (last ? end : begin));
    write_string(t->f, category);
    fputs(",\"name\":", t->f);
    write_string(t->f, name);
    fprintf(t->f, "%s},\n", last ? "" : args);
  }
}

static void write_spans(const trace *t) {
  for (uint64_t i = 0; i < t->n_spans; i++) {
    int process = (int)t->span[0][i], place = (int)t->span[1][i];
    double index = t->span[3][i], request = t->span[4][i], begin = t->span[5][i],
           end = t->span[6][i];
    char args[64] = "";
    if (request < 4294967295.0)
      snprintf(args, sizeof args, ",\"args\":{\"request\":%.0f}", request);
    const char *kind = name_of(t->kinds, t->span[2][i]);
    if (place == 0) {
      fprintf(t->f,
              "{\"ph\":\"X\",\"pid\":%d,\"tid\":%.0f,\"ts\":%.3f,\"dur\":%.3f,\"name\":", process,
              index + 1, 1e6 * begin, 1e6 * (end - begin));
      write_string(t->f, kind);
      fprintf(t->f, "%s},\n", args);
    } else {
      char *where = place == 1 ? celslm_format("to %s", name_of(t->hosts, index))
                               : celslm_format("cell %s", name_of(t->cells, index));
      write_async(t, process, where, kind, i, begin, end, args);
      free(where);
    }
  }
}

/* Those that lived while something was recorded. */
static void write_requests(const trace *t) {
  double from = INFINITY, to = -INFINITY;
  for (uint64_t i = 0; i < t->n_spans; i++) {
    from = fmin(from, t->span[5][i]);
    to = fmax(to, t->span[6][i]);
  }
  for (uint64_t i = 0; i < t->n_requests; i++) {
    double arrival = t->request[2][i], last = t->request[3][i];
    if (!(arrival <= to && last >= from)) continue;
    char *name = celslm_format("request %.0f", t->request[1][i]), args[96];
    snprintf(args, sizeof args, ",\"args\":{\"ttft_ms\":%.3f,\"output_tokens\":%.0f}",
             1e3 * t->request[4][i], t->request[5][i]);
    write_async(t, (int)t->request[0][i], "requests", name, t->n_spans + i, arrival, last, args);
    free(name);
  }
}

bool celslm_trace_write(const char *results, const char *file, celslm_error *err) {
  trace t = {.from = celslm_reader_open(results, err)};
  bool ok = t.from && read_all(&t, err);
  char *part = celslm_format("%s.part", file);
  if (ok) {
    t.f = fopen(part, "we");
    if (t.f) {
      fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", t.f);
      write_names(&t);
      write_spans(&t);
      write_requests(&t);
      fputs("{\"ph\":\"M\",\"name\":\"end\",\"pid\":0,\"args\":{}}]}\n", t.f);
    }
    ok = t.f && !ferror(t.f);
    if (t.f) ok = fclose(t.f) == 0 && ok;
    ok = ok && rename(part, file) == 0;
    if (!ok) {
      celslm_fail(err, file, 0, "cannot be written: %s", strerror(errno));
      unlink(part);
    }
  }
  free(part);
  free_all(&t);
  return ok;
}
