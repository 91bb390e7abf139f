/* gemm_i8.c - the int8 product: X is quantised per row and group, the integers are exact, so the
 * result does not depend on how the work is cut. */
#include <stdlib.h>

#include "kernels/gemm.h"
#include "kernels/mem.h"

enum { BLOCK_BYTES = 1 << 18 }; /* quantised X of a block of rows: a quarter of an L2 */

/* A block of rows, cut into micro-tiles of nearly equal height. */
typedef struct block {
  int64_t rows, groups;
  int tiles;
  uint32_t *a, *plain;        /* words: tile after tile [steps][rows of the tile]; row after row */
  float *scale, *plain_scale; /* the same with groups instead of steps */
} block;

/* Each row is quantised by itself; then words and scales are brought into the tile's order. */
static void quantise_tile(const celslm_packed *w, const block *b, int tile, const float *x,
                          int64_t ldx) {
  int64_t start = part_start(b->rows, b->tiles, tile);
  int rows = (int)(part_start(b->rows, b->tiles, tile + 1) - start);
  uint32_t *words = b->plain + start * w->steps;
  float *scales = b->plain_scale + start * b->groups;
  for (int i = 0; i < rows; i++)
    w->isa->quantise(w->k, w->group, x + (start + i) * ldx, words + i * w->steps,
                     scales + i * b->groups);
  w->isa->pack_rows(rows, w->steps, (const float *)(const void *)words, w->steps,
                    (float *)(void *)(b->a + start * w->steps));
  w->isa->pack_rows(rows, b->groups, scales, b->groups, b->scale + start * b->groups);
}

static void multiply_panel(const celslm_packed *w, const block *b, int64_t panel, float *y,
                           int64_t ldy, bool add) {
  int64_t groups = b->groups, col = panel * w->panel;
  int cols = (int)min_i64(w->panel, w->n - col);
  float out[CELSLM_I8_ROWS * CELSLM_MAX_PANEL];
  for (int tile = 0; tile < b->tiles; tile++) {
    int64_t start = part_start(b->rows, b->tiles, tile);
    int rows = (int)(part_start(b->rows, b->tiles, tile + 1) - start);
    celslm_i8_tile t = {.rows = rows,
                        .steps = w->group / 4,
                        .groups = groups,
                        .a = b->a + start * w->steps,
                        .xs = b->scale + start * groups,
                        .b = (const uint32_t *)(const void *)(w->data + panel * w->panel_bytes),
                        .ws = w->scale + panel * groups * w->panel,
                        .offset = w->offset + panel * groups * w->panel,
                        .c = out,
                        .ldc = w->panel};
    w->isa->gemm_i8(&t);
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < cols; j++) {
        float *to = y + (start + i) * ldy + col + j;
        *to = out[i * w->panel + j] + (add ? *to : 0.0f);
      }
  }
}

void celslm_gemm_i8(const celslm_packed *w, int64_t m, const float *x, int64_t ldx, float *y,
                    int64_t ldy, bool add) {
  int threads = celslm_threads_get();
  int64_t most = max_i64(BLOCK_BYTES / (w->steps * 4) / CELSLM_I8_ROWS, 1) * CELSLM_I8_ROWS;
  int64_t blocks = (m + most - 1) / most;
  most = (m + blocks - 1) / blocks;
  block b = {.groups = w->steps * 4 / w->group};
  size_t words = (size_t)(most * w->steps), scales = (size_t)(most * b.groups);
  b.a = celslm_mem_scratch(2 * words * sizeof *b.a);
  b.plain = b.a + words;
  b.scale = celslm_mem_scratch(2 * scales * sizeof *b.scale);
  b.plain_scale = b.scale + scales;
  for (int64_t i = 0; i < blocks; i++) {
    int64_t row = part_start(m, blocks, i);
    b.rows = part_start(m, blocks, i + 1) - row;
    b.tiles = (int)((b.rows + CELSLM_I8_ROWS - 1) / CELSLM_I8_ROWS);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
#pragma omp for schedule(static)
      for (int j = 0; j < b.tiles; j++) quantise_tile(w, &b, j, x + row * ldx, ldx);
#pragma omp for schedule(dynamic, 2)
      for (int64_t j = 0; j < w->panels; j++) multiply_panel(w, &b, j, y + row * ldy, ldy, add);
    }
  }
  free(b.a);
  free(b.scale);
}
