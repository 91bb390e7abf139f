#include "share/mapping.h"

#include <stdlib.h>
#include <string.h>

/* ---- moments of a pair ----------------------------------------------------------------------- */

celslm_pair_moments *celslm_pair_moments_new(celslm_source source, const celslm_transformer *cloud,
                                             const celslm_transformer *edge) {
  const celslm_transformer_shape *c = celslm_transformer_shape_of(cloud),
                                 *e = celslm_transformer_shape_of(edge);
  celslm_pair_moments *p = celslm_alloc(1, sizeof *p);
  *p = (celslm_pair_moments){.source = source,
                             .from = c->layers,
                             .to = e->layers,
                             .width = celslm_source_width(source, c),
                             .kv_width = e->dim / e->q_heads * e->kv_heads};
  int columns = p->from * p->width + p->to * 2 * p->kv_width;
  p->fit = celslm_moments_new(columns);
  p->held_out = celslm_moments_new(columns);
  return p;
}

void celslm_pair_moments_free(celslm_pair_moments *p) {
  if (!p) return;
  celslm_moments_free(p->fit), celslm_moments_free(p->held_out);
  free(p);
}

celslm_part celslm_pair_source(const celslm_pair_moments *p, int layer) {
  return (celslm_part){layer * p->width, p->width};
}

celslm_part celslm_pair_target(const celslm_pair_moments *p, int layer) {
  return (celslm_part){p->from * p->width + layer * 2 * p->kv_width, 2 * p->kv_width};
}

void celslm_pair_moments_add(celslm_pair_moments *p, const celslm_states *cloud,
                             const celslm_states *edge, bool held_out) {
  int columns = p->from * p->width + p->to * 2 * p->kv_width;
  float *x = celslm_alloc((unsigned long)(cloud->tokens * columns), sizeof *x);
  for (int i = 0; i < p->from; i++)
    celslm_states_source(cloud, p->source, i, x + celslm_pair_source(p, i).first, columns);
  for (int j = 0; j < p->to; j++)
    celslm_states_source(edge, CELSLM_SOURCE_KV, j, x + celslm_pair_target(p, j).first, columns);
  celslm_moments_add(held_out ? p->held_out : p->fit, cloud->tokens, x);
  free(x);
}

/* ---- similarity ------------------------------------------------------------------------------ */

/* R2 of outputs first..first+count of a map to part y. */
static double share_r2(const celslm_affine *map, const celslm_moments *m, const celslm_part *x,
                       int n, celslm_part y, int first, int count) {
  celslm_affine part = {map->inputs, count,
                        celslm_alloc((unsigned long)(map->inputs * count), sizeof(double)),
                        map->mean_x, map->mean_y + first};
  for (int i = 0; i < map->inputs; i++)
    memcpy(part.weights + i * count, map->weights + i * map->outputs + first,
           (size_t)count * sizeof(double));
  double r2 = celslm_affine_r2(&part, m, x, n, (celslm_part){y.first + first, count});
  free(part.weights);
  return r2;
}

static double both_r2(const celslm_affine *map, const celslm_pair_moments *p, const celslm_part *x,
                      int n, celslm_part y) {
  return (share_r2(map, p->held_out, x, n, y, 0, p->kv_width) +
          share_r2(map, p->held_out, x, n, y, p->kv_width, p->kv_width)) /
         2;
}

bool celslm_similarity_measure(const celslm_pair_moments *p, double lambda, celslm_similarity *s,
                               celslm_error *err) {
  unsigned long n = (unsigned long)(p->from * p->to);
  *s = (celslm_similarity){p->from, p->to, celslm_alloc(n, sizeof *s->cka),
                           celslm_alloc(n, sizeof *s->r2)};
  for (int i = 0; i < p->from; i++)
    for (int j = 0; j < p->to; j++) {
      celslm_part x = celslm_pair_source(p, i), y = celslm_pair_target(p, j);
      celslm_affine map;
      if (!celslm_ridge(p->fit, &x, 1, y, lambda, &map, err)) return false;
      s->cka[i * p->to + j] = celslm_cka(p->fit, x, y);
      s->r2[i * p->to + j] = both_r2(&map, p, &x, 1, y);
      celslm_affine_free(&map);
    }
  return true;
}

void celslm_similarity_free(celslm_similarity *s) {
  free(s->cka), free(s->r2);
  *s = (celslm_similarity){0};
}

/* ---- the map --------------------------------------------------------------------------------- */

/* Packs the weights, and folds both means into one bias. */
void celslm_layer_mapping_pack(celslm_layer_mapping *l) {
  const celslm_affine *a = &l->map;
  float *w = celslm_alloc((unsigned long)(a->inputs * a->outputs), sizeof *w);
  l->bias = celslm_alloc((unsigned long)a->outputs, sizeof *l->bias);
  for (int o = 0; o < a->outputs; o++) {
    double bias = a->mean_y[o];
    for (int i = 0; i < a->inputs; i++) {
      double x = a->weights[i * a->outputs + o];
      w[o * a->inputs + i] = (float)x;
      bias -= a->mean_x[i] * x;
    }
    l->bias[o] = (float)bias;
  }
  l->packed = celslm_pack(CELSLM_K_F32, a->outputs, a->inputs, w, a->inputs, 0);
  free(w);
}

/* To f32, which is what is computed with: so a file can be small and hold all of it. */
static void round_numbers(double *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = (double)(float)x[i];
}

bool celslm_mapping_fit(const celslm_pair_moments *p, const int *m, int reach, double lambda,
                        celslm_mapping *map, celslm_error *err) {
  *map = (celslm_mapping){p->source,   p->from,
                          p->to,       p->width,
                          p->kv_width, celslm_alloc((unsigned long)p->to, sizeof *map->layers)};
  for (int j = 0; j < p->to; j++) {
    celslm_layer_mapping *l = &map->layers[j];
    int first = m[j] > reach ? m[j] - reach : 0,
        last = m[j] < p->from - 1 - reach ? m[j] + reach : p->from - 1, outputs = 2 * p->kv_width;
    celslm_part x = {first * p->width, (last - first + 1) * p->width}, y = celslm_pair_target(p, j);
    l->layer = m[j], l->first = first, l->count = last - first + 1;
    if (!celslm_ridge(p->fit, &x, 1, y, lambda, &l->map, err)) {
      celslm_mapping_free(map);
      return false;
    }
    l->r2 = both_r2(&l->map, p, &x, 1, y);
    round_numbers(l->map.weights, (size_t)l->map.inputs * (size_t)outputs);
    round_numbers(l->map.mean_x, (size_t)l->map.inputs);
    round_numbers(l->map.mean_y, (size_t)outputs);
    l->tail = celslm_alloc((unsigned long)outputs + 1, sizeof *l->tail);
    l->down = celslm_alloc((unsigned long)(outputs * outputs), sizeof *l->down);
    l->up = celslm_alloc((unsigned long)(outputs * outputs), sizeof *l->up);
    celslm_reduce(&l->map, p->fit, &x, 1, 2, outputs, l->down, l->up, l->tail);
    celslm_layer_mapping_pack(l);
  }
  return true;
}

void celslm_mapping_free(celslm_mapping *map) {
  for (int j = 0; map->layers && j < map->to; j++) {
    celslm_layer_mapping *l = &map->layers[j];
    celslm_affine_free(&l->map);
    celslm_packed_free(l->packed);
    free(l->tail), free(l->bias), free(l->down), free(l->up);
  }
  free(map->layers);
  *map = (celslm_mapping){0};
}

void celslm_mapping_apply(const celslm_mapping *map, int j, const celslm_states *cloud, float *kv) {
  const celslm_layer_mapping *l = &map->layers[j];
  int inputs = l->map.inputs;
  float *x = celslm_alloc((unsigned long)(cloud->tokens * inputs), sizeof *x);
  for (int i = 0; i < l->count; i++)
    celslm_states_source(cloud, map->source, l->first + i, x + i * map->width, inputs);
  celslm_gemm(l->packed, cloud->tokens, x, inputs, kv, l->map.outputs,
              &(celslm_epilogue){.bias = l->bias});
  free(x);
}

celslm_map_flops celslm_mapping_flops(int inputs, int outputs, int rank) {
  double in = inputs, out = outputs, r = rank;
  if (rank == 0) return (celslm_map_flops){2 * in * out + out, 0};
  return (celslm_map_flops){2 * in * r + r, 2 * r * out + out};
}
