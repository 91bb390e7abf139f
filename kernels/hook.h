/* hook.h - what every public kernel call reports: the operation, its shape, its work, its time.
 *
 * The hook exists so that an analytic cost model can be checked against execution. One report per
 * call, made by the calling thread after the work is done; none when no hook is set (the cost is
 * then one load and one branch).
 *
 * Conventions of counting, the same for every instruction set:
 *  - FLOPs: one per addition, subtraction, multiplication or division, one per exp, log, sqrt or
 *    tanh, of the operation as written in its comment in kernels.h. A multiply-add is two.
 * Attention counts its two products only (4 * head_dim per visible query-key pair of every query
 * head): the softmax is not counted.
 *  - bytes: compulsory traffic. Every distinct operand element is counted once per call, however
 *    often a blocked kernel reloads it: weights (with scales and bias), activations (read and
 *    written), keys and values (read and written; in their stored precision, scales included).
 *    Padding is never counted.
 *
 * `celslm_set_counting(true)` replaces the products, attention, norms and gate by naive twins
 * (ref/naive_*.c) that count in their inner loops, element by element; rope, embed, kv_append and
 * merge count in their own loops. Else the figures come from closed formulas. That the two agree
 * exactly is a test. Sampling and codecs report their formula in both cases. */
#ifndef CELSLM_KERNELS_HOOK_H
#define CELSLM_KERNELS_HOOK_H

#include <stdbool.h>
#include <stdint.h>

enum celslm_kop {
  CELSLM_KOP_GEMM,         /* m rows, n outputs, k inputs */
  CELSLM_KOP_ATTN_PREFILL, /* m new tokens, n tokens visible to the last, k head size */
  CELSLM_KOP_ATTN_DECODE,  /* m sequences, n tokens visible, summed over sequences, k head size */
  CELSLM_KOP_ATTN_SHARED,  /* m sequences, n context tokens, k head size */
  CELSLM_KOP_ATTN_MERGE,   /* m rows (sequence x head), k head size */
  CELSLM_KOP_ATTN_MERGED,  /* m sequences, n tokens visible, summed over sequences, k head size */
  CELSLM_KOP_KV_APPEND,    /* m tokens, k head size */
  CELSLM_KOP_RMSNORM,      /* m rows, n width */
  CELSLM_KOP_LAYERNORM,    /* m rows, n width */
  CELSLM_KOP_ROPE,         /* m tokens, n heads, k head size */
  CELSLM_KOP_SILU_GATE,    /* m rows, n width */
  CELSLM_KOP_EMBED,        /* m tokens, n width */
  CELSLM_KOP_SAMPLE,       /* m rows, n vocabulary */
  CELSLM_KOP_CODEC_ENCODE, /* m tokens, k head size */
  CELSLM_KOP_CODEC_DECODE, /* m tokens, k head size */
  CELSLM_KOP_COUNT
};

typedef struct celslm_work {
  uint64_t flops;
  uint64_t weight_bytes;
  uint64_t activation_bytes;
  uint64_t kv_bytes;
} celslm_work;

typedef struct celslm_report {
  enum celslm_kop op;
  int dtype; /* enum celslm_kdtype of the weights or of the KV */
  int64_t m, n, k;
  int q_heads, kv_heads; /* attention and KV operations, else 0 */
  celslm_work work;
  double seconds;
} celslm_report;

typedef void celslm_hook(void *user, const celslm_report *report);

/* Sets (or with NULL removes) the hook. Not to be called while a kernel runs. */
void celslm_set_hook(celslm_hook *hook, void *user);
/* Counting mode: see above. Slow; for tests. Not to be called while a kernel runs. */
void celslm_set_counting(bool on);
/* "gemm", "attn_prefill", ... */
const char *celslm_kop_name(enum celslm_kop op);

#endif
