/* bench_kernels.c - our kernels beside other libraries, in one run, interleaved.
 *
 * Peers: OpenBLAS (linked; both layouts; its default core type here, and Haswell in a child
 * process, because the core type is fixed when the library loads), BLIS and oneDNN (dlopen'ed, left
 * out with a line when absent; oneDNN with weights reordered once). All data is random. Each repeat
 * runs every peer once; figures are medians over the repeats, ratios are of medians. The FMA peak
 * and the read bandwidth are measured between the others, so that a noisy moment hits all alike. */
#include "cmd/bench.h"

#include <cblas.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <immintrin.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernels/kernels.h"

#define CHILD_VARIABLE "CELSLM_BENCH_KERNELS_CHILD"

enum { MOST_REPEATS = 41 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *random_floats(int64_t n) {
  size_t huge = (size_t)2 << 20, bytes = ((size_t)n * sizeof(float) + huge - 1) / huge * huge;
  float *p = aligned_alloc(huge, bytes);
  if (!p) abort();
  madvise(p, bytes, MADV_HUGEPAGE);
  uint32_t s = 12345;
  for (int64_t i = 0; i < n; i++) {
    s = s * 1664525u +
        1013904223u; /* Numerical Recipes' quick generator: good enough to time with */
    p[i] = (float)(s >> 8) * 0x1p-24f - 0.5f;
  }
  return p;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *t, int n) {
  qsort(t, (size_t)n, sizeof *t, by_value);
  return n % 2 ? t[n / 2] : 0.5 * (t[n / 2 - 1] + t[n / 2]);
}

/* ---- the machine: FMA peak and read bandwidth ------------------------------------------------ */

__attribute__((target("avx512f"), noinline)) static float fma_512(int64_t n) {
  __m512 a[12], x = _mm512_set1_ps(0.999f), y = _mm512_set1_ps(0.001f);
  for (int i = 0; i < 12; i++) a[i] = _mm512_set1_ps((float)i);
  for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) a[j] = _mm512_fmadd_ps(a[j], x, y);
  __m512 s = a[0];
  for (int i = 1; i < 12; i++) s = _mm512_add_ps(s, a[i]);
  return _mm512_reduce_add_ps(s);
}

__attribute__((target("avx2,fma"), noinline)) static float fma_256(int64_t n) {
  __m256 a[12], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  for (int i = 0; i < 12; i++) a[i] = _mm256_set1_ps((float)i);
  for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 12
    for (int j = 0; j < 12; j++) a[j] = _mm256_fmadd_ps(a[j], x, y);
  __m256 s = a[0];
  for (int i = 1; i < 12; i++) s = _mm256_add_ps(s, a[i]);
  return _mm256_cvtss_f32(s);
}

/* Sums n floats, n a multiple of 64 (vector extensions: one form for every CPU). */
__attribute__((target("avx2"), noinline)) static float read_all(const float *p, int64_t n) {
  __m256 s[8];
  for (int j = 0; j < 8; j++) s[j] = _mm256_setzero_ps();
  for (int64_t i = 0; i < n; i += 64)
#pragma GCC unroll 8
    for (int j = 0; j < 8; j++) s[j] = _mm256_add_ps(s[j], _mm256_loadu_ps(p + i + 8 * j));
  for (int j = 1; j < 8; j++) s[0] = _mm256_add_ps(s[0], s[j]);
  return _mm256_cvtss_f32(s[0]);
}

static volatile float sink;

/* GFLOP/s, all threads together. */
static double fma_peak(int threads) {
  bool wide = celslm_isa_available(CELSLM_ISA_AVX512);
  int64_t n = 300000;
  double t = now();
#pragma omp parallel num_threads(threads) if (threads > 1)
  sink = wide ? fma_512(n) : fma_256(n);
  return (double)threads * (double)n * 12 * (wide ? 32 : 16) / (now() - t) * 1e-9;
}

/* GB/s over `bytes`, shared by the threads. */
static double read_bandwidth(const float *p, int64_t bytes, int threads) {
  int64_t n = bytes / 4 / threads / 64 * 64;
  double t = now();
#pragma omp parallel num_threads(threads) if (threads > 1)
  sink = read_all(p + n * omp_get_thread_num(), n);
  return 4e-9 * (double)(n * threads) / (now() - t);
}

/* ---- oneDNN 2.x, as much of its C interface as a matrix product needs ------------------------ */

typedef struct dnn_arg {
  int arg;
  void *memory;
} dnn_arg;

/* The library fills descriptors itself and we never look inside: room is all they need. */
typedef union dnn_descriptor {
  char room[16384];
  max_align_t align;
} dnn_descriptor;

enum { DNN_BF16 = 2, DNN_F32 = 3, DNN_ANY = 1, DNN_CPU = 1, DNN_WEIGHTS_MD = 131 };
enum { DNN_SRC = 1, DNN_DST = 17, DNN_WEIGHTS = 33 };

static struct {
  void *library, *engine, *stream;
  int (*md_tag)(void *, int, const int64_t *, int, int);
  int (*md_strides)(void *, int, const int64_t *, int, const int64_t *);
  int (*matmul)(void *, const void *, const void *, const void *, const void *);
  int (*pd_create)(void **, const void *, const void *, void *, const void *);
  const void *(*pd_md)(const void *, int, int);
  int (*pd_destroy)(void *);
  int (*reorder)(void **, const void *, void *, const void *, void *, const void *);
  int (*create)(void **, const void *);
  int (*destroy)(void *);
  int (*execute)(const void *, void *, int, const dnn_arg *);
  int (*wait)(void *);
  int (*memory)(void **, const void *, void *, void *);
  int (*memory_destroy)(void *);
} dnn;

static void *symbol(void *library, const char *name) {
  void *p = dlsym(library, name);
  if (!p) fprintf(stderr, "celslm: bench: %s is missing\n", name);
  return p;
}

static bool dnn_load(void) {
  dnn.library = dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (!dnn.library) return false;
  int (*engine)(void **, int, size_t), (*stream)(void **, void *, unsigned);
#define GET(f, name) (*(void **)&(f) = symbol(dnn.library, "dnnl_" name))
  bool ok = GET(engine, "engine_create") && GET(stream, "stream_create") &&
            GET(dnn.md_tag, "memory_desc_init_by_tag") &&
            GET(dnn.md_strides, "memory_desc_init_by_strides") &&
            GET(dnn.matmul, "matmul_desc_init") && GET(dnn.pd_create, "primitive_desc_create") &&
            GET(dnn.pd_md, "primitive_desc_query_md") &&
            GET(dnn.pd_destroy, "primitive_desc_destroy") &&
            GET(dnn.reorder, "reorder_primitive_desc_create") &&
            GET(dnn.create, "primitive_create") && GET(dnn.destroy, "primitive_destroy") &&
            GET(dnn.execute, "primitive_execute") && GET(dnn.wait, "stream_wait") &&
            GET(dnn.memory, "memory_create") && GET(dnn.memory_destroy, "memory_destroy");
#undef GET
  return ok && engine(&dnn.engine, DNN_CPU, 0) == 0 && stream(&dnn.stream, dnn.engine, 1) == 0;
}

/* Y = X W^T with W in the layout oneDNN asks for. Handles are NULL where it declined. */
typedef struct dnn_product {
  void *primitive, *src, *weights, *dst;
} dnn_product;

static void dnn_product_drop(dnn_product *p) {
  if (p->primitive) dnn.destroy(p->primitive);
  if (p->src) dnn.memory_destroy(p->src);
  if (p->weights) dnn.memory_destroy(p->weights);
  if (p->dst) dnn.memory_destroy(p->dst);
  *p = (dnn_product){0};
}

/* One reorder of `from` into memory of descriptor `md`. */
static void *dnn_reordered(void *from, const void *from_md, const void *md) {
  void *pd = NULL, *primitive = NULL, *to = NULL;
  if (dnn.memory(&to, md, dnn.engine, (void *)(size_t)-1) ||
      dnn.reorder(&pd, from_md, dnn.engine, md, dnn.engine, NULL) || dnn.create(&primitive, pd))
    return NULL;
  dnn_arg args[] = {{DNN_SRC, from}, {DNN_DST, to}};
  dnn.execute(primitive, dnn.stream, 2, args);
  dnn.wait(dnn.stream);
  dnn.destroy(primitive);
  dnn.pd_destroy(pd);
  return to;
}

static dnn_product dnn_make(int type, int64_t m, int64_t n, int64_t k, float *x, float *w,
                            float *y) {
  static dnn_descriptor src, src32, weights, user, dst, op;
  int64_t xs[12] = {m, k}, ws[12] = {k, n}, ys[12] = {m, n};
  int64_t row[12] = {k, 1}, transposed[12] = {1, k}, out[12] = {n, 1};
  dnn_product p = {0};
  void *pd = NULL, *plain = NULL, *plain_x = NULL;
  if (!dnn.library || dnn.md_strides(&src, 2, xs, type, row) ||
      dnn.md_strides(&src32, 2, xs, DNN_F32, row) || dnn.md_tag(&weights, 2, ws, type, DNN_ANY) ||
      dnn.md_strides(&user, 2, ws, DNN_F32, transposed) ||
      dnn.md_strides(&dst, 2, ys, DNN_F32, out) || dnn.matmul(&op, &src, &weights, NULL, &dst) ||
      dnn.pd_create(&pd, &op, NULL, dnn.engine, NULL))
    return p;
  dnn.memory(&plain, &user, dnn.engine, w);
  dnn.memory(&plain_x, &src32, dnn.engine, x);
  p.weights = dnn_reordered(plain, &user, dnn.pd_md(pd, DNN_WEIGHTS_MD, 0));
  p.src = dnn_reordered(plain_x, &src32, &src);
  dnn.memory(&p.dst, &dst, dnn.engine, y);
  if (!p.weights || !p.src || dnn.create(&p.primitive, pd)) dnn_product_drop(&p);
  dnn.memory_destroy(plain);
  dnn.memory_destroy(plain_x);
  dnn.pd_destroy(pd);
  return p;
}

static void dnn_run(const dnn_product *p) {
  dnn_arg args[] = {{DNN_SRC, p->src}, {DNN_WEIGHTS, p->weights}, {DNN_DST, p->dst}};
  dnn.execute(p->primitive, dnn.stream, 3, args);
  dnn.wait(dnn.stream);
}

/* ---- BLIS ------------------------------------------------------------------------------------ */

static void (*bli_sgemm)(int, int, int64_t, int64_t, int64_t, const float *, const float *, int64_t,
                         int64_t, const float *, int64_t, int64_t, const float *, float *, int64_t,
                         int64_t);
static void (*bli_threads)(int64_t);

static bool blis_load(void) {
  void *library = dlopen("libblis.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  *(void **)&bli_sgemm = symbol(library, "bli_sgemm");
  *(void **)&bli_threads = symbol(library, "bli_thread_set_num_threads");
  return bli_sgemm && bli_threads;
}

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
  dnn_product dnn[2];
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
              : peer == BLIS_NT || peer == BLIS_NN ? bli_sgemm != NULL
                                                   : true;
  if (!here) return NAN;
  double start = now();
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
      bli_sgemm(0, 0, p->m, p->n, p->k, &one, p->x, p->k, 1, p->w, 1, p->k, &zero, p->y, p->n, 1);
      break;
    case BLIS_NN:
      bli_sgemm(0, 0, p->m, p->n, p->k, &one, p->x, p->k, 1, p->wt, p->n, 1, &zero, p->y, p->n, 1);
      break;
    case DNN:
      dnn_run(&p->dnn[0]);
      break;
    case DNN_16:
      dnn_run(&p->dnn[1]);
      break;
    default:
      break;
    }
  return (now() - start) / calls;
}

static const int64_t shapes[][2] = {
    /* k, n */ {512, 512}, {2048, 2048}, {4096, 4096}, {4096, 11008}, {11008, 4096}};
static const int64_t row_counts[] = {1, 8, 32, 128, 512};
enum { SHAPES = sizeof shapes / sizeof *shapes, ROWS = sizeof row_counts / sizeof *row_counts };

static void set_threads(int n) {
  celslm_threads_set(n);
  openblas_set_num_threads(n);
  omp_set_num_threads(n);
  if (bli_threads) bli_threads(n);
}

/* The child: OpenBLAS alone, under another core type; times what the parent asks for. */
static int serve_child(void) {
  problem p = {0};
  int threads, nt, calls;
  long m, n, k;
  while (scanf("%d %ld %ld %ld %d %d", &threads, &m, &n, &k, &nt, &calls) == 6) {
    if (n != p.n || k != p.k) {
      free(p.x), free(p.y), free(p.w), free(p.wt);
      p.x = random_floats(512 * k), p.y = random_floats(512 * n);
      p.w = random_floats(n * k), p.wt = random_floats(n * k);
    }
    p.m = m, p.n = n, p.k = k;
    openblas_set_num_threads(threads);
    double start = now();
    for (int i = 0; i < calls; i++) openblas(&p, nt);
    printf("%.9g\n", (now() - start) / calls);
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

/* What issue asks of each row count against OpenBLAS. */
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
  int calls = large || flops > 5e7 ? 1 : (int)(5e7 / flops) + 1;
  int repeats = flops > 1e10 ? 5 : flops > 2e9 ? 9 : flops > 2e8 ? 15 : MOST_REPEATS;
  for (int i = 0; i < PEERS; i++) run_peer(p, (enum peer)i, 1);
  for (int r = 0; r < repeats; r++) {
    for (int i = 0; i < PEERS; i++) t[i][r] = run_peer(p, (enum peer)i, calls);
    peak[r] = fma_peak(p->threads);
    bandwidth[r] = p->m == 1 && large ? read_bandwidth(big, 256 << 20, p->threads) : 1;
  }
  for (int i = 0; i < PEERS; i++) med[i] = median(t[i], repeats);
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
                        speed / median(peak, repeats), NAN);
  if (p->m == 1 && large) {
    double gb = 4e-9 * (double)(p->n * p->k) / med[OURS], bw = median(bandwidth, repeats);
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
  set_threads(threads);
  p->threads = threads;
  for (int i = 0; i < SHAPES; i++) {
    p->k = shapes[i][0], p->n = shapes[i][1];
    p->x = random_floats(512 * p->k), p->y = random_floats(512 * p->n);
    p->w = random_floats(p->n * p->k), p->wt = random_floats(p->n * p->k);
    for (int d = 0; d < 3; d++) p->packed[d] = celslm_pack(types[d], p->n, p->k, p->w, p->k, 0);
    for (int r = 0; r < ROWS; r++) {
      p->m = row_counts[r];
      p->dnn[0] = dnn_make(DNN_F32, p->m, p->n, p->k, p->x, p->w, p->y);
      p->dnn[1] = dnn_make(DNN_BF16, p->m, p->n, p->k, p->x, p->w, p->y);
      bench_product(json, p, big, &s);
      dnn_product_drop(&p->dnn[0]);
      dnn_product_drop(&p->dnn[1]);
    }
    for (int d = 0; d < 3; d++) celslm_packed_free(p->packed[d]);
    free(p->x), free(p->y), free(p->w), free(p->wt);
  }
  char name[64];
  snprintf(name, sizeof name, "gemm %dt f32, median over shapes", threads);
  if (s.n32)
    celslm_bench_report(json, name, median(s.f32, s.n32), "ratio", peer_names[DNN],
                        median(s.f32, s.n32), 0.95);
  snprintf(name, sizeof name, "gemm %dt bf16, median over shapes", threads);
  if (s.n16)
    celslm_bench_report(json, name, median(s.bf16, s.n16), "ratio", peer_names[DNN_16],
                        median(s.bf16, s.n16), 0.95);
}

/* ---- attention ------------------------------------------------------------------------------- */

static celslm_kv *filled(enum celslm_kdtype t, int heads, int hd, int64_t tokens) {
  celslm_kv *kv = celslm_kv_create(t, heads, hd, tokens);
  if (!kv) return NULL;
  float *rows = random_floats(tokens * heads * hd);
  celslm_kv_append(kv, tokens, rows, heads * hd, rows, heads * hd);
  free(rows);
  return kv;
}

static void bench_prefill(bool json, int threads, enum celslm_kdtype t, int hd, int64_t n,
                          int64_t tokens, bool causal) {
  enum { HEADS = 4, REPEATS = 15 };
  celslm_kv *kv = filled(t, HEADS, hd, tokens);
  if (!kv) return;
  float *q = random_floats(n * HEADS * hd), *o = random_floats(n * HEADS * hd);
  double pairs = causal ? (double)n * (double)(tokens - n) + 0.5 * (double)n * (double)(n + 1)
                        : (double)n * (double)tokens;
  double time[REPEATS], peak[REPEATS];
  for (int r = 0; r < REPEATS; r++) {
    double start = now();
    celslm_attention_prefill(kv, HEADS, n, causal, q, o, NULL);
    time[r] = now() - start;
    peak[r] = fma_peak(threads);
  }
  char name[96];
  snprintf(name, sizeof name, "prefill %dt %s hs=%d %ldx%ld %s", threads, celslm_kdtype_name(t), hd,
           (long)n, (long)tokens, causal ? "causal" : "full");
  double speed = 4e-9 * hd * HEADS * pairs / median(time, REPEATS);
  celslm_bench_report(json, name, speed, "GFLOP/s", "FMA peak", speed / median(peak, REPEATS),
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
  float *q = random_floats(HEADS * group * hd), *o = random_floats(HEADS * group * hd);
  double time[REPEATS], peak[REPEATS], bandwidth[REPEATS];
  for (int r = 0; r < REPEATS; r++) {
    double start = now();
    celslm_attention_decode(&one, 1, HEADS * group, q, o, NULL);
    time[r] = now() - start;
    peak[r] = fma_peak(threads);
    bandwidth[r] = read_bandwidth(big, 256 << 20, threads);
  }
  char name[96], ref[96];
  double s = median(time, REPEATS), bw = median(bandwidth, REPEATS), top = median(peak, REPEATS);
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

static void bench_attention(bool json, int threads, const float *big) {
  static const enum celslm_kdtype types[] = {CELSLM_K_F32, CELSLM_K_F16, CELSLM_K_BF16,
                                             CELSLM_K_I8};
  set_threads(threads);
  for (int t = 0; t < 4; t++)
    for (int hd = 64; hd <= 128; hd += 64) {
      bench_prefill(json, threads, types[t], hd, 512, 512, false);
      bench_prefill(json, threads, types[t], hd, 512, 2048, false);
      bench_prefill(json, threads, types[t], hd, 512, 512, true);
      bench_prefill(json, threads, types[t], hd, 512, 2048, true);
      for (int g = 1; g <= 4; g += 3) {
        bench_decode(json, threads, types[t], hd, g, 1024, big);
        bench_decode(json, threads, types[t], hd, g, 16384, big);
      }
    }
}

int celslm_bench_kernels(bool json) {
  if (getenv(CHILD_VARIABLE)) return serve_child();
  problem p = {0};
  if (!dnn_load() && !json) puts("oneDNN (libdnnl2) is not installed: left out");
  if (!blis_load() && !json) puts("BLIS (libblis4) is not installed: left out");
  pid_t child = start_child(&p);
  if (!json)
    printf("instruction set %s; OpenBLAS core type %s and Haswell\n",
           celslm_isa_name(celslm_isa_get()), openblas_get_corename());
  float *big = random_floats(64 << 20);
  int most = omp_get_num_procs() < 2 ? 1 : 2;
  for (int threads = 1; threads <= most; threads++) {
    double peak[9], bandwidth[9];
    for (int r = 0; r < 9; r++) {
      peak[r] = fma_peak(threads);
      bandwidth[r] = read_bandwidth(big, 256 << 20, threads);
    }
    char name[64];
    snprintf(name, sizeof name, "FMA peak %dt", threads);
    celslm_bench_report(json, name, median(peak, 9), "GFLOP/s", NULL, NAN, NAN);
    snprintf(name, sizeof name, "read bandwidth %dt, 256 MiB", threads);
    celslm_bench_report(json, name, median(bandwidth, 9), "GB/s", NULL, NAN, NAN);
    bench_products(json, threads, &p, big);
    bench_attention(json, threads, big);
  }
  free(big);
  if (p.to) fclose(p.to);
  if (p.from) fclose(p.from);
  if (child > 0) waitpid(child, NULL, 0);
  return 0;
}
