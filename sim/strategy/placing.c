#include "strategy/placing.h"

#include <math.h>
#include <stdlib.h>

extern const celslm_edge_choice celslm_edge_choice_nearest, celslm_edge_choice_least_loaded,
    celslm_edge_choice_context_affine, celslm_edge_choice_predicted_ttft;

const celslm_edge_choice *const celslm_edge_choices[] = {
    &celslm_edge_choice_nearest,
    &celslm_edge_choice_least_loaded,
    &celslm_edge_choice_context_affine,
    &celslm_edge_choice_predicted_ttft,
    NULL,
};

/* ---- opening --------------------------------------------------------------------------------- */

static bool open_directory(celslm_neighbourhood *n, const celslm_system *s, const celslm_element *e,
                           int peers, double period, celslm_error *err) {
  const celslm_scenario *sc = s->scenario;
  int *members = celslm_alloc((unsigned long)sc->n_engines, sizeof *members), many = 0;
  for (int i = 0; i < sc->n_engines; i++)
    if (sc->platform->hosts[s->sites[i].host].role != CELSLM_CLOUD) members[many++] = i;
  n->directory = celslm_directory_new(s->net, s->sites, sc->n_engines, members, many,
                                      sc->n_contexts, peers, celslm_ns_of(period));
  free(members);
  int known = 0;
  for (int i = 0; i < sc->n_engines; i++) {
    int k;
    const celslm_neighbour *view = celslm_directory_view(n->directory, i, &k);
    known += k;
    for (int j = 0; j < k; j++) {
      double way = celslm_seconds(celslm_net_latency(s->net, s->sites[i].host, view[j].site->host));
      if (period < 2 * way)
        return celslm_element_fail(e, err,
                                   "<%s> peer_period %gs is shorter than the way from engine %s "
                                   "to engine %s and back, %gs; give a longer one",
                                   e->name, period, sc->engines[i].name,
                                   sc->engines[view[j].site->index].name, 2 * way);
    }
  }
  return known > 0 || celslm_element_fail(e, err,
                                          "<%s> peers: no edge has a neighbour that serves the "
                                          "same model; leave peers out",
                                          e->name);
}

bool celslm_neighbourhood_open(celslm_neighbourhood *n, const celslm_system *s,
                               const celslm_element *e, celslm_error *err) {
  const char *names[16] = {NULL};
  for (int i = 0; celslm_edge_choices[i]; i++) names[i] = celslm_edge_choices[i]->name;
  int policy;
  int64_t peers, uploads;
  double period;
  if (!celslm_element_choice(e, "placement", names, 0, &policy, err) ||
      !celslm_element_integer(e, "peers", 0, CELSLM_CANDIDATES - 1, 0, &peers, err) ||
      !celslm_element_integer(e, "peer_uploads", 0, 1 << 20, 4, &uploads, err) ||
      !celslm_element_quantity(e, "peer_period", CELSLM_UNIT_TIME, 1e-3, 1e6, 1, &period, err))
    return false;
  n->policy = celslm_edge_choices[policy];
  if (peers) {
    for (int i = 0; i < s->scenario->n_engines; i++) s->sites[i].most_uploads = (int)uploads;
    return open_directory(n, s, e, (int)peers, period, err);
  }
  static const char *const others[] = {"peer_period", "peer_uploads"};
  for (int i = 0; i < 2; i++)
    if (celslm_element_attribute(e, others[i]))
      return celslm_element_fail(e, err, "<%s> has %s but no peers; give their number", e->name,
                                 others[i]);
  return policy == 0 || celslm_element_fail(e, err,
                                            "<%s> placement=\"%s\" needs peers, the number of "
                                            "neighbours that an edge knows",
                                            e->name, n->policy->name);
}

void celslm_neighbourhood_close(celslm_neighbourhood *n) {
  celslm_directory_free(n->directory);
}

/* ---- placing --------------------------------------------------------------------------------- */

static celslm_candidate here(const celslm_request *r, int site) {
  const celslm_site *edge = &r->system->sites[site];
  celslm_engine_row row;
  celslm_engine_observe(edge->engine, &row);
  celslm_candidate c = {.site = site,
                        .present = (double)celslm_engine_present(edge->engine),
                        .iteration = row.iterations ? row.busy / (double)row.iterations : 0,
                        .has = r->context < 0};
  if (!c.has) {
    const celslm_entry *e = celslm_store_entry(edge->store, r->context);
    c.has = e->residence == CELSLM_RESIDENT;
  }
  return c;
}

int celslm_place_request(const celslm_neighbourhood *n, const celslm_request *r,
                         double (*miss)(const celslm_request *r, const celslm_site *site)) {
  const celslm_system *s = r->system;
  int own = s->users[r->user].site, known, many = 0;
  if (!n->policy->place) return own;
  const celslm_neighbour *view = celslm_directory_view(n->directory, own, &known);
  celslm_candidate all[CELSLM_CANDIDATES];
  if (!s->sites[own].down) all[many++] = here(r, own); /* a dead host answers nobody */
  for (int i = 0; i < known; i++) {
    const celslm_neighbour *k = &view[i];
    if (!celslm_directory_alive(n->directory, k)) continue;
    all[many++] = (celslm_candidate){
        .site = k->site->index,
        .present = (double)k->present,
        .iteration = k->iteration,
        .way = 2 * celslm_seconds(celslm_net_latency(s->net, s->sites[own].host, k->site->host)),
        .has = r->context < 0 || celslm_directory_has(k, r->context)};
  }
  for (int i = 0; i < many; i++)
    if (!all[i].has) all[i].miss = miss(r, &s->sites[all[i].site]);
  return many ? all[n->policy->place(all, many, r->context)].site : own;
}
