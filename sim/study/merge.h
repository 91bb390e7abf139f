/* merge.h - the rows of all points become one study file.
 *
 * Nothing in it depends on who ran the points, when, where or in which order; merging again gives
 * the same bytes. What is in it: docs/results-format.md. */
#ifndef CELSLM_STUDY_MERGE_H
#define CELSLM_STUDY_MERGE_H

#include "study/study.h"

/* Points that are missing or failed have no numbers (NaN, -1) and say so. */
bool celslm_study_merge(const celslm_study *s, celslm_error *err);

#endif
