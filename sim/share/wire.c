#include "share/wire.h"

#include "kernels/codec.h"

#include <stdlib.h>

const char *const celslm_wire_names[] = {"f16", "int8", "int4", NULL};

static const enum celslm_codec_kind kinds[CELSLM_WIRE_CODECS] = {CELSLM_CODEC_F16, CELSLM_CODEC_I8,
                                                                 CELSLM_CODEC_I4};

/* Codes columns x [tokens][width] (row distance ld) there and back. */
static double carry(enum celslm_codec_kind kind, enum celslm_codec_side side, int64_t tokens,
                    int64_t width, float *x, int64_t ld) {
  celslm_codec codec = {kind, side == CELSLM_CODEC_VALUES ? (int)width : 0};
  uint64_t bytes = celslm_codec_bytes(&codec, side, tokens, width);
  uint8_t *coded = celslm_alloc(bytes, 1);
  celslm_codec_encode(&codec, side, tokens, width, x, ld, coded);
  celslm_codec_decode(&codec, side, tokens, width, coded, x, ld);
  free(coded);
  return (double)bytes;
}

double celslm_wire_carry(celslm_wire_codec codec, int rank, const celslm_layer_mapping *l,
                         int64_t tokens, int kv_width, float *kv) {
  enum celslm_codec_kind kind = kinds[codec];
  int64_t width = 2 * kv_width;
  if (rank == 0)
    return carry(kind, CELSLM_CODEC_KEYS, tokens, kv_width, kv, width) +
           carry(kind, CELSLM_CODEC_VALUES, tokens, kv_width, kv + kv_width, width);
  float *up = celslm_alloc((unsigned long)(width * rank), sizeof *up),
        *mean = celslm_alloc((unsigned long)width, sizeof *mean),
        *z = celslm_alloc((unsigned long)(tokens * rank), sizeof *z);
  for (int64_t o = 0; o < width; o++) {
    mean[o] = (float)l->map.mean_y[o];
    for (int r = 0; r < rank; r++) up[o * rank + r] = l->up[o * width + r];
  }
  celslm_lowrank *cut = celslm_lowrank_create(width, rank, l->down, up, mean);
  celslm_lowrank_encode(cut, tokens, kv, width, z);
  double bytes = carry(kind, CELSLM_CODEC_KEYS, tokens, rank, z, rank);
  celslm_lowrank_decode(cut, tokens, z, kv, width);
  celslm_lowrank_free(cut);
  free(up), free(mean), free(z);
  return bytes;
}
