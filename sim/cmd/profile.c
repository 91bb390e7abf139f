/* profile.c - celslm profile: making device profiles from data and checking them against rows. */
#include "cmd/profile.h"

#include "cmd/commands.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: celslm profile fit --tables DIR --base PROFILE.xml -o PROFILE.xml [...]\n"
    "       celslm profile fit --rows ROWS.csv --base PROFILE.xml -o PROFILE.xml [...]\n"
    "       celslm profile table --tables DIR --base PROFILE.xml -o TABLES.h5 [...]\n"
    "       celslm profile check --against ROWS.csv [--profile PROFILE.xml] [--json] [...]\n"
    "\n"
    "fit     fits the cost curves of a profile to measured kernel tables, or its efficiencies and\n"
    "        overheads to published end-to-end rows\n"
    "table   makes a file of kernel times with linear interpolation, exact where measured\n"
    "check   prints predicted and published decode and prefill rates side by side\n"
    "\n"
    "`celslm profile fit --help` and so on say more. Formats and methods: docs/profiles.md\n";

int celslm_cmd_profile(int argc, char **argv) {
  static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
  } parts[] = {{"fit", celslm_profile_fit},
               {"table", celslm_profile_table},
               {"check", celslm_profile_check}};
  if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
    fputs(help, argc < 2 ? stderr : stdout);
    return argc < 2 ? 2 : 0;
  }
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (strcmp(argv[1], parts[i].name) == 0) return parts[i].run(argc - 1, argv + 1);
  celslm_error err = {""};
  celslm_fail(&err, NULL, 0, "profile cannot \"%s\"; it can fit, table or check", argv[1]);
  return celslm_bad_input(&err);
}
