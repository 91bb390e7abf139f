/* bench_attention.c - our attention beside the machine's own limits. */
#include "cmd/bench.h"
#include "cmd/bench_tools.h"

#include <math.h>
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

/* One sequence over many KV heads; where the KV exceeds the cache, the bar is a part of the read
 * bandwidth, and with 4 queries per head the smaller of that and of the FMA peak. */
static void bench_decode(bool json, int threads, enum celslm_kdtype t, int hd, int group,
                         int64_t tokens, const float *big) {
  enum { HEADS = 8, REPEATS = 25 };
  celslm_kv *kv = filled(t, HEADS, hd, tokens);
  if (!kv) return;
  const celslm_kv *one = kv;
  float *q = celslm_bench_random(HEADS * group * hd), *o = celslm_bench_random(HEADS * group * hd);
  double time[REPEATS], peak[REPEATS], bandwidth[REPEATS];
  for (int r = 0; r < REPEATS; r++) {
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
  snprintf(name, sizeof name, "decode %dt %s hs=%d g=%d %ld tokens", threads, celslm_kdtype_name(t),
           hd, group, (long)tokens);
  bool bound = t == CELSLM_K_F32 && celslm_kv_bytes(kv, tokens) >= 64 << 20;
  if (gb / (0.8 * bw) > gf / (0.75 * top) || !bound || group == 1) {
    snprintf(ref, sizeof ref, "read bandwidth %.1f GB/s (%.1f GFLOP/s)", bw, gf);
    celslm_bench_report(json, name, gb, "GB/s", ref, gb / bw, bound ? 0.8 : NAN);
  } else {
    snprintf(ref, sizeof ref, "FMA peak (%.1f GB/s)", gb);
    celslm_bench_report(json, name, gf, "GFLOP/s", ref, gf / top, 0.75);
  }
  celslm_kv_free(kv);
  free(q), free(o);
}

/* A decode step of a batch that shares a context: read once and merged with each sequence's own
 * tokens, beside caches that each hold context and own tokens. */
static void bench_merged(bool json, int threads, enum celslm_kdtype t, int hd, int group) {
  enum { HEADS = 8, BATCH = 8, CONTEXT = 2048, OWN = 128, REPEATS = 25 };
  celslm_kv *context = filled(t, HEADS, hd, CONTEXT), *own[BATCH], *whole[BATCH];
  bool ok = context;
  for (int b = 0; b < BATCH; b++) {
    own[b] = filled(t, HEADS, hd, OWN);
    whole[b] = filled(t, HEADS, hd, CONTEXT + OWN);
    ok = ok && own[b] && whole[b];
  }
  int64_t rows = (int64_t)BATCH * HEADS * group;
  float *q = celslm_bench_random(rows * hd), *o = celslm_bench_random(rows * hd),
        *part = celslm_bench_random(rows * hd), *lse = celslm_bench_random(2 * rows);
  double merged[REPEATS], separate[REPEATS];
  for (int r = 0; ok && r < REPEATS; r++) {
    double start = celslm_bench_now();
    celslm_attention_shared(context, BATCH, HEADS * group, q, o, lse);
    celslm_attention_decode((const celslm_kv *const *)own, BATCH, HEADS * group, q, part,
                            lse + rows);
    celslm_attention_merge(rows, hd, o, lse, part, lse + rows, o, lse);
    merged[r] = celslm_bench_now() - start;
    start = celslm_bench_now();
    celslm_attention_decode((const celslm_kv *const *)whole, BATCH, HEADS * group, q, o, NULL);
    separate[r] = celslm_bench_now() - start;
  }
  if (ok) {
    char name[96];
    double step = celslm_bench_median(merged, REPEATS);
    snprintf(name, sizeof name, "merged %dt %s hs=%d g=%d %d x (%d shared + %d)", threads,
             celslm_kdtype_name(t), hd, group, BATCH, CONTEXT, OWN);
    celslm_bench_report(json, name, 1e-3 / step, "k steps/s", "separate caches",
                        celslm_bench_median(separate, REPEATS) / step, 2.0);
  }
  celslm_kv_free(context);
  for (int b = 0; b < BATCH; b++) {
    celslm_kv_free(own[b]);
    celslm_kv_free(whole[b]);
  }
  free(q), free(o), free(part), free(lse);
}

void celslm_bench_attention(bool json, int threads, const float *big) {
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
        bench_decode(json, threads, types[t], hd, g, 1024, big);
        bench_decode(json, threads, types[t], hd, g, 16384, big);
        bench_merged(json, threads, types[t], hd, g);
      }
    }
}
