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
  const struct {
    const char *name, *shorter, **value;
  } options[] = {{"--rows", NULL, &a->rows},
                 {"--base", NULL, &a->base},
                 {"--output", "-o", &a->output},
                 {"--source", NULL, &a->source},
                 {"--profiles", NULL, &a->profiles}};
  for (int i = 1; i < argc; i++) {
    bool taken = false;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return a->help = true;
    if (strcmp(argv[i], "--overheads") == 0) taken = a->overheads = true;
    for (size_t k = 0; !taken && k < sizeof options / sizeof *options; k++) {
      const char *value;
      taken = celslm_option(argc, argv, &i, options[k].name, options[k].shorter, &value, err);
      if (taken && !value) return false;
      if (taken) *options[k].value = value;
    }
    if (!taken)
      return celslm_fail(err, NULL, 0,
                         "profile fit --rows has no option %s; `celslm profile fit --help` lists "
                         "them",
                         argv[i]);
  }
  if (!a->base) return celslm_fail(err, NULL, 0, "profile fit needs --base PROFILE.xml");
  return a->output || celslm_fail(err, NULL, 0, "profile fit needs -o PROFILE.xml");
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
