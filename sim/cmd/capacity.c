/* capacity.c - celslm capacity: the highest load that each strategy of a scenario carries. */
#include "study/capacity.h"

#include "cmd/commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: celslm capacity SCENARIO.xml [--share S] [--replications N] [options]\n"
    "\n"
    "Finds by bisection the highest load at which each strategy is stable and a share of the\n"
    "requests meets every objective of the scenario's <slo>, and the highest that is only stable,\n"
    "with 95 % intervals over replications (seeds SEED, SEED+1, ...).\n"
    "\n"
    "  --share S           of requests that must meet the objectives (default 0.9)\n"
    "  --replications N    default 5\n"
    "  --tolerance T       relative width of the last bracket (default 0.02)\n"
    "  --load 'XPATH=V'    what is varied, and its first value (default: the rate of <arrivals>)\n"
    "  --disturbed FROM,UNTIL  when a burst comes, such as 60s,80s (default: timed <faults>)\n"
    "  --set 'XPATH=VALUE' as in celslm run\n"
    "  -j N                searches at once (default: one per core)\n"
    "  --json              one JSON object per strategy and line\n"
    "  --quiet             no progress\n"
    "\n"
    "A load is unstable if the number of requests in the system grows, between the warm-up and "
    "the\n"
    "last arrival, by more than 5 % of those that arrive, significantly (1 %). Above the "
    "scenario's\n"
    "rate more requests are sent, so that all runs cover the same time; let that be long: a short "
    "run\n"
    "cannot show that it is overloaded.\n"
    "\n"
    "At the first load it also tells the jitter of TTFT (mean difference between one request and "
    "the\n"
    "next) and, after a disturbance, how long it takes until no more requests are in the system "
    "than\n"
    "before on average (recovery), and how many were there at most (peak).\n"
    "\n"
    "example: celslm capacity scenarios/quickstart.xml --replications 3\n"
    "Exit status: 0 done, 2 bad input, 130 interrupted.\n";

typedef struct arguments {
  celslm_capacity_options o;
  const char *set[256];
  char *load;
  bool json, quiet, help;
} arguments;

static bool number(const char *value, const char *option, double min, double max, double *x,
                   celslm_error *err) {
  char *end;
  *x = strtod(value, &end);
  return (end != value && !*end && *x >= min && *x <= max) ||
         celslm_fail(err, NULL, 0, "%s \"%s\": give a number from %g to %g", option, value, min,
                     max);
}

/* "XPATH=2/s": the last '=' ends the XPath, since no quantity has one. */
static bool split_load(arguments *a, const char *text, celslm_error *err) {
  const char *equals = strrchr(text, '=');
  char *unit = NULL;
  free(a->load);
  a->load = celslm_strdup(text);
  if (equals) {
    a->load[equals - text] = 0;
    a->o.load = a->load;
    a->o.start = strtod(a->load + (equals - text) + 1, &unit);
    a->o.unit = unit;
  }
  return (equals && equals != text && unit != a->load + (equals - text) + 1 && a->o.start > 0 &&
          isfinite(a->o.start)) ||
         celslm_fail(err, NULL, 0, "--load \"%s\": give XPATH=VALUE, such as //poisson/@rate=2/s",
                     text);
}

static bool read_disturbed(const char *text, celslm_capacity_options *o, celslm_error *err) {
  char from[64];
  const char *comma = strchr(text, ',');
  snprintf(from, sizeof from, "%.*s", comma ? (int)(comma - text) : 0, text);
  return (comma && celslm_parse_quantity(from, CELSLM_UNIT_TIME, &o->disturbed_from, NULL, 0) &&
          celslm_parse_quantity(comma + 1, CELSLM_UNIT_TIME, &o->disturbed_until, NULL, 0) &&
          o->disturbed_from >= 0 && o->disturbed_until >= o->disturbed_from) ||
         celslm_fail(err, NULL, 0, "--disturbed \"%s\": give FROM,UNTIL, such as 60s,80s", text);
}

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  double replications = 5;
  a->o = (celslm_capacity_options){.set = a->set,
                                   .share = 0.9,
                                   .tolerance = 0.02,
                                   .disturbed_from = NAN,
                                   .disturbed_until = NAN};
  a->o.jobs = sysconf(_SC_NPROCESSORS_ONLN);
  for (int i = 1; i < argc; i++) {
    const char *value = NULL;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return a->help = true;
    else if (strcmp(argv[i], "--json") == 0)
      a->json = true;
    else if (strcmp(argv[i], "--quiet") == 0)
      a->quiet = true;
    else if (celslm_option(argc, argv, &i, "--share", NULL, &value, err)) {
      if (!value || !number(value, "--share", 0, 1, &a->o.share, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--tolerance", NULL, &value, err)) {
      if (!value || !number(value, "--tolerance", 0.0001, 1, &a->o.tolerance, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--replications", NULL, &value, err)) {
      if (!value || !number(value, "--replications", 1, 1000, &replications, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--jobs", "-j", &value, err)) {
      if (!value || !celslm_read_jobs(value, &a->o.jobs, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--disturbed", NULL, &value, err)) {
      if (!value || !read_disturbed(value, &a->o, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--load", NULL, &value, err)) {
      if (!value || !split_load(a, value, err)) return false;
    } else if (celslm_option(argc, argv, &i, "--set", NULL, &value, err)) {
      if (!value) return false;
      if (a->o.n_set == 256)
        return celslm_fail(err, NULL, 0, "more than 256 times --set; put them into the scenario");
      a->set[a->o.n_set++] = value;
    } else if (argv[i][0] == '-' || a->o.scenario)
      return celslm_fail(err, NULL, 0,
                         "capacity does not know \"%s\"; `celslm capacity --help` tells its "
                         "arguments",
                         argv[i]);
    else
      a->o.scenario = argv[i];
  }
  a->o.replications = (int64_t)replications;
  return a->o.scenario || celslm_fail(err, NULL, 0, "capacity needs a scenario");
}

/* The rate as the scenario has it. */
static bool default_load(arguments *a, const celslm_scenario *s, celslm_error *err) {
  const celslm_workload_config *only = s->n_workloads == 1 ? &s->workloads[0] : NULL;
  const celslm_element *e = only ? only->arrivals : NULL;
  const char *rate = e ? celslm_element_attribute(e, "rate") : NULL;
  if (!rate)
    return celslm_fail(err, s->file, 0,
                       "its load has no rate; say what to vary with --load 'XPATH=VALUE'");
  char *text = celslm_format("//arrivals/*/@rate=%s", rate);
  bool ok = split_load(a, text, err);
  if (only->requests < INT64_MAX) a->o.requests = only->requests;
  free(text);
  return ok;
}

static void print_limit(const celslm_limit *l, const char *unit) {
  char text[64], interval[96] = "";
  if (isinf(l->mean))
    snprintf(text, sizeof text, "no limit");
  else
    snprintf(text, sizeof text, "%.3g%s", l->mean, unit);
  if (isfinite(l->low)) snprintf(interval, sizeof interval, "%.3g - %.3g", l->low, l->high);
  printf("  %12s  %-15s", text, interval);
}

static void print_json(const char *name, const celslm_limit *l) {
  if (isfinite(l->mean) && isfinite(l->low))
    printf(",\"%s\":%.6g,\"%s_low\":%.6g,\"%s_high\":%.6g", name, l->mean, name, l->low, name,
           l->high);
  else if (isfinite(l->mean))
    printf(",\"%s\":%.6g,\"%s_low\":null,\"%s_high\":null", name, l->mean, name, name);
  else
    printf(",\"%s\":null,\"%s_low\":null,\"%s_high\":null", name, name, name);
}

static void print_json_mean(const char *name, const celslm_mean *m) {
  print_json(name, &(celslm_limit){m->mean, m->low, m->high});
}

static void print_steadiness(const celslm_scenario *s, const arguments *a,
                             const celslm_capacity *c) {
  bool disturbed = false;
  for (int i = 0; i < s->n_strategies; i++) disturbed |= !isnan(c[i].recovery.mean);
  printf("\nat %.3g%s%24s  %-17s", a->o.start, a->o.unit, "jitter of TTFT", "95 % interval");
  printf(disturbed ? "  %12s  %-17s  %6s\n" : "\n", "recovery", "95 % interval", "peak");
  for (int i = 0; i < s->n_strategies; i++) {
    printf("%-20s", s->strategies[i].label);
    const celslm_mean *shown[] = {&c[i].jitter, &c[i].recovery};
    for (int k = 0; k < (disturbed ? 2 : 1); k++) {
      char text[64] = "-", interval[96] = "";
      if (isinf(shown[k]->mean))
        snprintf(text, sizeof text, "not back");
      else if (!isnan(shown[k]->mean))
        snprintf(text, sizeof text, "%.3g s", shown[k]->mean);
      if (isfinite(shown[k]->low))
        snprintf(interval, sizeof interval, "%.3g - %.3g s", shown[k]->low, shown[k]->high);
      printf("  %12s  %-17s", text, interval);
    }
    if (disturbed) printf("  %6.1f", c[i].peak.mean);
    putchar('\n');
  }
}

static void print(const celslm_scenario *s, const arguments *a, const celslm_capacity *c) {
  if (a->json) {
    for (int i = 0; i < s->n_strategies; i++) {
      fputs("{\"strategy\":\"", stdout);
      for (const char *p = s->strategies[i].label; *p; p++)
        printf(*p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
      printf("\",\"unit\":\"%s\"", a->o.unit);
      print_json("capacity", &c[i].good);
      print_json("stable", &c[i].stable);
      print_json_mean("jitter", &c[i].jitter);
      print_json_mean("recovery", &c[i].recovery);
      print_json_mean("peak", &c[i].peak);
      puts("}");
    }
    return;
  }
  printf("highest %s, %lld replications\n%-20s  %12s  %-15s  %12s  %-15s\n", a->o.load,
         (long long)a->o.replications, "", "objectives", "95 % interval", "stable",
         "95 % interval");
  for (int i = 0; i < s->n_strategies; i++) {
    printf("%-20s", s->strategies[i].label);
    print_limit(&c[i].good, a->o.unit);
    print_limit(&c[i].stable, a->o.unit);
    putchar('\n');
  }
  print_steadiness(s, a, c);
}

static volatile sig_atomic_t interrupted; /* set by the handler: the one thing it may do */

static void on_interrupt(int signal) {
  (void)signal;
  interrupted = 1;
}

int celslm_cmd_capacity(int argc, char **argv) {
  arguments a = {0};
  celslm_error err = {0};
  if (!parse(argc, argv, &a, &err)) {
    free(a.load);
    return celslm_bad_input(&err);
  }
  if (a.help) {
    fputs(help, stdout);
    return 0;
  }
  celslm_scenario *s = celslm_scenario_load(
      a.o.scenario, &(celslm_scenario_options){.set = a.set, .n_set = a.o.n_set}, &err);
  int status = 2;
  if (s && (a.o.load || default_load(&a, s, &err))) {
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    a.o.interrupt = &interrupted;
    a.o.progress = !a.quiet && isatty(STDERR_FILENO);
    celslm_capacity *c = celslm_alloc((unsigned long)s->n_strategies, sizeof *c);
    if (celslm_capacity_find(s, &a.o, c, &err)) {
      print(s, &a, c);
      status = 0;
    } else if (interrupted)
      status = 130;
    free(c);
  }
  if (status) fprintf(stderr, "%s\n", err.text);
  celslm_scenario_free(s);
  free(a.load);
  return status;
}
