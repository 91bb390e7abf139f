/* codec.c - precision codecs, low rank, token selection: plain C, one element at a time in the
 * order of the format, so that the bytes are the same on every machine.
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

static void encode_16(bool half, int64_t tokens, int64_t width, const float *x, int64_t ld,
                      uint8_t *out) {
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t d = 0; d < width; d++, out += 2) {
      uint16_t h = half ? float_f16(x[t * ld + d]) : float_bf16(x[t * ld + d]);
      memcpy(out, &h, sizeof h);
    }
}

/* Smallest and largest of a group. */
static void range(const layout *l, int64_t down, int64_t across, int64_t tokens, int64_t width,
                  const float *x, int64_t ld, float *low, float *high) {
  int64_t t1 = min_i64((down + 1) * l->tokens_per, tokens);
  int64_t d1 = min_i64((across + 1) * l->channels_per, width);
  *low = INFINITY;
  *high = -INFINITY;
  for (int64_t t = down * l->tokens_per; t < t1; t++)
    for (int64_t d = across * l->channels_per; d < d1; d++) {
      *low = fminf(*low, x[t * ld + d]);
      *high = fmaxf(*high, x[t * ld + d]);
    }
}

static const float *group_of(const layout *l, const float *parameters, int64_t t, int64_t d) {
  return parameters + l->parameters * (t / l->tokens_per * l->groups_across + d / l->channels_per);
}

void celslm_codec_encode(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                         int64_t width, const float *x, int64_t ld, uint8_t *out) {
  celslm_span span = celslm_span_begin();
  layout l = plan(c, side, tokens, width);
  bool four = c->kind == CELSLM_CODEC_I4;
  if (!l.parameters) {
    encode_16(c->kind == CELSLM_CODEC_F16, tokens, width, x, ld, out);
  } else {
    float *p = celslm_mem_scratch((size_t)parameter_bytes(&l));
    for (int64_t i = 0, at = 0; i < l.groups_down; i++)
      for (int64_t j = 0; j < l.groups_across; j++) {
        float low, high;
        range(&l, i, j, tokens, width, x, ld, &low, &high);
        p[at++] = four ? low : fmaxf(-low, high) / 127.0f;
        if (four) p[at++] = (high - low) / 15.0f;
      }
    memcpy(out, p, (size_t)parameter_bytes(&l));
    uint8_t *codes = out + parameter_bytes(&l);
    memset(codes, 0, (size_t)(tokens * l.row_bytes));
    for (int64_t t = 0; t < tokens; t++, codes += l.row_bytes)
      for (int64_t d = 0; d < width; d++) {
        const float *g = group_of(&l, p, t, d);
        float step = g[l.parameters - 1], value = x[t * ld + d] - (four ? g[0] : 0.0f);
        long q = step > 0 ? lrintf(value / step) : 0;
        if (four)
          codes[d / 2] |= (uint8_t)((q > 15 ? 15 : q) << (d % 2 * 4));
        else
          codes[d] = (uint8_t)(int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
      }
    free(p);
  }
  if (span.on) report(span, CELSLM_KOP_CODEC_ENCODE, c, side, tokens, width);
}

void celslm_codec_decode(const celslm_codec *c, enum celslm_codec_side side, int64_t tokens,
                         int64_t width, const uint8_t *in, float *x, int64_t ld) {
  celslm_span span = celslm_span_begin();
  layout l = plan(c, side, tokens, width);
  const uint8_t *codes = in + parameter_bytes(&l);
  float *p = celslm_mem_scratch((size_t)parameter_bytes(&l));
  memcpy(p, in, (size_t)parameter_bytes(&l));
  for (int64_t t = 0; t < tokens; t++, codes += l.row_bytes)
    for (int64_t d = 0; d < width; d++) {
      float *y = x + t * ld + d;
      uint16_t h;
      const float *g = group_of(&l, p, t, d);
      switch (c->kind) {
      case CELSLM_CODEC_I8:
        *y = (float)(int8_t)codes[d] * g[0];
        break;
      case CELSLM_CODEC_I4:
        *y = g[0] + (float)(codes[d / 2] >> d % 2 * 4 & 15) * g[1];
        break;
      default:
        memcpy(&h, codes + 2 * d, sizeof h);
        *y = c->kind == CELSLM_CODEC_F16 ? f16_float(h) : bf16_float(h);
      }
    }
  free(p);
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
  free(r);
}
