/* transformer.h - a whole decoder assembled from the kernels: Llama family (RMSNorm, rotary
 * positions, gated MLP) and OPT family (LayerNorm, learned positions, ReLU MLP, biases). It exists
 * so that op lists can be checked against real execution: everything it computes is a public kernel
 * call and reports to the hook.
 *
 * Calls of one forward pass over n tokens, in order: embed; per layer: norm, GEMM qkv (all three in
 * one), rope on q and on k (Llama), kv_append per sequence, attention (prefill per sequence with
 * several new tokens, with a context also shared attention and merge; one decode call, or with a
 * context one merged call, per run of neighbours with one new token and the same context), GEMM out
 * (+residual), norm, MLP (Llama: GEMM gate, GEMM up with the gate as epilogue, GEMM down +
 * residual; OPT: GEMM up + ReLU, GEMM down + residual); then the last norm and the GEMM head, for
 * the last token of each sequence only. */
#ifndef CELSLM_KERNELS_TRANSFORMER_H
#define CELSLM_KERNELS_TRANSFORMER_H

#include "kernels/kernels.h"

enum celslm_family { CELSLM_FAMILY_LLAMA, CELSLM_FAMILY_OPT };

typedef struct celslm_transformer_shape {
  enum celslm_family family;
  int layers, dim, hidden, q_heads, kv_heads, vocabulary, max_tokens; /* head size: dim / q_heads */
  float eps;
  double rope_base;                  /* Llama */
  enum celslm_rope_style rope_style; /* Llama */
} celslm_transformer_shape;

typedef struct celslm_transformer celslm_transformer;
/* One sequence's KV in all layers; may stand on a context: another session, never written to again,
 * whose tokens come first and whose KV many sessions share. */
typedef struct celslm_session celslm_session;

/* A llama2.c checkpoint (format versions 0: f32, 1: f32 with a longer header, 2: int8 in groups),
 * weights packed as `weights`. NULL, with the reason in `why` (if not NULL, of `size` bytes), if
 * the file cannot be read or makes no sense. */
celslm_transformer *celslm_transformer_load(const char *path, enum celslm_kdtype weights, char *why,
                                            size_t size);
/* Reproducible random weights, scaled so that activations stay of order one. */
celslm_transformer *celslm_transformer_random(const celslm_transformer_shape *shape,
                                              enum celslm_kdtype weights, uint64_t seed);
void celslm_transformer_free(celslm_transformer *t);
const celslm_transformer_shape *celslm_transformer_shape_of(const celslm_transformer *t);

/* Room for `capacity` tokens of its own; `context` may be NULL and must outlive the session. */
celslm_session *celslm_session_create(const celslm_transformer *t, enum celslm_kdtype kv,
                                      int64_t capacity, const celslm_session *context);
void celslm_session_free(celslm_session *s);
/* Tokens, the context's included. */
int64_t celslm_session_length(const celslm_session *s);
const celslm_kv *celslm_session_kv(const celslm_session *s, int layer);

/* Makes an empty session hold `tokens` tokens that it has not computed, the first at position
 * `start`; its KV is then given layer by layer, or is absent there: later tokens do not see these
 * in such a layer. */
void celslm_session_hold(celslm_session *s, int64_t start, int64_t tokens);
/* The KV of all held tokens in one layer: keys as before their rotation, which is done here for the
 * positions they are held at. K, V [tokens][kv_heads * head size], row distances ldk, ldv. */
void celslm_session_give(celslm_session *s, int layer, const float *k, int64_t ldk, const float *v,
                         int64_t ldv);

/* What a forward pass may leave behind, rows in the order of `tokens`; NULL: not wanted. */
typedef struct celslm_trace {
  float *residual; /* [layers][rows][dim]: entering the layer */
  float *keys;     /* [layers][rows][kv_heads * head size]: before their rotation */
  float *values;   /* [layers][rows][kv_heads * head size] */
  float *attended; /* [layers][rows][dim]: what attention gives, before the output product */
  float *logits;   /* [rows][vocabulary]: of every token */
} celslm_trace;

/* Appends count[i] >= 1 tokens to each of n different sessions; `tokens` has them one sequence
 * after the other. logits [n][vocabulary]: of each sequence's last token. */
void celslm_transformer_forward(const celslm_transformer *t, int64_t n, celslm_session *const *s,
                                const int64_t *count, const int32_t *tokens, float *logits);
/* The same, also filling `trace`; `logits` may be NULL. The extra products of trace->logits are
 * reported as they are done. */
void celslm_transformer_trace(const celslm_transformer *t, int64_t n, celslm_session *const *s,
                              const int64_t *count, const int32_t *tokens, float *logits,
                              const celslm_trace *trace);

#endif
