/* sample.h - a made-up run for the tests of what reads results files: three strategies under one
 * Poisson load, each a single queue with service times of its own. The numbers are plausible, no
 * more; all the identities of a real file hold (the parts of TTFT add up, the summary is that of
 * the rows). */
#ifndef CELSLM_TESTS_RECORD_SAMPLE_H
#define CELSLM_TESTS_RECORD_SAMPLE_H

#include "base/rng.h"
#include "record/request.h"
#include "record/statistics.h"

#include <gsl/gsl_randist.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_MAX_COLUMNS = 128, SAMPLE_EDGES = 4, SAMPLE_CONTEXTS = 4, SAMPLE_MAX_STRATEGIES = 8 };

static const char *const sample_strategies[] = {"cloud-only",       "edge-only",   "ce-lslm",
                                                "ce-lslm serial",   "routing",     "cascade",
                                                "layer split s=12", "speculative", NULL};
static const char *const sample_engines[] = {"cloud/llama-8b",  "edge1/llama-1b",  "edge2/llama-1b",
                                             "edge3/qwen-1.5b", "edge4/qwen-0.5b", NULL};
static const char *const sample_hosts[] = {"cloud", "edge1", "edge2", "edge3", "edge4", NULL};
static const char *const sample_cells[] = {"cell1", "cell2", "cell3", "cell4", NULL};
static const char *const sample_contexts[] = {"legal", "support", "medical", "code", NULL};

typedef struct sample_table {
  celslm_column columns[SAMPLE_MAX_COLUMNS];
  celslm_table *table;
} sample_table;

typedef struct sample_file {
  celslm_results *results;
  sample_table requests, timeline, summary;
  const char *strategies[SAMPLE_MAX_STRATEGIES + 1];
} sample_file;

static inline void sample_open_table(sample_file *f, sample_table *t, const char *path,
                                     const char *description, const celslm_column *columns,
                                     size_t n, celslm_error *err) {
  memcpy(t->columns, columns, n * sizeof *columns);
  for (size_t i = 0; i < n; i++) {
    const char *name = columns[i].name;
    if (strcmp(name, "strategy") == 0) t->columns[i].names = f->strategies;
    if (strcmp(name, "engine") == 0) t->columns[i].names = sample_engines;
    if (strcmp(name, "cell") == 0) t->columns[i].names = sample_cells;
    if (strcmp(name, "context") == 0) t->columns[i].names = sample_contexts;
    if (strcmp(name, "index") == 0) t->columns[i].names = sample_hosts;
  }
  t->table = celslm_results_table(f->results, path, description, t->columns, n, err);
}

static inline void sample_span(sample_file *f, int strategy, int place, celslm_span_kind kind,
                               uint32_t index, uint32_t request, double begin, double end) {
  celslm_span_row row = {.strategy = (uint8_t)strategy,
                         .place = (uint8_t)place,
                         .kind = (uint8_t)kind,
                         .index = index,
                         .request = request,
                         .begin = begin,
                         .end = end};
  if (begin < 20 && end > 16) celslm_table_append(f->timeline.table, &row);
}

/* The spans that a request leaves, decoding in rounds that it shares with whoever else is there. */
static inline void sample_spans(sample_file *f, const celslm_request_row *r) {
  int s = r->strategy;
  uint32_t host = r->engine;
  double start = r->scheduled, ready = r->first_token - r->t_down;
  sample_span(f, s, 2, CELSLM_SPAN_PROMPT, r->cell, r->id, r->arrival, r->arrival + r->t_up * 0.7);
  sample_span(f, s, 2, CELSLM_SPAN_TOKENS, r->cell, r->id, ready, r->first_token);
  if (host == 0)
    sample_span(f, s, 1, CELSLM_SPAN_PROMPT, host, r->id, r->arrival + r->t_up * 0.7, r->queued);
  if (r->t_comm > 0) sample_span(f, s, 1, CELSLM_SPAN_KV, host, r->id, start, start + r->t_comm);
  if (r->t_cloud > 0 && host)
    sample_span(f, s, 0, CELSLM_SPAN_PREFILL, 0, r->id, start, start + r->t_cloud);
  celslm_span_kind kind = r->t_comm > 0 ? CELSLM_SPAN_STREAM : CELSLM_SPAN_PREFILL;
  sample_span(f, s, 0, kind, host, r->id, start, ready);
}

/* What the engine does between a request's first token and its next request: it decodes. */
static inline void sample_decodes(sample_file *f, int strategy, uint32_t engine, double from,
                                  double until) {
  for (int i = 0; i < 12 && from + 0.028 <= until; i++, from += 0.03)
    sample_span(f, strategy, 0, i % 4 ? CELSLM_SPAN_DECODE : CELSLM_SPAN_MIXED, engine, UINT32_MAX,
                from, from + 0.028);
}

static inline double sample_mean(const double *values, size_t n) {
  return celslm_batch_means(values, n, 0, 0.95).mean;
}

/* Fills the six fields of one latency, which stand one after the other from `offset` on. */
static inline void sample_latency(celslm_summary_row *row, size_t offset, const double *values,
                                  size_t n) {
  const double q[] = {0.5, 0.95, 0.99};
  celslm_estimate e = celslm_batch_means(values, n, 20, 0.95);
  double six[6] = {e.mean, e.low, e.high};
  celslm_quantiles(values, n, q, 3, six + 3);
  memcpy((char *)row + offset, six, sizeof six);
}

/* One strategy: a queue for each engine, `n` requests. */
static inline void sample_strategy(sample_file *f, int strategy, uint32_t n, uint64_t seed) {
  static const double cloud[] = {0.11, 0, 0.05, 0.05, 0.06, 0.05, 0.09, 0.08};
  static const double comm[] = {0, 0, 0.12, 0.12, 0, 0.02, 0.05, 0.04};
  static const double edge[] = {0, 0.62, 0.09, 0.09, 0.3, 0.4, 0.05, 0.06};
  gsl_rng *arrivals = celslm_rng(seed, "arrivals"), *rng = celslm_rng(seed, "sizes");
  double free_at[SAMPLE_EDGES + 1] = {0}, now = 0;
  double *column[10];
  for (int i = 0; i < 10; i++) column[i] = calloc(n + 1, sizeof(double));
  celslm_summary_row sum = {.strategy = (uint8_t)strategy, .arrived = n};
  for (uint32_t i = 0; i < n; i++) {
    celslm_request_row r = {.strategy = (uint8_t)strategy, .id = i};
    now += gsl_ran_exponential(arrivals, 1 / 4.0);
    r.ue = (uint32_t)gsl_rng_uniform_int(rng, 200);
    r.cell = r.ue % SAMPLE_EDGES;
    r.engine = strategy == 0 ? 0 : 1 + r.cell;
    r.context = (uint32_t)gsl_rng_uniform_int(rng, SAMPLE_CONTEXTS);
    r.prompt_tokens = (uint32_t)gsl_ran_lognormal(rng, 4.7, 0.9) + 1;
    r.context_tokens = 2048;
    r.output_tokens = (uint32_t)gsl_ran_lognormal(rng, 5, 0.8) + 2;
    double size = gsl_ran_lognormal(rng, 0, 0.4);
    bool cold = gsl_rng_uniform(rng) < 0.3;
    r.arrival = now;
    r.t_up = (strategy == 0 ? 0.031 : 0.012) * gsl_ran_lognormal(rng, 0, 0.3);
    r.queued = r.arrival + r.t_up;
    r.scheduled = fmax(r.queued, free_at[r.engine]);
    sample_decodes(f, strategy, r.engine, free_at[r.engine], r.scheduled);
    r.t_wait = r.scheduled - r.queued;
    bool shared = strategy != 0 && comm[strategy] > 0;
    r.t_cloud = shared && !cold ? 0 : cloud[strategy] * size;
    r.t_comm = shared && !cold ? 0 : comm[strategy] * size;
    r.t_edge = edge[strategy] * size;
    if (strategy == 2 && cold) r.t_hidden = 0.8 * fmin(r.t_comm + r.t_cloud, r.t_edge);
    r.t_down = strategy == 0 ? 0.018 : 0.006;
    r.context_source = (uint8_t)(!shared ? CELSLM_CONTEXT_RECOMPUTED
                                 : cold  ? CELSLM_CONTEXT_FETCHED
                                         : CELSLM_CONTEXT_HIT);
    double service = r.t_cloud + r.t_comm + r.t_edge - r.t_hidden;
    free_at[r.engine] = r.scheduled + service;
    r.ttft = r.t_up + r.t_wait + service + r.t_down;
    r.first_token = r.arrival + r.ttft;
    r.tpot = (strategy == 0 ? 0.024 : 0.018) * gsl_ran_lognormal(rng, 0, 0.15);
    r.itl_max = 2 * r.tpot;
    r.e2e = r.ttft + r.tpot * (r.output_tokens - 1);
    r.last_token = r.arrival + r.e2e;
    r.user_bytes_to_cloud = strategy == 0 ? 4.4 * r.prompt_tokens : 0;
    r.kv_bytes = r.context_source == CELSLM_CONTEXT_FETCHED ? 2048.0 * 32768 : 0;
    celslm_table_append(f->requests.table, &r);
    sample_spans(f, &r);
    const double values[] = {r.ttft,    r.tpot,   r.e2e,    r.t_wait,   r.t_up,
                             r.t_cloud, r.t_comm, r.t_edge, r.t_hidden, r.t_down};
    for (int k = 0; k < 10; k++) column[k][i] = values[k];
    sum.completed++;
    sum.hits += r.context_source == CELSLM_CONTEXT_HIT;
    sum.fetches += r.context_source == CELSLM_CONTEXT_FETCHED;
    sum.recomputed += r.context_source == CELSLM_CONTEXT_RECOMPUTED;
    sum.user_bytes_to_cloud += r.user_bytes_to_cloud;
    sum.kv_bytes += r.kv_bytes;
    sum.token_throughput += r.output_tokens;
    sum.duration = fmax(sum.duration, r.last_token);
  }
  sum.wan_bytes = sum.user_bytes_to_cloud + sum.kv_bytes;
  sum.token_throughput /= sum.duration;
  sum.throughput = n / sum.duration;
  sum.offered = n / now;
  sum.slo_share = 0.93;
  sum.goodput = 0.93 * sum.throughput;
  sample_latency(&sum, offsetof(celslm_summary_row, ttft_mean), column[0], n);
  sample_latency(&sum, offsetof(celslm_summary_row, tpot_mean), column[1], n);
  sample_latency(&sum, offsetof(celslm_summary_row, e2e_mean), column[2], n);
  sum.itl_p50 = sum.tpot_p50, sum.itl_p95 = sum.tpot_p95, sum.itl_p99 = NAN;
  double *means[] = {&sum.wait_mean, &sum.up_mean,     &sum.cloud_mean, &sum.comm_mean,
                     &sum.edge_mean, &sum.hidden_mean, &sum.down_mean};
  for (int k = 0; k < 7; k++) *means[k] = sample_mean(column[k + 3], n);
  sum.energy = 400 * sum.duration;
  sum.energy_response = sum.energy / n;
  sum.cost = sum.cpr = sum.pcr = NAN;
  celslm_table_append(f->summary.table, &sum);
  for (int i = 0; i < 10; i++) free(column[i]);
  gsl_rng_free(arrivals);
  gsl_rng_free(rng);
}

/* Writes a file with strategies [from, to) of the list above (names of all `n_names`). */
static inline bool sample_write(const char *file, int from, int to, int n_names, uint32_t requests,
                                celslm_error *err) {
  sample_file f = {.results = celslm_results_create(file, err)};
  if (!f.results) return false;
  for (int i = 0; i < n_names; i++) f.strategies[i] = sample_strategies[i];
  bool ok = celslm_results_provenance(f.results, "name", "sample", err) &&
            celslm_results_provenance(f.results, "seed", "42", err) &&
            celslm_results_provenance(f.results, "version", "0.1.0", err);
  sample_open_table(&f, &f.requests, "requests", "one row per request", celslm_request_columns,
                    celslm_request_n_columns, err);
  sample_open_table(&f, &f.timeline, "timeline", "what was busy when", celslm_span_columns,
                    celslm_span_n_columns, err);
  sample_open_table(&f, &f.summary, "summary", "one row per strategy", celslm_summary_columns,
                    celslm_summary_n_columns, err);
  for (int s = from; ok && s < to; s++) sample_strategy(&f, s, requests, 42);
  return celslm_results_close(f.results, ok, false, err) && ok;
}

#endif
