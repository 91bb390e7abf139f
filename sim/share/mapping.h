/* mapping.h - from a cloud model's layers to an edge model's keys and values.
 *
 * For each edge layer j a cloud layer m(j), found by the monotone map that explains most variance
 * on held-out text; the states of a window of layers around it, side by side, are the inputs of a
 * ridge map to the edge layer's keys (before rotation) and values, side by side. The edge rotates
 * the keys itself, so that a context may start at any position. The scheme and its evidence:
 * CE-LSLM (arXiv 2505.14085) names layer alignment and representation compression; that residual
 * states are the better source agrees with arXiv 2606.07684.
 *
 * The map costs, per token and layer, 2 inputs outputs FLOPs at full rank and
 * 2 rank (inputs + outputs) when cut to a rank: the first product on the cloud (or all of it), the
 * second at the edge. */
#ifndef CELSLM_SHARE_MAPPING_H
#define CELSLM_SHARE_MAPPING_H

#include "share/align.h"
#include "share/states.h"

/* Moments of a pair's states: cloud layers' sources, then edge layers' [keys | values]. */
typedef struct celslm_pair_moments {
  celslm_source source;
  int from, to;             /* layers */
  int width, kv_width;      /* of a cloud layer's source; of an edge layer's keys */
  celslm_moments *fit;      /* of the text maps are fitted on */
  celslm_moments *held_out; /* of the text they are judged on */
} celslm_pair_moments;

celslm_pair_moments *celslm_pair_moments_new(celslm_source source, const celslm_transformer *cloud,
                                             const celslm_transformer *edge);
void celslm_pair_moments_free(celslm_pair_moments *p);
/* Adds one text that both have read. */
void celslm_pair_moments_add(celslm_pair_moments *p, const celslm_states *cloud,
                             const celslm_states *edge, bool held_out);
celslm_part celslm_pair_source(const celslm_pair_moments *p, int layer);
celslm_part celslm_pair_target(const celslm_pair_moments *p, int layer);

/* Similarities of cloud layer i and edge layer j at [i * to + j]: linear CKA of source and target;
 * and R2, on the held-out text, of the ridge map from that one layer, the mean of keys' and
 * values'. */
typedef struct celslm_similarity {
  int from, to;
  double *cka, *r2;
} celslm_similarity;
bool celslm_similarity_measure(const celslm_pair_moments *p, double lambda, celslm_similarity *s,
                               celslm_error *err);
void celslm_similarity_free(celslm_similarity *s);

typedef struct celslm_layer_mapping {
  int layer;        /* m(j) */
  int first, count; /* the window */
  celslm_affine map;
  double r2;    /* held out, mean of keys' and values' */
  double *tail; /* [outputs + 1]: mean squared error by rank, in units where keys and values each
                   have variance 1 */
  celslm_packed *packed;
  float *bias;
  float *down, *up; /* of celslm_reduce at full rank: any rank is their first rows or columns */
} celslm_layer_mapping;

typedef struct celslm_mapping {
  celslm_source source;
  int from, to, width, kv_width;
  celslm_layer_mapping *layers; /* [to] */
} celslm_mapping;

enum { CELSLM_ALL_LAYERS = 1 << 20 };
/* Maps along layer map m [to] from the `reach` layers on either side of m(j) too. */
bool celslm_mapping_fit(const celslm_pair_moments *p, const int *m, int reach, double lambda,
                        celslm_mapping *map, celslm_error *err);
void celslm_mapping_free(celslm_mapping *map);
/* Edge layer j's [keys | values] for all tokens of `cloud`: kv [tokens][2 kv_width]. */
void celslm_mapping_apply(const celslm_mapping *map, int j, const celslm_states *cloud, float *kv);
/* FLOPs per token of edge layer j: `cloud` (up to what travels), `edge` (from there on). */
typedef struct celslm_map_flops {
  double cloud, edge;
} celslm_map_flops;
celslm_map_flops celslm_mapping_flops(int inputs, int outputs, int rank);

/* Prepares l->map for celslm_mapping_apply; fit and read do it. */
void celslm_layer_mapping_pack(celslm_layer_mapping *l);

/* Keeps similarities by source (NULL: none) and a map in a results file, and reads the map back.
 * `pair` and `text` say what it was fitted on. */
bool celslm_mapping_write(const char *file, const celslm_mapping *map,
                          const celslm_similarity similarity[CELSLM_SOURCES], const char *pair,
                          const char *text, celslm_error *err);
bool celslm_mapping_read(const char *file, celslm_mapping *map, celslm_error *err);

#endif
