/* naive_attention.c - attention as its formula, in double, two passes, counting each key, value and
 * query where a loop touches it. Rows that share a cache share its reads. */
#include <math.h>
#include <stdlib.h>

#include "kernels/kv.h"
#include "kernels/mem.h"

/* One query head's row; counts its products. */
static void one_row(const celslm_kv *kv, int head, int64_t see, const float *q, float *o,
                    float *lse, double *s, celslm_work *c) {
  int hd = kv->head_dim;
  double top = -INFINITY, sum = 0;
  for (int64_t t = 0; t < see; t++) {
    s[t] = 0;
    for (int d = 0; d < hd; d++) {
      s[t] += (double)q[d] * (double)celslm_kv_key(kv, head, t, d);
      c->flops += 2;
    }
    s[t] /= sqrt(hd);
    if (s[t] > top) top = s[t];
  }
  for (int64_t t = 0; t < see; t++) {
    s[t] = exp(s[t] - top);
    sum += s[t];
  }
  for (int d = 0; d < hd; d++) {
    double x = 0;
    for (int64_t t = 0; t < see; t++) {
      x += s[t] * (double)celslm_kv_value(kv, head, t, d);
      c->flops += 2;
    }
    o[d] = see > 0 ? (float)(x / sum) : 0.0f;
    c->activation_bytes += sizeof *q + sizeof *o;
  }
  if (lse) {
    *lse = see > 0 ? (float)(top + log(sum)) : -INFINITY;
    c->activation_bytes += sizeof *lse;
  }
}

celslm_work celslm_naive_attention(const celslm_kv *const *kv, const int64_t *pos, int64_t rows,
                                   int q_heads, const float *q, float *o, float *lse) {
  celslm_work c = {0};
  int hd = kv[0]->head_dim, group = q_heads / kv[0]->kv_heads;
  int64_t most = 0;
  for (int64_t i = 0; i < rows; i++) most = max_i64(most, pos[i]);
  double *s = celslm_mem_scratch((size_t)most * sizeof *s);
  for (int h = 0; h < q_heads; h++) {
    int64_t seen = 0; /* tokens of this cache that some row has read already */
    for (int64_t i = 0; i < rows; i++) {
      int64_t at = i * q_heads + h;
      one_row(kv[i], h / group, pos[i], q + at * hd, o + at * hd, lse ? lse + at : NULL, s, &c);
      if (i == 0 || kv[i] != kv[i - 1]) seen = 0;
      for (; h % group == 0 && seen < pos[i]; seen++)
        c.kv_bytes += celslm_kv_token_bytes(kv[i], seen);
    }
  }
  celslm_mem_scratch_free(s);
  return c;
}
