/* topology.c - routes: reading, checking that they connect, writing (see topology.h). */
#include "scenario/topology.h"

#include "scenario/xml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- attributes by table --------------------------------------------------------------------- */

static bool contains(const char *const *names, const char *name) {
  for (; names && *names; names++)
    if (strcmp(*names, name) == 0) return true;
  return false;
}

bool celslm_only_attributes(const celslm_element *e, const char *const *allowed,
                            const char *const *later, celslm_error *err) {
  for (int i = 0; i < e->n_attributes; i++) {
    const char *name = e->attributes[i].name;
    if (contains(allowed, name)) continue;
    char list[300] = "";
    for (int k = 0; allowed[k]; k++) {
      size_t at = strlen(list);
      snprintf(list + at, sizeof list - at, "%s%s", k ? ", " : "", allowed[k]);
    }
    if (contains(later, name))
      return celslm_element_fail(e, err, "<%s> %s is not supported yet; allowed: %s", e->name, name,
                                 list);
    return celslm_element_fail(e, err, "<%s> has no attribute \"%s\"; allowed: %s", e->name, name,
                               list);
  }
  return true;
}

const char *celslm_required_text(const celslm_element *e, const char *name, celslm_error *err) {
  const char *text = celslm_element_attribute(e, name);
  if (text && text[0]) return text;
  celslm_element_fail(e, err, "<%s> lacks \"%s\"; give a name", e->name, name);
  return NULL;
}

/* ---- reading routes -------------------------------------------------------------------------- */

static bool read_hop(const celslm_topology *t, const celslm_platform *p, const celslm_element *e,
                     celslm_hop *hop, celslm_error *err) {
  static const char *const allowed[] = {"id", "direction", NULL};
  static const char *const directions[] = {"NONE", "UP", "DOWN", NULL};
  if (strcmp(e->name, "link_ctn"))
    return celslm_element_fail(e, err, "<route> has no <%s> in it; allowed: link_ctn", e->name);
  const char *id = NULL;
  int direction;
  if (!celslm_only_attributes(e, allowed, NULL, err) ||
      !(id = celslm_required_text(e, "id", err)) ||
      !celslm_element_choice(e, "direction", directions, 0, &direction, err))
    return false;
  hop->link = celslm_index_find(t->link_names, id);
  if (hop->link < 0)
    return celslm_element_fail(e, err,
                               "<link_ctn> names the link \"%s\", which is not there; "
                               "every link of a route must be declared by <link>",
                               id);
  bool split = p->links[hop->link].split_duplex;
  if (split && direction == 0)
    return celslm_element_fail(e, err,
                               "link \"%s\" is SPLITDUPLEX; give direction=\"UP\" or "
                               "direction=\"DOWN\"",
                               id);
  if (!split && direction)
    return celslm_element_fail(e, err,
                               "link \"%s\" has no direction; only SPLITDUPLEX links have "
                               "one",
                               id);
  hop->direction = direction == 1 ? 'U' : direction == 2 ? 'D' : 0;
  return true;
}

static bool read_end(const celslm_topology *t, const celslm_element *e, const char *name, int *to,
                     celslm_error *err) {
  const char *id = celslm_required_text(e, name, err);
  if (!id) return false;
  *to = celslm_index_find(t->point_names, id);
  if (*to >= 0) return true;
  return celslm_element_fail(e, err,
                             "<route> %s \"%s\" is neither a host nor a router of this "
                             "file; declare it before it is used",
                             name, id);
}

static bool read_route(celslm_topology *t, const celslm_platform *p, const celslm_element *e,
                       celslm_route *r, celslm_error *err) {
  static const char *const allowed[] = {"src", "dst", "symmetrical", NULL};
  static const char *const later[] = {"gw_src", "gw_dst", NULL};
  static const char *const answers[] = {"YES", "NO", "yes", "no", NULL};
  int answer;
  if (!celslm_only_attributes(e, allowed, later, err) || !read_end(t, e, "src", &r->from, err) ||
      !read_end(t, e, "dst", &r->to, err) ||
      !celslm_element_choice(e, "symmetrical", answers, 0, &answer, err))
    return false;
  r->both_ways = answer % 2 == 0;
  if (r->from == r->to)
    return celslm_element_fail(e, err,
                               "<route> from \"%s\" to itself; only routes between two "
                               "points are allowed",
                               t->points[r->from].name);
  if (e->n_children == 0)
    return celslm_element_fail(e, err,
                               "<route> from \"%s\" to \"%s\" without links; give at least "
                               "one <link_ctn>",
                               t->points[r->from].name, t->points[r->to].name);
  r->hops = celslm_alloc((unsigned long)e->n_children, sizeof *r->hops);
  for (r->n_hops = 0; r->n_hops < e->n_children; r->n_hops++)
    if (!read_hop(t, p, &e->children[r->n_hops], &r->hops[r->n_hops], err)) return false;
  return true;
}

/* A route's direction as one number: from in the upper half, to in the lower. */
typedef struct arc {
  uint64_t key;
  int line;
  const char *file;
} arc;

static int compare_arcs(const void *a, const void *b) {
  const arc *x = a, *y = b;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return (x->line > y->line) - (x->line < y->line);
}

static uint64_t key_of(int from, int to) {
  return (uint64_t)(uint32_t)from << 32 | (uint32_t)to;
}

bool celslm_topology_read_routes(celslm_topology *t, const celslm_platform *p,
                                 const celslm_element *zone, celslm_error *err) {
  int n = 0;
  for (int i = 0; i < zone->n_children; i++) n += strcmp(zone->children[i].name, "route") == 0;
  t->routes = celslm_alloc((unsigned long)n, sizeof *t->routes);
  arc *arcs = celslm_alloc(2 * (unsigned long)n, sizeof *arcs);
  int n_arcs = 0;
  bool ok = true;
  for (int i = 0; ok && i < zone->n_children; i++) {
    const celslm_element *e = &zone->children[i];
    if (strcmp(e->name, "route")) continue;
    celslm_route *r = &t->routes[t->n_routes++];
    ok = read_route(t, p, e, r, err);
    if (!ok) break;
    arcs[n_arcs++] = (arc){key_of(r->from, r->to), e->line, e->file};
    if (r->both_ways) arcs[n_arcs++] = (arc){key_of(r->to, r->from), e->line, e->file};
  }
  qsort(arcs, (size_t)n_arcs, sizeof *arcs, compare_arcs);
  for (int i = 1; ok && i < n_arcs; i++)
    if (arcs[i].key == arcs[i - 1].key)
      ok = celslm_fail(err, arcs[i].file, arcs[i].line,
                       "a second route from \"%s\" to \"%s\" (the first is in line %d); one is "
                       "allowed, and symmetrical=\"NO\" limits a route to one way",
                       t->points[arcs[i].key >> 32].name, t->points[arcs[i].key & 0xffffffffu].name,
                       arcs[i - 1].line);
  free(arcs);
  return ok;
}

/* ---- are they connected? --------------------------------------------------------------------- */

/* Marks all points that can be reached from `start` (or that can reach it, if `backward`). */
static bool *reach(const celslm_topology *t, int start, bool backward) {
  unsigned long n = (unsigned long)t->n_points;
  int *first = celslm_alloc(n + 2, sizeof *first); /* arcs leaving each point, counting sort */
  int *to = celslm_alloc(2 * (unsigned long)t->n_routes, sizeof *to);
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < t->n_routes; i++)
      for (int way = 0; way < (t->routes[i].both_ways ? 2 : 1); way++) {
        bool turn = (way == 1) != backward;
        int a = turn ? t->routes[i].to : t->routes[i].from;
        int b = turn ? t->routes[i].from : t->routes[i].to;
        if (pass == 0)
          first[a + 2]++;
        else
          to[first[a + 1]++] = b;
      }
    if (pass == 0)
      for (unsigned long i = 2; i < n + 2; i++) first[i] += first[i - 1];
  }
  bool *seen = celslm_alloc(n, sizeof *seen);
  int *queue = celslm_alloc(n, sizeof *queue), head = 0, tail = 0;
  seen[start] = true;
  queue[tail++] = start;
  while (head < tail) {
    int a = queue[head++];
    for (int k = first[a]; k < first[a + 1]; k++)
      if (!seen[to[k]]) {
        seen[to[k]] = true;
        queue[tail++] = to[k];
      }
  }
  free(queue);
  free(first);
  free(to);
  return seen;
}

static bool fail_unreachable(const celslm_topology *t, const celslm_element *zone, int from, int to,
                             celslm_error *err) {
  return celslm_fail(err, zone->file, t->points[from].line,
                     "host \"%s\" has no route to \"%s\"; every pair of hosts must be connected",
                     t->points[from].name, t->points[to].name);
}

static int compare_keys(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Routing Full: every pair needs a route of its own, in both directions. */
static bool check_full(const celslm_topology *t, const celslm_element *zone, celslm_error *err) {
  uint64_t *keys = celslm_alloc(2 * (unsigned long)t->n_routes, sizeof *keys);
  size_t n = 0;
  for (int i = 0; i < t->n_routes; i++) {
    keys[n++] = key_of(t->routes[i].from, t->routes[i].to);
    if (t->routes[i].both_ways) keys[n++] = key_of(t->routes[i].to, t->routes[i].from);
  }
  qsort(keys, n, sizeof *keys, compare_keys);
  bool ok = true;
  for (int a = 0; ok && a < t->n_points; a++)
    for (int b = 0; ok && b < t->n_points; b++) {
      if (a == b || !t->points[a].must_connect || !t->points[b].must_connect) continue;
      uint64_t key = key_of(a, b);
      if (!bsearch(&key, keys, n, sizeof *keys, compare_keys))
        ok = fail_unreachable(t, zone, a, b, err);
    }
  free(keys);
  return ok;
}

bool celslm_topology_touches(const celslm_topology *t, int point) {
  for (int i = 0; i < t->n_routes; i++)
    if (t->routes[i].from == point || t->routes[i].to == point) return true;
  return false;
}

bool celslm_topology_check(const celslm_topology *t, const celslm_element *zone,
                           celslm_error *err) {
  if (t->routing == CELSLM_FULL) return check_full(t, zone, err);
  int start = 0;
  while (start < t->n_points && !t->points[start].must_connect) start++;
  if (start == t->n_points) return true;
  bool ok = true;
  bool *forward = reach(t, start, false), *backward = reach(t, start, true);
  for (int i = 0; ok && i < t->n_points; i++) {
    if (!t->points[i].must_connect) continue;
    if (!forward[i]) ok = fail_unreachable(t, zone, start, i, err);
    if (ok && !backward[i]) ok = fail_unreachable(t, zone, i, start, err);
  }
  free(forward);
  free(backward);
  return ok;
}

/* ---- writing --------------------------------------------------------------------------------- */

void celslm_topology_write_routes(const celslm_topology *t, const celslm_platform *p, FILE *f) {
  for (int i = 0; i < t->n_routes; i++) {
    const celslm_route *r = &t->routes[i];
    char *from = celslm_xml_escape(t->points[r->from].name);
    char *to = celslm_xml_escape(t->points[r->to].name);
    fprintf(f, "    <route src=\"%s\" dst=\"%s\" symmetrical=\"%s\">", from, to,
            r->both_ways ? "YES" : "NO");
    free(from);
    free(to);
    for (int k = 0; k < r->n_hops; k++) {
      char *link = celslm_xml_escape(p->links[r->hops[k].link].name);
      fprintf(f, "<link_ctn id=\"%s\"%s/>", link,
              r->hops[k].direction == 'U'   ? " direction=\"UP\""
              : r->hops[k].direction == 'D' ? " direction=\"DOWN\""
                                            : "");
      free(link);
    }
    fputs("</route>\n", f);
  }
}

void celslm_topology_clear(celslm_topology *t) {
  for (int i = 0; i < t->n_routes; i++) free(t->routes[i].hops);
  free(t->routes);
  free(t->points);
  celslm_index_free(t->point_names);
  celslm_index_free(t->link_names);
}
