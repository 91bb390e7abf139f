/* half.h - sixteen-bit floats, one at a time, exactly: rounding to nearest even, infinities and
 * subnormals kept. The fast levels convert whole rows; this is what they must equal. */
#ifndef CELSLM_KERNELS_HALF_H
#define CELSLM_KERNELS_HALF_H

#include <stdint.h>
#include <string.h>

#include "kernels/kernels.h"

static inline uint32_t float_bits(float x) {
  uint32_t b;
  memcpy(&b, &x, sizeof b);
  return b;
}

static inline float bits_float(uint32_t b) {
  float x;
  memcpy(&x, &b, sizeof x);
  return x;
}

static inline float bf16_float(uint16_t h) {
  return bits_float((uint32_t)h << 16);
}

static inline uint16_t float_bf16(float x) {
  uint32_t b = float_bits(x);
  if ((b & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(b >> 16 | 0x40u); /* NaN stays one */
  return (uint16_t)((b + 0x7fffu + (b >> 16 & 1u)) >> 16);
}

static inline float f16_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7fffu;
  if (rest >= 0x7c00u) return bits_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  if (rest >= 0x400u) return bits_float(sign | ((rest << 13) + (112u << 23)));
  float small = (float)rest * 0x1p-24f; /* zero and subnormals */
  return bits_float(sign | float_bits(small));
}

static inline uint16_t float_f16(float x) {
  uint32_t b = float_bits(x), sign = b >> 16 & 0x8000u;
  b &= 0x7fffffffu;
  if (b > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
  if (b >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* 65,520 and more round to infinity */
  if (b >= 0x38800000u) {
    b += 0xfffu + (b >> 13 & 1u);
    return (uint16_t)(sign | ((b - (112u << 23)) >> 13));
  }
  /* Below 2^-14: adding 2^-1 leaves the value in units of 2^-24, rounded to nearest even. */
  return (uint16_t)(sign | (float_bits(bits_float(b) + 0.5f) - 0x3f000000u));
}

/* Element i of an array of 16 or 32 bits; the codes of I8 are in words (words.h). */
static inline float stored_float(enum celslm_kdtype type, const void *p, int64_t i) {
  if (type == CELSLM_K_F32) return ((const float *)p)[i];
  uint16_t half = ((const uint16_t *)p)[i];
  return type == CELSLM_K_F16 ? f16_float(half) : bf16_float(half);
}

#endif
