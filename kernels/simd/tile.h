/* tile.h - the size of the register tiles that all products are made of.
 *
 * A tile is `rows` times `cols` vectors of sums. Both must be literals at the call (the functions
 * are always inlined), so that the sums are registers; array bounds are literals too: a bound that
 * is a parameter makes a variable-length array, which lives on the stack. */
#ifndef CELSLM_KERNELS_SIMD_TILE_H
#define CELSLM_KERNELS_SIMD_TILE_H

#include <stdbool.h>

#include "kernels/simd/vec.h"

/* Most rows of a tile, and most vectors of sums. */
#ifdef __AVX512F__
enum { TILE_ROWS = 14, TILE_VECTORS = 28 };
#else
enum { TILE_ROWS = 6, TILE_VECTORS = 12 };
#endif

/* Each row count once, as `case`s of a switch over rows. */
#ifdef __AVX512F__
#define FOR_ROWS(M) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14)
#else
#define FOR_ROWS(M) M(1) M(2) M(3) M(4) M(5) M(6)
#endif

#endif
