/* plan.h - the layer plan: for each layer of an edge model, where its KV of a context comes from
 * when the edge loads that context, and how it is carried.
 *
 * Invariants (celslm_plan_check):
 *   layers computed here are exactly 0..s-1 for some s: computing layer j needs layers 0..j-1 over
 *   the whole context, and the context's tokens, which then are sent to the edge too;
 *   a layer that is kept is resident already;
 *   the cloud's layers do not fall as the edge's rise (the map is monotone), a peer's are the
 *   edge's own, for it serves the same model.
 *
 * Who makes plans: strategies and planners. Who carries them out: fetch.h. A plan owns its layers
 * and nothing else. */
#ifndef CELSLM_SHARE_PLAN_H
#define CELSLM_SHARE_PLAN_H

#include "share/codec.h"

#include <stdint.h>

struct celslm_site;

typedef enum celslm_from {
  CELSLM_FROM_HERE,  /* it is resident */
  CELSLM_FROM_LOCAL, /* computed here, over the context's tokens */
  CELSLM_FROM_CLOUD, /* a site that computes the context if it has not got it */
  CELSLM_FROM_PEER,  /* a site of the same model that has it, or says no */
  CELSLM_FROM_HOST,  /* this host's memory, behind PCIe */
  CELSLM_FROM_DISK,  /* this host's disk */
  CELSLM_FROMS
} celslm_from;
extern const char *const celslm_from_names[]; /* "here", "local" ...; NULL-terminated */

typedef struct celslm_layer_plan {
  uint8_t from;              /* celslm_from */
  int16_t layer;             /* CLOUD, PEER: of the site's model, which it is made of */
  struct celslm_site *site;  /* CLOUD, PEER */
  const celslm_codec *codec; /* CLOUD, PEER, HOST, DISK: as it is carried */
  int32_t inputs; /* CLOUD of another model: of its states, so many numbers per token are mapped to
                     keys and values; 0: none are, or at no cost */
  bool maps_here; /* the states travel and are mapped at the edge; else at the cloud */
} celslm_layer_plan;

struct celslm_plan;

/* Who plans anew what has not set out, when pieces come at another rate than was planned for. */
typedef struct celslm_replanner {
  double factor; /* > 1: by so much slower or faster */
  /* Changes layers of *plan that are open. False: it changed none. */
  bool (*choose)(void *self, struct celslm_site *to, int context, const bool *open,
                 struct celslm_plan *plan);
  void *self;
} celslm_replanner;

typedef struct celslm_plan {
  int n; /* layers of the edge's model */
  celslm_layer_plan *layers;
  struct celslm_site
      *cloud; /* whom to ask for the context's tokens, if layers are computed here,
                 and for a peer's layers if that says no; NULL: then the load fails */
  celslm_layer_plan *otherwise; /* [n]: layers as the cloud has them, for a peer that says no; NULL:
                                   mapped uniformly, at no cost */
  int64_t chunk;                /* tokens of a layer that travel together; 0: all of them */
  bool streams;  /* a site that has yet to compute the context sends each piece as it is computed;
                    false: nothing before all is */
  bool overlaps; /* pieces are coded while others travel; false: all are encoded before the first
                    leaves, and decoded when the last has come */
  bool whole;    /* the layers of a source travel as one */
  double rate;   /* B/s that was planned for */
  const celslm_replanner *replanner; /* outlives the fetch; NULL: the plan stands. Only plans whose
                                        pieces are whole layers and that overlap are changed */
} celslm_plan;

/* All layers from one site, its layers stretched evenly over ours (celslm_layer_map_uniform); what
 * can overlap does. */
celslm_plan celslm_plan_from(struct celslm_site *to, struct celslm_site *from,
                             const celslm_codec *codec);
/* Layers from sites of another model: of which they are made, from how many numbers of its states
 * (0: at no cost), and where. */
void celslm_plan_align(celslm_plan *p, const celslm_model *to, const int *map, int32_t inputs,
                       bool maps_here);
/* Keeps the layers as they are now, for what peers turn out not to have. */
void celslm_plan_otherwise(celslm_plan *p);
/* Computes the first s layers here; `cloud` has the context's tokens. */
void celslm_plan_compute(celslm_plan *p, int s, struct celslm_site *cloud);
void celslm_plan_clear(celslm_plan *p);
celslm_plan celslm_plan_copy(const celslm_plan *p);
/* Which invariant a plan breaks for a model of `layers` layers of which 0..here-1 are resident;
 * NULL: none. */
const char *celslm_plan_fault(const celslm_plan *p, int layers, int here);
/* Layers 0..s-1 are computed here. */
int celslm_plan_local(const celslm_plan *p);
/* B that cross the network for `tokens` tokens of context; KV only. */
double celslm_plan_bytes(const celslm_plan *p, const celslm_model *m, int64_t tokens);
/* B of so many tokens of one layer, whole. */
double celslm_plan_piece_bytes(const celslm_layer_plan *l, const celslm_model *m, double tokens);
/* FLOPs per token of one layer where it comes from, and here: of its map (mapping.h) and of its
 * codec's projections. A map that is cut to the codec's rank projects on its way. */
typedef struct celslm_plan_work {
  double there, here;
} celslm_plan_work;
celslm_plan_work celslm_plan_flops(const celslm_layer_plan *l, const celslm_model *m);

#endif
