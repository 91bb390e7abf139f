/* nodes.h - the nodes of a table of matrices: every n with every k.
 *
 * Few tables have all of them, and what a missing one would take is not plainly between its
 * neighbours: kernels are chosen and tiled by size, so whole columns of sizes are slow or fast
 * together. A missing node is estimated in up to six ways, from measured nodes only:
 *   linear along k, and linear along n;
 *   linear along k, times what that gets wrong in the nearest row (n) below that has the same three
 *   sizes k; the same with the row above; and both with n and k exchanged.
 * The median stands, linear along k counted twice: time is nearly affine in k, whereas along n it
 * steps with the waves of blocks. Where the corrections would make the time fall with m, it stays
 * level. */
#ifndef CELSLM_SCENARIO_NODES_H
#define CELSLM_SCENARIO_NODES_H

#include "scenario/table.h"

/* Estimates the missing nodes of an ordered grid of matrices. */
void celslm_nodes_fill(celslm_grid *g);
/* Seconds at (a, b) and d rows, linear between the four nodes around it; NaN if one of them is
 * neither measured nor estimated. */
double celslm_nodes_at(const celslm_grid *g, double a, double b, double d);

#endif
