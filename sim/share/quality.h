/* quality.h - what sharing KV between unlike models does to the edge model's predictions, measured
 * on real models and text.
 *
 * A window of text is a context and a continuation. The edge model reads the continuation standing
 * on a context made in some way (a condition), and predicts each of its tokens after the first from
 * those before it. Per window: loss in bits per token, KL from the predictions that it makes on its
 * own full prefill, agreement of the most probable token with those, and the relative error of what
 * attention gives. Gap recovered = (loss without context - loss) / (loss without context - loss
 * with its own full prefill), of the means over windows. Confidence intervals are percentiles of a
 * bootstrap that resamples windows, the same ones for all conditions (Efron 1979). */
#ifndef CELSLM_SHARE_QUALITY_H
#define CELSLM_SHARE_QUALITY_H

#include "share/corpus.h"
#include "share/mapping.h"
#include "share/wire.h"

typedef enum celslm_context_way {
  CELSLM_WAY_FULL,   /* the edge's own prefill, by codec: what it could at best */
  CELSLM_WAY_NONE,   /* no context */
  CELSLM_WAY_MEAN,   /* every token's KV is the mean over the calibration text */
  CELSLM_WAY_COPY,   /* the aligned cloud layer's first columns, as they are */
  CELSLM_WAY_MAPPED, /* the deepest layers mapped from the cloud */
  CELSLM_WAY_CLOUD,  /* not the edge at all: the cloud model reads everything */
  CELSLM_WAYS
} celslm_context_way;
extern const char *const celslm_way_names[]; /* NULL-terminated */

typedef struct celslm_condition {
  celslm_context_way way;
  int map;     /* which of the maps; -1: none */
  int deepest; /* mapped layers, the deepest ones */
  bool absent; /* the shallower ones are not computed at the edge, but absent */
  int rank;    /* 0: full */
  celslm_wire_codec codec;
} celslm_condition;

typedef struct celslm_score {
  celslm_condition condition;
  double bytes;                           /* per context token that travelled */
  double loss, loss_low, loss_high;       /* bit per token */
  double excess, excess_low, excess_high; /* bit per token more than with the edge's own prefill */
  double gap, gap_low, gap_high;          /* intervals: 95 % */
  double kl;                              /* bit per token */
  double top1, attention_error;
  double *losses, *kls; /* by window */
} celslm_score;

typedef struct celslm_quality_plan {
  const celslm_transformer *cloud, *edge;
  const celslm_mapping *maps;
  const celslm_condition *conditions; /* must have FULL (f16 or not at all coded first) and NONE */
  int n_conditions;
  int64_t context, continuation;
  int windows;
  uint64_t seed; /* of the bootstrap */
} celslm_quality_plan;

/* Scores of all conditions, in order. False: the text is too short, or FULL and NONE are missing.
 */
bool celslm_quality_measure(const celslm_quality_plan *plan, const celslm_text *text,
                            celslm_score *scores, celslm_error *err);
void celslm_scores_free(celslm_score *scores, int n);

/* Mean of the differences a - b, window by window, with its bootstrapped 95 % interval. */
typedef struct celslm_difference {
  double mean, low, high;
} celslm_difference;
celslm_difference celslm_paired_difference(const double *a, const double *b, int windows,
                                           uint64_t seed);

#endif
