/* vectors.c - what each kind of check point asks of the models (see vectors.h). */
#include "net/radio/vectors.h"

#include "net/radio/atmosphere.h"
#include "net/radio/building.h"
#include "net/radio/channel.h"
#include "net/radio/mcs.h"
#include "net/radio/nyu.h"
#include "net/radio/rate.h"
#include "net/radio/timing.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what a row says ------------------------------------------------------------------------- */

/* A column that its kind needs, within its bounds. */
static bool need(const celslm_vector *v, const char *column, double value, double min, double max,
                 celslm_error *err) {
  if (isnan(value))
    return celslm_fail(err, v->file, v->line, "%s needs %s; allowed is %g to %g", v->kind, column,
                       min, max);
  return (value >= min && value <= max) ||
         celslm_fail(err, v->file, v->line, "%s is %g; allowed is %g to %g", column, value, min,
                     max);
}

static bool carrier(const celslm_vector *v, double min, double max, double *hertz,
                    celslm_error *err) {
  *hertz = v->fc * 1e9;
  return need(v, "fc_ghz", v->fc, min, max, err);
}

/* The number behind KEY= in `extra`, `fallback` where there is none; NAN as a fallback: needed. A
 * percent sign behind it divides by 100. */
static bool extra(const celslm_vector *v, const char *key, double fallback, double min, double max,
                  double *value, celslm_error *err) {
  size_t length = strlen(key);
  for (const char *p = v->extra; *p;) {
    p += strspn(p, " \t;,");
    size_t all = strcspn(p, ";,");
    const char *sign = memchr(p, '=', all);
    if (sign) {
      const char *name_end = sign, *text = sign + 1;
      while (name_end > p && isspace((unsigned char)name_end[-1])) name_end--;
      while (*text == ' ') text++;
      if ((size_t)(name_end - p) == length && strncasecmp(p, key, length) == 0) {
        size_t digits = strspn(text, "0123456789+-.");
        if (digits && (text[digits] == 'e' || text[digits] == 'E')) {
          size_t power = strspn(text + digits + 1, "0123456789+-");
          if (power) digits += 1 + power;
        }
        char *number = celslm_format("%.*s", (int)digits, text);
        bool ok = celslm_vector_number(number, value);
        free(number);
        if (!ok)
          return celslm_fail(err, v->file, v->line, "%s of extra is \"%.*s\"; give a number", key,
                             (int)(p + all - sign) - 1, sign + 1);
        if (text[digits] == '%') *value /= 100;
        return (*value >= min && *value <= max) ||
               celslm_fail(err, v->file, v->line, "%s of extra is %g; allowed is %g to %g", key,
                           *value, min, max);
      }
    }
    p += all;
  }
  *value = fallback;
  return !isnan(fallback) ||
         celslm_fail(err, v->file, v->line, "%s needs %s= in extra; allowed is %g to %g", v->kind,
                     key, min, max);
}

/* The words of `state`. */
typedef struct state {
  bool los, nlos, o2i, before, beyond, optional;
  char sub[4]; /* of InF: "sl" ... */
} state;

static bool read_state(const celslm_vector *v, state *s, celslm_error *err) {
  static const char separators[] = " \t-_,/()";
  *s = (state){0};
  for (const char *p = v->state; *p;) {
    p += strspn(p, separators);
    size_t n = strcspn(p, separators);
    if (!n) break;
#define IS(WORD) (n == sizeof WORD - 1 && strncasecmp(p, WORD, n) == 0)
    if (IS("los"))
      s->los = true;
    else if (IS("nlos"))
      s->nlos = true;
    else if (IS("o2i"))
      s->o2i = true;
    else if (IS("before"))
      s->before = true;
    else if (IS("beyond") || IS("after"))
      s->beyond = true;
    else if (IS("optional"))
      s->optional = true;
    else if (IS("sl") || IS("dl") || IS("sh") || IS("dh") || IS("hh")) {
      s->sub[0] = (char)tolower((unsigned char)p[0]);
      s->sub[1] = (char)tolower((unsigned char)p[1]);
    } else if (!IS("bp") && !IS("breakpoint"))
      return celslm_fail(err, v->file, v->line,
                         "state \"%.40s\" is not known; allowed are LOS, NLOS, O2I, with \"before "
                         "BP\", \"beyond BP\" or \"optional\"",
                         v->state);
#undef IS
    p += n;
  }
  return true;
}

static bool one_state(const celslm_vector *v, const state *s, bool o2i_too, celslm_error *err) {
  return s->los + s->nlos + s->o2i == 1 && (o2i_too || !s->o2i)
             ? true
             : celslm_fail(err, v->file, v->line, "%s needs a state; allowed are LOS, NLOS%s",
                           v->kind, o2i_too ? ", O2I" : "");
}

/* The model of the row's scenario. "InF" alone is enough where all factories agree. */
static const celslm_channel *channel_of(const celslm_vector *v, const char *prefix, const state *s,
                                        bool any_factory, celslm_error *err) {
  static const char *const other_names[][2] = {{"umi-street-canyon", "umi"},
                                               {"umi-streetcanyon", "umi"},
                                               {"inh-office", "inh"},
                                               {"inh-mixed", "inh"},
                                               {"inh-mixed-office", "inh"},
                                               {"inh-office-mixed", "inh"},
                                               {"indoor-office", "inh"},
                                               {"inh-open-office", "inh-open"},
                                               {"inh-office-open", "inh-open"},
                                               {"indoor-mixedoffice", "inh"},
                                               {"indoor-openoffice", "inh-open"}};
  char name[48] = "";
  size_t n = strlen(prefix);
  memcpy(name, prefix, n);
  if (strncasecmp(v->scenario, prefix, n) == 0) n = 0; /* "NYU-UMi" */
  for (const char *p = v->scenario; *p && n < sizeof name - 5; p++, n++)
    name[n] = (char)(*p == ' ' || *p == '_' ? '-' : tolower((unsigned char)*p));
  name[n] = 0;
  for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
    if (strcmp(name, other_names[i][0]) == 0) strcpy(name, other_names[i][1]);
  if (strcmp(name, "inf") == 0 && (s->sub[0] || any_factory))
    strcat(strcat(name, "-"), s->sub[0] ? s->sub : "sl");
  const celslm_channel *c = celslm_channel_find(name);
  if (!c)
    celslm_fail(err, v->file, v->line,
                "scenario \"%.40s\" has no model for %s; allowed are UMi, UMa, RMa, SMa, InH, "
                "InH-open, InF-SL, InF-DL, InF-SH, InF-DH, InF-HH and NYU-UMi, -UMa, -RMa, -InH, "
                "-InF",
                v->scenario, v->kind);
  return c;
}

/* Where the row is; what it leaves empty is as usual for its channel. */
static bool geometry_of(const celslm_vector *v, const celslm_channel *c, celslm_geometry *g,
                        celslm_error *err) {
  *g = (celslm_geometry){
      .carrier = isnan(v->fc) ? 1e9 : v->fc * 1e9,
      .distance = isnan(v->d2d) ? 0 : v->d2d,
      .h_bs = isnan(v->h_bs) ? c->h_bs : v->h_bs,
      .h_ut = isnan(v->h_ut) ? c->h_ut : v->h_ut,
  };
  return need(v, "h_bs_m", g->h_bs, 0, 1e5, err) && need(v, "h_ut_m", g->h_ut, 0, 1e5, err) &&
         extra(v, "hE", 0, 0, 1e3, &g->effective_height, err) &&
         extra(v, "h", 0, 0, 1e3, &g->building_height, err) &&
         extra(v, "W", 0, 0, 1e3, &g->street_width, err);
}

static bool clutter_of(const celslm_vector *v, celslm_geometry *g, celslm_error *err) {
  double size, height;
  return extra(v, "dclutter", 0, 0, 1e3, &size, err) &&
         extra(v, "d_clutter", size, 0, 1e3, &g->clutter_size, err) &&
         extra(v, "r", 0, 0, 0.999999, &g->clutter_density, err) &&
         extra(v, "hc", 0, 0, 1e3, &height, err) &&
         extra(v, "h_c", height, 0, 1e3, &g->clutter_height, err) &&
         extra(v, "vegetation", 0, 0, 0.999999, &g->vegetation, err);
}

/* A whole number from min to max in a text that must hold nothing else. */
static bool index_in(const celslm_vector *v, const char *text, int min, int max, int *index,
                     celslm_error *err) {
  double value;
  if (!celslm_vector_number(text, &value) || !(value >= min && value <= max) ||
      value != floor(value))
    return celslm_fail(err, v->file, v->line,
                       "state is \"%.40s\"; allowed are the indices %d to %d", text, min, max);
  *index = (int)value;
  return true;
}

/* The number behind a word, as in "MCS table 2"; `fallback` without the word. */
static double behind(const char *text, const char *word, double fallback) {
  const char *at = strcasestr(text, word);
  if (!at) return fallback;
  at += strlen(word);
  at += strspn(at, " =:");
  return isdigit((unsigned char)*at) ? strtod(at, NULL) : fallback;
}

/* ---- propagation ----------------------------------------------------------------------------- */

static bool pathloss(const celslm_vector *v, double *out, celslm_error *err) {
  state s;
  celslm_geometry g;
  if (!read_state(v, &s, err) || !one_state(v, &s, false, err)) return false;
  const celslm_channel *c = channel_of(v, "", &s, s.los, err);
  if (!c || !carrier(v, 1e-3, 1e3, &g.carrier, err) || !need(v, "d2d_m", v->d2d, 0, 1e7, err) ||
      !geometry_of(v, c, &g, err))
    return false;
  g.optional_nlos = s.optional;
  *out = c->loss(&g, s.los);
  return true;
}

/* d2d_m is the distance between the antennas here; heights only matter to the exponent of RMa. */
static bool pathloss_ci(const celslm_vector *v, double *out, celslm_error *err) {
  state s;
  celslm_geometry g;
  double hertz, exponent;
  if (!read_state(v, &s, err) || !one_state(v, &s, false, err)) return false;
  if (!carrier(v, 1e-3, 1e3, &hertz, err) || !need(v, "d2d_m", v->d2d, 1, 1e7, err) ||
      !extra(v, "PLE", 0, 0, 100, &exponent, err))
    return false;
  if (exponent > 0) {
    *out = celslm_close_in_loss(hertz, exponent, v->d2d);
    return true;
  }
  const celslm_channel *c = channel_of(v, "nyu-", &s, false, err);
  if (!c || !geometry_of(v, c, &g, err)) return false;
  g.h_ut = g.h_bs;
  g.distance = v->d2d;
  *out = c->loss(&g, s.los);
  return true;
}

static bool los_prob(const celslm_vector *v, double *out, celslm_error *err) {
  state s = {0};
  celslm_geometry g;
  if (!need(v, "d2d_m", v->d2d, 0, 1e7, err)) return false;
  const celslm_channel *c = channel_of(v, "", &s, false, err);
  if (!c || !geometry_of(v, c, &g, err) || !clutter_of(v, &g, err)) return false;
  *out = c->los_probability(&g);
  return true;
}

static celslm_link_state link_state(const state *s) {
  return s->o2i ? CELSLM_O2I : s->nlos ? CELSLM_NLOS : CELSLM_LOS;
}

static bool none(const celslm_vector *v, celslm_error *err) {
  return celslm_fail(err, v->file, v->line, "%s of %s has no state %s", v->kind, v->scenario,
                     v->state);
}

static bool shadow_std(const celslm_vector *v, double *out, celslm_error *err) {
  state s;
  celslm_geometry g;
  if (!read_state(v, &s, err) || !one_state(v, &s, true, err)) return false;
  const celslm_channel *c = channel_of(v, "", &s, s.los, err);
  if (!c || !geometry_of(v, c, &g, err)) return false;
  g.optional_nlos = s.optional;
  if (strncmp(c->name, "nyu-", 4) == 0 && !carrier(v, 1e-3, 1e3, &g.carrier, err)) return false;
  if (s.before) g.distance = 0;
  if (s.beyond) g.distance = INFINITY;
  *out = c->shadow_std(&g, link_state(&s));
  if (isnan(*out)) return none(v, err);
  if (s.before || s.beyond || !isnan(v->d2d)) return true;
  /* without a distance the two sides of the breakpoint must agree */
  celslm_geometry far = g;
  far.distance = INFINITY;
  return c->shadow_std(&far, link_state(&s)) == *out ||
         celslm_fail(
             err, v->file, v->line,
             "%s of %s needs d2d_m and fc_ghz, or \"before BP\" or \"beyond BP\" as its state",
             v->kind, v->scenario);
}

static bool decorr_distance(const celslm_vector *v, double *out, celslm_error *err) {
  state s;
  if (!read_state(v, &s, err) || !one_state(v, &s, true, err)) return false;
  const celslm_channel *c = channel_of(v, "", &s, true, err);
  if (!c) return false;
  *out = c->decorrelation[link_state(&s)];
  return *out > 0 || none(v, err);
}

static bool los_state_corr(const celslm_vector *v, double *out, celslm_error *err) {
  state s;
  celslm_geometry g = {0};
  if (!read_state(v, &s, err) || !clutter_of(v, &g, err)) return false;
  const celslm_channel *c = channel_of(v, "", &s, g.clutter_size > 0, err);
  if (!c) return false;
  *out = celslm_los_correlation(c, &g);
  return true;
}

static const celslm_channel *in_sight(const celslm_vector *v, celslm_error *err) {
  state s;
  if (!read_state(v, &s, err)) return NULL;
  if (!s.nlos && !s.o2i) return channel_of(v, "", &s, true, err);
  none(v, err);
  return NULL;
}

static bool rician_mean(const celslm_vector *v, double *out, celslm_error *err) {
  const celslm_channel *c = in_sight(v, err);
  if (c) *out = c->rician_mean;
  return c;
}

static bool rician_std(const celslm_vector *v, double *out, celslm_error *err) {
  const celslm_channel *c = in_sight(v, err);
  if (c) *out = c->rician_std;
  return c;
}

/* "low", "low-A" or "lowA", "high-v16": a version of the TR, 14 to 19, may follow. */
static bool o2i_wall(const celslm_vector *v, double *out, celslm_error *err) {
  double hertz;
  if (!carrier(v, 1e-3, 1e3, &hertz, err)) return false;
  static const struct {
    const char *name;
    celslm_wall wall;
  } walls[] = {{"low", CELSLM_WALL_LOW},          {"low-a", CELSLM_WALL_LOW_A},
               {"lowa", CELSLM_WALL_LOW_A},       {"high", CELSLM_WALL_HIGH},
               {"legacy", CELSLM_WALL_LEGACY},    {"nyu-low", CELSLM_WALL_NYU_LOW},
               {"nyu-high", CELSLM_WALL_NYU_HIGH}};
  double version = behind(v->scenario, "-v", 14);
  const char *suffix = strcasestr(v->scenario, "-v");
  size_t length = suffix ? (size_t)(suffix - v->scenario) : strlen(v->scenario);
  for (size_t i = 0; i < sizeof walls / sizeof *walls; i++) {
    if (strlen(walls[i].name) != length || strncasecmp(v->scenario, walls[i].name, length) != 0)
      continue;
    if (!(version >= 14 && version <= 19)) break;
    celslm_wall wall = walls[i].wall;
    if (wall == CELSLM_WALL_HIGH && version >= 19) wall = CELSLM_WALL_HIGH_V19;
    *out = celslm_wall_loss(wall, hertz);
    return true;
  }
  return celslm_fail(err, v->file, v->line,
                     "scenario \"%.40s\" is no wall; allowed are low, high, high-v19, low-A, "
                     "legacy, NYU-low, NYU-high",
                     v->scenario);
}

/* ---- air and rain ---------------------------------------------------------------------------- */

static bool gas(const celslm_vector *v, double *out, celslm_error *err) {
  double hertz, p, t, rho;
  celslm_gas which = CELSLM_GAS_ALL;
  if (strcasecmp(v->state, "oxygen") == 0 || strcasecmp(v->state, "dry") == 0)
    which = CELSLM_GAS_OXYGEN;
  else if (strcasecmp(v->state, "water") == 0)
    which = CELSLM_GAS_WATER;
  else if (*v->state && strcasecmp(v->state, "total") != 0)
    return celslm_fail(err, v->file, v->line,
                       "state is \"%.40s\"; allowed are oxygen, water, total, or nothing",
                       v->state);
  if (!carrier(v, 1, 349, &hertz, err) || !extra(v, "p", 1013.25, 1013, 1013.5, &p, err) ||
      !extra(v, "T", 288.15, 288, 288.3, &t, err) || !extra(v, "rho", 7.5, 7.49, 7.51, &rho, err))
    return false;
  *out = celslm_gas_attenuation(which, hertz);
  return true;
}

static bool oxygen(const celslm_vector *v, double *out, celslm_error *err) {
  double hertz;
  if (!carrier(v, 0, 1e3, &hertz, err)) return false;
  *out = celslm_oxygen_attenuation(hertz);
  return true;
}

static bool rain(const celslm_vector *v, double *out, celslm_error *err) {
  double hertz, rate, elevation, tilt;
  if (!carrier(v, 1, 1e3, &hertz, err) || !extra(v, "R", NAN, 0, 1e4, &rate, err) ||
      !extra(v, "el", 0, -90, 90, &elevation, err) || !extra(v, "tau", 0, -360, 360, &tilt, err))
    return false;
  *out = celslm_rain_attenuation(hertz, rate, elevation, tilt);
  return true;
}

/* ---- rates and times ------------------------------------------------------------------------- */

static bool table_of(const celslm_vector *v, int most, int *table, celslm_error *err) {
  double t = behind(v->scenario, "table", NAN);
  if (!(t >= 1 && t <= most) || t != floor(t))
    return celslm_fail(err, v->file, v->line,
                       "scenario \"%.40s\" names no table; allowed are table 1 to table %d",
                       v->scenario, most);
  *table = (int)t;
  return true;
}

static bool cqi_se(const celslm_vector *v, double *out, celslm_error *err) {
  int table = 0, index = 0;
  if (!table_of(v, 3, &table, err) || !index_in(v, v->state, 1, 15, &index, err)) return false;
  *out = celslm_cqi_efficiency(table, index);
  return true;
}

static bool mcs_of(const celslm_vector *v, int *table, int *index, celslm_error *err) {
  return table_of(v, 2, table, err) && index_in(v, v->state, 0, *table == 1 ? 28 : 27, index, err);
}

static bool mcs_se(const celslm_vector *v, double *out, celslm_error *err) {
  int table = 0, index = 0;
  if (!mcs_of(v, &table, &index, err)) return false;
  *out = celslm_mcs_efficiency(table, index);
  return true;
}

static bool snr_awgn(const celslm_vector *v, double *out, celslm_error *err) {
  int table = 0, index = 0;
  if (!mcs_of(v, &table, &index, err)) return false;
  *out = celslm_mcs_threshold(CELSLM_LINK_AWGN, table, index);
  return true;
}

static bool snr_practical(const celslm_vector *v, double *out, celslm_error *err) {
  int table = 0, index = 0;
  if (!mcs_of(v, &table, &index, err)) return false;
  *out = celslm_mcs_threshold(CELSLM_LINK_PRACTICAL, table, index);
  return true;
}

/* The scenario names the range, the direction and the subcarriers: "FR1 DL 100 MHz 30 kHz". */
static bool peak_rate(const celslm_vector *v, double *out, celslm_error *err) {
  double layers, bits, blocks, overhead, scaling, mu = NAN;
  const char *khz = strcasestr(v->scenario, "kHz");
  if (khz) {
    const char *start = khz;
    while (start > v->scenario && strchr(" 0123456789.", start[-1])) start--;
    mu = log2(strtod(start, NULL) / 15);
  }
  bool uplink = strstr(v->scenario, "UL") != NULL, fr2 = strstr(v->scenario, "FR2") != NULL;
  double usual = celslm_overhead(fr2 ? 28e9 : 3.5e9, uplink);
  if (!extra(v, "layers", NAN, 1, 64, &layers, err) || !extra(v, "Qm", NAN, 1, 12, &bits, err) ||
      !extra(v, "NPRB", NAN, 1, 1e4, &blocks, err) ||
      !extra(v, "OH", usual, 0, 1, &overhead, err) || !extra(v, "f", 1, 0, 1, &scaling, err) ||
      !extra(v, "mu", mu, 0, 6, &mu, err))
    return false;
  if (!(mu >= 0 && mu <= 6) || mu != floor(mu))
    return celslm_fail(
        err, v->file, v->line,
        "scenario \"%.40s\" has no subcarriers of 15 kHz times a power of 2; allowed "
        "are 15 kHz to 960 kHz",
        v->scenario);
  *out = celslm_peak_rate((int)layers, (int)bits, scaling, (int)blocks, (int)mu, overhead) * 1e-6;
  return true;
}

static bool ue_proc_time(const celslm_vector *v, double *out, celslm_error *err) {
  int what = (int)behind(v->scenario, "N", 0), capability = (int)behind(v->scenario, "cap", 0);
  double mu = behind(v->state, "mu", NAN), symbols;
  if (!(mu >= 0 && mu <= 6) || mu != floor(mu))
    return celslm_fail(err, v->file, v->line, "state is \"%.40s\"; allowed are mu=0 to mu=6",
                       v->state);
  bool known = (what == 1 || what == 2) && (capability == 1 || capability == 2);
  double usual =
      known ? celslm_processing_symbols((celslm_processing)what, capability, (int)mu) : NAN;
  if (!extra(v, "N", usual, 0, 1e3, &symbols, err)) return false;
  *out = celslm_processing_time(symbols, (int)mu) * 1e3;
  return true;
}

/* ---- the kinds ------------------------------------------------------------------------------- */

static const struct kind {
  const char *name, *unit;
  bool (*evaluate)(const celslm_vector *v, double *out, celslm_error *err);
} kinds[] = {
    {"pathloss", "dB", pathloss},
    {"pathloss-ci", "dB", pathloss_ci},
    {"los_prob", "prob", los_prob},
    {"shadow_std", "dB", shadow_std},
    {"decorr_distance", "m", decorr_distance},
    {"los_state_corr_distance", "m", los_state_corr},
    {"rician_K_mean", "dB", rician_mean},
    {"rician_K_std", "dB", rician_std},
    {"o2i_wall", "dB", o2i_wall},
    {"gas_attenuation", "dB/km", gas},
    {"oxygen_38901", "dB/km", oxygen},
    {"rain_attenuation", "dB/km", rain},
    {"cqi_se", "bit/s/Hz", cqi_se},
    {"mcs_se", "bit/s/Hz", mcs_se},
    {"snr_at_bler10", "dB", snr_awgn},
    {"snr_at_bler10_practical", "dB", snr_practical},
    {"peak_rate", "Mbit/s", peak_rate},
    {"ue_proc_time", "ms", ue_proc_time},
};

static const struct kind *kind_of(const celslm_vector *v) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (strcmp(v->kind, kinds[i].name) == 0) return &kinds[i];
  return NULL;
}

bool celslm_vector_known(const celslm_vector *v) {
  return kind_of(v) != NULL;
}

bool celslm_vector_check(celslm_vector *v, double *computed, celslm_error *err) {
  const struct kind *k = kind_of(v);
  if (*v->unit && strcmp(v->unit, k->unit) != 0)
    return celslm_fail(err, v->file, v->line, "unit is \"%.20s\"; %s is in %s", v->unit, v->kind,
                       k->unit);
  if (!celslm_vector_number(v->expected_text, &v->expected))
    return celslm_fail(err, v->file, v->line, "expected is \"%.40s\"; give a finite decimal number",
                       v->expected_text);
  if (!celslm_vector_number(v->tol_text, &v->tol) || v->tol < 0)
    return celslm_fail(err, v->file, v->line,
                       "tol is \"%.40s\"; give a finite decimal number, 0 or more", v->tol_text);
  if (!k->evaluate(v, computed, err)) return false;
  return isfinite(*computed) || celslm_fail(err, v->file, v->line,
                                            "%s has no finite value here; check the distance and "
                                            "the heights",
                                            v->kind);
}

bool celslm_vector_met(const celslm_vector *v, double computed) {
  return fabs(computed - v->expected) <= v->tol + 1e-9 * fmax(1, fabs(v->expected));
}
