/* states.h - what a model's layers hold while it reads a text: the sources and the targets of maps
 * between models. Tokens are bytes for the shipped models; any tokens of one tokenizer do. */
#ifndef CELSLM_SHARE_STATES_H
#define CELSLM_SHARE_STATES_H

#include "base/error.h"
#include "kernels/transformer.h"

/* What of a cloud layer a map starts from. */
typedef enum celslm_source {
  CELSLM_SOURCE_KV,       /* its keys (before rotation) and values */
  CELSLM_SOURCE_RESIDUAL, /* the residual stream that enters it */
  CELSLM_SOURCE_NORMED, /* the same divided by its root mean square, as the layer itself uses it */
  CELSLM_SOURCES
} celslm_source;
extern const char *const celslm_source_names[]; /* "kv", ...; NULL-terminated */

typedef struct celslm_states {
  int64_t tokens;
  int layers, dim, kv_width;
  float *residual;      /* [layers][tokens][dim] */
  float *keys, *values; /* [layers][tokens][kv_width], keys before rotation */
  float *attended;      /* [layers][tokens][dim] */
  float *logits;        /* [tokens][vocabulary] */
} celslm_states;

/* A model's states over a text of its own: keys, values and residual only. */
celslm_states celslm_states_read(const celslm_transformer *t, int64_t n, const int32_t *tokens);
void celslm_states_free(celslm_states *s);
int celslm_source_width(celslm_source source, const celslm_transformer_shape *shape);
/* Writes the source of one layer, all tokens, into x (row distance ld). */
void celslm_states_source(const celslm_states *s, celslm_source source, int layer, float *x,
                          int64_t ld);

/* A checkpoint, weights in f32. */
celslm_transformer *celslm_load_checkpoint(const char *path, celslm_error *err);

#endif
