/* platform.c - reading a SimGrid platform file, version 4.1 (see platform.h).
 *
 * In order: the zone, its hosts and routers, its links, its routes; then our properties of the
 * hosts (roles, profiles, cells), then the copy for SimGrid. Whatever SimGrid knows and we do not
 * is refused by name, so that nothing in the file is silently without effect. */
#include "scenario/platform.h"

#include "scenario/band.h"
#include "scenario/properties.h"
#include "scenario/speeds.h"
#include "scenario/topology.h"
#include "scenario/upkeep.h"
#include "scenario/xml.h"

#include <dirent.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const roles[] = {"cloud", "edge", "device", "cell", "router", NULL};

/* ---- profiles -------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "a, b, c": the profiles in a folder. */
static void list_profiles(const char *folder, char *text, size_t size) {
  char **names = NULL;
  unsigned long n = 0;
  DIR *d = opendir(folder);
  for (struct dirent *entry; d && (entry = readdir(d));) {
    size_t length = strlen(entry->d_name);
    if (length < 5 || strcmp(entry->d_name + length - 4, ".xml")) continue;
    names = celslm_realloc(names, n + 1, sizeof *names);
    names[n++] = celslm_format("%.*s", (int)(length - 4), entry->d_name);
  }
  if (d) closedir(d);
  if (n) qsort(names, n, sizeof *names, compare_names);
  snprintf(text, size, "%s", n ? "" : "none");
  for (unsigned long i = 0; i < n; i++) {
    size_t at = strlen(text);
    snprintf(text + at, size - at, "%s%s", i ? ", " : "", names[i]);
    free(names[i]);
  }
  free(names);
}

static celslm_profile *find_profile(celslm_platform *p, const celslm_element *host,
                                    const char *folder, const char *name, celslm_error *err) {
  if (strchr(name, '/') || name[0] == '.') {
    celslm_element_fail(host, err,
                        "celslm.profile \"%s\": not a name; give the name of a file in "
                        "%s, without .xml",
                        name, folder);
    return NULL;
  }
  char *file = celslm_format("%s/%s.xml", folder, name);
  for (int i = 0; i < p->n_profiles; i++)
    if (strcmp(p->profiles[i]->file, file) == 0) {
      free(file);
      return p->profiles[i];
    }
  celslm_profile *profile = NULL;
  char there[400];
  if (access(file, F_OK) == 0) {
    profile = celslm_profile_load(file, err);
  } else if (strcmp(name, "this-machine") == 0) {
    celslm_element_fail(host, err,
                        "celslm.profile \"this-machine\": there is no %s; run "
                        "`celslm calibrate` first, it measures this machine and writes the file",
                        file);
  } else {
    list_profiles(folder, there, sizeof there);
    celslm_element_fail(host, err, "celslm.profile \"%s\": there is no %s; profiles there: %s",
                        name, file, there);
  }
  free(file);
  if (!profile) return NULL;
  p->profiles = celslm_realloc(p->profiles, (unsigned long)p->n_profiles + 1, sizeof *p->profiles);
  return p->profiles[p->n_profiles++] = profile;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

/* Our properties of one host, whose SimGrid attributes are read already. */
static bool read_role(celslm_platform *p, const celslm_topology *t, int place,
                      const celslm_element *props, const char *folder, celslm_error *err) {
  celslm_host *h = &p->hosts[place];
  int role;
  int64_t accelerators;
  if (!celslm_element_choice(props, "celslm.role", roles, -1, &role, err)) return false;
  h->role = (celslm_role)role;
  const char *of_cells = h->role == CELSLM_CELL ? NULL : celslm_properties_of_cells(props);
  if (of_cells)
    return celslm_element_fail(props, err,
                               "<%s> has the role %s; %s belongs to hosts with the "
                               "role cell",
                               props->name, roles[role], of_cells);
  const char *profile = celslm_element_attribute(props, "celslm.profile");
  if (!celslm_element_integer(props, "celslm.accelerators", 1, 100000, 1, &accelerators, err))
    return false;
  h->accelerators = (int)accelerators;
  if (!profile && celslm_element_attribute(props, "celslm.accelerators"))
    return celslm_element_fail(props, err,
                               "<%s> has celslm.accelerators but no celslm.profile; give "
                               "both or neither",
                               props->name);
  if (!celslm_element_quantity(props, "celslm.interconnect", CELSLM_UNIT_RATE, 1, 1e18, 0,
                               &h->interconnect, err) ||
      !celslm_element_quantity(props, "celslm.interconnect_latency", CELSLM_UNIT_TIME, 0, 1, 0,
                               &h->interconnect_latency, err) ||
      !celslm_element_bool(props, "celslm.radio", false, &h->radio, err))
    return false;
  if (h->radio && h->role != CELSLM_EDGE && h->role != CELSLM_DEVICE)
    return celslm_element_fail(props, err,
                               "<%s> has the role %s and celslm.radio; only edge and device hosts "
                               "can be on the radio",
                               props->name, roles[role]);
  if (profile && (h->role == CELSLM_CELL || h->role == CELSLM_ROUTER))
    return celslm_element_fail(props, err,
                               "<%s> has the role %s and a profile; only cloud, edge and "
                               "device hosts have one",
                               props->name, roles[role]);
  if (profile && !(h->profile = find_profile(p, props, folder, profile, err))) return false;
  if (!celslm_host_read_upkeep(h, props, err)) return false;
  if (h->role != CELSLM_CELL) return true;

  celslm_cell *c = &p->cells[p->n_cells++];
  c->host = place;
  const char *serves = celslm_element_attribute(props, "celslm.serves");
  if (!serves)
    return celslm_element_fail(props, err,
                               "<%s> lacks \"celslm.serves\"; give the edge host that "
                               "the base station hands traffic to",
                               props->name);
  c->serves = celslm_index_find(t->point_names, serves);
  if (c->serves < 0 || c->serves >= p->n_hosts)
    return celslm_element_fail(props, err,
                               "<%s> celslm.serves \"%s\" is not a host; give the edge "
                               "host that the base station hands traffic to",
                               props->name, serves);
  return celslm_cell_read(c, props, err) && celslm_cell_read_upkeep(c, props, err);
}

static bool read_host(celslm_platform *p, const celslm_element *e, celslm_error *err) {
  static const char *const allowed[] = {"id", "speed", "core", "pstate", "speed_file", NULL};
  static const char *const later[] = {"availability_file", "state_file", "coordinates", NULL};
  celslm_host *h = &p->hosts[p->n_hosts];
  const char *id = NULL;
  int64_t cores;
  if (!celslm_only_attributes(e, allowed, later, err) || !(id = celslm_required_text(e, "id", err)))
    return false;
  p->n_hosts++;
  h->name = celslm_strdup(id);
  h->line = e->line;
  if (!celslm_host_read_speeds(h, e, err) ||
      !celslm_element_integer(e, "core", 1, 1000000, 1, &cores, err))
    return false;
  h->cores = (int)cores;
  return true;
}

/* ---- links ----------------------------------------------------------------------------------- */

static bool read_link(celslm_platform *p, const celslm_element *e, celslm_error *err) {
  static const char *const allowed[] = {"id", "bandwidth", "latency", "sharing_policy", NULL};
  static const char *const later[] = {"bandwidth_file", "latency_file", "state_file", NULL};
  static const char *const policies[] = {"SHARED", "FATPIPE", "SPLITDUPLEX", NULL};
  celslm_link *l = &p->links[p->n_links];
  const char *id = NULL;
  int policy;
  if (!celslm_only_attributes(e, allowed, later, err) || !(id = celslm_required_text(e, "id", err)))
    return false;
  if (strcmp(id, "__loopback__") == 0)
    return celslm_element_fail(e, err,
                               "<link> \"__loopback__\" is a name of SimGrid's own; choose "
                               "another");
  p->n_links++;
  l->name = celslm_strdup(id);
  l->line = e->line;
  for (int i = 0; i < e->n_children; i++)
    if (strcmp(e->children[i].name, "prop"))
      return celslm_element_fail(&e->children[i], err,
                                 "<%s> in <link> is not supported yet; allowed: prop",
                                 e->children[i].name);
  if (!celslm_link_read_upkeep(l, e, err) ||
      !celslm_element_quantity(e, "bandwidth", CELSLM_UNIT_RATE, DBL_MIN, INFINITY, NAN,
                               &l->bandwidth, err) ||
      !celslm_element_quantity(e, "latency", CELSLM_UNIT_TIME, 0, 1e6, 0, &l->latency, err) ||
      !celslm_element_choice(e, "sharing_policy", policies, 0, &policy, err))
    return false;
  l->fat_pipe = policy == 1;
  l->split_duplex = policy == 2;
  return true;
}

/* ---- the zone -------------------------------------------------------------------------------- */

static const char *const zone_parts[] = {"host", "router", "link", "route", "prop", NULL};

static bool read_zone_head(celslm_platform *p, celslm_topology *t, const celslm_element *zone,
                           celslm_error *err) {
  static const char *const allowed[] = {"id", "routing", NULL};
  static const char *const routings[] = {"Full", "Floyd", "Dijkstra", "DijkstraCache", NULL};
  const char *id = NULL, *routing = NULL;
  if (!celslm_only_attributes(zone, allowed, NULL, err) ||
      !(id = celslm_required_text(zone, "id", err)) ||
      !(routing = celslm_required_text(zone, "routing", err)))
    return false;
  int which = -1;
  for (int i = 0; routings[i]; i++)
    if (strcmp(routing, routings[i]) == 0) which = i;
  if (which < 0)
    return celslm_element_fail(zone, err,
                               "<zone> routing \"%s\" is not supported; allowed: Full, "
                               "Floyd, Dijkstra, DijkstraCache",
                               routing);
  p->name = celslm_strdup(id);
  t->routing = (celslm_routing)which;
  for (int i = 0; i < zone->n_children; i++) {
    const celslm_element *e = &zone->children[i];
    bool known = false;
    for (int k = 0; zone_parts[k]; k++) known = known || strcmp(zone_parts[k], e->name) == 0;
    if (!known)
      return celslm_element_fail(e, err,
                                 "<%s> inside <zone> is not supported yet; allowed: host, "
                                 "router, link, route, prop",
                                 e->name);
  }
  return true;
}

static bool add_point(celslm_topology *t, const celslm_element *e, const char *name,
                      bool must_connect, celslm_error *err) {
  int before = celslm_index_add(t->point_names, name, t->n_points);
  if (before >= 0)
    return celslm_element_fail(e, err,
                               "a second host or router named \"%s\" (the first is in line "
                               "%d); names must differ",
                               name, t->points[before].line);
  t->points[t->n_points++] = (celslm_point){name, must_connect, e->line};
  return true;
}

/* Names and numbers that stand in the file by themselves, before anything refers to them. */
static bool read_parts(celslm_platform *p, celslm_topology *t, const celslm_element *zone,
                       celslm_error *err) {
  unsigned long n = (unsigned long)zone->n_children;
  p->hosts = celslm_alloc(n, sizeof *p->hosts);
  p->links = celslm_alloc(n, sizeof *p->links);
  p->cells = celslm_alloc(n, sizeof *p->cells);
  t->points = celslm_alloc(n, sizeof *t->points);
  for (int i = 0; i < zone->n_children; i++) {
    const celslm_element *e = &zone->children[i];
    if (strcmp(e->name, "host") == 0 &&
        (!read_host(p, e, err) || !add_point(t, e, p->hosts[p->n_hosts - 1].name, true, err)))
      return false;
  }
  for (int i = 0; i < zone->n_children; i++) {
    const celslm_element *e = &zone->children[i];
    if (strcmp(e->name, "router") == 0) {
      static const char *const allowed[] = {"id", NULL}, *const later[] = {"coordinates", NULL};
      const char *id = NULL;
      if (!celslm_only_attributes(e, allowed, later, err) ||
          !(id = celslm_required_text(e, "id", err)) || !add_point(t, e, id, false, err))
        return false;
    } else if (strcmp(e->name, "link") == 0) {
      if (!read_link(p, e, err)) return false;
      int place = p->n_links - 1,
          before = celslm_index_add(t->link_names, p->links[place].name, place);
      if (before >= 0)
        return celslm_element_fail(e, err,
                                   "a second link named \"%s\" (the first is in line %d); "
                                   "names must differ",
                                   p->links[place].name, p->links[before].line);
    }
  }
  for (int i = 0; i < p->n_links; i++) /* SimGrid names the two halves so */
    for (int up = 0; p->links[i].split_duplex && up < 2; up++) {
      char *half = celslm_format("%s_%s", p->links[i].name, up ? "UP" : "DOWN");
      int other = celslm_index_find(t->link_names, half);
      free(half);
      if (other >= 0)
        return celslm_fail(err, zone->file, p->links[other].line,
                           "link \"%s\" has the name of one half of the SPLITDUPLEX link \"%s\"; "
                           "choose another",
                           p->links[other].name, p->links[i].name);
    }
  if (p->n_hosts == 0)
    return celslm_element_fail(zone, err, "<zone> has no <host>; give at least one");
  if (t->routing == CELSLM_FLOYD && t->n_points > 2000)
    return celslm_element_fail(zone, err,
                               "<zone> routing Floyd with %d hosts would take too long; "
                               "allowed: up to 2000, or DijkstraCache",
                               t->n_points);
  return true;
}

static bool read_roles(celslm_platform *p, celslm_topology *t, const celslm_element *zone,
                       const char *folder, celslm_error *err) {
  int place = 0;
  bool ok = true;
  for (int i = 0; ok && i < zone->n_children; i++) {
    if (strcmp(zone->children[i].name, "host")) continue;
    celslm_element props;
    ok = celslm_properties_gather(&zone->children[i], &props, err) &&
         celslm_band_add(p, &props, &zone->children[i], folder, err) &&
         read_role(p, t, place, &props, folder, err);
    free(props.attributes);
    free(props.name);
    const celslm_host *h = &p->hosts[place];
    if (ok) t->points[place].must_connect = h->role != CELSLM_ROUTER && !h->radio;
    if (ok && h->radio && celslm_topology_touches(t, place))
      ok =
          celslm_element_fail(&zone->children[i], err,
                              "host \"%s\" has celslm.radio and a route; it has a wire or hangs on "
                              "a cell, not both",
                              h->name);
    place++;
  }
  for (int i = 0; ok && i < p->n_cells; i++) {
    const celslm_host *h = &p->hosts[p->cells[i].serves];
    if (h->radio)
      ok = celslm_fail(err, zone->file, p->hosts[p->cells[i].host].line,
                       "cell \"%s\" serves \"%s\", which hangs on a cell itself; give a host with "
                       "a wire",
                       p->hosts[p->cells[i].host].name, h->name);
    else if (h->role != CELSLM_EDGE)
      ok =
          celslm_fail(err, zone->file, p->hosts[p->cells[i].host].line,
                      "cell \"%s\" serves \"%s\", which has the role %s; give a host with the role "
                      "edge",
                      p->hosts[p->cells[i].host].name, h->name, roles[h->role]);
  }
  return ok;
}

/* ---- the copy for SimGrid -------------------------------------------------------------------- */

static char *normalise(const celslm_platform *p, const celslm_topology *t,
                       const celslm_element *zone) {
  static const char *const routings[] = {"Full", "Floyd", "Dijkstra", "DijkstraCache"};
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  char *name = celslm_xml_escape(p->name);
  fprintf(f,
          "<?xml version='1.0'?>\n"
          "<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n"
          "<platform version=\"4.1\">\n  <zone id=\"%s\" routing=\"%s\">\n",
          name, routings[t->routing]);
  free(name);
  for (int i = 0, place = 0; i < zone->n_children; i++) {
    const celslm_element *e = &zone->children[i];
    if (strcmp(e->name, "host")) continue;
    const celslm_host *h = &p->hosts[place++];
    name = celslm_xml_escape(h->name);
    fprintf(f, "    <host id=\"%s\" core=\"%d\"", name, h->cores);
    celslm_host_write_speeds(h, f);
    fputs(">", f);
    free(name);
    for (int k = 0; k < e->n_children; k++) {
      const char *property = celslm_element_attribute(&e->children[k], "id");
      if (strncmp(property, "celslm.", 7) == 0) continue; /* ours: SimGrid has no use for it */
      char *id = celslm_xml_escape(property);
      char *value = celslm_xml_escape(celslm_element_attribute(&e->children[k], "value"));
      fprintf(f, "<prop id=\"%s\" value=\"%s\"/>", id, value);
      free(id);
      free(value);
    }
    fputs("</host>\n", f);
  }
  for (int i = p->n_hosts; i < t->n_points; i++) {
    name = celslm_xml_escape(t->points[i].name);
    fprintf(f, "    <router id=\"%s\"/>\n", name);
    free(name);
  }
  for (int i = 0; i < p->n_links; i++) {
    const celslm_link *l = &p->links[i];
    name = celslm_xml_escape(l->name);
    fprintf(
        f,
        "    <link id=\"%s\" bandwidth=\"%.17gBps\" latency=\"%.17gs\" sharing_policy=\"%s\"/>\n",
        name, l->bandwidth, l->latency,
        l->split_duplex ? "SPLITDUPLEX"
        : l->fat_pipe   ? "FATPIPE"
                        : "SHARED");
    free(name);
  }
  celslm_topology_write_routes(t, p, f);
  fputs("  </zone>\n", f);
  for (int i = 0; i < p->n_hosts; i++) celslm_host_write_profile(&p->hosts[i], i, f);
  fputs("</platform>\n", f);
  fclose(f);
  return text;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static const celslm_element *find_zone(const celslm_element *root, celslm_error *err) {
  static const char *const allowed[] = {"version", NULL};
  const celslm_element *zone = NULL;
  if (strcmp(root->name, "platform")) {
    celslm_element_fail(root, err, "the file is a <%s>; it must be a SimGrid <platform>",
                        root->name);
    return NULL;
  }
  if (!celslm_only_attributes(root, allowed, NULL, err)) return NULL;
  const char *version = celslm_element_attribute(root, "version");
  if (!version || strcmp(version, "4.1")) {
    celslm_element_fail(root, err,
                        "<platform> version \"%s\" is not supported; give version=\"4.1\"",
                        version ? version : "");
    return NULL;
  }
  for (int i = 0; i < root->n_children; i++) {
    const celslm_element *e = &root->children[i];
    if (strcmp(e->name, "zone") || zone) {
      celslm_element_fail(e, err, "%s<%s> in <platform> is not supported yet; allowed: one <zone>",
                          strcmp(e->name, "zone") ? "" : "a second ", e->name);
      return NULL;
    }
    zone = e;
  }
  if (!zone) celslm_element_fail(root, err, "<platform> has no <zone>; give one");
  return zone;
}

static bool read_platform(celslm_platform *p, const celslm_element *root, const char *folder,
                          celslm_error *err) {
  const celslm_element *zone = find_zone(root, err);
  if (!zone) return false;
  celslm_topology t = {.point_names = celslm_index_new(), .link_names = celslm_index_new()};
  bool ok = read_zone_head(p, &t, zone, err) && read_parts(p, &t, zone, err) &&
            celslm_topology_read_routes(&t, p, zone, err) && read_roles(p, &t, zone, folder, err) &&
            celslm_topology_check(&t, zone, err);
  if (ok) {
    p->normalised = normalise(p, &t, zone);
    p->index = celslm_index_new();
    for (int i = 0; i < p->n_hosts; i++) celslm_index_add(p->index, p->hosts[i].name, i);
  }
  celslm_topology_clear(&t);
  return ok;
}

celslm_platform *celslm_platform_load(const char *file, const char *profile_dir,
                                      celslm_error *err) {
  return celslm_platform_load_with(file, profile_dir, NULL, 0, err);
}

celslm_platform *celslm_platform_load_with(const char *file, const char *profile_dir,
                                           const char *const *set, int n_set, celslm_error *err) {
  celslm_xml *x = celslm_xml_open(file, err);
  if (!x) return NULL;
  for (int i = 0; i < n_set; i++)
    if (!celslm_xml_set(x, set[i], err)) {
      celslm_xml_close(x);
      return NULL;
    }
  celslm_platform *p = celslm_alloc(1, sizeof *p);
  p->file = celslm_strdup(file);
  p->text = celslm_xml_text(x);
  char *folder = profile_dir ? celslm_strdup(profile_dir) : celslm_path_beside(file, "profiles");
  celslm_element *root = celslm_xml_elements(x);
  bool ok = read_platform(p, root, folder, err);
  celslm_element_free(root);
  celslm_xml_close(x);
  free(folder);
  if (ok) return p;
  celslm_platform_free(p);
  return NULL;
}

bool celslm_platform_selects(const char *file, const char *xpath, const celslm_element *at,
                             celslm_error *err) {
  celslm_xml *x = celslm_xml_open(file, err);
  bool ok = x && celslm_xml_selects(x, xpath, at, err);
  celslm_xml_close(x);
  return ok;
}

void celslm_platform_free(celslm_platform *p) {
  if (!p) return;
  for (int i = 0; i < p->n_hosts; i++) {
    free(p->hosts[i].name);
    free(p->hosts[i].states);
    free(p->hosts[i].changes);
  }
  for (int i = 0; i < p->n_links; i++) free(p->links[i].name);
  for (int i = 0; i < p->n_profiles; i++) celslm_profile_free(p->profiles[i]);
  for (int i = 0; i < p->n_bands; i++) {
    free(p->bands[i].name);
    free(p->bands[i].text);
    celslm_element_free(p->bands[i].root);
  }
  free(p->bands);
  celslm_index_free(p->index);
  free(p->hosts);
  free(p->links);
  free(p->cells);
  free(p->profiles);
  free(p->file);
  free(p->name);
  free(p->text);
  free(p->normalised);
  free(p);
}

int celslm_platform_host(const celslm_platform *p, const char *name) {
  return celslm_index_find(p->index, name);
}
