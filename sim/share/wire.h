/* wire.h - what mapped keys and values lose on their way: cut to a rank, coded, decoded again, by
 * the kernels' real codecs. */
#ifndef CELSLM_SHARE_WIRE_H
#define CELSLM_SHARE_WIRE_H

#include "share/mapping.h"

typedef enum celslm_wire_codec {
  CELSLM_WIRE_F16,
  CELSLM_WIRE_INT8,
  CELSLM_WIRE_INT4,
  CELSLM_WIRE_CODECS
} celslm_wire_codec;
extern const char *const celslm_wire_names[]; /* "f16", ...; NULL-terminated */

/* Replaces kv [tokens][2 kv_width], one layer's [keys | values], by what arrives, and returns the
 * bytes that travelled. Keys are coded per channel and 32 tokens, values per token; scores of a
 * rank > 0, along the directions of `l`, per component and 32 tokens. rank 0: no cut. */
double celslm_wire_carry(celslm_wire_codec codec, int rank, const celslm_layer_mapping *l,
                         int64_t tokens, int kv_width, float *kv);

#endif
