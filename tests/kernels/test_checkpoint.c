/* test_checkpoint.c - real trained models: stories260K tells the story that llama2.c's
 * documentation prints; the shipped models equal a plain forward pass, and their tokens are the
 * same at any number of threads; format 2 holds what format 0 of the same weights holds. */
#include <stdbool.h>
#include <unistd.h>

#include "kernels/kernel_test.h"
#include "kernels/plain_llama.h"
#include "kernels/transformer.h"

static const char *outside(const char *name) {
  static char path[1024];
  const char *dir = getenv("CELSLM_DATA");
  snprintf(path, sizeof path, "%s/models/%s", dir ? dir : "", name);
  if (dir && access(path, R_OK) == 0) return path;
  printf("models/%s is not there: skipped (CELSLM_DATA names the directory)\n", name);
  return NULL;
}

static celslm_transformer *load(const char *path) {
  char why[256];
  celslm_transformer *t = celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why);
  ck_assert_msg(t != NULL, "%s", why);
  return t;
}

/* Continues token[0..known) greedily to n tokens; logits: those of the last step. */
static void continue_greedily(const celslm_transformer *t, int32_t *token, int known, int n,
                              float *logits) {
  celslm_session *s = celslm_session_create(t, CELSLM_K_F32, n, NULL);
  celslm_transformer_forward(t, 1, &s, &(int64_t){known}, token, logits);
  for (int i = known; i < n; i++) {
    token[i] = celslm_sample(celslm_transformer_shape_of(t)->vocabulary, logits, 0, 0, 0);
    if (i + 1 < n) celslm_transformer_forward(t, 1, &s, &(int64_t){1}, token + i, logits);
  }
  celslm_session_free(s);
}

/* The pieces of llama2.c's tokenizer file: the longest length, then score, length, bytes. */
static void decode(const char *tokenizer, const int32_t *token, int n, char *text, size_t size) {
  static char piece[4096][64];
  FILE *f = fopen(tokenizer, "rb");
  ck_assert_ptr_nonnull(f);
  int32_t length;
  float score;
  ck_assert_uint_eq(fread(&length, sizeof length, 1, f), 1);
  for (int i = 0; i < 4096 && fread(&score, sizeof score, 1, f) == 1; i++) {
    ck_assert_uint_eq(fread(&length, sizeof length, 1, f), 1);
    ck_assert_int_lt(length, 64);
    ck_assert_uint_eq(fread(piece[i], 1, (size_t)length, f), (size_t)length);
  }
  fclose(f);
  size_t at = 0;
  for (int i = 0; i < n && at + 64 < size; i++) {
    const char *p = piece[token[i]];
    unsigned byte;
    if (i == 0 && *p == ' ') p++;
    if (sscanf(p, "<0x%02X>", &byte) == 1)
      text[at++] = (char)byte;
    else
      at += (size_t)snprintf(text + at, 64, "%s", p);
  }
  text[at] = '\0';
}

/* "Sampling this model at temperature 0.0 gives": doc/stories260K.md of llama2.c. */
static const char story[] =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. She "
    "said, \"I want to play with your ball, but I can't find it.\"\n"
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to "
    "do.\"\n"
    "Lily didn't want to help her mom, so she said, \"I'm sorry, mom. I didn't know what to do.\" "
    "Her mom said, \"Don't worry, Lily. We can help you.";

START_TEST(published_story) {
  enum { N = 258 };
  const char *path = outside("stories260K.bin");
  if (!path) return;
  celslm_transformer *t = load(path);
  int32_t token[N] = {1};
  float logits[512];
  char text[8192];
  continue_greedily(t, token, 1, N, logits);
  path = outside("tok512.bin");
  ck_assert_ptr_nonnull(path);
  decode(path, token + 1, N - 1, text, sizeof text);
  ck_assert_msg(strncmp(text, story, strlen(story)) == 0, "the story went: %s", text);
  celslm_transformer_free(t);
}
END_TEST

/* Logits after a greedy continuation against the plain model's, and its tokens too. */
static void check_against_plain(const char *path, int32_t first) {
  enum { N = 40 };
  plain p = plain_load(path);
  int kv = p.dim / p.heads * p.kv_heads;
  double *logits = calloc((size_t)p.vocabulary, sizeof *logits);
  double *kc = calloc((size_t)(2 * p.layers * N * kv), sizeof *kc);
  FOR_LEVELS(level) {
    celslm_transformer *t = load(path);
    float *mine = calloc((size_t)p.vocabulary, sizeof *mine);
    int32_t token[N] = {first};
    continue_greedily(t, token, 1, N, mine); /* step by step: the logits that chose token[N - 1] */
    plain_forward(&p, token, N - 1, logits, kc, kc + p.layers * (N - 1) * kv);
    int best = 0;
    for (int i = 0; i < p.vocabulary; i++) {
      if (logits[i] > logits[best]) best = i;
      double e = fabs((double)mine[i] - logits[i]);
      ck_assert_msg(e < 1e-4, "%s, level %d: logit %d off by %g", path, level, i, e);
    }
    ck_assert_int_eq(token[N - 1], best);
    celslm_session *s = celslm_session_create(t, CELSLM_K_F32, N, NULL); /* and by prefill */
    celslm_transformer_forward(t, 1, &s, &(int64_t){N - 1}, token, mine);
    for (int i = 0; i < p.vocabulary; i++)
      ck_assert_double_eq_tol((double)mine[i], logits[i], 1e-4);
    celslm_session_free(s);
    free(mine);
    celslm_transformer_free(t);
  }
  free(logits), free(kc);
  plain_free(&p);
}

static const char *const shipped[] = {CELSLM_SOURCE_DIR "/tools/models/edge.bin",
                                      CELSLM_SOURCE_DIR "/tools/models/cloud.bin"};

START_TEST(shipped_models_equal_the_plain_one) {
  check_against_plain(shipped[_i], 'A');
}
END_TEST

START_TEST(stories_equal_the_plain_one) {
  const char *path = outside("stories260K.bin");
  if (path) check_against_plain(path, 1);
}
END_TEST

START_TEST(same_tokens_at_any_number_of_threads) {
  enum { N = 70, KNOWN = 40 };
  celslm_transformer *t = load(shipped[_i]);
  int32_t token[3][N];
  float logits[3][256];
  for (int i = 0; i < 3; i++) {
    const char *start = "And it came to pass in the days when the judges ruled";
    for (int j = 0; j < KNOWN; j++) token[i][j] = start[j];
    celslm_threads_set(i + 1);
    continue_greedily(t, token[i], KNOWN, N, logits[i]);
    ck_assert_int_eq(memcmp(token[i], token[0], sizeof token[0]), 0);
    ck_assert_int_eq(memcmp(logits[i], logits[0], sizeof logits[0]), 0);
  }
  celslm_threads_set(1);
  celslm_transformer_free(t);
}
END_TEST

/* ---- the same weights in all three formats give the same bits -------------------------------- */

enum { DIM = 32, HIDDEN = 64, LAYERS = 2, HEADS = 4, KV_HEADS = 2, WORDS = 48, GROUP = 16 };

static void put(FILE *f, const void *p, size_t bytes) {
  ck_assert_uint_eq(fwrite(p, 1, bytes, f), bytes);
}

static void put_norm(FILE *f, int n, uint64_t seed) {
  rng_seed(seed);
  for (int i = 0; i < n; i++) {
    float x = 1 + 0.1f * rng_float();
    put(f, &x, sizeof x);
  }
}

/* One matrix, as int8 and scales or as the floats that these stand for. */
static void put_matrix(FILE *f, int n, uint64_t seed, bool int8) {
  rng_seed(seed);
  signed char *q = malloc((size_t)n);
  float *scale = calloc((size_t)(n / GROUP), sizeof *scale);
  for (int i = 0; i < n; i++) q[i] = (signed char)rng_int(-127, 127);
  for (int i = 0; i < n / GROUP; i++) scale[i] = 0.002f * (1.5f + rng_float() / 4);
  if (int8) {
    put(f, q, (size_t)n);
    put(f, scale, (size_t)(n / GROUP) * sizeof *scale);
  }
  for (int i = 0; i < n && !int8; i++) {
    float w = (float)q[i] * scale[i / GROUP];
    put(f, &w, sizeof w);
  }
  free(q), free(scale);
}

static void write_version(const char *path, int version) {
  FILE *f = fopen(path, "wb");
  ck_assert_ptr_nonnull(f);
  const int kv = DIM / HEADS * KV_HEADS;
  const int32_t shape[7] = {DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, version ? WORDS : -WORDS, 64};
  const int32_t magic[2] = {0x616b3432, version}, group = GROUP;
  char rest[256 - sizeof magic - sizeof shape] = {0}; /* byte 0: head and embedding differ */
  if (version == 2) memcpy(rest + 1, &group, sizeof group);
  if (version) put(f, magic, sizeof magic);
  put(f, shape, sizeof shape);
  if (version) put(f, rest, sizeof rest);
  if (version) put_norm(f, LAYERS * DIM, 1), put_norm(f, LAYERS * DIM, 2), put_norm(f, DIM, 3);
  put_matrix(f, WORDS * DIM, 10, version == 2);
  if (!version) put_norm(f, LAYERS * DIM, 1);
  const int sizes[] = {DIM * DIM,    kv * DIM,     kv * DIM,    DIM * DIM,
                       HIDDEN * DIM, DIM * HIDDEN, HIDDEN * DIM};
  for (int i = 0; i < 7; i++) {
    if (!version && i == 4) put_norm(f, LAYERS * DIM, 2);
    for (int l = 0; l < LAYERS; l++)
      put_matrix(f, sizes[i], (uint64_t)(20 + i * LAYERS + l), version == 2);
  }
  if (!version) put_norm(f, DIM, 3);
  static const float angles[64 * (DIM / HEADS)];
  if (!version) put(f, angles, sizeof angles);
  put_matrix(f, WORDS * DIM, 11, version == 2);
  fclose(f);
}

START_TEST(formats_agree) {
  char path[] = "/tmp/celslm-test-XXXXXX";
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  int32_t token[] = {3, 14, 15, 9, 26, 5};
  float logits[3][WORDS];
  for (int version = 0; version < 3; version++) {
    write_version(path, version);
    celslm_transformer *t = load(path);
    celslm_session *s = celslm_session_create(t, CELSLM_K_F32, 8, NULL);
    celslm_transformer_forward(t, 1, &s, &(int64_t){6}, token, logits[version]);
    ck_assert_int_eq(memcmp(logits[version], logits[0], sizeof logits[0]), 0);
    celslm_session_free(s);
    celslm_transformer_free(t);
  }
  ck_assert(logits[0][0] != logits[0][1]);
  FILE *f = fopen(path, "r+b"); /* a version from the future, then an odd group */
  char why[256];
  fseek(f, 4, SEEK_SET);
  put(f, &(int32_t){3}, 4);
  fflush(f);
  ck_assert_ptr_null(celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why));
  ck_assert_ptr_nonnull(strstr(why, "version 3"));
  fseek(f, 4, SEEK_SET);
  put(f, &(int32_t){2}, 4);
  fseek(f, 8 + 28 + 1, SEEK_SET);
  put(f, &(int32_t){7}, 4);
  fclose(f);
  ck_assert_ptr_null(celslm_transformer_load(path, CELSLM_K_F32, why, sizeof why));
  unlink(path);
}
END_TEST

/* ---- given KV -------------------------------------------------------------------------------- */

static const celslm_transformer_shape shape = {
    CELSLM_FAMILY_LLAMA, 3, 64, 176, 8, 4, 97, 256, 1e-5f, 10000, CELSLM_ROPE_INTERLEAVED};
enum { CONTEXT = 37, USER = 9, KV = 32 };

/* Logits after the user's tokens, which stand on a context that holds the first `layers` layers of
 * traced KV from `start` on. */
static void on_held_context(const celslm_transformer *t, const celslm_trace *trace, int64_t start,
                            int layers, const int32_t *user, float *logits) {
  celslm_session *context = celslm_session_create(t, CELSLM_K_F32, CONTEXT, NULL);
  celslm_session_hold(context, start, CONTEXT);
  for (int l = 0; l < layers; l++)
    celslm_session_give(context, l, trace->keys + l * CONTEXT * KV, KV,
                        trace->values + l * CONTEXT * KV, KV);
  celslm_session *s = celslm_session_create(t, CELSLM_K_F32, USER, context);
  ck_assert_int_eq(celslm_session_length(s), CONTEXT);
  celslm_transformer_forward(t, 1, &s, &(int64_t){USER}, user, logits);
  celslm_session_free(s), celslm_session_free(context);
}

/* Traced keys and values given back are the context itself, wherever it starts (rotations are
 * relative); given to no layer, the context is not there. */
START_TEST(held_context_equals_computed) {
  celslm_transformer *t = celslm_transformer_random(&shape, CELSLM_K_F32, 5);
  int32_t token[CONTEXT + USER];
  rng_seed(8);
  for (int i = 0; i < CONTEXT + USER; i++) token[i] = (int32_t)rng_int(0, 96);
  celslm_trace trace = {.keys = calloc(3 * CONTEXT * KV, sizeof(float)),
                        .values = calloc(3 * CONTEXT * KV, sizeof(float)),
                        .residual = calloc(3 * CONTEXT * 64, sizeof(float)),
                        .logits = calloc(CONTEXT * 97, sizeof(float))};
  float want[97], got[97], last[97], keys[CONTEXT * KV], values[CONTEXT * KV];
  celslm_session *context = celslm_session_create(t, CELSLM_K_F32, CONTEXT, NULL);
  celslm_transformer_trace(t, 1, &context, &(int64_t){CONTEXT}, token, last, &trace);
  ck_assert_double_lt(relative_error(97, trace.logits + (CONTEXT - 1) * 97, last), 1e-6);
  celslm_session *user = celslm_session_create(t, CELSLM_K_F32, USER, context);
  celslm_transformer_forward(t, 1, &user, &(int64_t){USER}, token + CONTEXT, want);
  on_held_context(t, &trace, 0, 3, token + CONTEXT, got);
  ck_assert_double_lt(relative_error(97, got, want), 1e-6);
  on_held_context(t, &trace, 101, 3, token + CONTEXT, got);
  ck_assert_double_lt(relative_error(97, got, want), 1e-5);
  on_held_context(t, &trace, 0, 2, token + CONTEXT, got);
  ck_assert_double_gt(relative_error(97, got, want), 1e-2);
  celslm_session *alone = celslm_session_create(t, CELSLM_K_F32, USER, NULL);
  celslm_transformer_forward(t, 1, &alone, &(int64_t){USER}, token + CONTEXT, want);
  on_held_context(t, &trace, 0, 0, token + CONTEXT, got);
  ck_assert_double_lt(relative_error(97, got, want), 1e-5);
  int32_t position[CONTEXT]; /* the cache, turned back, is what was traced */
  for (int i = 0; i < CONTEXT; i++) position[i] = i;
  for (int l = 0; l < 3; l++) {
    celslm_kv_read(celslm_session_kv(context, l), 0, CONTEXT, keys, KV, values, KV);
    celslm_rope(CONTEXT, 4, 8, keys, KV, position, 10000, CELSLM_ROPE_INTERLEAVED, true);
    ck_assert_double_lt(relative_error(CONTEXT * KV, keys, trace.keys + l * CONTEXT * KV), 1e-6);
    ck_assert_int_eq(memcmp(values, trace.values + l * CONTEXT * KV, sizeof values), 0);
  }
  free(trace.keys), free(trace.values), free(trace.residual), free(trace.logits);
  celslm_session_free(user), celslm_session_free(alone), celslm_session_free(context);
  celslm_transformer_free(t);
}
END_TEST

int main(void) {
  Suite *s = suite_create("checkpoint");
  TCase *t = tcase_create("checkpoint");
  tcase_add_test(t, published_story);
  tcase_add_test(t, stories_equal_the_plain_one);
  tcase_add_loop_test(t, shipped_models_equal_the_plain_one, 0, 2);
  tcase_add_loop_test(t, same_tokens_at_any_number_of_threads, 0, 2);
  tcase_add_test(t, formats_agree);
  tcase_add_test(t, held_context_equals_computed);
  suite_add_tcase(s, t);
  return run_suite(s);
}
