#include "study/merge.h"

#include "base/version.h"

#include "record/arrays.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the grid -------------------------------------------------------------------------------- */

/* Dimensions: those of the plan, then the replication, then the strategy. */
typedef struct grid {
  celslm_array_grid g;
  int64_t *lengths;
  const char **labels;
  celslm_scale *scales;
  char **descriptions;
  double *seeds;
  const char **strategies;
} grid;

static void make_grid(const celslm_study *s, grid *to) {
  const celslm_design *p = s->design;
  int n = p->n_dimensions + 2, n_strategies = s->scenario->n_strategies;
  to->lengths = celslm_alloc((unsigned long)n, sizeof *to->lengths);
  to->labels = celslm_alloc((unsigned long)n, sizeof *to->labels);
  to->scales = celslm_alloc((unsigned long)p->n_axes + 2, sizeof *to->scales);
  to->descriptions = celslm_alloc((unsigned long)p->n_axes + 1, sizeof *to->descriptions);
  to->seeds = celslm_alloc((unsigned long)p->replications, sizeof *to->seeds);
  to->strategies = celslm_alloc((unsigned long)n_strategies, sizeof *to->strategies);
  for (int d = 0; d < p->n_dimensions; d++) to->lengths[d] = p->lengths[d];
  for (int i = p->n_axes - 1; i >= 0; i--) {
    const celslm_axis *a = &p->axes[i];
    to->labels[p->dimension_of[i]] = a->name; /* the first of a group names it */
    to->descriptions[i] = celslm_format("the attribute %s", a->select);
    to->scales[i] = (celslm_scale){.name = a->name,
                                   .description = to->descriptions[i],
                                   .units = a->units,
                                   .dimension = p->dimension_of[i],
                                   .values = a->values,
                                   .texts = (const char *const *)a->texts};
  }
  for (int64_t r = 0; r < p->replications; r++) to->seeds[r] = (double)(p->seed + (uint64_t)r);
  for (int i = 0; i < n_strategies; i++) to->strategies[i] = s->scenario->strategies[i].label;
  to->lengths[n - 2] = p->replications;
  to->labels[n - 2] = "replication";
  to->scales[p->n_axes] = (celslm_scale){.name = "replication",
                                         .description = "seed of the random streams",
                                         .units = "1",
                                         .dimension = n - 2,
                                         .values = to->seeds};
  to->lengths[n - 1] = n_strategies;
  to->labels[n - 1] = "strategy";
  to->scales[p->n_axes + 1] = (celslm_scale){.name = "strategy",
                                             .description = "how requests were served",
                                             .units = "",
                                             .dimension = n - 1,
                                             .texts = to->strategies};
  to->g = (celslm_array_grid){to->lengths, to->labels, n, to->scales, p->n_axes + 2};
}

static void free_grid(const celslm_study *s, grid *g) {
  for (int i = 0; i < s->design->n_axes; i++) free(g->descriptions[i]);
  free(g->descriptions);
  free(g->strategies);
  free(g->seeds);
  free(g->scales);
  free(g->labels);
  free(g->lengths);
}

/* ---- what is written ------------------------------------------------------------------------- */

static bool write_provenance(const celslm_study *s, celslm_results *r, celslm_error *err) {
  const celslm_scenario *sc = s->scenario;
  char *seed = celslm_format("%llu", (unsigned long long)s->design->seed),
       *libraries = celslm_world_libraries(),
       *digest = celslm_format("%016llx", (unsigned long long)s->digest);
  bool ok = celslm_results_provenance(r, "name", sc->name, err) &&
            celslm_results_provenance(r, "seed", seed, err) &&
            celslm_results_provenance(r, "version", celslm_version, err) &&
            celslm_results_provenance(r, "commit", celslm_commit, err) &&
            celslm_results_provenance(r, "libraries", libraries, err) &&
            celslm_results_provenance(r, "plan", digest, err) &&
            celslm_results_provenance(r, "scenario", sc->text, err) &&
            celslm_results_provenance(r, "platform", sc->platform->text, err);
  for (int i = 0; ok && i < sc->platform->n_profiles; i++) {
    char *name = celslm_format("profile %s", sc->platform->profiles[i]->name);
    ok = celslm_results_provenance(r, name, sc->platform->profiles[i]->text, err);
    free(name);
  }
  free(seed);
  free(libraries);
  free(digest);
  return ok;
}

/* One column of all rows; where there is no row: NaN, -1 or, unsigned, the largest number. */
static void *gather(const celslm_study *s, const celslm_point *points,
                    const celslm_column *column) {
  size_t n_strategies = (size_t)s->scenario->n_strategies, size = celslm_type_size(column->type);
  char *out = celslm_alloc((unsigned long)s->design->points * n_strategies, size), *to = out;
  const double nan_value = NAN;
  for (int64_t i = 0; i < s->design->points; i++)
    for (size_t k = 0; k < n_strategies; k++, to += size)
      if (points[i].rows)
        memcpy(to, (const char *)&points[i].rows[k] + column->offset, size);
      else if (column->type == CELSLM_F64)
        memcpy(to, &nan_value, size);
      else
        memset(to, 0xff, size);
  return out;
}

static bool write_summary(const celslm_study *s, const celslm_point *points, const grid *g,
                          celslm_results *r, celslm_error *err) {
  bool ok = celslm_study_file_group(
      r, "summary", "what `celslm show` prints of each point, replication and strategy", err);
  for (size_t c = 0; ok && c < celslm_summary_n_columns; c++) {
    const celslm_column *column = &celslm_summary_columns[c];
    if (strcmp(column->name, "strategy") == 0) continue; /* an axis */
    void *values = gather(s, points, column);
    ok = celslm_study_file_array(r, "summary", column, &g->g, g->g.n_dimensions, values, err);
    free(values);
  }
  return ok;
}

static char *join_set(const celslm_design *p, int64_t point) {
  char *text = NULL, **set = celslm_design_set(p, point);
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  for (int i = 0; i < p->n_axes; i++) fprintf(f, "%s%s", i ? "\n" : "", set[i]);
  fclose(f);
  celslm_design_free_set(p, set);
  return text;
}

static bool write_points(const celslm_study *s, const celslm_point *points, const grid *g,
                         celslm_results *r, celslm_error *err) {
  static const celslm_column status_column = {
      .name = "status",
      .units = "1",
      .description = "0: done; otherwise the exit status of its failure; -1: not run",
      .type = CELSLM_I64};
  size_t n = (size_t)s->design->points;
  int64_t *status = celslm_alloc(n, sizeof *status);
  const char **errors = celslm_alloc(n, sizeof *errors);
  char **set = celslm_alloc(n, sizeof *set);
  for (size_t i = 0; i < n; i++) {
    status[i] = points[i].status;
    errors[i] = points[i].err.text;
    set[i] = join_set(s->design, (int64_t)i);
  }
  int d = g->g.n_dimensions - 1; /* all but the strategy */
  bool ok =
      celslm_study_file_group(r, "points", "how each point came about", err) &&
      celslm_study_file_array(r, "points", &status_column, &g->g, d, status, err) &&
      celslm_study_file_texts(r, "points", "error", "why it failed", &g->g, d, errors, err) &&
      celslm_study_file_texts(r, "points", "set", "what the axes set, as for --set, one in a line",
                              &g->g, d, (const char *const *)set, err);
  for (size_t i = 0; i < n; i++) free(set[i]);
  free(set);
  free(errors);
  free(status);
  return ok;
}

static bool link_requests(const celslm_study *s, const celslm_point *points, celslm_results *r,
                          celslm_error *err) {
  size_t n = (size_t)s->design->points;
  char **parts = celslm_alloc(n, sizeof *parts), **open = celslm_alloc(n, sizeof *open);
  const char *slash = strrchr(s->output, '/');
  for (size_t i = 0; i < n; i++) {
    if (points[i].status != CELSLM_DONE) continue;
    open[i] = celslm_study_point_file(s, (int64_t)i, "h5");
    parts[i] = celslm_strdup(open[i] + (slash ? slash + 1 - s->output : 0));
  }
  bool ok = celslm_study_file_link(r, "requests", (const char *const *)parts,
                                   (const char *const *)open, (int64_t)n, err);
  for (size_t i = 0; i < n; i++) {
    free(parts[i]);
    free(open[i]);
  }
  free(parts);
  free(open);
  return ok;
}

bool celslm_study_merge(const celslm_study *s, celslm_error *err) {
  celslm_point *points = celslm_alloc((unsigned long)s->design->points, sizeof *points);
  for (int64_t i = 0; i < s->design->points; i++) points[i] = celslm_study_read_point(s, i);
  grid g = {0};
  make_grid(s, &g);
  celslm_results *r = celslm_study_file_create(s->output, s->options->requests, err);
  bool ok = r && write_provenance(s, r, err) && celslm_study_file_axes(r, &g.g, err) &&
            write_summary(s, points, &g, r, err) && write_points(s, points, &g, r, err) &&
            (!s->options->requests || link_requests(s, points, r, err));
  if (r) ok = celslm_results_close(r, ok, false, err) && ok;
  free_grid(s, &g);
  for (int64_t i = 0; i < s->design->points; i++) free(points[i].rows);
  free(points);
  return ok;
}
