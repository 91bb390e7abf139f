#include "share/plan.h"

#include "share/mapping.h"
#include "share/site.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const celslm_from_names[] = {"here", "local", "cloud", "peer", "host", "disk", NULL};

celslm_plan celslm_plan_from(celslm_site *to, celslm_site *from, const celslm_codec *codec) {
  int n = (int)to->model->layers;
  bool peer = from->model == to->model;
  celslm_plan p = {.n = n,
                   .streams = true,
                   .overlaps = true,
                   .layers = celslm_alloc((unsigned long)n, sizeof *p.layers)};
  int *map = celslm_alloc((unsigned long)n, sizeof *map);
  celslm_layer_map_uniform((int)from->model->layers, n, map);
  for (int j = 0; j < n; j++)
    p.layers[j] = (celslm_layer_plan){.from = CELSLM_FROM_CLOUD,
                                      .layer = (int16_t)(peer ? j : map[j]),
                                      .site = from,
                                      .codec = codec};
  free(map);
  return p;
}

void celslm_plan_align(celslm_plan *p, const celslm_model *to, const int *map, int32_t inputs,
                       bool maps_here) {
  for (int j = 0; j < p->n; j++) {
    celslm_layer_plan *l = &p->layers[j];
    if (l->from != CELSLM_FROM_CLOUD || l->site->model == to) continue;
    l->layer = (int16_t)map[j];
    l->inputs = inputs;
    l->maps_here = maps_here;
  }
}

static celslm_layer_plan *copy_of(const celslm_layer_plan *layers, int n) {
  size_t size = (size_t)n * sizeof *layers;
  return memcpy(celslm_alloc(1, size), layers, size);
}

void celslm_plan_otherwise(celslm_plan *p) {
  free(p->otherwise);
  p->otherwise = copy_of(p->layers, p->n);
}

void celslm_plan_compute(celslm_plan *p, int s, celslm_site *cloud) {
  p->cloud = cloud;
  for (int j = 0; j < s; j++) p->layers[j] = (celslm_layer_plan){.from = CELSLM_FROM_LOCAL};
}

void celslm_plan_clear(celslm_plan *p) {
  free(p->layers);
  free(p->otherwise);
  *p = (celslm_plan){0};
}

celslm_plan celslm_plan_copy(const celslm_plan *p) {
  celslm_plan copy = *p;
  copy.layers = copy_of(p->layers, p->n);
  if (p->otherwise) copy.otherwise = copy_of(p->otherwise, p->n);
  return copy;
}

const char *celslm_plan_fault(const celslm_plan *p, int layers, int here) {
  int s = celslm_plan_local(p), last = 0;
  if (p->n != layers) return "it has not the model's layers";
  if (s && !p->cloud) return "layers are computed here, and nobody has the context's tokens";
  if (p->chunk < 0) return "chunks have at least one token";
  for (int j = 0; j < p->n; j++) {
    const celslm_layer_plan *l = &p->layers[j];
    bool far = l->from == CELSLM_FROM_CLOUD || l->from == CELSLM_FROM_PEER;
    if (l->from >= CELSLM_FROMS) return "a layer comes from nowhere";
    if (l->from == CELSLM_FROM_LOCAL && j >= s)
      return "layers that are computed here are the first ones, without a gap";
    if (l->from == CELSLM_FROM_HERE && j >= here) return "a layer that is kept is not resident";
    if (far && !l->site) return "a layer comes from no site";
    if ((far || l->from == CELSLM_FROM_HOST || l->from == CELSLM_FROM_DISK) && !l->codec)
      return "a layer has no codec";
    if (far && (l->layer < 0 || l->layer >= l->site->model->layers))
      return "a layer is made of one that its site has not";
    if (l->from == CELSLM_FROM_PEER && l->layer != j) return "a peer's layers are our own";
    if (l->from != CELSLM_FROM_CLOUD) continue;
    if (l->layer < last) return "the map to the cloud's layers is not monotone";
    last = l->layer;
  }
  return NULL;
}

int celslm_plan_local(const celslm_plan *p) {
  int s = 0;
  while (s < p->n && p->layers[s].from == CELSLM_FROM_LOCAL) s++;
  return s;
}

double celslm_plan_piece_bytes(const celslm_layer_plan *l, const celslm_model *m, double tokens) {
  bool states = l->inputs && l->maps_here && celslm_codec_flops(l->codec, m, 1) == 0;
  return ceil(states ? l->codec->precision->scores(l->inputs, tokens)
                     : celslm_codec_layer_bytes(l->codec, m, tokens));
}

double celslm_plan_bytes(const celslm_plan *p, const celslm_model *m, int64_t tokens) {
  int64_t chunk = p->chunk && p->chunk < tokens ? p->chunk : tokens;
  double bytes = 0;
  for (int j = 0; j < p->n; j++) {
    const celslm_layer_plan *l = &p->layers[j];
    if (l->from != CELSLM_FROM_CLOUD && l->from != CELSLM_FROM_PEER) continue;
    bytes += (double)(tokens / chunk) * celslm_plan_piece_bytes(l, m, (double)chunk);
    if (tokens % chunk) bytes += celslm_plan_piece_bytes(l, m, (double)(tokens % chunk));
  }
  return bytes;
}

celslm_plan_work celslm_plan_flops(const celslm_layer_plan *l, const celslm_model *m) {
  double projection = celslm_codec_flops(l->codec, m, 1); /* 2 outputs rank */
  int outputs = (int)(2 * m->kv_heads * m->head_dim);
  if (!l->inputs) return (celslm_plan_work){projection, projection};
  int rank = projection > 0 ? (int)(projection / (2 * outputs)) : 0;
  celslm_map_flops map = celslm_mapping_flops(l->inputs, outputs, rank);
  if (rank) return (celslm_plan_work){map.cloud, map.edge};
  double all = map.cloud + map.edge;
  return l->maps_here ? (celslm_plan_work){0, all} : (celslm_plan_work){all, 0};
}
