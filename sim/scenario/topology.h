/* topology.h - the network of a platform file: points (hosts and routers), links, routes.
 *
 * What must hold before SimGrid sees it: every route's ends and links exist, no pair of points has
 * two routes, a split-duplex link is crossed in a stated direction, and every host that is not a
 * mere router reaches every other one. SimGrid aborts or deadlocks otherwise.
 * Internal to sim/scenario. */
#ifndef CELSLM_SCENARIO_TOPOLOGY_H
#define CELSLM_SCENARIO_TOPOLOGY_H

#include "scenario/names.h"
#include "scenario/platform.h"

#include <stdio.h>

typedef enum celslm_routing {
  CELSLM_FULL,
  CELSLM_FLOYD,
  CELSLM_DIJKSTRA,
  CELSLM_DIJKSTRA_CACHE
} celslm_routing;

typedef struct celslm_point {
  const char *name;  /* owned by the element tree */
  bool must_connect; /* a host that takes part, not a router */
  int line;
} celslm_point;

typedef struct celslm_hop {
  int link;
  char direction; /* 'U'p, 'D'own, or 0 */
} celslm_hop;

typedef struct celslm_route {
  int from, to; /* points */
  bool both_ways;
  celslm_hop *hops;
  int n_hops;
} celslm_route;

typedef struct celslm_topology {
  celslm_routing routing;
  celslm_point *points; /* hosts first, in the platform's order; then routers */
  int n_points;
  celslm_index *point_names, *link_names;
  celslm_route *routes;
  int n_routes;
} celslm_topology;

/* Reads the <route> children of `zone`; points and links are known by then. */
bool celslm_topology_read_routes(celslm_topology *t, const celslm_platform *p,
                                 const celslm_element *zone, celslm_error *err);
/* Whether all that must be connected is. */
/* Whether a route begins or ends there. */
bool celslm_topology_touches(const celslm_topology *t, int point);
bool celslm_topology_check(const celslm_topology *t, const celslm_element *zone, celslm_error *err);
/* <route> elements for SimGrid. */
void celslm_topology_write_routes(const celslm_topology *t, const celslm_platform *p, FILE *f);
void celslm_topology_clear(celslm_topology *t);

/* `e` may only have these attributes (NULL-terminated); those of `later` are refused as not
 * supported yet. */
bool celslm_only_attributes(const celslm_element *e, const char *const *allowed,
                            const char *const *later, celslm_error *err);
/* A required attribute's text; NULL and an error where it is absent or empty. */
const char *celslm_required_text(const celslm_element *e, const char *name, celslm_error *err);

#endif
