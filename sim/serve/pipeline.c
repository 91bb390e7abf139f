/* pipeline.c - a model whose layers are split over hosts: batches pass the stages one after the
 * other, each stage serves one at a time, first come, first served; between stages the activations
 * of the batch's tokens cross the network, and at the end the new tokens go back to the first.
 *
 * As in vLLM (parallel configuration, pipeline_parallel_size) as many batches as stages are under
 * way, each with a scheduler of its own. */
#include "serve/state.h"

#include <math.h>
#include <stdlib.h>

typedef struct stage {
  struct celslm_pipeline *pipeline;
  celslm_engine *first, *last; /* batches that wait for it */
  celslm_engine *current;
  celslm_event event;
} stage;

struct celslm_pipeline {
  celslm_net *net;
  const celslm_engine_config *config;
  void (*done)(void *engine);
  stage *stages;
};

static void stage_over(void *self);

struct celslm_pipeline *celslm_pipeline_new(celslm_net *net, const celslm_engine_config *config,
                                            void (*done)(void *engine)) {
  struct celslm_pipeline *p = celslm_alloc(1, sizeof *p);
  *p = (struct celslm_pipeline){.net = net, .config = config, .done = done};
  p->stages = celslm_alloc((unsigned long)config->n_stages, sizeof *p->stages);
  for (int i = 0; i < config->n_stages; i++)
    p->stages[i] = (stage){
        .pipeline = p,
        .event = {
            .fire = stage_over, .self = &p->stages[i], .cls = CELSLM_AT_ENGINE, .id = (uint32_t)i}};
  return p;
}

void celslm_pipeline_free(struct celslm_pipeline *p) {
  if (!p) return;
  free(p->stages);
  free(p);
}

static void serve(stage *s) {
  celslm_engine *e = s->first;
  if (s->current || !e) return;
  s->first = e->next_in_line;
  if (!s->first) s->last = NULL;
  s->current = e;
  celslm_ns length = (celslm_ns)llround(celslm_tick_seconds(e->stage_ticks[e->at]) * 1e9);
  celslm_net_at(s->pipeline->net, &s->event, celslm_net_now(s->pipeline->net) + length);
}

static void arrive(void *engine) {
  celslm_engine *e = engine;
  stage *s = &e->pipeline->stages[e->at];
  e->next_in_line = NULL;
  if (s->last)
    s->last->next_in_line = e;
  else
    s->first = e;
  s->last = e;
  serve(s);
}

static void hop(celslm_engine *e, int to, double bytes, void (*then)(void *)) {
  const struct celslm_pipeline *p = e->pipeline;
  e->hop = (celslm_transfer){.from = p->config->stages[e->at],
                             .to = p->config->stages[to],
                             .bytes = (uint64_t)ceil(bytes),
                             .traffic = CELSLM_ACTIVATIONS,
                             .delivered = then,
                             .self = e};
  e->at = to;
  celslm_net_send(p->net, &e->hop);
}

static void stage_over(void *self) {
  stage *s = self;
  celslm_engine *e = s->current;
  const celslm_shape *shape = &e->stages[0]->cost.shape;
  double tokens = (double)(e->decodes + e->batch_tokens);
  s->current = NULL;
  if (e->at == e->n_stages - 1) /* a token is an id of 4 B */
    hop(e, 0, 4 * tokens, s->pipeline->done);
  else
    hop(e, e->at + 1, tokens * (double)shape->model->hidden * shape->activation_bytes, arrive);
  serve(s);
}

void celslm_pipeline_enter(celslm_engine *e) {
  e->at = 0;
  arrive(e);
}
