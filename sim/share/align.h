/* align.h - how alike two models' layers are, and the linear maps from one's states to the other's.
 *
 * Text is streamed through both models once; only first and second moments of the states are kept,
 * in double. From them come linear CKA (Kornblith et al., ICML 2019), ridge regression by Cholesky,
 * its error on other moments (held-out text), the monotone layer map by dynamic programming, and
 * reduced-rank regression (Izenman 1975) by an eigenproblem of the outputs' size.
 *
 * States are columns of one long row per token; `celslm_part` names some of them. */
#ifndef CELSLM_SHARE_ALIGN_H
#define CELSLM_SHARE_ALIGN_H

#include "base/error.h"

#include <stdint.h>

typedef struct celslm_part {
  int first, count; /* columns */
} celslm_part;

/* Sums and sums of products of `columns` columns. */
typedef struct celslm_moments celslm_moments;
celslm_moments *celslm_moments_new(int columns);
void celslm_moments_free(celslm_moments *m); /* NULL is allowed */
/* Adds rows x [rows][columns], dense. */
void celslm_moments_add(celslm_moments *m, int64_t rows, const float *x);
double celslm_moments_rows(const celslm_moments *m);
void celslm_moments_mean(const celslm_moments *m, celslm_part p, double *mean); /* [p.count] */

/* |C_ab|_F^2 / (|C_aa|_F |C_bb|_F) of the centred products: 1 for a part and any rotation or
 * multiple of it, 0 without any linear relation. */
double celslm_cka(const celslm_moments *m, celslm_part a, celslm_part b);

/* y = (x - mean_x) weights + mean_y */
typedef struct celslm_affine {
  int inputs, outputs;
  double *weights; /* [inputs][outputs] */
  double *mean_x, *mean_y;
} celslm_affine;

/* Ridge regression of part y on the parts x[0..n) beside one another: weights = (G + l I)^-1 C with
 * l = `lambda` times the mean variance of x. False: G + l I is not positive definite. */
bool celslm_ridge(const celslm_moments *m, const celslm_part *x, int n, celslm_part y,
                  double lambda, celslm_affine *map, celslm_error *err);
void celslm_affine_free(celslm_affine *map);
/* Share of the variance of y that the map explains on these moments: 1 - |y - y'|^2 / |y - mean|^2,
 * the mean being theirs. */
double celslm_affine_r2(const celslm_affine *map, const celslm_moments *m, const celslm_part *x,
                        int n, celslm_part y);

/* What the map's output y' loses when only its `rank` strongest directions are kept, in the norm in
 * which each of `blocks` equally wide blocks of outputs has total variance 1 (keys and values count
 * alike): down [rank][outputs], up [outputs][rank]: z = down (y' - mean_y), y'' = up z + mean_y.
 * tail[r], r = 0..outputs: the mean squared error of keeping r, which is the sum of the smallest
 * eigenvalues. NULL: not wanted. */
void celslm_reduce(const celslm_affine *map, const celslm_moments *m, const celslm_part *x, int n,
                   int blocks, int rank, float *down, float *up, double *tail);

/* The map[0..to) of non-decreasing values in 0..from-1 with the largest sum of
 * similarity[map[j] * to + j]; of equal ones the first in lexicographic order. Returns the sum. */
double celslm_layer_map(int from, int to, const double *similarity, int *map);
/* Evenly stretched: map[j] = round(j (from-1)/(to-1)). */
void celslm_layer_map_uniform(int from, int to, int *map);

#endif
