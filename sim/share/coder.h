/* coder.h - the cores of an engine's host that encode, decode and map context KV: k servers, one
 * queue, first come, first served.
 *
 * What a piece of work takes on one core: selecting tokens and coding them at a precision by their
 * bytes at 16 bits, at the scenario's rate (<engine codec_rate>) or else as the device profile says
 * or lets assume (celslm_coding_seconds); and the products of projections and of the map by the
 * device's gemm curve. Coding is taken not to slow the engine's batches: an assumption.
 *
 * Work of no duration passes through at once, and does not queue. */
#ifndef CELSLM_SHARE_CODER_H
#define CELSLM_SHARE_CODER_H

#include "net/net.h"
#include "scenario/scenario.h"
#include "share/codec.h"

/* Work; embedded in what waits for it. */
typedef struct celslm_coding_work {
  celslm_ns duration;
  void (*done)(void *self); /* may be called within celslm_coder_submit */
  void *self;
  /* the coder's own */
  struct celslm_coder *coder;
  celslm_event event;
  struct celslm_coding_work *next;
} celslm_coding_work;

typedef struct celslm_coder celslm_coder;

celslm_coder *celslm_coder_new(celslm_net *net, const celslm_engine_config *config,
                               const celslm_profile *profile, uint32_t id);
void celslm_coder_free(celslm_coder *c); /* NULL is allowed */
void celslm_coder_submit(celslm_coder *c, celslm_coding_work *w);

/* ns to encode (or to decode) `tokens` tokens of one layer; `flops`: of projections and a map. */
celslm_ns celslm_coder_time(const celslm_coder *c, bool decode, const celslm_codec *codec,
                            const celslm_model *m, double tokens, double flops);

#endif
