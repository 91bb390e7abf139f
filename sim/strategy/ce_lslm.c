/* ce_lslm.c - the cloud prefills long shared contexts once; edges fetch their KV layer by layer and
 * serve user prompts, which never leave the edge. P. Zhu, T. Yang, "CE-LSLM", arXiv 2505.14085.
 *
 * A request whose context is resident at its edge starts at once. The first that misses fetches it,
 * others join that fetch. With pipeline="yes" their prefills follow the layers as they arrive; with
 * "no" (the ablation) they wait for the last one. A context that the edge's store has no room for
 * (everything in it is in use) is recomputed at the edge as part of the prompt. */
#include "share/fetch.h"
#include "strategy/at_site.h"
#include "strategy/gather.h"

typedef struct options {
  bool pipeline, cloud_warm;
  celslm_codec codec, plain; /* on the network; on disks */
  bool cloud_streaming, codec_overlap, whole;
  int64_t chunk;
  int after_handover; /* FROM_CLOUD ... */
} options;

enum { FROM_CLOUD, FROM_OLD_EDGE, MIGRATE };

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
  static const char *const sources[] = {"cloud", "old-edge", "migrate", NULL};
  if (!celslm_element_choice(e, "after_handover", sources, FROM_CLOUD, &opt->after_handover, err))
    return false;
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

static celslm_entry *entry_of(const celslm_request *r) {
  return celslm_store_entry(r->system->sites[r->site].store, r->context);
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

/* Returns the KV bytes that will travel. */
static double fetch_from(const options *opt, celslm_system *s, celslm_site *edge,
                         celslm_site *source, int context) {
  celslm_plan plan = celslm_plan_from(edge, source, &opt->codec);
  plan.cloud = &s->sites[s->cloud];
  plan.streams = opt->cloud_streaming;
  plan.overlaps = opt->codec_overlap;
  plan.whole = opt->whole;
  plan.chunk = opt->chunk;
  celslm_gathering gathering = {.edge = edge,
                                .source = source,
                                .context = context,
                                .source_up = true,
                                .codec = &opt->codec,
                                .plain = &opt->plain};
  celslm_gather(s, &gathering, &plan);
  double bytes = celslm_plan_bytes(&plan, edge->model, s->scenario->contexts[context].tokens);
  celslm_fetch(edge, context, &plan);
  celslm_plan_clear(&plan);
  return bytes;
}

/* The user's last context follows it, if the old edge has it and there is room. */
static void moved(const void *o, celslm_system *s, const celslm_user *u) {
  const options *opt = o;
  celslm_site *edge = &s->sites[u->site];
  if (opt->after_handover != MIGRATE || u->context < 0 || edge->down) return;
  celslm_site *source = source_of(opt, s, u, u->context);
  celslm_entry *e = celslm_store_entry(edge->store, u->context);
  if (source == &s->sites[s->cloud] || e->residence != CELSLM_ABSENT) return;
  if (celslm_store_claim(edge->store, e)) fetch_from(opt, s, edge, source, u->context);
}

static void at_edge(celslm_request *r) {
  const options *opt = r->options;
  celslm_site *edge = &r->system->sites[r->site];
  if (r->context < 0) {
    celslm_serve_recomputing(r);
    return;
  }
  celslm_entry *e = entry_of(r);
  celslm_store_request(edge->store, e);
  if (e->residence == CELSLM_RESIDENT) {
    r->source = CELSLM_CONTEXT_HIT;
    e->hits++;
    celslm_serve(r, r->prompt, e);
    return;
  }
  if (e->residence == CELSLM_LOADING) {
    r->source = CELSLM_CONTEXT_JOINED;
    e->joins++;
  } else {
    if (!celslm_store_admits(edge->store, e) || !celslm_store_claim(edge->store, e)) {
      celslm_serve_recomputing(r);
      return;
    }
    r->source = CELSLM_CONTEXT_FETCHED;
    const celslm_user *u = &r->system->users[r->user];
    bool here = r->site == u->site; /* it may have gone on while its prompt was on the way */
    celslm_site *source =
        here ? source_of(opt, r->system, u, r->context) : &r->system->sites[r->system->cloud];
    r->kv_bytes = fetch_from(opt, r->system, edge, source, r->context);
  }
  if (opt->pipeline) {
    celslm_serve(r, r->prompt, e);
  } else {
    r->waiter = (celslm_waiter){.then = celslm_context_there, .self = r};
    celslm_store_wait(e, &r->waiter);
  }
}

static void arrive(const void *o, celslm_request *r) {
  (void)o;
  celslm_upload(r, r->system->users[r->user].site, at_edge);
}

const celslm_strategy celslm_strategy_ce_lslm = {
    .name = "ce-lslm",
    .summary = "the cloud prefills shared contexts, edges fetch their KV layer by layer while they "
               "compute",
    .paper = "arXiv 2505.14085",
    .options_size = sizeof(options),
    .configure = configure,
    .arrive = arrive,
    .moved = moved,
};
