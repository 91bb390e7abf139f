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
  /* Tile after tile [steps][rows of the tile] words, [groups][rows of the tile] scales; and of the
   * tile at work row after row. */
  uint32_t *a, *plain;
  float *scale, *plain_scale;
} block;

/* Each row is quantised by itself; then words and scales are brought into the tile's order. */
static void quantise_tile(const celslm_packed *w, const block *b, int tile, const float *x,
                          int64_t ldx) {
  int64_t start = part_start(b->rows, b->tiles, tile);
  int rows = (int)(part_start(b->rows, b->tiles, tile + 1) - start);
  uint32_t *words = b->plain;
  float *scales = b->plain_scale;
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
  bool direct = cols == w->panel && !add;
  float out[CELSLM_I8_ROWS * CELSLM_MAX_PANEL];
  for (int tile = 0; tile < b->tiles; tile++) {
    int64_t start = part_start(b->rows, b->tiles, tile);
    int rows = (int)(part_start(b->rows, b->tiles, tile + 1) - start);
    float *c = y + start * ldy + col;
    celslm_i8_tile t = {.rows = rows,
                        .steps = w->group / 4,
                        .groups = groups,
                        .a = b->a + start * w->steps,
                        .xs = b->scale + start * groups,
                        .b = (const uint32_t *)(const void *)(w->data + panel * w->panel_bytes),
                        .ws = w->scale + panel * groups * w->panel,
                        .offset = w->offset + panel * groups * w->panel,
                        .c = direct ? c : out,
                        .ldc = direct ? ldy : w->panel};
    w->isa->gemm_i8(&t);
    for (int i = 0; i < rows && !direct; i++)
      for (int j = 0; j < cols; j++)
        c[i * ldy + j] = out[i * w->panel + j] + (add ? c[i * ldy + j] : 0.0f);
  }
}

static void run_slice(const celslm_packed *w, const celslm_slice *s, int64_t most, block b,
                      const float *x, int64_t ldx, float *y, int64_t ldy, bool add) {
  if (s->first == s->last) return;
  int64_t rows = s->end - s->row, blocks = (rows + most - 1) / most;
  for (int64_t i = 0; i < blocks; i++) {
    int64_t row = s->row + part_start(rows, blocks, i);
    b.rows = s->row + part_start(rows, blocks, i + 1) - row;
    b.tiles = (int)((b.rows + CELSLM_I8_ROWS - 1) / CELSLM_I8_ROWS);
    for (int j = 0; j < b.tiles; j++) quantise_tile(w, &b, j, x + row * ldx, ldx);
    for (int64_t j = s->first; j < s->last; j++) multiply_panel(w, &b, j, y + row * ldy, ldy, add);
  }
}

void celslm_gemm_i8(const celslm_packed *w, int64_t m, const float *x, int64_t ldx, float *y,
                    int64_t ldy, bool add) {
  int threads = celslm_threads_get();
  celslm_grid g = celslm_grid_for(w, m, CELSLM_I8_ROWS, threads);
  int64_t most = max_i64(BLOCK_BYTES / (w->steps * 4) / CELSLM_I8_ROWS, 1) * CELSLM_I8_ROWS;
  most = min_i64(most, (m + g.rows - 1) / g.rows);
  int64_t plain = min_i64(most, CELSLM_I8_ROWS), groups = w->steps * 4 / w->group;
  int64_t words = (most + plain) * w->steps, scales = (most + plain) * groups;
  uint32_t *a = celslm_mem_scratch((size_t)(g.rows * g.panels * words) * sizeof *a);
  float *scale = celslm_mem_scratch((size_t)(g.rows * g.panels * scales) * sizeof *scale);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int i = 0; i < g.rows * g.panels; i++) {
    celslm_slice s = celslm_slice_at(w, m, g, i);
    block b = {.groups = groups, .a = a + i * words, .scale = scale + i * scales};
    b.plain = b.a + most * w->steps;
    b.plain_scale = b.scale + most * groups;
    run_slice(w, &s, most, b, x, ldx, y, ldy, add);
  }
  celslm_mem_scratch_free(a);
  celslm_mem_scratch_free(scale);
}
