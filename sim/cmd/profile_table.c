/* profile_table.c - celslm profile table: a file of kernel times with linear interpolation. */
#include "cmd/commands.h"
#include "cmd/profile.h"
#include "cost/table_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: celslm profile table --tables DIR --base PROFILE.xml -o TABLES.h5\n"
    "                            [--model MODEL.xml] [--source TEXT]\n"
    "                            [--profile PROFILE.xml [--name NAME]]\n"
    "\n"
    "Makes a file of the kernel times in DIR (layouts: docs/profiles.md): exact where measured, "
    "linear\n"
    "between, never faster than reading weights or KV at the base profile's memory bandwidth, and "
    "not\n"
    "falling with tokens, context or batch. Prints how many points that moved, and the error of "
    "every\n"
    "fourth inner shape when it is interpolated from the others.\n"
    "\n"
    "  --profile FILE  also write the base profile with this table in it, for platforms to name:\n"
    "                  runs then take kernel times from the table, and the rest from its curves\n"
    "  --name NAME     of that profile (default: the base's)\n";

typedef struct arguments {
  const char *tables, *base, *output, *model, *source, *profile, *name;
  bool help;
} arguments;

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  const celslm_flag flags[] = {{.name = "--tables", .value = &a->tables, .needed = "DIR"},
                               {.name = "--base", .value = &a->base, .needed = "PROFILE.xml"},
                               {"--output", "-o", .value = &a->output, .needed = "TABLES.h5"},
                               {.name = "--model", .value = &a->model},
                               {.name = "--source", .value = &a->source},
                               {.name = "--profile", .value = &a->profile},
                               {.name = "--name", .value = &a->name}};
  return celslm_flags("profile table", argc, argv, flags, sizeof flags / sizeof *flags, &a->help,
                      err);
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

static bool save(const celslm_table_profile *t, const arguments *a, const char *name,
                 const char *source, const celslm_table_report *report, celslm_error *err) {
  char *notes[CELSLM_TABLE_KINDS];
  for (int k = 0; k < CELSLM_TABLE_KINDS; k++)
    notes[k] = celslm_format("%d of %d points raised to the memory's time, %d smoothed",
                             report[k].raised, report[k].points, report[k].smoothed);
  bool ok = celslm_table_save(t, a->output, name, source, notes, err);
  for (int k = 0; k < CELSLM_TABLE_KINDS; k++) free(notes[k]);
  return ok;
}

/* The profile names the table by its place relative to the profile, if they share a folder. */
static bool save_profile(celslm_profile *p, const arguments *a, const char *source,
                         celslm_error *err) {
  const char *slash = strrchr(a->output, '/'), *profile_slash = strrchr(a->profile, '/');
  size_t n = slash ? (size_t)(slash - a->output) : 0,
         profile_n = profile_slash ? (size_t)(profile_slash - a->profile) : 0;
  bool together = n == profile_n && strncmp(a->output, a->profile, n) == 0;
  char *absolute = together ? NULL : realpath(a->output, NULL);
  free(p->table_file);
  free(p->table_source);
  p->table_file = celslm_strdup(absolute ? absolute : slash ? slash + 1 : a->output);
  p->table_source = celslm_format("kernel times of %s", source);
  free(absolute);
  if (a->name) {
    free(p->name);
    p->name = celslm_strdup(a->name);
  }
  return celslm_profile_save(p, a->profile, err);
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
  const char *source = a.source ? a.source : a.tables;
  bool ok = t && save(t, &a, p->name, source, report, &err) &&
            (!a.profile || save_profile(p, &a, source, &err));
  if (ok) print(report);
  celslm_table_free(t);
  celslm_measured_close(m);
  celslm_profile_free(p);
  if (has_model) celslm_model_clear(&model);
  return ok ? 0 : celslm_bad_input(&err);
}
