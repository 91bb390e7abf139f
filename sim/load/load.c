#include "load/load.h"

#include "base/rng.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const celslm_process *const celslm_processes[] = {
    &celslm_process_poisson, &celslm_process_deterministic, &celslm_process_gamma,
    &celslm_process_mmpp,    &celslm_process_diurnal,       NULL,
};

const celslm_distribution *const celslm_distributions[] = {
    &celslm_distribution_fixed,
    &celslm_distribution_uniform,
    &celslm_distribution_lognormal,
    NULL,
};

const celslm_trace_format *const celslm_trace_formats[] = {
    &celslm_trace_azure,
    &celslm_trace_burstgpt,
    NULL,
};

typedef struct lengths {
  const celslm_distribution *kind;
  double parameters[4];
  gsl_rng *r;
} lengths;

struct celslm_load {
  int64_t left; /* requests still to come */
  double horizon, now, time_scale;
  const celslm_process *process;
  double state[8]; /* of the process */
  gsl_rng *arrivals, *contexts, *places;
  lengths prompt, output;
  gsl_ran_discrete_t *popularity; /* NULL: no contexts */
  celslm_trace_row *trace;        /* NULL: synthetic */
  int64_t rows, row;
};

/* Every table's first member is its name. */
static const void *find(const void *const *table, const char *name) {
  for (; *table; table++)
    if (strcmp(*(const char *const *)*table, name) == 0) return *table;
  return NULL;
}

static bool set_lengths(lengths *l, const celslm_element *e, uint64_t seed, const char *stream,
                        celslm_error *err) {
  l->kind = find((const void *const *)celslm_distributions, e->name);
  if (!l->kind)
    return celslm_element_fail(
        e, err, "no distribution is called %s; see `celslm list distributions`", e->name);
  l->r = celslm_rng(seed, stream);
  return l->kind->configure(l->parameters, e, err);
}

static int32_t draw_length(lengths *l) {
  double tokens = round(l->kind->draw(l->parameters, l->r));
  return tokens < 1 ? 1 : tokens > 1 << 24 ? 1 << 24 : (int32_t)tokens;
}

/* zipf: the k-th context is asked for with probability proportional to 1/k^s. */
static bool set_popularity(celslm_load *l, const celslm_scenario *s, celslm_error *err) {
  const celslm_element *e = s->workload.popularity;
  double exponent = 0;
  if (strcmp(e->name, "zipf") == 0) {
    if (!celslm_element_quantity(e, "s", CELSLM_UNIT_NUMBER, 0, 10, 1, &exponent, err))
      return false;
  } else if (strcmp(e->name, "uniform") != 0)
    return celslm_element_fail(e, err, "no popularity is called %s; allowed are zipf and uniform",
                               e->name);
  double *weights = celslm_alloc((unsigned long)s->n_contexts, sizeof *weights);
  for (int k = 0; k < s->n_contexts; k++) weights[k] = pow(k + 1, -exponent);
  l->popularity = gsl_ran_discrete_preproc((size_t)s->n_contexts, weights);
  free(weights);
  l->contexts = celslm_rng(s->seed, "context");
  return true;
}

static bool set_trace(celslm_load *l, const celslm_element *e, celslm_error *err) {
  const char *format = celslm_element_attribute(e, "format");
  const celslm_trace_format *f =
      find((const void *const *)celslm_trace_formats, format ? format : "azure");
  if (!f)
    return celslm_element_fail(e, err, "no trace format is called %s; see `celslm list traces`",
                               format);
  int64_t limit;
  if (!celslm_element_integer(e, "limit", 1, INT64_MAX, INT64_MAX, &limit, err) ||
      !celslm_element_quantity(e, "time_scale", CELSLM_UNIT_NUMBER, 1e-9, 1e9, 1, &l->time_scale,
                               err))
    return false;
  char *file = celslm_element_path(e, "file");
  if (!file) return celslm_element_fail(e, err, "<trace> needs a file");
  l->trace = celslm_trace_read(file, f, limit, &l->rows, err);
  free(file);
  return l->trace != NULL;
}

static bool set_arrivals(celslm_load *l, const celslm_scenario *s, celslm_error *err) {
  const celslm_element *e = s->workload.arrivals;
  l->process = find((const void *const *)celslm_processes, e->name);
  if (!l->process)
    return celslm_element_fail(
        e, err, "no arrival process is called %s; see `celslm list arrivals`", e->name);
  l->arrivals = celslm_rng(s->seed, "arrivals");
  return l->process->configure(l->state, e, err) &&
         set_lengths(&l->prompt, s->workload.prompt, s->seed, "prompt", err) &&
         set_lengths(&l->output, s->workload.output, s->seed, "output", err);
}

celslm_load *celslm_load_new(const celslm_scenario *s, celslm_error *err) {
  celslm_load *l = celslm_alloc(1, sizeof *l);
  l->left = s->workload.requests;
  l->horizon = s->horizon;
  l->places = celslm_rng(s->seed, "place");
  bool ok = s->workload.trace ? set_trace(l, s->workload.trace, err) : set_arrivals(l, s, err);
  if (ok && s->workload.popularity) ok = set_popularity(l, s, err);
  if (ok) return l;
  celslm_load_free(l);
  return NULL;
}

void celslm_load_free(celslm_load *l) {
  if (!l) return;
  gsl_rng *streams[] = {l->arrivals, l->contexts, l->places, l->prompt.r, l->output.r};
  for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
    if (streams[i]) gsl_rng_free(streams[i]);
  if (l->popularity) gsl_ran_discrete_free(l->popularity);
  free(l->trace);
  free(l);
}

bool celslm_load_next(celslm_load *l, celslm_arrival *a) {
  if (l->left <= 0) return false;
  if (l->trace) {
    if (l->row == l->rows) return false;
    const celslm_trace_row *row = &l->trace[l->row++];
    a->time = row->time * l->time_scale;
    a->prompt = row->prompt;
    a->output = row->output;
  } else {
    a->time = l->now += l->process->gap(l->state, l->now, l->arrivals);
    a->prompt = draw_length(&l->prompt);
    a->output = draw_length(&l->output);
  }
  if (a->time > l->horizon) return false;
  a->context = l->popularity ? (int32_t)gsl_ran_discrete(l->contexts, l->popularity) : -1;
  a->place = gsl_rng_uniform(l->places);
  l->left--;
  return true;
}
