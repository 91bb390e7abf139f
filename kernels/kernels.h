/* kernels.h - the public face of the kernels: what a transformer's inference computes.
 *
 * All matrices are row-major; `ld*` is the distance of two rows in elements. Shapes stand in
 * brackets. Functions that create return an object the caller destroys, or NULL when memory is
 * short or a shape is not supported. Nothing else fails: arguments out of their stated range are a
 * programming error and abort with one line. Outputs must not overlap inputs unless it is said.
 *
 * Results have the same bits at any number of threads. They may differ between instruction sets in
 * the last digits. An object packed at one level (celslm_isa_set) is used at that level only. */
#ifndef CELSLM_KERNELS_H
#define CELSLM_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/hook.h"

enum celslm_kdtype { CELSLM_K_F32, CELSLM_K_F16, CELSLM_K_BF16, CELSLM_K_I8 };
/* Bytes per element. */
size_t celslm_kdtype_size(enum celslm_kdtype t);
const char *celslm_kdtype_name(enum celslm_kdtype t);

/* ---- instruction set and threads ------------------------------------------------------------ */

enum celslm_isa_level { CELSLM_ISA_PORTABLE, CELSLM_ISA_AVX2, CELSLM_ISA_AVX512 };
/* The level in use: chosen at first use as the best the CPU has, or by the environment variable
 * CELSLM_ISA=portable|avx2|avx512 (what the CPU lacks is ignored). */
enum celslm_isa_level celslm_isa_get(void);
/* Forces a level; false, and nothing changes, if this CPU lacks it. */
bool celslm_isa_set(enum celslm_isa_level level);
bool celslm_isa_available(enum celslm_isa_level level);
const char *celslm_isa_name(enum celslm_isa_level level);

/* Threads a kernel may use, at least 1. The start value is OpenMP's. With 1, OpenMP is not entered
 * at all, so that a process may fork afterwards. */
void celslm_threads_set(int n);
int celslm_threads_get(void);

/* ---- matrix product -------------------------------------------------------------------------- */

/* Weights W [n][k], packed once for the level in use. */
typedef struct celslm_packed celslm_packed;

/* Packs W [n][k] (row distance ldw, f32) as `dtype`:
 *   F32   as it is
 *   BF16  rounded to nearest even, and so are the inputs X on the fly; products accumulate in f32
 *   I8    symmetric, one f32 scale per output and group of `group` inputs (group a multiple of 4,
 *         0: 64); inputs X are quantised per row and group on the fly, products are exact integers.
 * n, k >= 1. The source may be freed afterwards. */
celslm_packed *celslm_pack(enum celslm_kdtype dtype, int64_t n, int64_t k, const float *w,
                           int64_t ldw, int group);
void celslm_packed_free(celslm_packed *w);
int64_t celslm_packed_n(const celslm_packed *w);
int64_t celslm_packed_k(const celslm_packed *w);
/* Bytes a product with W must read of it, without padding: n*k elements and, for I8, the scales. */
uint64_t celslm_packed_bytes(const celslm_packed *w);

enum celslm_activation { CELSLM_ACT_NONE, CELSLM_ACT_RELU, CELSLM_ACT_SILU, CELSLM_ACT_GELU };

/* What is done to each output while it is in cache: y = act(xw + bias) * silu(gate) + residual;
 * a NULL leaves its term out. FLOPs: bias 1, relu 1, silu 3 (exp, +, /), gelu (tanh form) 9,
 * gate 4 (silu and *), residual 1 per output. */
typedef struct celslm_epilogue {
  const float *bias; /* [n] */
  enum celslm_activation act;
  const float *gate; /* [m][n] */
  int64_t ldg;
  const float *residual; /* [m][n]; may be y itself (ldr == ldy) if act is NONE and gate NULL */
  int64_t ldr;
} celslm_epilogue;

/* Y [m][n] = X [m][k] * W^T, then the epilogue (NULL: none). m >= 0.
 * FLOPs 2mnk and the epilogue's; weight bytes those of W and bias; activation bytes X, Y, gate,
 * residual. */
void celslm_gemm(const celslm_packed *w, int64_t m, const float *x, int64_t ldx, float *y,
                 int64_t ldy, const celslm_epilogue *epilogue);

/* ---- KV cache -------------------------------------------------------------------------------- */

/* Keys and values of one sequence (or one shared context) in one layer. Keys lie in panels of 32
 * tokens, [kv_head][panel][head_dim][32]; values [kv_head][token][head_dim]. As F32, F16, BF16, or
 * I8: keys with one scale per channel of a panel, values with one per token, codes in words of four
 * (words.h); the last, unfinished panel of an I8 cache is kept in f32 until it is full. */
typedef struct celslm_kv celslm_kv;
enum { CELSLM_PANEL = 32 };

/* Room for `capacity` tokens; 1 <= head_dim <= 256. */
celslm_kv *celslm_kv_create(enum celslm_kdtype dtype, int kv_heads, int head_dim, int64_t capacity);
void celslm_kv_free(celslm_kv *kv);
int64_t celslm_kv_length(const celslm_kv *kv);
int64_t celslm_kv_capacity(const celslm_kv *kv);
int celslm_kv_heads(const celslm_kv *kv);
int celslm_kv_head_dim(const celslm_kv *kv);
enum celslm_kdtype celslm_kv_dtype(const celslm_kv *kv);
/* Appends n tokens: K, V [n][kv_heads*head_dim], row distances ldk, ldv. length + n <= capacity. */
void celslm_kv_append(celslm_kv *kv, int64_t n, const float *k, int64_t ldk, const float *v,
                      int64_t ldv);
/* Forgets all but the first n tokens. For I8, n must not lie inside a finished panel. */
void celslm_kv_truncate(celslm_kv *kv, int64_t n);
/* Reads tokens [first, first+n) back as f32 rows. */
void celslm_kv_read(const celslm_kv *kv, int64_t first, int64_t n, float *k, int64_t ldk, float *v,
                    int64_t ldv);
/* Bytes attention must read for the first `tokens` tokens, all heads, K and V, scales included. */
uint64_t celslm_kv_bytes(const celslm_kv *kv, int64_t tokens);

/* ---- attention ------------------------------------------------------------------------------- */
/* softmax(q k / sqrt(head_dim)) v for q_heads query heads; query head h reads KV head
 * h / (q_heads / kv_heads); kv_heads divides q_heads. Q and O are [rows][q_heads][head_dim], dense.
 * `lse` [rows][q_heads] receives the natural log of the sum of exp of the scaled scores (NULL: not
 * wanted); where nothing is visible the output is 0 and lse is -inf. FLOPs: 4*head_dim per visible
 * pair and query head. Bytes: Q and O (and lse) once; K and V of the visible tokens once. */

/* `n` new tokens, the last tokens of the cache (append first). Causal: token i sees the first
 * length - n + i + 1 tokens; else all `length`. */
void celslm_attention_prefill(const celslm_kv *kv, int q_heads, int64_t n, bool causal,
                              const float *q, float *o, float *lse);

/* One query per sequence over its whole cache; `kv` [batch]: same heads, size and dtype, lengths
 * free. */
void celslm_attention_decode(const celslm_kv *const *kv, int64_t batch, int q_heads, const float *q,
                             float *o, float *lse);

/* One query per sequence, all over the same context, which is read once. */
void celslm_attention_shared(const celslm_kv *context, int64_t batch, int q_heads, const float *q,
                             float *o, float *lse);

/* Exact union of two disjoint segments, row by row: O = a*OA + (1-a)*OB, with a from the two
 * log-sum-exps. `rows` = sequences * heads; o, lse may be either input. FLOPs 3*head_dim per row.
 */
void celslm_attention_merge(int64_t rows, int head_dim, const float *oa, const float *lse_a,
                            const float *ob, const float *lse_b, float *o, float *lse);

/* A decode step of sequences that share a context: each one's query over the context, which is read
 * once, and over its own cache (`kv` [batch], of the context's kind); what the two above and their
 * union give, in one go: the caches come from memory while the context is computed. FLOPs: those of
 * the pairs and 3*head_dim per sequence and query head. */
void celslm_attention_merged(const celslm_kv *context, const celslm_kv *const *kv, int64_t batch,
                             int q_heads, const float *q, float *o, float *lse);

/* ---- what lies between the products ---------------------------------------------------------- */

/* y = x / sqrt(mean(x^2) + eps) * weight, rows of n; y may be x. FLOPs 4n per row. */
void celslm_rmsnorm(int64_t m, int64_t n, const float *x, const float *weight, float eps, float *y);
/* y = (x - mean) / sqrt(var + eps) * weight + bias; y may be x. FLOPs 7n per row. */
void celslm_layernorm(int64_t m, int64_t n, const float *x, const float *weight, const float *bias,
                      float eps, float *y);

enum celslm_rope_style {
  CELSLM_ROPE_HALF,       /* pairs (i, i + head_dim/2): Llama as in transformers */
  CELSLM_ROPE_INTERLEAVED /* pairs (2i, 2i+1): llama2.c */
};
/* Rotates x [m][heads][head_dim] (row distance ldx) in place: pair i of token t by
 * position[t] * base^(-2i/head_dim), backwards if `inverse`. head_dim even. FLOPs 3 per element
 * (angles are not counted). */
void celslm_rope(int64_t m, int heads, int head_dim, float *x, int64_t ldx, const int32_t *position,
                 double base, enum celslm_rope_style style, bool inverse);

/* y = silu(gate) * up; y may be either. FLOPs 4 per element. */
void celslm_silu_gate(int64_t m, int64_t n, const float *gate, int64_t ldg, const float *up,
                      int64_t ldu, float *y, int64_t ldy);

/* y[i] = table[token[i]]; table [vocabulary][n]. */
void celslm_embed(int64_t m, int64_t n, const float *table, const int32_t *token, float *y);

/* Next token from logits [n]. temperature 0: the first of the largest. Else among the top_k largest
 * (0: all) in proportion to exp(logit / temperature), by `u` in [0,1), the caller's random number.
 */
int32_t celslm_sample(int64_t n, const float *logits, float temperature, int top_k, double u);

#endif
