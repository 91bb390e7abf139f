/* kv.h - inside of a KV cache, shared by cache, attention and naive twin. Internal. */
#ifndef CELSLM_KERNELS_KV_H
#define CELSLM_KERNELS_KV_H

#include "kernels/isa.h"

struct celslm_kv {
  enum celslm_kdtype dtype;
  int kv_heads, head_dim;
  int key_dim;      /* rows of a panel of keys: head_dim, made even but for F32 */
  int value_dim;    /* row distance of values: head_dim rounded up to 16; the padding is zero */
  int64_t capacity; /* rounded up to whole panels */
  int64_t length;
  bool special;     /* F16: there was something infinite, or no number */
  unsigned char *k; /* [kv_heads][panels][key_dim][32], but for F32 as words (words.h); all arrays
                       are one block, this its start */
  unsigned char *v; /* [kv_heads][capacity][value_dim] */
  /* I8 only. Tokens below length / 32 * 32 are in k and v; the rest only in the tails. */
  float *k_scale; /* [kv_heads][panels][head_dim] */
  float *v_scale; /* [kv_heads][capacity] */
  float *k_tail;  /* [kv_heads][head_dim][32] */
  float *v_tail;  /* [kv_heads][32][value_dim] */
};

/* Tokens of one head in one piece: keys [panels][head_dim][32], values [tokens][value_dim], and for
 * I8 the scales [panels][head_dim] and [tokens]. */
typedef struct celslm_kv_piece {
  enum celslm_kdtype type;
  int tokens;
  const void *k, *v;
  const float *k_scale, *v_scale;
} celslm_kv_piece;

/* The piece that starts at `first`, a multiple of 32: `tokens`, or fewer where the tail of an I8
 * cache, which is f32, begins in between. */
celslm_kv_piece celslm_kv_stored(const celslm_kv *kv, int head, int64_t first, int tokens);
/* The same as f32: in place where it is stored so, else in the buffers. */
celslm_kv_piece celslm_kv_widened(const celslm_kv *kv, int head, int64_t first, int tokens,
                                  float *k_buffer, float *v_buffer);
/* One element, as f32. */
float celslm_kv_key(const celslm_kv *kv, int head, int64_t token, int d);
float celslm_kv_value(const celslm_kv *kv, int head, int64_t token, int d);

/* Of the same heads, size and precision? */
bool celslm_kv_alike(const celslm_kv *a, const celslm_kv *b);

/* celslm_attention_merge without a report. */
void celslm_merge_rows(int64_t rows, int head_dim, const float *oa, const float *lse_a,
                       const float *ob, const float *lse_b, float *o, float *lse);

/* Bytes of one token's key and value in one head, with the scales that come with it (a panel's key
 * scales with its first token). */
uint64_t celslm_kv_token_bytes(const celslm_kv *kv, int64_t token);

/* The naive twin of all attention: `rows` query rows; row i sees the first pos[i] tokens of kv[i]
 * (equal pointers must be neighbours: a cache is read once for them). */
celslm_work celslm_naive_attention(const celslm_kv *const *kv, const int64_t *pos, int64_t rows,
                                   int q_heads, const float *q, float *o, float *lse);

#endif
