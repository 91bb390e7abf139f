/* attention.c - attention over the KV cache: who computes which rows over which tokens.
 *
 * The query rows of one KV head are all query heads of its group, token after token: row r is token
 * r / group, head r % group. Rows are cut into tiles, tokens into chunks of CELSLM_CHUNK, both by
 * the shape alone, so the result does not depend on who computes what. Few rows (decode) are split
 * over the tokens as well; the parts are merged in the order of the tokens.
 *
 * A merged step is such a split too: parts over the context, with the rows of all sequences, and
 * parts over each sequence's own cache. While the first compute, memory is idle: they ask for what
 * the others will read. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kv.h"
#include "kernels/mem.h"

enum {
  SPLIT_TOKENS = 1024, /* tokens of one part when rows are few */
  FEW_ROWS = 56,       /* up to here tokens are split */
  BLOCK_TILES = 36,    /* tiles that walk the same chunks together, at most */
  LINE = 64,           /* bytes of a cache line */
};

/* What is asked for meanwhile: of one head, the first chunk of keys and values of some caches. */
typedef struct ahead {
  const celslm_kv *const *kv;
  int64_t n;  /* caches left */
  int64_t at; /* bytes of the first that have been asked for, keys first */
} ahead;

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
  bool widen;     /* rows are many: chunks become f32 first */
  const float *q; /* [tokens][q_heads][head_dim] */
  ahead next;
} rows_job;

static int64_t tile_row(const rows_job *j, int64_t tile) {
  return j->rows * tile / j->tiles;
}

static const float *query(const rows_job *j, int64_t row) {
  return j->q +
         (row / j->group * j->q_heads + j->head * j->group + row % j->group) * j->kv->head_dim;
}

/* Are keys and values of this cache made f32 first? */
static bool widened(const rows_job *j) {
  return j->widen || j->kv->special;
}

/* Scratch of a thread; state of the rows of a job: m, l, o from its first row on. */
typedef struct scratch {
  float *q, *scores, *rows_q, *scaled, *k, *v;
  int *limit;
} scratch;

static scratch scratch_make(const celslm_kv *kv, int64_t rows, bool widen) {
  bool narrow = kv->dtype != CELSLM_K_F32, words = !widen && narrow;
  bool convert = narrow && (widen || kv->dtype == CELSLM_K_F16); /* which may be special */
  bool scales = words && kv->dtype == CELSLM_K_I8;
  size_t hd = (size_t)kv->head_dim, vd = (size_t)kv->value_dim;
  size_t qn = (size_t)round_up(rows * kv->head_dim, 16), sn = CELSLM_MAX_ROWS * CELSLM_CHUNK;
  size_t rn = words ? (size_t)rows * CELSLM_MAX_HEAD : 0;
  size_t xn = scales ? CELSLM_MAX_ROWS * CELSLM_MAX_HEAD : 0;
  size_t kn = convert ? CELSLM_CHUNK * hd : 0, vn = convert ? CELSLM_CHUNK * vd : 0;
  scratch s;
  s.q = celslm_mem_scratch((qn + sn + rn + xn + kn + vn + CELSLM_MAX_ROWS) * sizeof(float));
  s.scores = s.q + qn;
  s.rows_q = rn ? s.scores + sn : NULL;
  s.scaled = s.scores + sn + rn;
  s.k = s.scaled + xn;
  s.v = s.k + kn;
  s.limit = (int *)(void *)(s.v + vn);
  return s;
}

/* Queries of the job's tiles, each as [head_dim][rows], scaled so that scores are base-2 logs; and
 * if asked for one by one, as words take them, with zeroes up to a multiple of 16. */
static void gather_queries(const rows_job *j, float *out, float *rows_q) {
  int hd = j->kv->head_dim;
  float scale = (float)(1.4426950408889634 / sqrt(hd)), rows[CELSLM_MAX_ROWS * CELSLM_MAX_HEAD];
  for (int64_t t = j->tile0; t < j->tile1; t++) {
    int64_t r0 = tile_row(j, t), n = tile_row(j, t + 1) - r0;
    for (int64_t i = 0; i < n; i++) {
      const float *q = query(j, r0 + i);
      for (int d = 0; d < hd; d++) rows[i * hd + d] = q[d] * scale;
      if (!rows_q) continue;
      float more = j->kv->dtype == CELSLM_K_F16 ? CELSLM_F16_QUERY : 1;
      for (int d = 0; d < hd; d++) rows_q[d] = rows[i * hd + d] * more;
      for (int d = hd; d % 16; d++) rows_q[d] = 0;
      rows_q += CELSLM_MAX_HEAD;
    }
    j->isa->pack_rows((int)n, hd, rows, hd, out);
    out += n * hd;
  }
}

/* Asks for the beginning of what is read after the keys of a piece, its values, and of what comes
 * after those: the keys of the next. From memory, where the CPU meets each run of addresses anew,
 * decode was up to 15 % faster with it. */
static void ask_next(const celslm_kv_piece *p, int key_dim, bool more) {
  enum { BEGINNING = 4096 };
  const char *v = p->v, *k = p->k;
  k += (int64_t)p->tokens * key_dim * (int64_t)celslm_kdtype_size(p->type);
  for (int at = 0; at < BEGINNING; at += LINE) {
    __builtin_prefetch(v + at, 0, 2);
    if (more) __builtin_prefetch(k + at, 0, 2);
  }
}

/* A run of lines to ask for, at most `most`; returns how many. */
static int64_t ask_run(ahead *a, int head, int64_t most, const void **run) {
  while (a->n > 0) {
    const celslm_kv *kv = *a->kv;
    int tokens = (int)min_i64(CELSLM_CHUNK, kv->length);
    celslm_kv_piece p = celslm_kv_stored(kv, head, 0, tokens);
    int64_t size = (int64_t)celslm_kdtype_size(p.type);
    int64_t keys = round_up(p.tokens, CELSLM_PANEL) * kv->key_dim * size;
    int64_t values = (int64_t)p.tokens * kv->value_dim * size;
    if (a->at < keys + values) {
      bool k = a->at < keys;
      int64_t from = k ? a->at : a->at - keys, left = (k ? keys : values) - from;
      int64_t lines = min_i64((left + LINE - 1) / LINE, most);
      *run = (const char *)(k ? p.k : p.v) + from;
      a->at += min_i64(lines * LINE, left);
      return lines;
    }
    a->kv++, a->n--, a->at = 0;
  }
  return 0;
}

static void run_rows(const rows_job *j, scratch *s, float *m, float *l, float *o) {
  const celslm_kv *kv = j->kv;
  int hd = kv->head_dim, vd = kv->value_dim;
  ahead next = j->next;
  int64_t row0 = tile_row(j, j->tile0), rows = tile_row(j, j->tile1) - row0;
  /* A busy step asks for what it reads itself, up to a part's end and beyond. */
  bool busy = celslm_attn_busy(kv->dtype, (int)(rows / (j->tile1 - j->tile0)));
  gather_queries(j, s->q, s->rows_q);
  for (int64_t i = 0; i < rows; i++) {
    m[i] = -1e30f; /* finite: differences stay defined for rows that see nothing */
    l[i] = 0.0f;
  }
  memset(o, 0, (size_t)(rows * vd) * sizeof *o);
  int64_t most = j->causal ? j->see + (row0 + rows - 1) / j->group : j->see;
  int64_t last = min_i64(j->last, most);
  for (int64_t c = j->first, tokens; c < last; c += tokens) {
    int want = (int)min_i64(CELSLM_CHUNK, last - c);
    celslm_kv_piece p = widened(j) ? celslm_kv_widened(kv, j->head, c, want, s->k, s->v)
                                   : celslm_kv_stored(kv, j->head, c, want);
    tokens = p.tokens;
    if (!widened(j) && (c == j->first || !busy)) ask_next(&p, kv->key_dim, c + tokens < last);
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
      const void *run = NULL;
      int64_t lines = ask_run(&next, j->head, high / CELSLM_PANEL * hd, &run);
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
                               .rows_q = s->rows_q ? s->rows_q + at * CELSLM_MAX_HEAD : NULL,
                               .scaled = s->scaled,
                               .again = t > j->tile0,
                               .ahead = run,
                               .ahead_lines = lines};
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
    celslm_mem_scratch_free(state);
    celslm_mem_scratch_free(s.q);
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

/* A step of few rows: `n` problems, each with a cache of its own; and of a merged step the context
 * that all of them see first. */
typedef struct step {
  rows_job own; /* the first problem; `q`, `out`, `lse` of problem i start i * stride query
                   tokens further */
  const celslm_kv *const *kv; /* [n] */
  int64_t n, stride;
  const rows_job *context; /* of all rows, token i of its queries being problem i's; or NULL */
} step;

/* The state of some rows. */
typedef struct rows_state {
  float *m, *l, *o;
} rows_state;

/* Where that of a part's rows from `first` on lies: o [rows][vd], m [rows], l [rows]. */
static rows_state state_in(float *part, int vd, int64_t rows, int64_t first) {
  return (rows_state){part + rows * vd + first, part + rows * (vd + 1) + first, part + first * vd};
}

/* Numbers of parts, and where their states are. */
typedef struct plan {
  int heads;
  int64_t shared, splits; /* parts of the context, of a problem, in one head */
  int64_t parts;
  int64_t rows, shared_rows;
  int64_t row; /* floats of state */
  float *state, *shared_state;
} plan;

static int64_t split_count(int64_t tokens) {
  return max_i64((tokens + SPLIT_TOKENS - 1) / SPLIT_TOKENS, 1);
}

static plan make_plan(const step *s) {
  plan p = {.heads = s->own.kv->kv_heads, .rows = s->own.rows, .row = s->own.kv->value_dim + 2};
  for (int64_t i = 0; i < s->n; i++) p.splits = max_i64(p.splits, split_count(s->kv[i]->length));
  if (s->context) p.shared = split_count(s->context->kv->length), p.shared_rows = s->context->rows;
  p.parts = p.heads * (p.shared + s->n * p.splits);
  size_t own = (size_t)(p.heads * s->n * p.splits * p.rows * p.row);
  size_t shared = (size_t)(p.heads * p.shared * p.shared_rows * p.row);
  p.state = celslm_mem_scratch((own + shared) * sizeof(float));
  p.shared_state = p.state + own;
  return p;
}

static float *state_of(const plan *p, int64_t seq, int head, int64_t split) {
  return p->state + ((seq * p->heads + head) * p->splits + split) * p->rows * p->row;
}

static float *shared_state_of(const plan *p, int head, int64_t split) {
  return p->shared_state + (head * p->shared + split) * p->shared_rows * p->row;
}

static rows_job own_job(const step *s, int64_t seq, int head) {
  rows_job j = s->own;
  j.kv = s->kv[seq];
  j.head = head;
  j.q += seq * s->stride * j.q_heads * j.kv->head_dim;
  if (s->n > 1 || s->context) j.see = j.kv->length;
  return j;
}

/* Split `split` of a job, unless its cache is shorter than the longest. */
static void run_split(rows_job *j, int64_t split, float *part, scratch *room) {
  j->first = split * SPLIT_TOKENS;
  j->last = min_i64(j->first + SPLIT_TOKENS, j->kv->length);
  if (j->first >= j->kv->length && split > 0) return;
  rows_state to = state_in(part, j->kv->value_dim, j->rows, 0);
  run_rows(j, room, to.m, to.l, to.o);
}

static void run_own(const step *s, const plan *p, int64_t seq, int head, int64_t split,
                    scratch *room) {
  rows_job j = own_job(s, seq, head);
  run_split(&j, split, state_of(p, seq, head, split), room);
}

static void run_shared(const step *s, const plan *p, int head, int64_t split, scratch *room) {
  rows_job j = *s->context;
  j.head = head;
  int64_t first = s->n * split / p->shared, size = (int64_t)celslm_kdtype_size(j.kv->dtype);
  if (j.rows >= 8 * size) /* fewer rows keep the memory busy themselves */
    j.next = (ahead){.kv = s->kv + first, .n = s->n * (split + 1) / p->shared - first};
  run_split(&j, split, shared_state_of(p, head, split), room);
}

/* Part i. A merged step goes head by head, so that what its context's parts ask for is used next;
 * else cache by cache. */
static void run_part(const step *s, const plan *p, int64_t i, scratch *room) {
  if (!s->context) {
    int64_t of_cache = p->heads * p->splits, at = i % of_cache;
    run_own(s, p, i / of_cache, (int)(at / p->splits), at % p->splits, room);
    return;
  }
  int64_t of_head = p->shared + s->n * p->splits, at = i % of_head;
  int head = (int)(i / of_head);
  if (at < p->shared)
    run_shared(s, p, head, at, room);
  else
    run_own(s, p, (at - p->shared) / p->splits, head, (at - p->shared) % p->splits, room);
}

/* Rows [first, first + n) of `parts` parts of `rows` rows each are merged into `into`; NULL: into
 * the first part. Returns where they are. */
static rows_state merge_parts(int vd, int64_t rows, float *state, int64_t parts, int64_t first,
                              int64_t n, const rows_state *into) {
  rows_state to = into ? *into : state_in(state, vd, rows, first);
  for (int64_t p = into ? 0 : 1; p < parts; p++) {
    rows_state from = state_in(state + p * rows * (vd + 2), vd, rows, first);
    for (int64_t r = 0; r < n; r++)
      merge_part(vd, to.m + r, to.l + r, to.o + r * vd, from.m[r], from.l[r], from.o + r * vd);
  }
  return to;
}

static void finish_problem(const step *s, const plan *p, int64_t seq, int head, float *out,
                           float *lse) {
  rows_job j = own_job(s, seq, head);
  int vd = j.kv->value_dim;
  rows_state context, all;
  if (s->context)
    context = merge_parts(vd, p->shared_rows, shared_state_of(p, head, 0), p->shared, seq * j.rows,
                          j.rows, NULL);
  all = merge_parts(vd, j.rows, state_of(p, seq, head, 0), split_count(j.kv->length), 0, j.rows,
                    s->context ? &context : NULL);
  for (int64_t r = 0; r < j.rows; r++)
    write_row(&j, r, all.m[r], all.l[r], all.o + r * vd,
              out + seq * s->stride * j.q_heads * j.kv->head_dim,
              lse ? lse + seq * s->stride * j.q_heads : NULL);
}

static void run_few(const step *s, float *out, float *lse) {
  int threads = celslm_threads_get();
  plan p = make_plan(s);
#pragma omp parallel num_threads(threads) if (threads > 1)
  {
    scratch room = scratch_make(s->own.kv, max_i64(p.rows, p.shared_rows), false);
#pragma omp for schedule(dynamic, 1)
    for (int64_t i = 0; i < p.parts; i++) run_part(s, &p, i, &room);
#pragma omp for schedule(static)
    for (int64_t i = 0; i < s->n * p.heads; i++)
      finish_problem(s, &p, i / p.heads, (int)(i % p.heads), out, lse);
    celslm_mem_scratch_free(room.q);
  }
  celslm_mem_scratch_free(p.state);
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
  j.widen = j.rows > FEW_ROWS;
  bool narrow = !j.widen && kv->dtype != CELSLM_K_F32;
  int rows = narrow ? j.isa->narrow_rows : j.isa->attn_rows;
  j.tiles = (j.rows + rows - 1) / rows;
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
  if (op == CELSLM_KOP_ATTN_MERGED) r.work.flops += 3 * hd * heads * (uint64_t)m;
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
  celslm_mem_scratch_free(kvs);
  celslm_mem_scratch_free(pos);
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
  else if (!j.widen)
    run_few(&(step){.own = j, .kv = &kv, .n = 1}, o, lse);
  else
    run_many(j, o, lse);
  if (span.on) {
    uint64_t rows = (uint64_t)n, pairs = rows * (uint64_t)j.see;
    if (causal) pairs += rows * (rows - 1) / 2;
    report(span, CELSLM_KOP_ATTN_PREFILL, kv, n, kv->length, q_heads, pairs,
           celslm_kv_bytes(kv, kv->length), lse != NULL, celslm_counting() ? &counted : NULL);
  }
}

/* The two kinds of a decode step, unreported; return what they count, if anything. */
static celslm_work attend_own(const celslm_kv *const *kv, int64_t batch, int q_heads,
                              const float *q, float *o, float *lse) {
  rows_job j = make_job(kv[0], q_heads, 1, q);
  for (int64_t i = 1; i < batch; i++)
    if (!celslm_kv_alike(kv[i], kv[0]))
      celslm_misuse("attention_decode", "caches of one batch must be of one kind");
  if (!celslm_counting()) {
    run_few(&(step){.own = j, .kv = kv, .n = batch, .stride = 1}, o, lse);
    return (celslm_work){0};
  }
  int64_t *pos = celslm_mem_scratch((size_t)batch * sizeof *pos);
  for (int64_t i = 0; i < batch; i++) pos[i] = kv[i]->length;
  celslm_work counted = celslm_naive_attention(kv, pos, batch, q_heads, q, o, lse);
  celslm_mem_scratch_free(pos);
  return counted;
}

static celslm_work attend_shared(const celslm_kv *context, int64_t batch, int q_heads,
                                 const float *q, float *o, float *lse) {
  rows_job j = make_job(context, q_heads, batch, q);
  if (celslm_counting()) return naive(context, batch, j.see, false, q_heads, q, o, lse);
  if (!j.widen)
    run_few(&(step){.own = j, .kv = &context, .n = 1}, o, lse);
  else
    run_many(j, o, lse);
  return (celslm_work){0};
}

/* Query-key pairs of one query head, and bytes of keys and values, of a batch's own caches. */
static void sum_caches(const celslm_kv *const *kv, int64_t batch, uint64_t *pairs,
                       uint64_t *bytes) {
  for (int64_t i = 0; i < batch; i++) {
    *pairs += (uint64_t)kv[i]->length;
    *bytes += celslm_kv_bytes(kv[i], kv[i]->length);
  }
}

void celslm_attention_decode(const celslm_kv *const *kv, int64_t batch, int q_heads, const float *q,
                             float *o, float *lse) {
  if (batch < 1) return;
  celslm_span span = celslm_span_begin();
  celslm_work counted = attend_own(kv, batch, q_heads, q, o, lse);
  if (span.on) {
    uint64_t pairs = 0, bytes = 0;
    sum_caches(kv, batch, &pairs, &bytes);
    report(span, CELSLM_KOP_ATTN_DECODE, kv[0], batch, (int64_t)pairs, q_heads, pairs, bytes,
           lse != NULL, celslm_counting() ? &counted : NULL);
  }
}

void celslm_attention_shared(const celslm_kv *context, int64_t batch, int q_heads, const float *q,
                             float *o, float *lse) {
  if (batch < 1) return;
  celslm_span span = celslm_span_begin();
  celslm_work counted = attend_shared(context, batch, q_heads, q, o, lse);
  if (span.on)
    report(span, CELSLM_KOP_ATTN_SHARED, context, batch, context->length, q_heads,
           (uint64_t)(batch * context->length), celslm_kv_bytes(context, context->length),
           lse != NULL, celslm_counting() ? &counted : NULL);
}

/* A merged step by its parts, one after the other: many rows, which run in another way, or all
 * counted (the union in its own loop, as celslm_attention_merge does). */
static celslm_work merge_after(const celslm_kv *context, const celslm_kv *const *kv, int64_t batch,
                               int q_heads, const float *q, float *o, float *lse) {
  int hd = context->head_dim;
  int64_t rows = batch * q_heads;
  float *other = celslm_mem_scratch((size_t)(rows * (hd + 2)) * sizeof *other);
  float *own_lse = other + rows * hd, *other_lse = own_lse + rows;
  celslm_work a = attend_own(kv, batch, q_heads, q, o, own_lse);
  celslm_work b = attend_shared(context, batch, q_heads, q, other, other_lse);
  celslm_work counted = {.flops = a.flops + b.flops, .kv_bytes = a.kv_bytes + b.kv_bytes};
  celslm_merge_rows(rows, hd, other, other_lse, o, own_lse, o, lse ? lse : own_lse);
  for (int64_t i = 0; i < rows && celslm_counting(); i++) {
    for (int d = 0; d < hd; d++) {
      counted.flops += 3;
      counted.activation_bytes += 2 * sizeof(float);
    }
    counted.activation_bytes += lse ? sizeof *lse : 0;
  }
  celslm_mem_scratch_free(other);
  return counted;
}

void celslm_attention_merged(const celslm_kv *context, const celslm_kv *const *kv, int64_t batch,
                             int q_heads, const float *q, float *o, float *lse) {
  if (batch < 1) return;
  celslm_span span = celslm_span_begin();
  rows_job shared = make_job(context, q_heads, batch, q), own = make_job(kv[0], q_heads, 1, q);
  for (int64_t i = 0; i < batch; i++)
    if (!celslm_kv_alike(kv[i], context))
      celslm_misuse("attention_merged", "context and caches must be of one kind");
  celslm_work counted = {0};
  if (shared.widen || celslm_counting())
    counted = merge_after(context, kv, batch, q_heads, q, o, lse);
  else
    run_few(&(step){.own = own, .kv = kv, .n = batch, .stride = 1, .context = &shared}, o, lse);
  if (span.on) {
    uint64_t pairs = (uint64_t)(batch * context->length),
             bytes = celslm_kv_bytes(context, context->length);
    sum_caches(kv, batch, &pairs, &bytes);
    report(span, CELSLM_KOP_ATTN_MERGED, context, batch, (int64_t)pairs, q_heads, pairs, bytes,
           lse != NULL, celslm_counting() ? &counted : NULL);
  }
}
