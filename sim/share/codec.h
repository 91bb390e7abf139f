/* codec.h - how context KV is encoded on its way: bytes, work and, in words, what it keeps.
 *
 * A codec is written NAME, NAME:PARAMETER or NAME:PARAMETER+PRECISION: "int8", "lowrank:64",
 * "lowrank:64+int8", "tokens:0.25+int4". Precisions code each number by itself (in groups); the
 * others first make fewer numbers of them, which a precision (default f16) then codes. A new one is
 * one row in codec.c.
 *
 * What a codec does to the edge model's predictions is measured by `celslm quality` under the name
 * of its precision and its rank (quality_table.h); token selection has not been measured. */
#ifndef CELSLM_SHARE_CODEC_H
#define CELSLM_SHARE_CODEC_H

#include "scenario/element.h"
#include "scenario/model.h"

typedef struct celslm_codec celslm_codec;

/* A way to code: one row. */
typedef struct celslm_coding {
  const char *name, *summary, *source;
  const char *parameter; /* what it is; NULL: it has none, and is a precision */
  double least, most;    /* values that it may have */
  /* B of `tokens` tokens of `width` keys and as many values each. */
  double (*bytes)(const celslm_codec *c, double width, double tokens);
  /* FLOPs each way, besides the precision's; NULL: none. */
  double (*flops)(const celslm_codec *c, double width, double tokens);
  /* How many numbers of the keys and values are left for the precision; NULL: all. */
  double (*left)(const celslm_codec *c, double width, double tokens);
  /* Precisions: B of `columns` columns of scores, each scaled by itself. */
  double (*scores)(double columns, double tokens);
} celslm_coding;
extern const celslm_coding *const celslm_codings[]; /* NULL-terminated */

struct celslm_codec {
  const celslm_coding *coding, *precision; /* the same, or what codes its numbers */
  double parameter;
};

/* False, and why, if `text` names none. */
bool celslm_codec_parse(const char *text, celslm_codec *c, const char **why);
/* From an attribute; absent: f16. */
bool celslm_codec_read(const celslm_element *e, const char *attribute, celslm_codec *c,
                       celslm_error *err);

/* B of one layer's keys and values of `tokens` tokens of the model that receives them. */
double celslm_codec_layer_bytes(const celslm_codec *c, const celslm_model *m, double tokens);
/* The same at 16 bits, as engines hold it. */
double celslm_codec_plain_bytes(const celslm_model *m, double tokens);
/* B at 16 bits of the numbers that are left for the precision to code: fewer, but for precisions.
 */
double celslm_codec_left_bytes(const celslm_codec *c, const celslm_model *m, double tokens);
/* FLOPs of projections, each way. */
double celslm_codec_flops(const celslm_codec *c, const celslm_model *m, double tokens);
/* Whether there is anything to code: 16-bit KV travels as it is. */
bool celslm_codec_plain(const celslm_codec *c);

#endif
