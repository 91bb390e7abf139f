/* calibrate.c - celslm calibrate: measures this machine's kernels, fits their cost curves, prints
 * both and writes the device profile. */
#include "base/version.h"
#include "cmd/commands.h"
#include "cost/calibration.h"

#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "usage: celslm calibrate [-o PROFILE.xml] [--quick] [--threads N] [--model MODEL.xml]...\n"
    "                        [--timings TABLE.csv]\n"
    "\n"
    "Times the kernels on this machine, fits a cost curve to each kind and writes a device "
    "profile,\n"
    "which hosts with the profile \"this-machine\" use. Then predicts whole layers and a whole "
    "small\n"
    "model that were timed in the same run. Takes about a minute. Let the machine rest meanwhile: "
    "the\n"
    "command says if it was disturbed.\n"
    "\n"
    "  -o, --output FILE    default: platforms/profiles/this-machine.xml\n"
    "  --quick              fewer shapes and repeats, under 20 seconds\n"
    "  --threads N          threads the kernels use, each bound to a processor of its own\n"
    "                       (default: one per processor)\n"
    "  --model MODEL.xml    time the shapes of this model; may be repeated; whole layers of the "
    "first\n"
    "                       are the final check (default: Qwen2.5-0.5B and 1.5B)\n"
    "  --timings FILE       write all timings as a table (CSV)\n"
    "\n"
    "Exit status: 0 done, 1 this machine cannot be measured, 2 bad input.\n";

enum { MOST_MODELS = 16 };

typedef struct arguments {
  const char *output, *timings, *models[MOST_MODELS];
  int n_models, threads;
  bool quick, help;
} arguments;

static bool parse(int argc, char **argv, arguments *a, celslm_error *err) {
  for (int i = 1; i < argc; i++) {
    const char *value = NULL;
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return a->help = true;
    if (strcmp(argv[i], "--quick") == 0)
      a->quick = true;
    else if (celslm_option(argc, argv, &i, "--output", "-o", &value, err)) {
      if (!value) return false;
      a->output = value;
    } else if (celslm_option(argc, argv, &i, "--timings", NULL, &value, err)) {
      if (!value) return false;
      a->timings = value;
    } else if (celslm_option(argc, argv, &i, "--model", NULL, &value, err)) {
      if (!value) return false;
      if (a->n_models == MOST_MODELS)
        return celslm_fail(err, NULL, 0, "more than %d times --model", MOST_MODELS);
      a->models[a->n_models++] = value;
    } else if (celslm_option(argc, argv, &i, "--threads", NULL, &value, err)) {
      char *end;
      if (!value) return false;
      long n = strtol(value, &end, 10);
      if (*end || end == value || n < 1 || n > CELSLM_MOST_THREADS)
        return celslm_fail(err, NULL, 0, "--threads \"%s\" is no number of threads; give 1 to %d",
                           value, CELSLM_MOST_THREADS);
      a->threads = (int)n;
    } else
      return celslm_fail(
          err, NULL, 0,
          "calibrate does not know \"%s\"; `celslm calibrate --help` lists its options", argv[i]);
  }
  if (!a->output) a->output = "platforms/profiles/this-machine.xml";
  return true;
}

/* Nobody should wait a minute to learn that the folder is not there. */
static bool check_output(const char *file, celslm_error *err) {
  char *copy = celslm_strdup(file);
  struct stat s;
  const char *folder = dirname(copy);
  bool ok = true;
  if (stat(file, &s) == 0 && S_ISDIR(s.st_mode))
    ok = celslm_fail(err, file, 0, "is a folder; give the name of a file");
  else if (stat(folder, &s) != 0)
    ok =
        celslm_fail(err, file, 0, "there is no folder %s; make it, or choose another file", folder);
  else if (!S_ISDIR(s.st_mode) || access(folder, W_OK) != 0)
    ok =
        celslm_fail(err, file, 0, "%s is no folder that can be written to; choose another", folder);
  free(copy);
  return ok;
}

/* The models to time. Without --model, the small ones of the quick start. */
static bool load_models(const arguments *a, celslm_model *models, int *n, celslm_error *err) {
  static const char *const usual[] = {"qwen2.5-0.5b.xml", "qwen2.5-1.5b.xml"};
  *n = 0;
  for (int i = 0; i < a->n_models; i++) {
    if (!celslm_model_load(a->models[i], &models[*n], err)) return false;
    ++*n;
  }
  for (int i = 0; a->n_models == 0 && i < (a->quick ? 1 : 2); i++) {
    char *file = celslm_format("platforms/models/%s", usual[i]);
    if (access(file, R_OK) != 0) {
      free(file);
      file = celslm_format("%s/platforms/models/%s", celslm_home, usual[i]);
    }
    bool ok = celslm_model_load(file, &models[*n], err);
    free(file);
    if (!ok) return false;
    ++*n;
  }
  return true;
}

static void draw_progress(const char *what, double share) {
  if (!isatty(STDERR_FILENO)) return;
  enum { WIDTH = 40 };
  int full = (int)(fmin(fmax(share, 0), 1) * WIDTH);
  fprintf(stderr, "\r\033[K%-9s[%.*s%*s]", what, full, "########################################",
          WIDTH - full, "");
}

/* ---- what is printed ------------------------------------------------------------------------- */

static void print_machine(const celslm_machine *m) {
  const char *s = m->threads == 1 ? "" : "s";
  printf("%s\n%d thread%s on processor%s", m->model, m->threads, s, s);
  for (int i = 0; i < m->threads; i++) printf("%s%d", i ? ", " : " ", m->cpus[i]);
  printf("; %s kernels, f32\npeak %.1f GFLOP/s, reading memory %.1f GB/s, %.1f GiB\n\n",
         celslm_measure_isa(), m->peak_f32 * 1e-9, m->bandwidth * 1e-9, m->memory / (1 << 30));
}

static void print_curves(const celslm_calibration *c) {
  printf(
      "%-18s %15s %10s %10s %9s %9s %7s %7s %16s\n%-18s %15s %10s %10s %9s %9s %7s %7s %9s %6s\n",
      "", "shapes", "flop_rate", "half_rows", "byte_rate", "latency", "append", "corner",
      "residual", "curve", "fitted + held", "GFLOP/s", "tokens", "GB/s", "us", "GB/s", "", "median",
      "p95");
  for (int k = 0; k < CELSLM_CURVES; k++) {
    const celslm_curve *v = &c->profile->curves[k];
    const celslm_curve_fit *f = &c->fits[k];
    char shapes[32];
    if (f->in_turn)
      snprintf(shapes, sizeof shapes, "%d, in turn", f->shapes);
    else
      snprintf(shapes, sizeof shapes, "%d + %d", f->shapes - f->held_shapes, f->held_shapes);
    printf("%-18s %15s %10.1f %10.2f %9.2f %9.2f %7.3g %7.3g %8.1f%% %5.1f%%\n",
           celslm_curve_name((celslm_curve_kind)k), shapes, v->flop_rate * 1e-9, v->half_rows,
           v->byte_rate * 1e-9, v->latency * 1e6, v->append_rate * 1e-9, v->sharpness,
           100 * v->residual_median, 100 * v->residual_p95);
  }
  puts("Residuals are those of shapes that were held out of the fit.");
  printf("Products with bf16 weights are %.2f times as fast as with f32, with int8 %.2f times.\n",
         c->bf16_speed, c->int8_speed);
  printf("\n%-18s %15s %10s %9s\n", "codec, one core", "encode", "decode", "overhead");
  for (int i = 0; i < CELSLM_CODINGS; i++) {
    const celslm_codec_cost *k = &c->codecs[i];
    printf("%-18s %10.2f GB/s %5.2f GB/s %6.2f us\n", k->name, k->encode * 1e-9, k->decode * 1e-9,
           k->overhead * 1e6);
  }
  puts("Bytes are those of the KV cache at 16 bits.");
}

static void print_case(bool decode, int64_t tokens, int64_t past, double measured,
                       double predicted) {
  printf("%-8s %8lld %8lld %10.3f ms %10.3f ms %+7.1f%%\n", decode ? "decode" : "prefill",
         (long long)tokens, (long long)past, 1e3 * measured, 1e3 * predicted,
         100 * (predicted / measured - 1));
}

static void print_layers(const celslm_calibration *c, const char *model) {
  printf("\nOne layer of %s, timed whole in the same rounds, and predicted:\n"
         "%-8s %8s %8s %13s %13s %8s\n",
         model, "", "tokens", "past", "measured", "predicted", "error");
  for (int i = 0; i < CELSLM_LAYER_CASES; i++) {
    const celslm_layer_case *l = &c->layers[i];
    print_case(l->decode, l->tokens, l->past, l->seconds, c->predicted[i]);
  }
  printf("error: median %.1f%%, p95 %.1f%%\n"
         "\nA whole model of %d such layers with embedding and head:\n",
         100 * c->layers_median, 100 * c->layers_p95, CELSLM_WHOLE_LAYERS);
  for (int i = 0; i < CELSLM_WHOLE_CASES; i++) {
    const celslm_whole_case *w = &c->passes[i];
    print_case(w->decode, w->tokens, w->past, w->seconds, c->whole_predicted[i]);
  }
  printf("error: median %.1f%%, p95 %.1f%%\n", 100 * c->whole_median, 100 * c->whole_p95);
}

static void print_quiet(const celslm_calibration *c) {
  printf(
      "\n%s: %d repeats differ by %.1f%% (median deviation); other processes took %.1f%% of the\n"
      "processors, the hypervisor %.1f%%; load before the start %.2f.%s\n",
      c->noisy ? "NOISY MACHINE" : "quiet machine", c->repeats, 100 * c->spread, 100 * c->others,
      100 * c->stolen, c->load,
      !c->noisy ? ""
      : c->machine.threads > 1
          ? " Calibrate\nagain when it rests; with --threads 1 others disturb less."
          : " Calibrate\nagain when it rests.");
}

static int calibrate(const arguments *a, const celslm_model *models, int n_models) {
  celslm_error err = {0};
  celslm_calibration *c = celslm_alloc(1, sizeof *c);
  celslm_calibration_options o = {models, n_models, a->threads, a->quick, draw_progress};
  bool ok = celslm_calibrate(&o, c, &err);
  if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
  if (ok) {
    print_machine(&c->machine);
    print_curves(c);
    print_layers(c, models[0].name);
    print_quiet(c);
    ok = celslm_profile_save(c->profile, a->output, &err) &&
         (!a->timings || celslm_calibration_save_timings(c, a->timings, &err));
  }
  if (ok) printf("\nwritten: %s\n", a->output);
  if (ok) celslm_calibration_clear(c);
  free(c);
  if (!ok) celslm_bad_input(&err);
  return ok ? 0 : 1;
}

int celslm_cmd_calibrate(int argc, char **argv) {
  arguments a = {0};
  celslm_error err = {0};
  celslm_model models[MOST_MODELS] = {0};
  celslm_machine machine;
  int n_models = 0, status;
  if (!parse(argc, argv, &a, &err))
    status = celslm_bad_input(&err);
  else if (a.help) {
    fputs(help, stdout);
    status = 0;
  } else if (!check_output(a.output, &err) || (a.timings && !check_output(a.timings, &err)) ||
             !celslm_machine_init(&machine, a.threads, &err) ||
             !load_models(&a, models, &n_models, &err))
    status = celslm_bad_input(&err);
  else
    status = calibrate(&a, models, n_models);
  for (int i = 0; i < n_models; i++) celslm_model_clear(&models[i]);
  return status;
}
