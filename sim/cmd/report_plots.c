/* report_plots.c - the pictures of a report, as SVG. */
#include "cmd/report.h"
#include "record/request.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void begin(FILE *f, const char *title, double height) {
  fputs("<figure><figcaption>", f);
  report_text(f, title);
  fprintf(f, "</figcaption><svg viewBox=\"0 0 %d %.0f\" role=\"img\" aria-label=\"", REPORT_WIDTH,
          height);
  report_text(f, title);
  fputs("\">\n", f);
}

static void end(FILE *f) {
  fputs("</svg></figure>\n", f);
}

/* A short name for a place on a time axis. */
static void tick_text(FILE *f, double x, double y, const char *anchor, double seconds) {
  static const char *const units[] = {"µs", "ms", "s"};
  double v = seconds * 1e6;
  int u = 0;
  for (; u < 2 && fabs(v) >= 999.5; u++) v /= 1000;
  if (seconds == 0)
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">0</text>", x, y, anchor);
  else
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.4g %s</text>", x, y, anchor, v,
            units[u]);
}

/* ---- distributions --------------------------------------------------------------------------- */

void report_distribution(FILE *f, const report_data *d, const char *title, const double *values) {
  enum { LEFT = 34, RIGHT = 352, TOP = 10, BOTTOM = 178, POINTS = 120 };
  double **sorted = celslm_alloc(d->n_strategies, sizeof *sorted), low = INFINITY, high = 0;
  size_t *n = celslm_alloc(d->n_strategies, sizeof *n),
         *arrived = celslm_alloc(d->n_strategies, sizeof *arrived);
  for (size_t s = 0; s < d->n_strategies; s++) sorted[s] = celslm_alloc(d->n, sizeof **sorted);
  for (size_t i = 0; i < d->n; i++) {
    size_t s = (size_t)d->strategy[i];
    arrived[s]++;
    if (values[i] > 0) sorted[s][n[s]++] = values[i];
  }
  for (size_t s = 0; s < d->n_strategies; s++) {
    qsort(sorted[s], n[s], sizeof **sorted, ascending);
    if (!n[s]) continue;
    low = fmin(low, sorted[s][(size_t)(0.005 * (double)n[s])]);
    high = fmax(high, sorted[s][n[s] - 1]);
  }
  begin(f, title, 200);
  if (high > 0) {
    if (high < 1.5 * low) high = 1.5 * low, low /= 1.5;
    double from = log10(low) - 0.05, to = log10(high) + 0.03, scale = (RIGHT - LEFT) / (to - from);
    for (int p = 0; p <= 4; p++) {
      double y = BOTTOM - (BOTTOM - TOP) * p / 4.0;
      fprintf(f,
              "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/><text x=\"%d\" "
              "y=\"%.1f\" text-anchor=\"end\">%d%%</text>",
              LEFT, y, RIGHT, y, LEFT - 4, y + 4, 25 * p);
    }
    double last = -100;
    for (int e = (int)floor(from); e <= (int)ceil(to); e++)
      for (int m = 1; m <= 5; m = m == 1 ? 2 : m == 2 ? 5 : 6) {
        double x = LEFT + (log10(m) + e - from) * scale;
        if (x < LEFT || x > RIGHT - 8 || (m != 1 && (to - from > 2.2 || x - last < 46))) continue;
        if (x - last < 40) continue;
        last = x;
        fprintf(f, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>", x, TOP, x,
                BOTTOM);
        tick_text(f, x, BOTTOM + 15, "middle", m * pow(10, e));
      }
    for (size_t s = 0; s < d->n_strategies; s++) {
      if (!n[s]) continue;
      fprintf(f, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"",
              report_colour(d, s));
      for (int k = 0; k <= POINTS; k++) {
        double share = (double)k / POINTS;
        double x = sorted[s][(size_t)(share * (double)(n[s] - 1))];
        x = fmax(LEFT, LEFT + (log10(x) - from) * scale);
        fprintf(f, "%.1f,%.1f ", x,
                BOTTOM - (BOTTOM - TOP) * share * (double)n[s] / (double)arrived[s]);
      }
      fputs("\"/>\n", f);
    }
  }
  end(f);
  for (size_t s = 0; s < d->n_strategies; s++) free(sorted[s]);
  free(sorted), free(n), free(arrived);
}

/* ---- breakdown ------------------------------------------------------------------------------- */

/* The parts one after the other; what overlap hid is struck out at their end, so that the rest is
 * the time to first token. */
bool report_breakdown(FILE *f, const report_data *d, celslm_error *err) {
  enum { LEFT = 2, RIGHT = 300, ROW = 44 };
  static const char *const columns[REPORT_PARTS] = {
      "up_mean", "wait_mean", "cloud_mean", "comm_mean", "edge_mean", "hidden_mean", "down_mean"};
  double(*mean)[REPORT_PARTS] = celslm_alloc(d->n_strategies, sizeof *mean), longest = 0;
  uint64_t rows;
  double *strategy = celslm_reader_rows(d->from, "summary", &rows, err)
                         ? celslm_reader_column(d->from, "summary", "strategy", err)
                         : NULL;
  for (size_t k = 0; strategy && k < REPORT_PARTS; k++) {
    double *values = celslm_reader_column(d->from, "summary", columns[k], err);
    for (size_t r = 0; values && r < rows; r++)
      if (strategy[r] < (double)d->n_strategies) mean[(size_t)strategy[r]][k] = values[r];
    free(values);
  }
  free(strategy);
  if (err->text[0]) {
    free(mean);
    return false;
  }
  for (size_t s = 0; s < d->n_strategies; s++) {
    double sum = 0;
    for (size_t k = 0; k < REPORT_PARTS; k++)
      if (k != 5) sum += mean[s][k];
    if (isfinite(sum)) longest = fmax(longest, sum);
  }
  begin(f, "means of the requests completed after the warm-up", ROW * (double)d->n_strategies + 4);
  fputs("<defs><pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" "
        "patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" fill=\"#fff\" "
        "fill-opacity=\".55\"/><line x1=\"0\" y1=\"0\" x2=\"0\" y2=\"5\" stroke=\"#22252b\" "
        "stroke-width=\"1.6\"/></pattern></defs>\n",
        f);
  for (size_t s = 0; s < d->n_strategies; s++) {
    double x = LEFT, y = ROW * (double)s, scale = longest > 0 ? (RIGHT - LEFT) / longest : 0;
    char text[32];
    fprintf(f, "<text class=\"ink\" x=\"%d\" y=\"%.0f\">", LEFT, y + 14);
    report_text(f, d->strategies[s]);
    fputs("</text>", f);
    for (size_t k = 0; k < REPORT_PARTS; k++) {
      if (k == 5 || !(mean[s][k] > 0)) continue;
      fprintf(f, "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"16\" fill=\"%s\"/>", x,
              y + 20, mean[s][k] * scale, report_part_colours[k]);
      x += mean[s][k] * scale;
    }
    double hidden = mean[s][5] * scale, total = (x - LEFT - hidden) / (scale > 0 ? scale : 1);
    if (hidden > 0.5)
      fprintf(f, "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"16\" fill=\"url(#hatch)\"/>",
              x - hidden, y + 20, hidden);
    fprintf(f, "<text class=\"ink\" x=\"%.1f\" y=\"%.0f\" font-weight=\"600\">%s</text>\n", x + 5,
            y + 32, report_seconds(text, total));
  }
  end(f);
  fputs(
      "<p class=\"quiet\">Hatched: time in which cloud, network and edge worked at once. It is in "
      "the parts twice; without it the bar is the time to first token, the number beside it.</p>\n",
      f);
  free(mean);
  return true;
}

/* ---- timeline -------------------------------------------------------------------------------- */

typedef struct span {
  int place, kind;
  size_t index;
  double begin, end;
} span;

static int by_lane(const void *a, const void *b) {
  const span *x = a, *y = b;
  if (x->place != y->place) return x->place - y->place;
  if (x->index != y->index) return x->index < y->index ? -1 : 1;
  if (x->kind != y->kind) return x->kind - y->kind;
  return (x->begin > y->begin) - (x->begin < y->begin);
}

static const char *const kind_colours[] = {
    [CELSLM_SPAN_PREFILL] = "#2F3B52", [CELSLM_SPAN_DECODE] = "#C3CAD6",
    [CELSLM_SPAN_MIXED] = "#76829A",   [CELSLM_SPAN_STREAM] = "#00664A",
    [CELSLM_SPAN_KV] = "#3DBB95",      [CELSLM_SPAN_PROMPT] = "#CC79A7",
    [CELSLM_SPAN_TOKENS] = "#EBCBDD"};

/* The spans of one strategy, lane by lane; the time from the first to the last of all. */
static span *read_spans(const report_data *d, size_t strategy, size_t *n, double *from, double *to,
                        celslm_error *err) {
  static const char *const names[] = {"strategy", "place", "kind", "index", "begin", "end"};
  double *c[6] = {NULL};
  uint64_t rows = 0;
  bool ok = celslm_reader_rows(d->from, "timeline", &rows, err);
  for (size_t i = 0; ok && i < 6; i++)
    ok = (c[i] = celslm_reader_column(d->from, "timeline", names[i], err)) != NULL;
  span *spans = celslm_alloc(rows + 1, sizeof *spans);
  *n = 0;
  *from = INFINITY, *to = -INFINITY;
  for (size_t i = 0; ok && i < rows; i++) {
    *from = fmin(*from, c[4][i]);
    *to = fmax(*to, c[5][i]);
    if ((size_t)c[0][i] == strategy && c[2][i] <= CELSLM_SPAN_TOKENS)
      spans[(*n)++] = (span){(int)c[1][i], (int)c[2][i], (size_t)c[3][i], c[4][i], c[5][i]};
  }
  for (size_t i = 0; i < 6; i++) free(c[i]);
  qsort(spans, *n, sizeof *spans, by_lane);
  return spans;
}

static void write_lane_name(FILE *f, const report_data *d, const span *s, double y) {
  char *const *names = s->place == 0 ? d->engines : s->place == 1 ? d->hosts : d->cells;
  const char *name = report_name(names, (double)s->index);
  char *text = celslm_format("%s%.14s", s->place == 1 ? "→ " : "", name);
  fprintf(f, "<text x=\"72\" y=\"%.1f\" text-anchor=\"end\">", y);
  report_text(f, text);
  fputs("</text>", f);
  free(text);
}

bool report_timeline(FILE *f, const report_data *d, size_t strategy, celslm_error *err) {
  enum { LEFT = 78, RIGHT = 354, ROW = 17, LANES = 24 };
  size_t n, lanes = 0;
  double from, to;
  span *s = read_spans(d, strategy, &n, &from, &to, err);
  for (size_t i = 0; i < n; i++)
    lanes += i == 0 || s[i].place != s[i - 1].place || s[i].index != s[i - 1].index;
  if (!n || !(to > from)) {
    free(s);
    return false;
  }
  size_t drawn = lanes < LANES ? lanes : LANES;
  double scale = (RIGHT - LEFT) / (to - from), bottom = (double)drawn * ROW + 4;
  char *title =
      celslm_format("%s%s", d->strategies[strategy], lanes > LANES ? " (the first 24 lanes)" : "");
  begin(f, title, bottom + 18);
  free(title);
  for (int k = 0; k <= 4; k++) {
    double x = LEFT + (RIGHT - LEFT) * k / 4.0;
    fprintf(f, "<line class=\"grid\" x1=\"%.1f\" y1=\"0\" x2=\"%.1f\" y2=\"%.0f\"/>", x, x, bottom);
    if (k % 2 == 0)
      tick_text(f, x, bottom + 13,
                k == 0   ? "start"
                : k == 4 ? "end"
                         : "middle",
                round((from + (to - from) * k / 4) * 1e4) / 1e4);
  }
  size_t lane = 0;
  for (size_t i = 0; i < n; i++) {
    if (i && (s[i].place != s[i - 1].place || s[i].index != s[i - 1].index)) lane++;
    if (lane >= drawn) break;
    double y = (double)lane * ROW;
    if (i == 0 || s[i].place != s[i - 1].place || s[i].index != s[i - 1].index)
      write_lane_name(f, d, &s[i], y + 12);
    double begins = s[i].begin, ends = s[i].end; /* spans that touch on the screen are one box */
    while (i + 1 < n && s[i + 1].place == s[i].place && s[i + 1].index == s[i].index &&
           s[i + 1].kind == s[i].kind && (s[i + 1].begin - ends) * scale < 0.25) {
      i++;
      ends = fmax(ends, s[i].end);
    }
    fprintf(f, "<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>",
            LEFT + (begins - from) * scale, y + 2, fmax(0.4, (ends - begins) * scale), ROW - 4,
            kind_colours[s[i].kind]);
  }
  end(f);
  free(s);
  return true;
}
