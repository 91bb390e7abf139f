#include "cmd/sweep_rank.h"

#include "study/morris.h"
#include "study/sobol.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct ranked {
  const char *axis;
  double figures[4]; /* the first one decides the order; halves of intervals may follow */
} ranked;

static int by_importance(const void *a, const void *b) {
  double x = ((const ranked *)a)->figures[0], y = ((const ranked *)b)->figures[0];
  return (y > x) - (y < x);
}

static void morris(const celslm_study *s, size_t points, const double *means, ranked *ranks) {
  size_t k = (size_t)s->design->n_axes;
  celslm_effect *effects = celslm_alloc(k, sizeof *effects);
  celslm_morris_effects(k, points / (k + 1), s->design->places, means, effects);
  for (size_t a = 0; a < k; a++)
    ranks[a] = (ranked){s->design->axes[a].name, {effects[a].mu_star, effects[a].sigma}};
  free(effects);
}

static void sobol(const celslm_study *s, size_t points, const double *means, ranked *ranks) {
  size_t k = (size_t)s->design->n_axes;
  celslm_index_pair *i = celslm_alloc(k, sizeof *i);
  celslm_sobol_indices(k, points / (k + 2), means, i);
  for (size_t a = 0; a < k; a++)
    ranks[a] = (ranked){s->design->axes[a].name,
                        {i[a].total, i[a].total_half, i[a].first, i[a].first_half}};
  free(i);
}

void celslm_sweep_ranks(const celslm_study *s, const char *column, int64_t samples,
                        const double *values) {
  size_t k = (size_t)s->design->n_axes, strategies = (size_t)s->scenario->n_strategies,
         reps = (size_t)s->design->replications,
         points = (size_t)(s->design->points / s->design->replications);
  double *means = celslm_alloc(points, sizeof *means);
  ranked *ranks = celslm_alloc(k, sizeof *ranks);
  if (samples)
    printf(
        "what matters for %s: the share of its variance that an axis has a part in (total), and\n"
        "that it makes by itself (first); +- 95 %%, %lld samples\n",
        column, (long long)samples);
  else
    printf("what matters for %s: mean absolute effect over an axis's range (mu*), and how much it\n"
           "depends on the others (sigma); %zu trajectories\n",
           column, points / (k + 1));
  for (size_t i = 0; i < strategies; i++) {
    for (size_t p = 0; p < points; p++) {
      means[p] = 0;
      for (size_t q = 0; q < reps; q++)
        means[p] += values[(p * reps + q) * strategies + i] / (double)reps;
    }
    (samples ? sobol : morris)(s, points, means, ranks);
    qsort(ranks, k, sizeof *ranks, by_importance);
    const char *label = s->scenario->strategies[i].label;
    printf(samples ? "%-28s %21s %21s\n" : "%-28s %12s %12s\n", label, samples ? "total" : "mu*",
           samples ? "first" : "sigma");
    for (size_t a = 0; a < k; a++) {
      const double *f = ranks[a].figures;
      if (samples)
        printf("  %-26s %10.4f +- %7.4f %10.4f +- %7.4f\n", ranks[a].axis, f[0], f[1], f[2], f[3]);
      else
        printf("  %-26s %12.4g %12.4g\n", ranks[a].axis, f[0], f[1]);
    }
  }
  free(ranks), free(means);
}
