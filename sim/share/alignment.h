/* alignment.h - which cloud layer each layer of an edge's model is made of, and what it costs.
 *
 * The map is monotone and has the largest sum of similarities, found by dynamic programming
 * (align.h), over a file of measured ones: a results file that `celslm quality --map` writes (its
 * R2 of the best source), or a CSV with columns cloud_layer, edge_layer, similarity. Without a file
 * it is stretched evenly, and the summary says so. Layers of one model are its own. */
#ifndef CELSLM_SHARE_ALIGNMENT_H
#define CELSLM_SHARE_ALIGNMENT_H

#include "scenario/model.h"

typedef enum celslm_map_kind {
  CELSLM_MAP_NONE, /* one model */
  CELSLM_MAP_UNIFORM,
  CELSLM_MAP_MEASURED
} celslm_map_kind;

typedef struct celslm_alignment {
  const celslm_model *from, *to;
  celslm_map_kind kind;
  int *map; /* [to->layers] */
} celslm_alignment;

/* `file` NULL: uniform. */
bool celslm_alignment_init(celslm_alignment *a, const celslm_model *from, const celslm_model *to,
                           const char *file, celslm_error *err);
void celslm_alignment_clear(celslm_alignment *a);

#endif
