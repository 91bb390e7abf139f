/* gemm.h - inside of packed weights, shared by packing, product and naive twin. Internal. */
#ifndef CELSLM_KERNELS_GEMM_H
#define CELSLM_KERNELS_GEMM_H

#include "kernels/isa.h"

struct celslm_packed {
  enum celslm_kdtype dtype;
  int64_t n, k;
  int group; /* I8: inputs per scale */
  const celslm_isa *isa;
  int panel;           /* columns per panel */
  int64_t panels;      /* ceil(n / panel); columns beyond n are zero */
  int64_t panel_bytes; /* distance of two panels */
  unsigned char *data; /* f32: [panels][k][panel] */
  float *scale;        /* I8: [panels][groups][panel] */
};

/* The f32 value of weight (row, input), as the product uses it. */
float celslm_packed_at(const celslm_packed *w, int64_t row, int64_t input);

/* The naive twin: same result up to rounding, work counted in its loops. */
celslm_work celslm_naive_gemm(const celslm_packed *w, int64_t m, const float *x, int64_t ldx,
                              float *y, int64_t ldy, const celslm_epilogue *e);

#endif
