/* codec.h - how context KV is encoded on its way: one row per codec.
 *
 * Only bytes so far; what a codec costs in time and in quality comes with its kernels. */
#ifndef CELSLM_SHARE_CODEC_H
#define CELSLM_SHARE_CODEC_H

#include "scenario/model.h"

typedef struct celslm_codec {
  const char *name, *summary;
  /* B of one layer's keys and values of `tokens` tokens of the model that receives them. */
  double (*layer_bytes)(const celslm_model *m, double tokens);
} celslm_codec;

extern const celslm_codec *const celslm_codecs[];        /* NULL-terminated */
const celslm_codec *celslm_codec_find(const char *name); /* NULL: none */

#endif
