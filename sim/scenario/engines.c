/* engines.c - the models and engines of a scenario, and whether an engine fits its host. */
#include "scenario/names.h"
#include "scenario/sections.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Gives a model the shape of another file in its folder; name, tokenizer, checkpoint and the
 * longest sequence stay its own. */
static bool cost_as(celslm_model *m, const char *file, const celslm_element *e, celslm_error *err) {
  const char *name = celslm_element_attribute(e, "cost_as"), *slash = strrchr(file, '/');
  if (!name) return true;
  char *other = celslm_format("%.*s%s.xml", slash ? (int)(slash - file) + 1 : 0, file, name);
  celslm_model shape;
  bool ok = access(other, R_OK) == 0 ||
            celslm_element_fail(e, err,
                                "<model> cost_as \"%s\": there is no %s; name a model file "
                                "of that folder, without .xml",
                                name, other);
  ok = ok && celslm_model_load(other, &shape, err);
  free(other);
  if (!ok) return false;
  celslm_model own = *m;
  *m = shape;
  free(m->name), free(m->tokenizer), free(m->checkpoint), free(own.source);
  m->name = own.name, m->tokenizer = own.tokenizer, m->checkpoint = own.checkpoint;
  m->absolute_positions = own.absolute_positions;
  m->max_context = own.max_context;
  return true;
}

bool celslm_read_models(celslm_scenario *s, const celslm_element *models, celslm_error *err) {
  s->models = celslm_alloc((unsigned long)models->n_children, sizeof *s->models);
  for (int i = 0; i < models->n_children; i++) {
    const celslm_element *e = &models->children[i];
    char *file = celslm_readable_file(e, "a model file", err);
    bool ok = file && celslm_model_load(file, &s->models[s->n_models], err);
    s->n_models += ok;
    ok = ok && cost_as(&s->models[s->n_models - 1], file, e, err);
    free(file);
    if (!ok) return false;
    for (int k = 0; k < s->n_models - 1; k++)
      if (strcmp(s->models[k].name, s->models[s->n_models - 1].name) == 0)
        return celslm_element_fail(e, err,
                                   "a second model named \"%s\" (the first is in line %d); "
                                   "give every model once",
                                   s->models[k].name, models->children[k].line);
  }
  return true;
}

static bool find_model(const celslm_scenario *s, const celslm_element *e, int *model,
                       celslm_error *err) {
  const char *name = celslm_element_attribute(e, "model");
  char list[600] = "";
  for (*model = 0; *model < s->n_models; ++*model) {
    if (strcmp(s->models[*model].name, name) == 0) return true;
    size_t at = strlen(list);
    snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", s->models[*model].name);
  }
  return celslm_element_fail(e, err, "<engine> model \"%s\" is not listed in <models>; listed: %s",
                             name, list);
}

/* Hosts that could serve, for messages. */
static void list_hosts(const celslm_platform *p, char *text, size_t size) {
  int left = 12;
  text[0] = 0;
  for (int i = 0; i < p->n_hosts; i++) {
    if (!p->hosts[i].profile) continue;
    size_t at = strlen(text);
    snprintf(text + at, size - at, "%s%s", at ? ", " : "", left ? p->hosts[i].name : "...");
    if (!left--) break;
  }
  if (!text[0]) snprintf(text, size, "none");
}

static bool find_host(const celslm_scenario *s, const celslm_element *e, int *host,
                      celslm_error *err) {
  const char *name = celslm_element_attribute(e, "host");
  char list[600];
  list_hosts(s->platform, list, sizeof list);
  *host = celslm_platform_host(s->platform, name);
  if (*host < 0)
    return celslm_element_fail(e, err,
                               "<engine> host \"%s\" is not in %s; hosts with a profile: %s", name,
                               s->platform->file, list);
  if (!s->platform->hosts[*host].profile)
    return celslm_element_fail(e, err,
                               "<engine> host \"%s\" has no device profile, so it cannot "
                               "serve a model; hosts with a profile: %s",
                               name, list);
  return true;
}

static bool read_precision(const celslm_element *e, const char *name, celslm_dtype *to,
                           celslm_error *err) {
  const char *names[CELSLM_DTYPES + 1] = {NULL};
  for (int d = 0; d < CELSLM_DTYPES; d++) names[d] = celslm_dtype_name((celslm_dtype)d);
  int index;
  if (!celslm_element_choice(e, name, names, CELSLM_F16, &index, err)) return false;
  *to = (celslm_dtype)index;
  return true;
}

static bool check_precision(const celslm_scenario *s, const celslm_element *e,
                            const celslm_engine_config *c, celslm_error *err) {
  const celslm_profile *p = s->platform->hosts[c->host].profile;
  if (isfinite(p->peak[c->weights])) return true;
  char list[100] = "";
  for (int d = 0; d < CELSLM_DTYPES; d++)
    if (isfinite(p->peak[d])) {
      size_t at = strlen(list);
      snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "",
               celslm_dtype_name((celslm_dtype)d));
    }
  return celslm_element_fail(e, err,
                             "<engine> \"%s\": %s does not support weights=\"%s\"; allowed "
                             "there: %s",
                             c->name, p->name, celslm_dtype_name(c->weights), list);
}

double celslm_engine_memory(const celslm_scenario *s, const celslm_engine_config *c, int stage) {
  return c->memory_share * s->platform->hosts[c->stages[stage]].profile->memory *
         c->tensor_parallel;
}

double celslm_engine_weight_bytes(const celslm_scenario *s, const celslm_engine_config *c) {
  return (double)s->models[c->model].parameters * celslm_dtype_bytes(c->weights);
}

double celslm_engine_block_bytes(const celslm_scenario *s, const celslm_engine_config *c) {
  const celslm_model *m = &s->models[c->model];
  return 2.0 * (double)(m->layers * m->kv_heads * m->head_dim * c->block_size) *
         celslm_dtype_bytes(c->kv);
}

/* Weights, kept contexts and at least one KV block (or all that were asked for) must fit. */
static bool check_memory(const celslm_scenario *s, const celslm_element *e,
                         const celslm_engine_config *c, celslm_error *err) {
  const celslm_host *h = &s->platform->hosts[c->host];
  const double GB = 1e9;
  int64_t layers = s->models[c->model].layers;
  /* where they are placed by prediction, the placement sees to it */
  bool placed = c->placement != CELSLM_PLACE_EVEN;
  for (int k = 0; c->n_stages > 1 && !placed && k < c->n_stages; k++) {
    const celslm_host *stage = &s->platform->hosts[c->stages[k]];
    double part = (double)celslm_stage_layers(c, layers, k) / (double)layers;
    double has = celslm_engine_memory(s, c, k);
    double needs = part * (celslm_engine_weight_bytes(s, c) +
                           (double)(c->kv_blocks ? c->kv_blocks : c->n_stages) *
                               celslm_engine_block_bytes(s, c));
    if (needs > has)
      return celslm_element_fail(
          e, err,
          "<engine> \"%s\": its stage on host \"%s\" needs %.2f GB, but "
          "memory_share %g of it is %.2f GB; choose more or larger hosts, or "
          "a smaller model or kv_blocks",
          c->name, stage->name, needs / GB, c->memory_share, has / GB);
  }
  if (c->n_stages > 1) return true;
  double have = celslm_engine_memory(s, c, 0), weights = celslm_engine_weight_bytes(s, c);
  double kv = (double)(c->kv_blocks ? c->kv_blocks : 1) * celslm_engine_block_bytes(s, c);
  if (weights > have)
    return celslm_element_fail(e, err,
                               "<engine> \"%s\": the weights of %s in %s take %.2f GB, but "
                               "memory_share %g of host \"%s\" is %.2f GB: %.2f GB are missing; "
                               "choose a smaller model or precision, or more accelerators",
                               c->name, s->models[c->model].name, celslm_dtype_name(c->weights),
                               weights / GB, c->memory_share, h->name, have / GB,
                               (weights - have) / GB);
  if (weights + c->context_memory + kv > have)
    return celslm_element_fail(e, err,
                               "<engine> \"%s\": weights %.2f GB, context_memory %.2f GB and "
                               "%s %.2f GB exceed the %.2f GB that memory_share %g of host \"%s\" "
                               "is: %.2f GB are missing; lower one of them",
                               c->name, weights / GB, c->context_memory / GB,
                               c->kv_blocks ? "kv_blocks" : "one KV block", kv / GB, have / GB,
                               c->memory_share, h->name,
                               (weights + c->context_memory + kv - have) / GB);
  return true;
}

/* Over how many accelerators it is split, and how they talk to each other. */
static bool read_parallelism(const celslm_scenario *s, const celslm_element *e,
                             celslm_engine_config *c, celslm_error *err) {
  const celslm_host *h = &s->platform->hosts[c->host];
  int64_t n;
  if (!celslm_element_integer(e, "tensor_parallel", 1, h->accelerators, h->accelerators, &n, err))
    return false;
  c->tensor_parallel = (int)n;
  return n == 1 || h->interconnect > 0 ||
         celslm_element_fail(e, err,
                             "<engine> \"%s\" is split over %d accelerators of host \"%s\", which "
                             "lacks celslm.interconnect, the bandwidth between them; give it, or "
                             "tensor_parallel=\"1\"",
                             c->name, c->tensor_parallel, h->name);
}

/* The hosts that its layers are split over. */
static bool read_pipeline(const celslm_scenario *s, const celslm_element *e,
                          celslm_engine_config *c, celslm_error *err) {
  const char *more = celslm_element_attribute(e, "pipeline");
  char *names = celslm_strdup(more ? more : ""), *rest = NULL;
  int64_t layers = s->models[c->model].layers;
  bool ok = true;
  c->stages = celslm_alloc((unsigned long)layers, sizeof *c->stages);
  c->stages[c->n_stages++] = c->host;
  for (char *n = strtok_r(names, " ", &rest); ok && n; n = strtok_r(NULL, " ", &rest)) {
    int host = celslm_platform_host(s->platform, n);
    const celslm_host *h = host < 0 ? NULL : &s->platform->hosts[host];
    for (int i = 0; h && i < c->n_stages; i++)
      if (c->stages[i] == host) h = NULL;
    if (!h || !h->profile || h->varies || h->accelerators < c->tensor_parallel)
      ok = celslm_element_fail(e, err,
                               "<engine> \"%s\": pipeline \"%s\" is not a further host with a "
                               "profile, constant speed and %d accelerators; give names of such",
                               c->name, n, c->tensor_parallel);
    else if (c->n_stages == layers)
      ok = celslm_element_fail(e, err,
                               "<engine> \"%s\": the pipeline has more hosts than layers; "
                               "give at most %lld",
                               c->name, (long long)layers);
    else
      c->stages[c->n_stages++] = host;
  }
  free(names);
  if (!ok || c->n_stages == 1) return ok;
  if (s->platform->hosts[c->host].varies || c->context_memory > 0)
    return celslm_element_fail(
        e, err,
        "<engine> \"%s\": a pipeline needs hosts of constant speed and keeps "
        "no contexts; leave out speed files and context_memory",
        c->name);
  return true;
}

/* "none": a request must find a place in the batch. */
static bool read_max_queue(const celslm_element *e, int64_t most, int64_t *max_queue,
                           celslm_error *err) {
  const char *text = celslm_element_attribute(e, "max_queue");
  if (!text || strcmp(text, "none"))
    return celslm_element_integer(e, "max_queue", 0, most, 0, max_queue, err);
  *max_queue = -1;
  return true;
}

/* How many layers each host of the pipeline has. */
static bool read_placement(const celslm_scenario *s, const celslm_element *e,
                           celslm_engine_config *c, celslm_error *err) {
  static const char *const names[] = {"even", "latency", "throughput", NULL};
  const char *given = celslm_element_attribute(e, "stage_layers");
  int placement;
  if (!celslm_element_choice(e, "placement", names, CELSLM_PLACE_EVEN, &placement, err))
    return false;
  c->placement = (celslm_placing)placement;
  if (!given) return true;
  int64_t sum = 0, layers = s->models[c->model].layers;
  int n = 0;
  bool ok = !placement;
  c->stage_layers = celslm_alloc((unsigned long)c->n_stages, sizeof *c->stage_layers);
  for (const char *at = given; ok && *at;) {
    char *end;
    long long own = strtoll(at, &end, 10);
    ok = end > at && own >= 1 && own <= layers && n < c->n_stages;
    if (ok) sum += c->stage_layers[n++] = own;
    for (at = end; *at == ' ';) at++;
  }
  return (ok && n == c->n_stages && sum == layers) ||
         celslm_element_fail(e, err,
                             "<engine> \"%s\": stage_layers \"%s\" are not the layers of its "
                             "hosts; give %d numbers of at least 1 with the sum %lld, and no "
                             "other placement",
                             c->name, given, c->n_stages, (long long)layers);
}

/* What happens when KV blocks or places in the queue are short. swap_memory as vLLM v0's
 * --swap-space. */
static bool read_limits(const celslm_scenario *s, const celslm_element *e, celslm_engine_config *c,
                        celslm_error *err) {
  static const char *const admissions[] = {"prompt", "chunk", NULL};
  static const char *const actions[] = {"wait", "reject", NULL};
  const int64_t most = 1 << 30;
  int admission, action;
  if (!celslm_element_bool(e, "prefix_caching", false, &c->prefix_caching, err) ||
      !celslm_element_choice(e, "admission", admissions, 0, &admission, err) ||
      !celslm_element_quantity(e, "watermark", CELSLM_UNIT_NUMBER, 0, 0.5, 0, &c->watermark, err) ||
      !celslm_element_quantity(e, "swap_memory", CELSLM_UNIT_BYTES, 0, INFINITY, 4294967296.0,
                               &c->swap_memory, err) ||
      !celslm_element_integer(e, "max_model_len", 0, most, 0, &c->max_model_len, err) ||
      !read_max_queue(e, most, &c->max_queue, err) ||
      !celslm_element_quantity(e, "rate_limit", CELSLM_UNIT_COUNTS, 0, 1e9, 0, &c->rate_limit,
                               err) ||
      !celslm_element_integer(e, "rate_burst", 1, most, 1, &c->rate_burst, err) ||
      !celslm_element_choice(e, "rate_action", actions, 0, &action, err))
    return false;
  c->chunk_admission = admission == 1;
  c->rate_rejects = action == 1;
  c->swap_host = -1;
  const char *swap = celslm_element_attribute(e, "swap_to");
  if (!swap) {
    c->swap_memory = 0;
    return true;
  }
  c->swap_host = celslm_platform_host(s->platform, swap);
  return c->swap_host >= 0 ||
         celslm_element_fail(e, err,
                             "<engine> \"%s\": swap_to \"%s\" is not a host of %s; give the host "
                             "that stands for the memory behind its PCIe link",
                             c->name, swap, s->platform->file);
}

/* A tier: `name`, its capacity, and with it both of its rates. */
static bool read_tier(const celslm_element *e, const char *name, const char *read,
                      const char *write, celslm_tier_config *t, celslm_error *err) {
  if (!celslm_element_quantity(e, name, CELSLM_UNIT_BYTES, 0, INFINITY, 0, &t->capacity, err))
    return false;
  bool rates = celslm_element_attribute(e, read) || celslm_element_attribute(e, write);
  if (!(t->capacity > 0))
    return !rates ||
           celslm_element_fail(e, err, "<cache> has %s or %s but no %s; give %s, its capacity",
                               read, write, name, name);
  return celslm_element_quantity(e, read, CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN, &t->read,
                                 err) &&
         celslm_element_quantity(e, write, CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN, &t->write,
                                 err);
}

/* How contexts are kept; the policies are read by who has them. */
static bool read_cache(const celslm_element *engine, celslm_engine_config *c, celslm_error *err) {
  const celslm_element *e = c->cache = celslm_element_child(engine, "cache");
  if (!e) return true;
  return celslm_element_bool(e, "partial", false, &c->cache_partial, err) &&
         read_tier(e, "host_memory", "host_read", "host_write", &c->host_memory, err) &&
         read_tier(e, "disk", "disk_read", "disk_write", &c->disk, err);
}

static bool read_engine(celslm_scenario *s, const celslm_element *e, celslm_engine_config *c,
                        celslm_error *err) {
  const int64_t most = 1 << 30;
  c->name = celslm_strdup(celslm_element_attribute(e, "name"));
  c->file = e->file;
  c->line = e->line;
  if (!find_host(s, e, &c->host, err) || !find_model(s, e, &c->model, err) ||
      !read_precision(e, "weights", &c->weights, err) || !read_precision(e, "kv", &c->kv, err) ||
      !celslm_element_integer(e, "max_num_batched_tokens", 1, most, 2048,
                              &c->max_num_batched_tokens, err) ||
      !celslm_element_integer(e, "max_num_seqs", 1, most, 256, &c->max_num_seqs, err) ||
      !celslm_element_integer(e, "block_size", 1, 1 << 20, 16, &c->block_size, err) ||
      !celslm_element_integer(e, "kv_blocks", 0, most, 0, &c->kv_blocks, err) ||
      !celslm_element_quantity(e, "memory_share", CELSLM_UNIT_NUMBER, DBL_MIN, 1, 0.9,
                               &c->memory_share, err) ||
      !celslm_element_quantity(e, "context_memory", CELSLM_UNIT_BYTES, 0, INFINITY, 0,
                               &c->context_memory, err) ||
      !celslm_element_quantity(e, "client_overhead", CELSLM_UNIT_TIME, 0, INFINITY, 0,
                               &c->client_overhead, err))
    return false;
  /* absent ones stay NaN: the profile's, or what the operations cost */
  const struct {
    const char *name;
    double *to, min;
  } times[] = {{"step_overhead", &c->step_overhead, 0},
               {"sequence_overhead", &c->sequence_overhead, 0},
               {"fixed_iteration", &c->fixed_iteration, DBL_MIN}};
  c->codec_rate = NAN;
  if (!celslm_element_integer(e, "codec_cores", 1, 1 << 20, 1, &c->codec_cores, err) ||
      (celslm_element_attribute(e, "codec_rate") &&
       !celslm_element_quantity(e, "codec_rate", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN,
                                &c->codec_rate, err)))
    return false;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    *times[i].to = NAN;
    if (celslm_element_attribute(e, times[i].name) &&
        !celslm_element_quantity(e, times[i].name, CELSLM_UNIT_TIME, times[i].min, INFINITY, NAN,
                                 times[i].to, err))
      return false;
  }
  const celslm_element *scheduler = celslm_element_child(e, "scheduler");
  c->scheduler = scheduler ? &scheduler->children[0] : NULL;
  if (c->max_num_batched_tokens < c->max_num_seqs)
    return celslm_element_fail(e, err,
                               "<engine> \"%s\": max_num_batched_tokens %lld is below "
                               "max_num_seqs %lld; it must be at least that",
                               c->name, (long long)c->max_num_batched_tokens,
                               (long long)c->max_num_seqs);
  return read_parallelism(s, e, c, err) && read_pipeline(s, e, c, err) &&
         read_placement(s, e, c, err) && read_limits(s, e, c, err) && read_cache(e, c, err) &&
         check_precision(s, e, c, err) && check_memory(s, e, c, err);
}

/* A host of a pipeline serves nobody else. `first`: by host, 1 + the first engine that is there. */
static bool check_alone(const celslm_scenario *s, const celslm_element *e, int *first,
                        celslm_error *err) {
  int self = s->n_engines - 1, met = self, host = -1;
  const celslm_engine_config *c = &s->engines[self];
  for (int k = 0; k < c->n_stages; k++) {
    int other = first[c->stages[k]] - 1;
    if (other < 0)
      first[c->stages[k]] = self + 1;
    else if (other < met && (c->n_stages > 1 || s->engines[other].n_stages > 1))
      met = other, host = c->stages[k];
  }
  return host < 0 ||
         celslm_element_fail(e, err,
                             "<engine> \"%s\" is on host \"%s\" as \"%s\" is; a pipeline "
                             "has its hosts for itself, give it others",
                             c->name, s->platform->hosts[host].name, s->engines[met].name);
}

bool celslm_read_engines(celslm_scenario *s, const celslm_element *engines, celslm_error *err) {
  unsigned long n = (unsigned long)engines->n_children;
  s->engines = celslm_alloc(n, sizeof *s->engines);
  celslm_index *names = celslm_index_new();
  double *shares = celslm_alloc((unsigned long)s->platform->n_hosts, sizeof *shares);
  int *first = celslm_alloc((unsigned long)s->platform->n_hosts, sizeof *first);
  int *used = celslm_alloc((unsigned long)s->platform->n_hosts, sizeof *used);
  bool ok = true;
  for (int i = 0; ok && i < engines->n_children; i++) {
    const celslm_element *e = &engines->children[i];
    celslm_engine_config *c = &s->engines[s->n_engines++];
    ok = read_engine(s, e, c, err);
    if (!ok) break;
    int before = celslm_index_add(names, c->name, i);
    if (before >= 0)
      ok = celslm_element_fail(e, err,
                               "a second engine named \"%s\" (the first is in line %d); "
                               "names must differ",
                               c->name, s->engines[before].line);
    ok = ok && check_alone(s, e, first, err);
    if (!ok) break;
    used[c->host] += c->tensor_parallel;
    shares[c->host] +=
        c->memory_share * c->tensor_parallel / s->platform->hosts[c->host].accelerators;
    if (ok && shares[c->host] > 1 + 1e-9)
      ok = celslm_element_fail(e, err,
                               "<engine> \"%s\": the engines of host \"%s\" together have "
                               "memory_share %g; it must be at most 1",
                               c->name, s->platform->hosts[c->host].name, shares[c->host]);
  }
  for (int i = 0; ok && i < s->n_engines; i++)
    s->engines[i].accelerators_used = used[s->engines[i].host];
  free(used);
  free(first);
  free(shares);
  celslm_index_free(names);
  return ok;
}
