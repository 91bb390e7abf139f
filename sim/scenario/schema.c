/* schema.c - checking a document against one of our schemas (see xml.h).
 *
 * libxml2 decides whether a document is valid; what is wrong and what would be allowed we say in
 * our own words, by looking up the declarations in the schema's text. The schemas keep to what
 * `visit` understands: global elements, types, groups and attribute groups by name; sequence,
 * choice, all, extension. Attribute types with a name of the table `quantities` carry a unit; those
 * values are checked here, in one place for all elements, also for those that only a later module
 * understands. */
#include "scenario/xml.h"

#include <libxml/parser.h>
#include <libxml/xmlschemas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *type;
  celslm_unit unit;
  bool may_be_negative;
} quantities[] = {
    {"number", CELSLM_UNIT_NUMBER, false}, {"time", CELSLM_UNIT_TIME, false},
    {"bytes", CELSLM_UNIT_BYTES, false},   {"bandwidth", CELSLM_UNIT_RATE, false},
    {"flops", CELSLM_UNIT_FLOPS, false},   {"frequency", CELSLM_UNIT_FREQ, false},
    {"power", CELSLM_UNIT_POWER, false},   {"dbm", CELSLM_UNIT_DBM, true},
    {"decibel", CELSLM_UNIT_DB, true},     {"length", CELSLM_UNIT_LENGTH, false},
    {"speed", CELSLM_UNIT_SPEED, false},   {"rate", CELSLM_UNIT_COUNTS, false},
    {"energy", CELSLM_UNIT_ENERGY, false}, {"money", CELSLM_UNIT_MONEY, false},
    {"rain", CELSLM_UNIT_RAIN, false},     {"coordinate", CELSLM_UNIT_LENGTH, true},
};

/* ---- looking things up in the schema's text -------------------------------------------------- */

static bool is(const xmlNode *n, const char *kind) {
  return n->type == XML_ELEMENT_NODE && xmlStrEqual(n->name, BAD_CAST kind);
}

/* Value of an attribute of a schema node; "" where absent. Points into the schema. */
static const char *value(const xmlNode *n, const char *name) {
  const xmlAttr *a = xmlHasProp(n, BAD_CAST name);
  return a && a->children && a->children->content ? (const char *)a->children->content : "";
}

static xmlNodePtr global(xmlDocPtr xsd, const char *kind, const char *name) {
  if (*name)
    for (xmlNodePtr n = xmlDocGetRootElement(xsd)->children; n; n = n->next)
      if (is(n, kind) && strcmp(value(n, "name"), name) == 0) return n;
  return NULL;
}

/* Calls fn for every xs:element and xs:attribute that `node` (a type, group or part of one) says,
 * until it returns true. */
typedef bool visitor(xmlNodePtr declaration, void *data);

static bool visit(xmlDocPtr xsd, xmlNodePtr node, visitor *fn, void *data) {
  if (!node) return false;
  for (xmlNodePtr n = node->children; n; n = n->next) {
    if (n->type != XML_ELEMENT_NODE || is(n, "annotation") || is(n, "simpleType")) continue;
    if (is(n, "element") || is(n, "attribute")) {
      if (fn(n, data)) return true;
    } else if (is(n, "group") || is(n, "attributeGroup")) {
      if (visit(xsd, global(xsd, (const char *)n->name, value(n, "ref")), fn, data)) return true;
    } else {
      if (is(n, "extension") && visit(xsd, global(xsd, "complexType", value(n, "base")), fn, data))
        return true;
      if (visit(xsd, n, fn, data)) return true;
    }
  }
  return false;
}

typedef struct find_data {
  const char *kind, *name;
  xmlNodePtr found;
} find_data;

static bool find_named(xmlNodePtr n, void *data) {
  find_data *f = data;
  if (!is(n, f->kind) || strcmp(value(n, "name"), f->name)) return false;
  f->found = n;
  return true;
}

static xmlNodePtr type_of(xmlDocPtr xsd, xmlNodePtr declaration) {
  for (xmlNodePtr n = declaration->children; n; n = n->next)
    if (is(n, "complexType")) return n;
  return global(xsd, "complexType", value(declaration, "type"));
}

static xmlNodePtr find_in_type(xmlDocPtr xsd, xmlNodePtr declaration, const char *kind,
                               const char *name) {
  find_data f = {kind, name, NULL};
  visit(xsd, type_of(xsd, declaration), find_named, &f);
  return f.found;
}

/* The declaration of a document's element; NULL: it is not declared where it stands. */
static xmlNodePtr declaration_of(xmlDocPtr xsd, const xmlNode *e) {
  if (e->ns) return NULL;
  if (!e->parent || e->parent->type != XML_ELEMENT_NODE)
    return global(xsd, "element", (const char *)e->name);
  xmlNodePtr parent = declaration_of(xsd, e->parent);
  return parent ? find_in_type(xsd, parent, "element", (const char *)e->name) : NULL;
}

typedef struct list_data {
  const char *kind;
  char text[700];
} list_data;

static bool append(xmlNodePtr n, void *data) {
  list_data *l = data;
  if (!is(n, l->kind)) return false;
  size_t at = strlen(l->text);
  bool element = is(n, "element");
  snprintf(l->text + at, sizeof l->text - at, "%s%s%s%s", at ? ", " : "", element ? "<" : "",
           value(n, "name"), element ? ">" : "");
  return false;
}

static void list(xmlDocPtr xsd, xmlNodePtr declaration, const char *kind, list_data *l) {
  l->kind = kind;
  l->text[0] = 0;
  visit(xsd, type_of(xsd, declaration), append, l);
  if (!l->text[0]) snprintf(l->text, sizeof l->text, "none");
}

/* Its xs:documentation, or "". Points into the schema. */
static const char *documentation(const xmlNode *n) {
  for (const xmlNode *a = n ? n->children : NULL; a; a = a->next)
    for (const xmlNode *d = is(a, "annotation") ? a->children : NULL; d; d = d->next)
      if (is(d, "documentation") && d->children && d->children->content)
        return (const char *)d->children->content;
  return "";
}

/* What values an attribute takes, in words. */
static void allowed_values(xmlDocPtr xsd, xmlNodePtr attribute, char *text, size_t size) {
  text[0] = 0;
  for (size_t i = 0; i < sizeof quantities / sizeof *quantities; i++)
    if (strcmp(value(attribute, "type"), quantities[i].type) == 0) {
      snprintf(text, size, "give %s", celslm_unit_example(quantities[i].unit));
      return;
    }
  xmlNodePtr type = global(xsd, "simpleType", value(attribute, "type"));
  for (xmlNodePtr n = attribute->children; n; n = n->next)
    if (is(n, "simpleType")) type = n;
  for (xmlNodePtr r = type ? type->children : NULL; r; r = r->next)
    for (xmlNodePtr v = is(r, "restriction") ? r->children : NULL; v; v = v->next)
      if (is(v, "enumeration")) {
        size_t at = strlen(text);
        snprintf(text + at, size - at, "%s%s", at ? ", " : "allowed: ", value(v, "value"));
      }
  if (!text[0] && documentation(type)[0]) snprintf(text, size, "give %s", documentation(type));
  if (!text[0]) snprintf(text, size, "give %s", documentation(attribute));
  size_t n = strlen(text);
  while (n && (text[n - 1] == '.' || text[n - 1] == ' ' || text[n - 1] == '\n')) text[--n] = 0;
}

/* ---- saying what is wrong -------------------------------------------------------------------- */

typedef struct missing_data {
  const xmlNode *element;
  xmlNodePtr found;
} missing_data;

static bool is_missing(xmlNodePtr n, void *data) {
  missing_data *m = data;
  if (!is(n, "attribute") || strcmp(value(n, "use"), "required") ||
      xmlHasNsProp(m->element, BAD_CAST value(n, "name"), NULL))
    return false;
  m->found = n;
  return true;
}

/* Names and values of one element's attributes; `suspect` is the one whose value libxml2 refused,
 * or
 * "". True: nothing wrong with them, as far as we see. */
static bool check_attributes(const celslm_xml *x, xmlDocPtr xsd, const xmlNode *e,
                             xmlNodePtr declaration, const char *suspect, celslm_error *err) {
  const char *file = celslm_xml_node_file(x, e), *name = (const char *)e->name;
  int line = celslm_xml_node_line(e);
  char allowed[800];
  list_data l;
  for (const xmlAttr *a = e->properties; a; a = a->next)
    if (a->ns ? !xmlStrEqual(a->ns->prefix, BAD_CAST "xsi")
              : !find_in_type(xsd, declaration, "attribute", (const char *)a->name)) {
      list(xsd, declaration, "attribute", &l);
      return celslm_fail(err, file, line, "<%s> has no attribute \"%s\"; allowed: %s", name,
                         (const char *)a->name, l.text);
    }
  missing_data m = {e, NULL};
  if (visit(xsd, type_of(xsd, declaration), is_missing, &m)) {
    const char *attribute = value(m.found, "name"), *text = documentation(m.found);
    size_t n = strlen(text);
    return celslm_fail(err, file, line, "<%s> lacks the attribute \"%s\"; give %s=\"...\" (%.*s)",
                       name, attribute, attribute, (int)(n && text[n - 1] == '.' ? n - 1 : n),
                       text);
  }
  if (suspect[0]) {
    xmlNodePtr d = find_in_type(xsd, declaration, "attribute", suspect);
    if (d) {
      allowed_values(xsd, d, allowed, sizeof allowed);
      return celslm_fail(err, file, line, "<%s> %s \"%.60s\" is not allowed; %s", name, suspect,
                         value(e, suspect), allowed);
    }
  }
  return true;
}

/* The names after "Expected is" in libxml2's message, as we write them. */
static void expected(const char *message, char *text, size_t size) {
  text[0] = 0;
  const char *p = strstr(message, "Expected is");
  p = p ? strchr(p, '(') : NULL;
  for (bool first = true; p && *p && *p != ')'; first = false) {
    p += strspn(p, "( ,");
    size_t n = strcspn(p, " ,)"), at = strlen(text);
    if (n) snprintf(text + at, size - at, "%s<%.*s>", first ? "" : " or ", (int)n, p);
    p += n;
    p += strspn(p, " ,");
  }
}

static void explain(const celslm_xml *x, xmlDocPtr xsd, const celslm_xml_catch *c,
                    celslm_error *err) {
  const xmlNode *e = c->node;
  if (e && e->type == XML_ATTRIBUTE_NODE) e = e->parent;
  if (!e || e->type != XML_ELEMENT_NODE) e = xmlDocGetRootElement(x->doc);
  const char *file = celslm_xml_node_file(x, e), *name = (const char *)e->name;
  int line = celslm_xml_node_line(e);
  list_data l;

  xmlNodePtr declaration = declaration_of(xsd, e);
  if (!declaration) {
    const xmlNode *parent = e->parent;
    if (!parent || parent->type != XML_ELEMENT_NODE) {
      const xmlNode *top = xmlDocGetRootElement(xsd)->children;
      while (top && !is(top, "element")) top = top->next;
      celslm_fail(err, file, line, "the file is a <%s>; it must be a <%s>", name,
                  top ? value(top, "name") : "");
      return;
    }
    xmlNodePtr outer = declaration_of(xsd, parent);
    if (outer) {
      list(xsd, outer, "element", &l);
      celslm_fail(err, file, line, "<%s> has no <%s> in it; allowed: %s",
                  (const char *)parent->name, name, l.text);
      return;
    }
  } else {
    char suspect[100] = "";
    const char *quoted = strstr(c->message, "attribute '");
    if (quoted) sscanf(quoted, "attribute '%99[^']", suspect);
    if (!check_attributes(x, xsd, e, declaration, suspect, err)) return;
    for (const xmlNode *t = e->children; t; t = t->next)
      if (t->type == XML_TEXT_NODE && t->content &&
          strspn((const char *)t->content, " \t\r\n") != strlen((const char *)t->content)) {
        celslm_fail(err, file, line,
                    "<%s> holds text; allowed in it are only elements and attributes", name);
        return;
      }
  }
  char names[400];
  expected(c->message, names, sizeof names);
  if (names[0] && strstr(c->message, "Missing child"))
    celslm_fail(err, file, line, "<%s> is not complete; it needs %s", name, names);
  else if (names[0])
    celslm_fail(err, file, line, "<%s> cannot stand here; allowed: %s", name, names);
  else if (strstr(c->message, "not expected"))
    celslm_fail(err, file, line, "<%s> cannot stand here; nothing more is allowed in <%s>", name,
                e->parent && e->parent->name ? (const char *)e->parent->name : "");
  else
    celslm_fail(err, file, line, "%s; see the schema", c->message);
}

/* ---- units, and the whole check -------------------------------------------------------------- */

static bool check_units(const celslm_xml *x, xmlDocPtr xsd, const xmlNode *e,
                        xmlNodePtr declaration, celslm_error *err) {
  for (const xmlAttr *a = e->properties; a; a = a->next) {
    xmlNodePtr d =
        a->ns ? NULL : find_in_type(xsd, declaration, "attribute", (const char *)a->name);
    for (size_t i = 0; d && i < sizeof quantities / sizeof *quantities; i++) {
      if (strcmp(value(d, "type"), quantities[i].type)) continue;
      double v;
      char why[300];
      if (!celslm_parse_quantity(value(e, (const char *)a->name), quantities[i].unit, &v, why,
                                 sizeof why))
        return celslm_fail(err, celslm_xml_node_file(x, e), celslm_xml_node_line(e), "<%s> %s %s",
                           (const char *)e->name, (const char *)a->name, why);
      if (v < 0 && !quantities[i].may_be_negative)
        return celslm_fail(err, celslm_xml_node_file(x, e), celslm_xml_node_line(e),
                           "<%s> %s \"%.60s\": negative; it must be at least 0",
                           (const char *)e->name, (const char *)a->name,
                           value(e, (const char *)a->name));
    }
  }
  for (const xmlNode *c = e->children; c; c = c->next)
    if (c->type == XML_ELEMENT_NODE) {
      xmlNodePtr d = find_in_type(xsd, declaration, "element", (const char *)c->name);
      if (d && !check_units(x, xsd, c, d, err)) return false;
    }
  return true;
}

bool celslm_xml_validate(const celslm_xml *x, const char *schema, celslm_error *err) {
  celslm_xml_catch c;
  celslm_xml_catch_begin(&c);
  int size = (int)strlen(schema);
  xmlSchemaParserCtxtPtr parser = xmlSchemaNewMemParserCtxt(schema, size);
  xmlSchemaPtr compiled = xmlSchemaParse(parser);
  xmlSchemaFreeParserCtxt(parser);
  xmlDocPtr xsd = xmlReadMemory(schema, size, "schema", NULL, XML_PARSE_NONET | XML_PARSE_NOBLANKS);
  bool ok = compiled && xsd;
  if (!ok) celslm_fail(err, NULL, 0, "the built-in schema is broken: %s", c.message);
  if (ok) {
    xmlSchemaValidCtxtPtr valid = xmlSchemaNewValidCtxt(compiled);
    ok = xmlSchemaValidateDoc(valid, x->doc) == 0;
    xmlSchemaFreeValidCtxt(valid);
    if (!ok) explain(x, xsd, &c, err);
  }
  if (ok) {
    const xmlNode *root = xmlDocGetRootElement(x->doc);
    ok = check_units(x, xsd, root, declaration_of(xsd, root), err);
  }
  if (compiled) xmlSchemaFree(compiled);
  if (xsd) xmlFreeDoc(xsd);
  celslm_xml_catch_end(&c);
  return ok;
}
