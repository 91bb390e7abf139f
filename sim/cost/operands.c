/* operands.c - random operands (see operands.h). */
#include "cost/operands.h"

#include "cost/fma.h"

#include <gsl/gsl_rng.h>
#include <stdlib.h>

celslm_operands *celslm_operands_new(int64_t n_random, const celslm_machine *machine,
                                     celslm_error *err) {
  celslm_operands *o = celslm_alloc(1, sizeof *o);
  *o = (celslm_operands){
      .n_random = n_random, .ballast = machine->block, .cache = machine->block_size};
  o->random = celslm_machine_block((size_t)n_random * sizeof(float));
  if (!o->random) {
    celslm_fail(err, NULL, 0, "not enough memory to calibrate");
    celslm_operands_free(o);
    return NULL;
  }
  /* Random enough for arithmetic whose time may depend on bits: one draw gives three numbers. */
  gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
  for (int64_t i = 0; i < n_random; i += 3) {
    unsigned long r = gsl_rng_get(rng);
    for (int64_t j = i; j < i + 3 && j < n_random; j++, r >>= 10)
      o->random[j] = (float)(r & 2047) / 1024.0f - 1.0f;
  }
  gsl_rng_free(rng);
  return o;
}

void celslm_operands_free(celslm_operands *o) {
  if (!o) return;
  free(o->random);
  free(o);
}

celslm_kv *celslm_operands_kv(const celslm_operands *o, int kv_heads, int head_dim, int64_t past,
                              int64_t room) {
  celslm_kv *kv = celslm_kv_create(CELSLM_K_F32, kv_heads, head_dim, past + room);
  int64_t width = (int64_t)kv_heads * head_dim, most = o->n_random / 2 / width;
  for (int64_t done = 0, n; kv && done < past; done += n) {
    n = past - done < most ? past - done : most;
    celslm_kv_append(kv, n, o->random, width, o->random + n * width, width);
  }
  return kv;
}

celslm_packed *celslm_operands_matrix(const celslm_operands *o, int64_t n, int64_t k) {
  return celslm_pack(CELSLM_K_F32, n, k, o->random, k, 0);
}

void celslm_operands_cool(celslm_operands *o, double last) {
  double missing = (double)o->cache - (o->touched - last);
  if (missing <= 0) return;
  size_t bytes = ((size_t)missing + 4095) / 4096 * 4096;
  celslm_fma_read(o->ballast, bytes < o->cache ? bytes : o->cache);
  o->touched += missing;
}

void celslm_operands_warm(celslm_operands *o, const float *x, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; i += 16) sum += x[i];
  __asm__ volatile("" : : "g"(sum));
  o->touched += (double)n * sizeof *x;
}
