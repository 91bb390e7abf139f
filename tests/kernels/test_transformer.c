/* test_transformer.c - the assembled model: prefill equals token-by-token decoding, batches equal
 * single sequences, a shared context equals one long sequence, counted work equals reported work,
 * for both families; and a real checkpoint against a plain forward pass written here. */
#include <unistd.h>

#include "kernels/kernel_test.h"
#include "kernels/transformer.h"

static const celslm_transformer_shape llama = {
    CELSLM_FAMILY_LLAMA, 3, 64, 176, 8, 4, 97, 256, 1e-5f, 10000, CELSLM_ROPE_HALF};
static const celslm_transformer_shape opt = {
    CELSLM_FAMILY_OPT, 3, 96, 200, 6, 6, 101, 256, 1e-5f, 0, CELSLM_ROPE_HALF};

static celslm_transformer *make(int family) {
  celslm_transformer *t = celslm_transformer_random(family ? &opt : &llama, CELSLM_K_F32, 5);
  ck_assert_ptr_nonnull(t);
  return t;
}

enum { TOKENS = 70, VOCABULARY = 97 };

static void draw_tokens(int32_t *token, int n) {
  rng_seed(31);
  for (int i = 0; i < n; i++) token[i] = (int32_t)rng_int(0, VOCABULARY - 1);
}

START_TEST(prefill_equals_decoding) {
  FOR_LEVELS(level) {
    celslm_transformer *t = make(_i);
    int vocabulary = celslm_transformer_shape_of(t)->vocabulary;
    int32_t token[TOKENS];
    draw_tokens(token, TOKENS);
    float whole[128], step[128], parts[128];
    celslm_session *a = celslm_session_create(t, CELSLM_K_F32, TOKENS, NULL);
    celslm_session *b = celslm_session_create(t, CELSLM_K_F32, TOKENS, NULL);
    celslm_session *c = celslm_session_create(t, CELSLM_K_F32, TOKENS, NULL);
    celslm_transformer_forward(t, 1, &a, &(int64_t){TOKENS}, token, whole);
    for (int i = 0; i < TOKENS; i++)
      celslm_transformer_forward(t, 1, &b, &(int64_t){1}, token + i, step);
    celslm_transformer_forward(t, 1, &c, &(int64_t){33}, token, parts);
    celslm_transformer_forward(t, 1, &c, &(int64_t){TOKENS - 33}, token + 33, parts);
    ck_assert_int_eq(celslm_session_length(c), TOKENS);
    double e = relative_error(vocabulary, step, whole),
           f = relative_error(vocabulary, parts, whole);
    ck_assert_msg(e < 1e-5 && f < 1e-5, "level %d: %g, %g", level, e, f);
    celslm_session_free(a), celslm_session_free(b), celslm_session_free(c);
    celslm_transformer_free(t);
  }
}
END_TEST

/* Two users on one context, prefilled and decoded in one batch with a third sequence without it. */
START_TEST(shared_context_equals_one_sequence) {
  FOR_LEVELS(level) {
    celslm_transformer *t = make(_i);
    int vocabulary = celslm_transformer_shape_of(t)->vocabulary;
    int32_t token[TOKENS], batch[64];
    draw_tokens(token, TOKENS);
    enum { CONTEXT = 40, USER1 = 7, USER2 = 12, ALONE = 20 };
    celslm_session *context = celslm_session_create(t, CELSLM_K_F32, CONTEXT, NULL);
    float logits[3 * 128], want[3 * 128];
    celslm_transformer_forward(t, 1, &context, &(int64_t){CONTEXT}, token, logits);
    celslm_session *s[3] = {celslm_session_create(t, CELSLM_K_F32, 30, context),
                            celslm_session_create(t, CELSLM_K_F32, 30, context),
                            celslm_session_create(t, CELSLM_K_F32, 30, NULL)};
    const int64_t count[] = {USER1, USER2, ALONE}, ones[] = {1, 1, 1};
    memcpy(batch, token + CONTEXT, USER1 * sizeof *batch);
    memcpy(batch + USER1, token + CONTEXT + 9, USER2 * sizeof *batch);
    memcpy(batch + USER1 + USER2, token + 3, ALONE * sizeof *batch);
    celslm_transformer_forward(t, 3, s, count, batch, logits);
    int32_t next[3] = {11, 22, 33};
    celslm_transformer_forward(t, 3, s, ones, next, logits);
    for (int i = 0, at = 0; i < 3; at += (int)count[i++]) {
      celslm_session *one = celslm_session_create(t, CELSLM_K_F32, 100, NULL);
      float *w = want + i * vocabulary;
      if (i < 2) celslm_transformer_forward(t, 1, &one, &(int64_t){CONTEXT}, token, w);
      celslm_transformer_forward(t, 1, &one, &count[i], batch + at, w);
      celslm_transformer_forward(t, 1, &one, ones, next + i, w);
      ck_assert_int_eq(celslm_session_length(one), celslm_session_length(s[i]));
      celslm_session_free(one);
    }
    double e = relative_error(3 * vocabulary, logits, want);
    ck_assert_msg(e < 1e-5, "level %d: %g", level, e);
    for (int i = 0; i < 3; i++) celslm_session_free(s[i]);
    celslm_session_free(context);
    celslm_transformer_free(t);
  }
}
END_TEST

typedef struct list {
  int n;
  celslm_report r[256];
} list;

static void add_report(void *user, const celslm_report *r) {
  list *l = user;
  ck_assert_int_lt(l->n, 256);
  l->r[l->n++] = *r;
}

static void record(list *l, bool counting, int family) {
  celslm_transformer *t = make(family);
  celslm_session *context = celslm_session_create(t, CELSLM_K_F32, 40, NULL);
  celslm_session *s[2] = {celslm_session_create(t, CELSLM_K_F32, 40, context),
                          celslm_session_create(t, CELSLM_K_F32, 40, NULL)};
  int32_t token[TOKENS];
  float logits[2 * 128];
  draw_tokens(token, TOKENS);
  l->n = 0;
  celslm_set_hook(add_report, l);
  celslm_set_counting(counting);
  celslm_transformer_forward(t, 1, &context, &(int64_t){21}, token, logits);
  celslm_transformer_forward(t, 2, s, (int64_t[]){5, 1}, token, logits);
  celslm_transformer_forward(t, 2, s, (int64_t[]){1, 1}, token, logits);
  celslm_set_counting(false);
  celslm_set_hook(NULL, NULL);
  celslm_session_free(s[0]), celslm_session_free(s[1]), celslm_session_free(context);
  celslm_transformer_free(t);
}

START_TEST(reports_equal_counted_work) {
  static list fast, counted;
  record(&fast, false, _i);
  record(&counted, true, _i);
  ck_assert_int_gt(fast.n, 60);
  ck_assert_int_eq(fast.n, counted.n);
  for (int i = 0; i < fast.n; i++) {
    ck_assert_int_eq(fast.r[i].op, counted.r[i].op);
    ck_assert_msg(memcmp(&fast.r[i].work, &counted.r[i].work, sizeof fast.r[i].work) == 0,
                  "call %d, %s: work differs", i, celslm_kop_name(fast.r[i].op));
  }
}
END_TEST

/* ---- a plain Llama in double, straight from the checkpoint's floats -------------------------- */

typedef struct plain {
  int dim, hidden, layers, heads, kv_heads, vocabulary, max;
  const float *emb, *norm1, *wq, *wk, *wv, *wo, *norm2, *w1, *w2, *w3, *norm;
} plain;

static void multiply(double *y, const double *x, const float *w, int n, int k) {
  for (int i = 0; i < n; i++) {
    y[i] = 0;
    for (int j = 0; j < k; j++) y[i] += (double)w[i * k + j] * x[j];
  }
}

static void rms(double *y, const double *x, const float *w, int n) {
  double s = 0;
  for (int i = 0; i < n; i++) s += x[i] * x[i];
  for (int i = 0; i < n; i++) y[i] = x[i] / sqrt(s / n + 1e-5) * (double)w[i];
}

/* Logits after the last of n tokens; kc, vc [layers][n][kv]. */
static void plain_forward(const plain *p, const int32_t *token, int n, double *logits, double *kc,
                          double *vc) {
  int d = p->dim, hd = d / p->heads, kv = hd * p->kv_heads, f = p->hidden;
  double *x = calloc((size_t)(6 * d + 2 * f + n), sizeof *x), *y = x + d, *q = y + d, *o = q + d,
         *t = o + d, *a = t + d, *b = a + f, *s = b + f;
  for (int pos = 0; pos < n; pos++) {
    for (int i = 0; i < d; i++) x[i] = (double)p->emb[token[pos] * d + i];
    for (int l = 0; l < p->layers; l++) {
      double *k = kc + (l * n + pos) * kv, *v = vc + (l * n + pos) * kv;
      rms(y, x, p->norm1 + l * d, d);
      multiply(q, y, p->wq + l * d * d, d, d);
      multiply(k, y, p->wk + l * kv * d, kv, d);
      multiply(v, y, p->wv + l * kv * d, kv, d);
      for (int i = 0; i < d; i += 2) {
        double angle = pos * pow(10000, -(double)(i % hd) / hd), c = cos(angle), e = sin(angle);
        double *rows[] = {q, k};
        for (int r = 0; r < (i < kv ? 2 : 1); r++) {
          double u = rows[r][i], w = rows[r][i + 1];
          rows[r][i] = u * c - w * e;
          rows[r][i + 1] = u * e + w * c;
        }
      }
      for (int h = 0; h < p->heads; h++) {
        int at = h / (p->heads / p->kv_heads) * hd;
        double sum = 0;
        for (int j = 0; j <= pos; j++) {
          s[j] = 0;
          for (int i = 0; i < hd; i++) s[j] += q[h * hd + i] * kc[(l * n + j) * kv + at + i];
          sum += s[j] = exp(s[j] / sqrt(hd));
        }
        for (int i = 0; i < hd; i++) {
          o[h * hd + i] = 0;
          for (int j = 0; j <= pos; j++)
            o[h * hd + i] += s[j] / sum * vc[(l * n + j) * kv + at + i];
        }
      }
      multiply(t, o, p->wo + l * d * d, d, d);
      for (int i = 0; i < d; i++) x[i] += t[i];
      rms(y, x, p->norm2 + l * d, d);
      multiply(a, y, p->w1 + l * f * d, f, d);
      multiply(b, y, p->w3 + l * f * d, f, d);
      for (int i = 0; i < f; i++) a[i] = a[i] / (1 + exp(-a[i])) * b[i];
      multiply(t, a, p->w2 + l * d * f, d, f);
      for (int i = 0; i < d; i++) x[i] += t[i];
    }
  }
  rms(y, x, p->norm, d);
  multiply(logits, y, p->emb, p->vocabulary, d);
  free(x);
}

static char *checkpoint(void) {
  static char path[1024];
  const char *dir = getenv("CELSLM_DATA");
  if (dir)
    snprintf(path, sizeof path, "%s/models/stories260K.bin", dir);
  else
    snprintf(path, sizeof path, "%s/../shared/data/models/stories260K.bin", CELSLM_SOURCE_DIR);
  if (access(path, R_OK) == 0) return path;
  printf("%s is not there: skipped (CELSLM_DATA names the directory)\n", path);
  return NULL;
}

START_TEST(checkpoint_matches_plain_forward) {
  enum { N = 40, MOST = 1 << 21 };
  char *path = checkpoint(), why[256];
  if (!path) return;
  FILE *f = fopen(path, "rb");
  int32_t h[7];
  float *w = calloc(MOST, sizeof *w);
  ck_assert_uint_eq(fread(h, sizeof *h, 7, f), 7);
  ck_assert_uint_gt(fread(w, sizeof *w, MOST, f), 200000);
  fclose(f);
  plain p = {h[0], h[1], h[2], h[3], h[4], h[5], h[6], w, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  ck_assert_int_gt(h[5], 0);
  int d = p.dim, kv = d / p.heads * p.kv_heads, l = p.layers;
  const float *at = w + p.vocabulary * d;
  p.norm1 = at, at += l * d;
  p.wq = at, at += l * d * d;
  p.wk = at, at += l * kv * d;
  p.wv = at, at += l * kv * d;
  p.wo = at, at += l * d * d;
  p.norm2 = at, at += l * d;
  p.w1 = at, at += l * p.hidden * d;
  p.w2 = at, at += l * p.hidden * d;
  p.w3 = at, at += l * p.hidden * d;
  p.norm = at;
  int32_t token[N] = {1};
  float *want = calloc((size_t)p.vocabulary, sizeof *want);
  double *logits = calloc((size_t)p.vocabulary, sizeof *logits);
  double *kc = calloc((size_t)(2 * l * N * kv), sizeof *kc);
  FOR_LEVELS(level) {
    celslm_transformer *t = celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why);
    ck_assert_msg(t != NULL, "%s", why);
    celslm_session *s = celslm_session_create(t, CELSLM_K_F32, N, NULL);
    float *mine = calloc((size_t)p.vocabulary, sizeof *mine);
    for (int i = 0; i < N; i++) { /* greedy: a story; then the last step against the plain one */
      celslm_transformer_forward(t, 1, &s, &(int64_t){1}, token + i, mine);
      if (i + 1 < N) token[i + 1] = celslm_sample(p.vocabulary, mine, 0, 0, 0);
    }
    plain_forward(&p, token, N, logits, kc, kc + l * N * kv);
    for (int i = 0; i < p.vocabulary; i++) want[i] = (float)logits[i];
    double e = relative_error(p.vocabulary, mine, want);
    ck_assert_msg(e < 1e-5, "level %d: %g", level, e);
    ck_assert_int_eq(token[1], 403); /* "Once", how nearly all its stories begin */
    free(mine);
    celslm_session_free(s);
    celslm_transformer_free(t);
  }
  free(want), free(logits), free(kc), free(w);
}
END_TEST

START_TEST(bad_checkpoints_are_refused) {
  char path[] = "/tmp/celslm-test-XXXXXX", why[256];
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  ck_assert_ptr_null(celslm_transformer_load("/nowhere/at/all", CELSLM_K_F32, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "No such file"));
  ck_assert_ptr_null(celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why));
  const int32_t cases[][7] = {{64, 172, 5, 8, 4, 512, 512}, /* nothing follows */
                              {64, 172, 5, 7, 4, 512, 512}, {-1, 172, 5, 8, 4, 512, 512},
                              {64, 172, 5, 8, 3, 512, 512}, {64, 172, 5, 8, 4, INT32_MIN, 512},
                              {64, 172, 0, 8, 4, 512, 512}, {64, 172, 5, 0, 0, 512, 512}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ck_assert_int_eq(pwrite(fd, cases[i], sizeof cases[i], 0), sizeof cases[i]);
    ck_assert_ptr_null(celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why));
    ck_assert_int_gt((int)strlen(why), (int)strlen(path));
  }
  close(fd);
  unlink(path);
}
END_TEST

int main(void) {
  Suite *s = suite_create("transformer");
  TCase *t = tcase_create("transformer");
  tcase_add_loop_test(t, prefill_equals_decoding, 0, 2);
  tcase_add_loop_test(t, shared_context_equals_one_sequence, 0, 2);
  tcase_add_loop_test(t, reports_equal_counted_work, 0, 2);
  tcase_add_test(t, checkpoint_matches_plain_forward);
  tcase_add_test(t, bad_checkpoints_are_refused);
  suite_add_tcase(s, t);
  return run_suite(s);
}
