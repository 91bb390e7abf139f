/* validate.c - celslm validate: a scenario and all that it names, checked without running. */
#include "cmd/commands.h"
#include "study/carry_out.h"
#include "study/design.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: celslm validate SCENARIO.xml...\n"
    "\n"
    "Reads each scenario with its platform, models and profiles, builds every strategy of it "
    "without\n"
    "running, and prints what it found.\n"
    "Exit status: 0 all are good, 2 otherwise (the first error of each on a line of its own).\n";

int celslm_cmd_validate(int argc, char **argv) {
  int status = 0;
  if (argc < 2) {
    fputs("celslm: validate needs a scenario\n", stderr);
    return 2;
  }
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(help, stdout);
      return 0;
    }
    celslm_error err = {0};
    celslm_scenario *s = celslm_scenario_load(argv[i], NULL, &err);
    if (!s) {
      status = celslm_bad_input(&err);
      continue;
    }
    celslm_design *d = celslm_design_new(s, &(celslm_design_options){0}, &err);
    celslm_carry_out_options check = {.jobs = 1, .check = true};
    if (d && celslm_carry_out(s, &check, NULL, &err) == CELSLM_DONE) {
      printf("%s: good. %d engines on %d hosts, %d cells, %d contexts, %d strategies", argv[i],
             s->n_engines, s->platform->n_hosts, s->platform->n_cells, s->n_contexts,
             s->n_strategies);
      if (s->sweep) printf(", a sweep of %lld points", (long long)d->points);
      puts(".");
    } else
      status = celslm_bad_input(&err);
    celslm_design_free(d);
    celslm_scenario_free(s);
  }
  return status;
}
