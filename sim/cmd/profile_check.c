/* profile_check.c - celslm profile check: predicted beside published rates. */
#include "cmd/commands.h"
#include "cmd/profile.h"
#include "cost/curves.h"
#include "cost/rates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: celslm profile check --against ROWS.csv [--profile PROFILE.xml] [--profiles DIR]\n"
    "                            [--json] [--summary]\n"
    "\n"
    "Predicts the decode and prefill rates of published measurements (columns: docs/profiles.md) "
    "and\n"
    "prints both with the error, then the medians of the absolute errors by device and over all,\n"
    "apart for rows that profiles were fitted to and rows that were not. Without --profile each "
    "row\n"
    "is matched to what is shipped by device, engine, model and dtype; rows without a match, and "
    "the\n"
    "prefill rates that their publisher doubts, are counted but not used.\n"
    "\n"
    "  --profile FILE  price all rows with this profile\n"
    "  --profiles DIR  the profiles to choose from (default: platforms/profiles)\n"
    "  --summary       medians only\n"
    "  --json          one JSON object instead of tables\n";

typedef struct arguments {
  const char *against, *profile, *profiles;
  bool json, summary, help;
} arguments;

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  const celslm_flag flags[] = {{.name = "--against", .value = &a->against, .needed = "ROWS.csv"},
                               {.name = "--profiles", .value = &a->profiles},
                               {.name = "--profile", .value = &a->profile},
                               {.name = "--json", .set = &a->json},
                               {.name = "--summary", .set = &a->summary}};
  return celslm_flags("profile check", argc, argv, flags, sizeof flags / sizeof *flags, &a->help,
                      err);
}

typedef struct result {
  const celslm_row *row;
  const celslm_profile *profile; /* NULL: no match */
  celslm_match_level level;
  celslm_rates rates;
  bool fitted;
  char why[128]; /* it has no match */
} result;

static double relative(double predicted, double measured) {
  return predicted / measured - 1;
}
static double decode_error(const result *r) {
  return relative(r->rates.decode, r->row->decode);
}
static double prefill_error(const result *r) {
  return r->row->anomaly ? NAN : relative(r->rates.prefill, r->row->prefill);
}
static double power_error(const result *r) {
  return r->row->wall ? NAN : relative(r->rates.power, r->row->power);
}

static result predict(celslm_devices *d, const celslm_row *row) {
  result r = {.row = row};
  celslm_model model;
  celslm_error err = {""};
  double bits;
  const celslm_profile *original;
  const celslm_profile *p = celslm_devices_match(d, row->device, row->engine, &r.level, &original);
  if (row->problem)
    snprintf(r.why, sizeof r.why, "%s", row->problem);
  else if (!p)
    snprintf(r.why, sizeof r.why, "%s",
             !celslm_devices_find(d, row->device) ? "device not known"
             : !celslm_runtime_of(row->engine)    ? "engine not known"
                                                  : "no profile of this engine to scale");
  else if (!celslm_devices_model(d, row->model, row->params, &model))
    snprintf(r.why, sizeof r.why, "model not known");
  else if (!celslm_format_bits(row->dtype, &bits, &bits))
    snprintf(r.why, sizeof r.why, "dtype not known");
  else if (celslm_rates_predict(p, row, &model, &r.rates, &err)) {
    r.profile = original;
    r.fitted = celslm_profile_fitted(original, row->key);
  } else
    snprintf(r.why, sizeof r.why, "%.120s", err.text);
  return r;
}

/* ---- medians --------------------------------------------------------------------------------- */

typedef struct medians {
  int n[3];
  double median[3], p95[3];
} medians; /* of decode, prefill, power */

/* Of the results whose device is `device` (NULL: any) and that were fitted to or not. */
static medians summarise(const result *all, int n, const char *device, int fitted) {
  double (*const errors[])(const result *) = {decode_error, prefill_error, power_error};
  double *values = celslm_alloc((unsigned long)n + 1, sizeof *values);
  medians m = {0};
  for (int k = 0; k < 3; k++) {
    for (int i = 0; i < n; i++) {
      const result *r = &all[i];
      if (!r->profile || (device && strcmp(r->row->device, device) != 0)) continue;
      if (fitted >= 0 && r->fitted != fitted) continue;
      double e = fabs(errors[k](r));
      if (isfinite(e)) values[m.n[k]++] = e;
    }
    m.median[k] = m.p95[k] = NAN;
    if (m.n[k]) celslm_spread_of(values, m.n[k], &m.median[k], &m.p95[k]);
  }
  free(values);
  return m;
}

/* ---- text ------------------------------------------------------------------------------------ */

static void print_percent(double v, int n) {
  if (n)
    printf(" %6.1f%% %4d", v * 100, n);
  else
    printf(" %7s %4s", "-", "-");
}

static void print_medians(const char *name, const char *which, medians m) {
  printf("%-37.37s %-10s", name, which);
  for (int k = 0; k < 3; k++) print_percent(m.median[k], m.n[k]);
  putchar('\n');
}

static void print_pair(double predicted, double measured, double error) {
  if (isnan(measured))
    printf(" %27s", "");
  else if (isnan(error))
    printf(" %9.4g %9.4g %7s", predicted, measured, "(unused)");
  else
    printf(" %9.4g %9.4g %+6.1f%%", predicted, measured, error * 100);
}

static void print_rows(const result *all, int n) {
  printf("%-5s %-26s %-14s %-9s %-18s %-6s %5s | %27s | %27s | %s\n", "line", "device", "model",
         "dtype", "engine", "kind", "batch", "decode: predicted, measured", "prefill", "profile");
  for (int i = 0; i < n; i++) {
    const celslm_row *row = all[i].row;
    printf("%-5d %-26.26s %-14.14s %-9.9s %-18.18s %-6s", row->line, row->device, row->model,
           row->dtype, row->engine, celslm_row_kind_name(row->kind));
    if (!all[i].profile) {
      printf(" no match: %s\n", all[i].why);
      continue;
    }
    printf(" %5.4g |", all[i].rates.batch);
    print_pair(all[i].rates.decode, row->decode, decode_error(&all[i]));
    fputs(" |", stdout);
    print_pair(all[i].rates.prefill, row->prefill, prefill_error(&all[i]));
    printf(" | %s (%s%s)\n", all[i].profile->name, celslm_match_name(all[i].level),
           all[i].fitted ? ", fitted" : "");
  }
  putchar('\n');
}

static bool seen_before(const result *all, int i) {
  for (int j = 0; j < i; j++)
    if (strcmp(all[j].row->device, all[i].row->device) == 0) return true;
  return false;
}

/* Why rows have no match, and how many for each reason. */
static void print_reasons(const result *all, int n) {
  const char *before = " (";
  for (int i = 0; i < n; i++) {
    if (all[i].profile) continue;
    int same = 0;
    bool seen = false;
    for (int j = 0; j < n; j++)
      if (!all[j].profile && strcmp(all[j].why, all[i].why) == 0) {
        same++;
        seen |= j < i;
      }
    if (seen) continue;
    printf("%s%d %s", before, same, all[i].why);
    before = ", ";
  }
  if (before[0] == ',') putchar(')');
}

static void print_summary(const result *all, int n) {
  int unmatched = 0, doubted = 0, fitted = 0;
  for (int i = 0; i < n; i++) {
    unmatched += !all[i].profile;
    doubted += all[i].profile && all[i].row->anomaly;
    fitted += all[i].fitted;
  }
  printf("%-37s %-10s %12s %12s %12s\n", "median absolute error, rows", "", "decode", "prefill",
         "power");
  for (int i = 0; i < n; i++) {
    if (seen_before(all, i)) continue;
    medians in = summarise(all, n, all[i].row->device, 1);
    medians out = summarise(all, n, all[i].row->device, 0);
    if (in.n[0] + in.n[1]) print_medians(all[i].row->device, "fitted", in);
    if (out.n[0] + out.n[1]) print_medians(all[i].row->device, "not fitted", out);
  }
  print_medians("over all", "fitted", summarise(all, n, NULL, 1));
  print_medians("over all", "not fitted", summarise(all, n, NULL, 0));
  print_medians("over all", "", summarise(all, n, NULL, -1));
  printf("%d rows: %d in fits, %d without a match", n, fitted, unmatched);
  print_reasons(all, n);
  printf(", %d with a prefill rate that its publisher or editor doubts\n", doubted);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_text(const char *name, const char *s) {
  printf("\"%s\": \"", name);
  for (; *s; s++) {
    if (*s == '"' || *s == '\\') putchar('\\');
    if ((unsigned char)*s >= ' ') putchar(*s);
  }
  putchar('"');
}

static void json_number(const char *name, double v) {
  if (isfinite(v))
    printf(", \"%s\": %.6g", name, v);
  else
    printf(", \"%s\": null", name);
}

static void json_medians(const char *name, medians m) {
  static const char *const what[] = {"decode", "prefill", "power"};
  printf("\"%s\": {", name);
  for (int k = 0; k < 3; k++) {
    printf("%s\"%s\": {\"rows\": %d", k ? ", " : "", what[k], m.n[k]);
    json_number("median", m.median[k]);
    json_number("p95", m.p95[k]);
    putchar('}');
  }
  putchar('}');
}

static void print_json(const result *all, int n) {
  int unmatched = 0;
  fputs("{\"rows\": [\n", stdout);
  for (int i = 0; i < n; i++) {
    const result *r = &all[i];
    unmatched += !r->profile;
    printf("%s {\"line\": %d, ", i ? ",\n" : "", r->row->line);
    json_text("device", r->row->device);
    fputs(", ", stdout);
    json_text("engine", r->row->engine);
    fputs(", ", stdout);
    json_text("model", r->row->model);
    fputs(", ", stdout);
    json_text("dtype", r->row->dtype);
    fputs(", ", stdout);
    json_text("kind", celslm_row_kind_name(r->row->kind));
    fputs(", ", stdout);
    if (r->profile) {
      json_text("profile", r->profile->name);
      fputs(", ", stdout);
      json_text("match", celslm_match_name(r->level));
      printf(", \"fitted\": %s", r->fitted ? "true" : "false");
      json_number("decode_predicted", r->rates.decode);
      json_number("decode_measured", r->row->decode);
      json_number("decode_error", decode_error(r));
      json_number("prefill_predicted", r->rates.prefill);
      json_number("prefill_measured", r->row->prefill);
      json_number("prefill_error", prefill_error(r));
      json_number("power_predicted", r->rates.power);
      json_number("power_error", power_error(r));
    } else {
      fputs("\"profile\": null, ", stdout);
      json_text("why", r->why);
    }
    putchar('}');
  }
  fputs("],\n\"devices\": [", stdout);
  for (int i = 0, first = 1; i < n; i++) {
    if (seen_before(all, i)) continue;
    printf("%s\n {", first ? "" : ",");
    first = 0;
    json_text("device", all[i].row->device);
    fputs(", ", stdout);
    json_medians("fitted", summarise(all, n, all[i].row->device, 1));
    fputs(", ", stdout);
    json_medians("not_fitted", summarise(all, n, all[i].row->device, 0));
    putchar('}');
  }
  fputs("],\n\"all\": {", stdout);
  json_medians("fitted", summarise(all, n, NULL, 1));
  fputs(", ", stdout);
  json_medians("not_fitted", summarise(all, n, NULL, 0));
  fputs(", ", stdout);
  json_medians("any", summarise(all, n, NULL, -1));
  printf("},\n\"without_match\": %d}\n", unmatched);
}

int celslm_profile_check(int argc, char **argv) {
  celslm_error err = {""};
  arguments a = {0};
  if (!parse(argc, argv, &a, &err)) return celslm_bad_input(&err);
  if (a.help) {
    fputs(help, stdout);
    return 0;
  }
  celslm_rows *rows = celslm_rows_open(a.against, &err);
  celslm_devices *d = rows ? celslm_devices_open(a.profiles, a.profile, &err) : NULL;
  if (d) {
    result *all = celslm_alloc((unsigned long)rows->n + 1, sizeof *all);
    for (int i = 0; i < rows->n; i++) all[i] = predict(d, &rows->at[i]);
    if (a.json)
      print_json(all, rows->n);
    else {
      if (!a.summary) print_rows(all, rows->n);
      print_summary(all, rows->n);
    }
    free(all);
  }
  celslm_devices_close(d);
  celslm_rows_close(rows);
  return d ? 0 : celslm_bad_input(&err);
}
