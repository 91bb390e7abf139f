/* source.c - one workload: its settings, and its requests if these stand alone. */
#include "load/parts.h"

#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const celslm_process *const celslm_processes[] = {
    &celslm_process_poisson,
    &celslm_process_deterministic,
    &celslm_process_gamma,
    &celslm_process_mmpp,
    &celslm_process_diurnal,
    &celslm_process_closed,
    NULL,
};

static const uint64_t context_root = 0xc0417e; /* where the chains of contexts begin */

/* ---- setting up ------------------------------------------------------------------------------ */

/* The first workload's streams have plain names, so that adding another changes nothing. */
static gsl_rng *stream(const celslm_source *w, const char *name) {
  char *own = w->index ? celslm_format("%s, workload %u", name, w->index + 1) : celslm_strdup(name);
  gsl_rng *r = celslm_rng(w->scenario->seed, own);
  free(own);
  return r;
}

/* zipf: the k-th context is asked for with probability proportional to 1/k^s. */
static bool set_popularity(celslm_source *w, celslm_error *err) {
  const celslm_element *e = w->config->popularity;
  double exponent = 0;
  if (!e) return true;
  if (strcmp(e->name, "zipf") == 0) {
    if (!celslm_element_quantity(e, "s", CELSLM_UNIT_NUMBER, 0, 10, 1, &exponent, err))
      return false;
  } else if (strcmp(e->name, "uniform") != 0)
    return celslm_element_fail(e, err, "no popularity is called %s; allowed are zipf and uniform",
                               e->name);
  int n = w->scenario->n_contexts;
  double *weights = celslm_alloc((unsigned long)n, sizeof *weights);
  for (int k = 0; k < n; k++) weights[k] = pow(k + 1, -exponent);
  w->popularity = gsl_ran_discrete_preproc((size_t)n, weights);
  free(weights);
  w->contexts = stream(w, "context");
  w->context_blocks = celslm_alloc((unsigned long)n, sizeof *w->context_blocks);
  return true;
}

static void set_classes(celslm_source *w) {
  int n = w->config->n_classes;
  if (n == 1) return;
  w->kinds = stream(w, "class");
  double *weights = celslm_alloc((unsigned long)n, sizeof *weights);
  for (int k = 0; k < n; k++) weights[k] = w->scenario->classes[w->config->first_class + k].share;
  w->classes = gsl_ran_discrete_preproc((size_t)n, weights);
  free(weights);
}

static bool set_trace(celslm_source *w, const celslm_element *e, celslm_error *err) {
  const char *format = celslm_element_attribute(e, "format");
  const celslm_trace_format *f = FIND(celslm_trace_formats, format ? format : "azure");
  if (!f)
    return celslm_element_fail(e, err, "no trace format is called %s; see `celslm list traces`",
                               format);
  int64_t limit;
  double rate, stretch;
  if (!celslm_element_integer(e, "limit", 1, INT64_MAX, INT64_MAX, &limit, err) ||
      !celslm_element_quantity(e, "rate_scale", CELSLM_UNIT_NUMBER, 1e-6, 100, 1, &rate, err) ||
      !celslm_element_quantity(e, "time_scale", CELSLM_UNIT_NUMBER, 1e-9, 1e9, 1, &stretch, err))
    return false;
  char *file = celslm_element_path(e, "file");
  if (!file) return celslm_element_fail(e, err, "<trace> needs a file");
  w->trace = celslm_trace_read(file, f, (int32_t)w->config->block_size, limit, err);
  free(file);
  if (!w->trace) return false;
  double end = w->trace->rows[w->trace->n_rows - 1].time * stretch;
  if (end > 9e9)
    return celslm_element_fail(
        e, err, "the trace lasts %g s after time_scale; at most 9e9 s can be simulated", end);
  gsl_rng *r = stream(w, "thinning");
  celslm_trace_scale(w->trace, rate, stretch, r);
  gsl_rng_free(r);
  return true;
}

static bool set_sessions(celslm_source *w, const celslm_element *e, celslm_error *err) {
  static const char *const laws[] = {"fixed", "geometric", NULL};
  int law;
  w->max_tokens = CELSLM_LONGEST;
  if (!celslm_element_quantity(e, "turns", CELSLM_UNIT_NUMBER, 1, 100000, NAN, &w->turns, err) ||
      !celslm_element_choice(e, "turns_law", laws, 0, &law, err) ||
      !celslm_element_integer(e, "max_tokens", 1, CELSLM_LONGEST, CELSLM_LONGEST, &w->max_tokens,
                              err) ||
      !celslm_think_read(&w->think, e, err))
    return false;
  w->geometric = law == 1;
  return w->geometric || w->turns == floor(w->turns) ||
         celslm_element_fail(e, err,
                             "<sessions> turns %g is no whole number; give one, or "
                             "turns_law=\"geometric\"",
                             w->turns);
}

static bool set_arrivals(celslm_source *w, celslm_error *err) {
  const celslm_element *e = w->config->arrivals;
  w->process = FIND(celslm_processes, e->name);
  if (!w->process)
    return celslm_element_fail(
        e, err, "no arrival process is called %s; see `celslm list arrivals`", e->name);
  w->arrivals = stream(w, "arrivals");
  w->prompts = stream(w, "prompt");
  w->outputs = stream(w, "output");
  w->sessions = w->process->closed || w->config->sessions;
  if (!w->process->configure(w->state, e, err) ||
      !celslm_lengths_read(&w->lengths, w->config, err) ||
      (w->config->sessions && !set_sessions(w, w->config->sessions, err)))
    return false;
  bool in_order = (w->lengths.prompt.rows && w->lengths.prompt.row >= 0) ||
                  (w->lengths.output.rows && w->lengths.output.row >= 0);
  if (w->process->closed && in_order)
    return celslm_element_fail(e, err,
                               "order=\"file\" in a closed loop, where strategies would get the "
                               "rows in different orders; give order=\"drawn\"");
  return true;
}

bool celslm_source_open(celslm_source *w, const celslm_scenario *s, int index, celslm_error *err) {
  w->scenario = s;
  w->config = &s->workloads[index];
  w->index = (uint32_t)index;
  w->left = w->config->requests;
  w->places = stream(w, "place");
  if (w->config->prediction_error > 0) w->predictions = stream(w, "prediction");
  set_classes(w);
  return (w->config->trace ? set_trace(w, w->config->trace, err) : set_arrivals(w, err)) &&
         set_popularity(w, err);
}

void celslm_source_close(celslm_source *w) {
  gsl_rng *streams[] = {w->arrivals, w->contexts, w->places,     w->prompts,
                        w->outputs,  w->kinds,    w->predictions};
  for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
    if (streams[i]) gsl_rng_free(streams[i]);
  if (w->popularity) gsl_ran_discrete_free(w->popularity);
  if (w->classes) gsl_ran_discrete_free(w->classes);
  for (int c = 0; w->context_blocks && c < w->scenario->n_contexts; c++) free(w->context_blocks[c]);
  free(w->context_blocks);
  celslm_lengths_free(&w->lengths);
  celslm_trace_free(w->trace);
}

/* ---- what every request gets ----------------------------------------------------------------- */

int32_t celslm_source_context(const celslm_source *w, gsl_rng *r) {
  return w->popularity ? (int32_t)gsl_ran_discrete(r, w->popularity) : -1;
}

int32_t celslm_source_class(const celslm_source *w, gsl_rng *r) {
  return w->config->first_class + (w->classes ? (int32_t)gsl_ran_discrete(r, w->classes) : 0);
}

int32_t celslm_source_predict(const celslm_source *w, int32_t output, gsl_rng *r) {
  double sigma = w->config->prediction_error;
  if (sigma <= 0) return output;
  double foretold = round(output * gsl_ran_lognormal(r, 0, sigma));
  return foretold < 1 ? 1 : foretold > CELSLM_LONGEST ? CELSLM_LONGEST : (int32_t)foretold;
}

/* One more than needed: also the block that the context fills only in part. */
const uint64_t *celslm_source_context_blocks(celslm_source *w, int32_t context) {
  uint64_t **blocks = &w->context_blocks[context];
  if (*blocks) return *blocks;
  int64_t n = w->scenario->contexts[context].tokens / w->config->block_size + 1;
  *blocks = celslm_alloc((unsigned long)n, sizeof **blocks);
  uint64_t root = celslm_identity(context_root, (uint64_t)context);
  for (int64_t i = 0; i < n; i++) (*blocks)[i] = celslm_identity(root, (uint64_t)i);
  return *blocks;
}

void celslm_source_mark(celslm_source *w, celslm_arrival *a, int32_t cls) {
  const celslm_class_config *c = &w->scenario->classes[cls];
  celslm_demand *d = &a->demand;
  d->cls = cls;
  d->tenant = c->tenant;
  d->priority = c->priority;
  celslm_ns allowed = celslm_ns_of(c->deadline);
  d->deadline = allowed >= CELSLM_NEVER - a->time ? CELSLM_NEVER : a->time + allowed;
  d->prefix.block = (int32_t)w->config->block_size;
  if (a->context < 0) return;
  int64_t tokens = w->scenario->contexts[a->context].tokens, block = w->config->block_size;
  d->prefix =
      (celslm_prefix){celslm_source_context_blocks(w, a->context),
                      (int32_t)((tokens + block - 1) / block), (int32_t)block, (int32_t)tokens};
}

/* ---- requests that stand alone --------------------------------------------------------------- */

void celslm_source_advance(celslm_source *w) {
  celslm_arrival *a = &w->next;
  w->has_next = w->left > 0 && (!w->trace || w->row < w->trace->n_rows);
  if (!w->has_next) return;
  *a = (celslm_arrival){.context = -1};
  const celslm_trace_row *row = NULL;
  if (w->trace) {
    row = &w->trace->rows[w->row++];
    a->time = celslm_ns_of(row->time);
    a->prompt = row->prompt;
    a->output = row->output;
  } else {
    a->time = celslm_ns_of(w->now += w->process->gap(w->state, w->now, w->arrivals));
    celslm_lengths_draw(&w->lengths, w->prompts, w->outputs, &a->prompt, &a->output);
  }
  a->context = celslm_source_context(w, w->contexts);
  a->place = gsl_rng_uniform(w->places);
  celslm_source_mark(w, a, celslm_source_class(w, w->kinds));
  a->demand.predicted = celslm_source_predict(w, a->output, w->predictions);
  a->demand.session = w->started++ * (uint32_t)w->scenario->n_workloads + w->index;
  if (row && row->n_ids)
    a->demand.prefix =
        (celslm_prefix){w->trace->ids + row->first_id, row->n_ids, w->trace->block, row->prompt};
}
