/* bench_peers.c - oneDNN and BLIS, loaded at run time (see bench_peers.h). */
#include "cmd/bench_peers.h"

#include <cblas.h>
#include <dlfcn.h>
#include <omp.h>
#include <stddef.h>
#include <stdio.h>

#include "cmd/bench_tools.h"
#include "kernels/kernels.h"

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

enum { DNN_F32 = CELSLM_DNN_F32, DNN_ANY = 1, DNN_CPU = 1, DNN_WEIGHTS_MD = 131 };
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

bool celslm_dnn_load(void) {
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

void celslm_dnn_drop(celslm_dnn_product *p) {
  if (p->primitive) dnn.destroy(p->primitive);
  if (p->src) dnn.memory_destroy(p->src);
  if (p->weights) dnn.memory_destroy(p->weights);
  if (p->dst) dnn.memory_destroy(p->dst);
  *p = (celslm_dnn_product){0};
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

celslm_dnn_product celslm_dnn_make(int type, int64_t m, int64_t n, int64_t k, float *x, float *w,
                                   float *y) {
  static dnn_descriptor src, src32, weights, user, dst, op;
  int64_t xs[12] = {m, k}, ws[12] = {k, n}, ys[12] = {m, n};
  int64_t row[12] = {k, 1}, transposed[12] = {1, k}, out[12] = {n, 1};
  celslm_dnn_product p = {0};
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
  if (!p.weights || !p.src || dnn.create(&p.primitive, pd)) celslm_dnn_drop(&p);
  dnn.memory_destroy(plain);
  dnn.memory_destroy(plain_x);
  dnn.pd_destroy(pd);
  return p;
}

void celslm_dnn_run(const celslm_dnn_product *p) {
  dnn_arg args[] = {{DNN_SRC, p->src}, {DNN_WEIGHTS, p->weights}, {DNN_DST, p->dst}};
  dnn.execute(p->primitive, dnn.stream, 3, args);
  dnn.wait(dnn.stream);
}

/* ---- BLIS ------------------------------------------------------------------------------------ */

static celslm_blis_sgemm *bli_sgemm;
static void (*bli_threads)(int64_t);

bool celslm_blis_load(void) {
  void *library = dlopen("libblis.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  *(void **)&bli_sgemm = symbol(library, "bli_sgemm");
  *(void **)&bli_threads = symbol(library, "bli_thread_set_num_threads");
  return bli_sgemm && bli_threads;
}

void celslm_bench_threads(int n) {
  celslm_threads_set(n);
  openblas_set_num_threads(n);
  omp_set_num_threads(n);
  if (bli_threads) bli_threads(n);
}

celslm_blis_sgemm *celslm_blis(void) {
  return bli_sgemm;
}
