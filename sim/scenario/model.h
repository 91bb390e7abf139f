/* model.h - a transformer's dimensions, as read from a model file (platforms/models/NAME.xml). */
#ifndef CELSLM_SCENARIO_MODEL_H
#define CELSLM_SCENARIO_MODEL_H

#include "base/error.h"

#include <stdint.h>

typedef enum celslm_dtype {
  CELSLM_F32, CELSLM_F16, CELSLM_BF16, CELSLM_FP8, CELSLM_INT8, CELSLM_INT4, CELSLM_DTYPES
} celslm_dtype;

double celslm_dtype_bytes(celslm_dtype d); /* per element, without scales: 4 2 2 1 1 0.5 */
const char *celslm_dtype_name(celslm_dtype d); /* "f32" "f16" "bf16" "fp8" "int8" "int4" */

typedef struct celslm_model {
  char *name;
  char *tokenizer;  /* models with equal tokenizers can share contexts */
  char *source;     /* where the dimensions come from */
  char *checkpoint; /* file of its weights; NULL: none is known */
  int64_t layers;   /* L */
  int64_t hidden;   /* d */
  int64_t heads;    /* H */
  int64_t kv_heads; /* K */
  int64_t head_dim; /* h */
  int64_t ffn;      /* f */
  bool gated;       /* three MLP matrices (SwiGLU) instead of two */
  int64_t vocabulary; /* V */
  bool tied_embeddings;
  bool absolute_positions; /* learned positions (OPT): a context's KV cannot move */
  int64_t max_context;     /* tokens */
  int64_t parameters;      /* as published */
} celslm_model;

/* Reads one model file into *out (caller clears it with celslm_model_clear). */
bool celslm_model_load(const char *file, celslm_model *out, celslm_error *err);
void celslm_model_clear(celslm_model *m);

#endif
