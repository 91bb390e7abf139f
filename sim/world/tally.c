#include "world/tally.h"

#include "record/statistics.h"

#include <math.h>
#include <stdlib.h>

enum { BATCHES = 20 }; /* A. M. Law, "Simulation Modeling and Analysis", section 9.5 */

static void add(celslm_series *s, double value) {
  if (isnan(value)) return;
  if (s->n == s->size)
    s->values = celslm_realloc(s->values, s->size = s->size ? 2 * s->size : 1024, sizeof(double));
  s->values[s->n++] = value;
}

void celslm_tally_add(celslm_tally *t, const celslm_scenario *s, const celslm_request_row *r) {
  const celslm_slo_config *slo = &s->slo;
  t->ends[r->end]++;
  t->preemptions += r->preemptions;
  if (r->arrival < s->results.warmup) return;
  t->asked++;
  if (r->end != CELSLM_COMPLETED) return;
  t->warm++;
  t->judged += r->correct != CELSLM_NOT_MEASURED;
  t->right += r->correct == CELSLM_RIGHT;
  t->good += r->ttft <= slo->ttft && !(r->tpot > slo->tpot) && r->e2e <= slo->e2e;
  t->late += r->last_token > r->deadline; /* false without one: NaN */
  t->prompt_tokens += r->prompt_tokens;
  t->output_tokens += r->output_tokens;
  add(&t->ttft, r->ttft);
  add(&t->tpot, r->tpot);
  add(&t->e2e, r->e2e);
  add(&t->queueing, r->queueing);
  add(&t->normalised, r->normalised);
}

void celslm_tally_clear(celslm_tally *t) {
  celslm_series *all[] = {&t->ttft, &t->tpot, &t->e2e, &t->queueing, &t->normalised};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]->values);
}

typedef struct figures {
  double mean, low, high, q[3];
} figures;

static figures figures_of(const celslm_series *s) {
  static const double at[] = {0.5, 0.95, 0.99};
  celslm_estimate e = celslm_batch_means(s->values, s->n, BATCHES, 0.95);
  figures f = {e.mean, e.low, e.high, {0}};
  celslm_quantiles(s->values, s->n, at, 3, f.q);
  return f;
}

#define PUT(row, of, figures_)                                                                     \
  do {                                                                                             \
    figures f = figures_;                                                                          \
    (row)->of##_mean = f.mean, (row)->of##_low = f.low, (row)->of##_high = f.high;                 \
    (row)->of##_p50 = f.q[0], (row)->of##_p95 = f.q[1], (row)->of##_p99 = f.q[2];                  \
  } while (0)
/* What the rows of /summary and /classes have in common. */
#define PUT_ALL(row)                                                                               \
  do {                                                                                             \
    (row)->arrived = t->ends[0] + t->ends[1] + t->ends[2] + t->ends[3];                            \
    (row)->completed = t->ends[CELSLM_COMPLETED];                                                  \
    (row)->rejected = t->ends[CELSLM_REJECTED];                                                    \
    (row)->dropped = t->ends[CELSLM_DROPPED];                                                      \
    (row)->in_flight = t->ends[CELSLM_IN_FLIGHT];                                                  \
    (row)->preemptions = t->preemptions;                                                           \
    (row)->late = t->late;                                                                         \
    (row)->goodput = window > 0 ? (double)t->good / window : NAN;                                  \
    (row)->slo_share = t->warm ? (double)t->good / (double)t->warm : NAN;                          \
    (row)->quality = t->judged ? (double)t->right / (double)t->judged : NAN;                       \
    PUT(row, ttft, figures_of(&t->ttft));                                                          \
    PUT(row, tpot, figures_of(&t->tpot));                                                          \
    PUT(row, e2e, figures_of(&t->e2e));                                                            \
    PUT(row, queueing, figures_of(&t->queueing));                                                  \
    PUT(row, normalised, figures_of(&t->normalised));                                              \
  } while (0)

void celslm_tally_summary(const celslm_tally *t, double window, celslm_summary_row *row) {
  PUT_ALL(row);
}

void celslm_tally_class(const celslm_tally *t, double window, celslm_class_row *row) {
  PUT_ALL(row);
  row->prompt_tokens = t->prompt_tokens;
  row->output_tokens = t->output_tokens;
  row->served = window > 0 ? (double)(t->prompt_tokens + t->output_tokens) / window : NAN;
}

double celslm_tally_fairness(celslm_tally *const *of_class, const celslm_scenario *s) {
  double *tokens = celslm_alloc((unsigned long)s->n_tenants, sizeof *tokens);
  for (int i = 0; i < s->n_tenants; i++) tokens[i] = NAN; /* asked for nothing */
  for (int c = 0; c < s->n_classes; c++) {
    double *mine = &tokens[s->classes[c].tenant];
    if (!of_class[c]->asked) continue;
    *mine = (isnan(*mine) ? 0 : *mine) +
            (double)(of_class[c]->prompt_tokens + of_class[c]->output_tokens);
  }
  double index = celslm_jain(tokens, (size_t)s->n_tenants);
  free(tokens);
  return index;
}
