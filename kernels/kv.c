/* kv.c - the KV cache: keys in panels of 32 tokens, values by token, in four precisions. */
#include "kernels/kv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/mem.h"
#include "kernels/words.h"

celslm_kv *celslm_kv_create(enum celslm_kdtype dtype, int kv_heads, int head_dim,
                            int64_t capacity) {
  if (kv_heads < 1 || head_dim < 1 || head_dim > CELSLM_MAX_HEAD || capacity < 1) return NULL;
  celslm_kv *kv = calloc(1, sizeof *kv);
  if (!kv) return NULL;
  kv->dtype = dtype;
  kv->kv_heads = kv_heads;
  kv->head_dim = head_dim;
  kv->key_dim = dtype == CELSLM_K_F32 ? head_dim : (int)round_up(head_dim, 2);
  kv->value_dim = (int)round_up(head_dim, 16);
  kv->capacity = round_up(capacity, CELSLM_PANEL);
  size_t heads = (size_t)kv_heads, hd = (size_t)head_dim, vd = (size_t)kv->value_dim;
  size_t kd = (size_t)kv->key_dim;
  size_t slots = heads * (size_t)kv->capacity, size = celslm_kdtype_size(dtype);
  size_t k_scales = slots / CELSLM_PANEL * hd + CELSLM_OVERREAD, tail = heads * CELSLM_PANEL;
  const size_t parts[] = {slots * kd * size,         slots * vd * size,
                          k_scales * sizeof(float),  slots * sizeof(float),
                          tail * hd * sizeof(float), tail * vd * sizeof(float)};
  int used = dtype == CELSLM_K_I8 ? 6 : 2;
  size_t at[7] = {0};
  for (int i = 0; i < used; i++) at[i + 1] = at[i] + (parts[i] + 63) / 64 * 64;
  kv->k = celslm_mem_big(at[used]);
  if (!kv->k) {
    free(kv);
    return NULL;
  }
  kv->v = kv->k + at[1];
  if (dtype == CELSLM_K_I8) {
    kv->k_scale = (float *)(void *)(kv->k + at[2]);
    kv->v_scale = (float *)(void *)(kv->k + at[3]);
    kv->k_tail = (float *)(void *)(kv->k + at[4]);
    kv->v_tail = (float *)(void *)(kv->k + at[5]);
  }
  return kv;
}

void celslm_kv_free(celslm_kv *kv) {
  if (!kv) return;
  celslm_mem_big_free(kv->k);
  free(kv);
}

bool celslm_kv_alike(const celslm_kv *a, const celslm_kv *b) {
  return a->kv_heads == b->kv_heads && a->head_dim == b->head_dim && a->dtype == b->dtype;
}

int64_t celslm_kv_length(const celslm_kv *kv) {
  return kv->length;
}
int64_t celslm_kv_capacity(const celslm_kv *kv) {
  return kv->capacity;
}
int celslm_kv_heads(const celslm_kv *kv) {
  return kv->kv_heads;
}
int celslm_kv_head_dim(const celslm_kv *kv) {
  return kv->head_dim;
}
enum celslm_kdtype celslm_kv_dtype(const celslm_kv *kv) {
  return kv->dtype;
}

/* Tokens in finished panels (I8), the first of the tail. */
static int64_t finished(const celslm_kv *kv) {
  return kv->length / CELSLM_PANEL * CELSLM_PANEL;
}

uint64_t celslm_kv_bytes(const celslm_kv *kv, int64_t tokens) {
  uint64_t heads = (uint64_t)kv->kv_heads, hd = (uint64_t)kv->head_dim, n = (uint64_t)tokens;
  if (kv->dtype != CELSLM_K_I8) return 2 * n * heads * hd * celslm_kdtype_size(kv->dtype);
  uint64_t packed = (uint64_t)min_i64(tokens, finished(kv));
  uint64_t panels = (packed + CELSLM_PANEL - 1) / CELSLM_PANEL;
  return heads * (packed * (2 * hd + 4) + panels * 4 * hd + (n - packed) * 8 * hd);
}

uint64_t celslm_kv_token_bytes(const celslm_kv *kv, int64_t token) {
  bool i8 = kv->dtype == CELSLM_K_I8, tail = i8 && token >= finished(kv);
  uint64_t bytes = 0;
  for (int d = 0; d < kv->head_dim; d++) {
    bytes += tail ? 2 * sizeof(float) : 2 * celslm_kdtype_size(kv->dtype);
    if (i8 && !tail && token % CELSLM_PANEL == 0) bytes += sizeof *kv->k_scale;
  }
  if (i8 && !tail) bytes += sizeof *kv->v_scale;
  return bytes;
}

static int64_t panel_at(const celslm_kv *kv, int head, int64_t token) {
  return head * (kv->capacity / CELSLM_PANEL) + token / CELSLM_PANEL;
}

/* Index of the scale of dimension d in a token's panel; of the panel's keys; of a token's values;
 * of an element of a key, of a value, where they are not I8. */
static int64_t scale_at(const celslm_kv *kv, int head, int64_t token, int d) {
  return panel_at(kv, head, token) * kv->head_dim + d;
}

static int64_t keys_at(const celslm_kv *kv, int head, int64_t token) {
  return panel_at(kv, head, token) * kv->key_dim * CELSLM_PANEL;
}

static int64_t value_at(const celslm_kv *kv, int head, int64_t token) {
  return (head * kv->capacity + token) * kv->value_dim;
}

static int64_t key_at(const celslm_kv *kv, int head, int64_t token, int d) {
  int i = (int)(token % CELSLM_PANEL);
  return keys_at(kv, head, token) +
         (kv->dtype == CELSLM_K_F32 ? (int64_t)d * CELSLM_PANEL + i : half_key(d, i));
}

static int64_t column_at(const celslm_kv *kv, int head, int64_t token, int d) {
  return value_at(kv, head, token) + (kv->dtype == CELSLM_K_F32 ? d : half_value(kv->value_dim, d));
}

static float *tail_key(const celslm_kv *kv, int head, int64_t token, int d) {
  return kv->k_tail + ((int64_t)head * kv->head_dim + d) * CELSLM_PANEL + token % CELSLM_PANEL;
}

static float *tail_value(const celslm_kv *kv, int head, int64_t token) {
  return kv->v_tail + (head * (int64_t)CELSLM_PANEL + token % CELSLM_PANEL) * kv->value_dim;
}

static void set_element(enum celslm_kdtype t, void *p, int64_t i, float x) {
  switch (t) {
  case CELSLM_K_F16:
    ((uint16_t *)p)[i] = float_f16(x);
    return;
  case CELSLM_K_BF16:
    ((uint16_t *)p)[i] = float_bf16(x);
    return;
  case CELSLM_K_I8:
    ((int8_t *)p)[i] = (int8_t)lrintf(x);
    return;
  case CELSLM_K_F32:
    ((float *)p)[i] = x;
    return;
  }
}

float celslm_kv_key(const celslm_kv *kv, int head, int64_t token, int d) {
  if (kv->dtype != CELSLM_K_I8) return stored_float(kv->dtype, kv->k, key_at(kv, head, token, d));
  if (token >= finished(kv)) return *tail_key(kv, head, token, d);
  int code = word_key(kv->k + keys_at(kv, head, token), d, (int)(token % CELSLM_PANEL));
  return (float)code * kv->k_scale[scale_at(kv, head, token, d)];
}

float celslm_kv_value(const celslm_kv *kv, int head, int64_t token, int d) {
  if (kv->dtype != CELSLM_K_I8)
    return stored_float(kv->dtype, kv->v, column_at(kv, head, token, d));
  if (token >= finished(kv)) return tail_value(kv, head, token)[d];
  int code = word_value(kv->v + value_at(kv, head, token), kv->value_dim, d);
  return (float)code * kv->v_scale[head * kv->capacity + token];
}

/* Codes [dimensions][32] and [columns] to words. */
static void pack_keys(int dims, const int8_t *code, unsigned char *panel) {
  for (int d = 0; d < dims; d++, code += CELSLM_PANEL)
    for (int k = 0; k < 8; k++) {
      int32_t w = word_of(code[k], code[8 + k], code[16 + k], code[24 + k]);
      memcpy(panel + 4 * (d / 2 * 16 + 2 * k + d % 2), &w, sizeof w);
    }
}

static void pack_values(int columns, const int8_t *code, unsigned char *row) {
  int d = 0;
  for (; d + WORD_COLUMNS <= columns; d += WORD_COLUMNS)
    for (int k = 0; k < 16; k++) {
      const int8_t *c = code + d + k;
      int32_t w = word_of(c[0], c[16], c[32], c[48]);
      memcpy(row + d + 4 * k, &w, sizeof w);
    }
  memcpy(row + d, code + d, (size_t)(columns - d));
}

/* The full tail of one head becomes the panel that starts at `token`. */
static void quantise_panel(celslm_kv *kv, int head, int64_t token) {
  const celslm_isa *isa = celslm_isa_current();
  int hd = kv->head_dim, vd = kv->value_dim;
  int8_t code[CELSLM_PANEL * CELSLM_MAX_HEAD];
  isa->narrow_i8(hd, CELSLM_PANEL, tail_key(kv, head, 0, 0),
                 kv->k_scale + scale_at(kv, head, token, 0), code);
  pack_keys(hd, code, kv->k + keys_at(kv, head, token));
  isa->narrow_i8(CELSLM_PANEL, vd, tail_value(kv, head, 0),
                 kv->v_scale + head * kv->capacity + token, code);
  for (int i = 0; i < CELSLM_PANEL; i++)
    pack_values(vd, code + i * vd, kv->v + value_at(kv, head, token + i));
}

/* What that writes, element by element. */
static uint64_t quantised_bytes(const celslm_kv *kv) {
  uint64_t bytes = 0;
  for (int d = 0; d < kv->head_dim; d++) {
    bytes += sizeof *kv->k_scale;
    for (int j = 0; j < CELSLM_PANEL; j++) bytes += 2; /* a key and a value */
  }
  for (int j = 0; j < CELSLM_PANEL; j++) bytes += sizeof *kv->v_scale;
  return bytes;
}

/* Notes what the words' arithmetic has no place for. */
static void watch(celslm_kv *kv, int64_t n, const uint16_t *half) {
  if (kv->dtype != CELSLM_K_F16) return;
  bool special = false;
  for (int64_t i = 0; i < n; i++) special |= (half[i] & 0x7c00u) == 0x7c00u;
  kv->special |= special;
}

/* One token in one head; returns the bytes written to the cache. */
static uint64_t put(celslm_kv *kv, int head, int64_t token, const float *k, const float *v) {
  uint64_t bytes = 0;
  bool i8 = kv->dtype == CELSLM_K_I8;
  for (int d = 0; d < kv->head_dim; d++) {
    if (i8) {
      *tail_key(kv, head, token, d) = k[d];
      tail_value(kv, head, token)[d] = v[d];
      bytes += 2 * sizeof(float);
    } else {
      set_element(kv->dtype, kv->k, key_at(kv, head, token, d), k[d]);
      set_element(kv->dtype, kv->v, column_at(kv, head, token, d), v[d]);
      uint16_t half[] = {float_f16(k[d]), float_f16(v[d])};
      watch(kv, 2, half);
      bytes += 2 * celslm_kdtype_size(kv->dtype);
    }
  }
  if (i8 && token % CELSLM_PANEL == CELSLM_PANEL - 1) {
    quantise_panel(kv, head, token - (CELSLM_PANEL - 1));
    bytes += quantised_bytes(kv);
  }
  return bytes;
}

/* A whole panel of halves [dimensions][32] to words; an odd last dimension beside zeroes. */
static void pack_halves(int dims, const uint16_t *half, uint32_t *word) {
  static const uint16_t none[CELSLM_PANEL];
  for (int d = 0; d < dims; d += 2, half += 2 * CELSLM_PANEL) {
    const uint16_t *next = d + 1 < dims ? half + CELSLM_PANEL : none;
    for (int i = 0; i < CELSLM_PANEL; i += 16)
      for (int k = 0; k < 8; k++, word += 2) {
        word[0] = half[i + k] | (uint32_t)half[i + 8 + k] << 16;
        word[1] = next[i + k] | (uint32_t)next[i + 8 + k] << 16;
      }
  }
}

/* One head's share of new tokens in one panel: `n` tokens from `token` on. Rows of keys stand in
 * the panel's columns, so keys of sixteen bits are narrowed in a panel of their own and moved. */
static void put_keys(celslm_kv *kv, int head, int64_t token, int n, const float *k, int64_t ldk) {
  const celslm_isa *isa = celslm_isa_current();
  int hd = kv->head_dim, first = (int)(token % CELSLM_PANEL);
  unsigned char *to = kv->k + keys_at(kv, head, token) * (int64_t)celslm_kdtype_size(kv->dtype);
  if (kv->dtype == CELSLM_K_F32 || kv->dtype == CELSLM_K_I8) {
    bool tail = kv->dtype == CELSLM_K_I8;
    isa->fill_panel(n, hd, k, ldk,
                    tail ? tail_key(kv, head, token, 0) : (float *)(void *)to + first);
    return;
  }
  float rows[CELSLM_PANEL * CELSLM_MAX_HEAD];
  uint16_t narrow[CELSLM_PANEL * CELSLM_MAX_HEAD], *half = (uint16_t *)(void *)to;
  void (*convert)(int64_t, const float *, uint16_t *) =
      kv->dtype == CELSLM_K_F16 ? isa->narrow_f16 : isa->narrow_bf16;
  if (n == 1) {
    convert(hd, k, narrow);
    watch(kv, hd, narrow);
    for (int d = 0; d < hd; d++) half[half_key(d, first)] = narrow[d];
    return;
  }
  if (n < CELSLM_PANEL) memset(rows, 0, (size_t)(CELSLM_PANEL * hd) * sizeof *rows);
  isa->fill_panel(n, hd, k, ldk, rows);
  convert(CELSLM_PANEL * hd, rows, narrow);
  watch(kv, CELSLM_PANEL * hd, narrow);
  if (n == CELSLM_PANEL) {
    pack_halves(hd, narrow, (uint32_t *)(void *)to);
    return;
  }
  for (int d = 0; d < hd; d++)
    for (int i = 0; i < n; i++) half[half_key(d, first + i)] = narrow[d * CELSLM_PANEL + i];
}

/* Halves of a token's values to words. */
static void pack_columns(int columns, const uint16_t *half, uint16_t *row) {
  int d = 0;
  for (; d + WORD_COLUMNS <= columns; d += WORD_COLUMNS)
    for (int i = d; i < d + WORD_COLUMNS; i += 32)
      for (int k = 0; k < 16; k++) {
        row[i + 2 * k] = half[i + k];
        row[i + 2 * k + 1] = half[i + 16 + k];
      }
  memcpy(row + d, half + d, (size_t)(columns - d) * sizeof *row);
}

static void put_value(celslm_kv *kv, int head, int64_t token, const float *v) {
  const celslm_isa *isa = celslm_isa_current();
  int hd = kv->head_dim, vd = kv->value_dim;
  uint16_t half[CELSLM_MAX_HEAD + 16] = {0};
  switch (kv->dtype) {
  case CELSLM_K_F32:
    memcpy((float *)(void *)kv->v + value_at(kv, head, token), v, (size_t)hd * sizeof *v);
    return;
  case CELSLM_K_I8:
    memcpy(tail_value(kv, head, token), v, (size_t)hd * sizeof *v);
    return;
  case CELSLM_K_F16:
    isa->narrow_f16(hd, v, half);
    watch(kv, hd, half);
    break;
  case CELSLM_K_BF16:
    isa->narrow_bf16(hd, v, half);
  }
  pack_columns(vd, half, (uint16_t *)(void *)kv->v + value_at(kv, head, token));
}

/* Asks for the cache lines that one token is written to, one for each dimension of a key, or pair
 * of 16-bit ones: all heads' at once, into L2, whose requests are many. Left to the stores, which
 * wait for one another, they took 1.1 to 2.7 us a head, and so 0.7 to 1.2. */
static void ask_token(const celslm_kv *kv, int64_t token) {
  bool tail = kv->dtype == CELSLM_K_I8, wide = tail || kv->dtype == CELSLM_K_F32;
  int64_t size = tail ? 4 : (int64_t)celslm_kdtype_size(kv->dtype), row = size * kv->head_dim;
  for (int h = 0; h < kv->kv_heads; h++) {
    const unsigned char *k =
        tail ? (unsigned char *)tail_key(kv, h, token, 0) : kv->k + key_at(kv, h, token, 0) * size;
    const unsigned char *v =
        tail ? (unsigned char *)tail_value(kv, h, token) : kv->v + value_at(kv, h, token) * size;
    for (int d = 0; d < kv->head_dim; d += wide ? 1 : 2)
      __builtin_prefetch(k + d * CELSLM_PANEL * size, 1, 2);
    for (int64_t at = 0; at < row; at += 64) __builtin_prefetch(v + at, 1, 2);
  }
}

/* All tokens, panel after panel: what `put` does, without counting. */
static void put_all(celslm_kv *kv, int64_t n, const float *k, int64_t ldk, const float *v,
                    int64_t ldv) {
  int hd = kv->head_dim;
  if (n == 1) ask_token(kv, kv->length);
  for (int h = 0; h < kv->kv_heads; h++) {
    for (int64_t i = 0, count; i < n; i += count) {
      int64_t token = kv->length + i, at = token % CELSLM_PANEL;
      count = min_i64(n - i, CELSLM_PANEL - at);
      put_keys(kv, h, token, (int)count, k + i * ldk + h * hd, ldk);
      for (int64_t j = i; j < i + count; j++)
        put_value(kv, h, kv->length + j, v + j * ldv + h * hd);
      if (kv->dtype == CELSLM_K_I8 && at + count == CELSLM_PANEL) quantise_panel(kv, h, token - at);
    }
  }
}

/* What appending n tokens after `length` writes, as a formula. */
static uint64_t append_bytes(const celslm_kv *kv, int64_t length, int64_t n) {
  uint64_t heads = (uint64_t)kv->kv_heads, hd = (uint64_t)kv->head_dim, rows = (uint64_t)n;
  if (kv->dtype != CELSLM_K_I8) return 2 * rows * heads * hd * celslm_kdtype_size(kv->dtype);
  uint64_t panels = (uint64_t)((length + n) / CELSLM_PANEL - length / CELSLM_PANEL);
  return heads * (rows * 8 * hd + panels * (2 * hd * CELSLM_PANEL + 4 * hd + 4 * CELSLM_PANEL));
}

void celslm_kv_append(celslm_kv *kv, int64_t n, const float *k, int64_t ldk, const float *v,
                      int64_t ldv) {
  if (n < 0 || kv->length + n > kv->capacity) celslm_misuse("kv_append", "more than the capacity");
  if (n == 0) return;
  celslm_span span = celslm_span_begin();
  celslm_work counted = {0};
  bool fast = !celslm_counting();
  if (fast) put_all(kv, n, k, ldk, v, ldv);
  for (int h = 0; !fast && h < kv->kv_heads; h++)
    for (int64_t i = 0; i < n; i++) {
      const float *kr = k + i * ldk + h * kv->head_dim, *vr = v + i * ldv + h * kv->head_dim;
      counted.kv_bytes += put(kv, h, kv->length + i, kr, vr);
      for (int d = 0; d < kv->head_dim; d++) counted.activation_bytes += sizeof *kr + sizeof *vr;
    }
  if (span.on) {
    celslm_report r = {.op = CELSLM_KOP_KV_APPEND,
                       .dtype = (int)kv->dtype,
                       .m = n,
                       .k = kv->head_dim,
                       .kv_heads = kv->kv_heads,
                       .work = counted};
    if (!celslm_counting()) {
      r.work.activation_bytes = 8u * (uint64_t)(n * kv->kv_heads * kv->head_dim);
      r.work.kv_bytes = append_bytes(kv, kv->length, n);
    }
    kv->length += n;
    celslm_span_end(span, &r);
    return;
  }
  kv->length += n;
}

void celslm_kv_truncate(celslm_kv *kv, int64_t n) {
  if (n < 0 || n > kv->length) celslm_misuse("kv_truncate", "more than the length");
  if (kv->dtype == CELSLM_K_I8 && n < finished(kv) && n % CELSLM_PANEL)
    celslm_misuse("kv_truncate", "inside a finished int8 panel");
  if (n == 0) kv->special = false;
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

celslm_kv_piece celslm_kv_stored(const celslm_kv *kv, int head, int64_t first, int tokens) {
  if (kv->dtype == CELSLM_K_I8 && first >= finished(kv))
    return (celslm_kv_piece){
        CELSLM_K_F32, tokens, tail_key(kv, head, 0, 0), tail_value(kv, head, 0), NULL, NULL};
  int64_t size = (int64_t)celslm_kdtype_size(kv->dtype);
  celslm_kv_piece p = {.type = kv->dtype, .tokens = tokens};
  p.k = kv->k + keys_at(kv, head, first) * size;
  p.v = kv->v + value_at(kv, head, first) * size;
  if (kv->dtype == CELSLM_K_I8) {
    p.tokens = (int)min_i64(tokens, finished(kv) - first);
    p.k_scale = kv->k_scale + scale_at(kv, head, first, 0);
    p.v_scale = kv->v_scale + head * kv->capacity + first;
  }
  return p;
}

celslm_kv_piece celslm_kv_widened(const celslm_kv *kv, int head, int64_t first, int tokens,
                                  float *k_buffer, float *v_buffer) {
  const celslm_isa *isa = celslm_isa_current();
  celslm_kv_piece p = celslm_kv_stored(kv, head, first, tokens);
  int64_t panels = (p.tokens + CELSLM_PANEL - 1) / CELSLM_PANEL;
  if (p.type == CELSLM_K_F32) return p;
  isa->widen_keys(p.type, panels, kv->head_dim, p.k, p.k_scale, k_buffer);
  isa->widen_values(p.type, p.tokens, kv->value_dim, p.v, p.v_scale, v_buffer);
  return (celslm_kv_piece){CELSLM_K_F32, p.tokens, k_buffer, v_buffer, NULL, NULL};
}
