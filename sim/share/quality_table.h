/* quality_table.h - the measured quality of shared contexts, as `celslm quality -o` writes it and
 * scenarios look it up. A figure is only ever that of the pair it was measured on: for another
 * pair it is a proxy and says so, and without a table it was not measured. docs/quality.md has the
 * format. */
#ifndef CELSLM_SHARE_QUALITY_TABLE_H
#define CELSLM_SHARE_QUALITY_TABLE_H

#include "base/error.h"

#define CELSLM_QUALITY_COLUMNS                                                                     \
  "pair,text,context,way,source,map,window,deepest,layers,shallow,rank,full_rank,codec,"           \
  "bytes_per_token,map_flops_cloud,map_flops_edge,loss,loss_low,loss_high,excess,excess_low,"      \
  "excess_high,gap,gap_low,gap_high,kl,top1,attention_error,windows"

#define CELSLM_COMPARISON_COLUMNS                                                                  \
  "pair,text,context,better,worse,loss,loss_low,loss_high,kl,kl_low,kl_high,windows"

enum { CELSLM_MOST_LAYERS = 256 };

/* "cloud:HASH/edge:HASH": names of the files without ending, and FNV-1a of their bytes. */
bool celslm_pair_name(const char *cloud, const char *edge, char *name, unsigned long size,
                      celslm_error *err);

typedef enum celslm_quality_status {
  CELSLM_QUALITY_NOT_MEASURED,
  CELSLM_QUALITY_PROXY, /* of another pair */
  CELSLM_QUALITY_MEASURED
} celslm_quality_status;
extern const char *const celslm_quality_status_names[]; /* "not measured", ... */

typedef struct celslm_quality_figure {
  celslm_quality_status status;
  const char *pair;      /* the table's; as long as the table */
  double gap, low, high; /* share of the gap recovered; NaN if not measured */
  double kl, top1;
  double context; /* length it was measured at: the nearest in the table */
} celslm_quality_figure;

typedef struct celslm_quality_table celslm_quality_table;
celslm_quality_table *celslm_quality_table_open(const char *file, celslm_error *err);
void celslm_quality_table_close(celslm_quality_table *t); /* NULL is allowed */
/* The main map's figure on text of the same kind for mapping the deepest share `deepest` (0..1) of
 * the layers at `rank` (share of the full one, 1: no cut) in `codec`, with shallower layers
 * computed locally: the row whose depth is the least that is not less (mapping more layers never
 * flatters), then with the nearest rank, then context. `t` NULL: not measured. `pair` NULL or
 * another one than the table's: proxy. deepest 0 is the edge's own prefill: gap 1. */
celslm_quality_figure celslm_quality_find(const celslm_quality_table *t, const char *pair,
                                          double deepest, double rank, const char *codec,
                                          double context);
/* The same for every depth of a model of `layers` layers, as a planner asks: gap[s], s = 0..layers,
 * is the share of the gap recovered if layers 0..s-1 are computed locally and the others shared;
 * gap[layers] = 1. Not measured: the other gaps are NaN. */
celslm_quality_status celslm_quality_curve(const celslm_quality_table *t, const char *pair,
                                           int layers, double rank, const char *codec,
                                           double context, double *gap);

#endif
