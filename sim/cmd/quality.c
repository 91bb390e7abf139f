/* quality.c - celslm quality: aligns two real models, and measures what predictions lose when one
 * stands on keys and values that were mapped from the other. */
#include "share/quality.h"
#include "base/version.h"
#include "cmd/commands.h"
#include "share/comparison.h"
#include "share/quality_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char help[] =
    "usage: celslm quality [--quick] [--cloud FILE] [--edge FILE] [--text FILE] [--other FILE]\n"
    "                      [--held-out BOOKS] [-o TABLE.csv] [--comparisons FILE.csv]\n"
    "                      [--map MAP.h5] [-j N]\n"
    "\n"
    "Reads a text through two models with one tokenizer (bytes), fits the maps from the cloud\n"
    "model's layers to the edge model's keys and values, and measures on text that neither model\n"
    "nor map has seen what the edge model loses when its context is such a mapped one: bits per\n"
    "byte, share of the gap to its own full prefill that is recovered, KL, agreement.\n"
    "\n"
    "  --quick          one context length, few windows, a part of the conditions\n"
    "  --cloud, --edge  llama2.c checkpoints; default: those shipped in tools/models\n"
    "  --text FILE      lines BOOK<tab>text; default: the King James text of Debian's bible-kjv\n"
    "  --held-out LIST  books never trained on, separated by commas\n"
    "  --other FILE     text of another kind; default: literature of Debian's fortunes\n"
    "  -o TABLE.csv     the quality table, which scenarios use (docs/quality.md)\n"
    "  --comparisons F  by how much mapped KV is better than no context, mean KV and uniform "
    "maps,\n"
    "                   window by window, by length and for all together (CSV); without -o this\n"
    "                   alone is measured\n"
    "  -j N             measure N parts at a time, each on one thread (default 1)\n"
    "  --map MAP.h5     the map and the layers' similarities\n";

typedef struct arguments {
  bool quick;
  long jobs;
  const char *cloud, *edge, *text, *other, *held_out, *table, *comparisons, *map;
  char shipped[2][4096]; /* names of the models that come with the program */
} arguments;

static bool read_arguments(int argc, char **argv, arguments *a, celslm_error *err) {
  *a = (arguments){.held_out = CELSLM_HELD_OUT_BOOKS, .jobs = 1};
  snprintf(a->shipped[0], sizeof a->shipped[0], "%s/tools/models/cloud.bin", celslm_home);
  snprintf(a->shipped[1], sizeof a->shipped[1], "%s/tools/models/edge.bin", celslm_home);
  a->cloud = a->shipped[0], a->edge = a->shipped[1];
  const char *jobs = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0)
      a->quick = true;
    else if (!celslm_option(argc, argv, &i, "--cloud", NULL, &a->cloud, err) &&
             !celslm_option(argc, argv, &i, "--edge", NULL, &a->edge, err) &&
             !celslm_option(argc, argv, &i, "--text", NULL, &a->text, err) &&
             !celslm_option(argc, argv, &i, "--other", NULL, &a->other, err) &&
             !celslm_option(argc, argv, &i, "--held-out", NULL, &a->held_out, err) &&
             !celslm_option(argc, argv, &i, "--output", "-o", &a->table, err) &&
             !celslm_option(argc, argv, &i, "--comparisons", NULL, &a->comparisons, err) &&
             !celslm_option(argc, argv, &i, "--jobs", "-j", &jobs, err) &&
             !celslm_option(argc, argv, &i, "--map", NULL, &a->map, err))
      return celslm_fail(err, NULL, 0, "%s is no option of celslm quality; see --help", argv[i]);
    if (err->text[0]) return false;
  }
  return !jobs || celslm_read_jobs(jobs, &a->jobs, err);
}

/* ---- the maps that are compared -------------------------------------------------------------- */

/* Layer maps: by the largest sum of R2, or evenly stretched. */
static const struct {
  bool uniform;
  celslm_source source;
  int reach;
} kinds[] = {{false, CELSLM_SOURCE_NORMED, 1},
             {false, CELSLM_SOURCE_NORMED, 0},
             {false, CELSLM_SOURCE_NORMED, CELSLM_ALL_LAYERS},
             {true, CELSLM_SOURCE_NORMED, 1},
             {true, CELSLM_SOURCE_NORMED, 0},
             {false, CELSLM_SOURCE_RESIDUAL, 1},
             {false, CELSLM_SOURCE_KV, 1},
             {false, CELSLM_SOURCE_KV, 0},
             {false, CELSLM_SOURCE_KV, CELSLM_ALL_LAYERS},
             {true, CELSLM_SOURCE_KV, 1},
             {true, CELSLM_SOURCE_KV, 0}};
enum { MAPS = sizeof kinds / sizeof *kinds, MAIN = 0 };
static const char *map_name(int kind) {
  return kinds[kind].uniform ? "uniform" : "aligned";
}

/* Ridge, relative to the sources' mean variance (assumption). */
static const double lambda = 1e-4;

typedef struct study {
  arguments a;
  celslm_transformer *cloud, *edge;
  int layers, width; /* of the edge: layers, width of [keys | values] */
  celslm_text known, unknown, other;
  celslm_similarity similarity[CELSLM_SOURCES];
  celslm_mapping maps[MAPS];
  char pair[256];
  FILE *table, *comparisons, *kept; /* kept: comparisons by window, to be put together */
} study;

static bool stream(study *s, celslm_pair_moments *moments[CELSLM_SOURCES], celslm_error *err) {
  int64_t length = s->a.quick ? 512 : 1024;
  int pieces = s->a.quick ? 16 : 24;
  int most_cloud = celslm_transformer_shape_of(s->cloud)->max_tokens,
      most_edge = celslm_transformer_shape_of(s->edge)->max_tokens;
  if (length > most_cloud) length = most_cloud;
  if (length > most_edge) length = most_edge;
  for (int i = 0; i < pieces; i++) {
    const int32_t *piece = celslm_text_piece(&s->known, length, i, pieces);
    if (!piece) return celslm_fail(err, NULL, 0, "the text to know is too short");
    celslm_states c = celslm_states_read(s->cloud, length, piece),
                  e = celslm_states_read(s->edge, length, piece);
    for (int k = 0; k < CELSLM_SOURCES; k++)
      celslm_pair_moments_add(moments[k], &c, &e, i % 4 == 3); /* every fourth judges */
    celslm_states_free(&c), celslm_states_free(&e);
  }
  printf("calibration: %d pieces of %lld tokens of the books known, a fourth of them to judge\n",
         pieces, (long long)length);
  return true;
}

static bool fit_maps(study *s, celslm_error *err) {
  celslm_pair_moments *moments[CELSLM_SOURCES];
  for (int k = 0; k < CELSLM_SOURCES; k++)
    moments[k] = celslm_pair_moments_new((celslm_source)k, s->cloud, s->edge);
  bool ok = stream(s, moments, err);
  for (int k = 0; ok && k < CELSLM_SOURCES; k++)
    ok = celslm_similarity_measure(moments[k], lambda, &s->similarity[k], err);
  int layer[CELSLM_MOST_LAYERS];
  for (int i = 0; ok && i < MAPS; i++) {
    const celslm_pair_moments *p = moments[kinds[i].source];
    if (kinds[i].uniform)
      celslm_layer_map_uniform(p->from, p->to, layer);
    else
      celslm_layer_map(p->from, p->to, s->similarity[kinds[i].source].r2, layer);
    ok = celslm_mapping_fit(p, layer, kinds[i].reach, lambda, &s->maps[i], err);
    if (!ok || kinds[i].reach == CELSLM_ALL_LAYERS) continue;
    printf("layer map from %-8s of %d, %-7s:", celslm_source_names[kinds[i].source],
           2 * kinds[i].reach + 1, map_name(i));
    for (int j = 0; j < s->layers; j++) printf(" %d (R2 %.3f)", layer[j], s->maps[i].layers[j].r2);
    printf("\n");
    fflush(stdout);
  }
  for (int k = 0; k < CELSLM_SOURCES; k++) celslm_pair_moments_free(moments[k]);
  return ok;
}

/* ---- conditions ------------------------------------------------------------------------------ */

enum { MOST_CONDITIONS = 512 };

typedef struct plan {
  celslm_condition c[MOST_CONDITIONS];
  int n;
} plan;

static void put(plan *p, celslm_condition c) {
  if (p->n < MOST_CONDITIONS) p->c[p->n++] = c;
}

/* The ranks that are tried, in sixteenths of the full one, which comes first. */
static const int sixteenths[] = {16, 12, 8, 6, 4, 2, 1};
enum { RANKS = sizeof sixteenths / sizeof *sixteenths };

static int rank_of(const study *s, int i) {
  return i ? s->width * sixteenths[i] / 16 : 0;
}

/* `grid`: every depth and codec at four ranks; else the deepest, and one thing changed at a time.
 */
static void conditions(const study *s, bool grid, plan *p) {
  int all = s->layers;
  p->n = 0;
  put(p, (celslm_condition){.way = CELSLM_WAY_FULL, .map = -1});
  put(p, (celslm_condition){.way = CELSLM_WAY_NONE, .map = -1});
  put(p, (celslm_condition){.way = CELSLM_WAY_MEAN, .map = MAIN, .deepest = all});
  put(p, (celslm_condition){.way = CELSLM_WAY_COPY, .map = MAIN, .deepest = all});
  put(p, (celslm_condition){.way = CELSLM_WAY_CLOUD, .map = -1});
  for (int c = 1; c < CELSLM_WIRE_CODECS; c++)
    put(p, (celslm_condition){.way = CELSLM_WAY_FULL, .map = -1, .codec = (celslm_wire_codec)c});
  for (int m = 1; m < MAPS; m++)
    put(p, (celslm_condition){.way = CELSLM_WAY_MAPPED, .map = m, .deepest = all});
  for (int d = 1; d < all; d++)
    put(p, (celslm_condition){.way = CELSLM_WAY_MAPPED, .map = MAIN, .deepest = d, .absent = true});
  for (int d = all; d >= 1; d--)
    for (int r = 0; r < RANKS; r++)
      for (int c = 0; c < CELSLM_WIRE_CODECS; c++) {
        int changed = (d != all) + (r != 0) + (c != CELSLM_WIRE_F16);
        if (rank_of(s, r) == 0 && r != 0) continue;
        if (changed <= 1 || (grid && (r % 2 == 0 || r == 5)))
          put(p, (celslm_condition){.way = CELSLM_WAY_MAPPED,
                                    .map = MAIN,
                                    .deepest = d,
                                    .rank = rank_of(s, r),
                                    .codec = (celslm_wire_codec)c});
      }
}

/* ---- output ---------------------------------------------------------------------------------- */

static void write_rows(const study *s, const char *text, int64_t context, int windows,
                       const celslm_score *scores, int n) {
  for (int i = 0; s->table && i < n; i++) {
    const celslm_score *x = &scores[i];
    const celslm_condition *c = &x->condition;
    bool mapped = c->way == CELSLM_WAY_MAPPED;
    fprintf(s->table, "%s,%s,%lld,%s,%s,%s,", s->pair, text, (long long)context,
            celslm_way_names[c->way], mapped ? celslm_source_names[kinds[c->map].source] : "",
            mapped ? map_name(c->map) : "");
    if (mapped && kinds[c->map].reach < CELSLM_ALL_LAYERS)
      fprintf(s->table, "%d,", 2 * kinds[c->map].reach + 1);
    else
      fprintf(s->table, "%s,", mapped ? "all" : "");
    double flops[2] = {0, 0};
    for (int j = s->layers - c->deepest; mapped && j < s->layers; j++) {
      celslm_map_flops f =
          celslm_mapping_flops(s->maps[c->map].layers[j].map.inputs, s->width, c->rank);
      flops[0] += f.cloud, flops[1] += f.edge;
    }
    fprintf(s->table, "%d,%d,%s,%d,%d,%s,%.4f,%.0f,%.0f,", c->deepest, s->layers,
            !mapped || c->deepest == s->layers ? ""
            : c->absent                        ? "absent"
                                               : "local",
            c->rank, s->width, celslm_wire_names[c->codec], x->bytes, flops[0], flops[1]);
    fprintf(s->table, "%.5f,%.5f,%.5f,%.5f,%.5f,%.5f,", x->loss, x->loss_low, x->loss_high,
            x->excess, x->excess_low, x->excess_high);
    fprintf(s->table, "%.4f,%.4f,%.4f,%.5f,%.4f,%.4f,%d\n", x->gap, x->gap_low, x->gap_high, x->kl,
            x->top1, x->attention_error, windows);
  }
}

/* "no context", or "mapped from normed aligned of 3 rank 32 int8"; f16 is not said. */
static void name_way(const celslm_condition *c, char *name, size_t size) {
  if (c->way != CELSLM_WAY_MAPPED) {
    snprintf(name, size, "%s", celslm_way_names[c->way]);
    return;
  }
  char window[24] = "all";
  if (kinds[c->map].reach < CELSLM_ALL_LAYERS)
    snprintf(window, sizeof window, "%d", 2 * kinds[c->map].reach + 1);
  int n = snprintf(name, size, "mapped from %s %s of %s", celslm_source_names[kinds[c->map].source],
                   map_name(c->map), window);
  if (c->rank) n += snprintf(name + n, size - (size_t)n, " rank %d", c->rank);
  if (c->codec) snprintf(name + n, size - (size_t)n, " %s", celslm_wire_names[c->codec]);
}

static celslm_quality_plan plan_of(const study *s, const celslm_condition *c, int n,
                                   int64_t context, int windows) {
  return (celslm_quality_plan){.cloud = s->cloud,
                               .edge = s->edge,
                               .maps = s->maps,
                               .conditions = c,
                               .n_conditions = n,
                               .context = context,
                               .continuation = 64,
                               .windows = windows,
                               .seed = 1};
}

static void print_score(const celslm_score *x) {
  const celslm_condition *c = &x->condition;
  char name[160], depth[48] = "";
  name_way(c, name, sizeof name);
  if (c->way == CELSLM_WAY_MAPPED)
    snprintf(depth, sizeof depth, ", deepest %d%s", c->deepest,
             c->absent ? " (others absent)" : "");
  strcat(name, depth);
  printf("%-60s %-4s %8.1f  %.4f [%.4f, %.4f]  %6.1f [%6.1f, %6.1f]  %.4f  %.3f  %.3f\n", name,
         celslm_wire_names[c->codec], x->bytes, x->loss, x->loss_low, x->loss_high, 100 * x->gap,
         100 * x->gap_low, 100 * x->gap_high, x->kl, x->top1, x->attention_error);
}

static bool fits(const study *s, const celslm_quality_plan *q) {
  int64_t length = q->context + q->continuation;
  return length <= celslm_transformer_shape_of(s->cloud)->max_tokens &&
         length <= celslm_transformer_shape_of(s->edge)->max_tokens;
}

static bool measure(const study *s, const celslm_text *text, const char *name, int64_t context,
                    int windows, bool grid, celslm_error *err) {
  static plan p;
  conditions(s, grid, &p);
  celslm_quality_plan q = plan_of(s, p.c, p.n, context, windows);
  if (!fits(s, &q)) {
    printf("\n%s text, context %lld: more than the models can read\n", name, (long long)context);
    return true;
  }
  celslm_score *scores = celslm_alloc((unsigned long)p.n, sizeof *scores);
  bool ok = celslm_quality_measure(&q, text, scores, err);
  if (ok) {
    printf("\n%s text, context %lld, %d windows of %lld more bytes\n", name, (long long)context,
           windows, (long long)q.continuation);
    printf("%-60s %-4s %8s  %-23s  %-23s  %-6s  %-5s  %s\n", "edge's context", "as", "B/token",
           "bit/byte [95 %]", "% of gap recovered", "KL", "top-1", "attention error");
    for (int i = 0; i < p.n; i++) print_score(&scores[i]);
    write_rows(s, name, context, windows, scores, p.n);
    fflush(stdout);
  }
  celslm_scores_free(scores, p.n);
  free(scores);
  return ok;
}

/* ---- comparisons ----------------------------------------------------------------------------- */

static void write_comparison(const study *s, const celslm_comparison *c, celslm_difference loss,
                             celslm_difference kl) {
  printf("  %-36s against %-36s: loss %+.4f [%+.4f, %+.4f]%s  KL %+.4f [%+.4f, %+.4f]%s\n",
         c->better, c->worse, loss.mean, loss.low, loss.high, loss.low > 0 ? " *" : "  ", kl.mean,
         kl.low, kl.high, kl.low > 0 ? " *" : "");
  char context[24] = "all";
  if (c->context) snprintf(context, sizeof context, "%lld", (long long)c->context);
  if (s->comparisons)
    fprintf(s->comparisons, "%s,%s,%s,%s,%s,%.5f,%.5f,%.5f,%.5f,%.5f,%.5f,%d\n", s->pair, c->text,
            context, c->better, c->worse, loss.mean, loss.low, loss.high, kl.mean, kl.low, kl.high,
            c->windows);
}

typedef struct place { /* where comparisons are made */
  const study *s;
  const celslm_quality_plan *q;
  const char *name; /* of the text */
  int64_t length;   /* of the text */
} place;

static void compare(const place *p, const celslm_score *better, const celslm_score *worse) {
  int windows = p->q->windows;
  uint64_t seed = p->q->seed;
  celslm_comparison c = celslm_comparison_make(p->q, p->length, better, worse);
  snprintf(c.text, sizeof c.text, "%s", p->name);
  name_way(&better->condition, c.better, sizeof c.better);
  name_way(&worse->condition, c.worse, sizeof c.worse);
  write_comparison(p->s, &c, celslm_paired_difference(worse->losses, better->losses, windows, seed),
                   celslm_paired_difference(worse->kls, better->kls, windows, seed));
  celslm_comparison_send(&c, p->s->kept);
  celslm_comparison_free(&c);
}

/* What all lengths of a context say together. */
static void compare_together(const study *s) {
  enum { MOST = 512 };
  celslm_comparison c[MOST], pooled[MOST];
  int n = 0;
  rewind(s->kept);
  while (n < MOST && celslm_comparison_receive(&c[n], s->kept)) n++;
  int all = celslm_comparisons_pool(c, n, pooled);
  if (all)
    printf("\nall lengths together, by stretches of text (bit/byte; * with 95 %% confidence)\n");
  for (int i = 0; i < all; i++) {
    const celslm_comparison *p = &pooled[i];
    write_comparison(s, p, celslm_stretched_difference(p->loss, p->stretch, p->windows, 1),
                     celslm_stretched_difference(p->kl, p->stretch, p->windows, 1));
    celslm_comparison_free(&pooled[i]);
  }
  for (int i = 0; i < n; i++) celslm_comparison_free(&c[i]);
}

/* Does m align layers as well as possible where u stretches them evenly, from the same states? */
static bool are_rivals(int m, int u) {
  return !kinds[m].uniform && kinds[u].uniform && kinds[m].source == kinds[u].source &&
         kinds[m].reach == kinds[u].reach;
}

static bool has_rival(int map) {
  for (int i = 0; i < MAPS; i++)
    if (are_rivals(map, i) || are_rivals(i, map)) return true;
  return false;
}

/* On many windows that do not overlap, the same for both sides, whose difference varies far less
 * than either: the main map against what is simpler; maps of the same source and as many layers
 * against one another; each rank against the next lower, each codec against the next
 * smaller; and the cloud's model against the edge's, both with a context of their own. */
static bool measure_comparisons(const study *s, const celslm_text *text, const char *name,
                                int64_t context, int most, celslm_error *err) {
  enum {
    FULL,
    NONE,
    MEAN,
    COPY,
    CLOUD,
    MAP,
    RANK = MAP + MAPS,
    CODEC = RANK + RANKS,
    ALL = CODEC + CELSLM_WIRE_CODECS
  };
  celslm_condition c[ALL] = {[FULL] = {.way = CELSLM_WAY_FULL, .map = -1},
                             [NONE] = {.way = CELSLM_WAY_NONE, .map = -1},
                             [MEAN] = {.way = CELSLM_WAY_MEAN},
                             [COPY] = {.way = CELSLM_WAY_COPY},
                             [CLOUD] = {.way = CELSLM_WAY_CLOUD, .map = -1}};
  for (int i = MAP; i < ALL; i++) c[i] = (celslm_condition){.way = CELSLM_WAY_MAPPED, .map = MAIN};
  for (int i = NONE + 1; i < ALL; i++) c[i].deepest = s->layers;
  for (int i = 0; i < MAPS; i++) c[MAP + i].map = i;
  for (int i = 0; i < RANKS; i++) c[RANK + i].rank = rank_of(s, i);
  for (int i = 0; i < CELSLM_WIRE_CODECS; i++) c[CODEC + i].codec = (celslm_wire_codec)i;
  celslm_condition list[ALL]; /* what is the same, or compared with nothing, is left out */
  int at[ALL], n = 0;
  for (int i = 0; i < ALL; i++) {
    at[i] = i == RANK || i == CODEC ? at[MAP + MAIN] : n;
    if (at[i] == n && (i < MAP || i >= RANK || has_rival(i - MAP))) list[n++] = c[i];
  }
  celslm_quality_plan q = plan_of(s, list, n, context, most);
  if (!fits(s, &q)) return true;
  int64_t disjoint = text->n / (context + q.continuation);
  if (q.windows > disjoint) q.windows = (int)disjoint;
  celslm_score score[ALL];
  place here = {s, &q, name, text->n};
  if (!celslm_quality_measure(&q, text, score, err)) return false;
  printf("\n%s text, context %lld, %d windows that do not overlap: by how much the first is better "
         "(bit/byte; * with 95 %% confidence)\n",
         name, (long long)context, q.windows);
  for (int i = NONE; i < CLOUD; i++) compare(&here, &score[at[MAP + MAIN]], &score[at[i]]);
  for (int i = 0; i < MAPS; i++) /* one layer, uniformly: what one would try first */
    if (kinds[i].uniform && kinds[i].source == kinds[MAIN].source && kinds[i].reach == 0)
      compare(&here, &score[at[MAP + MAIN]], &score[at[MAP + i]]);
  for (int m = 0; m < MAPS; m++)
    for (int u = 0; u < MAPS; u++)
      if (are_rivals(m, u)) compare(&here, &score[at[MAP + m]], &score[at[MAP + u]]);
  for (int i = 1; i < RANKS; i++)
    if (c[RANK + i].rank > 0) compare(&here, &score[at[RANK + i - 1]], &score[at[RANK + i]]);
  for (int i = 1; i < CELSLM_WIRE_CODECS; i++)
    compare(&here, &score[at[CODEC + i - 1]], &score[at[CODEC + i]]);
  compare(&here, &score[at[CLOUD]], &score[at[FULL]]);
  celslm_scores_free(score, n);
  fflush(stdout);
  return true;
}

/* What is measured, in the order of the output: the table's rows, then the comparisons. */
typedef struct task {
  bool other, compares, grid; /* on text of another kind */
  int64_t context;
  int windows;
} task;

static bool perform(const study *s, const task *t, celslm_error *err) {
  const celslm_text *text = t->other ? &s->other : &s->unknown;
  const char *name = t->other ? "other" : "same";
  return t->compares ? measure_comparisons(s, text, name, t->context, t->windows, err)
                     : measure(s, text, name, t->context, t->windows, t->grid, err);
}

static int list_tasks(const study *s, task *list) {
  static const int64_t contexts[] = {128, 256, 512, 1024};
  static const int most[] = {256, 256, 128}; /* windows to compare on: time is what limits them */
  int n = 0;
  for (int i = 0; i < 4; i++)
    for (int other = 0; other < (s->other.n ? 2 : 1); other++) {
      if (s->a.quick ? i != 1 : other && i % 2 == 0) continue; /* the other kind: every second */
      bool quick = s->a.quick;
      if (s->a.table || !s->a.comparisons)
        list[n++] = (task){other, false, !quick && !other, contexts[i], quick ? 8 : 48};
      if (i < (other ? 2 : 3)) /* at 1,024 the table has to do: its windows cost the most */
        list[n++] = (task){other, true, false, contexts[i], quick ? 48 : most[other ? 2 : i]};
    }
  return n;
}

/* A task's outputs on the way to the parent. */
enum { SCREEN, TABLE, COMPARISONS, KEPT, OUTPUTS };

typedef struct child {
  pid_t pid;
  FILE *out[OUTPUTS];
} child;

static bool start(const study *s, const task *t, child *c, celslm_error *err) {
  for (int i = 0; i < OUTPUTS; i++)
    if (!(c->out[i] = tmpfile())) return celslm_fail(err, NULL, 0, "no room for a file");
  fflush(NULL);
  if ((c->pid = fork()) < 0) return celslm_fail(err, NULL, 0, "fork: %s", strerror(errno));
  if (c->pid > 0) return true;
  study own = *s;
  celslm_error why = {0};
  if (own.table) own.table = c->out[TABLE];
  if (own.comparisons) own.comparisons = c->out[COMPARISONS];
  own.kept = c->out[KEPT];
  bool ok = dup2(fileno(c->out[SCREEN]), STDOUT_FILENO) >= 0 && perform(&own, t, &why);
  if (!ok) fprintf(stderr, "celslm: %s\n", why.text);
  ok = fflush(NULL) == 0 && ok;
  _exit(ok ? 0 : 1);
}

static void pass_on(FILE *from, FILE *to) {
  char block[4096];
  rewind(from);
  for (size_t n; to && (n = fread(block, 1, sizeof block, from)) > 0;) fwrite(block, 1, n, to);
  fclose(from);
}

static bool finish(const study *s, child *c, celslm_error *err) {
  int status = 0;
  bool ok = waitpid(c->pid, &status, 0) == c->pid && status == 0;
  FILE *to[OUTPUTS] = {stdout, s->table, s->comparisons, s->kept};
  for (int i = 0; i < OUTPUTS; i++) pass_on(c->out[i], to[i]);
  fflush(stdout);
  return ok || celslm_fail(err, NULL, 0, "a part of the measurement failed");
}

/* `jobs` tasks at a time, each in a process of its own, which a team of OpenMP threads would not
 * survive: on one thread. The output is the same for any number. */
static bool measure_all(const study *s, celslm_error *err) {
  enum { MOST = 16 };
  task list[MOST];
  child children[MOST];
  int n = list_tasks(s, list), started = 0, finished = 0;
  bool ok = true;
  if (s->a.jobs == 1) {
    while (ok && started < n) ok = perform(s, &list[started++], err);
    return ok;
  }
  while (finished < started || (ok && started < n)) {
    if (ok && started < n && started - finished < s->a.jobs) {
      ok = start(s, &list[started], &children[started], err);
      started += ok;
    } else {
      ok = finish(s, &children[finished++], ok ? err : &(celslm_error){0}) && ok;
    }
  }
  return ok;
}

/* A table is written beside its name and moved there when whole. NULL: none is wanted. */
static bool begin(const char *file, const char *columns, FILE **out, celslm_error *err) {
  if (!file) return true;
  char *part = celslm_format("%s.part", file);
  *out = fopen(part, "w");
  if (*out)
    fprintf(*out, "%s\n", columns);
  else
    celslm_fail(err, NULL, 0, "%s: %s", part, strerror(errno));
  free(part);
  return *out != NULL;
}

static bool end(const char *file, FILE *out, bool ok, celslm_error *err) {
  if (!out) return ok;
  char *part = celslm_format("%s.part", file);
  if ((fclose(out) != 0 || (ok && rename(part, file) != 0)) && ok)
    ok = celslm_fail(err, NULL, 0, "%s: %s", file, strerror(errno));
  if (!ok) remove(part);
  free(part);
  return ok;
}

static bool run(study *s, celslm_error *err) {
  if (!(s->cloud = celslm_load_checkpoint(s->a.cloud, err)) ||
      !(s->edge = celslm_load_checkpoint(s->a.edge, err)) ||
      !celslm_corpus_read(s->a.text, s->a.held_out, &s->known, &s->unknown, err))
    return false;
  const celslm_transformer_shape *c = celslm_transformer_shape_of(s->cloud),
                                 *e = celslm_transformer_shape_of(s->edge);
  if (c->vocabulary != e->vocabulary || c->vocabulary < 256)
    return celslm_fail(err, NULL, 0,
                       "%s has %d tokens and %s %d; one tokenizer, with all bytes, is needed",
                       s->a.cloud, c->vocabulary, s->a.edge, e->vocabulary);
  if (e->layers > CELSLM_MOST_LAYERS)
    return celslm_fail(err, NULL, 0, "%s has more than %d layers", s->a.edge, CELSLM_MOST_LAYERS);
  s->layers = e->layers;
  s->width = 2 * (e->dim / e->q_heads * e->kv_heads);
  static const char fortunes[] = "/usr/share/games/fortunes/literature";
  if (s->a.other || access(fortunes, R_OK) == 0) {
    if (!celslm_text_read(s->a.other ? s->a.other : fortunes, &s->other, err)) return false;
    celslm_text_keep(&s->other, &s->known);
  } else {
    printf("%s is not there: no text of another kind (Debian's fortunes)\n", fortunes);
  }
  if (!celslm_pair_name(s->a.cloud, s->a.edge, s->pair, sizeof s->pair, err)) return false;
  printf("pair: %s\n", s->pair);
  if (!begin(s->a.table, CELSLM_QUALITY_COLUMNS, &s->table, err) ||
      !begin(s->a.comparisons, CELSLM_COMPARISON_COLUMNS, &s->comparisons, err)) {
    end(s->a.table, s->table, false, err);
    return false;
  }
  if (s->a.jobs > 1) celslm_threads_set(1);
  s->kept = tmpfile();
  bool ok = (s->kept || celslm_fail(err, NULL, 0, "no room for a file")) && fit_maps(s, err) &&
            measure_all(s, err);
  if (ok) compare_together(s);
  if (s->kept) fclose(s->kept);
  ok = end(s->a.table, s->table, ok, err);
  ok = end(s->a.comparisons, s->comparisons, ok, err);
  return ok && (!s->a.map || celslm_mapping_write(s->a.map, &s->maps[MAIN], s->similarity, s->pair,
                                                  "King James text, books not held out", err));
}

int celslm_cmd_quality(int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0) {
      fputs(help, stdout);
      return 0;
    }
  celslm_error err = {0};
  study s = {0};
  if (!read_arguments(argc, argv, &s.a, &err)) return celslm_bad_input(&err);
  bool ok = run(&s, &err);
  for (int i = 0; i < MAPS; i++) celslm_mapping_free(&s.maps[i]);
  for (int k = 0; k < CELSLM_SOURCES; k++) celslm_similarity_free(&s.similarity[k]);
  celslm_text_free(&s.known), celslm_text_free(&s.unknown), celslm_text_free(&s.other);
  celslm_transformer_free(s.cloud), celslm_transformer_free(s.edge);
  return ok ? 0 : celslm_bad_input(&err);
}
