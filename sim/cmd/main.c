/* main.c - celslm COMMAND ... */
#include "cmd/commands.h"

#include "base/version.h"

#include <stdio.h>
#include <string.h>

static void usage(FILE *to) {
  fputs("celslm simulates large and small language models that work together across cloud and edge "
        "over 6G.\n\n"
        "usage: celslm COMMAND [options]\n\ncommands:\n",
        to);
  for (const celslm_command *c = celslm_commands; c->name; c++)
    fprintf(to, "  %-10s %s\n", c->name, c->summary);
  fputs("\n`celslm COMMAND --help` tells more. Begin with: celslm run scenarios/quickstart.xml -o "
        "results/quickstart.h5\n",
        to);
}

int main(int argc, char **argv) {
  if (argc < 2) {
    usage(stderr);
    return 2;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
      strcmp(argv[1], "help") == 0) {
    usage(stdout);
    return 0;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("celslm %s\n", celslm_version);
    return 0;
  }
  for (const celslm_command *c = celslm_commands; c->name; c++)
    if (strcmp(argv[1], c->name) == 0) return c->run(argc - 1, argv + 1);
  fprintf(stderr, "celslm: there is no command \"%s\"; `celslm --help` lists them\n", argv[1]);
  return 2;
}
