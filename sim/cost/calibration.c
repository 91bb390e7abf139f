/* calibration.c - the steps of a calibration (see calibration.h). */
#include "cost/calibration.h"

#include "cost/cost.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Above these the machine counts as noisy. */
static const double most_spread = 0.05, most_others = 0.03, most_stolen = 0.01;

typedef struct budget {
  double peaks, rounds; /* s */
  int least, most;      /* repeats */
} budget;

static void tell(const celslm_calibration_options *o, const char *what, double share) {
  if (o->progress) o->progress(what, share);
}

/* ---- the profile ----------------------------------------------------------------------------- */

static celslm_profile *new_profile(const celslm_calibration *c) {
  const celslm_machine *m = &c->machine;
  static const char no_scheduler[] = "our kernels are called directly: no scheduler";
  celslm_profile *p = celslm_alloc(1, sizeof *p);
  const char *s = m->threads == 1 ? "" : "s";
  p->name = celslm_strdup("this-machine");
  p->description =
      celslm_format("%s, %d thread%s, %s kernels%s", m->model, m->threads, s, celslm_measure_isa(),
                    c->noisy ? "; others used the machine while it was measured" : "");
  for (int d = 0; d < CELSLM_DTYPES; d++) p->peak[d] = NAN;
  p->peak[CELSLM_F32] = m->peak_f32;
  p->peak_source[CELSLM_F32] =
      celslm_format("measured: multiply-adds from registers, %d thread%s", m->threads, s);
  const double speeds[] = {c->bf16_speed, c->int8_speed};
  static const celslm_dtype narrow[] = {CELSLM_BF16, CELSLM_INT8};
  for (int i = 0; i < 2; i++) {
    p->peak[narrow[i]] = m->peak_f32 * speeds[i];
    p->peak_source[narrow[i]] =
        celslm_format("measured: products with %s weights are %.2f times as fast as with f32",
                      celslm_dtype_name(narrow[i]), speeds[i]);
  }
  p->memory = m->memory;
  p->memory_source = celslm_strdup("as the operating system reports it");
  p->bandwidth = m->bandwidth;
  p->bandwidth_source =
      celslm_format("measured: reading memory beyond the caches, %d thread%s", m->threads, s);
  /* Xeon Platinum 8480+: 350 W for 56 cores; EPYC 9654: 360 W for 96. */
  p->power_idle = 1.5 * m->threads;
  p->power_max = 6 * m->threads;
  p->power_source = celslm_strdup("assumption: 6 W per core at work, a quarter of it idle; server "
                                  "processors are rated at 3.8 to 6.3 W per core");
  p->step_source = celslm_strdup(no_scheduler);
  p->layer_source = celslm_strdup(no_scheduler);
  p->sequence_source = celslm_strdup(no_scheduler);
  p->curve_dtype = CELSLM_F32;
  p->small[CELSLM_SMALL_ROPE] = CELSLM_SMALL_APART;
  p->small[CELSLM_SMALL_GATE] = p->small[CELSLM_SMALL_RESIDUAL] = CELSLM_SMALL_FUSED;
  return p;
}

/* The profile takes what was measured of the codecs. */
static void give_codecs(celslm_calibration *c) {
  celslm_profile *p = c->profile;
  p->codecs = celslm_alloc(CELSLM_CODINGS, sizeof *p->codecs);
  p->n_codecs = CELSLM_CODINGS;
  for (int i = 0; i < CELSLM_CODINGS; i++) {
    p->codecs[i] = c->codecs[i];
    p->codecs[i].source = celslm_format(
        "measured: keys and values of 32 and of 512 tokens of width 512 from memory, "
        "one core, middle half of %d repeats%s",
        c->repeats, strcmp(c->codecs[i].name, "tokens") == 0 ? "; half of the tokens kept" : "");
  }
}

static char *curve_source(const celslm_calibration *c, celslm_curve_kind kind) {
  static const char *const what[CELSLM_CURVES] = {
      "packed f32 matrix products", "f32 causal attention with its append to the cache",
      "f32 attention of one query per sequence with its append to the cache", "f32 norms"};
  const celslm_curve_fit *f = &c->fits[kind];
  return celslm_format("measured: %d timings of %d shapes of %s (%s, %d thread%s, operands from "
                       "memory, middle half of %d repeats); robust fit; residuals on %d timings "
                       "of %d shapes held out%s",
                       f->kernels, f->shapes, what[kind], celslm_measure_isa(), c->machine.threads,
                       c->machine.threads == 1 ? "" : "s", c->repeats, f->held_kernels,
                       f->held_shapes, f->in_turn ? ", each in turn" : "");
}

static int by_shape(const void *a, const void *b) {
  const celslm_kernel *x = a, *y = b;
  if (x->shape != y->shape) return x->shape < y->shape ? -1 : 1;
  return (x->rows > y->rows) - (x->rows < y->rows);
}

static bool fit_curves(celslm_calibration *c, celslm_error *err) {
  const celslm_plan *plan = &c->plan;
  celslm_profile *p = c->profile;
  char file[] = "the timings";
  celslm_kernels of_kind = {.shape_name = "(shapes)", .file = file};
  of_kind.at = celslm_alloc((unsigned long)plan->n + 1, sizeof *of_kind.at);
  bool ok = true;
  for (int k = 0; ok && k < CELSLM_CURVES; k++) {
    of_kind.n = 0;
    for (int i = 0; i < plan->n; i++) {
      const celslm_timing *t = &plan->points[i].timing;
      if ((int)plan->points[i].kind == k)
        of_kind.at[of_kind.n++] = (celslm_kernel){.flops = t->flops,
                                                  .bytes = t->bytes,
                                                  .rows = t->rows,
                                                  .appended = t->appended,
                                                  .seconds = t->seconds,
                                                  .shape = t->shape};
    }
    qsort(of_kind.at, (size_t)of_kind.n, sizeof *of_kind.at, by_shape);
    ok = celslm_curve_fit_kernels(&of_kind, (celslm_curve_kind)k, p->peak[CELSLM_F32], p->bandwidth,
                                  true, &c->fits[k], err);
    p->curves[k] = c->fits[k].curve;
    if (ok) p->curves[k].source = curve_source(c, (celslm_curve_kind)k);
  }
  free(of_kind.at);
  return ok;
}

/* ---- whole layers ---------------------------------------------------------------------------- */

static void choose_layers(celslm_layer_case *cases) {
  static const struct {
    bool decode;
    int tokens, past;
  } what[CELSLM_LAYER_CASES] = {
      {true, 1, 256},  {true, 1, 1024}, {true, 16, 256},   {true, 16, 1024},   {false, 16, 0},
      {false, 128, 0}, {false, 512, 0}, {false, 16, 1024}, {false, 128, 1024}, {false, 512, 1024}};
  for (int i = 0; i < CELSLM_LAYER_CASES; i++)
    cases[i] = (celslm_layer_case){
        .decode = what[i].decode, .tokens = what[i].tokens, .past = what[i].past};
}

static double predict(const celslm_cost *c, const celslm_layer_case *l) {
  double m = (double)l->tokens, past = (double)l->past, seconds = celslm_cost_layer(c, m);
  if (!l->decode) return seconds + celslm_cost_prefill(c, m, past);
  celslm_op op = celslm_op_decode(&c->shape, m, m * (past + 1), m * (past + 1));
  return seconds + celslm_cost_op(c, &op);
}

static void spread(const double *predicted, const double *measured, int n, double *median,
                   double *p95) {
  double *errors = celslm_alloc((unsigned long)n, sizeof *errors);
  for (int i = 0; i < n; i++) errors[i] = fabs(predicted[i] / measured[i] - 1);
  celslm_spread_of(errors, n, median, p95);
  free(errors);
}

static bool check_layers(celslm_calibration *c, const celslm_model *model, celslm_error *err) {
  celslm_cost cost;
  double measured[CELSLM_LAYER_CASES];
  if (!celslm_cost_init(&cost, c->profile, model, CELSLM_F32, CELSLM_F32, 0, 0, err)) return false;
  for (int i = 0; i < CELSLM_LAYER_CASES; i++) {
    c->predicted[i] = predict(&cost, &c->layers[i]);
    measured[i] = c->layers[i].seconds;
  }
  spread(c->predicted, measured, CELSLM_LAYER_CASES, &c->layers_median, &c->layers_p95);
  return true;
}

/* ---- a whole model --------------------------------------------------------------------------- */

static bool check_whole(celslm_calibration *c, const celslm_model *model, celslm_error *err) {
  celslm_cost cost;
  celslm_model small = celslm_whole_model(model);
  double measured[CELSLM_WHOLE_CASES];
  if (!celslm_cost_init(&cost, c->profile, &small, CELSLM_F32, CELSLM_F32, 0, 0, err)) return false;
  for (int i = 0; i < CELSLM_WHOLE_CASES; i++) {
    const celslm_whole_case *w = &c->passes[i];
    celslm_layer_case l = {.decode = w->decode, .tokens = w->tokens, .past = w->past};
    c->whole_predicted[i] = celslm_cost_embed(&cost, (double)w->tokens) +
                            (double)small.layers * predict(&cost, &l) +
                            celslm_cost_head(&cost, w->decode ? (double)w->tokens : 1);
    measured[i] = w->seconds;
  }
  spread(c->whole_predicted, measured, CELSLM_WHOLE_CASES, &c->whole_median, &c->whole_p95);
  return true;
}

/* The errors of the checks, for whoever reads the profile. */
static void say_checks(celslm_calibration *c, const char *model) {
  char *more = celslm_format(
      "%s; predicts layers of %s within %.1f%% (median; p95 %.1f%%), a whole model of %d such "
      "layers within %.1f%% (p95 %.1f%%)",
      c->profile->description, model, 100 * c->layers_median, 100 * c->layers_p95,
      CELSLM_WHOLE_LAYERS, 100 * c->whole_median, 100 * c->whole_p95);
  free(c->profile->description);
  c->profile->description = more;
}

/* ---- measuring ------------------------------------------------------------------------------- */

static bool measure(celslm_calibration *c, const celslm_calibration_options *o, const budget *b,
                    celslm_error *err) {
  const celslm_model *model = &o->models[0];
  celslm_layer_shape shape = {model->hidden,     model->ffn,           model->gated,
                              (int)model->heads, (int)model->kv_heads, (int)model->head_dim};
  double begun = celslm_machine_now(), round = 0;
  tell(o, "operands", 0);
  choose_layers(c->layers);
  int64_t needs = celslm_measurement_needs(c->plan.points, c->plan.n);
  int64_t layer_needs = celslm_layer_needs(&shape, c->layers, CELSLM_LAYER_CASES);
  int64_t coding_needs = celslm_coding_times_needs();
  needs = needs > layer_needs ? needs : layer_needs;
  celslm_operands *operands =
      celslm_operands_new(needs > coding_needs ? needs : coding_needs, &c->machine, err);
  celslm_layer *l =
      operands ? celslm_layer_new(&shape, c->layers, CELSLM_LAYER_CASES, operands, err) : NULL;
  celslm_whole *w = l ? celslm_whole_new(model, c->passes, operands, err) : NULL;
  celslm_coding_times *k = w ? celslm_coding_times_new(operands, err) : NULL;
  celslm_measurement *m =
      k ? celslm_measurement_new(c->plan.points, c->plan.n, operands, err) : NULL;
  for (int i = -1; m && i < b->most; i++) { /* the first one warms up */
    double from = celslm_machine_now(), spent = from - begun;
    if (i >= b->least && spent + round > b->rounds) break;
    if (i >= 1 && spent + round > 1.4 * b->rounds) break; /* a machine this slow or this busy */
    tell(o, "timing", spent / b->rounds);
    celslm_measurement_round(m);
    celslm_layer_round(l);
    celslm_whole_round(w);
    celslm_coding_times_round(k);
    round = celslm_machine_now() - from;
  }
  if (m) {
    c->repeats = celslm_measurement_finish(m);
    celslm_layer_finish(l);
    celslm_whole_finish(w);
    celslm_coding_times_finish(k, c->codecs);
    celslm_measure_types(operands, &c->bf16_speed, &c->int8_speed);
  }
  celslm_measurement_free(m);
  celslm_coding_times_free(k);
  celslm_whole_free(w);
  celslm_layer_free(l);
  celslm_operands_free(operands);
  return m;
}

static void judge(celslm_calibration *c, const celslm_quiet *begin) {
  double *spreads = celslm_alloc((unsigned long)c->plan.n, sizeof *spreads);
  celslm_quiet_end(begin, &c->others, &c->stolen);
  for (int i = 0; i < c->plan.n; i++) spreads[i] = c->plan.points[i].spread;
  c->spread = celslm_median(spreads, c->plan.n);
  c->noisy = c->repeats < 3 || c->spread > most_spread || c->others > most_others ||
             c->stolen > most_stolen;
  free(spreads);
}

bool celslm_calibrate(const celslm_calibration_options *o, celslm_calibration *c,
                      celslm_error *err) {
  budget b = o->quick ? (budget){0.6, 11, 3, 9} : (budget){2, 45, 3, CELSLM_MOST_REPEATS};
  *c = (celslm_calibration){0};
  if (!celslm_machine_init(&c->machine, o->threads, err)) return false;
  if (getloadavg(&c->load, 1) < 1) c->load = 0;
  celslm_measure_threads(c->machine.threads);
  celslm_quiet quiet = celslm_quiet_begin();
  tell(o, "peaks", 0);
  bool ok = celslm_machine_bind(&c->machine, celslm_measure_start, err) &&
            celslm_machine_peaks(&c->machine, b.peaks, err);
  if (ok) {
    c->plan = celslm_plan_make(&(celslm_plan_options){.models = o->models,
                                                      .n_models = o->n_models,
                                                      .quick = o->quick,
                                                      .peak = c->machine.peak_f32,
                                                      .bandwidth = c->machine.bandwidth,
                                                      .longest = b.rounds / 100});
    ok = measure(c, o, &b, err) && celslm_machine_peaks(&c->machine, b.peaks, err);
  }
  celslm_machine_unbind(&c->machine);
  celslm_machine_clear(&c->machine);
  if (ok) {
    tell(o, "fitting", 1);
    judge(c, &quiet);
    c->profile = new_profile(c);
    give_codecs(c);
    ok = fit_curves(c, err) && check_layers(c, &o->models[0], err) &&
         check_whole(c, &o->models[0], err);
    if (ok) say_checks(c, o->models[0].name);
  }
  if (!ok) celslm_calibration_clear(c);
  return ok;
}

void celslm_calibration_clear(celslm_calibration *c) {
  celslm_plan_free(&c->plan);
  celslm_profile_free(c->profile);
  c->profile = NULL;
}

bool celslm_calibration_save_timings(const celslm_calibration *c, const char *file,
                                     celslm_error *err) {
  char *part = celslm_format("%s.part", file);
  FILE *f = fopen(part, "w");
  if (f)
    fputs(
        "curve,shape,rows,n,k,heads,kv_heads,head_dim,past,flops,bytes,seconds,spread,predicted\n",
        f);
  for (int i = 0; f && i < c->plan.n; i++) {
    const celslm_point *p = &c->plan.points[i];
    const celslm_timing *t = &p->timing;
    const celslm_curve *curve = &c->profile->curves[p->kind];
    fprintf(f, "%s,%d,%lld,%lld,%lld,%d,%d,%d,%lld,%.17g,%.17g,%.9g,%.4g,%.9g\n",
            celslm_curve_name((celslm_curve_kind)p->kind), t->shape, (long long)p->m,
            (long long)p->n, (long long)p->k, p->q_heads, p->kv_heads, p->head_dim,
            (long long)p->past, t->flops, t->bytes, t->seconds, p->spread,
            celslm_curve_time(curve, t->flops, t->bytes, t->rows) +
                celslm_curve_append(curve, t->appended));
  }
  bool ok = f && !ferror(f);
  if (f) ok = fclose(f) == 0 && ok;
  ok = ok && rename(part, file) == 0;
  if (!ok) {
    celslm_fail(err, file, 0, "cannot be written: %s; give a file in a folder that can be written",
                strerror(errno));
    if (f) unlink(part);
  }
  free(part);
  return ok;
}
