/* profile_table.c - celslm profile table: a file of kernel times with linear interpolation. */
#include "cmd/commands.h"
#include "cmd/profile.h"
#include "cost/table.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "usage: celslm profile table --tables DIR --base PROFILE.xml -o TABLES.h5\n"
    "                            [--model MODEL.xml] [--source TEXT]\n"
    "\n"
    "Makes a file of the kernel times in DIR (layouts: docs/profiles.md): exact where measured, "
    "linear\n"
    "between, never faster than reading weights or KV at the base profile's memory bandwidth, and "
    "not\n"
    "falling with tokens, context or batch. Prints how many points that moved, and the error of "
    "every\n"
    "fourth inner shape when it is interpolated from the others.\n";

typedef struct arguments {
  const char *tables, *base, *output, *model, *source;
  bool help;
} arguments;

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  const struct {
    const char *name, *shorter, **value;
  } options[] = {{"--tables", NULL, &a->tables},
                 {"--base", NULL, &a->base},
                 {"--output", "-o", &a->output},
                 {"--model", NULL, &a->model},
                 {"--source", NULL, &a->source}};
  for (int i = 1; i < argc; i++) {
    bool taken = false;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return a->help = true;
    for (size_t k = 0; !taken && k < sizeof options / sizeof *options; k++) {
      const char *value;
      taken = celslm_option(argc, argv, &i, options[k].name, options[k].shorter, &value, err);
      if (taken && !value) return false;
      if (taken) *options[k].value = value;
    }
    if (!taken)
      return celslm_fail(err, NULL, 0,
                         "profile table has no option %s; `celslm profile table --help` lists them",
                         argv[i]);
  }
  if (!a->tables) return celslm_fail(err, NULL, 0, "profile table needs --tables DIR");
  if (!a->base) return celslm_fail(err, NULL, 0, "profile table needs --base PROFILE.xml");
  return a->output || celslm_fail(err, NULL, 0, "profile table needs -o TABLES.h5");
}

static void print(const celslm_table_report *report) {
  printf("%-18s %7s %7s %9s %8s %9s %11s | held out: shapes, points, median, p95; unsmoothed\n",
         "table", "points", "shapes", "repeated", "raised", "smoothed", "moved most");
  for (int k = 0; k < CELSLM_TABLE_KINDS; k++) {
    const celslm_table_report *r = &report[k];
    if (!r->points) continue;
    printf("%-18s %7d %7d %9d %8d %9d %10.1f%% |", celslm_table_name((celslm_table_kind)k),
           r->points, r->shapes, r->repeated, r->raised, r->smoothed, r->moved_most * 100);
    if (r->held_points)
      printf(" %d, %d, %.2f%%, %.1f%%; %.2f%%", r->held_shapes, r->held_points,
             r->held_median * 100, r->held_p95 * 100, r->held_raw_median * 100);
    else
      fputs(" none: too few shapes", stdout);
    if (k == CELSLM_TABLE_GEMM && r->held_large_median >= 0)
      printf("; n, k from 512: %.2f%%", r->held_large_median * 100);
    putchar('\n');
  }
}

int celslm_profile_table(int argc, char **argv) {
  celslm_error err = {""};
  arguments a = {0};
  if (!parse(argc, argv, &a, &err)) return celslm_bad_input(&err);
  if (a.help) {
    fputs(help, stdout);
    return 0;
  }
  celslm_model model = {0};
  celslm_table_report report[CELSLM_TABLE_KINDS];
  bool has_model = a.model && celslm_model_load(a.model, &model, &err);
  celslm_profile *p = err.text[0] ? NULL : celslm_profile_load(a.base, &err);
  celslm_measured *m = p ? celslm_measured_open(a.tables, has_model ? &model : NULL, &err) : NULL;
  celslm_table_profile *t = m ? celslm_table_build(m, p->bandwidth, report, &err) : NULL;
  bool ok =
      t && celslm_table_save(t, a.output, p->name, a.source ? a.source : a.tables, report, &err);
  if (ok) print(report);
  celslm_table_free(t);
  celslm_measured_close(m);
  celslm_profile_free(p);
  if (has_model) celslm_model_clear(&model);
  return ok ? 0 : celslm_bad_input(&err);
}
