/* test_attention.c - attention at every level against the double-precision formula: prefill with
 * cached prefix, decode over ragged batches, shared context, merge of segments; thread counts;
 * reports. */
#include "kernels/kernel_test.h"

typedef struct problem {
  int kv_heads, q_heads, hd;
  int64_t n;        /* query tokens */
  int64_t length;   /* tokens in the cache */
  float *k, *v, *q; /* [length][kv_heads][hd], [n][q_heads][hd] */
  float *o, *lse, *want, *want_lse;
} problem;

static const int sizes[] = {32, 40, 64, 80, 96, 100, 128, 160, 256, 8, 33};

static problem make(int64_t n, int64_t length) {
  problem p = {.n = n, .length = length};
  p.kv_heads = (int)rng_int(1, 3);
  p.q_heads = p.kv_heads * (int)rng_int(1, 8);
  p.hd = sizes[rng_int(0, 10)];
  int64_t kvn = length * p.kv_heads * p.hd, qn = n * p.q_heads * p.hd;
  p.k = rng_floats(kvn + 1), p.v = rng_floats(kvn + 1), p.q = rng_floats(qn);
  p.o = rng_floats(qn), p.want = rng_floats(qn);
  p.lse = rng_floats(n * p.q_heads), p.want_lse = rng_floats(n * p.q_heads);
  return p;
}

static void drop(problem *p) {
  rng_free(p->k), rng_free(p->v), rng_free(p->q), rng_free(p->o), rng_free(p->want);
  rng_free(p->lse), rng_free(p->want_lse);
}

/* Tokens [first, last) of the problem in a cache; appended in two steps. */
static celslm_kv *fill_as(enum celslm_kdtype type, const problem *p, int64_t first, int64_t last) {
  int64_t row = p->kv_heads * p->hd, half = (last - first) / 2;
  celslm_kv *kv = celslm_kv_create(type, p->kv_heads, p->hd, last - first + 5);
  ck_assert_ptr_nonnull(kv);
  const float *k = p->k + first * row, *v = p->v + first * row;
  celslm_kv_append(kv, half, k, row, v, row);
  celslm_kv_append(kv, last - first - half, k + half * row, row, v + half * row, row);
  return kv;
}

static celslm_kv *fill(const problem *p, int64_t first, int64_t last) {
  return fill_as(CELSLM_K_F32, p, first, last);
}

/* The formula, in double: token i sees tokens [0, see + i) or [0, see). */
static void reference(problem *p, int64_t see, bool causal) {
  int group = p->q_heads / p->kv_heads;
  double *s = malloc((size_t)(p->length + 1) * sizeof *s);
  for (int64_t i = 0; i < p->n; i++)
    for (int h = 0; h < p->q_heads; h++) {
      int64_t at = i * p->q_heads + h, last = see + (causal ? i : 0);
      const float *q = p->q + at * p->hd;
      double top = -INFINITY, sum = 0;
      for (int64_t t = 0; t < last; t++) {
        const float *k = p->k + (t * p->kv_heads + h / group) * p->hd;
        s[t] = 0;
        for (int d = 0; d < p->hd; d++) s[t] += (double)q[d] * (double)k[d];
        s[t] /= sqrt(p->hd);
        top = fmax(top, s[t]);
      }
      for (int64_t t = 0; t < last; t++) sum += s[t] = exp(s[t] - top);
      for (int d = 0; d < p->hd; d++) {
        double x = 0;
        for (int64_t t = 0; t < last; t++)
          x += s[t] * (double)p->v[(t * p->kv_heads + h / group) * p->hd + d];
        p->want[at * p->hd + d] = last > 0 ? (float)(x / sum) : 0;
      }
      p->want_lse[at] = last > 0 ? (float)(top + log(sum)) : -INFINITY;
    }
  free(s);
}

static void compare(const problem *p, int level, const char *what) {
  double e = relative_error(p->n * p->q_heads * p->hd, p->o, p->want);
  ck_assert_msg(e < 2e-6, "%s, level %d: n %ld, length %ld, heads %d/%d, size %d: %g", what, level,
                (long)p->n, (long)p->length, p->q_heads, p->kv_heads, p->hd, e);
  int64_t i = 0,
          rows = p->n * p->q_heads; /* one assertion, not one a row: Check notes each in a file */
  while (i < rows && (p->lse[i] == p->want_lse[i] ||
                      fabsf(p->lse[i] - p->want_lse[i]) < 2e-6f * (1 + fabsf(p->want_lse[i]))))
    i++;
  ck_assert_msg(i == rows, "%s, level %d: lse %g, want %g", what, level, (double)p->lse[i],
                (double)p->want_lse[i]);
}

static bool all_finite(int64_t n, const float *x) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(x[i])) return false;
  return true;
}

START_TEST(prefill_matches_formula) {
  FOR_LEVELS(level) {
    rng_seed(3);
    for (int i = 0; i < ROUNDS(40); i++) {
      int64_t n = rng_int(1, i % 4 == 0 ? 150 : 40), cached = i % 3 ? rng_int(0, 400) : 0;
      problem p = make(n, n + cached);
      bool causal = i % 5 != 4;
      celslm_kv *kv = fill(&p, 0, p.length);
      reference(&p, causal ? cached + 1 : p.length, causal);
      celslm_attention_prefill(kv, p.q_heads, n, causal, p.q, p.o, p.lse);
      compare(&p, level, "prefill");
      celslm_kv_free(kv);
      drop(&p);
    }
  }
}
END_TEST

START_TEST(large_scores_do_not_overflow) {
  FOR_LEVELS(level) {
    rng_seed(4);
    problem p = make(20, 600);
    for (int64_t i = 0; i < p.n * p.q_heads * p.hd; i++) p.q[i] *= 300.0f;
    celslm_kv *kv = fill(&p, 0, p.length);
    celslm_attention_prefill(kv, p.q_heads, p.n, true, p.q, p.o, p.lse);
    ck_assert(all_finite(p.n * p.q_heads * p.hd, p.o));
    ck_assert(all_finite(p.n * p.q_heads, p.lse));
    celslm_kv_free(kv);
    drop(&p);
  }
}
END_TEST

START_TEST(shared_matches_formula) {
  FOR_LEVELS(level) {
    rng_seed(5);
    for (int i = 0; i < ROUNDS(30); i++) {
      problem p = make(rng_int(1, 60), i == 0 ? 0 : rng_int(1, i % 6 == 5 ? 2500 : 300));
      celslm_kv *kv = fill(&p, 0, p.length);
      reference(&p, p.length, false);
      celslm_attention_shared(kv, p.n, p.q_heads, p.q, p.o, p.lse);
      compare(&p, level, "shared");
      celslm_kv_free(kv);
      drop(&p);
    }
  }
}
END_TEST

START_TEST(decode_matches_formula) {
  FOR_LEVELS(level) {
    rng_seed(6);
    for (int i = 0; i < ROUNDS(25); i++) {
      int64_t batch = rng_int(1, 6);
      problem p = make(batch, i % 5 == 4 ? 3000 : 500);
      celslm_kv *kv[6];
      int64_t row = p.q_heads * p.hd;
      for (int64_t b = 0; b < batch; b++) {
        int64_t length = b == 3 ? 0 : rng_int(1, p.length);
        kv[b] = fill(&p, 0, length);
        problem one = p;
        one.n = 1, one.length = length;
        one.q += b * row, one.want += b * row, one.want_lse += b * p.q_heads;
        reference(&one, length, false);
      }
      celslm_attention_decode((const celslm_kv *const *)kv, batch, p.q_heads, p.q, p.o, p.lse);
      compare(&p, level, "decode");
      for (int64_t b = 0; b < batch; b++) celslm_kv_free(kv[b]);
      drop(&p);
    }
  }
}
END_TEST

/* Context and user segments merged = attention over both; in any order and grouping. */
START_TEST(merge_equals_concatenation) {
  FOR_LEVELS(level) {
    rng_seed(8);
    for (int i = 0; i < ROUNDS(30); i++) {
      problem p = make(rng_int(1, 5), rng_int(3, 600));
      int64_t rows = p.n * p.q_heads, cut1 = rng_int(0, p.length), cut2 = rng_int(cut1, p.length);
      int64_t cut[] = {0, cut1, cut2, p.length}, n = rows * p.hd;
      float *o[3], *lse[3];
      for (int s = 0; s < 3; s++) {
        celslm_kv *kv = fill(&p, cut[s], cut[s + 1]);
        o[s] = rng_floats(n), lse[s] = rng_floats(rows);
        celslm_attention_shared(kv, p.n, p.q_heads, p.q, o[s], lse[s]);
        celslm_kv_free(kv);
      }
      reference(&p, p.length, false);
      float *other = rng_floats(n), *other_lse = rng_floats(rows);
      celslm_attention_merge(rows, p.hd, o[0], lse[0], o[1], lse[1], p.o, p.lse);
      celslm_attention_merge(rows, p.hd, o[1], lse[1], o[0], lse[0], other, other_lse);
      ck_assert_mem_eq(p.o, other, (size_t)n * sizeof(float)); /* commutative: the same bits */
      ck_assert_mem_eq(p.lse, other_lse, (size_t)rows * sizeof(float));
      celslm_attention_merge(rows, p.hd, p.o, p.lse, o[2], lse[2], p.o, p.lse);
      double e = relative_error(n, p.o, p.want);
      ck_assert_msg(e < 1e-6, "level %d: merged and concatenated differ by %g", level, e);
      celslm_attention_merge(rows, p.hd, o[1], lse[1], o[2], lse[2], other, other_lse);
      celslm_attention_merge(rows, p.hd, o[0], lse[0], other, other_lse, other, other_lse);
      ck_assert_double_lt(relative_error(n, other, p.o), 1e-6); /* associative */
      rng_free(other), rng_free(other_lse);
      for (int s = 0; s < 3; s++) rng_free(o[s]), rng_free(lse[s]);
      drop(&p);
    }
  }
}
END_TEST

/* A merged step over a context and ragged caches: the formula over each concatenation; and, in all
 * precisions, what shared context, decode and union give one after the other. */
START_TEST(merged_step_matches_formula_and_parts) {
  static const int64_t contexts[] = {0, 31, 700, 2100};
  FOR_LEVELS(level) {
    rng_seed(16);
    for (int i = 0; i < ROUNDS(24); i++) {
      enum celslm_kdtype type = (enum celslm_kdtype)(i % 4);
      int64_t batch = rng_int(1, 12), context = contexts[rng_int(0, 3)];
      problem p = make(batch, context + (i % 6 == 5 ? 1500 : 200));
      celslm_kv *shared = fill_as(type, &p, 0, context), *kv[12];
      int64_t row = p.q_heads * p.hd, rows = batch * p.q_heads, n = rows * p.hd;
      for (int64_t b = 0; b < batch; b++) {
        int64_t own = b == 3 ? 0 : rng_int(1, p.length - context);
        kv[b] = fill_as(type, &p, context, context + own);
        problem one = p;
        one.n = 1, one.length = context + own;
        one.q += b * row, one.want += b * row, one.want_lse += b * p.q_heads;
        reference(&one, one.length, false);
      }
      const celslm_kv *const *own = (const celslm_kv *const *)kv;
      celslm_attention_merged(shared, own, batch, p.q_heads, p.q, p.o, p.lse);
      if (type == CELSLM_K_F32) compare(&p, level, "merged");
      float *a = rng_floats(n), *b = rng_floats(n), *la = rng_floats(rows), *lb = rng_floats(rows);
      celslm_attention_shared(shared, batch, p.q_heads, p.q, a, la);
      celslm_attention_decode(own, batch, p.q_heads, p.q, b, lb);
      celslm_attention_merge(rows, p.hd, a, la, b, lb, a, la);
      double e = relative_error(n, p.o, a);
      ck_assert_msg(e < 1e-6, "level %d, type %d: in one and in parts differ by %g", level, type,
                    e);
      celslm_threads_set(2);
      celslm_attention_merged(shared, own, batch, p.q_heads, p.q, b, NULL);
      celslm_threads_set(1);
      ck_assert_mem_eq(p.o, b, (size_t)n * sizeof *b);
      rng_free(a), rng_free(b), rng_free(la), rng_free(lb);
      celslm_kv_free(shared);
      for (int64_t j = 0; j < batch; j++) celslm_kv_free(kv[j]);
      drop(&p);
    }
  }
}
END_TEST

START_TEST(same_bits_at_any_thread_count) {
  FOR_LEVELS(level) {
    rng_seed(9);
    for (int i = 0; i < ROUNDS(16); i++) {
      problem p = make(i % 2 ? rng_int(1, 9) : rng_int(50, 300), rng_int(300, 2500));
      celslm_kv *kv = fill_as((enum celslm_kdtype)(i / 2 % 4), &p, 0, p.length);
      size_t bytes = (size_t)(p.n * p.q_heads * p.hd) * sizeof(float);
      celslm_threads_set(1);
      celslm_attention_prefill(kv, p.q_heads, p.n, true, p.q, p.o, p.lse);
      celslm_threads_set(2);
      celslm_attention_prefill(kv, p.q_heads, p.n, true, p.q, p.want, p.want_lse);
      ck_assert_mem_eq(p.o, p.want, bytes);
      celslm_attention_shared(kv, p.n, p.q_heads, p.q, p.want, p.want_lse);
      celslm_threads_set(1);
      celslm_attention_shared(kv, p.n, p.q_heads, p.q, p.o, p.lse);
      ck_assert_mem_eq(p.o, p.want, bytes);
      ck_assert_mem_eq(p.lse, p.want_lse, (size_t)(p.n * p.q_heads) * sizeof(float));
      celslm_kv_free(kv);
      drop(&p);
    }
  }
}
END_TEST

START_TEST(cache_reads_back_and_truncates) {
  rng_seed(10);
  problem p = make(1, 100);
  celslm_kv *kv = fill(&p, 0, 100);
  ck_assert_int_eq(celslm_kv_length(kv), 100);
  ck_assert_int_ge(celslm_kv_capacity(kv), 105);
  int64_t row = p.kv_heads * p.hd;
  float *k = rng_floats(40 * row), *v = rng_floats(40 * row);
  celslm_kv_read(kv, 50, 40, k, row, v, row);
  ck_assert_mem_eq(k, p.k + 50 * row, (size_t)(40 * row) * sizeof *k);
  ck_assert_mem_eq(v, p.v + 50 * row, (size_t)(40 * row) * sizeof *v);
  celslm_kv_truncate(kv, 37);
  p.length = 37;
  reference(&p, 37, false);
  const celslm_kv *one = kv;
  celslm_attention_decode(&one, 1, p.q_heads, p.q, p.o, p.lse);
  compare(&p, celslm_isa_get(), "after truncation");
  celslm_kv_free(kv);
  rng_free(k), rng_free(v);
  drop(&p);
}
END_TEST

/* The small types: attention over what the cache says it holds, which is near what was put in. */
static const enum celslm_kdtype small_types[] = {CELSLM_K_F16, CELSLM_K_BF16, CELSLM_K_I8};
static const double small_bounds[] = {0x1p-11, 0x1p-8,
                                      0}; /* per element; I8: of the largest, below */

/* Is what was read within the type's bound of what was put in? NaN is not. */
static bool holds_nearly(enum celslm_kdtype type, double bound, int64_t n, const float *read,
                         const float *put) {
  for (int64_t j = 0; j < n; j++) {
    double most = type == CELSLM_K_I8 ? 4.0 / 254 : bound * fabs((double)put[j]);
    if (!(fabs((double)read[j] - (double)put[j]) <= most + 1e-7)) return false;
  }
  return true;
}

START_TEST(small_types_match_formula) {
  enum celslm_kdtype type = small_types[_i];
  FOR_LEVELS(level) {
    rng_seed(14);
    for (int i = 0; i < ROUNDS(24); i++) {
      int64_t n = rng_int(1, i % 3 ? 6 : 90);
      problem p = make(n, n + rng_int(0, i % 8 == 7 ? 1500 : 200));
      int64_t row = p.kv_heads * p.hd, all = p.length * row;
      celslm_kv *kv = celslm_kv_create(type, p.kv_heads, p.hd, p.length);
      ck_assert_ptr_nonnull(kv);
      float *k = rng_floats(all + 1), *v = rng_floats(all + 1);
      celslm_kv_append(kv, 1, p.k, row, p.v, row);
      celslm_kv_append(kv, p.length - 1, p.k + row, row, p.v + row, row);
      celslm_kv_read(kv, 0, p.length, k, row, v, row);
      ck_assert(holds_nearly(type, small_bounds[_i], all, k, p.k));
      ck_assert(holds_nearly(type, small_bounds[_i], all, v, p.v));
      float *mine_k = p.k, *mine_v = p.v;
      p.k = k, p.v = v;
      reference(&p, p.length - n + 1, true);
      celslm_threads_set(1 + i % 2);
      celslm_attention_prefill(kv, p.q_heads, n, true, p.q, p.o, p.lse);
      compare(&p, level, celslm_kdtype_name(type));
      reference(&p, p.length, false);
      celslm_attention_shared(kv, n, p.q_heads, p.q, p.o, p.lse);
      celslm_threads_set(1);
      compare(&p, level, celslm_kdtype_name(type));
      celslm_kv_free(kv);
      rng_free(mine_k), rng_free(mine_v);
      drop(&p);
    }
  }
}
END_TEST

START_TEST(int8_cache_truncates_and_goes_on) {
  rng_seed(15);
  problem p = make(1, 100);
  int64_t row = p.kv_heads * p.hd;
  celslm_kv *a = celslm_kv_create(CELSLM_K_I8, p.kv_heads, p.hd, 100);
  celslm_kv *b = celslm_kv_create(CELSLM_K_I8, p.kv_heads, p.hd, 100);
  celslm_kv_append(a, 90, p.k, row, p.v, row);
  celslm_kv_truncate(a, 80); /* in the unfinished panel */
  celslm_kv_truncate(a, 64); /* at a panel's edge */
  celslm_kv_append(a, 36, p.k + 64 * row, row, p.v + 64 * row, row);
  celslm_kv_append(b, 100, p.k, row, p.v, row);
  float *k[2], *v[2];
  for (int i = 0; i < 2; i++) {
    k[i] = rng_floats(100 * row), v[i] = rng_floats(100 * row);
    celslm_kv_read(i ? b : a, 0, 100, k[i], row, v[i], row);
  }
  ck_assert_mem_eq(k[0], k[1], (size_t)(100 * row) * sizeof(float));
  ck_assert_mem_eq(v[0], v[1], (size_t)(100 * row) * sizeof(float));
  for (int i = 0; i < 2; i++) rng_free(k[i]), rng_free(v[i]);
  celslm_kv_free(a), celslm_kv_free(b);
  drop(&p);
}
END_TEST

/* F16 at its limits: caches with subnormal and with the largest numbers, with what overflowed and
 * with what is no number, in one step with ordinary ones; beside f32 caches of what they read back.
 */
START_TEST(f16_limits_are_those_of_what_is_stored) {
  FOR_LEVELS(level) {
    rng_seed(17);
    for (int i = 0; i < ROUNDS(12); i++) {
      problem p = make(3, rng_int(40, 300));
      int64_t row = p.kv_heads * p.hd, n = p.length * row, rows = p.n * p.q_heads;
      celslm_kv *half[3], *wide[3];
      float *k = rng_floats(n), *v = rng_floats(n);
      for (int c = 0; c < 3; c++) {
        for (int64_t j = 0; j < n; j++) {
          k[j] = c == 1 && j % 3 == 0 ? p.k[j] * 3e-7f : p.k[j];
          v[j] = c == 1 && j % 2 ? p.v[j] * 1e-6f : p.v[j];
        }
        if (c == 1) v[rng_int(0, n - 1)] = -65504.0f;
        if (c == 2 && i % 3 < 2) v[rng_int(0, n - 1)] = i % 3 ? 1e6f : NAN;
        if (c == 2 && i % 3 == 2) k[rng_int(0, n - 1)] = INFINITY;
        half[c] = celslm_kv_create(CELSLM_K_F16, p.kv_heads, p.hd, p.length);
        celslm_kv_append(half[c], p.length, k, row, v, row);
        celslm_kv_read(half[c], 0, p.length, k, row, v, row);
        wide[c] = celslm_kv_create(CELSLM_K_F32, p.kv_heads, p.hd, p.length);
        celslm_kv_append(wide[c], p.length, k, row, v, row);
      }
      celslm_attention_decode((const celslm_kv *const *)half, 3, p.q_heads, p.q, p.o, p.lse);
      celslm_attention_decode((const celslm_kv *const *)wide, 3, p.q_heads, p.q, p.want,
                              p.want_lse);
      for (int64_t r = 0; r < rows; r++) {
        const float *o = p.o + r * p.hd, *want = p.want + r * p.hd;
        float most = 0;
        for (int d = 0; d < p.hd; d++)
          if (isfinite(want[d])) most = fmaxf(most, fabsf(want[d]));
        int d = 0; /* not a number where that is none; infinite where it is; else near */
        while (d < p.hd && ((isnan(o[d]) && isnan(want[d])) || o[d] == want[d] ||
                            fabsf(o[d] - want[d]) <= 2e-6f * most))
          d++;
        ck_assert_msg(d == p.hd, "level %d, row %ld: %g, want %g", level, (long)r, (double)o[d],
                      (double)want[d]);
      }
      for (int c = 0; c < 3; c++) celslm_kv_free(half[c]), celslm_kv_free(wide[c]);
      rng_free(k), rng_free(v);
      drop(&p);
    }
  }
}
END_TEST

static void keep_report(void *user, const celslm_report *r) {
  *(celslm_report *)user = *r;
}

static void run_kind(int kind, const problem *p, celslm_kv *const *kv) {
  const celslm_kv *two[] = {kv[0], kv[1]};
  switch (kind) {
  case 0:
    celslm_attention_prefill(kv[0], p->q_heads, p->n, true, p->q, p->o, p->lse);
    return;
  case 1:
    celslm_attention_shared(kv[0], p->n, p->q_heads, p->q, p->o, NULL);
    return;
  case 2:
    celslm_attention_decode(two, 2, p->q_heads, p->q, p->o, p->lse);
    return;
  case 3:
    celslm_attention_merge(p->n * p->q_heads, p->hd, p->o, p->lse, p->want, p->want_lse, p->o,
                           p->lse);
    return;
  case 4:
    celslm_kv_truncate(kv[1], 0);
    celslm_kv_append(kv[1], p->length / 2, p->k, p->kv_heads * p->hd, p->v, p->kv_heads * p->hd);
    return;
  case 5:
    celslm_attention_merged(kv[0], (const celslm_kv *const[]){kv[1], kv[0]}, 2, p->q_heads, p->q,
                            p->o, p->lse);
    return;
  default:
    celslm_attention_prefill(kv[0], p->q_heads, p->n, false, p->q, p->o, p->lse);
    return;
  }
}

START_TEST(reports_equal_counted_work) {
  rng_seed(12);
  static const enum celslm_kop ops[] = {CELSLM_KOP_ATTN_PREFILL, CELSLM_KOP_ATTN_SHARED,
                                        CELSLM_KOP_ATTN_DECODE,  CELSLM_KOP_ATTN_MERGE,
                                        CELSLM_KOP_KV_APPEND,    CELSLM_KOP_ATTN_MERGED,
                                        CELSLM_KOP_ATTN_PREFILL};
  for (int i = 0; i < 56; i++) {
    int kind = i % 7;
    enum celslm_kdtype type = (enum celslm_kdtype)(i / 7 % 4);
    problem p = make(rng_int(2, 30), rng_int(30, 90));
    celslm_kv *kv[2] = {fill_as(type, &p, 0, p.length), fill_as(type, &p, 0, p.length / 2)};
    celslm_report fast, counted;
    celslm_set_hook(keep_report, &fast);
    run_kind(kind, &p, kv);
    celslm_set_hook(keep_report, &counted);
    celslm_set_counting(true);
    run_kind(kind, &p, kv);
    celslm_set_counting(false);
    celslm_set_hook(NULL, NULL);
    ck_assert_int_eq(fast.op, ops[kind]);
    ck_assert_int_eq(counted.op, ops[kind]);
    ck_assert_uint_eq(fast.work.flops, counted.work.flops);
    ck_assert_uint_eq(fast.work.weight_bytes, counted.work.weight_bytes);
    ck_assert_uint_eq(fast.work.activation_bytes, counted.work.activation_bytes);
    ck_assert_uint_eq(fast.work.kv_bytes, counted.work.kv_bytes);
    celslm_kv_free(kv[0]), celslm_kv_free(kv[1]);
    drop(&p);
  }
}
END_TEST

/* The same at the contexts that are shared in practice: 1k to 16k tokens and 70 of the user's. */
START_TEST(merge_holds_for_long_contexts) {
  static const int64_t contexts[] = {1024, 2048, 4096, 8192, 16384};
  enum { USER = 70 };
  rng_seed(9);
  for (int i = 0; i < 5; i++) {
    problem p = make(1, contexts[i] + USER);
    int64_t rows = p.q_heads, n = rows * p.hd;
    float *own = rng_floats(n), *own_lse = rng_floats(rows);
    reference(&p, p.length, false);
    FOR_LEVELS(level) {
      celslm_kv *context = fill(&p, 0, contexts[i]), *user = fill(&p, contexts[i], p.length);
      celslm_attention_shared(context, 1, p.q_heads, p.q, p.o, p.lse);
      celslm_attention_shared(user, 1, p.q_heads, p.q, own, own_lse);
      celslm_attention_merge(rows, p.hd, p.o, p.lse, own, own_lse, p.o, p.lse);
      double e = relative_error(n, p.o, p.want);
      ck_assert_msg(e < 1e-5, "level %d, %ld tokens: merged and concatenated differ by %g", level,
                    (long)contexts[i], e);
      celslm_kv_free(context), celslm_kv_free(user);
    }
    rng_free(own), rng_free(own_lse);
    drop(&p);
  }
}
END_TEST

int main(void) {
  Suite *s = suite_create("attention");
  TCase *t = tcase_create("attention");
  tcase_add_test(t, prefill_matches_formula);
  tcase_add_test(t, large_scores_do_not_overflow);
  tcase_add_test(t, shared_matches_formula);
  tcase_add_test(t, decode_matches_formula);
  tcase_add_test(t, merge_equals_concatenation);
  tcase_add_test(t, merge_holds_for_long_contexts);
  tcase_add_test(t, merged_step_matches_formula_and_parts);
  tcase_add_test(t, same_bits_at_any_thread_count);
  tcase_add_loop_test(t, small_types_match_formula, 0, 3);
  tcase_add_test(t, int8_cache_truncates_and_goes_on);
  tcase_add_test(t, f16_limits_are_those_of_what_is_stored);
  tcase_add_test(t, cache_reads_back_and_truncates);
  tcase_add_test(t, reports_equal_counted_work);
  suite_add_tcase(s, t);
  return run_suite(s);
}
