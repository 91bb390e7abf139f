/* ce_lslm.c - the cloud prefills long shared contexts once; edges fetch their KV layer by layer and
 * serve user prompts, which never leave the edge. P. Zhu, T. Yang, "CE-LSLM", arXiv 2505.14085.
 *
 * A request whose context is resident at its edge starts at once. The first that misses fetches it,
 * others join that fetch. With pipeline="yes" their prefills follow the layers as they arrive; with
 * "no" (the ablation) they wait for the last one. A context that the edge's store has no room for
 * (everything in it is in use) is recomputed at the edge as part of the prompt.
 *
 * Which edge serves a request: placing.h. From where a context comes: gather.h. What is done
 * while the cloud is out of reach: outage.h. */
#include "share/alignment.h"
#include "share/fetch.h"
#include "strategy/at_site.h"
#include "strategy/gather.h"
#include "strategy/outage.h"
#include "strategy/placing.h"

#include <stdlib.h>
#include <string.h>

typedef struct options {
  bool pipeline, cloud_warm;
  celslm_codec codec, plain; /* on the network; on disks */
  bool cloud_streaming, codec_overlap, whole;
  int64_t chunk;
  int64_t local_layers;
  int join;   /* celslm_join */
  int map_at; /* MAP_AT_CLOUD ... */
  int64_t map_window;
  bool plans;
  celslm_planning planning;
  celslm_replanner replanner;
  celslm_alignment *maps; /* by engine, of those at the edge */
  int n_maps;
  int after_handover; /* FROM_CLOUD ... */
  celslm_neighbourhood neighbourhood;
  celslm_outage *outage; /* NULL: no policy for outages */
  celslm_system *system;
  celslm_event pushing;
  int64_t push;     /* contexts */
  celslm_ns period; /* 0: pushed at the start only */
} options;

enum { FROM_CLOUD, FROM_OLD_EDGE, MIGRATE };
enum { MAP_AT_CLOUD, MAP_AT_EDGE, MAP_FREE };

static void clear(void *o) {
  options *opt = o;
  for (int i = 0; i < opt->n_maps; i++) celslm_alignment_clear(&opt->maps[i]);
  free(opt->maps);
  celslm_outage_close(opt->outage);
  celslm_neighbourhood_close(&opt->neighbourhood);
  celslm_planning_clear(&opt->planning);
}

/* A file is of all pairs of models, so one that is stretched evenly says that all are. */
static uint8_t layer_map(const void *o) {
  const options *opt = o;
  celslm_map_kind kind = CELSLM_MAP_NONE;
  for (int i = 0; i < opt->n_maps; i++)
    if (opt->maps[i].kind != CELSLM_MAP_NONE) kind = opt->maps[i].kind;
  return (uint8_t)kind;
}

/* Which cloud layers the layers of each edge's model are made of, and where they are mapped. */
static bool read_map(options *opt, const celslm_system *s, const celslm_element *e,
                     celslm_error *err) {
  static const char *const places[] = {"cloud", "edge", "free", NULL};
  const celslm_model *cloud = s->sites[s->cloud].model;
  if (!celslm_element_choice(e, "map_at", places, MAP_AT_CLOUD, &opt->map_at, err) ||
      !celslm_element_integer(e, "map_window", 1, 1 << 10, opt->map_at == MAP_AT_EDGE ? 1 : 3,
                              &opt->map_window, err) ||
      !celslm_element_integer(e, "local_layers", 0, 1 << 10, 0, &opt->local_layers, err))
    return false;
  if (opt->map_at == MAP_AT_EDGE && opt->map_window > 1)
    return celslm_element_fail(e, err,
                               "<ce-lslm> map_window %lld cannot be mapped at the edge, to which "
                               "each layer's states travel once; allowed there: 1",
                               (long long)opt->map_window);
  char *file = celslm_element_path(e, "map");
  bool ok = true;
  opt->n_maps = s->scenario->n_engines;
  opt->maps = celslm_alloc((unsigned long)opt->n_maps, sizeof *opt->maps);
  for (int i = 0; ok && i < opt->n_maps; i++) {
    bool edge = s->scenario->platform->hosts[s->sites[i].host].role != CELSLM_CLOUD;
    const celslm_model *model = s->sites[i].model;
    if (!edge) continue;
    ok = celslm_alignment_init(&opt->maps[i], cloud, model, file, err);
    if (ok && opt->local_layers > model->layers)
      ok = celslm_element_fail(e, err, "<ce-lslm> local_layers %lld: %s has %lld",
                               (long long)opt->local_layers, model->name, (long long)model->layers);
  }
  free(file);
  return ok;
}

static const celslm_outage_hooks hooks;

static bool configure(void *o, const celslm_system *s, const celslm_element *e, celslm_error *err) {
  options *opt = o;
  static const char *const transfers[] = {"layers", "whole", NULL};
  int transfer;
  const char *why;
  if (!celslm_codec_parse("f16", &opt->plain, &why) ||
      !celslm_codec_read(e, "codec", &opt->codec, err) ||
      !celslm_element_bool(e, "cloud_streaming", true, &opt->cloud_streaming, err) ||
      !celslm_element_bool(e, "codec_overlap", true, &opt->codec_overlap, err) ||
      !celslm_element_integer(e, "chunk", 0, 1 << 30, 0, &opt->chunk, err) ||
      !celslm_element_choice(e, "transfer", transfers, 0, &transfer, err) ||
      !celslm_element_bool(e, "pipeline", true, &opt->pipeline, err) ||
      !celslm_element_bool(e, "cloud_warm", false, &opt->cloud_warm, err))
    return false;
  opt->whole = transfer == 1;
  static const char *const joins[] = {"lane", "stall", "admit", NULL};
  if (!celslm_element_choice(e, "join", joins, CELSLM_JOIN_LANE, &opt->join, err)) return false;
  static const char *const sources[] = {"cloud", "old-edge", "migrate", NULL};
  if (!celslm_element_choice(e, "after_handover", sources, FROM_CLOUD, &opt->after_handover, err))
    return false;
  const celslm_element *planner = celslm_element_child(e, "planner");
  /* a planner is to know when the cloud is silent: it does not plan with it then */
  if (!celslm_neighbourhood_open(&opt->neighbourhood, s, e, err) ||
      !celslm_outage_open(&opt->outage, s, e, planner ? &celslm_resilience_recompute : NULL, &hooks,
                          err))
    return false;
  const char *outage = celslm_element_attribute(e, "outage");
  if (outage && strcmp(outage, "neighbour") == 0 && !opt->neighbourhood.directory)
    return celslm_element_fail(e, err,
                               "outage=\"neighbour\" needs peers, the number of neighbours that an "
                               "edge knows");
  double period;
  if (!celslm_element_integer(e, "push", 0, 1 << 30, 0, &opt->push, err) ||
      !celslm_element_quantity(e, "push_period", CELSLM_UNIT_TIME, 0, 1e9, 0, &period, err))
    return false;
  opt->period = celslm_ns_of(period);
  if (!read_map(opt, s, e, err)) return false;
  opt->plans = planner;
  if (planner && !celslm_planning_read(&opt->planning, planner, err)) return false;
  if (planner && (opt->local_layers || celslm_element_attribute(e, "codec")))
    return celslm_element_fail(e, err,
                               "<ce-lslm> codec and local_layers are the planner's choice; "
                               "drop them, or <planner>");
  for (int c = 0; c < s->scenario->n_contexts; c++)
    if (!celslm_site_can_hold(&s->sites[s->cloud], c))
      return celslm_element_fail(
          e, err,
          "context %s (%lld tokens) is too large for the cloud engine's context_memory or "
          "KV blocks; raise them or shorten the context",
          s->scenario->contexts[c].name, (long long)s->scenario->contexts[c].tokens);
  for (int c = 0; opt->cloud_warm && c < s->scenario->n_contexts; c++)
    if (!celslm_site_preload(&s->sites[s->cloud], c))
      return celslm_element_fail(
          e, err,
          "cloud_warm: the cloud engine's context_memory has no room for all %d contexts; "
          "raise it or say cloud_warm=\"no\"",
          s->scenario->n_contexts);
  return true;
}

/* Where an edge gets a context for a user: from the edge that this user had, or from the cloud. */
static celslm_site *source_of(const options *opt, celslm_system *s, const celslm_user *u,
                              int context) {
  celslm_site *cloud = &s->sites[s->cloud];
  if (opt->after_handover == FROM_CLOUD || u->before < 0 || u->before == u->site) return cloud;
  celslm_site *old = &s->sites[u->before];
  bool there = celslm_store_entry(old->store, context)->residence == CELSLM_RESIDENT;
  return there && !old->down && old->model == s->sites[u->site].model ? old : cloud;
}

/* What is asked of celslm_gather; `peers`: room for those that are said to have it. In an outage
 * that degrades codecs nothing is planned. */
static celslm_gathering gathering_for(const options *opt, const celslm_system *s, celslm_site *edge,
                                      celslm_site *source, int context, const celslm_codec *codec,
                                      celslm_site *peers[CELSLM_GATHER_PEERS + 1]) {
  celslm_directory_holders(opt->neighbourhood.directory, edge->index, context, peers,
                           CELSLM_GATHER_PEERS);
  bool cut = source == &s->sites[s->cloud] && celslm_outage_cut(opt->outage, edge->index);
  return (celslm_gathering){.edge = edge,
                            .source = source,
                            .context = context,
                            .source_up = !cut,
                            .codec = codec,
                            .plain = &opt->plain,
                            .peers = peers,
                            .planning = opt->plans && codec == &opt->codec ? &opt->planning : NULL};
}

/* The rate of a fetch under way has changed (plan.h). */
static bool choose_again(void *self, celslm_site *edge, int context, const bool *open,
                         celslm_plan *plan) {
  const options *opt = self;
  celslm_site *peers[CELSLM_GATHER_PEERS + 1];
  celslm_gathering gathering =
      gathering_for(opt, opt->system, edge, plan->cloud, context, &opt->codec, peers);
  return celslm_gather_again(opt->system, &gathering, open, plan);
}

/* How an edge would get a context, for a request of `prompt` tokens (0: for none); false: those
 * that it can reach do not have all of it. */
static bool make_plan(const options *opt, celslm_system *s, celslm_site *edge, celslm_site *source,
                      int context, int64_t prompt, const celslm_codec *codec, celslm_plan *plan) {
  celslm_site *cloud = &s->sites[s->cloud], *peers[CELSLM_GATHER_PEERS + 1];
  celslm_gathering gathering = gathering_for(opt, s, edge, source, context, codec, peers);
  gathering.prompt = prompt;
  bool cut = !gathering.source_up;
  bool kept = celslm_store_entry(edge->store, context)->held >= opt->local_layers;
  if (cut && !kept) return false; /* the cloud has the context's tokens */
  *plan = celslm_plan_from(edge, source, codec);
  int64_t states = cloud->model->hidden * opt->map_window;
  celslm_plan_align(plan, edge->model, opt->maps[edge->index].map,
                    opt->map_at == MAP_FREE ? 0 : (int32_t)states, opt->map_at == MAP_AT_EDGE);
  if (source == cloud && !cut) celslm_plan_otherwise(plan);
  plan->streams = opt->cloud_streaming;
  plan->overlaps = opt->codec_overlap;
  plan->whole = opt->whole;
  plan->chunk = opt->chunk;
  plan->cloud = cloud;
  if (opt->planning.replan > 0) plan->replanner = &opt->replanner;
  if (!celslm_gather(s, &gathering, plan)) {
    celslm_plan_clear(plan);
    return false;
  }
  if (!gathering.planning) celslm_plan_compute(plan, kept ? 0 : (int)opt->local_layers, cloud);
  return true;
}

/* Carries out a plan; returns the KV bytes that will travel. */
static double fetch(const options *opt, celslm_system *s, celslm_site *edge, int context,
                    celslm_plan *plan) {
  double bytes = celslm_plan_bytes(plan, edge->model, s->scenario->contexts[context].tokens);
  bool from_cloud = false;
  for (int j = 0; j < plan->n; j++) from_cloud |= plan->layers[j].site == &s->sites[s->cloud];
  if (from_cloud)
    celslm_outage_watch(opt->outage, edge->index, celslm_store_entry(edge->store, context));
  celslm_fetch(edge, context, plan);
  celslm_plan_clear(plan);
  return bytes;
}

/* Before anybody asks, if it is not there and there is room. */
static void load_ahead(const options *opt, celslm_system *s, celslm_site *edge, celslm_site *source,
                       int context) {
  celslm_entry *e = celslm_store_entry(edge->store, context);
  celslm_plan plan;
  if (e->residence != CELSLM_ABSENT ||
      !make_plan(opt, s, edge, source, context, 0, &opt->codec, &plan))
    return;
  if (celslm_store_claim(edge->store, e))
    fetch(opt, s, edge, context, &plan);
  else
    celslm_plan_clear(&plan);
}

/* How often a context was asked for, at all edges. */
static int64_t fame(const celslm_system *s, int context) {
  int64_t n = 0;
  for (int i = 0; i < s->scenario->n_engines; i++)
    n += celslm_store_entry(s->sites[i].store, context)->requests;
  return n;
}

typedef struct rank {
  int64_t fame;
  int context;
} rank;

static int more_famous(const void *a, const void *b) {
  const rank *x = a, *y = b;
  if (x->fame != y->fame) return x->fame < y->fame ? 1 : -1;
  return x->context < y->context ? -1 : 1;
}

/* The edges fetch those contexts that are asked for most (counts are taken to be known), in that
 * order, as far as they are not there and there is room. */
static void push(void *self) {
  options *opt = self;
  celslm_system *s = opt->system;
  int n = s->scenario->n_contexts;
  rank *ranks = celslm_alloc((unsigned long)n, sizeof *ranks);
  for (int c = 0; c < n; c++) ranks[c] = (rank){fame(s, c), c};
  qsort(ranks, (size_t)n, sizeof *ranks, more_famous);
  for (int k = 0; k < n && k < opt->push; k++)
    for (int i = 0; i < s->scenario->n_engines; i++) {
      celslm_site *edge = &s->sites[i];
      if (s->scenario->platform->hosts[edge->host].role == CELSLM_CLOUD || edge->down) continue;
      load_ahead(opt, s, edge, &s->sites[s->cloud], ranks[k].context);
    }
  free(ranks);
  if (opt->period) celslm_net_at(s->net, &opt->pushing, celslm_net_now(s->net) + opt->period);
}

static void begin(void *o, celslm_system *s) {
  options *opt = o;
  opt->system = s;
  opt->replanner = (celslm_replanner){opt->planning.replan, choose_again, opt};
  if (!opt->push) return;
  opt->pushing =
      (celslm_event){.fire = push, .self = opt, .cls = CELSLM_AT_TIMER, .background = true};
  celslm_net_at(s->net, &opt->pushing, 0);
}

/* The user's last context follows it, if the old edge has it and there is room. */
static void moved(const void *o, celslm_system *s, const celslm_user *u) {
  const options *opt = o;
  celslm_site *edge = &s->sites[u->site];
  if (opt->after_handover != MIGRATE || u->context < 0 || edge->down) return;
  celslm_site *source = source_of(opt, s, u, u->context);
  if (source != &s->sites[s->cloud]) load_ahead(opt, s, edge, source, u->context);
}

/* ---- a request at its edge ------------------------------------------------------------------- */

/* It reads from a tier that has not got the context any more. */
static bool reads_nothing(const celslm_plan *plan, const celslm_site *edge, int context) {
  for (int j = 0; j < plan->n; j++) {
    int from = plan->layers[j].from;
    if (from != CELSLM_FROM_HOST && from != CELSLM_FROM_DISK) continue;
    celslm_tier_kind kind = from == CELSLM_FROM_HOST ? CELSLM_TIER_HOST : CELSLM_TIER_DISK;
    if (!celslm_tier_has(celslm_store_tier(edge->store, kind), context)) return true;
  }
  return false;
}

/* There is no way to its context: in an outage the policy decides; else none is good enough. */
static void do_without(const options *opt, celslm_request *r) {
  if (celslm_outage_cut(opt->outage, r->site))
    celslm_outage_cold(opt->outage, r);
  else
    celslm_serve_recomputing(r);
}

/* Begins to load its context. False: the request has been dealt with otherwise. */
static bool load(const options *opt, celslm_request *r, celslm_entry *e) {
  celslm_system *s = r->system;
  celslm_site *edge = &s->sites[r->site];
  if (!celslm_store_admits(edge->store, e)) {
    celslm_serve_recomputing(r);
    return false;
  }
  const celslm_user *u = &s->users[r->user];
  bool here = r->site == u->site; /* it may have gone on while its prompt was on the way */
  celslm_site *source = here ? source_of(opt, s, u, r->context) : &s->sites[s->cloud];
  celslm_plan plan;
  const celslm_codec *codec = celslm_outage_codec(opt->outage, r, &opt->codec);
  if (!make_plan(opt, s, edge, source, r->context, r->prompt, codec, &plan)) {
    do_without(opt, r);
    return false;
  }
  if (!celslm_store_claim(edge->store, e)) {
    celslm_plan_clear(&plan);
    celslm_serve_recomputing(r);
    return false;
  }
  if (reads_nothing(&plan, edge,
                    r->context)) { /* its copy had to go for what this one pushed out */
    celslm_plan_clear(&plan);
    if (!make_plan(opt, s, edge, source, r->context, r->prompt, codec, &plan)) {
      celslm_store_loaded(edge->store, e, celslm_net_now(s->net), false);
      do_without(opt, r);
      return false;
    }
  }
  r->source = CELSLM_CONTEXT_FETCHED;
  r->kv_bytes = fetch(opt, s, edge, r->context, &plan);
  return true;
}

static void serve(celslm_request *r) {
  const options *opt = r->options;
  celslm_site *edge = &r->system->sites[r->site];
  celslm_entry *e = celslm_store_entry(edge->store, r->context);
  r->join = (uint8_t)opt->join;
  if (e->doomed) { /* an old version, in use */
    celslm_serve_recomputing(r);
    return;
  }
  if (e->residence == CELSLM_RESIDENT) {
    r->source = r->parked ? CELSLM_CONTEXT_JOINED : CELSLM_CONTEXT_HIT; /* it has waited for it */
    ++*(r->parked ? &e->joins : &e->hits);
    celslm_serve(r, r->prompt, e);
    return;
  }
  if (e->residence == CELSLM_LOADING) {
    r->source = CELSLM_CONTEXT_JOINED;
    e->joins++;
  } else if (!load(opt, r, e)) {
    return;
  }
  if (opt->pipeline) {
    celslm_serve(r, r->prompt, e);
  } else {
    r->waiter = (celslm_waiter){.then = celslm_context_there, .self = r};
    celslm_store_wait(e, &r->waiter);
  }
}

static void at_edge(celslm_request *r) {
  const celslm_site *edge = &r->system->sites[r->site];
  if (r->context < 0) {
    celslm_serve_recomputing(r);
    return;
  }
  celslm_store_request(edge->store, celslm_store_entry(edge->store, r->context));
  serve(r);
}

/* The load of its context has failed. */
static void without(celslm_request *r) {
  const options *opt = r->options;
  if (celslm_outage_cut(opt->outage, r->site))
    do_without(opt, r);
  else
    celslm_serve_recomputing(r);
}

/* To a neighbour that is said to have its context; once. */
static bool hand_over(celslm_request *r) {
  const options *opt = r->options;
  celslm_site *holder[2];
  if (r->attempt ||
      !celslm_directory_holders(opt->neighbourhood.directory, r->site, r->context, holder, 1))
    return false;
  celslm_forward(r, holder[0]->index, at_edge);
  return true;
}

static const celslm_outage_hooks hooks = {
    .again = serve, .hand_over = hand_over, .recompute = celslm_serve_recomputing};

/* ---- arrival --------------------------------------------------------------------------------- */

/* s for the context's KV to come from the cloud, if the way is free. */
static double miss(const celslm_request *r, const celslm_site *site) {
  const celslm_system *s = r->system;
  const options *opt = r->options;
  int cloud = s->sites[s->cloud].host;
  double tokens = (double)s->scenario->contexts[r->context].tokens;
  double bytes =
      (double)site->model->layers * celslm_codec_layer_bytes(&opt->codec, site->model, tokens);
  return 2 * celslm_seconds(celslm_net_latency(s->net, cloud, site->host)) +
         bytes / celslm_net_bandwidth(s->net, cloud, site->host);
}

static void arrive(const void *o, celslm_request *r) {
  const options *opt = o;
  r->without = opt->outage ? without : NULL;
  celslm_upload(r, celslm_place_request(&opt->neighbourhood, r, miss), at_edge);
}

const celslm_strategy celslm_strategy_ce_lslm = {
    .name = "ce-lslm",
    .summary = "the cloud prefills shared contexts, edges fetch their KV layer by layer while they "
               "compute",
    .paper = "arXiv 2505.14085",
    .options_size = sizeof(options),
    .configure = configure,
    .layer_map = layer_map,
    .clear = clear,
    .begin = begin,
    .arrive = arrive,
    .moved = moved,
};
