/* radio.c - celslm radio: what the radio models say, beside what others published. */
#include "base/units.h"
#include "cmd/commands.h"
#include "cmd/radio_scene.h"
#include "net/radio/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: celslm radio check FILE.csv [--failed] [--quiet]\n"
    "       celslm radio SCENARIO.xml [-o MAP.h5] [-g 5m] [--set 'XPATH=VALUE']...\n"
    "\n"
    "With a scenario: prints for every user its place, signal, MCS, rate and latency, and for\n"
    "every cell how active it is, without running the load; with -o also writes them, and a map\n"
    "of what can be had where at steps of -g (--grid; default 5m), for analysis/radio_map.py.\n"
    "\n"
    "With check:\n"
    "Computes every row of a file of check points, and prints for each what the models give, what "
    "the\n"
    "row expects, and whether the two agree within the row's tolerance. The last line counts the "
    "rows\n"
    "by kind; rows of a kind that there is no model for are counted as such and do not fail.\n"
    "\n"
    "  --failed   print the rows that fail, and the last line\n"
    "  --quiet    print the last line only\n"
    "\n"
    "The first line names the columns, in any order: kind, scenario, state, fc_ghz, d2d_m, "
    "h_bs_m,\n"
    "h_ut_m, extra, expected, tol; and, if you like, id and unit. Others are left alone. An "
    "example:\n"
    "\n"
    "  kind,scenario,state,fc_ghz,d2d_m,h_bs_m,h_ut_m,extra,expected,tol\n"
    "  pathloss,UMi,NLOS,3.5,100,10,1.5,,104.64,0.02\n"
    "  pathloss,RMa,LOS,3.5,700,35,1.5,h=5;W=20,101.87,0.02\n"
    "  los_prob,InF-DH,,,30,8,1.5,dclutter=2;r=0.6;hc=6,0.00007,0.0001\n"
    "  rain_attenuation,P.838-3,,28,,,,R=25mm/h;el=0deg;tau=0deg,4.62,0.02\n"
    "\n"
    "Kinds: pathloss, pathloss-ci, los_prob, shadow_std, decorr_distance, "
    "los_state_corr_distance,\n"
    "rician_K_mean, rician_K_std, o2i_wall, gas_attenuation, oxygen_38901, rain_attenuation, "
    "cqi_se,\n"
    "mcs_se, snr_at_bler10, snr_at_bler10_practical, peak_rate, ue_proc_time. docs/radio.md has "
    "the\n"
    "formulas, their sources, and what each kind reads of the column extra.\n"
    "\n"
    "Exit status: 0 all rows of known kinds pass, 1 one fails, 2 bad input.\n";

/* ---- counting -------------------------------------------------------------------------------- */

typedef struct count {
  const char *kind;
  bool known;
  int passed, failed, rows;
} count;

typedef struct tally {
  count *kinds; /* in the order of their first rows */
  int n;
} tally;

static count *count_of(tally *t, const celslm_vector *v) {
  for (int i = 0; i < t->n; i++)
    if (strcmp(t->kinds[i].kind, v->kind) == 0) return &t->kinds[i];
  t->kinds = celslm_realloc(t->kinds, (unsigned long)t->n + 1, sizeof *t->kinds);
  count *c = &t->kinds[t->n++];
  *c = (count){.kind = v->kind, .known = celslm_vector_known(v)};
  return c;
}

/* "12 passed, 1 failed, 3 of unknown kinds: pathloss 10/11, o2i_wall 2/2, unknown calibration 3" */
static int print_counts(const tally *t) {
  int passed = 0, failed = 0, unknown = 0;
  for (int i = 0; i < t->n; i++) {
    passed += t->kinds[i].passed;
    failed += t->kinds[i].failed;
    unknown += t->kinds[i].known ? 0 : t->kinds[i].rows;
  }
  printf("%d passed, %d failed, %d of unknown kinds:", passed, failed, unknown);
  const char *between = " ";
  for (int known = 1; known >= 0; known--)
    for (int i = 0; i < t->n; i++) {
      const count *c = &t->kinds[i];
      if (c->known != known) continue;
      if (known)
        printf("%s%s %d/%d", between, c->kind, c->passed, c->rows);
      else
        printf("%sunknown %s %d", between, c->kind, c->rows);
      between = ", ";
    }
  printf("\n");
  return failed ? 1 : 0;
}

/* ---- rows ------------------------------------------------------------------------------------ */

typedef struct result {
  double computed;
  bool known, met;
} result;

static void print_row(const celslm_vector *v, const result *r) {
  char *name = *v->id ? celslm_strdup(v->id) : celslm_format("line %d", v->line);
  char *what = celslm_format("%s%s%s", v->scenario, *v->state ? " " : "", v->state);
  if (r->known)
    printf("%-9s %-24s %-26s computed %12.6g  expected %12s +- %-8s %s\n", name, v->kind, what,
           r->computed, v->expected_text, v->tol_text, r->met ? "pass" : "FAIL");
  else
    printf("%-9s %-24s %-26s unknown kind\n", name, v->kind, what);
  free(name);
  free(what);
}

/* Nothing is printed before the whole file is known to be good. */
static int check(const char *file, bool only_failed, bool quiet) {
  celslm_error err = {0};
  celslm_vectors *v = celslm_vectors_read(file, &err);
  if (!v) return celslm_bad_input(&err);
  result *results = celslm_alloc((unsigned long)v->n, sizeof *results);
  tally t = {0};
  int status = 0;
  for (int i = 0; i < v->n && status == 0; i++) {
    celslm_vector *row = &v->rows[i];
    result *r = &results[i];
    count *c = count_of(&t, row);
    c->rows++;
    r->known = c->known;
    if (!r->known) continue;
    if (!celslm_vector_check(row, &r->computed, &err)) status = celslm_bad_input(&err);
    r->met = celslm_vector_met(row, r->computed);
    c->passed += r->met;
    c->failed += !r->met;
  }
  if (status == 0) {
    for (int i = 0; i < v->n && !quiet; i++)
      if (!only_failed || (results[i].known && !results[i].met))
        print_row(&v->rows[i], &results[i]);
    status = print_counts(&t);
  }
  free(t.kinds);
  free(results);
  celslm_vectors_free(v);
  return status;
}

static bool is_scenario(const char *word) {
  size_t n = strlen(word);
  return n > 4 && strcmp(word + n - 4, ".xml") == 0;
}

static int scene(int argc, char **argv) {
  celslm_error err = {0};
  const char *file = NULL, *output = NULL, *value;
  const char **set = celslm_alloc((unsigned long)argc, sizeof *set);
  int n_set = 0;
  double grid = 5;
  for (int i = 1; i < argc && !err.text[0]; i++) {
    char why[300];
    if (celslm_option(argc, argv, &i, "--set", NULL, &value, &err)) {
      if (value) set[n_set++] = value;
    } else if (celslm_option(argc, argv, &i, "--output", "-o", &value, &err)) {
      output = value;
    } else if (celslm_option(argc, argv, &i, "--grid", "-g", &value, &err)) {
      if (value && (!celslm_parse_quantity(value, CELSLM_UNIT_LENGTH, &grid, why, sizeof why) ||
                    !(grid >= 0.01)))
        celslm_fail(&err, NULL, 0, "--grid \"%s\" is no step; give a length of at least 10mm",
                    value);
    } else if (argv[i][0] == '-') {
      celslm_fail(&err, NULL, 0, "radio has no option %s; `celslm radio --help` lists them",
                  argv[i]);
    } else if (file) {
      celslm_fail(&err, NULL, 0, "one scenario at a time; \"%s\" is a second one", argv[i]);
    } else {
      file = argv[i];
    }
  }
  int status =
      err.text[0] ? celslm_bad_input(&err) : celslm_radio_scene(file, set, n_set, output, grid);
  free(set);
  return status;
}

int celslm_cmd_radio(int argc, char **argv) {
  celslm_error err = {0};
  for (int i = 1; i < argc; i++)
    if (is_scenario(argv[i]) && strcmp(argv[1], "check") != 0) return scene(argc, argv);
  const char *words[2] = {0};
  int n = 0;
  bool only_failed = false, quiet = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(help, stdout);
      return 0;
    }
    if (strcmp(argv[i], "--failed") == 0)
      only_failed = true;
    else if (strcmp(argv[i], "--quiet") == 0)
      quiet = true;
    else if (argv[i][0] == '-') {
      celslm_fail(&err, NULL, 0, "radio has no option %s; `celslm radio --help` lists them",
                  argv[i]);
      return celslm_bad_input(&err);
    } else if (n == 2) {
      celslm_fail(&err, NULL, 0, "one file at a time; \"%s\" is a second one", argv[i]);
      return celslm_bad_input(&err);
    } else
      words[n++] = argv[i];
  }
  if (!n || strcmp(words[0], "check") != 0)
    celslm_fail(&err, NULL, 0,
                "radio does not know \"%s\"; try `celslm radio check FILE.csv` or `celslm radio "
                "SCENARIO.xml`",
                n ? words[0] : "");
  else if (n < 2)
    celslm_fail(&err, NULL, 0,
                "radio check needs a CSV file; `celslm radio --help` has an example");
  return err.text[0] ? celslm_bad_input(&err) : check(words[1], only_failed, quiet);
}
