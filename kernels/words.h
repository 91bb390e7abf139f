/* words.h - keys and values stored in fewer than 32 bits, several to a word.
 *
 * A word holds elements that are multiplied by the same x, so that they are multiplied from where
 * they are; taking elements that lie side by side apart takes as long as their multiply-adds. Two
 * of 16 bits: the first in the lower half. Four codes of 8 bits: c0 + 2^8 c1 + 2^16 c2 + 2^24 c3, a
 * sum with signs of codes in -127 .. 127. Shifted left by 24 - 8i it is 2^24 ci + 2^16 c(i-1) +
 * ..., and can be multiplied as it is: with Ri the sum of x times that over many words, the sum of
 * x times ci is 2^-24 (Ri - 2^-8 R(i-1)).
 *
 * Both come in fours, part i being one code, or half i % 2 of word i / 2 * 16 + ...:
 * Keys: a panel of 32 tokens has 16 words, or twice 16, for each pair of dimensions; dimension d of
 * token 8i + k is part i of word 2k + d % 2. An odd last dimension has a pair of its own.
 * Values: each 64 columns of a token have as many words; column 16i + k of them is part i of word
 * k. What is left of the columns is stored one by one. */
#ifndef CELSLM_KERNELS_WORDS_H
#define CELSLM_KERNELS_WORDS_H

#include <stdint.h>
#include <string.h>

enum { WORD_COLUMNS = 64 };

static inline int32_t word_of(int c0, int c1, int c2, int c3) {
  return c0 + 256 * (c1 + 256 * (c2 + 256 * c3));
}

/* What is below code i is less than half of its unit: rounding takes it away. */
static inline int word_code(int32_t w, int i) {
  return (int8_t)((i ? w + (1 << (8 * i - 1)) : w) >> 8 * i);
}

static inline int32_t word_at(const void *words, int64_t i) {
  int32_t w;
  memcpy(&w, (const char *)words + 4 * i, sizeof w);
  return w;
}

/* Code of dimension d of token t of a panel; of column d of a token's `columns`. */
static inline int word_key(const void *panel, int d, int t) {
  return word_code(word_at(panel, d / 2 * 16 + t % 8 * 2 + d % 2), t / 8);
}

static inline int word_value(const void *row, int columns, int d) {
  if (d >= columns / WORD_COLUMNS * WORD_COLUMNS) return ((const int8_t *)row)[d];
  return word_code(word_at(row, d / WORD_COLUMNS * 16 + d % 16), d % WORD_COLUMNS / 16);
}

/* The same of 16 bits: which half of the panel, of the row. */
static inline int64_t half_key(int d, int t) {
  int word = d / 2 * 32 + t / 16 * 16 + t % 8 * 2 + d % 2;
  return 2 * (int64_t)word + t % 16 / 8;
}

static inline int64_t half_value(int columns, int d) {
  if (d >= columns / WORD_COLUMNS * WORD_COLUMNS) return d;
  return d / 32 * 32 + d % 16 * 2 + d % 32 / 16;
}

#endif
