/* codec.h - how keys and values are made small for storage and transport. All work on rows
 * [tokens][width], f32, row distance ld in elements; width = kv_heads * head_dim.
 *
 * Error bounds, per element, x the original, x' what decoding gives (u = 2^-24, one f32 rounding):
 *   f16   |x - x'| <= 2^-11 |x|, or 2^-25 where |x| < 2^-14; |x| must stay below 65,520
 *   bf16  |x - x'| <= 2^-8 |x|
 *   int8  |x - x'| <= M / 254 (1 + 2^-15), M the largest |x| of the group
 *   int4  |x - x'| <= (max - min) / 30 (1 + 2^-15) + 2u max|x| of the group
 * Groups: of keys, one channel over 32 tokens (keys have outlier channels: KIVI, arXiv 2402.02750);
 * of values, `group` neighbouring channels of one token. */
#ifndef CELSLM_KERNELS_CODEC_H
#define CELSLM_KERNELS_CODEC_H

#include "kernels/kernels.h"

enum celslm_codec_kind { CELSLM_CODEC_F16, CELSLM_CODEC_BF16, CELSLM_CODEC_I8, CELSLM_CODEC_I4 };
enum celslm_codec_side { CELSLM_CODEC_KEYS, CELSLM_CODEC_VALUES };

typedef struct celslm_codec {
  enum celslm_codec_kind kind;
  int group; /* channels per scale of values; 0: 32 */
} celslm_codec;

/* Bytes of encoded rows; what encode writes and decode reads, exactly. */
uint64_t celslm_codec_bytes(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                            int64_t width);
/* FLOPs per element: int8 1 each way, int4 2 each way, else 0. */
void celslm_codec_encode(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                         int64_t width, const float *x, int64_t ld, uint8_t *out);
void celslm_codec_decode(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                         int64_t width, const uint8_t *in, float *x, int64_t ld);

/* Low rank: z = (x - mean) D^T has `rank` numbers per token, x' = z U^T + mean. With the rows of D
 * orthonormal and U = D^T, |x - x'|^2 = |x - mean|^2 - |z|^2 exactly. Both ways are one GEMM each
 * and report as such. */
typedef struct celslm_lowrank celslm_lowrank;
/* down [rank][width], up [width][rank], mean [width] (NULL: zero); copied. */
celslm_lowrank *celslm_lowrank_create(int64_t width, int64_t rank, const float *down,
                                      const float *up, const float *mean);
void celslm_lowrank_free(celslm_lowrank *l);
void celslm_lowrank_encode(const celslm_lowrank *l, int64_t tokens, const float *x, int64_t ldx,
                           float *z); /* z [tokens][rank] */
void celslm_lowrank_decode(const celslm_lowrank *l, int64_t tokens, const float *z, float *x,
                           int64_t ldx);

/* The `keep` tokens with the largest scores, in order of the tokens; of equal scores the earlier
 * one. Attention that drops tokens holding a share d of a query's softmax mass moves its output by
 * at most 2 d max|v| (per component: o = (1-d) o' + d o'', both averages of values). */
void celslm_select_tokens(int64_t tokens, const float *score, int64_t keep, int64_t *kept);

#endif
