#include "share/coder.h"

#include "cost/cost.h"

#include <math.h>
#include <stdlib.h>

struct celslm_coder {
  celslm_net *net;
  const celslm_profile *profile;
  double rate; /* B/s of 16-bit KV on one core; NaN: the profile's */
  uint32_t id;
  int64_t idle; /* cores */
  celslm_coding_work *first, *last;
};

celslm_coder *celslm_coder_new(celslm_net *net, const celslm_engine_config *config,
                               const celslm_profile *profile, uint32_t id) {
  celslm_coder *c = celslm_alloc(1, sizeof *c);
  *c = (celslm_coder){.net = net,
                      .profile = profile,
                      .rate = config->codec_rate,
                      .id = id,
                      .idle = config->codec_cores};
  return c;
}

void celslm_coder_free(celslm_coder *c) {
  free(c);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void start(celslm_coder *c, celslm_coding_work *w) {
  c->idle--;
  celslm_net_at(c->net, &w->event, celslm_net_now(c->net) + w->duration);
}

static void finished(void *self) {
  celslm_coding_work *w = self;
  celslm_coder *c = w->coder;
  c->idle++;
  celslm_coding_work *next = c->first;
  if (next) {
    c->first = next->next;
    if (!c->first) c->last = NULL;
    start(c, next);
  }
  w->done(w->self);
}

void celslm_coder_submit(celslm_coder *c, celslm_coding_work *w) {
  if (!w->duration) {
    w->done(w->self);
    return;
  }
  w->coder = c;
  w->next = NULL;
  w->event = (celslm_event){.fire = finished, .self = w, .cls = CELSLM_AT_TIMER, .id = c->id};
  if (c->idle) {
    start(c, w);
    return;
  }
  *(c->last ? &c->last->next : &c->first) = w;
  c->last = w;
}

/* ---- what it takes --------------------------------------------------------------------------- */

static double coding_seconds(const celslm_coder *c, const char *name, bool decode, double plain,
                             double coded) {
  return isfinite(c->rate) ? plain / c->rate
                           : celslm_coding_seconds(c->profile, name, decode, plain, coded);
}

celslm_ns celslm_coder_time(const celslm_coder *c, bool decode, const celslm_codec *codec,
                            const celslm_model *m, double tokens, double flops) {
  double plain = celslm_codec_plain_bytes(m, tokens);
  double left = celslm_codec_left_bytes(codec, m, tokens), seconds = 0;
  if (flops > 0)
    seconds +=
        celslm_curve_time(&c->profile->curves[CELSLM_CURVE_GEMM], flops, plain + left, tokens);
  if (codec->coding->parameter && !codec->coding->flops)
    seconds += coding_seconds(c, codec->coding->name, decode, plain, left);
  celslm_codec precision = {codec->precision, codec->precision, 0};
  if (!celslm_codec_plain(&precision))
    seconds += coding_seconds(c, codec->precision->name, decode, left,
                              celslm_codec_layer_bytes(codec, m, tokens));
  return celslm_ns_of(seconds);
}
