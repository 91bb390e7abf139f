#include "share/codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- precisions ------------------------------------------------------------------------------ */

/* Integer codecs add f32 scales: one per key channel and block of 32 tokens, one per token for its
 * values (KIVI's grouping, arXiv 2402.02750). */
static double scales(double width, double tokens) {
  return 4 * width * ceil(tokens / 32) + 4 * tokens;
}

static double score_scales(double columns, double tokens) {
  return 4 * columns * ceil(tokens / 32);
}

static double f16_bytes(const celslm_codec *c, double width, double tokens) {
  (void)c;
  return 2 * 2 * width * tokens;
}

static double f16_scores(double columns, double tokens) {
  return 2 * columns * tokens;
}

static double int8_bytes(const celslm_codec *c, double width, double tokens) {
  (void)c;
  return 2 * width * tokens + scales(width, tokens);
}

static double int8_scores(double columns, double tokens) {
  return columns * tokens + score_scales(columns, tokens);
}

/* Each group has a minimum and a step. */
static double int4_bytes(const celslm_codec *c, double width, double tokens) {
  (void)c;
  return 2 * ceil(width / 2) * tokens + 2 * scales(width, tokens);
}

static double int4_scores(double columns, double tokens) {
  return ceil(columns / 2) * tokens + 2 * score_scales(columns, tokens);
}

static const celslm_coding f16 = {.name = "f16",
                                  .summary = "half precision, as engines hold it: no work",
                                  .source = "IEEE 754",
                                  .bytes = f16_bytes,
                                  .scores = f16_scores};
static const celslm_coding int8 = {
    .name = "int8",
    .summary = "8 bits, key scales per channel and 32 tokens, value scales per token",
    .source = "arXiv 2402.02750",
    .bytes = int8_bytes,
    .scores = int8_scores};
static const celslm_coding int4 = {.name = "int4",
                                   .summary =
                                       "4 bits, groups as int8's, each with a minimum and a step",
                                   .source = "arXiv 2402.02750",
                                   .bytes = int4_bytes,
                                   .scores = int4_scores};

/* ---- fewer numbers --------------------------------------------------------------------------- */

/* Keys and values of a token, side by side, as their scores along the strongest directions. */
static double lowrank_bytes(const celslm_codec *c, double width, double tokens) {
  return c->precision->scores(fmin(c->parameter, 2 * width), tokens);
}

static double lowrank_left(const celslm_codec *c, double width, double tokens) {
  return fmin(c->parameter, 2 * width) * tokens;
}

static double lowrank_flops(const celslm_codec *c, double width, double tokens) {
  return 2 * 2 * width * fmin(c->parameter, 2 * width) * tokens;
}

/* Heavy hitters and the most recent tokens, half and half; each with its position, 4 B. */
static double tokens_bytes(const celslm_codec *c, double width, double tokens) {
  double kept = ceil(c->parameter * tokens);
  return c->precision->bytes(c, width, kept) + 4 * kept;
}

static double tokens_left(const celslm_codec *c, double width, double tokens) {
  return 2 * width * ceil(c->parameter * tokens);
}

static const celslm_coding lowrank = {
    .name = "lowrank",
    .summary = "keys and values of a token projected to RANK numbers, and back at the edge",
    .source = "arXiv 2407.21118",
    .parameter = "RANK",
    .least = 1,
    .most = 9999,
    .bytes = lowrank_bytes,
    .left = lowrank_left,
    .flops = lowrank_flops};
static const celslm_coding tokens = {
    .name = "tokens",
    .summary = "the SHARE of tokens that attention heeds most, and the last ones, half and half",
    .source = "arXiv 2306.14048",
    .parameter = "SHARE",
    .least = 1e-4,
    .most = 1,
    .bytes = tokens_bytes,
    .left = tokens_left};

const celslm_coding *const celslm_codings[] = {&f16, &int8, &int4, &lowrank, &tokens, NULL};

/* ---- names ----------------------------------------------------------------------------------- */

static const celslm_coding *find(const char *name, size_t length) {
  for (const celslm_coding *const *c = celslm_codings; *c; c++)
    if (strlen((*c)->name) == length && strncmp((*c)->name, name, length) == 0) return *c;
  return NULL;
}

bool celslm_codec_parse(const char *text, celslm_codec *c, const char **why) {
  size_t length = strcspn(text, ":+");
  const char *rest = text + length;
  *c = (celslm_codec){.coding = find(text, length), .precision = &f16};
  *why = "no codec has this name";
  if (!c->coding) return false;
  if (!c->coding->parameter) {
    c->precision = c->coding;
    *why = "a precision has no parameter";
    return !*rest;
  }
  char *end = NULL;
  *why = "its parameter is missing or out of range";
  if (*rest != ':' || strspn(rest + 1, "0123456789.") == 0) return false;
  c->parameter = strtod(rest + 1, &end);
  if (!(c->parameter >= c->coding->least && c->parameter <= c->coding->most)) return false;
  if (c->coding == &lowrank && c->parameter != floor(c->parameter)) return false;
  *why = "after the parameter only + and a precision may follow";
  if (!*end) return true;
  if (*end != '+') return false;
  c->precision = find(end + 1, strlen(end + 1));
  return c->precision && !c->precision->parameter;
}

bool celslm_codec_read(const celslm_element *e, const char *attribute, celslm_codec *c,
                       celslm_error *err) {
  const char *text = celslm_element_attribute(e, attribute), *why;
  if (celslm_codec_parse(text ? text : "f16", c, &why)) return true;
  return celslm_element_fail(e, err,
                             "<%s> %s \"%s\": %s; allowed: f16, int8, int4, lowrank:RANK (1 to "
                             "9999), tokens:SHARE (0.0001 to 1), the last two also with +int8 or "
                             "+int4 behind; see `celslm list codecs`",
                             e->name, attribute, text, why);
}

/* ---- bytes and work -------------------------------------------------------------------------- */

static double width_of(const celslm_model *m) {
  return (double)(m->kv_heads * m->head_dim);
}

double celslm_codec_layer_bytes(const celslm_codec *c, const celslm_model *m, double n) {
  return c->coding->bytes(c, width_of(m), n);
}

double celslm_codec_plain_bytes(const celslm_model *m, double n) {
  return f16_bytes(NULL, width_of(m), n);
}

double celslm_codec_left_bytes(const celslm_codec *c, const celslm_model *m, double n) {
  return c->coding->left ? 2 * c->coding->left(c, width_of(m), n) : celslm_codec_plain_bytes(m, n);
}

double celslm_codec_flops(const celslm_codec *c, const celslm_model *m, double n) {
  return c->coding->flops ? c->coding->flops(c, width_of(m), n) : 0;
}

bool celslm_codec_plain(const celslm_codec *c) {
  return c->coding == &f16;
}
