/* profile_fit.c - celslm profile fit: a profile's curves from kernel tables, or its efficiencies
 * from published rows. What is not fitted is copied from the base profile with its sources. */
#include "cmd/commands.h"
#include "cmd/profile.h"
#include "cost/curves.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: celslm profile fit --tables DIR --base PROFILE.xml -o PROFILE.xml\n"
    "                          [--model MODEL.xml] [--source TEXT] [--name NAME] [--all]\n"
    "\n"
    "Fits the cost curves of a profile to the kernel tables in DIR (layouts: docs/profiles.md) "
    "and\n"
    "takes all else - peaks, memory, bandwidth, power, overheads - from the base profile.\n"
    "\n"
    "  --model FILE   sizes of the layers, for tables of one model (dense.csv, attention.csv)\n"
    "  --source TEXT  whose table it is, for the profile's sources (default: the folder's name)\n"
    "  --name NAME    of the new profile (default: the base's)\n"
    "  --all          fit all kernels, also small matrices, short contexts and few heads\n"
    "\n"
    "Every fourth shape is held out; its residuals are stored in the profile and printed.\n";

typedef struct arguments {
  const char *tables, *base, *output, *model, *source, *name;
  bool all, help;
} arguments;

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  const celslm_flag flags[] = {{.name = "--tables", .value = &a->tables, .needed = "DIR"},
                               {.name = "--base", .value = &a->base, .needed = "PROFILE.xml"},
                               {"--output", "-o", .value = &a->output, .needed = "PROFILE.xml"},
                               {.name = "--model", .value = &a->model},
                               {.name = "--source", .value = &a->source},
                               {.name = "--name", .value = &a->name},
                               {.name = "--all", .set = &a->all}};
  return celslm_flags("profile fit", argc, argv, flags, sizeof flags / sizeof *flags, &a->help,
                      err);
}

static const char *name_of_folder(const char *folder, char *room, size_t size) {
  snprintf(room, size, "%s", folder);
  size_t n = strlen(room);
  while (n > 1 && room[n - 1] == '/') room[--n] = 0;
  const char *slash = strrchr(room, '/');
  return slash && slash[1] ? slash + 1 : room;
}

static char *describe(const celslm_kernels *list, const celslm_curve_fit *f, const char *source) {
  char *cached =
      f->cached
          ? celslm_format("; %d faster than the roofline (data in a cache) left out", f->cached)
          : celslm_strdup("");
  char *outside =
      f->outside ? celslm_format(", %d outside its range left out", f->outside) : celslm_strdup("");
  char *held = !f->held_kernels ? celslm_strdup("none held out, residuals are the fit's own")
               : f->in_turn     ? celslm_format("residuals over all %d %s, each held out in turn",
                                                f->shapes, list->shape_name)
                            : celslm_format("residuals over %d of %d %s held out (every fourth)",
                                            f->held_shapes, f->shapes, list->shape_name);
  char *text =
      celslm_format("fitted on table %s, %s: robust least squares of log ratios, %d measurements; "
                    "%s%s%s",
                    source, list->file, f->kernels, held, cached, outside);
  free(cached);
  free(outside);
  free(held);
  return text;
}

static bool fit_curves(celslm_profile *p, const celslm_measured *m, const arguments *a,
                       const char *source, celslm_error *err) {
  printf("%-18s %9s %6s %9s %9s %6s %12s | %s\n", "curve", "TFLOP/s", "half", "GB/s", "latency",
         "corner", "median, p95", "held out");
  for (int k = 0; k < CELSLM_CURVES; k++) {
    const celslm_kernels *list = &m->curves[k];
    if (!list->n) continue;
    celslm_curve_fit f;
    if (!celslm_curve_fit_kernels(list, (celslm_curve_kind)k, p->peak[p->curve_dtype], p->bandwidth,
                                  a->all, &f, err))
      return false;
    if (!f.held_kernels) {
      f.curve.residual_median = f.own_median;
      f.curve.residual_p95 = f.own_p95;
    }
    free(p->curves[k].source);
    p->curves[k] = f.curve;
    p->curves[k].source = describe(list, &f, source);
    const celslm_curve *c = &f.curve;
    printf("%-18s %9.4g %6.3g %9.4g %7.2fus %6.3g %5.2f, %5.1f%% | %d of %d %s%s, in the fit "
           "%.2f%%; cached %d, outside %d, repeated %d\n",
           celslm_curve_name((celslm_curve_kind)k), c->flop_rate * 1e-12, c->half_rows,
           c->byte_rate * 1e-9, c->latency * 1e6, c->sharpness, c->residual_median * 100,
           c->residual_p95 * 100, f.held_kernels ? f.held_shapes : 0, f.shapes, list->shape_name,
           f.held_kernels && f.in_turn ? " in turn" : "", f.own_median * 100, f.cached, f.outside,
           list->repeated);
  }
  return true;
}

static bool fit_link(celslm_profile *p, const celslm_measured *m, const char *source,
                     celslm_error *err) {
  celslm_link_fit f;
  if (!m->n_allreduce) return true;
  if (!celslm_link_fit_times(m->allreduce, m->n_allreduce, &f, err)) return false;
  p->link_start = f.start;
  p->link_latency = f.latency;
  p->link_rate = f.rate;
  free(p->link_source);
  p->link_source =
      celslm_format("fitted on table %s, allreduce.csv: %d all-reduces, median error %.3g, p95 "
                    "%.3g, none held out; sizes read as 16-bit elements, the faster of the two "
                    "published methods",
                    source, f.n, f.median, f.p95);
  printf("%-18s start %.2fus, round %.2fus, %.4g GB/s: %.1f%%, %.1f%% of %d\n", "all-reduce",
         f.start * 1e6, f.latency * 1e6, f.rate * 1e-9, f.median * 100, f.p95 * 100, f.n);
  return true;
}

int celslm_profile_fit(int argc, char **argv) {
  celslm_error err = {""};
  arguments a = {0};
  for (int i = 1; i < argc; i++)
    if (strncmp(argv[i], "--rows", 6) == 0) return celslm_profile_fit_rows(argc, argv);
  if (!parse(argc, argv, &a, &err)) return celslm_bad_input(&err);
  if (a.help) {
    fputs(help, stdout);
    return celslm_profile_fit_rows(argc, argv); /* prints the other half */
  }
  char room[512];
  const char *source = a.source ? a.source : name_of_folder(a.tables, room, sizeof room);
  celslm_model model = {0};
  bool has_model = a.model && celslm_model_load(a.model, &model, &err);
  celslm_profile *p = err.text[0] ? NULL : celslm_profile_load(a.base, &err);
  celslm_measured *m = p ? celslm_measured_open(a.tables, has_model ? &model : NULL, &err) : NULL;
  bool ok = m && fit_curves(p, m, &a, source, &err) && fit_link(p, m, source, &err);
  if (ok && a.name) {
    free(p->name);
    p->name = celslm_strdup(a.name);
  }
  ok = ok && celslm_profile_save(p, a.output, &err);
  celslm_measured_close(m);
  celslm_profile_free(p);
  if (has_model) celslm_model_clear(&model);
  return ok ? 0 : celslm_bad_input(&err);
}
