/* xml.h - reading XML safely: the only door between libxml2 and the rest of sim/scenario.
 *
 * A celslm_xml is one document, its xi:include'd files spliced in, ready for overrides, validation
 * and conversion to plain elements. What must hold: nothing is fetched from a network, no entity
 * or other declaration is accepted, all files of a document together stay below
 * CELSLM_XML_MAX_BYTES, and libxml2 itself never prints.
 * Internal to sim/scenario. */
#ifndef CELSLM_SCENARIO_XML_H
#define CELSLM_SCENARIO_XML_H

#include "scenario/element.h"

#include <stdint.h>

#define CELSLM_XML_MAX_BYTES (16l << 20)
#define CELSLM_XML_MAX_FILES 256
#define CELSLM_XML_MAX_DEPTH 8

struct _xmlDoc;
struct _xmlNode;

typedef struct celslm_xml {
  struct _xmlDoc *doc;
  char *file;   /* as the user would open it */
  char **files; /* of included parts; the nodes' _private point at them */
  int n_files;
  long bytes; /* read so far, over all files */
} celslm_xml;

/* NULL on failure. */
celslm_xml *celslm_xml_open(const char *file, celslm_error *err);
celslm_xml *celslm_xml_parse(const char *text, const char *file, celslm_error *err);
void celslm_xml_close(celslm_xml *x);

/* Applies "XPath=value": every attribute that the XPath selects (relative to the root element, or
 * absolute) takes the value. Selecting nothing, or something else than attributes, is an error. */
bool celslm_xml_set(celslm_xml *x, const char *assignment, celslm_error *err);
/* Gives the root element the attribute seed="...", written or not. */
void celslm_xml_seed(celslm_xml *x, uint64_t seed);
/* Whether `xpath` would do for celslm_xml_set; the error is placed at `at`. */
bool celslm_xml_selects(celslm_xml *x, const char *xpath, const celslm_element *at,
                        celslm_error *err);

/* Checks names, structure, enumerations and units against a schema of ours (an XSD as text). */
bool celslm_xml_validate(const celslm_xml *x, const char *schema, celslm_error *err);

/* Plain copies; attributes of foreign namespaces are left out. Free with celslm_element_free. */
celslm_element *celslm_xml_elements(const celslm_xml *x);
void celslm_element_free(celslm_element *root);

/* The document as text, after includes and overrides. Free with free(). */
char *celslm_xml_text(const celslm_xml *x);

/* For the parts of this module that see nodes: the file and line a node came from. */
const char *celslm_xml_node_file(const celslm_xml *x, const struct _xmlNode *node);
int celslm_xml_node_line(const struct _xmlNode *node);

/* Text safe inside a double-quoted attribute. Free with free(). */
char *celslm_xml_escape(const char *text);

/* `name` as seen from the folder of `from`; absolute names stay. Free with free(). */
char *celslm_path_beside(const char *from, const char *name);

/* The first message of libxml2 while a catcher is installed; installing one keeps it silent. */
typedef struct celslm_xml_catch {
  bool caught;
  int code;
  int line;
  char message[512];
  struct _xmlNode *node;
  void *old_function, *old_context;
} celslm_xml_catch;

void celslm_xml_catch_begin(celslm_xml_catch *c);
void celslm_xml_catch_end(celslm_xml_catch *c);

#endif
