/* codec.c - precision codecs, low rank, token selection. The loops over a row are the level's
 * (codes.h), which give the same bytes on every machine.
 *
 * Format: 16-bit kinds: elements in row order. int8, int4: first all groups' parameters (int8:
 * scale; int4: minimum, step; f32), then the codes in row order; int4 two channels per byte, the
 * even one in the lower half, each row padded to whole bytes. Keys' groups: [block of 32
 * tokens][channel]; values': [token][group]. */
#include "kernels/codec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/half.h"
#include "kernels/isa.h"
#include "kernels/mem.h"

typedef struct layout {
  int64_t groups_down, groups_across, tokens_per, channels_per;
  int64_t parameters; /* f32 per group */
  int64_t row_bytes;
} layout;

static layout plan(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                   int64_t width) {
  bool keys = side == CELSLM_CODEC_KEYS;
  layout l = {.tokens_per = keys ? CELSLM_PANEL : 1,
              .channels_per = keys       ? 1
                              : c->group ? c->group
                                         : 32};
  l.groups_down = (tokens + l.tokens_per - 1) / l.tokens_per;
  l.groups_across = (width + l.channels_per - 1) / l.channels_per;
  switch (c->kind) {
  case CELSLM_CODEC_I8:
    l.parameters = 1, l.row_bytes = width;
    break;
  case CELSLM_CODEC_I4:
    l.parameters = 2, l.row_bytes = (width + 1) / 2;
    break;
  default:
    l.row_bytes = 2 * width;
  }
  return l;
}

static int64_t parameter_bytes(const layout *l) {
  return 4 * l->parameters * l->groups_down * l->groups_across;
}

uint64_t celslm_codec_bytes(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                            int64_t width) {
  layout l = plan(c, side, tokens, width);
  return (uint64_t)(parameter_bytes(&l) + tokens * l.row_bytes);
}

static void report(celslm_span span, enum celslm_kop op, const celslm_codec *c,
                   enum celslm_codec_side side, int64_t tokens, int64_t width) {
  static const uint64_t flops[] = {0, 0, 1, 2};
  celslm_work w = {.kv_bytes = celslm_codec_bytes(c, side, tokens, width)};
  uint64_t elements = (uint64_t)(tokens * width);
  w.activation_bytes = 4 * elements;
  w.flops = elements * flops[c->kind];
  celslm_span_report(span, op, tokens, 0, width, w);
}

/* What the loops over a row need, per channel: the group's smallest value, its step, and what to
 * divide by (infinity where the step is 0). */
typedef struct row_scales {
  float *low, *high, *step, *divisor;
  uint8_t *codes; /* one per channel */
} row_scales;

static row_scales make_scales(int64_t width) {
  float *all = celslm_mem_scratch((size_t)width * (4 * sizeof(float) + 1));
  return (row_scales){all, all + width, all + 2 * width, all + 3 * width,
                      (uint8_t *)(all + 4 * width)};
}

/* Spreads the parameters of row t's groups over the channels. */
static void spread_parameters(const celslm_codec *c, const layout *l, const float *parameters,
                              int64_t t, int64_t width, row_scales *s) {
  const float *p = parameters + l->parameters * (t / l->tokens_per * l->groups_across);
  bool four = c->kind == CELSLM_CODEC_I4;
  for (int64_t j = 0; j < l->groups_across; j++, p += l->parameters) {
    float low = four ? p[0] : 0.0f, step = p[l->parameters - 1];
    int64_t to = min_i64((j + 1) * l->channels_per, width);
    for (int64_t d = j * l->channels_per; d < to; d++) s->low[d] = low, s->step[d] = step;
  }
}

/* The parameters of the groups of rows [t, t + n), which are one group of tokens. */
static float *find_parameters(const celslm_codec *c, const layout *l, const celslm_codes *loops,
                              int64_t n, int64_t width, const float *x, int64_t ld, row_scales *s,
                              float *p) {
  for (int64_t d = 0; d < width; d++) s->low[d] = INFINITY, s->high[d] = -INFINITY;
  for (int64_t i = 0; i < n; i++) loops->widen_range(width, x + i * ld, s->low, s->high);
  for (int64_t j = 0; j < l->groups_across; j++) {
    int64_t from = j * l->channels_per, to = min_i64(from + l->channels_per, width);
    float *low_of = s->low + from, *high_of = s->high + from;
    for (int64_t left = to - from, half; left > 1;
         left -= half) { /* the upper half onto the lower */
      half = left / 2;
      loops->widen_range(half, low_of + left - half, low_of, high_of);
      loops->widen_range(half, high_of + left - half, low_of, high_of);
    }
    float low = *low_of, high = *high_of;
    if (c->kind == CELSLM_CODEC_I4) {
      *p++ = low;
      *p++ = (high - low) / 15.0f;
    } else {
      *p++ = (high > -low ? high : -low) / 127.0f;
    }
  }
  return p;
}

static void encode_row(const celslm_codec *c, const celslm_codes *loops, int64_t width,
                       const float *x, row_scales *s, uint8_t *out) {
  if (c->kind == CELSLM_CODEC_I8) {
    loops->encode_i8(width, x, s->divisor, (int8_t *)out);
    return;
  }
  loops->encode_u4(width, x, s->low, s->divisor, s->codes);
  loops->join(width, s->codes, out);
  if (width % 2) out[width / 2] = s->codes[width - 1];
}

static void encode_groups(const celslm_codec *c, const layout *l, int64_t tokens, int64_t width,
                          const float *x, int64_t ld, uint8_t *out) {
  const celslm_codes *loops = &celslm_isa_current()->codes;
  float *parameters = celslm_mem_scratch((size_t)parameter_bytes(l)), *p = parameters;
  row_scales s = make_scales(width);
  uint8_t *codes = out + parameter_bytes(l);
  for (int64_t t = 0; t < tokens; t += l->tokens_per) {
    int64_t n = min_i64(l->tokens_per, tokens - t);
    p = find_parameters(c, l, loops, n, width, x + t * ld, ld, &s, p);
    spread_parameters(c, l, parameters, t, width, &s);
    for (int64_t d = 0; d < width; d++) s.divisor[d] = s.step[d] > 0.0f ? s.step[d] : INFINITY;
    for (int64_t i = t; i < t + n; i++, codes += l->row_bytes)
      encode_row(c, loops, width, x + i * ld, &s, codes);
  }
  memcpy(out, parameters, (size_t)parameter_bytes(l));
  celslm_mem_scratch_free(s.low);
  celslm_mem_scratch_free(parameters);
}

static void encode_16(bool half, int64_t tokens, int64_t width, const float *x, int64_t ld,
                      uint8_t *out) {
  uint16_t *row = celslm_mem_scratch((size_t)width * sizeof *row);
  for (int64_t t = 0; t < tokens; t++, x += ld, out += 2 * width) {
    if (half) celslm_isa_current()->narrow_f16(width, x, row);
    for (int64_t d = 0; !half && d < width; d++) row[d] = float_bf16(x[d]);
    memcpy(out, row, (size_t)width * sizeof *row);
  }
  celslm_mem_scratch_free(row);
}

void celslm_codec_encode(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                         int64_t width, const float *x, int64_t ld, uint8_t *out) {
  celslm_span span = celslm_span_begin();
  layout l = plan(c, side, tokens, width);
  if (l.parameters)
    encode_groups(c, &l, tokens, width, x, ld, out);
  else
    encode_16(c->kind == CELSLM_CODEC_F16, tokens, width, x, ld, out);
  if (span.on) report(span, CELSLM_KOP_CODEC_ENCODE, c, side, tokens, width);
}

static void decode_groups(const celslm_codec *c, const layout *l, int64_t tokens, int64_t width,
                          const uint8_t *in, float *x, int64_t ld) {
  const celslm_codes *loops = &celslm_isa_current()->codes;
  float *parameters = celslm_mem_scratch((size_t)parameter_bytes(l));
  row_scales s = make_scales(width);
  const uint8_t *codes = in + parameter_bytes(l);
  memcpy(parameters, in, (size_t)parameter_bytes(l));
  for (int64_t t = 0; t < tokens; t++, codes += l->row_bytes, x += ld) {
    if (t % l->tokens_per == 0) spread_parameters(c, l, parameters, t, width, &s);
    if (c->kind == CELSLM_CODEC_I8) {
      loops->decode_i8(width, (const int8_t *)codes, s.step, x);
      continue;
    }
    loops->part(width, codes, s.codes);
    if (width % 2) s.codes[width - 1] = codes[width / 2] & 15;
    loops->decode_u4(width, s.codes, s.low, s.step, x);
  }
  celslm_mem_scratch_free(s.low);
  celslm_mem_scratch_free(parameters);
}

static void decode_16(bool half, int64_t tokens, int64_t width, const uint8_t *in, float *x,
                      int64_t ld) {
  const celslm_isa *isa = celslm_isa_current();
  uint16_t *row = celslm_mem_scratch((size_t)width * sizeof *row);
  for (int64_t t = 0; t < tokens; t++, x += ld, in += 2 * width) {
    memcpy(row, in, (size_t)width * sizeof *row);
    (half ? isa->widen_f16 : isa->widen_bf16)(width, row, x);
  }
  celslm_mem_scratch_free(row);
}

void celslm_codec_decode(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                         int64_t width, const uint8_t *in, float *x, int64_t ld) {
  celslm_span span = celslm_span_begin();
  layout l = plan(c, side, tokens, width);
  if (l.parameters)
    decode_groups(c, &l, tokens, width, in, x, ld);
  else
    decode_16(c->kind == CELSLM_CODEC_F16, tokens, width, in, x, ld);
  if (span.on) report(span, CELSLM_KOP_CODEC_DECODE, c, side, tokens, width);
}

struct celslm_lowrank {
  celslm_packed *down, *up;
  float *mean, *shift; /* [width]; [rank] = -D mean */
};

celslm_lowrank *celslm_lowrank_create(int64_t width, int64_t rank, const float *down,
                                      const float *up, const float *mean) {
  celslm_lowrank *l = calloc(1, sizeof *l);
  if (!l || width < 1 || rank < 1) {
    free(l);
    return NULL;
  }
  l->down = celslm_pack(CELSLM_K_F32, rank, width, down, width, 0);
  l->up = celslm_pack(CELSLM_K_F32, width, rank, up, rank, 0);
  l->mean = calloc((size_t)width, sizeof *l->mean);
  l->shift = calloc((size_t)rank, sizeof *l->shift);
  if (!l->down || !l->up || !l->mean || !l->shift) {
    celslm_lowrank_free(l);
    return NULL;
  }
  if (mean) memcpy(l->mean, mean, (size_t)width * sizeof *mean);
  for (int64_t r = 0; r < rank; r++) {
    double s = 0;
    for (int64_t d = 0; d < width; d++) s += (double)down[r * width + d] * (double)l->mean[d];
    l->shift[r] = (float)-s;
  }
  return l;
}

void celslm_lowrank_free(celslm_lowrank *l) {
  if (!l) return;
  celslm_packed_free(l->down);
  celslm_packed_free(l->up);
  free(l->mean);
  free(l->shift);
  free(l);
}

void celslm_lowrank_encode(const celslm_lowrank *l, int64_t tokens, const float *x, int64_t ldx,
                           float *z) {
  celslm_gemm(l->down, tokens, x, ldx, z, celslm_packed_n(l->down),
              &(celslm_epilogue){.bias = l->shift});
}

void celslm_lowrank_decode(const celslm_lowrank *l, int64_t tokens, const float *z, float *x,
                           int64_t ldx) {
  celslm_gemm(l->up, tokens, z, celslm_packed_k(l->up), x, ldx,
              &(celslm_epilogue){.bias = l->mean});
}

typedef struct ranked {
  float score;
  int64_t token;
} ranked;

static int by_score(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? 1 : -1;
  return (x->token > y->token) - (x->token < y->token);
}

static int by_token(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

void celslm_select_tokens(int64_t tokens, const float *score, int64_t keep, int64_t *kept) {
  if (keep < 0 || keep > tokens) celslm_misuse("select_tokens", "more tokens than there are");
  ranked *r = celslm_mem_scratch((size_t)tokens * sizeof *r);
  for (int64_t i = 0; i < tokens; i++) r[i] = (ranked){score[i], i};
  qsort(r, (size_t)tokens, sizeof *r, by_score);
  for (int64_t i = 0; i < keep; i++) kept[i] = r[i].token;
  qsort(kept, (size_t)keep, sizeof *kept, by_token);
  celslm_mem_scratch_free(r);
}
