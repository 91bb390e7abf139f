/* whole.h - times a whole small model (kernels/transformer.h), so that calibrated costs can be
 * checked against the real sequence of all its operations.
 *
 * The model is Llama-like, with random weights, CELSLM_WHOLE_LAYERS layers of a given model's sizes
 * and a vocabulary of at most CELSLM_WHOLE_VOCABULARY. Its weights come from memory, as measure.h
 * says. Decoding sequences grow by a token in each round: `past` is what they begin with. */
#ifndef CELSLM_COST_WHOLE_H
#define CELSLM_COST_WHOLE_H

#include "cost/measure.h"
#include "scenario/model.h"

enum { CELSLM_WHOLE_LAYERS = 4, CELSLM_WHOLE_VOCABULARY = 8192, CELSLM_WHOLE_CASES = 6 };

typedef struct celslm_whole_case {
  bool decode;
  int64_t tokens;         /* of a prompt, or sequences that decode one each */
  int64_t past;           /* of each decoding sequence */
  double seconds, spread; /* of a forward pass: filled */
} celslm_whole_case;

/* What the model that is timed looks like to the cost model. */
celslm_model celslm_whole_model(const celslm_model *like);

/* A model under measurement, used like celslm_measurement; fills the cases. */
typedef struct celslm_whole celslm_whole;
celslm_whole *celslm_whole_new(const celslm_model *like,
                               celslm_whole_case cases[CELSLM_WHOLE_CASES],
                               celslm_operands *operands, celslm_error *err);
void celslm_whole_round(celslm_whole *w);
void celslm_whole_finish(celslm_whole *w);
void celslm_whole_free(celslm_whole *w); /* NULL is allowed */

#endif
