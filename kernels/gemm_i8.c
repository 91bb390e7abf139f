/* gemm_i8.c - the int8 product: X is quantised per row and group, the integers are exact, so the
 * result does not depend on how the work is cut. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/gemm.h"
#include "kernels/mem.h"

enum { BLOCK_BYTES = 1 << 19 }; /* quantised X of a block of rows: a quarter of an L2 */

/* Row i of a tile: words at a[step * rows + i], scales at xs[group * rows + i]. */
static void quantise_row(const celslm_packed *w, const float *x, int rows, int i, uint32_t *a,
                         float *xs) {
  int64_t groups = w->steps * 4 / w->group;
  for (int64_t g = 0; g < groups; g++) {
    int64_t first = g * w->group, count = min_i64(w->group, w->k - first);
    float top = 0;
    for (int64_t p = 0; p < count; p++) top = fmaxf(top, fabsf(x[first + p]));
    float inverse = top > 0 ? 127.0f / top : 0;
    xs[g * rows + i] = top / 127.0f;
    for (int64_t p = 0; p < w->group; p += 4) {
      uint32_t word = 0;
      for (int64_t j = p; j < p + 4; j++) {
        int q = j < count ? (int)lrintf(x[first + j] * inverse) : 0;
        word |= (uint32_t)(q + 128) << 8 * (j - p);
      }
      a[((first + p) / 4) * rows + i] = word;
    }
  }
}

static void panel_block(const celslm_packed *w, int64_t panel, int64_t m, const uint32_t *a,
                        const float *xs, float *y, int64_t ldy, bool add) {
  int64_t groups = w->steps * 4 / w->group, col = panel * w->panel;
  int cols = (int)min_i64(w->panel, w->n - col);
  float out[CELSLM_I8_ROWS * CELSLM_MAX_PANEL];
  for (int64_t r = 0; r < m; r += CELSLM_I8_ROWS) {
    int rows = (int)min_i64(CELSLM_I8_ROWS, m - r);
    celslm_i8_tile t = {.rows = rows,
                        .steps = w->group / 4,
                        .groups = groups,
                        .a = a + r * w->steps,
                        .xs = xs + r * groups,
                        .b = (const uint32_t *)(const void *)(w->data + panel * w->panel_bytes),
                        .ws = w->scale + panel * groups * w->panel,
                        .offset = w->offset + panel * groups * w->panel,
                        .c = out,
                        .ldc = w->panel};
    w->isa->gemm_i8(&t);
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < cols; j++) {
        float *to = y + (r + i) * ldy + col + j;
        *to = out[i * w->panel + j] + (add ? *to : 0.0f);
      }
  }
}

void celslm_gemm_i8(const celslm_packed *w, int64_t m, const float *x, int64_t ldx, float *y,
                    int64_t ldy, bool add) {
  int threads = celslm_threads_get();
  int64_t groups = w->steps * 4 / w->group;
  int64_t most = max_i64(BLOCK_BYTES / (w->steps * 4) / CELSLM_I8_ROWS, 1) * CELSLM_I8_ROWS;
  most = min_i64(most, m);
  uint32_t *a = celslm_mem_scratch((size_t)(most * w->steps) * sizeof *a);
  float *xs = celslm_mem_scratch((size_t)(most * groups) * sizeof *xs);
#pragma omp parallel num_threads(threads) if (threads > 1)
  for (int64_t row = 0; row < m; row += most) {
    int64_t rows = min_i64(most, m - row);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < rows; i++) {
      int64_t tile = i / CELSLM_I8_ROWS * CELSLM_I8_ROWS;
      quantise_row(w, x + (row + i) * ldx, (int)min_i64(CELSLM_I8_ROWS, rows - tile),
                   (int)(i - tile), a + tile * w->steps, xs + tile * groups);
    }
#pragma omp for schedule(dynamic, 2)
    for (int64_t i = 0; i < w->panels; i++) panel_block(w, i, rows, a, xs, y + row * ldy, ldy, add);
  }
  free(a);
  free(xs);
}
