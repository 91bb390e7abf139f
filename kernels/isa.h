/* isa.h - the one table that joins algorithms to inner loops (ref/, avx2/, avx512/).
 *
 * Invariants: every level fills every entry; entries of all levels compute the same function up to
 * rounding; an entry never allocates, never starts threads, and its result for one row does not
 * depend on how many rows it is given (that is what makes results independent of the split). */
#ifndef CELSLM_KERNELS_ISA_H
#define CELSLM_KERNELS_ISA_H

#include "kernels/kernels.h"

enum {
  CELSLM_MAX_ROWS = 14,  /* largest micro-tile height of any level */
  CELSLM_MAX_PANEL = 32, /* largest weight panel width of any level */
  CELSLM_CHUNK = 256,    /* tokens of one attention step: the score buffer of a tile stays in L1 */
  CELSLM_MAX_HEAD = 256,
  CELSLM_OVERREAD = 16,   /* floats that an attention step may read behind key scales */
  CELSLM_I8_ROWS = 6,     /* rows of an int8 micro-tile */
  CELSLM_AHEAD_STEPS = 8, /* steps of a product between two rounds of prefetching */
};

/* F16 in words is multiplied with its bits moved to where f32 has them, which makes it 2^-112 of
 * what it is. So much larger are weights; queries are so in two steps, lest they become too large:
 * before they are multiplied, and as scores. */
#define CELSLM_F16_WEIGHT 0x1p112f
#define CELSLM_F16_QUERY  0x1p96f
#define CELSLM_F16_SCORE  0x1p16f

/* One attention step: `rows` queries over `tokens` tokens of one KV head, added to the running
 * softmax state (m: base-2 maximum, l: sum of 2^(score - m), o: unnormalised output). */
typedef struct celslm_attn_tile {
  enum celslm_kdtype type; /* of k and v */
  int rows;                /* 1 .. attn_rows or narrow_rows, as the type is */
  int head_dim;            /* queries' and keys' size */
  int value_dim;  /* row distance of v and o: head_dim rounded up to 16, padding zero in v */
  int tokens;     /* 1 .. CELSLM_CHUNK */
  const float *q; /* [head_dim][rows], scaled by log2(e)/sqrt(head_dim) */
  const void *k;  /* [panels][head_dim][32]; but for F32 as words (words.h) */
  const void *v;  /* [tokens][value_dim]; likewise */
  /* I8 only: [panels][head_dim], [tokens rounded up to 32] */
  const float *k_scale, *v_scale;
  const int *limit; /* [rows] how many of the tokens the row sees; <= 0: none */
  float *m, *l, *o; /* [rows], [rows], [rows][value_dim] */
  float *scores;    /* scratch [rows][CELSLM_CHUNK] */
  /* But for F32, the queries again, [rows][CELSLM_MAX_HEAD]; for F16 CELSLM_F16_QUERY times. */
  const float *rows_q;
  float *scaled; /* scratch, I8 only: [CELSLM_MAX_ROWS][CELSLM_MAX_HEAD] */
  bool again;    /* other rows have just been over these tokens */
  /* What will be needed later: asked for while the scores are computed. Advice only. */
  const void *ahead;
  int64_t ahead_lines; /* of 64 bytes; at most tokens / 32 * head_dim are asked for */
} celslm_attn_tile;

/* Is there so much to do for a cache line of a step (multiply-adds, and conversions about as long)
 * that the loads ahead of it do not reach memory in time? Then it asks for lines into L2, far
 * ahead: 4 rows of f16 read 13 GB/s without and 21 with it. Else the CPU's own prefetching is best
 * left alone with one stream in order: 25 to 28 GB/s, and 20 to 23 with hints, of 29. */
static inline __attribute__((always_inline)) bool celslm_attn_busy(enum celslm_kdtype type,
                                                                   int rows) {
  int converting = type == CELSLM_K_F32 ? 0 : type == CELSLM_K_I8 ? 2 : 1;
  int per_word = type == CELSLM_K_F32 ? 1 : type == CELSLM_K_I8 ? 4 : 2;
  return (rows + converting) * per_word > 6;
}

/* What a product's micro-tile prefetches while it runs: every CELSLM_AHEAD_STEPS `per_round` of the
 * `lines` cache lines from `w` on, and one row of the next tile's C. Advice only: any address will
 * do. */
typedef struct celslm_ahead {
  const float *w;
  int64_t lines;
  int per_round; /* 0: the tile is alone in its panel, and looks ahead in its own stream of W */
  int c_rows;
  float *c;
  int64_t ldc;
} celslm_ahead;

/* C [rows][panel] = sum over groups of xs * ws * (A B - offset), integers inside the group. A word
 * has four inputs: A unsigned (the value + 128), B signed; `offset` is 128 * the sum of B. */
typedef struct celslm_i8_tile {
  int rows;  /* 1 .. CELSLM_I8_ROWS */
  int steps; /* words per group */
  int64_t groups;
  const uint32_t *a;     /* [groups][steps][rows] */
  const float *xs;       /* [groups][rows] */
  const uint32_t *b;     /* [groups][steps][panel] */
  const float *ws;       /* [groups][panel] */
  const int32_t *offset; /* [groups][panel] */
  float *c;
  int64_t ldc;
} celslm_i8_tile;

/* The codecs' loops over n channels: see codes.h. */
typedef struct celslm_codes {
  void (*widen_range)(int64_t n, const float *x, float *low, float *high);
  void (*encode_i8)(int64_t n, const float *x, const float *divisor, int8_t *out);
  void (*decode_i8)(int64_t n, const int8_t *code, const float *step, float *y);
  void (*encode_u4)(int64_t n, const float *x, const float *low, const float *divisor,
                    uint8_t *out);
  void (*join)(int64_t n, const uint8_t *in, uint8_t *out);
  void (*part)(int64_t n, const uint8_t *in, uint8_t *out);
  void (*decode_u4)(int64_t n, const uint8_t *code, const float *low, const float *step, float *y);
} celslm_codes;

typedef struct celslm_isa {
  const char *name;
  int panel;       /* columns of a packed weight panel */
  int rows;        /* rows of the largest GEMM micro-tile */
  int attn_rows;   /* rows of the largest attention tile over f32 */
  int narrow_rows; /* and over other types */

  /* a [k][rows], row i at a[p*rows + i] (packed X). */
  void (*pack_rows)(int rows, int64_t k, const float *x, int64_t ldx, float *a);
  /* C [rows][panel] (+)= A B, B [k][panel]; `load`: add to what C holds. */
  void (*gemm_f32)(int rows, int64_t k, const float *a, const float *b, float *c, int64_t ldc,
                   bool load, const celslm_ahead *next);
  /* y [panels*panel] (+)= sum_p x[p] B[.][p][.], B [panels][k][panel]. */
  void (*gemv_f32)(int64_t panels, int64_t k, const float *x, const float *b, float *y, bool load);

  /* The same with bf16: a word of W holds two neighbouring inputs, the first in its lower half, so
   * that a product over k inputs has ceil(k/2) steps. A step of packed X has `words_bf16` words for
   * each row: 1, the same pair; or 2, floats of the same values: first those of all rows for the
   * first input, then for the second. */
  int words_bf16;
  void (*pack_rows_bf16)(int rows, int64_t k, const float *x, int64_t ldx, float *a);
  void (*gemm_bf16)(int rows, int64_t steps, const float *a, const float *b, float *c, int64_t ldc,
                    bool load, const celslm_ahead *next);
  void (*gemv_bf16)(int64_t panels, int64_t steps, const float *x, const float *b, float *y,
                    bool load);
  /* A row of X as int8 (quantise.h): words [ceil(k/group)*group/4], scales [ceil(k/group)]. */
  void (*quantise)(int64_t k, int64_t group, const float *x, uint32_t *words, float *scales);
  /* int8 with scales: see celslm_i8_tile. */
  void (*gemm_i8)(const celslm_i8_tile *t);

  /* The epilogue on a block of C; pointers are to the block's corner, NULL leaves a term out. */
  void (*epilogue)(int rows, int cols, float *c, int64_t ldc, const float *bias,
                   enum celslm_activation act, const float *gate, int64_t ldg,
                   const float *residual, int64_t ldr);
  void (*attention)(const celslm_attn_tile *t);

  /* n elements to f32, and from it. */
  void (*widen_f16)(int64_t n, const uint16_t *x, float *y);
  void (*narrow_f16)(int64_t n, const float *x, uint16_t *y);
  void (*widen_bf16)(int64_t n, const uint16_t *x, float *y);
  /* Words to f32: panels of keys, and values; I8 times a scale per dimension, and per token. */
  void (*widen_keys)(enum celslm_kdtype type, int64_t panels, int dims, const void *x,
                     const float *scale, float *y);
  void (*widen_values)(enum celslm_kdtype type, int64_t tokens, int columns, const void *x,
                       const float *scale, float *y);
  void (*narrow_bf16)(int64_t n, const float *x, uint16_t *y);
  /* Rows of x to codes: scale = largest |x| of the row / 127, y = x / scale rounded to nearest. */
  void (*narrow_i8)(int64_t rows, int64_t cols, const float *x, float *scale, int8_t *y);
  /* Rows of new keys into a panel: y[d * 32 + i] = x[i * ldx + d] for i < rows <= 32, d < cols. */
  void (*fill_panel)(int rows, int cols, const float *x, int64_t ldx, float *y);

  /* One row each; y may be x (or gate, or up). */
  void (*rmsnorm)(int64_t n, const float *x, const float *weight, float eps, float *y);
  void (*layernorm)(int64_t n, const float *x, const float *weight, const float *bias, float eps,
                    float *y);
  void (*silu_gate)(int64_t n, const float *gate, const float *up, float *y);
  celslm_codes codes;
} celslm_isa;

const celslm_isa *celslm_isa_current(void);
/* avx512_vnni, avx512_dot: the same level where the CPU has int8, and fast bf16, dot products. */
extern const celslm_isa celslm_isa_portable, celslm_isa_avx2, celslm_isa_avx512,
    celslm_isa_avx512_vnni, celslm_isa_avx512_dot;

#endif
