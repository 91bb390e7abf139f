/* element.h - a piece of a scenario as plain C: what an XML element said, and where.
 *
 * Parts that are open to new kinds (strategies, arrivals, length distributions, codecs) reach the
 * module that understands them as elements; each reads its own attributes with the getters below.
 * The schema has checked names already; the getters check values and units.
 * Owned by the scenario (or platform) it came with; lives as long as that. */
#ifndef CELSLM_SCENARIO_ELEMENT_H
#define CELSLM_SCENARIO_ELEMENT_H

#include "base/error.h"
#include "base/units.h"

#include <stdint.h>

typedef struct celslm_attribute {
  char *name, *value;
} celslm_attribute;

typedef struct celslm_element {
  char *name;
  char *file; /* as the user would open it */
  int line;
  celslm_attribute *attributes;
  int n_attributes;
  struct celslm_element *children;
  int n_children;
} celslm_element;

/* NULL where absent. */
const char *celslm_element_attribute(const celslm_element *e, const char *name);
const celslm_element *celslm_element_child(const celslm_element *e, const char *name);

/* The file that an attribute names, as seen from the file the element stands in, ready to open;
 * NULL where absent. Free with free(). */
char *celslm_element_path(const celslm_element *e, const char *name);

/* Each getter: absent attribute -> `fallback` (true). A NaN fallback (quantity) or a NULL one
 * (text) marks a required attribute. Values outside [min, max] are errors that name the range;
 * min = DBL_MIN says "more than 0", INFINITY "no limit". *value is touched also on failure. */
bool celslm_element_quantity(const celslm_element *e, const char *name, celslm_unit unit, double min,
                             double max, double fallback, double *value, celslm_error *err);
bool celslm_element_integer(const celslm_element *e, const char *name, int64_t min, int64_t max,
                            int64_t fallback, int64_t *value, celslm_error *err); /* INT64_MIN: required */
bool celslm_element_bool(const celslm_element *e, const char *name, bool fallback, bool *value,
                         celslm_error *err); /* yes, no */
/* One of the NULL-terminated `names`; *index is its place. A negative fallback: required. */
bool celslm_element_choice(const celslm_element *e, const char *name, const char *const *names,
                           int fallback, int *index, celslm_error *err);

/* An error at this element. */
#define celslm_element_fail(e, err, ...) celslm_fail(err, (e)->file, (e)->line, __VA_ARGS__)

#endif
