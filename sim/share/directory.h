/* directory.h - what edges know of their neighbours: who has which contexts, and how busy they are.
 *
 * Every `period` an edge tells those that count it among their neighbours what it has whole and how
 * many jobs it has: one message of 64 B and a bit per context, which crosses the network (traffic
 * of class `context`) and may be lost there. Neighbours are the nearest edges of the same model, by
 * the latency of the way. So what an edge knows is old by up to a period and the way, and wrong
 * when its neighbour has let a context go since. A neighbour that has not been heard for three
 * periods is taken for dead. */
#ifndef CELSLM_SHARE_DIRECTORY_H
#define CELSLM_SHARE_DIRECTORY_H

#include "share/site.h"

typedef struct celslm_neighbour {
  celslm_site *site;
  celslm_ns heard;  /* when its last message came; negative: none has */
  int64_t present;  /* jobs that it had then */
  double iteration; /* s that an iteration took it in the mean so far */
  uint8_t *has;     /* by context, a bit each */
} celslm_neighbour;

typedef struct celslm_directory celslm_directory;

/* Among `members` (indices of `sites`), each with at most `neighbours`. What it is given outlives
 * it. */
celslm_directory *celslm_directory_new(celslm_net *net, celslm_site *sites, int n_sites,
                                       const int *members, int n_members, int n_contexts,
                                       int neighbours, celslm_ns period);
void celslm_directory_free(celslm_directory *d); /* NULL is allowed */

/* A site's neighbours, the nearest first. */
const celslm_neighbour *celslm_directory_view(const celslm_directory *d, int site, int *n);
bool celslm_directory_alive(const celslm_directory *d, const celslm_neighbour *k);
bool celslm_directory_has(const celslm_neighbour *k, int context);
/* `d` NULL: it knows of none. */
/* Live neighbours that are said to have a context, the nearest first, then NULL: at most `most`. */
int celslm_directory_holders(const celslm_directory *d, int site, int context, celslm_site **out,
                             int most);

#endif
