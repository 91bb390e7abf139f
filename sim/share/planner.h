/* planner.h - chooses a layer plan (plan.h): how many of an edge's first layers to compute there, a
 * source and a codec for each of the others, so that the first token comes as early as can be.
 *
 * It knows a forecast, not the future: what the edge believes of its own engine, of the sources and
 * of the ways to them. The system's part in it (strategy/) is to say honestly what a node can see;
 * the part here is arithmetic, without a clock and without a network, so that it can be compared
 * with exhaustive search.
 *
 * The model. Each source sends its layers in order: they are computed one after the other if it has
 * yet to compute them, encoded, moved, decoded on the edge's codec core (one after the other, as
 * they arrive), and then the edge's engine passes them in order, after the layers that it computes
 * itself over the context. Flows share the edge's access (max-min fair, each within its own rate).
 * With one source and no local layers this is the permutation flow shop of Johnson (1954).
 *
 * CE-LSLM (arXiv 2505.14085) names dynamic scheduling of intermediate states; this planner is ours,
 * beyond the paper. */
#ifndef CELSLM_SHARE_PLANNER_H
#define CELSLM_SHARE_PLANNER_H

#include "share/plan.h"

enum { CELSLM_PLAN_SOURCES = 4, CELSLM_PLAN_CODECS = 8, CELSLM_PLAN_LAYERS = 256 };

/* One layer from a source in a codec. */
typedef struct celslm_way_forecast {
  double bytes;          /* B that move; 0: it is not to be had so */
  double encode, decode; /* s */
} celslm_way_forecast;

/* Where layers may come from. Times in s from now. */
typedef struct celslm_source_forecast {
  celslm_from from; /* CLOUD, PEER, HOST or DISK */
  struct celslm_site *site;
  double begin; /* until it could send a first layer that it has: the way of the request, queues */
  double produce; /* for each layer that it computes first, layer after layer; 0: it has them */
  double latency; /* of the way here */
  double rate;    /* B/s of the way here, if nobody shares the access */
  bool here;      /* its way is its own: this host's memory or disk */
  int layers;     /* it has (or will have) layers 0..layers-1 of ours */
  celslm_way_forecast ways[CELSLM_PLAN_CODECS]; /* by codec */
} celslm_source_forecast;

typedef struct celslm_codec_forecast {
  const celslm_codec *codec;
  const double *quality; /* [layers + 1]: share of the gap recovered if layers s.. are shared, by s;
                            NULL: not measured */
} celslm_codec_forecast;

typedef struct celslm_forecast {
  int layers, here; /* of the edge's model; of them resident: 0..here-1 */
  int n_sources, n_codecs;
  celslm_source_forecast sources[CELSLM_PLAN_SOURCES];
  celslm_codec_forecast codecs[CELSLM_PLAN_CODECS];
  double access;        /* B/s that all sources together can bring; INFINITY: no limit */
  double text;          /* s until the context's tokens are here; INFINITY: they cannot be had */
  double engine;        /* s until the edge's engine can begin with this request */
  double context_layer; /* s of one layer over the context */
  double prompt_layer;  /* s of one layer over the prompt */
  double rest;          /* s after the last layer */
  double floor;         /* least quality; 0: any, also one that was not measured */
} celslm_forecast;

/* Layers 0..local-1 are computed at the edge (then none is kept), the others that are not resident
 * come from source[j] in codec[j]: places in the forecast. */
typedef struct celslm_choice {
  int local;
  uint8_t source[CELSLM_PLAN_LAYERS], codec[CELSLM_PLAN_LAYERS];
  double ttft; /* s from now, by the forecast */
} celslm_choice;

/* The first token's time if a choice is carried out; INFINITY if it cannot be (a source without the
 * layer, a codec below the floor, no tokens). */
double celslm_forecast_ttft(const celslm_forecast *f, const celslm_choice *c);

/* The best choice found. False: none can be carried out. */
bool celslm_planner_choose(const celslm_forecast *f, celslm_choice *best);

/* Changes a plan, all of whose layers come from the forecast's cloud (which keeps its map to them),
 * to the choice. */
void celslm_choice_apply(const celslm_forecast *f, const celslm_choice *c, celslm_plan *plan);

#endif
