/* report.c - celslm report: one page about one results file, for any browser, also a phone's. */
#include "cmd/report.h"

#include "cmd/commands.h"
#include "record/request.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: celslm report RESULTS.h5 [-o PAGE.html]\n"
    "\n"
    "Writes one HTML page about a run (default: beside the results, as .html): summary, latency\n"
    "distributions, what the time to first token is made of, what was busy when, the slowest\n"
    "requests with their story, and the provenance. It needs no network and fits a phone.\n"
    "\n"
    "example: celslm report results/quickstart.h5 -o results/quickstart.html\n"
    "Exit status: 0 written, 2 the file cannot be read or the page not be written.\n";

const char *const report_part_names[REPORT_PARTS] = {
    "prompt up", "queue", "cloud computes", "KV moves", "edge computes", "hidden", "token down"};
/* Those of analysis/style.py, where they are explained. */
const char *const report_part_colours[REPORT_PARTS] = {"#E9C3D8", "#C9CDD4", "#0072B2", "#009E73",
                                                       "#E69F00", "none",    "#CC79A7"};

const char *report_colour(const report_data *d, size_t strategy) {
  static const struct {
    const char *begins, *colour;
  } known[] = {{"cloud", "#0072B2"}, {"edge", "#E69F00"}, {"ce-lslm", "#009E73"}};
  static const char *const others[] = {"#D55E00", "#CC79A7", "#56B4E9", "#000000", "#8b8f97"};
  size_t spare = 0;
  bool taken[3] = {false};
  for (size_t i = 0; i < d->n_strategies; i++) {
    const char *mine = NULL;
    for (size_t k = 0; k < 3 && !mine; k++)
      if (!taken[k] &&
          strncasecmp(d->strategies[i], known[k].begins, strlen(known[k].begins)) == 0) {
        taken[k] = true;
        mine = known[k].colour;
      }
    if (!mine) mine = others[spare++ % 5];
    if (i == strategy) return mine;
  }
  return "#000000";
}

/* ---- words ----------------------------------------------------------------------------------- */

void report_text(FILE *f, const char *text) {
  for (; *text; text++) switch (*text) {
    case '<':
      fputs("&lt;", f);
      break;
    case '>':
      fputs("&gt;", f);
      break;
    case '&':
      fputs("&amp;", f);
      break;
    case '"':
      fputs("&quot;", f);
      break;
    default:
      fputc(*text, f);
    }
}

const char *report_seconds(char *out, double s) {
  double a = fabs(s);
  const char *unit = a >= 0.9995 ? "s" : a >= 0.9995e-3 ? "ms" : "µs";
  double x = s * (a >= 0.9995 ? 1 : a >= 0.9995e-3 ? 1e3 : 1e6);
  if (isnan(s))
    snprintf(out, 32, "–");
  else if (s == 0)
    snprintf(out, 32, "0");
  else
    snprintf(out, 32, "%.*f %s", fabs(x) >= 99.95 ? 0 : fabs(x) >= 9.995 ? 1 : 2, x, unit);
  return out;
}

const char *report_name(char *const *names, double index) {
  size_t n = 0;
  while (names && names[n]) n++;
  return index >= 0 && index < (double)n ? names[(size_t)index] : "-";
}

static const char *bytes_of(char *out, double b) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
  int u = 0;
  for (; u < 4 && fabs(b) >= 999.5; u++) b /= 1000;
  snprintf(out, 32, "%.*f %s", u == 0 || b >= 99.95 ? 0 : 1, b, units[u]);
  return out;
}

static const char *count_of(char *out, double x) {
  char digits[32];
  int n = snprintf(digits, sizeof digits, "%.0f", x), at = 0;
  for (int i = 0; i < n; i++) {
    out[at++] = digits[i];
    if ((n - 1 - i) % 3 == 0 && i < n - 1 && digits[i] != '-') out[at++] = ',';
  }
  out[at] = 0;
  return out;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_data(report_data *d, celslm_error *err) {
  static const char *const parts[REPORT_PARTS] = {"t_up",   "t_wait",   "t_cloud", "t_comm",
                                                  "t_edge", "t_hidden", "t_down"};
  const struct {
    const char *column;
    double **to;
  } columns[] = {{"strategy", &d->strategy},
                 {"end", &d->end},
                 {"context_source", &d->source},
                 {"id", &d->id},
                 {"ue", &d->ue},
                 {"cell", &d->cell},
                 {"engine", &d->engine},
                 {"context", &d->context},
                 {"prompt_tokens", &d->prompt},
                 {"context_tokens", &d->context_tokens},
                 {"output_tokens", &d->output},
                 {"preemptions", &d->preemptions},
                 {"arrival", &d->arrival},
                 {"kv_bytes", &d->kv_bytes},
                 {"ttft", &d->ttft},
                 {"tpot", &d->tpot},
                 {"e2e", &d->e2e}};
  const struct {
    const char *table, *column;
    char ***to;
  } names[] = {{"requests", "strategy", &d->strategies},
               {"requests", "engine", &d->engines},
               {"requests", "cell", &d->cells},
               {"requests", "context", &d->contexts},
               {"timeline", "index", &d->hosts}};
  uint64_t rows;
  if (!celslm_reader_rows(d->from, "requests", &rows, err)) return false;
  d->n = rows;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!(*names[i].to = celslm_reader_names(d->from, names[i].table, names[i].column, err)))
      return false;
  while (d->strategies[d->n_strategies]) d->n_strategies++;
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++)
    if (!(*columns[i].to = celslm_reader_column(d->from, "requests", columns[i].column, err)))
      return false;
  for (size_t i = 0; i < REPORT_PARTS; i++)
    if (!(d->part[i] = celslm_reader_column(d->from, "requests", parts[i], err))) return false;
  return true;
}

static void free_data(report_data *d) {
  double *columns[] = {d->strategy, d->end,         d->source,  d->id,       d->ue,
                       d->cell,     d->engine,      d->context, d->prompt,   d->context_tokens,
                       d->output,   d->preemptions, d->arrival, d->kv_bytes, d->ttft,
                       d->tpot,     d->e2e};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) free(columns[i]);
  for (size_t i = 0; i < REPORT_PARTS; i++) free(d->part[i]);
  celslm_names_free(d->strategies);
  celslm_names_free(d->engines);
  celslm_names_free(d->cells);
  celslm_names_free(d->contexts);
  celslm_names_free(d->hosts);
  celslm_reader_close(d->from);
}

/* ---- the page's parts ------------------------------------------------------------------------ */

static const char style[] =
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1180px;padding:0 16px 48px;"
    "font:15px/1.45 system-ui,sans-serif;color:#22252b;background:#fff}"
    "h1{font-size:24px;margin:24px 0 2px;overflow-wrap:anywhere}h2{font-size:17px;margin:32px 0 "
    "8px;border-top:1px solid #dfe2e7;padding-top:14px}"
    "p{margin:4px 0 10px;max-width:46em;overflow-wrap:anywhere}.quiet{color:#6b717c}"
    ".key{display:flex;flex-wrap:wrap;gap:4px 16px;margin:6px 0 10px;font-size:14px}"
    ".key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px}"
    ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,320px),1fr));"
    "gap:12px 28px}figure{margin:0;min-width:0}figcaption{font-weight:600;font-size:14px}"
    "svg{display:block;width:100%;height:auto;max-width:560px}"
    "svg text{font-family:system-ui,sans-serif;font-size:11px;fill:#6b717c}"
    "svg .ink{fill:#22252b}svg .grid{stroke:#dfe2e7;stroke-width:1}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;"
    "font-size:14px}th,td{padding:3px 0 3px 14px;text-align:right;white-space:nowrap;border-bottom:"
    "1px solid #eef0f3}th:first-child,td:first-child{text-align:left;padding-left:0;white-space:"
    "normal;min-width:8em}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr));gap:"
    "12px}.card{border:1px solid #dfe2e7;border-radius:6px;padding:10px 12px;font-size:14px;"
    "min-width:0}.card b{font-size:15px}.bar{display:flex;height:9px;border-radius:3px;overflow:"
    "hidden;margin:6px 0;background:#eef0f3}.bar i{display:block}"
    "@media(max-width:500px){table{font-size:12.5px}th,td{padding-left:9px}th:first-child,td:first-"
    "child"
    "{min-width:6.5em}}"
    "details{margin:6px 0;border:1px solid #dfe2e7;border-radius:6px;padding:6px 10px}summary{"
    "cursor:pointer}pre{overflow-x:auto;font-size:12px;line-height:1.35;margin:8px 0 2px}";

static void write_head(FILE *f, const report_data *d) {
  celslm_error none = {0};
  char *name = celslm_reader_provenance(d->from, "name", &none),
       *seed = celslm_reader_provenance(d->from, "seed", &none),
       *version = celslm_reader_provenance(d->from, "version", &none),
       *commit = celslm_reader_provenance(d->from, "commit", &none), digits[40];
  fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\"><link rel=\"icon\" href=\"data:,\"><title>",
        f);
  report_text(f, name ? name : d->file);
  fprintf(f, "</title><style>%s</style></head><body>\n<h1>", style);
  report_text(f, name ? name : d->file);
  fprintf(f, "</h1><p class=\"quiet\">%s requests, seed %s, celslm %s (%.12s)</p>\n",
          count_of(digits, (double)d->n), seed ? seed : "?", version ? version : "?",
          commit ? commit : "?");
  fputs("<div class=\"key\">", f);
  for (size_t i = 0; i < d->n_strategies; i++) {
    fprintf(f, "<span><i style=\"background:%s\"></i>", report_colour(d, i));
    report_text(f, d->strategies[i]);
    fputs("</span>", f);
  }
  fputs("</div>\n", f);
  free(name), free(seed), free(version), free(commit);
}

static const struct {
  const char *label, *column;
  char kind; /* c count, r rate, s share, t time, b bytes, j joule, m cent */
} lines[] = {{"completed", "completed", 'c'},
             {"rejected, dropped, in flight", "rejected", 'x'},
             {"requests per second", "throughput", 'r'},
             {"of them within every objective", "goodput", 'r'},
             {"share within the objectives", "slo_share", 's'},
             {"output tokens per second", "token_throughput", 'r'},
             {"time to first token, mean", "ttft_mean", 't'},
             {"median", "ttft_p50", 't'},
             {"95th percentile", "ttft_p95", 't'},
             {"99th percentile", "ttft_p99", 't'},
             {"time per output token, mean", "tpot_mean", 't'},
             {"end to end, mean", "e2e_mean", 't'},
             {"95th percentile", "e2e_p95", 't'},
             {"user data to the cloud", "user_bytes_to_cloud", 'b'},
             {"KV moved", "kv_bytes", 'b'},
             {"all bytes over the WAN", "wan_bytes", 'b'},
             {"energy per completed request", "energy_response", 'j'},
             {"cost per response", "cpr", 'm'}};

static void write_cell(FILE *f, char kind, double x, double others) {
  char out[64];
  if (isnan(x))
    fputs("<td>–</td>", f);
  else if (kind == 'c')
    fprintf(f, "<td>%s</td>", count_of(out, x));
  else if (kind == 'x')
    fprintf(f, "<td>%s</td>", count_of(out, x + others));
  else if (kind == 'r')
    fprintf(f, "<td>%.*f</td>", x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2, x);
  else if (kind == 's')
    fprintf(f, "<td>%.1f %%</td>", 100 * x);
  else if (kind == 't')
    fprintf(f, "<td>%s</td>", report_seconds(out, x));
  else if (kind == 'b')
    fprintf(f, "<td>%s</td>", bytes_of(out, x));
  else
    fprintf(f, "<td>%.3g %s</td>", x, kind == 'j' ? "J" : "cent");
}

static bool write_summary(FILE *f, const report_data *d, celslm_error *err) {
  enum { N = sizeof lines / sizeof *lines };
  uint64_t rows;
  double *strategy = NULL, *dropped = NULL, *in_flight = NULL, *values[N] = {NULL};
  bool ok = celslm_reader_rows(d->from, "summary", &rows, err) &&
            (strategy = celslm_reader_column(d->from, "summary", "strategy", err)) &&
            (dropped = celslm_reader_column(d->from, "summary", "dropped", err)) &&
            (in_flight = celslm_reader_column(d->from, "summary", "in_flight", err));
  for (size_t i = 0; ok && i < N; i++)
    ok = (values[i] = celslm_reader_column(d->from, "summary", lines[i].column, err)) != NULL;
  if (ok) {
    fputs("<h2>Summary</h2><div class=\"scroll\"><table><tr><th></th>", f);
    for (size_t r = 0; r < rows; r++) {
      fputs("<th>", f);
      report_text(f, report_name(d->strategies, strategy[r]));
      fputs("</th>", f);
    }
    fputs("</tr>\n", f);
    for (size_t i = 0; i < N; i++) {
      fprintf(f, "<tr><td>%s</td>", lines[i].label);
      for (size_t r = 0; r < rows; r++)
        write_cell(f, lines[i].kind, values[i][r], dropped[r] + in_flight[r]);
      fputs("</tr>\n", f);
    }
    fputs("</table></div>\n", f);
  }
  for (size_t i = 0; i < N; i++) free(values[i]);
  free(strategy), free(dropped), free(in_flight);
  return ok;
}

static bool write_timelines(FILE *f, const report_data *d, celslm_error *err) {
  fputs("<h2>What was busy when</h2>\n<div class=\"key\">", f);
  static const char *const keys[][2] = {
      {"#2F3B52", "prefill"}, {"#76829A", "prefill + decode"},
      {"#C3CAD6", "decode"},  {"#00664A", "prefill as KV arrives"},
      {"#3DBB95", "KV"},      {"#CC79A7", "prompts"},
      {"#EBCBDD", "tokens"}};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    fprintf(f, "<span><i style=\"background:%s\"></i>%s</span>", keys[i][0], keys[i][1]);
  fputs("</div><div class=\"grid\">\n", f);
  bool any = false;
  for (size_t i = 0; i < d->n_strategies; i++) any |= report_timeline(f, d, i, err);
  fputs("</div>\n", f);
  if (!any && !err->text[0])
    fputs("<p class=\"quiet\">Nothing was recorded: the scenario's &lt;results&gt; has no window "
          "(timeline_from, timeline_to), or nothing happened in it.</p>\n",
          f);
  return !err->text[0];
}

/* ---- slow requests --------------------------------------------------------------------------- */

static void write_story(FILE *f, const report_data *d, size_t i) {
  static const char *const sources[] = {
      "It had no shared context.", "Its context was computed with its own prompt.",
      "Its context's KV was there.", "Its context's KV was fetched for it.",
      "It waited for its context's KV with others."};
  char a[32], b[32];
  double sum = 0;
  fputs("<div class=\"card\"><b>", f);
  fprintf(f, "%s</b> to the first token, %s in all<br>request %.0f, <span style=\"color:%s\">",
          report_seconds(a, d->ttft[i]), report_seconds(b, d->e2e[i]), d->id[i],
          report_colour(d, (size_t)d->strategy[i]));
  report_text(f, report_name(d->strategies, d->strategy[i]));
  fputs("</span><div class=\"bar\">", f);
  for (size_t k = 0; k < REPORT_PARTS; k++)
    if (k != 5 && d->part[k][i] > 0) sum += d->part[k][i];
  for (size_t k = 0; k < REPORT_PARTS; k++)
    if (k != 5 && d->part[k][i] > 0)
      fprintf(f, "<i style=\"width:%.2f%%;background:%s\"></i>", 100 * d->part[k][i] / sum,
              report_part_colours[k]);
  fprintf(f, "</div>Sent at %s", report_seconds(a, d->arrival[i]));
  if (strcmp(report_name(d->cells, d->cell[i]), "-") != 0) {
    fprintf(f, " by user %.0f of ", d->ue[i]);
    report_text(f, report_name(d->cells, d->cell[i]));
  }
  fprintf(f, ": %.0f tokens", d->prompt[i]);
  if (d->context_tokens[i] > 0) {
    fputs(" about ", f);
    report_text(f, report_name(d->contexts, d->context[i]));
    fprintf(f, " (%.0f tokens)", d->context_tokens[i]);
  }
  fputs("; served by ", f);
  report_text(f, report_name(d->engines, d->engine[i]));
  fprintf(f, ", %.0f tokens came back. ", d->output[i]);
  int source = (int)d->source[i];
  if (source >= 0 && source < 5) fputs(sources[source], f);
  if (d->kv_bytes[i] > 0) fprintf(f, " %s of KV moved.", bytes_of(a, d->kv_bytes[i]));
  if (d->preemptions[i] > 0) fprintf(f, " It was preempted %.0f times.", d->preemptions[i]);
  fputs(" Its wait:", f);
  const char *comma = "";
  for (size_t k = 0; k < REPORT_PARTS; k++)
    if (k != 5 && d->part[k][i] > 0.01 * sum) {
      fprintf(f, "%s %s %s", comma, report_part_names[k], report_seconds(a, d->part[k][i]));
      comma = ",";
    }
  if (d->part[5][i] > 0) fprintf(f, "; %s of it side by side", report_seconds(a, d->part[5][i]));
  fputs(".</div>\n", f);
}

static void write_slow(FILE *f, const report_data *d) {
  enum { SLOWEST = 9 };
  size_t worst[SLOWEST], n = 0;
  for (size_t i = 0; i < d->n; i++) { /* insertion into a list that stays sorted */
    if (!(d->ttft[i] > 0)) continue;
    size_t at = n < SLOWEST ? n++ : SLOWEST;
    for (; at > 0 && d->ttft[worst[at - 1]] < d->ttft[i]; at--)
      if (at < SLOWEST) worst[at] = worst[at - 1];
    if (at < SLOWEST) worst[at] = i;
  }
  if (!n) return;
  fputs("<h2>The slowest requests</h2><p class=\"quiet\">By time to first token, over all "
        "strategies.</p><div class=\"cards\">\n",
        f);
  for (size_t i = 0; i < n; i++) write_story(f, d, worst[i]);
  fputs("</div>\n", f);
}

static bool write_provenance(FILE *f, const report_data *d, celslm_error *err) {
  char **names = celslm_reader_provenance_names(d->from, err);
  fputs("<h2>Provenance</h2><p class=\"quiet\">All that is needed to repeat the run: the same "
        "program with the same scenario, platform and profiles gives the same bytes.</p>\n",
        f);
  bool ok = names != NULL;
  for (char **name = names; ok && *name; name++) {
    char *text = celslm_reader_provenance(d->from, *name, err);
    ok = text != NULL;
    bool is_short = ok && strlen(text) < 100 && !strchr(text, '\n');
    if (ok) {
      fputs(is_short ? "<p>" : "<details><summary>", f);
      report_text(f, *name);
      fputs(is_short ? ": " : "</summary><pre>", f);
      report_text(f, text);
      fputs(is_short ? "</p>\n" : "</pre></details>\n", f);
    }
    free(text);
  }
  celslm_names_free(names);
  return ok;
}

static bool write_page(FILE *f, const report_data *d, celslm_error *err) {
  write_head(f, d);
  if (!write_summary(f, d, err)) return false;
  size_t completed = 0;
  for (size_t i = 0; i < d->n; i++) completed += d->ttft[i] > 0;
  if (completed) {
    fputs("<h2>Latency</h2><p class=\"quiet\">Share of all requests, those of the "
          "warm-up too, that were done within a time.</p><div class=\"grid\">\n",
          f);
    report_distribution(f, d, "time to first token", d->ttft);
    report_distribution(f, d, "time per output token", d->tpot);
    report_distribution(f, d, "end to end", d->e2e);
    fputs("</div>\n<h2>What the time to first token is made of</h2><div class=\"key\">", f);
    for (size_t k = 0; k < REPORT_PARTS; k++)
      if (k != 5)
        fprintf(f, "<span><i style=\"background:%s\"></i>%s</span>", report_part_colours[k],
                report_part_names[k]);
    fputs("</div>\n", f);
    if (!report_breakdown(f, d, err)) return false;
    if (!write_timelines(f, d, err)) return false;
    write_slow(f, d);
  } else
    fputs("<p>No request got its first token: there is nothing to draw.</p>\n", f);
  if (!write_provenance(f, d, err)) return false;
  fputs("</body></html>\n", f);
  return true;
}

/* Under another name first: a page is whole or not there. */
static bool write_file(const char *page, const report_data *d, celslm_error *err) {
  char *part = celslm_format("%s.part", page);
  FILE *f = fopen(part, "we");
  bool ok = f && write_page(f, d, err);
  bool written = f && !ferror(f);
  if (f) written = fclose(f) == 0 && written;
  if (ok && written) written = rename(part, page) == 0;
  if (!written) celslm_fail(err, page, 0, "cannot be written: %s", strerror(errno));
  if (!ok || !written) unlink(part);
  free(part);
  return ok && written;
}

int celslm_cmd_report(int argc, char **argv) {
  const char *file = NULL, *output = NULL;
  celslm_error err = {0};
  for (int i = 1; i < argc; i++) {
    const char *value = NULL;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(help, stdout);
      return 0;
    }
    if (celslm_option(argc, argv, &i, "--output", "-o", &value, &err)) {
      if (!value) return celslm_bad_input(&err);
      output = value;
    } else if (argv[i][0] == '-' || file) {
      celslm_fail(&err, NULL, 0, "report does not know \"%s\"; `celslm report --help`", argv[i]);
      return celslm_bad_input(&err);
    } else
      file = argv[i];
  }
  if (!file) {
    celslm_fail(&err, NULL, 0, "report needs a results file");
    return celslm_bad_input(&err);
  }
  size_t stem = strlen(file);
  if (stem > 3 && strcmp(file + stem - 3, ".h5") == 0) stem -= 3;
  char *page = output ? celslm_strdup(output) : celslm_format("%.*s.html", (int)stem, file);
  report_data d = {.file = file, .from = celslm_reader_open(file, &err)};
  bool ok = d.from && read_data(&d, &err) && write_file(page, &d, &err);
  if (ok) printf("written: %s\n", page);
  free_data(&d);
  free(page);
  return ok ? 0 : celslm_bad_input(&err);
}
