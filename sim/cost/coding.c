/* coding.c - times the KV codecs (see coding.h). */
#include "cost/coding.h"

#include "cost/operands.h"
#include "kernels/codec.h"

#include <math.h>
#include <stdlib.h>

enum {
  WIDTH = 512, /* keys (or values) of a token: 4 heads of 128 */
  PIECES = 2,
  WAYS = 2, /* encode, decode */
  TOKENS = 512
};

static const int64_t tokens_of[PIECES] = {32, TOKENS};

/* A codec of the simulator by the kernels: a precision, or tokens selected at 16 bits. */
typedef struct coding {
  const char *name;
  enum celslm_codec_kind kind;
  bool select; /* the better half of the tokens */
} coding;

static const coding codings[CELSLM_CODINGS] = {{"int8", CELSLM_CODEC_I8, false},
                                               {"int4", CELSLM_CODEC_I4, false},
                                               {"tokens", CELSLM_CODEC_F16, true}};

struct celslm_coding_times {
  celslm_operands *operands;
  uint8_t *coded[CELSLM_CODINGS][PIECES][2]; /* of keys, values */
  uint8_t *fresh;                            /* what is encoded anew */
  float *plain;                              /* [TOKENS][WIDTH], decoded */
  int64_t kept[TOKENS];
  int64_t next; /* of the random numbers: the next piece to encode */
  double times[CELSLM_CODINGS][PIECES][WAYS][CELSLM_MOST_REPEATS];
  int repeats; /* -1: not warm yet */
};

int64_t celslm_coding_times_needs(void) {
  return (int64_t)CELSLM_CODINGS * (TOKENS + 32) * 2 * WIDTH;
}

static celslm_codec codec_of(const coding *c, int side) {
  return (celslm_codec){c->kind, side == CELSLM_CODEC_VALUES ? WIDTH : 0};
}

/* Keys, then values. Selection goes by a score per token: here the token's first number. */
static void encode(celslm_coding_times *t, const coding *c, int64_t tokens, const float *x,
                   uint8_t *const out[2]) {
  float score[TOKENS];
  if (c->select) {
    for (int64_t i = 0; i < tokens; i++) score[i] = x[i * WIDTH];
    celslm_select_tokens(tokens, score, tokens / 2, t->kept);
  }
  for (int side = 0; side < 2; side++) {
    celslm_codec k = codec_of(c, side);
    const float *from = x + side * tokens * WIDTH;
    if (!c->select)
      celslm_codec_encode(&k, (enum celslm_codec_side)side, tokens, WIDTH, from, WIDTH, out[side]);
    for (int64_t i = 0; c->select && i < tokens / 2; i++)
      celslm_codec_encode(&k, (enum celslm_codec_side)side, 1, WIDTH, from + t->kept[i] * WIDTH,
                          WIDTH, out[side] + 2 * WIDTH * i);
  }
}

static void decode(celslm_coding_times *t, const coding *c, int64_t tokens, uint8_t *const in[2]) {
  for (int side = 0; side < 2; side++) {
    celslm_codec k = codec_of(c, side);
    celslm_codec_decode(&k, (enum celslm_codec_side)side, c->select ? tokens / 2 : tokens, WIDTH,
                        in[side], t->plain, WIDTH);
  }
}

/* The random numbers of the next piece: each is used once in a round. */
static const float *next_piece(celslm_coding_times *t, int64_t tokens) {
  int64_t n = 2 * tokens * WIDTH;
  if (t->next + n > t->operands->n_random) t->next = 0;
  const float *x = t->operands->random + t->next;
  t->next += n;
  return x;
}

static double time_once(celslm_coding_times *t, int i, int piece, int way) {
  int64_t tokens = tokens_of[piece];
  uint8_t *const out[2] = {t->fresh, t->fresh + 2 * TOKENS * WIDTH};
  const float *x = way == 0 ? next_piece(t, tokens) : NULL;
  bool worthless; /* one thread: the watch tells its processor time at least */
  celslm_watch watch = celslm_watch_start();
  if (way == 0)
    encode(t, &codings[i], tokens, x, out);
  else
    decode(t, &codings[i], tokens, t->coded[i][piece]);
  double seconds = celslm_watch_stop(&watch, 1, &worthless);
  t->operands->touched += (double)(2 * tokens * WIDTH) * sizeof(float);
  return seconds;
}

void celslm_coding_times_round(celslm_coding_times *t) {
  if (t->repeats == CELSLM_MOST_REPEATS) return;
  celslm_operands_cool(t->operands, t->operands->touched); /* numbers and codes alike */
  for (int i = 0; i < CELSLM_CODINGS; i++)
    for (int piece = 0; piece < PIECES; piece++)
      for (int way = 0; way < WAYS; way++) {
        double seconds = time_once(t, i, piece, way);
        if (t->repeats >= 0) t->times[i][piece][way][t->repeats] = seconds;
      }
  t->repeats++;
}

static bool prepare(celslm_coding_times *t) {
  t->fresh = celslm_machine_block((size_t)4 * TOKENS * WIDTH);
  t->plain = celslm_machine_block((size_t)TOKENS * WIDTH * sizeof *t->plain);
  if (!t->fresh || !t->plain) return false;
  for (int i = 0; i < CELSLM_CODINGS; i++)
    for (int piece = 0; piece < PIECES; piece++) {
      for (int side = 0; side < 2; side++)
        t->coded[i][piece][side] = celslm_alloc((unsigned long)(2 * tokens_of[piece] * WIDTH), 1);
      encode(t, &codings[i], tokens_of[piece], t->operands->random, t->coded[i][piece]);
    }
  return true;
}

celslm_coding_times *celslm_coding_times_new(celslm_operands *operands, celslm_error *err) {
  celslm_coding_times *t = celslm_alloc(1, sizeof *t);
  *t = (celslm_coding_times){.operands = operands, .repeats = -1};
  if (prepare(t)) return t;
  celslm_fail(err, NULL, 0, "not enough memory to calibrate");
  celslm_coding_times_free(t);
  return NULL;
}

void celslm_coding_times_finish(celslm_coding_times *t, celslm_codec_cost out[CELSLM_CODINGS]) {
  for (int i = 0; i < CELSLM_CODINGS; i++) {
    double rate[WAYS], overhead = 0, spread;
    for (int way = 0; way < WAYS; way++) {
      double at[PIECES], bytes[PIECES];
      for (int p = 0; p < PIECES; p++) {
        at[p] = celslm_middle_spread(t->times[i][p][way], t->repeats, &spread);
        bytes[p] = 2.0 * 2 * WIDTH * (double)tokens_of[p];
      }
      /* A line through both pieces; where noise makes it start below 0, through the long one. */
      double start = at[0] - bytes[0] * (at[1] - at[0]) / (bytes[1] - bytes[0]);
      start = fmin(fmax(start, 0), at[0] / 2);
      rate[way] = bytes[1] / (at[1] - start);
      overhead += start / WAYS;
    }
    out[i] = (celslm_codec_cost){.name = celslm_strdup(codings[i].name),
                                 .encode = rate[0],
                                 .decode = rate[1],
                                 .overhead = overhead};
  }
}

void celslm_coding_times_free(celslm_coding_times *t) {
  if (!t) return;
  for (int i = 0; i < CELSLM_CODINGS; i++)
    for (int p = 0; p < PIECES; p++)
      for (int side = 0; side < 2; side++) free(t->coded[i][p][side]);
  free(t->fresh);
  free(t->plain);
  free(t);
}
