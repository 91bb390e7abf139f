/* edge_cluster.c - edges are one cluster that shares all requests; the cloud takes what they
 * cannot.
 *
 * Edge-First language model inference (arXiv 2505.16508). A gateway, at the user's access, chooses
 * a node: at random, in proportion to weights, or the least loaded for its weight: (jobs there + 1)
 * / weight, the weighted least connection of load balancers (of equals the user's own edge, then
 * the first); what counts as load and the weights' default, batch slots, are our choice. Each node
 * lets in at most `limit` requests in any window of `window` (a sliding log, exact). If no node may
 * take a request, or the chosen one's queue is full, it goes to the cloud, or is rejected with
 * fallback="no". */
#include "base/rng.h"
#include "strategy/at_site.h"
#include "strategy/engines.h"

#include <stdlib.h>
#include <string.h>

typedef struct node {
  int site;
  double weight;
  celslm_ns *log; /* of its last `limit` requests, a ring; NULL: no limit */
  int64_t next;   /* the oldest of them */
} node;

typedef struct options {
  celslm_at_site_options at;
  node *nodes;
  int n_nodes, select;
  int64_t limit; /* 0: none */
  celslm_ns window;
  bool fallback;
  gsl_rng *rng; /* one draw for each request */
} options;
enum { BY_CHANCE, BY_WEIGHT, BY_LOAD };

/* ---- options --------------------------------------------------------------------------------- */

static bool read_nodes(options *o, const celslm_system *s, const celslm_element *e,
                       celslm_error *err) {
  const celslm_scenario *sc = s->scenario;
  int *list = NULL, n = 0;
  bool ok = true;
  if (celslm_element_attribute(e, "engines")) {
    ok = celslm_engines_read(sc, e, "engines", &list, &n, err);
  } else {
    list = celslm_alloc((unsigned long)sc->n_engines, sizeof *list);
    for (int i = 0; i < sc->n_engines; i++)
      if (sc->platform->hosts[sc->engines[i].host].role == CELSLM_EDGE) list[n++] = i;
    if (!n)
      ok = celslm_element_fail(e, err,
                               "<%s> needs an engine on a host with the role edge; add one to "
                               "<engines>",
                               e->name);
  }
  o->nodes = celslm_alloc((unsigned long)n + 1, sizeof *o->nodes);
  o->n_nodes = n;
  for (int i = 0; i < n; i++)
    o->nodes[i] = (node){.site = list[i], .weight = (double)sc->engines[list[i]].max_num_seqs};
  free(list);
  return ok;
}

/* One number for each node, in their order. */
static bool read_weights(options *o, const celslm_element *e, celslm_error *err) {
  const char *text = celslm_element_attribute(e, "weights");
  if (text && o->select == BY_CHANCE)
    return celslm_element_fail(
        e, err, "<%s> weights mean nothing to select=\"random\"; leave them out", e->name);
  if (!text) return true;
  int n = 0;
  char *end;
  for (const char *p = text;; p = end, n++) {
    double w = strtod(p, &end);
    if (end == p) {
      while (*end == ' ') end++;
      if (!*end && n == o->n_nodes) return true;
      break;
    }
    if (n == o->n_nodes || !(w > 0 && w <= 1e9)) break;
    o->nodes[n].weight = w;
  }
  return celslm_element_fail(e, err,
                             "<%s> weights \"%s\" is not allowed; give %d numbers above 0, one for "
                             "each engine",
                             e->name, text, o->n_nodes);
}

static bool configure(void *to, const celslm_system *s, const celslm_element *e,
                      celslm_error *err) {
  static const char *const selections[] = {"random", "weighted", "load-aware", NULL};
  options *o = to;
  double window;
  if (!celslm_at_site_configure(&o->at, s, e, err) ||
      !celslm_element_choice(e, "select", selections, BY_LOAD, &o->select, err) ||
      !read_nodes(o, s, e, err) || !read_weights(o, e, err) ||
      !celslm_element_integer(e, "limit", 1, 1 << 20, 0, &o->limit, err) ||
      !celslm_element_quantity(e, "window", CELSLM_UNIT_TIME, 1e-9, 1e9, 1, &window, err) ||
      !celslm_element_bool(e, "fallback", true, &o->fallback, err))
    return false;
  if (o->fallback && !celslm_needs_cloud(s, e, err)) return false;
  o->window = celslm_ns_of(window);
  o->rng = celslm_rng(s->scenario->seed, "edge cluster");
  for (int i = 0; o->limit && i < o->n_nodes; i++) {
    o->nodes[i].log = celslm_alloc((unsigned long)o->limit, sizeof(celslm_ns));
    for (int64_t k = 0; k < o->limit; k++) o->nodes[i].log[k] = -o->window; /* long ago */
  }
  return true;
}

static void clear(void *to) {
  options *o = to;
  for (int i = 0; i < o->n_nodes; i++) free(o->nodes[i].log);
  free(o->nodes);
  if (o->rng) gsl_rng_free(o->rng);
}

/* ---- choosing -------------------------------------------------------------------------------- */

static bool may_take(const options *o, const celslm_request *r, const node *n) {
  if (r->system->sites[n->site].down) return false;
  return !n->log || n->log[n->next] <= r->arrival - o->window;
}

static double share_of(const options *o, const node *n) {
  return o->select == BY_WEIGHT ? n->weight : 1;
}

/* At random: in proportion to weights, or all alike. */
static node *by_chance(const options *o, const celslm_request *r, double chance) {
  double total = 0;
  node *last = NULL;
  for (int i = 0; i < o->n_nodes; i++)
    if (may_take(o, r, &o->nodes[i])) total += share_of(o, &o->nodes[i]);
  double left = chance * total;
  for (int i = 0; i < o->n_nodes; i++) {
    if (!may_take(o, r, &o->nodes[i])) continue;
    last = &o->nodes[i];
    if ((left -= share_of(o, last)) < 0) break;
  }
  return last;
}

static node *by_load(const options *o, const celslm_request *r) {
  const celslm_system *s = r->system;
  node *best = NULL;
  double least = 0;
  for (int i = 0; i < o->n_nodes; i++) {
    node *n = &o->nodes[i];
    if (!may_take(o, r, n)) continue;
    double load = (double)(celslm_engine_present(s->sites[n->site].engine) + 1) / n->weight;
    bool own = n->site == s->users[r->user].site;
    if (best && (load > least || (load == least && !own))) continue;
    best = n;
    least = load;
  }
  return best;
}

static void (*way_of(const options *o))(celslm_request *r) {
  return o->at.prompt_cache ? celslm_serve_cached : celslm_serve_recomputing;
}

static bool cloud_takes(const options *o, const celslm_system *s) {
  return o->fallback && !s->sites[s->cloud].down;
}

static bool turned_away(const void *options_, celslm_request *r) {
  const options *o = options_;
  const celslm_system *s = r->system;
  if (r->site == s->cloud || !cloud_takes(o, s)) return false;
  celslm_forward(r, s->cloud, way_of(o));
  return true;
}

static void arrive(const void *options_, celslm_request *r) {
  const options *o = options_;
  double chance = gsl_rng_uniform(o->rng);
  node *n = o->select == BY_LOAD ? by_load(o, r) : by_chance(o, r, chance);
  if (n) {
    if (n->log) {
      n->log[n->next] = r->arrival;
      n->next = (n->next + 1) % o->limit;
    }
    celslm_at_site(&o->at, r, n->site);
  } else if (cloud_takes(o, r->system)) {
    celslm_at_site(&o->at, r, r->system->cloud);
  } else {
    celslm_reject(r);
  }
}

const celslm_strategy celslm_strategy_edge_cluster = {
    .name = "edge-cluster",
    .summary =
        "all edges share the requests (random, weighted, load-aware) within rate limits; the "
        "cloud takes the rest",
    .paper = "arXiv 2505.16508",
    .options_size = sizeof(options),
    .configure = configure,
    .clear = clear,
    .arrive = arrive,
    .turned_away = turned_away,
};
