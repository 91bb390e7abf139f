#include "serve/placement.h"

#include "cost/cost.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT 512 /* tokens */

/* ---- dynamic programming --------------------------------------------------------------------- */

typedef struct cell {
  double value; /* with layers 0..l-1 placed, the last of them on host k */
  int from;     /* host before k; -1: none */
  int64_t own;  /* layers on k */
} cell;

double celslm_place(const celslm_placement *p, bool throughput, int64_t *to) {
  int64_t width = p->layers + 1;
  cell *best = celslm_alloc((unsigned long)(p->n * width), sizeof *best);
  for (int64_t i = 0; i < p->n * width; i++) best[i] = (cell){.value = INFINITY, .from = -1};
  for (int k = 0; k < p->n; k++)
    for (int64_t l = 1; l <= p->layers; l++)
      for (int64_t own = 1; own <= l && own <= p->most[k]; own++) {
        if ((own == l) != (k == 0)) continue; /* the first host, and only it, begins */
        double time = (double)own * p->layer[k];
        if (k == 0) time += p->embed[k];
        if (l == p->layers) time += p->head[k];
        for (int from = k == 0 ? -1 : 0; from < k; from++) {
          double value = time;
          if (from >= 0) {
            double before = best[from * width + l - own].value;
            value = throughput ? fmax(fmax(before, p->wire[from * p->n + k]), time)
                               : before + p->hop[from * p->n + k] + time;
          }
          if (l == p->layers && k > 0)
            value = throughput ? fmax(value, p->wire[k * p->n]) : value + p->hop[k * p->n];
          cell *c = &best[k * width + l];
          if (value < c->value) *c = (cell){value, from, own};
        }
      }
  int last = 0;
  for (int k = 1; k < p->n; k++)
    if (best[k * width + p->layers].value < best[last * width + p->layers].value) last = k;
  double value = best[last * width + p->layers].value;
  memset(to, 0, (size_t)p->n * sizeof *to);
  int64_t l = p->layers;
  for (int k = last; k >= 0 && isfinite(value);) {
    const cell *c = &best[k * width + l];
    to[k] = c->own;
    l -= c->own;
    k = c->from;
  }
  free(best);
  return value;
}

/* ---- of an engine ---------------------------------------------------------------------------- */

static bool predict(const celslm_scenario *s, const celslm_engine_config *c, int k, double *layer,
                    double *embed, double *head, celslm_error *err) {
  const celslm_host *h = &s->platform->hosts[c->stages[k]];
  celslm_cost cost;
  if (!celslm_cost_init(&cost, h->profile, &s->models[c->model], c->weights, c->kv,
                        c->step_overhead, c->sequence_overhead, err))
    return false;
  celslm_cost_split(&cost, c->tensor_parallel, h->interconnect, h->interconnect_latency);
  *layer = celslm_cost_layer(&cost, 1) + celslm_cost_decode_seconds(&cost, 1, CONTEXT, CONTEXT);
  *embed = cost.step + cost.sequence + celslm_cost_embed(&cost, 1);
  *head = celslm_cost_head(&cost, 1);
  return true;
}

static int64_t most_layers(const celslm_scenario *s, const celslm_engine_config *c, int k) {
  double layers = (double)s->models[c->model].layers;
  double blocks = (double)(c->kv_blocks ? c->kv_blocks : c->n_stages);
  double each =
      (celslm_engine_weight_bytes(s, c) + blocks * celslm_engine_block_bytes(s, c)) / layers;
  return (int64_t)fmin(layers, floor(celslm_engine_memory(s, c, k) / each));
}

celslm_engine_config *celslm_placement_of(const celslm_scenario *s, const celslm_engine_config *c,
                                          celslm_net *net, celslm_error *err) {
  int n = c->n_stages;
  const celslm_model *m = &s->models[c->model];
  double *times = celslm_alloc((unsigned long)(3 * n + 2 * n * n), sizeof *times);
  double *layer = times, *embed = layer + n, *head = embed + n, *hop = head + n,
         *wire = hop + n * n;
  int64_t *most = celslm_alloc((unsigned long)(2 * n), sizeof *most), *to = most + n;
  celslm_engine_config *own = NULL;
  bool ok = true;
  for (int k = 0; ok && k < n; k++) {
    ok = predict(s, c, k, &layer[k], &embed[k], &head[k], err);
    most[k] = most_layers(s, c, k);
    for (int j = 0; j < n; j++) {
      double bytes = j == 0 ? 4 : (double)m->hidden * celslm_dtype_bytes(CELSLM_F16);
      int from = c->stages[k], host = c->stages[j];
      wire[k * n + j] = from == host ? 0 : bytes / celslm_net_bandwidth(net, from, host);
      hop[k * n + j] =
          from == host ? 0 : wire[k * n + j] + celslm_seconds(celslm_net_latency(net, from, host));
    }
  }
  celslm_placement p = {n, m->layers, layer, embed, head, hop, wire, most};
  if (ok && !isfinite(celslm_place(&p, c->placement == CELSLM_PLACE_THROUGHPUT, to)))
    ok = celslm_fail(err, c->file, c->line,
                     "<engine> \"%s\": no placement of its layers fits into memory_share %g of its "
                     "hosts; choose more or larger hosts, or a smaller model or kv_blocks",
                     c->name, c->memory_share);
  if (ok) {
    own = celslm_alloc(1, sizeof *own);
    *own = *c;
    own->n_stages = 0;
    own->stages = celslm_alloc((unsigned long)n, sizeof *own->stages);
    own->stage_layers = celslm_alloc((unsigned long)n, sizeof *own->stage_layers);
    for (int k = 0; k < n; k++) {
      if (!to[k]) continue;
      own->stages[own->n_stages] = c->stages[k];
      own->stage_layers[own->n_stages++] = to[k];
    }
  }
  free(times), free(most);
  return own;
}

void celslm_placement_free(celslm_engine_config *c) {
  if (!c) return;
  free(c->stages);
  free(c->stage_layers);
  free(c);
}
