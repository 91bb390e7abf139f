/* kv.c - the KV cache: keys in panels of 32 tokens, values by token. */
#include "kernels/kv.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/mem.h"

celslm_kv *celslm_kv_create(enum celslm_kdtype dtype, int kv_heads, int head_dim, int64_t capacity) {
  if (kv_heads < 1 || head_dim < 1 || head_dim > CELSLM_MAX_HEAD || capacity < 1 ||
      dtype != CELSLM_K_F32)
    return NULL;
  celslm_kv *kv = calloc(1, sizeof *kv);
  if (!kv) return NULL;
  kv->dtype = dtype;
  kv->kv_heads = kv_heads;
  kv->head_dim = head_dim;
  kv->value_dim = (int)round_up(head_dim, 16);
  kv->capacity = round_up(capacity, CELSLM_PANEL);
  size_t slots = (size_t)(kv_heads * kv->capacity), size = celslm_kdtype_size(dtype);
  kv->k = celslm_mem_big(slots * (size_t)head_dim * size);
  kv->v = celslm_mem_big(slots * (size_t)kv->value_dim * size);
  if (!kv->k || !kv->v) {
    celslm_kv_free(kv);
    return NULL;
  }
  return kv;
}

void celslm_kv_free(celslm_kv *kv) {
  if (!kv) return;
  free(kv->k);
  free(kv->v);
  free(kv);
}

int64_t celslm_kv_length(const celslm_kv *kv) { return kv->length; }
int64_t celslm_kv_capacity(const celslm_kv *kv) { return kv->capacity; }
int celslm_kv_heads(const celslm_kv *kv) { return kv->kv_heads; }
int celslm_kv_head_dim(const celslm_kv *kv) { return kv->head_dim; }
enum celslm_kdtype celslm_kv_dtype(const celslm_kv *kv) { return kv->dtype; }

uint64_t celslm_kv_bytes(const celslm_kv *kv, int64_t tokens) {
  return 2u * (uint64_t)tokens * (uint64_t)(kv->kv_heads * kv->head_dim) *
         celslm_kdtype_size(kv->dtype);
}

uint64_t celslm_kv_token_bytes(const celslm_kv *kv, int64_t token) {
  (void)token;
  uint64_t bytes = 0;
  for (int d = 0; d < kv->head_dim; d++) bytes += 2 * celslm_kdtype_size(kv->dtype);
  return bytes;
}

/* Index of key element d of a token; the value's follows. */
static int64_t key_at(const celslm_kv *kv, int head, int64_t token, int d) {
  int64_t panel = head * (kv->capacity / CELSLM_PANEL) + token / CELSLM_PANEL;
  return (panel * kv->head_dim + d) * CELSLM_PANEL + token % CELSLM_PANEL;
}

static int64_t value_at(const celslm_kv *kv, int head, int64_t token) {
  return (head * kv->capacity + token) * kv->value_dim;
}

float celslm_kv_key(const celslm_kv *kv, int head, int64_t token, int d) {
  return ((const float *)(const void *)kv->k)[key_at(kv, head, token, d)];
}

float celslm_kv_value(const celslm_kv *kv, int head, int64_t token, int d) {
  return ((const float *)(const void *)kv->v)[value_at(kv, head, token) + d];
}

void celslm_kv_append(celslm_kv *kv, int64_t n, const float *k, int64_t ldk, const float *v,
                      int64_t ldv) {
  if (n < 0 || kv->length + n > kv->capacity) celslm_misuse("kv_append", "more than the capacity");
  if (n == 0) return;
  celslm_span span = celslm_span_begin();
  celslm_work counted = {0};
  bool counting = celslm_counting();
  for (int64_t i = 0; i < n; i++)
    for (int h = 0; h < kv->kv_heads; h++) {
      float *ks = (float *)(void *)kv->k + key_at(kv, h, kv->length + i, 0);
      float *vs = (float *)(void *)kv->v + value_at(kv, h, kv->length + i);
      const float *kr = k + i * ldk + h * kv->head_dim, *vr = v + i * ldv + h * kv->head_dim;
      for (int d = 0; d < kv->head_dim; d++) {
        ks[d * CELSLM_PANEL] = kr[d];
        vs[d] = vr[d];
        if (counting) {
          counted.activation_bytes += 2 * sizeof(float);
          counted.kv_bytes += 2 * sizeof(float);
        }
      }
    }
  kv->length += n;
  if (span.on) {
    celslm_report r = {.op = CELSLM_KOP_KV_APPEND, .dtype = (int)kv->dtype, .m = n,
                       .k = kv->head_dim, .kv_heads = kv->kv_heads, .work = counted};
    if (!counting) {
      r.work.activation_bytes = 8u * (uint64_t)(n * kv->kv_heads * kv->head_dim);
      r.work.kv_bytes = celslm_kv_bytes(kv, n);
    }
    celslm_span_end(span, &r);
  }
}

void celslm_kv_truncate(celslm_kv *kv, int64_t n) {
  if (n < 0 || n > kv->length) celslm_misuse("kv_truncate", "more than the length");
  kv->length = n;
}

void celslm_kv_read(const celslm_kv *kv, int64_t first, int64_t n, float *k, int64_t ldk, float *v,
                    int64_t ldv) {
  if (first < 0 || n < 0 || first + n > kv->length) celslm_misuse("kv_read", "beyond the length");
  for (int64_t i = 0; i < n; i++)
    for (int h = 0; h < kv->kv_heads; h++)
      for (int d = 0; d < kv->head_dim; d++) {
        k[i * ldk + h * kv->head_dim + d] = celslm_kv_key(kv, h, first + i, d);
        v[i * ldv + h * kv->head_dim + d] = celslm_kv_value(kv, h, first + i, d);
      }
}

void celslm_kv_view(const celslm_kv *kv, int head, int64_t first, int tokens, float *k_buffer,
                    float *v_buffer, const float **k, const float **v) {
  (void)tokens, (void)k_buffer, (void)v_buffer;
  *k = (const float *)(const void *)kv->k + key_at(kv, head, first, 0);
  *v = (const float *)(const void *)kv->v + value_at(kv, head, first);
}
