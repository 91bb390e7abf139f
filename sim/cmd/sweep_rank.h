/* sweep_rank.h - `celslm sweep --rank`: which axes matter for a column of the summary. */
#ifndef CELSLM_CMD_SWEEP_RANK_H
#define CELSLM_CMD_SWEEP_RANK_H

#include "study/study.h"

/* `values`: the column of a study that was made by trajectories, or by `samples` (0: not), as its
 * file has it. Prints a table for each strategy, the axis that matters most first. */
void celslm_sweep_ranks(const celslm_study *s, const char *column, int64_t samples,
                        const double *values);

#endif
