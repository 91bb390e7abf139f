#include "share/comparison.h"

#include "base/rng.h"
#include "record/statistics.h"

#include <stdlib.h>
#include <string.h>

enum { RESAMPLES = 1000 };

static void make_room(celslm_comparison *c) {
  c->loss = celslm_alloc((unsigned long)c->windows, sizeof *c->loss);
  c->kl = celslm_alloc((unsigned long)c->windows, sizeof *c->kl);
  c->stretch = celslm_alloc((unsigned long)c->windows, sizeof *c->stretch);
}

celslm_comparison celslm_comparison_make(const celslm_quality_plan *plan, int64_t n,
                                         const celslm_score *better, const celslm_score *worse) {
  celslm_comparison c = {.context = plan->context, .windows = plan->windows};
  celslm_text text = {.tokens = &(int32_t){0}, .n = n};
  make_room(&c);
  for (int i = 0; i < c.windows; i++) {
    c.loss[i] = worse->losses[i] - better->losses[i];
    c.kl[i] = worse->kls[i] - better->kls[i];
    int64_t begin =
        celslm_text_piece_begin(&text, plan->context + plan->continuation, i, c.windows);
    c.stretch[i] = (int)(begin * CELSLM_STRETCHES / n);
  }
  return c;
}

void celslm_comparison_free(celslm_comparison *c) {
  free(c->loss), free(c->kl), free(c->stretch);
  *c = (celslm_comparison){0};
}

static bool alike(const celslm_comparison *a, const celslm_comparison *b) {
  return strcmp(a->text, b->text) == 0 && strcmp(a->better, b->better) == 0 &&
         strcmp(a->worse, b->worse) == 0;
}

int celslm_comparisons_pool(const celslm_comparison *c, int n, celslm_comparison *pooled) {
  int found = 0;
  for (int first = 0; first < n; first++) {
    bool seen = false;
    int lengths = 0, windows = 0;
    for (int i = 0; i < n; i++)
      if (alike(&c[i], &c[first])) {
        seen |= i < first;
        lengths++, windows += c[i].windows;
      }
    if (seen || lengths < 2) continue;
    celslm_comparison *p = &pooled[found++];
    *p = c[first];
    p->context = 0, p->windows = windows;
    make_room(p);
    for (int i = first, at = 0; i < n; i++) {
      if (!alike(&c[i], &c[first])) continue;
      size_t m = (size_t)c[i].windows;
      memcpy(p->loss + at, c[i].loss, m * sizeof *p->loss);
      memcpy(p->kl + at, c[i].kl, m * sizeof *p->kl);
      memcpy(p->stretch + at, c[i].stretch, m * sizeof *p->stretch);
      at += c[i].windows;
    }
  }
  return found;
}

celslm_difference celslm_stretched_difference(const double *d, const int *stretch, int windows,
                                              uint64_t seed) {
  double sum[CELSLM_STRETCHES] = {0}, count[CELSLM_STRETCHES] = {0}, mean[RESAMPLES], all = 0;
  for (int i = 0; i < windows; i++) sum[stretch[i]] += d[i], count[stretch[i]]++, all += d[i];
  int full = 0; /* those with windows, moved to the front */
  for (int k = 0; k < CELSLM_STRETCHES; k++)
    if (count[k] > 0) sum[full] = sum[k], count[full++] = count[k];
  gsl_rng *rng = celslm_rng(seed, "stretches");
  for (int b = 0; b < RESAMPLES; b++) {
    double total = 0, n = 0;
    for (int k = 0; k < full; k++) {
      unsigned long pick = gsl_rng_uniform_int(rng, (unsigned long)full);
      total += sum[pick], n += count[pick];
    }
    mean[b] = total / n;
  }
  gsl_rng_free(rng);
  return (celslm_difference){all / windows, celslm_quantile(mean, RESAMPLES, 0.025),
                             celslm_quantile(mean, RESAMPLES, 0.975)};
}

void celslm_comparison_send(const celslm_comparison *c, FILE *to) {
  fwrite(c, sizeof *c, 1, to);
  fwrite(c->loss, sizeof *c->loss, (size_t)c->windows, to);
  fwrite(c->kl, sizeof *c->kl, (size_t)c->windows, to);
  fwrite(c->stretch, sizeof *c->stretch, (size_t)c->windows, to);
}

bool celslm_comparison_receive(celslm_comparison *c, FILE *from) {
  if (fread(c, sizeof *c, 1, from) != 1) return false;
  make_room(c);
  size_t n = (size_t)c->windows;
  if (fread(c->loss, sizeof *c->loss, n, from) == n && fread(c->kl, sizeof *c->kl, n, from) == n &&
      fread(c->stretch, sizeof *c->stretch, n, from) == n)
    return true;
  celslm_comparison_free(c);
  return false;
}
