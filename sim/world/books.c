#include "world/books.h"

#include "base/version.h"

#include "record/radio.h"
#include "world/accounting.h"
#include "world/recovery.h"
#include "world/tally.h"

#include <gsl/gsl_version.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct celslm_books {
  const celslm_scenario *scenario;
  const celslm_run_options *options;
  celslm_system *system;
  celslm_results *results; /* NULL: nothing is written */
  celslm_table *requests, *engines, *links, *cells, *contexts, *timeline, *iterations, *classes,
      *summary;
  celslm_table *hosts;
  celslm_table *users, *trajectory, *handovers, *drops, *faults; /* NULL where not wanted */
  celslm_column *columns[18]; /* copies with names filled in; names[] owns the arrays */
  const char **names[8];
  int n_columns, n_names;
  int64_t sources[5];
  celslm_tally all;
  celslm_tally **of_class; /* a single class is all */
  celslm_sketch **gaps;    /* between tokens, by class */
  double *busy;            /* s, by engine, at the last sample */
  double sampled_at;       /* s; negative: there was none */
  int64_t samples;         /* after the warm-up, and sums over them: */
  double running, waiting, kv_share;
  double breakdown[7];
  double user_bytes, kv_bytes;
  double quality; /* of the engines, summed over the completed requests */
  celslm_ns window_from, window_to;
  celslm_run_recovery recovery;
};

static const double gap_error = 0.005; /* relative, of quantiles of times between tokens */

/* ---- opening --------------------------------------------------------------------------------- */

static const char **new_names(celslm_books *b, int n) {
  return b->names[b->n_names++] = celslm_alloc((unsigned long)n + 1, sizeof(char *));
}

typedef struct naming {
  const char *column;
  const char *const *names;
} naming;

static celslm_table *open_table(celslm_books *b, const char *path, const char *description,
                                const celslm_column *columns, size_t n, const naming *namings,
                                celslm_error *err) {
  celslm_column *copy = b->columns[b->n_columns++] = celslm_alloc(n, sizeof *copy);
  memcpy(copy, columns, n * sizeof *copy);
  for (size_t i = 0; i < n; i++)
    for (const naming *k = namings; k->column; k++)
      if (strcmp(k->column, copy[i].name) == 0) copy[i].names = k->names;
  return celslm_results_table(b->results, path, description, copy, n, err);
}

char *celslm_world_libraries(void) {
  return celslm_format("SimGrid %s, GSL %s, HDF5 %s", celslm_net_version(), gsl_version,
                       celslm_results_library());
}

static bool write_provenance(celslm_books *b, celslm_error *err) {
  const celslm_scenario *s = b->scenario;
  char *seed = celslm_format("%llu", (unsigned long long)s->seed);
  char *libraries = celslm_world_libraries();
  bool ok = celslm_results_provenance(b->results, "name", s->name, err) &&
            celslm_results_provenance(b->results, "seed", seed, err) &&
            celslm_results_provenance(b->results, "version", celslm_version, err) &&
            celslm_results_provenance(b->results, "commit", celslm_commit, err) &&
            celslm_results_provenance(b->results, "libraries", libraries, err) &&
            celslm_results_provenance(b->results, "scenario", s->text, err) &&
            celslm_results_provenance(b->results, "platform", s->platform->text, err);
  for (int i = 0; ok && i < s->platform->n_profiles; i++) {
    char *name = celslm_format("profile %s", s->platform->profiles[i]->name);
    ok = celslm_results_provenance(b->results, name, s->platform->profiles[i]->text, err);
    free(name);
  }
  for (int i = 0; ok && i < s->platform->n_bands; i++) {
    char *name = celslm_format("band %s", s->platform->bands[i].name);
    ok = celslm_results_provenance(b->results, name, s->platform->bands[i].text, err);
    free(name);
  }
  free(seed);
  free(libraries);
  return ok;
}

static bool open_tables(celslm_books *b, celslm_error *err) {
  const celslm_scenario *s = b->scenario;
  int n_links = celslm_net_links(b->system->net);
  const char **strategies = new_names(b, s->n_strategies), **engines = new_names(b, s->n_engines);
  const char **contexts = new_names(b, s->n_contexts), **cells = new_names(b, s->platform->n_cells);
  const char **hosts = new_names(b, s->platform->n_hosts), **links = new_names(b, n_links);
  const char **classes = new_names(b, s->n_classes), **tenants = new_names(b, s->n_tenants);
  for (int i = 0; i < s->n_strategies; i++) strategies[i] = s->strategies[i].label;
  for (int i = 0; i < s->n_engines; i++) engines[i] = s->engines[i].name;
  for (int i = 0; i < s->n_contexts; i++) contexts[i] = s->contexts[i].name;
  for (int i = 0; i < s->platform->n_cells; i++)
    cells[i] = s->platform->hosts[s->platform->cells[i].host].name;
  for (int i = 0; i < s->platform->n_hosts; i++) hosts[i] = s->platform->hosts[i].name;
  for (int i = 0; i < s->n_classes; i++) classes[i] = s->classes[i].name;
  for (int i = 0; i < s->n_tenants; i++) tenants[i] = s->tenants[i];
  for (int i = 0; i < n_links; i++) links[i] = celslm_net_link_name(b->system->net, i);
  naming namings[] = {{"strategy", strategies},
                      {"engine", engines},
                      {"context", contexts},
                      {"cell", cells},
                      {"class", classes},
                      {"tenant", tenants},
                      {"to", cells},
                      {"index", hosts},
                      {"host", hosts},
                      {"link", links},
                      {"traffic", celslm_traffic_names},
                      {NULL, NULL}};
#define OPEN(TABLE, ROW, TEXT)                                                                     \
  (b->TABLE = open_table(b, #TABLE, TEXT, celslm_##ROW##_columns, celslm_##ROW##_n_columns,        \
                         namings, err))
  return OPEN(requests, request,
              "one row per request, in order of its end; those in flight at the horizon last") &&
         OPEN(engines, engine, "engines, sampled over time") &&
         OPEN(hosts, host, "hosts that serve: energy and cost, at the end") &&
         OPEN(links, link, "bytes over each link by class, at the end") &&
         OPEN(cells, cell, "the air of each cell, at the end") &&
         OPEN(contexts, context, "shared contexts at each engine, at the end") &&
         OPEN(timeline, span, "what engines, routes and cells did in the timeline window") &&
         (s->radio.plain ||
          OPEN(users, user, "users, as they are placed at the start of the run")) &&
         (!s->results.trajectory || OPEN(trajectory, trajectory, "users that move, over time")) &&
         (!s->radio.handover ||
          OPEN(handovers, handover, "changes of users from one cell to another")) &&
         ((s->radio.plain && !s->faults.n) ||
          OPEN(drops, drop, "requests that were dropped, and why")) &&
         (!s->faults.n || OPEN(faults, fault, "changes of links, cells and hosts by faults")) &&
         (!s->results.iterations ||
          OPEN(iterations, iteration, "every iteration of every engine")) &&
         OPEN(classes, class, "one row per class of requests, at the end") &&
         OPEN(summary, summary, "one row per strategy");
#undef OPEN
}

celslm_books *celslm_books_open(const celslm_scenario *s, const celslm_run_options *o,
                                celslm_system *system, celslm_error *err) {
  celslm_books *b = celslm_alloc(1, sizeof *b);
  b->scenario = s;
  b->options = o;
  b->system = system;
  b->window_from = celslm_ns_of(s->results.timeline_from);
  b->window_to = celslm_ns_of(s->results.timeline_to);
  b->of_class = celslm_alloc((unsigned long)s->n_classes, sizeof *b->of_class);
  for (int c = 0; c < s->n_classes; c++)
    b->of_class[c] = s->n_classes == 1 ? &b->all : celslm_alloc(1, sizeof **b->of_class);
  b->gaps = celslm_alloc((unsigned long)s->n_classes, sizeof *b->gaps);
  for (int c = 0; c < s->n_classes; c++) b->gaps[c] = celslm_sketch_new(gap_error);
  b->busy = celslm_alloc((unsigned long)s->n_engines, sizeof *b->busy);
  b->sampled_at = -1;
  celslm_recovery_init(&b->recovery);
  if (!o->file) return b;
  b->results = celslm_results_create(o->file, err);
  if (b->results && write_provenance(b, err) && open_tables(b, err)) return b;
  celslm_books_close(b, CELSLM_BAD_INPUT, NULL);
  return NULL;
}

/* ---- while it runs --------------------------------------------------------------------------- */

static void write_span(celslm_books *b, celslm_span_kind kind, int place, int index,
                       uint32_t request, celslm_ns begin, celslm_ns end) {
  if (end < b->window_from || begin >= b->window_to) return;
  celslm_span_row row = {.strategy = (uint8_t)b->options->strategy,
                         .place = (uint8_t)place,
                         .kind = (uint8_t)kind,
                         .index = (uint32_t)index,
                         .request = request,
                         .begin = celslm_seconds(begin),
                         .end = celslm_seconds(end)};
  celslm_table_append(b->timeline, &row);
}

static void on_engine_span(void *self, int engine, celslm_span_kind kind, celslm_ns begin,
                           celslm_ns end) {
  write_span(self, kind, 0, engine, UINT32_MAX, begin, end);
}

static void on_iteration(void *self, int engine, celslm_ns end, double duration, int64_t decodes,
                         int64_t prefill_tokens) {
  celslm_books *b = self;
  celslm_iteration_row row = {.strategy = (uint8_t)b->options->strategy,
                              .engine = (uint32_t)engine,
                              .end = celslm_seconds(end),
                              .duration = duration,
                              .decodes = (uint32_t)decodes,
                              .prefill_tokens = (uint32_t)prefill_tokens};
  celslm_table_append(b->iterations, &row);
}

static void on_layer(void *self, const celslm_transfer *t) {
  celslm_books *b = self;
  write_span(b, CELSLM_SPAN_KV, 1, t->to, UINT32_MAX, t->started, celslm_net_now(b->system->net));
}

static void on_moved(void *self, celslm_span_kind kind, int place, int index, uint32_t request,
                     celslm_ns begin) {
  celslm_books *b = self;
  write_span(b, kind, place, index, request, begin, celslm_net_now(b->system->net));
}

celslm_engine_hooks celslm_books_hooks(celslm_books *b) {
  bool window = b->results && b->window_to > b->window_from;
  b->system->moved = window ? on_moved : NULL;
  b->system->watcher = b;
  return (celslm_engine_hooks){.self = b,
                               .iteration = b->iterations ? on_iteration : NULL,
                               .span = window ? on_engine_span : NULL,
                               .gaps = b->gaps,
                               .span_from = b->window_from,
                               .span_to = b->window_to};
}

void celslm_books_watch(celslm_books *b, celslm_site *site) {
  if (!b->results || b->window_to <= b->window_from) return;
  site->on_transfer = on_layer;
  site->self = b;
}

void celslm_books_request(celslm_books *b, const celslm_request_row *r) {
  if (b->results) celslm_table_append(b->requests, r);
  celslm_tally_add(&b->all, b->scenario, r);
  if (b->scenario->n_classes > 1) celslm_tally_add(b->of_class[r->class], b->scenario, r);
  b->sources[r->context_source]++;
  b->user_bytes += r->user_bytes_to_cloud;
  b->kv_bytes += r->kv_bytes;
  if (r->end == CELSLM_COMPLETED)
    b->quality += r->correct == CELSLM_NOT_MEASURED ? b->scenario->prices.quality[r->engine]
                                                    : r->correct == CELSLM_RIGHT;
  if (r->end != CELSLM_COMPLETED || r->arrival < b->scenario->results.warmup) return;
  const double parts[] = {r->t_wait, r->t_up,     r->t_cloud, r->t_comm,
                          r->t_edge, r->t_hidden, r->t_down};
  for (int i = 0; i < 7; i++) b->breakdown[i] += parts[i];
}

/* ---- users and faults ------------------------------------------------------------------------ */

void celslm_books_users(celslm_books *b, const celslm_system *s) {
  if (!b->users || !s->ran) return;
  const celslm_scene *scene = celslm_ran_scene(s->ran);
  for (int i = 0; i < scene->n_ues; i++) {
    const celslm_ue *u = &scene->ues[i];
    const celslm_radio_link *l = celslm_ran_link(s->ran, i);
    celslm_user_row row = {.strategy = (uint8_t)b->options->strategy,
                           .los = u->heard[u->cell].los,
                           .indoor = u->indoor,
                           .ue = (uint32_t)i,
                           .cell = (uint32_t)u->cell,
                           .layers_down = (uint32_t)l->layers_down,
                           .layers_up = (uint32_t)l->layers_up,
                           .x = u->x,
                           .y = u->y,
                           .loss = u->heard[u->cell].loss,
                           .sinr_down = l->snr_down,
                           .sinr_up = l->snr_up,
                           .rate_down = l->down,
                           .rate_up = l->up,
                           .latency_down = l->latency_down,
                           .latency_up = l->latency_up};
    celslm_table_append(b->users, &row);
  }
}

bool celslm_books_wants_trajectory(const celslm_books *b) {
  return b->trajectory != NULL;
}

void celslm_books_trajectory(celslm_books *b, const celslm_system *s, int ue) {
  const celslm_ue *u = &celslm_ran_scene(s->ran)->ues[ue];
  const celslm_radio_link *l = celslm_ran_link(s->ran, ue);
  celslm_trajectory_row row = {.strategy = (uint8_t)b->options->strategy,
                               .ue = (uint32_t)ue,
                               .cell = (uint32_t)u->cell,
                               .time = celslm_seconds(celslm_net_now(s->net)),
                               .x = u->x,
                               .y = u->y,
                               .sinr_down = l->snr_down,
                               .sinr_up = l->snr_up,
                               .rate_down = l->down,
                               .rate_up = l->up};
  celslm_table_append(b->trajectory, &row);
}

static double now_of(const celslm_books *b) {
  return celslm_seconds(celslm_net_now(b->system->net));
}

void celslm_books_handover(celslm_books *b, int ue, int from, int to, int cause) {
  if (!b->handovers) return;
  celslm_handover_row row = {.strategy = (uint8_t)b->options->strategy,
                             .cause = (uint8_t)cause,
                             .ue = (uint32_t)ue,
                             .cell = (uint32_t)from,
                             .to = (uint32_t)to,
                             .time = now_of(b)};
  celslm_table_append(b->handovers, &row);
}

void celslm_books_drop(celslm_books *b, const celslm_request *r) {
  if (!b->drops || r->end != CELSLM_DROPPED) return;
  celslm_drop_row row = {.strategy = (uint8_t)b->options->strategy,
                         .reason = r->reason,
                         .request = r->id,
                         .time = now_of(b)};
  celslm_table_append(b->drops, &row);
}

void celslm_books_present(celslm_books *b, int change) {
  celslm_recovery_present(&b->recovery, celslm_net_now(b->system->net), change);
}

void celslm_books_fault(celslm_books *b, int kind, int target, double before, double speed) {
  celslm_recovery_fault(&b->recovery, celslm_net_now(b->system->net), before, speed);
  if (!b->faults) return;
  celslm_fault_row row = {.strategy = (uint8_t)b->options->strategy,
                          .kind = (uint8_t)kind,
                          .target = (uint32_t)target,
                          .time = now_of(b),
                          .speed = speed};
  celslm_table_append(b->faults, &row);
}

void celslm_books_sample(celslm_books *b, const celslm_system *s) {
  double now = celslm_seconds(celslm_net_now(s->net)), used = 0, blocks = 0;
  bool warm = now >= b->scenario->results.warmup;
  for (int i = 0; i < b->scenario->n_engines; i++) {
    celslm_engine_row row = {.strategy = (uint8_t)b->options->strategy, .engine = (uint32_t)i};
    celslm_engine_observe(s->sites[i].engine, &row);
    const celslm_store *store = s->sites[i].store;
    row.context_bytes = celslm_store_used(store);
    row.host_bytes = celslm_tier_used(celslm_store_tier(store, CELSLM_TIER_HOST));
    row.disk_bytes = celslm_tier_used(celslm_store_tier(store, CELSLM_TIER_DISK));
    row.utilisation = b->sampled_at < 0 ? NAN : (row.busy - b->busy[i]) / (now - b->sampled_at);
    b->busy[i] = row.busy;
    used += row.kv_blocks_used;
    blocks += row.kv_blocks;
    if (warm) b->running += row.running, b->waiting += row.waiting;
    if (b->results) celslm_table_append(b->engines, &row);
  }
  if (warm) b->samples++, b->kv_share += used / blocks;
  b->sampled_at = now;
}

/* ---- at the end ------------------------------------------------------------------------------ */

static bool is_cloud(const celslm_books *b, int host) {
  return b->scenario->platform->hosts[host].role == CELSLM_CLOUD;
}

static double wan_bytes(const celslm_books *b, const celslm_system *s) {
  double bytes = 0;
  for (int h = 0; h < b->scenario->platform->n_hosts; h++)
    for (int c = 0; is_cloud(b, h) && c < CELSLM_TRAFFICS; c++)
      bytes += (double)(celslm_net_received(s->net, h, (celslm_traffic)c) +
                        celslm_net_sent_by(s->net, h, (celslm_traffic)c));
  return bytes;
}

static void sum_up(celslm_books *b, const celslm_system *s, celslm_summary_row *row) {
  double duration = celslm_seconds(celslm_net_now(s->net)), busy = 0;
  double n = b->all.warm ? (double)b->all.warm : NAN, n_engines = b->scenario->n_engines;
  uint64_t waiting_kv = 0;
  double samples = b->samples ? (double)b->samples : NAN;
  int64_t tokens = 0, iterations = 0;
  celslm_sketch *gaps = celslm_sketch_new(gap_error);
  for (int i = 0; i < b->scenario->n_engines; i++) {
    celslm_engine_row engine;
    celslm_engine_observe(s->sites[i].engine, &engine);
    if (s->sites[i].waiting_kv_peak > waiting_kv) waiting_kv = s->sites[i].waiting_kv_peak;
    tokens += engine.output_tokens;
    iterations += engine.iterations;
    busy += engine.busy;
  }
  for (int c = 0; c < b->scenario->n_classes; c++) celslm_sketch_merge(gaps, b->gaps[c]);
  *row = (celslm_summary_row){
      .strategy = (uint8_t)b->options->strategy,
      .layer_map = s->strategy->layer_map ? s->strategy->layer_map(s->options) : 0,
      .duration = duration,
      .throughput = (double)b->all.ends[CELSLM_COMPLETED] / duration,
      .token_throughput = (double)tokens / duration,
      .itl_p50 = celslm_sketch_quantile(gaps, 0.5),
      .itl_p95 = celslm_sketch_quantile(gaps, 0.95),
      .itl_p99 = celslm_sketch_quantile(gaps, 0.99),
      .wait_mean = b->breakdown[0] / n,
      .up_mean = b->breakdown[1] / n,
      .cloud_mean = b->breakdown[2] / n,
      .comm_mean = b->breakdown[3] / n,
      .edge_mean = b->breakdown[4] / n,
      .hidden_mean = b->breakdown[5] / n,
      .down_mean = b->breakdown[6] / n,
      .hits = b->sources[CELSLM_CONTEXT_HIT],
      .fetches = b->sources[CELSLM_CONTEXT_FETCHED],
      .joins = b->sources[CELSLM_CONTEXT_JOINED],
      .recomputed = b->sources[CELSLM_CONTEXT_RECOMPUTED],
      .iterations = iterations,
      .fairness = celslm_tally_fairness(b->of_class, b->scenario),
      .utilisation = busy / (duration * n_engines),
      .running_mean = b->running / samples,
      .waiting_mean = b->waiting / samples,
      .kv_share_mean = b->kv_share / samples,
      .user_bytes_to_cloud = b->user_bytes,
      .kv_bytes = b->kv_bytes,
      .wan_bytes = wan_bytes(b, s),
      .recovery = celslm_recovery_time(&b->recovery),
      .backlog = celslm_recovery_backlog(&b->recovery),
      .kv_waiting_peak = (double)waiting_kv,
  };
  for (int i = 0; i < b->scenario->n_engines; i++)
    for (int c = 0; c < b->scenario->n_contexts; c++) {
      const celslm_entry *e = celslm_store_entry(s->sites[i].store, c);
      row->host_loads += e->loads[CELSLM_TIER_HOST];
      row->disk_loads += e->loads[CELSLM_TIER_DISK];
    }
  celslm_tally_summary(&b->all, duration - b->scenario->results.warmup, row);
  row->offered = (double)row->arrived / duration;
  celslm_account_summary(s, duration, b->quality, row);
  celslm_sketch_free(gaps);
}

static void write_hosts(celslm_books *b, const celslm_system *s, double duration) {
  celslm_host_row *rows = celslm_account_hosts(s, duration);
  for (int h = 0; h < b->scenario->platform->n_hosts; h++) {
    rows[h].strategy = (uint8_t)b->options->strategy;
    if (rows[h].busy >= 0) celslm_table_append(b->hosts, &rows[h]);
  }
  free(rows);
}

static void write_links(celslm_books *b, const celslm_system *s, double duration) {
  const celslm_link **links = celslm_account_links(s);
  for (int l = 0; l < celslm_net_links(s->net); l++)
    for (int c = 0; c < CELSLM_TRAFFICS; c++) {
      double bytes = (double)celslm_net_link_bytes(s->net, l, (celslm_traffic)c);
      if (bytes == 0) continue;
      celslm_link_row row = {.strategy = (uint8_t)b->options->strategy,
                             .traffic = (uint8_t)c,
                             .link = (uint32_t)l,
                             .bytes = bytes,
                             .utilisation =
                                 bytes / (celslm_net_link_bandwidth(s->net, l) * duration)};
      celslm_account_link(s, links[l], bytes, &row);
      celslm_table_append(b->links, &row);
    }
  free(links);
}

static void write_cells(celslm_books *b, const celslm_system *s) {
  for (int c = 0; c < b->scenario->platform->n_cells; c++) {
    celslm_cell_row row = {
        .strategy = (uint8_t)b->options->strategy,
        .cell = (uint32_t)c,
        .bytes_up = s->bytes_up[c],
        .bytes_down = s->bytes_down[c],
        .airtime_up = s->ran ? celslm_air_busy(celslm_ran_air(s->ran, c, true)) : 0,
        .airtime_down = s->ran ? celslm_air_busy(celslm_ran_air(s->ran, c, false)) : 0};
    celslm_account_cell(s, c, &row);
    celslm_table_append(b->cells, &row);
  }
}

static void write_contexts(celslm_books *b, const celslm_system *s) {
  for (int i = 0; i < b->scenario->n_engines; i++)
    for (int c = 0; c < b->scenario->n_contexts; c++) {
      celslm_store *store = s->sites[i].store;
      const celslm_entry *e = celslm_store_entry(store, c);
      if (!e->requests && !e->fetches && !e->joins && !e->evictions) continue;
      celslm_context_row row = {
          .strategy = (uint8_t)b->options->strategy,
          .engine = (uint32_t)i,
          .context = (uint32_t)c,
          .tokens = (uint32_t)e->shared.tokens,
          .requests = e->requests,
          .hits = e->hits,
          .fetches = e->fetches,
          .joins = e->joins,
          .evictions = e->evictions,
          .refused = e->refused,
          .partial_hits = e->partial_hits,
          .host_writes = celslm_tier_writes(celslm_store_tier(store, CELSLM_TIER_HOST), c),
          .spills = celslm_tier_writes(celslm_store_tier(store, CELSLM_TIER_DISK), c),
          .host_loads = e->loads[CELSLM_TIER_HOST],
          .disk_loads = e->loads[CELSLM_TIER_DISK],
          .host_bytes = e->bytes_read[CELSLM_TIER_HOST],
          .disk_bytes = e->bytes_read[CELSLM_TIER_DISK],
          .outdated = e->outdated,
          .replans = e->replans,
          .bytes_fetched = e->bytes_fetched,
          .bytes = e->bytes,
          .capacity = celslm_store_capacity(s->sites[i].store)};
      celslm_table_append(b->contexts, &row);
    }
}

static void write_classes(celslm_books *b, double duration) {
  for (int c = 0; c < b->scenario->n_classes; c++) {
    const celslm_class_config *config = &b->scenario->classes[c];
    celslm_class_row row = {.strategy = (uint8_t)b->options->strategy,
                            .class = (uint32_t)c,
                            .tenant = (uint32_t)config->tenant,
                            .priority = (uint32_t)config->priority};
    celslm_tally_class(b->of_class[c], duration - b->scenario->results.warmup, &row);
    row.itl_p50 = celslm_sketch_quantile(b->gaps[c], 0.5);
    row.itl_p95 = celslm_sketch_quantile(b->gaps[c], 0.95);
    row.itl_p99 = celslm_sketch_quantile(b->gaps[c], 0.99);
    celslm_table_append(b->classes, &row);
  }
}

void celslm_books_finish(celslm_books *b, const celslm_system *s, celslm_summary_row *summary) {
  celslm_summary_row row;
  for (int i = 0; i < b->scenario->n_engines; i++) celslm_engine_settle(s->sites[i].engine);
  sum_up(b, s, &row);
  if (summary) *summary = row;
  if (!b->results) return;
  celslm_table_append(b->summary, &row);
  write_hosts(b, s, row.duration);
  write_links(b, s, row.duration);
  write_cells(b, s);
  write_contexts(b, s);
  write_classes(b, row.duration);
}

bool celslm_books_balanced(const celslm_books *b, uint64_t arrived, celslm_error *err) {
  const int64_t *ends = b->all.ends;
  int64_t recorded = ends[0] + ends[1] + ends[2] + ends[3];
  if (recorded == (int64_t)arrived) return true;
  return celslm_fail(err, b->scenario->file, 0,
                     "%llu requests arrived but %lld were recorded; this is a bug, please report "
                     "it with the scenario",
                     (unsigned long long)arrived, (long long)recorded);
}

bool celslm_books_close(celslm_books *b, celslm_outcome outcome, celslm_error *err) {
  if (!b) return true;
  bool ok = !b->results || celslm_results_close(b->results, outcome == CELSLM_DONE,
                                                outcome == CELSLM_INTERRUPTED, err);
  for (int i = 0; i < b->n_columns; i++) free(b->columns[i]);
  for (int i = 0; i < b->n_names; i++) free(b->names[i]);
  for (int c = 0; b->scenario->n_classes > 1 && c < b->scenario->n_classes; c++) {
    celslm_tally_clear(b->of_class[c]);
    free(b->of_class[c]);
  }
  for (int c = 0; c < b->scenario->n_classes; c++) celslm_sketch_free(b->gaps[c]);
  free(b->gaps);
  celslm_tally_clear(&b->all);
  free(b->of_class);
  free(b->busy);
  free(b);
  return ok;
}
