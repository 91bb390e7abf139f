/* profile_rows.c - celslm profile fit --rows: efficiencies and overheads from published rows. */
#include "cmd/commands.h"
#include "cmd/profile.h"
#include "cost/rows_fit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "\n"
    "usage: celslm profile fit --rows ROWS.csv --base PROFILE.xml -o PROFILE.xml\n"
    "                          [--source TEXT] [--profiles DIR] [--overheads]\n"
    "\n"
    "Moves the efficiencies and overheads of a shipped profile (found by its name in DIR) towards\n"
    "published rows of its device, or family of devices, and runtime (columns: docs/profiles.md).\n"
    "Every second row is held out; with fewer than four rows a value stays an assumption.\n"
    "\n"
    "  --source TEXT   whose rows they are, for the profile's sources (default: the file's name)\n"
    "  --profiles DIR  the profiles among which rows are shared out (default: platforms/profiles)\n"
    "  --overheads     leave the curves as they are\n";

typedef struct arguments {
  const char *rows, *base, *output, *source, *profiles;
  bool overheads, help;
} arguments;

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  const celslm_flag flags[] = {{.name = "--rows", .value = &a->rows, .needed = "ROWS.csv"},
                               {.name = "--base", .value = &a->base, .needed = "PROFILE.xml"},
                               {"--output", "-o", .value = &a->output, .needed = "PROFILE.xml"},
                               {.name = "--source", .value = &a->source},
                               {.name = "--profiles", .value = &a->profiles},
                               {.name = "--overheads", .set = &a->overheads}};
  return celslm_flags("profile fit --rows", argc, argv, flags, sizeof flags / sizeof *flags,
                      &a->help, err);
}

static void print_rates(const char *what, int n, double median, int held, double held_median,
                        double held_p95) {
  printf("%-8s %3d rows in the fit", what, n);
  if (n) printf(", median error %.1f%%", median * 100);
  printf("; %3d held out", held);
  if (held) printf(", median %.1f%%, p95 %.1f%%", held_median * 100, held_p95 * 100);
  putchar('\n');
}

int celslm_profile_fit_rows(int argc, char **argv) {
  celslm_error err = {""};
  arguments a = {0};
  if (!parse(argc, argv, &a, &err)) return celslm_bad_input(&err);
  if (a.help) {
    fputs(help, stdout);
    return 0;
  }
  const char *slash = strrchr(a.rows, '/');
  celslm_rows *rows = celslm_rows_open(a.rows, &err);
  celslm_devices *d = rows ? celslm_devices_open(a.profiles, NULL, &err) : NULL;
  celslm_profile *p = d ? celslm_profile_load(a.base, &err) : NULL;
  celslm_rows_fit f;
  bool ok = p &&
            celslm_profile_fit_to_rows(p, d, rows, a.overheads,
                                       a.source ? a.source
                                       : slash  ? slash + 1
                                                : a.rows,
                                       &f, &err) &&
            celslm_profile_save(p, a.output, &err);
  if (ok) {
    printf("%s\n", p->name);
    print_rates("decode", f.decode_rows, f.decode_median, f.held_decode, f.held_decode_median,
                f.held_decode_p95);
    print_rates("prefill", f.prefill_rows, f.prefill_median, f.held_prefill, f.held_prefill_median,
                f.held_prefill_p95);
    if (isfinite(p->power_residual))
      printf(
          "power    %3d rows in the fit; %d held out, median %.1f%%: %.3g of full bandwidth, %.3g "
          "of the peak\n",
          f.power_rows, f.held_power, p->power_residual * 100, p->power_memory, p->power_compute);
  }
  celslm_profile_free(p);
  celslm_devices_close(d);
  celslm_rows_close(rows);
  return ok ? 0 : celslm_bad_input(&err);
}
