/* lengths.c - prompt and output lengths of a workload: two distributions, or rows of a file. */
#include "load/parts.h"

#include "cost/csv.h"

#include <math.h>
#include <stdlib.h>

const celslm_distribution *const celslm_distributions[] = {
    &celslm_distribution_fixed, &celslm_distribution_uniform,   &celslm_distribution_lognormal,
    &celslm_distribution_zipf,  &celslm_distribution_empirical, NULL,
};

static bool read_one(celslm_lengths *l, const celslm_element *e, celslm_error *err) {
  l->kind = FIND(celslm_distributions, e->name);
  if (!l->kind)
    return celslm_element_fail(
        e, err, "no distribution is called %s; see `celslm list distributions`", e->name);
  return l->kind->configure(l, e, err);
}

bool celslm_lengths_column(celslm_lengths *l, const celslm_element *e, const char *attribute,
                           celslm_error *err) {
  static const char *const orders[] = {"drawn", "file", NULL};
  int order;
  if (!celslm_element_choice(e, "order", orders, 0, &order, err)) return false;
  char *file = celslm_element_path(e, "file");
  celslm_csv *t = celslm_csv_open(file, err);
  free(file);
  if (!t) return false;
  int column = celslm_csv_column(t, celslm_element_attribute(e, attribute), err);
  bool ok = column >= 0;
  ok = ok && celslm_csv_has_rows(t, err);
  l->n_rows = t->rows;
  l->row = order == 1 ? 0 : -1;
  l->rows = celslm_alloc((unsigned long)t->rows, sizeof *l->rows);
  for (int i = 0; ok && i < t->rows; i++) {
    double tokens = 0;
    ok = celslm_csv_number(t, i, column, 1, CELSLM_LONGEST, false, &tokens, err);
    if (ok && tokens != floor(tokens))
      ok = celslm_fail(err, t->file, t->lines[i], "%s %g is no whole number; give tokens",
                       t->names[column], tokens);
    if (ok) l->rows[i] = (int32_t)tokens;
  }
  celslm_csv_close(t);
  return ok;
}

bool celslm_lengths_read(celslm_length_pair *p, const celslm_workload_config *w,
                         celslm_error *err) {
  p->joint = w->lengths != NULL;
  if (!p->joint)
    return read_one(&p->prompt, w->prompt, err) && read_one(&p->output, w->output, err);
  p->prompt.kind = p->output.kind = &celslm_distribution_empirical;
  return celslm_lengths_column(&p->prompt, w->lengths, "prompt", err) &&
         celslm_lengths_column(&p->output, w->lengths, "output", err);
}

static int32_t draw_one(celslm_lengths *l, gsl_rng *r) {
  double tokens = round(l->kind->draw(l, r));
  return tokens < 1 ? 1 : tokens > CELSLM_LONGEST ? CELSLM_LONGEST : (int32_t)tokens;
}

void celslm_lengths_draw(celslm_length_pair *p, gsl_rng *prompts, gsl_rng *outputs, int32_t *prompt,
                         int32_t *output) {
  if (p->joint) {
    int64_t row = p->prompt.row < 0
                      ? (int64_t)gsl_rng_uniform_int(prompts, (unsigned long)p->prompt.n_rows)
                      : p->prompt.row++ % p->prompt.n_rows;
    *prompt = p->prompt.rows[row];
    *output = p->output.rows[row];
    return;
  }
  *prompt = draw_one(&p->prompt, prompts);
  *output = draw_one(&p->output, outputs);
}

void celslm_lengths_free(celslm_length_pair *p) {
  celslm_lengths *both[] = {&p->prompt, &p->output};
  for (int i = 0; i < 2; i++) {
    if (both[i]->choice) gsl_ran_discrete_free(both[i]->choice);
    free(both[i]->rows);
  }
}
