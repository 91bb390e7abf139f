/* pack.c - weights into panels, once. Column j of panel i is output i*panel + j; inputs run down
 * the panel, so that a product streams it from its first byte to its last. */
#include <math.h>
#include <stdlib.h>

#include "kernels/gemm.h"
#include "kernels/half.h"
#include "kernels/mem.h"

size_t celslm_kdtype_size(enum celslm_kdtype t) {
  return t == CELSLM_K_F32 ? 4 : t == CELSLM_K_I8 ? 1 : 2;
}

const char *celslm_kdtype_name(enum celslm_kdtype t) {
  static const char *const names[] = {"f32", "f16", "bf16", "i8"};
  return names[t];
}

static void pack_f32(celslm_packed *w, const float *src, int64_t ldw) {
  for (int64_t i = 0; i < w->panels; i++) {
    float *dst = (float *)(void *)(w->data + i * w->panel_bytes);
    int64_t cols = min_i64(w->panel, w->n - i * w->panel);
    for (int64_t j = 0; j < cols; j++) {
      const float *row = src + (i * w->panel + j) * ldw;
      for (int64_t p = 0; p < w->k; p++) dst[p * w->panel + j] = row[p];
    }
  }
}

static void pack_bf16(celslm_packed *w, const float *src, int64_t ldw) {
  for (int64_t i = 0; i < w->panels; i++) {
    uint16_t *dst = (uint16_t *)(void *)(w->data + i * w->panel_bytes);
    int64_t cols = min_i64(w->panel, w->n - i * w->panel);
    for (int64_t j = 0; j < cols; j++) {
      const float *row = src + (i * w->panel + j) * ldw;
      for (int64_t p = 0; p < w->k; p++)
        dst[(p / 2 * w->panel + j) * 2 + p % 2] = float_bf16(row[p]);
    }
  }
}

/* Symmetric: the largest of a group becomes 127. */
static void pack_i8(celslm_packed *w, const float *src, int64_t ldw) {
  int64_t groups = w->steps * 4 / w->group;
  for (int64_t n = 0; n < w->n; n++) {
    int64_t panel = n / w->panel, j = n % w->panel;
    int8_t *dst = (int8_t *)(w->data + panel * w->panel_bytes);
    for (int64_t g = 0; g < groups; g++) {
      const float *x = src + n * ldw + g * w->group;
      int64_t count = min_i64(w->group, w->k - g * w->group),
              at = (panel * groups + g) * w->panel + j;
      float top = 0;
      for (int64_t p = 0; p < count; p++) top = fmaxf(top, fabsf(x[p]));
      float inverse = top > 0 ? 127.0f / top : 0;
      w->scale[at] = top / 127.0f;
      for (int64_t p = 0; p < count; p++) {
        int64_t input = g * w->group + p;
        int8_t q = (int8_t)lrintf(x[p] * inverse);
        dst[(input / 4 * w->panel + j) * 4 + input % 4] = q;
        w->offset[at] += 128 * q;
      }
    }
  }
}

celslm_packed *celslm_pack(enum celslm_kdtype dtype, int64_t n, int64_t k, const float *w,
                           int64_t ldw, int group) {
  if (group == 0) group = 64;
  bool i8 = dtype == CELSLM_K_I8;
  if (n < 1 || k < 1 || ldw < k || dtype == CELSLM_K_F16) return NULL;
  if (i8 && (group < 4 || group % 4)) return NULL;
  celslm_packed *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->dtype = dtype;
  p->n = n;
  p->k = k;
  p->group = group;
  p->steps = i8 ? round_up(k, group) / 4 : dtype == CELSLM_K_BF16 ? (k + 1) / 2 : k;
  p->isa = celslm_isa_current();
  p->panel = p->isa->panel;
  p->panels = (n + p->panel - 1) / p->panel;
  p->panel_bytes = p->steps * p->panel * 4;
  p->data = celslm_mem_big((size_t)(p->panels * p->panel_bytes));
  if (i8) {
    size_t scales = (size_t)(p->panels * p->panel * (p->steps * 4 / group));
    p->scale = celslm_mem_big(scales * sizeof *p->scale);
    p->offset = celslm_mem_big(scales * sizeof *p->offset);
  }
  if (!p->data || (i8 && (!p->scale || !p->offset))) {
    celslm_packed_free(p);
    return NULL;
  }
  if (i8)
    pack_i8(p, w, ldw);
  else if (dtype == CELSLM_K_BF16)
    pack_bf16(p, w, ldw);
  else
    pack_f32(p, w, ldw);
  return p;
}

void celslm_packed_free(celslm_packed *w) {
  if (!w) return;
  celslm_mem_big_free(w->data);
  celslm_mem_big_free(w->scale);
  celslm_mem_big_free(w->offset);
  free(w);
}

int64_t celslm_packed_n(const celslm_packed *w) {
  return w->n;
}
int64_t celslm_packed_k(const celslm_packed *w) {
  return w->k;
}

uint64_t celslm_packed_bytes(const celslm_packed *w) {
  uint64_t bytes = (uint64_t)(w->n * w->k) * celslm_kdtype_size(w->dtype);
  if (w->dtype == CELSLM_K_I8)
    bytes += (uint64_t)(w->n * ((w->k + w->group - 1) / w->group)) * sizeof(float);
  return bytes;
}

float celslm_packed_at(const celslm_packed *w, int64_t row, int64_t input) {
  int64_t panel = row / w->panel, j = row % w->panel;
  const void *data = w->data + panel * w->panel_bytes;
  switch (w->dtype) {
  case CELSLM_K_BF16:
    return bf16_float(((const uint16_t *)data)[(input / 2 * w->panel + j) * 2 + input % 2]);
  case CELSLM_K_I8: {
    int64_t groups = w->steps * 4 / w->group,
            at = (panel * groups + input / w->group) * w->panel + j;
    int8_t q = ((const int8_t *)data)[(input / 4 * w->panel + j) * 4 + input % 4];
    return (float)q * w->scale[at];
  }
  default:
    return ((const float *)data)[input * w->panel + j];
  }
}
