/* kv.h - inside of a KV cache, shared by cache, attention and naive twin. Internal. */
#ifndef CELSLM_KERNELS_KV_H
#define CELSLM_KERNELS_KV_H

#include "kernels/isa.h"

struct celslm_kv {
  enum celslm_kdtype dtype;
  int kv_heads, head_dim;
  int value_dim;    /* row distance of values: head_dim rounded up to 16; the padding is zero */
  int64_t capacity; /* rounded up to whole panels */
  int64_t length;
  unsigned char *k; /* [kv_heads][panels][head_dim][32] */
  unsigned char *v; /* [kv_heads][capacity][value_dim] */
  /* I8 only. Tokens below length / 32 * 32 are in k and v; the rest only in the tails. */
  float *k_scale; /* [kv_heads][panels][head_dim] */
  float *v_scale; /* [kv_heads][capacity] */
  float *k_tail;  /* [kv_heads][head_dim][32] */
  float *v_tail;  /* [kv_heads][32][value_dim] */
};

/* A chunk of one head as the attention step wants it: f32, in place where the cache is f32, else
 * converted into the given buffers ([panels][head_dim][32] and [tokens][value_dim]). `first` is a
 * multiple of 32. */
void celslm_kv_view(const celslm_kv *kv, int head, int64_t first, int tokens, float *k_buffer,
                    float *v_buffer, const float **k, const float **v);
/* One element, as f32. */
float celslm_kv_key(const celslm_kv *kv, int head, int64_t token, int d);
float celslm_kv_value(const celslm_kv *kv, int head, int64_t token, int d);

/* Bytes of one token's key and value in one head, with the scales that come with it (a panel's key
 * scales with its first token). */
uint64_t celslm_kv_token_bytes(const celslm_kv *kv, int64_t token);

/* The naive twin of all attention: `rows` query rows; row i sees the first pos[i] tokens of kv[i]
 * (equal pointers must be neighbours: a cache is read once for them). */
celslm_work celslm_naive_attention(const celslm_kv *const *kv, const int64_t *pos, int64_t rows,
                                   int q_heads, const float *q, float *o, float *lse);

#endif
