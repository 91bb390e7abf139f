#include "share/quality_table.h"

#include "cost/csv.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const celslm_quality_status_names[] = {"not measured", "proxy", "measured", NULL};

/* ---- the pair's name ------------------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll, Vo), 64 bits. */
static bool hash_file(const char *file, uint64_t *hash, celslm_error *err) {
  FILE *f = fopen(file, "rb");
  if (!f) return celslm_fail(err, NULL, 0, "%s: %s", file, strerror(errno));
  *hash = 0xcbf29ce484222325u;
  unsigned char block[65536];
  for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;)
    for (size_t i = 0; i < n; i++) *hash = (*hash ^ block[i]) * 0x100000001b3u;
  fclose(f);
  return true;
}

static int stem(const char *file, const char **name) {
  const char *slash = strrchr(file, '/');
  *name = slash ? slash + 1 : file;
  const char *dot = strrchr(*name, '.');
  return (int)(dot && dot > *name ? (size_t)(dot - *name) : strlen(*name));
}

bool celslm_pair_name(const char *cloud, const char *edge, char *name, unsigned long size,
                      celslm_error *err) {
  uint64_t c, e;
  if (!hash_file(cloud, &c, err) || !hash_file(edge, &e, err)) return false;
  const char *cloud_name, *edge_name;
  int cloud_length = stem(cloud, &cloud_name), edge_length = stem(edge, &edge_name);
  snprintf(name, size, "%.*s:%08x/%.*s:%08x", cloud_length, cloud_name, (unsigned)(c ^ c >> 32),
           edge_length, edge_name, (unsigned)(e ^ e >> 32));
  return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

typedef struct row {
  const char *pair, *codec;
  double deepest, rank, context; /* shares; tokens */
  double gap, low, high, kl, top1;
} row;

struct celslm_quality_table {
  celslm_csv *csv;
  row *rows;
  int n;
};

enum { PAIR, TEXT, WAY, SOURCE, MAP, WINDOW, SHALLOW, CODEC, NAMES };
static const char *const names[NAMES] = {"pair", "text",   "way",     "source",
                                         "map",  "window", "shallow", "codec"};
enum { CONTEXT, DEEPEST, LAYERS, RANK, FULL, GAP, LOW, HIGH, KL, TOP1, NUMBERS };
static const char *const numbers[NUMBERS] = {"context", "deepest", "layers",   "rank", "full_rank",
                                             "gap",     "gap_low", "gap_high", "kl",   "top1"};

static bool read_row(celslm_quality_table *t, int i, const int *name, const int *number,
                     celslm_error *err) {
  const char *text[NAMES];
  double x[NUMBERS];
  for (int k = 0; k < NAMES; k++) text[k] = celslm_csv_cell(t->csv, i, name[k]);
  for (int k = 0; k < NUMBERS; k++)
    if (!celslm_csv_number(t->csv, i, number[k], -1e9, 1e9, false, &x[k], err)) return false;
  if (x[LAYERS] < 1 || x[FULL] < 1)
    return celslm_fail(err, t->csv->file, t->csv->lines[i],
                       "layers and full_rank must be at least 1");
  bool ours = strcmp(text[TEXT], "same") == 0 && strcmp(text[WAY], "mapped") == 0 &&
              strcmp(text[SOURCE], "normed") == 0 && strcmp(text[MAP], "aligned") == 0 &&
              strcmp(text[WINDOW], "3") == 0 && strcmp(text[SHALLOW], "absent") != 0;
  if (ours)
    t->rows[t->n++] = (row){text[PAIR],
                            text[CODEC],
                            x[DEEPEST] / x[LAYERS],
                            x[RANK] > 0 ? x[RANK] / x[FULL] : 1,
                            x[CONTEXT],
                            x[GAP],
                            x[LOW],
                            x[HIGH],
                            x[KL],
                            x[TOP1]};
  return true;
}

celslm_quality_table *celslm_quality_table_open(const char *file, celslm_error *err) {
  celslm_csv *csv = celslm_csv_open(file, err);
  if (!csv) return NULL;
  celslm_quality_table *t = celslm_alloc(1, sizeof *t);
  t->csv = csv;
  t->rows = celslm_alloc((unsigned long)csv->rows + 1, sizeof *t->rows);
  int name[NAMES], number[NUMBERS];
  bool ok = true;
  for (int k = 0; ok && k < NAMES; k++) ok = (name[k] = celslm_csv_column(csv, names[k], err)) >= 0;
  for (int k = 0; ok && k < NUMBERS; k++)
    ok = (number[k] = celslm_csv_column(csv, numbers[k], err)) >= 0;
  for (int i = 0; ok && i < csv->rows; i++) ok = read_row(t, i, name, number, err);
  if (ok && t->n == 0)
    ok = celslm_fail(err, file, 0, "no row has the aligned map's quality; see celslm quality -o");
  if (ok) return t;
  celslm_quality_table_close(t);
  return NULL;
}

void celslm_quality_table_close(celslm_quality_table *t) {
  if (!t) return;
  celslm_csv_close(t->csv);
  free(t->rows);
  free(t);
}

/* Is a nearer to what is wanted than b? */
static bool nearer(const row *a, const row *b, double deepest, double rank, double context) {
  bool a_less = a->deepest < deepest - 1e-9, b_less = b->deepest < deepest - 1e-9;
  if (a_less != b_less) return b_less;
  double da = fabs(a->deepest - deepest), db = fabs(b->deepest - deepest);
  if (da != db) return da < db;
  double ra = fabs(a->rank - rank), rb = fabs(b->rank - rank);
  if (ra != rb) return ra < rb;
  return fabs(log(a->context / context)) < fabs(log(b->context / context));
}

celslm_quality_figure celslm_quality_find(const celslm_quality_table *t, const char *pair,
                                          double deepest, double rank, const char *codec,
                                          double context) {
  celslm_quality_figure f = {CELSLM_QUALITY_NOT_MEASURED, NULL, NAN, NAN, NAN, NAN, NAN, NAN};
  const row *best = NULL;
  for (int i = 0; t && i < t->n; i++)
    if (strcmp(t->rows[i].codec, codec) == 0 &&
        (!best || nearer(&t->rows[i], best, deepest, rank, context)))
      best = &t->rows[i];
  if (deepest <= 0)
    f = (celslm_quality_figure){CELSLM_QUALITY_MEASURED, NULL, 1, 1, 1, 0, 1, context};
  else if (best)
    f = (celslm_quality_figure){pair && strcmp(pair, best->pair) == 0 ? CELSLM_QUALITY_MEASURED
                                                                      : CELSLM_QUALITY_PROXY,
                                best->pair,
                                best->gap,
                                best->low,
                                best->high,
                                best->kl,
                                best->top1,
                                best->context};
  return f;
}

celslm_quality_status celslm_quality_curve(const celslm_quality_table *t, const char *pair,
                                           int layers, double rank, const char *codec,
                                           double context, double *gap) {
  celslm_quality_status status = CELSLM_QUALITY_MEASURED;
  for (int s = layers; s >= 0; s--) {
    celslm_quality_figure f =
        celslm_quality_find(t, pair, (double)(layers - s) / layers, rank, codec, context);
    gap[s] = f.gap;
    if (f.status < status) status = f.status;
  }
  return status;
}
