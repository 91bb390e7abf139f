#include "study/study.h"

#include "base/version.h"

#include "study/carry_out.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- what decides the results ---------------------------------------------------------------- */

static char *identity_of(const celslm_study *s) {
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  const celslm_design *p = s->design;
  fprintf(f, "celslm study 1\nprogram %s %s\ncolumns", celslm_version, celslm_commit);
  for (size_t i = 0; i < celslm_summary_n_columns; i++)
    fprintf(f, " %s", celslm_summary_columns[i].name);
  fprintf(f, "\nrequests %s\nstep %s\nseed %llu\nreplications %lld\n",
          s->options->requests ? "yes" : "no", s->options->step ? "yes" : "no",
          (unsigned long long)p->seed, (long long)p->replications);
  for (int i = 0; i < p->n_axes; i++) {
    fprintf(f, "axis %s dimension %d select %s values", p->axes[i].name, p->dimension_of[i],
            p->axes[i].select);
    for (int k = 0; k < p->axes[i].n; k++) fprintf(f, " %s", p->axes[i].texts[k]);
    fputc('\n', f);
  }
  fprintf(f, "---- scenario\n%s\n---- platform\n%s\n", s->scenario->text,
          s->scenario->platform->text);
  for (int i = 0; i < s->scenario->platform->n_profiles; i++)
    fprintf(f, "---- profile %s\n%s\n", s->scenario->platform->profiles[i]->name,
            s->scenario->platform->profiles[i]->text);
  fclose(f);
  return text;
}

/* FNV-1a, 64 bits: against accidents. */
static uint64_t digest_of(const char *text) {
  uint64_t h = 14695981039346656037u;
  for (; *text; text++) h = (h ^ (unsigned char)*text) * 1099511628211u;
  return h;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* A scenario of the study: with the point's values, or the base (point -1). Takes the draft. */
static celslm_scenario *make(const celslm_study *s, celslm_draft *draft, int64_t point,
                             celslm_error *err) {
  const celslm_study_options *o = s->options;
  int n = 0, n_axes = point < 0 ? 0 : s->design->n_axes;
  char **own = point < 0 ? NULL : celslm_design_set(s->design, point);
  const char **set = celslm_alloc((unsigned long)(o->n_set + n_axes) + 1, sizeof *set);
  bool lend = point >= 0 && s->same_platform;
  for (int i = 0; i < o->n_set; i++) /* the platform that is lent has its changes already */
    if (!lend || strncmp(o->set[i], CELSLM_SET_PLATFORM, sizeof CELSLM_SET_PLATFORM - 1) != 0)
      set[n++] = o->set[i];
  for (int i = 0; i < n_axes; i++) set[n++] = own[i];
  uint64_t seed = point < 0 ? 0 : celslm_design_seed(s->design, point);
  celslm_scenario_options options = {.set = set,
                                     .n_set = n,
                                     .seed = point < 0 ? NULL : &seed,
                                     .platform = lend ? s->scenario->platform : NULL};
  celslm_scenario *made = celslm_draft_finish(draft, &options, err);
  celslm_design_free_set(s->design, own);
  free(set);
  return made;
}

static bool check_folder(const char *output, celslm_error *err) {
  const char *slash = strrchr(output, '/');
  char *folder =
      slash ? celslm_format("%.*s", (int)(slash - output) + 1, output) : celslm_strdup(".");
  bool ok = access(folder, W_OK | X_OK) == 0 ||
            celslm_fail(err, output, 0,
                        "the folder %s cannot be written to: %s; create it first, or choose "
                        "another with -o",
                        folder, strerror(errno));
  free(folder);
  return ok;
}

celslm_study *celslm_study_open(const celslm_study_options *o, celslm_error *err) {
  celslm_study *s = celslm_alloc(1, sizeof *s);
  s->options = o;
  celslm_draft *base = celslm_draft_open(o->scenario, err), *first = NULL;
  if (base) s->scenario = make(s, base, -1, err);
  if (s->scenario) s->design = celslm_design_new(s->scenario, &o->design, err);
  if (!s->design) goto failed;
  s->same_platform = true;
  for (int i = 0; i < s->design->n_axes; i++)
    s->same_platform &= strncmp(s->design->axes[i].select, CELSLM_SET_PLATFORM,
                                sizeof CELSLM_SET_PLATFORM - 1) != 0;
  s->output =
      o->output ? celslm_strdup(o->output) : celslm_format("results/%s.h5", s->scenario->name);
  s->folder = celslm_format("%s.points", s->output);
  s->log = celslm_format("%s.log", s->output);
  s->identity = identity_of(s);
  s->digest = digest_of(s->identity);
  if (!check_folder(s->output, err) || !(first = celslm_draft_open(o->scenario, err))) goto failed;
  celslm_scenario *checked = make(s, first, 0, err);
  celslm_scenario_free(checked);
  if (!checked || !(s->draft = celslm_draft_open(o->scenario, err))) goto failed;
  return s;
failed:
  celslm_study_close(s);
  return NULL;
}

void celslm_study_close(celslm_study *s) {
  if (!s) return;
  celslm_draft_free(s->draft);
  celslm_design_free(s->design);
  celslm_scenario_free(s->scenario);
  free(s->identity);
  free(s->output);
  free(s->folder);
  free(s->log);
  free(s);
}

/* ---- files ----------------------------------------------------------------------------------- */

char *celslm_study_point_file(const celslm_study *s, int64_t point, const char *kind) {
  return celslm_format("%s/%07lld.%s", s->folder, (long long)point, kind);
}

/* Writes a file whole or not at all. */
static bool write_whole(const char *file, const char *text, size_t size, celslm_error *err) {
  char host[64] = "";
  gethostname(host, sizeof host - 1);
  char *part = celslm_format("%s.%s.%d.part", file, host, (int)getpid());
  int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool ok = fd >= 0;
  for (size_t at = 0; ok && at < size;) {
    ssize_t n = write(fd, text + at, size - at);
    ok = n >= 0 || errno == EINTR;
    at += n > 0 ? (size_t)n : 0;
  }
  if (fd >= 0) ok = close(fd) == 0 && ok;
  ok = ok && rename(part, file) == 0;
  if (!ok) {
    celslm_fail(err, file, 0, "cannot be written: %s", strerror(errno));
    unlink(part);
  }
  free(part);
  return ok;
}

/* The whole of a small file; NULL if it cannot be read. */
static char *read_whole(const char *file) {
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  struct stat st;
  if (fd < 0) return NULL;
  char *text = NULL;
  size_t at = 0;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
    text = celslm_alloc((unsigned long)st.st_size + 1, 1);
    for (ssize_t n; at < (size_t)st.st_size; at += (size_t)n)
      if ((n = read(fd, text + at, (size_t)st.st_size - at)) <= 0) break;
  }
  close(fd);
  return text;
}

void celslm_study_log(const celslm_study *s, int64_t point, const char *what) {
  char host[64] = "", now[32];
  struct tm tm;
  time_t t = time(NULL);
  gethostname(host, sizeof host - 1);
  strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
  char *line =
      celslm_format("%s %s %d point %lld %s\n", now, host, (int)getpid(), (long long)point, what);
  int fd = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd >= 0) {
    ssize_t written = write(fd, line, strlen(line)); /* one write: lines of others stay whole */
    (void)written; /* a log that cannot be written stops nothing */
    close(fd);
  }
  free(line);
}

static bool ends_with(const char *name, const char *end) {
  size_t n = strlen(name), k = strlen(end);
  return n > k && strcmp(name + n - k, end) == 0;
}

/* Calls `visit` with each file of the folder. */
static void each_file(const celslm_study *s,
                      void (*visit)(const celslm_study *, const char *name, void *self),
                      void *self) {
  DIR *dir = opendir(s->folder);
  for (struct dirent *e; dir && (e = readdir(dir)) != NULL;)
    if (e->d_name[0] != '.') visit(s, e->d_name, self);
  if (dir) closedir(dir);
}

static void count_rows(const celslm_study *s, const char *name, void *self) {
  (void)s;
  *(long *)self += ends_with(name, ".row");
}

bool celslm_study_begin(celslm_study *s, celslm_fresh how, celslm_error *err) {
  char *file = celslm_format("%s/plan", s->folder), *there = read_whole(file);
  bool same = there && strcmp(there, s->identity) == 0, ok = true;
  long rows = 0;
  each_file(s, count_rows, &rows);
  if (how == CELSLM_FRESH && rows)
    ok = celslm_fail(err, s->output, 0,
                     "an unfinished study is there (%ld of %lld points in %s); add --resume to go "
                     "on with it, or remove that folder to begin anew",
                     rows, (long long)s->design->points, s->folder);
  else if (how != CELSLM_FRESH && there && !same)
    ok = celslm_fail(err, s->output, 0,
                     "the study in %s is another one: its scenario, platform, axes, options or "
                     "program differ; choose another -o, or remove that folder",
                     s->folder);
  else if (!same) {
    if (mkdir(s->folder, 0777) != 0 && errno != EEXIST)
      ok = celslm_fail(err, s->folder, 0, "cannot be created: %s", strerror(errno));
    ok = ok && write_whole(file, s->identity, strlen(s->identity), err);
  }
  free(there);
  free(file);
  return ok;
}

static void remove_file(const celslm_study *s, const char *name, void *self) {
  (void)self;
  if (s->options->requests && !ends_with(name, ".part")) return;
  char *file = celslm_format("%s/%s", s->folder, name);
  unlink(file);
  free(file);
}

void celslm_study_clean(const celslm_study *s) {
  each_file(s, remove_file, NULL);
  if (!s->options->requests) rmdir(s->folder);
}

/* ---- one point ------------------------------------------------------------------------------- */

/* The row file: a head that says for which study and point, the values column by column, "end".
 * Doubles as C99 hexadecimal: exact. */
static char *write_row(const celslm_study *s, int64_t point, int status, const celslm_error *why,
                       const celslm_summary_row *rows, size_t *size) {
  char *text = NULL;
  FILE *f = open_memstream(&text, size);
  fprintf(f, "celslm point %lld of %016llx status %d\n%s\n", (long long)point,
          (unsigned long long)s->digest, status, why->text);
  for (int i = 0; status == CELSLM_DONE && i < s->scenario->n_strategies; i++)
    for (size_t c = 0; c < celslm_summary_n_columns; c++) {
      const celslm_column *column = &celslm_summary_columns[c];
      const char *field = (const char *)&rows[i] + column->offset;
      if (column->type == CELSLM_F64)
        fprintf(f, "%a ", *(const double *)(const void *)field);
      else if (column->type == CELSLM_I64)
        fprintf(f, "%lld ", (long long)*(const int64_t *)(const void *)field);
      else if (column->type == CELSLM_U32)
        fprintf(f, "%u ", *(const uint32_t *)(const void *)field);
      else
        fprintf(f, "%u ", *(const uint8_t *)field);
    }
  fputs("end\n", f);
  fclose(f);
  return text;
}

static bool read_fields(const celslm_study *s, const char *at, celslm_summary_row *rows) {
  char *end;
  for (int i = 0; i < s->scenario->n_strategies; i++)
    for (size_t c = 0; c < celslm_summary_n_columns; c++, at = end) {
      const celslm_column *column = &celslm_summary_columns[c];
      char *field = (char *)&rows[i] + column->offset;
      if (column->type == CELSLM_F64)
        *(double *)(void *)field = strtod(at, &end);
      else if (column->type == CELSLM_I64)
        *(int64_t *)(void *)field = strtoll(at, &end, 10);
      else if (column->type == CELSLM_U32)
        *(uint32_t *)(void *)field = (uint32_t)strtoul(at, &end, 10);
      else
        *(uint8_t *)field = (uint8_t)strtoul(at, &end, 10);
      if (end == at) return false;
    }
  return strcmp(at, " end\n") == 0;
}

celslm_point celslm_study_read_point(const celslm_study *s, int64_t point) {
  celslm_point p = {.status = -1};
  char *file = celslm_study_point_file(s, point, "row"), *text = read_whole(file);
  long long number;
  unsigned long long digest;
  int status, head = 0;
  if (text &&
      sscanf(text, "celslm point %lld of %llx status %d%n", &number, &digest, &status, &head) ==
          3 &&
      number == point && digest == s->digest && text[head] == '\n') {
    const char *why = text + head + 1;
    size_t length = strcspn(why, "\n");
    if (status == CELSLM_DONE) {
      p.rows = celslm_alloc((unsigned long)s->scenario->n_strategies, sizeof *p.rows);
      if (why[length] && read_fields(s, why + length + 1, p.rows)) p.status = status;
    } else if (ends_with(why, "\nend\n")) {
      p.status = status;
      snprintf(p.err.text, sizeof p.err.text, "%.*s", (int)length, why);
    }
  }
  if (p.status != CELSLM_DONE) {
    free(p.rows);
    p.rows = NULL;
  }
  free(text);
  free(file);
  return p;
}

int *celslm_study_scan(const celslm_study *s) {
  int *status = celslm_alloc((unsigned long)s->design->points, sizeof *status);
  for (int64_t i = 0; i < s->design->points; i++) {
    celslm_point p = celslm_study_read_point(s, i);
    status[i] = p.status;
    free(p.rows);
  }
  return status;
}

/* Whole results are written on the node's own disk and moved over when complete. */
static bool move(const char *from, const char *to, celslm_error *err) {
  if (rename(from, to) == 0) return true;
  char *part = celslm_format("%s.part", to);
  int in = open(from, O_RDONLY | O_CLOEXEC),
      out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool ok = in >= 0 && out >= 0;
  char block[1 << 16];
  for (ssize_t n; ok && (n = read(in, block, sizeof block)) != 0;)
    for (ssize_t at = 0, k; ok && at < n; at += k)
      ok = (k = write(out, block + at, (size_t)(n - at))) > 0;
  if (in >= 0) close(in);
  if (out >= 0) ok = close(out) == 0 && ok;
  ok = ok && rename(part, to) == 0;
  if (!ok) celslm_fail(err, to, 0, "cannot be written: %s", strerror(errno));
  unlink(from);
  free(part);
  return ok;
}

static char *scratch_file(const celslm_study *s, int64_t point) {
  const char *folder = getenv("SLURM_JOB_ID") ? getenv("TMPDIR") : NULL;
  if (getenv("SLURM_JOB_ID") && !folder) folder = "/tmp";
  return folder ? celslm_format("%s/celslm-%d-%07lld.h5", folder, (int)getpid(), (long long)point)
                : celslm_format("%s/%07lld.h5.%d", s->folder, (long long)point, (int)getpid());
}

celslm_outcome celslm_study_run_point(celslm_study *s, int64_t point,
                                      const volatile sig_atomic_t *interrupt, celslm_error *err) {
  celslm_draft *draft = s->draft;
  s->draft = NULL;
  celslm_scenario *scenario = make(s, draft, point, err);
  celslm_outcome outcome = CELSLM_BAD_INPUT;
  celslm_summary_row *rows = NULL;
  if (scenario && scenario->n_strategies != s->scenario->n_strategies)
    celslm_fail(err, s->scenario->file, 0, "points of a study must have the same strategies");
  else if (scenario) {
    rows = celslm_alloc((unsigned long)scenario->n_strategies, sizeof *rows);
    char *file = s->options->requests ? scratch_file(s, point) : NULL;
    celslm_carry_out_options o = {
        .file = file, .jobs = 1, .step = s->options->step, .interrupt = interrupt};
    outcome = celslm_carry_out(scenario, &o, rows, err);
    if (file && outcome == CELSLM_DONE) {
      char *final = celslm_study_point_file(s, point, "h5");
      if (!move(file, final, err)) outcome = CELSLM_BAD_INPUT;
      free(final);
    }
    free(file);
  }
  if (outcome != CELSLM_INTERRUPTED) {
    size_t size;
    char *file = celslm_study_point_file(s, point, "row"),
         *text = write_row(s, point, outcome, err, rows, &size);
    if (!write_whole(file, text, size, err)) outcome = CELSLM_BAD_INPUT;
    free(text);
    free(file);
  }
  free(rows);
  celslm_scenario_free(scenario);
  return outcome;
}

/* ---- for people ------------------------------------------------------------------------------ */

/* As one word of a shell. */
static void quote(FILE *f, const char *text) {
  if (text[0] && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-_./=:@,+%") == strlen(text)) {
    fputs(text, f);
    return;
  }
  fputc('\'', f);
  for (; *text; text++)
    if (*text == '\'')
      fputs("'\\''", f);
    else
      fputc(*text, f);
  fputc('\'', f);
}

static void write_option(FILE *f, const char *option, const char *value) {
  fprintf(f, " %s ", option);
  quote(f, value);
}

char *celslm_study_sweep_command(const celslm_study *s) {
  const celslm_study_options *o = s->options;
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  fputs("sweep ", f);
  quote(f, o->scenario);
  write_option(f, "-o", s->output);
  for (int i = 0; i < o->n_set; i++) write_option(f, "--set", o->set[i]);
  for (int i = 0; i < o->design.n_axes; i++) write_option(f, "--axis", o->design.axes[i]);
  if (o->design.replications) fprintf(f, " --replications %lld", (long long)o->design.replications);
  if (o->design.trajectories) /* whatever is ranked, the points are the same */
    fprintf(f, " --rank ttft_mean --trajectories %lld", (long long)o->design.trajectories);
  if (o->design.samples)
    fprintf(f, " --rank ttft_mean --samples %lld", (long long)o->design.samples);
  if (o->requests) fputs(" --requests", f);
  if (o->step) fputs(" --step", f);
  fclose(f);
  return text;
}

char *celslm_study_command(const celslm_study *s, int64_t point) {
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  fputs("celslm run ", f);
  quote(f, s->options->scenario);
  for (int i = 0; i < s->options->n_set; i++) write_option(f, "--set", s->options->set[i]);
  char **set = celslm_design_set(s->design, point);
  for (int i = 0; i < s->design->n_axes; i++) write_option(f, "--set", set[i]);
  celslm_design_free_set(s->design, set);
  fprintf(f, " --seed %llu%s -o point%lld.h5",
          (unsigned long long)celslm_design_seed(s->design, point),
          s->options->step ? " --step" : "", (long long)point);
  fclose(f);
  return text;
}
