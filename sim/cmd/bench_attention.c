/* bench_attention.c - our attention beside the machine's own limits. */
#include "cmd/bench.h"
#include "cmd/bench_tools.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernels/kernels.h"

static celslm_kv *filled(enum celslm_kdtype t, int heads, int hd, int64_t tokens) {
  celslm_kv *kv = celslm_kv_create(t, heads, hd, tokens);
  if (!kv) return NULL;
  float *rows = celslm_bench_random(tokens * heads * hd);
  celslm_kv_append(kv, tokens, rows, heads * hd, rows, heads * hd);
  free(rows);
  return kv;
}

static void bench_prefill(bool json, int threads, enum celslm_kdtype t, int hd, int64_t n,
                          int64_t tokens, bool causal) {
  enum { HEADS = 4, REPEATS = 15 };
  celslm_kv *kv = filled(t, HEADS, hd, tokens);
  if (!kv) return;
  float *q = celslm_bench_random(n * HEADS * hd), *o = celslm_bench_random(n * HEADS * hd);
  double pairs = causal ? (double)n * (double)(tokens - n) + 0.5 * (double)n * (double)(n + 1)
                        : (double)n * (double)tokens;
  double time[REPEATS], peak[REPEATS];
  for (int r = 0; r < REPEATS; r++) {
    double start = celslm_bench_now();
    celslm_attention_prefill(kv, HEADS, n, causal, q, o, NULL);
    time[r] = celslm_bench_now() - start;
    peak[r] = celslm_bench_peak(threads);
  }
  char name[96];
  snprintf(name, sizeof name, "prefill %dt %s hs=%d %ldx%ld %s", threads, celslm_kdtype_name(t), hd,
           (long)n, (long)tokens, causal ? "causal" : "full");
  double speed = 4e-9 * hd * HEADS * pairs / celslm_bench_median(time, REPEATS);
  celslm_bench_report(json, name, speed, "GFLOP/s", "FMA peak",
                      speed / celslm_bench_median(peak, REPEATS),
                      t != CELSLM_K_F32 ? NAN
                      : causal          ? 0.7
                                        : 0.8);
  celslm_kv_free(kv);
  free(q), free(o);
}

/* One sequence over many KV heads, with the KV larger than the caches or (`warm`) just read. From
 * memory the bar is a part of the read bandwidth, and with 4 queries per head the smaller of that
 * and of the FMA peak. */
static void bench_decode(bool json, int threads, enum celslm_kdtype t, int hd, int group, bool warm,
                         const float *big) {
  enum { HEADS = 8, REPEATS = 25, WARM_TOKENS = 1024, LARGE = 128 << 20 };
  int64_t element = 2 * HEADS * hd * (int64_t)celslm_kdtype_size(t); /* bytes of a token */
  int64_t tokens = warm ? WARM_TOKENS : LARGE / element;
  celslm_kv *kv = filled(t, HEADS, hd, tokens);
  if (!kv) return;
  const celslm_kv *one = kv;
  float *q = celslm_bench_random(HEADS * group * hd), *o = celslm_bench_random(HEADS * group * hd);
  double time[REPEATS], peak[REPEATS], bandwidth[REPEATS];
  for (int r = 0; r < REPEATS; r++) {
    for (int i = 0; i < 3 * warm; i++) celslm_attention_decode(&one, 1, HEADS * group, q, o, NULL);
    double start = celslm_bench_now();
    celslm_attention_decode(&one, 1, HEADS * group, q, o, NULL);
    time[r] = celslm_bench_now() - start;
    peak[r] = celslm_bench_peak(threads);
    bandwidth[r] = celslm_bench_bandwidth(big, 256 << 20, threads);
  }
  char name[96], ref[96];
  double s = celslm_bench_median(time, REPEATS), bw = celslm_bench_median(bandwidth, REPEATS),
         top = celslm_bench_median(peak, REPEATS);
  double gb = 1e-9 * (double)celslm_kv_bytes(kv, tokens) / s;
  double gf = 4e-9 * hd * HEADS * group * (double)tokens / s;
  snprintf(name, sizeof name, "decode %dt %s hs=%d g=%d %ld tokens%s", threads,
           celslm_kdtype_name(t), hd, group, (long)tokens, warm ? " in cache" : "");
  if (!warm && (group == 1 || gb / (0.8 * bw) > gf / (0.75 * top))) {
    snprintf(ref, sizeof ref, "read bandwidth %.1f GB/s (%.1f GFLOP/s)", bw, gf);
    celslm_bench_report(json, name, gb, "GB/s", ref, gb / bw, 0.8);
  } else {
    snprintf(ref, sizeof ref, "FMA peak (%.1f GB/s)", gb);
    celslm_bench_report(json, name, gf, "GFLOP/s", ref, gf / top, warm ? NAN : 0.75);
  }
  celslm_kv_free(kv);
  free(q), free(o);
}

/* The KV of one layer for a batch: what its sequences share, and what each has alone. */
enum { BATCH = 8, CONTEXT = 2048, OWN = 128 };
typedef struct layer_kv {
  celslm_kv *shared, *own[BATCH];
} layer_kv;

/* As many layers as exceed the caches; NULL: out of memory. Each holds `shared` tokens (0: none)
 * and `own` of each sequence. */
static layer_kv *filled_layers(enum celslm_kdtype t, int heads, int hd, int64_t shared, int64_t own,
                               int *n) {
  enum { LARGE = 96 << 20 };
  int64_t token = 2 * heads * hd * (int64_t)celslm_kdtype_size(t); /* bytes */
  *n = (int)(LARGE / (token * (shared + BATCH * own))) + 1;
  layer_kv *layers = calloc((size_t)*n, sizeof *layers);
  bool ok = layers;
  for (int i = 0; ok && i < *n; i++) {
    if (shared) layers[i].shared = filled(t, heads, hd, shared);
    ok = !shared || layers[i].shared;
    for (int b = 0; b < BATCH; b++) {
      layers[i].own[b] = filled(t, heads, hd, own);
      ok = ok && layers[i].own[b];
    }
  }
  return ok ? layers : NULL;
}

static void free_layers(layer_kv *layers, int n) {
  for (int i = 0; layers && i < n; i++) {
    celslm_kv_free(layers[i].shared);
    for (int b = 0; b < BATCH; b++) celslm_kv_free(layers[i].own[b]);
  }
  free(layers);
}

static void decode(const layer_kv *l, int q_heads, const float *q, float *o) {
  const celslm_kv *const *own = (const celslm_kv *const *)l->own;
  if (l->shared)
    celslm_attention_merged(l->shared, own, BATCH, q_heads, q, o, NULL);
  else
    celslm_attention_decode(own, BATCH, q_heads, q, o, NULL);
}

/* A decode step of a batch that shares a context: read once and merged with each sequence's own
 * tokens, beside caches that each hold context and own tokens. Each repeat is another layer's turn,
 * as in a model, so both read from memory; all have had one before, as memory that was never read
 * is slower on virtual machines. The ratio has a limit of its own: a merged step computes as much
 * as separate ones, and no faster than the FMA peak. */
static void bench_merged(bool json, int threads, enum celslm_kdtype t, int hd, int group) {
  enum { HEADS = 8, REPEATS = 25 };
  int n, wholes;
  layer_kv *layers = filled_layers(t, HEADS, hd, CONTEXT, OWN, &n);
  layer_kv *whole = filled_layers(t, HEADS, hd, 0, CONTEXT + OWN, &wholes);
  int64_t rows = (int64_t)BATCH * HEADS * group;
  float *q = celslm_bench_random(rows * hd), *o = celslm_bench_random(rows * hd);
  double merged[REPEATS], separate[REPEATS], peak[REPEATS];
  for (int i = 0; layers && i < n; i++) decode(&layers[i], HEADS * group, q, o);
  for (int i = 0; whole && i < wholes; i++) decode(&whole[i], HEADS * group, q, o);
  for (int r = 0; layers && whole && r < REPEATS; r++) {
    double start = celslm_bench_now();
    decode(&layers[r % n], HEADS * group, q, o);
    merged[r] = celslm_bench_now() - start;
    start = celslm_bench_now();
    decode(&whole[r % wholes], HEADS * group, q, o);
    separate[r] = celslm_bench_now() - start;
    peak[r] = celslm_bench_peak(threads);
  }
  if (layers && whole) {
    char name[96], ref[96];
    double step = celslm_bench_median(merged, REPEATS),
           apart = celslm_bench_median(separate, REPEATS),
           flops = 4.0 * hd * (double)rows * (CONTEXT + OWN);
    snprintf(name, sizeof name, "merged %dt %s hs=%d g=%d %d x (%d shared + %d)", threads,
             celslm_kdtype_name(t), hd, group, BATCH, CONTEXT, OWN);
    double limit = apart * 1e9 * celslm_bench_median(peak, REPEATS) / flops;
    snprintf(ref, sizeof ref, "separate caches (at the FMA peak x%.2f)", limit);
    celslm_bench_report(json, name, 1e-3 / step, "k steps/s", ref, apart / step, 2.0);
  }
  free_layers(layers, n);
  free_layers(whole, wholes);
  free(q), free(o);
}

void celslm_bench_attention_part(bool json, int threads, const float *big) {
  static const enum celslm_kdtype types[] = {CELSLM_K_F32, CELSLM_K_F16, CELSLM_K_BF16,
                                             CELSLM_K_I8};
  celslm_bench_threads(threads);
  for (int t = 0; t < 4; t++)
    for (int hd = 64; hd <= 128; hd += 64) {
      bench_prefill(json, threads, types[t], hd, 512, 512, false);
      bench_prefill(json, threads, types[t], hd, 512, 2048, false);
      bench_prefill(json, threads, types[t], hd, 512, 512, true);
      bench_prefill(json, threads, types[t], hd, 512, 2048, true);
      for (int g = 1; g <= 4; g += 3) {
        bench_decode(json, threads, types[t], hd, g, true, big);
        bench_decode(json, threads, types[t], hd, g, false, big);
        bench_merged(json, threads, types[t], hd, g);
      }
    }
}

int celslm_bench_attention(bool json, int threads) {
  float *big = celslm_bench_random(64 << 20);
  for (int n = threads > 0 ? threads : 1; n <= celslm_bench_most(threads); n++) {
    celslm_bench_limits(json, n, big);
    celslm_bench_attention_part(json, n, big);
  }
  free(big);
  return 0;
}
