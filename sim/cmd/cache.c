/* cache.c - celslm cache: how often the context stores of a run hit, beside what stores that know
 * the future could have. */
#include "cmd/commands.h"
#include "cmd/figures.h"
#include "record/request.h"
#include "share/bound.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: celslm cache RESULTS.h5 [--window N]\n"
    "\n"
    "For each engine that keeps contexts: the share of its requests that found their context's KV\n"
    "there, or on its way for another (hits), and the most that any store of that size could have\n"
    "reached on the same requests (best). Where contexts are equally large that is Belady's rule;\n"
    "else the flow bound of Berger et al. (2018), which no store can beat but perhaps none "
    "reaches,\n"
    "over windows of N requests (default 1024). Bytes: the same, each request weighed by its KV.\n"
    "Contexts that came without a request (pushed, migrated, warm) are in no bound.\n";

enum { COLUMNS = 7 };
static const char *const request_columns[COLUMNS] = {
    "strategy", "engine", "context", "queued", "id", "context_source", "end"};

typedef struct request {
  double strategy, engine, queued, id;
  int context;
  bool hit;
} request;

static int in_order(const void *a, const void *b) {
  const request *x = a, *y = b;
  if (x->strategy != y->strategy) return x->strategy < y->strategy ? -1 : 1;
  if (x->engine != y->engine) return x->engine < y->engine ? -1 : 1;
  if (x->queued != y->queued) return x->queued < y->queued ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* Those that reached an engine with a context. */
static request *read_requests(celslm_reader *from, size_t *n, celslm_error *err) {
  double *c[COLUMNS] = {NULL};
  uint64_t rows = 0;
  bool ok = celslm_reader_rows(from, "requests", &rows, err);
  for (int i = 0; i < COLUMNS; i++)
    ok = ok && (c[i] = celslm_reader_column(from, "requests", request_columns[i], err));
  request *r = ok ? celslm_alloc(rows, sizeof *r) : NULL;
  *n = 0;
  for (uint64_t i = 0; ok && i < rows; i++) {
    if (isnan(c[3][i]) || c[2][i] >= UINT32_MAX || c[1][i] >= UINT32_MAX) continue;
    r[(*n)++] = (request){.strategy = c[0][i],
                          .engine = c[1][i],
                          .queued = c[3][i],
                          .id = c[4][i],
                          .context = (int)c[2][i],
                          .hit = c[5][i] == CELSLM_CONTEXT_HIT || c[5][i] == CELSLM_CONTEXT_JOINED};
  }
  for (int i = 0; i < COLUMNS; i++) free(c[i]);
  if (ok) qsort(r, *n, sizeof *r, in_order);
  return r;
}

typedef struct stores { /* the table /contexts */
  double *strategy, *engine, *context, *bytes, *capacity;
  uint64_t rows;
  char **strategies, **engines, **names;
} stores;

static void stores_clear(stores *s) {
  free(s->strategy), free(s->engine), free(s->context), free(s->bytes), free(s->capacity);
  celslm_names_free(s->strategies);
  celslm_names_free(s->engines);
  celslm_names_free(s->names);
}

static bool stores_read(celslm_reader *from, stores *s, celslm_error *err) {
  const char t[] = "contexts";
  return celslm_reader_rows(from, t, &s->rows, err) &&
         (s->strategy = celslm_reader_column(from, t, "strategy", err)) &&
         (s->engine = celslm_reader_column(from, t, "engine", err)) &&
         (s->context = celslm_reader_column(from, t, "context", err)) &&
         (s->bytes = celslm_reader_column(from, t, "bytes", err)) &&
         (s->capacity = celslm_reader_column(from, t, "capacity", err)) &&
         (s->strategies = celslm_reader_names(from, t, "strategy", err)) &&
         (s->engines = celslm_reader_names(from, t, "engine", err)) &&
         (s->names = celslm_reader_names(from, t, "context", err));
}

/* The row of an engine's context in /contexts; stores have all that they were asked for. */
static bool find_sizes(const stores *s, const request *r, double *bytes, int n_contexts,
                       double *capacity) {
  bool found = false;
  for (int c = 0; c < n_contexts; c++) bytes[c] = 0;
  for (uint64_t i = 0; i < s->rows; i++)
    if (s->strategy[i] == r->strategy && s->engine[i] == r->engine) {
      bytes[(int)s->context[i]] = s->bytes[i];
      *capacity = s->capacity[i];
      found = true;
    }
  return found;
}

static bool all_alike(const request *r, size_t n, const double *bytes) {
  for (size_t i = 1; i < n; i++)
    if (bytes[r[i].context] != bytes[r[0].context]) return false;
  return true;
}

static void print_store(const stores *s, const request *r, size_t n, const double *bytes,
                        int n_contexts, double capacity, size_t window) {
  int *wanted = celslm_alloc(n, sizeof *wanted);
  double hits = 0, hit_bytes = 0, all_bytes = 0;
  for (size_t i = 0; i < n; i++) {
    wanted[i] = r[i].context;
    hits += r[i].hit;
    hit_bytes += r[i].hit ? bytes[wanted[i]] : 0;
    all_bytes += bytes[wanted[i]];
  }
  bool alike = all_alike(r, n, bytes);
  double best, best_bytes;
  if (alike) {
    best = (double)celslm_bound_belady(wanted, n, n_contexts,
                                       (int64_t)floor(capacity / bytes[wanted[0]]));
    best_bytes = best * bytes[wanted[0]];
  } else {
    best = celslm_bound_flow(wanted, n, bytes, NULL, n_contexts, capacity, window);
    best_bytes = celslm_bound_flow(wanted, n, bytes, bytes, n_contexts, capacity, window);
  }
  double all = (double)n;
  printf("%-16s %-12s %9zu %9.3f GB %8.2f %% %8.2f %% %8.2f %% %8.2f %%  %s\n",
         s->strategies[(size_t)r->strategy], s->engines[(size_t)r->engine], n, capacity * 1e-9,
         100 * hits / all, 100 * best / all, 100 * hit_bytes / all_bytes,
         100 * best_bytes / all_bytes, alike ? "Belady" : "flow");
  free(wanted);
}

static bool print_stores(celslm_reader *from, size_t window, celslm_error *err) {
  stores s = {0};
  size_t n = 0;
  request *r = NULL;
  double *bytes = NULL;
  int n_contexts = 0;
  bool ok = stores_read(from, &s, err) && (r = read_requests(from, &n, err)), any = false;
  while (ok && s.names[n_contexts]) n_contexts++;
  if (ok) bytes = celslm_alloc((unsigned long)n_contexts, sizeof *bytes);
  for (size_t i = 0, end; ok && i < n; i = end) {
    for (end = i; end < n && r[end].strategy == r[i].strategy && r[end].engine == r[i].engine;)
      end++;
    double capacity;
    if (!find_sizes(&s, &r[i], bytes, n_contexts, &capacity)) continue;
    if (!any)
      printf("%-16s %-12s %9s %12s %10s %10s %10s %10s  %s\n", "strategy", "engine", "requests",
             "memory", "hits", "best", "bytes", "best", "bound");
    any = true;
    print_store(&s, r + i, end - i, bytes, n_contexts, capacity, window);
  }
  if (ok && !any) puts("no engine of this run kept contexts");
  free(r), free(bytes);
  stores_clear(&s);
  return ok;
}

int celslm_cmd_cache(int argc, char **argv) {
  const char *file = NULL, *window = NULL;
  celslm_error err = {0};
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      fputs(help, stdout);
      return 0;
    }
    if (celslm_option(argc, argv, &i, "--window", NULL, &window, &err)) {
      if (!window) return celslm_bad_input(&err);
    } else if (file || argv[i][0] == '-') {
      fprintf(stderr, "celslm: cache does not take \"%s\"; see celslm cache --help\n", argv[i]);
      return 2;
    } else {
      file = argv[i];
    }
  }
  char *end = NULL;
  long long n = window ? strtoll(window, &end, 10) : 1024;
  if (!file || n < 2 || n > 1000000 || (end && *end)) {
    fputs(file ? "celslm: cache --window is a whole number from 2 to 1000000\n"
               : "celslm: cache needs a results file; see celslm cache --help\n",
          stderr);
    return 2;
  }
  celslm_reader *from = celslm_reader_open(file, &err);
  bool ok = from && print_stores(from, (size_t)n, &err);
  celslm_reader_close(from);
  return ok ? 0 : celslm_bad_input(&err);
}
