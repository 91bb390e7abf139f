/* attention.c - attention over the KV cache: who computes which rows over which tokens.
 *
 * The query rows of one KV head are all query heads of its group, token after token: row r is token
 * r / group, head r % group. Rows are cut into tiles, tokens into chunks of CELSLM_CHUNK, both by
 * the shape alone, so the result does not depend on who computes what. Few rows (decode) are split
 * over the tokens as well; the parts are merged in the order of the tokens. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kv.h"
#include "kernels/mem.h"

enum {
  SPLIT_TOKENS = 1024, /* tokens of one part when rows are few */
  FEW_ROWS = 56,       /* up to here tokens are split */
  BLOCK_TILES = 36,    /* tiles that walk the same chunks together, at most */
};

/* The rows of one KV head of one problem, over tokens [first, last). */
typedef struct rows_job {
  const celslm_isa *isa;
  const celslm_kv *kv;
  int head, group, q_heads;
  int64_t rows;         /* of the whole problem */
  int64_t tile0, tile1; /* those done here, of `tiles` */
  int64_t tiles;
  int64_t see; /* tokens row 0 sees; later tokens one more each if causal */
  bool causal;
  int64_t first, last;
  bool widen;     /* chunks become f32 first: it pays where many tiles walk a chunk */
  const float *q; /* [tokens][q_heads][head_dim] */
} rows_job;

static int64_t tile_row(const rows_job *j, int64_t tile) {
  return j->rows * tile / j->tiles;
}

static const float *query(const rows_job *j, int64_t row) {
  return j->q +
         (row / j->group * j->q_heads + j->head * j->group + row % j->group) * j->kv->head_dim;
}

/* Scratch of a thread; state of the rows of a job: m, l, o from its first row on. */
typedef struct scratch {
  float *q, *scores, *scaled, *k, *v;
  int *limit;
} scratch;

static scratch scratch_make(const celslm_kv *kv, int64_t rows, bool widen) {
  bool convert = widen && kv->dtype != CELSLM_K_F32, scales = !widen && kv->dtype == CELSLM_K_I8;
  size_t hd = (size_t)kv->head_dim, vd = (size_t)kv->value_dim;
  size_t qn = (size_t)round_up(rows * kv->head_dim, 16), sn = CELSLM_MAX_ROWS * CELSLM_CHUNK;
  size_t xn = scales ? (CELSLM_MAX_ROWS * hd + 15) / 16 * 16 : 0;
  size_t kn = convert ? CELSLM_CHUNK * hd : 0, vn = convert ? CELSLM_CHUNK * vd : 0;
  scratch s;
  s.q = celslm_mem_scratch((qn + sn + xn + kn + vn + CELSLM_MAX_ROWS) * sizeof(float));
  s.scores = s.q + qn;
  s.scaled = s.scores + sn;
  s.k = s.scaled + xn;
  s.v = s.k + kn;
  s.limit = (int *)(void *)(s.v + vn);
  return s;
}

/* Queries of the job's tiles, each as [head_dim][rows], scaled so that scores are base-2 logs. */
static void gather_queries(const rows_job *j, float *out) {
  int hd = j->kv->head_dim;
  float scale = (float)(1.4426950408889634 / sqrt(hd)), rows[CELSLM_MAX_ROWS * CELSLM_MAX_HEAD];
  for (int64_t t = j->tile0; t < j->tile1; t++) {
    int64_t r0 = tile_row(j, t), n = tile_row(j, t + 1) - r0;
    for (int64_t i = 0; i < n; i++) {
      const float *q = query(j, r0 + i);
      for (int d = 0; d < hd; d++) rows[i * hd + d] = q[d] * scale;
    }
    j->isa->pack_rows((int)n, hd, rows, hd, out);
    out += n * hd;
  }
}

/* Asks for the beginning of what is read after the keys of a piece, its values, and of what comes
 * after those: the keys of the next. From memory, where the CPU meets each run of addresses anew,
 * decode was up to 15 % faster with it. */
static void ask_next(const celslm_kv_piece *p, int hd, bool more) {
  enum { BEGINNING = 4096, LINE = 64 };
  const char *v = p->v, *k = p->k;
  k += (int64_t)p->tokens * hd * (int64_t)celslm_kdtype_size(p->type);
  for (int at = 0; at < BEGINNING; at += LINE) {
    __builtin_prefetch(v + at, 0, 2);
    if (more) __builtin_prefetch(k + at, 0, 2);
  }
}

static void run_rows(const rows_job *j, scratch *s, float *m, float *l, float *o) {
  const celslm_kv *kv = j->kv;
  int hd = kv->head_dim, vd = kv->value_dim;
  int64_t row0 = tile_row(j, j->tile0), rows = tile_row(j, j->tile1) - row0;
  gather_queries(j, s->q);
  for (int64_t i = 0; i < rows; i++) {
    m[i] = -1e30f; /* finite: differences stay defined for rows that see nothing */
    l[i] = 0.0f;
  }
  memset(o, 0, (size_t)(rows * vd) * sizeof *o);
  int64_t most = j->causal ? j->see + (row0 + rows - 1) / j->group : j->see;
  int64_t last = min_i64(j->last, most);
  for (int64_t c = j->first, tokens; c < last; c += tokens) {
    int want = (int)min_i64(CELSLM_CHUNK, last - c);
    celslm_kv_piece p = j->widen ? celslm_kv_widened(kv, j->head, c, want, s->k, s->v)
                                 : celslm_kv_stored(kv, j->head, c, want);
    tokens = p.tokens;
    if (!j->widen) ask_next(&p, hd, c + tokens < last);
    for (int64_t t = j->tile0; t < j->tile1; t++) {
      int64_t r0 = tile_row(j, t), n = tile_row(j, t + 1) - r0, at = r0 - row0;
      int64_t high = 0;
      for (int64_t i = 0; i < n; i++) {
        int64_t see = j->see + (j->causal ? (r0 + i) / j->group : 0) - c;
        see = max_i64(min_i64(see, tokens), 0);
        s->limit[i] = (int)see;
        high = max_i64(high, see);
      }
      if (high == 0) continue;
      celslm_attn_tile tile = {.type = p.type,
                               .rows = (int)n,
                               .head_dim = hd,
                               .value_dim = vd,
                               .tokens = (int)high,
                               .q = s->q + at * hd,
                               .k = p.k,
                               .v = p.v,
                               .k_scale = p.k_scale,
                               .v_scale = p.v_scale,
                               .limit = s->limit,
                               .m = m + at,
                               .l = l + at,
                               .o = o + at * vd,
                               .scores = s->scores,
                               .scaled = s->scaled};
      j->isa->attention(&tile);
    }
  }
}

/* Normalises a row and writes it where its query stood. */
static void write_row(const rows_job *j, int64_t row, float m, float l, const float *o, float *out,
                      float *lse) {
  int hd = j->kv->head_dim;
  int64_t at = row / j->group * j->q_heads + j->head * j->group + row % j->group;
  float inverse = l > 0.0f ? 1.0f / l : 0.0f;
  for (int d = 0; d < hd; d++) out[at * hd + d] = o[d] * inverse;
  if (lse)
    lse[at] = l > 0.0f ? (float)(((double)m + log2((double)l)) * 0.6931471805599453) : -INFINITY;
}

/* Many rows: blocks of tiles, each over all tokens. */
static void run_many(rows_job base, float *out, float *lse) {
  base.widen = true;
  const celslm_kv *kv = base.kv;
  int threads = celslm_threads_get();
  /* How tiles are grouped changes no result, so it may depend on the thread count. */
  int64_t per = BLOCK_TILES;
  while (per > 4 && kv->kv_heads * ((base.tiles + per - 1) / per) < 3 * threads && threads > 1)
    per /= 2;
  int64_t blocks = (base.tiles + per - 1) / per, vd = kv->value_dim;
  int64_t most = per * CELSLM_MAX_ROWS;
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    scratch s = scratch_make(kv, most, base.widen);
    float *state = celslm_mem_scratch((size_t)(most * (vd + 2)) * sizeof *state);
    float *m = state + most * vd, *l = m + most;
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < kv->kv_heads * blocks; i++) {
      rows_job j = base;
      int64_t b = blocks - 1 - i % blocks; /* causal: the long ones first */
      j.head = (int)(i / blocks);
      j.tile0 = base.tiles * b / blocks;
      j.tile1 = base.tiles * (b + 1) / blocks;
      run_rows(&j, &s, m, l, state);
      int64_t r0 = tile_row(&j, j.tile0), r1 = tile_row(&j, j.tile1);
      for (int64_t r = r0; r < r1; r++)
        write_row(&j, r, m[r - r0], l[r - r0], state + (r - r0) * vd, out, lse);
    }
    free(state);
    free(s.q);
  }
}

/* Adds part b of a row to part a. */
static void merge_part(int vd, float *ma, float *la, float *oa, float mb, float lb,
                       const float *ob) {
  float m = *ma > mb ? *ma : mb, fa = exp2f(*ma - m), fb = exp2f(mb - m);
  for (int d = 0; d < vd; d++) oa[d] = oa[d] * fa + ob[d] * fb;
  *la = *la * fa + lb * fb;
  *ma = m;
}

/* Few rows in each of `n` problems: parts of SPLIT_TOKENS tokens, merged. `q`, `out`, `lse` of
 * problem i start i * step query tokens further. */
static void run_few(const rows_job *base, int64_t n, const celslm_kv *const *kvs, int64_t step,
                    float *out, float *lse) {
  int threads = celslm_threads_get(), heads = base->kv->kv_heads, hd = base->kv->head_dim;
  int64_t vd = base->kv->value_dim, rows = base->rows, longest = 0;
  for (int64_t i = 0; i < n; i++) longest = max_i64(longest, kvs[i]->length);
  int64_t splits = max_i64((longest + SPLIT_TOKENS - 1) / SPLIT_TOKENS, 1);
  int64_t row_floats = vd + 2, parts = n * heads * splits;
  float *state = celslm_mem_scratch((size_t)(parts * rows * row_floats) * sizeof *state);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    scratch s = scratch_make(base->kv, rows, false);
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < parts; i++) {
      rows_job j = *base;
      int64_t seq = i / (heads * splits), split = i % splits;
      j.kv = kvs[seq];
      j.head = (int)(i / splits % heads);
      j.q = base->q + seq * step * j.q_heads * hd;
      if (n > 1) j.see = j.kv->length;
      j.first = split * SPLIT_TOKENS;
      j.last = min_i64(j.first + SPLIT_TOKENS, j.kv->length);
      if (j.first >= j.kv->length && split > 0) continue; /* shorter than the longest */
      float *o = state + i * rows * row_floats, *m = o + rows * vd, *l = m + rows;
      run_rows(&j, &s, m, l, o);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n * heads; i++) {
      rows_job j = *base;
      int64_t seq = i / heads;
      j.kv = kvs[seq];
      j.head = (int)(i % heads);
      float *o = state + i * splits * rows * row_floats, *m = o + rows * vd, *l = m + rows;
      int64_t used = max_i64((j.kv->length + SPLIT_TOKENS - 1) / SPLIT_TOKENS, 1);
      for (int64_t p = 1; p < used; p++) {
        const float *po = o + p * rows * row_floats, *pm = po + rows * vd, *pl = pm + rows;
        for (int64_t r = 0; r < rows; r++)
          merge_part((int)vd, m + r, l + r, o + r * vd, pm[r], pl[r], po + r * vd);
      }
      for (int64_t r = 0; r < rows; r++)
        write_row(&j, r, m[r], l[r], o + r * vd, out + seq * step * j.q_heads * hd,
                  lse ? lse + seq * step * j.q_heads : NULL);
    }
    free(s.q);
  }
  free(state);
}

static rows_job make_job(const celslm_kv *kv, int q_heads, int64_t n, const float *q) {
  if (q_heads < 1 || q_heads % kv->kv_heads)
    celslm_misuse("attention", "kv_heads must divide q_heads");
  rows_job j = {.isa = celslm_isa_current(),
                .kv = kv,
                .group = q_heads / kv->kv_heads,
                .q_heads = q_heads,
                .q = q,
                .see = kv->length,
                .last = kv->length};
  j.rows = n * j.group;
  j.tiles = (j.rows + j.isa->attn_rows - 1) / j.isa->attn_rows;
  j.tile1 = j.tiles;
  return j;
}

/* What all kinds of attention report: pairs are query-key pairs of one query head. */
static void report(celslm_span span, enum celslm_kop op, const celslm_kv *kv, int64_t m, int64_t n,
                   int q_heads, uint64_t pairs, uint64_t kv_bytes, bool lse,
                   const celslm_work *counted) {
  celslm_report r = {.op = op,
                     .dtype = (int)kv->dtype,
                     .m = m,
                     .n = n,
                     .k = kv->head_dim,
                     .q_heads = q_heads,
                     .kv_heads = kv->kv_heads};
  uint64_t heads = (uint64_t)q_heads, hd = (uint64_t)kv->head_dim;
  r.work.flops = 4 * hd * heads * pairs;
  r.work.activation_bytes = 4 * (uint64_t)m * heads * (2 * hd + (lse ? 1 : 0));
  r.work.kv_bytes = kv_bytes;
  if (counted) r.work = *counted;
  celslm_span_end(span, &r);
}

/* The naive twin over rows that share a cache. */
static celslm_work naive(const celslm_kv *kv, int64_t n, int64_t see, bool causal, int q_heads,
                         const float *q, float *o, float *lse) {
  const celslm_kv **kvs = celslm_mem_scratch((size_t)n * sizeof *kvs);
  int64_t *pos = celslm_mem_scratch((size_t)n * sizeof *pos);
  for (int64_t i = 0; i < n; i++) {
    kvs[i] = kv;
    pos[i] = see + (causal ? i : 0);
  }
  celslm_work w = celslm_naive_attention(kvs, pos, n, q_heads, q, o, lse);
  free(kvs);
  free(pos);
  return w;
}

void celslm_attention_prefill(const celslm_kv *kv, int q_heads, int64_t n, bool causal,
                              const float *q, float *o, float *lse) {
  if (n < 0 || (causal && n > kv->length))
    celslm_misuse("attention_prefill", "append the new tokens first");
  if (n == 0) return;
  celslm_span span = celslm_span_begin();
  rows_job j = make_job(kv, q_heads, n, q);
  j.causal = causal;
  if (causal) j.see = kv->length - n + 1;
  celslm_work counted;
  if (celslm_counting())
    counted = naive(kv, n, j.see, causal, q_heads, q, o, lse);
  else if (j.rows <= FEW_ROWS)
    run_few(&j, 1, &kv, 0, o, lse);
  else
    run_many(j, o, lse);
  if (span.on) {
    uint64_t rows = (uint64_t)n, pairs = rows * (uint64_t)j.see;
    if (causal) pairs += rows * (rows - 1) / 2;
    report(span, CELSLM_KOP_ATTN_PREFILL, kv, n, kv->length, q_heads, pairs,
           celslm_kv_bytes(kv, kv->length), lse != NULL, celslm_counting() ? &counted : NULL);
  }
}

void celslm_attention_decode(const celslm_kv *const *kv, int64_t batch, int q_heads, const float *q,
                             float *o, float *lse) {
  if (batch < 1) return;
  celslm_span span = celslm_span_begin();
  rows_job j = make_job(kv[0], q_heads, 1, q);
  for (int64_t i = 1; i < batch; i++)
    if (kv[i]->kv_heads != kv[0]->kv_heads || kv[i]->head_dim != kv[0]->head_dim ||
        kv[i]->dtype != kv[0]->dtype)
      celslm_misuse("attention_decode", "caches of one batch must be of one kind");
  celslm_work counted;
  if (celslm_counting()) {
    int64_t *pos = celslm_mem_scratch((size_t)batch * sizeof *pos);
    for (int64_t i = 0; i < batch; i++) pos[i] = kv[i]->length;
    counted = celslm_naive_attention(kv, pos, batch, q_heads, q, o, lse);
    free(pos);
  } else {
    run_few(&j, batch, kv, 1, o, lse);
  }
  if (span.on) {
    uint64_t pairs = 0, bytes = 0;
    for (int64_t i = 0; i < batch; i++) {
      pairs += (uint64_t)kv[i]->length;
      bytes += celslm_kv_bytes(kv[i], kv[i]->length);
    }
    report(span, CELSLM_KOP_ATTN_DECODE, kv[0], batch, (int64_t)pairs, q_heads, pairs, bytes,
           lse != NULL, celslm_counting() ? &counted : NULL);
  }
}

void celslm_attention_shared(const celslm_kv *context, int64_t batch, int q_heads, const float *q,
                             float *o, float *lse) {
  if (batch < 1) return;
  celslm_span span = celslm_span_begin();
  rows_job j = make_job(context, q_heads, batch, q);
  celslm_work counted;
  if (celslm_counting())
    counted = naive(context, batch, j.see, false, q_heads, q, o, lse);
  else if (j.rows <= FEW_ROWS)
    run_few(&j, 1, &context, 0, o, lse);
  else
    run_many(j, o, lse);
  if (span.on)
    report(span, CELSLM_KOP_ATTN_SHARED, context, batch, context->length, q_heads,
           (uint64_t)(batch * context->length), celslm_kv_bytes(context, context->length),
           lse != NULL, celslm_counting() ? &counted : NULL);
}
