#include "cmd/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const celslm_command celslm_commands[] = {
    {"run", "run a scenario, print its summary, write its results", celslm_cmd_run},
    {"sweep", "run a scenario over a grid of parameters, here or on Slurm", celslm_cmd_sweep},
    {"capacity", "find the highest load that meets the objectives", celslm_cmd_capacity},
    {"validate", "check a scenario and all that it names, without running it", celslm_cmd_validate},
    {"show", "print the summary of a results file", celslm_cmd_show},
    {"cache", "compare a run's context stores with the best that could be", celslm_cmd_cache},
    {"report", "make one page about a results file", celslm_cmd_report},
    {"list", "list models, devices, strategies, codecs, channels, bands, loads", celslm_cmd_list},
    {"calibrate", "measure this machine's kernels and write its device profile",
     celslm_cmd_calibrate},
    {"profile", "build a device profile from measurements, or check one against published rows",
     celslm_cmd_profile},
    {"radio",
     "show what the users of a scenario hear, or check radio formulas against published values",
     celslm_cmd_radio},
    {"quality", "measure what sharing KV between two real models costs in quality",
     celslm_cmd_quality},
    {"bench", "measure the program itself", celslm_cmd_bench},
    {NULL, NULL, NULL},
};

int celslm_bad_input(const celslm_error *err) {
  fprintf(stderr, "%s\n", err->text);
  return 2;
}

bool celslm_option(int argc, char **argv, int *i, const char *name, const char *shorter,
                   const char **value, celslm_error *err) {
  const char *a = argv[*i];
  size_t n = strlen(name);
  if (strncmp(a, name, n) == 0 && a[n] == '=') {
    *value = a + n + 1;
    return true;
  }
  if (strcmp(a, name) != 0 && (!shorter || strcmp(a, shorter) != 0)) return false;
  *value = *i + 1 < argc ? argv[++*i] : NULL;
  if (!*value) celslm_fail(err, NULL, 0, "%s needs a value", a);
  return true;
}

static bool take(int argc, char **argv, int *i, const celslm_flag *f, bool *taken,
                 celslm_error *err) {
  const char *value;
  if (f->set && strcmp(argv[*i], f->name) == 0) return *taken = *f->set = true;
  if (f->set || !celslm_option(argc, argv, i, f->name, f->shorter, &value, err)) return true;
  *taken = true;
  if (!value) return false;
  if (f->count && *f->count == f->most)
    return celslm_fail(err, NULL, 0, "more than %d times %s", f->most, f->name);
  f->value[f->count ? (*f->count)++ : 0] = value;
  return true;
}

bool celslm_flags(const char *command, int argc, char **argv, const celslm_flag *flags, int n,
                  bool *help, celslm_error *err) {
  for (int i = 1; i < argc; i++) {
    bool taken = false;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return *help = true;
    for (int k = 0; k < n && !taken; k++)
      if (!take(argc, argv, &i, &flags[k], &taken, err)) return false;
    if (!taken)
      return celslm_fail(err, NULL, 0, "%s has no option %s; `celslm %s --help` lists them",
                         command, argv[i], command);
  }
  for (int k = 0; k < n; k++)
    if (flags[k].needed && !*flags[k].value)
      return celslm_fail(err, NULL, 0, "%s needs %s %s", command,
                         flags[k].shorter ? flags[k].shorter : flags[k].name, flags[k].needed);
  return true;
}

bool celslm_read_jobs(const char *value, long *jobs, celslm_error *err) {
  char *end;
  *jobs = strtol(value, &end, 10);
  return (end != value && !*end && *jobs >= 1 && *jobs <= 4096) ||
         celslm_fail(err, NULL, 0, "-j \"%s\" is no number of jobs; give 1 to 4096", value);
}

bool celslm_read_seed(const char *value, uint64_t *seed, celslm_error *err) {
  char *end;
  *seed = strtoull(value, &end, 10);
  return (value[0] >= '0' && value[0] <= '9' && !*end && *seed <= INT64_MAX) ||
         celslm_fail(err, NULL, 0, "--seed \"%s\" is no seed; give a whole number from 0", value);
}
