/* element.c - reading attributes of elements with their units and ranges (see element.h). */
#include "scenario/element.h"

#include "scenario/xml.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *celslm_element_attribute(const celslm_element *e, const char *name) {
  for (int i = 0; i < e->n_attributes; i++)
    if (strcmp(e->attributes[i].name, name) == 0) return e->attributes[i].value;
  return NULL;
}

const celslm_element *celslm_element_child(const celslm_element *e, const char *name) {
  for (int i = 0; i < e->n_children; i++)
    if (strcmp(e->children[i].name, name) == 0) return &e->children[i];
  return NULL;
}

char *celslm_element_path(const celslm_element *e, const char *name) {
  const char *value = celslm_element_attribute(e, name);
  return value ? celslm_path_beside(e->file, value) : NULL;
}

/* The SI unit that a range is told in. */
static const char *symbol(celslm_unit unit) {
  switch (unit) {
  case CELSLM_UNIT_TIME:
    return "s";
  case CELSLM_UNIT_BYTES:
    return "B";
  case CELSLM_UNIT_RATE:
    return "Bps";
  case CELSLM_UNIT_FLOPS:
    return "f";
  case CELSLM_UNIT_FREQ:
    return "Hz";
  case CELSLM_UNIT_POWER:
    return "W";
  case CELSLM_UNIT_DBM:
    return "dBm";
  case CELSLM_UNIT_DB:
    return "dB";
  case CELSLM_UNIT_LENGTH:
    return "m";
  case CELSLM_UNIT_SPEED:
    return "m/s";
  case CELSLM_UNIT_COUNTS:
    return "/s";
  case CELSLM_UNIT_ENERGY:
    return "J";
  case CELSLM_UNIT_MONEY:
    return "cent";
  case CELSLM_UNIT_RAIN:
    return "mm/h";
  case CELSLM_UNIT_NUMBER:
    break;
  }
  return "";
}

bool celslm_element_quantity(const celslm_element *e, const char *name, celslm_unit unit,
                             double min, double max, double fallback, double *value,
                             celslm_error *err) {
  const char *text = celslm_element_attribute(e, name);
  if (!text) {
    *value = fallback;
    if (!isnan(fallback)) return true;
    return celslm_element_fail(e, err, "<%s> lacks \"%s\"; give %s", e->name, name,
                               celslm_unit_example(unit));
  }
  double v;
  char why[300];
  if (!celslm_parse_quantity(text, unit, &v, why, sizeof why))
    return celslm_element_fail(e, err, "<%s> %s %s", e->name, name, why);
  *value = v;
  if (v >= min && v <= max) return true;
  const char *s = symbol(unit);
  char low[64] = "", high[64] = "";
  if (min == DBL_MIN)
    snprintf(low, sizeof low, "more than 0");
  else if (min > -DBL_MAX)
    snprintf(low, sizeof low, "at least %.6g%s", min, s);
  if (max < DBL_MAX) snprintf(high, sizeof high, "at most %.6g%s", max, s);
  return celslm_element_fail(e, err, "<%s> %s \"%.60s\": out of range; it must be %s%s%s", e->name,
                             name, text, low, low[0] && high[0] ? " and " : "", high);
}

bool celslm_element_integer(const celslm_element *e, const char *name, int64_t min, int64_t max,
                            int64_t fallback, int64_t *value, celslm_error *err) {
  const char *text = celslm_element_attribute(e, name);
  if (!text) {
    *value = fallback;
    if (fallback != INT64_MIN) return true;
    return celslm_element_fail(e, err, "<%s> lacks \"%s\"; give a whole number of at least %lld",
                               e->name, name, (long long)min);
  }
  char *end;
  errno = 0;
  long long v = strtoll(text, &end, 10);
  bool number = end != text && !*end && text[0] > ' ';
  *value = v;
  if (number && !errno && v >= min && v <= max) return true;
  char high[64] = "";
  if (max != INT64_MAX) snprintf(high, sizeof high, " and at most %lld", (long long)max);
  return celslm_element_fail(
      e, err, "<%s> %s \"%.60s\": %s; it must be a whole number of at least %lld%s", e->name, name,
      text, number ? "out of range" : "not a whole number", (long long)min, high);
}

bool celslm_element_bool(const celslm_element *e, const char *name, bool fallback, bool *value,
                         celslm_error *err) {
  static const char *const names[] = {"no", "yes", NULL};
  int index;
  if (!celslm_element_choice(e, name, names, fallback, &index, err)) return false;
  *value = index == 1;
  return true;
}

bool celslm_element_choice(const celslm_element *e, const char *name, const char *const *names,
                           int fallback, int *index, celslm_error *err) {
  const char *text = celslm_element_attribute(e, name);
  *index = fallback;
  if (!text && fallback >= 0) return true;
  char allowed[400] = "";
  for (int i = 0; names[i]; i++) {
    if (text && strcmp(text, names[i]) == 0) {
      *index = i;
      return true;
    }
    size_t at = strlen(allowed);
    snprintf(allowed + at, sizeof allowed - at, "%s%s", i ? ", " : "", names[i]);
  }
  if (!text)
    return celslm_element_fail(e, err, "<%s> lacks \"%s\"; allowed: %s", e->name, name, allowed);
  return celslm_element_fail(e, err, "<%s> %s \"%.60s\" is not allowed; allowed: %s", e->name, name,
                             text, allowed);
}
