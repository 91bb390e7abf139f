/* workload.c - contexts and strategies of a scenario. Its requests: requests.c. */
#include "base/rng.h"
#include "scenario/names.h"
#include "scenario/sections.h"

#include <float.h>
#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS   (1ll << 30)
#define MAX_CONTEXTS 10000000ll

/* ---- contexts -------------------------------------------------------------------------------- */

/* A distribution of token counts, as its element says. */
typedef struct lengths {
  enum { FIXED, LOGNORMAL, UNIFORM } kind;
  int64_t min, max;
  double zeta, sigma; /* of the logarithm */
} lengths;

static bool read_lengths(const celslm_element *e, lengths *l, celslm_error *err) {
  *l = (lengths){FIXED, 1, MAX_TOKENS, 0, 0};
  if (strcmp(e->name, "fixed") == 0) {
    if (!celslm_element_integer(e, "tokens", 1, MAX_TOKENS, INT64_MIN, &l->min, err)) return false;
    l->max = l->min;
    return true;
  }
  bool lognormal = strcmp(e->name, "lognormal") == 0;
  if (!lognormal && strcmp(e->name, "uniform"))
    return celslm_element_fail(e, err,
                               "<%s> is not a distribution for contexts; allowed: fixed, "
                               "lognormal, uniform",
                               e->name);
  l->kind = lognormal ? LOGNORMAL : UNIFORM;
  if (!celslm_element_integer(e, "min", 1, MAX_TOKENS, lognormal ? 1 : INT64_MIN, &l->min, err) ||
      !celslm_element_integer(e, "max", 1, MAX_TOKENS, lognormal ? MAX_TOKENS : INT64_MIN, &l->max,
                              err))
    return false;
  if (l->min > l->max)
    return celslm_element_fail(e, err, "<%s> min %lld is above max %lld; it must not be", e->name,
                               (long long)l->min, (long long)l->max);
  if (!lognormal) return true;
  double mean, cv;
  if (!celslm_element_quantity(e, "mean", CELSLM_UNIT_NUMBER, DBL_MIN, 1e9, NAN, &mean, err) ||
      !celslm_element_quantity(e, "cv", CELSLM_UNIT_NUMBER, 0, 1000, NAN, &cv, err))
    return false;
  l->sigma = sqrt(log1p(cv * cv));
  l->zeta = log(mean) - l->sigma * l->sigma / 2;
  return true;
}

static int64_t draw_length(const lengths *l, gsl_rng *rng) {
  if (l->kind == FIXED) return l->min;
  if (l->kind == UNIFORM)
    return l->min + (int64_t)gsl_rng_uniform_int(rng, (unsigned long)(l->max - l->min + 1));
  double v = round(gsl_ran_lognormal(rng, l->zeta, l->sigma));
  return v < (double)l->min ? l->min : v > (double)l->max ? l->max : (int64_t)v;
}

/* The engine whose model reads least. */
static const celslm_engine_config *shortest(const celslm_scenario *s) {
  const celslm_engine_config *least = &s->engines[0];
  for (int i = 1; i < s->n_engines; i++)
    if (s->models[s->engines[i].model].max_context < s->models[least->model].max_context)
      least = &s->engines[i];
  return least;
}

static bool add_context(celslm_scenario *s, celslm_index *names, const celslm_element *e,
                        char *name, int64_t tokens, celslm_error *err) {
  s->contexts[s->n_contexts] = (celslm_context_config){name, tokens};
  if (celslm_index_add(names, name, s->n_contexts++) >= 0)
    return celslm_element_fail(e, err, "a second context named \"%s\"; names must differ", name);
  return true;
}

static bool check_context_lengths(const celslm_scenario *s, const celslm_element *contexts,
                                  celslm_error *err) {
  const celslm_engine_config *least = shortest(s);
  const celslm_model *m = &s->models[least->model];
  for (int i = 0; i < s->n_contexts; i++)
    if (s->contexts[i].tokens > m->max_context)
      return celslm_element_fail(contexts, err,
                                 "context \"%s\" has %lld tokens, but %s on engine "
                                 "\"%s\" reads at most %lld; shorten it or choose another model",
                                 s->contexts[i].name, (long long)s->contexts[i].tokens, m->name,
                                 least->name, (long long)m->max_context);
  return true;
}

static bool add_population(celslm_scenario *s, celslm_index *names, const celslm_element *e,
                           int64_t count, gsl_rng *rng, celslm_error *err) {
  lengths l = {FIXED, 0, 0, 0, 0};
  bool written = celslm_element_attribute(e, "tokens") != NULL;
  if (written == (e->n_children > 0))
    return celslm_element_fail(e, err,
                               "<population> needs either tokens=\"...\" or a distribution; "
                               "distributions: fixed, lognormal, uniform");
  if (written ? !celslm_element_integer(e, "tokens", 1, MAX_TOKENS, INT64_MIN, &l.min, err)
              : !read_lengths(&e->children[0], &l, err))
    return false;
  const char *name = celslm_element_attribute(e, "name");
  for (int64_t k = 0; k < count; k++)
    if (!add_context(s, names, e, celslm_format("%s-%lld", name, (long long)k),
                     draw_length(&l, rng), err))
      return false;
  return true;
}

bool celslm_read_contexts(celslm_scenario *s, const celslm_element *contexts, celslm_error *err) {
  int64_t total = 0;
  if (!celslm_element_quantity(contexts, "changes", CELSLM_UNIT_COUNTS, 0, 1e6, 0,
                               &s->context_changes, err))
    return false;
  for (int i = 0; i < contexts->n_children; i++) {
    const celslm_element *e = &contexts->children[i];
    int64_t count = 1;
    if (!celslm_element_integer(e, "count", 1, MAX_CONTEXTS, 1, &count, err)) return false;
    total += count;
    if (total > MAX_CONTEXTS)
      return celslm_element_fail(e, err, "more than %lld contexts; give fewer",
                                 (long long)MAX_CONTEXTS);
  }
  s->contexts = celslm_alloc((unsigned long)total, sizeof *s->contexts);
  celslm_index *names = celslm_index_new();
  gsl_rng *rng = celslm_rng(s->seed, "contexts");
  bool ok = true;
  for (int i = 0; ok && i < contexts->n_children; i++) {
    const celslm_element *e = &contexts->children[i];
    int64_t n = 1;
    if (strcmp(e->name, "population") == 0)
      ok = celslm_element_integer(e, "count", 1, MAX_CONTEXTS, 1, &n, err) &&
           add_population(s, names, e, n, rng, err);
    else
      ok = celslm_element_integer(e, "tokens", 1, MAX_TOKENS, INT64_MIN, &n, err) &&
           add_context(s, names, e, celslm_strdup(celslm_element_attribute(e, "name")), n, err);
  }
  gsl_rng_free(rng);
  celslm_index_free(names);
  return ok && check_context_lengths(s, contexts, err);
}

/* ---- strategies ------------------------------------------------------------------------------ */

/* Some engine on a host with this role; NULL: none. */
static const celslm_engine_config *engine_with(const celslm_scenario *s, celslm_role role) {
  for (int i = 0; i < s->n_engines; i++)
    if (s->platform->hosts[s->engines[i].host].role == role) return &s->engines[i];
  return NULL;
}

/* The edge of every cell that has users needs an engine. */
static bool check_cells(const celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  const celslm_platform *p = s->platform;
  bool *served = celslm_alloc((unsigned long)p->n_hosts, sizeof *served), ok = true;
  for (int i = 0; i < s->n_engines; i++) served[s->engines[i].host] = true;
  for (int i = 0; ok && i < s->radio.n_ues; i++) {
    const celslm_ue_group *g = &s->radio.ues[i];
    int host = g->host >= 0 ? g->host : p->cells[g->cell].serves;
    if (!served[host])
      ok = celslm_element_fail(
          e, err, "<%s> needs an engine on host \"%s\", %s; add one to <engines>", e->name,
          p->hosts[host].name, g->host >= 0 ? "which a user is at" : "whose cell has users");
  }
  free(served);
  return ok;
}

/* Which engines a strategy cannot do without; one that is not listed makes do with any. */
static const struct {
  const char *name;
  bool cloud, edge;
} needs[] = {{"cloud-only", true, false}, {"edge-only", false, true}, {"ce-lslm", true, true},
             {"speculative", true, true}, {"early-exit", true, true}, {"sketch", true, true}};

static bool check_strategy(const celslm_scenario *s, const celslm_element *e, celslm_error *err) {
  bool cloud = false, edge = false;
  for (int i = 0; strcmp(e->name, "mixed") == 0 && i < e->n_children; i++)
    if (!check_strategy(s, &e->children[i].children[0], err)) return false;
  for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
    if (strcmp(needs[i].name, e->name) == 0) {
      cloud = needs[i].cloud;
      edge = needs[i].edge;
    }
  const celslm_engine_config *big = engine_with(s, CELSLM_CLOUD);
  if (cloud && !big)
    return celslm_element_fail(e, err,
                               "<%s> needs an engine on a host with the role cloud; add one "
                               "to <engines>",
                               e->name);
  if (edge && !engine_with(s, CELSLM_EDGE))
    return celslm_element_fail(e, err,
                               "<%s> needs an engine on a host with the role edge; add one "
                               "to <engines>",
                               e->name);
  if (edge && !check_cells(s, e, err)) return false;
  for (int i = 0; cloud && edge && i < s->n_engines; i++) {
    const celslm_model *a = &s->models[big->model], *b = &s->models[s->engines[i].model];
    if (s->platform->hosts[s->engines[i].host].role == CELSLM_EDGE && s->n_contexts &&
        strcmp(a->tokenizer, b->tokenizer))
      return celslm_element_fail(e, err,
                                 "<%s> shares contexts between %s (tokenizer %s) and %s "
                                 "(tokenizer %s); their tokenizers must be equal",
                                 e->name, a->name, a->tokenizer, b->name, b->tokenizer);
  }
  return true;
}

bool celslm_read_strategies(celslm_scenario *s, const celslm_element *root, celslm_error *err) {
  s->strategies = celslm_alloc((unsigned long)root->n_children, sizeof *s->strategies);
  for (int i = 0; i < root->n_children; i++) {
    const celslm_element *e = &root->children[i];
    if (strcmp(e->name, "strategy")) continue;
    const celslm_element *kind = &e->children[0];
    const char *label = celslm_element_attribute(e, "label");
    if (!label) label = kind->name;
    for (int k = 0; k < s->n_strategies; k++)
      if (strcmp(s->strategies[k].label, label) == 0)
        return celslm_element_fail(e, err,
                                   "a second strategy labelled \"%s\" (the first is in line "
                                   "%d); give label=\"...\", labels must differ",
                                   label, s->strategies[k].element->line);
    s->strategies[s->n_strategies++] = (celslm_strategy_config){celslm_strdup(label), kind};
    if (!check_strategy(s, kind, err)) return false;
  }
  return true;
}
