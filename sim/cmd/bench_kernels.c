/* bench_kernels.c - our kernels beside other libraries, in one run, interleaved.
 *
 * Peers: OpenBLAS (linked; both layouts; its default core type here, and Haswell in a child
 * process, because the core type is fixed when the library loads), BLIS and oneDNN (dlopen'ed, left
 * out with a line when absent; oneDNN with weights reordered once). All data is random. Each repeat
 * runs every peer once; figures are medians over the repeats, ratios are of medians. The FMA peak
 * and the read bandwidth are measured between the others, so that a noisy moment hits all alike. */
#include "cmd/bench.h"
#include "cmd/bench_peers.h"
#include "cmd/bench_tools.h"

#include <cblas.h>
#include <fcntl.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"

#define CHILD_VARIABLE "CELSLM_BENCH_KERNELS_CHILD"

enum { MOST_REPEATS = 41 };

/* ---- one product, all peers ------------------------------------------------------------------ */

enum peer {
  OURS,
  OB_NT,
  OB_NN,
  OBH_NT,
  OBH_NN,
  BLIS_NT,
  BLIS_NN,
  DNN,
  OURS_BF16,
  DNN_16,
  OURS_I8,
  PEERS
};
static const char *const peer_names[PEERS] = {
    "ours",     "OpenBLAS NT", "OpenBLAS NN",       "OpenBLAS-Haswell NT", "OpenBLAS-Haswell NN",
    "BLIS NT",  "BLIS NN",     "oneDNN packed f32", "ours bf16",           "oneDNN packed bf16",
    "ours int8"};

typedef struct problem {
  int threads;
  int64_t m, n, k;
  float *x, *y, *w, *wt; /* w [n][k], wt [k][n] */
  celslm_packed *packed[3];
  celslm_dnn_product dnn[2];
  FILE *to, *from; /* the child */
} problem;

static void openblas(const problem *p, bool transposed) {
  int m = (int)p->m, n = (int)p->n, k = (int)p->k;
  if (m == 1 && transposed)
    cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1, p->w, k, p->x, 1, 0, p->y, 1);
  else if (m == 1)
    cblas_sgemv(CblasRowMajor, CblasTrans, k, n, 1, p->wt, n, p->x, 1, 0, p->y, 1);
  else if (transposed)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, p->x, k, p->w, k, 0, p->y, n);
  else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, p->x, k, p->wt, n, 0, p->y,
                n);
}

/* Seconds of one call, or NaN where the peer is absent. */
static double run_peer(const problem *p, enum peer peer, int calls) {
  const float one = 1, zero = 0;
  if (peer == OBH_NT || peer == OBH_NN) {
    double s = NAN;
    if (!p->to) return NAN;
    fprintf(p->to, "%d %ld %ld %ld %d %d\n", p->threads, (long)p->m, (long)p->n, (long)p->k,
            peer == OBH_NT, calls);
    fflush(p->to);
    return fscanf(p->from, "%lf", &s) == 1 ? s : NAN;
  }
  bool here = peer == OURS                         ? p->packed[0] != NULL
              : peer == OURS_BF16                  ? p->packed[1] != NULL
              : peer == OURS_I8                    ? p->packed[2] != NULL
              : peer == DNN                        ? p->dnn[0].primitive != NULL
              : peer == DNN_16                     ? p->dnn[1].primitive != NULL
              : peer == BLIS_NT || peer == BLIS_NN ? celslm_blis() != NULL
                                                   : true;
  if (!here) return NAN;
  double start = celslm_bench_now();
  for (int i = 0; i < calls; i++) switch (peer) {
    case OURS:
      celslm_gemm(p->packed[0], p->m, p->x, p->k, p->y, p->n, NULL);
      break;
    case OURS_BF16:
      celslm_gemm(p->packed[1], p->m, p->x, p->k, p->y, p->n, NULL);
      break;
    case OURS_I8:
      celslm_gemm(p->packed[2], p->m, p->x, p->k, p->y, p->n, NULL);
      break;
    case OB_NT:
      openblas(p, true);
      break;
    case OB_NN:
      openblas(p, false);
      break;
    case BLIS_NT:
      celslm_blis()(0, 0, p->m, p->n, p->k, &one, p->x, p->k, 1, p->w, 1, p->k, &zero, p->y, p->n,
                    1);
      break;
    case BLIS_NN:
      celslm_blis()(0, 0, p->m, p->n, p->k, &one, p->x, p->k, 1, p->wt, p->n, 1, &zero, p->y, p->n,
                    1);
      break;
    case DNN:
      celslm_dnn_run(&p->dnn[0]);
      break;
    case DNN_16:
      celslm_dnn_run(&p->dnn[1]);
      break;
    default:
      break;
    }
  return (celslm_bench_now() - start) / calls;
}

/* OpenBLAS's threads spin for 2^26 ticks after a call, which would slow who comes next. */
static void let_spinners_sleep(int threads) {
  if (threads > 1) nanosleep(&(struct timespec){.tv_nsec = 30 * 1000 * 1000}, NULL);
}

static const int64_t shapes[][2] = {
    /* k, n */ {512, 512}, {2048, 2048}, {4096, 4096}, {4096, 11008}, {11008, 4096}};
static const int64_t row_counts[] = {1, 8, 32, 128, 512};
enum { SHAPES = sizeof shapes / sizeof *shapes, ROWS = sizeof row_counts / sizeof *row_counts };

/* The child: OpenBLAS alone, under another core type; times what the parent asks for. */
static int serve_child(void) {
  problem p = {0};
  int threads, nt, calls;
  long m, n, k;
  while (scanf("%d %ld %ld %ld %d %d", &threads, &m, &n, &k, &nt, &calls) == 6) {
    if (n != p.n || k != p.k) {
      free(p.x), free(p.y), free(p.w), free(p.wt);
      p.x = celslm_bench_random(512 * k), p.y = celslm_bench_random(512 * n);
      p.w = celslm_bench_random(n * k), p.wt = celslm_bench_random(n * k);
    }
    p.m = m, p.n = n, p.k = k;
    openblas_set_num_threads(threads);
    double start = celslm_bench_now();
    for (int i = 0; i < calls; i++) openblas(&p, nt);
    printf("%.9g\n", (celslm_bench_now() - start) / calls);
    fflush(stdout);
  }
  return 0;
}

static pid_t start_child(problem *p) {
  int down[2], up[2];
  if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC)) return -1;
  fflush(NULL);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(down[0], 0);
    dup2(up[1], 1);
    setenv("OPENBLAS_CORETYPE", "Haswell", 1);
    setenv(CHILD_VARIABLE, "1", 1);
    execl("/proc/self/exe", "celslm", "bench", "kernels", (char *)NULL);
    _exit(127);
  }
  close(down[0]), close(up[1]);
  p->to = fdopen(down[1], "w");
  p->from = fdopen(up[0], "r");
  return pid;
}

/* The bar against OpenBLAS, by row count. */
static double required_ratio(int64_t m, int64_t k) {
  if (k < 2048) return 0.93;
  return m == 1 ? 1.0 : m == 8 ? 2.0 : m == 32 ? 1.4 : m == 128 ? 1.1 : 0.97;
}

static double best_of(const double *t, const enum peer *peers, int n, enum peer *which) {
  double best = NAN;
  for (int i = 0; i < n; i++)
    if (!isnan(t[peers[i]]) && !(t[peers[i]] >= best)) {
      best = t[peers[i]];
      *which = peers[i];
    }
  return best;
}

typedef struct summary { /* our speed over oneDNN's, per shape */
  double f32[SHAPES * ROWS], bf16[SHAPES * ROWS];
  int n32, n16;
} summary;

static void bench_product(bool json, problem *p, const float *big, summary *s) {
  static double t[PEERS][MOST_REPEATS];
  double flops = 2.0 * (double)p->m * (double)p->n * (double)p->k, peak[MOST_REPEATS],
         bandwidth[MOST_REPEATS], med[PEERS];
  bool large = p->n * p->k > 1 << 20;
  /* Small ones are called in a row for 2 ms: threads that must wake first are not what is asked. */
  int calls = large || flops > 2e8 ? 1 : (int)(2e8 / flops) + 1;
  int repeats = flops > 1e10 ? 5 : flops > 2e9 ? 11 : flops > 2e8 ? 21 : MOST_REPEATS;
  for (int i = 0; i < PEERS; i++) run_peer(p, (enum peer)i, 1);
  for (int r = 0; r < repeats; r++) {
    for (int i = 0; i < PEERS; i++) {
      t[i][r] = run_peer(p, (enum peer)i, calls);
      if ((i == OB_NN || i == OBH_NN) && calls > 1) let_spinners_sleep(p->threads);
    }
    peak[r] = celslm_bench_peak(p->threads);
    bandwidth[r] = p->m == 1 && large ? celslm_bench_bandwidth(big, 256 << 20, p->threads) : 1;
  }
  for (int i = 0; i < PEERS; i++) med[i] = celslm_bench_median(t[i], repeats);
  char name[96], ref[64];
  int at = snprintf(name, sizeof name, "gemm %dt M=%ld K=%ld N=%ld ", p->threads, (long)p->m,
                    (long)p->k, (long)p->n);
#define NAMED(text) (snprintf(name + at, sizeof name - (size_t)at, "%s", text), name)
  static const enum peer blas[] = {OB_NT, OB_NN, OBH_NT, OBH_NN}, blis[] = {BLIS_NT, BLIS_NN};
  enum peer which = OB_NT;
  double best = best_of(med, blas, 4, &which), speed = 1e-9 * flops / med[OURS];
  celslm_bench_report(json, NAMED("f32"), speed, "GFLOP/s", peer_names[which], best / med[OURS],
                      required_ratio(p->m, p->k));
  best = best_of(med, blis, 2, &which);
  if (!isnan(best))
    celslm_bench_report(json, NAMED("f32"), speed, "GFLOP/s", peer_names[which], best / med[OURS],
                        NAN);
  if (!isnan(med[DNN])) {
    celslm_bench_report(json, NAMED("f32"), speed, "GFLOP/s", peer_names[DNN], med[DNN] / med[OURS],
                        0.85);
    s->f32[s->n32++] = med[DNN] / med[OURS];
  }
  if (p->m >= 32)
    celslm_bench_report(json, NAMED("f32"), speed, "GFLOP/s", "FMA peak",
                        speed / celslm_bench_median(peak, repeats), NAN);
  if (p->m == 1 && large) {
    double gb = 4e-9 * (double)(p->n * p->k) / med[OURS],
           bw = celslm_bench_median(bandwidth, repeats);
    snprintf(ref, sizeof ref, "read bandwidth %.1f GB/s", bw);
    celslm_bench_report(json, NAMED("f32"), gb, "GB/s", ref, gb / bw,
                        p->n * p->k * 4 >= 64 << 20 ? 0.8 : NAN);
  }
  if (!isnan(med[OURS_BF16])) {
    speed = 1e-9 * flops / med[OURS_BF16];
    bool dn = !isnan(med[DNN_16]);
    celslm_bench_report(json, NAMED("bf16"), speed, "GFLOP/s", dn ? peer_names[DNN_16] : NULL,
                        med[DNN_16] / med[OURS_BF16], dn ? 0.85 : NAN);
    celslm_bench_report(json, NAMED("bf16"), speed, "GFLOP/s", "ours f32",
                        med[OURS] / med[OURS_BF16], NAN);
    if (dn) s->bf16[s->n16++] = med[DNN_16] / med[OURS_BF16];
  }
  if (!isnan(med[OURS_I8]))
    celslm_bench_report(json, NAMED("int8"), 1e-9 * flops / med[OURS_I8], "GFLOP/s", "ours f32",
                        med[OURS] / med[OURS_I8], NAN);
#undef NAMED
}

static void bench_products(bool json, int threads, problem *p, const float *big) {
  static const enum celslm_kdtype types[] = {CELSLM_K_F32, CELSLM_K_BF16, CELSLM_K_I8};
  static summary s;
  s.n32 = s.n16 = 0;
  celslm_bench_threads(threads);
  p->threads = threads;
  for (int i = 0; i < SHAPES; i++) {
    p->k = shapes[i][0], p->n = shapes[i][1];
    p->x = celslm_bench_random(512 * p->k), p->y = celslm_bench_random(512 * p->n);
    p->w = celslm_bench_random(p->n * p->k), p->wt = celslm_bench_random(p->n * p->k);
    for (int d = 0; d < 3; d++) p->packed[d] = celslm_pack(types[d], p->n, p->k, p->w, p->k, 0);
    for (int r = 0; r < ROWS; r++) {
      p->m = row_counts[r];
      p->dnn[0] = celslm_dnn_make(CELSLM_DNN_F32, p->m, p->n, p->k, p->x, p->w, p->y);
      p->dnn[1] = celslm_dnn_make(CELSLM_DNN_BF16, p->m, p->n, p->k, p->x, p->w, p->y);
      bench_product(json, p, big, &s);
      celslm_dnn_drop(&p->dnn[0]);
      celslm_dnn_drop(&p->dnn[1]);
    }
    for (int d = 0; d < 3; d++) celslm_packed_free(p->packed[d]);
    free(p->x), free(p->y), free(p->w), free(p->wt);
  }
  char name[64];
  snprintf(name, sizeof name, "gemm %dt f32, median over shapes", threads);
  if (s.n32)
    celslm_bench_report(json, name, celslm_bench_median(s.f32, s.n32), "ratio", peer_names[DNN],
                        celslm_bench_median(s.f32, s.n32), 0.95);
  snprintf(name, sizeof name, "gemm %dt bf16, median over shapes", threads);
  if (s.n16)
    celslm_bench_report(json, name, celslm_bench_median(s.bf16, s.n16), "ratio", peer_names[DNN_16],
                        celslm_bench_median(s.bf16, s.n16), 0.95);
}

static int run(bool json, int threads, bool attention) {
  if (getenv(CHILD_VARIABLE)) return serve_child();
  problem p = {0};
  if (!celslm_dnn_load() && !json) puts("oneDNN (libdnnl2) is not installed: left out");
  if (!celslm_blis_load() && !json) puts("BLIS (libblis4) is not installed: left out");
  pid_t child = start_child(&p);
  if (!json)
    printf("instruction set %s; OpenBLAS core type %s and Haswell\n",
           celslm_isa_name(celslm_isa_get()), openblas_get_corename());
  float *big = celslm_bench_random(64 << 20);
  for (int n = threads > 0 ? threads : 1; n <= celslm_bench_most(threads); n++) {
    celslm_bench_limits(json, n, big);
    bench_products(json, n, &p, big);
    if (attention) celslm_bench_attention_part(json, n, big);
  }
  free(big);
  if (p.to) fclose(p.to);
  if (p.from) fclose(p.from);
  if (child > 0) waitpid(child, NULL, 0);
  return 0;
}

int celslm_bench_kernels(bool json, int threads) {
  return run(json, threads, true);
}

int celslm_bench_gemm(bool json, int threads) {
  return run(json, threads, false);
}
