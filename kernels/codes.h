/* codes.h - the inner loops of the integer codecs, over the channels of one token.
 *
 * Plain C that compilers turn into vectors; each level compiles it with its own instructions. It
 * has one division and one rounding (to nearest even) per element and no fused operation, so that
 * codes are the same bytes at every level. A divisor of infinity stands for a step of zero: code 0.
 * Not a number becomes the lowest code. */
#ifndef CELSLM_KERNELS_CODES_H
#define CELSLM_KERNELS_CODES_H

#include <stdint.h>

/* Adding and taking away 1.5 * 2^23 rounds what is below 2^22 in size to a whole number. */
static inline float code_round(float x) {
  float shifted = x + 0x1.8p23f;
  return shifted - 0x1.8p23f;
}

/* Smallest and largest so far of each channel. */
static void codes_widen_range(int64_t n, const float *restrict x, float *restrict low,
                              float *restrict high) {
  for (int64_t d = 0; d < n; d++) {
    low[d] = x[d] < low[d] ? x[d] : low[d];
    high[d] = x[d] > high[d] ? x[d] : high[d];
  }
}

static void codes_encode_i8(int64_t n, const float *restrict x, const float *restrict divisor,
                            int8_t *restrict out) {
  for (int64_t d = 0; d < n; d++) {
    float q = x[d] / divisor[d];
    q = q > -127.0f ? q : -127.0f;
    q = q < 127.0f ? q : 127.0f;
    out[d] = (int8_t)(int32_t)code_round(q);
  }
}

static void codes_decode_i8(int64_t n, const int8_t *restrict code, const float *restrict step,
                            float *restrict y) {
  for (int64_t d = 0; d < n; d++) y[d] = (float)code[d] * step[d];
}

/* Codes 0 to 15, one per byte. */
static void codes_encode_u4(int64_t n, const float *restrict x, const float *restrict low,
                            const float *restrict divisor, uint8_t *restrict out) {
  for (int64_t d = 0; d < n; d++) {
    float q = (x[d] - low[d]) / divisor[d];
    q = q > 0.0f ? q : 0.0f;
    q = q < 15.0f ? q : 15.0f;
    out[d] = (uint8_t)(int32_t)code_round(q);
  }
}

/* Two neighbours to a byte, the even one in the lower half; n even. */
static void codes_join(int64_t n, const uint8_t *restrict in, uint8_t *restrict out) {
  for (int64_t i = 0; i < n / 2; i++) out[i] = (uint8_t)(in[2 * i] | in[2 * i + 1] << 4);
}

static void codes_part(int64_t n, const uint8_t *restrict in, uint8_t *restrict out) {
  for (int64_t i = 0; i < n / 2; i++) {
    out[2 * i] = in[i] & 15;
    out[2 * i + 1] = in[i] >> 4;
  }
}

static void codes_decode_u4(int64_t n, const uint8_t *restrict code, const float *restrict low,
                            const float *restrict step, float *restrict y) {
  for (int64_t d = 0; d < n; d++) y[d] = low[d] + (float)code[d] * step[d];
}

#define CELSLM_CODES                                                                               \
  {                                                                                                \
    codes_widen_range, codes_encode_i8, codes_decode_i8, codes_encode_u4, codes_join, codes_part,  \
        codes_decode_u4                                                                            \
  }

#endif
