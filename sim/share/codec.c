#include "share/codec.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Keys and values of one token in one layer have K h elements each. Integer codecs add f32 scales:
 * one per key channel and block of 32 tokens, one per token for its values (KIVI's grouping,
 * arXiv 2402.02750). */
static double elements(const celslm_model *m) {
  return (double)(m->kv_heads * m->head_dim);
}

static double scales(const celslm_model *m, double tokens) {
  return 4 * elements(m) * ceil(tokens / 32) + 4 * tokens;
}

static double f16_bytes(const celslm_model *m, double tokens) {
  return 2 * 2 * elements(m) * tokens;
}

static double int8_bytes(const celslm_model *m, double tokens) {
  return 2 * elements(m) * tokens + scales(m, tokens);
}

/* Each group has a minimum and a step. */
static double int4_bytes(const celslm_model *m, double tokens) {
  return elements(m) * tokens + 2 * scales(m, tokens);
}

static const celslm_codec f16 = {"f16", "half precision", f16_bytes};
static const celslm_codec int8 = {
    "int8", "8 bits, key scales per channel and 32 tokens, value scales per token", int8_bytes};
static const celslm_codec int4 = {
    "int4", "4 bits, groups as int8's, each with a minimum and a step", int4_bytes};

const celslm_codec *const celslm_codecs[] = {&f16, &int8, &int4, NULL};

const celslm_codec *celslm_codec_find(const char *name) {
  for (const celslm_codec *const *c = celslm_codecs; *c; c++)
    if (strcmp((*c)->name, name) == 0) return *c;
  return NULL;
}
