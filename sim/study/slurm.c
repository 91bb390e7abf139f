#include "study/slurm.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

bool celslm_slurm_step(celslm_share *share) {
  /* SLURM_STEP_NUM_TASKS is there in steps only, not in the batch script around them. */
  const char *rank = getenv("SLURM_PROCID"), *size = getenv("SLURM_STEP_NUM_TASKS");
  if (!rank || !size) return false;
  *share = (celslm_share){strtoll(rank, NULL, 10), strtoll(size, NULL, 10)};
  return share->of > 1 && share->index >= 0 && share->index < share->of;
}

static char *file_of(const celslm_study *s, const char *name) {
  return celslm_format("%s/%s", s->folder, name);
}

/* ---- the list -------------------------------------------------------------------------------- */

/* Fixed when the jobs are submitted, so that all tasks share out the same list. */
static bool write_todo(const celslm_study *s, const int64_t *todo, int64_t n, celslm_error *err) {
  char *file = file_of(s, "todo");
  FILE *f = fopen(file, "we");
  for (int64_t i = 0; f && i < n; i++) fprintf(f, "%lld\n", (long long)todo[i]);
  bool ok = f && !ferror(f);
  ok = f && fclose(f) == 0 && ok;
  if (!ok) celslm_fail(err, file, 0, "cannot be written: %s", strerror(errno));
  free(file);
  return ok;
}

int64_t *celslm_slurm_todo(const celslm_study *s, const celslm_share *share, int64_t *n,
                           celslm_error *err) {
  char *file = file_of(s, "todo");
  FILE *f = fopen(file, "re");
  int64_t *todo = celslm_alloc((unsigned long)s->design->points, sizeof *todo), at = 0;
  long long point;
  *n = 0;
  while (f && fscanf(f, "%lld", &point) == 1 && point >= 0 && point < s->design->points &&
         *n < s->design->points)
    if (at++ % share->of == share->index) todo[(*n)++] = point;
  if (!f) {
    celslm_fail(err, file, 0, "cannot be read: %s; tasks are started by celslm sweep --slurm",
                strerror(errno));
    free(todo);
    todo = NULL;
  } else
    fclose(f);
  free(file);
  return todo;
}

/* ---- scripts --------------------------------------------------------------------------------- */

/* A job script that runs this program on this study. */
static char *write_script(const celslm_study *s, const char *name, const char *task,
                          const celslm_slurm_options *o, celslm_error *err) {
  char program[4096] = "";
  ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
  char *file = file_of(s, name), *command = celslm_study_sweep_command(s);
  FILE *f = n > 0 ? fopen(file, "we") : NULL;
  if (f) {
    fprintf(f, "#!/bin/sh\n#SBATCH --job-name=celslm-%s\n", s->scenario->name);
    fprintf(f, "#SBATCH --output=%s\n#SBATCH --open-mode=append\n", s->log);
    fprintf(f, "#SBATCH --requeue\n#SBATCH --ntasks=1\n");
    if (strcmp(name, "merge.sh") != 0) fprintf(f, "#SBATCH --cpus-per-task=%ld\n", o->jobs);
    if (o->time) fprintf(f, "#SBATCH --time=%s\n", o->time);
    if (o->partition) fprintf(f, "#SBATCH --partition=%s\n", o->partition);
    for (int i = 0; i < o->n_more; i++) fprintf(f, "#SBATCH %s\n", o->more[i]);
    fprintf(f, "exec '%s' %s --quiet -j %ld --task %s\n", program, command, o->jobs, task);
  }
  bool ok = f && !ferror(f);
  ok = f && fclose(f) == 0 && ok;
  free(command);
  if (ok) return file;
  celslm_fail(err, file, 0, "cannot be written: %s", strerror(errno));
  free(file);
  return NULL;
}

/* Runs a command; its output without the newline, NULL if it fails. */
static char *output_of(const char *command) {
  FILE *f = popen(command, "re");
  char line[4096] = "";
  size_t n = f ? fread(line, 1, sizeof line - 1, f) : 0;
  int status = f ? pclose(f) : -1;
  while (n && isspace((unsigned char)line[n - 1])) line[--n] = 0;
  return status == 0 ? celslm_strdup(line) : NULL;
}

/* The job's number, or -1. What sbatch has against it stands on stderr. */
static long long submit(const char *options, const char *script) {
  char *command = celslm_format("sbatch --parsable %s '%s'", options, script),
       *out = output_of(command);
  long long job = out && isdigit((unsigned char)out[0]) ? strtoll(out, NULL, 10) : -1;
  free(out);
  free(command);
  return job;
}

static bool remember(const celslm_study *s, long long array, long long merge, celslm_error *err) {
  char *file = file_of(s, "slurm");
  FILE *f = fopen(file, "we");
  bool ok = f && fprintf(f, "%lld %lld\n", array, merge) > 0;
  ok = f && fclose(f) == 0 && ok;
  if (!ok) celslm_fail(err, file, 0, "cannot be written: %s", strerror(errno));
  free(file);
  return ok;
}

bool celslm_slurm_submit(celslm_study *s, const int64_t *todo, int64_t n,
                         const celslm_slurm_options *o, celslm_error *err) {
  char *state = celslm_slurm_state(s);
  if (state) {
    celslm_fail(err, s->output, 0, "%s; wait for them, or scancel them first", state);
    free(state);
    return false;
  }
  int64_t tasks = n < o->tasks ? n : o->tasks;
  char *share = celslm_format("\"$SLURM_ARRAY_TASK_ID\"/%lld", (long long)tasks);
  char *points = write_script(s, "points.sh", share, o, err),
       *merge = points ? write_script(s, "merge.sh", "merge", o, err) : NULL;
  bool ok = merge && write_todo(s, todo, n, err);
  long long array = -1, after = -1;
  if (ok) {
    char *options = celslm_format("--array=0-%lld", (long long)tasks - 1);
    array = submit(options, points);
    free(options);
    options = celslm_format("--dependency=afterany:%lld", array);
    if (array >= 0) after = submit(options, merge);
    free(options);
    ok = after >= 0 || celslm_fail(err, NULL, 0,
                                   "sbatch did not take the job (its words are above); its "
                                   "options can be given with --time, --partition and --sbatch");
  }
  ok = ok && remember(s, array, after, err);
  if (ok)
    printf("submitted: job %lld with %lld tasks for %lld points, and job %lld that merges after "
           "it\nlook: celslm sweep ... --status; if anything is left undone: --slurm --resume\n",
           array, (long long)tasks, (long long)n, after);
  free(points);
  free(merge);
  free(share);
  return ok;
}

/* ---- looking --------------------------------------------------------------------------------- */

char *celslm_slurm_state(const celslm_study *s) {
  char *file = file_of(s, "slurm");
  FILE *f = fopen(file, "re");
  long long array = -1, merge = -1;
  if (!f || fscanf(f, "%lld %lld", &array, &merge) != 2) array = -1;
  if (f) fclose(f);
  free(file);
  if (array < 0) return NULL;
  char *command = celslm_format("squeue -h -r -j %lld,%lld -o %%T 2>/dev/null", array, merge);
  f = popen(command, "re");
  int running = 0, waiting = 0;
  char word[64];
  while (f && fscanf(f, "%63s", word) == 1)
    if (strcmp(word, "RUNNING") == 0 || strcmp(word, "COMPLETING") == 0 ||
        strcmp(word, "CONFIGURING") == 0)
      running++;
    else if (strncmp(word, "PENDING", 7) == 0 || strncmp(word, "REQUEUE", 7) == 0 ||
             strncmp(word, "SUSPEND", 7) == 0)
      waiting++;
  if (f) pclose(f);
  free(command);
  if (!running && !waiting) return NULL;
  return celslm_format("Slurm jobs %lld and %lld: %d running, %d waiting", array, merge, running,
                       waiting);
}
