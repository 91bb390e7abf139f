/* test_store.c - context stores by themselves: each policy against a naive one that looks at every
 * entry, and all of them against the bounds that know the future; the bounds against each other,
 * and against exhaustive search. */
#include "share/bound.h"
#include "share/store.h"

#include "support.h"

#include <gsl/gsl_rng.h>
#include <math.h>

static gsl_rng *dice;
static int any(int low, int high) {
  return low + (int)gsl_rng_uniform_int(dice, (unsigned long)(high - low + 1));
}

enum { MOST = 40, LAYERS = 4 };

/* A popularity that falls like 1/rank. */
static int zipf(int n) {
  double sum = 0, at;
  for (int i = 0; i < n; i++) sum += 1.0 / (i + 1);
  at = gsl_rng_uniform(dice) * sum;
  for (int i = 0; i < n; i++)
    if ((at -= 1.0 / (i + 1)) < 0) return i;
  return n - 1;
}

typedef struct setting {
  celslm_context_config contexts[MOST];
  celslm_scenario scenario;
  celslm_cache_config cache;
  double capacity;
} setting;

static setting draw_setting(bool alike, int eviction, int admission, bool partial) {
  setting s = {.cache = {.eviction = celslm_evictions[eviction],
                         .admission = celslm_admissions[admission],
                         .partial = partial}};
  s.scenario.n_contexts = any(4, MOST);
  double sum = 0;
  for (int i = 0; i < s.scenario.n_contexts; i++) {
    s.contexts[i].tokens = alike ? 100 : any(20, 400);
    sum += (double)s.contexts[i].tokens;
  }
  s.capacity = floor(sum * 8 * (0.1 + 0.7 * gsl_rng_uniform(dice)));
  return s;
}

static celslm_store *open_store(setting *s) {
  s->scenario.contexts = s->contexts;
  return celslm_store_new(&s->scenario, s->capacity, 8, LAYERS, &s->cache, (celslm_tier *[CELSLM_TIERS]){NULL});
}

/* Some take longer for their bytes than others. */
static celslm_ns load_time(int context, double bytes) {
  return (celslm_ns)(bytes * (1 + context % 3)) * 1000;
}

/* A request that is served at once: true if the context's KV was whole. */
static bool ask(celslm_store *st, int context, celslm_ns now) {
  celslm_entry *e = celslm_store_entry(st, context);
  celslm_store_request(st, e);
  if (e->residence == CELSLM_RESIDENT) {
    celslm_store_pin(st, e);
    celslm_store_unpin(st, e);
    return true;
  }
  if (!celslm_store_admits(st, e) || !celslm_store_claim(st, e)) return false;
  e->asked = now - load_time(context, e->bytes);
  celslm_store_loaded(st, e, now, true);
  return false;
}

static int kinds(const void *table) {
  int n = 0;
  for (const void *const *t = table; t[n];) n++;
  return n;
}

/* ---- against a naive one --------------------------------------------------------------------- */

typedef struct naive {
  double worth[MOST], fame[MOST], seconds[MOST];
  int held[MOST];
  int64_t last[MOST], clock;
  double age, used, loads, load_seconds, requests;
} naive;

static int naive_first(const naive *v, int n, int but) {
  int first = -1;
  for (int i = 0; i < n; i++) {
    if (!v->held[i] || i == but) continue;
    if (first < 0 || v->worth[i] < v->worth[first] ||
        (v->worth[i] == v->worth[first] && v->last[i] < v->last[first]))
      first = i;
  }
  return first;
}

static bool naive_ask(naive *v, const setting *s, int c) {
  int n = s->scenario.n_contexts;
  double size = 8 * (double)s->contexts[c].tokens, layer = size / LAYERS;
  v->fame[c]++;
  if (s->cache.admission->forgets && ++v->requests >= 10.0 * n) {
    v->requests = 0;
    for (int i = 0; i < n; i++) v->fame[i] = floor(v->fame[i] / 2);
  }
  bool hit = v->held[c] == LAYERS;
  if (!hit) {
    double need = size - layer * v->held[c];
    int first = v->used + need > s->capacity ? naive_first(v, n, -1) : -1;
    if (first != c && !s->cache.admission->admits(v->fame[c], first < 0 ? -1 : v->fame[first]))
      return false;
    if (size > s->capacity) return false;
    bool whole = !v->held[c];
    while (v->used + need > s->capacity) {
      int victim = naive_first(v, n, c);
      double its = 8 * (double)s->contexts[victim].tokens / LAYERS;
      double missing = v->used + need - s->capacity;
      int drop =
          s->cache.partial ? (int)fmin(ceil(missing / its), v->held[victim]) : v->held[victim];
      v->held[victim] -= drop;
      v->used -= drop * its;
      v->age = v->worth[victim];
    }
    v->used += need;
    v->held[c] = LAYERS;
    if (whole) {
      v->seconds[c] = celslm_seconds(load_time(c, size));
      v->loads++;
      v->load_seconds += v->seconds[c] / size;
    }
  }
  celslm_worth w = {.bytes = size,
                    .fame = v->fame[c],
                    .age = v->age,
                    .seconds = v->seconds[c] > 0 ? v->seconds[c] : 1};
  v->worth[c] = s->cache.eviction->worth ? s->cache.eviction->worth(&w) : 0;
  v->last[c] = ++v->clock;
  return hit;
}

START_TEST(test_policies_choose_as_a_naive_store_does) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int64_t hits = 0, evictions = 0, partial = 0;
  for (int k = 0; k < 480; k++) {
    gsl_rng_set(dice, (unsigned long)k + 1);
    setting s = draw_setting(any(0, 3) == 0, k % kinds(celslm_evictions),
                             k / 4 % kinds(celslm_admissions), k / 12 % 2);
    celslm_store *st = open_store(&s);
    naive v = {0};
    for (int i = 0; i < 400; i++) {
      int c = zipf(s.scenario.n_contexts);
      bool hit = ask(st, c, 1000000000 * (celslm_ns)(i + 1));
      ck_assert_msg(hit == naive_ask(&v, &s, c), "case %d (%s, %s), request %d", k,
                    s.cache.eviction->name, s.cache.admission->name, i);
      ck_assert_msg(celslm_store_used(st) == v.used,
                    "case %d (%s, %s, partial %d), request %d: %g B, not %g", k,
                    s.cache.eviction->name, s.cache.admission->name, s.cache.partial, i,
                    celslm_store_used(st), v.used);
      ck_assert(celslm_store_used(st) <= s.capacity);
      hits += hit;
    }
    for (int c = 0; c < s.scenario.n_contexts; c++) {
      const celslm_entry *e = celslm_store_entry(st, c);
      ck_assert_int_eq(e->held, v.held[c]);
      evictions += e->evictions;
      partial += e->partial_hits;
    }
    celslm_store_free(st);
  }
  ck_assert(hits > 10000 && evictions > 10000 && partial > 1000);
  gsl_rng_free(dice);
}
END_TEST

/* ---- against the future ---------------------------------------------------------------------- */

enum { REQUESTS = 600 };

START_TEST(test_no_policy_beats_the_bounds) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int evictions = kinds(celslm_evictions), admissions = kinds(celslm_admissions), reached = 0;
  for (int k = 0; k < 40; k++) {
    gsl_rng_set(dice, (unsigned long)k + 1);
    bool alike = k % 2 == 0;
    setting s = draw_setting(alike, 0, 0, false);
    int wanted[REQUESTS], n = s.scenario.n_contexts;
    double bytes[MOST];
    for (int i = 0; i < REQUESTS; i++) wanted[i] = any(0, 9) ? zipf(n) : i * 7 % n; /* with scans */
    for (int c = 0; c < n; c++) bytes[c] = 8 * (double)s.contexts[c].tokens;
    int64_t belady = celslm_bound_belady(wanted, REQUESTS, n, (int64_t)(s.capacity / bytes[0]));
    double whole = alike ? floor(s.capacity / bytes[0]) * bytes[0] : s.capacity;
    double flow = celslm_bound_flow(wanted, REQUESTS, bytes, NULL, n, whole, REQUESTS);
    double cut = celslm_bound_flow(wanted, REQUESTS, bytes, NULL, n, whole, 64);
    double by_bytes = celslm_bound_flow(wanted, REQUESTS, bytes, bytes, n, whole, REQUESTS);
    if (alike) {
      ck_assert_double_eq_tol(flow, (double)belady, 1e-6);
      ck_assert_double_eq_tol(by_bytes, (double)belady * bytes[0], 1e-2);
    }
    ck_assert(cut >= flow - 1e-6);
    double best = 0;
    for (int p = 0; p < evictions * admissions; p++) {
      s.cache.eviction = celslm_evictions[p % evictions];
      s.cache.admission = celslm_admissions[p / evictions];
      celslm_store *st = open_store(&s);
      double hits = 0, hit_bytes = 0;
      for (int i = 0; i < REQUESTS; i++)
        if (ask(st, wanted[i], 1000000000 * (celslm_ns)(i + 1)))
          hits++, hit_bytes += bytes[wanted[i]];
      celslm_store_free(st);
      ck_assert_msg(hits <= flow + 1e-6 && (!alike || hits <= (double)belady),
                    "case %d: %s with %s hits %g of at most %g", k, s.cache.eviction->name,
                    s.cache.admission->name, hits, flow);
      ck_assert(hit_bytes <= by_bytes + 1e-2);
      best = fmax(best, hits);
    }
    reached += best > 0.6 * flow;
  }
  ck_assert_int_ge(reached, 30); /* the bounds say something */
  gsl_rng_free(dice);
}
END_TEST

/* The best there is, by trying all: from request i on, with the contexts of `kept` in memory. */
static int most_hits(const int *wanted, int n, const double *bytes, double capacity, int i,
                     unsigned kept) {
  if (i == n) return 0;
  int hit = kept >> wanted[i] & 1, best = 0;
  unsigned all = kept | 1u << wanted[i];
  for (unsigned keep = all;; keep = (keep - 1) & all) { /* every subset */
    double size = 0;
    for (int c = 0; c < 5; c++) size += keep >> c & 1 ? bytes[c] : 0;
    if (size <= capacity) {
      int more = most_hits(wanted, n, bytes, capacity, i + 1, keep);
      best = more > best ? more : best;
    }
    if (!keep) break;
  }
  return hit + best;
}

START_TEST(test_bounds_against_exhaustive_search) {
  dice = gsl_rng_alloc(gsl_rng_mt19937);
  int tight = 0;
  for (int k = 0; k < 60; k++) {
    gsl_rng_set(dice, (unsigned long)k + 1);
    enum { N = 8 };
    int wanted[N];
    double bytes[5];
    bool alike = k % 2 == 0;
    for (int c = 0; c < 5; c++) bytes[c] = alike ? 10 : any(1, 10);
    for (int i = 0; i < N; i++) wanted[i] = any(0, 4);
    double capacity = alike ? 10.0 * any(1, 3) : any(4, 20);
    int best = most_hits(wanted, N, bytes, capacity, 0, 0);
    double flow = celslm_bound_flow(wanted, N, bytes, NULL, 5, capacity, N);
    ck_assert_msg(flow >= best - 1e-6, "case %d: the bound is %g, %d can be had", k, flow, best);
    if (alike) {
      ck_assert_int_eq(celslm_bound_belady(wanted, N, 5, (int64_t)(capacity / 10)), best);
      ck_assert_double_eq_tol(flow, best, 1e-6);
    }
    tight += flow < best + 1;
    double windows = celslm_bound_flow(wanted, N, bytes, NULL, 5, capacity, 3);
    ck_assert(windows >= flow - 1e-6);
  }
  ck_assert_int_ge(tight, 50);
  gsl_rng_free(dice);
}
END_TEST

/* ---- what is in use, what is out of date ----------------------------------------------------- */

START_TEST(test_pins_and_versions) {
  setting s = {.cache = {.eviction = celslm_evictions[0],
                         .admission = celslm_admissions[0],
                         .partial = true},
               .capacity = 2000};
  s.scenario.n_contexts = 3;
  for (int i = 0; i < 3; i++) s.contexts[i].tokens = 100; /* 800 B, a layer 200 */
  celslm_store *st = open_store(&s);
  celslm_entry *a = celslm_store_entry(st, 0), *b = celslm_store_entry(st, 1),
               *c = celslm_store_entry(st, 2);
  ask(st, 0, 1), ask(st, 1, 2), ask(st, 2, 3); /* 400 B free: a loses two layers */
  ck_assert(a->residence == CELSLM_ABSENT && a->held == 2 && b->held == 4 && c->held == 4);
  ck_assert_double_eq(celslm_store_used(st), 2000);
  celslm_store_pin(st, b);
  celslm_store_pin(st, c);
  ck_assert(!celslm_store_claim(st, a)); /* what is in use does not go */
  celslm_store_unpin(st, b);
  ck_assert(celslm_store_claim(st, a)); /* needs two layers, of b */
  ck_assert(a->stream.ready == 2 && b->held == 2);
  celslm_store_loaded(st, a, 9, false); /* what it had, it still has */
  ck_assert(a->held == 2 && a->residence == CELSLM_ABSENT);
  ck_assert_double_eq(celslm_store_used(st), 1600);
  celslm_store_invalidate(st, a);
  celslm_store_invalidate(st, c);
  ck_assert(a->held == 0 && c->held == 4 && c->doomed);
  celslm_store_unpin(st, c);
  ck_assert(c->held == 0 && c->residence == CELSLM_ABSENT);
  ck_assert_double_eq(celslm_store_used(st), 400);
  celslm_store_clear(st);
  ck_assert_double_eq(celslm_store_used(st), 0);
  celslm_store_free(st);
}
END_TEST

RUN_SUITE("store", test_policies_choose_as_a_naive_store_does, test_no_policy_beats_the_bounds,
          test_bounds_against_exhaustive_search, test_pins_and_versions)
