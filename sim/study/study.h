/* study.h - a sweep on disk: what is planned, what is done, what failed.
 *
 * Beside the results file STUDY.h5 there is, until it is merged, the folder STUDY.h5.points:
 *
 *   plan            everything that decides the results, as text; a folder with another plan is
 * refused NUMBER.row      one finished point: its summary, or why it failed NUMBER.h5       its
 * whole results, with `requests`
 *
 * and STUDY.h5.log, one line for each start and end of a point. What must hold: a file under its
 * final name is whole (it is written under another and renamed), so any process on any machine may
 * be killed at any time, and what is there after that is right; a point that is done is never run
 * again. Points are run by whoever has the folder: a queue on one machine (queue.h), tasks of a
 * Slurm job array, or steps of srun. */
#ifndef CELSLM_STUDY_STUDY_H
#define CELSLM_STUDY_STUDY_H

#include "record/request.h"
#include "study/design.h"
#include "world/world.h"

typedef struct celslm_study_options {
  const char *scenario;
  const char *const *set; /* for every point, see celslm_scenario_options */
  int n_set;
  const char *output; /* STUDY.h5; NULL: results/NAME.h5 */
  celslm_design_options design;
  bool requests; /* keep each point's whole results, and the merged file links to them */
  bool step;
} celslm_study_options;

typedef struct celslm_study {
  const celslm_study_options *options;
  char *output, *folder, *log;
  celslm_scenario *scenario; /* the first point's, without the axes' values */
  celslm_draft *draft;
  celslm_design *design;
  char *identity; /* the text of `plan` */
  uint64_t digest;
  bool same_platform; /* at all points: it is read once */
} celslm_study;

/* Reads scenario and axes and checks the first point. Nothing is written. `o` must outlive it. */
celslm_study *celslm_study_open(const celslm_study_options *o, celslm_error *err);
void celslm_study_close(celslm_study *s);

typedef enum celslm_fresh { CELSLM_FRESH, CELSLM_RESUME, CELSLM_JOIN } celslm_fresh;
/* Makes the folder, or takes up the one that is there. CELSLM_FRESH refuses one that holds points,
 * CELSLM_RESUME needs not have one, CELSLM_JOIN (one of several tasks) takes what it finds. */
bool celslm_study_begin(celslm_study *s, celslm_fresh how, celslm_error *err);

/* ---- points ---------------------------------------------------------------------------------- */

typedef struct celslm_point {
  int status; /* celslm_outcome; -1: not there */
  celslm_error err;
  celslm_summary_row *rows; /* one per strategy; NULL unless done */
} celslm_point;

/* In a process of its own: simulates the point and writes what came of it. */
celslm_outcome celslm_study_run_point(celslm_study *s, int64_t point,
                                      const volatile sig_atomic_t *interrupt, celslm_error *err);
/* What is on disk of a point. Free `rows`. */
celslm_point celslm_study_read_point(const celslm_study *s, int64_t point);
/* The status of every point, -1 for those not there; free with free(). Reads all their files. */
int *celslm_study_scan(const celslm_study *s);
/* The command that runs this point alone. Free with free(). */
char *celslm_study_command(const celslm_study *s, int64_t point);
/* The arguments that make this study: "sweep S.xml --axis ...". Free with free(). */
char *celslm_study_sweep_command(const celslm_study *s);
/* The name of a point's file of this kind ("row", "h5"). Free with free(). */
char *celslm_study_point_file(const celslm_study *s, int64_t point, const char *kind);
void celslm_study_log(const celslm_study *s, int64_t point, const char *what);

/* All points are there: removes the folder (unless the merged file links into it). */
void celslm_study_clean(const celslm_study *s);

#endif
