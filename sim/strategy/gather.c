#include "strategy/gather.h"

#include "share/disk.h"
#include "share/planner.h"

#include <math.h>

static double way_latency(const celslm_system *s, int from, int to) {
  return celslm_seconds(celslm_net_latency(s->net, from, to));
}

static celslm_source_forecast from_site(const celslm_system *s, const celslm_site *edge,
                                        celslm_site *site, celslm_from from) {
  double latency = way_latency(s, site->host, edge->host);
  return (celslm_source_forecast){.from = from,
                                  .site = site,
                                  .begin = way_latency(s, edge->host, site->host),
                                  .latency = latency,
                                  .rate = celslm_net_bandwidth(s->net, site->host, edge->host),
                                  .encodes = true,
                                  .layers = (int)edge->model->layers};
}

static void add(celslm_forecast *f, celslm_source_forecast source) {
  f->sources[f->n_sources++] = source;
  if (source.from == CELSLM_FROM_DISK)
    f->access += source.rate; /* it does not cross the network */
  else
    f->access = fmax(f->access, source.rate);
}

/* What is known, as the planner wants it: one codec, nothing computed here. The disk has another
 * codec: its rate is that at which it brings as many layers. */
static celslm_forecast look_around(const celslm_system *s, const celslm_gathering *g) {
  celslm_site *edge = g->edge;
  const celslm_entry *e = celslm_store_entry(edge->store, g->context);
  celslm_forecast f = {.layers = (int)edge->model->layers, .here = e->held, .text = INFINITY};
  double tokens = (double)e->shared.tokens;
  double bytes = celslm_codec_layer_bytes(g->codec, edge->model, tokens);
  f.n_codecs = 1;
  f.codecs[0] = (celslm_codec_forecast){.codec = g->codec, .bytes = bytes};
  if (g->source_up) add(&f, from_site(s, edge, g->source, CELSLM_FROM_CLOUD));
  for (int i = 0; g->peers && g->peers[i] && i < CELSLM_GATHER_PEERS; i++)
    if (g->peers[i] != g->source) add(&f, from_site(s, edge, g->peers[i], CELSLM_FROM_PEER));
  if (celslm_store_on_disk(edge->store, e)) {
    const celslm_disk *d = celslm_store_disk(edge->store);
    double plain = celslm_codec_layer_bytes(g->plain, edge->model, tokens);
    add(&f, (celslm_source_forecast){.from = CELSLM_FROM_DISK,
                                     .begin = celslm_disk_backlog(d),
                                     .rate = celslm_disk_rate(d) * bytes / plain,
                                     .layers = f.layers});
  }
  return f;
}

bool celslm_gather(const celslm_system *s, const celslm_gathering *g, celslm_plan *plan) {
  celslm_forecast f = look_around(s, g);
  if (!f.here && f.n_sources == 1 && g->source_up) return true; /* there is nothing to choose */
  celslm_choice c;
  if (!f.n_sources || !celslm_planner_choose(&f, &c)) return false;
  for (int j = 0; j < plan->n; j++) {
    celslm_layer_plan *l = &plan->layers[j];
    if (j < f.here) {
      *l = (celslm_layer_plan){.from = CELSLM_FROM_HERE};
      continue;
    }
    const celslm_source_forecast *from = &f.sources[c.source[j]];
    if (from->from == CELSLM_FROM_CLOUD) continue;
    *l = (celslm_layer_plan){.from = (uint8_t)from->from,
                             .layer = (int16_t)j,
                             .site = from->site,
                             .codec = from->site ? g->codec : g->plain};
  }
  return true;
}
