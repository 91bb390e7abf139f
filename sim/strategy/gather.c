#include "strategy/gather.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is asked for ----------------------------------------------------------------------- */

static bool read_codecs(celslm_planning *p, const celslm_element *e, celslm_error *err) {
  const char *given = celslm_element_attribute(e, "codecs");
  char *names = celslm_strdup(given ? given : "f16 int8 int4"), *rest = NULL;
  bool ok = true;
  for (char *name = strtok_r(names, " ", &rest); ok && name; name = strtok_r(NULL, " ", &rest)) {
    const char *why;
    if (p->n_codecs == CELSLM_PLAN_CODECS)
      ok = celslm_element_fail(e, err, "<planner> codecs names too many; allowed are %d",
                               (int)CELSLM_PLAN_CODECS);
    else if (!celslm_codec_parse(name, &p->codecs[p->n_codecs++], &why))
      ok = celslm_element_fail(e, err, "<planner> codecs \"%s\": %s", name, why);
  }
  free(names);
  return ok && (p->n_codecs || celslm_element_fail(e, err,
                                                   "<planner> codecs is empty; name at "
                                                   "least one, as `celslm list codecs` "
                                                   "explains"));
}

bool celslm_planning_read(celslm_planning *p, const celslm_element *e, celslm_error *err) {
  *p = (celslm_planning){0};
  if (!read_codecs(p, e, err) || !celslm_element_bool(e, "local", true, &p->local, err) ||
      !celslm_element_quantity(e, "floor", CELSLM_UNIT_NUMBER, 0, 1, 0, &p->floor, err) ||
      !celslm_element_quantity(e, "replan", CELSLM_UNIT_NUMBER, 0, 1e6, 0, &p->replan, err))
    return false;
  if (p->replan > 0 && p->replan < 1)
    return celslm_element_fail(e, err,
                               "<planner> replan %g is not a factor; allowed are 0 (never) "
                               "and numbers above 1",
                               p->replan);
  char *file = celslm_element_path(e, "quality");
  bool ok = !file || (p->quality = celslm_quality_table_open(file, err));
  free(file);
  if (ok && p->floor > 0 && !p->quality)
    ok = celslm_element_fail(e, err,
                             "<planner> floor needs quality=\"FILE\", as `celslm quality -o` "
                             "writes it: quality is measured, never assumed");
  return ok;
}

void celslm_planning_clear(celslm_planning *p) {
  celslm_quality_table_close(p->quality);
  p->quality = NULL;
}

/* ---- what an edge knows ---------------------------------------------------------------------- */

#define SEEN_LATELY 2.0 /* s for which a rate that was seen is believed; our choice */

static double way_latency(const celslm_system *s, int from, int to) {
  return celslm_seconds(celslm_net_latency(s->net, from, to));
}

/* The rate at which layers come from the cloud: as lately seen, or as they would if those that the
 * edge is loading share the way. */
static double rate_from(const celslm_system *s, const celslm_site *edge, const celslm_site *site) {
  double age = celslm_seconds(celslm_net_now(s->net) - edge->seen.at);
  if (edge->seen.rate > 0 && edge->seen.site == site && age < SEEN_LATELY) return edge->seen.rate;
  return celslm_net_bandwidth(s->net, site->host, edge->host) / (1 + edge->loads);
}

/* The codecs that layers may come in, with what they cost from one source: `l`: a layer of the plan
 * as it comes from there. */
static void price(const celslm_system *s, const celslm_gathering *g, celslm_source_forecast *f,
                  const celslm_forecast *all, celslm_layer_plan l, double share_of_bytes) {
  celslm_site *edge = g->edge;
  double tokens = (double)celslm_store_entry(edge->store, g->context)->shared.tokens;
  for (int q = 0; q < all->n_codecs; q++) {
    l.codec = all->codecs[q].codec;
    celslm_plan_work work = celslm_plan_flops(&l, edge->model);
    double bytes = celslm_plan_piece_bytes(&l, edge->model, tokens) * share_of_bytes;
    /* a way with stores has one stage more in its flow shop: it goes with the encoding */
    double stored = bytes * celslm_net_stored(s->net, f->site->host, edge->host);
    f->ways[q] = (celslm_way_forecast){
        .bytes = bytes,
        .encode =
            stored + celslm_seconds(celslm_coder_time(f->site->coder, false, l.codec, edge->model,
                                                      tokens, work.there * tokens)),
        .decode = celslm_seconds(celslm_coder_time(edge->coder, true, l.codec, edge->model, tokens,
                                                   work.here * tokens))};
  }
}

static celslm_source_forecast from_site(const celslm_system *s, const celslm_gathering *g,
                                        celslm_site *site, celslm_from from) {
  return (celslm_source_forecast){.from = from,
                                  .site = site,
                                  .begin = way_latency(s, g->edge->host, site->host),
                                  .latency = way_latency(s, site->host, g->edge->host),
                                  .rate = rate_from(s, g->edge, site),
                                  .layers = (int)g->edge->model->layers};
}

/* The source of the plan: it may have yet to compute the context, chunk by chunk of its engine's
 * budget, of which all but the last are on their way by then if the plan streams. */
static void add_source(const celslm_system *s, const celslm_gathering *g, const celslm_plan *plan,
                       celslm_forecast *f) {
  celslm_source_forecast *c = &f->sources[f->n_sources++];
  const celslm_entry *there = celslm_store_entry(g->source->store, g->context);
  double late = 1; /* share of a layer's bytes that is computed last */
  *c = from_site(s, g, g->source, CELSLM_FROM_CLOUD);
  if (there->residence != CELSLM_RESIDENT) {
    double whole = celslm_engine_prefill_seconds(g->source->engine, there->shared.tokens, 0);
    if (there->progress.before > 0)
      whole *= 1 - (double)there->progress.before / (double)there->shared.tokens;
    double chunk = plan->streams ? 1 : 0;
    if (plan->streams && plan->chunk && plan->chunk < there->shared.tokens)
      chunk = late = (double)plan->chunk / (double)there->shared.tokens;
    c->begin += whole * (1 - chunk);
    c->produce = whole * chunk / f->layers;
  }
  price(s, g, c, f, plan->layers[0], late);
}

/* The first tier of this host that has it. */
static void add_tier(const celslm_gathering *g, celslm_forecast *f) {
  const celslm_site *edge = g->edge;
  const celslm_entry *e = celslm_store_entry(edge->store, g->context);
  celslm_tier_kind kind = celslm_store_below(edge->store, e);
  if (kind == CELSLM_TIERS || f->n_sources == CELSLM_PLAN_SOURCES) return;
  const celslm_tier *t = celslm_store_tier(edge->store, kind);
  int q = f->n_codecs - 1; /* the plain one: what_codecs */
  f->sources[f->n_sources] = (celslm_source_forecast){
      .from = kind == CELSLM_TIER_HOST ? CELSLM_FROM_HOST : CELSLM_FROM_DISK,
      .begin = celslm_tier_wait(t),
      .rate = celslm_tier_rate(t),
      .here = true,
      .layers = f->layers};
  f->sources[f->n_sources++].ways[q].bytes =
      celslm_codec_layer_bytes(g->plain, edge->model, (double)e->shared.tokens);
}

/* The share of the gap that is recovered, by the number of layers computed here. */
static const double *quality_of(const celslm_gathering *g, const celslm_codec *c, double *curve) {
  const celslm_planning *p = g->planning;
  const celslm_model *m = g->edge->model;
  double rank = 1;
  if (!p || !p->quality) return NULL;
  if (c->coding != c->precision) {
    if (strcmp(c->coding->name, "lowrank") != 0) return NULL; /* not measured */
    rank = fmin(1, c->parameter / (double)(2 * m->kv_heads * m->head_dim));
  }
  double tokens = (double)celslm_store_entry(g->edge->store, g->context)->shared.tokens;
  celslm_quality_status status = celslm_quality_curve(p->quality, NULL, (int)m->layers, rank,
                                                      c->precision->name, tokens, curve);
  return status == CELSLM_QUALITY_NOT_MEASURED ? NULL : curve;
}

typedef double quality_curves[CELSLM_PLAN_CODECS][CELSLM_PLAN_LAYERS + 1];

/* Those of the planner, or the one of the strategy; the plain one, of the tiers, is last. */
static void what_codecs(const celslm_gathering *g, celslm_forecast *f, quality_curves curves) {
  const celslm_planning *p = g->planning;
  const celslm_codec *from = p ? p->codecs : g->codec;
  int n = p ? p->n_codecs : 1;
  for (int i = 0; i < n; i++)
    if (!celslm_codec_plain(&from[i])) f->codecs[f->n_codecs++].codec = &from[i];
  f->codecs[f->n_codecs++].codec = g->plain;
  for (int q = 0; q < f->n_codecs; q++)
    f->codecs[q].quality = quality_of(g, f->codecs[q].codec, curves[q]);
}

/* Whether 16 bits may travel on the network. */
static bool plain_travels(const celslm_gathering *g) {
  const celslm_planning *p = g->planning;
  bool any = !p && celslm_codec_plain(g->codec);
  for (int i = 0; p && i < p->n_codecs; i++) any |= celslm_codec_plain(&p->codecs[i]);
  return any;
}

static void look_around(const celslm_system *s, const celslm_gathering *g, const celslm_plan *plan,
                        celslm_forecast *f, quality_curves curves) {
  celslm_site *edge = g->edge;
  const celslm_entry *e = celslm_store_entry(edge->store, g->context);
  const celslm_planning *p = g->planning;
  *f = (celslm_forecast){.layers = plan->n, .here = e->held, .text = INFINITY};
  f->floor = p ? p->floor : 0;
  what_codecs(g, f, curves);
  if (g->source_up) add_source(s, g, plan, f);
  for (int i = 0; g->peers && i < CELSLM_GATHER_PEERS && g->peers[i]; i++) {
    if (g->peers[i] == g->source || f->n_sources == CELSLM_PLAN_SOURCES - 1) continue;
    celslm_source_forecast *peer = &f->sources[f->n_sources++];
    *peer = from_site(s, g, g->peers[i], CELSLM_FROM_PEER);
    price(s, g, peer, f, (celslm_layer_plan){.from = CELSLM_FROM_PEER, .site = g->peers[i]}, 1);
  }
  for (int k = 0; k < f->n_sources; k++) {
    f->access = fmax(f->access, f->sources[k].rate);
    if (!plain_travels(g)) f->sources[k].ways[f->n_codecs - 1].bytes = 0;
  }
  if (f->n_sources == 0) f->access = INFINITY;
  add_tier(g, f);
  f->prompt_layer =
      celslm_engine_prefill_seconds(edge->engine, g->prompt ? g->prompt : 1, e->shared.tokens) /
      f->layers;
  if (!p || !p->local || !plan->cloud || !g->source_up || e->held) return;
  double way = way_latency(s, edge->host, plan->cloud->host);
  f->text =
      2 * way + edge->token_bytes * (double)e->shared.tokens / rate_from(s, edge, plan->cloud);
  f->context_layer = celslm_engine_prefill_seconds(edge->engine, e->shared.tokens, 0) / f->layers;
}

/* ---- the choice ------------------------------------------------------------------------------ */

bool celslm_gather(const celslm_system *s, const celslm_gathering *g, celslm_plan *plan) {
  celslm_forecast f;
  celslm_choice c;
  quality_curves curves;
  const celslm_entry *e = celslm_store_entry(g->edge->store, g->context);
  bool others = (g->peers && g->peers[0]) || celslm_store_below(g->edge->store, e) < CELSLM_TIERS;
  if (!g->planning && !others && !e->held && g->source_up) return true; /* nothing to choose */
  if (plan->n > CELSLM_PLAN_LAYERS) return g->source_up;
  look_around(s, g, plan, &f, curves);
  if (!celslm_planner_choose(&f, &c)) return false;
  celslm_choice_apply(&f, &c, plan);
  plan->rate = rate_from(s, g->edge, g->source);
  return true;
}

bool celslm_gather_again(const celslm_system *s, const celslm_gathering *g, const bool *open,
                         celslm_plan *plan) {
  celslm_forecast f;
  celslm_choice c;
  quality_curves curves;
  if (plan->n > CELSLM_PLAN_LAYERS) return false;
  celslm_plan as_cloud = celslm_plan_copy(plan);
  if (plan->otherwise)
    memcpy(as_cloud.layers, plan->otherwise, (size_t)plan->n * sizeof *as_cloud.layers);
  look_around(s, g, &as_cloud, &f, curves);
  f.here = 0;
  while (f.here < f.layers && !open[f.here]) f.here++;
  f.text = INFINITY; /* whoever computes layers here has begun */
  bool better = celslm_planner_choose(&f, &c);
  if (better) celslm_choice_apply(&f, &c, &as_cloud);
  for (int j = 0; better && j < plan->n; j++)
    if (open[j]) plan->layers[j] = as_cloud.layers[j];
  celslm_plan_clear(&as_cloud);
  return better;
}
