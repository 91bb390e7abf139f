/* comparison.h - one way of making a context against another, window by window, and what all
 * lengths of a context say together.
 *
 * The mean over all windows of all lengths, with a block bootstrap (Künsch 1989; Efron and
 * Tibshirani 1993, section 8.6): the windows of one length do not overlap, but those of different
 * lengths read the same text and are not independent. So the text is cut into stretches, and a
 * resample takes stretches, each with all windows of any length that begin in it. Resampling
 * windows by themselves would claim more than was seen. */
#ifndef CELSLM_SHARE_COMPARISON_H
#define CELSLM_SHARE_COMPARISON_H

#include "share/quality.h"

#include <stdio.h>

enum { CELSLM_STRETCHES = 64 };

/* By how much `better` is better than `worse` (loss, KL; bit per token), by window. */
typedef struct celslm_comparison {
  char text[16], better[96], worse[96];
  int64_t context; /* token; 0: several lengths together */
  int windows;
  double *loss, *kl; /* [windows] */
  int *stretch;      /* [windows]: in which of the text's stretches it begins */
} celslm_comparison;

/* `context`, `continuation` and the number of windows say where in the text of `n` tokens each
 * window began (celslm_text_piece). */
celslm_comparison celslm_comparison_make(const celslm_quality_plan *plan, int64_t n,
                                         const celslm_score *better, const celslm_score *worse);
void celslm_comparison_free(celslm_comparison *c);

/* Puts all that is the same but for the length of its context together: those at places 0.. of the
 * result, whose number is returned. What has one length only is left out. */
int celslm_comparisons_pool(const celslm_comparison *c, int n, celslm_comparison *pooled);

/* Mean of `d` with its 95 % interval, resampling stretches. */
celslm_difference celslm_stretched_difference(const double *d, const int *stretch, int windows,
                                              uint64_t seed);

/* For another process; false: there is no further one. */
void celslm_comparison_send(const celslm_comparison *c, FILE *to);
bool celslm_comparison_receive(celslm_comparison *c, FILE *from);

#endif
