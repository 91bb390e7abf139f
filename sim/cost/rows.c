/* rows.c - reading published rows (see rows.h). */
#include "cost/rows.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const kind_names[] = {"step", "empty", "e2e", "loop", "tpot"};

const char *celslm_row_kind_name(celslm_row_kind k) {
  return kind_names[k];
}

enum {
  DEVICE,
  COUNT,
  TP,
  MODEL,
  PARAMS,
  DTYPE,
  PROMPT,
  OUTPUT,
  CONCURRENCY,
  TTFT,
  ITL,
  PREFILL,
  DECODE,
  POWER,
  ENGINE,
  TABLE,
  NOTE,
  COLUMNS
};
static const char *const columns[COLUMNS] = {
    "device",        "count",         "TP",          "model",    "params", "dtype",
    "prompt_tokens", "output_tokens", "concurrency", "ttft_ms",  "itl_ms", "prefill_tok_s",
    "decode_tok_s",  "power_w",       "engine",      "table_id", "note"};

/* FNV-1a over the cells that say what was measured and what came out. */
static uint32_t key_of(const celslm_csv *t, int row, const int *c) {
  static const int of[] = {DEVICE, COUNT,       TP,      MODEL,  DTYPE, PROMPT,
                           OUTPUT, CONCURRENCY, PREFILL, DECODE, ENGINE};
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
    for (const char *s = celslm_csv_cell(t, row, c[of[i]]); *s; s++)
      h = (h ^ (unsigned char)*s) * 16777619u;
    h = (h ^ ',') * 16777619u;
  }
  return h ^ h >> 15;
}

/* Which of the two it is where a row gives the times too. */
static bool prompt_is_in(const celslm_row *r, double ttft, double itl) {
  double requests = isfinite(r->concurrency) ? r->concurrency : 1;
  double alone = requests * 1e3 / itl,
         all = requests * r->output * 1e3 / (ttft + (r->output - 1) * itl);
  return fabs(log(r->decode / all)) < fabs(log(r->decode / alone));
}

static celslm_row_kind kind_of(const celslm_row *r, double ttft, double itl) {
  const char *note = r->note;
  bool saturated =
      isinf(r->concurrency) || strcasestr(note, "max-throughput") || strcasestr(note, "overload");
  if (saturated || strcasestr(note, "closed loop")) return CELSLM_ROW_LOOP;
  if (strcasestr(note, "TPOT") || strcasestr(note, "steady state")) return CELSLM_ROW_TPOT;
  if (strcasestr(note, "prefill included") || strcasestr(note, "e2e")) return CELSLM_ROW_E2E;
  if (strcasestr(note, "llama-bench") || strcasestr(note, "empty context") ||
      strcasestr(note, "empty ctx") || strcasestr(note, "/tg"))
    return CELSLM_ROW_EMPTY;
  if (ttft > 0 && itl > 0 && r->output > 1 && r->decode > 0)
    return prompt_is_in(r, ttft, itl) ? CELSLM_ROW_E2E : CELSLM_ROW_STEP;
  return CELSLM_ROW_STEP;
}

static bool read_row(const celslm_csv *t, int i, const int *c, celslm_row *r, celslm_error *err) {
  static const double most = 1e15;
  double ttft, itl;
  *r = (celslm_row){.device = celslm_csv_cell(t, i, c[DEVICE]),
                    .model = celslm_csv_cell(t, i, c[MODEL]),
                    .dtype = celslm_csv_cell(t, i, c[DTYPE]),
                    .engine = celslm_csv_cell(t, i, c[ENGINE]),
                    .table = celslm_csv_cell(t, i, c[TABLE]),
                    .note = celslm_csv_cell(t, i, c[NOTE]),
                    .line = t->lines[i],
                    .key = key_of(t, i, c)};
  const char *concurrency = celslm_csv_cell(t, i, c[CONCURRENCY]);
  bool max = strncasecmp(concurrency, "max", 3) == 0 || strncasecmp(concurrency, "inf", 3) == 0 ||
             strncasecmp(concurrency, "poisson", 7) == 0;
  struct {
    int column;
    double least, *to;
  } numbers[] = {{COUNT, 1, &r->count},
                 {TP, 1, &r->tp},
                 {PARAMS, 1, &r->params},
                 {PROMPT, 0, &r->prompt},
                 {OUTPUT, 0, &r->output},
                 {TTFT, 0, &ttft},
                 {ITL, 0, &itl},
                 {PREFILL, 1e-9, &r->prefill},
                 {DECODE, 1e-9, &r->decode},
                 {POWER, 1e-9, &r->power}};
  for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
    if (!celslm_csv_number(t, i, c[numbers[k].column], numbers[k].least, most, true, numbers[k].to,
                           err))
      return false;
  r->concurrency = INFINITY;
  if (!max && !celslm_csv_number(t, i, c[CONCURRENCY], 1e-9, most, true, &r->concurrency, err))
    return false;
  if (isnan(r->concurrency)) r->concurrency = 1;
  if (isnan(r->count)) r->count = 1;
  if (isnan(r->tp)) r->tp = 1;
  const char *const named[] = {r->device, r->engine, r->model, r->dtype};
  static const char *const missing[] = {"no device", "no engine", "no model", "no dtype"};
  for (int k = 3; k >= 0; k--)
    if (!*named[k]) r->problem = missing[k];
  if (r->tp > r->count) r->problem = "TP above count";
  r->anomaly = strstr(r->note, "ANOMALY") != NULL;
  r->wall = strcasestr(r->note, "wall") != NULL;
  r->kind = kind_of(r, ttft, itl);
  return true;
}

celslm_rows *celslm_rows_open(const char *file, celslm_error *err) {
  celslm_csv *t = celslm_csv_open(file, err);
  if (!t) return NULL;
  celslm_rows *r = celslm_alloc(1, sizeof *r);
  int c[COLUMNS];
  bool ok = true;
  r->csv = t;
  r->at = celslm_alloc((unsigned long)t->rows + 1, sizeof *r->at);
  for (int i = 0; ok && i < COLUMNS; i++) {
    bool needed = i == DEVICE || i == MODEL || i == DTYPE || i == ENGINE || i == DECODE;
    ok = (c[i] = celslm_csv_column(t, columns[i], needed ? err : NULL)) >= 0 || !needed;
  }
  ok = ok && celslm_csv_has_rows(t, err);
  for (; ok && r->n < t->rows; r->n += ok) ok = read_row(t, r->n, c, &r->at[r->n], err);
  if (ok) return r;
  celslm_rows_close(r);
  return NULL;
}

void celslm_rows_close(celslm_rows *r) {
  if (!r) return;
  celslm_csv_close(r->csv);
  free(r->at);
  free(r);
}

bool celslm_row_in_fit(const celslm_row *r) {
  return r->key % 2 == 0;
}

/* ---- number formats -------------------------------------------------------------------------- */

/* Sizes of published files over their parameters (llama.cpp's quantize), or the format's group
 * scales: one 16-bit scale (and a zero point of the weights' width) for each group. */
static const struct {
  const char *part;
  double bits, head_bits;
} formats[] = {
    {"q4f16", 4.5, 4.5},    {"q3f16", 3.6, 3.6},  {"f32", 32, 32},     {"fp32", 32, 32},
    {"bf16", 16, 16},       {"bfloat16", 16, 16}, {"fp16", 16, 16},    {"f16", 16, 16},
    {"float16", 16, 16},    {"fp8", 8, 16},       {"q8_0", 8.5, 8.5},  {"q6_k", 6.56, 6.56},
    {"q5_k", 5.69, 6.56},   {"q5_0", 5.5, 6.56},  {"q5_1", 6, 6.56},   {"q4_k_s", 4.58, 6.56},
    {"q4_k", 4.85, 6.56},   {"q4_1", 5, 6.56},    {"q4_0", 4.5, 6.56}, {"iq4", 4.4, 6.56},
    {"q3_k", 3.91, 6.56},   {"q2_k", 3.0, 6.56},  {"q4", 4.85, 6.56},  {"mlx-4bit", 4.5, 4.5},
    {"mlx-8bit", 8.5, 8.5}, {"awq", 4.25, 16},    {"gptq", 4.25, 16},  {"int4-g32", 5, 5},
    {"int4", 4.5, 4.5},     {"int8", 8, 8},       {"w4a16", 4.0, 8},   {"w4-g128", 4.13, 8},
    {"spinquant", 4.5, 8},  {"qat-lora", 4.6, 8}, {"w4a8", 4.5, 8},    {"w4", 4.0, 4.0},
    {"w8", 8, 8},           {"mxfp4", 4.25, 16},  {"fp4", 4.5, 16},    {"nf4", 4.5, 16},
    {"e4m3", 8, 16},        {"float32", 32, 32},  {"half", 16, 16},    {"iq3", 3.5, 6.56},
    {"iq2", 2.5, 6.56},     {"q8", 8.5, 8.5},     {"q6", 6.56, 6.56},  {"q5", 5.69, 6.56},
    {"q3", 3.91, 6.56},     {"q2", 3.0, 6.56},    {"int3", 3.25, 16}};

bool celslm_format_bits(const char *dtype, double *bits, double *head_bits) {
  const char *bpw = strcasestr(dtype, "bpw");
  if (bpw) { /* exl2-2.5bpw: an average, with a head of 6 bits */
    const char *s = bpw;
    while (s > dtype && (isdigit((unsigned char)s[-1]) || s[-1] == '.')) s--;
    *bits = strtod(s, NULL);
    *head_bits = 6;
    return *bits >= 1 && *bits <= 32;
  }
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (strcasestr(dtype, formats[i].part)) {
      *bits = formats[i].bits;
      *head_bits = formats[i].head_bits;
      return true;
    }
  const char *bit = strcasestr(dtype, "bit");
  if (!bit) return false;
  while (bit > dtype && !isdigit((unsigned char)bit[-1])) bit--;
  while (bit > dtype && (isdigit((unsigned char)bit[-1]) || bit[-1] == '.')) bit--;
  double n = strtod(bit, NULL);
  *bits = n < 16 ? n + 0.5 : n; /* a 16-bit scale for 32 weights */
  *head_bits = *bits;
  return n >= 1 && n <= 32;
}
