#include "study/design.h"

#include "study/morris.h"
#include "study/sobol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_POINTS 10000000

static bool read_axes(celslm_design *p, const celslm_scenario *s, const celslm_design_options *o,
                      celslm_error *err) {
  int written = s->sweep ? s->sweep->n_children : 0;
  p->axes = celslm_alloc((unsigned long)(written + o->n_axes), sizeof *p->axes);
  p->dimension_of = celslm_alloc((unsigned long)(written + o->n_axes), sizeof *p->dimension_of);
  for (int i = 0; i < written; i++)
    if (!celslm_axis_read(&p->axes[p->n_axes++], &s->sweep->children[i], err)) return false;
  for (int i = 0; i < o->n_axes; i++)
    if (!celslm_axis_parse(&p->axes[p->n_axes++], o->axes[i], err)) return false;
  for (int i = 0; i < p->n_axes; i++)
    for (int k = 0; k < i; k++) {
      if (strcmp(p->axes[i].select, p->axes[k].select) == 0)
        return celslm_fail(err, s->file, 0, "two axes select \"%s\"; one axis for each parameter",
                           p->axes[i].select);
      if (strcmp(p->axes[i].name, p->axes[k].name) == 0)
        return celslm_fail(
            err, s->file, 0,
            "two axes have the name \"%s\"; give one of them another with name=", p->axes[i].name);
    }
  for (int i = 0; i < p->n_axes; i++)
    if (strcmp(p->axes[i].name, "strategy") == 0 || strcmp(p->axes[i].name, "replication") == 0)
      return celslm_fail(err, s->file, 0,
                         "an axis cannot have the name \"%s\": every study has one of its own; "
                         "give another with name=",
                         p->axes[i].name);
  return celslm_axes_fill_sobol(p->axes, p->n_axes, s->file, err);
}

/* Sobol axes are one group, whatever they say. */
static bool together(const celslm_axis *a, const celslm_axis *b) {
  return (a->sobol && b->sobol) || (a->zip && b->zip && strcmp(a->zip, b->zip) == 0);
}

static bool find_dimensions(celslm_design *p, const char *file, celslm_error *err) {
  p->lengths = celslm_alloc((unsigned long)p->n_axes + 1, sizeof *p->lengths);
  for (int i = 0; i < p->n_axes; i++) {
    int of = -1, with = 0;
    for (int k = 0; of < 0 && k < i; k++)
      if (together(&p->axes[i], &p->axes[k])) of = p->dimension_of[with = k];
    if (of < 0) {
      of = p->n_dimensions++;
      p->lengths[of] = p->axes[i].n;
    } else if (p->axes[i].n != p->lengths[of])
      return celslm_fail(err, file, 0,
                         "axes \"%s\" and \"%s\" advance together, but have %d and %d values; give "
                         "both the same number",
                         p->axes[with].name, p->axes[i].name, p->axes[with].n, p->axes[i].n);
    p->dimension_of[i] = of;
  }
  return true;
}

/* The axes' ranges, walked through in trajectories or sampled: one dimension in all. */
static bool spread(celslm_design *p, const celslm_design_options *o, const char *file,
                   celslm_error *err) {
  int64_t n = o->samples ? o->samples * (p->n_axes + 2) : o->trajectories * (p->n_axes + 1);
  if (!p->n_axes)
    return celslm_fail(err, file, 0,
                       "there is nothing to rank: give axes, in <sweep> or by --axis");
  if (n > MAX_POINTS)
    return celslm_fail(err, file, 0, "the sweep has more than %d points; make it smaller",
                       MAX_POINTS);
  if (o->samples && p->n_axes > CELSLM_SOBOL_MOST)
    return celslm_fail(err, file, 0, "%d axes; --samples can rank at most %d, --trajectories more",
                       p->n_axes, CELSLM_SOBOL_MOST);
  for (int i = 0; i < p->n_axes; i++)
    if (p->axes[i].zip || p->axes[i].n < 2)
      return celslm_fail(err, file, 0,
                         "axis \"%s\" cannot be ranked: it is zipped, or has one value",
                         p->axes[i].name);
  p->places = celslm_alloc((unsigned long)(n * p->n_axes), sizeof *p->places);
  if (o->samples)
    celslm_sobol_places((size_t)p->n_axes, (size_t)o->samples, p->places);
  else
    celslm_morris_places((size_t)p->n_axes, (size_t)o->trajectories, p->seed, p->places);
  for (int i = 0; i < p->n_axes; i++) {
    celslm_axis_place(&p->axes[i], p->places + i * n, (int)n);
    p->axes[i].zip = celslm_strdup(o->samples ? "sample" : "trajectory");
  }
  return true;
}

static bool count(celslm_design *p, const char *file, celslm_error *err) {
  p->points = p->replications;
  for (int d = 0; d < p->n_dimensions; d++) {
    if (p->points > MAX_POINTS / p->lengths[d])
      return celslm_fail(err, file, 0, "the sweep has more than %d points; make it smaller",
                         MAX_POINTS);
    p->points *= p->lengths[d];
  }
  return true;
}

celslm_design *celslm_design_new(const celslm_scenario *s, const celslm_design_options *o,
                                 celslm_error *err) {
  celslm_design *p = celslm_alloc(1, sizeof *p);
  p->seed = s->seed;
  p->replications = 1;
  bool ok = !s->sweep || celslm_element_integer(s->sweep, "replications", 1, MAX_POINTS, 1,
                                                &p->replications, err);
  if (o->replications) p->replications = o->replications;
  if (ok && read_axes(p, s, o, err) &&
      (!(o->trajectories || o->samples) || spread(p, o, s->file, err)) &&
      find_dimensions(p, s->file, err) && count(p, s->file, err))
    return p;
  celslm_design_free(p);
  return NULL;
}

void celslm_design_free(celslm_design *p) {
  if (!p) return;
  for (int i = 0; i < p->n_axes; i++) celslm_axis_clear(&p->axes[i]);
  free(p->axes);
  free(p->dimension_of);
  free(p->lengths);
  free(p->places);
  free(p);
}

int64_t celslm_design_replication(const celslm_design *p, int64_t point) {
  return point % p->replications;
}

uint64_t celslm_design_seed(const celslm_design *p, int64_t point) {
  return p->seed + (uint64_t)celslm_design_replication(p, point);
}

int celslm_design_index(const celslm_design *p, int64_t point, int axis) {
  int64_t place = point / p->replications;
  for (int d = p->n_dimensions - 1; d > p->dimension_of[axis]; d--) place /= p->lengths[d];
  return (int)(place % p->lengths[p->dimension_of[axis]]);
}

char **celslm_design_set(const celslm_design *p, int64_t point) {
  char **set = celslm_alloc((unsigned long)p->n_axes + 1, sizeof *set);
  for (int i = 0; i < p->n_axes; i++)
    set[i] = celslm_format("%s=%s", p->axes[i].select,
                           p->axes[i].texts[celslm_design_index(p, point, i)]);
  return set;
}

void celslm_design_free_set(const celslm_design *p, char **set) {
  for (int i = 0; set && i < p->n_axes; i++) free(set[i]);
  free(set);
}

char *celslm_design_label(const celslm_design *p, int64_t point) {
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  for (int i = 0; i < p->n_axes; i++)
    fprintf(f, "%s=%s ", p->axes[i].name, p->axes[i].texts[celslm_design_index(p, point, i)]);
  fprintf(f, "seed=%llu", (unsigned long long)celslm_design_seed(p, point));
  fclose(f);
  return text;
}
