/* xml.c - files to documents to plain elements (see xml.h).
 *
 * Files are read by us, not by libxml2's input layer: so there is one place for the size limit, no
 * transparent decompression, and no URL is ever resolved. xi:include is done here as well, on the
 * parsed tree: local files, whole documents, with a limit on depth, number and total size. */
#include "scenario/xml.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XINCLUDE "http://www.w3.org/2001/XInclude"

/* ---- silence --------------------------------------------------------------------------------- */

#if LIBXML_VERSION >= 21200
typedef const xmlError *message;
#else
typedef xmlErrorPtr message;
#endif

static void on_message(void *data, message m) {
  celslm_xml_catch *c = data;
  if (c->caught || m->level < XML_ERR_ERROR) return;
  c->caught = true;
  c->code = m->code;
  c->line = m->line;
  c->node = m->domain == XML_FROM_SCHEMASV ? m->node : NULL;
  snprintf(c->message, sizeof c->message, "%s", m->message ? m->message : "unknown");
  size_t n = strlen(c->message);
  while (n && (c->message[n - 1] == '\n' || c->message[n - 1] == ' ' || c->message[n - 1] == '.'))
    c->message[--n] = 0;
}

void celslm_xml_catch_begin(celslm_xml_catch *c) {
  memset(c, 0, sizeof *c);
  xmlStructuredErrorFunc old = xmlStructuredError;
  memcpy(&c->old_function, &old, sizeof old);
  c->old_context = xmlStructuredErrorContext;
  xmlSetStructuredErrorFunc(c, on_message);
}

void celslm_xml_catch_end(celslm_xml_catch *c) {
  xmlStructuredErrorFunc old;
  memcpy(&old, &c->old_function, sizeof old);
  xmlSetStructuredErrorFunc(c->old_context, old);
  xmlResetLastError();
}

/* ---- names of files -------------------------------------------------------------------------- */

char *celslm_path_beside(const char *from, const char *name) {
  const char *slash = strrchr(from, '/');
  if (name[0] == '/' || !slash) return celslm_strdup(name);
  return celslm_format("%.*s%s", (int)(slash - from + 1), from, name);
}

/* Local means: no scheme such as http: before the first slash. */
static bool is_local(const char *name) {
  size_t n = strcspn(name, ":/");
  return name[n] != ':';
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The whole of a regular file, at most `limit` bytes; *why says what failed. */
static char *read_file(const char *file, long limit, long *size, const char **why) {
  int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  struct stat st;
  *why = NULL;
  if (fd < 0 || fstat(fd, &st) < 0) {
    *why = strerror(errno);
    if (fd >= 0) close(fd);
    return NULL;
  }
  if (!S_ISREG(st.st_mode)) *why = S_ISDIR(st.st_mode) ? "it is a folder" : "not a regular file";
  if (!*why && st.st_size > limit) *why = "larger than 16 MiB";
  char *text = NULL;
  long at = 0;
  if (!*why) {
    long room = (long)st.st_size + 1;
    text = celslm_alloc((unsigned long)room + 1, 1);
    for (ssize_t n; !*why && (n = read(fd, text + at, (size_t)(room - at))) != 0;) {
      if (n < 0 && errno == EINTR) continue;
      if (n < 0)
        *why = strerror(errno);
      else if ((at += n) == room)
        *why = "it grew while it was read";
    }
  }
  close(fd);
  if (*why) {
    free(text);
    return NULL;
  }
  *size = at;
  return text;
}

/* Entities (and with them "billion laughs"), defaulted attributes, notations: one answer to all. */
static void refuse(void *context) {
  xmlParserCtxtPtr p = context;
  bool *declared = p->_private;
  *declared = true;
  xmlStopParser(p);
}
static void on_entity(void *c, const xmlChar *n, int t, const xmlChar *p, const xmlChar *s,
                      xmlChar *v) {
  (void)n, (void)t, (void)p, (void)s, (void)v;
  refuse(c);
}
static void on_attribute(void *c, const xmlChar *e, const xmlChar *n, int t, int d,
                         const xmlChar *v, xmlEnumerationPtr tree) {
  (void)e, (void)n, (void)t, (void)d, (void)v;
  xmlFreeEnumeration(tree);
  refuse(c);
}
static void on_element(void *c, const xmlChar *n, int t, xmlElementContentPtr content) {
  (void)n, (void)t, (void)content;
  refuse(c);
}
static void on_notation(void *c, const xmlChar *n, const xmlChar *p, const xmlChar *s) {
  (void)n, (void)p, (void)s;
  refuse(c);
}
static void on_unparsed(void *c, const xmlChar *n, const xmlChar *p, const xmlChar *s,
                        const xmlChar *notation) {
  (void)n, (void)p, (void)s, (void)notation;
  refuse(c);
}

/* One file's text to a tree. */
static xmlDocPtr parse(const char *text, long size, const char *file, celslm_error *err) {
  if (strspn(text, " \t\r\n") == (size_t)size) {
    celslm_fail(err, file, 0, "the file is empty; give an XML document");
    return NULL;
  }
  bool declared = false;
  celslm_xml_catch c;
  celslm_xml_catch_begin(&c);
  xmlParserCtxtPtr p = xmlNewParserCtxt();
  p->_private = &declared;
  p->sax->entityDecl = on_entity;
  p->sax->attributeDecl = on_attribute;
  p->sax->elementDecl = on_element;
  p->sax->notationDecl = on_notation;
  p->sax->unparsedEntityDecl = on_unparsed;
  xmlDocPtr doc = xmlCtxtReadMemory(p, text, (int)size, file, NULL,
                                    XML_PARSE_NONET | XML_PARSE_BIG_LINES | XML_PARSE_NOBASEFIX |
                                        XML_PARSE_NOCDATA);
  int line = c.caught ? c.line : p->input ? p->input->line : 0;
  bool ok = doc && !c.caught && !declared && xmlDocGetRootElement(doc);
  xmlFreeParserCtxt(p);
  celslm_xml_catch_end(&c);
  if (ok) return doc;
  if (doc) xmlFreeDoc(doc);
  if (declared)
    celslm_fail(err, file, line,
                "a declaration inside <!DOCTYPE ...>; entities and other declarations are not "
                "allowed, write the values out");
  else
    celslm_fail(err, file, line,
                "not well-formed XML: %s; every element must be closed and every value quoted",
                c.caught ? c.message : "no root element");
  return NULL;
}

/* ---- includes -------------------------------------------------------------------------------- */

const char *celslm_xml_node_file(const celslm_xml *x, const struct _xmlNode *node) {
  for (; node && node->type != XML_DOCUMENT_NODE; node = node->parent)
    if (node->type == XML_ELEMENT_NODE && node->_private) return node->_private;
  return x->file;
}

int celslm_xml_node_line(const struct _xmlNode *node) {
  if (node->type == XML_ATTRIBUTE_NODE) node = node->parent;
  return (int)xmlGetLineNo(node);
}

/* Moving a tree into another document makes libxml2 forget its lines; these bring them back. */
typedef struct lines {
  struct {
    unsigned short line;
    void *psvi; /* holds lines above 65535, at text nodes */
  } * at;
  unsigned long n, room;
} lines;

static void keep_lines(xmlNodePtr node, lines *l, bool put_back) {
  if (put_back) {
    node->line = l->at[l->n].line;
    node->psvi = l->at[l->n++].psvi;
  } else {
    if (l->n == l->room) l->at = celslm_realloc(l->at, l->room = 2 * l->room + 64, sizeof *l->at);
    l->at[l->n].line = node->line;
    l->at[l->n++].psvi = node->psvi;
  }
  for (xmlNodePtr c = node->children; c; c = c->next)
    if (c->type == XML_ELEMENT_NODE || c->type == XML_TEXT_NODE) keep_lines(c, l, put_back);
}

static bool expand(celslm_xml *x, xmlNodePtr node, int depth, celslm_error *err);

/* Replaces one xi:include by the root element of the file that it names. */
static bool include(celslm_xml *x, xmlNodePtr node, int depth, celslm_error *err) {
  const char *at = celslm_xml_node_file(x, node);
  int line = celslm_xml_node_line(node);
  for (xmlAttrPtr a = node->properties; a; a = a->next) {
    const char *name = (const char *)a->name;
    if (strcmp(name, "href") &&
        (strcmp(name, "parse") ||
         !xmlStrEqual(a->children ? a->children->content : NULL, BAD_CAST "xml")))
      return celslm_fail(err, at, line,
                         "xi:include with %s is not supported; allowed: href, parse=\"xml\"", name);
  }
  for (xmlNodePtr c = node->children; c; c = c->next)
    if (c->type == XML_ELEMENT_NODE)
      return celslm_fail(err, at, line,
                         "<%s> inside xi:include is not supported; leave xi:include empty",
                         (const char *)c->name);
  xmlChar *href = xmlGetNoNsProp(node, BAD_CAST "href");
  if (!href || !href[0] || !is_local((const char *)href)) {
    celslm_fail(err, at, line, "xi:include of \"%s\"; only local files can be included",
                href ? (const char *)href : "");
    xmlFree(href);
    return false;
  }
  char *file = celslm_path_beside(at, (const char *)href);
  xmlFree(href);
  if (depth >= CELSLM_XML_MAX_DEPTH || x->n_files >= CELSLM_XML_MAX_FILES) {
    celslm_fail(err, at, line,
                "xi:include of \"%s\": too many includes; at most %d files, %d levels deep", file,
                CELSLM_XML_MAX_FILES, CELSLM_XML_MAX_DEPTH);
    free(file);
    return false;
  }
  x->files = celslm_realloc(x->files, (unsigned long)x->n_files + 1, sizeof *x->files);
  x->files[x->n_files++] = file;

  long size = 0;
  const char *why;
  char *text = read_file(file, CELSLM_XML_MAX_BYTES - x->bytes, &size, &why);
  if (!text)
    return celslm_fail(err, at, line,
                       "cannot include \"%s\": %s; give an XML file (all together at most 16 MiB)",
                       file, why);
  x->bytes += size;
  xmlDocPtr part = parse(text, size, file, err);
  free(text);
  if (!part) return false;

  xmlNodePtr root = xmlDocGetRootElement(part);
  lines kept = {0};
  keep_lines(root, &kept, false);
  bool ok = xmlDOMWrapAdoptNode(NULL, part, root, x->doc, node->parent, 0) == 0;
  if (ok) {
    kept.n = 0;
    keep_lines(root, &kept, true);
    xmlReplaceNode(node, root);
    xmlFreeNode(node);
    root->_private = file;
  }
  free(kept.at);
  xmlFreeDoc(part);
  if (!ok) return celslm_fail(err, at, line, "cannot include \"%s\"; give an XML file", file);
  return expand(x, root, depth + 1, err);
}

static bool is_include(const xmlNode *n) {
  return n->ns && xmlStrEqual(n->ns->href, BAD_CAST XINCLUDE) &&
         xmlStrEqual(n->name, BAD_CAST "include");
}

/* All includes below (and at) `node`; also refuses references to entities that nobody declared. */
static bool expand(celslm_xml *x, xmlNodePtr node, int depth, celslm_error *err) {
  if (node->type == XML_ENTITY_REF_NODE)
    return celslm_fail(err, celslm_xml_node_file(x, node), celslm_xml_node_line(node->parent),
                       "&%s; is not known; allowed: &lt; &gt; &amp; &quot; &apos;",
                       (const char *)node->name);
  if (node->type != XML_ELEMENT_NODE) return true;
  if (is_include(node)) return include(x, node, depth, err);
  for (xmlAttrPtr a = node->properties; a; a = a->next)
    for (xmlNodePtr c = a->children; c; c = c->next)
      if (c->type == XML_ENTITY_REF_NODE)
        return celslm_fail(err, celslm_xml_node_file(x, node), celslm_xml_node_line(node),
                           "&%s; is not known; allowed: &lt; &gt; &amp; &quot; &apos;",
                           (const char *)c->name);
  for (xmlNodePtr c = node->children, next; c; c = next) {
    next = c->next; /* c may be replaced */
    if (!expand(x, c, depth, err)) return false;
  }
  return true;
}

/* ---- documents ------------------------------------------------------------------------------- */

static celslm_xml *finish(celslm_xml *x, const char *text, long size, celslm_error *err) {
  x->bytes = size;
  x->doc = parse(text, size, x->file, err);
  celslm_xml_catch c; /* XPath and tree functions may speak as well */
  celslm_xml_catch_begin(&c);
  bool ok = x->doc && expand(x, xmlDocGetRootElement(x->doc), 0, err);
  celslm_xml_catch_end(&c);
  if (ok) return x;
  celslm_xml_close(x);
  return NULL;
}

celslm_xml *celslm_xml_open(const char *file, celslm_error *err) {
  long size = 0;
  const char *why;
  char *text = read_file(file, CELSLM_XML_MAX_BYTES, &size, &why);
  if (!text) {
    celslm_fail(err, file, 0, "cannot be read: %s; give an XML file of at most 16 MiB", why);
    return NULL;
  }
  celslm_xml *x = celslm_alloc(1, sizeof *x);
  x->file = celslm_strdup(file);
  x = finish(x, text, size, err);
  free(text);
  return x;
}

celslm_xml *celslm_xml_parse(const char *text, const char *file, celslm_error *err) {
  size_t size = strlen(text);
  if (size > CELSLM_XML_MAX_BYTES) {
    celslm_fail(err, file, 0, "larger than 16 MiB; give an XML document of at most 16 MiB");
    return NULL;
  }
  celslm_xml *x = celslm_alloc(1, sizeof *x);
  x->file = celslm_strdup(file);
  return finish(x, text, (long)size, err);
}

void celslm_xml_close(celslm_xml *x) {
  if (!x) return;
  if (x->doc) xmlFreeDoc(x->doc);
  for (int i = 0; i < x->n_files; i++) free(x->files[i]);
  free(x->files);
  free(x->file);
  free(x);
}

char *celslm_xml_text(const celslm_xml *x) {
  xmlChar *text = NULL;
  int size = 0;
  xmlDocDumpMemoryEnc(x->doc, &text, &size, "UTF-8");
  char *copy = celslm_alloc((unsigned long)size + 1, 1);
  if (text) memcpy(copy, text, (size_t)size);
  xmlFree(text);
  return copy;
}

char *celslm_xml_escape(const char *text) {
  char *out = celslm_alloc(6 * strlen(text) + 1, 1), *to = out;
  for (const char *p = text; *p; p++) switch (*p) {
    case '<':
      to = stpcpy(to, "&lt;");
      break;
    case '>':
      to = stpcpy(to, "&gt;");
      break;
    case '&':
      to = stpcpy(to, "&amp;");
      break;
    case '"':
      to = stpcpy(to, "&quot;");
      break;
    case '\n':
      to = stpcpy(to, "&#10;");
      break;
    case '\t':
      to = stpcpy(to, "&#9;");
      break;
    default:
      *to++ = *p;
    }
  return out;
}

/* ---- plain elements -------------------------------------------------------------------------- */

static void convert(const celslm_xml *x, const xmlNode *node, const char *file, celslm_element *e) {
  if (node->_private) file = node->_private;
  e->name = celslm_strdup((const char *)node->name);
  e->file = celslm_strdup(file);
  e->line = celslm_xml_node_line(node);
  int n = 0;
  for (const xmlAttr *a = node->properties; a; a = a->next) n += !a->ns;
  e->attributes = celslm_alloc((unsigned long)n, sizeof *e->attributes);
  for (const xmlAttr *a = node->properties; a; a = a->next) {
    if (a->ns) continue;
    xmlChar *value = xmlNodeGetContent((const xmlNode *)a);
    e->attributes[e->n_attributes++] = (celslm_attribute){
        celslm_strdup((const char *)a->name), celslm_strdup(value ? (const char *)value : "")};
    xmlFree(value);
  }
  n = 0;
  for (const xmlNode *c = node->children; c; c = c->next) n += c->type == XML_ELEMENT_NODE;
  e->children = celslm_alloc((unsigned long)n, sizeof *e->children);
  for (const xmlNode *c = node->children; c; c = c->next)
    if (c->type == XML_ELEMENT_NODE) convert(x, c, file, &e->children[e->n_children++]);
}

celslm_element *celslm_xml_elements(const celslm_xml *x) {
  celslm_element *root = celslm_alloc(1, sizeof *root);
  convert(x, xmlDocGetRootElement(x->doc), x->file, root);
  return root;
}

static void clear(celslm_element *e) {
  for (int i = 0; i < e->n_attributes; i++) {
    free(e->attributes[i].name);
    free(e->attributes[i].value);
  }
  for (int i = 0; i < e->n_children; i++) clear(&e->children[i]);
  free(e->attributes);
  free(e->children);
  free(e->name);
  free(e->file);
}

void celslm_element_free(celslm_element *root) {
  if (!root) return;
  clear(root);
  free(root);
}
