/* merge.c - the exact union of two attention segments by their log-sum-exps (CE-LSLM eq. 5; the
 * identity is that of online softmax, Milakov and Gimelshein 2018). */
#include <math.h>

#include "kernels/kv.h"
#include "kernels/mem.h"

void celslm_merge_rows(int64_t rows, int head_dim, const float *oa, const float *lse_a,
                       const float *ob, const float *lse_b, float *o, float *lse) {
  for (int64_t i = 0; i < rows; i++) {
    double a = lse_a[i], b = lse_b[i], top = a > b ? a : b;
    double ea = top > -INFINITY ? exp(a - top) : 0, eb = top > -INFINITY ? exp(b - top) : 0;
    double sum = ea + eb;
    float wa = sum > 0 ? (float)(ea / sum) : 0, wb = sum > 0 ? (float)(eb / sum) : 0;
    for (int64_t d = i * head_dim; d < (i + 1) * head_dim; d++) o[d] = oa[d] * wa + ob[d] * wb;
    lse[i] = sum > 0 ? (float)(top + log(sum)) : -INFINITY;
  }
}

/* Work per row: head_dim * (2 products, 1 sum). */
void celslm_attention_merge(int64_t rows, int head_dim, const float *oa, const float *lse_a,
                            const float *ob, const float *lse_b, float *o, float *lse) {
  celslm_span span = celslm_span_begin();
  celslm_merge_rows(rows, head_dim, oa, lse_a, ob, lse_b, o, lse);
  if (!span.on) return;
  celslm_report r = {.op = CELSLM_KOP_ATTN_MERGE, .m = rows, .k = head_dim};
  uint64_t n = (uint64_t)rows, hd = (uint64_t)head_dim;
  if (celslm_counting()) {
    for (uint64_t i = 0; i < n; i++) {
      for (uint64_t d = 0; d < hd; d++) {
        r.work.flops += 3;
        r.work.activation_bytes += 3 * sizeof(float);
      }
      r.work.activation_bytes += 3 * sizeof(float);
    }
  } else {
    r.work.flops = 3 * n * hd;
    r.work.activation_bytes = 12 * n * (hd + 1);
  }
  celslm_span_end(span, &r);
}
