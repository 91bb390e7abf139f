/* slurm.h - a study as Slurm jobs: an array whose tasks share out the points, and a job after it
 * that merges. Slurm does the queueing; what is done is only ever read from the study's folder, so
 * no accounting database is needed. Works from Slurm 20.11 on. */
#ifndef CELSLM_STUDY_SLURM_H
#define CELSLM_STUDY_SLURM_H

#include "study/study.h"

typedef struct celslm_slurm_options {
  int64_t tasks;                /* of the array, at most */
  long jobs;                    /* points at once in a task: its --cpus-per-task */
  const char *time, *partition; /* as for sbatch; NULL: its defaults */
  const char *const *more;      /* further options for sbatch, as they are */
  int n_more;
} celslm_slurm_options;

/* Which points a process runs: part `index` of `of`, every of-th of a list. */
typedef struct celslm_share {
  int64_t index, of;
} celslm_share;

/* The share of this process if it is one of several that srun started. */
bool celslm_slurm_step(celslm_share *share);

/* Writes the list of points still to be run and the job scripts, and submits them; prints what it
 * did. */
bool celslm_slurm_submit(celslm_study *s, const int64_t *todo, int64_t n,
                         const celslm_slurm_options *o, celslm_error *err);
/* The points of a task of the array; free with free(). NULL on failure. */
int64_t *celslm_slurm_todo(const celslm_study *s, const celslm_share *share, int64_t *n,
                           celslm_error *err);
/* What squeue says of the study's jobs: "job 7: 3 running, 5 pending"; NULL: nothing is queued.
 * Free with free(). */
char *celslm_slurm_state(const celslm_study *s);

#endif
