/* bench.c - celslm bench: the program measures itself. */
#include "cmd/bench.h"

#include "cmd/commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: celslm bench SUITE [--json] [--threads N]\n"
    "\n"
    "  serve      simulated requests and iterations per second of wall time, stepping and jumping\n"
    "  kernels    our kernels beside other libraries on this machine, as ratios: gemm and "
    "attention\n"
    "  gemm       matrix products beside OpenBLAS, BLIS and oneDNN (scripts/install-deps peers)\n"
    "  attention  attention beside the FMA peak and read bandwidth\n"
    "  net        a flow in a crowded cell, a prompt, a fetch: with 10 to 10,000 users\n"
    "\n"
    "A table for people; with --json one object per line: name, value, unit and, where they "
    "apply,\n"
    "reference (what it is compared with), ratio, required and holds (the bar, for the ratio or, "
    "without\n"
    "one, the value). The last line counts the bars that hold. kernels, gemm and attention run on "
    "one\n"
    "and on two threads, or on --threads. Machines are noisy: pin (taskset -c 0), repeat, compare "
    "ratios and "
    "medians.\n";

/* How many bars were judged; the names of those missed, for the last line. */
static struct {
  int bars, missed;
  char names[4096];
} tally;

static bool judge(const char *name, const char *reference, double figure, double required) {
  bool holds = figure >= required;
  tally.bars++;
  if (!holds) {
    size_t used = strlen(tally.names);
    tally.missed++;
    snprintf(tally.names + used, sizeof tally.names - used, "\n  %s%s%s: %.3g of %.3g", name,
             reference ? " vs " : "", reference ? reference : "", figure, required);
  }
  return holds;
}

static void report_tally(bool json) {
  if (tally.bars == 0) return;
  int held = tally.bars - tally.missed;
  if (json)
    printf("{\"name\": \"bars that hold\", \"value\": %d, \"unit\": \"of %d\"}\n", held,
           tally.bars);
  else
    printf("%d of %d bars hold%s%s\n", held, tally.bars, tally.missed ? "; missed are" : "",
           tally.names);
}

static void put_text(const char *key, const char *text) {
  printf(", \"%s\": \"%s\"", key, text);
}

void celslm_bench_report(bool json, const char *name, double value, const char *unit,
                         const char *reference, double ratio, double required) {
  bool bar = !isnan(required);
  bool holds = bar && judge(name, reference, isnan(ratio) ? value : ratio, required);
  if (json) {
    printf("{\"name\": \"%s\", \"value\": %.6g", name, value);
    put_text("unit", unit);
    if (reference) put_text("reference", reference);
    if (!isnan(ratio)) printf(", \"ratio\": %.4g", ratio);
    if (bar) printf(", \"required\": %.4g, \"holds\": %s", required, holds ? "true" : "false");
    puts("}");
  } else {
    printf("%-44s %12.5g %-14s", name, value, unit);
    if (reference) printf(" vs %s", reference);
    if (!isnan(ratio)) printf(" x%.3f", ratio);
    if (bar) printf("  bar %.4g %s", required, holds ? "holds" : "MISSED");
    putchar('\n');
  }
  fflush(stdout);
}

/* A suite runs either as it is, or on the threads that are asked for. */
static const struct suite {
  const char *name;
  int (*run)(bool json);
  int (*run_on)(bool json, int threads);
} suites[] = {{"serve", celslm_bench_serve, NULL},
              {"kernels", NULL, celslm_bench_kernels},
              {"gemm", NULL, celslm_bench_gemm},
              {"attention", NULL, celslm_bench_attention},
              {"net", celslm_bench_net, NULL}};
enum { SUITES = sizeof suites / sizeof *suites, MOST_THREADS = 1024 };

int celslm_cmd_bench(int argc, char **argv) {
  const char *suite = NULL, *wanted = NULL;
  bool json = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(help, stdout);
      return 0;
    }
    if (strcmp(argv[i], "--json") == 0)
      json = true;
    else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
      wanted = argv[++i];
    else if (!suite && argv[i][0] != '-')
      suite = argv[i];
    else {
      fprintf(stderr,
              "celslm: bench does not know \"%s\"; `celslm bench --help` tells its arguments\n",
              argv[i]);
      return 2;
    }
  }
  char *end = NULL;
  long threads = wanted ? strtol(wanted, &end, 10) : 0;
  if (wanted && (*end || threads < 1 || threads > MOST_THREADS)) {
    fprintf(stderr, "celslm: bench --threads takes a number from 1 to %d; not \"%s\"\n",
            MOST_THREADS, wanted);
    return 2;
  }
  for (int i = 0; suite && i < SUITES; i++) {
    if (strcmp(suite, suites[i].name) != 0) continue;
    if (wanted && !suites[i].run_on) {
      fprintf(stderr, "celslm: bench %s has no --threads; kernels, gemm and attention have\n",
              suite);
      return 2;
    }
    int code = suites[i].run ? suites[i].run(json) : suites[i].run_on(json, (int)threads);
    report_tally(json);
    return code;
  }
  fprintf(stderr, "celslm: bench has the suites serve, kernels, gemm, attention and net%s%s\n",
          suite ? "; not " : "", suite ? suite : "");
  return 2;
}
