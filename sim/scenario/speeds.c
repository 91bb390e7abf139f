#include "scenario/speeds.h"

#include "base/units.h"
#include "scenario/xml.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STATES = 32 };

static bool read_states(celslm_host *h, const celslm_element *e, celslm_error *err) {
  const char *written = celslm_element_attribute(e, "speed");
  if (!written || !strchr(written, ','))
    return celslm_element_quantity(e, "speed", CELSLM_UNIT_FLOPS, DBL_MIN, INFINITY, NAN, &h->speed,
                                   err);
  char *list = celslm_strdup(written), *rest = NULL, why[200];
  size_t size = 0, n = 0;
  FILE *out = open_memstream(&h->states, &size);
  bool ok = true;
  for (char *s = strtok_r(list, ", ", &rest); ok && s; s = strtok_r(NULL, ", ", &rest), n++) {
    double speed = NAN;
    if (n == MOST_STATES)
      ok = celslm_element_fail(e, err, "<host> speed has more than %d states", MOST_STATES);
    else if (!celslm_parse_quantity(s, CELSLM_UNIT_FLOPS, &speed, why, sizeof why))
      ok = celslm_element_fail(e, err, "<host> speed \"%s\": %s", s, why);
    else if (!(speed > 0))
      ok = celslm_element_fail(e, err, "<host> speed \"%s\": it must be more than 0", s);
    if (n == 0) h->speed = speed;
    fprintf(out, "%s%.17gf", n ? "," : "", speed);
  }
  fclose(out);
  free(list);
  int64_t state;
  if (!ok || !celslm_element_integer(e, "pstate", 0, (int64_t)n - 1, 0, &state, err)) return false;
  h->pstate = (int)state;
  return true;
}

static bool bad_line(const char *file, int line, celslm_error *err) {
  return celslm_fail(err, file, line,
                     "not a line of a speed file; allowed: TIME FACTOR with rising times of at "
                     "least 0 and factors above 0 and up to 1000, PERIODICITY d, LOOPAFTER d, "
                     "# comment");
}

/* The lines "TIME FACTOR" into *out; the time after which they repeat into *period, NaN: never. */
static bool read_changes(FILE *in, const char *file, FILE *out, double *period, celslm_error *err) {
  char line[256], word[32], extra;
  double last = -1, time, factor, after = NAN;
  *period = NAN;
  for (int number = 1; fgets(line, sizeof line, in); number++) {
    if (line[strspn(line, " \t\r\n")] == 0 || line[0] == '#') continue;
    if (sscanf(line, "%31[A-Z] %lf %c", word, &time, &extra) == 2 && time > 0 && isfinite(time)) {
      if (strcmp(word, "PERIODICITY") == 0)
        *period = time;
      else if (strcmp(word, "LOOPAFTER") == 0)
        after = time;
      else
        return bad_line(file, number, err);
      continue;
    }
    if (sscanf(line, "%lf %lf %c", &time, &factor, &extra) != 2 || !(time > last) || time < 0 ||
        !isfinite(time) || !(factor > 0 && factor <= 1000))
      return bad_line(file, number, err);
    fprintf(out, "%.17g %.17g\n", time, factor);
    last = time;
  }
  if (last < 0) return celslm_fail(err, file, 0, "the speed file has no line TIME FACTOR");
  if (!isnan(after)) *period = last + after;
  return isnan(*period) || *period > last ||
         celslm_fail(err, file, 0, "PERIODICITY %g is not after the last time %g", *period, last);
}

static bool read_profile(celslm_host *h, const celslm_element *e, celslm_error *err) {
  if (!celslm_element_attribute(e, "speed_file")) return true;
  char *file = celslm_element_path(e, "speed_file");
  FILE *in = fopen(file, "r");
  bool ok = in != NULL;
  if (ok) {
    size_t size = 0;
    FILE *out = open_memstream(&h->changes, &size);
    ok = read_changes(in, file, out, &h->period, err);
    fclose(out);
    fclose(in);
  } else {
    celslm_element_fail(e, err, "<host> speed_file \"%s\" cannot be read: %s", file,
                        strerror(errno));
  }
  free(file);
  return ok;
}

bool celslm_host_read_speeds(celslm_host *h, const celslm_element *e, celslm_error *err) {
  if (!read_states(h, e, err) || !read_profile(h, e, err)) return false;
  if (!h->states && celslm_element_attribute(e, "pstate"))
    return celslm_element_fail(e, err, "<host> has a pstate but one speed only; list several");
  h->varies = h->changes || h->pstate > 0;
  return true;
}

void celslm_host_write_speeds(const celslm_host *h, FILE *f) {
  if (h->states)
    fprintf(f, " speed=\"%s\" pstate=\"%d\"", h->states, h->pstate);
  else
    fprintf(f, " speed=\"%.17gf\"", h->speed);
}

void celslm_host_write_profile(const celslm_host *h, int number, FILE *f) {
  if (!h->changes) return;
  char *name = celslm_xml_escape(h->name);
  fprintf(f, "  <trace id=\"celslm-speed-%d\"", number);
  if (!isnan(h->period)) fprintf(f, " periodicity=\"%.17g\"", h->period);
  fprintf(f,
          ">\n%s</trace>\n  <trace_connect trace=\"celslm-speed-%d\" element=\"%s\" "
          "kind=\"SPEED\"/>\n",
          h->changes, number, name);
  free(name);
}
