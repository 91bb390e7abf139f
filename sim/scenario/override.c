/* override.c - `--set 'XPath=value'` and the XPaths of sweep axes (see xml.h).
 *
 * There is no second set of parameter names: an XPath addresses an attribute as it stands in the
 * file, after includes. An attribute that is not written cannot be addressed, so a misspelt path
 * never silently does nothing. */
#include "scenario/xml.h"

#include <libxml/xmlstring.h>
#include <libxml/xpath.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first '=' outside of quotes and brackets; NULL: none. */
static const char *find_equals(const char *s) {
  int depth = 0;
  char quote = 0;
  for (; *s; s++) {
    if (quote) {
      if (*s == quote) quote = 0;
    } else if (*s == '"' || *s == '\'')
      quote = *s;
    else if (*s == '[' || *s == '(')
      depth++;
    else if (*s == ']' || *s == ')')
      depth--;
    else if (*s == '=' && depth <= 0)
      return s;
  }
  return NULL;
}

static xmlXPathObjectPtr evaluate(celslm_xml *x, const char *xpath) {
  celslm_xml_catch c;
  celslm_xml_catch_begin(&c);
  xmlXPathContextPtr context = xmlXPathNewContext(x->doc);
  context->node = xmlDocGetRootElement(x->doc);
  context->opLimit = 10000000;
  xmlXPathObjectPtr found = xmlXPathEvalExpression(BAD_CAST xpath, context);
  xmlXPathFreeContext(context);
  celslm_xml_catch_end(&c);
  return found;
}

/* "a, b, c": the attributes that can be addressed where the path without its last /@name leads;
 * empty if that leads nowhere either. */
static void list_attributes(celslm_xml *x, const char *xpath, char *list, size_t size) {
  list[0] = 0;
  const char *at = strrchr(xpath, '@');
  if (!at || at == xpath || at[-1] != '/' || at - 1 == xpath) return;
  char *parent = celslm_format("%.*s", (int)(at - 1 - xpath), xpath);
  if (parent[0] && parent[strlen(parent) - 1] != '/') {
    xmlXPathObjectPtr o = evaluate(x, parent);
    if (o && o->type == XPATH_NODESET && o->nodesetval && o->nodesetval->nodeNr > 0 &&
        o->nodesetval->nodeTab[0]->type == XML_ELEMENT_NODE)
      for (xmlAttrPtr a = o->nodesetval->nodeTab[0]->properties; a; a = a->next) {
        size_t n = strlen(list);
        snprintf(list + n, size - n, "%s%s", n ? ", " : "", (const char *)a->name);
      }
    xmlXPathFreeObject(o);
  }
  free(parent);
}

/* Calls nothing, changes nothing: the attributes that `xpath` selects, or NULL and an error that
 * begins with `what`. */
static xmlXPathObjectPtr select_attributes(celslm_xml *x, const char *xpath, const char *what,
                                           const char *file, int line, celslm_error *err) {
  xmlXPathObjectPtr found = evaluate(x, xpath);
  if (!found || found->type != XPATH_NODESET) {
    celslm_fail(err, file, line,
                "%s \"%s\" is not an XPath to attributes; give one such as "
                "//engine[@name='cloud']/@kv",
                what, xpath);
    if (found) xmlXPathFreeObject(found);
    return NULL;
  }
  int n = found->nodesetval ? found->nodesetval->nodeNr : 0;
  bool ok = n > 0;
  for (int i = 0; i < n; i++)
    if (found->nodesetval->nodeTab[i]->type != XML_ATTRIBUTE_NODE) {
      celslm_fail(
          err, file, line,
          "%s \"%s\" selects <%s>, not an attribute; end it with /@ and an attribute's name", what,
          xpath,
          found->nodesetval->nodeTab[i]->name ? (const char *)found->nodesetval->nodeTab[i]->name
                                              : "");
      ok = false;
      break;
    }
  if (n == 0) {
    char list[512];
    list_attributes(x, xpath, list, sizeof list);
    if (list[0])
      celslm_fail(err, file, line,
                  "%s \"%s\" selects nothing; attributes written there: %s (write the attribute "
                  "into the file to make it addressable)",
                  what, xpath, list);
    else
      celslm_fail(err, file, line,
                  "%s \"%s\" selects nothing; it must lead to an attribute that is written in %s",
                  what, xpath, x->file);
  }
  if (ok) return found;
  xmlXPathFreeObject(found);
  return NULL;
}

bool celslm_xml_set(celslm_xml *x, const char *assignment, celslm_error *err) {
  const char *equals = find_equals(assignment);
  if (!equals || equals == assignment)
    return celslm_fail(err, NULL, 0,
                       "--set \"%s\": no XPath=value; give for example "
                       "--set \"//workload/@requests=100\"",
                       assignment);
  for (const char *p = assignment; *p; p++)
    if ((unsigned char)*p < ' ')
      return celslm_fail(err, NULL, 0, "--set \"%s\": a control character; give plain text",
                         assignment);
  if (!xmlCheckUTF8(BAD_CAST assignment))
    return celslm_fail(err, NULL, 0, "--set: not UTF-8; give plain text");
  char *xpath = celslm_format("%.*s", (int)(equals - assignment), assignment);
  xmlXPathObjectPtr found = select_attributes(x, xpath, "--set", NULL, 0, err);
  free(xpath);
  if (!found) return false;
  for (int i = 0; i < found->nodesetval->nodeNr; i++) {
    xmlNodePtr a = found->nodesetval->nodeTab[i]; /* changed in place: the pointers stay good */
    xmlSetNsProp(a->parent, a->ns, a->name, BAD_CAST(equals + 1));
  }
  xmlXPathFreeObject(found);
  return true;
}

void celslm_xml_seed(celslm_xml *x, uint64_t seed) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
  xmlSetProp(xmlDocGetRootElement(x->doc), BAD_CAST "seed", BAD_CAST text);
}

bool celslm_xml_selects(celslm_xml *x, const char *xpath, const celslm_element *at,
                        celslm_error *err) {
  xmlXPathObjectPtr found = select_attributes(x, xpath, "select", at->file, at->line, err);
  if (found) xmlXPathFreeObject(found);
  return found != NULL;
}
