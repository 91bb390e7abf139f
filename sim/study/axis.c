#include "study/axis.h"

#include "scenario/scenario.h"

#include <gsl/gsl_qrng.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_VALUES = 1000000 };

typedef struct place { /* for messages */
  const char *file;
  int line;
} place;

/* ---- numbers with units ---------------------------------------------------------------------- */

/* Splits "10Mbps" into 10 and "Mbps". */
static bool split(const char *text, double *number, const char **unit) {
  char *end;
  *number = strtod(text, &end);
  *unit = end;
  return end != text && isfinite(*number) && !strpbrk(text, "xX");
}

/* The shortest of 15 to 17 digits that reads back as the same number, and the unit. */
static char *join(double number, const char *unit) {
  char digits[40];
  for (int n = 15; n <= 17; n++) {
    snprintf(digits, sizeof digits, "%.*g", n, number);
    if (strtod(digits, NULL) == number) break;
  }
  return celslm_format("%s%s", digits, unit);
}

static const struct {
  celslm_unit unit;
  const char *symbol;
} kinds[] = {
    {CELSLM_UNIT_NUMBER, "1"}, {CELSLM_UNIT_TIME, "s"},       {CELSLM_UNIT_BYTES, "B"},
    {CELSLM_UNIT_RATE, "B/s"}, {CELSLM_UNIT_FLOPS, "FLOP/s"}, {CELSLM_UNIT_FREQ, "Hz"},
    {CELSLM_UNIT_POWER, "W"},  {CELSLM_UNIT_DBM, "dBm"},      {CELSLM_UNIT_DB, "dB"},
    {CELSLM_UNIT_LENGTH, "m"}, {CELSLM_UNIT_SPEED, "m/s"},    {CELSLM_UNIT_COUNTS, "1/s"},
    {CELSLM_UNIT_ENERGY, "J"}, {CELSLM_UNIT_MONEY, "cent"},
};

/* Fills values and units if every text is a quantity of one kind. */
static void evaluate(celslm_axis *a) {
  free(a->values);
  a->values = celslm_alloc((unsigned long)a->n, sizeof *a->values);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
    int good = 0;
    while (good < a->n &&
           celslm_parse_quantity(a->texts[good], kinds[k].unit, &a->values[good], NULL, 0))
      good++;
    a->units = kinds[k].symbol;
    if (good == a->n) return;
  }
  free(a->values);
  a->values = NULL;
  a->units = "";
}

/* ---- the four ways to give values ------------------------------------------------------------ */

static bool split_words(const char *text, char ***words, int *n, place at, celslm_error *err) {
  *words = NULL;
  *n = 0;
  for (const char *p = text;;) {
    p += strspn(p, " \t\r\n");
    size_t length = strcspn(p, " \t\r\n");
    if (!length) break;
    if (*n == MAX_VALUES)
      return celslm_fail(err, at.file, at.line, "an axis of more than %d values", MAX_VALUES);
    *words = celslm_realloc(*words, (unsigned long)*n + 1, sizeof **words);
    (*words)[(*n)++] = celslm_format("%.*s", (int)length, p);
    p += length;
  }
  return true;
}

static void free_words(char **words, int n) {
  for (int i = 0; i < n; i++) free(words[i]);
  free(words);
}

typedef struct bounds {
  double from, to, third;
  const char *unit; /* of `from` and `to` */
} bounds;

static bool read_bounds(const char *way, char **words, int n, bounds *b, place at,
                        celslm_error *err) {
  const char *units[3];
  double *numbers[] = {&b->from, &b->to, &b->third};
  bool step = strcmp(way, "range") == 0, ok = n == 3;
  for (int i = 0; ok && i < 3; i++) ok = split(words[i], numbers[i], &units[i]);
  if (!ok || (!step && units[2][0]))
    return celslm_fail(err, at.file, at.line, "<axis> %s needs %s", way,
                       step ? "FROM TO STEP, such as 1/s 8/s 1/s"
                            : "FROM TO N, such as 10Mbps 10000Mbps 7");
  if (strcmp(units[0], units[1]) != 0 || (step && strcmp(units[0], units[2]) != 0))
    return celslm_fail(err, at.file, at.line,
                       "<axis> %s mixes the units \"%s\" and \"%s\"; write all in one unit", way,
                       units[0], strcmp(units[0], units[1]) ? units[1] : units[2]);
  b->unit = units[0];
  if (step) {
    double steps = floor((b->to - b->from) / b->third + 1e-9);
    if (b->third == 0 || steps < 0 || steps >= MAX_VALUES)
      return celslm_fail(err, at.file, at.line,
                         "<axis> range: no steps of %s lead from %s to %s; allowed are 1 to %d "
                         "values",
                         words[2], words[0], words[1], MAX_VALUES);
    b->to = b->from + steps * b->third; /* the last value */
    b->third = steps + 1;
  } else if (b->third < (strcmp(way, "sobol") == 0 ? 2 : 1) || b->third > MAX_VALUES ||
             b->third != floor(b->third))
    return celslm_fail(err, at.file, at.line, "<axis> %s of %s values; allowed are %s to %d", way,
                       words[2], strcmp(way, "sobol") == 0 ? "2" : "1", MAX_VALUES);
  if (strcmp(way, "log") == 0 && (b->from <= 0 || b->to <= 0))
    return celslm_fail(err, at.file, at.line, "<axis> log from %s to %s; both must be more than 0",
                       words[0], words[1]);
  return true;
}

/* Between the ends at u in [0, 1]; the ends themselves are exact. */
static double between(double from, double to, double u, bool logarithmic) {
  if (u <= 0) return from;
  if (u >= 1) return to;
  return logarithmic ? from * pow(to / from, u) : from + u * (to - from);
}

static char *between_text(const celslm_axis *a, double from, double to, double u,
                          const char *unit) {
  char rounded[40];
  double x = between(from, to, u, a->logarithmic);
  snprintf(rounded, sizeof rounded, "%.12g", a->whole ? round(x) : x);
  return join(strtod(rounded, NULL), unit);
}

static bool is_whole(const char *text) {
  text += *text == '-' || *text == '+';
  return *text && strspn(text, "0123456789") == strlen(text);
}

static bool fill(celslm_axis *a, const char *way, const char *text, place at, celslm_error *err) {
  char **words;
  int n;
  bounds b = {0};
  if (!split_words(text, &words, &n, at, err)) return free_words(words, n), false;
  if (strcmp(way, "values") == 0) {
    if (n == 0) return celslm_fail(err, at.file, at.line, "<axis> without values; give some");
    a->texts = words;
    a->n = n;
    a->whole = true;
    for (int i = 0; i < n; i++) a->whole &= is_whole(words[i]);
    evaluate(a);
    return true;
  }
  bool ok = read_bounds(way, words, n, &b, at, err);
  if (ok) {
    a->n = (int)b.third;
    a->texts = celslm_alloc((unsigned long)a->n, sizeof *a->texts);
    a->sobol = strcmp(way, "sobol") == 0;
    a->logarithmic = strcmp(way, "log") == 0;
    a->whole = is_whole(words[0]) && is_whole(words[1]);
    for (int i = 0; i < a->n; i++) /* for sobol: the two ends, in the first and the last value */
      a->texts[i] = between_text(a, b.from, b.to, a->n > 1 ? (double)i / (a->n - 1) : 0, b.unit);
    evaluate(a);
  }
  free_words(words, n);
  return ok;
}

/* ---- from where ------------------------------------------------------------------------------ */

/* The attribute's name at the end of an XPath. */
static char *default_name(const char *select) {
  const char *at = strrchr(select, '@');
  at = at ? at + 1 : select;
  size_t n = strcspn(at, "[]/ ");
  return celslm_format("%.*s", (int)n, at);
}

bool celslm_axis_read(celslm_axis *a, const celslm_element *e, celslm_error *err) {
  static const char *const ways[] = {"values", "range", "log", "sobol"};
  *a = (celslm_axis){.units = ""};
  const char *select = celslm_element_attribute(e, "select"),
             *in = celslm_element_attribute(e, "in"), *name = celslm_element_attribute(e, "name"),
             *zip = celslm_element_attribute(e, "zip");
  bool platform = in && strcmp(in, "platform") == 0;
  a->select = celslm_format("%s%s", platform ? CELSLM_SET_PLATFORM : "", select);
  a->name = name ? celslm_strdup(name) : default_name(select);
  a->zip = zip ? celslm_strdup(zip) : NULL;
  for (size_t i = 0; i < 4; i++) {
    const char *text = celslm_element_attribute(e, ways[i]);
    if (text) return fill(a, ways[i], text, (place){e->file, e->line}, err);
  }
  return celslm_element_fail(e, err, "<axis> without values; give values, range, log or sobol");
}

/* The '=' that ends the XPath: outside of quotes and brackets. */
static const char *find_equals(const char *s) {
  int depth = 0;
  for (char quote = 0; *s; s++)
    if (quote)
      quote = *s == quote ? 0 : quote;
    else if (*s == '"' || *s == '\'')
      quote = *s;
    else if (*s == '[' || *s == '(')
      depth++;
    else if (*s == ']' || *s == ')')
      depth--;
    else if (*s == '=' && depth <= 0)
      return s;
  return NULL;
}

bool celslm_axis_parse(celslm_axis *a, const char *text, celslm_error *err) {
  static const char *const ways[] = {"range:", "log:", "sobol:"};
  *a = (celslm_axis){.units = ""};
  const char *equals = find_equals(text);
  if (!equals || equals == text)
    return celslm_fail(err, NULL, 0,
                       "--axis \"%s\": no XPath=values; give for example "
                       "--axis \"//poisson/@rate=1/s 2/s 4/s\" or --axis \"//@rate=range:1/s 8/s "
                       "1/s\" (range, log, sobol)",
                       text);
  a->select = celslm_format("%.*s", (int)(equals - text), text);
  a->name = default_name(a->select);
  for (size_t i = 0; i < 3; i++) {
    size_t n = strlen(ways[i]);
    if (strncmp(equals + 1, ways[i], n) == 0) {
      char *way = celslm_format("%.*s", (int)n - 1, ways[i]);
      bool ok = fill(a, way, equals + 1 + n, (place){"--axis", 0}, err);
      free(way);
      return ok;
    }
  }
  return fill(a, "values", equals + 1, (place){"--axis", 0}, err);
}

void celslm_axis_clear(celslm_axis *a) {
  free_words(a->texts, a->n);
  free(a->values);
  free(a->zip);
  free(a->select);
  free(a->name);
}

/* ---- designs --------------------------------------------------------------------------------- */

void celslm_axis_place(celslm_axis *a, const double *at, int n) {
  char **texts = celslm_alloc((unsigned long)n, sizeof *texts);
  double first = 0, last = 0;
  const char *unit = "", *same = "";
  bool number = a->values && split(a->texts[0], &first, &unit) &&
                split(a->texts[a->n - 1], &last, &same) && strcmp(unit, same) == 0;
  for (int i = 0; i < n; i++)
    texts[i] = number ? between_text(a, first, last, at[i], unit)
                      : celslm_strdup(a->texts[(int)fmin(at[i] * a->n, a->n - 1)]);
  char **old = a->texts;
  int n_old = a->n;
  a->texts = texts;
  a->n = n;
  free_words(old, n_old);
  evaluate(a);
}

bool celslm_axes_fill_sobol(celslm_axis *axes, int n, const char *file, celslm_error *err) {
  unsigned dimensions = 0;
  int points = 0;
  for (int i = 0; i < n; i++) {
    if (!axes[i].sobol) continue;
    if (dimensions++ == 0) points = axes[i].n;
    if (axes[i].n != points)
      return celslm_fail(err, file, 0,
                         "sobol axes advance together: \"%s\" has %d values and another %d; give "
                         "all the same N",
                         axes[i].name, axes[i].n, points);
  }
  if (!dimensions) return true;
  if (dimensions > gsl_qrng_sobol->max_dimension)
    return celslm_fail(err, file, 0, "%u sobol axes; at most %u are possible", dimensions,
                       gsl_qrng_sobol->max_dimension);
  gsl_qrng *q = gsl_qrng_alloc(gsl_qrng_sobol, dimensions);
  double *points_of = celslm_alloc((unsigned long)points * dimensions, sizeof(double)), at[64];
  for (int p = 0; p < points; p++) {
    gsl_qrng_get(q, at);
    for (unsigned d = 0; d < dimensions; d++) points_of[d * (unsigned)points + (unsigned)p] = at[d];
  }
  gsl_qrng_free(q);
  for (int i = 0, d = 0; i < n; i++)
    if (axes[i].sobol) celslm_axis_place(&axes[i], points_of + points * d++, points);
  free(points_of);
  return true;
}
