#include "share/planner.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>

static double later(double a, double b) {
  return a > b ? a : b;
}

/* Layers first.. may come from source k in codec q. */
static bool allowed(const celslm_forecast *f, int k, int q, int first) {
  const double *quality = f->codecs[q].quality;
  return f->sources[k].ways[q].bytes > 0 &&
         (f->floor <= 0 || (quality && quality[first] >= f->floor));
}

/* ---- what a choice comes to ------------------------------------------------------------------ */

/* A source at work. */
typedef struct lane {
  const celslm_source_forecast *source;
  int next;       /* layer that it sends next; f->layers: none */
  double encoded; /* when the next one is ready to leave */
  double coder;   /* when its encoder is free */
  double left;    /* B of the layer that is moving; 0: none is */
} lane;

static int next_of(const celslm_forecast *f, const celslm_choice *c, int k, int from) {
  int j = from;
  while (j < f->layers && c->source[j] != k) j++;
  return j;
}

/* The lane's next layer comes to its door: computed, then encoded. */
static void prepare(const celslm_forecast *f, const celslm_choice *c, lane *a) {
  if (a->next == f->layers) return;
  const celslm_source_forecast *s = a->source;
  double computed = s->begin + (a->next + 1) * s->produce;
  a->encoded = a->coder = later(a->coder, computed) + s->ways[c->codec[a->next]].encode;
}

/* Max-min fair rates of those that move, within their own and the access. */
static void share(const celslm_forecast *f, const lane *lanes, int n, double *rate) {
  double left = f->access, sum = 0;
  int open = 0;
  for (int k = 0; k < n; k++) {
    rate[k] = lanes[k].left > 0 ? lanes[k].source->rate : 0;
    if (lanes[k].source->here) continue;
    sum += rate[k];
    open += lanes[k].left > 0;
  }
  if (sum <= f->access) return;
  bool narrow[CELSLM_PLAN_SOURCES] = {false};
  for (bool more = true; more;) {
    double fair = left / open;
    more = false;
    for (int k = 0; k < n; k++) {
      if (lanes[k].left <= 0 || narrow[k] || lanes[k].source->here || rate[k] > fair) continue;
      narrow[k] = more = true;
      left -= rate[k];
      open--;
    }
  }
  for (int k = 0; k < n; k++)
    if (lanes[k].left > 0 && !narrow[k] && !lanes[k].source->here) rate[k] = left / open;
}

/* When each shared layer is there, decoded; decoding is in order of arrival. */
static void move(const celslm_forecast *f, const celslm_choice *c, int first, double *there) {
  lane lanes[CELSLM_PLAN_SOURCES] = {0};
  double rate[CELSLM_PLAN_SOURCES], arrived[CELSLM_PLAN_LAYERS], now = 0;
  int order[CELSLM_PLAN_LAYERS], n = 0;
  for (int k = 0; k < f->n_sources; k++) {
    lanes[k] = (lane){.source = &f->sources[k], .next = next_of(f, c, k, first)};
    prepare(f, c, &lanes[k]);
  }
  for (;;) {
    double next = INFINITY;
    for (int k = 0; k < f->n_sources; k++) { /* who may leave leaves */
      lane *a = &lanes[k];
      if (a->next == f->layers || a->left > 0) continue;
      if (a->encoded > now)
        next = fmin(next, a->encoded);
      else
        a->left = a->source->ways[c->codec[a->next]].bytes;
    }
    share(f, lanes, f->n_sources, rate);
    for (int k = 0; k < f->n_sources; k++)
      if (lanes[k].left > 0) next = fmin(next, now + lanes[k].left / rate[k]);
    if (isinf(next)) break;
    for (int k = 0; k < f->n_sources; k++) {
      lane *a = &lanes[k];
      if (a->left <= 0) continue;
      bool over = now + a->left / rate[k] <= next;
      a->left = over ? 0 : a->left - rate[k] * (next - now);
      if (!over && a->left > 0) continue;
      a->left = 0;
      arrived[a->next] = next + a->source->latency;
      int at = n++;
      while (at > 0 && arrived[order[at - 1]] > arrived[a->next]) {
        order[at] = order[at - 1];
        at--;
      }
      order[at] = a->next;
      a->next = next_of(f, c, k, a->next + 1);
      prepare(f, c, a);
    }
    now = next;
  }
  double decoder = 0;
  for (int i = 0; i < n; i++) {
    int j = order[i];
    decoder = later(decoder, arrived[j]) + f->sources[c->source[j]].ways[c->codec[j]].decode;
    there[j] = decoder;
  }
}

/* When the layers computed at the edge are there. */
static double computed_here(const celslm_forecast *f, int local) {
  return local ? later(f->text, f->engine) + local * f->context_layer : f->engine;
}

static int first_shared(const celslm_forecast *f, int local) {
  return local ? local : f->here;
}

double celslm_forecast_ttft(const celslm_forecast *f, const celslm_choice *c) {
  assert(f->layers <= CELSLM_PLAN_LAYERS && f->n_sources <= CELSLM_PLAN_SOURCES);
  double there[CELSLM_PLAN_LAYERS];
  int first = first_shared(f, c->local);
  for (int j = first; j < f->layers; j++) {
    if (c->source[j] >= f->n_sources || c->codec[j] >= f->n_codecs) return INFINITY;
    if (j >= f->sources[c->source[j]].layers || !allowed(f, c->source[j], c->codec[j], first))
      return INFINITY;
  }
  move(f, c, first, there);
  double t = computed_here(f, c->local);
  for (int j = 0; j < f->layers; j++) t = (j < first ? t : later(t, there[j])) + f->prompt_layer;
  return t + f->rest;
}

/* ---- the search ------------------------------------------------------------------------------
 *
 * First by list scheduling: each layer in turn goes to the source and codec that have it there
 * soonest. That is tried with all sources, with each by itself, and with the deepest layers kept
 * for one of them (one that is slow to begin is best used there, beside a cloud that still
 * computes the shallow ones), for numbers of local layers and of deep ones on a grid. Where
 * few layers are shared, list scheduling can be far off: there single layers and neighbours are
 * changed for the better while a budget of work lasts (for 32 layers that gains 0.15 % of the
 * first token's time in the mean, for twice the work). All this is judged by a simpler model than
 * the forecast's: the access passes bytes without a gap from its first one on. */

enum { GRID = 4, FEW = 8 /* layers that are improved */, ROUGH = 400, EXACT = 300 /* budgets */ };
#define NEAR 1.3 /* of the best: the simpler model's error */

/* The state of the simpler model after some layers: when each thing is free. */
typedef struct pipe {
  double coder[CELSLM_PLAN_SOURCES], wire[CELSLM_PLAN_SOURCES], decoder;
  double start, passed; /* of the access: its first byte, s that it has worked */
} pipe;

/* A source and a codec that layers may be dealt to. */
typedef struct way {
  uint8_t source, codec;
  double encode, move, pass, decode; /* s of one layer: on its own wire, through the access */
} way;

typedef way way_table[CELSLM_PLAN_SOURCES][CELSLM_PLAN_CODECS];

typedef struct ways {
  int n;
  way list[2 * CELSLM_PLAN_SOURCES];
} ways;

static inline way way_of(const celslm_forecast *f, int k, int q) {
  const celslm_source_forecast *s = &f->sources[k];
  const celslm_way_forecast *w = &s->ways[q];
  return (way){.source = (uint8_t)k,
               .codec = (uint8_t)q,
               .encode = w->encode,
               .move = w->bytes / s->rate,
               .pass = s->here ? 0 : w->bytes / f->access,
               .decode = w->decode};
}

/* When layer j would be there that way; `next`: the state then, of what it passes. */
typedef struct passage {
  double coder, wire, decoder, start, passed;
} passage;

static inline passage pass(const celslm_forecast *f, const pipe *p, int j, const way *w) {
  const celslm_source_forecast *s = &f->sources[w->source];
  passage next;
  next.coder = later(p->coder[w->source], s->begin + (j + 1) * s->produce) + w->encode;
  double begins = later(next.coder, p->wire[w->source]);
  next.start = p->start;
  next.passed = p->passed;
  next.wire = begins + w->move;
  if (w->pass > 0) {
    next.start = p->passed > 0 && p->start < begins ? p->start : begins;
    next.passed += w->pass;
    next.wire = later(next.wire, next.start + next.passed);
  }
  next.decoder = later(p->decoder, next.wire + s->latency) + w->decode;
  return next;
}

static inline void advance(pipe *p, const passage *next, int source) {
  p->coder[source] = next->coder;
  p->wire[source] = next->wire;
  p->start = next->start;
  p->passed = next->passed;
  p->decoder = next->decoder;
}

/* For each source the codec that is through its slowest stage soonest (best for many layers) and
 * the one that is through all stages soonest (best for a few). */
static ways ways_of(const celslm_forecast *f, way_table table, int first) {
  ways w = {0};
  for (int k = 0; k < f->n_sources; k++) {
    way many = {0}, few = {0};
    double slowest = INFINITY, slowest_sum = INFINITY, least_sum = INFINITY;
    for (int q = 0; q < f->n_codecs; q++) {
      if (!allowed(f, k, q, first)) continue;
      way x = table[k][q];
      double moving = later(x.move, x.pass), sum = x.encode + moving + x.decode;
      double longest = later(later(x.encode, x.decode), moving);
      if (longest < slowest || (longest <= slowest && sum < slowest_sum)) {
        slowest = longest;
        slowest_sum = sum;
        many = x;
      }
      if (sum < least_sum) {
        least_sum = sum;
        few = x;
      }
    }
    if (isinf(slowest)) continue;
    w.list[w.n++] = many;
    if (few.codec != many.codec) w.list[w.n++] = few;
  }
  return w;
}

/* Deals the layers from `first` on: to the sources of `set`, those from `deep` on to `last`. Says
 * when the first token comes; INFINITY if that is not before `bound`, or nobody has a layer. */
static double deal(const celslm_forecast *f, const ways *w, unsigned set, int deep, unsigned last,
                   double bound, celslm_choice *c) {
  pipe p = {0};
  int first = first_shared(f, c->local);
  double time = computed_here(f, c->local) + first * f->prompt_layer;
  for (int j = first; j < f->layers; j++) {
    const way *best = NULL;
    passage soonest = {.decoder = INFINITY};
    for (const way *x = w->list; x < w->list + w->n; x++) {
      if (!((j < deep ? set : last) >> x->source & 1) || j >= f->sources[x->source].layers)
        continue;
      passage next = pass(f, &p, j, x);
      if (next.decoder >= soonest.decoder) continue;
      soonest = next;
      best = x;
    }
    if (!best) return INFINITY;
    advance(&p, &soonest, best->source);
    c->source[j] = best->source;
    c->codec[j] = best->codec;
    time = later(time, p.decoder) + f->prompt_layer;
    if (time + (f->layers - 1 - j) * f->prompt_layer + f->rest >= bound) return INFINITY;
  }
  return time + f->rest;
}

/* What a dealt choice comes to in the simpler model; INFINITY if that is not before `bound`. */
static double judge(const celslm_forecast *f, way_table table, const celslm_choice *c,
                    double bound) {
  pipe p = {0};
  int first = first_shared(f, c->local);
  double time = computed_here(f, c->local) + first * f->prompt_layer;
  for (int j = first; j < f->layers && time < bound; j++) {
    passage next = pass(f, &p, j, &table[c->source[j]][c->codec[j]]);
    advance(&p, &next, c->source[j]);
    time = later(time, p.decoder) + f->prompt_layer;
  }
  return time + f->rest < bound ? time + f->rest : INFINITY;
}

static void copy_choice(const celslm_forecast *f, celslm_choice *to, const celslm_choice *from) {
  to->local = from->local;
  to->ttft = from->ttft;
  for (int j = first_shared(f, from->local); j < f->layers; j++) {
    to->source[j] = from->source[j];
    to->codec[j] = from->codec[j];
  }
}

/* The best choices of three kinds, for the simpler model errs differently on each: layers dealt to
 * all sources, to one, to all but one and the deepest to that one. */
enum { ALL, ONE, DEEP, SOME_LOCAL, KINDS = 2 * SOME_LOCAL };

static void try_local(const celslm_forecast *f, way_table table, int local,
                      celslm_choice best[KINDS], double bound) {
  celslm_choice c, *kinds = best + (local ? SOME_LOCAL : 0);
  c.local = local;
  if (local && (local <= f->here || local >= f->layers || isinf(f->text))) return;
  if (computed_here(f, local) + f->layers * f->prompt_layer + f->rest >= bound) return;
  int first = first_shared(f, local), step = (f->layers - first) / GRID + 1;
  ways w = ways_of(f, table, first);
  unsigned all = (1u << f->n_sources) - 1;
  bool computes = false; /* else list scheduling alone is as good */
  for (int k = 0; k < f->n_sources; k++) computes |= all != 1 && f->sources[k].produce > 0;
  for (int k = 0; k < f->n_sources; k++)
    for (int deep = first; deep < f->layers && (computes || deep == first); deep += step) {
      celslm_choice *kind = &kinds[deep == first ? ONE : DEEP];
      c.ttft = deal(f, &w, all & ~(1u << k), deep, 1u << k, kind->ttft, &c);
      if (c.ttft < kind->ttft) copy_choice(f, kind, &c);
    }
  if (all == 1) return;
  c.ttft = deal(f, &w, all, f->layers, 0, kinds[ALL].ttft, &c);
  if (c.ttft < kinds[ALL].ttft) copy_choice(f, &kinds[ALL], &c);
}

/* Changes layers for the better, single ones and pairs of neighbours; `budget` layers are judged:
 * by the simpler model, or (table NULL) exactly. */
static void improve(const celslm_forecast *f, way_table table, celslm_choice *best, int budget) {
  celslm_choice c;
  copy_choice(f, &c, best);
  int first = first_shared(f, best->local), n = f->layers - first, unchanged = 0;
  if (n > FEW) return;
  for (int j = f->layers - 1; budget > 0 && unchanged<n; j = j> first ? j - 1 : f->layers - 1) {
    unchanged++;
    for (int k = 0; k < f->n_sources; k++)
      for (int q = 0; q < f->n_codecs && budget > 0; q++) {
        if (j >= f->sources[k].layers || !allowed(f, k, q, first)) continue;
        int low = j;
        for (; low >= first && low >= j - 1; low--) {
          c.source[low] = (uint8_t)k;
          c.codec[low] = (uint8_t)q;
          if (k == best->source[low] && q == best->codec[low]) continue;
          budget -= n;
          c.ttft = table ? judge(f, table, &c, best->ttft) : celslm_forecast_ttft(f, &c);
          if (c.ttft >= best->ttft * (1 - 1e-12)) continue;
          copy_choice(f, best, &c);
          unchanged = 0;
        }
        for (low = j; low >= first && low >= j - 1; low--) {
          c.source[low] = best->source[low];
          c.codec[low] = best->codec[low];
        }
      }
  }
}

static const celslm_choice *soonest(const celslm_choice kinds[KINDS]) {
  const celslm_choice *best = kinds;
  for (int k = 1; k < KINDS; k++)
    if (kinds[k].ttft < best->ttft) best = &kinds[k];
  return best;
}

bool celslm_planner_choose(const celslm_forecast *f, celslm_choice *best) {
  celslm_choice kinds[KINDS];
  way_table table;
  for (int k = 0; k < f->n_sources; k++)
    for (int q = 0; q < f->n_codecs; q++) table[k][q] = way_of(f, k, q);
  best->ttft = INFINITY;
  best->local = 0;
  if (f->here == f->layers || !isinf(f->text)) { /* nothing is shared */
    best->local = f->here == f->layers ? 0 : f->layers;
    best->ttft = computed_here(f, best->local) + f->layers * f->prompt_layer + f->rest;
  }
  double bound = best->ttft;
  for (int k = 0; k < KINDS; k++) kinds[k] = (celslm_choice){.ttft = bound, .local = -1};
  int step = f->layers > 2 * GRID ? f->layers / GRID : 1;
  for (int local = 0; f->n_sources && local < f->layers; local += step)
    try_local(f, table, local, kinds, bound);
  while (f->n_sources && (step /= 2) > 0) {
    int around = soonest(kinds)->local;
    try_local(f, table, around > step ? around - step : 0, kinds, bound);
    try_local(f, table, around + step, kinds, bound);
  }
  double near = NEAR * soonest(kinds)->ttft;
  for (int k = 0; k < KINDS; k++) {
    if (kinds[k].local < 0) continue;
    if (kinds[k].ttft < near && k % SOME_LOCAL != ONE) improve(f, table, &kinds[k], ROUGH);
    kinds[k].ttft = celslm_forecast_ttft(f, &kinds[k]);
  }
  if (soonest(kinds)->ttft < best->ttft) copy_choice(f, best, soonest(kinds));
  if (!isinf(best->ttft)) improve(f, NULL, best, EXACT);
  return !isinf(best->ttft);
}

/* ---- as a plan ------------------------------------------------------------------------------- */

void celslm_choice_apply(const celslm_forecast *f, const celslm_choice *c, celslm_plan *plan) {
  int first = first_shared(f, c->local);
  for (int j = 0; j < plan->n; j++) {
    celslm_layer_plan *l = &plan->layers[j];
    if (j < first) {
      *l = (celslm_layer_plan){.from = c->local ? CELSLM_FROM_LOCAL : CELSLM_FROM_HERE};
      continue;
    }
    const celslm_source_forecast *s = &f->sources[c->source[j]];
    if (s->from != CELSLM_FROM_CLOUD)
      *l = (celslm_layer_plan){.from = (uint8_t)s->from, .layer = (int16_t)j, .site = s->site};
    l->codec = f->codecs[c->codec[j]].codec;
  }
}
