/* quantise.h - a group of X as int8: what the fast levels must equal. Internal. */
#ifndef CELSLM_KERNELS_QUANTISE_H
#define CELSLM_KERNELS_QUANTISE_H

#include <math.h>
#include <stdint.h>

/* Symmetric, the largest becomes 127. A word holds four inputs, each as the value + 128, the first
 * in its lowest byte; `count` inputs are there, those up to `group` count as zero. Gives the scale.
 */
static inline float quantise_group(int64_t count, int64_t group, const float *x, uint32_t *words) {
  float top = 0;
  for (int64_t p = 0; p < count; p++) top = fmaxf(top, fabsf(x[p]));
  float inverse = top > 0 ? 127.0f / top : 0;
  for (int64_t p = 0; p < group; p += 4) {
    uint32_t word = 0;
    for (int64_t j = p; j < p + 4; j++) {
      int q = j < count ? (int)lrintf(x[j] * inverse) : 0;
      word |= (uint32_t)(q + 128) << 8 * (j - p);
    }
    words[p / 4] = word;
  }
  return top / 127.0f;
}

#endif
