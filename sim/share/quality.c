#include "share/quality.h"

#include "base/rng.h"
#include "record/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const celslm_way_names[] = {"full prefill", "no context", "mean KV", "copied",
                                        "mapped",       "cloud",      NULL};
enum { RESAMPLES = 1000 };

/* ---- one window ------------------------------------------------------------------------------ */

/* What a model says of the continuation's tokens. */
typedef struct reading {
  float *logits;   /* [continuation][vocabulary] */
  float *attended; /* [layers][continuation][dim] */
} reading;

typedef struct window {
  const celslm_quality_plan *plan;
  const int32_t *tokens; /* context, then continuation */
  celslm_states cloud, edge;
  float **mapped; /* by map and edge layer: [map * layers + layer], [context][2 kv_width] */
  reading full;
} window;

static reading make_reading(const celslm_transformer *t, int64_t n) {
  const celslm_transformer_shape *h = celslm_transformer_shape_of(t);
  return (reading){celslm_alloc((unsigned long)(n * h->vocabulary), sizeof(float)),
                   celslm_alloc((unsigned long)(h->layers * n * h->dim), sizeof(float))};
}

static void free_reading(reading *r) {
  free(r->logits), free(r->attended);
}

static void read_on(const window *w, const celslm_transformer *t, const celslm_session *context,
                    reading *r) {
  int64_t n = w->plan->continuation;
  celslm_session *s = celslm_session_create(t, CELSLM_K_F32, n, context);
  celslm_trace trace = {.logits = r->logits, .attended = r->attended};
  celslm_transformer_trace(t, 1, &s, &n, w->tokens + w->plan->context, NULL, &trace);
  celslm_session_free(s);
}

/* [keys | values] of one edge layer as the condition makes them; NULL: absent. Adds to *bytes. */
static float *layer_kv(const window *w, const celslm_condition *c, int layer, double *bytes) {
  const celslm_states *e = &w->edge, *cloud = &w->cloud;
  int64_t n = w->plan->context;
  int p = e->kv_width;
  bool shallow = c->way == CELSLM_WAY_MAPPED && layer < e->layers - c->deepest;
  if (c->way == CELSLM_WAY_NONE || (shallow && c->absent)) return NULL;
  float *kv = celslm_alloc((unsigned long)(n * 2 * p), sizeof *kv);
  const celslm_layer_mapping *l = c->map >= 0 ? &w->plan->maps[c->map].layers[layer] : NULL;
  for (int64_t i = 0; i < n; i++) {
    float *row = kv + i * 2 * p;
    if (c->way == CELSLM_WAY_FULL || shallow) {
      memcpy(row, e->keys + (layer * n + i) * p, (size_t)p * sizeof *kv);
      memcpy(row + p, e->values + (layer * n + i) * p, (size_t)p * sizeof *kv);
    } else if (c->way == CELSLM_WAY_MEAN) {
      for (int d = 0; d < 2 * p; d++) row[d] = (float)l->map.mean_y[d];
    } else if (c->way == CELSLM_WAY_COPY) {
      int q = cloud->kv_width, width = q < p ? q : p;
      memcpy(row, cloud->keys + (l->layer * n + i) * q, (size_t)width * sizeof *kv);
      memcpy(row + p, cloud->values + (l->layer * n + i) * q, (size_t)width * sizeof *kv);
    } else {
      memcpy(row, w->mapped[c->map * e->layers + layer] + i * 2 * p, (size_t)(2 * p) * sizeof *kv);
    }
  }
  if (!shallow && c->way != CELSLM_WAY_MEAN)
    *bytes += celslm_wire_carry(c->codec, c->rank, l, n, p, kv);
  return kv;
}

static void read_condition(const window *w, const celslm_condition *c, reading *r, double *bytes) {
  const celslm_transformer *edge = w->plan->edge;
  int64_t n = w->plan->context;
  int p = w->edge.kv_width;
  celslm_session *context = celslm_session_create(edge, CELSLM_K_F32, n, NULL);
  celslm_session_hold(context, 0, n);
  *bytes = 0;
  for (int l = 0; l < w->edge.layers; l++) {
    float *kv = layer_kv(w, c, l, bytes);
    if (kv) celslm_session_give(context, l, kv, 2 * p, kv + p, 2 * p);
    free(kv);
  }
  read_on(w, edge, context, r);
  celslm_session_free(context);
}

/* Log-probabilities in bits, in place. */
static void to_bits(float *logits, int n) {
  double top = (double)logits[0], sum = 0;
  for (int i = 1; i < n; i++) top = fmax(top, (double)logits[i]);
  for (int i = 0; i < n; i++) sum += exp((double)logits[i] - top);
  double shift = top + log(sum);
  for (int i = 0; i < n; i++) logits[i] = (float)(((double)logits[i] - shift) / M_LN2);
}

static int best_of(const float *x, int n) {
  int best = 0;
  for (int i = 1; i < n; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

/* Adds one window's figures to a score; the reading's logits must be bits. */
static void add_window(const window *w, int index, const reading *r, celslm_score *s) {
  const celslm_quality_plan *plan = w->plan;
  const celslm_transformer_shape *h = celslm_transformer_shape_of(plan->edge);
  int64_t n = plan->continuation - 1;
  int v = h->vocabulary;
  double loss = 0, kl = 0, agree = 0;
  for (int64_t i = 0; i < n; i++) {
    const float *a = w->full.logits + i * v, *b = r->logits + i * v;
    loss -= (double)b[w->tokens[plan->context + i + 1]];
    for (int j = 0; j < v; j++) kl += exp2((double)a[j]) * ((double)a[j] - (double)b[j]);
    agree += best_of(a, v) == best_of(b, v);
  }
  s->losses[index] = loss / (double)n;
  s->kls[index] = kl / (double)n;
  s->kl += s->kls[index] / plan->windows;
  s->top1 += agree / (double)n / plan->windows;
  if (s->condition.way == CELSLM_WAY_CLOUD) return;
  double error = 0, size = 0;
  for (int64_t i = 0; i < h->layers * plan->continuation * h->dim; i++) {
    double a = (double)w->full.attended[i], d = (double)r->attended[i] - a;
    error += d * d, size += a * a;
  }
  s->attention_error += sqrt(error / size) / plan->windows;
}

static bool uses_map(const celslm_quality_plan *plan, int map) {
  for (int i = 0; i < plan->n_conditions; i++)
    if (plan->conditions[i].way == CELSLM_WAY_MAPPED && plan->conditions[i].map == map) return true;
  return false;
}

static void measure_window(const celslm_quality_plan *plan, const int32_t *tokens, int index,
                           celslm_score *scores) {
  const celslm_transformer_shape *e = celslm_transformer_shape_of(plan->edge),
                                 *c = celslm_transformer_shape_of(plan->cloud);
  window w = {.plan = plan, .tokens = tokens};
  w.cloud = celslm_states_read(plan->cloud, plan->context, tokens);
  w.edge = celslm_states_read(plan->edge, plan->context, tokens);
  int maps = 0;
  for (int i = 0; i < plan->n_conditions; i++)
    if (plan->conditions[i].map >= maps) maps = plan->conditions[i].map + 1;
  w.mapped = celslm_alloc((unsigned long)(maps * e->layers + 1), sizeof *w.mapped);
  for (int i = 0; i < maps * e->layers; i++) {
    if (!uses_map(plan, i / e->layers)) continue;
    w.mapped[i] = celslm_alloc((unsigned long)(plan->context * 2 * w.edge.kv_width), sizeof(float));
    celslm_mapping_apply(&plan->maps[i / e->layers], i % e->layers, &w.cloud, w.mapped[i]);
  }
  w.full = make_reading(plan->edge, plan->continuation);
  celslm_session *own = celslm_session_create(plan->edge, CELSLM_K_F32, plan->context, NULL);
  celslm_transformer_trace(plan->edge, 1, &own, &plan->context, tokens, NULL, &(celslm_trace){0});
  read_on(&w, plan->edge, own, &w.full);
  celslm_session_free(own);
  for (int64_t i = 0; i < plan->continuation; i++)
    to_bits(w.full.logits + i * e->vocabulary, e->vocabulary);
  for (int i = 0; i < plan->n_conditions; i++) {
    const celslm_condition *k = &plan->conditions[i];
    const celslm_transformer *t = k->way == CELSLM_WAY_CLOUD ? plan->cloud : plan->edge;
    reading r = make_reading(t, plan->continuation);
    double bytes = 0;
    if (k->way == CELSLM_WAY_CLOUD) {
      celslm_session *s = celslm_session_create(t, CELSLM_K_F32, plan->context, NULL);
      celslm_transformer_trace(t, 1, &s, &plan->context, tokens, NULL, &(celslm_trace){0});
      read_on(&w, t, s, &r);
      celslm_session_free(s);
    } else {
      read_condition(&w, k, &r, &bytes);
    }
    for (int64_t j = 0; j < plan->continuation; j++)
      to_bits(r.logits + j * c->vocabulary, c->vocabulary);
    if (k->way != CELSLM_WAY_FULL) scores[i].bytes = bytes / (double)plan->context;
    add_window(&w, index, &r, &scores[i]);
    free_reading(&r);
  }
  for (int i = 0; i < maps * e->layers; i++) free(w.mapped[i]);
  free(w.mapped);
  free_reading(&w.full);
  celslm_states_free(&w.cloud), celslm_states_free(&w.edge);
}

/* ---- over all windows ------------------------------------------------------------------------ */

static double mean_of(const double *x, const int *pick, int n) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += x[pick ? pick[i] : i];
  return sum / n;
}

/* The windows of each resample, [RESAMPLES][windows]. */
static int *resamples(int windows, uint64_t seed) {
  int *pick = celslm_alloc((unsigned long)(RESAMPLES * windows), sizeof *pick);
  gsl_rng *rng = celslm_rng(seed, "bootstrap");
  for (int i = 0; i < RESAMPLES * windows; i++)
    pick[i] = (int)gsl_rng_uniform_int(rng, (unsigned long)windows);
  gsl_rng_free(rng);
  return pick;
}

static void interval(const double *x, double *low, double *high) {
  *low = celslm_quantile(x, RESAMPLES, 0.025);
  *high = celslm_quantile(x, RESAMPLES, 0.975);
}

static double recovered(double none, double full, double loss) {
  return (none - loss) / (none - full);
}

bool celslm_quality_measure(const celslm_quality_plan *plan, const celslm_text *text,
                            celslm_score *scores, celslm_error *err) {
  int none = -1, full = -1, n = plan->windows;
  for (int i = plan->n_conditions - 1; i >= 0; i--) {
    if (plan->conditions[i].way == CELSLM_WAY_NONE) none = i;
    if (plan->conditions[i].way == CELSLM_WAY_FULL) full = i;
  }
  int64_t length = plan->context + plan->continuation;
  if (none < 0 || full < 0 || !celslm_text_piece(text, length, 0, n))
    return celslm_fail(err, NULL, 0, "a text of %lld tokens is too short for windows of %lld",
                       (long long)text->n, (long long)length);
  for (int i = 0; i < plan->n_conditions; i++)
    scores[i] = (celslm_score){.condition = plan->conditions[i],
                               .losses = celslm_alloc((unsigned long)n, sizeof(double)),
                               .kls = celslm_alloc((unsigned long)n, sizeof(double))};
  for (int i = 0; i < n; i++)
    measure_window(plan, celslm_text_piece(text, length, i, n), i, scores);
  int *pick = resamples(n, plan->seed);
  double *loss = celslm_alloc(RESAMPLES, sizeof *loss), *gap = celslm_alloc(RESAMPLES, sizeof *gap),
         *excess = celslm_alloc(RESAMPLES, sizeof *excess);
  for (int i = 0; i < plan->n_conditions; i++) {
    celslm_score *s = &scores[i];
    for (int b = 0; b < RESAMPLES; b++) {
      const int *p = pick + b * n;
      double own = mean_of(scores[full].losses, p, n);
      loss[b] = mean_of(s->losses, p, n);
      excess[b] = loss[b] - own;
      gap[b] = recovered(mean_of(scores[none].losses, p, n), own, loss[b]);
    }
    s->loss = mean_of(s->losses, NULL, n);
    double own = mean_of(scores[full].losses, NULL, n);
    s->excess = s->loss - own;
    s->gap = recovered(mean_of(scores[none].losses, NULL, n), own, s->loss);
    interval(excess, &s->excess_low, &s->excess_high);
    interval(loss, &s->loss_low, &s->loss_high);
    interval(gap, &s->gap_low, &s->gap_high);
  }
  free(pick), free(loss), free(gap), free(excess);
  return true;
}

void celslm_scores_free(celslm_score *scores, int n) {
  for (int i = 0; i < n; i++) free(scores[i].losses), free(scores[i].kls);
}

celslm_difference celslm_paired_difference(const double *a, const double *b, int windows,
                                           uint64_t seed) {
  celslm_difference d = {.mean = mean_of(a, NULL, windows) - mean_of(b, NULL, windows)};
  int *pick = resamples(windows, seed);
  double *difference = celslm_alloc(RESAMPLES, sizeof *difference);
  for (int i = 0; i < RESAMPLES; i++)
    difference[i] =
        mean_of(a, pick + i * windows, windows) - mean_of(b, pick + i * windows, windows);
  interval(difference, &d.low, &d.high);
  free(difference), free(pick);
  return d;
}
