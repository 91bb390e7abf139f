/* bench.c - celslm bench: the program measures itself. */
#include "cmd/bench.h"

#include "cmd/commands.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: celslm bench SUITE [--json]\n"
    "\n"
    "  serve      simulated requests and iterations per second of wall time, stepping and jumping\n"
    "  kernels    our kernels beside other libraries on this machine, as ratios\n"
    "  attention  the part of it without peers: attention beside the FMA peak and read bandwidth\n"
    "  net        a flow in a crowded cell, a prompt, a fetch: with 10 to 10,000 users\n"
    "\n"
    "A table for people; with --json one object per line: name, value, unit and, where they "
    "apply,\n"
    "reference (what it is compared with), ratio, required. Machines are noisy: pin (taskset -c "
    "0),\n"
    "repeat, compare ratios and medians.\n";

static void put_text(const char *key, const char *text) {
  printf(", \"%s\": \"%s\"", key, text);
}

void celslm_bench_report(bool json, const char *name, double value, const char *unit,
                         const char *reference, double ratio, double required) {
  if (json) {
    printf("{\"name\": \"%s\", \"value\": %.6g", name, value);
    put_text("unit", unit);
    if (reference) put_text("reference", reference);
    if (!isnan(ratio)) printf(", \"ratio\": %.4g", ratio);
    if (!isnan(required)) printf(", \"required\": %.4g", required);
    puts("}");
  } else {
    printf("%-44s %12.5g %-14s", name, value, unit);
    if (reference) printf(" vs %s", reference);
    if (!isnan(ratio)) printf(" x%.2f", ratio);
    if (!isnan(required)) printf("  (required %.4g)", required);
    putchar('\n');
  }
  fflush(stdout);
}

int celslm_cmd_bench(int argc, char **argv) {
  const char *suite = NULL;
  bool json = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(help, stdout);
      return 0;
    }
    if (strcmp(argv[i], "--json") == 0)
      json = true;
    else if (!suite && argv[i][0] != '-')
      suite = argv[i];
    else {
      fprintf(stderr,
              "celslm: bench does not know \"%s\"; `celslm bench --help` tells its arguments\n",
              argv[i]);
      return 2;
    }
  }
  if (suite && strcmp(suite, "serve") == 0) return celslm_bench_serve(json);
  if (suite && strcmp(suite, "kernels") == 0) return celslm_bench_kernels(json);
  if (suite && strcmp(suite, "attention") == 0) return celslm_bench_attention(json);
  if (suite && strcmp(suite, "net") == 0) return celslm_bench_net(json);
  fprintf(stderr, "celslm: bench has the suites serve, kernels, attention and net%s%s\n",
          suite ? "; not " : "", suite ? suite : "");
  return 2;
}
