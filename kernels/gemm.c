/* gemm.c - Y = X W^T with packed W: the blocking around the micro-tiles.
 *
 * Each thread has a slice of the product, rows times panels of W, to itself; every sum is formed in
 * the same order whoever does it, so the thread count does not change a bit of the result. */
#include "kernels/gemm.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/mem.h"

/* A block of packed X is half of an L2 of 1 MiB. A quarter is left to the piece of W that all of
 * the block's tiles visit and to the next piece, which is fetched meanwhile. Deep pieces are worth
 * more than many rows: each visit of a tile ends with a drained pipeline and a pass over C, and W
 * is read once more for each block of rows from a memory that has time. */
enum {
  BLOCK_ROWS = 174,      /* rows of X multiplied before the next */
  MOST_TILES = 44,       /* of a block: micro-tiles have at least four rows */
  BLOCK_WORDS = 1 << 17, /* of packed X in a block of several tiles */
  BLOCK_DEPTH = 1024,    /* steps per visit of a micro-tile */
  FEW_PANELS = 8,        /* of a thread */
  LINE = 16,             /* floats of a cache line */
};

static const celslm_epilogue no_epilogue;

celslm_grid celslm_grid_for(const celslm_packed *w, int64_t m, int tile_rows, int threads) {
  int rows = 1;
  while (threads % (2 * rows) == 0 && w->panels * rows < FEW_PANELS * threads &&
         m >= 4 * rows * tile_rows)
    rows *= 2;
  return (celslm_grid){rows, threads / rows};
}

celslm_slice celslm_slice_at(const celslm_packed *w, int64_t m, celslm_grid g, int i) {
  int r = i / g.panels, p = i % g.panels;
  return (celslm_slice){part_start(m, g.rows, r), part_start(m, g.rows, r + 1),
                        part_start(w->panels, g.panels, p), part_start(w->panels, g.panels, p + 1)};
}

/* `length` in equal parts of at most `most` (and a few more, to have whole rounds of prefetching).
 */
static int64_t equal_part(int64_t length, int64_t most) {
  int64_t parts = (length + most - 1) / most;
  return min_i64(round_up((length + parts - 1) / parts, 8), length);
}

/* Everything a thread needs to know of a product. */
typedef struct job {
  const celslm_packed *w;
  const float *x;
  float *y;
  int64_t m, ldx, ldy;
  const celslm_epilogue *e;
  bool add;           /* residual is y: start from what y holds */
  const float *words; /* bf16, one row: packed X */
} job;

static bool has_epilogue(const job *t) {
  return t->e->bias || t->e->act || t->e->gate || (t->e->residual && !t->add);
}

static void finish(const job *t, int64_t row, int rows, int64_t col, int cols) {
  const celslm_epilogue *e = t->e;
  t->w->isa->epilogue(rows, cols, t->y + row * t->ldy + col, t->ldy, e->bias ? e->bias + col : NULL,
                      e->act, e->gate ? e->gate + row * e->ldg + col : NULL, e->ldg,
                      e->residual && !t->add ? e->residual + row * e->ldr + col : NULL, e->ldr);
}

/* One row times neighbouring panels, the last of which may be cut by the matrix's edge. */
static void gemv(const job *t, int64_t panel, int64_t panels) {
  const celslm_packed *w = t->w;
  const celslm_isa *isa = w->isa;
  void (*run)(int64_t, int64_t, const float *, const float *, float *, bool) =
      w->dtype == CELSLM_K_BF16 ? isa->gemv_bf16 : isa->gemv_f32;
  const float *x = t->words ? t->words : t->x;
  const float *b = (const float *)(const void *)(w->data + panel * w->panel_bytes);
  int64_t col = panel * w->panel, cols = min_i64(panels * w->panel, w->n - col);
  int64_t whole = cols / w->panel, rest = cols % w->panel;
  run(whole, w->steps, x, b, t->y + col, t->add);
  if (rest) {
    float *y = t->y + col + whole * w->panel, edge[CELSLM_MAX_PANEL] = {0};
    memcpy(edge, y, (size_t)(t->add ? rest : 0) * sizeof *y);
    run(1, w->steps, x, b + whole * w->panel_bytes / 4, edge, t->add);
    memcpy(y, edge, (size_t)rest * sizeof *y);
  }
  if (has_epilogue(t)) finish(t, 0, 1, col, (int)cols);
}

/* A block: rows [row0, row0+rows), steps [k0, k0+depth), cut into `tiles` micro-tiles of nearly
 * equal height and pieces of the depth. */
typedef struct block {
  int64_t row0, rows, k0, depth, piece;
  int tiles;
  int start[MOST_TILES + 1]; /* of each tile in rows; written down, for divisions take time */
  bool lone;                 /* the product has but one tile, and streams W */
  float *a;                  /* packed X: tile after tile, each [depth][words][tile rows] */
} block;

/* Words of packed X for each row and step. */
static int64_t x_words(const celslm_packed *w) {
  return w->dtype == CELSLM_K_BF16 ? w->isa->words_bf16 : 1;
}

/* In steps: a step is one input, or a pair of bf16. */
static void pack_tile(const job *t, const block *b, int tile) {
  const celslm_packed *w = t->w;
  int64_t start = b->start[tile], per = w->dtype == CELSLM_K_BF16 ? 2 : 1;
  int rows = b->start[tile + 1] - b->start[tile];
  int64_t first = b->k0 * per, k = min_i64(b->depth * per, w->k - first);
  const float *x = t->x + (b->row0 + start) * t->ldx + first;
  float *a = b->a + start * b->depth * x_words(w);
  if (per == 2)
    w->isa->pack_rows_bf16(rows, k, x, t->ldx, a);
  else
    w->isa->pack_rows(rows, k, x, t->ldx, a);
}

/* The tiles of a panel of W over one piece of its depth: steps [p, p+depth) of the block. */
static void multiply_piece(const job *t, const block *b, int64_t panel, int64_t p, int64_t depth) {
  const celslm_packed *w = t->w;
  const celslm_isa *isa = w->isa;
  int64_t first = b->k0 + p, col = panel * w->panel;
  const float *piece = (const float *)(const void *)(w->data + panel * w->panel_bytes);
  piece += first * w->panel;
  int cols = (int)min_i64(w->panel, w->n - col);
  bool whole = cols == w->panel, load = first > 0 || t->add, last = first + depth == w->steps;
  float edge[CELSLM_MAX_ROWS * CELSLM_MAX_PANEL];
  /* What this thread will need next: further down, or the same inputs in the next panel. */
  bool down = p + depth < b->depth;
  const float *next = piece + (down ? depth : w->steps - p) * w->panel;
  int64_t lines = depth * w->panel / LINE, per_tile = (lines + b->tiles - 1) / b->tiles;
  int per_round = (int)(per_tile * CELSLM_AHEAD_STEPS / depth + 1);
  float *next_c = t->y + b->row0 * t->ldy + col + (down ? 0 : w->panel);
  for (int i = 0; i < b->tiles; i++) {
    int64_t start = b->start[i], row = b->row0 + start;
    int rows = b->start[i + 1] - b->start[i];
    const float *a = b->a + (start * b->depth + p * rows) * x_words(w);
    float *y = t->y + row * t->ldy + col, *c = whole ? y : edge;
    int64_t ldc = whole ? t->ldy : w->panel;
    if (!whole && load)
      for (int r = 0; r < rows; r++)
        memcpy(edge + r * ldc, y + r * t->ldy, (size_t)cols * sizeof *y);
    celslm_ahead ahead = {0};
    if (!b->lone) {
      ahead = (celslm_ahead){.w = next + i * per_tile * LINE,
                             .lines = min_i64(per_tile, lines - i * per_tile),
                             .per_round = per_round,
                             .c = i + 1 < b->tiles ? y + rows * t->ldy : next_c,
                             .c_rows = whole ? rows : 0,
                             .ldc = t->ldy};
    }
    if (w->dtype == CELSLM_K_BF16)
      isa->gemm_bf16(rows, depth, a, piece, c, ldc, load, &ahead);
    else
      isa->gemm_f32(rows, depth, a, piece, c, ldc, load, &ahead);
    if (!whole)
      for (int r = 0; r < rows; r++)
        memcpy(y + r * t->ldy, edge + r * ldc, (size_t)cols * sizeof *y);
    if (last && has_epilogue(t)) finish(t, row, rows, col, cols);
  }
}

/* A block times panels [first, last). */
static void multiply_block(const job *t, const block *b, int64_t first, int64_t last) {
  for (int64_t panel = first; panel < last; panel++)
    for (int64_t p = 0; p < b->depth; p += b->piece)
      multiply_piece(t, b, panel, p, min_i64(b->piece, b->depth - p));
}

static void run_gemv(job t, int threads) {
  const celslm_packed *w = t.w;
  float *words = NULL; /* bf16 */
  if (w->dtype == CELSLM_K_BF16) {
    words = celslm_mem_scratch((size_t)(w->steps * x_words(w)) * sizeof *words);
    w->isa->pack_rows_bf16(1, w->k, t.x, t.ldx, words);
    t.words = words;
  }
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int i = 0; i < threads; i++) {
    int64_t first = part_start(w->panels, threads, i);
    gemv(&t, first, part_start(w->panels, threads, i + 1) - first);
  }
  celslm_mem_scratch_free(words);
}

static void run_i8(const job *t) {
  celslm_gemm_i8(t->w, t->m, t->x, t->ldx, t->y, t->ldy, t->add);
  if (has_epilogue(t))
    for (int64_t i = 0; i < t->m; i++) finish(t, i, 1, 0, (int)t->w->n);
}

/* How the depth is cut: by the product's shape alone, never by who computes what, for it decides in
 * which order a sum is formed. */
typedef struct cut {
  int64_t depth, piece; /* of a block, of a tile's visit */
  bool lone;
} cut;

static cut cut_depth(const job *t) {
  const celslm_packed *w = t->w;
  int64_t blocks = (t->m + BLOCK_ROWS - 1) / BLOCK_ROWS, rows = (t->m + blocks - 1) / blocks;
  if (t->m <= w->isa->rows) return (cut){w->steps, w->steps, true};
  int64_t depth = equal_part(w->steps, BLOCK_WORDS / rows);
  return (cut){depth, equal_part(depth, BLOCK_DEPTH), false};
}

static void run_slice(const job *t, const cut *c, const celslm_slice *s, float *a) {
  if (s->first == s->last) return;
  int64_t rows = s->end - s->row, blocks = (rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
  for (int64_t i = 0; i < blocks; i++) {
    int64_t from = part_start(rows, blocks, i);
    block b = {.row0 = s->row + from, .piece = c->piece, .lone = c->lone, .a = a};
    b.rows = part_start(rows, blocks, i + 1) - from;
    b.tiles = (int)((b.rows + t->w->isa->rows - 1) / t->w->isa->rows);
    for (int j = 0; j <= b.tiles; j++) b.start[j] = (int)part_start(b.rows, b.tiles, j);
    for (b.k0 = 0; b.k0 < t->w->steps; b.k0 += c->depth) {
      b.depth = min_i64(c->depth, t->w->steps - b.k0);
      for (int j = 0; j < b.tiles; j++) pack_tile(t, &b, j);
      multiply_block(t, &b, s->first, s->last);
    }
  }
}

static void run_blocks(const job *t, int threads) {
  cut c = cut_depth(t);
  celslm_grid g = celslm_grid_for(t->w, t->m, t->w->isa->rows, threads);
  int64_t rows = min_i64(BLOCK_ROWS, (t->m + g.rows - 1) / g.rows),
          room = rows * c.depth * x_words(t->w);
  float *a = celslm_mem_scratch((size_t)(g.rows * g.panels * room) * sizeof *a);
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
  for (int i = 0; i < g.rows * g.panels; i++) {
    celslm_slice s = celslm_slice_at(t->w, t->m, g, i);
    run_slice(t, &c, &s, a + i * room);
  }
  celslm_mem_scratch_free(a);
}

static celslm_work analytic(const celslm_packed *w, int64_t m, const celslm_epilogue *e) {
  static const uint64_t act_flops[] = {0, 1, 3, 9};
  uint64_t rows = (uint64_t)m, n = (uint64_t)w->n, k = (uint64_t)w->k, out = rows * n;
  celslm_work r = {0};
  r.flops = 2 * out * k + out * ((e->bias ? 1 : 0) + act_flops[e->act] + (e->gate ? 4 : 0) +
                                 (e->residual ? 1 : 0));
  r.weight_bytes = celslm_packed_bytes(w) + (e->bias ? 4 * n : 0);
  r.activation_bytes = 4 * (rows * k + out * (1u + (e->gate ? 1 : 0) + (e->residual ? 1 : 0)));
  return r;
}

void celslm_gemm(const celslm_packed *w, int64_t m, const float *x, int64_t ldx, float *y,
                 int64_t ldy, const celslm_epilogue *epilogue) {
  const celslm_epilogue *e = epilogue ? epilogue : &no_epilogue;
  if (m < 0) celslm_misuse("gemm", "negative row count");
  bool add = e->residual == y;
  if (add && (e->act || e->gate || e->ldr != ldy))
    celslm_misuse("gemm", "residual may be y only without activation and gate");
  if (m == 0) return;
  celslm_span span = celslm_span_begin();
  celslm_work work;
  if (celslm_counting()) {
    work = celslm_naive_gemm(w, m, x, ldx, y, ldy, e);
  } else {
    job t = {.w = w, .x = x, .y = y, .m = m, .ldx = ldx, .ldy = ldy, .e = e, .add = add};
    if (w->dtype == CELSLM_K_I8)
      run_i8(&t);
    else if (m == 1)
      run_gemv(t, celslm_threads_get());
    else
      run_blocks(&t, celslm_threads_get());
    if (span.on) work = analytic(w, m, e);
  }
  if (span.on) {
    celslm_report r = {
        .op = CELSLM_KOP_GEMM, .dtype = (int)w->dtype, .m = m, .n = w->n, .k = w->k, .work = work};
    celslm_span_end(span, &r);
  }
}
