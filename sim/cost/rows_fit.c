/* rows_fit.c - fitting profiles to published rows (see rows_fit.h). */
#include "cost/rows_fit.h"

#include "cost/curves.h"
#include "cost/robust.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GEMM_BYTE, GEMM_FLOP, DECODE_BYTE, PREFILL_FLOP, LAYER, STEP, SEQUENCE, LINK, FORMATS };
enum { MOST_FORMATS = (CELSLM_ROBUST_MAX - FORMATS) / 2 };

static const double prior_width = 0.5, row_error = 0.1; /* of logs */

typedef struct sample {
  const celslm_row *row;
  celslm_model model;
  int profile; /* of copies */
  bool prefill, fitted;
} sample;

typedef struct problem {
  sample *samples; /* those in the fit first */
  int n, n_fit;
  const celslm_profile **pristine; /* one for each device */
  celslm_profile **copies;
  int n_copies;
  bool overheads;
  int p;                        /* parameters */
  double at[CELSLM_ROBUST_MAX]; /* that the copies stand at */
} problem;

/* ---- factors --------------------------------------------------------------------------------- */

static void rate(double *to, double pristine, double x, double most) {
  *to = fmin(pristine * exp(x), most);
}

static void apply(celslm_profile *to, const celslm_profile *from, const double *x) {
  double peak = from->peak[from->curve_dtype], bandwidth = from->bandwidth;
  const celslm_curve *a = from->curves;
  celslm_curve *b = to->curves;
  rate(&b[CELSLM_CURVE_GEMM].byte_rate, a[CELSLM_CURVE_GEMM].byte_rate, x[GEMM_BYTE], bandwidth);
  rate(&b[CELSLM_CURVE_ELEMENTWISE].byte_rate, a[CELSLM_CURVE_ELEMENTWISE].byte_rate, x[GEMM_BYTE],
       bandwidth);
  rate(&b[CELSLM_CURVE_GEMM].flop_rate, a[CELSLM_CURVE_GEMM].flop_rate, x[GEMM_FLOP], peak);
  rate(&b[CELSLM_CURVE_DECODE].byte_rate, a[CELSLM_CURVE_DECODE].byte_rate, x[DECODE_BYTE],
       bandwidth);
  rate(&b[CELSLM_CURVE_DECODE].flop_rate, a[CELSLM_CURVE_DECODE].flop_rate, x[DECODE_BYTE], peak);
  rate(&b[CELSLM_CURVE_PREFILL].flop_rate, a[CELSLM_CURVE_PREFILL].flop_rate, x[PREFILL_FLOP],
       peak);
  rate(&to->layer_overhead, from->layer_overhead, x[LAYER], 1);
  rate(&to->step_overhead, from->step_overhead, x[STEP], 1);
  rate(&to->sequence_overhead, from->sequence_overhead, x[SEQUENCE], 1);
  rate(&to->link_start, from->link_start, x[LINK], 1);
  for (int i = 0; i < from->n_formats && i < MOST_FORMATS; i++) {
    rate(&to->formats[i].byte_share, from->formats[i].byte_share, x[FORMATS + 2 * i], 1);
    rate(&to->formats[i].flop_share, from->formats[i].flop_share, x[FORMATS + 2 * i + 1], 1);
  }
}

/* Where each factor meets its limit. */
static void limits(const celslm_profile *p, double *most) {
  double peak = p->peak[p->curve_dtype], bandwidth = p->bandwidth;
  for (int i = 0; i < CELSLM_ROBUST_MAX; i++) most[i] = INFINITY;
  most[GEMM_BYTE] = log(bandwidth / p->curves[CELSLM_CURVE_GEMM].byte_rate);
  most[GEMM_FLOP] = log(peak / p->curves[CELSLM_CURVE_GEMM].flop_rate);
  most[DECODE_BYTE] = log(bandwidth / p->curves[CELSLM_CURVE_DECODE].byte_rate);
  most[PREFILL_FLOP] = log(peak / p->curves[CELSLM_CURVE_PREFILL].flop_rate);
  for (int i = 0; i < p->n_formats && i < MOST_FORMATS; i++) {
    most[FORMATS + 2 * i] = -log(p->formats[i].byte_share);
    most[FORMATS + 2 * i + 1] = -log(p->formats[i].flop_share);
  }
}

static void stand_at(problem *p, const double *x) {
  double all[CELSLM_ROBUST_MAX] = {0};
  if (p->overheads)
    for (int i = 0; i < p->p; i++) all[LAYER + i] = x[i];
  else
    for (int i = 0; i < p->p; i++) all[i] = x[i];
  if (memcmp(all, p->at, sizeof all) == 0) return;
  memcpy(p->at, all, sizeof all);
  for (int i = 0; i < p->n_copies; i++) apply(p->copies[i], p->pristine[i], all);
}

static double log_ratio(const problem *p, const sample *s) {
  celslm_rates r;
  if (!celslm_rates_predict(p->copies[s->profile], s->row, &s->model, &r, NULL)) return 0;
  return s->prefill ? log(r.prefill / s->row->prefill) : log(r.decode / s->row->decode);
}

static double residual(const double *x, int i, const void *data) {
  problem *p = *(problem *const *)data;
  stand_at(p, x);
  return log_ratio(p, &p->samples[i]);
}

/* ---- samples --------------------------------------------------------------------------------- */

static int copy_of(problem *p, const celslm_profile *pristine) {
  for (int i = 0; i < p->n_copies; i++)
    if (p->pristine[i] == pristine) return i;
  unsigned long room = (unsigned long)p->n_copies + 1;
  p->pristine = celslm_realloc(p->pristine, room, sizeof *p->pristine);
  p->copies = celslm_realloc(p->copies, room, sizeof *p->copies);
  p->pristine[p->n_copies] = pristine;
  p->copies[p->n_copies] = celslm_profile_scaled(pristine, NULL, NULL);
  return p->n_copies++;
}

static void collect(problem *p, const char *name, celslm_devices *d, const celslm_rows *rows,
                    bool fitted) {
  for (int i = 0; i < rows->n; i++) {
    const celslm_row *row = &rows->at[i];
    celslm_match_level level;
    const celslm_profile *original;
    const celslm_profile *use =
        celslm_devices_match(d, row->device, row->engine, &level, &original);
    sample s = {.row = row, .fitted = fitted};
    celslm_rates r;
    if (!use || strcmp(original->name, name) != 0 || celslm_row_in_fit(row) != fitted) continue;
    if (!celslm_devices_model(d, row->model, row->params, &s.model)) continue;
    if (!celslm_rates_predict(use, row, &s.model, &r, NULL)) continue;
    s.profile = copy_of(p, use);
    if (isfinite(row->decode)) p->samples[p->n++] = s;
    s.prefill = true;
    if (isfinite(row->prefill) && isfinite(r.prefill) && !row->anomaly) p->samples[p->n++] = s;
  }
}

static void measure(const problem *p, bool prefill, bool fitted, int *n, double *median,
                    double *p95) {
  double *values = celslm_alloc((unsigned long)p->n + 1, sizeof *values);
  *n = 0;
  *median = *p95 = NAN;
  for (int i = 0; i < p->n; i++)
    if (p->samples[i].prefill == prefill && p->samples[i].fitted == fitted)
      values[(*n)++] = fabs(expm1(log_ratio(p, &p->samples[i])));
  if (*n) celslm_spread_of(values, *n, median, p95);
  free(values);
}

/* ---- power ----------------------------------------------------------------------------------- */

/* A board's wall power is its own; that of a card in a computer is not. */
static bool has_power(const sample *s, const celslm_profile *p) {
  return !s->prefill && isfinite(s->row->power) && (!s->row->wall || strcmp(p->family, "cpu") == 0);
}

static double power_ratio(const problem *p, const sample *s, double memory, double compute) {
  celslm_profile *c = p->copies[s->profile];
  celslm_rates r;
  c->power_memory = memory;
  c->power_compute = compute;
  if (!celslm_rates_predict(c, s->row, &s->model, &r, NULL)) return 0;
  return log(r.power / s->row->power);
}

static double power_residual(const double *x, int i, const void *data) {
  const problem *p = *(problem *const *)data;
  return power_ratio(p, &p->samples[i], exp(x[0]), exp(x[1]));
}

/* Both shares, from the rows of the fit with a power; its error over those held out. */
static void fit_power(celslm_profile *p, const problem *q, const char *source,
                      celslm_rows_fit *out) {
  problem some = *q, *data = &some;
  double x[2] = {log(0.6), log(1.0)}, prior[2] = {x[0], x[1]}, unused;
  static const double pull[2] = {0.1, 0.1};
  double *errors = celslm_alloc((unsigned long)q->n + 1, sizeof *errors);
  int held = 0;
  some.samples = celslm_alloc((unsigned long)q->n + 1, sizeof *some.samples);
  some.n = 0;
  for (int i = 0; i < q->n_fit; i++)
    if (has_power(&q->samples[i], p)) some.samples[some.n++] = q->samples[i];
  out->power_rows = some.n;
  if (some.n >= CELSLM_ROWS_FIT_MIN) {
    celslm_robust f = {.residual = power_residual,
                       .data = &data,
                       .n = some.n,
                       .p = 2,
                       .prior = prior,
                       .pull = pull,
                       .scale = row_error};
    celslm_robust_solve(&f, x);
    p->power_memory = exp(x[0]);
    p->power_compute = exp(x[1]);
    for (int i = q->n_fit; i < q->n; i++)
      if (has_power(&q->samples[i], p))
        errors[held++] =
            fabs(expm1(power_ratio(q, &q->samples[i], p->power_memory, p->power_compute)));
    p->power_residual = NAN;
    if (held) celslm_spread_of(errors, held, &p->power_residual, &unused);
    out->held_power = held;
    const char *before = p->power_source ? p->power_source : "";
    const char *end = strstr(before, "; shares fitted on ");
    char *text = celslm_format("%.*s; shares fitted on %d published powers (%s), residual over %d "
                               "held out",
                               (int)(end ? end - before : (long)strlen(before)), before, some.n,
                               source, held);
    free(p->power_source);
    p->power_source = text;
  }
  free(some.samples);
  free(errors);
}

/* ---- what the profile says of it ------------------------------------------------------------- */

static void say(char **source, int rows, int held, double held_median, const char *what,
                const char *from) {
  free(*source);
  if (rows >= CELSLM_ROWS_FIT_MIN && held > 0)
    *source = celslm_format("fitted on %d published %s rates (%s), every second row by its key; "
                            "residuals over %d rows held out",
                            rows, what, from, held);
  else
    *source = celslm_format(
        "assumption, moved towards %d published %s rates (%s)%s", rows, what, from,
        held > 0 && isfinite(held_median) ? "; too few to call it a fit" : "; none held out");
}

static void say_curve(celslm_curve *c, int rows, int held, double median, double p95,
                      const char *what, const char *from) {
  bool fitted = rows >= CELSLM_ROWS_FIT_MIN && held > 0;
  say(&c->source, rows, held, median, what, from);
  c->residual_median = fitted ? median : NAN;
  c->residual_p95 = fitted ? p95 : NAN;
}

static void say_all(celslm_profile *p, const problem *q, const celslm_rows_fit *f,
                    const char *source) {
  say(&p->layer_source, f->decode_rows, f->held_decode, f->held_decode_median, "decode", source);
  say(&p->step_source, f->decode_rows, f->held_decode, f->held_decode_median, "decode", source);
  say(&p->sequence_source, f->decode_rows, f->held_decode, f->held_decode_median, "decode", source);
  if (!q->overheads) {
    say_curve(&p->curves[CELSLM_CURVE_GEMM], f->decode_rows, f->held_decode, f->held_decode_median,
              f->held_decode_p95, "decode (byte_rate) and prefill (flop_rate)", source);
    say_curve(&p->curves[CELSLM_CURVE_DECODE], f->decode_rows, f->held_decode,
              f->held_decode_median, f->held_decode_p95, "decode", source);
    say_curve(&p->curves[CELSLM_CURVE_PREFILL], f->prefill_rows, f->held_prefill,
              f->held_prefill_median, f->held_prefill_p95, "prefill", source);
    for (int i = 0; i < p->n_formats; i++) {
      int n = 0;
      for (int k = 0; k < q->n_fit; k++)
        n += strcmp(q->samples[k].row->dtype, p->formats[i].name) == 0;
      if (n) {
        free(p->formats[i].source);
        p->formats[i].source = celslm_format(
            "%s %d published rates of this format (%s)",
            n >= CELSLM_ROWS_FIT_MIN ? "fitted on" : "assumption, moved towards", n, source);
      }
    }
  }
  char *keys = celslm_strdup("");
  for (int k = 0; k < q->n_fit; k++) {
    char key[16];
    snprintf(key, sizeof key, "%08x", q->samples[k].row->key);
    if (strstr(keys, key)) continue; /* its other rate */
    char *more = celslm_format("%s%s%s", keys, *keys ? " " : "", key);
    free(keys);
    keys = more;
  }
  free(p->fitted_rows);
  p->fitted_rows = keys;
}

bool celslm_profile_fit_to_rows(celslm_profile *p, celslm_devices *d, const celslm_rows *rows,
                                bool overheads, const char *source, celslm_rows_fit *out,
                                celslm_error *err) {
  problem q = {.overheads = overheads}, *data = &q;
  *out = (celslm_rows_fit){0};
  q.samples = celslm_alloc(2 * (unsigned long)rows->n + 1, sizeof *q.samples);
  collect(&q, p->name, d, rows, true);
  q.n_fit = q.n;
  collect(&q, p->name, d, rows, false);
  bool ok = q.n_fit > 0 || celslm_fail(err, rows->csv->file, 0,
                                       "has no row in the fit that is matched to the profile %s; "
                                       "rows are matched by device and engine",
                                       p->name);
  if (ok) {
    double x[CELSLM_ROBUST_MAX] = {0}, prior[CELSLM_ROBUST_MAX] = {0}, pull[CELSLM_ROBUST_MAX];
    double most[CELSLM_ROBUST_MAX];
    for (int i = 0; i < CELSLM_ROBUST_MAX; i++) pull[i] = row_error / prior_width;
    limits(p, most);
    for (int i = 0; i < CELSLM_ROBUST_MAX; i++) x[i] = fmin(0, most[i] - 0.02);
    int formats = p->n_formats < MOST_FORMATS ? p->n_formats : MOST_FORMATS;
    if (overheads) memset(x, 0, sizeof x);
    q.p = overheads ? FORMATS - LAYER : FORMATS + 2 * formats;
    celslm_robust f = {.residual = residual,
                       .data = &data,
                       .most = overheads ? NULL : most,
                       .n = q.n_fit,
                       .p = q.p,
                       .prior = prior,
                       .pull = pull,
                       .scale = row_error};
    celslm_robust_solve(&f, x);
    stand_at(&q, x);
    double unused;
    measure(&q, false, true, &out->decode_rows, &out->decode_median, &unused);
    measure(&q, true, true, &out->prefill_rows, &out->prefill_median, &unused);
    measure(&q, false, false, &out->held_decode, &out->held_decode_median, &out->held_decode_p95);
    measure(&q, true, false, &out->held_prefill, &out->held_prefill_median, &out->held_prefill_p95);
    celslm_profile *before = celslm_profile_scaled(p, NULL, NULL);
    apply(p, before, q.at);
    celslm_profile_free(before);
    say_all(p, &q, out, source);
    fit_power(p, &q, source, out);
  }
  for (int i = 0; i < q.n_copies; i++) celslm_profile_free(q.copies[i]);
  free(q.copies);
  free(q.pristine);
  free(q.samples);
  return ok;
}
