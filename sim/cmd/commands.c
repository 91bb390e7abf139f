#include "cmd/commands.h"

#include <stdio.h>
#include <string.h>

const celslm_command celslm_commands[] = {
    {"run", "run a scenario, print its summary, write its results", celslm_cmd_run},
    {"validate", "check a scenario and all that it names, without running it", celslm_cmd_validate},
    {"show", "print the summary of a results file", celslm_cmd_show},
    {"list", "list models, devices, strategies, codecs, channels, bands, loads", celslm_cmd_list},
    {"calibrate", "measure this machine's kernels and write its device profile",
     celslm_cmd_calibrate},
    {"profile", "build a device profile from measurements, or check one against published rows",
     celslm_cmd_profile},
    {"radio",
     "show what the users of a scenario hear, or check radio formulas against published values",
     celslm_cmd_radio},
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
