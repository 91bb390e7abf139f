/* pack.c - weights into panels, once. Column j of panel i is output i*panel + j; inputs run down the
 * panel, so that a product streams it from its first byte to its last. */
#include <stdlib.h>

#include "kernels/gemm.h"
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

celslm_packed *celslm_pack(enum celslm_kdtype dtype, int64_t n, int64_t k, const float *w,
                           int64_t ldw, int group) {
  if (n < 1 || k < 1 || ldw < k || dtype != CELSLM_K_F32) return NULL;
  celslm_packed *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->dtype = dtype;
  p->n = n;
  p->k = k;
  p->group = group;
  p->isa = celslm_isa_current();
  p->panel = p->isa->panel;
  p->panels = (n + p->panel - 1) / p->panel;
  p->panel_bytes = k * p->panel * (int64_t)sizeof(float);
  p->data = celslm_mem_big((size_t)(p->panels * p->panel_bytes));
  if (!p->data) {
    celslm_packed_free(p);
    return NULL;
  }
  pack_f32(p, w, ldw);
  return p;
}

void celslm_packed_free(celslm_packed *w) {
  if (!w) return;
  free(w->data);
  free(w->scale);
  free(w);
}

int64_t celslm_packed_n(const celslm_packed *w) { return w->n; }
int64_t celslm_packed_k(const celslm_packed *w) { return w->k; }

uint64_t celslm_packed_bytes(const celslm_packed *w) {
  uint64_t bytes = (uint64_t)(w->n * w->k) * celslm_kdtype_size(w->dtype);
  if (w->dtype == CELSLM_K_I8)
    bytes += (uint64_t)(w->n * ((w->k + w->group - 1) / w->group)) * sizeof(float);
  return bytes;
}

float celslm_packed_at(const celslm_packed *w, int64_t row, int64_t input) {
  const unsigned char *panel = w->data + row / w->panel * w->panel_bytes;
  int64_t j = row % w->panel;
  return ((const float *)(const void *)panel)[input * w->panel + j];
}
