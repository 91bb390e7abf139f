/* gemm.h - inside of packed weights, shared by packing, product and naive twin. Internal. */
#ifndef CELSLM_KERNELS_GEMM_H
#define CELSLM_KERNELS_GEMM_H

#include "kernels/isa.h"

struct celslm_packed {
  enum celslm_kdtype dtype;
  int64_t n, k;
  int64_t
      steps; /* 32-bit words per column: k of f32, pairs of bf16, fours of int8 (whole groups) */
  int group; /* I8: inputs per scale */
  const celslm_isa *isa;
  int panel;           /* columns per panel */
  int64_t panels;      /* ceil(n / panel); columns beyond n are zero */
  int64_t panel_bytes; /* distance of two panels */
  unsigned char *data; /* words [panels][steps][panel] */
  float *scale;        /* I8: [panels][groups][panel] */
  int32_t *offset;     /* I8: the same, 128 * the sum of a group's weights */
};

/* Where part i of `length` cut into `parts` nearly equal ones begins. */
static inline int64_t part_start(int64_t length, int64_t parts, int64_t i) {
  return length * i / parts;
}

/* What one thread computes of a product: rows [row, end) times panels [first, last). Threads share
 * nothing but reading: each prepares what it needs of X for itself. Preparing it once for all was
 * slower, for the threads had to meet, and to fetch it from each other's caches. */
typedef struct celslm_slice {
  int64_t row, end, first, last;
} celslm_slice;

/* Slices in a grid, at most as many as there are threads. */
typedef struct celslm_grid {
  int rows, panels;
} celslm_grid;

/* Panels are shared out first; rows, in tiles of `tile_rows`, where a thread would have so few
 * panels that it would spend too long on preparing X for them. */
celslm_grid celslm_grid_for(const celslm_packed *w, int64_t m, int tile_rows, int threads);
celslm_slice celslm_slice_at(const celslm_packed *w, int64_t m, celslm_grid g, int i);

/* The f32 value of weight (row, input), as the product uses it. */
float celslm_packed_at(const celslm_packed *w, int64_t row, int64_t input);

/* The int8 product without its epilogue. */
void celslm_gemm_i8(const celslm_packed *w, int64_t m, const float *x, int64_t ldx, float *y,
                    int64_t ldy, bool add);

/* The naive twin: same result up to rounding, work counted in its loops. */
celslm_work celslm_naive_gemm(const celslm_packed *w, int64_t m, const float *x, int64_t ldx,
                              float *y, int64_t ldy, const celslm_epilogue *e);

#endif
